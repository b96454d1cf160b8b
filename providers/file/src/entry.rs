//! What a path holds, as a value, and its form in states.

use rectify_sdk::{
    base::{Digest, limits::INLINE_TEXT_MAX_BYTES},
    protocol::{ErrorCode, ItemError},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Bytes of a file. Two are equal if their digests and sizes are; the bytes themselves may be
/// missing where only a predicted state is known.
#[derive(Clone, Debug)]
pub(crate) struct Content {
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    pub(crate) bytes: Option<Vec<u8>>,
}

impl PartialEq for Content {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest && self.size == other.size
    }
}

impl Content {
    pub(crate) fn of(bytes: Vec<u8>) -> Self {
        Self { digest: Digest::of_bytes(&bytes), size: bytes.len() as u64, bytes: Some(bytes) }
    }

    fn text(&self) -> Option<&str> {
        let bytes = self.bytes.as_deref().filter(|bytes| bytes.len() <= INLINE_TEXT_MAX_BYTES)?;
        std::str::from_utf8(bytes).ok()
    }
}

/// Permission bits, and owner and group by name (or number, where the target has no name for it).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Access {
    pub(crate) mode: u32,
    pub(crate) owner: String,
    pub(crate) group: String,
}

/// What lies in a directory, as far as its removal is concerned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entries {
    /// How many, at any depth.
    pub(crate) count: u64,
    /// Over paths, kinds, sizes and link targets.
    pub(crate) blake3: Digest,
}

/// What a path holds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Entry {
    File { content: Content, access: Access },
    Directory { access: Access, entries: Option<Entries> },
    Link { target: String, owner: String, group: String },
}

#[derive(Serialize, Deserialize)]
struct ContentState {
    blake3: Digest,
    size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct State {
    path: String,
    kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    content: Option<ContentState>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mode: Option<String>,
    owner: String,
    group: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    entries: Option<Entries>,
}

/// Permission bits as states and properties write them.
pub(crate) fn show_mode(mode: u32) -> String {
    format!("0{:03o}", mode & 0o7777)
}

/// Reads what [`show_mode`] writes, and other spellings of it.
pub(crate) fn parse_mode(text: &str) -> Option<u32> {
    let digits = text.strip_prefix('0')?;
    let plain = matches!(digits.len(), 3 | 4) && digits.bytes().all(|b| matches!(b, b'0'..=b'7'));
    plain.then(|| u32::from_str_radix(digits, 8).ok()).flatten()
}

impl Entry {
    /// The word for its kind.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::File { .. } => "file",
            Self::Directory { .. } => "directory",
            Self::Link { .. } => "link",
        }
    }

    /// Whether its mode lets others read it.
    pub(crate) fn readable_by_others(&self) -> bool {
        match self {
            Self::File { access, .. } | Self::Directory { access, .. } => access.mode & 0o004 != 0,
            Self::Link { .. } => true,
        }
    }

    /// The state. The text of a content is in it only if it is asked for, short, and UTF-8.
    pub(crate) fn state(&self, path: &str, with_text: bool) -> Result<Value, ItemError> {
        let path = path.to_owned();
        let kind = self.kind().to_owned();
        let state = match self {
            Self::File { content, access } => State {
                path,
                kind,
                content: Some(ContentState {
                    blake3: content.digest,
                    size: content.size,
                    text: content.text().filter(|_| with_text).map(str::to_owned),
                }),
                mode: Some(show_mode(access.mode)),
                owner: access.owner.clone(),
                group: access.group.clone(),
                target: None,
                entries: None,
            },
            Self::Directory { access, entries } => State {
                path,
                kind,
                content: None,
                mode: Some(show_mode(access.mode)),
                owner: access.owner.clone(),
                group: access.group.clone(),
                target: None,
                entries: entries.clone(),
            },
            Self::Link { target, owner, group } => State {
                path,
                kind,
                content: None,
                mode: None,
                owner: owner.clone(),
                group: group.clone(),
                target: Some(target.clone()),
                entries: None,
            },
        };
        serde_json::to_value(state)
            .map_err(|e| ItemError::new(ErrorCode::Internal, format!("the state cannot be written: {e}")))
    }

    /// Reads a state that this provider answered earlier, about the same path.
    pub(crate) fn from_state(state: &Value, path: &str) -> Result<Self, ItemError> {
        let wrong = |what: &str| ItemError::new(ErrorCode::Schema, format!("the given state {what}"));
        let state: State =
            serde_json::from_value(state.clone()).map_err(|e| wrong(&format!("cannot be read: {e}")))?;
        if state.path != path {
            return Err(wrong("is about another path"));
        }
        let access = || {
            let mode = state.mode.as_deref().and_then(parse_mode).ok_or_else(|| wrong("has no mode"))?;
            Ok(Access { mode, owner: state.owner.clone(), group: state.group.clone() })
        };
        match state.kind.as_str() {
            "file" => {
                let access = access()?;
                let content = state.content.ok_or_else(|| wrong("has no content"))?;
                let bytes = content.text.map(String::into_bytes);
                if bytes.as_ref().is_some_and(|bytes| Digest::of_bytes(bytes) != content.blake3) {
                    return Err(wrong("has a text of another digest"));
                }
                let content = Content { digest: content.blake3, size: content.size, bytes };
                Ok(Self::File { content, access })
            }
            "directory" => Ok(Self::Directory { access: access()?, entries: state.entries }),
            "link" => Ok(Self::Link {
                target: state.target.ok_or_else(|| wrong("has no target"))?,
                owner: state.owner,
                group: state.group,
            }),
            _ => Err(wrong("is of an unknown kind")),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn modes_have_one_spelling() {
        for (text, mode, shown) in
            [("0640", 0o640, "0640"), ("00640", 0o640, "0640"), ("04755", 0o4755, "04755")]
        {
            assert_eq!(parse_mode(text), Some(mode));
            assert_eq!(show_mode(mode), shown);
        }
        for text in ["640", "0o640", "0888", "064", "006400", "+0640", "0+64"] {
            assert_eq!(parse_mode(text), None, "{text}");
        }
    }

    #[test]
    fn a_state_reads_back_as_what_it_says() {
        let access = Access { mode: 0o644, owner: "root".into(), group: "4711".into() };
        let entries = Entries { count: 2, blake3: Digest::of_bytes(b"x") };
        for entry in [
            Entry::File { content: Content::of(b"hello".to_vec()), access: access.clone() },
            Entry::File { content: Content::of(b"\xff".to_vec()), access: access.clone() },
            Entry::Directory { access: access.clone(), entries: None },
            Entry::Directory { access, entries: Some(entries) },
            Entry::Link { target: "../x".into(), owner: "root".into(), group: "root".into() },
        ] {
            for with_text in [false, true] {
                let state = entry.state("/a", with_text).unwrap();
                assert_eq!(Entry::from_state(&state, "/a").unwrap(), entry);
                assert!(Entry::from_state(&state, "/b").is_err());
            }
        }
    }

    #[test]
    fn a_text_that_is_not_the_content_is_refused() {
        let access = Access { mode: 0o644, owner: "root".into(), group: "root".into() };
        let entry = Entry::File { content: Content::of(b"hello".to_vec()), access };
        let mut state = entry.state("/a", true).unwrap();
        *state.pointer_mut("/content/text").unwrap() = "other".into();
        let error = Entry::from_state(&state, "/a").unwrap_err();
        assert!(error.message.contains("another digest"), "{error}");
    }
}
