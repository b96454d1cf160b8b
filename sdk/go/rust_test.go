package rectify_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	rectify "rectify/provider"
	"rectify/provider/providertest"
)

// Beside a provider of the Rust SDK: the same bytes for the same question, and one
// ledger, fence and blob directory for both. RECTIFY_PROVIDER_COMMAND names its
// executable; without it the one that `cargo build` makes is taken.
func pair(t *testing.T) map[string]func(*providertest.Home) *providertest.Session {
	t.Helper()
	rust := os.Getenv("RECTIFY_PROVIDER_COMMAND")
	if rust == "" {
		rust = "../../target/debug/rectify-provider-command"
		if _, err := os.Stat(rust); err != nil {
			t.Skip("the provider `command` is not built")
		}
	}
	printed, err := exec.Command(rust, "manifest").Output()
	if err != nil {
		t.Fatal(err)
	}
	manifest := filepath.Join(t.TempDir(), "manifest.json")
	os.WriteFile(manifest, printed, 0o600)
	variable := "RECTIFY_TEST_TWIN=" + manifest
	for _, word := range []string{"manifest", "version"} {
		ours := exec.Command(program, word)
		ours.Env = append(os.Environ(), variable)
		got, _ := ours.Output()
		expected, _ := exec.Command(rust, word).Output()
		if !bytes.Equal(got, expected) {
			t.Fatalf("%s\n%s", got, expected)
		}
	}
	return map[string]func(*providertest.Home) *providertest.Session{
		"rust": func(*providertest.Home) *providertest.Session { return providertest.Start(t, rust) },
		"go":   func(*providertest.Home) *providertest.Session { return providertest.Start(t, program, variable) },
	}
}

func command(name string, desired object) object {
	filled := providertest.With(object{"environment": object{}, "exit_codes": []any{0}, "timeout_s": 300}, desired)
	return providertest.Bare(name, "command.run", "run", filled)
}

func greeted(h *providertest.Home, s *providertest.Session) *providertest.Session {
	s.Must("initialize", h.Greeting("apply"))
	s.Must("configure", object{"root": h.Root})
	return s
}

func TestTheSameLinesHaveTheSameAnswersAsInRust(t *testing.T) {
	both := pair(t)
	h := providertest.NewHome(t)
	op := command("a", object{"argv": []any{"/bin/sh", "-c", `printf 'a\002\303\251<&>'; echo b >&2`}})
	item := object{"type": "command.run", "desired": op["desired"]}
	batch := func(items ...any) object { return object{"items": append([]any{}, items...)} }
	digest := rectify.DigestOf([]byte("data")).String()
	blob := func(offset int, chunk string) object {
		return object{"digest": digest, "offset": offset, "size": 4, "chunk": chunk}
	}
	greeting := h.Greeting("apply")
	greeting["protocol"], greeting["frame_max_bytes"] = object{"min": "1.0", "max": "1.3"}, 65536
	missing := rectify.DigestOf([]byte("none")).String()
	asked := []struct {
		method string
		params any
	}{
		{"resource.read", batch()}, {"ping", object{}}, {"initialize", greeting}, {"initialize", greeting},
		{"schema.get", object{}}, {"resource.plan", batch()}, {"op.status", object{"op_id": op["op_id"]}},
		{"configure", object{"root": h.Root, "digest_key": keyHex}}, {"configure", object{}}, {"no.such", object{}},
		{"resource.validate", batch(item)}, {"resource.normalize", batch(item)}, {"resource.read", batch(item)},
		{"resource.validate", batch(providertest.With(item, object{"type": "no.type"}), item)},
		{"resource.read", batch(providertest.With(item, object{"type": "no.type", "capture": true}))},
		{"blob.put", blob(0, "ZGF0")}, {"blob.put", blob(3, "YQ==")}, {"blob.put", blob(0, "?")},
		{"blob.get", object{"digest": digest, "offset": 1, "length": 2}},
		{"blob.get", object{"digest": missing, "offset": 0, "length": 2}},
		{"resource.apply", op}, {"resource.apply", op}, {"op.status", object{"op_id": op["op_id"]}},
		{"op.status", object{"op_id": "x"}}, {"op.status", object{"op_id": strings.Repeat("0", 64)}},
		{"resource.apply", providertest.With(op, object{"desired": command("a", object{"argv": []any{"true"}})["desired"]})},
		{"resource.apply", providertest.With(op, object{"op_id": "x"})},
		{"resource.apply", providertest.With(op, object{"fence": 0})},
		{"resource.apply", providertest.With(op, object{"op_id": strings.Repeat("1", 64), "expect": digest})},
		{"shutdown", object{}}, {"resource.read", batch()},
	}
	raw := []string{
		"[]", `{"jsonrpc":"1.0","id":1,"method":"ping"}`, `{"jsonrpc":"2.0","id":-1,"method":"ping"}`,
		`{"jsonrpc":"2.0","id":1}`, strings.Repeat("a", 65537),
	}
	heard := map[string][]string{}
	for name, start := range both {
		for _, dir := range []string{h.State, h.Blobs} {
			entries, _ := os.ReadDir(dir)
			for _, entry := range entries {
				os.Remove(filepath.Join(dir, entry.Name()))
			}
		}
		s := start(h)
		line := func() {
			text := string(s.Line())
			for strings.Contains(text, `"method":"$/`) {
				text = string(s.Line())
			}
			heard[name] = append(heard[name], text)
		}
		for _, question := range asked {
			s.Send(question.method, question.params)
			line()
		}
		for _, text := range raw {
			s.Raw([]byte(text + "\n"))
			line()
		}
		s.Close()
		want(t, name, s.Wait(), 0)
	}
	for i, rust := range heard["rust"] {
		if ours := heard["go"][i]; ours != rust {
			what := "a raw line"
			if i < len(asked) {
				content, _ := json.Marshal(asked[i])
				what = asked[i].method + string(content)
			}
			t.Errorf("%s\n  rust: %s\n  go:   %s", what, rust, ours)
		}
	}
}

func TestWhatOneDidTheOtherKnows(t *testing.T) {
	both := pair(t)
	for _, names := range [][2]string{{"rust", "go"}, {"go", "rust"}} {
		h := providertest.NewHome(t)
		first, second := greeted(h, both[names[0]](h)), greeted(h, both[names[1]](h))
		op := command("a", object{"script": "echo ran >> " + h.Path("/out")})
		applied, failed := first.Apply(op)
		want(t, "failed", failed, object(nil))
		want(t, "status", second.Status(op["op_id"].(string)), object{"done": object{"ok": applied}})
		again, _ := second.Apply(op)
		want(t, "again", again, applied)
		other := providertest.With(op, object{"desired": command("a", object{"script": "true"})["desired"]})
		_, failed = second.Apply(other)
		want(t, "other", codes(failed), []any{"OP_MISMATCH", "no"})
		// A fence of one holds for the other.
		_, failed = first.Apply(providertest.With(command("b", object{"argv": []any{"true"}}), object{"fence": 9}))
		want(t, "9", failed, object(nil))
		_, failed = second.Apply(providertest.With(command("c", object{"argv": []any{"true"}}), object{"fence": 8}))
		want(t, "8", codes(failed), []any{"CONFLICT", "no"})
		// So do its blobs.
		content := []byte("before")
		digest := rectify.DigestOf(content).String()
		first.Must("blob.put", object{"digest": digest, "offset": 0, "size": 6, "chunk": base64.StdEncoding.EncodeToString(content)})
		got := second.Must("blob.get", object{"digest": digest, "offset": 0, "length": 6})
		want(t, "blob", got, object{"ok": object{"size": 6.0, "chunk": base64.StdEncoding.EncodeToString(content)}})
		want(t, "runs", runs(h), 1)
	}
}

func TestWhatOneBrokeOffTheOtherDoesNotDoAgain(t *testing.T) {
	both := pair(t)
	for _, names := range [][2]string{{"rust", "go"}, {"go", "rust"}} {
		h := providertest.NewHome(t)
		victim, other := greeted(h, both[names[0]](h)), greeted(h, both[names[1]](h))
		op := command("a", object{"script": "echo once >> " + h.Path("/out") + "; exec sleep 5"})
		victim.Send("resource.apply", op)
		for runs(h) == 0 {
		}
		_, failed := other.Apply(op)
		want(t, "meanwhile", codes(failed), []any{"BUSY", "no"})
		victim.Kill()
		want(t, "status", other.Status(op["op_id"].(string)), "started")
		_, failed = other.Apply(op)
		want(t, "then", codes(failed), []any{"UNKNOWN_OUTCOME", "maybe"})
		want(t, "runs", runs(h), 1)
	}
}
