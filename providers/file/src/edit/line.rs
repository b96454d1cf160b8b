//! `file.line`: one line is there as written, or is not there.

use super::{EditError, Position, Presence, insert};
use crate::lines::{self, Line};
use regex::bytes::Regex;

/// Which of several candidates is the one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Occurrence {
    /// The last is replaced, the others stay.
    #[default]
    Last,
    /// The first is replaced, the others stay.
    First,
    /// The first is replaced, the others are removed.
    All,
}

/// The edit. A candidate is a line that matches `pattern` or equals `line`.
#[derive(Clone, Debug)]
pub(crate) struct LineEdit {
    pub(crate) pattern: Option<Regex>,
    pub(crate) line: Option<String>,
    pub(crate) occurrence: Occurrence,
    pub(crate) position: Position,
    pub(crate) presence: Presence,
}

impl LineEdit {
    fn is_candidate(&self, line: &Line<'_>) -> bool {
        self.line.as_ref().is_some_and(|text| text.as_bytes() == line.text)
            || self.pattern.as_ref().is_some_and(|pattern| pattern.is_match(line.text))
    }

    /// The content after the edit.
    pub(crate) fn apply(&self, bytes: &[u8]) -> Result<Vec<u8>, EditError> {
        let mut all = lines::split(bytes);
        let ending = lines::ending(&all);
        let wanted = match (self.presence, &self.line) {
            (Presence::Present, Some(line)) => line.as_bytes(),
            _ => {
                all.retain(|line| !self.is_candidate(line));
                return Ok(lines::join(&all, ending));
            }
        };
        let chosen = match self.occurrence {
            Occurrence::Last => all.iter().rposition(|line| self.is_candidate(line)),
            Occurrence::First | Occurrence::All => all.iter().position(|line| self.is_candidate(line)),
        };
        match chosen {
            None => {
                let index = self.position.index(&all)?;
                insert(&mut all, index, [Line { text: wanted, end: ending }]);
            }
            Some(index) => {
                if let Some(line) = all.get_mut(index) {
                    line.text = wanted;
                }
                if self.occurrence == Occurrence::All {
                    let mut at = 0..;
                    all.retain(|line| at.next() == Some(index) || !self.is_candidate(line));
                }
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

    fn edit(pattern: &str, line: &str) -> LineEdit {
        LineEdit {
            pattern: (!pattern.is_empty()).then(|| Regex::new(pattern).unwrap()),
            line: Some(line.into()),
            occurrence: Occurrence::Last,
            position: Position::End,
            presence: Presence::Present,
        }
    }

    fn text(bytes: Result<Vec<u8>, EditError>) -> String {
        String::from_utf8(bytes.unwrap()).unwrap()
    }

    #[test]
    fn replaces_the_last_match_in_its_place() {
        let edit = edit("^#?Port", "Port 22");
        assert_eq!(text(edit.apply(b"#Port 1\nPort 2\nX\n")), "#Port 1\nPort 22\nX\n");
    }

    #[test]
    fn first_and_all() {
        let mut edit = edit("^#?Port", "Port 22");
        edit.occurrence = Occurrence::First;
        assert_eq!(text(edit.apply(b"#Port 1\nPort 2\nX\n")), "Port 22\nPort 2\nX\n");
        edit.occurrence = Occurrence::All;
        assert_eq!(text(edit.apply(b"#Port 1\nPort 2\nX\n")), "Port 22\nX\n");
    }

    #[test]
    fn appends_where_nothing_matches() {
        assert_eq!(text(edit("", "b").apply(b"a\n")), "a\nb\n");
        assert_eq!(text(edit("", "b").apply(b"")), "b\n");
    }

    #[test]
    fn a_missing_last_newline_is_added_only_where_a_line_follows() {
        assert_eq!(text(edit("", "b").apply(b"a")), "a\nb\n");
        assert_eq!(text(edit("a", "b").apply(b"x\na")), "x\nb");
    }

    #[test]
    fn crlf_stays_crlf() {
        assert_eq!(text(edit("^a$", "z").apply(b"a\r\nb\r\n")), "z\r\nb\r\n");
        assert_eq!(text(edit("", "z").apply(b"a\r\nb\r\n")), "a\r\nb\r\nz\r\n");
    }

    #[test]
    fn bytes_that_are_no_text_survive() {
        assert_eq!(edit("", "b").apply(b"\xff\xfe\x00\n").unwrap(), b"\xff\xfe\x00\nb\n");
    }

    #[test]
    fn positions() {
        let mut edit = edit("", "z");
        let mut at = |position, bytes: &[u8]| {
            edit.position = position;
            edit.apply(bytes)
        };
        let anchor = || Regex::new("^a").unwrap();
        assert_eq!(text(at(Position::Beginning, b"a\n")), "z\na\n");
        assert_eq!(text(at(Position::After(anchor()), b"a1\na2\nb\n")), "a1\na2\nz\nb\n");
        assert_eq!(text(at(Position::After(anchor()), b"b\na")), "b\na\nz\n");
        assert_eq!(text(at(Position::Before(anchor()), b"b\na1\na2\n")), "b\nz\na1\na2\n");
        assert_eq!(at(Position::After(anchor()), b"b\n"), Err(EditError::NoAnchor("^a".into())));
    }

    #[test]
    fn removes_every_candidate() {
        let mut edit = edit("^#?Port", "X");
        edit.presence = Presence::Absent;
        assert_eq!(text(edit.apply(b"Port 1\na\nX\n#Port\n")), "a\n");
        edit.line = None;
        assert_eq!(text(edit.apply(b"Port 1\na\nX\n#Port\n")), "a\nX\n");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn is_its_own_fixed_point(
            bytes in prop::collection::vec(prop::sample::select(b"aab#\r\n\n\xff".to_vec()), 0..24),
            pattern in prop::sample::select(vec!["", "a", "^a$", "^#", "b", "^$"]),
            line in prop::sample::select(vec!["a", "b", "ab", "zz", "#"]),
            occurrence in prop::sample::select(vec![Occurrence::Last, Occurrence::First, Occurrence::All]),
            position in 0..4_u8,
            absent in any::<bool>(),
        ) {
            let mut edit = edit(pattern, line);
            edit.occurrence = occurrence;
            edit.presence = if absent { Presence::Absent } else { Presence::Present };
            let anchor = Regex::new("a").unwrap();
            edit.position = match position {
                0 => Position::End,
                1 => Position::Beginning,
                2 => Position::After(anchor),
                _ => Position::Before(anchor),
            };
            if let Ok(once) = edit.apply(&bytes) {
                prop_assert_eq!(edit.apply(&once).unwrap(), once.clone());
                let there = lines::split(&once).iter().any(|l| l.text == line.as_bytes());
                prop_assert_eq!(there, !absent);
            }
        }
    }
}
