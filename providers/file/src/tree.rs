//! Directories beneath the root, opened safely.
//!
//! Paths are walked one component at a time with `openat2`, which is told not to follow anything.
//! The meaning is that of `RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS`, resolved here and not in the
//! kernel, because the kernel cannot be asked to follow only those links that nobody but the root's
//! owner could have made. Every step holds the directory it stands in by descriptor, so a racer who
//! swaps a directory for a link is never followed.

use crate::errors::{conflict, doing, system};
use rectify_sdk::protocol::ItemError;
use rustix::{
    fs::{self, FileType, Mode, OFlags, ResolveFlags, Stat},
    io::Errno,
};
use std::{
    collections::VecDeque,
    ffi::{CStr, CString},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
    sync::Arc,
};

/// Most links on the way to one directory; the kernel's own bound.
const LINKS_MAX: usize = 40;

/// How a name in a directory is opened: itself, in this directory, through nothing.
const HERE_ONLY: ResolveFlags =
    ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_MAGICLINKS);

/// An open directory beneath the root.
#[derive(Debug)]
pub(crate) struct Dir {
    fd: OwnedFd,
    parent: Option<Arc<Dir>>,
    /// Where it truly is beneath the root, whatever links led there; empty for the root itself.
    real: Vec<u8>,
    uid: u32,
    mode: u32,
    /// Whether others may pass every directory from the root (without it) down to this one; `false` where
    /// nobody looked ([`Tree::find`]).
    pub(crate) open_to_others: bool,
}

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Dir {
    /// Whether it is the root itself, however it was reached.
    pub(crate) fn is_root(&self) -> bool {
        self.parent.is_none()
    }

    /// Opens a name in this directory; never follows a link, never leaves the directory.
    pub(crate) fn open(&self, name: &CStr, flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
        open_in(self, name, flags, mode, HERE_ONLY)
    }

    /// What a name in this directory stands for; `None` where there is nothing.
    pub(crate) fn stat(&self, name: &CStr) -> Result<Option<Stat>, Errno> {
        match fs::statat(self, name, fs::AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(errno),
        }
    }
}

/// Where a path leads.
#[derive(Debug)]
pub(crate) enum Walked {
    There(Arc<Dir>),
    /// A part does not exist; where the directory would truly be, beneath the root.
    Missing(Vec<u8>),
}

impl Walked {
    /// The directory, where it exists.
    pub(crate) fn dir(&self) -> Option<Arc<Dir>> {
        match self {
            Self::There(dir) => Some(Arc::clone(dir)),
            Self::Missing(_) => None,
        }
    }

    /// Where the directory truly is or would be, beneath the root.
    pub(crate) fn real(&self) -> &[u8] {
        match self {
            Self::There(dir) => &dir.real,
            Self::Missing(real) => real,
        }
    }
}

/// Opens a name in a directory, following nothing and staying on the file system if `resolve` says
/// so.
pub(crate) fn open_in(
    dir: impl AsFd,
    name: &CStr,
    flags: OFlags,
    mode: Mode,
    resolve: ResolveFlags,
) -> Result<OwnedFd, Errno> {
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    loop {
        // EAGAIN: something was renamed while the kernel looked; EINTR: a signal came.
        match fs::openat2(&dir, name, flags, mode, HERE_ONLY | resolve) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            result => return result,
        }
    }
}

/// A user and a group, as ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// The directory that stands for `/`.
#[derive(Debug)]
pub(crate) struct Tree {
    root: Arc<Dir>,
    /// Who owns what is new and has no other owner: that of the root directory, and on a whole
    /// machine user and group 0. Never who this process is: a plan holds whoever makes it.
    pub(crate) owner: Owner,
    /// Who may make links that are followed, beside user 0.
    trusted_uid: u32,
}

impl Tree {
    /// Opens the root of a session; `None` is `/` itself.
    pub(crate) fn open(root: Option<&Path>) -> Result<Self, ItemError> {
        let error = doing("the root directory cannot be opened");
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = fs::open(root.unwrap_or(Path::new("/")), flags, Mode::empty()).map_err(&error)?;
        let stat = fs::fstat(&fd).map_err(&error)?;
        let owner = match root {
            Some(_) => Owner { uid: stat.st_uid, gid: stat.st_gid },
            None => Owner { uid: 0, gid: 0 },
        };
        let trusted_uid = owner.uid;
        let root = Dir {
            fd,
            parent: None,
            real: Vec::new(),
            uid: stat.st_uid,
            mode: stat.st_mode,
            open_to_others: true,
        };
        Ok(Self { root: Arc::new(root), owner, trusted_uid })
    }

    /// The root itself.
    pub(crate) fn root(&self) -> Arc<Dir> {
        Arc::clone(&self.root)
    }

    /// The directory at a path beneath the root, which has no part `.` or `..`; `None` where it does not
    /// exist. In one step where no link is on the way, which the kernel says; else as [`Tree::walk`]. What
    /// is on the way is not known of the directory that this gives, so nothing is walked from there.
    pub(crate) fn find(&self, path: &str) -> Result<Option<Arc<Dir>>, ItemError> {
        if !path.is_empty()
            && let Ok(name) = CString::new(path)
            && let Ok(fd) = self.root.open(&name, OFlags::PATH | OFlags::DIRECTORY, Mode::empty())
            && let Ok(stat) = fs::fstat(&fd)
        {
            return Ok(Some(Arc::new(Dir {
                fd,
                real: [b"/", path.as_bytes()].concat(),
                uid: stat.st_uid,
                mode: stat.st_mode,
                open_to_others: false,
                parent: Some(self.root()),
            })));
        }
        // Whatever is wrong, the walk says it better.
        Ok(self.walk(self.root(), path)?.dir())
    }

    /// Walks from a directory along a relative path.
    pub(crate) fn walk(&self, from: Arc<Dir>, path: &str) -> Result<Walked, ItemError> {
        let mut here = from;
        let mut todo: VecDeque<Vec<u8>> = split(path.as_bytes());
        let mut links = 0;
        while let Some(part) = todo.pop_front() {
            match part.as_slice() {
                b"" | b"." => continue,
                b".." => {
                    here = here.parent.clone().unwrap_or_else(|| self.root());
                    continue;
                }
                _ => {}
            }
            let shown = String::from_utf8_lossy(&part).into_owned();
            let what = format!("the directory `{shown}` on the way to it cannot be opened");
            let error = doing(&what);
            let real = [here.real.as_slice(), part.as_slice()].join(&b'/');
            let name = CString::new(part).map_err(|_| conflict("a link leads to a path with a NUL"))?;
            let fd = match here.open(&name, OFlags::PATH, Mode::empty()) {
                Ok(fd) => fd,
                Err(Errno::NOENT) => {
                    let rest = todo.into_iter().filter(|part| !matches!(part.as_slice(), b"" | b"."));
                    let real = std::iter::once(real).chain(rest).collect::<Vec<_>>().join(&b'/');
                    return Ok(Walked::Missing(real));
                }
                Err(errno) => return Err(error(errno)),
            };
            let stat = fs::fstat(&fd).map_err(&error)?;
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory => {
                    here = Arc::new(Dir {
                        fd,
                        real,
                        uid: stat.st_uid,
                        mode: stat.st_mode,
                        open_to_others: here.open_to_others && stat.st_mode & 0o001 != 0,
                        parent: Some(here),
                    });
                }
                FileType::Symlink => {
                    self.judge_link(&here, &stat, &shown)?;
                    links += 1;
                    if links > LINKS_MAX {
                        return Err(system(Errno::LOOP, "too many links on the way to it"));
                    }
                    let target = fs::readlinkat(&fd, c"", Vec::new()).map_err(&error)?;
                    if target.as_bytes().first() == Some(&b'/') {
                        here = self.root();
                    }
                    for part in split(target.as_bytes()).into_iter().rev() {
                        todo.push_front(part);
                    }
                }
                _ => return Err(conflict(format!("`{shown}` on the way to it is not a directory"))),
            }
        }
        Ok(Walked::There(here))
    }

    fn judge_link(&self, dir: &Dir, link: &Stat, shown: &str) -> Result<(), ItemError> {
        let trusted = |uid: u32| uid == 0 || uid == self.trusted_uid;
        if trusted(link.st_uid) && trusted(dir.uid) && dir.mode & 0o022 == 0 {
            return Ok(());
        }
        Err(conflict(format!("`{shown}` on the way to it is a link that somebody else could have made"))
            .hint(
                "name the real path, or let root own the link and its directory and nobody else write there",
            ))
    }
}

fn split(path: &[u8]) -> VecDeque<Vec<u8>> {
    path.split(|b| *b == b'/').map(<[u8]>::to_vec).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn new_things_have_an_owner_whoever_asks() {
        assert_eq!(Tree::open(None).unwrap().owner, Owner { uid: 0, gid: 0 });
        let root = tempfile::tempdir().unwrap();
        let meta = std::fs::metadata(root.path()).unwrap();
        let owner = Owner { uid: meta.uid(), gid: meta.gid() };
        assert_eq!(Tree::open(Some(root.path())).unwrap().owner, owner);
    }

    /// In one step or part by part: the same directory, or the same refusal.
    #[test]
    fn what_is_found_is_what_a_walk_leads_to() {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        std::fs::create_dir_all(at("a/b/c")).unwrap();
        std::fs::create_dir_all(at("shared")).unwrap();
        std::fs::write(at("a/file"), "").unwrap();
        for (target, link) in [
            ("b", "a/link"),
            ("/a/b", "absolute"),
            ("../../..", "a/out"),
            ("nowhere", "dangling"),
            ("loop", "loop"),
            ("../a", "shared/theirs"),
        ] {
            std::os::unix::fs::symlink(target, at(link)).unwrap();
        }
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(at("shared"), std::fs::Permissions::from_mode(0o777)).unwrap();
        let tree = Tree::open(Some(root.path())).unwrap();
        let inode = |dir: &Dir| fs::fstat(dir).map(|stat| (stat.st_dev, stat.st_ino)).unwrap();
        for (path, there) in [
            ("", true),
            ("a", true),
            ("a/b/c", true),
            ("a/b/d", false),
            ("a/b/d/e", false),
            ("a/file", false),
            ("a/file/b", false),
            ("a/link", true),
            ("a/link/c", true),
            ("absolute/c", true),
            ("a/out/a/b", true),
            ("dangling/a", false),
            ("loop/a", false),
            ("shared/theirs/b", false),
        ] {
            let found = tree.find(path);
            let walked = tree.walk(tree.root(), path).map(|walked| walked.dir());
            match (found, walked) {
                (Ok(Some(found)), Ok(Some(walked))) => {
                    assert!(there, "{path}");
                    assert_eq!(inode(&found), inode(&walked), "{path}");
                    assert_eq!((&found.real, found.is_root()), (&walked.real, walked.is_root()), "{path}");
                }
                (Ok(None), Ok(None)) => assert!(!there, "{path}"),
                (Err(found), Err(walked)) => {
                    assert!(!there, "{path}");
                    assert_eq!(found, walked, "{path}");
                }
                (found, walked) => panic!("{path}: {found:?}, {walked:?}"),
            }
        }
    }
}
