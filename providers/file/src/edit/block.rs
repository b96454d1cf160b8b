//! `file.block`: several lines between two marker lines, managed as one.

use super::{EditError, Position, Presence, insert};
use crate::lines::{self, Line};

/// The two lines around a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Marker {
    pub(crate) begin: String,
    pub(crate) end: String,
}

impl Marker {
    /// From a template in which `{mark}` stands for `BEGIN` and `END`; `None` where it is missing.
    pub(crate) fn new(template: &str) -> Option<Self> {
        template.contains("{mark}").then(|| Self {
            begin: template.replace("{mark}", "BEGIN"),
            end: template.replace("{mark}", "END"),
        })
    }

    /// The lines of the block in a content: index of the begin marker and of the end marker.
    fn find(&self, all: &[Line<'_>]) -> Result<Option<(usize, usize)>, EditError> {
        let error = |index: usize, what, problem| EditError::Markers { line: index + 1, what, problem };
        let mut open = None;
        let mut found = None;
        for (index, line) in all.iter().enumerate() {
            if line.text == self.begin.as_bytes() {
                if open.is_some() || found.is_some() {
                    return Err(error(index, "begin marker", "is there twice"));
                }
                open = Some(index);
            } else if line.text == self.end.as_bytes() {
                match open.take() {
                    Some(begin) => found = Some((begin, index)),
                    None => return Err(error(index, "end marker", "has no begin marker before it")),
                }
            }
        }
        match open {
            Some(begin) => Err(error(begin, "begin marker", "has no end marker after it")),
            None => Ok(found),
        }
    }
}

/// The edit.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    pub(crate) marker: Marker,
    /// The lines between the markers, separated by `\n`; one at the end makes no difference.
    pub(crate) block: String,
    pub(crate) position: Position,
    pub(crate) presence: Presence,
}

fn line<'a>(text: &'a str, end: &'a [u8]) -> Line<'a> {
    Line { text: text.as_bytes(), end }
}

impl Block {
    fn inner(&self) -> impl Iterator<Item = &str> {
        self.block.lines().map(|line| line.strip_suffix('\r').unwrap_or(line))
    }

    /// Whether a carriage return stands inside a line: it would be shown as the end of one.
    pub(crate) fn holds_lone_return(&self) -> bool {
        self.inner().any(|line| line.contains('\r'))
    }

    /// Whether a line of the block is one of its own markers; such a block could not be found again.
    pub(crate) fn holds_marker(&self) -> bool {
        self.inner().any(|line| line == self.marker.begin || line == self.marker.end)
    }

    /// The content after the edit.
    pub(crate) fn apply(&self, bytes: &[u8]) -> Result<Vec<u8>, EditError> {
        let mut all = lines::split(bytes);
        let ending = lines::ending(&all);
        let place = self.marker.find(&all)?;
        match (self.presence, place) {
            (Presence::Absent, None) => {}
            (Presence::Absent, Some((begin, end))) => {
                all.drain(begin..=end);
            }
            (Presence::Present, Some((begin, end))) => {
                let new: Vec<Line<'_>> = self.inner().map(|text| line(text, ending)).collect();
                all.splice(begin + 1..end, new);
            }
            (Presence::Present, None) => {
                let index = self.position.index(&all)?;
                let mut new = vec![line(&self.marker.begin, ending)];
                new.extend(self.inner().map(|text| line(text, ending)));
                new.push(line(&self.marker.end, ending));
                insert(&mut all, index, new);
            }
        }
        Ok(lines::join(&all, ending))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;
    use regex::bytes::Regex;

    fn block(text: &str) -> Block {
        Block {
            marker: Marker::new("# {mark} X").unwrap(),
            block: text.into(),
            position: Position::End,
            presence: Presence::Present,
        }
    }

    fn text(bytes: Result<Vec<u8>, EditError>) -> String {
        String::from_utf8(bytes.unwrap()).unwrap()
    }

    #[test]
    fn is_appended_replaced_and_removed() {
        let mut edit = block("one\ntwo\n");
        let first = edit.apply(b"a").unwrap();
        assert_eq!(first, b"a\n# BEGIN X\none\ntwo\n# END X\n");
        edit.block = "three".into();
        let second = edit.apply(&first).unwrap();
        assert_eq!(second, b"a\n# BEGIN X\nthree\n# END X\n");
        edit.presence = Presence::Absent;
        assert_eq!(edit.apply(&second).unwrap(), b"a\n");
    }

    #[test]
    fn an_empty_block_keeps_its_markers() {
        assert_eq!(text(block("").apply(b"")), "# BEGIN X\n# END X\n");
    }

    #[test]
    fn crlf_stays_crlf() {
        assert_eq!(text(block("1\n2").apply(b"a\r\n")), "a\r\n# BEGIN X\r\n1\r\n2\r\n# END X\r\n");
    }

    #[test]
    fn damaged_markers_are_refused() {
        let message = |bytes: &[u8]| block("1").apply(bytes).unwrap_err().to_string();
        assert_eq!(
            message(b"a\n# BEGIN X\n"),
            "line 2: the begin marker of the managed block has no end marker after it"
        );
        assert_eq!(
            message(b"# END X\n"),
            "line 1: the end marker of the managed block has no begin marker before it"
        );
        assert_eq!(
            message(b"# BEGIN X\n# END X\n# BEGIN X\n# END X\n"),
            "line 3: the begin marker of the managed block is there twice"
        );
        assert_eq!(
            message(b"# BEGIN X\n# BEGIN X\n# END X\n"),
            "line 2: the begin marker of the managed block is there twice"
        );
    }

    #[test]
    fn finds_its_own_markers_in_a_block() {
        assert!(block("a\n# END X\n").holds_marker());
        assert!(!block("a\n# END Y\n").holds_marker());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]
        #[test]
        fn is_its_own_fixed_point(
            before in "[ab\r\n]{0,10}",
            there in prop::option::of("[ab\n]{0,6}"),
            after in "[ab\r\n]{0,10}",
            inner in "[ab\n]{0,8}",
            position in 0..4_u8,
            absent in any::<bool>(),
        ) {
            let mut bytes = before;
            if let Some(old) = there {
                bytes = String::from_utf8(block(&old).apply(bytes.as_bytes()).unwrap()).unwrap();
            }
            bytes.push_str(&after);
            let mut edit = block(&inner);
            edit.presence = if absent { Presence::Absent } else { Presence::Present };
            let anchor = Regex::new("a").unwrap();
            edit.position = match position {
                0 => Position::End,
                1 => Position::Beginning,
                2 => Position::After(anchor),
                _ => Position::Before(anchor),
            };
            if let Ok(once) = edit.apply(bytes.as_bytes()) {
                prop_assert_eq!(edit.apply(&once).unwrap(), once.clone());
                let found = edit.marker.find(&lines::split(&once)).unwrap();
                prop_assert_eq!(found.is_some(), !absent);
            }
        }
    }
}
