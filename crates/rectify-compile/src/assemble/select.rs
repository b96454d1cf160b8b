//! Which targets a remediation is for.

use super::{Gather, seen};
use crate::{
    codes,
    document::{inventory, remediation::Remediation},
    expression::Missing,
    property,
    report::Cx,
    tree::{Content, Span},
};
use rectify_base::TargetName;
use serde_json::Value;
use std::collections::BTreeMap;

impl<'a> Gather<'a, '_, '_, '_> {
    /// The targets of a remediation. A label or variable that a target lacks decides nothing: to leave
    /// the target out without a word could leave out the very machine that was meant.
    pub(super) fn selected(
        &mut self,
        remediation: &Remediation<'_, '_>,
        cx: &mut Cx<'_, '_>,
    ) -> Vec<&'a TargetName> {
        let Some(node) = remediation.select else { return Vec::new() };
        let Content::Scalar(scalar) = &node.content else { return Vec::new() };
        let text = scalar.text.as_ref();
        if text.trim_start().starts_with("${{") {
            cx.error(codes::EXPR_NOT_HERE, node.span, "a selection is an expression as a whole").help =
                Some("write it without `${{` and `}}`".into());
            return Vec::new();
        }
        let source = self.sources.texts.get(remediation.file).copied().unwrap_or("");
        let mut selected = Vec::new();
        let mut undecided: BTreeMap<String, Undecided<'a>> = BTreeMap::new();
        let mut known = false;
        for (name, target) in self.sources.targets {
            let engine = &self.engine;
            let scope = self.selecting.entry(name).or_insert_with(|| engine.scope(seen(name, target), None));
            match self.engine.evaluate(text, scope) {
                Ok(Value::Bool(true)) => selected.push(name),
                Ok(Value::Bool(false)) => {}
                Ok(_) => {
                    cx.error(codes::EXPR_NOT_BOOL, node.span, "a selection must be true or false").help =
                        Some("such as `target.labels.role == \"web\"`".into());
                    return Vec::new();
                }
                Err(problem) if problem.is_known() => known = true,
                Err(problem) => {
                    let at = property::place(&problem, node, text, text, 0, source);
                    let Some(missing) = problem.missing().filter(|m| self.is_known_elsewhere(&m.key)) else {
                        problem.report(at, cx);
                        return Vec::new();
                    };
                    let first = || Undecided { at, missing: missing.clone(), first: (name, target), more: 0 };
                    undecided
                        .entry(missing.key.clone())
                        .and_modify(|known| known.more += 1)
                        .or_insert_with(first);
                }
            }
        }
        for problem in undecided.values() {
            problem.report(cx);
        }
        if selected.is_empty()
            && undecided.is_empty()
            && !known
            && self.sources.complete.targets
            && !self.sources.targets.is_empty()
        {
            cx.error(
                codes::GRAPH_EMPTY_SELECTION,
                node.span,
                format!("this selects none of {} targets", self.sources.targets.len()),
            )
            .help = Some("compare it with `labels` and `environment` in `inventory/`".into());
        }
        selected
    }

    fn is_known_elsewhere(&self, key: &str) -> bool {
        let has = |t: &inventory::Target| t.labels.contains_key(key) || t.variables.contains_key(key);
        self.sources.targets.values().any(has)
    }
}

/// Targets that a selection cannot decide about, because they lack a key that others have.
struct Undecided<'a> {
    at: Span,
    missing: Missing,
    first: (&'a TargetName, &'a inventory::Target),
    /// How many more there are.
    more: usize,
}

impl Undecided<'_> {
    fn report(&self, cx: &mut Cx<'_, '_>) {
        let Missing { key, question } = &self.missing;
        let (name, target) = self.first;
        let who = match self.more {
            0 => format!("`{name}` is selected cannot be decided: it has"),
            1 => format!("`{name}` and one more target are selected cannot be decided: they have"),
            more => format!("`{name}` and {more} more targets are selected cannot be decided: they have"),
        };
        let diagnostic =
            cx.error(codes::GRAPH_UNDECIDED_SELECTION, self.at, format!("whether {who} no `{key}`"));
        let at = target.span.range();
        diagnostic.labels.push(rectify_base::Label {
            file: target.file.clone(),
            start: at.start,
            end: at.end,
            text: format!("has no `{key}`"),
        });
        let not = if question.ends_with(')') { format!("!{question}") } else { format!("!({question})") };
        diagnostic.help = Some(format!(
            "ask first: `{question} && …` leaves such targets out, `{not} || …` takes them; or give the label \
             or variable to each target"
        ));
    }
}
