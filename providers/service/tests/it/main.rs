//! What needs no systemd: what is refused, and files in a root directory. The rest is tested on nodes, see
//! `tests/node`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod files;
mod refusals;

use rectify_sdk::testing::Exercise;
use std::{fs, path::Path};
use tempfile::TempDir;

/// A root directory in which there is a place for unit files.
pub(crate) struct World {
    pub root: TempDir,
    pub exercise: Exercise,
}

impl World {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("etc/systemd/system")).unwrap();
        let exercise = Exercise::new(rectify_provider_service::provider(), Some(root.path()), &[]).unwrap();
        Self { root, exercise }
    }

    pub fn at(&self, path: &str) -> std::path::PathBuf {
        self.root.path().join(Path::new(path).strip_prefix("/").unwrap())
    }
}
