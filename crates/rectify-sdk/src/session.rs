//! What a session was told at its beginning.

use rectify_protocol::{
    Manifest,
    message::{Directories, Mode},
};
use std::path::PathBuf;

/// Fixed by `initialize` and `configure`.
pub(crate) struct Settings {
    pub(crate) manifest: Manifest,
    pub(crate) mode: Mode,
    pub(crate) dirs: Directories,
    pub(crate) root: Option<PathBuf>,
    pub(crate) plan_commands: Vec<Vec<String>>,
}
