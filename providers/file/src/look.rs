//! Looking at a path: what it holds now, with what is needed to notice that it changed since.

use crate::{
    desired::{IS_MARKER, Path, ROOT_MARKER},
    entry::{Access, Content, Entry, Plain, Special},
    errors::{conflict, doing},
    listing,
    names::Names,
    tree::{Dir, Tree},
};
use rectify_sdk::{
    base::{
        ContentHasher, DigestKey, TypeName,
        limits::{FILE_CONTENT_MAX_BYTES, INLINE_TEXT_MAX_BYTES},
    },
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

/// Longest file that is read at all. Its digest takes a disk about as long as a look may take.
const READ_MAX_BYTES: u64 = 4 * 1024 * 1024 * 1024;
/// How much of a file that is only digested is in memory at a time.
const PIECE_BYTES: usize = 128 * 1024;

/// How much is looked at.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'k> {
    /// What lies in it, too, if it is a directory.
    pub(crate) entries: bool,
    /// Longest content whose bytes are kept; of a longer one there are only the digests.
    pub(crate) keep_bytes: u64,
    /// The session's key for digests of what others may not read.
    pub(crate) key: Option<&'k DigestKey>,
}

impl<'k> Scope<'k> {
    /// For a type: what its states need.
    pub(crate) fn of(type_name: &TypeName, key: Option<&'k DigestKey>) -> Self {
        let entries = type_name.as_str() == "file.absent";
        Self { entries, keep_bytes: INLINE_TEXT_MAX_BYTES as u64, key }
    }

    /// With the bytes of every content that can be edited.
    pub(crate) fn with_bytes(self) -> Self {
        Self { keep_bytes: FILE_CONTENT_MAX_BYTES, ..self }
    }
}

/// Looks at a path, going there anew.
pub(crate) fn look(tree: &Tree, names: &Names, path: &Path, scope: Scope<'_>) -> Result<Look, ItemError> {
    look_in(tree.find(&path.parent)?, names, path, scope)
}

/// Looks at a name in a directory that is open already.
pub(crate) fn look_in(
    dir: Option<Arc<Dir>>,
    names: &Names,
    path: &Path,
    scope: Scope<'_>,
) -> Result<Look, ItemError> {
    let Some(dir) = dir else { return Ok(Look::nothing(None)) };
    if dir.is_root() && path.name.to_bytes() == ROOT_MARKER.as_bytes() {
        return Err(conflict(IS_MARKER).at("/path"));
    }
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
            let content = read_content(&fd, &stat, scope)?;
            look.fd = Some(fd);
            Entry::File { content, access }
        }
        FileType::Directory => {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY;
            let mut entries = None;
            if scope.entries {
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
            let (kind, device) = special(other, &stat)?;
            Entry::Special { kind, access, device }
        }
    });
    look.dir = Some(dir);
    Ok(look)
}

#[expect(clippy::useless_conversion, reason = "the widths differ between architectures")]
fn links_of(stat: &Stat) -> u64 {
    stat.st_nlink.into()
}

/// What a special file is, and which device.
fn special(kind: FileType, stat: &Stat) -> Result<(Special, Option<String>), ItemError> {
    #[expect(clippy::useless_conversion, reason = "the widths differ between architectures")]
    let number = stat.st_rdev.into();
    let device = |kind: &str| Some(format!("{kind} {}:{}", fs::major(number), fs::minor(number)));
    match kind {
        FileType::Fifo => Ok((Special::Pipe, None)),
        FileType::Socket => Ok((Special::Socket, None)),
        FileType::CharacterDevice => Ok((Special::Device, device("character"))),
        FileType::BlockDevice => Ok((Special::Device, device("block"))),
        _ => Err(conflict("the path is of an unknown kind").at("/path")),
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

pub(crate) fn too_long(max_bytes: u64) -> ItemError {
    ItemError::new(
        ErrorCode::Unsupported,
        format!("the file is longer than {max_bytes} bytes and is not read"),
    )
    .at("/path")
}

fn read_content(fd: &OwnedFd, stat: &Stat, scope: Scope<'_>) -> Result<Content, ItemError> {
    let size = u64::try_from(stat.st_size).unwrap_or(u64::MAX);
    if size > READ_MAX_BYTES {
        return Err(too_long(READ_MAX_BYTES));
    }
    if size > scope.keep_bytes {
        return digest_content(fd, scope);
    }
    let failed =
        |e: std::io::Error| ItemError::new(ErrorCode::Failed, format!("the file cannot be read: {e}"));
    let mut bytes = vec![0; usize::try_from(size).unwrap_or(0).saturating_add(1)];
    let first = rustix::io::retry_on_intr(|| rustix::io::read(fd, &mut *bytes))
        .map_err(doing("the file cannot be read"))?;
    bytes.truncate(first);
    // A short read of a regular file is its end; this saves the read that would say so.
    if first as u64 != size {
        // It grew, or is one of those of the kernel that do not say how long they are.
        let file = File::from(fd.as_fd().try_clone_to_owned().map_err(failed)?);
        (&file).take(FILE_CONTENT_MAX_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 > FILE_CONTENT_MAX_BYTES {
            return Err(too_long(FILE_CONTENT_MAX_BYTES));
        }
    }
    Ok(Content::of(bytes, scope.key))
}

fn digest_content(fd: &OwnedFd, scope: Scope<'_>) -> Result<Content, ItemError> {
    let error = doing("the file cannot be read");
    let mut hasher = ContentHasher::new(scope.key);
    let mut piece = vec![0; PIECE_BYTES];
    let mut size = 0;
    loop {
        let length = rustix::io::retry_on_intr(|| rustix::io::read(fd, &mut *piece)).map_err(&error)?;
        size += length as u64;
        match piece.get(..length) {
            None | Some([]) => break,
            Some(_) if size > READ_MAX_BYTES => return Err(too_long(READ_MAX_BYTES)),
            Some(bytes) => hasher.update(bytes),
        }
    }
    let (digest, keyed) = hasher.digests();
    Ok(Content { plain: Some(Plain { digest, size }), keyed, bytes: None })
}
