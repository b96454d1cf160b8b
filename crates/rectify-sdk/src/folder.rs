//! Small files of the target that are read whole and replaced whole, in a directory that is held open:
//! whoever renames or links something meanwhile is never followed.

use crate::{
    Context,
    crash::{At, reached},
    open_beneath,
    shared_sync::sync_directory,
};
use rectify_protocol::{ErrorCode, ItemError, Mutated};
use rustix::{
    fd::{AsFd, OwnedFd},
    fs::{self, AtFlags, FileType, Gid, Mode, OFlags, RenameFlags, ResolveFlags, Stat, Uid},
    io::Errno,
};
use std::{
    ffi::CString,
    fs::File,
    io::{Read, Write},
    path::Path,
};

/// Begins the names of what is not in place yet.
const TEMPORARY_PREFIX: &str = ".rectify-";
/// Names that an operation tries before it gives up: one is left behind whenever it is killed.
const TEMPORARY_NAMES: u32 = 8;

/// Where a directory goes that is being removed.
fn aside(directory: &str) -> Result<CString, ItemError> {
    c_name(&format!("{TEMPORARY_PREFIX}gone-{}", directory.trim_start_matches('.')))
}

/// A directory of the target, held open.
#[derive(Debug)]
pub struct Folder {
    fd: OwnedFd,
}

/// Who a file or directory belongs to, and who may do what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owned {
    /// Numeric user id.
    pub uid: u32,
    /// Numeric group id.
    pub gid: u32,
    /// Permission bits.
    pub mode: u32,
}

impl Owned {
    fn of(stat: &Stat) -> Self {
        Self { uid: stat.st_uid, gid: stat.st_gid, mode: stat.st_mode & 0o7777 }
    }
}

/// A regular file as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmallFile {
    /// All of its content.
    pub bytes: Vec<u8>,
    /// Owner and mode.
    pub owned: Owned,
    /// How many names it has.
    pub links: u64,
    stamp: Stamp,
}

impl SmallFile {
    /// What tells it from any other, without what is in it.
    pub(crate) fn without_content(&self) -> Self {
        Self { bytes: Vec::new(), owned: self.owned, links: self.links, stamp: self.stamp }
    }
}

/// Tells one moment of an inode from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    dev: u64,
    ino: u64,
    changed: (i64, i64),
    modified: (i64, i64),
}

impl Stamp {
    #[expect(clippy::useless_conversion, reason = "the widths differ between architectures")]
    fn of(stat: &Stat) -> Self {
        let nanoseconds = |n| i64::try_from(n).unwrap_or(0);
        Self {
            dev: stat.st_dev.into(),
            ino: stat.st_ino.into(),
            changed: (stat.st_ctime.into(), nanoseconds(stat.st_ctime_nsec)),
            modified: (stat.st_mtime.into(), nanoseconds(stat.st_mtime_nsec)),
        }
    }
}

fn failed(errno: Errno, doing: &str) -> ItemError {
    let code = match errno {
        Errno::ACCESS | Errno::PERM => ErrorCode::Permission,
        Errno::LOOP | Errno::NOTDIR | Errno::XDEV => ErrorCode::Conflict,
        Errno::AGAIN | Errno::INTR => ErrorCode::Transient,
        _ => ErrorCode::Failed,
    };
    let error = ItemError::new(code, format!("{doing}: {errno}"));
    match errno {
        Errno::NOSPC | Errno::DQUOT => error.hint("free some space, then run again"),
        Errno::ROFS => error.hint("the file system is mounted read-only"),
        _ => error,
    }
}

fn io(error: &std::io::Error, doing: &str) -> ItemError {
    match Errno::from_io_error(error) {
        Some(errno) => failed(errno, doing),
        None => ItemError::new(ErrorCode::Failed, format!("{doing}: {error}")),
    }
}

fn stale(name: &str) -> ItemError {
    ItemError::new(ErrorCode::Stale, format!("`{name}` was changed meanwhile")).hint("make a new plan")
}

fn c_name(name: &str) -> Result<CString, ItemError> {
    if name.is_empty() || name == "." || name == ".." || name.contains('/') {
        return Err(ItemError::new(ErrorCode::Internal, format!("`{name}` is not the name of a file")));
    }
    CString::new(name).map_err(|e| ItemError::new(ErrorCode::Internal, e.to_string()))
}

impl Folder {
    /// Opens a directory by its absolute path beneath `root` (`None`: beneath `/`). Links on the way are
    /// followed, so they must be those of the system. `None`: it does not exist.
    ///
    /// # Errors
    /// When it cannot be opened, or is not a directory.
    pub fn open(root: Option<&Path>, path: &Path) -> Result<Option<Self>, ItemError> {
        match open_beneath(root, path, OFlags::PATH | OFlags::DIRECTORY) {
            Ok(fd) => Ok(Some(Self { fd })),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(io(&e, &format!("the directory `{}` cannot be opened", path.display()))),
        }
    }

    /// Opens a directory in this one. A link is not followed. `None`: there is nothing of that name.
    ///
    /// # Errors
    /// `CONFLICT` for what is not a directory.
    pub fn inside(&self, name: &str) -> Result<Option<Self>, ItemError> {
        match self.open_in(&c_name(name)?, OFlags::PATH | OFlags::DIRECTORY, Mode::empty()) {
            Ok(fd) => Ok(Some(Self { fd })),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(failed(errno, &format!("`{name}` is not a directory, or cannot be opened"))),
        }
    }

    /// Owner and mode of the directory.
    ///
    /// # Errors
    /// When it cannot be looked at.
    pub fn owned(&self) -> Result<Owned, ItemError> {
        let stat = fs::fstat(&self.fd).map_err(|e| failed(e, "the directory cannot be looked at"))?;
        Ok(Owned::of(&stat))
    }

    /// Sets owner and mode of the directory, where they differ.
    ///
    /// # Errors
    /// When they cannot be set.
    pub fn set_owned(&self, owned: Owned) -> Result<(), ItemError> {
        if self.owned()? == owned {
            return Ok(());
        }
        let doing = "owner and mode of the directory cannot be set";
        let fd = self.readable().map_err(|e| failed(e, doing))?;
        own(&fd, owned).and_then(|()| fs::fsync(&fd)).map_err(|e| failed(e, doing).mutated(Mutated::Maybe))
    }

    /// Names of what lies in it, sorted. Those that are not UTF-8 are left out.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn names(&self) -> Result<Vec<String>, ItemError> {
        let told = |e| failed(e, "the directory cannot be read");
        let fd = self.readable().map_err(told)?;
        let mut names = Vec::new();
        for entry in fs::Dir::new(fd).map_err(told)? {
            let entry = entry.map_err(told)?;
            if let Ok(name) = entry.file_name().to_str()
                && !matches!(name, "." | "..")
            {
                names.push(name.to_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    fn open_in(&self, name: &CString, flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        loop {
            match fs::openat2(
                &self.fd,
                name.as_c_str(),
                flags | OFlags::NOFOLLOW | OFlags::CLOEXEC,
                mode,
                resolve,
            ) {
                Err(Errno::AGAIN | Errno::INTR) => {}
                result => return result,
            }
        }
    }

    fn readable(&self) -> Result<OwnedFd, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        fs::openat(&self.fd, c".", flags, Mode::empty())
    }

    fn stat(&self, name: &CString) -> Result<Option<Stat>, Errno> {
        match fs::statat(&self.fd, name.as_c_str(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    /// Reads a file whole. `None`: there is nothing of that name. Nothing but a regular file is opened,
    /// and no link is followed.
    ///
    /// # Errors
    /// `CONFLICT` for what is no regular file, `UNSUPPORTED` for one of more than `max_bytes`,
    /// `TRANSIENT` if it was replaced meanwhile.
    pub fn read(&self, name: &str, max_bytes: u64) -> Result<Option<SmallFile>, ItemError> {
        let c_name = c_name(name)?;
        let doing = format!("`{name}` cannot be read");
        let Some(stat) = self.stat(&c_name).map_err(|e| failed(e, &doing))? else { return Ok(None) };
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(ItemError::new(ErrorCode::Conflict, format!("`{name}` is not a regular file")));
        }
        let moved = || {
            ItemError::new(ErrorCode::Transient, format!("`{name}` was replaced while it was read"))
                .hint("try again")
        };
        let fd =
            match self.open_in(&c_name, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY, Mode::empty()) {
                Ok(fd) => fd,
                Err(Errno::NOENT | Errno::LOOP) => return Err(moved()),
                Err(errno) => return Err(failed(errno, &doing)),
            };
        let opened = fs::fstat(&fd).map_err(|e| failed(e, &doing))?;
        if Stamp::of(&opened) != Stamp::of(&stat) {
            return Err(moved());
        }
        let mut bytes = Vec::new();
        let mut file = File::from(fd).take(max_bytes.saturating_add(1));
        file.read_to_end(&mut bytes).map_err(|e| io(&e, &doing))?;
        if bytes.len() as u64 > max_bytes {
            let message = format!("`{name}` is longer than {max_bytes} bytes and is not read");
            return Err(ItemError::new(ErrorCode::Unsupported, message));
        }
        #[expect(clippy::useless_conversion, reason = "the widths differ between architectures")]
        let links = opened.st_nlink.into();
        Ok(Some(SmallFile { bytes, owned: Owned::of(&opened), links, stamp: Stamp::of(&opened) }))
    }

    /// A file as it is now, without its content. `None`: there is nothing of that name.
    ///
    /// # Errors
    /// `CONFLICT` for what is no regular file.
    pub(crate) fn look(&self, name: &str) -> Result<Option<SmallFile>, ItemError> {
        let stat = self.stat(&c_name(name)?).map_err(|e| failed(e, "the file cannot be looked at"))?;
        let Some(stat) = stat else { return Ok(None) };
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(ItemError::new(ErrorCode::Conflict, format!("`{name}` is not a regular file")));
        }
        #[expect(clippy::useless_conversion, reason = "the widths differ between architectures")]
        let links = stat.st_nlink.into();
        Ok(Some(SmallFile { bytes: Vec::new(), owned: Owned::of(&stat), links, stamp: Stamp::of(&stat) }))
    }

    /// That a name still holds what was read (`None`: nothing).
    fn unchanged(&self, name: &str, found: Option<&SmallFile>) -> Result<(), ItemError> {
        let stat = self.stat(&c_name(name)?).map_err(|e| failed(e, "the file cannot be looked at"))?;
        if stat.as_ref().map(Stamp::of) == found.map(|file| file.stamp) { Ok(()) } else { Err(stale(name)) }
    }

    /// Puts a file in the place of what was read (`None`: of nothing), by one rename, durably.
    ///
    /// # Errors
    /// `STALE` if something else is there by now; nothing is changed by an error that does not say so.
    pub fn replace(
        &self,
        cx: &Context,
        name: &str,
        found: Option<&SmallFile>,
        bytes: &[u8],
        owned: Owned,
    ) -> Result<(), ItemError> {
        let doing = format!("`{name}` cannot be written");
        let target = c_name(name)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        let (temporary, fd) = self.temporary(cx, AtFlags::empty(), &doing, |name| {
            self.open_in(name, flags, Mode::RUSR | Mode::WUSR)
        })?;
        let prepared = (|| {
            let mut file = File::from(fd);
            file.write_all(bytes).map_err(|e| io(&e, &doing))?;
            own(&file, owned).map_err(|e| failed(e, &doing))?;
            file.sync_all().map_err(|e| io(&e, &doing))?;
            self.unchanged(name, found)?;
            if cx.cancelled() {
                return Err(ItemError::new(ErrorCode::Cancelled, "cancelled; nothing was changed"));
            }
            reached(At::Prepared);
            let renamed = match found {
                Some(_) => fs::renameat(&self.fd, &*temporary, &self.fd, &*target),
                None => fs::renameat_with(&self.fd, &*temporary, &self.fd, &*target, RenameFlags::NOREPLACE),
            };
            renamed.map_err(|errno| match errno {
                Errno::EXIST | Errno::ISDIR => stale(name),
                errno => failed(errno, &doing),
            })
        })();
        if let Err(error) = prepared {
            // Its name says whose it is; nothing more can be done.
            let _ = fs::unlinkat(&self.fd, &*temporary, AtFlags::empty());
            return Err(error);
        }
        reached(At::Done);
        self.sync()
    }

    /// Removes the file that was read, durably.
    ///
    /// # Errors
    /// `STALE` if something else is there by now.
    pub fn remove(&self, name: &str, found: &SmallFile) -> Result<(), ItemError> {
        self.unchanged(name, Some(found))?;
        reached(At::Prepared);
        fs::unlinkat(&self.fd, &*c_name(name)?, AtFlags::empty()).map_err(|errno| match errno {
            Errno::NOENT | Errno::ISDIR => stale(name),
            errno => failed(errno, &format!("`{name}` cannot be removed")),
        })?;
        reached(At::Done);
        self.sync()
    }

    /// Makes a directory in this one, durably, where there is nothing of that name, and opens it.
    ///
    /// # Errors
    /// `STALE` if something is there by now.
    pub fn make(&self, cx: &Context, name: &str, owned: Owned) -> Result<Self, ItemError> {
        let doing = format!("the directory `{name}` cannot be made");
        let (temporary, ()) = self.temporary(cx, AtFlags::REMOVEDIR, &doing, |name| {
            fs::mkdirat(&self.fd, name.as_c_str(), Mode::RWXU)
        })?;
        let made = (|| {
            let fd = self.open_in(&temporary, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty());
            let fd = fd.map_err(|e| failed(e, &doing))?;
            // Somebody who owns the directory above may have put another one under this name: it is not
            // given away, unless it is as empty as ours and as much our own.
            let stat = fs::fstat(&fd).map_err(|e| failed(e, &doing))?;
            let empty = Self { fd: fd.try_clone().map_err(|e| io(&e, &doing))? }.names()?.is_empty();
            if stat.st_uid != rustix::process::geteuid().as_raw() || !empty {
                return Err(stale(name));
            }
            own(&fd, owned).map_err(|e| failed(e, &doing))?;
            fs::fsync(&fd).map_err(|e| failed(e, &doing))?;
            fs::renameat_with(&self.fd, &*temporary, &self.fd, &*c_name(name)?, RenameFlags::NOREPLACE)
                .map_err(|errno| match errno {
                    Errno::EXIST => stale(name),
                    errno => failed(errno, &doing),
                })?;
            Ok(fd)
        })();
        match made {
            Ok(fd) => self.sync().map(|()| Self { fd }),
            Err(error) => {
                let _ = fs::unlinkat(&self.fd, &*temporary, AtFlags::REMOVEDIR);
                Err(error)
            }
        }
    }

    /// Removes an empty directory in this one; whether it was there and empty.
    ///
    /// # Errors
    /// When it cannot be removed for another reason.
    pub fn remove_empty(&self, name: &str) -> Result<bool, ItemError> {
        match fs::unlinkat(&self.fd, &*c_name(name)?, AtFlags::REMOVEDIR) {
            Ok(()) => self.sync().map(|()| true),
            Err(Errno::NOENT | Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR) => Ok(false),
            Err(errno) => Err(failed(errno, &format!("the directory `{name}` cannot be removed"))),
        }
    }

    /// Removes the file that was read from a directory in this one, durably, and the directory with it if nothing
    /// else is in it: at once, so that nobody finds an empty one. What is left to do where this is broken off
    /// [`clear`](Self::clear) does.
    ///
    /// # Errors
    /// `STALE` if something else is there by now.
    pub fn remove_with_directory(
        &self,
        directory: &str,
        inner: &Self,
        name: &str,
        found: &SmallFile,
    ) -> Result<(), ItemError> {
        if inner.names()? != [name] {
            return inner.remove(name, found);
        }
        self.clear(directory)?;
        inner.unchanged(name, Some(found))?;
        reached(At::Prepared);
        let (here, aside) = (c_name(directory)?, aside(directory)?);
        let doing = format!("the directory `{directory}` cannot be removed");
        let away = |from: &CString, to: &CString| {
            fs::renameat_with(&self.fd, from.as_c_str(), &self.fd, to.as_c_str(), RenameFlags::NOREPLACE)
        };
        away(&here, &aside).map_err(|errno| match errno {
            Errno::NOENT => stale(directory),
            errno => failed(errno, &doing),
        })?;
        // Somebody may have been quicker than the rename.
        if inner.names()? != [name] || inner.unchanged(name, Some(found)).is_err() {
            away(&aside, &here).map_err(|errno| failed(errno, &doing).mutated(Mutated::Yes))?;
            return Err(stale(name));
        }
        reached(At::Done);
        self.sync()?;
        self.clear(directory)
    }

    /// Takes away what is left of a directory that [`remove_with_directory`](Self::remove_with_directory) removed
    /// before it was broken off. To be called by whoever looks at the directory in order to change it.
    ///
    /// # Errors
    /// When that cannot be done.
    pub fn clear(&self, directory: &str) -> Result<(), ItemError> {
        let aside = aside(directory)?;
        let told = |errno| failed(errno, &format!("what is left of `{directory}` cannot be removed"));
        let fd = match self.open_in(&aside, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(()),
            Err(errno) => return Err(told(errno)),
        };
        let left = Self { fd };
        for name in left.names()? {
            match fs::unlinkat(&left.fd, &*c_name(&name)?, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(errno) => return Err(told(errno)),
            }
        }
        match fs::unlinkat(&self.fd, &*aside, AtFlags::REMOVEDIR) {
            Ok(()) => self.sync(),
            Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(told(errno)),
        }
    }

    /// Makes something under a name of the operation, and takes away what an earlier attempt at it left.
    fn temporary<T>(
        &self,
        cx: &Context,
        flags: AtFlags,
        doing: &str,
        make: impl Fn(&CString) -> Result<T, Errno>,
    ) -> Result<(CString, T), ItemError> {
        let operation = cx.operation().and_then(|id| id.get(..16)).unwrap_or("none");
        for number in 0..TEMPORARY_NAMES {
            let name = c_name(&format!("{TEMPORARY_PREFIX}{operation}-{number}"))?;
            match make(&name) {
                Ok(made) => return Ok((name, made)),
                // Somebody who is slow to die may still hold it, so ours gets the next name.
                Err(Errno::EXIST) => drop(fs::unlinkat(&self.fd, &*name, flags)),
                Err(errno) => return Err(failed(errno, doing)),
            }
        }
        Err(ItemError::new(ErrorCode::Busy, format!("{doing}: all names for what is not finished are taken")))
    }

    /// The last act of a change: its error says that the change is there, yet might not survive.
    fn sync(&self) -> Result<(), ItemError> {
        sync_directory(&self.fd).map_err(|errno| {
            let doing = "the change is in place, but the directory cannot be made durable";
            failed(errno, doing).mutated(Mutated::Yes)
        })
    }
}

fn own(file: impl AsFd, owned: Owned) -> Result<(), Errno> {
    let now = Owned::of(&fs::fstat(&file)?);
    if (now.uid, now.gid) != (owned.uid, owned.gid) {
        fs::fchown(&file, Some(Uid::from_raw(owned.uid)), Some(Gid::from_raw(owned.gid)))?;
    }
    // After the owner, which takes bits away.
    fs::fchmod(&file, Mode::from_raw_mode(owned.mode))
}
