//! Reading what must be ours, and writing so that a crash leaves the old file or the new one.

use crate::error::{FileKind, KeyError};
use std::{
    fs::{self, File, Metadata, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
    path::Path,
};
use zeroize::Zeroizing;

/// Largest key or trust file.
pub(crate) const FILE_MAX_BYTES: usize = 1024 * 1024;

/// Why a file was not read.
enum ReadError {
    Unreadable(String),
    Mode(String),
}

/// Reads a regular file of ours (or of root) that grants nothing of `forbidden_mode` to others. Mode
/// and owner are those of the opened file, so they cannot be exchanged in between.
pub(crate) fn read(kind: FileKind, path: &Path, forbidden_mode: u32) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    read_bytes(path, forbidden_mode).map_err(|error| match error {
        ReadError::Unreadable(why) => KeyError::Read { kind, path: path.into(), why },
        ReadError::Mode(why) => KeyError::Mode { kind, path: path.into(), why },
    })
}

fn read_bytes(path: &Path, forbidden_mode: u32) -> Result<Zeroizing<Vec<u8>>, ReadError> {
    let unreadable = |e: io::Error| ReadError::Unreadable(e.to_string());
    // Without NONBLOCK, opening a pipe would wait for a writer.
    let flags = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or(0);
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    check(&metadata, forbidden_mode)?;
    // One byte more than allowed shows that there is more. Reserved at once: growing would leave
    // copies of a key behind in memory.
    let mut bytes = Zeroizing::new(Vec::with_capacity(FILE_MAX_BYTES + 1));
    file.take(FILE_MAX_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() > FILE_MAX_BYTES {
        return Err(ReadError::Unreadable(format!("larger than {FILE_MAX_BYTES} bytes")));
    }
    Ok(bytes)
}

fn check(metadata: &Metadata, forbidden_mode: u32) -> Result<(), ReadError> {
    if !metadata.is_file() {
        return Err(ReadError::Unreadable("not a regular file".to_owned()));
    }
    let ours = rustix::process::geteuid().as_raw();
    let owner = metadata.uid();
    if owner != ours && owner != 0 {
        return Err(ReadError::Mode(format!("belongs to user {owner}, not to user {ours} or root")));
    }
    let mode = metadata.mode() & 0o7777;
    if mode & forbidden_mode != 0 {
        let wanted = mode & !forbidden_mode;
        return Err(ReadError::Mode(format!(
            "mode {mode:04o} grants too much to others; `chmod {wanted:04o}` mends it"
        )));
    }
    Ok(())
}

/// Whether a file is replaced.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Existing {
    Replace,
    Refuse,
}

/// Writes a temporary file beside, syncs it, gives it its name, syncs the directory. With
/// [`Existing::Refuse`] a file of that name is an error, without a window.
pub(crate) fn write(
    kind: FileKind,
    path: &Path,
    bytes: &[u8],
    mode: u32,
    existing: Existing,
) -> Result<(), KeyError> {
    write_bytes(path, bytes, mode, existing).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => KeyError::Exists { kind, path: path.into() },
        _ => KeyError::Write { kind, path: path.into(), why: error.to_string() },
    })
}

fn write_bytes(path: &Path, bytes: &[u8], mode: u32, existing: Existing) -> io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut file = tempfile::Builder::new()
        .prefix(".rectify-")
        .permissions(fs::Permissions::from_mode(0o600))
        .tempfile_in(directory)?;
    file.write_all(bytes)?;
    file.as_file().set_permissions(fs::Permissions::from_mode(mode))?;
    file.as_file().sync_all()?;
    match existing {
        Existing::Replace => file.persist(path).map_err(|e| e.error)?,
        Existing::Refuse => file.persist_noclobber(path).map_err(|e| e.error)?,
    };
    File::open(directory)?.sync_all()
}
