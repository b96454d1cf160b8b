//! Unified diffs of contents, and short forms of values.

use super::escape::{visible, visible_line};
use serde_json::Value;
use similar::{Algorithm, ChangeTag, capture_diff_slices, group_diff_ops};
use std::fmt::Write as _;

/// Lines around a change.
const CONTEXT_LINES: usize = 3;
/// Longest value that is shown whole in one line, in characters.
const VALUE_MAX_CHARS: usize = 48;

/// The text of a content, if the state carries it.
pub(super) fn text_of(value: Option<&Value>) -> Option<&str> {
    value?.get("text")?.as_str()
}

/// The size of a content in bytes, if the state names it.
fn size_of(value: Option<&Value>) -> Option<u64> {
    value?.get("size")?.as_u64()
}

/// Whether a value is a content: named by digest, with or without its text.
pub(super) fn is_content(value: Option<&Value>) -> bool {
    value.is_some_and(|value| value.get("blake3").is_some_and(Value::is_string))
}

/// The lines of a unified diff, hidden characters made visible. Lines end at line feeds only, so
/// that nothing in a content can begin a line of the diff.
pub(super) fn unified(before: &str, after: &str) -> Vec<String> {
    let (old, new): (Vec<&str>, Vec<&str>) =
        (before.split_inclusive('\n').collect(), after.split_inclusive('\n').collect());
    let ops = capture_diff_slices(Algorithm::Myers, &old, &new);
    let mut out = Vec::new();
    for group in group_diff_ops(ops, CONTEXT_LINES) {
        let (Some(first), Some(last)) = (group.first(), group.last()) else { continue };
        let range = |start: usize, end: usize| match end - start {
            0 => format!("{start},0"),
            1 => format!("{}", start + 1),
            count => format!("{},{count}", start + 1),
        };
        out.push(format!(
            "@@ -{} +{} @@",
            range(first.old_range().start, last.old_range().end),
            range(first.new_range().start, last.new_range().end)
        ));
        for change in group.iter().flat_map(|op| op.iter_changes(old.as_slice(), new.as_slice())) {
            let sign = match change.tag() {
                ChangeTag::Equal => ' ',
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
            };
            let line: &str = change.value();
            out.push(format!("{sign}{}", visible_line(line.strip_suffix('\n').unwrap_or(line))));
            if !line.ends_with('\n') {
                out.push("\\ no newline at the end".into());
            }
        }
    }
    out
}

/// How many lines a diff adds and removes.
pub(super) fn added_removed(diff: &[String]) -> (usize, usize) {
    let count = |sign: char| diff.iter().filter(|line| line.starts_with(sign)).count();
    (count('+'), count('-'))
}

/// A value in one line, cut if it is long.
pub(super) fn short(value: Option<&Value>) -> String {
    let Some(value) = value else { return "(none)".into() };
    if is_content(Some(value)) {
        return match (text_of(Some(value)), size_of(Some(value))) {
            (Some(text), _) => match text.split_inclusive('\n').count() {
                1 => "1 line".into(),
                lines => format!("{lines} lines"),
            },
            (None, Some(size)) => format!("{size} bytes"),
            (None, None) => "content by digest".into(),
        };
    }
    // As JSON, so that text cannot be taken for a number or for our own words.
    cut(&visible(&value.to_string()), VALUE_MAX_CHARS)
}

/// A value whole; of a content, its digest and size.
pub(super) fn whole(value: Option<&Value>) -> String {
    let Some(value) = value else { return "(none)".into() };
    if !is_content(Some(value)) {
        return visible(&value.to_string());
    }
    let digest = value.get("blake3").and_then(Value::as_str).unwrap_or_default();
    let mut out = visible(digest);
    if let Some(size) = size_of(Some(value)) {
        // Writing to a string cannot fail.
        let _ = write!(out, ", {size} bytes");
    }
    out
}

/// Cuts a text to so many characters, with a mark where it was cut.
pub(super) fn cut(text: &str, max_chars: usize) -> String {
    if text.chars().count() <= max_chars {
        return text.into();
    }
    let kept: String = text.chars().take(max_chars.saturating_sub(1)).collect();
    format!("{kept}…")
}
