//! What a path holds, as a value, and its form in states.

use rectify_sdk::{
    base::{
        Digest, DigestKey,
        limits::{FILE_CONTENT_MAX_BYTES, INLINE_TEXT_MAX_BYTES},
    },
    protocol::{ErrorCode, ItemError},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Digest and size of a content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plain {
    pub(crate) digest: Digest,
    pub(crate) size: u64,
}

/// Bytes of a file, as far as they are known: those of a predicted state may be known by its plain or
/// its keyed digest only, and those of a long file are not held in memory.
#[derive(Clone, Debug)]
pub(crate) struct Content {
    pub(crate) plain: Option<Plain>,
    /// Under the session's key, if it has one.
    pub(crate) keyed: Option<Digest>,
    pub(crate) bytes: Option<Vec<u8>>,
}

/// Two are equal if a digest that both know is.
impl PartialEq for Content {
    fn eq(&self, other: &Self) -> bool {
        match (self.plain, other.plain) {
            (Some(a), Some(b)) => a == b,
            _ => self.keyed.is_some() && self.keyed == other.keyed,
        }
    }
}

impl Content {
    pub(crate) fn of(bytes: Vec<u8>, key: Option<&DigestKey>) -> Self {
        Self {
            plain: Some(Plain { digest: Digest::of_bytes(&bytes), size: bytes.len() as u64 }),
            keyed: key.map(|key| key.digest(&bytes)),
            bytes: Some(bytes),
        }
    }

    /// Whether it is longer than what is ever held in memory, or kept.
    pub(crate) fn is_long(&self) -> bool {
        self.plain.is_some_and(|plain| plain.size > FILE_CONTENT_MAX_BYTES)
    }

    fn text(&self) -> Option<&str> {
        let bytes = self.bytes.as_deref().filter(|bytes| bytes.len() <= INLINE_TEXT_MAX_BYTES)?;
        std::str::from_utf8(bytes).ok()
    }

    /// What others may not read is named by its keyed digest and nothing else, if there is a key: a
    /// short secret could be found from its plain digest and size.
    fn state(&self, secret: bool, with_text: bool) -> Result<ContentState, ItemError> {
        match (self.keyed, self.plain) {
            (Some(keyed), _) if secret => {
                Ok(ContentState { keyed: Some(keyed.hex()), ..ContentState::default() })
            }
            (_, Some(Plain { digest, size })) => Ok(ContentState {
                blake3: Some(digest),
                size: Some(size),
                text: self.text().filter(|_| with_text).map(str::to_owned),
                keyed: None,
            }),
            (_, None) => Err(ItemError::new(ErrorCode::Internal, "the digest of the content is not known")),
        }
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
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Entries {
    /// How many, at any depth.
    pub(crate) count: u64,
    /// The first names in it, for a person; directories end in `/`. Shown only where others may list
    /// the directory.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) names: Vec<String>,
    /// Over paths, kinds, sizes and link targets.
    pub(crate) tree: Digest,
}

impl PartialEq for Entries {
    fn eq(&self, other: &Self) -> bool {
        (self.count, self.tree) == (other.count, other.tree)
    }
}

/// What is neither file, directory nor link. It is removed only, and never opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Special {
    Pipe,
    Socket,
    Device,
}

/// What a path holds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Entry {
    File {
        content: Content,
        access: Access,
    },
    Directory {
        access: Access,
        entries: Option<Entries>,
    },
    Link {
        target: String,
        owner: String,
        group: String,
    },
    /// `device`: kind and numbers, of a device.
    Special {
        kind: Special,
        access: Access,
        device: Option<String>,
    },
}

#[derive(Default, Serialize, Deserialize)]
struct ContentState {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    blake3: Option<Digest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    keyed: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

impl ContentState {
    /// Reads what [`Content::state`] writes.
    fn content(self) -> Option<Content> {
        let content = match self {
            Self { blake3: Some(digest), size: Some(size), text, keyed: None } => {
                let bytes = text.map(String::into_bytes);
                Content { plain: Some(Plain { digest, size }), keyed: None, bytes }
            }
            Self { blake3: None, size: None, text: None, keyed: Some(hex) } => {
                Content { plain: None, keyed: Some(format!("blake3:{hex}").parse().ok()?), bytes: None }
            }
            _ => return None,
        };
        let honest = match (&content.bytes, content.plain) {
            (Some(bytes), Some(plain)) => {
                Digest::of_bytes(bytes) == plain.digest && bytes.len() as u64 == plain.size
            }
            _ => true,
        };
        honest.then_some(content)
    }
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    device: Option<String>,
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
            Self::Special { kind: Special::Pipe, .. } => "pipe",
            Self::Special { kind: Special::Socket, .. } => "socket",
            Self::Special { kind: Special::Device, .. } => "device",
        }
    }

    /// Whether its mode keeps others from reading it.
    pub(crate) fn is_secret(&self) -> bool {
        match self {
            Self::File { access, .. } | Self::Directory { access, .. } => access.mode & 0o004 == 0,
            Self::Link { .. } | Self::Special { .. } => false,
        }
    }

    /// The state. What is only for display, the text of a content and the names in a directory, is
    /// in it only if it is asked for.
    pub(crate) fn state(&self, path: &str, for_display: bool) -> Result<Value, ItemError> {
        let (owner, group) = match self {
            Self::File { access, .. } | Self::Directory { access, .. } | Self::Special { access, .. } => {
                (&access.owner, &access.group)
            }
            Self::Link { owner, group, .. } => (owner, group),
        };
        let mut state = State {
            path: path.to_owned(),
            kind: self.kind().to_owned(),
            content: None,
            mode: None,
            owner: owner.clone(),
            group: group.clone(),
            target: None,
            entries: None,
            device: None,
        };
        match self {
            Self::File { content, access } => {
                state.content = Some(content.state(self.is_secret(), for_display)?);
                state.mode = Some(show_mode(access.mode));
            }
            Self::Directory { access, entries } => {
                state.mode = Some(show_mode(access.mode));
                state.entries.clone_from(entries);
                if let Some(entries) = &mut state.entries
                    && !for_display
                {
                    entries.names.clear();
                }
            }
            Self::Link { target, .. } => state.target = Some(target.clone()),
            Self::Special { access, device, .. } => {
                state.mode = Some(show_mode(access.mode));
                state.device.clone_from(device);
            }
        }
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
                let content =
                    content.content().ok_or_else(|| wrong("names a content in no way that can be used"))?;
                Ok(Self::File { content, access })
            }
            "directory" => Ok(Self::Directory { access: access()?, entries: state.entries }),
            "link" => Ok(Self::Link {
                target: state.target.ok_or_else(|| wrong("has no target"))?,
                owner: state.owner,
                group: state.group,
            }),
            word => {
                let kinds = [Special::Pipe, Special::Socket, Special::Device];
                let entry =
                    |kind| Ok(Self::Special { kind, access: access()?, device: state.device.clone() });
                let special = kinds.into_iter().map(entry).collect::<Result<Vec<_>, ItemError>>()?;
                let found = special.into_iter().find(|entry| entry.kind() == word);
                found.ok_or_else(|| wrong("is of an unknown kind"))
            }
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
        let entries = Entries { count: 2, names: vec!["a".into()], tree: Digest::of_bytes(b"x") };
        for entry in [
            Entry::File { content: Content::of(b"hello".to_vec(), None), access: access.clone() },
            Entry::File { content: Content::of(b"\xff".to_vec(), None), access: access.clone() },
            Entry::Directory { access: access.clone(), entries: None },
            Entry::Directory { access: access.clone(), entries: Some(entries) },
            Entry::Special { kind: Special::Pipe, access: access.clone(), device: None },
            Entry::Special { kind: Special::Device, access, device: Some("block 8:1".into()) },
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
        let entry = Entry::File { content: Content::of(b"hello".to_vec(), None), access };
        let mut state = entry.state("/a", true).unwrap();
        *state.pointer_mut("/content/text").unwrap() = "other".into();
        let error = Entry::from_state(&state, "/a").unwrap_err();
        assert!(error.message.contains("no way"), "{error}");
    }

    #[test]
    fn with_a_key_a_secret_is_named_by_its_keyed_digest_alone() {
        let key = DigestKey::from_bytes([7; 32]);
        let content = || Content::of(b"hunter2".to_vec(), Some(&key));
        let access = |mode| Access { mode, owner: "root".into(), group: "root".into() };
        let entry = Entry::File { content: content(), access: access(0o640) };
        let state = entry.state("/a", true).unwrap();
        assert_eq!(
            state.pointer("/content").unwrap(),
            &serde_json::json!({"keyed": key.digest(b"hunter2").hex()})
        );
        assert_eq!(Entry::from_state(&state, "/a").unwrap(), entry);
        let other =
            Entry::File { content: Content::of(b"hunter3".to_vec(), Some(&key)), access: access(0o640) };
        assert_ne!(Entry::from_state(&state, "/a").unwrap(), other);
        let open = Entry::File { content: content(), access: access(0o644) };
        assert_eq!(open.state("/a", true).unwrap().pointer("/content/text").unwrap(), "hunter2");
        // Without a common key nothing says that they are equal.
        let keyless = Content::of(b"hunter2".to_vec(), None);
        let Entry::File { content: known, .. } = Entry::from_state(&state, "/a").unwrap() else { panic!() };
        assert_ne!(known, keyless);
    }
}
