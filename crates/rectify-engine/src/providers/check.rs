//! Whether what is locked is there as it was locked, and whether it says of itself that it works.

use super::{Providers, Store, pack::asked};
use crate::{Engine, EngineError, gate, project::Project};
use rectify_attest::LockEntry;
use rectify_host::Executable;
use std::{path::Path, time::Duration};

/// How long a program may test itself.
const SELF_TEST_LIMIT: Duration = Duration::from_secs(300);
/// What programs that do not know an argument end with.
const EXIT_USAGE: i32 = 64;

/// What was found out about a locked provider.
#[derive(Debug)]
pub struct Checked {
    /// Its name.
    pub name: String,
    /// Its entry in the lock file.
    pub entry: LockEntry,
    /// What is wrong with what is stored, if anything is.
    pub stored: Result<(), EngineError>,
    /// What it says of itself; not asked if what is stored is not what was locked.
    pub self_test: Option<Result<SelfTest, EngineError>>,
}

impl Checked {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_well(&self) -> bool {
        let works =
            |test: &Result<SelfTest, EngineError>| matches!(test, Ok(SelfTest::Passed | SelfTest::Unknown));
        self.stored.is_ok() && self.self_test.as_ref().is_none_or(works)
    }
}

/// What a program says of itself when it is started with `--selftest`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SelfTest {
    /// All is well.
    Passed,
    /// It does not know the argument.
    Unknown,
    /// It failed.
    Failed {
        /// Its exit code; none if a signal ended it.
        code: Option<i32>,
        /// The end of what it said.
        said: String,
    },
}

/// Verifies the lock file, the store, and what the programs say of themselves: of all locked providers, or
/// of one.
///
/// # Errors
/// When the lock file is not sound, the provider is not locked, or locked ones do not go together.
pub async fn check(
    engine: &Engine,
    directory: &Path,
    only: Option<&str>,
) -> Result<Vec<Checked>, EngineError> {
    let project = Project::read(directory)?;
    let lock = super::lock::of_project(&project)?.unwrap_or_default();
    if let Some(name) = only
        && !lock.providers.contains_key(name)
    {
        return Err(EngineError::NotLocked { name: name.to_owned() });
    }
    let trust = gate::trust(engine)?;
    let mut all = Vec::new();
    for (name, entry) in lock.providers {
        if only.is_some_and(|only| only != name) {
            continue;
        }
        let program =
            super::accepted(engine, trust.as_ref(), &entry.release).and_then(|()| stored(engine, &entry));
        let self_test = match &program {
            Ok(program) => Some(self_test(engine, &name, program.clone()).await),
            Err(_) => None,
        };
        all.push(Checked { name, entry, stored: program.map(drop), self_test });
    }
    // What only shows beside the others.
    if all.iter().all(|checked| checked.stored.is_ok()) {
        Providers::of_project(engine, &project)?;
    }
    Ok(all)
}

/// The program of an entry, if manifest and program are in the store as they were locked.
fn stored(engine: &Engine, entry: &LockEntry) -> Result<Executable, EngineError> {
    super::stored(&Store::of(engine), entry)?.open()
}

async fn self_test(engine: &Engine, name: &str, program: Executable) -> Result<SelfTest, EngineError> {
    let asked = asked(engine, program, name, &["--selftest"], SELF_TEST_LIMIT).await?;
    Ok(match asked.code {
        Some(0) => SelfTest::Passed,
        Some(EXIT_USAGE) => SelfTest::Unknown,
        code => {
            let said = format!("{}{}", String::from_utf8_lossy(&asked.stdout), asked.stderr);
            let lines: Vec<&str> = said.trim_end().lines().collect();
            let last = lines.len().saturating_sub(20);
            let said = lines.get(last..).unwrap_or_default().join("\n");
            SelfTest::Failed { code, said }
        }
    })
}
