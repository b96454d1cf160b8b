//! A private view of the file system in which only the work directory can be written.
//!
//! Each mount is remounted by its path, read-only and without devices, with the flags that it has.
//! That is what `mount_setattr` with `AT_RECURSIVE` does in one call, for which there is no safe
//! wrapper; our copy of the mount table is private, so nothing can be added between the steps.

use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
};
use rustix::fs::{AtFlags, CWD, StatxFlags, statx};
use std::{
    ffi::OsString,
    fs, io,
    os::unix::ffi::OsStringExt,
    path::{Path, PathBuf},
};

/// Device nodes that harm nobody. Each is bound onto itself, so that it stays usable.
pub(super) const DEVICES: [&str; 5] = ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];

/// Enters new namespaces for mounts, processes and System V IPC, and makes everything read-only
/// but `work`. The caller's next child is the first process of the process namespace.
pub(super) fn enter(work: &Path) -> Result<(), String> {
    unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWIPC)
        .map_err(|e| format!("unshare: {e}"))?;
    change(None, Path::new("/"), MsFlags::MS_REC | MsFlags::MS_PRIVATE)?;
    let mut writable = vec![work.to_owned()];
    writable.extend(DEVICES.iter().map(PathBuf::from).filter(|p| p.exists()));
    for path in &writable {
        change(Some(path), path, MsFlags::MS_BIND)?;
    }
    for entry in table().map_err(|e| format!("mount table: {e}"))? {
        if !writable.contains(&entry.path) {
            make_read_only(&entry)?;
        }
    }
    // The working directory still refers to the mount beneath.
    std::env::set_current_dir(work).map_err(|e| format!("{}: {e}", work.display()))
}

fn change(source: Option<&Path>, target: &Path, flags: MsFlags) -> Result<(), String> {
    mount(source, target, None::<&str>, flags, None::<&str>)
        .map_err(|e| format!("mount {}: {e}", target.display()))
}

fn make_read_only(entry: &Mount) -> Result<(), String> {
    let seen = statx(CWD, &entry.path, AtFlags::NO_AUTOMOUNT | AtFlags::SYMLINK_NOFOLLOW, StatxFlags::MNT_ID);
    match &seen {
        // Another mount lies over it, or its directory is gone: no path leads to it, and nothing
        // can be unmounted any more.
        Ok(stat) if stat.stx_mask & StatxFlags::MNT_ID.bits() != 0 && stat.stx_mnt_id != entry.id => {
            return Ok(());
        }
        Err(e) if matches!(*e, rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => return Ok(()),
        Ok(_) | Err(_) => {}
    }
    let flags = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY | MsFlags::MS_NODEV | entry.flags;
    change(None, &entry.path, flags)
}

struct Mount {
    id: u64,
    path: PathBuf,
    /// Flags that a remount has to repeat in order to keep them.
    flags: MsFlags,
}

fn table() -> io::Result<Vec<Mount>> {
    parse(&fs::read("/proc/self/mountinfo")?)
}

/// Numbers and paths of the mounts in a mount table.
pub(crate) fn points(text: &[u8]) -> io::Result<Vec<(u64, PathBuf)>> {
    Ok(parse(text)?.into_iter().map(|mount| (mount.id, mount.path)).collect())
}

fn parse(text: &[u8]) -> io::Result<Vec<Mount>> {
    text.split(|b| *b == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| {
            entry(line).ok_or_else(|| {
                io::Error::other(format!("unexpected line `{}`", String::from_utf8_lossy(line)))
            })
        })
        .collect()
}

fn entry(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|b| *b == b' ');
    let id = std::str::from_utf8(fields.next()?).ok()?.parse().ok()?;
    let path = PathBuf::from(OsString::from_vec(unescape(fields.nth(3)?)));
    let options = std::str::from_utf8(fields.next()?).ok()?;
    let mut flags = MsFlags::empty();
    for option in options.split(',') {
        flags |= match option {
            "nosuid" => MsFlags::MS_NOSUID,
            "nodev" => MsFlags::MS_NODEV,
            "noexec" => MsFlags::MS_NOEXEC,
            "noatime" => MsFlags::MS_NOATIME,
            "nodiratime" => MsFlags::MS_NODIRATIME,
            "relatime" => MsFlags::MS_RELATIME,
            _ => MsFlags::empty(),
        };
    }
    if !flags.intersects(MsFlags::MS_NOATIME | MsFlags::MS_RELATIME) {
        flags |= MsFlags::MS_STRICTATIME;
    }
    Some(Mount { id, path, flags })
}

/// Undoes the kernel's escapes: a backslash and three octal digits.
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, tail)) = rest.split_first() {
        let octal = tail.get(..3).filter(|_| *first == b'\\').and_then(|digits| {
            digits
                .iter()
                .try_fold(0_u32, |sum, d| matches!(d, b'0'..=b'7').then(|| sum * 8 + u32::from(d - b'0')))
        });
        match octal.and_then(|value| u8::try_from(value).ok()) {
            Some(byte) => {
                out.push(byte);
                rest = tail.get(3..).unwrap_or_default();
            }
            None => {
                out.push(*first);
                rest = tail;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_line_of_the_table_is_read() {
        let line = b"36 35 98:0 /mnt1 /mnt/with\\040space rw,nosuid,noatime master:1 - ext3 /dev/root rw";
        let mount = entry(line).unwrap();
        assert_eq!(mount.id, 36);
        assert_eq!(mount.path, Path::new("/mnt/with space"));
        assert_eq!(mount.flags, MsFlags::MS_NOSUID | MsFlags::MS_NOATIME);
    }

    #[test]
    fn a_lone_backslash_stays() {
        assert_eq!(unescape(b"a\\b\\134\\9"), b"a\\b\\\\9");
    }
}
