//! What can be said of a bundle without running it.

mod fields;
pub(crate) mod names;
mod nesting;
pub(crate) mod walk;

pub(crate) use fields::check_fields;
pub(crate) use names::check_names;
pub(crate) use nesting::check_nesting;

use regorus::unstable::Span;

/// `<file>:<line>:<column>`.
pub(crate) fn place(span: &Span) -> String {
    format!("{}:{}:{}", span.source.file(), span.line, span.col)
}

/// Orders places as a reader meets them.
fn position(span: &Span) -> (String, u32, u32) {
    (span.source.file().clone(), span.line, span.col)
}
