//! Lines of an authorized_keys file: `[options] kind base64 [comment]`.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD},
};
use sha2::{Digest, Sha256};

/// Longest line.
const LINE_MAX_BYTES: usize = 16_384;

/// One key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key<'a> {
    kind: &'a str,
    /// The key itself, decoded. Two lines with the same one let in the same person.
    blob: Vec<u8>,
    has_options: bool,
}

/// The end of the first word, where blanks in quotes do not end one.
fn word_end(text: &str) -> usize {
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            b' ' | b'\t' if !quoted => return at,
            _ => {}
        }
    }
    text.len()
}

impl<'a> Key<'a> {
    /// Reads a line.
    pub(crate) fn read(line: &'a str) -> Result<Self, String> {
        let line = line.trim();
        if line.len() > LINE_MAX_BYTES {
            return Err(format!("a key has at most {LINE_MAX_BYTES} bytes"));
        }
        if line.bytes().any(|b| b.is_ascii_control() && b != b'\t') {
            return Err("a key is one line".into());
        }
        if line.is_empty() || line.starts_with('#') {
            return Err("this is not a key".into());
        }
        if let Some(key) = Self::without_options(line, false) {
            return Ok(key);
        }
        let (_, rest) = line.split_at(word_end(line));
        Self::without_options(rest.trim_start(), true)
            .ok_or_else(|| "this is not a public key as ssh-keygen writes one".into())
    }

    fn without_options(text: &'a str, has_options: bool) -> Option<Self> {
        let mut words = text.split_ascii_whitespace();
        let (kind, key) = (words.next()?, words.next()?);
        let blob = STANDARD.decode(key).or_else(|_| STANDARD_NO_PAD.decode(key)).ok()?;
        // The key says itself of which kind it is.
        let length = usize::try_from(u32::from_be_bytes(blob.get(..4)?.try_into().ok()?)).ok()?;
        let inside = blob.get(4..4_usize.checked_add(length)?)?;
        let rest = blob.len() > 4 + length;
        (inside == kind.as_bytes() && rest && !kind.is_empty()).then_some(Self { kind, blob, has_options })
    }

    /// Kind and fingerprint, as `ssh-keygen -l` shows it.
    pub(crate) fn shown(&self) -> String {
        let options = if self.has_options { " (with options)" } else { "" };
        format!("{} SHA256:{}{options}", self.kind, STANDARD_NO_PAD.encode(Sha256::digest(&self.blob)))
    }
}

fn key_of(line: &[u8]) -> Option<Vec<u8>> {
    Key::read(std::str::from_utf8(line).ok()?).ok().map(|key| key.blob)
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let whole = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    whole.split(|b| *b == b'\n').filter(move |_| !bytes.is_empty())
}

fn put(out: &mut Vec<u8>, line: &[u8]) {
    out.extend_from_slice(line);
    out.push(b'\n');
}

/// A content with these keys: one that is there keeps its place and gets the line that is wanted, one that
/// is there more often stays once, and the others come last.
pub(crate) fn with(bytes: &[u8], keys: &[String]) -> Vec<u8> {
    let mut missing: Vec<(Vec<u8>, &str)> =
        keys.iter().filter_map(|key| Some((Key::read(key).ok()?.blob, key.trim()))).collect();
    if missing.is_empty() {
        return bytes.to_vec();
    }
    let wanted: Vec<Vec<u8>> = missing.iter().map(|(blob, _)| blob.clone()).collect();
    let mut out = Vec::with_capacity(bytes.len());
    for line in lines(bytes) {
        match key_of(line).filter(|blob| wanted.contains(blob)) {
            None => put(&mut out, line),
            Some(blob) => {
                if let Some(at) = missing.iter().position(|(other, _)| *other == blob) {
                    let (_, line) = missing.remove(at);
                    missing.retain(|(other, _)| *other != blob);
                    put(&mut out, line.as_bytes());
                }
            }
        }
    }
    let mut done: Vec<Vec<u8>> = Vec::new();
    for (blob, line) in missing {
        if !done.contains(&blob) {
            put(&mut out, line.as_bytes());
            done.push(blob);
        }
    }
    out
}

/// A content without these keys.
pub(crate) fn without(bytes: &[u8], keys: &[String]) -> Vec<u8> {
    let unwanted: Vec<Vec<u8>> = keys.iter().filter_map(|key| Some(Key::read(key).ok()?.blob)).collect();
    if !lines(bytes).any(|line| key_of(line).is_some_and(|blob| unwanted.contains(&blob))) {
        return bytes.to_vec();
    }
    let mut out = Vec::with_capacity(bytes.len());
    for line in lines(bytes) {
        if key_of(line).is_none_or(|blob| !unwanted.contains(&blob)) {
            put(&mut out, line);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    /// A key of a kind with these bytes.
    fn key(kind: &str, number: u8) -> String {
        let mut blob = u32::try_from(kind.len()).unwrap().to_be_bytes().to_vec();
        blob.extend(kind.as_bytes());
        blob.extend([0, 0, 0, 1, number]);
        format!("{kind} {}", STANDARD.encode(blob))
    }

    #[test]
    fn a_fingerprint_is_that_of_ssh_keygen() {
        let line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl someone@example";
        let shown = Key::read(line).unwrap().shown();
        assert_eq!(shown, "ssh-ed25519 SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU");
    }

    #[test]
    fn options_and_comments_are_told_from_the_key() {
        let plain = key("ssh-ed25519", 1);
        let option = "command=\"echo ssh-rsa AAAA \\\" x\",no-pty";
        for (line, has_options) in [
            (plain.clone(), false),
            (format!("  {plain}\tme at home "), false),
            (format!("{option} {plain} me"), true),
            (format!("restrict\t{plain}"), true),
        ] {
            let read = Key::read(&line).unwrap();
            assert_eq!((read.kind, read.has_options), ("ssh-ed25519", has_options), "{line}");
            assert_eq!(read.blob, Key::read(&plain).unwrap().blob);
            assert_eq!(read.shown().ends_with("(with options)"), has_options);
        }
        for line in [
            "",
            "# a comment",
            "ssh-ed25519",
            "ssh-ed25519 !!!!",
            "ssh-ed25519 AAAA",
            &plain.replace("ssh-ed25519", "ssh-rsa"),
            &format!("{plain}\nssh-rsa x"),
            &format!("no-pty,no-pty x {plain}"),
        ] {
            assert!(Key::read(line).is_err(), "{line}");
        }
    }

    #[test]
    fn others_stay_to_the_byte() {
        let (one, two, three) = (key("ssh-ed25519", 1), key("ssh-ed25519", 2), key("ssh-rsa", 3));
        let content = format!("# mine\n\nno-pty {one} old\n{two} theirs\n{one} again\n\u{0}odd");
        let wanted = [format!("{one} new"), three.clone(), three.clone()];
        let after = with(content.as_bytes(), &wanted);
        let expected = format!("# mine\n\n{one} new\n{two} theirs\n\u{0}odd\n{three}\n");
        assert_eq!(String::from_utf8(after.clone()).unwrap(), expected);
        assert_eq!(without(&after, &wanted), format!("# mine\n\n{two} theirs\n\u{0}odd\n").into_bytes());
        assert_eq!(without(b"odd", &wanted), b"odd");
        assert_eq!(with(b"", &[]), b"");
    }

    proptest! {
        #[test]
        fn adding_twice_is_adding_once_and_removing_takes_all(
            content in proptest::collection::vec(any::<u8>(), 0..200), numbers in proptest::collection::vec(0u8..4, 0..4)
        ) {
            let keys: Vec<String> = numbers.iter().map(|number| key("ssh-ed25519", *number)).collect();
            let once = with(&content, &keys);
            prop_assert_eq!(with(&once, &keys), once.clone());
            for key in &keys {
                let blob = Key::read(key).unwrap().blob;
                prop_assert_eq!(lines(&once).filter(|line| key_of(line).as_ref() == Some(&blob)).count(), 1);
            }
            let gone = without(&once, &keys);
            prop_assert_eq!(without(&gone, &keys), gone.clone());
            for line in lines(&content) {
                prop_assert!(lines(&gone).any(|kept| kept == line));
            }
        }
    }
}
