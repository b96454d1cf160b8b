package rectify

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

// Properties of the shape that a test asks for.
func describe[T any](t *testing.T, options ...Option) *descriptor {
	t.Helper()
	return Type[T]("test.thing", 1, none[T]{}, options...).kind().describe()
}

type none[T any] struct{}

func (none[T]) Read(*Cx, T) (*T, error)                 { return nil, nil }
func (none[T]) Apply(*Cx, *Step[T]) (Applied[T], error) { return Applied[T]{}, nil }
func schemaText(t *testing.T, d *descriptor) string {
	t.Helper()
	if d.err != nil {
		t.Fatal(d.err)
	}
	content, err := compact(d.schema)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func TestTheSchemaFollowsFromTheStruct(t *testing.T) {
	type inner struct {
		Port uint16 `json:"port"`
		Name string `json:"name,omitempty" pattern:"^[a-z]+$"`
	}
	type thing struct {
		Path    string            `json:"path" rectify:"identity,touch=path" pattern:"^/" doc:"Where."`
		Mode    string            `json:"mode" enum:"a,b" default:"a"`
		Count   int               `json:"count" min:"1" max:"5" default:"2"`
		List    []inner           `json:"list,omitempty" min:"1"`
		Map     map[string]string `json:"map,omitempty"`
		Free    any               `json:"free,omitempty"`
		Bytes   []byte            `json:"bytes,omitempty"`
		Token   Secret            `json:"token,omitempty"`
		From    *string           `json:"from" rectify:"touch=user"`
		Mtime   string            `json:"mtime" rectify:"computed"`
		private int
	}
	d := describe[thing](t)
	_ = thing{private: 1}
	got := schemaText(t, d)
	expected := `{"additionalProperties":false,"properties":{` +
		`"bytes":{"pattern":"^[A-Za-z0-9+/]*={0,2}$","type":"string"},` +
		`"count":{"default":2,"maximum":5,"minimum":1,"type":"integer"},` +
		`"free":{},` +
		`"from":{"type":"string"},` +
		`"list":{"items":{"additionalProperties":false,"properties":{"name":{"pattern":"^[a-z]+$","type":"string"},` +
		`"port":{"maximum":65535,"minimum":0,"type":"integer"}},"required":["port"],"type":"object"},"minItems":1,"type":"array"},` +
		`"map":{"additionalProperties":{"type":"string"},"type":"object"},` +
		`"mode":{"default":"a","enum":["a","b"],"type":"string"},` +
		`"path":{"description":"Where.","pattern":"^/","type":"string"},` +
		`"token":{"type":"string","x-rectify-secret":true}},"required":["path"],"type":"object"}`
	if got != expected {
		t.Fatalf("got      %s\nexpected %s", got, expected)
	}
	if fmt.Sprint(d.touches) != "[{/path path write} {/from user read}]" || fmt.Sprint(d.volatile) != "[/mtime]" {
		t.Fatal(d.touches, d.volatile)
	}
}

func TestStructsThatSayNothingClearAreRefused(t *testing.T) {
	type named struct {
		Path string `json:"path" rectify:"identity"`
	}
	for what, d := range map[string]*descriptor{
		"no tag": describe[struct{ Path string }](t),
		"embedded": describe[struct {
			named
			Other string `json:"other"`
		}](t),
		"no such word": describe[struct {
			Path string `json:"path" rectify:"identiy"`
		}](t),
		"a number as identity": describe[struct {
			Path int `json:"path" rectify:"identity"`
		}](t),
		"an optional identity": describe[struct {
			Path string `json:"path,omitempty" rectify:"identity"`
		}](t),
		"no identity": describe[struct {
			Size int `json:"size"`
		}](t),
		"a float": describe[struct {
			Path string  `json:"path" rectify:"identity"`
			Size float64 `json:"size"`
		}](t),
		"a default that is no JSON": describe[struct {
			Path string `json:"path" rectify:"identity"`
			Size int    `json:"size" default:"x"`
		}](t),
		"no struct":          describe[string](t),
		"an unknown keyword": describe[named](t, Schema(`{"type":"object","additionalProperties":false,"if":true}`)),
		"an open object":     describe[named](t, Schema(`{"type":"object"}`)),
		"a bad pattern":      describe[named](t, Schema(`{"type":"object","additionalProperties":false,"properties":{"path":{"pattern":"("}}}`)),
		"no such reference":  describe[named](t, Schema(`{"type":"object","additionalProperties":false,"$ref":"#/$defs/x"}`)),
		"no such grade":      describe[named](t, Undo("perhaps")),
		"no such class":      describe[named](t, Retry("often")),
	} {
		if d.err == nil {
			t.Errorf("%s is taken", what)
		}
	}
	if d := describe[named](t, Schema(`{"type":"object","additionalProperties":false,"properties":{"path":{"type":"string"}}}`)); d.err != nil {
		t.Error(d.err)
	}
	if _, err := newProvider("p", "1", []Kind{Type[named]("Test.thing", 1, none[named]{})}); err == nil {
		t.Error("a bad name is taken")
	}
}

func TestTheSchemaIsKeptTo(t *testing.T) {
	schema := `{"type":"object","additionalProperties":false,"required":["a"],"oneOf":[{"required":["b"]},{"required":["c"]}],
		"properties":{"a":{"$ref":"#/$defs/word"},"b":{"type":["string","integer"],"maximum":9,"maxLength":2},
		"c":{"type":"array","uniqueItems":true,"maxItems":3,"contains":{"const":1},"items":{"anyOf":[{"type":"integer"},{"type":"null"}]}},
		"d":{"type":"object","minProperties":1,"propertyNames":{"pattern":"^x"},"additionalProperties":{"enum":[1,"y"]}},
		"e":{"allOf":[{"type":"integer"},{"not":{"multipleOf":2}}],"exclusiveMinimum":0,"exclusiveMaximum":10}},
		"$defs":{"word":{"type":"string","pattern":"^[a-zé]+$","minLength":2}}}`
	value, err := parseStrict([]byte(schema))
	if err != nil {
		t.Fatal(err)
	}
	v := validator{value.(map[string]any)}
	if err := checkSchema(v.root, v.root, ""); err != nil {
		t.Fatal(err)
	}
	for text, path := range map[string]string{
		`{"a":"aé","b":"xy"}`:                "ok",
		`{"a":"ab","b":9,"e":3,"d":{"x":1}}`: "ok",
		`{"a":"ab","c":[1,null,2]}`:          "ok",
		`{"b":1}`:                            "",
		`{"a":"é","b":1}`:                    "/a",
		`{"a":"A1","b":1}`:                   "/a",
		`{"a":"ab"}`:                         "",
		`{"a":"ab","b":1,"c":[1]}`:           "",
		`{"a":"ab","b":10}`:                  "/b",
		`{"a":"ab","b":"xyz"}`:               "/b",
		`{"a":"ab","b":true}`:                "/b",
		`{"a":"ab","c":[1,1]}`:               "/c/1",
		`{"a":"ab","c":[2]}`:                 "/c",
		`{"a":"ab","c":[1,"x"]}`:             "/c/1",
		`{"a":"ab","c":[1,2,3,4]}`:           "/c",
		`{"a":"ab","b":1,"d":{}}`:            "/d",
		`{"a":"ab","b":1,"d":{"y":1}}`:       "/d/y",
		`{"a":"ab","b":1,"d":{"x/~":2}}`:     "/d/x~1~0",
		`{"a":"ab","b":1,"e":4}`:             "/e",
		`{"a":"ab","b":1,"e":0}`:             "/e",
		`{"a":"ab","b":1,"e":11}`:            "/e",
		`{"a":"ab","b":1,"f":1}`:             "/f",
	} {
		value, err := parseStrict([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		got := "ok"
		if failed := v.check(v.root, value, ""); failed != nil {
			got = failed.Path
		}
		if got != path {
			t.Errorf("%s: %q, expected %q", text, got, path)
		}
	}
}

func TestNoSpellingOfASecretSurvives(t *testing.T) {
	for _, secret := range []string{"hunter22", "a b+c/d?", "tab\tline\nnext line of the key", "é€😀 quote\" back\\slash", "<&>' secret"} {
		hides := newRedaction(map[string]string{"db": secret})
		for _, around := range [][2]string{{"", ""}, {"x", "y"}, {"ab", "c"}, {"abc", "de"}} {
			whole := around[0] + secret + around[1]
			inJSON, _ := json.Marshal(whole)
			twice, _ := json.Marshal(string(inJSON))
			var plain bytes.Buffer
			encoder := json.NewEncoder(&plain)
			encoder.SetEscapeHTML(false)
			encoder.Encode(whole)
			shownForms := []string{
				whole, plain.String(), hex.EncodeToString([]byte(whole)), strings.ToUpper(hex.EncodeToString([]byte(whole))),
				base64.StdEncoding.EncodeToString([]byte(whole)), base64.RawURLEncoding.EncodeToString([]byte(whole)),
				url.QueryEscape(whole), string(inJSON), fmt.Sprintf("%q", whole),
			}
			if !strings.ContainsAny(secret, "<>&") {
				shownForms = append(shownForms, string(twice))
			}
			for _, text := range shownForms {
				hidden := hides.text(text)
				if hidden == text && !strings.Contains(secret, "?") || strings.Contains(hidden, secret) {
					t.Errorf("%q shows %q", hidden, secret)
				}
			}
		}
	}
	if newRedaction(map[string]string{"db": "short"}) != nil {
		t.Error("a short word would be hidden everywhere")
	}
	hides := newRedaction(map[string]string{"key": "-----BEGIN THING-----\nc29tZXRoaW5nc2VjcmV0\n-----END THING-----\n"})
	if got := hides.text("-----BEGIN THING-----\n| c29tZXRoaW5nc2VjcmV0\n"); got != "-----BEGIN THING-----\n| (secret key)\n" {
		t.Error(got)
	}
	secret := NewSecret("hunter22")
	inJSON, _ := json.Marshal(secret)
	if text := fmt.Sprintf("%v %+v %#v %s %q %x", secret, secret, secret, secret, secret, secret) + string(inJSON); strings.Contains(text, "hunter22") ||
		strings.Contains(text, hex.EncodeToString([]byte("hunter22"))) {
		t.Error(text)
	}
}

func TestUsersComeFromTheFilesOfTheRoot(t *testing.T) {
	root := t.TempDir()
	os.Mkdir(filepath.Join(root, "etc"), 0o700)
	cx := &Cx{settings: &settings{root: root}}
	if _, err := cx.FindUser("deploy"); !os.IsNotExist(err) {
		t.Fatal(err)
	}
	os.WriteFile(filepath.Join(root, "etc/passwd"), []byte("root:x:0:0::/:/bin/sh\nbroken\nodd:x:abc:1::/:\ndeploy:x:4321:4322::/:/bin/sh\n"), 0o600)
	os.WriteFile(filepath.Join(root, "etc/group"), []byte("wheel:x:10:root,deploy\nadm:x:4:deploy\nother:x:8:deployer\nbad\n"), 0o600)
	user, err := cx.FindUser("deploy")
	if err != nil || fmt.Sprint(*user) != "{4321 4322 [10 4]}" {
		t.Fatal(user, err)
	}
	for _, name := range []string{"odd", "deplo"} {
		if user, err := cx.FindUser(name); user != nil || err != nil {
			t.Fatal(user, err)
		}
	}
}

func TestNoPathLeadsOutOfTheRoot(t *testing.T) {
	root, outside := t.TempDir(), t.TempDir()
	os.WriteFile(filepath.Join(outside, "a"), []byte("outside"), 0o600)
	os.Symlink(outside, filepath.Join(root, "link"))
	os.Symlink(filepath.Join(outside, "a"), filepath.Join(root, "file"))
	cx := &Cx{settings: &settings{root: root}}
	for _, name := range []string{"/link/a", "/file", "/../../../../" + outside + "/a"} {
		if file, err := cx.ReadFile(name); file != nil || err != nil {
			t.Errorf("%s: %v, %v", name, file, err)
		}
	}
	if err := cx.WriteFile("/link/b", []byte("x"), 0o600); !os.IsNotExist(err) {
		t.Error(err)
	}
	if err := cx.WriteFile("/file", []byte("x"), 0o600); err == nil {
		t.Error("a link was written over")
	}
	for name, there := range map[string]bool{"/link": true, "/link/a": false, "/none/x": false, "/file/x": false, "/": true} {
		if got, err := cx.Exists(name); got != there || err != nil {
			t.Error(name, got, err)
		}
	}
	if err := cx.WriteFile("/new", []byte("one"), 0o604); err != nil {
		t.Fatal(err)
	}
	os.Chmod(filepath.Join(root, "new"), 0o641)
	if err := cx.WriteFile("/new", []byte("two"), 0o604); err != nil {
		t.Fatal(err)
	}
	file, err := cx.ReadFile("/new")
	if err != nil || string(file.Content) != "two" || file.Mode != 0o641 || !file.Private {
		t.Error(file, err)
	}
	os.Chmod(filepath.Join(root, "new"), 0o644)
	if file, err = cx.ReadFile("/new"); err != nil || file.Private {
		t.Error(file, err)
	}
	for _, name := range []string{"/file", "/link/c", "/"} {
		if err := cx.AppendFile(name, []byte("x"), 0o600); err == nil {
			t.Error(name)
		}
	}
	if err := cx.AppendFile("/new", []byte(", three"), 0o600); err != nil {
		t.Error(err)
	}
	if file, err = cx.ReadFile("/new"); err != nil || string(file.Content) != "two, three" {
		t.Error(file, err)
	}
	if err := os.Mkdir(filepath.Join(root, "closed"), 0o700); err != nil {
		t.Error(err)
	}
	os.WriteFile(filepath.Join(root, "closed/a"), nil, 0o644)
	if file, err = cx.ReadFile("/closed/a"); err != nil || !file.Private {
		t.Error(file, err)
	}
	os.RemoveAll(filepath.Join(root, "closed"))
	entries, _ := os.ReadDir(root)
	if len(entries) != 3 {
		t.Error(entries)
	}
	if err := cx.Remove("/link"); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(outside, "a")); err != nil {
		t.Error(err)
	}
}

func TestWhatJSONWouldChangeIsRefused(t *testing.T) {
	for _, value := range []any{
		struct {
			Text string `json:"text"`
		}{"\xff"},
		map[string]any{"size": 1.5}, map[string]any{"size": int64(1) << 60}, []string{"\xc3\x28"}, map[string]string{"\xff": ""},
	} {
		if tree, err := toTree(value); err == nil {
			t.Errorf("%v became %v", value, tree)
		}
	}
	tree, err := toTree(map[string]any{"text": "<&>\u2028", "n": int64(jsonIntegerMax)})
	content, _ := compact(tree)
	if err != nil || string(content) != "{\"n\":9007199254740991,\"text\":\"<&>\u2028\"}" {
		t.Errorf("%s, %v", content, err)
	}
}

// The ledger that the SDK in Rust wrote is read as if it were our own.
func TestALedgerInRustIsOurs(t *testing.T) {
	request, err := os.ReadFile(filepath.Join("testdata", "rust-ledger", "apply.json"))
	if err != nil {
		t.Fatal(err)
	}
	params, err := parseStrict(request)
	if err != nil {
		t.Fatal(err)
	}
	op, err := readOperation(params)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, kind := range []string{"claim", "done"} {
		content, err := os.ReadFile(filepath.Join("testdata", "rust-ledger", kind+".json"))
		if err != nil {
			t.Fatal(err)
		}
		os.WriteFile(filepath.Join(dir, op.id+"."+kind), content, 0o600)
	}
	l := ledger{dir}
	never := func() outcome {
		t.Error("it ran again")
		return outcome{err: Errorf(CodeFailed, "ran")}
	}
	done, note := l.once(op, never)
	if done.err != nil || note != "" || *done.applied.output.ExitCode != 0 {
		t.Fatal(done.err, note)
	}
	// What we would write is byte for byte what Rust wrote.
	written, err := os.ReadFile(filepath.Join(dir, op.id+".done"))
	ours, failed := compactResult(done.wire())
	if err != nil || failed != nil || !bytes.Equal(written, ours) {
		t.Fatalf("%s\n%s", written, ours)
	}
	parameters, _ := parametersOf(op)
	claim, _ := os.ReadFile(filepath.Join(dir, op.id+".claim"))
	again, _ := compactResult(obj{{"format", claimFormat}, {"parameters", parameters.String()}, {"fence", op.fence}})
	if !bytes.Equal(claim, again) {
		t.Fatalf("%s\n%s", claim, again)
	}
	op.desired["argv"] = []any{"other"}
	if done, _ := l.once(op, never); done.err == nil || done.err.Code != CodeOpMismatch {
		t.Fatal(done)
	}
}

func FuzzStrictJSON(f *testing.F) {
	for _, text := range []string{
		`{"a":[1,-2,null,true,"x\ud83d\ude00é"],"b":{}}`, `{"a":1,"a":2}`, `[1e3]`, `"\ud800"`, `9007199254740992`, `-0`, "\"\xff\"",
		strings.Repeat("[", 65) + strings.Repeat("]", 65),
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		value, err := parseStrict(input)
		if err != nil {
			return
		}
		if !json.Valid(input) || !utf8.Valid(input) {
			t.Fatalf("%q is no JSON", input)
		}
		content, err := compact(value)
		if err != nil {
			t.Fatal(err)
		}
		again, err := parseStrict(content)
		if err != nil || !equal(value, again) {
			t.Fatalf("%s is read back as %v, %v", content, again, err)
		}
	})
}

func FuzzLines(f *testing.F) {
	f.Add([]byte("\n{}\n\nlong line here\nx"), 5, 3)
	f.Add([]byte("abc\ndef"), 3, 1)
	f.Fuzz(func(t *testing.T, input []byte, limit, piece int) {
		limit, piece = 1+abs(limit)%64, 1+abs(piece)%16
		reader := newLineReader(&pieces{rest: input, size: piece})
		var got []string
		for {
			line, err := reader.next(limit)
			if _, long := err.(*tooLarge); long {
				got = append(got, "too large")
				continue
			}
			if err != nil {
				break
			}
			got = append(got, string(line))
		}
		var expected []string
		lines := strings.Split(string(input), "\n")
		// What stands behind the last newline is no message.
		for _, line := range lines[:len(lines)-1] {
			switch {
			case len(line) > limit:
				expected = append(expected, "too large")
			case line != "":
				expected = append(expected, line)
			}
		}
		if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", expected) {
			t.Fatalf("got %q, expected %q", got, expected)
		}
	})
}

func abs(n int) int {
	if n < 0 {
		// One more than the least number is still negative, and its remainder is not.
		n = -(n + 1)
	}
	return n
}

// pieces gives out its bytes a few at a time.
type pieces struct {
	rest []byte
	size int
}

func (p *pieces) Read(into []byte) (int, error) {
	if len(p.rest) == 0 {
		return 0, fmt.Errorf("the end")
	}
	n := p.size
	if n > len(into) {
		n = len(into)
	}
	n = copy(into[:n], p.rest)
	p.rest = p.rest[n:]
	return n, nil
}
