//! A comparison for a pull request.

use super::{
    Comparison,
    text::{headline, sections},
};
use crate::{
    Options,
    page::{Page, entry as list_entry, fence, inline},
};
use rectify_model::Plan;

/// Renders a comparison as Markdown of at most `options.size_max_chars`; what does not fit is counted.
#[must_use]
pub fn markdown(before: &Plan, after: &Plan, comparison: &Comparison, options: &Options) -> String {
    let mut page = Page::new(options.size_max_chars);
    page.push(&format!("### {}\n\n", inline(&headline(comparison))));
    page.push(&format!("Before `{}`\nAfter `{}`\n", comparison.before.blake3, comparison.after.blake3));
    let mut missing = 0;
    for (title, entries) in sections(before, after, comparison, options).into_iter().skip(1) {
        let fits = page.push(&format!("\n**{} ({})**\n\n", inline(title), entries.len()));
        for entry in entries {
            let (open, close) = fence(&entry.details.join("\n"));
            let details = match entry.details.as_slice() {
                [] => String::new(),
                lines => format!("  {open}\n{}\n  {close}\n", indented(lines)),
            };
            let line = format!("- {}\n", list_entry(&entry.line));
            // First the whole of it, then its line alone.
            if !(fits && page.push(&format!("{line}{details}"))) {
                missing += 1;
                if fits {
                    page.push(&line);
                }
            }
        }
    }
    let left_out = match missing {
        0 => Vec::new(),
        count => vec![format!("{count} differences, or what they are")],
    };
    page.finish(&left_out, "`rectify diff` prints all of it.")
}

fn indented(lines: &[String]) -> String {
    lines.iter().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}
