//! `file.ini`: options of a section, in a file of lines such as `key = value`. There is no one such
//! format, so what differs between programs is said by the step, and what is in doubt is refused.

use super::EditError;
use crate::lines::{self, Line};
use std::ops::Range;

/// How a value goes on in the lines after its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Continuation {
    /// After a line that ends in a backslash.
    #[default]
    Backslash,
    /// In lines that begin deeper than that of the key.
    Indent,
    /// It does not.
    None,
}

/// What becomes of other lines with the same key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Others {
    /// There must be none.
    Refuse,
    /// They go.
    Remove,
    /// They stay.
    Keep,
}

/// One option, and what should be there.
#[derive(Clone, Debug)]
pub(crate) struct Assignment {
    /// `None` before the first section.
    pub(crate) section: Option<String>,
    pub(crate) key: String,
    /// One line each. Empty: every line of the key goes.
    pub(crate) values: Vec<String>,
    pub(crate) others: Others,
    /// The lines with these values go.
    pub(crate) absent: bool,
    /// The property that names it, for messages.
    pub(crate) at: String,
}

/// The edit.
#[derive(Clone, Debug)]
pub(crate) struct IniEdit {
    pub(crate) options: Vec<Assignment>,
    /// `=` or `:`.
    pub(crate) separator: u8,
    /// What is written between key and value where the file shows no custom: the separator, with blanks.
    pub(crate) delimiter: String,
    pub(crate) continuation: Continuation,
    /// Whether a blank and `#` or `;` after a value begin a comment.
    pub(crate) inline_comments: bool,
    /// Whether a line that was commented out is the place for an option that is not there.
    pub(crate) uncomment: bool,
    pub(crate) ignore_case: bool,
}

/// A line `key = value`, with those that continue it.
#[derive(Clone, Debug)]
struct Entry {
    /// Indices of lines.
    lines: Range<usize>,
    /// In the text of the first line.
    key: Range<usize>,
    /// Where the separator stands, if there is one.
    separator: Option<usize>,
    /// In the text of the first line, without blanks around it.
    value: Range<usize>,
    /// Whether the next line begins deeper, as if it continued the value.
    doubtful: bool,
}

/// A header (none before the first) and what is below it.
#[derive(Debug, Default)]
struct Section {
    name: Option<Vec<u8>>,
    /// Indices of lines, without the header.
    lines: Range<usize>,
    entries: Vec<Entry>,
}

/// Lines to replace, with their new texts.
#[derive(Debug)]
struct Change {
    lines: Range<usize>,
    new: Vec<Vec<u8>>,
}

const BOM: &[u8] = "\u{feff}".as_bytes();

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// The range of a text without blanks at its ends.
fn trimmed(text: &[u8], range: Range<usize>) -> Range<usize> {
    let part = text.get(range.clone()).unwrap_or_default();
    let start = part.iter().position(|b| !is_blank(*b)).unwrap_or(part.len());
    let end = part.iter().rposition(|b| !is_blank(*b)).map_or(start, |at| at + 1);
    range.start + start..range.start + end
}

fn depth(text: &[u8]) -> usize {
    trimmed(text, 0..text.len()).start
}

fn first(text: &[u8]) -> Option<u8> {
    text.get(depth(text)).copied()
}

fn is_comment(text: &[u8]) -> bool {
    matches!(first(text), Some(b'#' | b';'))
}

/// The name in a line `[name]`.
fn header(text: &[u8]) -> Option<&[u8]> {
    let text = text.get(trimmed(text, 0..text.len()))?;
    let inner = text.strip_prefix(b"[")?;
    let end = inner.iter().position(|b| *b == b']')?;
    let (name, rest) = inner.split_at(end);
    let rest = rest.get(1..)?;
    (first(rest).is_none() || is_comment(rest)).then_some(name)
}

impl IniEdit {
    pub(crate) fn is_absent(&self) -> bool {
        self.options.iter().all(|option| option.absent)
    }

    /// The content after the edit.
    pub(crate) fn apply(&self, bytes: &[u8]) -> Result<Vec<u8>, EditError> {
        let (mark, rest) = bytes.strip_prefix(BOM).map_or((&[][..], bytes), |rest| (BOM, rest));
        let mut rest = rest.to_vec();
        for option in &self.options {
            let all = lines::split(&rest);
            let ending = lines::ending(&all);
            let mut changes = self.changes(option, &all)?;
            changes.sort_by_key(|change| change.lines.start);
            let mut out: Vec<Line<'_>> = Vec::with_capacity(all.len());
            let mut done = 0;
            for change in &changes {
                out.extend(all.get(done..change.lines.start).unwrap_or_default());
                // A line that is replaced ends as it did.
                let mut ends = all.get(change.lines.clone()).unwrap_or_default().iter().map(|line| line.end);
                out.extend(change.new.iter().map(|text| Line { text, end: ends.next().unwrap_or(ending) }));
                done = change.lines.end;
            }
            out.extend(all.get(done..).unwrap_or_default());
            let after = lines::join(&out, ending);
            // What is below a new line may look like more of its value: then nothing holds.
            if !self.changes(option, &lines::split(&after))?.is_empty() {
                return Err(EditError::Unsafe {
                    at: option.at.clone(),
                    message: format!("`{}` would be read together with the lines around it", option.key),
                    hint: "put the option there by hand once, or say how values go on with `continuation`",
                });
            }
            rest = after;
        }
        Ok([mark, &rest].concat())
    }

    /// Whether a part of a value would be read as a comment, where comments may follow values.
    pub(crate) fn has_comment(value: &str) -> bool {
        without_comment(value.as_bytes(), 0..value.len()) != value.len()
    }

    fn same(&self, a: &[u8], b: &[u8]) -> bool {
        if self.ignore_case { a.eq_ignore_ascii_case(b) } else { a == b }
    }

    fn sections(&self, all: &[Line<'_>]) -> Vec<Section> {
        let mut sections = vec![Section::default()];
        let mut index = 0;
        while let Some(line) = all.get(index) {
            let mut next = index + 1;
            if let Some(name) = header(line.text) {
                sections.push(Section { name: Some(name.to_vec()), lines: next..next, entries: Vec::new() });
            } else if let Some(section) = sections.last_mut() {
                if first(line.text).is_some() && !is_comment(line.text) {
                    let entry = self.entry(all, index);
                    next = entry.lines.end;
                    section.entries.push(entry);
                }
                section.lines.end = next;
            }
            index = next;
        }
        sections
    }

    fn entry(&self, all: &[Line<'_>], index: usize) -> Entry {
        let text = all.get(index).map_or(&[][..], |line| line.text);
        let whole = trimmed(text, 0..text.len());
        let separator = text.iter().position(|b| *b == self.separator);
        let key = trimmed(text, whole.start..separator.unwrap_or(whole.end));
        let mut value = trimmed(
            text,
            separator.map_or(whole.end, |at| at + 1)..whole.end.max(separator.map_or(0, |at| at + 1)),
        );
        if self.inline_comments {
            value = trimmed(text, value.start..without_comment(text, value));
        }
        let end = match self.continuation {
            Continuation::None => index + 1,
            Continuation::Backslash => after_backslashes(all, index),
            Continuation::Indent => after_deeper(all, index),
        };
        let doubtful = self.continuation == Continuation::Backslash
            && all.get(end).is_some_and(|next| {
                first(next.text).is_some() && !is_comment(next.text) && depth(next.text) > depth(text)
            });
        Entry { lines: index..end, key, separator, value, doubtful }
    }

    fn changes(&self, option: &Assignment, all: &[Line<'_>]) -> Result<Vec<Change>, EditError> {
        let text = |index: usize| all.get(index).map_or(&[][..], |line| line.text);
        let part = |index: usize, range: &Range<usize>| text(index).get(range.clone()).unwrap_or_default();
        let sections = self.sections(all);
        let wanted: Option<&[u8]> = option.section.as_deref().map(str::as_bytes);
        let ours: Vec<&Section> = sections
            .iter()
            .filter(|section| match (&section.name, wanted) {
                (None, None) => true,
                (Some(name), Some(wanted)) => self.same(name, wanted),
                _ => false,
            })
            .collect();
        let found: Vec<&Entry> = ours
            .iter()
            .flat_map(|section| &section.entries)
            .filter(|entry| self.same(part(entry.lines.start, &entry.key), option.key.as_bytes()))
            .collect();
        // A value of several lines is no value that a step could name.
        let value = |entry: &Entry| (entry.lines.len() == 1).then(|| part(entry.lines.start, &entry.value));
        let is = |entry: &Entry, wanted: &str| value(entry) == Some(wanted.as_bytes());
        if let Some(entry) = found.iter().find(|entry| entry.doubtful) {
            return Err(doubtful(option, entry.lines.end));
        }
        if option.absent {
            let gone = found.iter().filter(|entry| {
                option.values.is_empty() || option.values.iter().any(|value| is(entry, value))
            });
            return Ok(gone.map(|entry| Change { lines: entry.lines.clone(), new: Vec::new() }).collect());
        }
        let missing: Vec<&str> = match option.others {
            Others::Keep => {
                let there = |value: &str| found.iter().any(|entry| is(entry, value));
                option.values.iter().map(String::as_str).filter(|value| !there(value)).collect()
            }
            Others::Refuse | Others::Remove => option.values.iter().map(String::as_str).collect(),
        };
        let mut changes = Vec::new();
        let mut rest = missing.as_slice();
        if option.others != Others::Keep {
            if let (Others::Refuse, [first, second, ..], [wanted]) = (option.others, found.as_slice(), rest) {
                return if found.iter().all(|entry| is(entry, wanted)) {
                    Ok(Vec::new())
                } else {
                    Err(EditError::Unsafe {
                        at: option.at.clone(),
                        message: format!(
                            "the key `{}` stands in line {} and in line {}",
                            option.key,
                            first.lines.start + 1,
                            second.lines.start + 1
                        ),
                        hint: "give the value as a list for exactly those lines, or set `keep_others: true` to add one",
                    })
                };
            }
            let pairs = found.len().min(rest.len());
            for (entry, value) in found.iter().zip(rest) {
                if !is(entry, value) {
                    let new = self.replaced(text(entry.lines.start), entry, value);
                    changes.push(Change { lines: entry.lines.clone(), new: vec![new] });
                }
            }
            for entry in found.iter().skip(pairs) {
                changes.push(Change { lines: entry.lines.clone(), new: Vec::new() });
            }
            rest = rest.get(pairs..).unwrap_or_default();
        }
        if rest.is_empty() {
            return Ok(changes);
        }
        if found.is_empty() {
            self.refuse_other_separator(option, &ours, &part)?;
        }
        let custom = |section: Option<&&Section>| self.custom(section.copied(), &sections, all);
        let line = |(indent, delimiter): &(Vec<u8>, Vec<u8>), value: &str| {
            written(indent, &option.key, delimiter, value)
        };
        if let Some(last) = found.last() {
            let custom = custom(ours.last());
            let custom =
                (text(last.lines.start).get(..last.key.start).unwrap_or_default().to_vec(), custom.1);
            let at = last.lines.end;
            changes
                .push(Change { lines: at..at, new: rest.iter().map(|value| line(&custom, value)).collect() });
            return Ok(changes);
        }
        if self.uncomment
            && let Some((at, new)) = self.commented(option, &ours, &text)
            && let Some((value, more)) = rest.split_first()
        {
            let mut new = vec![self.replaced(&new, &self.entry(&[Line { text: &new, end: b"" }], 0), value)];
            let custom = custom(ours.last());
            new.extend(more.iter().map(|value| line(&custom, value)));
            return Ok(vec![Change { lines: at..at + 1, new }]);
        }
        let custom = custom(ours.last());
        let mut new: Vec<Vec<u8>> = rest.iter().map(|value| line(&custom, value)).collect();
        let at = match ours.last() {
            Some(section) => match section.entries.last() {
                Some(entry) if entry.doubtful => return Err(doubtful(option, entry.lines.end)),
                Some(entry) => entry.lines.end,
                None if section.name.is_some() => section.lines.start,
                None => before_first_header(section, all),
            },
            None => {
                let blank = all.last().is_none_or(|line| first(line.text).is_none());
                let header = [b"[", wanted.unwrap_or_default(), b"]"].concat();
                new.insert(0, header);
                if !blank {
                    new.insert(0, Vec::new());
                }
                all.len()
            }
        };
        changes.push(Change { lines: at..at, new });
        Ok(changes)
    }

    /// The line of an entry with another value; what continued the old value is gone.
    fn replaced(&self, text: &[u8], entry: &Entry, value: &str) -> Vec<u8> {
        let Some(separator) = entry.separator else {
            let indent = text.get(..entry.key.start).unwrap_or_default();
            let key = text.get(entry.key.clone()).unwrap_or_default();
            return [indent, key, self.delimiter.as_bytes(), value.as_bytes()].concat();
        };
        let mut out = text.get(..entry.value.start).unwrap_or_default().to_vec();
        if value.is_empty() {
            out.truncate(separator + 1);
        } else if entry.value.start == separator + 1
            && entry.value.is_empty()
            && separator.checked_sub(1).and_then(|at| text.get(at)).is_some_and(|b| is_blank(*b))
        {
            out.push(b' ');
        }
        out.extend_from_slice(value.as_bytes());
        if self.inline_comments && entry.lines.len() == 1 {
            let tail = text.get(entry.value.end..).unwrap_or_default();
            if is_comment(tail) {
                if first(tail).is_some_and(|b| tail.first() == Some(&b)) {
                    out.push(b' ');
                }
                out.extend_from_slice(tail);
            }
        }
        out
    }

    /// Indentation and delimiter of what is near: of the section's last entry, or else of the file's
    /// first.
    fn custom(
        &self,
        section: Option<&Section>,
        sections: &[Section],
        all: &[Line<'_>],
    ) -> (Vec<u8>, Vec<u8>) {
        let near = section.and_then(|section| section.entries.iter().rev().find(|e| e.separator.is_some()));
        let any = || sections.iter().flat_map(|s| &s.entries).find(|e| e.separator.is_some());
        let Some((entry, separator)) = near.or_else(any).and_then(|e| Some((e, e.separator?))) else {
            return (Vec::new(), self.delimiter.clone().into_bytes());
        };
        let text = all.get(entry.lines.start).map_or(&[][..], |line| line.text);
        let mut delimiter = Vec::new();
        if separator > entry.key.end {
            delimiter.push(b' ');
        }
        delimiter.push(self.separator);
        let after = text.get(separator + 1).is_some_and(|b| is_blank(*b));
        if after || (entry.value.is_empty() && separator > entry.key.end) {
            delimiter.push(b' ');
        }
        // Deeper than all others it might be taken for more of the value before.
        let entries = section.map(|section| section.entries.as_slice()).unwrap_or_default();
        let shallow = entries.iter().min_by_key(|entry| entry.key.start).unwrap_or(entry);
        let text = all.get(shallow.lines.start).map_or(&[][..], |line| line.text);
        (text.get(..shallow.key.start).unwrap_or_default().to_vec(), delimiter)
    }

    /// The last line of a section in which the option is commented out, and that line without the
    /// comment. Where the key follows the mark at once, it is no prose for sure.
    fn commented<'t>(
        &self,
        option: &Assignment,
        sections: &[&Section],
        text: &impl Fn(usize) -> &'t [u8],
    ) -> Option<(usize, Vec<u8>)> {
        let candidates = || {
            let lines = sections.iter().rev().flat_map(|section| section.lines.clone().rev());
            lines.filter_map(|index| {
                let line = text(index);
                let indent = depth(line);
                let inner = line
                    .get(indent..)?
                    .strip_prefix(b"#")
                    .or_else(|| line.get(indent..)?.strip_prefix(b";"))?;
                let separator = inner.iter().position(|b| *b == self.separator)?;
                let key = inner.get(trimmed(inner, 0..separator))?;
                let tight = depth(inner) == 0;
                let rest = inner.get(depth(inner)..)?;
                self.same(key, option.key.as_bytes())
                    .then(|| (index, tight, [line.get(..indent).unwrap_or_default(), rest].concat()))
            })
        };
        let best = candidates().find(|(_, tight, _)| *tight).or_else(|| candidates().next());
        best.map(|(index, _, line)| (index, line))
    }

    /// `key: value` where `=` is read, or the reverse: a second line would be wrong.
    fn refuse_other_separator<'t>(
        &self,
        option: &Assignment,
        sections: &[&Section],
        part: &impl Fn(usize, &Range<usize>) -> &'t [u8],
    ) -> Result<(), EditError> {
        let other = if self.separator == b'=' { b':' } else { b'=' };
        let entries = sections.iter().flat_map(|section| &section.entries);
        for entry in entries {
            let text = part(entry.lines.start, &(entry.key.start..entry.value.end.max(entry.key.end)));
            let Some(at) = text.iter().position(|b| *b == other) else { continue };
            if self.same(text.get(trimmed(text, 0..at)).unwrap_or_default(), option.key.as_bytes()) {
                return Err(EditError::Unsafe {
                    at: option.at.clone(),
                    message: format!(
                        "line {} sets `{}` with `{}`, not with `{}`",
                        entry.lines.start + 1,
                        option.key,
                        char::from(other),
                        char::from(self.separator)
                    ),
                    hint: "say so with `delimiter`",
                });
            }
        }
        Ok(())
    }
}

fn doubtful(option: &Assignment, line: usize) -> EditError {
    EditError::Unsafe {
        at: option.at.clone(),
        message: format!("line {} begins deeper than the line before: it may continue its value", line + 1),
        hint: "say with `continuation` whether it does (`indent`) or not (`none`)",
    }
}

fn written(indent: &[u8], key: &str, delimiter: &[u8], value: &str) -> Vec<u8> {
    let line = [indent, key.as_bytes(), delimiter, value.as_bytes()].concat();
    let end = if value.is_empty() { trimmed(&line, 0..line.len()).end } else { line.len() };
    line.get(..end).unwrap_or_default().to_vec()
}

/// Where a value ends that may be followed by a comment: before the blanks in front of its mark. A
/// mark within quotes at the beginning of the value is none.
fn without_comment(text: &[u8], value: Range<usize>) -> usize {
    let part = text.get(value.clone()).unwrap_or_default();
    let quoted = match part.first() {
        Some(quote @ (b'"' | b'\'')) => part.iter().skip(1).position(|b| b == quote).map_or(0, |at| at + 2),
        _ => 0,
    };
    let mark = (quoted..part.len()).find(|at| {
        let blank_before = match at.checked_sub(1) {
            Some(before) => part.get(before).is_some_and(|b| is_blank(*b)),
            None => true,
        };
        blank_before && matches!(part.get(*at), Some(b'#' | b';'))
    });
    mark.map_or(value.end, |at| value.start + at)
}

/// As systemd reads it: a comment within a continued value is skipped, and the value goes on.
fn after_backslashes(all: &[Line<'_>], index: usize) -> usize {
    let mut at = index;
    while let Some(line) = all.get(at) {
        let goes_on = line.text.ends_with(b"\\") || (at > index && is_comment(line.text));
        at += 1;
        if !goes_on {
            break;
        }
    }
    at
}

/// As most readers do it: blank lines and comments belong to a value if it goes on after them.
fn after_deeper(all: &[Line<'_>], index: usize) -> usize {
    let own = all.get(index).map_or(0, |line| depth(line.text));
    let mut end = index + 1;
    for (at, line) in all.iter().enumerate().skip(index + 1) {
        if first(line.text).is_none() || is_comment(line.text) {
            continue;
        }
        if depth(line.text) <= own {
            break;
        }
        end = at + 1;
    }
    end
}

/// Where options without a section go if there are none yet: after what comments the file, before
/// what comments the first section.
fn before_first_header(section: &Section, all: &[Line<'_>]) -> usize {
    let mut at = section.lines.end;
    if at == all.len() {
        return at;
    }
    let blank = |index: usize| all.get(index).is_none_or(|line| first(line.text).is_none());
    while at > 0 && !blank(at - 1) {
        at -= 1;
    }
    while at > 0 && blank(at - 1) {
        at -= 1;
    }
    at
}
