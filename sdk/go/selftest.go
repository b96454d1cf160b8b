package rectify

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// The part of the conformance suite that needs no fixtures, run in this process:
// `PROVIDER --selftest`. It reads and changes nothing of the system.

// peer is the engine's side of a session in this process.
type peer struct {
	to    *io.PipeWriter
	lines chan map[string]any
	ended chan end
	next  uint64
}

func newPeer(p *provider) *peer {
	fromEngine, to := io.Pipe()
	from, toEngine := io.Pipe()
	c := &peer{to: to, lines: make(chan map[string]any, 128), ended: make(chan end, 1)}
	go func() {
		c.ended <- serveStreams(p, fromEngine, toEngine)
		toEngine.Close()
		// Nobody reads any more.
		fromEngine.CloseWithError(io.ErrClosedPipe)
	}()
	go func() {
		defer close(c.lines)
		lines := newLineReader(from)
		for {
			line, err := lines.next(2 * frameMaxBytes)
			if err != nil {
				return
			}
			value, err := parseStrict(line)
			members, ok := value.(map[string]any)
			if err != nil || !ok {
				members = map[string]any{"garbage": string(line)}
			}
			c.lines <- members
		}
	}()
	return c
}

func (c *peer) raw(content []byte) error {
	_, err := c.to.Write(content)
	return err
}

// line is the next line that is no notification.
func (c *peer) line() (map[string]any, error) {
	timer := time.NewTimer(10 * time.Second)
	defer timer.Stop()
	for {
		select {
		case line, ok := <-c.lines:
			switch {
			case !ok:
				return nil, fmt.Errorf("the stream ended")
			case line["garbage"] != nil:
				return nil, fmt.Errorf("a line is no protocol message: %v", line["garbage"])
			case line["method"] == nil:
				return line, nil
			}
		case <-timer.C:
			return nil, fmt.Errorf("no answer in 10 s")
		}
	}
}

func (c *peer) send(method string, params any) (uint64, error) {
	c.next++
	line, err := frameBytes(obj{{"jsonrpc", "2.0"}, {"id", c.next}, {"method", method}, {"params", params}})
	if err != nil {
		return c.next, err
	}
	return c.next, c.raw(line)
}

// call is the result of a request, or the number of its failure.
func (c *peer) call(method string, params any) (any, int64, error) {
	id, err := c.send(method, params)
	if err != nil {
		return nil, 0, err
	}
	line, err := c.line()
	if err != nil {
		return nil, 0, err
	}
	if line["id"] != int64(id) {
		return nil, 0, fmt.Errorf("the answer to %v, not to %d", line["id"], id)
	}
	code, _ := codeOf(line)
	return line["result"], code, nil
}

func codeOf(line map[string]any) (int64, bool) {
	failed, _ := line["error"].(map[string]any)
	code, there := failed["code"].(int64)
	return code, there
}

// expectCode sends raw bytes; the next line is a failure with this number.
func (c *peer) expectCode(content []byte, code int64) error {
	if err := c.raw(content); err != nil {
		return err
	}
	line, err := c.line()
	if err != nil {
		return err
	}
	if found, _ := codeOf(line); found != code {
		return fmt.Errorf("expected the failure %d, got %v", code, line)
	}
	return c.ping()
}

func (c *peer) ping() error {
	answer, _, err := c.call("ping", obj{})
	if _, ok := answer.(map[string]any); err == nil && !ok {
		return fmt.Errorf("a ping was not answered")
	}
	return err
}

func (c *peer) greet(p *provider, mode Mode, min, max version, dirs Directories) (any, int64, error) {
	return c.call("initialize", obj{
		{"protocol", versionRange{min, max}.wire()}, {"session", "00112233445566778899aabbccddeeff"},
		{"mode", string(mode)}, {"frame_max_bytes", frameMaxBytes},
		{"dirs", obj{{"work", dirs.Work}, {"state", dirs.State}, {"blobs", dirs.Blobs}}},
	})
}

func (c *peer) close() end {
	c.to.Close()
	for range c.lines {
		// Whatever is still on its way.
	}
	return <-c.ended
}

type selfcheck struct {
	id, what string
	run      func(p *provider, open func(Mode) (*peer, error)) error
}

var selfchecks = []selfcheck{
	{"P01", "the greeting echoes the nonce and names the manifest", func(p *provider, open func(Mode) (*peer, error)) error {
		c := newPeer(p)
		defer c.close()
		answer, _, err := c.greet(p, ModeRead, protocolVersion, protocolVersion, Directories{})
		if err != nil {
			return err
		}
		members, _ := answer.(map[string]any)
		if members["session"] != "00112233445566778899aabbccddeeff" || members["manifest"] != p.digest.String() {
			return fmt.Errorf("got %v", answer)
		}
		return nil
	}},
	{"P02", "the highest common version is picked; without one the session ends", func(p *provider, open func(Mode) (*peer, error)) error {
		c := newPeer(p)
		answer, _, err := c.greet(p, ModeRead, version{1, 0}, version{1, 9}, Directories{})
		c.close()
		members, _ := answer.(map[string]any)
		if err != nil || members["protocol"] != "1.0" {
			return fmt.Errorf("got %v, %v", answer, err)
		}
		c = newPeer(p)
		_, code, err := c.greet(p, ModeRead, version{9, 0}, version{9, 9}, Directories{})
		if how := c.close(); err != nil || code != rpcVersion || how != endVersion {
			return fmt.Errorf("got %d, %v", code, err)
		}
		return nil
	}},
	{"P03", "nothing is done before the greeting", func(p *provider, open func(Mode) (*peer, error)) error {
		c := newPeer(p)
		defer c.close()
		return wantCode(c, "resource.read", obj{{"items", []any{}}}, rpcNotInitialized)
	}},
	{"P04", "an unknown method is refused, an unknown member ignored", withSession(ModeRead, func(p *provider, c *peer) error {
		if err := wantCode(c, "foo.bar", obj{}, rpcMethodNotFound); err != nil {
			return err
		}
		answer, _, err := c.call("ping", obj{{"later", true}})
		if err != nil || answer == nil {
			return fmt.Errorf("got %v, %v", answer, err)
		}
		return nil
	})},
	{"P05", "the manifest is the same wherever it is asked for", withSession(ModeRead, func(p *provider, c *peer) error {
		answer, _, err := c.call("schema.get", obj{})
		if err != nil {
			return err
		}
		content, err := fileBytes(answer)
		if err != nil || !bytes.Equal(content, p.file) {
			return fmt.Errorf("`schema.get` differs from `manifest`: %v", err)
		}
		return nil
	})},
	{"P06", "many requests at once are answered once each", withSession(ModeRead, func(p *provider, c *peer) error {
		open := map[int64]bool{}
		for id := int64(c.next) + 1; len(open) < 64; id++ {
			open[id] = true
		}
		go func() {
			for i := 0; i < 64; i++ {
				c.send("resource.validate", obj{{"items", []any{}}})
			}
		}()
		for len(open) > 0 {
			line, err := c.line()
			if err != nil {
				return err
			}
			id, _ := line["id"].(int64)
			if !open[id] {
				return fmt.Errorf("an answer nobody asked for: %v", line)
			}
			delete(open, id)
		}
		return nil
	})},
	{"P08", "a session that is shut down ends well", func(p *provider, open func(Mode) (*peer, error)) error {
		c, err := open(ModeRead)
		if err != nil {
			return err
		}
		_, code, err := c.call("shutdown", obj{})
		if how := c.close(); err != nil || code != 0 || how != endShutdown {
			return fmt.Errorf("got %d, %v", code, err)
		}
		return nil
	}},
	{"S02", "an unknown property is SCHEMA, with its place", withSession(ModeRead, func(p *provider, c *peer) error {
		for name := range p.kinds {
			answer, _, err := c.call("resource.validate", obj{{"items", []any{
				obj{{"type", name}, {"desired", obj{{"no_such_property", true}}}},
			}}})
			if err != nil {
				return err
			}
			failed := firstError(answer)
			if failed["code"] != string(CodeSchema) {
				return fmt.Errorf("%s: got %v", name, answer)
			}
		}
		return nil
	})},
	{"C02", "the cancellation of what nobody asked for is ignored", withSession(ModeRead, func(p *provider, c *peer) error {
		if err := c.raw(notificationLine("$/cancel", obj{{"id", 999_999}})); err != nil {
			return err
		}
		return c.ping()
	})},
	{"R01", "lines that are no JSON are refused and survived", withSession(ModeRead, func(p *provider, c *peer) error {
		return c.expectCode([]byte("\x00\xff\xfe garbage\n"), rpcParse)
	})},
	{"R02", "a line beyond the limit is refused while it is read", withSession(ModeRead, func(p *provider, c *peer) error {
		return c.expectCode(append(bytes.Repeat([]byte{'a'}, frameMaxBytes+1), '\n'), rpcTooLarge)
	})},
	{"R03", "a line may come in pieces", withSession(ModeRead, func(p *provider, c *peer) error {
		for _, b := range []byte("\n\n{\"jsonrpc\":\"2.0\",\"id\":77,\"method\":\"ping\"}\n") {
			if err := c.raw([]byte{b}); err != nil {
				return err
			}
		}
		line, err := c.line()
		if err == nil && line["id"] != int64(77) {
			err = fmt.Errorf("got %v", line)
		}
		return err
	})},
	{"R04", "JSON that others would read in another way is refused", withSession(ModeRead, func(p *provider, c *peer) error {
		for _, text := range []string{
			strings.Repeat("[", 10_000), `{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}`,
			`{"jsonrpc":"2.0","id":8,"method":"ping","params":{"a":NaN}}`,
			`{"jsonrpc":"2.0","id":9,"method":"ping","params":{"a":9007199254740992}}`,
			`{"jsonrpc":"2.0","id":9,"method":"ping","params":{"a":"\ud800"}}`,
			"{\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"p\xc3\x28\"}",
		} {
			if err := c.expectCode([]byte(text+"\n"), rpcParse); err != nil {
				return fmt.Errorf("%.60s: %w", text, err)
			}
		}
		return nil
	})},
	{"K03", "a session that plans changes nothing", withSession(ModePlan, func(p *provider, c *peer) error {
		for name := range p.kinds {
			answer, _, err := c.call("resource.apply", obj{
				{"op_id", strings.Repeat("a", 64)}, {"type", name}, {"action", "update"}, {"desired", obj{}},
				{"expect", Digest{}.String()}, {"deadline_ms", 1_000}, {"fence", 1},
			})
			if err != nil {
				return err
			}
			members, _ := answer.(map[string]any)
			failed, _ := members["error"].(map[string]any)
			if failed["code"] != string(CodeMode) || failed["mutated"] != string(MutatedNo) {
				return fmt.Errorf("%s: got %v", name, answer)
			}
		}
		return nil
	})},
}

func firstError(answer any) map[string]any {
	members, _ := answer.(map[string]any)
	items, _ := members["items"].([]any)
	if len(items) != 1 {
		return nil
	}
	item, _ := items[0].(map[string]any)
	failed, _ := item["error"].(map[string]any)
	return failed
}

func wantCode(c *peer, method string, params any, code int64) error {
	_, found, err := c.call(method, params)
	if err == nil && found != code {
		err = fmt.Errorf("expected the failure %d, got %d", code, found)
	}
	return err
}

func withSession(mode Mode, check func(*provider, *peer) error) func(*provider, func(Mode) (*peer, error)) error {
	return func(p *provider, open func(Mode) (*peer, error)) error {
		c, err := open(mode)
		if err != nil {
			return err
		}
		defer c.close()
		return check(p, c)
	}
}

// selftest runs all checks and says of each how it went.
func selftest(p *provider, out io.Writer) int {
	home, err := os.MkdirTemp("", "rectify-selftest-")
	if err != nil {
		return complain(fmt.Sprintf("no directory for the checks: %v", err), 1)
	}
	defer os.RemoveAll(home)
	dirs := Directories{filepath.Join(home, "work"), filepath.Join(home, "state"), filepath.Join(home, "blobs")}
	for _, dir := range []string{dirs.Work, dirs.State, dirs.Blobs} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return complain(fmt.Sprintf("no directory for the checks: %v", err), 1)
		}
	}
	open := func(mode Mode) (*peer, error) {
		c := newPeer(p)
		if _, _, err := c.greet(p, mode, protocolVersion, protocolVersion, dirs); err != nil {
			return nil, err
		}
		_, _, err := c.call("configure", obj{{"root", home}})
		return c, err
	}
	failed := 0
	for _, check := range selfchecks {
		if err := check.run(p, open); err != nil {
			failed++
			fmt.Fprintf(out, "%s FAILED  %s: %v\n", check.id, check.what, err)
		} else {
			fmt.Fprintf(out, "%s ok      %s\n", check.id, check.what)
		}
	}
	if failed > 0 {
		fmt.Fprintf(out, "%d of %d checks failed\n", failed, len(selfchecks))
		return 1
	}
	fmt.Fprintf(out, "%d checks passed\n", len(selfchecks))
	return 0
}
