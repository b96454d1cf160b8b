//! What a run of the conformance kit came to: for people as a table, for machines as a canonical file, signed
//! as a statement about the executable that was tested. The kit, `rectify-conform`, is where they come from.

use crate::{
    PublicKey, Signer,
    envelope::{Envelope, EnvelopeError},
    signer::SignError,
};
use rectify_base::{
    Digest, FileDigests,
    canonical::{self, CanonicalError},
};
use serde::{Deserialize, Serialize};
use std::fmt::Write;

/// Name and version of the format.
pub const FORMAT: &str = "rectify.conformance/v1";
/// Predicate type of the signed statement.
pub const PREDICATE_TYPE: &str = "urn:rectify:conformance:v1";
/// Statement type of in-toto v1.
const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";

/// What one check says of one type, or of the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It keeps the rule.
    Pass,
    /// The check says nothing here.
    Skip,
    /// It breaks the rule.
    Fail,
}

/// One result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// The check.
    pub check: String,
    /// The type; absent for the provider as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// What it came to.
    pub outcome: Outcome,
    /// Why it was skipped, or how it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The provider that was tested.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ProviderSeen {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Digest of the manifest that it prints.
    pub manifest: Digest,
    /// Digests of its executable; absent where the kit could not read it, as behind `ssh`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executable: Option<FileDigests>,
}

/// How many results there are of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Kept.
    pub pass: usize,
    /// Not applicable.
    pub skip: usize,
    /// Broken.
    pub fail: usize,
}

/// What a run of the kit came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// Name and version of the format: [`FORMAT`].
    #[cfg_attr(feature = "schema", schemars(extend("const" = FORMAT)))]
    pub format: String,
    /// Version of the kit.
    pub kit: String,
    /// Version of the protocol that was tested.
    pub protocol: String,
    /// What was tested.
    pub provider: ProviderSeen,
    /// Digest of the file of fixtures.
    pub fixtures: Digest,
    /// Whether the provider ran behind a prefix such as `ssh`.
    pub via_prefix: bool,
    /// The sums of the results.
    pub counts: Counts,
    /// Each result, sorted by check and type.
    pub rows: Vec<Row>,
}

/// Why a verdict cannot be written, signed or believed.
#[derive(Debug, thiserror::Error)]
pub enum VerdictError {
    /// It has no canonical form, or was not written in it.
    #[error("the verdict is not canonical: {0}")]
    Canonical(#[from] CanonicalError),
    /// A statement needs something that it is about.
    #[error("the executable was not seen, so nothing can be said about it under a signature")]
    NoExecutable,
    /// The key did not sign.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The envelope cannot be written or read.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// It is no conformance statement, or contradicts itself.
    #[error("this is no conformance statement: {0}")]
    Statement(String),
    /// Signed by another key, or not signed.
    #[error("it is not signed by the expected key")]
    Signature,
    /// About another executable.
    #[error("it is about another executable: {0}")]
    Subject(String),
}

#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct Statement {
    /// The statement type.
    #[serde(rename = "_type")]
    #[cfg_attr(feature = "schema", schemars(extend("const" = STATEMENT_TYPE)))]
    statement_type: String,
    /// The verdict.
    predicate: Verdict,
    /// Tells the kinds of predicates apart.
    #[serde(rename = "predicateType")]
    #[cfg_attr(feature = "schema", schemars(extend("const" = PREDICATE_TYPE)))]
    predicate_type: String,
    /// The executable.
    #[cfg_attr(feature = "schema", schemars(length(equal = 1)))]
    subject: Vec<Subject>,
}

/// The executable that was tested.
#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct Subject {
    /// Digests of its file, as bare hexadecimal digits.
    digest: SubjectDigest,
    /// The provider's name.
    name: String,
}

#[derive(PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct SubjectDigest {
    /// BLAKE3 of the bytes.
    blake3: String,
    /// SHA-256 of the bytes.
    sha256: String,
}

impl From<FileDigests> for SubjectDigest {
    fn from(digests: FileDigests) -> Self {
        Self { blake3: digests.blake3.hex(), sha256: digests.sha256.hex() }
    }
}

impl Verdict {
    /// What a kit of this version found.
    #[must_use]
    pub fn new(
        kit: &str,
        provider: ProviderSeen,
        fixtures: Digest,
        via_prefix: bool,
        rows: Vec<Row>,
    ) -> Self {
        Self {
            format: FORMAT.into(),
            kit: kit.into(),
            protocol: rectify_protocol::VERSION.to_string(),
            provider,
            fixtures,
            via_prefix,
            counts: Self::sums(&rows),
            rows,
        }
    }

    fn sums(rows: &[Row]) -> Counts {
        let count = |outcome| rows.iter().filter(|row| row.outcome == outcome).count();
        Counts { pass: count(Outcome::Pass), skip: count(Outcome::Skip), fail: count(Outcome::Fail) }
    }

    /// Whether nothing failed, and something was tested.
    #[must_use]
    pub fn conforms(&self) -> bool {
        self.counts.fail == 0 && self.counts.pass > 0
    }

    /// The bytes of the file.
    ///
    /// # Errors
    /// [`VerdictError::Canonical`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, VerdictError> {
        Ok(canonical::file_bytes(self)?)
    }

    /// For a person. With `details` every result, else those that did not pass.
    #[must_use]
    pub fn table(&self, details: bool) -> String {
        let mut text = String::new();
        let shown = self.rows.iter().filter(|row| details || row.outcome != Outcome::Pass);
        for row in shown {
            let word = match row.outcome {
                Outcome::Pass => "pass",
                Outcome::Skip => "skip",
                Outcome::Fail => "FAIL",
            };
            let subject = row.subject.as_deref().unwrap_or("-");
            let reason = row.reason.as_deref().unwrap_or_default();
            // Writing to a text cannot fail.
            let _ =
                writeln!(text, "{}", format!("{word}  {}  {subject:<18}  {reason}", row.check).trim_end());
        }
        let Counts { pass, skip, fail } = self.counts;
        let ProviderSeen { name, version, .. } = &self.provider;
        let word = if self.conforms() { "conforms" } else { "does not conform" };
        let _ = writeln!(
            text,
            "{name} {version} {word} to protocol {}: {pass} passed, {fail} failed, {skip} skipped",
            self.protocol
        );
        text
    }

    /// The envelope file in which a signer says this about the executable.
    ///
    /// # Errors
    /// See [`VerdictError`].
    pub fn sign(&self, signer: &dyn Signer) -> Result<Vec<u8>, VerdictError> {
        let executable = self.provider.executable.ok_or(VerdictError::NoExecutable)?;
        let payload = canonical::compact(&Statement {
            statement_type: STATEMENT_TYPE.into(),
            predicate: self.clone(),
            predicate_type: PREDICATE_TYPE.into(),
            subject: vec![Subject { digest: executable.into(), name: self.provider.name.clone() }],
        })?;
        let mut envelope = Envelope::unsigned(payload);
        let message = envelope.signed_bytes();
        let key = signer.public_key();
        let signature = signer.sign(&message)?;
        if !key.verifies(&message, &signature) {
            return Err(SignError::Inconsistent.into());
        }
        envelope.add_signature(&key, signature)?;
        Ok(envelope.to_bytes()?)
    }

    /// Reads an envelope file that one of these keys must have signed, about this executable.
    ///
    /// # Errors
    /// See [`VerdictError`].
    pub fn verify(bytes: &[u8], keys: &[PublicKey], executable: FileDigests) -> Result<Self, VerdictError> {
        let known = |keyid: &str| keys.iter().find(|key| key.fingerprint() == keyid).copied();
        let (verdict, _) = Self::signed(bytes, known)?;
        match verdict.provider.executable {
            Some(found) if found == executable => Ok(verdict),
            found => {
                let found = found.map_or_else(String::new, |found| found.sha256.to_string());
                Err(VerdictError::Subject(found))
            }
        }
    }

    /// Reads an envelope file that must be signed by a key that `known` gives for its id, about whatever
    /// executable it names; with that key.
    ///
    /// # Errors
    /// See [`VerdictError`].
    pub fn signed(
        bytes: &[u8],
        known: impl Fn(&str) -> Option<PublicKey>,
    ) -> Result<(Self, PublicKey), VerdictError> {
        let envelope = Envelope::read(bytes)?;
        let message = envelope.signed_bytes();
        let mut signatures = envelope.signatures().iter();
        let key = signatures.find_map(|signature| {
            let key = known(&signature.keyid)?;
            (key.fingerprint() == signature.keyid && key.verifies(&message, &signature.signature))
                .then_some(key)
        });
        let key = key.ok_or(VerdictError::Signature)?;
        let statement: Statement = canonical::read_compact(envelope.payload())?;
        let wrong = |what: &str| Err(VerdictError::Statement(what.into()));
        if statement.statement_type != STATEMENT_TYPE || statement.predicate_type != PREDICATE_TYPE {
            return wrong("another type of statement or predicate");
        }
        let verdict = statement.predicate;
        if verdict.format != FORMAT || verdict.counts != Self::sums(&verdict.rows) {
            return wrong("another format, or sums that are not those of its results");
        }
        match (statement.subject.as_slice(), verdict.provider.executable) {
            ([subject], Some(executable))
                if subject.digest == executable.into() && subject.name == verdict.provider.name =>
            {
                Ok((verdict, key))
            }
            _ => wrong("its subject is not the executable that was tested"),
        }
    }
}

/// JSON Schemas of the verdict and its statement.
#[cfg(feature = "schema")]
#[must_use]
pub fn schemas() -> Vec<rectify_base::schema::Named> {
    use rectify_base::schema::{Form, document};
    vec![
        ("conformance", document::<Verdict>("Rectify conformance verdict", Form::Canonical)),
        (
            "conformance-statement",
            document::<Statement>("in-toto statement about a provider", Form::Canonical),
        ),
    ]
}
