//! The lock file of a project: the releases of providers that it uses. It carries the publisher's
//! signature over each release, so it can be verified with nothing else at hand, and nobody can edit what
//! a publisher said.

use crate::{
    base64_text, codes,
    public_key::SIGNATURE_BYTES,
    release::{Release, is_provider_name},
};
use rectify_base::{
    Code,
    canonical::{self, CanonicalError},
};
use rectify_model::provider::{LockedProvider, Publisher};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Format name of this version.
pub const FORMAT: &str = "rectify.lock/v1";
/// Its name in the project.
pub const LOCK_FILE: &str = "rectify.lock";
/// Largest lock file.
pub const LOCK_MAX_BYTES: usize = 4 * 1024 * 1024;
/// Begins the source of a release that lies in a directory: absolute, or relative to the project.
pub const FILE_SOURCE: &str = "file:";
const SOURCE_MAX_BYTES: usize = 4096;

/// The locked providers of a project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// Name and version of the format: [`FORMAT`].
    #[cfg_attr(feature = "schema", schemars(extend("const" = FORMAT)))]
    pub format: String,
    /// The providers, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub providers: BTreeMap<String, LockEntry>,
}

/// One locked provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct LockEntry {
    /// The release, as its publisher said.
    pub release: Release,
    /// The publisher's signature, in standard padded base64: over the statement whose predicate is the
    /// release. Absent: nobody signed.
    #[cfg_attr(feature = "schema", schemars(extend("pattern" = "^[A-Za-z0-9+/]{86}==$")))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// Where it came from: `file:` and a directory, absolute or relative to the project. For finding it
    /// again; nothing is trusted for coming from there.
    #[cfg_attr(feature = "schema", schemars(extend("pattern" = "^[a-z][a-z0-9+]*:")))]
    pub source: String,
    /// Set where nobody signed, so that it is plain to see.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub unsigned: bool,
}

/// Something in a lock file that makes no sense, or is not what a publisher signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {message}")]
pub struct LockProblem {
    /// Stable code.
    pub code: Code,
    /// The provider, or `lock` for the file as a whole.
    pub place: String,
    /// One sentence without a final period.
    pub message: String,
}

impl Default for Lock {
    fn default() -> Self {
        Self { format: FORMAT.to_owned(), providers: BTreeMap::new() }
    }
}

impl Lock {
    /// Reads a lock file, and verifies every signature in it.
    ///
    /// # Errors
    /// The first [`LockProblem`].
    pub fn read(bytes: &[u8]) -> Result<Self, LockProblem> {
        let whole =
            |message: String| LockProblem { code: codes::LOCK_CONTENT, place: "lock".to_owned(), message };
        if bytes.len() > LOCK_MAX_BYTES {
            return Err(whole(format!("larger than {LOCK_MAX_BYTES} bytes")));
        }
        let lock: Self = canonical::read_file(bytes).map_err(|e| whole(e.to_string()))?;
        if lock.format != FORMAT {
            let got: String = lock.format.chars().take(80).collect();
            return Err(whole(format!("its format is `{got}`; this release reads `{FORMAT}`")));
        }
        for (name, entry) in &lock.providers {
            entry.check(name)?;
        }
        Ok(lock)
    }

    /// The bytes of the lock file.
    ///
    /// # Errors
    /// When a number in it has no canonical form.
    pub fn to_bytes(&self) -> Result<Vec<u8>, CanonicalError> {
        canonical::file_bytes(self)
    }
}

impl LockEntry {
    /// An entry of a release that was verified; without a signature it is marked as unsigned.
    #[must_use]
    pub fn new(release: Release, signature: Option<[u8; SIGNATURE_BYTES]>, source: String) -> Self {
        let signature = signature.map(|bytes| base64_text::encode(&bytes));
        Self { release, unsigned: signature.is_none(), signature, source }
    }

    fn check(&self, name: &str) -> Result<(), LockProblem> {
        let place: String = name.chars().take(80).collect();
        let problem = |code: Code, message: &str| {
            Err(LockProblem { code, place: place.clone(), message: message.to_owned() })
        };
        if !is_provider_name(name) || name != self.release.name {
            return problem(codes::LOCK_CONTENT, "the entry has another name than its release");
        }
        if let Some(message) = self.release.problem() {
            return problem(codes::LOCK_CONTENT, &message);
        }
        if self.source.len() > SOURCE_MAX_BYTES || self.path().is_none_or(str::is_empty) {
            return problem(codes::LOCK_CONTENT, "the source is not `file:` and a directory");
        }
        match (&self.signature, &self.release.publisher) {
            (None, None) if self.unsigned => Ok(()),
            (None, None) => problem(codes::LOCK_CONTENT, "nobody signed it, and it does not say so"),
            (Some(_), Some(_)) if self.unsigned => {
                problem(codes::LOCK_CONTENT, "it is signed, and says that it is not")
            }
            (Some(text), Some(publisher)) => {
                let signature = base64_text::decode(text).and_then(|bytes| bytes.try_into().ok());
                if signature.is_some_and(|bytes| self.release.is_signed_by_publisher(&bytes)) {
                    return Ok(());
                }
                let message = format!("this is not what `{}` signed", publisher.name);
                problem(codes::LOCK_SIGNATURE, &message)
            }
            (Some(_), None) => problem(codes::LOCK_CONTENT, "it is signed, and names no publisher"),
            (None, Some(publisher)) => {
                let message =
                    format!("it names `{}` as its publisher, whose signature is missing", publisher.name);
                problem(codes::LOCK_SIGNATURE, &message)
            }
        }
    }

    /// The directory that the release came from.
    #[must_use]
    pub fn path(&self) -> Option<&str> {
        self.source.strip_prefix(FILE_SOURCE)
    }

    /// The provider as graph and plan name it.
    ///
    /// # Errors
    /// When a number in the release has no canonical form.
    pub fn locked(&self) -> Result<LockedProvider, CanonicalError> {
        let release = &self.release;
        Ok(LockedProvider {
            version: release.version.clone(),
            manifest: release.manifest.blake3,
            release: release.digest()?,
            publisher: release.publisher.as_ref().map(|publisher| Publisher {
                name: publisher.name.to_string(),
                key: publisher.key.fingerprint(),
            }),
            interpreter: release.interpreter.clone(),
        })
    }
}
