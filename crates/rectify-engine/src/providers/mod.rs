//! Which providers there are, and how each is started: those at hand without a lock file, which are part
//! of Rectify, and those that a project has locked.

mod check;
mod lock;
mod pack;
mod release;
mod store;
mod verdict;

pub use check::{Checked, SelfTest, check};
pub use lock::{Change, LockRequest, Proposal, accept, fetch, propose, read as read_lock};
pub use pack::{PackRequest, Packed, pack};
pub use release::Offered;
pub use store::Store;
pub use verdict::{VERDICTS, keep_verdict, tested, verdicts};

use crate::{Engine, EngineError, gate, project::Project};
use rectify_attest::{LockEntry, Release, TrustFile};
use rectify_base::{FileDigests, TypeName};
use rectify_host::{Executable, executable::platform};
use rectify_model::provider::LockedProvider;
use rectify_protocol::Manifest;
use std::{collections::BTreeMap, ffi::OsString, path::PathBuf, sync::Arc};

/// A provider that can be started.
#[derive(Clone, Debug)]
pub struct Provider {
    /// What it can do.
    pub manifest: Manifest,
    /// Its program.
    pub program: Program,
    /// What makes the program serve: `serve --stdio`, or `provider serve NAME` for a built-in.
    pub arguments: Vec<OsString>,
    /// `builtin:<name>@<version>`, or the digest of the executable.
    pub identity: String,
    /// What the lock file says of it; absent for one that is part of Rectify.
    pub locked: Option<LockedProvider>,
}

/// Where the program of a provider comes from.
#[derive(Clone, Debug)]
pub enum Program {
    /// It was opened already.
    Opened(Executable),
    /// From the store: read, hashed and compared at each start, and started from what was hashed.
    Stored {
        /// Its file.
        path: PathBuf,
        /// What the lock file says of it.
        digests: FileDigests,
    },
    /// The locked release has none for this machine.
    Elsewhere {
        /// The platform of this machine.
        platform: String,
    },
}

impl From<Executable> for Program {
    fn from(program: Executable) -> Self {
        Self::Opened(program)
    }
}

impl Provider {
    /// The program, as it is now: from the store it is read and compared each time.
    ///
    /// # Errors
    /// When it is not the locked one, is not in the store, or there is none for this machine.
    pub fn open(&self) -> Result<Executable, EngineError> {
        let name = || self.manifest.name.clone();
        match &self.program {
            Program::Opened(program) => Ok(program.clone()),
            Program::Stored { path, .. } if path.symlink_metadata().is_err() => {
                Err(EngineError::NotStored { name: name(), path: path.clone() })
            }
            Program::Stored { path, digests } => Ok(Executable::open(path, Some(*digests))?),
            Program::Elsewhere { platform } => {
                Err(EngineError::NoPlatform { name: name(), platform: platform.clone() })
            }
        }
    }
}

/// The providers of an engine, or of a project. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Providers(Arc<Vec<Provider>>);

impl Providers {
    /// Registers providers; of two with a type in common the first one serves it, and the compiler refuses
    /// the sources.
    #[must_use]
    pub fn new(providers: Vec<Provider>) -> Self {
        Self(Arc::new(providers))
    }

    /// Those at hand, and those that a project has locked: their manifests are read from the store and
    /// compared; nothing is started.
    ///
    /// # Errors
    /// When the lock file is not sound, names a provider that is part of Rectify or whose publisher the
    /// trust file does not accept, or a manifest is not in the store as it was locked.
    pub fn of_project(engine: &Engine, project: &Project) -> Result<Self, EngineError> {
        let Some(lock) = lock::of_project(project)? else { return Ok(engine.providers.clone()) };
        let mut all = engine.providers.0.to_vec();
        let trust = gate::trust(engine)?;
        let store = Store::of(engine);
        for (name, entry) in &lock.providers {
            if engine.providers.named(name).is_some() {
                return Err(EngineError::ProviderName { name: name.clone() });
            }
            accepted(engine, trust.as_ref(), &entry.release)?;
            all.push(stored(&store, entry)?);
        }
        Ok(Self::new(all))
    }

    /// The provider of a type.
    #[must_use]
    pub fn of_type(&self, name: &TypeName) -> Option<&Provider> {
        self.0.iter().find(|provider| provider.manifest.descriptor(name).is_some())
    }

    /// The provider of a type.
    ///
    /// # Errors
    /// When none at hand has it.
    pub fn require(&self, name: &TypeName) -> Result<&Provider, EngineError> {
        self.of_type(name).ok_or_else(|| EngineError::TypeUnavailable {
            name: name.to_string(),
            message: "no provider at hand has it".into(),
        })
    }

    /// The provider with a name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&Provider> {
        self.0.iter().find(|provider| provider.manifest.name == name)
    }

    /// All providers, in order of registration.
    #[must_use]
    pub fn all(&self) -> &[Provider] {
        &self.0
    }

    /// Their manifests.
    #[must_use]
    pub fn manifests(&self) -> Vec<Manifest> {
        self.0.iter().map(|provider| provider.manifest.clone()).collect()
    }

    /// Those that are not part of Rectify, as the lock file has them.
    #[must_use]
    pub fn locked(&self) -> BTreeMap<String, LockedProvider> {
        let locked = self.0.iter().filter_map(|p| Some((p.manifest.name.clone(), p.locked.clone()?)));
        locked.collect()
    }
}

/// Refuses a release whose publisher the trust file does not accept now.
fn accepted(engine: &Engine, trust: Option<&TrustFile>, release: &Release) -> Result<(), EngineError> {
    let Some(trust) = trust else { return Ok(()) };
    let (place, now) = (format!("provider `{}`", release.name), (engine.now_ms)() / 1000);
    let accepted = trust.accepts_publisher(&place, release.publisher.as_ref(), now);
    accepted.map_err(|refusal| EngineError::Publisher { refusal })
}

/// A locked provider, with its manifest from the store.
fn stored(store: &Store, entry: &LockEntry) -> Result<Provider, EngineError> {
    let release = &entry.release;
    let manifest = store.manifest(&release.name, release.manifest)?;
    let place = || PathBuf::from(rectify_attest::lock::LOCK_FILE);
    if let Some(message) = release.disagrees(&manifest) {
        return Err(EngineError::Release { path: place(), message });
    }
    let platform = platform();
    let (program, identity) = match release.file(&platform) {
        Some(file) => {
            let program = Program::Stored { path: store.program(&file.blake3), digests: file.digests() };
            (program, file.blake3.to_string())
        }
        None => (Program::Elsewhere { platform }, String::new()),
    };
    let locked = entry.locked().map_err(|source| EngineError::Document { path: place(), source })?;
    let arguments = ["serve", "--stdio"].map(OsString::from).to_vec();
    Ok(Provider { manifest, program, arguments, identity, locked: Some(locked) })
}
