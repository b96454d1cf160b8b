// Package providertest is for the tests of providers: an engine's side of the
// protocol that is as small as possible. It starts the executable and speaks to it
// over pipes.
package providertest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	rectify "rectify/provider"
)

// How long an answer may take.
const patience = 30 * time.Second

// Object is an object of JSON. Numbers in what is received are float64.
type Object = map[string]any

// Build builds the provider in a directory and returns the path of its executable.
func Build(t testing.TB, dir string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "provider")
	build := exec.Command("go", "build", "-o", program, ".")
	build.Dir = dir
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("the provider in %s cannot be built: %v\n%s", dir, err, out)
	}
	return program
}

// Home holds private directories for the sessions of one test, and a directory that stands for `/`.
type Home struct {
	t testing.TB
	// Root stands for `/`.
	Root string
	// State and Blobs are kept from session to session.
	State, Blobs string
	dir          string
}

// NewHome makes one.
func NewHome(t testing.TB) *Home {
	t.Helper()
	dir := t.TempDir()
	h := &Home{
		t: t, dir: dir,
		Root: filepath.Join(dir, "root"), State: filepath.Join(dir, "state"), Blobs: filepath.Join(dir, "blobs"),
	}
	for _, path := range []string{h.Root, h.State, h.Blobs, filepath.Join(dir, "work")} {
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

// Path is a real path beneath the root.
func (h *Home) Path(name string) string { return filepath.Join(h.Root, name) }

// Dirs are the directories as a greeting has them.
func (h *Home) Dirs() Object {
	return Object{"work": filepath.Join(h.dir, "work"), "state": h.State, "blobs": h.Blobs}
}

// Greeting is the parameters of `initialize`.
func (h *Home) Greeting(mode string) Object {
	return Object{
		"protocol": Object{"min": "1.0", "max": "1.0"}, "session": "00112233445566778899aabbccddeeff",
		"mode": mode, "frame_max_bytes": 8 * 1024 * 1024, "dirs": h.Dirs(),
	}
}

// Session starts a provider, greets it, and configures it with the root and what more is given.
func (h *Home) Session(program, mode string, more ...Object) *Session {
	h.t.Helper()
	s := Start(h.t, program)
	s.Must("initialize", h.Greeting(mode))
	settings := Object{"root": h.Root}
	for _, object := range more {
		for name, value := range object {
			settings[name] = value
		}
	}
	s.Must("configure", settings)
	return s
}

// Session is an engine's side of one session.
type Session struct {
	t       testing.TB
	command *exec.Cmd
	input   io.WriteCloser
	lines   chan []byte
	next    int
	stderr  lockedBuffer
}

// Start starts a provider with `serve --stdio` and more variables. It ends with the test.
func Start(t testing.TB, program string, environment ...string) *Session {
	t.Helper()
	s := &Session{t: t, command: exec.Command(program, "serve", "--stdio"), lines: make(chan []byte, 4096)}
	s.command.Env = append(append(os.Environ(), "RECTIFY_PROVIDER=1"), environment...)
	s.command.Stderr = &s.stderr
	input, err := s.command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := s.command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.command.Start(); err != nil {
		t.Fatal(err)
	}
	s.input = input
	go func() {
		defer close(s.lines)
		reader := bufio.NewReader(output)
		for {
			line, err := reader.ReadBytes('\n')
			if err != nil {
				return
			}
			if len(line) > 1 {
				s.lines <- line[:len(line)-1]
			}
		}
	}()
	t.Cleanup(func() {
		s.command.Process.Kill()
		s.command.Wait()
	})
	return s
}

// Raw sends bytes as they are.
func (s *Session) Raw(content []byte) {
	s.t.Helper()
	if _, err := s.input.Write(content); err != nil {
		s.t.Fatal(err)
	}
}

// Send sends a request and returns its number.
func (s *Session) Send(method string, params any) int {
	s.t.Helper()
	s.next++
	s.Raw(s.frame(Object{"jsonrpc": "2.0", "id": s.next, "method": method, "params": params}))
	return s.next
}

// Notify sends a notification.
func (s *Session) Notify(method string, params any) {
	s.t.Helper()
	s.Raw(s.frame(Object{"jsonrpc": "2.0", "method": method, "params": params}))
}

func (s *Session) frame(frame Object) []byte {
	s.t.Helper()
	line, err := json.Marshal(frame)
	if err != nil {
		s.t.Fatal(err)
	}
	return append(line, '\n')
}

// Line is the next line as it was sent; nil at the end of the stream.
func (s *Session) Line() []byte {
	s.t.Helper()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case line := <-s.lines:
		return line
	case <-timer.C:
		s.t.Fatalf("no line in %s", patience)
		return nil
	}
}

// Receive is the next frame, whatever it is.
func (s *Session) Receive() Object {
	s.t.Helper()
	line := s.Line()
	if line == nil {
		s.t.Fatalf("the stream ended; standard error: %s", s.Stderr())
	}
	var frame Object
	if err := json.Unmarshal(line, &frame); err != nil {
		s.t.Fatalf("this is no protocol message: %s", line)
	}
	return frame
}

// Answer is the answer to a request, notifications passed over.
func (s *Session) Answer(id int) Object {
	s.t.Helper()
	for {
		frame := s.Receive()
		if frame["method"] != nil {
			continue
		}
		if frame["id"] != float64(id) {
			s.t.Fatalf("expected the answer to %d, got %v", id, frame)
		}
		return frame
	}
}

// Call sends a request and returns its result, or the number of its failure.
func (s *Session) Call(method string, params any) (any, int) {
	s.t.Helper()
	frame := s.Answer(s.Send(method, params))
	if failed, ok := frame["error"].(Object); ok {
		code, _ := failed["code"].(float64)
		return nil, int(code)
	}
	return frame["result"], 0
}

// Must is the result of a request that does not fail.
func (s *Session) Must(method string, params any) any {
	s.t.Helper()
	frame := s.Answer(s.Send(method, params))
	if frame["error"] != nil {
		s.t.Fatalf("%s: %v", method, frame["error"])
	}
	return frame["result"]
}

// One is the result of a batch of one item: what is `ok`, and the error if there is one.
func (s *Session) One(method string, item Object) (Object, Object) {
	s.t.Helper()
	answer, _ := s.Must(method, Object{"items": []any{item}}).(Object)
	items, _ := answer["items"].([]any)
	if len(items) != 1 {
		s.t.Fatalf("%s: got %v", method, answer)
	}
	return split(items[0])
}

func split(result any) (Object, Object) {
	members, _ := result.(Object)
	ok, _ := members["ok"].(Object)
	failed, _ := members["error"].(Object)
	return ok, failed
}

// Read is the state of one thing.
func (s *Session) Read(typeName string, desired Object) any {
	s.t.Helper()
	answer, failed := s.One("resource.read", Object{"type": typeName, "desired": desired})
	if failed != nil {
		s.t.Fatalf("read: %v", failed)
	}
	return answer["state"]
}

// Plan is the plan of one step: `unchanged` or `changed`, as it was answered.
func (s *Session) Plan(typeName string, desired Object) Object {
	s.t.Helper()
	answer, failed := s.One("resource.plan", Object{"type": typeName, "desired": desired})
	if failed != nil {
		s.t.Fatalf("plan: %v", failed)
	}
	return answer
}

// Apply carries out one operation.
func (s *Session) Apply(op Object) (Object, Object) {
	s.t.Helper()
	return split(s.Must("resource.apply", op))
}

// Converge plans a step and carries the plan out. Then the state must be the planned
// one, and a second plan must have nothing to do. It returns the plan.
func (s *Session) Converge(typeName string, desired Object) Object {
	s.t.Helper()
	plan, ok := s.Plan(typeName, desired)["changed"].(Object)
	if !ok {
		s.t.Fatalf("there is nothing to do: %v", s.Plan(typeName, desired))
	}
	s.carryOut(typeName, desired, plan["prior"], plan["planned"])
	if again := s.Plan(typeName, desired); again["unchanged"] == nil {
		s.t.Fatalf("a second plan changes something: %v", again)
	}
	return plan
}

// Undo takes back what Converge did, by the names of the thing and the state from before.
func (s *Session) Undo(typeName string, desired, plan Object) {
	s.t.Helper()
	back := Object{"$restore": Object{"state": plan["prior"]}}
	for _, name := range s.naming(typeName) {
		back[name] = desired[name]
	}
	s.carryOut(typeName, back, plan["planned"], plan["prior"])
}

func (s *Session) carryOut(typeName string, desired Object, from, to any) {
	s.t.Helper()
	action := "update"
	if from == nil {
		action = "create"
	} else if to == nil {
		action = "delete"
	}
	volatile := s.volatile(typeName)
	op := Operation(s.t, fmt.Sprint(typeName, s.next, time.Now().UnixNano()), typeName, action, desired, from, to, volatile...)
	applied, failed := s.Apply(op)
	if failed != nil {
		s.t.Fatalf("apply: %v", failed)
	}
	if got := print(s.t, typeName, applied["state"], volatile); got != op["result"] {
		s.t.Fatalf("the state is %v, not the planned one, %v", applied["state"], to)
	}
}

// descriptor is what the manifest says of a type.
func (s *Session) descriptor(typeName string) Object {
	s.t.Helper()
	manifest, _ := s.Must("schema.get", Object{}).(Object)
	types, _ := manifest["types"].([]any)
	for _, one := range types {
		if descriptor, ok := one.(Object); ok && descriptor["name"] == typeName {
			return descriptor
		}
	}
	s.t.Fatalf("the provider has no type %s", typeName)
	return nil
}

func (s *Session) volatile(typeName string) []string {
	s.t.Helper()
	var pointers []string
	list, _ := s.descriptor(typeName)["volatile"].([]any)
	for _, pointer := range list {
		pointers = append(pointers, pointer.(string))
	}
	return pointers
}

func (s *Session) naming(typeName string) []string {
	s.t.Helper()
	var names []string
	rules, _ := s.descriptor(typeName)["touches"].([]any)
	for _, rule := range rules {
		if rule := rule.(Object); rule["access"] == "write" {
			names = append(names, strings.TrimPrefix(rule["property"].(string), "/"))
		}
	}
	return names
}

// Status is what the ledger knows of an operation: a word, or an object with `done`.
func (s *Session) Status(id string) any {
	s.t.Helper()
	return s.Must("op.status", Object{"op_id": id})
}

// Close closes the provider's input.
func (s *Session) Close() { s.input.Close() }

// Kill ends the provider without any warning.
func (s *Session) Kill() {
	s.command.Process.Kill()
	s.command.Wait()
}

// Wait waits for the end of the provider and returns its exit code.
func (s *Session) Wait() int {
	for range s.lines {
		// Whatever is still on its way.
	}
	s.command.Wait()
	return s.command.ProcessState.ExitCode()
}

// Pid is the number of the provider's process.
func (s *Session) Pid() int { return s.command.Process.Pid }

// Stderr is what the provider wrote to standard error so far.
func (s *Session) Stderr() string { return s.stderr.String() }

// Operation is an operation whose id is derived from a name, from the state that is
// there (nil: none) to the one that is planned (nil: the thing is deleted).
func Operation(t testing.TB, name, typeName, action string, desired Object, prior, planned any, volatile ...string) Object {
	t.Helper()
	op := Bare(name, typeName, action, desired)
	op["expect"] = print(t, typeName, prior, volatile)
	op["result"] = print(t, typeName, planned, volatile)
	return op
}

// Bare is an operation of which it is not known what it leads to. It expects the
// empty state of an action without a guard.
func Bare(name, typeName, action string, desired Object) Object {
	expect, _ := rectify.Fingerprint(typeName, 1, Object{})
	return Object{
		"op_id": rectify.DigestOf([]byte(name)).Hex(), "type": typeName, "action": action, "desired": desired,
		"expect": expect.String(), "deadline_ms": 10_000, "fence": 1,
	}
}

func print(t testing.TB, typeName string, state any, volatile []string) string {
	t.Helper()
	digest, err := rectify.Fingerprint(typeName, 1, state, volatile...)
	if err != nil {
		t.Fatal(err)
	}
	return digest.String()
}

// With is a copy of an object with other members.
func With(object, more Object) Object {
	out := Object{}
	for _, from := range []Object{object, more} {
		for name, value := range from {
			out[name] = value
		}
	}
	return out
}

type lockedBuffer struct {
	mutex   sync.Mutex
	content []byte
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	b.content = append(b.content, p...)
	return len(p), nil
}

func (b *lockedBuffer) String() string {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return string(b.content)
}
