package rectify

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"sort"
	"strconv"
	"strings"
	"unicode/utf16"
)

// Hiding values of secrets in whatever goes out. This is the last wall, not the
// first: a value should never get that far. A value is looked for as it is, line by
// line if it has several, and in the forms in which programs print what they were
// given.

const (
	// A shorter value could not be hidden without hiding ordinary words.
	secretMinBytes = 6
	// The shortest line of a value of several lines that is looked for by itself.
	secretLineMinBytes = 12
	// How the armour of keys and certificates begins; it is no secret.
	armour = "-----"
)

// redaction finds values of secrets. Without any, it is nil.
type redaction struct{ replacer *strings.Replacer }

func newRedaction(secrets map[string]string) *redaction {
	names := make([]string, 0, len(secrets))
	for name := range secrets {
		names = append(names, name)
	}
	sort.Strings(names)
	owner := map[string]string{}
	var all []string
	for _, name := range names {
		for _, form := range secretForms(secrets[name]) {
			if _, there := owner[form]; !there {
				owner[form] = name
				all = append(all, form)
			}
		}
	}
	if len(all) == 0 {
		return nil
	}
	// A replacer prefers what comes first, and what is longest must win.
	sort.Slice(all, func(i, j int) bool {
		if len(all[i]) != len(all[j]) {
			return len(all[i]) > len(all[j])
		}
		return all[i] < all[j]
	})
	pairs := make([]string, 0, 2*len(all))
	for _, form := range all {
		pairs = append(pairs, form, "(secret "+owner[form]+")")
	}
	return &redaction{strings.NewReplacer(pairs...)}
}

// text is the text with `(secret NAME)` in place of values.
func (r *redaction) text(text string) string {
	if r == nil {
		return text
	}
	return r.replacer.Replace(text)
}

// value hides values in every text of a tree, keys included.
func (r *redaction) value(value any) any {
	if r == nil {
		return value
	}
	switch v := value.(type) {
	case string:
		return r.text(v)
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = r.value(item)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, member := range v {
			out[r.text(key)] = r.value(member)
		}
		return out
	}
	return value
}

func (r *redaction) error(err *Error) *Error {
	if r == nil || err == nil {
		return err
	}
	clean := *err
	clean.Message, clean.Path, clean.Hint = r.text(err.Message), r.text(err.Path), r.text(err.Hint)
	return &clean
}

func (r *redaction) output(output *Output) *Output {
	if r == nil || output == nil {
		return output
	}
	clean := *output
	clean.Stdout, clean.Stderr = r.text(output.Stdout), r.text(output.Stderr)
	return &clean
}

func secretForms(value string) []string {
	if len(value) < secretMinBytes {
		return nil
	}
	forms := spellings(value)
	if strings.Contains(value, "\n") {
		for _, line := range strings.Split(value, "\n") {
			line = strings.TrimSpace(line)
			if len(line) >= secretLineMinBytes && !strings.HasPrefix(line, armour) {
				forms = append(forms, spellings(line)...)
			}
		}
	}
	kept := forms[:0]
	for _, form := range forms {
		if len(form) >= secretMinBytes {
			kept = append(kept, form)
		}
	}
	return kept
}

func spellings(text string) []string {
	digits := hex.EncodeToString([]byte(text))
	inJSON := escapedJSON(text)
	quoted := strconv.Quote(text)
	// As this language's own package writes JSON if it is not told otherwise.
	forHTML, _ := json.Marshal(text)
	all := []string{
		text, digits, strings.ToUpper(digits),
		escapedURL(text, "%%%02X", "%20"), escapedURL(text, "%%%02x", "%20"), escapedURL(text, "%%%02X", "+"),
		inJSON, escapedJSON(inJSON), asciiJSON(inJSON),
		// As Go and Rust print a text for programmers.
		quoted[1 : len(quoted)-1], escapedDebug(text), string(forHTML[1 : len(forHTML)-1]),
	}
	for shift := 0; shift < 3; shift++ {
		all = append(all, within(base64.RawStdEncoding, text, shift), within(base64.RawURLEncoding, text, shift))
	}
	return all
}

// within is what of the base64 of a longer text depends on text alone, where it
// begins shift bytes behind a multiple of three.
func within(encoding *base64.Encoding, text string, shift int) string {
	content := append(make([]byte, shift), text...)
	encoded := encoding.EncodeToString(content)
	begin, end := (shift*8+5)/6, len(content)*8/6
	if begin >= end {
		return ""
	}
	return encoded[begin:end]
}

func escapedJSON(text string) string {
	w := writer{}
	if w.text(valid(text)) != nil {
		return ""
	}
	return string(w.out[1 : len(w.out)-1])
}

func asciiJSON(text string) string {
	var out strings.Builder
	for _, c := range text {
		if c < 0x80 {
			out.WriteRune(c)
			continue
		}
		for _, unit := range utf16.Encode([]rune{c}) {
			fmt.Fprintf(&out, `\u%04x`, unit)
		}
	}
	return out.String()
}

func escapedDebug(text string) string {
	var out strings.Builder
	for _, c := range text {
		switch {
		case c == 0:
			out.WriteString(`\0`)
		case c == '\t':
			out.WriteString(`\t`)
		case c == '\n':
			out.WriteString(`\n`)
		case c == '\r':
			out.WriteString(`\r`)
		case c == '"' || c == '\'' || c == '\\':
			out.WriteRune('\\')
			out.WriteRune(c)
		case strconv.IsPrint(c):
			out.WriteRune(c)
		default:
			fmt.Fprintf(&out, `\u{%x}`, c)
		}
	}
	return out.String()
}

func escapedURL(text, format, space string) string {
	var out strings.Builder
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z', c >= '0' && c <= '9', strings.IndexByte("-._~", c) >= 0:
			out.WriteByte(c)
		case c == ' ':
			out.WriteString(space)
		default:
			fmt.Fprintf(&out, format, c)
		}
	}
	return out.String()
}
