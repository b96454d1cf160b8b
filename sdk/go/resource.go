package rectify

import (
	"errors"
	"reflect"
	"strings"
	"time"
)

// Resource is a thing that can be looked at and brought into a state. Calls come
// from several goroutines at once.
//
// A resource may also be a [Planner], [Capturer], [Validator] or [Normalizer].
type Resource[T any] interface {
	// Read says what is there. Only the identity of id is set. Nil: it does not exist,
	// which is no error. It changes nothing.
	Read(cx *Cx, id T) (*T, error)
	// Apply makes the change, within [Step.Write].
	Apply(cx *Cx, s *Step[T]) (Applied[T], error)
}

// Planning is the plan of one step before it is answered. The SDK has filled it in:
// what the properties say, and for those that are left out what is there.
type Planning[T any] struct {
	// Found is the state to start from; nil: it does not exist.
	Found *T
	// Desired is what the properties say. It is zero where a state is brought back.
	Desired T
	// Restoring says that a state is brought back.
	Restoring bool
	// Planned is the state to be reached; nil: it should not exist.
	Planned *T
	// Prediction, Undo and UndoNote say how sure the plan is, how well the step can be
	// taken back, and what would be lost.
	Prediction, Undo, UndoNote string
	// Disruption lists `reload`, `restart` and `reboot`.
	Disruption []string
	// Resolved are keys, `kind:name`, that the step writes in truth, where links lead
	// elsewhere than the properties say.
	Resolved []string
	// Directories are predicted states of directories that earlier steps make; nil if
	// that is not known.
	Directories []any
}

// Planner is a resource that knows more of a plan than the SDK does. It is asked when
// planning and again before writing, and must answer alike.
type Planner[T any] interface {
	Plan(cx *Cx, p *Planning[T]) error
}

// Capturer is a resource that keeps something before it is changed which its state
// does not hold: see [Cx.KeepBeforeImage]. Nil: there is nothing to keep.
type Capturer[T any] interface {
	Capture(cx *Cx, found T) (*Digest, error)
}

// Type is a resource type: its name (`provider.kind`), the version of its schema and
// state, and what looks at and changes one.
func Type[T any](name string, version int, impl Resource[T], options ...Option) Kind {
	d := &descriptor{
		name: name, version: version, kind: "resource", prediction: "exact", retry: "converge", undo: "exact",
		readLimit: 30 * time.Second, applyLimit: 2 * time.Minute,
	}
	r := &resource[T]{codec: newCodec[T](d, options), impl: impl}
	if d.err == nil && !r.shape.hasIdentity() {
		d.err = errors.New("a resource has a field with the tag `rectify:\"identity\"`, which names it")
	}
	return r
}

type resource[T any] struct {
	codec[T]
	impl Resource[T]
}

func (r *resource[T]) kind() kind            { return r }
func (r *resource[T]) describe() *descriptor { return r.d }

// wish is what a step asks for: a state of its properties, or one that was there before.
type wish[T any] struct {
	properties[T]
	id        T
	restoring bool
	restored  map[string]any
}

func (r *resource[T]) wish(cx *Cx, desired map[string]any, reveal bool) (*wish[T], *Error) {
	w := &wish[T]{}
	var err *Error
	back, restoring := desired[restoreMember]
	if !restoring {
		if w.properties, err = r.codec.read(cx, desired, reveal); err != nil {
			return nil, err
		}
		if err := r.refine(cx, r.impl, &w.properties); err != nil {
			return nil, err
		}
		w.id = r.identityOf(w.value)
		return w, r.judge(cx, r.impl, desired)
	}
	w.restoring = true
	if w.id, err = r.lookedAt(cx, desired); err != nil {
		return nil, err
	}
	f := fieldsOf(back, "`"+restoreMember+"`")
	if f.has("state") {
		w.restored = f.object("state")
	}
	if f.err != nil {
		return nil, invalid(child("", restoreMember), "%v", f.err)
	}
	if w.restored != nil {
		value, err := r.fromState(w.restored)
		if err != nil {
			return nil, err
		}
		if !reflect.DeepEqual(r.identityOf(value), w.id) {
			return nil, invalid(child("", restoreMember), "the state is that of something else")
		}
	}
	return w, nil
}

// identityOf is the value with nothing but its identity.
func (r *resource[T]) identityOf(value T) T {
	var id T
	from, to := reflect.ValueOf(&value).Elem(), reflect.ValueOf(&id).Elem()
	for _, f := range r.shape.fields {
		if f.identity {
			to.Field(f.index).Set(from.Field(f.index))
		}
	}
	return id
}

// look reads the state now.
func (r *resource[T]) look(cx *Cx, id T) (*T, map[string]any, *Error) {
	found, err := r.impl.Read(cx, id)
	if err != nil {
		return nil, nil, asError(err, "")
	}
	state, failed := r.state(cx, found)
	return found, state, failed
}

// goal is the plan for a state: pure, and the same when planning and when writing.
func (r *resource[T]) goal(cx *Cx, w *wish[T], found *T, state map[string]any, directories []any) (*Planning[T], map[string]any, *Error) {
	p := &Planning[T]{
		Found: found, Desired: w.value, Restoring: w.restoring, Prediction: r.d.prediction, Undo: r.d.undo,
		Directories: directories,
	}
	tree := w.restored
	if !w.restoring && !w.absent {
		var err *Error
		if tree, err = r.merge(cx, w, state); err != nil {
			return nil, nil, err
		}
	}
	if tree != nil {
		value, err := r.fromState(tree)
		if err != nil {
			return nil, nil, err
		}
		r.lendSecrets(cx, &value, &w.value, found)
		p.Planned = &value
	}
	if found != nil && len(r.shape.secrets()) > 1 && p.Undo == "exact" {
		p.Undo, p.UndoNote = "none", "more than one secret is not kept"
	}
	if planner, ok := r.impl.(Planner[T]); ok {
		if err := planner.Plan(cx, p); err != nil {
			return nil, nil, asError(err, "")
		}
		var err *Error
		if tree, err = r.state(cx, p.Planned); err != nil {
			return nil, nil, err
		}
	}
	return p, tree, nil
}

// merge is what the properties say, and for those that are left out what is there.
func (r *resource[T]) merge(cx *Cx, w *wish[T], state map[string]any) (map[string]any, *Error) {
	said, err := r.state(cx, &w.value)
	if err != nil {
		return nil, err
	}
	want := map[string]any{}
	for _, f := range r.shape.fields {
		value, there := said[f.name]
		if asked := w.tree[f.name] != nil; !f.computed && (asked || f.identity) {
			if there {
				want[f.name] = value
			}
			continue
		}
		if old, was := state[f.name]; was {
			want[f.name] = old
		} else if there && !f.computed {
			want[f.name] = value
		}
	}
	return want, nil
}

// lendSecrets gives a planned value the texts of its secrets, as far as they are at hand.
func (r *resource[T]) lendSecrets(cx *Cx, planned *T, lenders ...*T) {
	for _, f := range r.shape.secrets() {
		field := reflect.ValueOf(planned).Elem().Field(f.index)
		want := getSecret(field)
		for _, lender := range lenders {
			if lender == nil || !want.present || want.known || cx.settings.digestKey == nil {
				continue
			}
			have := getSecret(reflect.ValueOf(lender).Elem().Field(f.index))
			if have.known && cx.settings.digestKey.digest([]byte(have.text)) == want.digest {
				setSecret(field, have)
				break
			}
		}
	}
}

// fetchSecrets gets from the before-images what is not at hand.
func (r *resource[T]) fetchSecrets(cx *Cx, planned *T) *Error {
	if planned == nil {
		return nil
	}
	for _, f := range r.shape.secrets() {
		field := reflect.ValueOf(planned).Elem().Field(f.index)
		want := getSecret(field)
		if !want.present || want.known {
			continue
		}
		content, err := cx.ReadSecretBlob(want.digest)
		if err != nil {
			return asError(err, "")
		}
		setSecret(field, NewSecret(string(content)))
	}
	return nil
}

func (r *resource[T]) validate(cx *Cx, i *item) *Error {
	if _, restoring := i.desired[restoreMember]; restoring {
		_, err := r.wish(cx, i.desired, false)
		return err
	}
	return r.codec.validate(cx, r.impl, i.desired)
}

func (r *resource[T]) normalize(cx *Cx, i *item) (map[string]any, *Error) {
	if _, restoring := i.desired[restoreMember]; restoring {
		return i.desired, nil
	}
	return r.codec.normalize(cx, r.impl, i.desired)
}

func (r *resource[T]) read(cx *Cx, i *item) (obj, *Error) {
	id, err := r.lookedAt(cx, i.desired)
	if err != nil {
		return nil, err
	}
	found, state, err := r.look(cx, id)
	if err != nil {
		return nil, err
	}
	out := obj{}
	if state != nil {
		out = append(out, member{"state", state})
	}
	if i.capture && found != nil {
		kept, err := r.capture(cx, found)
		if err != nil {
			return nil, err
		}
		if kept != nil {
			out = append(out, member{"before_image", kept.String()})
		}
	}
	return out, nil
}

// lookedAt is the identity of what is to be looked at. What else the properties say
// must not matter, so they are not checked.
func (r *resource[T]) lookedAt(cx *Cx, desired map[string]any) (T, *Error) {
	id, err := r.identity(desired)
	if err != nil {
		return id, err
	}
	p := properties[T]{value: id}
	if err := r.refine(cx, r.impl, &p); err != nil {
		return id, err
	}
	return r.identityOf(p.value), nil
}

func (r *resource[T]) capture(cx *Cx, found *T) (*Digest, *Error) {
	if capturer, ok := r.impl.(Capturer[T]); ok {
		digest, err := capturer.Capture(cx, *found)
		return digest, asError(err, "")
	}
	secrets := r.shape.secrets()
	if len(secrets) != 1 {
		return nil, nil
	}
	secret := getSecret(reflect.ValueOf(found).Elem().Field(secrets[0].index))
	if !secret.known {
		return nil, nil
	}
	digest, err := cx.KeepSecretBeforeImage(strings.NewReader(secret.text))
	if err != nil {
		return nil, asError(err, "")
	}
	return &digest, nil
}

func (r *resource[T]) plan(cx *Cx, i *item) (obj, *Error) {
	w, err := r.wish(cx, i.desired, true)
	if err != nil {
		return nil, err
	}
	var found *T
	state := i.prior
	if i.hasPrior {
		if state != nil {
			value, err := r.fromState(state)
			if err != nil {
				return nil, err
			}
			found = &value
		}
	} else if found, state, err = r.look(cx, w.id); err != nil {
		return nil, err
	}
	p, planned, err := r.goal(cx, w, found, state, i.directories)
	if err != nil {
		return nil, err
	}
	before, err := r.d.fingerprint(state)
	if err != nil {
		return nil, err
	}
	after, err := r.d.fingerprint(planned)
	if err != nil {
		return nil, err
	}
	opaque := p.Prediction == "opaque"
	if before == after && !opaque {
		return unchanged(state, p.Resolved), nil
	}
	if opaque {
		planned = nil
	}
	return changed(state, planned, p.Prediction, p.Disruption, p.Undo, p.UndoNote, p.Resolved), nil
}

func unchanged(state map[string]any, resolved []string) obj {
	out := obj{}
	if state != nil {
		out = append(out, member{"state", state})
	}
	if len(resolved) > 0 {
		out = append(out, member{"resolved", resolved})
	}
	return obj{{"unchanged", out}}
}

func changed(prior, planned map[string]any, prediction string, disruption []string, undo, note string, resolved []string) obj {
	out := obj{}
	if prior != nil {
		out = append(out, member{"prior", prior})
	}
	if planned != nil {
		out = append(out, member{"planned", planned})
	}
	out = append(out, member{"prediction", prediction})
	if len(disruption) > 0 {
		out = append(out, member{"disruption", disruption})
	}
	out = append(out, member{"undo", undo})
	if note != "" {
		out = append(out, member{"undo_note", note})
	}
	if len(resolved) > 0 {
		out = append(out, member{"resolved", resolved})
	}
	return obj{{"changed", out}}
}

func (r *resource[T]) apply(cx *Cx, op *operation) outcome {
	if r.d.retry == "converge" {
		return r.carryOut(cx, op)
	}
	return cx.throughLedger(func() outcome { return r.carryOut(cx, op) })
}

func (r *resource[T]) carryOut(cx *Cx, op *operation) outcome {
	w, err := r.wish(cx, op.desired, true)
	if err != nil {
		err.Mutated = MutatedNo
		return outcome{err: err}
	}
	s := &Step[T]{ID: w.id, Desired: w.value, Restoring: w.restoring, Action: op.action, kind: r, cx: cx, op: op, wish: w, mutated: MutatedNo}
	_, failed := r.impl.Apply(cx, s)
	switch {
	case failed != nil:
		return outcome{err: asError(failed, s.mutated)}
	case s.done == nil:
		return outcome{err: Errorf(CodeInternal, "the provider ended a step without Write").Having(MutatedMaybe)}
	}
	return outcome{applied: s.done}
}

// Applied is what a step came to.
type Applied[T any] struct {
	// State is the state afterwards; nil: it does not exist.
	State *T
	// Already says that it was as planned already, and nothing was written.
	Already bool
}

// Step is one operation.
type Step[T any] struct {
	// ID names the thing.
	ID T
	// Desired is what the properties say, with those that are no part of the state. It
	// is zero where a state is brought back.
	Desired T
	// Restoring says that a state is brought back.
	Restoring bool
	// Action is `create`, `update`, `replace` or `delete`.
	Action string

	kind    *resource[T]
	cx      *Cx
	op      *operation
	wish    *wish[T]
	mutated Mutated
	done    *applied
}

// Write makes the change if the state is as the plan expects: it looks again, calls
// change only then, and looks once more. Change gets what was found (nil: it does not
// exist) and what is to be there (nil: it should not exist). If it fails, the SDK
// looks, and says truthfully whether something was changed.
func (s *Step[T]) Write(change func(found, want *T) error) (Applied[T], error) {
	var none Applied[T]
	if s.mutated != MutatedNo || s.done != nil {
		return none, Errorf(CodeInternal, "Write is called once")
	}
	r, cx := s.kind, s.cx
	found, state, err := r.look(cx, s.wish.id)
	if err != nil {
		return none, err
	}
	before, err := r.d.fingerprint(state)
	if err != nil {
		return none, err
	}
	already := func() (Applied[T], error) {
		s.done = &applied{status: statusAlready, state: state}
		return Applied[T]{State: found, Already: true}, nil
	}
	switch {
	case before == s.op.expect:
	case s.op.result != nil && before == *s.op.result:
		return already()
	default:
		return none, Errorf(CodeStale,
			"the state is neither the one that the plan expects nor the one that it leads to").WithHint("make a new plan")
	}
	p, planned, err := r.goal(cx, s.wish, found, state, nil)
	if err != nil {
		return none, err
	}
	after, err := r.d.fingerprint(planned)
	if err != nil {
		return none, err
	}
	if s.op.result != nil && after != *s.op.result {
		return none, Errorf(CodeStale, "what would be written is not what the plan says").WithHint("make a new plan")
	}
	if after == before && p.Prediction != "opaque" {
		return already()
	}
	if err := r.fetchSecrets(cx, p.Planned); err != nil {
		return none, err
	}
	if cx.Cancelled() {
		return none, Errorf(CodeCancelled, "cancelled before anything was changed")
	}
	s.mutated = MutatedMaybe
	failed := change(found, p.Planned)
	now, state, err := r.look(cx, s.wish.id)
	if failed != nil {
		// What can be seen proves a change, but never that there was none.
		if print, unseen := r.d.fingerprint(state); err == nil && unseen == nil && print != before {
			s.mutated = MutatedYes
			made := asError(failed, MutatedYes)
			// What is seen counts for more than what is said.
			return none, made.Having(MutatedYes)
		}
		return none, failed
	}
	s.mutated = MutatedYes
	if err != nil {
		return none, err
	}
	s.done = &applied{status: statusApplied, state: state}
	return Applied[T]{State: now}, nil
}
