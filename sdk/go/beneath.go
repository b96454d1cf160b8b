package rectify

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"unsafe"
)

// Paths beneath the directory that stands for `/`.

const (
	sysOpenat2        = 437 // the same on all architectures
	openPath          = 0x200000
	resolveNoMagic    = 0x02
	resolveInRoot     = 0x10
	disturbedMax      = 32
	fileReadMax       = 256 * 1024 * 1024
	candidatePrefix   = ".rectify-"
	newFilePermission = 0o600
)

type openHow struct{ flags, mode, resolve uint64 }

// openBeneath opens what an absolute path names beneath the root. No link leads out
// of it, and links of `/proc` that are not links at all are refused.
func openBeneath(root, name string, flags int) (*os.File, error) {
	if root == "" {
		root = "/"
	}
	fail := func(err error) error { return &fs.PathError{Op: "open", Path: name, Err: err} }
	if !path.IsAbs(name) || strings.ContainsRune(name, 0) {
		return nil, fail(syscall.EINVAL)
	}
	dir, err := syscall.Open(root, openPath|syscall.O_DIRECTORY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: root, Err: err}
	}
	defer syscall.Close(dir)
	relative := strings.TrimLeft(name, "/")
	if relative == "" {
		relative = "."
	}
	text, err := syscall.BytePtrFromString(relative)
	if err != nil {
		return nil, fail(err)
	}
	how := openHow{flags: uint64(flags | syscall.O_CLOEXEC), resolve: resolveInRoot | resolveNoMagic}
	errno := syscall.EAGAIN
	// A rename elsewhere disturbs the look-up.
	for i := 0; i < disturbedMax && (errno == syscall.EAGAIN || errno == syscall.EINTR); i++ {
		var fd uintptr
		fd, _, errno = syscall.Syscall6(sysOpenat2, uintptr(dir), uintptr(unsafe.Pointer(text)),
			uintptr(unsafe.Pointer(&how)), unsafe.Sizeof(how), 0, 0)
		if errno == 0 {
			return os.NewFile(fd, name), nil
		}
	}
	return nil, fail(errno)
}

// through is a path of the system for a file that was opened.
func through(file *os.File) string { return "/proc/self/fd/" + strconv.Itoa(int(file.Fd())) }

// File is a regular file as it was found.
type File struct {
	Content []byte
	Mode    fs.FileMode
	// UID and GID are the numeric ids of owner and group.
	UID, GID uint32
	// Private says that others may not read it, by its own permissions or by those of a
	// directory above it. What it holds must not be in a state.
	Private bool
}

// ReadFile reads a regular file beneath the root, of at most 256 MiB. Nil: there is none.
func (cx *Cx) ReadFile(name string) (*File, error) {
	found, err := openBeneath(cx.settings.root, name, openPath)
	if errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ENOTDIR) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer found.Close()
	content, info, err := readOpened(found, name, fileReadMax)
	if err != nil {
		return nil, err
	}
	file := &File{Content: content, Mode: info.Mode()}
	if system, ok := info.Sys().(*syscall.Stat_t); ok {
		file.UID, file.GID = system.Uid, system.Gid
	}
	file.Private = file.Mode&0o004 == 0 || closedAbove(cx.settings.root, found)
	return file, nil
}

// closedAbove says whether a directory between the root and a file keeps others out.
func closedAbove(root string, file *os.File) bool {
	real, err := os.Readlink(through(file))
	if err != nil {
		return true
	}
	if root == "" {
		root = "/"
	} else if root, err = filepath.EvalSymlinks(root); err != nil {
		return true
	}
	for dir := path.Dir(real); len(dir) > len(root); dir = path.Dir(dir) {
		if info, err := os.Stat(dir); err != nil || info.Mode()&0o001 == 0 {
			return true
		}
	}
	return false
}

// It is looked at before it is opened: opening a FIFO would wait for a writer, and
// opening a device may do something.
func readBeneath(root, name string, longest int64) ([]byte, error) {
	found, err := openBeneath(root, name, openPath)
	if err != nil {
		if errors.Is(err, syscall.ENOTDIR) {
			err = &fs.PathError{Op: "open", Path: name, Err: syscall.ENOENT}
		}
		return nil, err
	}
	defer found.Close()
	content, _, err := readOpened(found, name, longest)
	return content, err
}

func readOpened(found *os.File, name string, longest int64) ([]byte, fs.FileInfo, error) {
	info, err := found.Stat()
	if err != nil {
		return nil, nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, nil, Errorf(CodeConflict, "%s is not a regular file", name)
	}
	file, err := os.Open(through(found))
	if err != nil {
		return nil, nil, &fs.PathError{Op: "open", Path: name, Err: errors.Unwrap(err)}
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, longest+1))
	if err == nil && int64(len(content)) > longest {
		return nil, nil, Errorf(CodeUnsupported, "%s is longer than %d bytes", name, longest)
	}
	return content, info, err
}

// WriteFile puts a whole file in its place beneath the root, durably and at once: no
// reader sees half of it. A file that is there keeps its owner and permissions; a
// new one gets those that are given. The directory must exist.
func (cx *Cx) WriteFile(name string, content []byte, permissions fs.FileMode) error {
	dir, base, err := cx.parent(name)
	if err != nil {
		return err
	}
	defer dir.Close()
	old, err := os.Lstat(through(dir) + "/" + base)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		old = nil
	case err != nil:
		return &fs.PathError{Op: "lstat", Path: name, Err: errors.Unwrap(err)}
	case !old.Mode().IsRegular():
		return Errorf(CodeConflict, "%s is not a regular file", name)
	}
	// A retry finds and overwrites what a crash left behind.
	candidate := candidatePrefix + base + "." + DigestOf([]byte(cx.Operation() + name)).Hex()[:16]
	if len(candidate) > 255 {
		candidate = candidatePrefix + DigestOf([]byte(cx.Operation() + name)).Hex()[:16]
	}
	candidate = through(dir) + "/" + candidate
	os.Remove(candidate)
	file, err := os.OpenFile(candidate, os.O_CREATE|os.O_EXCL|os.O_WRONLY, newFilePermission)
	if err != nil {
		return &fs.PathError{Op: "create", Path: name, Err: errors.Unwrap(err)}
	}
	defer file.Close()
	err = func() error {
		if _, err := file.Write(content); err != nil {
			return err
		}
		if old != nil {
			permissions = old.Mode()
			if owner, ok := old.Sys().(*syscall.Stat_t); ok {
				if err := file.Chown(int(owner.Uid), int(owner.Gid)); err != nil {
					return err
				}
			}
		}
		// After the owner: a change of it takes the set-user-id bit away.
		if err := file.Chmod(permissions); err != nil {
			return err
		}
		if err := file.Sync(); err != nil {
			return err
		}
		return os.Rename(candidate, through(dir)+"/"+base)
	}()
	if err != nil {
		os.Remove(candidate)
		return fmt.Errorf("%s cannot be written: %w", name, err)
	}
	return syncDirectory(through(dir))
}

// AppendFile appends to a regular file beneath the root, durably. A new one gets the
// permissions that are given. What was written half way stays, as after a crash.
func (cx *Cx) AppendFile(name string, content []byte, permissions fs.FileMode) error {
	dir, base, err := cx.parent(name)
	if err != nil {
		return err
	}
	defer dir.Close()
	// Without a reader a FIFO would wait for one, and a link could lead anywhere.
	const flags = os.O_APPEND | os.O_WRONLY | syscall.O_NOFOLLOW | syscall.O_NONBLOCK
	file, err := os.OpenFile(through(dir)+"/"+base, flags|os.O_CREATE|os.O_EXCL, newFilePermission)
	if err == nil {
		err = file.Chmod(permissions)
	} else if errors.Is(err, fs.ErrExist) {
		file, err = os.OpenFile(through(dir)+"/"+base, flags, 0)
	}
	if err != nil {
		return &fs.PathError{Op: "append", Path: name, Err: errors.Unwrap(err)}
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return Errorf(CodeConflict, "%s is not a regular file", name)
	}
	if _, err := file.Write(content); err != nil {
		return fmt.Errorf("%s cannot be written: %w", name, err)
	}
	if err := file.Sync(); err != nil {
		return err
	}
	return syncDirectory(through(dir))
}

// Remove removes a file or an empty directory beneath the root, durably. A link
// itself is removed, never what it leads to.
func (cx *Cx) Remove(name string) error {
	dir, base, err := cx.parent(name)
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := os.Remove(through(dir) + "/" + base); err != nil {
		return &fs.PathError{Op: "remove", Path: name, Err: errors.Unwrap(err)}
	}
	return syncDirectory(through(dir))
}

// Exists says whether anything is at a path beneath the root; a link counts by
// itself, wherever it leads.
func (cx *Cx) Exists(name string) (bool, error) {
	file, err := openBeneath(cx.settings.root, name, openPath|syscall.O_NOFOLLOW)
	if errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ENOTDIR) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, file.Close()
}

func (cx *Cx) parent(name string) (*os.File, string, error) {
	dir, base := path.Split(name)
	if base == "" || base == "." || base == ".." {
		return nil, "", Errorf(CodeSchema, "`%s` names no file", name)
	}
	file, err := openBeneath(cx.settings.root, dir, openPath|syscall.O_DIRECTORY)
	return file, base, err
}
