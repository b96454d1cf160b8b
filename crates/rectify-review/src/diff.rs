//! Unified diffs of contents, and short forms of values.

use super::{
    bounded::{self, line_count},
    escape::{visible, visible_line},
};
use rectify_base::{Digest, limits::INLINE_TEXT_MAX_BYTES};
use serde_json::Value;
use similar::{Algorithm, ChangeTag, capture_diff_slices, group_diff_ops};

/// Lines around a change.
const CONTEXT_LINES: usize = 3;

/// The text of a content, if the state carries it, and it is what the digest stands for: only the
/// digest decides what is written.
pub(super) fn text_of(value: Option<&Value>) -> Option<&str> {
    let value = value?;
    let text = value.get("text")?.as_str()?;
    let digest = digest_of(value)?;
    (Digest::of_bytes(text.as_bytes()).to_string() == digest).then_some(text)
}

/// The size of a content in bytes, if the state names it.
fn size_of(value: Option<&Value>) -> Option<u64> {
    value?.get("size")?.as_u64()
}

/// Whether a value is a content: named by digest, with or without its text.
pub(super) fn is_content(value: Option<&Value>) -> bool {
    value.is_some_and(|value| {
        (digest_of(value).is_some() || keyed_of(value).is_some()) && value.get("count").is_none()
    })
}

/// Whether a value stands for what lies in a directory: a number of entries and their digest.
pub(super) fn is_listing(value: Option<&Value>) -> bool {
    value.is_some_and(|value| tree_of(value).is_some() && value.get("count").is_some_and(Value::is_u64))
}

fn digest_of(value: &Value) -> Option<&str> {
    value.get("blake3")?.as_str()
}

/// The digest of a secret, which tells nothing to who has not the key.
fn keyed_of(value: &Value) -> Option<&str> {
    value.get("keyed")?.as_str()
}

fn tree_of(value: &Value) -> Option<&str> {
    value.get("tree")?.as_str()
}

/// The first names in a directory, if the state carries them.
pub(super) fn names_of(value: Option<&Value>) -> Option<&Value> {
    value?.get("names")
}

/// Why the text of a content cannot be shown, if it cannot. `mode` is that of its file.
pub(super) fn hidden_content(value: Option<&Value>, mode: Option<&str>) -> Option<String> {
    let value = value.filter(|value| text_of(Some(value)).is_none())?;
    if keyed_of(value).is_some() {
        return Some("others may not read the file, so only a keyed digest tells whether it differs".into());
    }
    let private = |mode: &str| u32::from_str_radix(mode, 8).is_ok_and(|bits| bits & 0o004 == 0);
    if value.get("text").is_some() {
        return Some("the text beside the digest is not the one that the digest stands for".into());
    }
    Some(match (size_of(Some(value)), mode) {
        (Some(size), _) if size > INLINE_TEXT_MAX_BYTES as u64 => {
            format!("longer than {INLINE_TEXT_MAX_BYTES} bytes")
        }
        (_, Some(mode)) if private(mode) => {
            format!("others may not read the file (mode {}), so it is treated as secret", visible(mode))
        }
        _ => "binary, or treated as secret".into(),
    })
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
    if is_listing(Some(value)) {
        return listing(value);
    }
    if !is_content(Some(value)) {
        // As JSON, so that text cannot be taken for a number or for our own words.
        return bounded::short(value);
    }
    match (text_of(Some(value)), size_of(Some(value))) {
        (Some(text), _) => match line_count(text) {
            1 => "1 line".into(),
            lines => format!("{lines} lines"),
        },
        (None, Some(size)) => format!("{size} bytes"),
        (None, None) if keyed_of(value).is_some() => "(secret)".into(),
        (None, None) => "content by digest".into(),
    }
}

fn listing(value: &Value) -> String {
    match value.get("count").and_then(Value::as_u64) {
        Some(1) => "1 entry".into(),
        count => format!("{} entries", count.unwrap_or(0)),
    }
}

/// A value whole; of a content its digest and size, of a directory how much is in it.
pub(super) fn whole(value: Option<&Value>) -> String {
    let Some(value) = value else { return "(none)".into() };
    if is_listing(Some(value)) {
        return format!("{} ({})", listing(value), visible(tree_of(value).unwrap_or_default()));
    }
    match (digest_of(value), keyed_of(value), size_of(Some(value))) {
        (Some(digest), _, Some(size)) => format!("{}, {size} bytes", visible(digest)),
        (Some(digest), _, None) => visible(digest),
        (None, Some(keyed), _) => format!("keyed:{}", visible(keyed)),
        (None, None, _) => bounded::line(value),
    }
}
