//! Values in full, up to a bound; what is beyond it is named by length and digest.

use super::escape::{json, visible_line};
use rectify_base::Digest;
use serde_json::Value;

/// Longest value that is shown whole in one line, in characters.
const LINE_MAX_CHARS: usize = 4_000;
/// Most lines of one text.
const LINES_MAX: usize = 500;
/// Most bytes of one text.
const TEXT_MAX_BYTES: usize = 16_000;
/// Longest value that a short form shows whole, in characters.
const SHORT_MAX_CHARS: usize = 48;

/// Cuts a text to about so many characters, and says how many are missing.
pub(super) fn cut(text: &str, max_chars: usize) -> String {
    let count = text.chars().count();
    if count <= max_chars {
        return text.into();
    }
    let kept = max_chars.saturating_sub(12);
    let head: String = text.chars().take(kept).collect();
    format!("{head}… ({} more)", count - kept)
}

/// Length and digest of a value: those of the text if it is one, else those of its JSON.
fn measured(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    format!("{} bytes, {}", text.len(), Digest::of_bytes(text.as_bytes()))
}

/// A value as JSON in one line; a long one is cut, and named by length and digest.
pub(super) fn line(value: &Value) -> String {
    bounded(value, LINE_MAX_CHARS)
}

/// As [`line`], for a place with little room.
pub(super) fn short(value: &Value) -> String {
    bounded(value, SHORT_MAX_CHARS)
}

fn bounded(value: &Value, max_chars: usize) -> String {
    let text = json(value);
    if text.chars().count() <= max_chars {
        return text;
    }
    let head: String = text.chars().take(max_chars).collect();
    format!("{head}… (cut; {})", measured(value))
}

/// Whether a text is one of several lines.
pub(super) fn has_lines(text: &str) -> bool {
    text.strip_suffix('\n').unwrap_or(text).contains('\n')
}

/// How many lines a text has.
pub(super) fn line_count(text: &str) -> usize {
    text.split_inclusive('\n').count()
}

/// A text line by line, each behind a bar, so that none can be taken for a word of ours. A long one is
/// cut, and named by length and digest.
pub(super) fn lines(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut room = TEXT_MAX_BYTES;
    let all = line_count(text);
    for (at, line) in text.split_inclusive('\n').enumerate() {
        if at >= LINES_MAX || line.len() > room {
            let rest = all - at;
            out.push(format!("… (cut; {rest} of {all} lines are not shown; {})", measured(&text.into())));
            return out;
        }
        room -= line.len();
        out.push(format!("| {}", visible_line(line.strip_suffix('\n').unwrap_or(line))));
    }
    if !text.ends_with('\n') {
        out.push("\\ no newline at the end".into());
    }
    out
}
