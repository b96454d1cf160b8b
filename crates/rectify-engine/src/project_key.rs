//! The project's key: 256 random bits that never leave the machines that plan and apply. From it
//! comes one key for each target, under which contents that others may not read are digested, so
//! that a plan tells whether such a content changes and not what it may be.

use crate::{
    Engine, EngineError,
    error::FileVerb,
    files::{place_private, read_regular},
};
use rectify_base::{Digest, DigestKey, digest::context};
use rectify_model::observation::Identity;
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Where the key of a project lies in its directory.
pub const PROJECT_KEY: &str = ".rectify/project.key";
const IGNORE: &str = ".rectify/.gitignore";
const KEY_DIGITS: usize = 64;

/// Where the key of this project lies.
#[must_use]
pub fn path(engine: &Engine, project: &Path) -> PathBuf {
    engine.places.project_key.clone().unwrap_or_else(|| project.join(PROJECT_KEY))
}

/// The key of a target. The project's key is made if there is none.
///
/// # Errors
/// When the project's key cannot be read or made, others may read it, or it is not one.
pub fn of_target(engine: &Engine, project: &Path, identity: &Identity) -> Result<DigestKey, EngineError> {
    let path = path(engine, project);
    if !path.exists() {
        make(&path, project)?;
    }
    let error = |e| EngineError::file(FileVerb::Read, &path, e);
    let invalid = |message: &str| error(io::Error::new(io::ErrorKind::InvalidData, message.to_owned()));
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).map_err(error)?.permissions());
    if mode & 0o077 != 0 {
        return Err(invalid("others may read this key; `chmod 0600` it"));
    }
    let bytes = read_regular(&path, KEY_DIGITS + 1).map_err(error)?.unwrap_or_default();
    let key = bytes.trim_ascii_end();
    if key.len() != KEY_DIGITS || !key.iter().all(u8::is_ascii_hexdigit) {
        return Err(invalid("a project's key is 64 hexadecimal digits"));
    }
    let (kind, id) = match identity {
        Identity::Machine(id) => ("machine", id),
        Identity::Root(id) => ("root", id),
    };
    let derived = Digest::derive(context::DIGEST_KEY, &[key, kind.as_bytes(), id.as_bytes()]);
    Ok(DigestKey::from_bytes(*derived.as_bytes()))
}

fn make(path: &Path, project: &Path) -> Result<(), EngineError> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(|e| EngineError::file(FileVerb::Write, parent, e))?;
    }
    let text = format!("{}{}\n", crate::identity::random_hex()?, crate::identity::random_hex()?);
    place_private(path, text.as_bytes())?;
    let ignore = project.join(IGNORE);
    if path == project.join(PROJECT_KEY) && !ignore.exists() {
        crate::files::replace(&ignore, b"*\n")?;
    }
    Ok(())
}
