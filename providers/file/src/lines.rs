//! A text as lines, in bytes. Nothing is lost: joining the lines gives the text back.

/// One line: what it says, and how it ends.
///
/// The ending is `\n`, `\r\n`, or, on the last line only, empty or a lone `\r`. So what a line
/// says does not change when a missing ending is completed later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    pub(crate) text: &'a [u8],
    pub(crate) end: &'a [u8],
}

const LF: &[u8] = b"\n";
const CRLF: &[u8] = b"\r\n";

/// Splits a text into its lines. An empty text has none.
pub(crate) fn split(bytes: &[u8]) -> Vec<Line<'_>> {
    bytes
        .split_inclusive(|b| *b == b'\n')
        .map(|whole| {
            let body = whole.strip_suffix(LF).unwrap_or(whole);
            let text = body.strip_suffix(b"\r").unwrap_or(body);
            let (text, end) = whole.split_at(text.len());
            Line { text, end }
        })
        .collect()
}

/// How new lines end: as the first line of the text does.
pub(crate) fn ending(lines: &[Line<'_>]) -> &'static [u8] {
    match lines.first() {
        // A lone `\r` at the very end is an unfinished `\r\n`: completing it must not change the rule.
        Some(line) if line.end.first() == Some(&b'\r') => CRLF,
        _ => LF,
    }
}

/// Joins lines. A line that has another after it gets a whole ending if it had none.
pub(crate) fn join(lines: &[Line<'_>], ending: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(lines.iter().map(|l| l.text.len() + 2).sum());
    for (index, line) in lines.iter().enumerate() {
        out.extend_from_slice(line.text);
        let last = index + 1 == lines.len();
        out.extend_from_slice(match line.end {
            b"" if !last => ending,
            b"\r" if !last => CRLF,
            end => end,
        });
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn joining_gives_the_text_back(bytes in prop::collection::vec(prop::sample::select(b"ab\r\n\xff".to_vec()), 0..40)) {
            prop_assert_eq!(join(&split(&bytes), b"\n"), bytes);
        }
    }

    #[test]
    fn a_missing_ending_is_completed_only_inside() {
        let lines = split(b"a\r\nb");
        assert_eq!(ending(&lines), CRLF);
        assert_eq!(lines[1], Line { text: b"b", end: b"" });
        let swapped = [lines[1], lines[0]];
        assert_eq!(join(&swapped, ending(&lines)), b"b\r\na\r\n");
    }
}
