//! Characters that a terminal or a browser would act on, or not show, made visible.

use serde_json::Value;
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

/// A value as JSON in one line. Hidden characters are escaped as JSON escapes them, so that two
/// different values never look alike.
pub(super) fn json(value: &Value) -> String {
    let text = value.to_string();
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if hidden(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a string cannot fail.
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    out
}

/// One word of a command, quoted as a shell would want it: as it is if that is plain, in quotes, or
/// with `$'…'` if characters must be escaped. Two different words never look alike.
pub(super) fn shell_word(value: &Value) -> String {
    // A word is text; whatever else stands there is shown as what it is.
    let Some(text) = value.as_str() else { return json(value) };
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@%+".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.into();
    }
    if !text.chars().any(hidden) {
        return format!("'{}'", text.replace('\'', "'\\''"));
    }
    let mut out = String::from("$'");
    for c in text.chars() {
        let code = u32::from(c);
        // Writing to a string cannot fail.
        let _ = match c {
            '\n' => write!(out, "\\n"),
            '\t' => write!(out, "\\t"),
            '\\' | '\'' => write!(out, "\\{c}"),
            c if hidden(c) && code <= 0xffff => write!(out, "\\u{code:04x}"),
            c if hidden(c) => write!(out, "\\U{code:08x}"),
            c => write!(out, "{c}"),
        };
    }
    out.push('\'');
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
                | '\u{2800}'
                | '\u{3164}'
                | '\u{fe00}'..='\u{fe0f}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffb}'
                | '\u{fffe}'..='\u{ffff}'
                | '\u{1bca0}'..='\u{1bca3}'
                | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{shell_word, visible};
    use serde_json::json;

    #[test]
    fn hidden_characters_are_shown_by_number() {
        assert_eq!(
            visible("a\u{202e}b\u{200b}\r\n\tc\u{1b}[31m"),
            "a<U+202E>b<U+200B><U+000D>\\n\\tc<U+001B>[31m"
        );
        assert_eq!(visible("Grüße, 世界 🙂"), "Grüße, 世界 🙂");
    }
    #[test]
    fn words_are_quoted_as_a_shell_wants_them() {
        for (word, shown) in [
            ("systemctl", "systemctl"),
            ("", "''"),
            ("my app", "'my app'"),
            ("$HOME", "'$HOME'"),
            ("it's", "'it'\\''s'"),
            ("a\\nb", "'a\\nb'"),
            ("a\nb's\\", "$'a\\nb\\'s\\\\'"),
            ("\u{1b}[2J\u{202e}\u{e0001}", "$'\\u001b[2J\\u202e\\U000e0001'"),
        ] {
            assert_eq!(shell_word(&json!(word)), shown);
        }
        assert_eq!(shell_word(&json!(7)), "7");
    }

    #[test]
    fn values_stay_json() {
        let value = json!({"a": "\u{202e}\u{e0001}\n\\u202e \u{7f}"});
        let shown = super::json(&value);
        assert_eq!(shown, r#"{"a":"\u202e\udb40\udc01\n\\u202e \u007f"}"#);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
    }
}
