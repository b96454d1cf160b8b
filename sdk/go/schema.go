package rectify

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The part of JSON Schema 2020-12 that manifests use. A keyword that is not known is
// refused where the provider starts, so that no rule is silently passed over.

// Keywords that say nothing about what is valid.
var annotations = map[string]bool{
	"$schema": true, "$id": true, "$comment": true, "$defs": true, "title": true, "description": true, "default": true,
	"examples": true, "deprecated": true, "readOnly": true, "writeOnly": true, "format": true,
}

// Keywords whose value is a schema, a list of schemas, or schemas by name.
var (
	schemaKeywords     = []string{"items", "contains", "propertyNames", "not", "additionalProperties"}
	schemaListKeywords = []string{"oneOf", "anyOf", "allOf"}
	schemaMapKeywords  = []string{"properties", "$defs"}
	numberKeywords     = []string{
		"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength",
		"minItems", "maxItems", "minProperties", "maxProperties",
	}
	otherKeywords = map[string]bool{
		"type": true, "enum": true, "const": true, "required": true, "pattern": true, "uniqueItems": true, "$ref": true,
	}
)

const referencesMax = 8

func among(words []string, word string) bool {
	for _, known := range words {
		if known == word {
			return true
		}
	}
	return false
}

// checkSchema says whether a schema is one that can be kept to.
func checkSchema(root map[string]any, schema any, at string) error {
	if _, flag := schema.(bool); flag {
		return nil
	}
	members, ok := schema.(map[string]any)
	if !ok {
		return fmt.Errorf("%s: a schema is an object, or true or false", at)
	}
	for _, keyword := range sortedKeys(members) {
		value, place := members[keyword], child(at, keyword)
		var err error
		switch {
		case among(schemaKeywords, keyword):
			err = checkSchema(root, value, place)
		case among(schemaListKeywords, keyword):
			list, _ := value.([]any)
			if len(list) == 0 {
				err = fmt.Errorf("%s: expected a list of schemas", place)
			}
			for i, inner := range list {
				if err == nil {
					err = checkSchema(root, inner, child(place, strconv.Itoa(i)))
				}
			}
		case among(schemaMapKeywords, keyword):
			inner, isMap := value.(map[string]any)
			if !isMap {
				err = fmt.Errorf("%s: expected schemas by name", place)
			}
			for _, name := range sortedKeys(inner) {
				if err == nil {
					err = checkSchema(root, inner[name], child(place, name))
				}
			}
		case among(numberKeywords, keyword):
			if _, number := value.(int64); !number {
				err = fmt.Errorf("%s: expected an integer", place)
			}
		case keyword == "pattern":
			if text, isText := value.(string); !isText {
				err = fmt.Errorf("%s: expected a text", place)
			} else if _, err = regexp.Compile(text); err != nil {
				err = fmt.Errorf("%s: %w", place, err)
			}
		case keyword == "$ref":
			if text, isText := value.(string); !isText || resolve(root, text) == nil {
				err = fmt.Errorf("%s: nothing in the schema has this name", place)
			}
		case annotations[keyword] || otherKeywords[keyword] || strings.HasPrefix(keyword, "x-rectify-"):
		default:
			err = fmt.Errorf("%s: this keyword is not supported", place)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func resolve(root map[string]any, reference string) any {
	if !strings.HasPrefix(reference, "#") {
		return nil
	}
	var here any = root
	for _, token := range tokens(strings.TrimPrefix(reference, "#")) {
		members, ok := here.(map[string]any)
		if !ok {
			return nil
		}
		here = members[token]
	}
	return here
}

// validator checks values by one schema.
type validator struct{ root map[string]any }

// check is nil for a valid value, and otherwise the first thing that is wrong with
// it, with its place.
func (v validator) check(schema, value any, at string) *Error { return v.within(schema, value, at, 0) }

func invalid(at, format string, args ...any) *Error {
	return Errorf(CodeSchema, format, args...).At(at)
}

func (v validator) within(schema, value any, at string, references int) *Error {
	if flag, isFlag := schema.(bool); isFlag {
		if flag {
			return nil
		}
		return invalid(at, "nothing may stand here")
	}
	rules, _ := schema.(map[string]any)
	if reference, ok := rules["$ref"].(string); ok {
		if references >= referencesMax {
			return invalid(at, "the schema refers to itself")
		}
		if err := v.within(resolve(v.root, reference), value, at, references+1); err != nil {
			return err
		}
	}
	if err := checkType(rules["type"], value, at); err != nil {
		return err
	}
	if fixed, there := rules["const"]; there && !equal(fixed, value) {
		return invalid(at, "expected %s", shown(fixed))
	}
	if words, ok := rules["enum"].([]any); ok && !contains(words, value) {
		return invalid(at, "expected one of %s", shownList(words))
	}
	var err *Error
	switch value := value.(type) {
	case string:
		err = checkText(rules, value, at)
	case int64:
		err = checkNumber(rules, value, at)
	case []any:
		err = v.checkList(rules, value, at)
	case map[string]any:
		err = v.checkObject(rules, value, at)
	}
	if err != nil {
		return err
	}
	return v.checkBranches(rules, value, at, references)
}

func (v validator) checkBranches(rules map[string]any, value any, at string, references int) *Error {
	for _, branch := range list(rules["allOf"]) {
		if err := v.within(branch, value, at, references); err != nil {
			return err
		}
	}
	passed := func(branches []any) (int, *Error) {
		count, first := 0, (*Error)(nil)
		for _, branch := range branches {
			if err := v.within(branch, value, at, references); err == nil {
				count++
			} else if first == nil {
				first = err
			}
		}
		return count, first
	}
	if branches := list(rules["anyOf"]); branches != nil {
		if count, first := passed(branches); count == 0 {
			return invalid(at, "none of the alternatives fits; the first: %s", first.Message)
		}
	}
	if branches := list(rules["oneOf"]); branches != nil {
		switch count, first := passed(branches); {
		case count == 0:
			return invalid(at, "none of the alternatives fits; the first: %s", first.Message)
		case count > 1:
			return invalid(at, "%d alternatives exclude each other", count)
		}
	}
	if not, there := rules["not"]; there && v.within(not, value, at, references) == nil {
		return invalid(at, "this is what is not allowed here")
	}
	return nil
}

func list(value any) []any {
	items, _ := value.([]any)
	return items
}

func typeOf(value any) string {
	switch value.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case int64:
		return "integer"
	case string:
		return "string"
	case []any:
		return "array"
	}
	return "object"
}

func checkType(allowed, value any, at string) *Error {
	names := list(allowed)
	if name, one := allowed.(string); one {
		names = []any{name}
	}
	if names == nil {
		return nil
	}
	found := typeOf(value)
	for _, name := range names {
		if name == found || (name == "number" && found == "integer") {
			return nil
		}
	}
	return invalid(at, "expected %s, got %s", shownList(names), found)
}

func checkText(rules map[string]any, text, at string) *Error {
	length := int64(utf8.RuneCountInString(text))
	if least, ok := rules["minLength"].(int64); ok && length < least {
		return invalid(at, "the text is shorter than %d characters", least)
	}
	if most, ok := rules["maxLength"].(int64); ok && length > most {
		return invalid(at, "the text is longer than %d characters", most)
	}
	if pattern, ok := rules["pattern"].(string); ok {
		if compiled, err := regexp.Compile(pattern); err != nil || !compiled.MatchString(text) {
			return invalid(at, "the text does not match `%s`", pattern)
		}
	}
	return nil
}

func checkNumber(rules map[string]any, number int64, at string) *Error {
	if least, ok := rules["minimum"].(int64); ok && number < least {
		return invalid(at, "the number is less than %d", least)
	}
	if most, ok := rules["maximum"].(int64); ok && number > most {
		return invalid(at, "the number is greater than %d", most)
	}
	if bound, ok := rules["exclusiveMinimum"].(int64); ok && number <= bound {
		return invalid(at, "the number is not greater than %d", bound)
	}
	if bound, ok := rules["exclusiveMaximum"].(int64); ok && number >= bound {
		return invalid(at, "the number is not less than %d", bound)
	}
	if step, ok := rules["multipleOf"].(int64); ok && step > 0 && number%step != 0 {
		return invalid(at, "the number is not a multiple of %d", step)
	}
	return nil
}

func (v validator) checkList(rules map[string]any, items []any, at string) *Error {
	length := int64(len(items))
	if least, ok := rules["minItems"].(int64); ok && length < least {
		return invalid(at, "the list has fewer than %d items", least)
	}
	if most, ok := rules["maxItems"].(int64); ok && length > most {
		return invalid(at, "the list has more than %d items", most)
	}
	if schema, there := rules["items"]; there {
		for i, item := range items {
			if err := v.check(schema, item, child(at, strconv.Itoa(i))); err != nil {
				return err
			}
		}
	}
	if rules["uniqueItems"] == true {
		for i, item := range items {
			if contains(items[:i], item) {
				return invalid(child(at, strconv.Itoa(i)), "the list has this item twice")
			}
		}
	}
	if schema, there := rules["contains"]; there {
		for _, item := range items {
			if v.check(schema, item, at) == nil {
				return nil
			}
		}
		return invalid(at, "the list lacks an item that it must have")
	}
	return nil
}

func (v validator) checkObject(rules map[string]any, members map[string]any, at string) *Error {
	for _, name := range list(rules["required"]) {
		name, _ := name.(string)
		if _, there := members[name]; !there {
			return invalid(at, "`%s` is missing", name)
		}
	}
	count := int64(len(members))
	if least, ok := rules["minProperties"].(int64); ok && count < least {
		return invalid(at, "there are fewer than %d members", least)
	}
	if most, ok := rules["maxProperties"].(int64); ok && count > most {
		return invalid(at, "there are more than %d members", most)
	}
	properties, _ := rules["properties"].(map[string]any)
	for _, name := range sortedKeys(members) {
		if schema, there := rules["propertyNames"]; there {
			if err := v.check(schema, name, child(at, name)); err != nil {
				return err
			}
		}
		schema, known := properties[name]
		if !known {
			if schema, known = rules["additionalProperties"]; !known {
				continue
			}
			if schema == false {
				return invalid(child(at, name), "there is no property `%s`", short(name))
			}
		}
		if err := v.check(schema, members[name], child(at, name)); err != nil {
			return err
		}
	}
	return nil
}

func contains(items []any, value any) bool {
	for _, item := range items {
		if equal(item, value) {
			return true
		}
	}
	return false
}

func shown(value any) string {
	content, err := compact(value)
	if err != nil {
		return "another value"
	}
	return short(string(content))
}

func shownList(items []any) string {
	words := make([]string, len(items))
	for i, item := range items {
		if word, ok := item.(string); ok {
			words[i] = "`" + word + "`"
		} else {
			words[i] = shown(item)
		}
	}
	return strings.Join(words, ", ")
}

// fill is the value with defaults where nothing is written, as the engine has it. A
// default of null means that nothing is the default.
func (v validator) fill(schema, value any) any {
	rules, _ := schema.(map[string]any)
	if reference, ok := rules["$ref"].(string); ok {
		rules, _ = resolve(v.root, reference).(map[string]any)
	}
	switch value := value.(type) {
	case map[string]any:
		properties, _ := rules["properties"].(map[string]any)
		out := make(map[string]any, len(value))
		for name, inner := range value {
			out[name] = inner
			if schema, known := properties[name]; known {
				out[name] = v.fill(schema, inner)
			}
		}
		for name, schema := range properties {
			inner, _ := schema.(map[string]any)
			if _, there := out[name]; !there && inner["default"] != nil {
				out[name] = inner["default"]
			}
		}
		return out
	case []any:
		out := make([]any, len(value))
		for i, item := range value {
			out[i] = v.fill(rules["items"], item)
		}
		return out
	}
	return value
}
