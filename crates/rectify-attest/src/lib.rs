//! Who vouches for a plan, and whether that is enough.
//!
//! A plan is accompanied by envelopes (DSSE v1), each of which holds one in-toto statement about
//! it: a [`Decision`](DecisionRecord), a [`Seal`], an [`Approval`], an [`Override`], a [`Receipt`] or a
//! [`Resolution`]. A [`Release`] is one about a provider's manifest; a [`Lock`] holds those that a project
//! uses. A [`TrustFile`] says whose
//! keys count for what. [`admit`] is the one gate: it is total and pure, and answers either with
//! [`Admitted`], which nothing else can make, or with every reason to refuse.
//!
//! No clock, file, environment or randomness: the time and the bytes are arguments, and keys that
//! sign are behind the [`Signer`] trait.

pub mod admit;
pub mod codes;
pub mod conformance;
pub mod describe;
pub mod envelope;
pub mod lock;
pub mod predicate;
pub mod principal;
pub mod public_key;
pub mod refusal;
pub mod release;
pub mod resolution;
pub mod rotation;
#[cfg(feature = "schema")]
pub mod schema;
pub mod signer;
pub mod statement;
pub mod trust;
pub mod verify;

mod base64_text;
mod moment;

pub use admit::{
    AdmissionInput, Admitted, CountedApproval, CountedOverride, EnvelopeFile, admit, overridden,
    override_refusals,
};
pub use describe::{Description, describe};
pub use envelope::Envelope;
pub use lock::{Lock, LockEntry, LockProblem};
pub use moment::moment;
pub use predicate::{
    Approval, DecisionRecord, Override, Receipt, Resolution, Seal, TargetResult, UsedOverride, Verdict,
};
pub use principal::{PrincipalKind, PrincipalName};
pub use public_key::{KeyError, PublicKey};
pub use refusal::Refusal;
pub use release::{Release, ReleaseFile, ReleasePublisher, verify_release};
pub use resolution::{counts, verify_resolution};
pub use signer::{SignError, Signer, attest, countersign};
pub use statement::{Kind, Predicate};
pub use trust::{
    Ceilings, KeyRecord, Principal, Retention, Revocation, Thresholds, TrustData, TrustFile, TrustProblem,
};
pub use verify::{Signed, SignedBy, verify, verify_by};
