//! The provider protocol, version 1.0: JSON-RPC 2.0, one object a line, over the standard streams
//! of a provider process. Wire types only; who speaks them is in `rectify-host` (the engine's
//! side) and `rectify-sdk` (the provider's side).

pub mod error;
pub mod frame;
pub mod manifest;
pub mod message;
#[cfg(feature = "schema")]
pub mod schema;

pub use error::{ErrorCode, ItemError, Mutated};
pub use frame::{Frame, FrameError};
pub use manifest::{Manifest, TypeDescriptor};

/// The only protocol version so far.
pub const VERSION: message::ProtocolVersion = message::ProtocolVersion { major: 1, minor: 0 };
/// Environment variable that tells a provider that an engine started it.
pub const COOKIE_VARIABLE: &str = "RECTIFY_PROVIDER";
/// Environment variable that a provider gives to every command that it runs for an operation: the
/// operation's id. By this mark the engine finds what still runs of an operation whose provider is
/// gone, and ends it. To the command it is an idempotency key: a retry has the same.
pub const OPERATION_VARIABLE: &str = "RECTIFY_OPERATION";
/// Environment variable that such a command has besides, with any value, if it must not be broken off, because
/// it would leave behind what nobody wants: half a package. Then the engine waits for its end instead.
pub const FINISHES_VARIABLE: &str = "RECTIFY_FINISHES";
