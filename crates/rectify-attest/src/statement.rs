//! in-toto Statements v1 about one plan, or about the manifest of a provider, told apart by their
//! predicate type.

use crate::codes;
use rectify_base::{Code, FileDigests, canonical};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

/// Statement type of in-toto v1.
pub const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
/// Name of the one subject of statements about a plan.
pub const SUBJECT_NAME: &str = "plan";
/// Name of the one subject of a release: the manifest of the provider.
pub const RELEASE_SUBJECT_NAME: &str = "manifest";

/// The kinds of statements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// What policy said when the plan was sealed.
    Decision,
    /// Permission to run the plan once.
    Seal,
    /// A person's consent to that permission.
    Approval,
    /// Proof of what a run did.
    Receipt,
    /// A person's word that a rule of policy does not hold for this plan.
    Override,
    /// A person's answer to an operation of which nobody knew whether it happened.
    Resolution,
    /// Which files a provider consists of. The only kind that is not about a plan.
    Release,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 7] = [
        Self::Decision,
        Self::Seal,
        Self::Approval,
        Self::Receipt,
        Self::Override,
        Self::Resolution,
        Self::Release,
    ];

    /// The predicate type.
    #[must_use]
    pub const fn uri(self) -> &'static str {
        match self {
            Self::Decision => "urn:rectify:decision:v1",
            Self::Seal => "urn:rectify:seal:v1",
            Self::Approval => "urn:rectify:approval:v1",
            Self::Receipt => "urn:rectify:receipt:v1",
            Self::Override => "urn:rectify:override:v1",
            Self::Resolution => "urn:rectify:resolution:v1",
            Self::Release => "urn:rectify:release:v1",
        }
    }

    /// The word used in messages and proposed file names.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Decision => "decision",
            Self::Seal => "seal",
            Self::Approval => "approval",
            Self::Receipt => "receipt",
            Self::Override => "override",
            Self::Resolution => "resolution",
            Self::Release => "release",
        }
    }

    /// The kind with this predicate type.
    #[must_use]
    pub fn from_uri(uri: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.uri() == uri)
    }
}

/// A body that says something about a plan.
pub trait Predicate: Serialize + DeserializeOwned {
    /// Its kind; a reader asks for one kind and takes no other.
    const KIND: Kind;
    /// Name of what it is about.
    const SUBJECT: &'static str = SUBJECT_NAME;
}

/// Why a payload is not the expected statement.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// Not canonical, other fields, other values.
    #[error("not a canonical in-toto statement of its type: {0}")]
    Malformed(String),
    /// Of another type than expected.
    #[error("predicate type `{got}` is not {expected}")]
    PredicateType {
        /// What it says.
        got: String,
        /// What was expected.
        expected: String,
    },
    /// About another plan.
    #[error("about another plan: it names {got}")]
    Subject {
        /// The SHA-256 that it names, as far as one is named.
        got: String,
    },
}

impl StatementError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Malformed(_) => codes::ENVELOPE_STATEMENT,
            Self::PredicateType { .. } => codes::ENVELOPE_PREDICATE_TYPE,
            Self::Subject { .. } => codes::ENVELOPE_SUBJECT,
        }
    }
}

/// An in-toto Statement v1 about one plan.
#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Statement<T> {
    /// The statement type.
    #[serde(rename = "_type")]
    #[cfg_attr(feature = "schema", schemars(extend("const" = STATEMENT_TYPE)))]
    statement_type: String,
    /// What is said of the plan.
    predicate: T,
    /// Tells the kinds of predicates apart.
    #[serde(rename = "predicateType")]
    predicate_type: String,
    /// The plan.
    #[cfg_attr(feature = "schema", schemars(length(equal = 1)))]
    subject: Vec<Subject>,
}

/// The plan that a statement is about.
#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct Subject {
    /// Digests of the plan file.
    digest: SubjectDigest,
    /// `plan`; of a release `manifest`.
    #[cfg_attr(feature = "schema", schemars(extend("enum" = [SUBJECT_NAME, RELEASE_SUBJECT_NAME])))]
    name: String,
}

/// in-toto writes digests as bare hexadecimal digits by algorithm.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct SubjectDigest {
    /// BLAKE3 of the bytes.
    #[cfg_attr(feature = "schema", schemars(extend("pattern" = "^[0-9a-f]{64}$")))]
    blake3: String,
    /// SHA-256 of the bytes.
    #[cfg_attr(feature = "schema", schemars(extend("pattern" = "^[0-9a-f]{64}$")))]
    sha256: String,
}

impl From<FileDigests> for SubjectDigest {
    fn from(digests: FileDigests) -> Self {
        Self { blake3: digests.blake3.hex(), sha256: digests.sha256.hex() }
    }
}

/// The payload that says `predicate` about the plan with these digests.
///
/// # Errors
/// [`StatementError::Malformed`] if the predicate cannot be written canonically.
pub fn encode<T: Predicate>(plan: FileDigests, predicate: &T) -> Result<Vec<u8>, StatementError> {
    canonical::compact(&Statement {
        statement_type: STATEMENT_TYPE.to_owned(),
        predicate,
        predicate_type: T::KIND.uri().to_owned(),
        subject: vec![Subject { digest: plan.into(), name: T::SUBJECT.to_owned() }],
    })
    .map_err(|e| StatementError::Malformed(e.to_string()))
}

/// Reads a payload as a statement of one kind about one plan.
///
/// # Errors
/// See [`StatementError`]. Whatever [`encode`] would not have written is refused.
pub fn decode<T: Predicate>(plan: FileDigests, payload: &[u8]) -> Result<T, StatementError> {
    let malformed = |e: &dyn core::fmt::Display| StatementError::Malformed(e.to_string());
    let value: Value = canonical::read_compact(payload).map_err(|e| malformed(&e))?;
    let statement: Statement<Value> = serde_json::from_value(value).map_err(|e| malformed(&e))?;
    if statement.statement_type != STATEMENT_TYPE {
        return Err(malformed(&format_args!("`_type` is not `{STATEMENT_TYPE}`")));
    }
    if statement.predicate_type != T::KIND.uri() {
        return Err(StatementError::PredicateType {
            got: statement.predicate_type.chars().take(80).collect(),
            expected: format!("`{}`", T::KIND.uri()),
        });
    }
    match statement.subject.as_slice() {
        [subject] if subject.name == T::SUBJECT && subject.digest == plan.into() => {}
        [subject] => {
            return Err(StatementError::Subject {
                got: format!("sha256:{}", subject.digest.sha256.chars().take(64).collect::<String>()),
            });
        }
        several => return Err(malformed(&format_args!("{} subjects instead of one", several.len()))),
    }
    let predicate: T = serde_json::from_value(statement.predicate).map_err(|e| malformed(&e))?;
    // Catches what typed reading forgives, such as `null` for an absent field.
    if encode(plan, &predicate)? != payload {
        return Err(malformed(&"written in another way than its type is"));
    }
    Ok(predicate)
}

/// The kind that a payload claims.
///
/// # Errors
/// [`StatementError::Malformed`] or [`StatementError::PredicateType`].
pub fn claimed_kind(payload: &[u8]) -> Result<Kind, StatementError> {
    let value: Value =
        canonical::read_compact(payload).map_err(|e| StatementError::Malformed(e.to_string()))?;
    let uri = value
        .get("predicateType")
        .and_then(Value::as_str)
        .ok_or_else(|| StatementError::Malformed("no `predicateType`".to_owned()))?;
    Kind::from_uri(uri).ok_or_else(|| StatementError::PredicateType {
        got: uri.chars().take(80).collect(),
        expected: "one that this release knows".to_owned(),
    })
}
