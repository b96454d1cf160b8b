//! What a target proves about itself. A name alone never decides where an approved change lands.

use crate::{EngineError, error::FileVerb, files::read_regular};
use rectify_base::{Digest, TargetName, digest::context};
use rectify_compile::Connection;
use rectify_model::observation::Identity;
use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

/// The marker that makes a directory a target: 32 random hexadecimal digits, made by
/// `rectify inventory adopt`.
pub const ROOT_MARKER: &str = ".rectify-root";
const MACHINE_ID: &str = "/etc/machine-id";
const ID_DIGITS: usize = 32;
const ID_FILE_MAX_BYTES: usize = 256;

/// The root directory of a connection, made absolute against the project.
#[must_use]
pub fn root_of(connection: &Connection, project: &Path) -> Option<PathBuf> {
    let Connection::Local { root } = connection;
    let root = root.as_deref()?;
    let path = project.join(root);
    Some(fs::canonicalize(&path).unwrap_or(path))
}

/// Observes the identity of a target.
///
/// # Errors
/// When there is no machine id, or the root directory has no marker.
pub fn observe(
    target: &TargetName,
    connection: &Connection,
    project: &Path,
) -> Result<Identity, EngineError> {
    match root_of(connection, project) {
        None => {
            let path = Path::new(MACHINE_ID);
            let id = read_id(path).map_err(|e| EngineError::file(FileVerb::Read, path, e))?;
            Ok(Identity::Machine(digest("machine", &id)))
        }
        Some(root) => match read_id(&root.join(ROOT_MARKER)) {
            Ok(id) => Ok(Identity::Root(digest("root", &id))),
            Err(source) => Err(EngineError::NoRootMarker { target: target.clone(), root, source }),
        },
    }
}

fn digest(kind: &str, id: &str) -> Digest {
    Digest::derive(context::TARGET_IDENTITY, &[kind.as_bytes(), id.as_bytes()])
}

/// Reads an id of 32 hexadecimal digits. An empty one, or the `uninitialized` of an image that was
/// never booted, would make many machines one target.
fn read_id(path: &Path) -> io::Result<String> {
    let bytes = read_regular(path, ID_FILE_MAX_BYTES)?.unwrap_or_default();
    let id = str::from_utf8(&bytes).unwrap_or_default().trim_end();
    if id.len() == ID_DIGITS && id.bytes().all(|b| b.is_ascii_hexdigit()) && id.bytes().any(|b| b != b'0') {
        return Ok(id.to_owned());
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "it does not hold 32 hexadecimal digits"))
}

/// Makes a root directory a target by giving it a marker; an existing one is kept.
///
/// # Errors
/// When the target has no root directory, or the marker cannot be written.
pub fn adopt(target: &TargetName, connection: &Connection, project: &Path) -> Result<PathBuf, EngineError> {
    let root =
        root_of(connection, project).ok_or_else(|| EngineError::NotARoot { target: target.clone() })?;
    let path = root.join(ROOT_MARKER);
    if read_id(&path).is_ok() {
        return Ok(path);
    }
    let error = |e| EngineError::file(FileVerb::Write, &path, e);
    let mut file = fs::OpenOptions::new().write(true).create_new(true).open(&path).map_err(error)?;
    writeln!(file, "{}", random_hex()?).map_err(error)?;
    file.sync_all().map_err(error)?;
    Ok(path)
}

/// 128 random bits in hexadecimal.
///
/// # Errors
/// When the kernel gives none.
pub fn random_hex() -> Result<String, EngineError> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).map_err(|e| EngineError::Entropy { message: e.to_string() })?;
    Ok(bytes.iter().map(|b| format!("{b:02x}")).collect())
}
