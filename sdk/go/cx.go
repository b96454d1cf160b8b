package rectify

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"time"
)

// The environment variable that tells a provider that an engine started it, and the
// one that marks what runs for an operation: by it the engine finds what still runs
// of an operation whose provider is gone. To a command it is an idempotency key.
const (
	cookieVariable    = "RECTIFY_PROVIDER"
	operationVariable = "RECTIFY_OPERATION"
)

// settings are fixed by `initialize` and `configure`.
type settings struct {
	provider     *provider
	mode         Mode
	frameMax     int
	dirs         Directories
	root         string
	planCommands [][]string
	digestKey    *digestKey
	secrets      map[string]string
	hides        *redaction
	alone        *alone
}

// Cx is the session and the request that a provider's method works for.
type Cx struct {
	settings  *settings
	out       *notifier
	request   uint64
	operation *operation
	cancelled <-chan struct{}
	deadline  time.Time
}

// Mode says what the session may do.
func (cx *Cx) Mode() Mode { return cx.settings.mode }

// Root is the directory that stands for `/`, absolute; empty for `/` itself. Every
// path of a resource is resolved beneath it: see [Cx.ReadFile] and [Cx.WriteFile].
func (cx *Cx) Root() string { return cx.settings.root }

// Dirs are the private directories of the session.
func (cx *Cx) Dirs() Directories { return cx.settings.dirs }

// Request is the number of the request, never used twice in a session. The items of
// one batch share it, so what was looked up for one of them may serve the others.
func (cx *Cx) Request() uint64 { return cx.request }

// Operation is the id of the operation that this request carries out; empty where it only looks.
func (cx *Cx) Operation() string {
	if cx.operation == nil {
		return ""
	}
	return cx.operation.id
}

// Mark is the environment variable, as NAME=VALUE, that every command needs which a
// provider starts for an operation without [Cx.Run]; empty where it only looks.
func (cx *Cx) Mark() string {
	if cx.operation == nil {
		return ""
	}
	return operationVariable + "=" + cx.operation.id
}

// Cancelled says whether the request was cancelled, or the engine is gone. Finish
// the atomic step at hand, then tell the truth.
func (cx *Cx) Cancelled() bool {
	select {
	case <-cx.cancelled:
		return true
	default:
		return false
	}
}

// Done is closed when [Cx.Cancelled] becomes true.
func (cx *Cx) Done() <-chan struct{} { return cx.cancelled }

// Deadline is when the request should have ended.
func (cx *Cx) Deadline() time.Time { return cx.deadline }

// Context is a context for packages that want one: it ends with the request, at its
// deadline, or when it is cancelled. Call the second result when done.
func (cx *Cx) Context() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithDeadline(context.Background(), cx.deadline)
	go func() {
		select {
		case <-cx.cancelled:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// MayExecute says whether a guard or a look may execute this argv in this session.
func (cx *Cx) MayExecute(argv ...string) bool {
	if cx.settings.mode == ModeApply {
		return true
	}
	for _, allowed := range cx.settings.planCommands {
		if equal(allowed, argv) {
			return true
		}
	}
	return false
}

// Progress tells the engine what is going on. Values of secrets are hidden.
func (cx *Cx) Progress(format string, args ...any) {
	message := cx.out.clean(fmt.Sprintf(format, args...))
	cx.out.line(notificationLine("$/progress", obj{{"id", cx.request}, {"message", message}}))
}

// Log sends a log record; level is `error`, `warn`, `info`, `debug` or `trace`. A
// flood is cut. Values of secrets are hidden.
func (cx *Cx) Log(level, format string, args ...any) {
	cx.out.log(level, fmt.Sprintf(format, args...))
}

// KeepBeforeImage keeps a content in the blob directory (mode 0600, durable when
// this returns) and names it.
func (cx *Cx) KeepBeforeImage(content []byte) (Digest, error) {
	return cx.keepBlob(bytes.NewReader(content), nil)
}

// KeepSecretBeforeImage is [Cx.KeepBeforeImage] for what others may not read: its
// name is its keyed digest, if the session has a key.
func (cx *Cx) KeepSecretBeforeImage(content io.Reader) (Digest, error) {
	return cx.keepBlob(content, cx.settings.digestKey)
}

func (cx *Cx) keepBlob(content io.Reader, key *digestKey) (Digest, error) {
	dir, err := cx.settings.blobDir()
	if err != nil {
		return Digest{}, err
	}
	digest, err := keepBlob(dir, content, key)
	if err != nil {
		return Digest{}, err
	}
	return digest, nil
}

// ReadBlob reads a blob and checks that it has its digest.
func (cx *Cx) ReadBlob(digest Digest) ([]byte, error) { return cx.readBlob(digest, nil) }

// ReadSecretBlob reads a blob that was kept as a secret, and checks that it has its keyed digest.
func (cx *Cx) ReadSecretBlob(digest Digest) ([]byte, error) {
	if cx.settings.digestKey == nil {
		return nil, Errorf(CodeDependency, "a secret blob cannot be checked without the digest key")
	}
	return cx.readBlob(digest, cx.settings.digestKey)
}

func (cx *Cx) readBlob(digest Digest, key *digestKey) ([]byte, error) {
	dir, err := cx.settings.blobDir()
	if err != nil {
		return nil, err
	}
	content, err := readBlob(dir, digest, key)
	if err != nil {
		return nil, err
	}
	return content, nil
}

// DigestOf is the digest of a content that others may not read: keyed, if the session has a key.
func (cx *Cx) DigestOf(content []byte) Digest {
	if cx.settings.digestKey == nil {
		return DigestOf(content)
	}
	return cx.settings.digestKey.digest(content)
}

// throughLedger runs what may be run at most once.
func (cx *Cx) throughLedger(run func() outcome) outcome {
	l, err := openLedger(cx.settings.dirs.State)
	if err != nil {
		return outcome{err: err}
	}
	done, note := l.once(cx.operation, func() outcome {
		// The ledger is kept: what a command printed of a secret must not be in it.
		done := run()
		done.err = done.err.honest()
		return cx.settings.clean(done)
	})
	if note != "" {
		cx.Log("error", "%s", note)
	}
	return done
}

// clean hides values of secrets in what an operation came to.
func (s *settings) clean(done outcome) outcome {
	if s.hides == nil {
		return done
	}
	if done.err != nil {
		return outcome{err: s.hides.error(done.err)}
	}
	made := *done.applied
	if made.state != nil {
		made.state, _ = s.hides.value(made.state).(map[string]any)
	}
	made.output = s.hides.output(made.output)
	return outcome{applied: &made}
}
