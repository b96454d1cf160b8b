//! What needs no accounts of a machine: keys in root directories, and what is refused. Users and groups are
//! made on nodes, see `tests/node`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod keys;
mod refusals;

use rectify_sdk::testing::Exercise;
use serde_json::Value;
use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::PathBuf,
};
use tempfile::TempDir;

/// A root directory with a user `me`, who is whoever runs the tests.
pub(crate) struct World {
    pub root: TempDir,
    pub exercise: Exercise,
    pub uid: u32,
    pub gid: u32,
}

impl World {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let meta = fs::metadata(root.path()).unwrap();
        let (uid, gid) = (meta.uid(), meta.gid());
        fs::create_dir_all(root.path().join("etc")).unwrap();
        fs::create_dir_all(root.path().join("home/me")).unwrap();
        let passwd = format!("me:x:{uid}:{gid}::/home/me:/bin/sh\nlost:x:4711:4711::/home/lost:/bin/sh\n");
        fs::write(root.path().join("etc/passwd"), passwd).unwrap();
        fs::write(root.path().join("etc/group"), format!("us:x:{gid}:\n")).unwrap();
        let secrets = [("hash", "$6$saltsalt$0123456789abcdef"), ("plain", "hunter22")];
        let exercise =
            Exercise::new(rectify_provider_account::provider(), Some(root.path()), &secrets).unwrap();
        Self { root, exercise, uid, gid }
    }

    pub fn at(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    pub fn mode(&self, path: &str) -> u32 {
        fs::symlink_metadata(self.at(path)).unwrap().permissions().mode() & 0o7777
    }

    pub fn chmod(&self, path: &str, mode: u32) {
        fs::set_permissions(self.at(path), fs::Permissions::from_mode(mode)).unwrap();
    }

    pub fn refused(&mut self, name: &str, desired: &Value) -> rectify_sdk::protocol::ItemError {
        self.exercise.plan(name, desired).unwrap().unwrap_err()
    }
}
