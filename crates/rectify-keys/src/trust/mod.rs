//! The trust file: strict YAML in the user's or the system's configuration directory.

mod read;
mod times;
pub(crate) mod wire;
mod write;

pub use read::{parse_trust, read_trust};
pub use times::parse_time;
pub use write::{render_trust, replace_trust, solo_trust, write_new_trust, write_trust};
