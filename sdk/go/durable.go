package rectify

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// Files that are whole or absent, and still there after a power cut.

const (
	// Prefix of files that were not finished. Nothing reads them.
	unfinishedPrefix = ".tmp-"
	// Name of the file whose lock keeps placing and deleting of blobs apart.
	blobLockName = ".lock"
)

// beside writes a file beside its final place, with mode 0600.
func beside(dir string, content []byte) (*os.File, error) {
	file, err := os.CreateTemp(dir, unfinishedPrefix+"*")
	if err != nil {
		return nil, err
	}
	if _, err := file.Write(content); err != nil {
		discard(file)
		return nil, err
	}
	return file, nil
}

// discard removes what was not finished.
func discard(file *os.File) {
	os.Remove(file.Name())
	file.Close()
}

// unfinished is beside, brought to the disk.
func unfinished(dir string, content []byte) (*os.File, error) {
	file, err := beside(dir, content)
	if err != nil {
		return nil, err
	}
	if err := file.Sync(); err != nil {
		discard(file)
		return nil, err
	}
	return file, nil
}

// replace puts a whole file in its place, over what is there. Durable on return.
func replace(dir, name string, content []byte) error {
	file, err := unfinished(dir, content)
	if err != nil {
		return err
	}
	if err := os.Rename(file.Name(), filepath.Join(dir, name)); err != nil {
		discard(file)
		return err
	}
	file.Close()
	return syncDirectory(dir)
}

// place puts a file in its place whose name says what is in it. Durable on return.
// What is there already is used if it is whole, and made younger, so that it is not
// deleted as old; otherwise it is replaced.
func place(dir, name string, file *os.File, isWhole func(*os.File) (bool, error)) error {
	defer file.Close()
	path := filepath.Join(dir, name)
	err := os.Link(file.Name(), path)
	if err == nil {
		os.Remove(file.Name())
		if err := file.Sync(); err != nil {
			return err
		}
		return syncDirectory(dir)
	}
	if !errors.Is(err, fs.ErrExist) {
		os.Remove(file.Name())
		return err
	}
	placed := false
	defer func() {
		if !placed {
			os.Remove(file.Name())
		}
	}()
	lock, err := os.OpenFile(filepath.Join(dir, blobLockName), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := flock(lock, syscall.LOCK_SH); err != nil {
		return err
	}
	whole := false
	there, err := os.Open(path)
	switch {
	case err == nil:
		defer there.Close()
		if whole, err = isWhole(there); err != nil {
			return err
		}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if whole {
		now := time.Now()
		if err := os.Chtimes(path, now, now); err != nil {
			return err
		}
		// Somebody may have put it there a moment ago, and still be waiting for the disk.
		if err := there.Sync(); err != nil {
			return err
		}
	} else {
		if err := file.Sync(); err != nil {
			return err
		}
		if err := os.Rename(file.Name(), path); err != nil {
			return err
		}
		placed = true
	}
	return syncDirectory(dir)
}

// syncDirectory brings a directory's entries to the disk.
func syncDirectory(dir string) error {
	file, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer file.Close()
	return file.Sync()
}

// readIfExists reads a file; nil where there is none.
func readIfExists(path string) ([]byte, error) {
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil && content == nil {
		content = []byte{}
	}
	return content, err
}

// flock takes a lock, over signals.
func flock(file *os.File, how int) error {
	for {
		err := syscall.Flock(int(file.Fd()), how)
		if err != syscall.EINTR {
			return err
		}
	}
}

// tryLock says whether it got the lock at once.
func tryLock(file *os.File, how int) (bool, error) {
	err := flock(file, how|syscall.LOCK_NB)
	if err == syscall.EWOULDBLOCK {
		return false, nil
	}
	return err == nil, err
}
