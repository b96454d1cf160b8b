//! The engine's side of the provider protocol: starts provider programs, confines those that only
//! look, speaks to them, and says with a stable code what went wrong with one.
//!
//! A [`Session`] is one provider process. Its program is an [`Executable`], hashed and started from
//! the very bytes that were hashed. Each process is started through a [`Launcher`]: a small step of
//! our own that sets the umask, applies the confinement to itself ([`confine_main`]) and then
//! becomes, or starts, the provider.

mod ask;
mod batch;
mod blobs;
#[doc(hidden)]
pub mod bytes;
pub mod codes;
pub mod confine;
#[doc(hidden)]
pub mod crash;
pub mod error;
pub mod executable;
mod handshake;
mod launch;
mod leftovers;
mod limiter;
mod lines;
mod link;
pub mod policy;
mod process;
mod redactor;
mod review;
mod session;
pub mod spec;
mod stderr;
mod strict;
mod tasks;

pub use ask::{Asked, ask};
pub use confine::{Confinement, Protection, confine_main};
pub use error::{Effect, Fault, HostError};
pub use executable::Executable;
pub use launch::Launcher;
pub use redactor::Redactor;
pub use session::{Ended, Session};
pub use spec::{Methods, Notice, SessionSpec, Timings};
