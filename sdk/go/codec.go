package rectify

import (
	"reflect"
	"sort"
)

// codec turns properties and states into the struct of a type, and back.
type codec[T any] struct {
	d     *descriptor
	shape *shape
}

func newCodec[T any](d *descriptor, options []Option) codec[T] {
	c := codec[T]{d: d}
	var zero T
	t := reflect.TypeOf(&zero).Elem()
	c.shape, d.err = shapeOf(t)
	if d.err == nil {
		c.shape.describe(d)
		schema, err := c.shape.schemaOf(t)
		d.schema, d.err = schema, err
	}
	failed := d.err
	if failed != nil && c.shape != nil {
		// A schema that is given makes up for one that cannot be made.
		d.schema, d.err = nil, nil
	}
	d.finish(options)
	if failed != nil && (c.shape == nil || len(d.schema) == 0) {
		d.err = failed
	}
	return c
}

func (c codec[T]) validator() validator { return validator{c.d.schema} }

// properties are those of a step, read and checked.
type properties[T any] struct {
	value T
	// As they are meant, defaults filled in; secrets among them.
	tree map[string]any
	// The thing should not exist.
	absent bool
}

// read checks properties by their schema and reads them.
func (c codec[T]) read(cx *Cx, desired map[string]any, reveal bool) (properties[T], *Error) {
	var p properties[T]
	places := map[string]bool{}
	for _, f := range c.shape.secrets() {
		places[child("", f.name)] = true
	}
	for _, place := range secretPlaces(desired, "") {
		if !places[place] {
			return p, invalid(place, "this property does not take a secret")
		}
	}
	meant, err := cx.settings.standInFor(desired)
	if err == nil && reveal {
		meant, err = cx.settings.revealed(desired)
	}
	if err != nil {
		return p, err
	}
	p.tree, _ = c.validator().fill(c.d.schema, meant).(map[string]any)
	if err := c.validator().check(c.d.schema, p.tree, ""); err != nil {
		return p, err
	}
	for _, f := range c.shape.fields {
		if items, ok := p.tree[f.name].([]any); ok && f.set {
			p.tree[f.name] = sorted(items)
		}
	}
	p.value, err = c.fromProperties(p.tree)
	if err != nil {
		return p, err
	}
	if f := c.shape.ensure; f != nil {
		p.absent = p.tree[f.name] == "absent"
	}
	return p, nil
}

func (c codec[T]) fromProperties(tree map[string]any) (T, *Error) {
	return c.decode(tree, func(text string) (Secret, *Error) { return NewSecret(text), nil })
}

// fromState reads a state as a provider answered it. Of its secrets only the digests are known.
func (c codec[T]) fromState(tree map[string]any) (T, *Error) {
	return c.decode(tree, func(text string) (Secret, *Error) {
		digest, err := ParseDigest(text)
		if err != nil {
			return Secret{}, Errorf(CodeSchema, "the state has no digest where a secret belongs")
		}
		return Secret{digest: digest, present: true}, nil
	})
}

func (c codec[T]) decode(tree map[string]any, secret func(string) (Secret, *Error)) (T, *Error) {
	var value T
	plain := make(map[string]any, len(tree))
	for name, inner := range tree {
		plain[name] = inner
	}
	v := reflect.ValueOf(&value).Elem()
	for _, f := range c.shape.secrets() {
		delete(plain, f.name)
	}
	if err := fromTree(plain, &value); err != nil {
		return value, Errorf(CodeSchema, "this cannot be read: %v", err)
	}
	for _, f := range c.shape.secrets() {
		text, there := tree[f.name].(string)
		if !there {
			continue
		}
		made, err := secret(text)
		if err != nil {
			return value, err.At(child("", f.name))
		}
		setSecret(v.Field(f.index), made)
	}
	return value, nil
}

func setSecret(field reflect.Value, secret Secret) {
	if field.Kind() == reflect.Pointer {
		field.Set(reflect.ValueOf(&secret))
	} else {
		field.Set(reflect.ValueOf(secret))
	}
}

func getSecret(field reflect.Value) Secret {
	if field.Kind() == reflect.Pointer {
		if field.IsNil() {
			return Secret{}
		}
		field = field.Elem()
	}
	secret, _ := field.Interface().(Secret)
	return secret
}

// identity checks the properties that name the thing, and nothing else.
func (c codec[T]) identity(desired map[string]any) (T, *Error) {
	var id T
	schemas, _ := c.d.schema["properties"].(map[string]any)
	v := reflect.ValueOf(&id).Elem()
	for _, f := range c.shape.fields {
		if !f.identity {
			continue
		}
		text, ok := desired[f.name].(string)
		if !ok {
			return id, invalid(child("", f.name), "expected a text that names the thing")
		}
		if err := c.validator().check(schemas[f.name], text, child("", f.name)); err != nil {
			return id, err
		}
		v.Field(f.index).SetString(text)
	}
	return id, nil
}

// state is the state that a struct says, in the form in which it is compared: sets
// sorted, what is absent left out, secrets as keyed digests.
func (c codec[T]) state(cx *Cx, value *T) (map[string]any, *Error) {
	if value == nil {
		return nil, nil
	}
	wrong := func(err error) *Error { return Errorf(CodeInternal, "the state has no form in JSON: %v", err) }
	tree, err := toTree(*value)
	if err != nil {
		return nil, wrong(err)
	}
	members, ok := tree.(map[string]any)
	if !ok {
		return nil, Errorf(CodeInternal, "a state is an object")
	}
	v := reflect.ValueOf(value).Elem()
	for _, f := range c.shape.fields {
		inner := members[f.name]
		switch {
		case !f.inState():
			delete(members, f.name)
		case f.secret:
			delete(members, f.name)
			secret := getSecret(v.Field(f.index))
			if !secret.present {
				continue
			}
			if secret.known {
				if cx.settings.digestKey == nil {
					return nil, Errorf(CodeUnsupported,
						"a secret can be named only by its digest under a key, and there is none").At(child("", f.name))
				}
				secret.digest = cx.settings.digestKey.digest([]byte(secret.text))
			}
			members[f.name] = secret.digest.String()
		case inner == nil && !f.optional && v.Field(f.index).Kind() == reflect.Slice:
			// Nothing in a list that is always there is an empty list.
			members[f.name] = []any{}
		case inner == nil:
			delete(members, f.name)
		case f.set:
			members[f.name] = sorted(list(inner))
		}
	}
	members, ok = cx.settings.hides.value(members).(map[string]any)
	if !ok {
		return nil, Errorf(CodeInternal, "a state is an object")
	}
	return members, nil
}

// sorted is a list of texts in order, each once. An empty one stays a list.
func sorted(items []any) []any {
	words := make([]string, 0, len(items))
	for _, item := range items {
		if word, ok := item.(string); ok {
			words = append(words, word)
		}
	}
	sort.Strings(words)
	out := []any{}
	for i, word := range words {
		if i == 0 || words[i-1] != word {
			out = append(out, word)
		}
	}
	return out
}

// Validator is what a provider implements that has rules which a schema cannot say
// well. Secrets are stand-ins here. An error that is no [Error] is SCHEMA.
type Validator[T any] interface {
	Validate(cx *Cx, properties T) error
}

// Normalizer is what a provider implements whose properties have several spellings:
// it brings them into the one form that states have. Pure, and its own fixed point.
// It is also given values of which only the identity is set.
type Normalizer[T any] interface {
	Normalize(cx *Cx, properties *T) error
}

func (c codec[T]) refine(cx *Cx, impl any, p *properties[T]) *Error {
	normalizer, ok := impl.(Normalizer[T])
	if !ok {
		return nil
	}
	before, err := c.plain(p.value)
	if err != nil {
		return err
	}
	if err := normalizer.Normalize(cx, &p.value); err != nil {
		return schemaError(err)
	}
	after, err := c.plain(p.value)
	if err != nil {
		return err
	}
	tree := make(map[string]any, len(p.tree))
	for name, value := range p.tree {
		tree[name] = value
	}
	for name, value := range after {
		// What it fills in is as good as written.
		if value != nil && !equal(before[name], value) {
			tree[name] = value
		}
	}
	p.tree = tree
	return nil
}

func schemaError(err error) *Error {
	made := asError(err, "")
	if made.Code == CodeFailed {
		made.Code = CodeSchema
	}
	return made
}

// validate checks properties by their schema and the provider's own rules.
func (c codec[T]) validate(cx *Cx, impl any, desired map[string]any) *Error {
	p, err := c.read(cx, desired, false)
	if err != nil {
		return err
	}
	if err := c.refine(cx, impl, &p); err != nil {
		return err
	}
	if validator, ok := impl.(Validator[T]); ok {
		if err := validator.Validate(cx, p.value); err != nil {
			return schemaError(err)
		}
	}
	return nil
}

// judge is validate for properties that were read: only the provider's own rules are left.
func (c codec[T]) judge(cx *Cx, impl any, desired map[string]any) *Error {
	if _, ok := impl.(Validator[T]); !ok {
		return nil
	}
	return c.validate(cx, impl, desired)
}

// normalize is the canonical form of properties: what the provider's own rule
// changes, and sets in order. Secrets stay named.
func (c codec[T]) normalize(cx *Cx, impl any, desired map[string]any) (map[string]any, *Error) {
	p, err := c.read(cx, desired, false)
	if err != nil {
		return nil, err
	}
	before, err := c.plain(p.value)
	if err != nil {
		return nil, err
	}
	if err := c.refine(cx, impl, &p); err != nil {
		return nil, err
	}
	after, err := c.plain(p.value)
	if err != nil {
		return nil, err
	}
	out := make(map[string]any, len(desired))
	for name, value := range desired {
		out[name] = value
	}
	for _, f := range c.shape.fields {
		old, new := before[f.name], after[f.name]
		switch {
		case f.secret:
		case !equal(old, new) && new == nil:
			delete(out, f.name)
		case !equal(old, new):
			out[f.name] = new
		}
		if items, ok := out[f.name].([]any); ok && f.set {
			out[f.name] = sorted(items)
		}
	}
	return out, nil
}

func (c codec[T]) plain(value T) (map[string]any, *Error) {
	tree, err := toTree(value)
	members, ok := tree.(map[string]any)
	if err != nil || !ok {
		return nil, Errorf(CodeInternal, "the properties have no form in JSON: %v", err)
	}
	return members, nil
}
