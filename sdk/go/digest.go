package rectify

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Contexts of key derivation. They are part of the formats and never change.
const (
	contextFingerprint = "rectify 2026 v1 state fingerprint"
	contextParameters  = "rectify 2026 v1 ledger parameters"
)

const digestPrefix = "blake3:"

// Digest is a BLAKE3 digest, written `blake3:` and 64 lower-case hexadecimal digits.
type Digest [32]byte

// DigestOf is the digest of bytes; equal to what b3sum prints.
func DigestOf(content []byte) Digest {
	h := newBlake3(blake3IV, 0)
	h.write(content)
	return h.sum()
}

// ParseDigest reads the one spelling that a digest has.
func ParseDigest(text string) (Digest, error) {
	var digest Digest
	digits := strings.TrimPrefix(text, digestPrefix)
	if len(digits) != 64 || len(digits) == len(text) || strings.ToLower(digits) != digits {
		return digest, digestError(text)
	}
	if _, err := hex.Decode(digest[:], []byte(digits)); err != nil {
		return digest, digestError(text)
	}
	return digest, nil
}

func digestError(text string) error {
	return fmt.Errorf("expected `blake3:` and 64 lower-case hexadecimal digits, got `%s`", short(text))
}

// Hex is the digest as outside tools write it, without the prefix.
func (d Digest) Hex() string { return hex.EncodeToString(d[:]) }

// String is the digest with its prefix.
func (d Digest) String() string { return digestPrefix + d.Hex() }

// derive is the digest of a value in memory. Each part is preceded by its length,
// so that no two lists of parts collide.
func derive(context string, parts ...[]byte) Digest {
	h := newBlake3Derive(context)
	for _, part := range parts {
		var length [8]byte
		binary.LittleEndian.PutUint64(length[:], uint64(len(part)))
		h.write(length[:])
		h.write(part)
	}
	return h.sum()
}

// digestKey is the key of a target's digests of what others may not read.
type digestKey [32]byte

// String hides the key from accidental prints.
func (*digestKey) String() string { return "DigestKey(…)" }

// GoString hides the key from accidental prints.
func (*digestKey) GoString() string { return "DigestKey(…)" }

func (k *digestKey) digest(content []byte) Digest {
	h := newBlake3Keyed((*[32]byte)(k))
	h.write(content)
	return h.sum()
}

// contentHasher makes the plain digest of a content and, with a key, the keyed one.
type contentHasher struct{ plain, keyed *blake3Hasher }

func newContentHasher(key *digestKey) contentHasher {
	h := contentHasher{plain: newBlake3(blake3IV, 0)}
	if key != nil {
		h.keyed = newBlake3Keyed((*[32]byte)(key))
	}
	return h
}

func (h contentHasher) Write(p []byte) (int, error) {
	h.plain.write(p)
	if h.keyed != nil {
		h.keyed.write(p)
	}
	return len(p), nil
}

// matches says whether all bytes so far have this digest, plain or keyed.
func (h contentHasher) matches(digest Digest) bool {
	return h.plain.sum() == digest || (h.keyed != nil && h.keyed.sum() == digest)
}

var _ io.Writer = contentHasher{}

// Fingerprint is the fingerprint of a state as JSON has it, `nil` where the thing
// does not exist, without the members that volatile names by JSON Pointers.
// Providers need it in tests only: [Step.Write] compares.
func Fingerprint(typeName string, version int, state any, volatile ...string) (Digest, error) {
	tree, err := toTree(state)
	if err != nil {
		return Digest{}, err
	}
	return fingerprint(typeName, version, tree, volatile)
}

func fingerprint(typeName string, version int, state any, volatile []string) (Digest, error) {
	content, err := compact(without(state, volatile))
	if err != nil {
		return Digest{}, err
	}
	return derive(contextFingerprint, []byte(typeName), []byte(strconv.Itoa(version)), content), nil
}

// short cuts a text that somebody else wrote, for a message.
func short(text string) string {
	runes := []rune(text)
	if len(runes) > 80 {
		runes = runes[:80]
	}
	return string(runes)
}
