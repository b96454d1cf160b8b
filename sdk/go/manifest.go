package rectify

import (
	"fmt"
	"sort"
	"strings"
	"time"
)

const manifestFormat = "rectify.manifest/v1"

// touch says that a property names something that a step touches.
type touch struct{ property, kind, access string }

// descriptor is what the manifest says of a type.
type descriptor struct {
	name        string
	version     int
	kind        string
	summary     string
	schema      map[string]any
	volatile    []string
	touches     []touch
	prediction  string
	retry       string
	undo        string
	compareSwap bool
	readLimit   time.Duration
	applyLimit  time.Duration

	err error
}

// Option says more of a type than its struct does.
type Option func(*descriptor)

// Summary is one sentence that says what the type is.
func Summary(text string) Option { return func(d *descriptor) { d.summary = text } }

// Schema replaces the schema that is made from the struct: a JSON Schema 2020-12 of
// the properties, a closed object.
func Schema(text string) Option {
	return func(d *descriptor) {
		value, err := parseStrict([]byte(text))
		schema, ok := value.(map[string]any)
		switch {
		case err != nil:
			d.err = fmt.Errorf("the schema: %w", err)
		case !ok:
			d.err = fmt.Errorf("the schema is not an object")
		default:
			d.schema = schema
		}
	}
}

// Timeouts are the longest times for a look and for a change. By default 30 s and two minutes.
func Timeouts(read, apply time.Duration) Option {
	return func(d *descriptor) { d.readLimit, d.applyLimit = read, apply }
}

// Prediction is the best prediction: `exact` (the default of a resource), `conditional` or `opaque`.
func Prediction(grade string) Option { return func(d *descriptor) { d.prediction = grade } }

// Undo is the best undo: `exact` (the default of a resource), `lossy` or `none`.
func Undo(grade string) Option { return func(d *descriptor) { d.undo = grade } }

// Retry is the retry class: `converge` (the default of a resource), `query` or `once` (that of an
// action). All but `converge` go through the ledger.
func Retry(class string) Option { return func(d *descriptor) { d.retry = class } }

// CompareAndSwap says that the expectation is compared inside the change itself: nothing can come
// between. [Step.Write] alone compares right before, which leaves a small window.
func CompareAndSwap() Option { return func(d *descriptor) { d.compareSwap = true } }

// Volatile names members of the state, by JSON Pointers, that take no part in fingerprints. For
// members of the struct itself there is the tag `volatile`.
func Volatile(pointers ...string) Option {
	return func(d *descriptor) { d.volatile = append(d.volatile, pointers...) }
}

// Touches says that a property, by JSON Pointer, names something of this kind that a step touches
// with this access, `read` or `write`. For members of the struct itself there is the tag `touch`.
func Touches(property, kind, access string) Option {
	return func(d *descriptor) { d.touches = append(d.touches, touch{property, kind, access}) }
}

func (d *descriptor) finish(options []Option) {
	for _, option := range options {
		option(d)
	}
	if d.err == nil {
		d.err = d.check()
	}
}

func (d *descriptor) check() error {
	oneOf := func(what, word string, words ...string) error {
		for _, known := range words {
			if word == known {
				return nil
			}
		}
		return fmt.Errorf("%s is one of %s, not `%s`", what, strings.Join(words, ", "), word)
	}
	for _, err := range []error{
		oneOf("the prediction", d.prediction, "exact", "conditional", "opaque"),
		oneOf("the retry class", d.retry, "converge", "query", "once"),
		oneOf("the undo grade", d.undo, "exact", "lossy", "none"),
		checkSchema(d.schema, d.schema, ""),
	} {
		if err != nil {
			return err
		}
	}
	if !typeNamePattern.MatchString(d.name) {
		return fmt.Errorf("a type is called `provider.kind`, each of a-z, 0-9 and `_`, beginning with a letter")
	}
	if d.version < 1 {
		return fmt.Errorf("the version of a type is at least 1")
	}
	if d.schema["type"] != "object" || d.schema["additionalProperties"] != false {
		return fmt.Errorf("the schema is not a closed object")
	}
	return nil
}

func (d *descriptor) wire() obj {
	out := obj{
		{"name", d.name}, {"version", d.version}, {"kind", d.kind}, {"summary", d.summary}, {"schema", d.schema},
	}
	if len(d.volatile) > 0 {
		out = append(out, member{"volatile", d.volatile})
	}
	if len(d.touches) > 0 {
		var rules []any
		for _, t := range d.touches {
			rules = append(rules, obj{{"property", t.property}, {"kind", t.kind}, {"access", t.access}})
		}
		out = append(out, member{"touches", rules})
	}
	return append(out, obj{
		{"prediction", d.prediction}, {"retry", d.retry}, {"undo", d.undo}, {"compare_and_swap", d.compareSwap},
		{"read_timeout_ms", d.readLimit.Milliseconds()}, {"apply_timeout_ms", d.applyLimit.Milliseconds()},
	}...)
}

// fingerprint is that of a state of the type.
func (d *descriptor) fingerprint(state map[string]any) (Digest, *Error) {
	var tree any
	if state != nil {
		tree = state
	}
	digest, err := fingerprint(d.name, d.version, tree, d.volatile)
	if err != nil {
		return digest, Errorf(CodeInternal, "the state has no fingerprint: %v", err)
	}
	return digest, nil
}

// provider is all that one executable serves.
type provider struct {
	name, version string
	kinds         map[string]kind
	manifest      obj
	file          []byte
	digest        Digest
}

// Kind is one type of a provider: made by [Type] or [Action].
type Kind interface{ kind() kind }

// kind is what a type does with requests.
type kind interface {
	describe() *descriptor
	validate(cx *Cx, i *item) *Error
	normalize(cx *Cx, i *item) (map[string]any, *Error)
	read(cx *Cx, i *item) (obj, *Error)
	plan(cx *Cx, i *item) (obj, *Error)
	apply(cx *Cx, op *operation) outcome
}

func newProvider(name, version string, kinds []Kind) (*provider, error) {
	p := &provider{name: name, version: version, kinds: map[string]kind{}}
	names := []string{}
	for _, one := range kinds {
		k := one.kind()
		d := k.describe()
		if d.err != nil {
			return nil, fmt.Errorf("the type `%s`: %w", d.name, d.err)
		}
		if _, twice := p.kinds[d.name]; twice {
			return nil, fmt.Errorf("two types are called `%s`", d.name)
		}
		p.kinds[d.name] = k
		names = append(names, d.name)
	}
	sort.Strings(names)
	types := []any{}
	for _, name := range names {
		types = append(types, p.kinds[name].describe().wire())
	}
	p.manifest = obj{
		{"format", manifestFormat}, {"name", name}, {"version", version},
		{"protocol", versionRange{protocolVersion, protocolVersion}.wire()}, {"types", types},
	}
	tree, err := canonicalTree(p.manifest)
	if err != nil {
		return nil, fmt.Errorf("the manifest cannot be written: %w", err)
	}
	p.file, err = fileBytes(tree)
	if err != nil {
		return nil, fmt.Errorf("the manifest cannot be written: %w", err)
	}
	p.digest = DigestOf(p.file)
	return p, nil
}

// canonicalTree is a value whose objects are all written with sorted members.
func canonicalTree(value any) (any, error) {
	content, err := compact(value)
	if err != nil {
		return nil, err
	}
	return parseStrict(content)
}
