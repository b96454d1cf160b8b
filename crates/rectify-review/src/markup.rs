//! Markup that cannot be broken out of: what is written as it is must be part of this program, and
//! all other text is escaped.

use crate::escape::{visible, visible_line};
use std::fmt::Write as _;

/// HTML or XML under construction.
#[derive(Default)]
pub(crate) struct Markup {
    out: String,
}

impl Markup {
    /// What was written.
    pub fn finish(self) -> String {
        self.out
    }

    /// Bytes so far.
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// Markup of ours, as it is.
    pub fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.out.push_str(markup);
        self
    }

    /// Text or the value of a quoted attribute, in one line: hidden characters are made visible.
    pub fn text(&mut self, text: &str) -> &mut Self {
        escape(&mut self.out, &visible(text));
        self
    }

    /// A line of a content: as [`Markup::text`], but a tab stays one.
    pub fn line(&mut self, line: &str) -> &mut Self {
        escape(&mut self.out, &visible_line(line));
        self
    }

    /// A number.
    pub fn number(&mut self, number: impl Into<i64>) -> &mut Self {
        // Writing to a string cannot fail.
        let _ = write!(self.out, "{}", number.into());
        self
    }

    /// How many there are.
    pub fn count(&mut self, count: usize) -> &mut Self {
        let _ = write!(self.out, "{count}");
        self
    }

    /// Markup that was made in the same way.
    pub fn append(&mut self, other: &Self) -> &mut Self {
        self.out.push_str(&other.out);
        self
    }
}

/// Escapes for text and for attributes in either quotes, in HTML as in XML.
fn escape(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Markup;

    #[test]
    fn text_cannot_leave_its_place() {
        let mut markup = Markup::default();
        markup.raw("<p title=\"").text("\" onclick='x' \u{202e}<b>").raw("\">").text("]]></p>\n\u{0}&amp;");
        assert_eq!(
            markup.finish(),
            "<p title=\"&quot; onclick=&#39;x&#39; &lt;U+202E&gt;&lt;b&gt;\">]]&gt;&lt;/p&gt;\\n&lt;U+0000&gt;&amp;amp;"
        );
    }
}
