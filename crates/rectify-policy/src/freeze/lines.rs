//! Content lines of iCalendar (RFC 5545, section 3.1): folded lines are put together, and each is
//! taken apart into name, parameters and value.

use super::Malformed;
use std::collections::BTreeMap;

/// One content line.
pub(super) struct Line {
    /// Number of its first physical line, from 1.
    pub(super) number: usize,
    /// Name in capital letters.
    pub(super) name: String,
    /// Parameters by name in capital letters; quotes are removed.
    pub(super) parameters: BTreeMap<String, String>,
    /// What follows the colon.
    pub(super) value: String,
}

/// Takes a file apart.
pub(super) fn lines(text: &str) -> Result<Vec<Line>, Malformed> {
    let mut unfolded: Vec<(usize, String)> = Vec::new();
    for (index, line) in text.split('\n').enumerate() {
        let number = index.saturating_add(1);
        let line = line.strip_suffix('\r').unwrap_or(line);
        if let Some(rest) = line.strip_prefix([' ', '\t']) {
            match unfolded.last_mut() {
                Some((_, before)) => before.push_str(rest),
                None => return Err(Malformed::new(number, "a folded line has nothing before it")),
            }
        } else if !line.is_empty() {
            unfolded.push((number, line.to_owned()));
        }
    }
    unfolded.into_iter().map(|(number, line)| take_apart(number, &line)).collect()
}

fn take_apart(number: usize, line: &str) -> Result<Line, Malformed> {
    let mut quoted = false;
    let colon = line.char_indices().find(|(_, c)| {
        quoted ^= *c == '"';
        *c == ':' && !quoted
    });
    let Some((colon, _)) = colon else {
        return Err(Malformed::new(number, "expected `NAME:value`"));
    };
    let (head, value) = line.split_at(colon);
    let mut parts = split_outside_quotes(head, ';').into_iter();
    let name = parts.next().unwrap_or_default().to_ascii_uppercase();
    let mut parameters = BTreeMap::new();
    for part in parts {
        let Some((name, value)) = part.split_once('=') else {
            return Err(Malformed::new(number, format!("`{part}` is not a parameter")));
        };
        let value = value.trim_matches('"').to_owned();
        if parameters.insert(name.to_ascii_uppercase(), value).is_some() {
            return Err(Malformed::new(number, format!("the parameter `{name}` stands there twice")));
        }
    }
    Ok(Line { number, name, parameters, value: value.strip_prefix(':').unwrap_or(value).to_owned() })
}

fn split_outside_quotes(text: &str, at: char) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut quoted = false;
    for c in text.chars() {
        quoted ^= c == '"';
        if c == at && !quoted {
            parts.push(String::new());
        } else if let Some(last) = parts.last_mut() {
            last.push(c);
        }
    }
    parts
}

/// A TEXT value without its escapes and control characters.
pub(super) fn plain(value: &str) -> String {
    let mut out = String::new();
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        let c = match c {
            '\\' => match chars.next() {
                Some('n' | 'N') | None => ' ',
                Some(other) => other,
            },
            other => other,
        };
        if !c.is_control() && out.chars().count() < 200 {
            out.push(c);
        }
    }
    out
}
