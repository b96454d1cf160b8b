package rectify

import (
	"encoding/base64"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Content-addressed blobs: `<blake3 hex>` in the session's blob directory, mode
// 0600. The name of what others may not read is its keyed digest, so that nothing
// that names a blob gives away more than a state does.

const (
	blobMaxBytes  = 256 * 1024 * 1024
	chunkMaxBytes = 512 * 1024
)

func (s *settings) blobDir() (string, *Error) {
	if s.dirs.Blobs == "" {
		return "", Errorf(CodeUnsupported, "this session has no directory for blobs")
	}
	return s.dirs.Blobs, nil
}

func missingBlob(digest Digest) *Error {
	return Errorf(CodeDependency, "the content %s is not kept here (any more)", digest).
		WithHint("before-images are deleted when their retention ends (`undo.keep_days` in the trust file)")
}

func damagedBlob(digest Digest) *Error {
	return Errorf(CodeFailed, "the blob %s is damaged", digest)
}

// keepBlob keeps what a reader gives, piece by piece; under its keyed digest if there is a key.
func keepBlob(dir string, reader io.Reader, key *digestKey) (Digest, *Error) {
	const what = "the before-image cannot be kept"
	file, err := beside(dir, nil)
	if err != nil {
		return Digest{}, cannot(what, err)
	}
	hasher := newContentHasher(key)
	length, err := io.Copy(io.MultiWriter(hasher, file), io.LimitReader(reader, blobMaxBytes+1))
	if err != nil {
		discard(file)
		return Digest{}, cannot(what, err)
	}
	if length > blobMaxBytes {
		discard(file)
		return Digest{}, Errorf(CodeUnsupported, "a before-image is at most %d bytes long", blobMaxBytes)
	}
	digest := hasher.plain.sum()
	if key != nil {
		digest = hasher.keyed.sum()
	}
	// What is there is used only if it is whole: a damaged blob could not undo anything.
	whole := func(there *os.File) (bool, error) { return isWhole(there, digest, key) }
	if err := place(dir, digest.Hex(), file, whole); err != nil {
		return Digest{}, cannot(what, err)
	}
	return digest, nil
}

func isWhole(file io.Reader, digest Digest, key *digestKey) (bool, error) {
	hasher := newContentHasher(key)
	if _, err := io.Copy(hasher, file); err != nil {
		return false, err
	}
	return hasher.matches(digest), nil
}

// readBlob reads a blob and checks that it has its digest, which is a keyed one if there is a key.
func readBlob(dir string, digest Digest, key *digestKey) ([]byte, *Error) {
	content, err := readIfExists(filepath.Join(dir, digest.Hex()))
	if err != nil {
		return nil, cannot("the blob cannot be read", err)
	}
	if content == nil {
		return nil, missingBlob(digest)
	}
	found := DigestOf(content)
	if key != nil {
		found = key.digest(content)
	}
	if found != digest {
		return nil, damagedBlob(digest)
	}
	return content, nil
}

type blobPut struct {
	digest       Digest
	offset, size uint64
	chunk        string
}

func readBlobPut(params any) (*blobPut, error) {
	f := fieldsOf(params, "params")
	return &blobPut{f.digest("digest"), f.number("offset"), f.number("size"), f.text("chunk")}, f.err
}

type blobGet struct {
	digest         Digest
	offset, length uint64
}

func readBlobGet(params any) (*blobGet, error) {
	f := fieldsOf(params, "params")
	return &blobGet{f.digest("digest"), f.number("offset"), f.number("length")}, f.err
}

func received(count uint64, complete bool) obj {
	return obj{{"received", count}, {"complete", complete}}
}

// putBlob takes one chunk. Chunks of one blob come in order, each after the answer
// to the one before; the answer says how much is there, so a transfer can go on
// after a break.
func putBlob(dir string, r *blobPut) (obj, *Error) {
	const what = "the blob cannot be stored"
	refuse := func(path, format string, args ...any) (obj, *Error) {
		return nil, Errorf(CodeSchema, format, args...).At(path)
	}
	if r.size > blobMaxBytes {
		return refuse("/size", "a blob is at most %d bytes long", blobMaxBytes)
	}
	chunk, err := base64.StdEncoding.Strict().DecodeString(r.chunk)
	// The decoder passes over line ends, which the protocol does not have.
	if err != nil || strings.ContainsAny(r.chunk, "\r\n") {
		return refuse("/chunk", "the chunk is not base64")
	}
	end := r.offset + uint64(len(chunk))
	if len(chunk) > chunkMaxBytes || end > r.size {
		return refuse("/chunk", "a chunk is at most %d bytes long and lies within the blob", chunkMaxBytes)
	}
	if _, missing := readBlob(dir, r.digest, nil); missing == nil {
		return received(r.size, true), nil
	}
	part := filepath.Join(dir, unfinishedPrefix+"part-"+r.digest.Hex())
	file, err := os.OpenFile(part, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, cannot(what, err)
	}
	defer file.Close()
	got, err := tryLock(file, syscall.LOCK_EX)
	if err != nil {
		return nil, cannot(what, err)
	}
	if !got {
		return nil, busy("another chunk of this blob is being stored")
	}
	own, err := file.Stat()
	if err != nil {
		return nil, cannot(what, err)
	}
	// Whoever finished the blob meanwhile renamed the file that was opened above.
	if named, err := os.Stat(part); err != nil || !os.SameFile(named, own) {
		return nil, busy("another chunk of this blob was stored")
	}
	there := uint64(own.Size())
	if there > r.size {
		if err := file.Truncate(0); err != nil {
			return nil, cannot(what, err)
		}
		there = 0
	}
	// A chunk that was sent before, or too early, is not written; the answer says where to go on.
	if r.offset == there {
		if _, err := file.WriteAt(chunk, int64(there)); err != nil {
			return nil, cannot(what, err)
		}
		there = end
	}
	if there < r.size {
		return received(there, false), nil
	}
	if err := file.Sync(); err != nil {
		return nil, cannot(what, err)
	}
	whole, err := isWhole(io.NewSectionReader(file, 0, int64(there)), r.digest, nil)
	if err != nil {
		return nil, cannot(what, err)
	}
	if !whole {
		if err := os.Remove(part); err != nil {
			return nil, cannot(what, err)
		}
		return refuse("/digest", "the blob does not have the digest it was announced with")
	}
	err = os.Rename(part, filepath.Join(dir, r.digest.Hex()))
	if err == nil {
		err = syncDirectory(dir)
	}
	if err != nil {
		return nil, cannot(what, err)
	}
	return received(there, true), nil
}

// getBlob gives out one chunk. With the first one the whole blob is checked, under
// the digest or the keyed digest that names it: a damaged one is not sent at all.
func getBlob(dir string, r *blobGet, key *digestKey) (obj, *Error) {
	const what = "the blob cannot be read"
	file, err := os.Open(filepath.Join(dir, r.digest.Hex()))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, missingBlob(r.digest)
	}
	if err != nil {
		return nil, cannot(what, err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, cannot(what, err)
	}
	if r.offset == 0 {
		whole, err := isWhole(file, r.digest, key)
		if err != nil {
			return nil, cannot(what, err)
		}
		if !whole {
			return nil, damagedBlob(r.digest)
		}
	}
	size := uint64(info.Size())
	var chunk []byte
	if r.offset < size {
		length := r.length
		if length > chunkMaxBytes {
			length = chunkMaxBytes
		}
		chunk, err = io.ReadAll(io.NewSectionReader(file, int64(r.offset), int64(length)))
		if err != nil {
			return nil, cannot(what, err)
		}
	}
	return obj{{"size", size}, {"chunk", base64.StdEncoding.EncodeToString(chunk)}}, nil
}
