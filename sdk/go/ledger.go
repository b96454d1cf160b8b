package rectify

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"syscall"
)

// The ledger of operations: what makes an action run at most once.
//
// In the session's state directory, per operation id: `<op_id>.claim`, made
// exclusively and durable before the action runs, with the digest of the
// parameters; `<op_id>.done`, durable after it, with the result. A claim without a
// result means that nobody knows, and is never run again. The process that runs an
// action holds a lock on the claim, so that a redelivery to another process can
// tell "still running" from "broken off". The formats are those of the SDK in Rust:
// a provider may be written anew in another language and keep its ledger.

const claimFormat = "rectify.ledger-claim/v1"

type ledger struct{ dir string }

func openLedger(dir string) (ledger, *Error) {
	if dir == "" {
		return ledger{}, Errorf(CodeUnsupported,
			"an action needs a directory for its ledger, and this session has none")
	}
	return ledger{dir}, nil
}

var operationIDPattern = regexp.MustCompile(`^[0-9a-f]{64}$`)

// An id becomes part of a file's name, so nothing but its one spelling is let through.
func checkOperationID(id string) *Error {
	if operationIDPattern.MatchString(id) {
		return nil
	}
	return Errorf(CodeSchema, "an operation id is 64 lower-case hexadecimal digits").At("/op_id")
}

func unknown(format string, args ...any) *Error {
	return Errorf(CodeUnknownOutcome, format, args...).Having(MutatedMaybe)
}

func cannot(what string, err error) *Error {
	return Errorf(CodeFailed, "%s: %v", what, err)
}

func (l ledger) path(id, kind string) string { return filepath.Join(l.dir, id+"."+kind) }

// What the ledger says of an operation.
const (
	statusNeverSeen = "never_seen"
	statusStarted   = "started"
	statusDone      = "done"
)

// status is what became of an operation.
func (l ledger) status(id string) (string, *outcome, *Error) {
	if err := checkOperationID(id); err != nil {
		return "", nil, err
	}
	// The result first: it appears after the claim and is never removed while a claim is free.
	if done, err := l.result(id); err != nil {
		return "", nil, err
	} else if done != nil {
		return statusDone, done, nil
	}
	switch _, err := os.Stat(l.path(id, "claim")); {
	case err == nil:
		return statusStarted, nil, nil
	case errors.Is(err, fs.ErrNotExist):
		return statusNeverSeen, nil, nil
	default:
		return "", nil, cannot("the ledger cannot be read", err)
	}
}

// once runs an action at most once per operation id, over crashes and redeliveries.
// A claim is durable before run is called, its result before this returns. A
// redelivery gets the stored result; only one that says `mutated: no` is run again.
// The note says what went wrong in recording the result.
func (l ledger) once(op *operation, run func() outcome) (done outcome, note string) {
	if err := checkOperationID(op.id); err != nil {
		return outcome{err: err}, ""
	}
	lock, err := l.claim(op)
	if err != nil {
		return outcome{err: err}, ""
	}
	if lock == nil {
		return l.stored(op.id), ""
	}
	defer lock.Close()
	done = run()
	content, failed := compactResult(done.wire())
	if failed == nil {
		failed = replace(l.dir, op.id+".done", content)
	}
	if failed != nil {
		note = fmt.Sprintf("the result of operation %s could not be recorded: %v", op.id, failed)
	}
	return done, note
}

func compactResult(value any) ([]byte, error) {
	line, err := frameBytes(value)
	if err != nil {
		return nil, err
	}
	return line[:len(line)-1], nil
}

// claim claims the operation. The lock is held until the result is recorded. Neither
// a lock nor an error: it has a result already, which stands.
func (l ledger) claim(op *operation) (*os.File, *Error) {
	const what = "the ledger cannot be written"
	parameters, failed := parametersOf(op)
	if failed != nil {
		return nil, failed
	}
	content, err := compactResult(obj{
		{"format", claimFormat}, {"parameters", parameters.String()}, {"fence", op.fence},
	})
	if err != nil {
		return nil, cannot(what, err)
	}
	fresh, err := unfinished(l.dir, content)
	if err != nil {
		return nil, cannot(what, err)
	}
	defer os.Remove(fresh.Name())
	if _, err := tryLock(fresh, syscall.LOCK_EX); err != nil {
		fresh.Close()
		return nil, cannot(what, err)
	}
	// A link to a whole file: exclusive, and no reader ever sees half a claim.
	err = os.Link(fresh.Name(), l.path(op.id, "claim"))
	if errors.Is(err, fs.ErrExist) {
		fresh.Close()
		return l.reclaim(op.id, parameters)
	}
	if err == nil {
		err = syncDirectory(l.dir)
	}
	if err != nil {
		fresh.Close()
		return nil, cannot(what, err)
	}
	// A result without a claim is none of ours, but somebody's word that it ran.
	if stands, failed := l.stands(op.id); failed != nil || stands {
		fresh.Close()
		return nil, failed
	}
	return fresh, nil
}

// stands says whether there is a result that is not to be run again.
func (l ledger) stands(id string) (bool, *Error) {
	done, err := l.result(id)
	return done != nil && !done.mayRunAgain(), err
}

// reclaim is for an operation that was claimed already.
func (l ledger) reclaim(id string, parameters Digest) (*os.File, *Error) {
	const what = "the ledger cannot be read"
	path := l.path(id, "claim")
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, cannot(what, err)
	}
	claimed, err := readClaim(content)
	if err != nil {
		return nil, unknown("the claim of operation %s cannot be read: %v", id, err)
	}
	if claimed != parameters {
		return nil, Errorf(CodeOpMismatch, "operation %s was claimed before with other parameters", id)
	}
	lock, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, cannot(what, err)
	}
	got, err := tryLock(lock, syscall.LOCK_EX)
	if err != nil {
		lock.Close()
		return nil, cannot(what, err)
	}
	if !got {
		lock.Close()
		// A result that stands needs no lock. It may seem to be held a moment longer: by a
		// process that is just being made, until it becomes another program.
		if stands, failed := l.stands(id); failed != nil || stands {
			return nil, failed
		}
		return nil, Errorf(CodeBusy, "operation %s is being run by another request", id).
			WithHint("ask `op.status` until it ends")
	}
	done, failed := l.result(id)
	switch {
	case failed != nil:
		lock.Close()
		return nil, failed
	case done == nil:
		lock.Close()
		return nil, unknown("operation %s was begun before, and nothing says how it ended", id).
			WithHint("find out what it did; then resolve the step, or seal a new plan")
	case !done.mayRunAgain():
		lock.Close()
		return nil, nil
	}
	// It is known to have done nothing, so it may run; without this removal a crash
	// during the new attempt would look like the old, harmless result.
	err = os.Remove(l.path(id, "done"))
	if err == nil {
		err = syncDirectory(l.dir)
	}
	if err != nil {
		lock.Close()
		return nil, cannot(what, err)
	}
	return lock, nil
}

// readClaim refuses unknown members: a newer provider's ledger must not be misread by an older one.
func readClaim(content []byte) (Digest, error) {
	value, err := parseStrict(content)
	if err != nil {
		return Digest{}, err
	}
	f := fieldsOf(value, "the claim")
	if f.text("format") != claimFormat || len(f.members) != 3 {
		f.wrong("format", "`"+claimFormat+"` and its members")
	}
	f.number("fence")
	return f.digest("parameters"), f.err
}

func (l ledger) stored(id string) outcome {
	done, err := l.result(id)
	switch {
	case err != nil:
		return outcome{err: err}
	case done == nil:
		return outcome{err: unknown("the result of operation %s disappeared from the ledger", id)}
	}
	return *done
}

func (l ledger) result(id string) (*outcome, *Error) {
	content, err := readIfExists(l.path(id, "done"))
	if err != nil {
		return nil, cannot("the ledger cannot be read", err)
	}
	if content == nil {
		return nil, nil
	}
	done, err := readOutcome(content)
	if err != nil {
		return nil, unknown("the result of operation %s cannot be read: %v", id, err)
	}
	return &done, nil
}

// parametersOf is what identifies an operation beside its id: all but the deadline
// and the fence, which a retry may change.
func parametersOf(op *operation) (Digest, *Error) {
	desired, err := compact(op.desired)
	if err != nil {
		return Digest{}, Errorf(CodeSchema, "the properties have no canonical form: %v", err)
	}
	result := ""
	if op.result != nil {
		result = op.result.String()
	}
	return derive(contextParameters, []byte(op.typeName), []byte(op.action), desired,
		[]byte(op.expect.String()), []byte(result)), nil
}
