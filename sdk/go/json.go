package rectify

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"sort"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// JSON under the strict rules of the protocol, which the standard library does not
// keep: it takes the last of two equal keys, reads lone surrogates as U+FFFD,
// rounds integers, and matches keys whatever their case. A value is a tree of nil,
// bool, int64, string, []any and map[string]any.

const (
	jsonDepthMax   = 64
	jsonIntegerMax = 1<<53 - 1
)

// obj is an object that is written in the order of its members.
type obj []member

type member struct {
	key   string
	value any
}

type jsonError struct {
	at      int
	message string
}

func (e *jsonError) Error() string { return fmt.Sprintf("%s (byte %d)", e.message, e.at) }

// parseStrict reads one value: no duplicate keys, no numbers but integers within
// ±(2^53−1), no lone surrogates, at most 64 lists and objects in each other.
func parseStrict(input []byte) (any, error) {
	p := parser{input: input}
	value, err := p.value(0)
	if err != nil {
		return nil, err
	}
	p.space()
	if p.at < len(p.input) {
		return nil, p.fail("something stands behind the value")
	}
	return value, nil
}

type parser struct {
	input []byte
	at    int
}

func (p *parser) fail(format string, args ...any) error {
	return &jsonError{p.at, fmt.Sprintf(format, args...)}
}

func (p *parser) space() {
	for p.at < len(p.input) {
		switch p.input[p.at] {
		case ' ', '\t', '\n', '\r':
			p.at++
		default:
			return
		}
	}
}

// peek is the next byte; 0 at the end, where no value has one.
func (p *parser) peek() byte {
	if p.at < len(p.input) {
		return p.input[p.at]
	}
	return 0
}

func (p *parser) word(word string, value any) (any, error) {
	if !bytes.HasPrefix(p.input[p.at:], []byte(word)) {
		return nil, p.fail("expected a value")
	}
	p.at += len(word)
	return value, nil
}

func (p *parser) value(depth int) (any, error) {
	p.space()
	switch c := p.peek(); {
	case c == 'n':
		return p.word("null", nil)
	case c == 't':
		return p.word("true", true)
	case c == 'f':
		return p.word("false", false)
	case c == '"':
		return p.text()
	case c == '[' || c == '{':
		if depth >= jsonDepthMax {
			return nil, p.fail("nested deeper than %d levels", jsonDepthMax)
		}
		p.at++
		if c == '[' {
			return p.list(depth + 1)
		}
		return p.object(depth + 1)
	case c == '-' || (c >= '0' && c <= '9'):
		return p.number()
	}
	return nil, p.fail("expected a value")
}

func (p *parser) list(depth int) (any, error) {
	items := []any{}
	if p.space(); p.peek() == ']' {
		p.at++
		return items, nil
	}
	for {
		item, err := p.value(depth)
		if err != nil {
			return nil, err
		}
		items = append(items, item)
		p.space()
		switch p.peek() {
		case ',':
			p.at++
		case ']':
			p.at++
			return items, nil
		default:
			return nil, p.fail("expected `,` or `]`")
		}
	}
}

func (p *parser) object(depth int) (any, error) {
	members := map[string]any{}
	if p.space(); p.peek() == '}' {
		p.at++
		return members, nil
	}
	for {
		if p.space(); p.peek() != '"' {
			return nil, p.fail("expected a key")
		}
		key, err := p.text()
		if err != nil {
			return nil, err
		}
		if _, twice := members[key]; twice {
			return nil, p.fail("duplicate key `%s`", short(key))
		}
		if p.space(); p.peek() != ':' {
			return nil, p.fail("expected `:`")
		}
		p.at++
		if members[key], err = p.value(depth); err != nil {
			return nil, err
		}
		p.space()
		switch p.peek() {
		case ',':
			p.at++
		case '}':
			p.at++
			return members, nil
		default:
			return nil, p.fail("expected `,` or `}`")
		}
	}
}

func (p *parser) number() (any, error) {
	from := p.at
	if p.peek() == '-' {
		p.at++
	}
	first := p.at
	for c := p.peek(); c >= '0' && c <= '9'; c = p.peek() {
		p.at++
	}
	digits := p.at - first
	if digits == 0 || (digits > 1 && p.input[first] == '0') {
		return nil, p.fail("this is not a number")
	}
	if c := p.peek(); c == '.' || c == 'e' || c == 'E' {
		return nil, p.fail("floating-point numbers are not allowed")
	}
	text := string(p.input[from:p.at])
	number, err := strconv.ParseInt(text, 10, 64)
	// Other readers make a floating-point number of -0.
	if err != nil || number > jsonIntegerMax || number < -jsonIntegerMax || text == "-0" {
		return nil, p.fail("integer beyond ±(2^53−1), or -0")
	}
	return number, nil
}

func (p *parser) text() (string, error) {
	p.at++
	var out []byte
	from := p.at
	for {
		if p.at >= len(p.input) {
			return "", p.fail("the text does not end")
		}
		switch c := p.input[p.at]; {
		case c == '"':
			plain := p.input[from:p.at]
			p.at++
			out = append(out, plain...)
			if !utf8.Valid(out) {
				return "", p.fail("the text is not UTF-8")
			}
			return string(out), nil
		case c < 0x20:
			return "", p.fail("a control character in a text")
		case c == '\\':
			out = append(out, p.input[from:p.at]...)
			p.at++
			rune, err := p.escape()
			if err != nil {
				return "", err
			}
			out = utf8.AppendRune(out, rune)
			from = p.at
		default:
			p.at++
		}
	}
}

func (p *parser) escape() (rune, error) {
	c := p.peek()
	p.at++
	switch c {
	case '"', '\\', '/':
		return rune(c), nil
	case 'b':
		return '\b', nil
	case 'f':
		return '\f', nil
	case 'n':
		return '\n', nil
	case 'r':
		return '\r', nil
	case 't':
		return '\t', nil
	case 'u':
		unit, err := p.unit()
		if err != nil || !utf16.IsSurrogate(unit) {
			return unit, err
		}
		if !bytes.HasPrefix(p.input[p.at:], []byte(`\u`)) {
			return 0, p.fail("a lone surrogate")
		}
		p.at += 2
		second, err := p.unit()
		if err != nil {
			return 0, err
		}
		whole := utf16.DecodeRune(unit, second)
		if whole == utf8.RuneError {
			return 0, p.fail("a lone surrogate")
		}
		return whole, nil
	}
	return 0, p.fail("an unknown escape")
}

func (p *parser) unit() (rune, error) {
	if len(p.input)-p.at < 4 {
		return 0, p.fail("an unfinished escape")
	}
	var unit rune
	for _, c := range p.input[p.at : p.at+4] {
		switch {
		case c >= '0' && c <= '9':
			unit = unit<<4 | rune(c-'0')
		case c >= 'a' && c <= 'f':
			unit = unit<<4 | rune(c-'a'+10)
		case c >= 'A' && c <= 'F':
			unit = unit<<4 | rune(c-'A'+10)
		default:
			return 0, p.fail("an unfinished escape")
		}
	}
	p.at += 4
	return unit, nil
}

// compact is the canonical form of a value in memory.
func compact(value any) ([]byte, error) {
	w := writer{depthMax: jsonDepthMax}
	err := w.value(value, 0)
	return w.out, err
}

// fileBytes is the canonical form of a file.
func fileBytes(value any) ([]byte, error) {
	w := writer{depthMax: jsonDepthMax, indented: true}
	err := w.value(value, 0)
	return append(w.out, '\n'), err
}

// frameBytes is one line of the stream. The envelope of a batch adds levels to those of a value.
func frameBytes(value any) ([]byte, error) {
	w := writer{depthMax: jsonDepthMax + 4}
	err := w.value(value, 0)
	return append(w.out, '\n'), err
}

type writer struct {
	out      []byte
	depthMax int
	indented bool
}

func (w *writer) line(depth int) {
	if w.indented {
		w.out = append(w.out, '\n')
		for ; depth > 0; depth-- {
			w.out = append(w.out, "  "...)
		}
	}
}

func (w *writer) integer(number int64) error {
	if number > jsonIntegerMax || number < -jsonIntegerMax {
		return errors.New("integer beyond ±(2^53−1); write it as a string")
	}
	w.out = strconv.AppendInt(w.out, number, 10)
	return nil
}

func (w *writer) value(value any, depth int) error {
	switch v := value.(type) {
	case nil:
		w.out = append(w.out, "null"...)
	case bool:
		w.out = strconv.AppendBool(w.out, v)
	case int64:
		return w.integer(v)
	case int:
		return w.integer(int64(v))
	case uint64:
		if v > jsonIntegerMax {
			return w.integer(math.MaxInt64)
		}
		return w.integer(int64(v))
	case string:
		return w.text(v)
	case []string:
		items := make([]any, len(v))
		for i, item := range v {
			items[i] = item
		}
		return w.value(items, depth)
	case []any:
		return w.nest('[', ']', len(v), depth, func(i int) error { return w.value(v[i], depth+1) })
	case map[string]any:
		keys := sortedKeys(v)
		return w.nest('{', '}', len(keys), depth, func(i int) error {
			return w.member(keys[i], v[keys[i]], depth+1)
		})
	case obj:
		return w.nest('{', '}', len(v), depth, func(i int) error {
			return w.member(v[i].key, v[i].value, depth+1)
		})
	default:
		return fmt.Errorf("a value of the type %T has no form in JSON", value)
	}
	return nil
}

func (w *writer) nest(open, end byte, length, depth int, item func(int) error) error {
	if depth >= w.depthMax {
		return fmt.Errorf("nested deeper than %d levels", w.depthMax)
	}
	w.out = append(w.out, open)
	for i := 0; i < length; i++ {
		if i > 0 {
			w.out = append(w.out, ',')
		}
		w.line(depth + 1)
		if err := item(i); err != nil {
			return err
		}
	}
	if length > 0 {
		w.line(depth)
	}
	w.out = append(w.out, end)
	return nil
}

func (w *writer) member(key string, value any, depth int) error {
	if err := w.text(key); err != nil {
		return err
	}
	w.out = append(w.out, ':')
	if w.indented {
		w.out = append(w.out, ' ')
	}
	return w.value(value, depth)
}

func (w *writer) text(text string) error {
	if !utf8.ValidString(text) {
		return errors.New("a text is not UTF-8")
	}
	const digits = "0123456789abcdef"
	w.out = append(w.out, '"')
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"' || c == '\\':
			w.out = append(w.out, '\\', c)
		case c >= 0x20:
			w.out = append(w.out, c)
		case c == '\b':
			w.out = append(w.out, `\b`...)
		case c == '\f':
			w.out = append(w.out, `\f`...)
		case c == '\n':
			w.out = append(w.out, `\n`...)
		case c == '\r':
			w.out = append(w.out, `\r`...)
		case c == '\t':
			w.out = append(w.out, `\t`...)
		default:
			w.out = append(w.out, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		}
	}
	w.out = append(w.out, '"')
	return nil
}

// toTree turns a Go value into a tree, as its JSON tags say. What JSON would change
// silently (bytes that are no UTF-8, numbers that are rounded) is an error.
func toTree(value any) (any, error) {
	switch value.(type) {
	case nil, bool, int64, string, map[string]any, []any:
	default:
		if err := checkTexts(reflect.ValueOf(value), 0); err != nil {
			return nil, err
		}
	}
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, err
	}
	return parseStrict(buffer.Bytes())
}

func checkTexts(v reflect.Value, depth int) error {
	if depth > 2*jsonDepthMax {
		return fmt.Errorf("nested deeper than %d levels", jsonDepthMax)
	}
	switch v.Kind() {
	case reflect.String:
		if !utf8.ValidString(v.String()) {
			return errors.New("a text is not UTF-8")
		}
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			return checkTexts(v.Elem(), depth+1)
		}
	case reflect.Slice, reflect.Array:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return nil
		}
		for i := 0; i < v.Len(); i++ {
			if err := checkTexts(v.Index(i), depth+1); err != nil {
				return err
			}
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			if err := checkTexts(key, depth+1); err != nil {
				return err
			}
			if err := checkTexts(v.MapIndex(key), depth+1); err != nil {
				return err
			}
		}
	case reflect.Struct:
		for i := 0; i < v.NumField(); i++ {
			if v.Type().Field(i).IsExported() {
				if err := checkTexts(v.Field(i), depth+1); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// fromTree fills a Go value from a tree. An unknown member is an error.
func fromTree(tree any, into any) error {
	content, err := compact(tree)
	if err != nil {
		return err
	}
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.UseNumber()
	decoder.DisallowUnknownFields()
	return decoder.Decode(into)
}

func sortedKeys(members map[string]any) []string {
	keys := make([]string, 0, len(members))
	for key := range members {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	return keys
}

func equal(a, b any) bool {
	left, errLeft := compact(a)
	right, errRight := compact(b)
	return errLeft == nil && errRight == nil && bytes.Equal(left, right)
}

// child is the JSON Pointer of a member.
func child(pointer, token string) string {
	return pointer + "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(token)
}

// tokens are those of a JSON Pointer.
func tokens(pointer string) []string {
	if pointer == "" {
		return nil
	}
	parts := strings.Split(pointer, "/")[1:]
	unescape := strings.NewReplacer("~1", "/", "~0", "~")
	for i, part := range parts {
		parts[i] = unescape.Replace(part)
	}
	return parts
}

// without is the value as if the members that pointers name were not there: members
// of objects that are reached through objects. The value itself stays as it is.
func without(value any, pointers []string) any {
	for _, pointer := range pointers {
		value = withoutOne(value, tokens(pointer))
	}
	return value
}

func withoutOne(value any, path []string) any {
	members, ok := value.(map[string]any)
	if !ok || len(path) == 0 {
		return value
	}
	inner, there := members[path[0]]
	if !there {
		return value
	}
	copied := make(map[string]any, len(members))
	for key, member := range members {
		copied[key] = member
	}
	if len(path) == 1 {
		delete(copied, path[0])
	} else {
		copied[path[0]] = withoutOne(inner, path[1:])
	}
	return copied
}
