//! The conformance kit: whether a provider keeps to protocol 1.0, seen from outside.
//!
//! It needs nothing but a way to start the provider and a file of fixtures. Each check has a sandbox
//! and processes of its own; what it made is removed in reverse order whatever happened. The provider
//! is started through a shell, here or behind any prefix such as `ssh -T host`. What the kit looks at beside
//! the protocol (files, processes) it asks that shell for as well, and on this machine the system itself.
//!
//! Which checks there are, and what each one does, is in `docs/conformance.md`; the rules that they
//! test are in `docs/protocol/1.0.md`.

mod bed;
mod catalogue;
mod checks;
mod fixtures;
mod host;
mod kit;
mod near;
mod outcome;
mod peer;
mod proxy;
mod session;

pub use catalogue::{CHECKS, Entry};
pub use fixtures::{FORMAT as FIXTURES_FORMAT, Fixtures, FixturesError, Invalid, Private, TypeFixture};
pub use host::Host;
pub use kit::{Kit, KitError, Patience};
pub use outcome::Stop;
#[cfg(feature = "schema")]
pub use rectify_attest::conformance::schemas;
pub use rectify_attest::conformance::{
    Counts, FORMAT as VERDICT_FORMAT, Outcome, PREDICATE_TYPE, ProviderSeen, Row, Verdict, VerdictError,
};
