//! What every other crate stands on: names, addresses, digests, canonical bytes, limits and
//! diagnostics. No clock, no file, no environment, no thread: `no_std` with `alloc`.
#![no_std]
extern crate alloc;

pub mod canonical;
pub mod code;
pub mod diagnostic;
pub mod digest;
pub mod fingerprint;
pub mod keyed;
pub mod limits;
pub mod names;
pub mod pointer;
pub mod redact;
#[cfg(feature = "schema")]
pub mod schema;
pub mod secret;
pub mod secret_text;
mod writer;

pub use code::Code;
pub use diagnostic::{Diagnostic, Label, Severity};
pub use digest::{Digest, FileDigests, Sha256Digest};
pub use keyed::{ContentHasher, DigestKey};
pub use names::{
    Address, GroupName, ModuleName, NodeKey, ProjectName, RemediationName, SecretName, StepName, TargetName,
    TypeName,
};
pub use pointer::Pointer;
pub use redact::Redaction;
pub use secret::Secret;
pub use secret_text::{Piece, SecretText};
