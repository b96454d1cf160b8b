//! What can go wrong with files of keys and trust.

use crate::codes;
use core::fmt;
use rectify_attest::TrustProblem;
use rectify_base::Code;
use std::path::PathBuf;

/// What a file was meant to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A private or public key.
    Key,
    /// The trust file.
    Trust,
}

impl fmt::Display for FileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Key => "key file",
            Self::Trust => "trust file",
        })
    }
}

/// Why a key file or a trust file was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Missing, unreadable, too large, or not a regular file.
    #[error("cannot read the {kind} {}: {why}", path.display())]
    Read {
        /// What it was meant to be.
        kind: FileKind,
        /// The file.
        path: PathBuf,
        /// What is the matter.
        why: String,
    },
    /// Others have too many rights to it, or it belongs to somebody else.
    #[error("the {kind} {} is not kept safe: {why}", path.display())]
    Mode {
        /// What it was meant to be.
        kind: FileKind,
        /// The file.
        path: PathBuf,
        /// What is the matter.
        why: String,
    },
    /// There is a file of this name.
    #[error("{} exists, and a {kind} is not overwritten", path.display())]
    Exists {
        /// What it was meant to be.
        kind: FileKind,
        /// The file.
        path: PathBuf,
    },
    /// It could not be made or written.
    #[error("cannot write the {kind} {}: {why}", path.display())]
    Write {
        /// What it was meant to be.
        kind: FileKind,
        /// The file.
        path: PathBuf,
        /// What is the matter.
        why: String,
    },
    /// A private key in no format that we read.
    #[error("{}: {why}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is the matter.
        why: String,
    },
    /// Encrypted, and there was no passphrase.
    #[error("{}: the key is encrypted and no passphrase was given", path.display())]
    PassphraseNeeded {
        /// The file.
        path: PathBuf,
    },
    /// Encrypted, and the passphrase does not open it.
    #[error("{}: the passphrase does not open the key", path.display())]
    PassphraseWrong {
        /// The file.
        path: PathBuf,
    },
    /// Private and public half do not belong together.
    #[error("{}: the public half in the file is not that of the private half", path.display())]
    Mismatch {
        /// The file.
        path: PathBuf,
    },
    /// A key that cannot be used.
    #[error("{}: {source}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is the matter with it.
        source: rectify_attest::KeyError,
    },
    /// An ssh-agent was to be asked, and there is none.
    #[error("no ssh-agent can be reached: {why}")]
    AgentMissing {
        /// What is the matter.
        why: String,
    },
    /// The ssh-agent does not hold the key.
    #[error("the ssh-agent does not hold the key {wanted}; it holds {}", held(held_keys))]
    AgentKey {
        /// Fingerprint of the key.
        wanted: String,
        /// Fingerprints of the Ed25519 keys that it holds.
        held_keys: Vec<String>,
    },
    /// The ssh-agent's answer is of no use.
    #[error("the ssh-agent does not answer as it should: {why}")]
    AgentAnswer {
        /// What is the matter.
        why: String,
    },
    /// What a trust file says is wrong.
    #[error("{}: {}", path.display(), list(problems))]
    Trust {
        /// The file.
        path: PathBuf,
        /// Everything that was found. Never empty.
        problems: Vec<TrustProblem>,
    },
}

impl KeyError {
    /// The stable code; of several problems, that of the first.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Read { kind: FileKind::Key, .. } => codes::KEY_FILE_READ,
            Self::Read { kind: FileKind::Trust, .. } => codes::TRUST_READ,
            Self::Mode { kind: FileKind::Key, .. } => codes::KEY_FILE_MODE,
            Self::Mode { kind: FileKind::Trust, .. } => codes::TRUST_FILE_MODE,
            Self::Exists { kind: FileKind::Key, .. } => codes::KEY_EXISTS,
            Self::Exists { kind: FileKind::Trust, .. } => codes::TRUST_EXISTS,
            Self::Write { kind: FileKind::Key, .. } => codes::KEY_WRITE,
            Self::Write { kind: FileKind::Trust, .. } => codes::TRUST_WRITE,
            Self::Format { .. } => codes::KEY_FORMAT,
            Self::PassphraseNeeded { .. } => codes::KEY_PASSPHRASE_NEEDED,
            Self::PassphraseWrong { .. } => codes::KEY_PASSPHRASE_WRONG,
            Self::Mismatch { .. } => codes::KEY_MISMATCH,
            Self::Unusable { source, .. } => source.code(),
            Self::AgentMissing { .. } => codes::KEY_AGENT_MISSING,
            Self::AgentKey { .. } => codes::KEY_AGENT_KEY,
            Self::AgentAnswer { .. } => codes::KEY_AGENT_ANSWER,
            Self::Trust { problems, .. } => problems.first().map_or(codes::TRUST_YAML, |p| p.code),
        }
    }
}

/// The first few of an agent's keys.
fn held(keys: &[String]) -> String {
    const SHOWN: usize = 5;
    match keys {
        [] => "no Ed25519 key".to_owned(),
        keys if keys.len() <= SHOWN => keys.join(", "),
        keys => {
            let first: Vec<&str> = keys.iter().take(SHOWN).map(String::as_str).collect();
            format!("{} and {} more", first.join(", "), keys.len() - SHOWN)
        }
    }
}

fn list(problems: &[TrustProblem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
