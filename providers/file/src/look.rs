//! Looking at a path: what it holds now, with what is needed to notice that it changed since.

use crate::{
    desired::Path,
    entry::{Access, Content, Entry},
    errors::{conflict, doing},
    listing,
    names::Names,
    tree::{Dir, Tree},
};
use rectify_sdk::{
    base::limits::FILE_CONTENT_MAX_BYTES,
    protocol::{ErrorCode, ItemError},
};
use rustix::{
    fs::{self, FileType, Mode, OFlags, Stat},
    io::Errno,
};
use std::{
    fs::File,
    io::Read,
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
};

/// What tells one moment of an inode from another. Only for the time between a look and a write of
/// one operation; never part of a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    dev: u64,
    ino: u64,
    size: i64,
    mode: u32,
    changed: (i64, i64),
    modified: (i64, i64),
}

impl Stamp {
    #[expect(clippy::useless_conversion, reason = "the widths differ between architectures")]
    pub(crate) fn of(stat: &Stat) -> Self {
        let nanoseconds = |n| i64::try_from(n).unwrap_or(0);
        Self {
            dev: stat.st_dev.into(),
            ino: stat.st_ino.into(),
            size: stat.st_size.into(),
            mode: stat.st_mode,
            changed: (stat.st_ctime.into(), nanoseconds(stat.st_ctime_nsec)),
            modified: (stat.st_mtime.into(), nanoseconds(stat.st_mtime_nsec)),
        }
    }

    /// Whether both are of one inode, whatever happened to it.
    pub(crate) fn same_inode(&self, other: &Self) -> bool {
        (self.dev, self.ino) == (other.dev, other.ino)
    }
}

/// What is seen at a path.
#[derive(Debug)]
pub(crate) struct Look {
    /// The directory; `None` where it does not exist.
    pub(crate) dir: Option<Arc<Dir>>,
    pub(crate) entry: Option<Entry>,
    /// Of what is there; `None` where nothing is.
    pub(crate) stamp: Option<Stamp>,
    /// The file or directory, open for reading.
    pub(crate) fd: Option<OwnedFd>,
    /// How many names the inode has.
    pub(crate) links: u64,
    /// Owner and group, as ids.
    pub(crate) ids: (u32, u32),
}

impl Look {
    fn nothing(dir: Option<Arc<Dir>>) -> Self {
        Self { dir, entry: None, stamp: None, fd: None, links: 0, ids: (0, 0) }
    }
}

/// How much is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    /// The path itself.
    Itself,
    /// What lies in it, too, if it is a directory.
    Entries,
}

/// Looks at a path, walking there anew.
pub(crate) fn look(tree: &Tree, names: &Names, path: &Path, depth: Depth) -> Result<Look, ItemError> {
    let dir = tree.walk(tree.root(), &path.parent)?;
    look_in(dir, names, path, depth)
}

/// Looks at a name in a directory that is open already.
pub(crate) fn look_in(
    dir: Option<Arc<Dir>>,
    names: &Names,
    path: &Path,
    depth: Depth,
) -> Result<Look, ItemError> {
    let Some(dir) = dir else { return Ok(Look::nothing(None)) };
    let error = doing("the path cannot be looked at");
    let Some(stat) = dir.stat(&path.name).map_err(&error)? else { return Ok(Look::nothing(Some(dir))) };
    let mut look = Look {
        entry: None,
        stamp: Some(Stamp::of(&stat)),
        fd: None,
        links: links_of(&stat),
        ids: (stat.st_uid, stat.st_gid),
        dir: None,
    };
    let owner = names.users.name(stat.st_uid);
    let group = names.groups.name(stat.st_gid);
    let access = Access { mode: stat.st_mode & 0o7777, owner, group };
    // Only these two are opened: to open a pipe or a device for reading may have effects.
    look.entry = Some(match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => {
            let fd = open_same(&dir, path, &stat, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)?;
            let content = Content::of(read_all(&fd, &stat)?);
            look.fd = Some(fd);
            Entry::File { content, access }
        }
        FileType::Directory => {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY;
            let mut entries = None;
            if depth == Depth::Entries {
                let fd = open_same(&dir, path, &stat, flags)?;
                entries = Some(listing::entries(&fd)?);
                look.fd = Some(fd);
            }
            Entry::Directory { access, entries }
        }
        FileType::Symlink => {
            let target = fs::readlinkat(&*dir, &*path.name, Vec::new()).map_err(&error)?;
            let target = target.into_string().map_err(|_| {
                ItemError::new(ErrorCode::Unsupported, "the path is a link to a path that is not UTF-8")
            })?;
            Entry::Link { target, owner: access.owner, group: access.group }
        }
        other => {
            return Err(conflict(format!("the path is {}", describe(other)))
                .at("/path")
                .hint("files that are no regular files are not managed; remove it by hand first"));
        }
    });
    look.dir = Some(dir);
    Ok(look)
}

#[expect(clippy::useless_conversion, reason = "the widths differ between architectures")]
fn links_of(stat: &Stat) -> u64 {
    stat.st_nlink.into()
}

fn describe(kind: FileType) -> &'static str {
    match kind {
        FileType::Fifo => "a named pipe",
        FileType::Socket => "a socket",
        FileType::CharacterDevice | FileType::BlockDevice => "a device",
        _ => "of an unknown kind",
    }
}

fn open_same(dir: &Dir, path: &Path, seen: &Stat, flags: OFlags) -> Result<OwnedFd, ItemError> {
    let moved = || {
        ItemError::new(ErrorCode::Transient, "the path was replaced while it was looked at").hint("try again")
    };
    let fd = match dir.open(&path.name, flags, Mode::empty()) {
        Ok(fd) => fd,
        Err(Errno::NOENT | Errno::LOOP | Errno::NOTDIR) => return Err(moved()),
        Err(errno) => return Err(doing("the path cannot be opened")(errno)),
    };
    let opened = fs::fstat(&fd).map_err(doing("the path cannot be looked at"))?;
    if Stamp::of(&opened) == Stamp::of(seen) { Ok(fd) } else { Err(moved()) }
}

fn too_long() -> ItemError {
    ItemError::new(
        ErrorCode::Unsupported,
        format!("the file is longer than {FILE_CONTENT_MAX_BYTES} bytes and is not read"),
    )
}

fn read_all(fd: &OwnedFd, stat: &Stat) -> Result<Vec<u8>, ItemError> {
    let size = u64::try_from(stat.st_size).unwrap_or(u64::MAX);
    if size > FILE_CONTENT_MAX_BYTES {
        return Err(too_long());
    }
    let failed =
        |e: std::io::Error| ItemError::new(ErrorCode::Failed, format!("the file cannot be read: {e}"));
    let mut bytes = vec![0; usize::try_from(size).unwrap_or(0).saturating_add(1)];
    let first = rustix::io::retry_on_intr(|| rustix::io::read(fd, &mut *bytes))
        .map_err(doing("the file cannot be read"))?;
    // A short read of a regular file is its end; this saves the read that would say so.
    if first as u64 == size {
        bytes.truncate(first);
        return Ok(bytes);
    }
    bytes.truncate(first);
    let file = File::from(fd.as_fd().try_clone_to_owned().map_err(failed)?);
    (&file).take(FILE_CONTENT_MAX_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > FILE_CONTENT_MAX_BYTES { Err(too_long()) } else { Ok(bytes) }
}
