package rectify_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	rectify "rectify/provider"
	"rectify/provider/providertest"
)

type object = providertest.Object

// The provider that does what its properties ask for.
var program string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "rectify-go-sdk-")
	if err != nil {
		panic(err)
	}
	program = filepath.Join(dir, "provider")
	build := exec.Command("go", "build", "-o", program, "./internal/testprovider")
	if out, err := build.CombinedOutput(); err != nil {
		panic(fmt.Sprintf("%v\n%s", err, out))
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

func note(path string, more object) object {
	return providertest.With(object{"path": path}, more)
}

func readItem(path string) object {
	return object{"type": "test.note", "desired": object{"path": path}}
}

func want(t *testing.T, what string, got, expected any) {
	t.Helper()
	if !reflect.DeepEqual(got, expected) {
		t.Fatalf("%s: got %v, expected %v", what, got, expected)
	}
}

func TestASessionBeginsWorksAndEndsWithZero(t *testing.T) {
	h := providertest.NewHome(t)
	s := h.Session(program, "plan")
	os.WriteFile(h.Path("a"), []byte(`{"text":"x"}`), 0o600)
	want(t, "state", s.Read("test.note", object{"path": "/a"}), object{"path": "/a", "text": "x", "size": 12.0})
	s.Must("shutdown", object{})
	_, code := s.Call("resource.read", object{"items": []any{}})
	want(t, "after shutdown", code, -32600)
	s.Close()
	want(t, "exit code", s.Wait(), 0)
}

func TestAStreamThatEndsWithoutShutdownIsNoSuccess(t *testing.T) {
	s := providertest.NewHome(t).Session(program, "plan")
	s.Close()
	want(t, "exit code", s.Wait(), 1)
}

func TestTheFirstByteIsANewline(t *testing.T) {
	command := exec.Command(program, "serve", "--stdio")
	command.Env = append(os.Environ(), "RECTIFY_PROVIDER=1")
	command.Stdin = strings.NewReader("")
	out, _ := command.Output()
	want(t, "output", string(out), "\n")
}

func TestALineWithoutItsEndIsNoMessage(t *testing.T) {
	h := providertest.NewHome(t)
	s := h.Session(program, "apply")
	op, _ := json.Marshal(slow(t, "a", "tell"))
	s.Raw([]byte(`{"jsonrpc":"2.0","id":9,"method":"resource.apply","params":` + string(op) + `}`))
	s.Close()
	want(t, "line", s.Line(), []byte(nil))
	want(t, "exit code", s.Wait(), 1)
	if _, err := os.Stat(h.Path("/a")); err == nil {
		t.Fatal("half a message was obeyed")
	}
}

func TestTheManifestIsTheSameEverywhere(t *testing.T) {
	printed, err := exec.Command(program, "manifest").Output()
	if err != nil {
		t.Fatal(err)
	}
	again := exec.Command(program, "manifest")
	again.Env = []string{"LANG=tr_TR"}
	other, _ := again.Output()
	want(t, "manifest", string(other), string(printed))
	h := providertest.NewHome(t)
	s := providertest.Start(t, program)
	greeting := s.Must("initialize", h.Greeting("read")).(object)
	want(t, "digest", greeting["manifest"], rectify.DigestOf(printed).String())
	var manifest any
	json.Unmarshal(printed, &manifest)
	want(t, "schema.get", s.Must("schema.get", object{}), manifest)
	version, _ := exec.Command(program, "version").Output()
	want(t, "version", string(version), "test 0.1.0\n")
}

func TestACuriousPersonGetsHelp(t *testing.T) {
	for _, args := range [][]string{{"serve", "--stdio"}, {}, {"--help"}} {
		command := exec.Command(program, args...)
		command.Env = []string{}
		var out, errors bytes.Buffer
		command.Stdout, command.Stderr = &out, &errors
		command.Run()
		want(t, "exit code", command.ProcessState.ExitCode(), 64)
		want(t, "output", out.String(), "")
		if !strings.Contains(errors.String(), "Rectify provider `test`") || !strings.Contains(errors.String(), "test.note") {
			t.Fatal(errors.String())
		}
	}
	// Help that starts what it explains would be no help.
	if out, err := exec.Command(program, "--selftest").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func TestVersions(t *testing.T) {
	h := providertest.NewHome(t)
	s := providertest.Start(t, program)
	greeting := h.Greeting("read")
	greeting["protocol"] = object{"min": "9.0", "max": "9.9"}
	failed := s.Answer(s.Send("initialize", greeting))["error"].(object)
	message := failed["message"].(string)
	if failed["code"] != -32011.0 || !strings.Contains(message, "9.0 to 9.9") || !strings.Contains(message, "1.0 to 1.0") {
		t.Fatal(failed)
	}
	// Nobody closed its input.
	want(t, "exit code", s.Wait(), 1)
	s = providertest.Start(t, program)
	greeting["protocol"] = object{"min": "1.0", "max": "1.9"}
	greeting["later"] = true
	answer := s.Must("initialize", greeting).(object)
	want(t, "version", answer["protocol"], "1.0")
}

func TestWorkNeedsAGreetingAndAConfiguration(t *testing.T) {
	h := providertest.NewHome(t)
	s := providertest.Start(t, program)
	code := func(what string, expected int, method string, params any) {
		t.Helper()
		_, got := s.Call(method, params)
		want(t, what, got, expected)
	}
	none := object{"items": []any{}}
	code("before initialize", -32010, "resource.read", none)
	short := h.Greeting("plan")
	short["frame_max_bytes"] = 4095
	code("short frames", -32602, "initialize", short)
	relative := h.Greeting("plan")
	relative["dirs"] = object{"work": "x", "state": "", "blobs": ""}
	code("a relative directory", -32602, "initialize", relative)
	s.Must("initialize", h.Greeting("plan"))
	code("twice", -32600, "initialize", h.Greeting("plan"))
	code("before configure", -32010, "resource.plan", none)
	code("no such root", -32602, "configure", object{"root": "/does/not/exist"})
	code("a key that is none", -32602, "configure", object{"digest_key": "canary"})
	s.Must("configure", object{"root": h.Root, "plan_commands": []any{[]any{"ls"}}})
	code("configured twice", -32600, "configure", object{})
	code("no such method", -32601, "foo.bar", object{})
	code("wrong parameters", -32602, "resource.read", object{"items": 3})
	code("no type name", -32602, "resource.read", object{"items": []any{object{"type": "Nonsense", "desired": object{}}}})
	code("a path as an id", -32600, "op.status", object{"op_id": "../../etc/passwd"})
	_, failed := s.One("resource.read", object{"type": "other.thing", "desired": object{}})
	want(t, "unknown type", failed["code"], "UNSUPPORTED")
	_, failed = s.One("resource.read", object{"type": "test.note", "desired": object{"path": "/a"}, "capture": true})
	want(t, "capture", failed["code"], "MODE")
	s.Notify("$/later", object{})
	s.Must("ping", object{"later": true})
}

func TestLinesThatAreNoRequestsAreRefusedAndSurvived(t *testing.T) {
	s := providertest.NewHome(t).Session(program, "read")
	expect := func(line string, code float64) {
		t.Helper()
		s.Raw([]byte(line + "\n"))
		frame := s.Receive()
		failed, _ := frame["error"].(object)
		if _, named := frame["id"]; named || failed["code"] != code {
			t.Fatalf("%.60s: %v", line, frame)
		}
		s.Read("test.note", object{"path": "/a"})
	}
	for _, line := range []string{
		"Last login: Tue", "\x00\xff\xfe garbage", strings.Repeat("[", 10_000) + "1" + strings.Repeat("]", 10_000),
		`{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}`,
		`{"jsonrpc":"2.0","id":7,"method":"resource.read","params":{"items":[{"type":"test.note","desired":{"a":1,"a":2}}]}}`,
		`{"jsonrpc":"2.0","id":8,"method":"ping","params":{"a":NaN}}`,
		`{"jsonrpc":"2.0","id":9,"method":"ping","params":{"a":9007199254740992}}`,
		`{"jsonrpc":"2.0","id":9,"method":"ping","params":{"a":1.0}}`,
		`{"jsonrpc":"2.0","id":9,"method":"ping","params":{"a":"\ud800"}}`,
		"{\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"p\xc3\x28\"}",
	} {
		expect(line, -32700)
	}
	for _, line := range []string{
		"[]", "17", `{"id":1,"method":"ping"}`, `{"jsonrpc":"2.0","id":"x","method":"ping"}`,
		`{"jsonrpc":"2.0","id":-1,"method":"ping"}`, `{"jsonrpc":"2.0","id":1,"result":{}}`,
		// Keys have a case.
		`{"jsonrpc":"2.0","id":1,"Method":"ping"}`,
	} {
		expect(line, -32600)
	}
}

func TestALineBeyondTheLimitIsRefusedWhileItIsRead(t *testing.T) {
	s := providertest.NewHome(t).Session(program, "read")
	chunk := bytes.Repeat([]byte{'a'}, 1024*1024)
	for i := 0; i < 9; i++ {
		s.Raw(chunk)
	}
	s.Raw([]byte("\n"))
	failed := s.Receive()["error"].(object)
	want(t, "code", failed["code"], -32012.0)
	s.Must("ping", object{})
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.Pid()))
	for _, line := range strings.Split(string(status), "\n") {
		var peak int
		if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &peak); n == 1 && peak > 6*8*1024 {
			t.Fatalf("%d KiB", peak)
		}
	}
}

func TestAnAnswerBeyondTheLimitIsReplacedByItsReason(t *testing.T) {
	h := providertest.NewHome(t)
	s := h.Session(program, "read")
	content, _ := json.Marshal(object{"text": strings.Repeat("x", 9*1024*1024)})
	os.WriteFile(h.Path("a"), content, 0o600)
	_, code := s.Call("resource.read", object{"items": []any{readItem("/a")}})
	want(t, "code", code, -32012)
	s.Must("ping", object{})
}

func TestFramesMayComeInPiecesOrManyAtOnce(t *testing.T) {
	s := providertest.NewHome(t).Session(program, "read")
	for _, b := range []byte(`{"jsonrpc":"2.0","id":500,"method":"ping"}` + "\n") {
		s.Raw([]byte{b})
	}
	s.Answer(500)
	many := []byte("\n\n")
	for id := 1000; id < 2000; id++ {
		many = append(many, fmt.Sprintf("{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":\"ping\"}\n", id)...)
	}
	s.Raw(many)
	for id := 1000; id < 2000; id++ {
		s.Answer(id)
	}
}

func TestEachRequestIsAnsweredOnce(t *testing.T) {
	h := providertest.NewHome(t)
	s := h.Session(program, "read")
	open := map[float64]bool{}
	for i := 0; i < 64; i++ {
		path := fmt.Sprintf("/%d", i)
		os.WriteFile(h.Path(path), []byte(fmt.Sprintf(`{"text":"%s"}`, strings.Repeat("x", i*i*10))), 0o600)
		open[float64(s.Send("resource.read", object{"items": []any{readItem(path), readItem("/none")}}))] = true
	}
	for len(open) > 0 {
		frame := s.Receive()
		id := frame["id"].(float64)
		if !open[id] || len(frame["result"].(object)["items"].([]any)) != 2 {
			t.Fatal(frame)
		}
		delete(open, id)
	}
}

func TestAnIDThatIsUnderWayCannotBeUsedAgain(t *testing.T) {
	s := providertest.NewHome(t).Session(program, "read")
	line := `{"jsonrpc":"2.0","id":40,"method":"resource.read","params":{"items":[{"type":"test.note","desired":{"path":"/wait-300ms"}}]}}` + "\n"
	s.Raw([]byte(line + line))
	refused := s.Receive()
	if refused["id"] != nil || refused["error"].(object)["code"] != -32600.0 {
		t.Fatal(refused)
	}
	s.Answer(40)
	s.Must("ping", object{})
}

func TestAPanicIsAnHonestErrorAndTheSessionGoesOn(t *testing.T) {
	h := providertest.NewHome(t)
	s := h.Session(program, "apply")
	_, failed := s.One("resource.read", readItem("/panic"))
	want(t, "read", []any{failed["code"], failed["mutated"]}, []any{"INTERNAL", "no"})
	desired := note("/a", object{"text": "x", "do": []any{"panic"}})
	op := providertest.Operation(t, "panic", "test.note", "create", desired, nil, object{"path": "/a", "text": "x"}, "/size")
	_, failed = s.Apply(op)
	want(t, "apply", []any{failed["code"], failed["mutated"]}, []any{"INTERNAL", "maybe"})
	if strings.Contains(failed["message"].(string), "asked to panic") {
		t.Fatal(failed)
	}
	if !strings.Contains(s.Stderr(), "asked to panic") {
		t.Fatal("standard error does not say where")
	}
	s.Must("ping", object{})
}

func TestStrayPrintsAndChildrenCannotTouchTheStream(t *testing.T) {
	s := providertest.NewHome(t).Session(program, "read")
	for i := 0; i < 3; i++ {
		id := s.Send("resource.read", object{"items": []any{readItem("/print")}})
		frame := s.Receive()
		if frame["id"] != float64(id) || frame["result"].(object)["items"] == nil {
			t.Fatal(frame)
		}
	}
	if !strings.Contains(s.Stderr(), "stray child") {
		t.Fatal(s.Stderr())
	}
}

func slow(t *testing.T, name, pause string) object {
	desired := note("/"+name, object{"text": "x", "do": []any{pause}})
	return providertest.Operation(t, name, "test.note", "create", desired, nil, object{"path": "/" + name, "text": "x"}, "/size")
}

func TestPingsAndStatusAreAnsweredWhileEveryWorkerIsBusy(t *testing.T) {
	s := providertest.NewHome(t).Session(program, "apply")
	var ids []int
	for i := 0; i < 18; i++ {
		ids = append(ids, s.Send("resource.apply", slow(t, fmt.Sprint(i), "wait-20s")))
	}
	for i := 0; i < 16; i++ {
		want(t, "progress", s.Receive()["method"], "$/progress")
	}
	begin := time.Now()
	want(t, "in flight", s.Must("ping", object{}).(object)["in_flight"], 18.0)
	s.Status(strings.Repeat("0", 64))
	if time.Since(begin) > 15*time.Second {
		t.Fatal("they waited for the work")
	}
	// Those that wait are answered as not begun, those that run tell what they did.
	// These first: a worker that becomes free would begin them.
	for i := range ids {
		s.Notify("$/cancel", object{"id": ids[len(ids)-1-i]})
	}
	s.Notify("$/cancel", object{"id": 999_999})
	stopped, neverBegun := 0, 0
	for range ids {
		frame := s.Receive()
		if failed, ok := frame["error"].(object); ok {
			want(t, "never begun", failed["code"], -32014.0)
			neverBegun++
			continue
		}
		failed := frame["result"].(object)["error"].(object)
		want(t, "stopped", []any{failed["code"], failed["mutated"]}, []any{"CANCELLED", "yes"})
		stopped++
	}
	want(t, "counts", []int{stopped, neverBegun}, []int{16, 2})
	s.Must("ping", object{})
}

func TestABatchThatIsCancelledStillAnswersForEachItem(t *testing.T) {
	s := providertest.NewHome(t).Session(program, "read")
	slow := readItem("/tell/wait-20s")
	id := s.Send("resource.read", object{"items": []any{slow, slow, slow}})
	want(t, "progress", s.Receive()["method"], "$/progress")
	s.Notify("$/cancel", object{"id": id})
	items := s.Answer(id)["result"].(object)["items"].([]any)
	want(t, "items", len(items), 3)
	for _, item := range items {
		want(t, "code", item.(object)["error"].(object)["code"], "CANCELLED")
	}
}

func TestTheEndOfInputCancelsWhatRuns(t *testing.T) {
	h := providertest.NewHome(t)
	s := h.Session(program, "apply")
	s.Send("resource.apply", slow(t, "a", "wait-60s"))
	want(t, "progress", s.Receive()["method"], "$/progress")
	begin := time.Now()
	s.Close()
	failed := s.Receive()["result"].(object)["error"].(object)
	want(t, "answer", []any{failed["code"], failed["mutated"]}, []any{"CANCELLED", "yes"})
	want(t, "exit code", s.Wait(), 1)
	if time.Since(begin) > 30*time.Second {
		t.Fatal("it waited for the work")
	}
}

func TestWorkThatDoesNotListenEndsWithTheProcess(t *testing.T) {
	t.Parallel()
	s := providertest.NewHome(t).Session(program, "apply")
	s.Send("resource.apply", slow(t, "a", "deaf-60s"))
	want(t, "progress", s.Receive()["method"], "$/progress")
	begin := time.Now()
	s.Close()
	want(t, "exit code", s.Wait(), 1)
	// Patience ends long before the work does, however busy the machine is.
	if took := time.Since(begin); took > 40*time.Second {
		t.Fatal(took)
	}
}

func TestAnEngineThatReadsNoMoreEndsTheSession(t *testing.T) {
	command := exec.Command(program, "serve", "--stdio")
	command.Env = append(os.Environ(), "RECTIFY_PROVIDER=1")
	input, _ := command.StdinPipe()
	output, _ := command.StdoutPipe()
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	output.Close()
	fmt.Fprintln(input, `{"jsonrpc":"2.0","id":1,"method":"ping"}`)
	fmt.Fprintln(input, `{"jsonrpc":"2.0","id":2,"method":"ping"}`)
	command.Wait()
	want(t, "exit code", command.ProcessState.ExitCode(), 1)
}
