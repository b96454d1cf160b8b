package rectify

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// vectors reads a list of checks that every implementation shares.
func vectors[T any](t *testing.T, name string) []T {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("..", "..", "conformance", "vectors", name))
	if err != nil {
		t.Fatal(err)
	}
	var list []T
	if err := json.Unmarshal(content, &list); err != nil {
		t.Fatal(err)
	}
	if len(list) == 0 {
		t.Fatalf("%s is empty", name)
	}
	return list
}

func TestCanonicalJSON(t *testing.T) {
	for _, vector := range vectors[struct{ Name, Input, Compact, File string }](t, "canonical-json/accepted.json") {
		value, err := parseStrict([]byte(vector.Input))
		if err != nil {
			t.Errorf("%s: %v", vector.Name, err)
			continue
		}
		small, err := compact(value)
		if err != nil || string(small) != vector.Compact {
			t.Errorf("%s: %s, %v", vector.Name, small, err)
		}
		file, err := fileBytes(value)
		if err != nil || string(file) != vector.File {
			t.Errorf("%s: %s, %v", vector.Name, file, err)
		}
	}
	type rejected struct {
		Name     string
		Input    *string
		InputHex string `json:"input_hex"`
	}
	for _, vector := range vectors[rejected](t, "canonical-json/rejected.json") {
		input, err := hex.DecodeString(vector.InputHex)
		if err != nil {
			t.Fatal(err)
		}
		if vector.Input != nil {
			input = []byte(*vector.Input)
		}
		if value, err := parseStrict(input); err == nil {
			t.Errorf("%s is read as %v", vector.Name, value)
		}
	}
	type otherForm struct {
		Name, File string
		Offset     int
	}
	for _, vector := range vectors[otherForm](t, "canonical-json/other-form.json") {
		value, err := parseStrict([]byte(vector.File))
		if err != nil {
			t.Errorf("%s: %v", vector.Name, err)
			continue
		}
		file, err := fileBytes(value)
		same := 0
		for same < len(file) && same < len(vector.File) && file[same] == vector.File[same] {
			same++
		}
		if err != nil || same != vector.Offset {
			t.Errorf("%s: differs at %d, not at %d: %v", vector.Name, same, vector.Offset, err)
		}
	}
}

func TestDigests(t *testing.T) {
	type file struct {
		Name, Text, Hex, Blake3 string
		Pattern                 int
	}
	for _, vector := range vectors[file](t, "digests/files.json") {
		content := []byte(vector.Text)
		if vector.Hex != "" {
			content, _ = hex.DecodeString(vector.Hex)
		}
		for i := 0; i < vector.Pattern; i++ {
			content = append(content, byte(i%251))
		}
		if got := DigestOf(content).String(); got != vector.Blake3 {
			t.Errorf("%s: %s", vector.Name, got)
		}
		// Byte by byte, too, and in pieces that fit no block.
		for _, size := range []int{1, 63, 65, 1000} {
			h := newBlake3(blake3IV, 0)
			for rest := content; len(rest) > 0; {
				n := size
				if n > len(rest) {
					n = len(rest)
				}
				h.write(rest[:n])
				rest = rest[n:]
			}
			if got := h.sum().String(); got != vector.Blake3 {
				t.Errorf("%s in pieces of %d: %s", vector.Name, size, got)
			}
		}
	}
	type derived struct {
		Context, Digest string
		Parts           []string
	}
	for _, vector := range vectors[derived](t, "digests/derived.json") {
		parts := make([][]byte, len(vector.Parts))
		for i, part := range vector.Parts {
			parts[i] = []byte(part)
		}
		if got := derive(vector.Context, parts...).String(); got != vector.Digest {
			t.Errorf("%s: %s", vector.Context, got)
		}
	}
}

// The published test vectors of BLAKE3, the first 32 bytes of each output.
func TestBlake3(t *testing.T) {
	var key digestKey
	copy(key[:], "whats the Elvish word for friend")
	for _, vector := range []struct {
		length                int
		plain, keyed, derived string
	}{
		{0, "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
			"92b2b75604ed3c761f9d6f62392c8a9227ad0ea3f09573e783f1498a4ed60d26",
			"2cc39783c223154fea8dfb7c1b1660f2ac2dcbd1c1de8277b0b0dd39b7e50d7d"},
		{1, "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213",
			"6d7878dfff2f485635d39013278ae14f1454b8c0a3a2d34bc1ab38228a80c95b",
			"b3e2e340a117a499c6cf2398a19ee0d29cca2bb7404c73063382693bf66cb06c"},
		{1024, "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7",
			"75c46f6f3d9eb4f55ecaaee480db732e6c2105546f1e675003687c31719c7ba4",
			"7356cd7720d5b66b6d0697eb3177d9f8d73a4a5c5e968896eb6a689684302706"},
		{1025, "d00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444",
			"357dc55de0c7e382c900fd6e320acc04146be01db6a8ce7210b7189bd664ea69",
			"effaa245f065fbf82ac186839a249707c3bddf6d3fdda22d1b95a3c970379bcb"},
		{3072, "b98cb0ff3623be03326b373de6b9095218513e64f1ee2edd2525c7ad1e5cffd2",
			"044a0e7b172a312dc02a4c9a818c036ffa2776368d7f528268d2e6b5df191770",
			"050df97f8c2ead654d9bb3ab8c9178edcd902a32f8495949feadcc1e0480c46b"},
		{31744, "62b6960e1a44bcc1eb1a611a8d6235b6b4b78f32e7abc4fb4c6cdcce94895c47",
			"efa53b389ab67c593dba624d898d0f7353ab99e4ac9d42302ee64cbf9939a419",
			"39772aef80e0ebe60596361e45b061e8f417429d529171b6764468c22928e28e"},
	} {
		input := make([]byte, vector.length)
		for i := range input {
			input[i] = byte(i % 251)
		}
		if got := DigestOf(input).Hex(); got != vector.plain {
			t.Errorf("plain %d: %s", vector.length, got)
		}
		if got := key.digest(input).Hex(); got != vector.keyed {
			t.Errorf("keyed %d: %s", vector.length, got)
		}
		h := newBlake3Derive("BLAKE3 2019-12-27 16:29:52 test vectors context")
		h.write(input)
		if got := h.sum().Hex(); got != vector.derived {
			t.Errorf("derived %d: %s", vector.length, got)
		}
	}
}

func TestFingerprints(t *testing.T) {
	type vector struct {
		Name, Type, Fingerprint string
		Version                 int
		State                   json.RawMessage
		Volatile                []string
	}
	for _, vector := range vectors[vector](t, "fingerprints/fingerprints.json") {
		state, err := parseStrict(vector.State)
		if err != nil {
			t.Fatal(err)
		}
		got, err := fingerprint(vector.Type, vector.Version, state, vector.Volatile)
		if err != nil || got.String() != vector.Fingerprint {
			t.Errorf("%s: %s, %v", vector.Name, got, err)
		}
	}
}
