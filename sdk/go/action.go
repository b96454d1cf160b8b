package rectify

import "time"

// Action is something that is done at most once per permission, over crashes and
// redeliveries: the SDK claims it durably before Run, and records what came of it.
//
// An action may also be a [Guard], [Undoer], [Validator] or [Normalizer].
type Action[T any] interface {
	// Run does it. The output is for the record; nil where there is none. An error says
	// with [Unchanged] or [Error.Having] if it is known that nothing was done; otherwise
	// something may have been.
	Run(cx *Cx, properties T) (*Output, error)
}

// Guard is an action that can be seen to have been done. Without one, nothing can be
// said of what the action leaves behind.
type Guard[T any] interface {
	// Done says whether there is nothing to do. It changes nothing.
	Done(cx *Cx, properties T) (bool, error)
}

// Undoer is an action that can be taken back, by another one that runs at most once.
type Undoer[T any] interface {
	Undo(cx *Cx, properties T) (*Output, error)
}

// Do is an action type: its name (`provider.kind`), the version of its schema, and
// what does it. Its retry class is `once`.
func Do[T any](name string, version int, impl Action[T], options ...Option) Kind {
	d := &descriptor{
		name: name, version: version, kind: "action", prediction: "opaque", retry: "once", undo: "none",
		readLimit: 30 * time.Second, applyLimit: 10 * time.Minute,
	}
	if _, ok := impl.(Guard[T]); ok {
		d.prediction = "conditional"
	}
	if _, ok := impl.(Undoer[T]); ok {
		d.undo = "lossy"
	}
	return &action[T]{codec: newCodec[T](d, options), impl: impl}
}

type action[T any] struct {
	codec[T]
	impl Action[T]
}

func (a *action[T]) kind() kind            { return a }
func (a *action[T]) describe() *descriptor { return a.d }

// wish reads the properties, and whether the way back is asked for.
func (a *action[T]) wish(cx *Cx, desired map[string]any, reveal bool) (properties[T], bool, *Error) {
	back := false
	if mark, asked := desired[undoMember]; asked {
		if mark != true {
			return properties[T]{}, false, invalid("", "`%s` is true, or is not there", undoMember)
		}
		if _, can := a.impl.(Undoer[T]); !can {
			return properties[T]{}, false, Errorf(CodeUnsupported, "the action declares nothing that takes it back")
		}
		back = true
		desired = forward(desired)
	}
	p, err := a.properties(cx, desired, reveal)
	return p, back, err
}

// forward is the properties without the wish for the way back.
func forward(desired map[string]any) map[string]any {
	rest := make(map[string]any, len(desired))
	for name, value := range desired {
		if name != undoMember {
			rest[name] = value
		}
	}
	return rest
}

func (a *action[T]) properties(cx *Cx, desired map[string]any, reveal bool) (properties[T], *Error) {
	p, err := a.codec.read(cx, desired, reveal)
	if err == nil {
		err = a.refine(cx, a.impl, &p)
	}
	return p, err
}

// look is the state of an action: that of its guard.
func (a *action[T]) look(cx *Cx, p properties[T]) (done bool, state map[string]any, err *Error) {
	guard, ok := a.impl.(Guard[T])
	if !ok {
		return false, map[string]any{}, nil
	}
	done, failed := guard.Done(cx, p.value)
	if failed != nil {
		return false, nil, asError(failed, "")
	}
	return done, guardState(done), nil
}

func guardState(done bool) map[string]any { return map[string]any{"done": done} }

func (a *action[T]) validate(cx *Cx, i *item) *Error {
	_, back, err := a.wish(cx, i.desired, false)
	if err != nil || back {
		return err
	}
	return a.codec.validate(cx, a.impl, i.desired)
}

func (a *action[T]) normalize(cx *Cx, i *item) (map[string]any, *Error) {
	if _, back := i.desired[undoMember]; back {
		return i.desired, nil
	}
	return a.codec.normalize(cx, a.impl, i.desired)
}

func (a *action[T]) read(cx *Cx, i *item) (obj, *Error) {
	p, _, err := a.wish(cx, i.desired, false)
	if err != nil {
		return nil, err
	}
	_, state, err := a.look(cx, p)
	return obj{{"state", state}}, err
}

func (a *action[T]) plan(cx *Cx, i *item) (obj, *Error) {
	p, back, err := a.wish(cx, i.desired, false)
	if err != nil {
		return nil, err
	}
	if err := a.judge(cx, a.impl, forward(i.desired)); err != nil {
		return nil, err
	}
	if i.hasPrior {
		return nil, Errorf(CodeUnsupported, "an action cannot be predicted on the result of another step")
	}
	done, state, err := a.look(cx, p)
	if err != nil {
		return nil, err
	}
	_, guarded := a.impl.(Guard[T])
	if guarded && done != back {
		return unchanged(state, nil), nil
	}
	prediction, planned := "opaque", map[string]any(nil)
	if guarded {
		prediction, planned = "conditional", guardState(!back)
	}
	undo, note := a.d.undo, "it is taken back by its own action"
	switch {
	case back:
		undo, note = "none", "it takes an action back, which is not taken back in turn"
	case undo == "none":
		note = "the action declares nothing that takes it back"
	}
	return changed(state, planned, prediction, nil, undo, note, nil), nil
}

func (a *action[T]) apply(cx *Cx, op *operation) outcome {
	p, back, err := a.wish(cx, op.desired, true)
	if err == nil {
		err = a.judge(cx, a.impl, forward(op.desired))
	}
	if err != nil {
		return outcome{err: err}
	}
	l, err := openLedger(cx.settings.dirs.State)
	if err != nil {
		return outcome{err: err}
	}
	// A claim decides alone: what the guard says afterwards may be the action's own doing.
	status, done, err := l.status(op.id)
	if err != nil {
		return outcome{err: err}
	}
	if status == statusNeverSeen || (done != nil && done.mayRunAgain()) {
		settled, err := a.settled(cx, op, p, back)
		if err != nil {
			return outcome{err: err}
		}
		if settled != nil {
			return outcome{applied: settled}
		}
	}
	return cx.throughLedger(func() outcome { return a.carryOut(cx, p, back) })
}

// settled is the answer where there is nothing to do.
func (a *action[T]) settled(cx *Cx, op *operation, p properties[T], back bool) (*applied, *Error) {
	done, state, err := a.look(cx, p)
	if err != nil {
		return nil, err
	}
	found, err := a.d.fingerprint(state)
	if err != nil {
		return nil, err
	}
	_, guarded := a.impl.(Guard[T])
	already := &applied{status: statusAlready, state: state}
	switch {
	case guarded && done != back:
		return already, nil
	case found == op.expect:
		return nil, nil
	case op.result != nil && found == *op.result:
		return already, nil
	}
	return nil, Errorf(CodeStale,
		"the state is neither the one that the plan expects nor the one that it leads to").WithHint("make a new plan")
}

func (a *action[T]) carryOut(cx *Cx, p properties[T], back bool) outcome {
	run := a.impl.Run
	if undoer, ok := a.impl.(Undoer[T]); ok && back {
		run = undoer.Undo
	}
	output, failed := run(cx, p.value)
	if failed != nil {
		return outcome{err: asError(failed, MutatedMaybe)}
	}
	done, state, err := a.look(cx, p)
	if err != nil {
		return outcome{err: err.Having(MutatedYes)}
	}
	if _, guarded := a.impl.(Guard[T]); guarded && done == back {
		return outcome{err: Errorf(CodePartial, "the action ended, and nothing shows that it was done").Having(MutatedYes)}
	}
	return outcome{applied: &applied{status: statusApplied, state: state, output: output}}
}
