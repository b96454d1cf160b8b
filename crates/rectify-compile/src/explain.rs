//! What a schema finds wrong with the properties of a step, in our words and at the place where it
//! was written. People see no word of JSON Schema here, and a regular expression only if the
//! provider says nothing else.

use crate::{
    codes,
    fields::{list, short},
    report::Cx,
    scalar,
    schema::Shape,
    suggest::closest,
    tree::{Content, Entry, Node, Span},
};
use jsonschema::{
    ValidationError,
    error::{TypeKind, ValidationErrorKind as Kind},
};
use rectify_base::{Code, Diagnostic, Label, Pointer};
use serde_json::Value;

/// Most examples of a provider that are shown.
const EXAMPLES_MAX: usize = 3;

/// Reports everything that is wrong with the properties of `call`.
pub(crate) fn all<'e>(
    errors: impl Iterator<Item = ValidationError<'e>>,
    call: &Entry<'_>,
    shape: Shape<'_>,
    cx: &mut Cx<'_, '_>,
) {
    let errors: Vec<_> = errors.collect();
    each(&errors.iter().collect::<Vec<_>>(), call, shape, cx);
}

fn each(errors: &[&ValidationError<'_>], call: &Entry<'_>, shape: Shape<'_>, cx: &mut Cx<'_, '_>) {
    for error in errors {
        let subject = Subject::find(error, call, shape);
        if !follows(error, errors, subject.shape) {
            subject.explain(error.kind(), cx);
        }
    }
}

/// Whether an error only follows from another: what is of the wrong type breaks other rules too, and
/// what is misspelt is missing.
fn follows(error: &ValidationError<'_>, all: &[&ValidationError<'_>], shape: Shape<'_>) -> bool {
    let beside = || all.iter().filter(|e| e.instance_path() == error.instance_path());
    let of_type = |e: &ValidationError<'_>| matches!(e.kind(), Kind::Type { .. });
    if !of_type(error) && beside().any(|e| of_type(e)) {
        return true;
    }
    let meant = beside().filter_map(|e| match e.kind() {
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            Some(unexpected)
        }
        _ => None,
    });
    let names = shape.names();
    let mut meant = meant.flatten().filter_map(|name| closest(name, names.iter().copied()));
    match error.kind() {
        Kind::Required { property } => property.as_str().is_some_and(|p| meant.any(|m| m == p)),
        Kind::OneOfNotValid { .. } | Kind::AnyOf { .. } => {
            let choices = shape.choices("oneOf").or_else(|| shape.choices("anyOf")).unwrap_or_default();
            meant.any(|m| choices.iter().flatten().any(|c| *c == m))
        }
        _ => false,
    }
}

/// What an error is about.
struct Subject<'c, 't, 's, 'm> {
    call: &'c Entry<'s>,
    /// What it is called.
    name: String,
    /// Where it is among the properties.
    path: &'c str,
    instance: &'c Value,
    node: &'t Node<'s>,
    key_span: Span,
    shape: Shape<'m>,
}

impl<'c, 's, 'm> Subject<'c, 'c, 's, 'm> {
    fn find(error: &'c ValidationError<'_>, call: &'c Entry<'s>, shape: Shape<'m>) -> Self {
        let tokens = Pointer::from(error.instance_path().as_str()).tokens();
        let (mut key_span, mut node, mut shape) = (call.key_span, &call.value, shape);
        let mut name = format!("`{}`", call.key);
        for token in &tokens {
            let is_list = matches!(node.content, Content::List(_));
            shape = if is_list { shape.items() } else { shape.property(token) };
            name = match token.parse::<usize>() {
                Ok(index) if is_list => format!("element {} of {name}", index + 1),
                _ => format!("`{token}`"),
            };
            let Some((span, child)) = node.child(token) else { continue };
            (key_span, node) = (span, child);
        }
        let path = error.instance_path().as_str();
        Self { call, name, path, instance: error.instance(), node, key_span, shape }
    }

    /// The place of the value.
    fn at(&self) -> Span {
        match &self.node.content {
            Content::Scalar(s) if s.plain && s.text.is_empty() => self.key_span,
            _ => self.node.span,
        }
    }

    /// The place of a property's name, if it is written.
    fn key(&self, name: &str) -> Span {
        self.node.child(name).map_or_else(|| self.at(), |(span, _)| span)
    }

    fn error<'d>(&self, code: Code, message: String, cx: &'d mut Cx<'_, '_>) -> &'d mut Diagnostic {
        cx.error(code, self.at(), message)
    }

    fn explain(&self, kind: &Kind, cx: &mut Cx<'_, '_>) {
        let (name, got) = (&self.name, || shown(self.instance));
        let invalid = codes::TYPE_INVALID;
        match kind {
            Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
                self.unexpected(unexpected, cx);
            }
            Kind::Required { property } => {
                let property = property.as_str().unwrap_or_default();
                let help = self.shape.property(property).description().map(first_sentence);
                let message = format!("{name} needs the property `{property}`");
                cx.error(codes::TYPE_MISSING_PROPERTY, self.key_span, message).help =
                    help.map(|text| format!("`{property}`: {text}"));
            }
            Kind::Type { kind: expected } => self.mismatch(expected, cx),
            Kind::Pattern { .. } | Kind::Format { .. } => self.spelling(kind, cx),
            Kind::Enum { options } => self.choice(options, cx),
            Kind::Constant { expected_value } => {
                let message = format!("{name} must be {}, not {}", shown(expected_value), got());
                self.error(codes::TYPE_ENUM, message, cx);
            }
            Kind::Minimum { limit } => self.range(&format!("at least {limit}"), cx),
            Kind::Maximum { limit } => self.range(&format!("at most {limit}"), cx),
            Kind::ExclusiveMinimum { limit } => self.range(&format!("above {limit}"), cx),
            Kind::ExclusiveMaximum { limit } => self.range(&format!("below {limit}"), cx),
            Kind::MultipleOf { multiple_of } => self.range(&format!("a multiple of {multiple_of}"), cx),
            Kind::MinLength { limit } => self.length("character", "at least", *limit, cx),
            Kind::MaxLength { limit } => self.length("character", "at most", *limit, cx),
            Kind::MinItems { limit } => self.length("element", "at least", *limit, cx),
            Kind::MaxItems { limit } => self.length("element", "at most", *limit, cx),
            Kind::AdditionalItems { limit } => {
                self.length("element", "at most", u64::try_from(*limit).unwrap_or(u64::MAX), cx);
            }
            Kind::MinProperties { limit } => self.length("member", "at least", *limit, cx),
            Kind::MaxProperties { limit } => self.length("member", "at most", *limit, cx),
            Kind::UnevaluatedItems { .. } => {
                let message = format!("{name} has more elements than there may be");
                self.error(codes::TYPE_LENGTH, message, cx);
            }
            Kind::UniqueItems => self.repeated(cx),
            Kind::Contains => {
                let help = self.described(self.shape.contained());
                let message = format!("{name} lacks an element that must be among the others");
                self.error(invalid, message, cx).help = help;
            }
            Kind::PropertyNames { error } => self.member_name(error.instance(), cx),
            Kind::AnyOf { context } => self.none_fits("anyOf", context, cx),
            Kind::OneOfNotValid { context } => self.none_fits("oneOf", context, cx),
            Kind::OneOfMultipleValid { .. } => self.several_fit(cx),
            Kind::Not { schema } => self.excluded(schema, cx),
            Kind::FalseSchema => {
                let message = format!("{name} cannot stand here");
                cx.error(invalid, self.key_span, message).help = Some("remove it".into());
            }
            Kind::ContentEncoding { content_encoding } => {
                let message = format!("{name} is not written in {content_encoding}");
                self.error(codes::TYPE_PATTERN, message, cx);
            }
            Kind::FromUtf8 { .. } => {
                let message = format!("what {name} encodes is not a text in UTF-8");
                self.error(codes::TYPE_PATTERN, message, cx);
            }
            Kind::ContentMediaType { content_media_type } => {
                let message = format!("{name} is not {content_media_type}");
                self.error(codes::TYPE_PATTERN, message, cx);
            }
            Kind::BacktrackLimitExceeded { .. } | Kind::RegexEngineFailure { .. } => {
                let message = format!("whether {name} is spelt rightly takes too long to find out");
                self.error(invalid, message, cx).help = Some("make the text shorter".into());
            }
            Kind::Custom { keyword, .. } => {
                let help = self.described(self.shape);
                let message = format!("{name} breaks the rule `{keyword}` of its provider");
                self.error(invalid, message, cx).help = help;
            }
            Kind::Referencing(_) => {
                let message = format!("what {name} may be is not in the manifest of its provider");
                self.error(codes::TYPE_MANIFEST, message, cx).help =
                    Some("this is an error of the provider, not of the project".into());
            }
        }
    }

    fn unexpected(&self, unexpected: &[String], cx: &mut Cx<'_, '_>) {
        let (name, names) = (&self.name, self.shape.names());
        for property in unexpected {
            cx.misspelt(
                codes::TYPE_UNKNOWN_PROPERTY,
                self.key(property),
                format!("{name} has no property `{}`", short(property)),
                closest(property, names.iter().copied()),
                Some(format!("{name} has {}", list(&names))),
            );
        }
    }

    fn mismatch(&self, expected: &TypeKind, cx: &mut Cx<'_, '_>) {
        let expected = match expected {
            TypeKind::Single(one) => article(one.as_str()).to_owned(),
            TypeKind::Multiple(several) => {
                several.iter().map(|t| article(t.as_str())).collect::<Vec<_>>().join(" or ")
            }
        };
        let message = format!("{} must be {expected}, but there is {}", self.name, shown(self.instance));
        self.error(codes::TYPE_MISMATCH, message, cx).help = self.mismatch_help(&expected);
    }

    fn mismatch_help(&self, expected: &str) -> Option<String> {
        if std::ptr::eq(self.node, &self.call.value) {
            let required = self.shape.required();
            let members: Vec<String> = required.iter().map(|name| format!("{name}: …")).collect();
            return Some(format!("write its properties: `{}: {{{}}}`", self.call.key, members.join(", ")));
        }
        let Content::Scalar(scalar) = &self.node.content else { return None };
        if scalar.text.contains("${{") {
            return match self.instance {
                Value::Number(_) | Value::Bool(_) if expected.contains("a text") => {
                    Some("write `string(…)` in the expression to make it a text".into())
                }
                _ => None,
            };
        }
        if !scalar.plain && expected.contains("integer") && scalar::integer(&scalar.text).is_some() {
            return Some("remove the quotes".into());
        }
        if scalar.plain && expected.contains("`true`") {
            return Some("write `true` or `false`, without quotes".into());
        }
        if scalar.plain && expected.contains("integer") {
            return Some("integers are decimal, without leading zeros, and within ±(2^53−1)".into());
        }
        if expected == "a list" {
            return Some(format!("write a list: `[{}]`", short(&scalar.text)));
        }
        None
    }

    /// A text of the wrong spelling.
    fn spelling(&self, kind: &Kind, cx: &mut Cx<'_, '_>) {
        let message = format!("{} cannot be {}", self.name, shown(self.instance));
        let at = self.at();
        if let Some(mode) = self.with_leading_zero() {
            let quoted = format!("\"{mode}\"");
            let help = format!("write it as a text, with a leading zero: `{quoted}`");
            cx.misspelt(codes::TYPE_PATTERN, at, message, Some(&quoted), None);
            cx.amend(|diagnostic| diagnostic.help = Some(help));
            return;
        }
        let otherwise = || match kind {
            Kind::Format { format } => format!("expected {}", format_words(format)),
            Kind::Pattern { pattern } => format!("expected a text that the expression `{pattern}` matches"),
            _ => String::new(),
        };
        let help = self.described(self.shape).unwrap_or_else(otherwise);
        cx.error(codes::TYPE_PATTERN, at, message).help = Some(help);
    }

    /// The text with a zero before it, if it is a number that this makes right, such as a file's mode.
    fn with_leading_zero(&self) -> Option<String> {
        let Content::Scalar(scalar) = &self.node.content else { return None };
        let text = self.instance.as_str().filter(|t| *t == scalar.text)?;
        let digits = text.strip_prefix("0o").unwrap_or(text);
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let padded = format!("0{digits}");
        let pattern = regex::Regex::new(self.shape.pattern()?).ok()?;
        pattern.is_match(&padded).then_some(padded)
    }

    fn choice(&self, options: &Value, cx: &mut Cx<'_, '_>) {
        let all = options.as_array().map(Vec::as_slice).unwrap_or_default();
        let words: Vec<&str> = all.iter().filter_map(Value::as_str).collect();
        let others: Vec<String> =
            all.iter().filter(|v| !v.is_string()).map(|v| format!("`{}`", short(&v.to_string()))).collect();
        let candidate = self.instance.as_str().and_then(|t| closest(t, words.iter().copied()));
        let quoted = words.iter().map(|w| format!("`{w}`"));
        let expected: Vec<String> = quoted.chain(others).collect();
        cx.misspelt(
            codes::TYPE_ENUM,
            self.at(),
            format!("{} cannot be {}", self.name, shown(self.instance)),
            candidate,
            Some(format!("expected {}", expected.join(" or "))),
        );
    }

    fn range(&self, rule: &str, cx: &mut Cx<'_, '_>) {
        let message = format!("{} must be {rule}, not {}", self.name, shown(self.instance));
        self.error(codes::TYPE_RANGE, message, cx);
    }

    fn length(&self, unit: &str, rule: &str, limit: u64, cx: &mut Cx<'_, '_>) {
        let plural = if limit == 1 { "" } else { "s" };
        let got = match self.instance {
            Value::String(text) => text.chars().count(),
            Value::Array(items) => items.len(),
            Value::Object(members) => members.len(),
            _ => 0,
        };
        let message = format!("{} must have {rule} {limit} {unit}{plural}, not {got}", self.name);
        self.error(codes::TYPE_LENGTH, message, cx);
    }

    /// An element that stands twice.
    fn repeated(&self, cx: &mut Cx<'_, '_>) {
        let items = self.instance.as_array().map(Vec::as_slice).unwrap_or_default();
        let twice = items.iter().enumerate().find_map(|(second, item)| {
            let first = items.iter().take(second).position(|other| other == item)?;
            Some((first, second, item))
        });
        let Some((first, second, item)) = twice else { return };
        let place = |index: usize| self.node.child(&index.to_string()).map_or(self.at(), |(span, _)| span);
        let (file, first) = (cx.file, place(first).range());
        let message = format!("{} has {} twice", self.name, shown(item));
        let diagnostic = cx.error(codes::TYPE_INVALID, place(second), message);
        diagnostic.labels.push(Label {
            file: file.into(),
            start: first.start,
            end: first.end,
            text: "first here".into(),
        });
        diagnostic.help = Some("remove one of them".into());
    }

    /// A member of a mapping with a name that there cannot be.
    fn member_name(&self, member: &Value, cx: &mut Cx<'_, '_>) {
        let member = member.as_str().unwrap_or_default();
        let keys = self.shape.keys();
        let help = self
            .described(keys)
            .or_else(|| keys.pattern().map(|p| format!("expected a name that the expression `{p}` matches")));
        let message = format!("`{}` cannot be a name in {}", short(member), self.name);
        cx.error(codes::TYPE_PATTERN, self.key(member), message).help = help;
    }

    fn none_fits(&self, keyword: &str, context: &[Vec<ValidationError<'static>>], cx: &mut Cx<'_, '_>) {
        if let Some(choices) = self.shape.choices(keyword) {
            let choices: Vec<String> = choices.iter().map(|names| list(names)).collect();
            let message = format!("{} needs {}", self.name, choices.join(" or "));
            cx.error(codes::TYPE_INVALID, self.key_span, message).help = Some(match keyword {
                "oneOf" => "write one of them".into(),
                _ => "write at least one of them".into(),
            });
            return;
        }
        // The branch that is of the right type at all is the one that was meant.
        let off = |e: &ValidationError<'_>| {
            e.instance_path().as_str() == self.path
                && matches!(e.kind(), Kind::Type { .. } | Kind::Constant { .. })
        };
        let mut meant = context.iter().filter(|branch| !branch.iter().any(off));
        if let (Some(branch), None) = (meant.next(), meant.next()) {
            // Their paths begin at the root again.
            each(&branch.iter().collect::<Vec<_>>(), self.call, self.shape.root(), cx);
            return;
        }
        let types: Vec<&str> = context
            .iter()
            .filter_map(|branch| match branch.as_slice() {
                [one] => match one.kind() {
                    Kind::Type { kind: TypeKind::Single(t) } => Some(article(t.as_str())),
                    _ => None,
                },
                _ => None,
            })
            .collect();
        if types.len() == context.len() && !types.is_empty() {
            let got = shown(self.instance);
            let message = format!("{} must be {}, but there is {got}", self.name, types.join(" or "));
            self.error(codes::TYPE_MISMATCH, message, cx).help = self.described(self.shape);
            return;
        }
        let message =
            format!("{} has none of the forms that it may have: {}", self.name, shown(self.instance));
        self.error(codes::TYPE_INVALID, message, cx).help = self.described(self.shape);
    }

    fn several_fit(&self, cx: &mut Cx<'_, '_>) {
        let there = |names: &[&str]| names.iter().all(|name| self.instance.get(name).is_some());
        let choices = self.shape.choices("oneOf").unwrap_or_default();
        let mut fit = choices.iter().filter(|names| there(names));
        let (Some([one, ..]), Some([two, ..])) =
            (fit.next().map(Vec::as_slice), fit.next().map(Vec::as_slice))
        else {
            let message = format!("{} has several of the forms of which it may have one only", self.name);
            self.error(codes::TYPE_INVALID, message, cx).help = self.described(self.shape);
            return;
        };
        let (file, mut first, mut second) = (cx.file, self.key(one), self.key(two));
        if second < first {
            std::mem::swap(&mut first, &mut second);
        }
        let message = format!("{} has both `{one}` and `{two}`, but may have only one of them", self.name);
        let diagnostic = cx.error(codes::TYPE_INVALID, second, message);
        diagnostic.labels.push(Label {
            file: file.into(),
            start: first.range().start,
            end: first.range().end,
            text: "the other one".into(),
        });
        diagnostic.help = Some("remove one of them".into());
    }

    /// What a value must not be.
    fn excluded(&self, schema: &Value, cx: &mut Cx<'_, '_>) {
        let names: Vec<&str> = schema
            .get("required")
            .and_then(Value::as_array)
            .map(|names| names.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default();
        let message = match names.as_slice() {
            [] => format!("{} cannot be {}", self.name, shown(self.instance)),
            [one] => format!("{} cannot have `{one}` here", self.name),
            several => format!("{} cannot have {} together", self.name, list(several)),
        };
        let at = names.last().map_or_else(|| self.at(), |name| self.key(name));
        let why = schema.get("description").and_then(Value::as_str).map(first_sentence);
        cx.error(codes::TYPE_INVALID, at, message).help = why.or_else(|| self.described(self.shape));
    }

    /// What the provider says of a value: examples, and a sentence.
    fn described(&self, shape: Shape<'_>) -> Option<String> {
        let examples: Vec<String> = shape.examples().iter().take(EXAMPLES_MAX).map(example).collect();
        let sentence = shape.description().map(first_sentence);
        match (examples.as_slice(), sentence) {
            ([], sentence) => sentence,
            (some, None) => Some(format!("such as {}", some.join(" or "))),
            (some, Some(sentence)) => Some(format!("{sentence}; such as {}", some.join(" or "))),
        }
    }
}

/// A value as it would be written.
fn example(value: &Value) -> String {
    match value {
        Value::String(text) if scalar::resolve(text).is_ok_and(|v| v.is_string()) => format!("`{text}`"),
        other => format!("`{other}`"),
    }
}

/// The first sentence of a description, without its period.
fn first_sentence(text: &str) -> String {
    let end = text.find(". ").unwrap_or(text.len());
    text.get(..end).unwrap_or(text).trim_end_matches('.').to_owned()
}

fn format_words(format: &str) -> &'static str {
    match format {
        "date" => "a date such as `2026-01-31`",
        "time" => "a time such as `10:00:00Z`",
        "date-time" => "a date and time such as `2026-01-31T10:00:00Z`",
        "duration" => "a duration such as `PT5M`",
        "email" | "idn-email" => "an e-mail address",
        "hostname" | "idn-hostname" => "a host name such as `www.example.org`",
        "ipv4" => "an address such as `192.0.2.1`",
        "ipv6" => "an address such as `2001:db8::1`",
        "uri" | "iri" => "an address such as `https://example.org/`",
        "uri-reference" | "iri-reference" => "an address, which may be relative",
        "uuid" => "an identifier such as `f81d4fae-7dec-11d0-a765-00a0c91e6bf6`",
        "regex" => "a regular expression",
        "json-pointer" | "relative-json-pointer" => "a path in a document, such as `/a/b`",
        _ => "a text in another form",
    }
}

fn article(json_type: &str) -> &'static str {
    match json_type {
        "null" => "nothing",
        "boolean" => "`true` or `false`",
        "integer" | "number" => "an integer",
        "string" => "a text",
        "array" => "a list",
        _ => "a mapping",
    }
}

/// What kind of value it is.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) if text.is_empty() => "an empty text".to_owned(),
        Value::String(text) => format!("the text `{}`", short(text)),
        Value::Number(number) => format!("the number {number}"),
        Value::Bool(bool) => format!("`{bool}`"),
        other => kind(other).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{report::Report, tree::Scalar};

    /// Kinds that the dialect of our schemas never gives have words of ours all the same.
    #[test]
    fn kinds_of_other_dialects() {
        let not_utf8 = String::from_utf8(vec![0xff]).unwrap_err();
        let (encoding, media) = ("base64".to_owned(), "application/json".to_owned());
        let (keyword, format) = ("x-parity".to_owned(), "email".to_owned());
        let kinds = [
            Kind::AdditionalItems { limit: 2 },
            Kind::ContentEncoding { content_encoding: encoding },
            Kind::ContentMediaType { content_media_type: media },
            Kind::FromUtf8 { error: not_utf8 },
            Kind::Custom { keyword, message: "{} is not of type \"object\"".into() },
            Kind::Format { format },
            Kind::RegexEngineFailure { message: "panicked at dfa.rs:12".into() },
        ];
        let node = Node {
            span: Span::new(3, 6),
            content: Content::Scalar(Scalar { text: "abc".into(), plain: true }),
        };
        let call = Entry { key: "t.one".into(), key_span: Span::new(0, 1), value: node.clone() };
        let (instance, schema) = (Value::from("abc"), serde_json::json!({"description": "A word. Or two."}));
        let shape = Shape::of(&schema);
        let subject = Subject {
            call: &call,
            name: "`p`".into(),
            path: "/p",
            instance: &instance,
            node: &node,
            key_span: Span::new(1, 2),
            shape,
        };
        let mut report = Report::default();
        for kind in &kinds {
            subject.explain(kind, &mut Cx::new("a.yaml", &mut report));
        }
        let mut said: Vec<String> = report
            .finish()
            .iter()
            .map(|d| format!("{} {}; {}", d.code, d.message, d.help.as_deref().unwrap_or("-")))
            .collect();
        said.sort();
        assert_eq!(
            said,
            [
                "type-invalid `p` breaks the rule `x-parity` of its provider; A word",
                "type-invalid whether `p` is spelt rightly takes too long to find out; make the text shorter",
                "type-length `p` must have at most 2 elements, not 3; -",
                "type-pattern `p` cannot be the text `abc`; A word",
                "type-pattern `p` is not application/json; -",
                "type-pattern `p` is not written in base64; -",
                "type-pattern what `p` encodes is not a text in UTF-8; -",
            ]
        );
    }
}
