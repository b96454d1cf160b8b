//! What a run needs to go on, kept in the state directory before it begins: the approved bytes and
//! where they came from. So `resume` needs no path, and finds what was approved whatever has become of
//! the file since.

use crate::{
    EngineError,
    artifact::Artifact,
    error::FileVerb,
    files::{read_bounded, replace_private},
};
use rectify_base::{FileDigests, canonical, limits};
use rectify_model::journal::RunId;
use serde::{Deserialize, Serialize};
use std::{
    fs,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

/// Where runs are kept in the state directory.
pub const RUNS: &str = "runs";
/// Format name of [`Origin`].
pub const FORMAT: &str = "rectify.origin/v1";
const PLAN: &str = "plan.json";
const ATTESTATIONS: &str = "attestations";
const RESOLUTIONS: &str = "resolutions";
const ORIGIN: &str = "origin.json";
const ORIGIN_MAX_BYTES: usize = 64 * 1024;

/// Where a run was started from. For finding things again; nothing is trusted for being named here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// Name and version of the format: [`FORMAT`].
    pub format: String,
    /// Directory of the project, absolute.
    pub project: String,
    /// The plan file, absolute.
    pub plan: String,
}

/// The directory of a run.
#[derive(Clone, Debug)]
pub struct RunDirectory {
    path: PathBuf,
}

impl RunDirectory {
    /// That of a run; it need not be there.
    #[must_use]
    pub fn of(state: &Path, run: &RunId) -> Self {
        Self { path: state.join(RUNS).join(run.as_str()) }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether a plan was kept: not for runs of releases that did not.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.path.join(PLAN).exists()
    }

    /// Keeps a sealed plan, durably. What an attempt left that never began is replaced. Whoever calls
    /// this holds the locks of the run's targets.
    ///
    /// # Errors
    /// When something cannot be written.
    pub fn keep(&self, artifact: &Artifact, project: &Path) -> Result<(), EngineError> {
        let error = |e| EngineError::file(FileVerb::Write, &self.path, e);
        if self.path.exists() {
            fs::remove_dir_all(&self.path).map_err(error)?;
        }
        let attestations = self.path.join(ATTESTATIONS);
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(0o700).create(&attestations).map_err(error)?;
        for (name, bytes) in artifact.attestations()? {
            replace_private(&attestations.join(name), &bytes)?;
        }
        let absolute = |path: &Path| {
            let absolute = fs::canonicalize(path).or_else(|_| std::path::absolute(path));
            absolute.map(|path| path.to_string_lossy().into_owned()).map_err(error)
        };
        let origin =
            Origin { format: FORMAT.into(), project: absolute(project)?, plan: absolute(&artifact.path)? };
        replace_private(&self.path.join(ORIGIN), &crate::artifact::document(&origin)?)?;
        // The plan comes last: where it is, everything is.
        replace_private(&self.path.join(PLAN), artifact.bytes())?;
        // Each name is durable only once the directory that holds it is.
        for directory in
            [Some(self.path.as_path()), self.path.parent(), self.path.parent().and_then(Path::parent)]
        {
            let Some(directory) = directory else { continue };
            fs::File::open(directory).and_then(|directory| directory.sync_all()).map_err(error)?;
        }
        Ok(())
    }

    /// The kept plan, if its bytes are those of the run.
    ///
    /// # Errors
    /// When it cannot be read, or is another one.
    pub fn artifact(&self, digests: FileDigests) -> Result<Artifact, EngineError> {
        let artifact = Artifact::read_with(&self.path.join(PLAN), self.path.join(ATTESTATIONS))?;
        if artifact.digests == digests {
            Ok(artifact)
        } else {
            Err(EngineError::KeptPlan { path: artifact.path })
        }
    }

    /// Where the run was started from.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn origin(&self) -> Result<Origin, EngineError> {
        let path = self.path.join(ORIGIN);
        let bytes = read_bounded(&path, ORIGIN_MAX_BYTES)?;
        let origin: Origin = canonical::read_file(&bytes)
            .map_err(|source| EngineError::Document { path: path.clone(), source })?;
        if origin.format == FORMAT {
            return Ok(origin);
        }
        let detail = format!("its format is `{}`; this release reads `{FORMAT}`", origin.format);
        Err(EngineError::file(FileVerb::Read, path, std::io::Error::other(detail)))
    }

    /// Keeps a person's signed answer, durably; answers with its path.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn keep_resolution(&self, bytes: &[u8]) -> Result<PathBuf, EngineError> {
        let directory = self.path.join(RESOLUTIONS);
        let mut builder = fs::DirBuilder::new();
        let made = builder.recursive(true).mode(0o700).create(&directory);
        made.map_err(|e| EngineError::file(FileVerb::Write, &directory, e))?;
        let name = rectify_base::Digest::of_bytes(bytes).hex();
        let path = directory.join(format!("{}.dsse.json", name.get(..16).unwrap_or(&name)));
        replace_private(&path, bytes)?;
        let synced = fs::File::open(&self.path).and_then(|directory| directory.sync_all());
        synced.map_err(|e| EngineError::file(FileVerb::Write, &self.path, e))?;
        Ok(path)
    }

    /// The signed answers that were kept, by digest of their bytes.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn resolutions(&self) -> Result<Vec<Vec<u8>>, EngineError> {
        let directory = self.path.join(RESOLUTIONS);
        if !directory.is_dir() {
            return Ok(Vec::new());
        }
        let error = |e| EngineError::file(FileVerb::Read, &directory, e);
        let mut found = Vec::new();
        for entry in fs::read_dir(&directory).map_err(error)? {
            let path = entry.map_err(error)?.path();
            found.push(read_bounded(&path, limits::ENVELOPE_MAX_BYTES)?);
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::codes;
    use rectify_model::journal::UseId;

    #[test]
    fn what_is_kept_is_found_again_and_checked() {
        let scratch = tempfile::tempdir().unwrap();
        let plan = scratch.path().join("x.plan.json");
        fs::write(&plan, "the plan").unwrap();
        fs::create_dir(scratch.path().join("x.plan.d")).unwrap();
        fs::write(scratch.path().join("x.plan.d/seal.dsse.json"), "the seal").unwrap();
        let artifact = Artifact::read(&plan).unwrap();
        let run = RunId::derive(&UseId::new("0".repeat(32)).unwrap(), []);
        let kept = RunDirectory::of(&scratch.path().join("state"), &run);
        kept.keep(&artifact, scratch.path()).unwrap();
        // Whatever becomes of the file.
        fs::write(&plan, "another plan").unwrap();
        let again = kept.artifact(artifact.digests).unwrap();
        assert_eq!(again.bytes(), b"the plan");
        assert_eq!(again.attestations().unwrap(), [("seal.dsse.json".to_owned(), b"the seal".to_vec())]);
        assert_eq!(kept.origin().unwrap().plan, fs::canonicalize(&plan).unwrap().to_string_lossy());
        // A second start after one that never began.
        kept.keep(&Artifact::read(&plan).unwrap(), scratch.path()).unwrap();
        let error = kept.artifact(artifact.digests).unwrap_err();
        assert_eq!(error.code(), codes::RUN_PLAN);
        assert_eq!(kept.resolutions().unwrap(), Vec::<Vec<u8>>::new());
        kept.keep_resolution(b"an answer").unwrap();
        assert_eq!(kept.resolutions().unwrap(), [b"an answer".to_vec()]);
        let mode =
            |path: &Path| std::os::unix::fs::PermissionsExt::mode(&fs::metadata(path).unwrap().permissions());
        assert_eq!(mode(kept.path()) & 0o777, 0o700);
        assert_eq!(mode(&kept.path().join(PLAN)) & 0o777, 0o600);
    }
}
