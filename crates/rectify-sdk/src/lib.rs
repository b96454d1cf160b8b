//! What a provider in Rust is written with: say what people write, what is there, and how to bring one about from
//! the other; put the types together with [`Types`], and call [`serve`] from `main`.
//!
//! ```no_run
//! use rectify_sdk::{Context, Properties, Resource, Result, Step, Types};
//! use schemars::JsonSchema;
//! use serde::{Deserialize, Serialize};
//!
//! /// A file with a message.
//! #[derive(Deserialize, JsonSchema, Properties)]
//! struct Motd {
//!     /// Absolute path of the file.
//!     #[rectify(identity, touch = "path")]
//!     #[schemars(regex(pattern = "^/"))]
//!     path: String,
//!     /// What the file says.
//!     #[schemars(length(max = 1000))]
//!     text: String,
//! }
//!
//! /// What is there, as far as it counts.
//! #[derive(Serialize, Deserialize)]
//! struct Message {
//!     text: String,
//! }
//!
//! struct MotdFile;
//!
//! impl Resource for MotdFile {
//!     type Properties = Motd;
//!     type State = Message;
//!     const TYPE: &'static str = "motd.file";
//!
//!     fn read(&self, cx: &Context, id: &MotdId) -> Result<Option<Message>> {
//!         let Some(file) = cx.read_file(&id.path, 4096)? else {
//!             return Ok(None);
//!         };
//!         let text = file.public_text()?;
//!         Ok(Some(Message { text }))
//!     }
//!
//!     fn goal(&self, _: &Context, wanted: &Motd, _: Option<&Message>) -> Result<Option<Message>> {
//!         let text = wanted.text.clone();
//!         Ok(Some(Message { text }))
//!     }
//!
//!     fn apply(&self, cx: &Context, step: &Step<Self>) -> Result<()> {
//!         match &step.want {
//!             Some(want) => cx.write_file(&step.id.path, want.text.as_bytes(), 0o644),
//!             None => cx.remove_file(&step.id.path),
//!         }
//!     }
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     rectify_sdk::serve(Types::new("motd", env!("CARGO_PKG_VERSION")).resource(MotdFile))
//! }
//! ```
//!
//! - Kinds of types: [`Resource`], [`Action`], [`Probe`]. What people write is [`Properties`], a secret among it
//!   [`PrivateText`].
//! - What a function is given: [`Context`], with files, commands, before-images, progress.
//! - Tests: [`testing::Exercise`] plays the engine; `PROVIDER --selftest` and `rectify-conform` try the rest.
//! - Beneath all that: [`Provider`], with one function for each request of the protocol, for what is of another kind.
//!
//! The SDK speaks the protocol, so that a provider never sees a frame: it answers pings and cancels while work is
//! going on, refuses what the session's mode does not allow, turns a panic into an honest error, keeps the ledger
//! that makes an action run at most once, and keeps stray prints away from the protocol's stream.
//!
//! It deliberately knows nothing of graphs, plans, approvals or the engine.

mod action;
mod beneath;
mod blobs;
mod context;
#[doc(hidden)]
pub mod crash;
mod durable;
mod errors;
mod exercise;
mod fence;
mod files;
mod folder;
mod ledger;
mod output;
mod probe;
mod process;
mod properties;
mod provider;
mod queue;
mod resource;
mod secrets;
mod selftest;
mod serve;
mod session;
mod shared_sync;
mod stop;
mod stream;
pub mod testing;
mod types;
mod users;
mod work;

/// The names, digests and pointers that the protocol uses.
pub use rectify_base as base;
/// The wire types.
pub use rectify_protocol as protocol;

/// The schemas of properties, as `#[derive(JsonSchema)]` of the same version gives them.
pub use schemars;

pub use action::Action;
pub use beneath::{exists_beneath, open_beneath, real_path_beneath};
pub use context::{Context, Found};
pub use errors::{Result, failed, invalid};
pub use files::FoundFile;
pub use folder::{Folder, Owned, SmallFile};
pub use probe::{Answer, Probe};
pub use process::{Ended, Finished, OUTPUT_TAIL_BYTES, Run, SEARCH_PATH};
#[doc(hidden)]
pub use properties::property;
pub use properties::{Object, Presence, Properties, Touch};
pub use provider::Provider;
/// See the trait [`Properties`].
pub use rectify_sdk_derive::Properties;
pub use resource::{Disruption, Forecast, Id, Resource, Step, Undo};
pub use secrets::{PrivateText, Revealed, stand_in};
pub use serve::{serve, serve_stdio};
pub use session::End;
pub use shared_sync::{Announced, announce_sync, sync_directory};
pub use stream::serve_streams;
pub use types::Types;
pub use users::User;
