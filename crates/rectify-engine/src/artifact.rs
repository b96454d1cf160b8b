//! A plan on disk: `x.plan.json`, and beside it `x.plan.d/` with one attestation a file and the
//! evidence: `evidence/graph.json`, `evidence/observations/<target>.json`, and, never signed,
//! `evidence/report.json` and `evidence/sources.json`.

use crate::{
    EngineError,
    error::FileVerb,
    files::{read_bounded, replace, write_new},
};
use rectify_attest::EnvelopeFile;
use rectify_base::{FileDigests, canonical, limits};
use rectify_model::{Graph, Observation, Plan};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

/// Ending of plan files.
pub const ENDING: &str = ".plan.json";

/// Where receipts lie in the directory beside a plan.
const RECEIPTS: &str = "receipts";

/// What the graph was made from, where that is a run.
const UNDO: &str = "evidence/undo.json";

/// Where attestations of permissions that are over are kept in the directory beside a plan.
const FORMER: &str = "former";

/// A plan file and what lies beside it.
#[derive(Clone, Debug)]
pub struct Artifact {
    /// The plan file.
    pub path: PathBuf,
    // Nobody changes them: the plan below is what they say.
    bytes: Vec<u8>,
    plan: OnceLock<Arc<Plan>>,
    /// Digests of its bytes.
    pub digests: FileDigests,
    /// The directory with what belongs to it.
    beside: PathBuf,
}

impl Artifact {
    /// Reads a plan file; its content is not looked at yet.
    ///
    /// # Errors
    /// When it cannot be read, is too large, or its name does not end in [`ENDING`].
    pub fn read(path: &Path) -> Result<Self, EngineError> {
        check_name(path)?;
        Self::read_with(path, directory_of(path))
    }

    /// Reads a plan file of any name, whose attestations lie in a directory of any name.
    ///
    /// # Errors
    /// When it cannot be read or is too large.
    pub fn read_with(path: &Path, beside: PathBuf) -> Result<Self, EngineError> {
        let bytes = read_bounded(path, limits::DOCUMENT_MAX_BYTES)?;
        let digests = FileDigests::of_bytes(&bytes);
        Ok(Self { path: path.to_owned(), bytes, plan: OnceLock::new(), digests, beside })
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The plan, if the bytes are a canonical plan. They are read once.
    ///
    /// # Errors
    /// When they are not.
    pub fn plan(&self) -> Result<Arc<Plan>, EngineError> {
        if let Some(plan) = self.plan.get() {
            return Ok(Arc::clone(plan));
        }
        let plan = Arc::new(parse(&self.path, &self.bytes)?);
        Ok(Arc::clone(self.plan.get_or_init(|| plan)))
    }

    /// The directory beside the plan.
    #[must_use]
    pub fn directory(&self) -> PathBuf {
        self.beside.clone()
    }

    /// The attestations: every file directly in the directory, by name.
    ///
    /// # Errors
    /// When one cannot be read or is too large.
    pub fn attestations(&self) -> Result<Vec<(String, Vec<u8>)>, EngineError> {
        files_in(&self.directory())
    }

    /// Where receipts lie, apart from what vouches for the plan.
    #[must_use]
    pub fn receipts_directory(&self) -> PathBuf {
        self.directory().join(RECEIPTS)
    }

    /// The receipts, by file name.
    ///
    /// # Errors
    /// When one cannot be read or is too large.
    pub fn receipts(&self) -> Result<Vec<(String, Vec<u8>)>, EngineError> {
        files_in(&self.receipts_directory())
    }

    /// The attestations as admission takes them.
    ///
    /// # Errors
    /// See [`Artifact::attestations`].
    pub fn envelopes(&self) -> Result<Vec<EnvelopeFile>, EngineError> {
        let files = self.attestations()?;
        Ok(files.into_iter().map(|(name, bytes)| EnvelopeFile { name, bytes }).collect())
    }

    /// Adds an attestation; an existing one of that name is an error.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn attest(&self, name: &str, bytes: &[u8]) -> Result<PathBuf, EngineError> {
        let path = self.directory().join(name);
        write_new(&path, bytes)?;
        Ok(path)
    }

    /// Sets everything aside that was said about an earlier permission: attestations and receipts go
    /// to `former/N`, so that the plan can be sealed anew and nothing is lost.
    ///
    /// # Errors
    /// When something cannot be moved.
    pub fn set_aside(&self) -> Result<PathBuf, EngineError> {
        let directory = self.directory();
        let mut number = 1;
        let mut place = directory.join(FORMER).join(number.to_string());
        while place.exists() {
            number += 1;
            place = directory.join(FORMER).join(number.to_string());
        }
        fs::create_dir_all(&place).map_err(|e| EngineError::file(FileVerb::Write, &place, e))?;
        let error = |e| EngineError::file(FileVerb::Write, &directory, e);
        for entry in fs::read_dir(&directory).map_err(error)? {
            let entry = entry.map_err(error)?;
            let name = entry.file_name();
            if !entry.file_type().map_err(error)?.is_dir() || name == RECEIPTS {
                fs::rename(entry.path(), place.join(name)).map_err(error)?;
            }
        }
        Ok(place)
    }

    /// The recorded graph with its digests.
    ///
    /// # Errors
    /// When it is missing or not canonical.
    pub fn graph(&self) -> Result<(Graph, FileDigests), EngineError> {
        read_document(&self.directory().join("evidence/graph.json"))
    }

    /// The planning report. It is not signed: it explains, and decides nothing.
    ///
    /// # Errors
    /// When it is missing or not canonical.
    pub fn report(&self) -> Result<rectify_plan::Report, EngineError> {
        Ok(read_document(&self.directory().join("evidence/report.json"))?.0)
    }

    /// The run that the plan takes back, if it is one that does; its graph comes from that, not from sources.
    ///
    /// # Errors
    /// When what says so cannot be read.
    pub fn undo_of(&self) -> Result<Option<rectify_model::journal::RunId>, EngineError> {
        let path = self.directory().join(UNDO);
        if !path.exists() {
            return Ok(None);
        }
        let (source, _) = read_document::<crate::undo::Source>(&path)?;
        if source.format == crate::undo::FORMAT {
            return Ok(Some(source.run));
        }
        let detail =
            format!("its format is `{}`; this release reads `{}`", source.format, crate::undo::FORMAT);
        Err(EngineError::file(FileVerb::Read, path, std::io::Error::other(detail)))
    }

    /// Writes down which run the plan takes back.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn keep_undo(&self, bytes: &[u8]) -> Result<(), EngineError> {
        replace(&self.directory().join(UNDO), bytes)
    }

    /// The recorded observations with their digests, for the targets of a plan.
    ///
    /// # Errors
    /// When one is missing or not canonical.
    pub fn observations(&self, plan: &Plan) -> Result<Vec<(Observation, FileDigests)>, EngineError> {
        let directory = self.directory().join("evidence/observations");
        plan.targets.keys().map(|target| read_document(&directory.join(format!("{target}.json")))).collect()
    }
}

/// Everything that `plan --out` writes.
pub struct Parts<'a> {
    /// Bytes of the plan.
    pub plan: &'a [u8],
    /// Bytes of the graph.
    pub graph: &'a [u8],
    /// Name of the target and bytes of each observation.
    pub observations: &'a [(String, Vec<u8>)],
    /// Bytes of the planning report.
    pub report: &'a [u8],
    /// Bytes of the source map.
    pub sources: &'a [u8],
}

/// Writes a plan and its evidence. An existing plan is replaced together with its evidence, unless
/// it has attestations or receipts: those are about other bytes and are never thrown away silently.
/// Whatever else lies beside it is left alone.
///
/// # Errors
/// When something cannot be written, or the old plan has attestations.
pub fn write(path: &Path, parts: &Parts<'_>) -> Result<(), EngineError> {
    check_place(path)?;
    let directory = directory_of(path);
    if path.exists() || directory.exists() {
        let same = fs::read(path).is_ok_and(|old| old == parts.plan);
        let attested = fs::read_dir(&directory).is_ok_and(|mut entries| {
            entries.any(|e| e.is_ok_and(|e| e.file_type().is_ok_and(|t| !t.is_dir())))
        });
        if !same && (attested || directory.join(RECEIPTS).exists()) {
            return Err(EngineError::Attested { path: path.to_owned() });
        }
        let evidence = directory.join("evidence");
        if !attested && evidence.is_dir() {
            fs::remove_dir_all(&evidence).map_err(|e| EngineError::file(FileVerb::Write, &evidence, e))?;
        }
    }
    let evidence = directory.join("evidence");
    let observations = evidence.join("observations");
    fs::create_dir_all(&observations).map_err(|e| EngineError::file(FileVerb::Write, &observations, e))?;
    replace(&evidence.join("graph.json"), parts.graph)?;
    replace(&evidence.join("report.json"), parts.report)?;
    replace(&evidence.join("sources.json"), parts.sources)?;
    for (target, bytes) in parts.observations {
        replace(&observations.join(format!("{target}.json")), bytes)?;
    }
    replace(path, parts.plan)
}

/// Serializes a document of ours.
///
/// # Errors
/// When a value in it breaks the profile of canonical JSON.
pub fn document<T: Serialize>(value: &T) -> Result<Vec<u8>, EngineError> {
    canonical::file_bytes(value).map_err(|source| EngineError::Document { path: PathBuf::new(), source })
}

/// Whether a plan can be written here, before the work of making one.
///
/// # Errors
/// When the name is not that of a plan file, or there is no such directory.
pub fn check_place(path: &Path) -> Result<(), EngineError> {
    check_name(path)?;
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() && !parent.is_dir() => {
            Err(EngineError::NoDirectory { path: parent.to_owned() })
        }
        _ => Ok(()),
    }
}

fn check_name(path: &Path) -> Result<(), EngineError> {
    if path.to_string_lossy().ends_with(ENDING) {
        Ok(())
    } else {
        Err(EngineError::PlanName { path: path.to_owned() })
    }
}

fn directory_of(path: &Path) -> PathBuf {
    let text = path.to_string_lossy();
    PathBuf::from(format!("{}.plan.d", text.strip_suffix(ENDING).unwrap_or(&text)))
}

/// Every file directly in a directory, by name; nothing where there is no directory.
fn files_in(directory: &Path) -> Result<Vec<(String, Vec<u8>)>, EngineError> {
    let mut found = Vec::new();
    if !directory.is_dir() {
        return Ok(found);
    }
    let error = |e| EngineError::file(FileVerb::Read, directory, e);
    let mut names = Vec::new();
    for entry in fs::read_dir(directory).map_err(error)? {
        let entry = entry.map_err(error)?;
        if !entry.file_type().map_err(error)?.is_dir() {
            names.push(entry.file_name());
        }
    }
    names.sort();
    // One more than is accepted is enough to be refused.
    for name in names.into_iter().take(rectify_attest::admit::ENVELOPES_MAX + 1) {
        let bytes = read_bounded(&directory.join(&name), limits::ENVELOPE_MAX_BYTES)?;
        found.push((name.to_string_lossy().into_owned(), bytes));
    }
    Ok(found)
}

fn read_document<T: DeserializeOwned + Serialize>(path: &Path) -> Result<(T, FileDigests), EngineError> {
    let bytes = read_bounded(path, limits::DOCUMENT_MAX_BYTES)?;
    Ok((parse(path, &bytes)?, FileDigests::of_bytes(&bytes)))
}

/// Reads a document of ours. What it says has one spelling: also a member that could have been left
/// out makes it another document.
fn parse<T: DeserializeOwned + Serialize>(path: &Path, bytes: &[u8]) -> Result<T, EngineError> {
    canonical::read_document(bytes).map_err(|source| EngineError::Document { path: path.to_owned(), source })
}
