package rectify

import (
	"fmt"
	"sort"
	"strconv"
)

// Secrets among properties: names on the way, texts where they are used. A text
// with secrets is an object with the one member `$secret`, whose list holds texts
// and names of secrets, in order: {"$secret": ["password = ", {"name": "db"}]}.

const (
	secretMark = "$secret"
	// What stands for a secret while only the shape of its properties is looked at.
	standIn = "secret"
)

// Secret is a text that must not be seen. A property of this type takes secrets, and
// is written `x-rectify-secret` in the schema. In a state stands its keyed digest
// instead. What is printed of it says nothing.
type Secret struct {
	text    string
	known   bool
	digest  Digest
	present bool
}

// NewSecret takes a text into custody: what [Resource.Read] found, for example.
func NewSecret(text string) Secret { return Secret{text: text, known: true, present: true} }

// Reveal is the text itself; the name is meant to stand out in review. Keep it out
// of messages, logs, arguments and environments.
func (s Secret) Reveal() string { return s.text }

// IsSet says whether there is a secret at all.
func (s Secret) IsSet() bool { return s.present }

// String hides the secret.
func (Secret) String() string { return "(secret)" }

// GoString hides the secret.
func (Secret) GoString() string { return "(secret)" }

// Format hides the secret, whatever the verb is.
func (Secret) Format(f fmt.State, _ rune) { f.Write([]byte("(secret)")) }

// MarshalJSON hides the secret. The SDK writes its digest itself.
func (Secret) MarshalJSON() ([]byte, error) { return []byte("null"), nil }

// UnmarshalJSON refuses: only the SDK fills one in.
func (*Secret) UnmarshalJSON([]byte) error { return fmt.Errorf("a secret is not read from JSON") }

func isMarked(value any) bool {
	members, ok := value.(map[string]any)
	if !ok {
		return false
	}
	_, marked := members[secretMark]
	return marked
}

// holdsSecret says whether a value holds a text with secrets anywhere.
func holdsSecret(value any) bool {
	if isMarked(value) {
		return true
	}
	switch v := value.(type) {
	case map[string]any:
		for _, inner := range v {
			if holdsSecret(inner) {
				return true
			}
		}
	case []any:
		for _, inner := range v {
			if holdsSecret(inner) {
				return true
			}
		}
	}
	return false
}

// secretText is the text that a marked value means. It has one form: neighbouring
// texts are one, none is empty, and there is a secret among the pieces.
func secretText(value any, at string, lookUp func(string) (string, bool)) (string, *Error) {
	wrong := func(format string, args ...any) (string, *Error) {
		return "", Errorf(CodeSchema, format, args...).At(at)
	}
	members, _ := value.(map[string]any)
	pieces, ok := members[secretMark].([]any)
	if !ok || len(members) != 1 {
		return wrong("this is no text with secrets")
	}
	text, secrets, afterText := "", 0, false
	for _, piece := range pieces {
		if literal, ok := piece.(string); ok {
			if literal == "" || afterText {
				return wrong("this is no text with secrets")
			}
			text, afterText = text+literal, true
			continue
		}
		members, ok := piece.(map[string]any)
		name, named := members["name"].(string)
		if !ok || !named || len(members) != 1 || !secretNamePattern.MatchString(name) {
			return wrong("this is no text with secrets")
		}
		value, known := lookUp(name)
		if !known {
			return wrong("the secret `%s` has no value in this session", name)
		}
		text, afterText = text+value, false
		secrets++
	}
	if secrets == 0 {
		return wrong("this is no text with secrets")
	}
	return text, nil
}

// replaceSecrets is the value with texts in place of names of secrets.
func replaceSecrets(value any, at string, lookUp func(string) (string, bool)) (any, *Error) {
	if isMarked(value) {
		text, err := secretText(value, at, lookUp)
		return text, err
	}
	switch v := value.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for _, key := range sortedKeys(v) {
			inner, err := replaceSecrets(v[key], child(at, key), lookUp)
			if err != nil {
				return nil, err
			}
			out[key] = inner
		}
		return out, nil
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			inner, err := replaceSecrets(item, child(at, strconv.Itoa(i)), lookUp)
			if err != nil {
				return nil, err
			}
			out[i] = inner
		}
		return out, nil
	}
	return value, nil
}

// revealed is properties with the texts that they mean.
func (s *settings) revealed(properties map[string]any) (map[string]any, *Error) {
	return s.replaced(properties, func(name string) (string, bool) {
		text, known := s.secrets[name]
		return text, known
	})
}

// standInFor is properties with something harmless in place of secrets.
func (s *settings) standInFor(properties map[string]any) (map[string]any, *Error) {
	return s.replaced(properties, func(string) (string, bool) { return standIn, true })
}

func (s *settings) replaced(properties map[string]any, lookUp func(string) (string, bool)) (map[string]any, *Error) {
	if !holdsSecret(properties) {
		return properties, nil
	}
	value, err := replaceSecrets(properties, "", lookUp)
	if err != nil {
		return nil, err
	}
	return value.(map[string]any), nil
}

// secretPlaces are the JSON Pointers of all texts with secrets, sorted.
func secretPlaces(value any, at string) []string {
	var places []string
	if isMarked(value) {
		return []string{at}
	}
	switch v := value.(type) {
	case map[string]any:
		for key, inner := range v {
			places = append(places, secretPlaces(inner, child(at, key))...)
		}
	case []any:
		for i, inner := range v {
			places = append(places, secretPlaces(inner, child(at, strconv.Itoa(i)))...)
		}
	}
	sort.Strings(places)
	return places
}
