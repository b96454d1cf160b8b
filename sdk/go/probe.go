package rectify

import "time"

// Probe is a question with the answer yes or no. It changes nothing.
//
// A probe may also be a [Validator] or [Normalizer].
type Probe[T any] interface {
	// Ask answers, with a sentence for people. An error says that it cannot be decided.
	Ask(cx *Cx, properties T) (yes bool, sentence string, err error)
}

// Ask is a probe type: its name (`provider.kind`), the version of its schema, and who answers.
func Ask[T any](name string, version int, impl Probe[T], options ...Option) Kind {
	d := &descriptor{
		name: name, version: version, kind: "probe", prediction: "exact", retry: "converge", undo: "none",
		volatile: []string{"/detail"}, readLimit: 30 * time.Second, applyLimit: 30 * time.Second,
	}
	return &probe[T]{codec: newCodec[T](d, options), impl: impl}
}

type probe[T any] struct {
	codec[T]
	impl Probe[T]
}

func (p *probe[T]) kind() kind            { return p }
func (p *probe[T]) describe() *descriptor { return p.d }

func (p *probe[T]) ask(cx *Cx, i *item) (map[string]any, *Error) {
	asked, err := p.codec.read(cx, i.desired, true)
	if err == nil {
		err = p.refine(cx, p.impl, &asked)
	}
	if err == nil {
		err = p.judge(cx, p.impl, i.desired)
	}
	if err != nil {
		return nil, err
	}
	yes, sentence, failed := p.impl.Ask(cx, asked.value)
	if failed != nil {
		return nil, asError(failed, MutatedNo)
	}
	return map[string]any{"ok": yes, "detail": cx.out.clean(sentence)}, nil
}

func (p *probe[T]) validate(cx *Cx, i *item) *Error { return p.codec.validate(cx, p.impl, i.desired) }

func (p *probe[T]) normalize(cx *Cx, i *item) (map[string]any, *Error) {
	return p.codec.normalize(cx, p.impl, i.desired)
}

func (p *probe[T]) read(cx *Cx, i *item) (obj, *Error) {
	state, err := p.ask(cx, i)
	return obj{{"state", state}}, err
}

func (p *probe[T]) plan(cx *Cx, i *item) (obj, *Error) {
	state, err := p.ask(cx, i)
	if err != nil {
		return nil, err
	}
	if state["ok"] != true {
		return nil, Errorf(CodeFailed, "%v", state["detail"])
	}
	return unchanged(state, nil), nil
}

func (p *probe[T]) apply(*Cx, *operation) outcome {
	return outcome{err: Errorf(CodeUnsupported, "`%s` is a question; it changes nothing", p.d.name)}
}
