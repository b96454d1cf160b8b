//! Checkpoints: C2SP's tlog-checkpoint, a signed note of origin, size and root.
//!
//! ```text
//! rectify-audit/0123456789abcdef0123456789abcdef
//! 27
//! V2hhdCBhIHRyZWUgb2YgMzIgYnl0ZXMgaGFzaGVzIHRvLi4=
//!
//! — rectify-audit/0123456789abcdef0123456789abcdef 2/nHQ0PmJ…
//! ```
//! Signed is the text up to and with the line end before the empty line. The signature's bytes are four
//! bytes of key id and 64 of Ed25519.

use crate::{Head, codes, merkle::Hash, record::LogId};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use rectify_attest::{PublicKey, SignError, Signer, public_key::SIGNATURE_BYTES};
use rectify_base::{Code, limits::JSON_INTEGER_MAX};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;

/// Longest note, in bytes.
pub const NOTE_MAX_BYTES: usize = 64 * 1024;
/// Most signature lines.
pub const SIGNATURES_MAX: usize = 16;
/// C2SP's number of Ed25519 in signed notes.
const ED25519: u8 = 1;

/// Why a note is not a checkpoint that counts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// Another form than the one that all read alike.
    #[error("not a checkpoint: {0}")]
    Form(&'static str),
    /// Of another log.
    #[error("the checkpoint is of `{found}`, not of `{expected}`")]
    Origin {
        /// What was asked for.
        expected: String,
        /// What the note says.
        found: String,
    },
    /// Nobody with this key signed it.
    #[error("no signature of the key {0} is on the checkpoint")]
    Unsigned(String),
    /// The signature is not one of this key.
    #[error("the signature on the checkpoint does not verify under the key {0}")]
    Signature(String),
    /// The key did not sign.
    #[error(transparent)]
    Sign(#[from] SignError),
}

impl CheckpointError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Form(_) | Self::Origin { .. } => codes::CHECKPOINT,
            Self::Unsigned(_) | Self::Signature(_) | Self::Sign(_) => codes::SIGNATURE,
        }
    }
}

/// The origin of a log, which is also the name of its key.
#[must_use]
pub fn origin(log: &LogId) -> String {
    format!("rectify-audit/{log}")
}

/// C2SP's id of an Ed25519 key with a name: the first four bytes of SHA-256 over name, line end, the
/// number of the algorithm and the key.
#[must_use]
pub fn key_id(name: &str, key: &PublicKey) -> [u8; 4] {
    let mut hasher = Sha256::new();
    hasher.update(name.as_bytes());
    hasher.update([b'\n', ED25519]);
    hasher.update(key.as_bytes());
    let [a, b, c, d, ..]: [u8; 32] = hasher.finalize().into();
    [a, b, c, d]
}

/// C2SP's text form of the key of a log, for other tools: `<name>+<key id>+<base64>`.
#[must_use]
pub fn verifier_key(log: &LogId, key: &PublicKey) -> String {
    let name = origin(log);
    let id = u32::from_be_bytes(key_id(&name, key));
    let mut bytes = vec![ED25519];
    bytes.extend_from_slice(key.as_bytes());
    format!("{name}+{id:08x}+{}", STANDARD.encode(bytes))
}

/// A checkpoint, read but not verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Origin of the log.
    pub origin: String,
    /// Number of records.
    pub size: u64,
    /// Root of the tree over them.
    pub root: Hash,
    /// Further lines of the text, of which nothing follows here.
    pub extensions: Vec<String>,
    text: String,
    signatures: Vec<NoteSignature>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct NoteSignature {
    name: String,
    bytes: Vec<u8>,
}

/// The text of a checkpoint that is to be signed.
#[must_use]
pub fn text(head: &Head) -> String {
    format!("{}\n{}\n{}\n", origin(&head.log_id), head.size, STANDARD.encode(head.root))
}

/// The signed note.
///
/// # Errors
/// [`CheckpointError::Sign`] if the key does not sign, or signs what it then does not verify.
pub fn sign(head: &Head, signer: &dyn Signer) -> Result<Vec<u8>, CheckpointError> {
    let mut note = text(head);
    let signature = signer.sign(note.as_bytes())?;
    let key = signer.public_key();
    if !key.verifies(note.as_bytes(), &signature) {
        return Err(SignError::Inconsistent.into());
    }
    let name = origin(&head.log_id);
    let mut bytes = key_id(&name, &key).to_vec();
    bytes.extend_from_slice(&signature);
    // Writing to a string cannot fail.
    let _ = writeln!(note, "\n\u{2014} {name} {}", STANDARD.encode(bytes));
    Ok(note.into_bytes())
}

impl Checkpoint {
    /// Reads a note. Signatures are only looked at for their form.
    ///
    /// # Errors
    /// [`CheckpointError::Form`].
    pub fn read(note: &[u8]) -> Result<Self, CheckpointError> {
        let form = CheckpointError::Form;
        if note.len() > NOTE_MAX_BYTES {
            return Err(form("longer than 64 KiB"));
        }
        let note = core::str::from_utf8(note).map_err(|_| form("not UTF-8"))?;
        if note.bytes().any(|byte| byte < 0x20 && byte != b'\n') {
            return Err(form("control characters"));
        }
        let (text, signatures) = note.rsplit_once("\n\n").ok_or(form("no empty line before signatures"))?;
        let text = format!("{text}\n");
        let mut lines = text.strip_suffix('\n').unwrap_or_default().split('\n');
        let origin = lines.next().filter(|origin| !origin.is_empty()).ok_or(form("no origin"))?.to_owned();
        let size = lines.next().and_then(read_size).ok_or(form("no size in plain decimal digits"))?;
        let root = lines.next().and_then(read_base64).ok_or(form("no root in standard base64"))?;
        let root = Hash::try_from(root).map_err(|_| form("the root is not 32 bytes long"))?;
        let extensions: Vec<String> = lines.map(str::to_owned).collect();
        if extensions.iter().any(String::is_empty) {
            return Err(form("an empty line in the text"));
        }
        let signatures = signatures.strip_suffix('\n').ok_or(form("no line end after the signatures"))?;
        let signatures: Vec<NoteSignature> = signatures
            .split('\n')
            .map(|line| read_signature(line).ok_or(form("a signature line of another form")))
            .collect::<Result<_, _>>()?;
        if signatures.len() > SIGNATURES_MAX {
            return Err(form("more than 16 signatures"));
        }
        Ok(Self { origin, size, root, extensions, text, signatures })
    }

    /// Whether this key signed it, in the name of the log. Signatures of others are ignored; with two
    /// of this key both must be good.
    ///
    /// # Errors
    /// [`CheckpointError::Origin`], [`CheckpointError::Unsigned`] or [`CheckpointError::Signature`].
    pub fn verify(&self, log: &LogId, key: &PublicKey) -> Result<(), CheckpointError> {
        let expected = origin(log);
        if self.origin != expected {
            return Err(CheckpointError::Origin { expected, found: self.origin.clone() });
        }
        let id = key_id(&expected, key);
        let mut seen = false;
        for signature in self.signatures.iter().filter(|signature| signature.name == expected) {
            let Some((found, bytes)) = signature.bytes.split_first_chunk::<4>() else { continue };
            if *found != id {
                continue;
            }
            let good = <&[u8; SIGNATURE_BYTES]>::try_from(bytes)
                .is_ok_and(|bytes| key.verifies(self.text.as_bytes(), bytes));
            if !good {
                return Err(CheckpointError::Signature(key.fingerprint()));
            }
            seen = true;
        }
        if seen { Ok(()) } else { Err(CheckpointError::Unsigned(key.fingerprint())) }
    }
}

fn read_size(text: &str) -> Option<u64> {
    let size: u64 = text.parse().ok()?;
    (size <= JSON_INTEGER_MAX && size.to_string() == text).then_some(size)
}

fn read_base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok().filter(|bytes| STANDARD.encode(bytes) == text)
}

fn read_signature(line: &str) -> Option<NoteSignature> {
    let (name, bytes) = line.strip_prefix("\u{2014} ")?.split_once(' ')?;
    let plain = !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c == '+');
    let bytes = read_base64(bytes).filter(|bytes| bytes.len() > 4)?;
    plain.then(|| NoteSignature { name: name.to_owned(), bytes })
}
