//! What can be said of a bundle without running it.

mod fields;
pub(crate) mod names;
mod nesting;
pub(crate) mod walk;

pub(crate) use fields::check_fields;
pub(crate) use names::check_names;
pub(crate) use nesting::check_nesting;

use regorus::unstable::{Module, Ref, Rule, Span};
use walk::{Item, Step, visit};

/// `<file>:<line>:<column>`.
pub(crate) fn place(span: &Span) -> String {
    format!("{}:{}:{}", span.source.file(), span.line, span.col)
}

/// Where a rule is defined.
pub(crate) fn place_of(rule: &Rule) -> String {
    match rule {
        Rule::Default { span, .. } | Rule::Spec { span, .. } => place(span),
    }
}

/// Whether any rule looks at a field of the input.
pub(crate) fn asks_for(modules: &[Ref<Module>], field: &str) -> bool {
    let mut found = false;
    for rule in modules.iter().flat_map(|module| &module.policy) {
        visit(rule.as_ref(), &mut |item| {
            if let Item::Reference(reference) = item {
                found |= reference.base == "input"
                    && matches!(reference.steps.first(), Some(Step::Field(name, _)) if *name == field);
            }
        });
    }
    found
}

/// Orders places as a reader meets them.
fn position(span: &Span) -> (String, u32, u32) {
    (span.source.file().clone(), span.line, span.col)
}
