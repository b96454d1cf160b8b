//! Providers that are not part of Rectify, as graph and plan rely on them: by a locked release. What is
//! said here comes from the project's lock file and is the same on every machine.

use alloc::string::String;
use rectify_base::Digest;
use serde::{Deserialize, Serialize};

/// A provider by its locked release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct LockedProvider {
    /// Its version.
    pub version: String,
    /// Digest of its manifest.
    pub manifest: Digest,
    /// Digest of the release in the lock file, which fixes the executables of all platforms.
    pub release: Digest,
    /// Who signed the release. Absent: nobody did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publisher: Option<Publisher>,
    /// What runs it, if it is a script: the first line of the file, without `#!`. No digest covers that
    /// program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interpreter: Option<String>,
}

/// Who signed a release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Publisher {
    /// What the holder of the key calls itself.
    pub name: String,
    /// Fingerprint of the key, as `ssh-keygen -l` prints it.
    pub key: String,
}
