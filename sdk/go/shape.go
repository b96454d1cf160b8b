package rectify

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// What a struct says of a type: its properties, what each of them is for, and the
// schema that follows from it. The tags are told in the package's own comment.

// fieldShape is one field.
type fieldShape struct {
	index    int
	name     string
	optional bool
	identity bool
	set      bool
	computed bool
	volatile bool
	input    bool
	ensure   bool
	secret   bool
	touch    string
	access   string
}

func (f *fieldShape) inState() bool { return !f.input && !f.ensure }

// shape is what is known of a struct.
type shape struct {
	fields []fieldShape
	ensure *fieldShape
}

func (s *shape) secrets() []*fieldShape {
	var out []*fieldShape
	for i := range s.fields {
		if s.fields[i].secret {
			out = append(out, &s.fields[i])
		}
	}
	return out
}

func (s *shape) hasIdentity() bool {
	for _, f := range s.fields {
		if f.identity {
			return true
		}
	}
	return false
}

var secretType = reflect.TypeOf(Secret{})

// shapeOf reads the tags of a struct.
func shapeOf(t reflect.Type) (*shape, error) {
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("%s is not a struct", t)
	}
	s := &shape{}
	for i := 0; i < t.NumField(); i++ {
		field := t.Field(i)
		if !field.IsExported() && !field.Anonymous {
			continue
		}
		name, optional, err := jsonName(field)
		if err != nil {
			return nil, err
		}
		if name == "" {
			continue
		}
		f := fieldShape{index: i, name: name, optional: optional}
		if err := f.read(field); err != nil {
			return nil, fmt.Errorf("the field %s: %w", field.Name, err)
		}
		s.fields = append(s.fields, f)
	}
	for i := range s.fields {
		if s.fields[i].ensure {
			s.ensure = &s.fields[i]
		}
	}
	return s, nil
}

// jsonName is the name of a field in JSON; empty if it has none.
func jsonName(field reflect.StructField) (string, bool, error) {
	if field.Anonymous {
		return "", false, fmt.Errorf("the field %s is embedded; name it", field.Name)
	}
	parts := strings.Split(field.Tag.Get("json"), ",")
	if parts[0] == "-" {
		return "", false, nil
	}
	if parts[0] == "" {
		return "", false, fmt.Errorf("the field %s has no tag `json:\"name\"`", field.Name)
	}
	optional := field.Type.Kind() == reflect.Pointer || field.Tag.Get("default") != ""
	for _, word := range parts[1:] {
		switch word {
		case "omitempty":
			optional = true
		default:
			return "", false, fmt.Errorf("the field %s: `%s` is not known in the tag `json`", field.Name, word)
		}
	}
	return parts[0], optional, nil
}

func (f *fieldShape) read(field reflect.StructField) error {
	access := ""
	for _, word := range strings.Split(field.Tag.Get("rectify"), ",") {
		word = strings.TrimSpace(word)
		switch {
		case word == "":
		case word == "identity":
			f.identity = true
		case word == "set":
			f.set = true
		case word == "computed":
			f.computed, f.volatile = true, true
		case word == "planned":
			f.computed = true
		case word == "volatile":
			f.volatile = true
		case word == "input":
			f.input = true
		case word == "ensure":
			f.ensure, f.optional = true, true
		case word == "read" || word == "write":
			access = word
		case strings.HasPrefix(word, "touch="):
			f.touch = strings.TrimPrefix(word, "touch=")
		default:
			return fmt.Errorf("`%s` is not known in the tag `rectify`", word)
		}
	}
	kind := field.Type
	if kind.Kind() == reflect.Pointer {
		kind = kind.Elem()
	}
	f.secret = kind == secretType
	switch {
	case access != "":
		f.access = access
	case f.identity:
		f.access = "write"
	default:
		f.access = "read"
	}
	switch {
	case (f.identity || f.ensure) && field.Type.Kind() != reflect.String:
		return fmt.Errorf("an identity or ensure is a string")
	case f.identity && f.optional:
		return fmt.Errorf("an identity is never left out")
	case f.touch != "" && kind.Kind() != reflect.String:
		return fmt.Errorf("what is touched is named by a string")
	case f.set && (kind.Kind() != reflect.Slice || kind.Elem().Kind() != reflect.String):
		return fmt.Errorf("a set is a []string")
	case f.secret && (f.identity || f.set || f.computed || f.ensure):
		return fmt.Errorf("a secret is nothing else")
	case f.identity && (f.computed || f.input || f.volatile || f.ensure):
		return fmt.Errorf("an identity is nothing else")
	}
	return nil
}

// describe adds what the fields say of the type.
func (s *shape) describe(d *descriptor) {
	for _, f := range s.fields {
		if f.volatile {
			d.volatile = append(d.volatile, child("", f.name))
		}
		if f.touch != "" || f.identity {
			kind := f.touch
			if kind == "" {
				kind = d.name
			}
			d.touches = append(d.touches, touch{child("", f.name), kind, f.access})
		}
	}
}

// schemaOf is the schema that follows from a struct.
func (s *shape) schemaOf(t reflect.Type) (map[string]any, error) {
	properties, required := map[string]any{}, []any{}
	for _, f := range s.fields {
		if f.computed {
			continue
		}
		field := t.Field(f.index)
		schema, err := fieldSchema(field)
		if err != nil {
			return nil, fmt.Errorf("the field %s: %w", field.Name, err)
		}
		if f.ensure {
			schema["enum"] = []any{"present", "absent"}
			schema["default"] = "present"
		}
		properties[f.name] = schema
		if !f.optional {
			required = append(required, f.name)
		}
	}
	if s.ensure == nil {
		return closedObject(properties, required), nil
	}
	// What should not exist needs no more than a name.
	named := []any{}
	for _, f := range s.fields {
		if f.identity {
			named = append(named, f.name)
		}
	}
	schema := closedObject(properties, named)
	if len(required) > len(named) {
		ensured := func(word string) map[string]any {
			return map[string]any{s.ensure.name: map[string]any{"const": word}}
		}
		schema["oneOf"] = []any{
			map[string]any{"properties": ensured("present"), "required": required},
			map[string]any{"properties": ensured("absent"), "required": []any{s.ensure.name}},
		}
	}
	return schema, nil
}

func closedObject(properties map[string]any, required []any) map[string]any {
	schema := map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		schema["required"] = required
	}
	return schema
}

func fieldSchema(field reflect.StructField) (map[string]any, error) {
	schema, err := typeSchema(field.Type, 0)
	if err != nil {
		return nil, err
	}
	if text := field.Tag.Get("doc"); text != "" {
		schema["description"] = text
	}
	if text := field.Tag.Get("pattern"); text != "" {
		schema["pattern"] = text
	}
	if text := field.Tag.Get("enum"); text != "" {
		words := []any{}
		for _, word := range strings.Split(text, ",") {
			words = append(words, word)
		}
		schema["enum"] = words
	}
	if text := field.Tag.Get("default"); text != "" {
		if schema["type"] == "string" {
			schema["default"] = text
		} else if schema["default"], err = parseStrict([]byte(text)); err != nil {
			return nil, fmt.Errorf("the tag `default` is not JSON: %w", err)
		}
	}
	bounds := map[string][2]string{
		"integer": {"minimum", "maximum"}, "string": {"minLength", "maxLength"}, "array": {"minItems", "maxItems"},
		"object": {"minProperties", "maxProperties"},
	}
	kind, _ := schema["type"].(string)
	for i, tag := range []string{"min", "max"} {
		text := field.Tag.Get(tag)
		if text == "" {
			continue
		}
		number, err := strconv.ParseInt(text, 10, 64)
		if err != nil || bounds[kind][i] == "" {
			return nil, fmt.Errorf("the tag `%s` is a number, for numbers, texts, lists and maps", tag)
		}
		schema[bounds[kind][i]] = number
	}
	return schema, nil
}

func typeSchema(t reflect.Type, depth int) (map[string]any, error) {
	if depth > 16 {
		return nil, fmt.Errorf("%s holds itself; give a schema with rectify.Schema", t)
	}
	if t == secretType {
		return map[string]any{"type": "string", "x-rectify-secret": true}, nil
	}
	switch t.Kind() {
	case reflect.Pointer:
		return typeSchema(t.Elem(), depth+1)
	case reflect.String:
		return map[string]any{"type": "string"}, nil
	case reflect.Bool:
		return map[string]any{"type": "boolean"}, nil
	case reflect.Int, reflect.Int64:
		return map[string]any{"type": "integer"}, nil
	case reflect.Int8, reflect.Int16, reflect.Int32:
		limit := int64(1) << (t.Bits() - 1)
		return map[string]any{"type": "integer", "minimum": -limit, "maximum": limit - 1}, nil
	case reflect.Uint, reflect.Uint64:
		return map[string]any{"type": "integer", "minimum": int64(0)}, nil
	case reflect.Uint8, reflect.Uint16, reflect.Uint32:
		return map[string]any{"type": "integer", "minimum": int64(0), "maximum": int64(1)<<t.Bits() - 1}, nil
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return map[string]any{"type": "string", "pattern": "^[A-Za-z0-9+/]*={0,2}$"}, nil
		}
		items, err := typeSchema(t.Elem(), depth+1)
		return map[string]any{"type": "array", "items": items}, err
	case reflect.Map:
		if t.Key().Kind() != reflect.String {
			return nil, fmt.Errorf("the keys of %s are no texts", t)
		}
		members, err := typeSchema(t.Elem(), depth+1)
		return map[string]any{"type": "object", "additionalProperties": members}, err
	case reflect.Struct:
		return structSchema(t, depth)
	case reflect.Interface:
		return map[string]any{}, nil
	case reflect.Float32, reflect.Float64:
		return nil, fmt.Errorf("floating-point numbers have no exact form; write the value as a text")
	}
	return nil, fmt.Errorf("%s has no schema; give one with rectify.Schema", t)
}

func structSchema(t reflect.Type, depth int) (map[string]any, error) {
	properties, required := map[string]any{}, []any{}
	for i := 0; i < t.NumField(); i++ {
		field := t.Field(i)
		if !field.IsExported() && !field.Anonymous {
			continue
		}
		name, optional, err := jsonName(field)
		if err != nil {
			return nil, err
		}
		if name == "" {
			continue
		}
		if field.Tag.Get("rectify") != "" || field.Type == secretType {
			return nil, fmt.Errorf("the field %s: secrets and the tag `rectify` are for fields of the outermost struct", field.Name)
		}
		if _, err := typeSchema(field.Type, depth+1); err != nil {
			return nil, err
		}
		if properties[name], err = fieldSchema(field); err != nil {
			return nil, err
		}
		if !optional {
			required = append(required, name)
		}
	}
	return closedObject(properties, required), nil
}
