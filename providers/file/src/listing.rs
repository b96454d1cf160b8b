//! What lies in a directory: told apart by a digest, and removed. Follows nothing, and stays on
//! the file system of the directory.

use crate::{
    entry::Entries,
    errors::{conflict, doing, system},
    obstacles::status,
    tree::open_in,
};
use rectify_sdk::{
    base::Digest,
    protocol::{ErrorCode, ItemError, Mutated},
};
use rustix::{
    fs::{self, AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags},
    io::Errno,
};
use std::{
    ffi::{CStr, CString},
    os::fd::{AsFd, OwnedFd},
};

/// Context of the digest of what lies in a directory.
const CONTEXT: &str = "rectify 2026 v1 directory entries";
/// Most entries of a directory that is removed with what it holds.
const ENTRIES_MAX: u64 = 100_000;
/// How many names are shown.
const NAMES_MAX: usize = 10;
/// Deepest nesting of such a directory.
const DEPTH_MAX: usize = 256;

fn names(dir: impl AsFd) -> Result<Vec<CString>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            names.push(entry.file_name().to_owned());
        }
    }
    names.sort();
    Ok(names)
}

fn subdirectory(dir: impl AsFd, name: &CStr) -> Result<OwnedFd, ItemError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    open_in(dir, name, flags, Mode::empty(), ResolveFlags::NO_XDEV).map_err(|errno| match errno {
        Errno::XDEV => conflict("another file system is mounted in the directory").at("/path"),
        errno => system(errno, "a directory in it cannot be opened"),
    })
}

/// Counts and digests what lies in a directory: relative path, kind, and size or link target of
/// each. Contents are not read: a change of equal length goes unnoticed.
pub(crate) fn entries(dir: &OwnedFd) -> Result<Entries, ItemError> {
    let mut parts = Vec::new();
    let mut names = Vec::new();
    let mut count = 0;
    collect(dir, &mut Vec::new(), 0, &mut count, &mut parts, &mut names)?;
    let slices: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    Ok(Entries { count, names, tree: Digest::derive(CONTEXT, &slices) })
}

fn collect(
    dir: impl AsFd,
    path: &mut Vec<u8>,
    depth: usize,
    count: &mut u64,
    parts: &mut Vec<Vec<u8>>,
    first: &mut Vec<String>,
) -> Result<(), ItemError> {
    let dir = dir.as_fd();
    let error = doing("what lies in the directory cannot be looked at");
    if depth > DEPTH_MAX {
        return Err(ItemError::new(ErrorCode::Unsupported, format!("deeper than {DEPTH_MAX} directories")));
    }
    for name in names(dir).map_err(&error)? {
        *count += 1;
        if *count > ENTRIES_MAX {
            return Err(ItemError::new(
                ErrorCode::Unsupported,
                format!("the directory holds more than {ENTRIES_MAX} entries"),
            ));
        }
        let stat = status(dir, &name).map_err(&error)?;
        if stat.is_mount_point {
            return Err(conflict(format!("`{}` in the directory is a mount point", name.to_string_lossy()))
                .at("/path")
                .hint("unmount it, and see that it is not mounted again"));
        }
        let kind = FileType::from_raw_mode(stat.mode);
        if depth == 0 && first.len() < NAMES_MAX {
            let slash = if kind == FileType::Directory { "/" } else { "" };
            first.push(format!("{}{slash}", name.to_string_lossy()));
        }
        let length = path.len();
        path.push(b'/');
        path.extend_from_slice(name.to_bytes());
        parts.push(path.clone());
        parts.push((stat.mode & 0o170_000).to_le_bytes().to_vec());
        match kind {
            FileType::Directory => {
                parts.push(Vec::new());
                collect(subdirectory(dir, &name)?, path, depth + 1, count, parts, first)?;
            }
            FileType::Symlink => {
                parts.push(fs::readlinkat(dir, &*name, Vec::new()).map_err(&error)?.into_bytes());
            }
            _ => parts.push(stat.size.to_le_bytes().to_vec()),
        }
        path.truncate(length);
    }
    Ok(())
}

/// Removes what lies in a directory. What was removed before an error stays removed, and the error
/// says so.
pub(crate) fn clear(dir: impl AsFd) -> Result<(), ItemError> {
    let mut removed = false;
    clear_at(dir, 0, &mut removed).map_err(|error| {
        if removed { ItemError { code: ErrorCode::Partial, ..error }.mutated(Mutated::Yes) } else { error }
    })
}

fn clear_at(dir: impl AsFd, depth: usize, removed: &mut bool) -> Result<(), ItemError> {
    let dir = dir.as_fd();
    let error = doing("what lies in the directory cannot be removed");
    if depth > DEPTH_MAX {
        return Err(ItemError::new(ErrorCode::Unsupported, format!("deeper than {DEPTH_MAX} directories")));
    }
    for name in names(dir).map_err(&error)? {
        let stat = fs::statat(dir, &*name, AtFlags::SYMLINK_NOFOLLOW).map_err(&error)?;
        let flags = if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            clear_at(subdirectory(dir, &name)?, depth + 1, removed)?;
            AtFlags::REMOVEDIR
        } else {
            AtFlags::empty()
        };
        fs::unlinkat(dir, &*name, flags).map_err(&error)?;
        *removed = true;
    }
    Ok(())
}
