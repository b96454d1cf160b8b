package rectify_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	rectify "rectify/provider"
	"rectify/provider/providertest"
)

// The conversations that belong to the specification, as far as they are with
// actions, or with nothing but the session itself.
func TestTheRecordedConversationsAreOurs(t *testing.T) {
	const recorded = "../../conformance/protocol/1.0"
	if _, err := os.Stat(recorded); err != nil {
		t.Skip("the conversations do not lie beside the SDK")
	}
	for _, name := range []string{
		"handshake", "version-range", "version-disjoint", "hostile", "blobs", "action", "cancel", "deadline", "end-of-input", "killed",
	} {
		t.Run(name, func(t *testing.T) {
			content, err := os.ReadFile(filepath.Join(recorded, name+".ndjson"))
			if err != nil {
				t.Fatal(err)
			}
			lines := strings.Split(strings.TrimSpace(string(content)), "\n")
			var head struct{ Provider string }
			if err := json.Unmarshal([]byte(lines[0]), &head); err != nil || len(lines) < 3 {
				t.Fatal(err, len(lines))
			}
			r := replay{t: t, home: providertest.NewHome(t), manifest: manifestOf(t, head.Provider), names: map[string]string{}}
			for i, line := range lines[1:] {
				r.event(i+2, line)
			}
		})
	}
}

// manifestOf is a manifest with the name that the conversation has.
func manifestOf(t *testing.T, name string) string {
	t.Helper()
	types := []any{}
	if name == "command" {
		types = append(types, object{
			"name": "command.run", "version": 1, "summary": "", "prediction": "opaque", "undo": "none",
			"read_timeout_ms": 30_000, "apply_timeout_ms": 3_600_000, "schema": object{
				"type": "object", "additionalProperties": false, "properties": object{
					"argv": object{"type": "array", "items": object{"type": "string"}}, "script": object{"type": "string"},
					"environment": object{"type": "object", "additionalProperties": object{"type": "string"}},
					"exit_codes":  object{"type": "array", "items": object{"type": "integer"}}, "timeout_s": object{"type": "integer"},
				},
			},
		})
	}
	content, err := json.Marshal(object{"name": name, "version": "0.1.0", "types": types})
	path := filepath.Join(t.TempDir(), "manifest.json")
	if err == nil {
		err = os.WriteFile(path, content, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

type replay struct {
	t        *testing.T
	home     *providertest.Home
	manifest string
	session  *providertest.Session
	// Fingerprints that earlier lines bound.
	names map[string]string
}

var placeholder = regexp.MustCompile(`\$\{(\w+)\}`)

func (r *replay) event(number int, line string) {
	r.t.Helper()
	var event struct {
		Start, Close, Kill bool
		Engine, Provider   *string
		Until              *struct{ File string }
		Exit               *int
		Varies             []string
		Fingerprints       map[string]struct {
			Type  string
			State *string
		}
	}
	if err := json.Unmarshal([]byte(line), &event); err != nil {
		r.t.Fatalf("line %d: %v", number, err)
	}
	switch {
	case event.Start:
		r.session = providertest.Start(r.t, program, "RECTIFY_TEST_TWIN="+r.manifest)
	case event.Engine != nil:
		r.session.Raw([]byte(r.filled(*event.Engine) + "\n"))
	case event.Provider != nil && *event.Provider != "":
		got := r.session.Line()
		for bytes.Contains(got, []byte(`"method":"$/`)) {
			got = r.session.Line()
		}
		var ours, theirs any
		if err := json.Unmarshal(got, &ours); err != nil {
			r.t.Fatalf("line %d: %q", number, got)
		}
		for name, bound := range event.Fingerprints {
			var state any
			if bound.State != nil {
				state = at(ours, *bound.State)
			}
			digest, err := rectify.Fingerprint(bound.Type, 1, state)
			if err != nil {
				r.t.Fatal(err)
			}
			r.names[name] = digest.String()
		}
		if err := json.Unmarshal([]byte(r.filled(*event.Provider)), &theirs); err != nil {
			r.t.Fatalf("line %d: %v", number, err)
		}
		for _, pointer := range append(event.Varies, forPeople...) {
			blank(ours, pointer)
			blank(theirs, pointer)
		}
		if !reflect.DeepEqual(ours, theirs) {
			r.t.Fatalf("line %d\n  expected %v\n  got      %v", number, theirs, ours)
		}
	case event.Until != nil:
		path := r.filled(event.Until.File)
		if !filepath.IsAbs(path) {
			path = r.home.Path(path)
		}
		for until := time.Now().Add(20 * time.Second); ; time.Sleep(2 * time.Millisecond) {
			if _, err := os.Stat(path); err == nil {
				break
			}
			if time.Now().After(until) {
				r.t.Fatalf("line %d: there is no %s", number, path)
			}
		}
	case event.Close:
		r.session.Close()
	case event.Kill:
		r.session.Kill()
		killMarked(r.home.Root)
	case event.Exit != nil:
		want(r.t, fmt.Sprintf("line %d: exit code", number), r.session.Wait(), *event.Exit)
	}
}

// Texts for people, which another provider words in its own way.
var forPeople = []string{"/result/items/0/ok/changed/undo_note"}

func (r *replay) filled(line string) string {
	dirs := r.home.Dirs()
	return placeholder.ReplaceAllStringFunc(line, func(word string) string {
		name := word[2 : len(word)-1]
		if dir, ok := dirs[name].(string); ok {
			return dir
		}
		switch name {
		case "root":
			return r.home.Root
		case "uid":
			return strconv.Itoa(os.Getuid())
		case "gid":
			return strconv.Itoa(os.Getgid())
		}
		if digest, ok := r.names[name]; ok {
			return digest
		}
		return word
	})
}

func at(value any, pointer string) any {
	for _, token := range strings.Split(pointer, "/")[1:] {
		switch v := value.(type) {
		case object:
			value = v[token]
		case []any:
			i, err := strconv.Atoi(token)
			if err != nil || i >= len(v) {
				return nil
			}
			value = v[i]
		default:
			return nil
		}
	}
	return value
}

// blank makes what a pointer names the same everywhere, if it is there.
func blank(value any, pointer string) {
	cut := strings.LastIndex(pointer, "/")
	if members, ok := at(value, pointer[:cut]).(object); ok {
		if _, there := members[pointer[cut+1:]]; there {
			members[pointer[cut+1:]] = "varies"
		}
	}
}

// killMarked ends what still runs of the operations in this root, as an engine does.
func killMarked(root string) {
	entries, _ := os.ReadDir("/proc")
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		environment, _ := os.ReadFile(filepath.Join("/proc", entry.Name(), "environ"))
		if bytes.Contains(environment, []byte("RECTIFY_OPERATION=")) && bytes.Contains(environment, []byte("RECTIFY_ROOT="+root+"\x00")) {
			syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}
