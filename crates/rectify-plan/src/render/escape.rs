//! Characters that a terminal or a browser would act on, or not show, made visible.

use std::fmt::Write as _;

/// Replaces every control, bidirectional, zero-width and otherwise invisible character by its
/// number, such as `<U+202E>`. A line feed becomes `\n`, a tab `\t`.
#[must_use]
pub fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c => push(&mut out, c),
        }
    }
    out
}

/// As [`visible`], for one line of a content: a tab stays a tab.
pub(super) fn visible_line(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    for c in line.chars() {
        if c == '\t' { out.push(c) } else { push(&mut out, c) }
    }
    out
}

fn push(out: &mut String, c: char) {
    if hidden(c) {
        // Writing to a string cannot fail.
        let _ = write!(out, "<U+{:04X}>", u32::from(c));
    } else {
        out.push(c);
    }
}

/// Whether a character is not shown as itself, or moves others.
fn hidden(c: char) -> bool {
    c.is_control()
        || (c.is_whitespace() && c != ' ')
        || matches!(
            c,
            '\u{ad}'
                | '\u{34f}'
                | '\u{61c}'
                | '\u{115f}'..='\u{1160}'
                | '\u{17b4}'..='\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}'
                | '\u{202a}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{3164}'
                | '\u{fe00}'..='\u{fe0f}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffb}'
                | '\u{1bca0}'..='\u{1bca3}'
                | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

#[cfg(test)]
mod tests {
    use super::visible;

    #[test]
    fn hidden_characters_are_shown_by_number() {
        assert_eq!(
            visible("a\u{202e}b\u{200b}\r\n\tc\u{1b}[31m"),
            "a<U+202E>b<U+200B><U+000D>\\n\\tc<U+001B>[31m"
        );
        assert_eq!(visible("Grüße, 世界 🙂"), "Grüße, 世界 🙂");
    }
}
