//! One value that breaks a rule: of the wrong type, spelling, size or name.

use super::{
    Subject,
    words::{article, format_words, shown},
};
use crate::{codes, fields::short, report::Cx, scalar, suggest::closest, tree::Content};
use jsonschema::error::{TypeKind, ValidationErrorKind as Kind};
use rectify_base::Label;
use serde_json::Value;

impl Subject<'_, '_, '_, '_> {
    pub(super) fn mismatch(&self, expected: &TypeKind, cx: &mut Cx<'_, '_>) {
        let expected = match expected {
            TypeKind::Single(one) => article(one.as_str()).to_owned(),
            TypeKind::Multiple(several) => {
                several.iter().map(|t| article(t.as_str())).collect::<Vec<_>>().join(" or ")
            }
        };
        let message = format!("{} must be {expected}, but there is {}", self.name, shown(self.instance));
        self.error(codes::TYPE_MISMATCH, message, cx).help = self.mismatch_help(&expected);
    }

    pub(super) fn mismatch_help(&self, expected: &str) -> Option<String> {
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
    pub(super) fn spelling(&self, kind: &Kind, cx: &mut Cx<'_, '_>) {
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
    pub(super) fn with_leading_zero(&self) -> Option<String> {
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

    pub(super) fn choice(&self, options: &Value, cx: &mut Cx<'_, '_>) {
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

    pub(super) fn range(&self, rule: &str, cx: &mut Cx<'_, '_>) {
        let message = format!("{} must be {rule}, not {}", self.name, shown(self.instance));
        self.error(codes::TYPE_RANGE, message, cx);
    }

    pub(super) fn length(&self, unit: &str, rule: &str, limit: u64, cx: &mut Cx<'_, '_>) {
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
    pub(super) fn repeated(&self, cx: &mut Cx<'_, '_>) {
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
    pub(super) fn member_name(&self, member: &Value, cx: &mut Cx<'_, '_>) {
        let member = member.as_str().unwrap_or_default();
        let keys = self.shape.keys();
        let help = self
            .described(keys)
            .or_else(|| keys.pattern().map(|p| format!("expected a name that the expression `{p}` matches")));
        let message = format!("`{}` cannot be a name in {}", short(member), self.name);
        cx.error(codes::TYPE_PATTERN, self.key(member), message).help = help;
    }
}
