//! What a schema finds wrong with the properties of a step, in our words and at the place where it
//! was written. People see no word of JSON Schema here, and a regular expression only if the
//! provider says nothing else.

mod forms;
mod values;
mod words;

pub(crate) use words::kind;
use words::{example, first_sentence, shown};

use crate::{
    codes,
    fields::{list, short},
    report::Cx,
    schema::Shape,
    suggest::closest,
    tree::{Content, Entry, Node, Span},
};
use jsonschema::{ValidationError, error::ValidationErrorKind as Kind};
use rectify_base::{Code, Diagnostic, Pointer};
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
                closest(property, names.iter().copied().filter(|n| self.instance.get(n).is_none())),
                Some(format!("{name} has {}", list(&names))),
            );
        }
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
