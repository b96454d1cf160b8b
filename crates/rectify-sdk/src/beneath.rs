//! Looking at paths beneath the directory that stands for `/`.

use rustix::{
    fd::OwnedFd,
    fs::{CWD, Mode, OFlags, ResolveFlags, open, openat2},
    io::Errno,
};
use std::{io, path::Path};

/// How often a look-up is repeated that a rename elsewhere disturbed.
const DISTURBED_MAX: usize = 32;

/// Opens what an absolute path names beneath `root` (`None`: beneath `/`). No link leads out of the
/// root, and links of `/proc` that are not links at all are refused.
///
/// # Errors
/// The system's; `ELOOP` for such a link.
pub fn open_beneath(root: Option<&Path>, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    let directory = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = open(root.unwrap_or(Path::new("/")), directory, Mode::empty())?;
    let relative = path.strip_prefix("/").unwrap_or(path);
    let relative = if relative.as_os_str().is_empty() { Path::new(".") } else { relative };
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    for _ in 0..DISTURBED_MAX {
        match openat2(&root, relative, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
            Err(Errno::AGAIN) => {}
            result => return Ok(result?),
        }
    }
    Err(Errno::AGAIN.into())
}

/// Whether anything is at an absolute path beneath `root`; a link counts by itself, wherever it
/// leads.
///
/// # Errors
/// When that cannot be seen.
pub fn exists_beneath(root: Option<&Path>, path: &Path) -> io::Result<bool> {
    match open_beneath(root, path, OFlags::PATH | OFlags::NOFOLLOW) {
        Ok(_) => Ok(true),
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(false),
        Err(e) => Err(e),
    }
}

/// The real path of what an absolute path names beneath `root`.
///
/// # Errors
/// When it does not exist or cannot be seen.
pub fn real_path_beneath(root: Option<&Path>, path: &Path) -> io::Result<std::path::PathBuf> {
    use std::os::{fd::AsRawFd, unix::ffi::OsStringExt};
    let file = open_beneath(root, path, OFlags::PATH)?;
    let link = rustix::fs::readlinkat(CWD, format!("/proc/self/fd/{}", file.as_raw_fd()), Vec::new())?;
    Ok(std::ffi::OsString::from_vec(link.into_bytes()).into())
}
