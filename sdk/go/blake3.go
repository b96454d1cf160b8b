package rectify

import (
	"encoding/binary"
	"math/bits"
)

// BLAKE3 with 32 bytes of output: plain, keyed, and for key derivation. No
// package of the standard library has it, and the protocol's digests are all of
// this kind.

const (
	blake3ChunkLen = 1024
	blake3BlockLen = 64

	flagChunkStart        = 1 << 0
	flagChunkEnd          = 1 << 1
	flagParent            = 1 << 2
	flagRoot              = 1 << 3
	flagKeyedHash         = 1 << 4
	flagDeriveKeyContext  = 1 << 5
	flagDeriveKeyMaterial = 1 << 6
)

var blake3IV = [8]uint32{
	0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19,
}

var blake3Permutation = [16]int{2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8}

func blake3G(a, b, c, d, x, y uint32) (uint32, uint32, uint32, uint32) {
	a += b + x
	d = bits.RotateLeft32(d^a, -16)
	c += d
	b = bits.RotateLeft32(b^c, -12)
	a += b + y
	d = bits.RotateLeft32(d^a, -8)
	c += d
	b = bits.RotateLeft32(b^c, -7)
	return a, b, c, d
}

// blake3Compress returns the first half of the output, which is all that is needed.
func blake3Compress(cv *[8]uint32, block *[blake3BlockLen]byte, counter uint64, length, flags uint32) [8]uint32 {
	var m [16]uint32
	for i := range m {
		m[i] = binary.LittleEndian.Uint32(block[4*i:])
	}
	s0, s1, s2, s3 := cv[0], cv[1], cv[2], cv[3]
	s4, s5, s6, s7 := cv[4], cv[5], cv[6], cv[7]
	s8, s9, s10, s11 := blake3IV[0], blake3IV[1], blake3IV[2], blake3IV[3]
	s12, s13, s14, s15 := uint32(counter), uint32(counter>>32), length, flags
	for round := 0; ; round++ {
		s0, s4, s8, s12 = blake3G(s0, s4, s8, s12, m[0], m[1])
		s1, s5, s9, s13 = blake3G(s1, s5, s9, s13, m[2], m[3])
		s2, s6, s10, s14 = blake3G(s2, s6, s10, s14, m[4], m[5])
		s3, s7, s11, s15 = blake3G(s3, s7, s11, s15, m[6], m[7])
		s0, s5, s10, s15 = blake3G(s0, s5, s10, s15, m[8], m[9])
		s1, s6, s11, s12 = blake3G(s1, s6, s11, s12, m[10], m[11])
		s2, s7, s8, s13 = blake3G(s2, s7, s8, s13, m[12], m[13])
		s3, s4, s9, s14 = blake3G(s3, s4, s9, s14, m[14], m[15])
		if round == 6 {
			break
		}
		var permuted [16]uint32
		for i, from := range blake3Permutation {
			permuted[i] = m[from]
		}
		m = permuted
	}
	return [8]uint32{s0 ^ s8, s1 ^ s9, s2 ^ s10, s3 ^ s11, s4 ^ s12, s5 ^ s13, s6 ^ s14, s7 ^ s15}
}

// blake3Hasher takes bytes piece by piece.
type blake3Hasher struct {
	key   [8]uint32
	flags uint32
	// The chunk under way.
	cv     [8]uint32
	block  [blake3BlockLen]byte
	filled int
	blocks int
	chunk  uint64
	// Chaining values of whole subtrees to the left, largest first.
	stack [][8]uint32
}

func newBlake3(key [8]uint32, flags uint32) *blake3Hasher {
	return &blake3Hasher{key: key, cv: key, flags: flags}
}

func newBlake3Keyed(key *[32]byte) *blake3Hasher {
	var words [8]uint32
	for i := range words {
		words[i] = binary.LittleEndian.Uint32(key[4*i:])
	}
	return newBlake3(words, flagKeyedHash)
}

func newBlake3Derive(context string) *blake3Hasher {
	inner := newBlake3(blake3IV, flagDeriveKeyContext)
	inner.write([]byte(context))
	key := inner.sum()
	h := newBlake3Keyed((*[32]byte)(&key))
	h.flags = flagDeriveKeyMaterial
	return h
}

func (h *blake3Hasher) startFlag() uint32 {
	if h.blocks == 0 {
		return flagChunkStart
	}
	return 0
}

func (h *blake3Hasher) write(p []byte) {
	for len(p) > 0 {
		if h.filled == blake3BlockLen {
			// More follows, so this block is not the last of its chunk, or not of the last chunk.
			if h.blocks == blake3ChunkLen/blake3BlockLen-1 {
				h.endChunk()
			} else {
				h.cv = blake3Compress(&h.cv, &h.block, h.chunk, blake3BlockLen, h.flags|h.startFlag())
				h.blocks++
			}
			h.filled = 0
		}
		n := copy(h.block[h.filled:], p)
		h.filled += n
		p = p[n:]
	}
}

func (h *blake3Hasher) endChunk() {
	cv := blake3Compress(&h.cv, &h.block, h.chunk, uint32(h.filled), h.flags|h.startFlag()|flagChunkEnd)
	h.chunk++
	// A whole number of chunks: as many subtrees are complete as it has zero bits at its end.
	for n := h.chunk; n&1 == 0; n >>= 1 {
		last := len(h.stack) - 1
		cv = h.parent(h.stack[last], cv, 0)
		h.stack = h.stack[:last]
	}
	h.stack = append(h.stack, cv)
	h.cv, h.blocks = h.key, 0
}

func (h *blake3Hasher) parent(left, right [8]uint32, extra uint32) [8]uint32 {
	var block [blake3BlockLen]byte
	for i := range left {
		binary.LittleEndian.PutUint32(block[4*i:], left[i])
		binary.LittleEndian.PutUint32(block[32+4*i:], right[i])
	}
	return blake3Compress(&h.key, &block, 0, blake3BlockLen, h.flags|flagParent|extra)
}

// sum may be called at any time; more may be written afterwards.
func (h *blake3Hasher) sum() Digest {
	block := h.block
	for i := h.filled; i < blake3BlockLen; i++ {
		block[i] = 0
	}
	flags := h.flags | h.startFlag() | flagChunkEnd
	root := func(depth int) uint32 {
		if depth == 0 {
			return flagRoot
		}
		return 0
	}
	depth := len(h.stack)
	cv := blake3Compress(&h.cv, &block, h.chunk, uint32(h.filled), flags|root(depth))
	for depth > 0 {
		depth--
		cv = h.parent(h.stack[depth], cv, root(depth))
	}
	var out Digest
	for i, word := range cv {
		binary.LittleEndian.PutUint32(out[4*i:], word)
	}
	return out
}
