package rectify

import (
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// One session over two streams: a reader that is always ready, a writer, and a few workers.

const (
	// Requests that are worked on at once.
	workers = 16
	// How long work may take to end once the engine is gone, and the last answers to leave.
	workGrace  = 9 * time.Second
	writeGrace = 500 * time.Millisecond
)

// end is how a session ended.
type end int

const (
	// endShutdown: the engine asked for it, then closed the stream.
	endShutdown end = iota
	// endEOF: the engine closed the stream without a word, or is gone.
	endEOF
	// endBroken: nobody reads what the provider writes.
	endBroken
	// endVersion: there is no common protocol version.
	endVersion
)

// serveStreams serves one session. It returns within ten seconds of the end of the
// reader, even if work is stuck; stuck goroutines end with the process.
func serveStreams(p *provider, reader io.Reader, writer io.Writer) end {
	ended := make(chan end, 2)
	say := func(how end) {
		select {
		case ended <- how:
		default:
		}
	}
	out := startNotifier(writer, func() { say(endBroken) })
	q := newQueue()
	var alive sync.WaitGroup
	for i := 0; i < workers; i++ {
		alive.Add(1)
		go func() {
			defer alive.Done()
			for j := q.next(); j != nil; j = q.next() {
				out.line(perform(j, out))
				q.done(j.id)
			}
		}()
	}
	in := &input{provider: p, queue: q, out: out}
	go func() { say(in.run(reader)) }()
	how := <-ended
	for _, j := range q.close() {
		id := j.id
		out.line(failureLine(&id, cancelledBefore()))
	}
	q.waitIdle(workGrace)
	out.finish(writeGrace)
	return how
}

func cancelledBefore() *rpcError {
	return failure(rpcCancelled, "cancelled before it began; nothing was done")
}

// input is the reader's side of a session.
type input struct {
	provider *provider
	queue    *queue
	out      *notifier
	// Nil until `initialize` was answered.
	settings   *settings
	configured bool
	shutdown   bool
}

func (in *input) run(reader io.Reader) end {
	lines := newLineReader(reader)
	for {
		limit := frameMaxBytes
		if in.settings != nil {
			limit = in.settings.frameMax
		}
		line, err := lines.next(limit)
		if long, ok := err.(*tooLarge); ok {
			in.fail(nil, failure(rpcTooLarge, "%v", long))
			continue
		}
		if err != nil {
			if in.shutdown {
				return endShutdown
			}
			return endEOF
		}
		if over := in.line(line); over {
			return endVersion
		}
	}
}

// line handles one line, and says whether the session ends here.
func (in *input) line(line []byte) bool {
	r, err := parseRequest(line)
	if err != nil {
		in.fail(nil, err)
		return false
	}
	if !r.hasID {
		in.notification(r)
		return false
	}
	answer, err := in.request(r, len(line))
	switch {
	case err != nil:
		in.fail(&r.id, err)
		return err.code == rpcVersion
	case answer != nil:
		// In one form, as the SDK in Rust has it.
		tree, failed := canonicalTree(answer)
		var line []byte
		if failed == nil {
			line, failed = responseLine(r.id, tree)
		}
		if failed != nil {
			in.fail(&r.id, failure(rpcInternal, "%v", failed))
		} else {
			in.out.line(line)
		}
	}
	return false
}

func (in *input) fail(id *uint64, err *rpcError) {
	err.message = in.out.clean(err.message)
	in.out.line(failureLine(id, err))
}

// notification takes a cancel. An unknown notification is ignored, and so is the
// cancellation of what was answered already.
func (in *input) notification(r request) {
	if r.method != "$/cancel" {
		return
	}
	f := fieldsOf(r.params, "params")
	id := f.number("id")
	if f.err == nil && in.queue.cancel(id) {
		in.fail(&id, cancelledBefore())
	}
}

// request answers a request here, or hands it to the workers (neither answer nor error).
func (in *input) request(r request, bytes int) (any, *rpcError) {
	switch {
	case r.method == "initialize":
		return in.initialize(r.params)
	case r.method == "ping":
		return obj{{"in_flight", in.queue.inFlight()}}, nil
	case in.settings == nil:
		return nil, failure(rpcNotInitialized, "`%s` before `initialize`", r.method)
	case in.shutdown:
		return nil, failure(rpcInvalidRequest, "the session was shut down")
	}
	switch r.method {
	case "configure":
		return in.configure(r.params)
	case "schema.get":
		return in.provider.manifest, nil
	case "shutdown":
		in.shutdown = true
		return obj{}, nil
	case "op.status":
		// Answered here, so that it does not wait behind long actions.
		return in.status(r.params)
	}
	w, known, err := decodeWork(r.method, r.params)
	if !known {
		return nil, failure(rpcMethodNotFound, "there is no method `%s`", r.method)
	}
	if err != nil {
		return nil, failure(rpcInvalidParams, "%v", err)
	}
	if !in.configured && !w.isBlob() {
		return nil, failure(rpcNotInitialized, "`%s` before `configure`", r.method)
	}
	j := &job{id: r.id, bytes: bytes, work: w, settings: in.settings, cancelled: make(chan struct{})}
	switch in.queue.push(j) {
	case overloaded:
		return nil, failure(rpcOverloaded, "too many requests are waiting")
	case duplicateID:
		// The request under way has the right to the one answer with this id.
		in.fail(nil, failure(rpcInvalidRequest, "request %d is under way already", r.id))
	}
	return nil, nil
}

func (in *input) initialize(params any) (any, *rpcError) {
	if in.settings != nil {
		return nil, failure(rpcInvalidRequest, "the session is initialized already")
	}
	greeting, err := readInitialize(params)
	if err != nil {
		return nil, failure(rpcInvalidParams, "%v", err)
	}
	own := versionRange{protocolVersion, protocolVersion}
	engine := greeting.protocol
	lowest, highest := engine.min, engine.max
	if lowest.less(own.min) {
		lowest = own.min
	}
	if own.max.less(highest) {
		highest = own.max
	}
	if highest.less(lowest) {
		e := failure(rpcVersion, "no common protocol version: the engine speaks %s to %s, the provider %s to %s",
			engine.min, engine.max, own.min, own.max)
		e.data = map[string]any{"engine": engine.wire(), "provider": own.wire()}
		return nil, e
	}
	for _, dir := range []struct{ name, path string }{
		{"work", greeting.dirs.Work}, {"state", greeting.dirs.State}, {"blobs", greeting.dirs.Blobs},
	} {
		if dir.path != "" && !filepath.IsAbs(dir.path) {
			return nil, failure(rpcInvalidParams, "the directory `%s` is not absolute: %s", dir.name, dir.path)
		}
	}
	if greeting.frameMaxBytes < frameMinBytes {
		return nil, failure(rpcInvalidParams, "frames of %d bytes are too short", greeting.frameMaxBytes)
	}
	limit := frameMaxBytes
	if greeting.frameMaxBytes < frameMaxBytes {
		limit = int(greeting.frameMaxBytes)
	}
	in.settings = &settings{
		provider: in.provider, mode: greeting.mode, frameMax: limit, dirs: greeting.dirs, alone: &alone{},
	}
	return obj{
		{"protocol", highest.String()}, {"session", greeting.session}, {"name", in.provider.name},
		{"version", in.provider.version}, {"manifest", in.provider.digest.String()},
	}, nil
}

func (in *input) configure(params any) (any, *rpcError) {
	if in.configured {
		return nil, failure(rpcInvalidRequest, "the session is configured already")
	}
	c, err := readConfigure(params)
	if err != nil {
		return nil, failure(rpcInvalidParams, "%v", err)
	}
	if c.root != "" {
		info, err := os.Stat(c.root)
		if err != nil || !info.IsDir() || !filepath.IsAbs(c.root) {
			return nil, failure(rpcInvalidParams, "the root is not an absolute path of a directory: %s", c.root)
		}
	}
	next := *in.settings
	next.root, next.planCommands, next.digestKey, next.secrets = c.root, c.planCommands, c.digestKey, c.secrets
	next.hides = newRedaction(c.secrets)
	in.out.hides.Store(next.hides)
	in.settings, in.configured = &next, true
	return obj{}, nil
}

func (in *input) status(params any) (any, *rpcError) {
	f := fieldsOf(params, "params")
	id := f.text("op_id")
	if f.err != nil {
		return nil, failure(rpcInvalidParams, "%v", f.err)
	}
	l, failed := openLedger(in.settings.dirs.State)
	if failed != nil {
		return nil, failure(rpcInvalidRequest, "%s", failed.Message)
	}
	word, done, failed := l.status(id)
	if failed != nil {
		return nil, failure(rpcInvalidRequest, "%s", failed.Message)
	}
	if done != nil {
		return obj{{statusDone, done.wire()}}, nil
	}
	return word, nil
}
