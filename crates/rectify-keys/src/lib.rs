//! Keys and trust: private keys of people (OpenSSH, also in an ssh-agent) and machines (PKCS#8), public
//! keys, and the trust file. What they mean is decided in `rectify-attest`.
//!
//! Paths are arguments; this crate reads neither the environment nor the home directory, and asks
//! nobody anything except through the passphrase callback.

pub mod agent;
pub mod codes;
pub mod error;
pub mod generate;
pub mod load;
pub mod public;
#[cfg(feature = "schema")]
pub mod schema;
pub mod signer;
pub mod trust;

mod disk;

pub use agent::AgentSigner;
pub use error::{FileKind, KeyError};
pub use generate::{generate, generate_pkcs8, load_or_generate, write_openssh, write_pkcs8};
pub use load::{load_signer, no_passphrase, parse_signer};
pub use public::read_public_key;
pub use signer::LocalSigner;
pub use trust::{
    parse_time, parse_trust, read_trust, render_trust, replace_trust, solo_trust, write_new_trust,
    write_trust,
};
