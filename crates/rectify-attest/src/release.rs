//! A release of a provider: which files it consists of, and who says so. Its publisher's key is part of
//! what is signed; whether that key counts is for whoever locks it, and for the trust file.

use crate::{
    codes,
    envelope::Envelope,
    principal::PrincipalName,
    public_key::{PublicKey, SIGNATURE_BYTES},
    refusal::Refusal,
    statement::{self, Kind, Predicate},
    trust::TrustFile,
};
use rectify_base::{
    Code, Digest, FileDigests, Sha256Digest,
    canonical::{self, CanonicalError},
};
use rectify_protocol::{Manifest, manifest::ProtocolRange};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Format name of this version.
pub const FORMAT: &str = "rectify.release/v1";
/// The platform of a script, which runs wherever its interpreter does.
pub const ANY_PLATFORM: &str = "any";
/// Name of the manifest in the directory of a release.
pub const MANIFEST_FILE: &str = "manifest.json";
/// Name of the release in it, if nobody signed.
pub const RELEASE_FILE: &str = "release.json";
/// Name of the signed release in it.
pub const ENVELOPE_FILE: &str = "release.dsse.json";
/// Most platforms of one release.
pub const PLATFORMS_MAX: usize = 64;
/// Largest file, in bytes.
pub const FILE_MAX_BYTES: u64 = 512 * 1024 * 1024;
/// Longest interpreter line, in bytes.
const INTERPRETER_MAX_BYTES: usize = 256;
const NAME_MAX_BYTES: usize = 128;

/// One version of a provider: its manifest, and a file for each platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// Name and version of the format: [`FORMAT`].
    #[cfg_attr(feature = "schema", schemars(extend("const" = FORMAT)))]
    pub format: String,
    /// Name of the provider, as in its manifest: `acme`, or `acme/motd`.
    #[cfg_attr(feature = "schema", schemars(extend("pattern" = NAME)))]
    pub name: String,
    /// Its version, as in its manifest.
    #[cfg_attr(feature = "schema", schemars(extend("pattern" = VERSION)))]
    pub version: String,
    /// The protocol versions that it speaks, as in its manifest.
    pub protocol: ProtocolRange,
    /// Digests of its manifest's file.
    pub manifest: FileDigests,
    /// What runs it, if it is a script: the first line of the file, without `#!`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interpreter: Option<String>,
    /// The executables, by platform: such as `linux-x86_64`; of a script the one file, for `any`.
    #[cfg_attr(feature = "schema", schemars(extend("propertyNames" = {"pattern": PLATFORM}, "minProperties" = 1)))]
    pub files: BTreeMap<String, ReleaseFile>,
    /// Who publishes it. Absent: nobody signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publisher: Option<ReleasePublisher>,
}

#[cfg(feature = "schema")]
const NAME: &str = "^[a-z0-9]([a-z0-9._-]*[a-z0-9])?(/[a-z0-9]([a-z0-9._-]*[a-z0-9])?)?$";
#[cfg(feature = "schema")]
const VERSION: &str = "^[A-Za-z0-9][A-Za-z0-9.+_-]{0,63}$";
#[cfg(feature = "schema")]
const FILE: &str = "^[A-Za-z0-9][A-Za-z0-9.+_-]{0,127}$";
#[cfg(feature = "schema")]
const PLATFORM: &str = "^(any|[a-z0-9]+-[a-z0-9_]+)$";

/// A file of a release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ReleaseFile {
    /// Its name in the release.
    #[cfg_attr(feature = "schema", schemars(extend("pattern" = FILE)))]
    pub file: String,
    /// Its size in bytes.
    pub size: u64,
    /// BLAKE3 of its bytes.
    pub blake3: Digest,
    /// SHA-256 of its bytes.
    pub sha256: Sha256Digest,
}

/// Who publishes a release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ReleasePublisher {
    /// What the publisher calls itself.
    pub name: PrincipalName,
    /// The key that signs: one line of an OpenSSH public key file.
    #[cfg_attr(feature = "schema", schemars(with = "String", extend("pattern" = "^ssh-ed25519 [A-Za-z0-9+/]+={0,2}$")))]
    pub key: PublicKey,
}

impl Predicate for Release {
    const KIND: Kind = Kind::Release;
    const SUBJECT: &'static str = statement::RELEASE_SUBJECT_NAME;
}

impl ReleaseFile {
    /// A file with these bytes.
    #[must_use]
    pub fn of_bytes(file: impl Into<String>, bytes: &[u8]) -> Self {
        let FileDigests { blake3, sha256 } = FileDigests::of_bytes(bytes);
        Self { file: file.into(), size: bytes.len() as u64, blake3, sha256 }
    }

    /// Both digests.
    #[must_use]
    pub const fn digests(&self) -> FileDigests {
        FileDigests { blake3: self.blake3, sha256: self.sha256 }
    }
}

impl Release {
    /// The bytes of the file that an unsigned release is.
    ///
    /// # Errors
    /// When a number in it has no canonical form.
    pub fn to_bytes(&self) -> Result<Vec<u8>, CanonicalError> {
        canonical::file_bytes(self)
    }

    /// What names the release: the digest of [`Release::to_bytes`].
    ///
    /// # Errors
    /// See there.
    pub fn digest(&self) -> Result<Digest, CanonicalError> {
        Ok(Digest::of_bytes(&self.to_bytes()?))
    }

    /// The file for a platform.
    #[must_use]
    pub fn file(&self, platform: &str) -> Option<&ReleaseFile> {
        self.files.get(platform).or_else(|| self.files.get(ANY_PLATFORM))
    }

    /// What is wrong with it, if anything is: in one sentence without a final period.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        if self.format != FORMAT {
            let got: String = self.format.chars().take(80).collect();
            return Some(format!("its format is `{got}`; this release reads `{FORMAT}`"));
        }
        if !is_provider_name(&self.name) {
            return Some(name_rule(&self.name));
        }
        if !is_word(&self.version, 64) {
            return Some("the version is not 1 to 64 of A-Z, a-z, 0-9, `.`, `+`, `-` and `_`".to_owned());
        }
        if self.files.is_empty() || self.files.len() > PLATFORMS_MAX {
            return Some(format!("{} files; a release has 1 to {PLATFORMS_MAX}", self.files.len()));
        }
        let script = self.files.contains_key(ANY_PLATFORM);
        if script != self.interpreter.is_some() || (script && self.files.len() > 1) {
            let rule = "a script is one file, for `any`, with its interpreter; nothing else has one";
            return Some(rule.to_owned());
        }
        if let Some(line) = &self.interpreter
            && !is_interpreter(line)
        {
            return Some("the interpreter is not one printable line that begins with `/`".to_owned());
        }
        let mut names = std::collections::BTreeSet::new();
        for (platform, file) in &self.files {
            if !is_platform(platform) {
                let platform: String = platform.chars().take(40).collect();
                return Some(format!("`{platform}` is not a platform such as `linux-x86_64`"));
            }
            if !is_word(&file.file, 128) || !names.insert(file.file.as_str()) {
                return Some(format!(
                    "the file for {platform} has a name that is no plain one, or that of another"
                ));
            }
            if file.size == 0 || file.size > FILE_MAX_BYTES {
                return Some(format!("the file for {platform} is said to have {} bytes", file.size));
            }
        }
        let reserved = [MANIFEST_FILE, RELEASE_FILE, ENVELOPE_FILE];
        let taken = reserved.iter().find(|name| names.contains(**name));
        taken.map(|name| format!("`{name}` cannot be an executable's name"))
    }

    /// In what it differs from a manifest, if it does.
    #[must_use]
    pub fn disagrees(&self, manifest: &Manifest) -> Option<String> {
        let differs = |what: &str, here: &str, there: &str| {
            (here != there).then(|| format!("its {what} is `{here}`, the manifest's is `{there}`"))
        };
        let protocol = |range: &ProtocolRange| format!("{} to {}", range.min, range.max);
        differs("name", &self.name, &manifest.name)
            .or_else(|| differs("version", &self.version, &manifest.version))
            .or_else(|| differs("protocol", &protocol(&self.protocol), &protocol(&manifest.protocol)))
    }

    /// Whether this signature is the publisher's, over just this.
    #[must_use]
    pub fn is_signed_by_publisher(&self, signature: &[u8; SIGNATURE_BYTES]) -> bool {
        let Some(publisher) = &self.publisher else { return false };
        statement::encode(self.manifest, self).is_ok_and(|payload| {
            publisher.key.verifies(&Envelope::unsigned(payload).signed_bytes(), signature)
        })
    }
}

/// Reads the envelope of a release whose manifest has these digests. One signature must be there, by the
/// publisher that the release names. `place` is the file, for messages.
///
/// # Errors
/// The first [`Refusal`].
pub fn verify_release(
    place: &str,
    bytes: &[u8],
    manifest: FileDigests,
) -> Result<(Release, [u8; SIGNATURE_BYTES]), Refusal> {
    let refused = |code: Code, message: String| Refusal::new(code, place, message);
    let envelope = Envelope::read(bytes).map_err(|e| refused(e.code(), e.to_string()))?;
    let release: Release =
        statement::decode(manifest, envelope.payload()).map_err(|e| refused(e.code(), e.to_string()))?;
    if let Some(problem) = release.problem() {
        return Err(refused(codes::RELEASE_CONTENT, problem));
    }
    if release.manifest != manifest {
        let message = "it is about another manifest than its subject".to_owned();
        return Err(refused(codes::RELEASE_CONTENT, message));
    }
    let Some(publisher) = &release.publisher else {
        return Err(refused(codes::RELEASE_CONTENT, "it is signed, and names no publisher".to_owned()));
    };
    let [signature] = envelope.signatures() else {
        let message = "it has several signatures; its publisher signs, and nobody else".to_owned();
        return Err(refused(codes::RELEASE_SIGNER, message));
    };
    if signature.keyid != publisher.key.fingerprint() {
        let shown: String = signature.keyid.chars().take(60).collect();
        let message = format!("signed with {shown}, and its publisher has {}", publisher.key.fingerprint());
        return Err(refused(codes::RELEASE_SIGNER, message));
    }
    if !publisher.key.verifies(&envelope.signed_bytes(), &signature.signature) {
        let message = format!("the signature of `{}` does not verify", publisher.name);
        return Err(refused(codes::ENVELOPE_SIGNATURE, message));
    }
    let signature = signature.signature;
    Ok((release, signature))
}

impl TrustFile {
    /// Whether providers of this publisher may run at this time; `None` is one that nobody signed. Where
    /// the trust file names no publishers, anybody may be one, but for a key or a name of somebody whom it
    /// knows otherwise.
    ///
    /// # Errors
    /// The [`Refusal`], which `place` names.
    pub fn accepts_publisher(
        &self,
        place: &str,
        publisher: Option<&ReleasePublisher>,
        now: u64,
    ) -> Result<(), Refusal> {
        let refused = |code: Code, message: String| Err(Refusal::new(code, place, message));
        let listed = self.data().publishers.as_ref();
        let Some(publisher) = publisher else {
            return match listed {
                None => Ok(()),
                Some(_) => {
                    let message = "nobody signed it, and the trust file says whose providers may run";
                    refused(codes::PUBLISHER_ROLE, message.to_owned())
                }
            };
        };
        let fingerprint = publisher.key.fingerprint();
        if let Some((_, holder, record)) = self.key_with_id(&fingerprint) {
            if let Some((code, why)) = record.refused_at(now) {
                return refused(code, format!("signed by `{holder}` with {fingerprint}: {why}"));
            }
            if *holder != publisher.name {
                let message =
                    format!("it calls its publisher `{}`, and {fingerprint} is `{holder}`'s", publisher.name);
                return refused(codes::PUBLISHER_NAME, message);
            }
        } else if self.data().principals.contains_key(&publisher.name) {
            let message = format!("{fingerprint} is none of the keys of `{}`", publisher.name);
            return refused(codes::PUBLISHER_NAME, message);
        } else if listed.is_some() {
            let message = format!("the trust file does not know `{}` ({fingerprint})", publisher.name);
            return refused(codes::PUBLISHER_ROLE, message);
        }
        if listed.is_some_and(|members| !members.contains(&publisher.name)) {
            let message = format!("`{}` is not among the publishers of the trust file", publisher.name);
            return refused(codes::PUBLISHER_ROLE, message);
        }
        Ok(())
    }
}

/// Whether a text can name a provider of others: one part or two, with `/` between them.
#[must_use]
pub fn is_provider_name(text: &str) -> bool {
    let part = |part: &str| {
        let edge = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        part.bytes().all(|b| edge(b) || matches!(b, b'.' | b'_' | b'-'))
            && part.bytes().next().is_some_and(edge)
            && part.bytes().next_back().is_some_and(edge)
    };
    text.len() <= NAME_MAX_BYTES && text.split('/').count() <= 2 && text.split('/').all(part)
}

fn name_rule(name: &str) -> String {
    let name: String = name.chars().take(80).collect();
    format!(
        "`{name}` is not the name of a provider: expected a-z, 0-9, `.`, `-` and `_`, or two such with `/` between"
    )
}

fn is_word(text: &str, max_bytes: usize) -> bool {
    text.len() <= max_bytes
        && text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'+' | b'_' | b'-'))
}

fn is_platform(text: &str) -> bool {
    let plain = |part: &str, more: &[u8]| {
        !part.is_empty()
            && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || more.contains(&b))
    };
    text == ANY_PLATFORM
        || text.split_once('-').is_some_and(|(system, machine)| plain(system, b"") && plain(machine, b"_"))
}

fn is_interpreter(line: &str) -> bool {
    line.starts_with('/')
        && line.len() <= INTERPRETER_MAX_BYTES
        && line.bytes().all(|b| b == b' ' || b.is_ascii_graphic())
        && line.trim() == line
}
