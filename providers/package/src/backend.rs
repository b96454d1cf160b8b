//! What is asked of a package manager. There is one, [`crate::apt`]; that of rpm (dnf) would be another
//! implementation of [`Backend`].

use crate::asked::Asked;
use rectify_sdk::{
    Context,
    protocol::{ErrorCode, ItemError},
};
use serde::{Deserialize, Serialize};
use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

/// What happens to packages, by name.
pub(crate) type Changes = BTreeMap<String, Change>;

/// What happens to one package: its version before and after, where it is installed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) before: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) after: Option<String>,
}

/// What is there of a package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    Absent,
    /// Removed; its configuration is still there.
    Configuration,
    Installed {
        version: String,
        held: bool,
        /// It came for others, and may go when they do.
        automatic: bool,
    },
}

impl Status {
    pub(crate) fn version(&self) -> Option<&str> {
        match self {
            Self::Installed { version, .. } => Some(version),
            Self::Absent | Self::Configuration => None,
        }
    }
}

/// What is to be done in one transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Request {
    /// Packages to install; without a version the one that the repositories offer.
    pub(crate) install: BTreeMap<String, Option<String>>,
    /// Packages to remove.
    pub(crate) remove: BTreeSet<String>,
    /// Remove their configuration, too.
    pub(crate) purge: bool,
    /// Whatever came for others and is needed by nobody goes, too. Only for simulations.
    pub(crate) unneeded: bool,
    /// Held packages among them are changed.
    pub(crate) held: bool,
    pub(crate) recommends: Option<bool>,
}

/// What a request would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Transaction {
    pub(crate) changes: Changes,
    /// Held packages that it would change.
    pub(crate) held: BTreeSet<String>,
    /// Packages without which the system does not work, and that it would remove.
    pub(crate) essential: BTreeSet<String>,
    /// Packages that an earlier operation left unfinished, and that it would finish.
    pub(crate) unfinished: BTreeSet<String>,
}

/// The package database as it was at some time, to simulate on.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) status: PathBuf,
    pub(crate) marks: PathBuf,
}

/// A package manager.
pub(crate) trait Backend {
    /// The name under which transactions have a package: without the machine's own architecture.
    fn key(&self, cx: &Context, name: &str) -> Result<String, ItemError>;
    /// What is there of packages, by key.
    fn statuses(&self, cx: &Context, keys: &[&str]) -> Result<BTreeMap<String, Status>, ItemError>;
    /// Whether configuration stays when an installed package is removed.
    fn leaves_configuration(&self, cx: &Context, key: &str) -> Result<bool, ItemError>;
    /// The order of versions.
    fn compare(&self, a: &str, b: &str) -> Ordering;
    /// Waits until nobody holds the package database, for half of the time that is left at most.
    fn wait(&self, cx: &Context, deadline: Instant) -> Result<(), ItemError>;
    /// Whether an operation can begin at all.
    fn ready(&self) -> Result<(), ItemError>;
    /// What a request would do. Changes nothing.
    fn simulate(
        &self,
        cx: &Context,
        request: &Request,
        on: Option<&Snapshot>,
    ) -> Result<Transaction, ItemError>;
    /// Which of these versions can be had: from a repository or a cache.
    fn available(
        &self,
        cx: &Context,
        versions: &BTreeMap<String, String>,
    ) -> Result<BTreeSet<String>, ItemError>;
    /// Does what a request says. `removes`: packages go, as was found by a simulation.
    fn carry_out(
        &self,
        cx: &Context,
        request: &Request,
        removes: bool,
        deadline: Instant,
    ) -> Result<(), ItemError>;
    /// Holds a package, or lets it go.
    fn hold(&self, cx: &Context, key: &str, held: bool, deadline: Instant) -> Result<(), ItemError>;
    /// Notes that packages came for others.
    fn automatic(&self, cx: &Context, keys: &BTreeSet<String>, deadline: Instant) -> Result<(), ItemError>;
    /// What these changes interrupt.
    fn disruption(&self, changes: &Changes) -> Vec<String>;
    /// Copies the package database into a directory.
    fn snapshot(&self, directory: &Path) -> Result<Snapshot, ItemError>;
}

/// The package manager of this machine.
pub(crate) fn of_machine(cx: &Context, asked: Option<&Arc<Asked>>) -> Result<Box<dyn Backend>, ItemError> {
    if cx.root().is_some() {
        let message = "packages are managed on whole machines, and the target is a directory";
        return Err(ItemError::new(ErrorCode::Unsupported, message));
    }
    let there = |path: &str| Path::new(path).exists();
    if there("/usr/bin/apt-get") && there("/usr/bin/dpkg-query") {
        return Ok(Box::new(crate::apt::Apt { asked: asked.cloned() }));
    }
    if there("/usr/bin/rpm") {
        let message = "the packages of rpm are not managed in this release, only those of dpkg";
        return Err(ItemError::new(ErrorCode::Unsupported, message));
    }
    Err(ItemError::new(ErrorCode::Dependency, "there is no apt-get and no dpkg-query in /usr/bin"))
}
