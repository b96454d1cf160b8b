//! A value that must have one of several forms, or must not have one.

use super::{
    Subject, each,
    words::{article, first_sentence, shown},
};
use crate::{codes, fields::list, report::Cx};
use jsonschema::{
    ValidationError,
    error::{TypeKind, ValidationErrorKind as Kind},
};
use rectify_base::Label;
use serde_json::Value;

impl Subject<'_, '_, '_, '_> {
    pub(super) fn none_fits(
        &self,
        keyword: &str,
        context: &[Vec<ValidationError<'static>>],
        cx: &mut Cx<'_, '_>,
    ) {
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

    pub(super) fn several_fit(&self, cx: &mut Cx<'_, '_>) {
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
    pub(super) fn excluded(&self, schema: &Value, cx: &mut Cx<'_, '_>) {
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
}
