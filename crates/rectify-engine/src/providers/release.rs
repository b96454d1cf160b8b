//! A release as it is offered: a directory with a manifest, executables, and what its publisher says of
//! them. All of it is verified; nothing is started.

use super::store::MANIFEST_MAX_BYTES;
use crate::{EngineError, error::FileVerb, files};
use rectify_attest::{
    Refusal, Release, ReleaseFile,
    release::{ENVELOPE_FILE, FILE_MAX_BYTES, MANIFEST_FILE, RELEASE_FILE},
    verify_release,
};
use rectify_base::{FileDigests, canonical, limits::ENVELOPE_MAX_BYTES};
use rectify_host::executable::{interpreter_of, platform, platform_of};
use rectify_protocol::{Manifest, VERSION};
use std::path::{Path, PathBuf};

/// A verified release.
#[derive(Clone, Debug)]
pub struct Offered {
    /// The directory that it is in.
    pub directory: PathBuf,
    /// What it is.
    pub release: Release,
    /// The publisher's signature; absent if nobody signed.
    pub signature: Option<[u8; 64]>,
    /// The manifest.
    pub manifest: Manifest,
    /// Its bytes.
    pub manifest_bytes: Vec<u8>,
    /// The executable for this machine.
    pub program: Vec<u8>,
}

impl Offered {
    /// Reads and verifies a release: from its directory, or from the file in it that says what it is.
    ///
    /// # Errors
    /// When a file is missing or is not the one that the release names, the signature is not the
    /// publisher's, the manifest cannot be used, or nothing in it runs on this machine.
    pub fn read(source: &Path) -> Result<Self, EngineError> {
        let directory = match source.file_name().and_then(|name| name.to_str()) {
            Some(ENVELOPE_FILE | RELEASE_FILE | MANIFEST_FILE) => {
                source.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
            }
            _ => source,
        };
        let manifest_path = directory.join(MANIFEST_FILE);
        let manifest_bytes = files::read_bounded(&manifest_path, MANIFEST_MAX_BYTES)?;
        let digests = FileDigests::of_bytes(&manifest_bytes);
        let (release, signature, said) = said(directory, digests)?;
        let refuse = |path: PathBuf, message: String| Err(EngineError::Release { path, message });
        let manifest: Manifest = canonical::read_file(&manifest_bytes)
            .map_err(|source| EngineError::Document { path: manifest_path.clone(), source })?;
        if let Some(message) = release.disagrees(&manifest) {
            return refuse(said, message);
        }
        if let Some(problem) = problem_of(&manifest) {
            return refuse(manifest_path, problem);
        }
        let here = platform();
        let Some(file) = release.file(&here) else {
            return Err(EngineError::NoPlatform { name: release.name, platform: here });
        };
        // What is for other machines need not be here; what is here must be what is named.
        for (platform, other) in release.files.iter().filter(|(_, other)| *other != file) {
            if directory.join(&other.file).symlink_metadata().is_ok() {
                let bytes = named(directory, other)?;
                of_platform(directory, platform, other, &bytes, None)?;
            }
        }
        let program = named(directory, file)?;
        let platform = if release.interpreter.is_some() { None } else { Some(here.as_str()) };
        of_platform(directory, platform.unwrap_or("any"), file, &program, release.interpreter.as_deref())?;
        let directory = directory.to_owned();
        Ok(Self { directory, release, signature, manifest, manifest_bytes, program })
    }
}

/// What the directory says, and where. What is signed goes before what is not.
fn said(
    directory: &Path,
    manifest: FileDigests,
) -> Result<(Release, Option<[u8; 64]>, PathBuf), EngineError> {
    let path = directory.join(ENVELOPE_FILE);
    if path.symlink_metadata().is_ok() {
        let bytes = files::read_bounded(&path, ENVELOPE_MAX_BYTES)?;
        let place = path.display().to_string();
        let verified = verify_release(&place, &bytes, manifest);
        let (release, signature) = verified.map_err(|refusal| EngineError::ReleaseRefused { refusal })?;
        return Ok((release, Some(signature), path));
    }
    let path = directory.join(RELEASE_FILE);
    let bytes = files::read_bounded(&path, ENVELOPE_MAX_BYTES)?;
    let release: Release = canonical::read_file(&bytes)
        .map_err(|source| EngineError::Document { path: path.clone(), source })?;
    let refuse = |message: String| {
        let code = rectify_attest::codes::RELEASE_CONTENT;
        let refusal = Refusal::new(code, path.display().to_string(), message);
        Err(EngineError::ReleaseRefused { refusal })
    };
    if let Some(problem) = release.problem() {
        return refuse(problem);
    }
    if release.publisher.is_some() {
        return refuse(format!("it names a publisher, and there is no {ENVELOPE_FILE} with a signature"));
    }
    if release.manifest != manifest {
        let message = format!("expected {}, found {}", release.manifest.blake3, manifest.blake3);
        return Err(EngineError::Release { path: directory.join(MANIFEST_FILE), message });
    }
    Ok((release, None, path))
}

/// The bytes of a file of a release.
fn named(directory: &Path, file: &ReleaseFile) -> Result<Vec<u8>, EngineError> {
    let path = directory.join(&file.file);
    let limit = usize::try_from(file.size.min(FILE_MAX_BYTES)).unwrap_or(usize::MAX);
    let refuse = |message: String| Err(EngineError::Release { path: path.clone(), message });
    let Some(bytes) =
        files::read_regular(&path, limit).map_err(|e| EngineError::file(FileVerb::Read, &path, e))?
    else {
        return refuse(format!("expected {} bytes, found more", file.size));
    };
    let found = FileDigests::of_bytes(&bytes);
    if bytes.len() as u64 != file.size {
        return refuse(format!("expected {} bytes, found {}", file.size, bytes.len()));
    }
    if found != file.digests() {
        return refuse(format!("expected {}, found {}", file.blake3, found.blake3));
    }
    Ok(bytes)
}

/// Whether the bytes are for the platform that the release says, or a script for the interpreter.
fn of_platform(
    directory: &Path,
    platform: &str,
    file: &ReleaseFile,
    bytes: &[u8],
    interpreter: Option<&str>,
) -> Result<(), EngineError> {
    let found = match (interpreter_of(bytes), platform_of(bytes)) {
        (Some(line), _) => format!("a script for `{line}`"),
        (None, Some(found)) => found.to_owned(),
        (None, None) => "neither an executable that is known nor a script".to_owned(),
    };
    let expected = match interpreter {
        Some(line) => format!("a script for `{line}`"),
        None => platform.to_owned(),
    };
    if found == expected {
        return Ok(());
    }
    let message = format!("expected {expected}, found {found}");
    Err(EngineError::Release { path: directory.join(&file.file), message })
}

/// What is wrong with a manifest, if it cannot be used: with itself, or with this engine.
pub(super) fn problem_of(manifest: &Manifest) -> Option<String> {
    if manifest.format != rectify_protocol::manifest::FORMAT {
        let got: String = manifest.format.chars().take(80).collect();
        return Some(format!(
            "its format is `{got}`; this release reads `{}`",
            rectify_protocol::manifest::FORMAT
        ));
    }
    let range = manifest.protocol;
    if !(range.min..=range.max).contains(&VERSION) {
        return Some(format!("it speaks protocol {} to {}, this engine {VERSION}", range.min, range.max));
    }
    if manifest.types.is_empty() || !manifest.types.is_sorted_by(|a, b| a.name < b.name) {
        return Some("its types are none, not sorted by name, or one is there twice".to_owned());
    }
    let problems = rectify_compile::manifest_problems(manifest);
    (!problems.is_empty()).then(|| problems.join("; "))
}
