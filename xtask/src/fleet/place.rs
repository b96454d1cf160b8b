//! Where fleets are kept: `$HOME/.cache/rectify/fleet`.
//!
//! ```text
//! base/<release>-<digest of the recipe>/            a Debian system that nobody boots
//! base/<release>-<digest>+<digest of the packages>/ what more packages add to it
//! repository/<digest>/                              made-up packages, for apt without a network
//! running/<id>/                                     one fleet: its record, keys, nodes
//! ```

use nix::fcntl::{Flock, FlockArg};
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

/// The directory of all fleets of this user.
#[derive(Clone, Debug)]
pub struct Place {
    root: PathBuf,
}

/// A lock, held until it is dropped or its process ends.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "held, not used")] Flock<File>);

impl Place {
    /// The one below the home directory.
    pub fn of_user() -> Result<Self, String> {
        let home = std::env::var_os("HOME").ok_or("HOME is not set")?;
        Self::at(&Path::new(&home).join(".cache/rectify/fleet"))
    }

    /// One in this directory, which is made.
    pub fn at(root: &Path) -> Result<Self, String> {
        let text = root.to_str().ok_or("the path of the cache is not UTF-8")?;
        if !root.is_absolute() || text.contains([':', ',', '\\', ' ', '"']) {
            return Err(format!("{text} cannot be named in the options of an overlay mount"));
        }
        let place = Self { root: root.into() };
        for directory in [place.bases(), place.repositories(), place.running()] {
            fs::create_dir_all(&directory).map_err(|e| format!("{}: {e}", directory.display()))?;
        }
        Ok(place)
    }

    /// Base systems and what packages add to them.
    pub fn bases(&self) -> PathBuf {
        self.root.join("base")
    }

    /// Package repositories.
    pub fn repositories(&self) -> PathBuf {
        self.root.join("repository")
    }

    /// Fleets.
    pub fn running(&self) -> PathBuf {
        self.root.join("running")
    }

    /// Waits for a lock. Whoever makes or ends a fleet holds `fleets`, and whoever fills a part of the
    /// cache the one that is named after it.
    pub fn lock(&self, name: &str) -> Result<Lock, String> {
        let path = self.root.join(format!("{name}.lock"));
        let told = |e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
        let file =
            File::options().create(true).truncate(false).write(true).open(&path).map_err(|e| told(&e))?;
        Flock::lock(file, FlockArg::LockExclusive).map(Lock).map_err(|(_, e)| told(&e))
    }
}
