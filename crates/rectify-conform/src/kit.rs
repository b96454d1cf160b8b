//! Running the checks.

use crate::{
    bed::Subject,
    catalogue::{CHECKS, Entry, Scope},
    fixtures::Fixtures,
    host::{Host, quote},
    outcome::Stop,
};
use rectify_attest::conformance::{Outcome, ProviderSeen, Row, Verdict};
use rectify_base::Digest;
use rectify_protocol::Manifest;
use std::{
    collections::BTreeSet,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

/// How long the kit waits for what must come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// For the greeting.
    pub greeting: Duration,
    /// For an answer.
    pub answer: Duration,
    /// From the end of the input to the end of the process.
    pub exit: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        let ten = Duration::from_secs(10);
        Self { greeting: ten, answer: ten, exit: ten }
    }
}

/// What is tested, and how.
#[derive(Clone, Debug)]
pub struct Kit {
    /// Program and first arguments of the provider.
    pub provider: Vec<String>,
    /// The provider is one that is built into `rectify`: `rectify provider serve NAME`.
    pub builtin: Option<String>,
    /// The fixtures.
    pub fixtures: Fixtures,
    /// Digest of their file.
    pub fixtures_digest: Digest,
    /// Where the provider runs.
    pub host: Host,
    /// Time limits.
    pub patience: Patience,
    /// Reads of the soak test.
    pub soak: usize,
    /// Checks to run; all if it is empty.
    pub only: BTreeSet<String>,
    /// Checks at once.
    pub jobs: usize,
}

/// Why nothing was tested.
#[derive(Debug, thiserror::Error)]
pub enum KitError {
    /// The provider does not print a manifest.
    #[error("the provider prints no manifest that can be read: {0}")]
    Manifest(String),
    /// The fixtures are those of another provider.
    #[error("the fixtures are for the provider `{fixtures}`, and this one is `{found}`")]
    OtherProvider {
        /// What the fixtures say.
        fixtures: String,
        /// What the manifest says.
        found: String,
    },
    /// The fixtures name a type that the provider does not have.
    #[error("the fixtures name the type `{0}`, which the provider does not have")]
    UnknownType(String),
    /// A check was asked for that does not exist.
    #[error("there is no check `{0}`")]
    UnknownCheck(String),
}

impl Kit {
    /// A kit with the defaults: this machine, everything, two checks at once.
    #[must_use]
    pub fn new(provider: Vec<String>, fixtures: Fixtures, fixtures_digest: Digest) -> Self {
        Self {
            provider,
            builtin: None,
            fixtures,
            fixtures_digest,
            host: Host::local(),
            patience: Patience::default(),
            soak: 10_000,
            only: BTreeSet::new(),
            jobs: 2,
        }
    }

    fn argv(&self, words: &[&str]) -> Vec<String> {
        self.provider.iter().cloned().chain(words.iter().map(|word| (*word).to_owned())).collect()
    }

    /// The command line of a session.
    pub(crate) fn serve(&self) -> Vec<String> {
        match &self.builtin {
            Some(name) => self.argv(&["provider", "serve", name]),
            None => self.argv(&["serve", "--stdio"]),
        }
    }

    /// The command line that prints the manifest.
    pub(crate) fn print_manifest(&self) -> Vec<String> {
        match &self.builtin {
            Some(name) => self.argv(&["provider", "manifest", name]),
            None => self.argv(&["manifest"]),
        }
    }

    /// What the provider prints for a command line, with these variables beside the search path.
    pub(crate) fn printed(&self, argv: &[String], environment: &str) -> Result<Vec<u8>, Stop> {
        let words: Vec<String> = argv.iter().map(|word| quote(word)).collect();
        self.host.bytes(&format!("exec env -i PATH=/usr/bin:/bin {environment} {}", words.join(" ")), b"")
    }

    /// Runs the checks.
    ///
    /// # Errors
    /// See [`KitError`]. What the provider does wrong is in the verdict.
    pub fn run(&self) -> Result<Verdict, KitError> {
        if let Some(name) = self.only.iter().find(|name| CHECKS.iter().all(|check| check.id != **name)) {
            return Err(KitError::UnknownCheck(name.clone()));
        }
        let unreadable = |reason: String| KitError::Manifest(reason);
        let printed = self.printed(&self.print_manifest(), "").map_err(|stop| match stop {
            Stop::Skip(reason) | Stop::Fail(reason) => unreadable(reason),
        })?;
        let manifest: Manifest = serde_json::from_slice(&printed).map_err(|e| unreadable(e.to_string()))?;
        if manifest.name != self.fixtures.provider {
            let fixtures = self.fixtures.provider.clone();
            return Err(KitError::OtherProvider { fixtures, found: manifest.name });
        }
        let mut named = self.fixtures.types.keys().chain(self.fixtures.untested.keys());
        if let Some(name) = named.find(|name| manifest.descriptor(name).is_none()) {
            return Err(KitError::UnknownType(name.to_string()));
        }
        let subjects: Vec<Subject<'_>> =
            manifest.types.iter().map(|d| Subject::new(d, &self.fixtures)).collect();
        let rows = self.rows(&manifest, &subjects);
        let executable = if self.host.is_local() { self.executable() } else { None };
        let seen = ProviderSeen {
            name: manifest.name.clone(),
            version: manifest.version.clone(),
            manifest: Digest::of_bytes(&printed),
            executable,
        };
        Ok(Verdict::new(env!("CARGO_PKG_VERSION"), seen, self.fixtures_digest, !self.host.is_local(), rows))
    }

    fn executable(&self) -> Option<rectify_base::FileDigests> {
        let bytes = std::fs::read(self.provider.first()?).ok()?;
        Some(rectify_base::FileDigests::of_bytes(&bytes))
    }

    fn rows(&self, manifest: &Manifest, subjects: &[Subject<'_>]) -> Vec<Row> {
        let wanted = |check: &&Entry| self.only.is_empty() || self.only.contains(check.id);
        let mut work: Vec<(&Entry, Option<&Subject<'_>>)> = Vec::new();
        for check in CHECKS.iter().filter(wanted) {
            match check.scope {
                Scope::Provider(_) => work.push((check, None)),
                Scope::Type(_) => work.extend(subjects.iter().map(|subject| (check, Some(subject)))),
            }
        }
        let scene = Scene { kit: self, manifest, subjects };
        let (next, rows) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        let jobs = if self.fixtures.root { self.jobs.max(1) } else { 1 };
        std::thread::scope(|scope| {
            for _ in 0..jobs {
                scope.spawn(|| {
                    while let Some((check, subject)) = work.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let row = one(&scene, check, *subject);
                        rows.lock().unwrap_or_else(PoisonError::into_inner).push(row);
                    }
                });
            }
        });
        let mut rows = rows.into_inner().unwrap_or_else(PoisonError::into_inner);
        rows.sort_by(|a, b| (&a.check, &a.subject).cmp(&(&b.check, &b.subject)));
        rows
    }
}

/// What all checks of a run share.
pub(crate) struct Scene<'k> {
    pub kit: &'k Kit,
    pub manifest: &'k Manifest,
    pub subjects: &'k [Subject<'k>],
}

fn one(scene: &Scene<'_>, check: &Entry, subject: Option<&Subject<'_>>) -> Row {
    // A panic of the kit is an error of the kit, and must not pass for a verdict on others.
    let result = catch_unwind(AssertUnwindSafe(|| match (check.scope, subject) {
        (Scope::Provider(run), _) => run(scene),
        (Scope::Type(run), Some(subject)) => run(scene, subject),
        (Scope::Type(_), None) => Err(Stop::Skip("there is no type".into())),
    }));
    let (outcome, reason) = match result {
        Ok(Ok(())) => (Outcome::Pass, None),
        Ok(Err(Stop::Skip(reason))) => (Outcome::Skip, Some(reason)),
        Ok(Err(Stop::Fail(reason))) => (Outcome::Fail, Some(reason)),
        Err(_) => (Outcome::Fail, Some("the kit itself failed".into())),
    };
    Row { check: check.id.into(), subject: subject.map(|s| s.name().to_owned()), outcome, reason }
}
