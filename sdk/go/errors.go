package rectify

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
)

// Code is the stable code of a failure. The engine's recovery depends on it and on [Mutated] only.
type Code string

// The codes.
const (
	// CodeSchema: the properties break the schema or a rule of the type. Never retried.
	CodeSchema Code = "SCHEMA"
	// CodeUnsupported: the provider cannot do this here. Never retried.
	CodeUnsupported Code = "UNSUPPORTED"
	// CodeMode: the session's mode does not allow it. Never retried.
	CodeMode Code = "MODE"
	// CodeOpMismatch: the same operation id with other parameters. Never retried.
	CodeOpMismatch Code = "OP_MISMATCH"
	// CodeStale: the state is neither the expected one nor the planned one.
	CodeStale Code = "STALE"
	// CodeConflict: something else owns the resource.
	CodeConflict Code = "CONFLICT"
	// CodePermission: the provider lacks a permission.
	CodePermission Code = "PERMISSION"
	// CodeDependency: a tool that the provider needs is missing.
	CodeDependency Code = "DEPENDENCY"
	// CodeBusy: another operation on the same thing is under way.
	CodeBusy Code = "BUSY"
	// CodeTransient: may work later; nothing was changed.
	CodeTransient Code = "TRANSIENT"
	// CodeTimeout: the deadline passed; Mutated says what is known.
	CodeTimeout Code = "TIMEOUT"
	// CodeCancelled: cancelled; Mutated says what is known.
	CodeCancelled Code = "CANCELLED"
	// CodePartial: it failed half way; Mutated is not MutatedNo.
	CodePartial Code = "PARTIAL"
	// CodeFailed: it failed; Mutated says what is known.
	CodeFailed Code = "FAILED"
	// CodeUnknownOutcome: what happened is not known.
	CodeUnknownOutcome Code = "UNKNOWN_OUTCOME"
	// CodeInternal: a bug in the provider.
	CodeInternal Code = "INTERNAL"
)

// Mutated is what is known of the effect of a failed operation. It decides whether it may be repeated.
type Mutated string

// What may be known. The zero value leaves it to the SDK, which assumes the worst.
const (
	MutatedNo    Mutated = "no"
	MutatedMaybe Mutated = "maybe"
	MutatedYes   Mutated = "yes"
)

// Error is a failure as the engine is told of it. A provider may return any error:
// one that is no Error is FAILED, or PERMISSION where the system refused.
type Error struct {
	Code    Code
	Message string
	// Path is the JSON Pointer of the property to blame, if there is one.
	Path string
	// Mutated says what is known of the effect; empty, the SDK decides.
	Mutated Mutated
	// Hint says what to do about it.
	Hint string
}

// Errorf makes an error with a code.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

func (e *Error) Error() string { return e.Message }

// At names the property to blame, as a JSON Pointer.
func (e *Error) At(path string) *Error {
	e.Path = path
	return e
}

// WithHint says what to do.
func (e *Error) WithHint(hint string) *Error {
	e.Hint = hint
	return e
}

// Having says what is known of the effect.
func (e *Error) Having(mutated Mutated) *Error {
	e.Mutated = mutated
	return e
}

// Unchanged says of an error that nothing was changed before it happened, so that
// the operation may be tried again.
func Unchanged(err error) error {
	if err == nil {
		return nil
	}
	made := asError(err, MutatedNo)
	made.Mutated = MutatedNo
	return made
}

// asError gives any error its form, with what is known of the effect where it does not say itself.
func asError(err error, mutated Mutated) *Error {
	if err == nil {
		return nil
	}
	made := &Error{Code: CodeFailed, Message: err.Error()}
	var own *Error
	switch {
	case errors.As(err, &own):
		*made = *own
		// What was put around it belongs to the message.
		made.Message = err.Error()
	case errors.Is(err, fs.ErrPermission):
		made.Code = CodePermission
	case errors.Is(err, context.DeadlineExceeded):
		made.Code = CodeTimeout
	case errors.Is(err, context.Canceled):
		made.Code = CodeCancelled
	}
	if made.Mutated == "" {
		made.Mutated = mutated
	}
	return made
}

// honest is the error with a code that fits what is known of the effect: some codes
// promise that nothing was changed, and one that something was.
func (e *Error) honest() *Error {
	if e == nil {
		return nil
	}
	made := *e
	if made.Mutated == "" {
		made.Mutated = MutatedNo
	}
	switch made.Code {
	case CodeSchema, CodeUnsupported, CodeMode, CodeOpMismatch, CodeStale, CodeConflict, CodeBusy, CodeTransient:
		if made.Mutated != MutatedNo {
			made.Code = CodePartial
		}
	case CodePartial:
		if made.Mutated == MutatedNo {
			made.Code = CodeFailed
		}
	}
	return &made
}

// wire is the error as it is sent.
func (e *Error) wire() obj {
	out := obj{{"code", string(e.Code)}, {"message", valid(e.Message)}}
	if e.Path != "" {
		out = append(out, member{"path", valid(e.Path)})
	}
	mutated := e.Mutated
	if mutated == "" {
		mutated = MutatedNo
	}
	out = append(out, member{"mutated", string(mutated)})
	if e.Hint != "" {
		out = append(out, member{"hint", valid(e.Hint)})
	}
	return out
}

// Numbers of failures of requests as a whole.
const (
	rpcParse          = -32700
	rpcInvalidRequest = -32600
	rpcMethodNotFound = -32601
	rpcInvalidParams  = -32602
	rpcInternal       = -32603
	rpcNotInitialized = -32010
	rpcVersion        = -32011
	rpcTooLarge       = -32012
	rpcOverloaded     = -32013
	rpcCancelled      = -32014
)

// rpcError is the failure of a request as a whole.
type rpcError struct {
	code    int
	message string
	data    any
}

func failure(code int, format string, args ...any) *rpcError {
	return &rpcError{code: code, message: fmt.Sprintf(format, args...)}
}
