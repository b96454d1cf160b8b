//! Source bytes as text: size, encoding, characters that cannot be seen, lines and columns.

use crate::{codes, report::Cx, tree::Span};
use rectify_base::limits::SOURCE_MAX_BYTES;

/// Finds line and column of bytes in a text.
#[derive(Clone, Debug)]
pub struct LineIndex<'s> {
    text: &'s str,
    starts: Vec<usize>,
}

impl<'s> LineIndex<'s> {
    /// Indexes a text once.
    #[must_use]
    pub fn new(text: &'s str) -> Self {
        let newlines = text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(i, _)| i + 1);
        Self { text, starts: std::iter::once(0).chain(newlines).collect() }
    }

    /// One-based line and column of a byte; columns count characters.
    #[must_use]
    pub fn locate(&self, offset: usize) -> (u32, u32) {
        let line = self.starts.partition_point(|start| *start <= offset);
        let start = line.checked_sub(1).and_then(|i| self.starts.get(i)).copied().unwrap_or(0);
        let before = self.text.get(start..offset).unwrap_or("");
        let clip = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        (clip(line), clip(before.chars().count() + 1))
    }
}

/// Whether a reviewer would not see this character, or would see the line in another order.
pub(crate) fn is_hidden(c: char) -> bool {
    match c {
        '\t' | '\n' | '\r' => false,
        '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{00ad}' | '\u{180e}' | '\u{feff}' => true,
        '\u{202a}'..='\u{202e}' | '\u{2028}' | '\u{2029}' | '\u{2060}'..='\u{206f}' => true,
        '\u{e0000}'..='\u{e007f}' | '\u{fff9}'..='\u{fffb}' => true,
        c => c.is_control(),
    }
}

/// The text of a source file, if it may be read at all.
pub(crate) fn decode<'s>(bytes: &'s [u8], cx: &mut Cx<'_, '_>) -> Option<&'s str> {
    if bytes.len() > SOURCE_MAX_BYTES {
        cx.error(
            codes::YAML_TOO_LARGE,
            Span::default(),
            format!("the file has {} bytes, more than {SOURCE_MAX_BYTES}", bytes.len()),
        )
        .help = Some("split it into several files".into());
        return None;
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let at = Span::new(error.valid_up_to(), error.valid_up_to());
            cx.error(codes::YAML_ENCODING, at, "the file is not UTF-8 from here on").help =
                Some("save it as UTF-8 without a byte order mark".into());
            return None;
        }
    };
    let escape =
        "delete it; if the value needs it, write it as an escape such as \"\\u200b\" in double quotes";
    is_visible(text, escape, cx).then_some(text)
}

/// Whether a reviewer sees all of a text, in the order in which it is written; if not, that is reported.
/// `escape` says how such a character is written where it is wanted.
pub(crate) fn is_visible(text: &str, escape: &str, cx: &mut Cx<'_, '_>) -> bool {
    let bytes = text.as_bytes();
    let plain = |b: &u8| matches!(b, b' '..=b'~' | b'\n' | b'\t');
    if bytes.iter().all(plain) {
        return true;
    }
    let mut sound = true;
    for (offset, c) in text.char_indices() {
        let lone_return = c == '\r' && bytes.get(offset + 1) != Some(&b'\n');
        if is_hidden(c) || lone_return {
            sound = false;
            let at = Span::new(offset, offset + c.len_utf8());
            cx.error(
                codes::YAML_HIDDEN_CHARACTER,
                at,
                format!(
                    "the character U+{:04X} cannot be seen, or changes how the line is shown",
                    u32::from(c)
                ),
            )
            .help = Some(escape.into());
            if cx.is_full() {
                break;
            }
        }
    }
    sound
}
