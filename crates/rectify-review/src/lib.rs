//! What people see of a plan: text, Markdown, one HTML page, its graph as SVG or DOT, and what
//! changed between two plans. Pure functions: no colour, no terminal, no width of their own, and the
//! same bytes for the same input.
//!
//! Whatever comes from outside (states, names of properties, messages) has its control and
//! bidirectional characters made visible, so that what is read is what will be done.

mod bounded;
pub mod compare;
mod diff;
pub mod drawing;
mod escape;
mod fold;
mod html;
mod markdown;
mod markup;
mod page;
mod properties;
#[cfg(feature = "schema")]
pub mod schema;
mod step;
mod text;

pub use escape::visible;
pub use html::{Judgement, Review, Standing, Voucher, html};
pub use markdown::markdown;
pub use page::inline;
pub use text::text;

/// Longest comment that code hosts take, in characters. The default of [`Options`] leaves room for a line
/// or two of one's own.
pub const COMMENT_MAX_CHARS: usize = 65_536;

/// How to render.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Show each step in full: every property that it is given, what changes, contents as unified
    /// diffs, what it waits for. Markdown always has that, folded away.
    pub details: bool,
    /// Columns of a line. Summaries are cut to it, with a mark; names never are.
    pub width: usize,
    /// Largest Markdown, in characters as platforms count them at worst: UTF-16 units, and two for the
    /// end of a line. What does not fit is named and left out.
    pub size_max_chars: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { details: false, width: 100, size_max_chars: COMMENT_MAX_CHARS - 536 }
    }
}
