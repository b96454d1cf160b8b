//! Changing what a path holds. Everything is prepared under another name in the same directory,
//! made durable, and put in place by one rename, after looking once more that nothing has moved.
//! Whatever fails before that rename leaves nothing behind.

use crate::{
    candidate,
    desired::Path,
    entry::{Access, Entry},
    errors::{conflict, doing, stale, system},
    goal::count,
    listing,
    look::{Look, Stamp},
    names::Names,
    obstacles,
    tree::{Dir, Tree},
    xattr,
};
use rectify_sdk::{
    Announced, Context, announce_sync,
    base::Digest,
    crash::{At, reached},
    protocol::{ErrorCode, ItemError, Mutated},
};
use rustix::{
    fs::{self, AtFlags, Gid, Mode, OFlags, RenameFlags, Uid},
    io::Errno,
};
use std::{
    ffi::CString,
    fs::File,
    io::{Read, Seek, Write},
    os::fd::OwnedFd,
    sync::Arc,
    time::Duration,
};

/// Begins the names of what is not in place yet, or not any more.
pub(crate) const TEMPORARY_PREFIX: &str = ".rectify-";

/// Names that an operation may use. More would be needed only if it was killed as often, by one that
/// is still alive.
const OPERATION_NAMES: u32 = 3;

/// How much of a candidate is compared at a time.
const PIECE_BYTES: usize = 128 * 1024;

/// One change of one path.
pub(crate) struct Change<'a> {
    pub(crate) cx: &'a Context,
    pub(crate) tree: &'a Tree,
    pub(crate) names: &'a Names,
    pub(crate) path: &'a Path,
    pub(crate) look: &'a Look,
    /// Command that judges a new content.
    pub(crate) validate: Option<&'a [String]>,
    pub(crate) limit: Duration,
}

/// Whether a file keeps its inode. Only if nothing but its mode changes: that is one system call.
/// A change of owner takes capabilities and set-id bits away, so it needs the long way.
pub(crate) fn keeps_inode(prior: &Entry, goal: &Entry) -> bool {
    match (prior, goal) {
        (Entry::File { content: c0, access: a0 }, Entry::File { content: c1, access: a1 }) => {
            c0 == c1 && (&a0.owner, &a0.group) == (&a1.owner, &a1.group)
        }
        (Entry::Directory { .. }, Entry::Directory { .. }) => true,
        _ => false,
    }
}

/// Whether what is at the path is replaced or removed, and not only changed in its place.
pub(crate) fn replaces(prior: &Entry, goal: Option<&Entry>) -> bool {
    !goal.is_some_and(|goal| keeps_inode(prior, goal))
}

/// An error after the path was changed.
fn after(error: ItemError) -> ItemError {
    error.mutated(Mutated::Yes)
}

impl Change<'_> {
    /// Brings about the goal.
    pub(crate) fn make(&self, goal: Option<&Entry>) -> Result<(), ItemError> {
        let Some(dir) = &self.look.dir else {
            return Err(ItemError::new(ErrorCode::Failed, "the directory of the path does not exist")
                .at("/path")
                .hint("make it with `file.directory` in a step before"));
        };
        if let Some(prior) = &self.look.entry {
            obstacles::refuse(&**dir, &self.path.name, replaces(prior, goal))?;
        }
        match (&self.look.entry, goal) {
            (None, None) => Ok(()),
            (prior @ (None | Some(Entry::File { .. })), Some(goal @ Entry::File { content, access })) => {
                if prior.as_ref().is_some_and(|prior| keeps_inode(prior, goal)) {
                    return self.file_mode(dir, access);
                }
                let bytes = content.bytes.as_deref().ok_or_else(|| {
                    ItemError::new(ErrorCode::Internal, "the content to be written is not at hand")
                })?;
                self.file(dir, bytes, access)
            }
            (None, Some(Entry::Directory { access, .. })) => self.new_directory(dir, access),
            (Some(Entry::Directory { access: found, .. }), Some(Entry::Directory { access, .. })) => {
                self.directory_access(dir, found, access)
            }
            (None | Some(Entry::Link { .. }), Some(Entry::Link { target, owner, group })) => {
                self.link(dir, target, owner, group)
            }
            (Some(Entry::Directory { entries, .. }), None) => match entries {
                Some(entries) if entries.count > 0 => self.remove_tree(dir),
                _ => self.remove(dir, AtFlags::REMOVEDIR),
            },
            (Some(_), None) => self.remove(dir, AtFlags::empty()),
            (None, Some(Entry::Special { .. })) => {
                Err(ItemError::new(ErrorCode::Unsupported, "no pipe, socket or device is made"))
            }
            (Some(prior), Some(goal)) => {
                Err(conflict(format!("a {} is not turned into a {}", prior.kind(), goal.kind())))
            }
        }
    }

    /// Looks once more, right before the path changes: that it still leads into the directory at
    /// hand, and that what is there is what was looked at.
    fn still_the_same(&self, dir: &Dir) -> Result<(), ItemError> {
        let error = doing("the path cannot be looked at");
        let now = self.tree.find(&self.path.parent)?;
        let now = now.ok_or_else(|| stale("the directory of the path was removed meanwhile"))?;
        let held = fs::fstat(dir).map_err(&error)?;
        let named = fs::fstat(&*now).map_err(&error)?;
        if !Stamp::of(&held).same_inode(&Stamp::of(&named)) {
            return Err(stale("the directory of the path was replaced meanwhile"));
        }
        let stamp = dir.stat(&self.path.name).map_err(&error)?.as_ref().map(Stamp::of);
        if stamp != self.look.stamp {
            return Err(stale("the path was changed meanwhile"));
        }
        if self.cx.cancelled() {
            return Err(ItemError::new(ErrorCode::Cancelled, "cancelled; nothing was changed"));
        }
        reached(At::Prepared);
        Ok(())
    }

    /// Puts what has been prepared in place: over what was looked at, or where there was nothing.
    fn put_in_place(
        &self,
        dir: &Arc<Dir>,
        temporary: Temporary,
        announced: Option<Announced>,
    ) -> Result<(), ItemError> {
        self.still_the_same(dir)?;
        let result = if self.look.stamp.is_some() {
            fs::renameat(&**dir, &*temporary.name, &**dir, &*self.path.name)
        } else {
            let flags = RenameFlags::NOREPLACE;
            fs::renameat_with(&**dir, &*temporary.name, &**dir, &*self.path.name, flags)
        };
        match result {
            Ok(()) => {
                temporary.keep();
                reached(At::Done);
                match announced {
                    Some(announced) => announced.sync(&**dir).map_err(not_durable),
                    None => sync_directory(dir),
                }
            }
            Err(Errno::EXIST | Errno::NOTEMPTY | Errno::ISDIR | Errno::NOTDIR) => {
                Err(stale("something else appeared at the path meanwhile"))
            }
            Err(Errno::INVAL) => Err(ItemError::new(
                ErrorCode::Unsupported,
                "this file system cannot rename without overwriting, so nothing new can be made safely",
            )),
            Err(errno) => Err(system(errno, "the new file cannot be put in place")),
        }
    }

    fn file(&self, dir: &Arc<Dir>, bytes: &[u8], access: &Access) -> Result<(), ItemError> {
        let (uid, gid) = self.names.ids(&access.owner, &access.group)?;
        let (temporary, fd) = Temporary::file(self.cx, dir)?;
        let mut file = File::from(fd);
        let failed = |e: std::io::Error| match Errno::from_io_error(&e) {
            Some(errno) => system(errno, "the new content cannot be written"),
            None => ItemError::new(ErrorCode::Failed, format!("the new content cannot be written: {e}")),
        };
        file.write_all(bytes).map_err(failed)?;
        own(&file, uid, gid)?;
        // After the owner, which takes capabilities away; before the mode, which an access list sets.
        if let Some(old) = &self.look.fd {
            xattr::copy(old, &file)?;
        }
        set_mode(&file, access.mode)?;
        if let Some(argv) = self.validate {
            let walked = self.tree.walk(self.tree.root(), &self.path.parent)?.dir();
            let private = access.mode & 0o004 == 0
                || !walked.is_some_and(|dir| dir.open_to_others)
                || self.look.entry.as_ref().is_some_and(Entry::is_secret);
            let path = candidate::path_of(&**dir, temporary.shown(), &file)?;
            candidate::check(self.cx, argv, &path, private, self.limit)?;
        }
        let coming = announce_sync(&**dir).map_err(doing("the directory cannot be looked at"))?;
        file.sync_all().map_err(failed)?;
        // What others could reach under its temporary name must still be what was planned.
        file.rewind().map_err(failed)?;
        let same = holds(&mut file, bytes).map_err(failed)?;
        let stat = fs::fstat(&file).map_err(doing("the new content cannot be looked at"))?;
        if !same || (stat.st_uid, stat.st_gid, stat.st_mode & 0o7777) != (uid, gid, access.mode) {
            return Err(ItemError::new(
                ErrorCode::Failed,
                "the candidate was changed before it was put in place, or the file system keeps other permissions",
            ));
        }
        self.put_in_place(dir, temporary, Some(coming))
    }

    fn file_mode(&self, dir: &Arc<Dir>, access: &Access) -> Result<(), ItemError> {
        let fd = self.look.fd.as_ref();
        let fd = fd.ok_or_else(|| ItemError::new(ErrorCode::Internal, "the file is not open"))?;
        self.still_the_same(dir)?;
        set_mode(fd, access.mode)?;
        reached(At::Done);
        fs::fsync(fd).map_err(doing("the new mode cannot be made durable")).map_err(after)?;
        kept_mode(fd, access.mode).map_err(after)
    }

    fn new_directory(&self, dir: &Arc<Dir>, access: &Access) -> Result<(), ItemError> {
        let (uid, gid) = self.names.ids(&access.owner, &access.group)?;
        let (temporary, fd) = Temporary::directory(self.cx, dir)?;
        own(&fd, uid, gid)?;
        set_mode(&fd, access.mode)?;
        kept_mode(&fd, access.mode)?;
        fs::fsync(&fd).map_err(doing("the new directory cannot be made durable"))?;
        self.put_in_place(dir, temporary, None)
    }

    fn directory_access(&self, dir: &Arc<Dir>, found: &Access, access: &Access) -> Result<(), ItemError> {
        let (uid, gid) = self.names.ids(&access.owner, &access.group)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let opened = dir.open(&self.path.name, flags, Mode::empty());
        let fd = opened.map_err(doing("the directory cannot be opened"))?;
        let stat = fs::fstat(&fd).map_err(doing("the directory cannot be looked at"))?;
        if Some(Stamp::of(&stat)) != self.look.stamp {
            return Err(stale("the path was changed meanwhile"));
        }
        self.still_the_same(dir)?;
        let chown = (uid, gid) != self.look.ids;
        if chown {
            own(&fd, uid, gid)?;
        }
        // Two calls cannot be one; between them the directory has the new owner and the old mode.
        let half = |error: ItemError| {
            if chown { after(ItemError { code: ErrorCode::Partial, ..error }) } else { error }
        };
        if access.mode != found.mode {
            set_mode(&fd, access.mode).map_err(half)?;
        }
        reached(At::Done);
        fs::fsync(&fd).map_err(doing("the change cannot be made durable")).map_err(after)?;
        kept_mode(&fd, access.mode).map_err(after)
    }

    fn link(&self, dir: &Arc<Dir>, target: &str, owner: &str, group: &str) -> Result<(), ItemError> {
        let (uid, gid) = self.names.ids(owner, group)?;
        let temporary = Temporary::link(self.cx, dir, target)?;
        let made = dir.stat(&temporary.name).map_err(doing("the new link cannot be looked at"))?;
        if made.is_none_or(|stat| (stat.st_uid, stat.st_gid) != (uid, gid)) {
            let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
            fs::chownat(&**dir, &*temporary.name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)
                .map_err(doing("the owner of the new link cannot be set"))?;
        }
        self.put_in_place(dir, temporary, None)
    }

    fn remove(&self, dir: &Arc<Dir>, flags: AtFlags) -> Result<(), ItemError> {
        self.still_the_same(dir)?;
        match fs::unlinkat(&**dir, &*self.path.name, flags) {
            Ok(()) => {
                reached(At::Done);
                sync_directory(dir)
            }
            Err(Errno::NOTEMPTY | Errno::EXIST) => {
                Err(conflict("the directory is not empty").hint("remove what it holds first"))
            }
            Err(Errno::NOENT | Errno::ISDIR | Errno::NOTDIR) => Err(stale("the path was changed meanwhile")),
            Err(Errno::BUSY) => Err(conflict("the path is a mount point")),
            Err(errno) => Err(system(errno, "the path cannot be removed")),
        }
    }

    /// Moves the directory aside in one step, looks whether it is the one that was planned on, and
    /// only then removes what it holds: nobody sees half of it, and nothing that was added
    /// meanwhile is lost.
    fn remove_tree(&self, dir: &Arc<Dir>) -> Result<(), ItemError> {
        let Some(Entry::Directory { entries: Some(expected), .. }) = &self.look.entry else {
            return Err(ItemError::new(ErrorCode::Internal, "what the directory holds was not looked at"));
        };
        self.still_the_same(dir)?;
        let name = random_name()?;
        let keep = RenameFlags::NOREPLACE;
        fs::renameat_with(&**dir, &*self.path.name, &**dir, &*name, keep).map_err(|errno| match errno {
            Errno::NOENT => stale("the path was changed meanwhile"),
            Errno::BUSY => conflict("the path is a mount point"),
            errno => system(errno, "the directory cannot be moved aside"),
        })?;
        reached(At::Done);
        let shown = name.to_string_lossy().into_owned();
        let looked = self.same_tree(dir, &name, expected.tree);
        let fd = match looked {
            Ok(fd) => fd,
            Err(error) => {
                return match fs::renameat_with(&**dir, &*name, &**dir, &*self.path.name, keep) {
                    Ok(()) => Err(error),
                    Err(errno) => Err(after(system(errno, &format!("`{shown}` cannot be moved back")))),
                };
            }
        };
        sync_directory(dir)?;
        let removed = listing::clear(&fd).and_then(|()| {
            fs::unlinkat(&**dir, &*name, AtFlags::REMOVEDIR).map_err(doing("the directory cannot be removed"))
        });
        removed.map_err(|error| {
            let hint =
                format!("what is left of it is called `{shown}`, beside where it was; remove it by hand");
            after(ItemError { code: ErrorCode::Partial, ..error }).hint(hint)
        })?;
        sync_directory(dir)
    }

    fn same_tree(&self, dir: &Dir, name: &CString, expected: Digest) -> Result<OwnedFd, ItemError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let fd = dir.open(name, flags, Mode::empty()).map_err(|_| stale("the path was changed meanwhile"))?;
        let stat = fs::fstat(&fd).map_err(doing("the directory cannot be looked at"))?;
        if !self.look.stamp.is_some_and(|stamp| stamp.same_inode(&Stamp::of(&stat))) {
            return Err(stale("the directory was replaced meanwhile"));
        }
        let entries = listing::entries(&fd)?;
        if entries.tree != expected {
            return Err(stale(format!("the directory changed meanwhile: it holds {}", count(entries.count))));
        }
        Ok(fd)
    }
}

fn own(fd: impl std::os::fd::AsFd, uid: u32, gid: u32) -> Result<(), ItemError> {
    let stat = fs::fstat(&fd).map_err(doing("the new file cannot be looked at"))?;
    let changed = |found: u32, wanted: u32| (found != wanted).then_some(wanted);
    let (uid, gid) = (changed(stat.st_uid, uid), changed(stat.st_gid, gid));
    if uid.is_some() || gid.is_some() {
        fs::fchown(&fd, uid.map(Uid::from_raw), gid.map(Gid::from_raw))
            .map_err(doing("the owner or group cannot be set"))?;
    }
    Ok(())
}

/// Whether a file holds these bytes from here to its end.
fn holds(file: &mut File, bytes: &[u8]) -> std::io::Result<bool> {
    // One more than is expected, so that the end is seen with the last of them.
    let mut piece = vec![0; PIECE_BYTES.min(bytes.len().saturating_add(1))];
    let mut rest = bytes;
    loop {
        let length = match file.read(&mut piece) {
            Ok(0) => return Ok(rest.is_empty()),
            Ok(length) => length,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(e),
        };
        match (rest.split_at_checked(length), piece.get(..length)) {
            (Some((expected, after)), Some(found)) if expected == found => rest = after,
            _ => return Ok(false),
        }
    }
}

fn set_mode(fd: impl std::os::fd::AsFd, mode: u32) -> Result<(), ItemError> {
    fs::fchmod(fd, Mode::from_raw_mode(mode)).map_err(doing("the mode cannot be set"))
}

/// Some systems drop set-id bits without a word.
fn kept_mode(fd: impl std::os::fd::AsFd, mode: u32) -> Result<(), ItemError> {
    let stat = fs::fstat(fd).map_err(doing("the mode cannot be looked at"))?;
    if stat.st_mode & 0o7777 == mode {
        return Ok(());
    }
    Err(ItemError::new(ErrorCode::Failed, "the file system keeps another mode than the one that was set"))
}

/// The last act of a change: its error says that the change is there, yet might not survive.
fn sync_directory(dir: &Dir) -> Result<(), ItemError> {
    rectify_sdk::sync_directory(dir).map_err(not_durable)
}

fn not_durable(errno: Errno) -> ItemError {
    after(doing("the change is in place, but the directory cannot be made durable")(errno))
}

fn random_name() -> Result<CString, ItemError> {
    let mut bytes = [0; 8];
    let error = |e: String| ItemError::new(ErrorCode::Failed, format!("there is no random name: {e}"));
    getrandom::fill(&mut bytes).map_err(|e| error(e.to_string()))?;
    CString::new(format!("{TEMPORARY_PREFIX}{:016x}", u64::from_le_bytes(bytes)))
        .map_err(|e| error(e.to_string()))
}

/// Something that is not in place yet; removed unless it gets there.
struct Temporary {
    dir: Arc<Dir>,
    name: CString,
    flags: AtFlags,
    in_place: bool,
}

impl Temporary {
    /// Makes something under a new name, trying another name where one is taken. First it removes what
    /// an earlier attempt at the same operation left behind when it was killed.
    fn make<T>(
        cx: &Context,
        dir: &Arc<Dir>,
        flags: AtFlags,
        make: impl Fn(&CString) -> Result<T, Errno>,
    ) -> Result<(Self, T), ItemError> {
        let mut own = cx.operation().and_then(|op_id| Self::tidy(dir, op_id));
        loop {
            let name = own.take().map_or_else(random_name, Ok)?;
            match make(&name) {
                Ok(made) => return Ok((Self { dir: Arc::clone(dir), name, flags, in_place: false }, made)),
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(system(errno, "nothing can be made in the directory")),
            }
        }
    }

    /// Removes what has a name of the operation. Returns one that nothing had: somebody who is slow to
    /// die may still hold one that was taken away, and must not find ours under it.
    fn tidy(dir: &Dir, op_id: &str) -> Option<CString> {
        let mut free = None;
        for number in 0..OPERATION_NAMES {
            let name = format!("{TEMPORARY_PREFIX}{}-{number}", op_id.get(..16)?);
            let name = CString::new(name).ok()?;
            match fs::unlinkat(dir, &*name, AtFlags::empty()) {
                Err(Errno::NOENT) => free = free.or(Some(name)),
                Err(Errno::ISDIR) => drop(fs::unlinkat(dir, &*name, AtFlags::REMOVEDIR)),
                Ok(()) | Err(_) => {}
            }
        }
        free
    }

    fn file(cx: &Context, dir: &Arc<Dir>) -> Result<(Self, OwnedFd), ItemError> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL;
        let mode = Mode::RUSR | Mode::WUSR;
        Self::make(cx, dir, AtFlags::empty(), |name| dir.open(name, flags, mode))
    }

    fn directory(cx: &Context, dir: &Arc<Dir>) -> Result<(Self, OwnedFd), ItemError> {
        let (temporary, ()) =
            Self::make(cx, dir, AtFlags::REMOVEDIR, |name| fs::mkdirat(&**dir, &**name, Mode::RWXU))?;
        let opened = dir.open(&temporary.name, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty());
        Ok((temporary, opened.map_err(doing("the new directory cannot be opened"))?))
    }

    fn link(cx: &Context, dir: &Arc<Dir>, target: &str) -> Result<Self, ItemError> {
        Ok(Self::make(cx, dir, AtFlags::empty(), |name| fs::symlinkat(target, &**dir, &**name))?.0)
    }

    fn shown(&self) -> &str {
        self.name.to_str().unwrap_or(TEMPORARY_PREFIX)
    }

    fn keep(mut self) {
        self.in_place = true;
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.in_place {
            // Nothing more can be done about an error here; the name says whose it is.
            let _ = fs::unlinkat(&*self.dir, &*self.name, self.flags);
        }
    }
}
