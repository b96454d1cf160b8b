//! Making a release: the manifest is asked of the program itself, and everything is named by its digests.

use super::release::problem_of;
use crate::{Engine, EngineError, error::FileVerb, files};
use rectify_attest::{
    PrincipalName, Release, ReleaseFile, ReleasePublisher, Signer, attest,
    release::{ANY_PLATFORM, ENVELOPE_FILE, FILE_MAX_BYTES, FORMAT, MANIFEST_FILE, RELEASE_FILE},
};
use rectify_base::{FileDigests, canonical};
use rectify_host::{
    Executable, SessionSpec, ask,
    executable::{interpreter_of, platform, platform_of},
};
use rectify_protocol::{
    Manifest, VERSION,
    manifest::ProtocolRange,
    message::{Directories, Mode},
};
use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

/// How long a program may take to print its manifest.
const MANIFEST_LIMIT: Duration = Duration::from_secs(30);

/// What a release is to be made of.
pub struct PackRequest<'a> {
    /// The executables, one for each platform, or one script; a directory stands for the executables in
    /// it.
    pub programs: &'a [PathBuf],
    /// The manifest; asked of the program for this machine if absent.
    pub manifest: Option<&'a Path>,
    /// The directory that the release is written to; made if need be.
    pub out: &'a Path,
    /// Who signs, and under which name; nobody if absent.
    pub publisher: Option<(&'a dyn Signer, PrincipalName)>,
}

/// A release that was made.
#[derive(Clone, Debug)]
pub struct Packed {
    /// What it says.
    pub release: Release,
    /// The manifest.
    pub manifest: Manifest,
}

/// Makes a release.
///
/// # Errors
/// When a program is for no platform or one that another is for, the manifest cannot be used, or a file
/// cannot be written.
pub async fn pack(engine: &Engine, request: &PackRequest<'_>) -> Result<Packed, EngineError> {
    let programs = programs(request.programs)?;
    let manifest_bytes = match request.manifest {
        Some(path) => files::read_bounded(path, super::store::MANIFEST_MAX_BYTES)?,
        None => manifest(engine, &programs).await?,
    };
    let place = request.manifest.map_or_else(|| PathBuf::from("manifest"), Path::to_path_buf);
    let manifest: Manifest = canonical::read_file(&manifest_bytes)
        .map_err(|source| EngineError::Document { path: place.clone(), source })?;
    if let Some(problem) = problem_of(&manifest) {
        return Err(EngineError::Release { path: place, message: problem });
    }
    let stem = manifest.name.replace('/', "-");
    let mut interpreter = None;
    let mut named = BTreeMap::new();
    for (platform, program) in &programs {
        let file = match platform.as_str() {
            ANY_PLATFORM => {
                interpreter = interpreter_of(&program.bytes);
                program.name()
            }
            platform => format!("{stem}-{}-{platform}", manifest.version),
        };
        named.insert(platform.clone(), ReleaseFile::of_bytes(file, &program.bytes));
    }
    let publisher = request.publisher.as_ref();
    let release = Release {
        format: FORMAT.to_owned(),
        name: manifest.name.clone(),
        version: manifest.version.clone(),
        protocol: manifest.protocol,
        manifest: FileDigests::of_bytes(&manifest_bytes),
        interpreter,
        files: named,
        publisher: publisher
            .map(|(signer, name)| ReleasePublisher { name: name.clone(), key: signer.public_key() }),
    };
    if let Some(message) = release.problem() {
        return Err(EngineError::Release { path: request.out.to_owned(), message });
    }
    let said = match publisher {
        Some((signer, _)) => (ENVELOPE_FILE, RELEASE_FILE, attest(release.manifest, &release, &[*signer])?),
        None => {
            let bytes = release.to_bytes();
            let bytes =
                bytes.map_err(|source| EngineError::Document { path: RELEASE_FILE.into(), source })?;
            (RELEASE_FILE, ENVELOPE_FILE, bytes)
        }
    };
    write(request.out, &release, &programs, &manifest_bytes, said)?;
    Ok(Packed { release, manifest })
}

/// A program that was read.
struct Program {
    path: PathBuf,
    bytes: Vec<u8>,
}

impl Program {
    fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}

/// The programs, by platform.
fn programs(given: &[PathBuf]) -> Result<BTreeMap<String, Program>, EngineError> {
    let mut found: BTreeMap<String, Program> = BTreeMap::new();
    for path in expanded(given)? {
        let refuse = |message: String| Err(EngineError::Release { path: path.clone(), message });
        let limit = usize::try_from(FILE_MAX_BYTES).unwrap_or(usize::MAX);
        let bytes = files::read_bounded(&path, limit)?;
        let platform = match (interpreter_of(&bytes), platform_of(&bytes)) {
            (Some(_), _) => ANY_PLATFORM,
            (None, Some(platform)) => platform,
            (None, None) => {
                return refuse("neither a script nor an executable for a machine that is known".into());
            }
        };
        if let Some(other) = found.insert(platform.to_owned(), Program { path: path.clone(), bytes }) {
            return refuse(format!("it is for {platform}, as {} is", other.path.display()));
        }
    }
    Ok(found)
}

/// The files that are named, and of each directory the executables in it.
fn expanded(given: &[PathBuf]) -> Result<Vec<PathBuf>, EngineError> {
    let mut all = Vec::new();
    for path in given {
        if !path.is_dir() {
            all.push(path.clone());
            continue;
        }
        let error = |e| EngineError::file(FileVerb::Read, path, e);
        let before = all.len();
        for entry in fs::read_dir(path).map_err(error)? {
            let entry = entry.map_err(error)?;
            let metadata = entry.metadata().map_err(error)?;
            if metadata.is_file() && metadata.permissions().mode() & 0o111 != 0 {
                all.push(entry.path());
            }
        }
        if all.len() == before {
            let message = "there is no executable in it".to_owned();
            return Err(EngineError::Release { path: path.clone(), message });
        }
    }
    all.sort();
    Ok(all)
}

/// Asks the program for this machine for its manifest. It runs confined, as one that only looks.
async fn manifest(engine: &Engine, programs: &BTreeMap<String, Program>) -> Result<Vec<u8>, EngineError> {
    let platform = platform();
    let Some(program) = programs.get(&platform).or_else(|| programs.get(ANY_PLATFORM)) else {
        return Err(EngineError::NoPlatform { name: "manifest".into(), platform });
    };
    let executable = Executable::of_bytes(&program.path, program.bytes.clone(), None)?;
    let name = program.name();
    let asked = asked(engine, executable, &name, &["manifest"], MANIFEST_LIMIT).await?;
    if asked.code != Some(0) {
        let said: String = asked.stderr.trim().chars().take(400).collect();
        let message = format!("asked for its `manifest` it ended with {:?}: {said}", asked.code);
        return Err(EngineError::Release { path: program.path.clone(), message });
    }
    Ok(asked.stdout)
}

/// Runs a program with arguments, confined, outside of any session.
pub(super) async fn asked(
    engine: &Engine,
    executable: Executable,
    name: &str,
    arguments: &[&str],
    limit: Duration,
) -> Result<rectify_host::Asked, EngineError> {
    let work = crate::observe::work_directory()?;
    let dirs = Directories {
        work: work.path().to_string_lossy().into_owned(),
        state: String::new(),
        blobs: String::new(),
    };
    // Of the manifest only the name is looked at here, for messages.
    let nameless = Manifest {
        format: rectify_protocol::manifest::FORMAT.into(),
        name: name.to_owned(),
        version: String::new(),
        protocol: ProtocolRange { min: VERSION, max: VERSION },
        types: Vec::new(),
    };
    let mut spec = SessionSpec::new(executable, nameless, Mode::Read, dirs);
    spec.arguments = arguments.iter().map(Into::into).collect();
    spec.launcher = engine.helpers.launcher.clone();
    Ok(ask(&spec, limit).await?)
}

/// Writes the files; what says of which the release consists comes last.
fn write(
    out: &Path,
    release: &Release,
    programs: &BTreeMap<String, Program>,
    manifest: &[u8],
    (said, other, bytes): (&str, &str, Vec<u8>),
) -> Result<(), EngineError> {
    fs::create_dir_all(out).map_err(|e| EngineError::file(FileVerb::Write, out, e))?;
    // A signature of an earlier release would not be the one of this.
    for stale in [said, other] {
        let path = out.join(stale);
        if path.symlink_metadata().is_ok() {
            fs::remove_file(&path).map_err(|e| EngineError::file(FileVerb::Write, &path, e))?;
        }
    }
    for (platform, program) in programs {
        if let Some(file) = release.files.get(platform) {
            files::replace_with_mode(&out.join(&file.file), &program.bytes, 0o755)?;
        }
    }
    files::replace(&out.join(MANIFEST_FILE), manifest)?;
    files::replace(&out.join(said), &bytes)
}
