package rectify

import (
	"fmt"
	"os"
	"runtime/debug"
	"time"
)

// The requests that a worker carries out, and how: item by item, each behind a wall
// that a panic does not pass.

// work is a request with its parameters.
type work struct {
	method string
	items  []item
	op     *operation
	put    *blobPut
	get    *blobGet
}

func (w *work) isBlob() bool { return w.put != nil || w.get != nil }

// decodeWork reads the parameters of a method, if there is such a one.
func decodeWork(method string, params any) (w work, known bool, err error) {
	w.method = method
	switch method {
	case "resource.validate", "resource.normalize", "resource.read", "resource.plan":
		w.items, err = readBatch(params)
	case "resource.apply":
		w.op, err = readOperation(params)
	case "blob.put":
		w.put, err = readBlobPut(params)
	case "blob.get":
		w.get, err = readBlobGet(params)
	default:
		return w, false, nil
	}
	return w, true, err
}

// perform carries a request out and returns the line of its answer.
func perform(j *job, out *notifier) []byte {
	cx := &Cx{settings: j.settings, out: out, request: j.id, operation: j.work.op, cancelled: j.cancelled}
	switch {
	case j.work.op != nil:
		done := cx.perform(j.work.op)
		return answerApply(cx, cx.settings.clean(done))
	case j.work.put != nil:
		var stored obj
		err := cx.mayOnlyApply("store a blob")
		if err == nil {
			var dir string
			if dir, err = cx.settings.blobDir(); err == nil {
				stored, err = putBlob(dir, j.work.put)
			}
		}
		return answer(cx, result(stored, err))
	case j.work.get != nil:
		var chunk obj
		dir, err := cx.settings.blobDir()
		if err == nil {
			chunk, err = getBlob(dir, j.work.get, cx.settings.digestKey)
		}
		return answer(cx, result(chunk, err))
	}
	results := make([]any, len(j.work.items))
	for i := range j.work.items {
		ok, err := cx.one(j.work.method, &j.work.items[i])
		if err != nil {
			// What only looks has changed nothing.
			err.Mutated = MutatedNo
		}
		results[i] = result(ok, cx.settings.hides.error(err.honest()))
	}
	return answer(cx, obj{{"items", results}})
}

func (cx *Cx) mayOnlyApply(what string) *Error {
	if cx.settings.mode == ModeApply {
		return nil
	}
	return modeError(cx, what)
}

func modeError(cx *Cx, what string) *Error {
	return Errorf(CodeMode, "a session in mode `%s` does not %s", cx.settings.mode, what)
}

func (cx *Cx) kindOf(name string) (kind, *Error) {
	if k, known := cx.settings.provider.kinds[name]; known {
		return k, nil
	}
	return nil, Errorf(CodeUnsupported, "the provider `%s` has no type `%s`", cx.settings.provider.name, name)
}

// one does one item of a batch. Results are independent.
func (cx *Cx) one(method string, i *item) (ok any, err *Error) {
	if cx.Cancelled() {
		return nil, Errorf(CodeCancelled, "cancelled before it began")
	}
	k, err := cx.kindOf(i.typeName)
	if err != nil {
		return nil, err
	}
	cx.deadline = time.Now().Add(k.describe().readLimit)
	defer guard(cx, &err, MutatedNo)
	switch method {
	case "resource.validate":
		return nil, k.validate(cx, i)
	case "resource.normalize":
		ok, err := k.normalize(cx, i)
		return ok, err
	case "resource.read":
		if i.capture && cx.settings.mode != ModeApply {
			return nil, modeError(cx, "keep a before-image")
		}
		ok, err := k.read(cx, i)
		return ok, err
	default:
		if cx.settings.mode == ModeRead {
			return nil, modeError(cx, "plan")
		}
		ok, err := k.plan(cx, i)
		return ok, err
	}
}

// perform carries out an operation.
func (cx *Cx) perform(op *operation) (done outcome) {
	if err := cx.mayOnlyApply("change anything"); err != nil {
		return outcome{err: err}
	}
	if cx.Cancelled() {
		return outcome{err: Errorf(CodeCancelled, "cancelled before it began")}
	}
	k, err := cx.kindOf(op.typeName)
	if err != nil {
		return outcome{err: err}
	}
	limit := time.Duration(op.deadlineMS) * time.Millisecond
	cx.deadline = time.Now().Add(limit)
	// Half of the time at most, so that the other half is left for the operation.
	acting, err := enterFence(cx, op.fence, limit/2)
	if err != nil {
		return outcome{err: err}
	}
	defer acting.Close()
	// The wait may have been long.
	if cx.Cancelled() {
		return outcome{err: Errorf(CodeCancelled, "cancelled before it began").Having(MutatedNo)}
	}
	defer func() {
		if done.err != nil {
			done.applied = nil
			// Without a word of it nothing was changed: what comes after a change may have begun says so.
			done.err = done.err.honest()
		}
	}()
	defer guard(cx, &done.err, MutatedMaybe)
	return k.apply(cx, op)
}

// guard ends the item, not the provider. Its text goes to standard error, where it
// is redacted once more.
func guard(cx *Cx, err **Error, mutated Mutated) {
	if cause := recover(); cause != nil {
		fmt.Fprint(os.Stderr, cx.out.clean(fmt.Sprintf("panic: %v\n\n%s", cause, debug.Stack())))
		*err = Errorf(CodeInternal, "the provider failed; its standard error says where").Having(mutated)
	}
}

// answer is the line of an answer, or of the failure to make one.
func answer(cx *Cx, result any) []byte {
	line, err := responseLine(cx.request, result)
	if err != nil {
		return failureLine(&cx.request, failure(rpcInternal, "the answer cannot be written as JSON: %v", err))
	}
	if len(line) > cx.settings.frameMax {
		return failureLine(&cx.request, failure(rpcTooLarge,
			"the answer is %d bytes long; a frame is at most %d; ask for fewer items", len(line), cx.settings.frameMax))
	}
	return line
}

// answerApply never says "nothing was done" when something was: what is too long
// for a frame is left out bit by bit.
func answerApply(cx *Cx, done outcome) []byte {
	fits := func() []byte {
		line, err := responseLine(cx.request, done.wire())
		if err != nil || len(line) > cx.settings.frameMax {
			return nil
		}
		return line
	}
	if line := fits(); line != nil {
		return line
	}
	if done.applied != nil && done.applied.output != nil {
		done.applied.output = &Output{ExitCode: done.applied.output.ExitCode, Truncated: true}
		if line := fits(); line != nil {
			return line
		}
	}
	mutated := MutatedMaybe
	if done.err != nil {
		mutated = done.err.Mutated
	}
	done = outcome{err: Errorf(CodeUnknownOutcome, "the answer is too long for a frame").Having(mutated)}
	return answer(cx, done.wire())
}
