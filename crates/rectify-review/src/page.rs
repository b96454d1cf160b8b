//! Markdown that grows up to a limit, and says what did not fit.

/// Room that is kept for the note at the end, in characters.
const TAIL_CHARS: usize = 1_000;
/// Shortest list that is begun, in characters.
const LIST_MIN_CHARS: usize = 160;

/// A page under construction.
pub(crate) struct Page {
    text: String,
    used: usize,
    limit: usize,
}

/// How long platforms say that a text is, at worst: some count UTF-16 units, some turn each end of a line
/// into two characters.
pub(crate) fn chars(text: &str) -> usize {
    text.chars().map(|c| if c == '\n' { 2 } else { c.len_utf16() }).sum()
}

impl Page {
    /// An empty page of at most so many characters.
    pub fn new(limit: usize) -> Self {
        Self { text: String::new(), used: 0, limit }
    }

    /// Appends a part if it fits whole.
    pub fn push(&mut self, part: &str) -> bool {
        self.push_within(part, 100)
    }

    /// Appends a part if the page stays below so many hundredths of its limit.
    pub fn push_within(&mut self, part: &str, hundredths: usize) -> bool {
        let length = chars(part);
        let room = self.limit.saturating_sub(TAIL_CHARS) * hundredths / 100;
        let fits = self.used + length <= room;
        if fits {
            self.text.push_str(part);
            self.used += length;
        }
        fits
    }

    /// Appends a list that takes at most so many hundredths of the limit; its title says how many entries
    /// there are, and its last line how many are not shown. Returns how many those are.
    pub fn list(&mut self, title: &str, lines: &[String], hundredths: usize) -> usize {
        if lines.is_empty() {
            return 0;
        }
        let whole = self.limit.saturating_sub(TAIL_CHARS);
        let until = (self.used + whole * hundredths / 100).min(whole).saturating_sub(LIST_MIN_CHARS);
        let head = match lines.len() {
            1 => format!("\n**{title}**\n\n"),
            count => format!("\n**{title} ({count})**\n\n"),
        };
        if !self.push(&head) {
            return lines.len();
        }
        let mut missing = 0;
        for line in lines {
            let entry = format!("- {}\n", entry(line));
            // In order, so that what is shown is the beginning of the list.
            if missing > 0 || self.used + chars(&entry) > until || !self.push(&entry) {
                missing += 1;
            }
        }
        if missing > 0 && missing < lines.len() {
            self.push(&format!("- and {missing} more\n"));
        }
        missing
    }

    /// The page, with a note of what is not on it and of what prints that.
    pub fn finish(mut self, left_out: &[String], elsewhere: &str) -> String {
        if !left_out.is_empty() {
            self.text.push_str(&format!(
                "\n**This page is not all of it.** Left out to keep it under {} characters: {}. {elsewhere}\n",
                self.limit,
                left_out.join("; ")
            ));
        }
        self.text
    }
}

/// The longest run of backticks in a text.
fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

/// The lines that open and close a block of code, or of a diff, around this text.
pub(crate) fn fence(text: &str) -> (String, String) {
    let fence = "`".repeat(longest_run(text).max(2) + 1);
    (format!("{fence}diff"), fence)
}

/// Text in code style, whatever backticks it holds.
pub(crate) fn code(text: &str) -> String {
    let fence = "`".repeat(longest_run(text) + 1);
    let space = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{fence}{space}{text}{space}{fence}")
}

/// Text that means nothing to Markdown or HTML.
#[must_use]
pub fn inline(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            // As an entity, so that nobody is mentioned by accident.
            '@' => out.push_str("&#64;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '~' | '#' | '!' | '$' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    // Nor does a bare address become a link.
    out.replace("://", "&#58;//").replace("www.", "www&#46;")
}

/// Text that stands at the beginning of a list's entry, where a sign or a number would begin another list.
pub(crate) fn entry(text: &str) -> String {
    let text = inline(text.trim());
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let rest = text.get(digits..).unwrap_or_default();
    let begins = if digits == 0 { rest.starts_with(['-', '+', '=']) } else { rest.starts_with(['.', ')']) };
    if begins {
        return format!("{}\\{rest}", text.get(..digits).unwrap_or_default());
    }
    text
}

/// Text in HTML.
pub(crate) fn html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
