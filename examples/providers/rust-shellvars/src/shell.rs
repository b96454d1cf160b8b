//! Texts of shell assignments, changed line by line.

use std::collections::BTreeMap;

/// A line that sets a variable, and that cannot be changed without knowing more of the shell.
#[derive(Debug, PartialEq, Eq)]
pub struct Unclear {
    /// Number of the line, from 1.
    pub line: usize,
    /// Name of the variable.
    pub name: String,
}

/// Whether a text is the name of a variable.
pub fn is_name(text: &str) -> bool {
    let letter = |b: u8| b.is_ascii_alphabetic() || b == b'_';
    text.bytes().next().is_some_and(letter) && text.bytes().all(|b| letter(b) || b.is_ascii_digit())
}

/// The text in which these variables are set, and those are not.
pub fn edit(text: &str, set: &BTreeMap<String, String>, unset: &[String]) -> Result<String, Unclear> {
    let mut lines: Vec<String> = Vec::new();
    let mut last: BTreeMap<&str, usize> = BTreeMap::new();
    let mut number = 1;
    for line in commands(text) {
        let known =
            assigned(line).filter(|name| set.contains_key(*name) || unset.iter().any(|gone| gone == name));
        let Some(name) = known else {
            lines.push(line.to_owned());
            number += line.matches('\n').count();
            continue;
        };
        if parts(line).is_none() {
            return Err(Unclear { line: number, name: name.to_owned() });
        }
        number += line.matches('\n').count();
        if set.contains_key(name) {
            last.insert(name, lines.len());
            lines.push(line.to_owned());
        }
    }
    for (name, value) in set {
        match last.get(name.as_str()) {
            Some(at) => {
                let line = &mut lines[*at];
                let Some(found) = parts(line) else { continue };
                if found.value.as_deref() != Some(value) {
                    *line = format!("{}{}{}", found.before, quoted(value), found.after);
                }
            }
            None => {
                if let Some(line) = lines.last_mut().filter(|line| !line.ends_with('\n')) {
                    line.push('\n');
                }
                lines.push(format!("{name}={}\n", quoted(value)));
            }
        }
    }
    Ok(lines.concat())
}

/// A value as a shell reads it back.
fn quoted(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_./:@%+,=-".contains(c);
    if !value.is_empty() && value.chars().all(plain) {
        return value.to_owned();
    }
    let mut text = String::from('"');
    for c in value.chars() {
        if "\\\"$`".contains(c) {
            text.push('\\');
        }
        text.push(c);
    }
    text + "\""
}

/// The lines of a text with their ends; a quoted line end, or one after a backslash, ends none.
fn commands(text: &str) -> Vec<&str> {
    let (mut found, mut begin, mut quote, mut word) = (Vec::new(), 0, None, false);
    let mut characters = text.char_indices();
    while let Some((at, c)) = characters.next() {
        match (quote, c) {
            (None | Some('"'), '\\') => {
                characters.next();
                word = true;
                continue;
            }
            (None, '#') if !word => quote = Some('#'),
            (None, '\'' | '"') => quote = Some(c),
            (None | Some('#'), '\n') => {
                found.push(&text[begin..=at]);
                (begin, quote) = (at + 1, None);
            }
            (Some(open @ ('\'' | '"')), c) if c == open => quote = None,
            _ => {}
        }
        word = !(c.is_whitespace() || ";&|()".contains(c));
    }
    if begin < text.len() {
        found.push(&text[begin..]);
    }
    found
}

/// The variable that a line begins by setting.
fn assigned(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let line = line.strip_prefix("export ").map_or(line, str::trim_start);
    let (name, _) = line.split_once('=')?;
    let name = name.strip_suffix('+').unwrap_or(name);
    is_name(name).then_some(name)
}

/// A line that does nothing but set a variable.
struct Parts<'l> {
    /// Up to the sign of equality, with it.
    before: &'l str,
    /// What it sets, if that is a plain text.
    value: Option<String>,
    /// A comment, and the end of the line.
    after: &'l str,
}

fn parts(line: &str) -> Option<Parts<'_>> {
    let at = line.find('=')? + 1;
    let (before, rest) = line.split_at(at);
    if before.starts_with(char::is_whitespace) || before.ends_with("+=") {
        return None;
    }
    let (mut value, mut is_plain, mut quote, mut end) = (String::new(), true, None, rest.len());
    let mut characters = rest.char_indices();
    while let Some((at, c)) = characters.next() {
        match (quote, c) {
            (None, c) if c.is_whitespace() => {
                end = at;
                break;
            }
            (None, ';' | '&' | '|' | '<' | '>' | '(' | ')') | (None | Some('"'), '`') => return None,
            (None | Some('"'), '$') if rest[at..].starts_with("$(") => return None,
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), c) if c == open => quote = None,
            (None | Some('"'), '\\') => {
                let (_, next) = characters.next()?;
                // Between quotes it stays before what needs none.
                if quote.is_some() && !"\\\"$`".contains(next) {
                    value.push('\\');
                }
                is_plain &= next != '\n';
                value.push(next);
            }
            (None | Some('"'), '$') | (None, '~' | '*' | '?' | '[') => is_plain = false,
            _ => value.push(c),
        }
    }
    let after = &rest[end..];
    let rest = after.trim_start();
    (quote.is_none() && (rest.is_empty() || rest.starts_with('#'))).then_some(Parts {
        before,
        value: is_plain.then_some(value),
        after,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn change(text: &str, set: &[(&str, &str)], unset: &[&str]) -> Result<String, Unclear> {
        let set = set.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let unset: Vec<String> = unset.iter().map(|name| (*name).to_owned()).collect();
        edit(text, &set, &unset)
    }

    const GRUB: &str = "# See `info grub`.\nGRUB_DEFAULT=0\n#GRUB_TIMEOUT=9\nGRUB_TIMEOUT=5  # (seconds)\n\
        GRUB_CMDLINE_LINUX=\"quiet\n GRUB_TIMEOUT=1 splash\"\nexport GRUB_TERMINAL='console'";

    #[test]
    fn one_line_changes_and_the_others_stay() {
        let text = change(GRUB, &[("GRUB_TIMEOUT", "2"), ("GRUB_DEFAULT", "0")], &[]).unwrap();
        assert_eq!(text, GRUB.replace("=5  #", "=2  #"));
        let text = change(GRUB, &[("GRUB_TERMINAL", "console"), ("NEW", "a b")], &["GRUB_DEFAULT"]).unwrap();
        assert_eq!(text, GRUB.replace("GRUB_DEFAULT=0\n", "") + "\nNEW=\"a b\"\n");
        let text = change(GRUB, &[("GRUB_CMDLINE_LINUX", "")], &["GRUB_TERMINAL", "NONE"]).unwrap();
        assert!(text.ends_with("(seconds)\nGRUB_CMDLINE_LINUX=\"\"\n"), "{text}");
    }

    #[test]
    fn the_last_of_several_counts() {
        assert_eq!(change("A=1\nA=2\n", &[("A", "3")], &[]).unwrap(), "A=1\nA=3\n");
        assert_eq!(change("A=1\nA=2\n", &[("A", "2")], &[]).unwrap(), "A=1\nA=2\n");
        assert_eq!(change("A=1\nB=1\nA=2\n", &[], &["A"]).unwrap(), "B=1\n");
        assert_eq!(change("", &[], &["A"]).unwrap(), "");
    }

    #[test]
    fn what_does_more_than_set_is_left_alone() {
        for line in [
            "  A=1",
            "export  A=1 B=2",
            "A=\"$(date)\"",
            "A=1; B=2",
            "A=1 make",
            "A+=1",
            "A=(1 2)",
            "A=$(date)",
            "A=`date`",
            "A=\"open",
        ] {
            let text = format!("B='\n'\n{line}\n");
            let unclear = Unclear { line: 3, name: "A".into() };
            assert_eq!(change(&text, &[("A", "1")], &[]), Err(unclear), "{line}");
            // It is nobody's business unless this variable is meant.
            assert!(change(&text, &[("C", "1")], &[]).unwrap().starts_with(&text));
        }
    }

    #[test]
    fn a_shell_reads_what_was_written() {
        for value in
            ["", "plain", "two words", "a'b\"c", "$HOME `id` $(id)", "back\\slash\\\\", "#no", "ä €", "~/*"]
        {
            let text = change("A=1\n", &[("A", value)], &[]).unwrap();
            let script = format!("{text}printf %s \"$A\"");
            let output = Command::new("/bin/sh").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), value, "{text}");
            // It is understood here, too: nothing is left to do.
            assert_eq!(change(&text, &[("A", value)], &[]).unwrap(), text);
        }
    }
}
