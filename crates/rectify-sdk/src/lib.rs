//! What a provider in Rust is written with: implement [`Provider`], call [`serve`] from `main`.
//!
//! The SDK speaks the protocol, so that a provider never sees a frame: it answers pings and cancels
//! while work is going on, refuses what the session's mode does not allow, turns a panic into an
//! honest error, keeps the ledger that makes an action run at most once, and keeps stray prints
//! away from the protocol's stream.
//!
//! It deliberately knows nothing of graphs, plans, approvals or the engine.

mod beneath;
mod blobs;
mod context;
#[doc(hidden)]
pub mod crash;
mod durable;
mod exercise;
mod fence;
mod folder;
mod ledger;
mod output;
mod process;
mod provider;
mod queue;
mod secrets;
mod serve;
mod session;
mod shared_sync;
mod stream;
pub mod testing;
mod users;
mod work;

/// The names, digests and pointers that the protocol uses.
pub use rectify_base as base;
/// The wire types.
pub use rectify_protocol as protocol;

pub use beneath::{exists_beneath, open_beneath, real_path_beneath};
pub use context::{Context, Found};
pub use folder::{Folder, Owned, SmallFile};
pub use process::{Ended, Finished, OUTPUT_TAIL_BYTES, Run, SEARCH_PATH};
pub use provider::Provider;
pub use secrets::{Revealed, stand_in};
pub use serve::{serve, serve_stdio};
pub use session::End;
pub use shared_sync::{Announced, announce_sync, sync_directory};
pub use stream::serve_streams;
pub use users::User;
