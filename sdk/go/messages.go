package rectify

import (
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Parameters of requests. They are read from strict trees, by hand: unknown members
// are ignored, so that a minor version can add some, and null stands for what is absent.

// Mode is what a session may do.
type Mode string

// The modes: look only; look and predict; change.
const (
	ModeRead  Mode = "read"
	ModePlan  Mode = "plan"
	ModeApply Mode = "apply"
)

type version struct{ major, minor uint32 }

var protocolVersion = version{1, 0}

func (v version) String() string { return fmt.Sprintf("%d.%d", v.major, v.minor) }

func (v version) less(other version) bool {
	return v.major < other.major || (v.major == other.major && v.minor < other.minor)
}

var versionPattern = regexp.MustCompile(`^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)$`)

type versionRange struct{ min, max version }

func (r versionRange) wire() obj {
	return obj{{"min", r.min.String()}, {"max", r.max.String()}}
}

// Directories are the private directories of a session. A member is empty where the
// session has no such one.
type Directories struct {
	// Work is for scratch; it is the working directory, and emptied afterwards.
	Work string
	// State holds the ledger of operations.
	State string
	// Blobs holds content-addressed blobs, before-images among them.
	Blobs string
}

var (
	typeNamePattern   = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}\.[a-z][a-z0-9_]{0,62}$`)
	secretNamePattern = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]{0,62}$`)
)

// fields reads members of an object and remembers the first thing that is wrong.
type fields struct {
	members map[string]any
	err     error
}

func fieldsOf(value any, what string) *fields {
	members, ok := value.(map[string]any)
	f := &fields{members: members}
	if !ok {
		f.err = fmt.Errorf("%s: expected an object", what)
	}
	return f
}

func (f *fields) wrong(key, expected string) {
	if f.err == nil {
		f.err = fmt.Errorf("`%s`: expected %s", key, expected)
	}
}

func (f *fields) has(key string) bool { return f.members[key] != nil }

func (f *fields) text(key string) string {
	text, ok := f.members[key].(string)
	if !ok {
		f.wrong(key, "a text")
	}
	return text
}

func (f *fields) optionalText(key string) string {
	if !f.has(key) {
		return ""
	}
	return f.text(key)
}

func (f *fields) number(key string) uint64 {
	number, ok := f.members[key].(int64)
	if !ok || number < 0 {
		f.wrong(key, "an integer that is not negative")
	}
	return uint64(number)
}

func (f *fields) flag(key string) bool {
	if !f.has(key) {
		return false
	}
	flag, ok := f.members[key].(bool)
	if !ok {
		f.wrong(key, "true or false")
	}
	return flag
}

func (f *fields) object(key string) map[string]any {
	members, ok := f.members[key].(map[string]any)
	if !ok {
		f.wrong(key, "an object")
	}
	return members
}

func (f *fields) list(key string) []any {
	items, ok := f.members[key].([]any)
	if !ok {
		f.wrong(key, "a list")
	}
	return items
}

func (f *fields) typeName(key string) string {
	name := f.text(key)
	if f.err == nil && !typeNamePattern.MatchString(name) {
		f.wrong(key, "`provider.kind`, each of a-z, 0-9 and `_`, beginning with a letter")
	}
	return name
}

func (f *fields) digest(key string) Digest {
	digest, err := ParseDigest(f.text(key))
	if err != nil && f.err == nil {
		f.err = fmt.Errorf("`%s`: %w", key, err)
	}
	return digest
}

func (f *fields) version(key string) version {
	text := f.text(key)
	if !versionPattern.MatchString(text) {
		f.wrong(key, "MAJOR.MINOR")
		return version{}
	}
	parts := strings.SplitN(text, ".", 2)
	major, errMajor := strconv.ParseUint(parts[0], 10, 32)
	minor, errMinor := strconv.ParseUint(parts[1], 10, 32)
	if errMajor != nil || errMinor != nil {
		f.wrong(key, "MAJOR.MINOR")
	}
	return version{uint32(major), uint32(minor)}
}

// within takes over what is wrong with an inner object.
func (f *fields) within(inner *fields) {
	if f.err == nil {
		f.err = inner.err
	}
}

type initialize struct {
	protocol      versionRange
	session       string
	mode          Mode
	frameMaxBytes uint64
	dirs          Directories
}

func readInitialize(params any) (initialize, error) {
	f := fieldsOf(params, "params")
	protocol := fieldsOf(f.members["protocol"], "`protocol`")
	dirs := fieldsOf(f.members["dirs"], "`dirs`")
	r := initialize{
		protocol:      versionRange{protocol.version("min"), protocol.version("max")},
		session:       f.text("session"),
		mode:          Mode(f.text("mode")),
		frameMaxBytes: f.number("frame_max_bytes"),
		dirs:          Directories{dirs.text("work"), dirs.text("state"), dirs.text("blobs")},
	}
	f.within(protocol)
	f.within(dirs)
	switch r.mode {
	case ModeRead, ModePlan, ModeApply:
	default:
		f.wrong("mode", "`read`, `plan` or `apply`")
	}
	return r, f.err
}

type configure struct {
	root         string
	planCommands [][]string
	digestKey    *digestKey
	secrets      map[string]string
}

func readConfigure(params any) (configure, error) {
	f := fieldsOf(params, "params")
	r := configure{root: f.optionalText("root"), secrets: map[string]string{}}
	if f.has("plan_commands") {
		for _, item := range f.list("plan_commands") {
			argv, ok := texts(item)
			if !ok {
				f.wrong("plan_commands", "lists of texts")
			}
			r.planCommands = append(r.planCommands, argv)
		}
	}
	if f.has("digest_key") {
		digits, _ := f.members["digest_key"].(string)
		// What is wrong with a key must not repeat it.
		if key, err := hex.DecodeString(digits); err != nil || len(key) != 32 || strings.ToLower(digits) != digits {
			f.wrong("digest_key", "64 lower-case hexadecimal digits")
		} else {
			r.digestKey = new(digestKey)
			copy(r.digestKey[:], key)
		}
	}
	if f.has("secrets") {
		for name, value := range f.object("secrets") {
			text, ok := value.(string)
			if !ok || !secretNamePattern.MatchString(name) {
				f.wrong("secrets", "texts by name")
			}
			r.secrets[name] = text
		}
	}
	return r, f.err
}

func texts(value any) ([]string, bool) {
	items, ok := value.([]any)
	out := make([]string, len(items))
	for i, item := range items {
		if out[i], ok = item.(string); !ok {
			return nil, false
		}
	}
	return out, ok
}

// item is one of a batch: of all methods, with what each of them has.
type item struct {
	typeName string
	desired  map[string]any
	// Of resource.read.
	capture bool
	// Of resource.plan: the state to start from, if an earlier step leaves one.
	hasPrior    bool
	prior       map[string]any
	directories []any
}

func readBatch(params any) ([]item, error) {
	f := fieldsOf(params, "params")
	list := f.list("items")
	items := make([]item, 0, len(list))
	for _, entry := range list {
		inner := fieldsOf(entry, "an item")
		i := item{
			typeName: inner.typeName("type"),
			desired:  inner.object("desired"),
			capture:  inner.flag("capture"),
			hasPrior: inner.has("prior"),
		}
		if i.hasPrior {
			predicted := fieldsOf(inner.members["prior"], "`prior`")
			if predicted.has("state") {
				i.prior = predicted.object("state")
			}
			inner.within(predicted)
		}
		if inner.has("directories") {
			i.directories = inner.list("directories")
		}
		f.within(inner)
		items = append(items, i)
	}
	return items, f.err
}

// operation is one apply.
type operation struct {
	id         string
	typeName   string
	action     string
	desired    map[string]any
	expect     Digest
	result     *Digest
	deadlineMS uint64
	fence      uint64
}

func readOperation(params any) (*operation, error) {
	f := fieldsOf(params, "params")
	op := &operation{
		id:         f.text("op_id"),
		typeName:   f.typeName("type"),
		action:     f.text("action"),
		desired:    f.object("desired"),
		expect:     f.digest("expect"),
		deadlineMS: f.number("deadline_ms"),
		fence:      f.number("fence"),
	}
	if f.has("result") {
		result := f.digest("result")
		op.result = &result
	}
	return op, f.err
}

// Members of the properties of an operation that takes something back.
const (
	restoreMember = "$restore"
	undoMember    = "$undo"
)

// Output is the bounded output of a command or an action, for the record.
type Output struct {
	// ExitCode is absent if a signal ended it.
	ExitCode *int
	// Stdout and Stderr are the last bytes of each.
	Stdout string
	Stderr string
	// Truncated says whether anything was cut.
	Truncated bool
}

func (o *Output) wire() obj {
	var out obj
	if o.ExitCode != nil {
		out = append(out, member{"exit_code", *o.ExitCode})
	}
	return append(out, member{"stdout", valid(o.Stdout)}, member{"stderr", valid(o.Stderr)},
		member{"truncated", o.Truncated})
}

// applied is what an operation came to.
type applied struct {
	status string
	// The state afterwards; nil if there is none.
	state  map[string]any
	output *Output
}

const (
	statusApplied = "applied"
	statusAlready = "already"
)

func (a *applied) wire() obj {
	out := obj{{"status", a.status}}
	if a.state != nil {
		out = append(out, member{"state", a.state})
	}
	if a.output != nil {
		out = append(out, member{"output", a.output.wire()})
	}
	return out
}

// result is what an item came to, as it is sent and kept.
func result(ok any, err *Error) obj {
	if err != nil {
		return obj{{"error", err.wire()}}
	}
	return obj{{"ok", ok}}
}

// outcome is the result of an operation: one of both.
type outcome struct {
	applied *applied
	err     *Error
}

func (o outcome) wire() obj {
	if o.err != nil {
		return result(nil, o.err)
	}
	return result(o.applied.wire(), nil)
}

// mayRunAgain says whether it is known that nothing was done.
func (o outcome) mayRunAgain() bool { return o.err != nil && o.err.Mutated == MutatedNo }

func readOutcome(content []byte) (outcome, error) {
	value, err := parseStrict(content)
	if err != nil {
		return outcome{}, err
	}
	f := fieldsOf(value, "the result")
	if f.has("error") {
		e := fieldsOf(f.members["error"], "`error`")
		made := &Error{
			Code:    Code(e.text("code")),
			Message: e.text("message"),
			Path:    e.optionalText("path"),
			Mutated: Mutated(e.text("mutated")),
			Hint:    e.optionalText("hint"),
		}
		switch made.Mutated {
		case MutatedNo, MutatedMaybe, MutatedYes:
		default:
			e.wrong("mutated", "`no`, `maybe` or `yes`")
		}
		return outcome{err: made}, e.err
	}
	ok := fieldsOf(f.members["ok"], "`ok`")
	made := &applied{status: ok.text("status")}
	if ok.has("state") {
		made.state = ok.object("state")
	}
	if ok.has("output") {
		out := fieldsOf(ok.members["output"], "`output`")
		made.output = &Output{Stdout: out.text("stdout"), Stderr: out.text("stderr"), Truncated: out.flag("truncated")}
		if code, there := out.members["exit_code"].(int64); there {
			number := int(code)
			made.output.ExitCode = &number
		}
		ok.within(out)
	}
	if made.status != statusApplied && made.status != statusAlready {
		ok.wrong("status", "`applied` or `already`")
	}
	return outcome{applied: made}, ok.err
}
