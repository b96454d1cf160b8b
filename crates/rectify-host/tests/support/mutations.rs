//! Every way of changing something outside that we know, each as one attempt.
//!
//! An attempt on files works in a directory of its own with a file `file` (that has the attribute
//! `user.test`), an empty directory `dir` and a link `link` to `file`.

use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    sched::{CloneFlags, setns, unshare},
};
use rustix::{
    fs::{
        self as rfs, AtFlags, CWD, FallocateFlags, FileType, Gid, IFlags, Mode, OFlags, RenameFlags,
        Timespec, Timestamps, Uid, XattrFlags,
    },
    process::{self, Pid, PidfdFlags, Resource, Rlimit, Signal},
};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, IoSlice, Write},
    os::{
        fd::AsRawFd,
        unix::{fs as ufs, net::UnixListener},
    },
    path::Path,
};

type FileAttempt = fn(&Path) -> io::Result<()>;

/// Name of the attribute that each `file` has.
pub const ATTRIBUTE: &str = "user.test";

fn open(path: impl AsRef<Path>, flags: OFlags) -> io::Result<File> {
    Ok(File::from(rfs::open(path.as_ref(), flags | OFlags::CLOEXEC, Mode::from_raw_mode(0o600))?))
}

fn reading(dir: &Path) -> io::Result<File> {
    File::open(dir.join("file"))
}

fn epoch() -> Timestamps {
    let then = Timespec { tv_sec: 1000, tv_nsec: 0 };
    Timestamps { last_access: then, last_modification: then }
}

/// Attempts on files and directories. Each succeeds where nothing prevents it.
pub const FILES: &[(&str, FileAttempt)] = &[
    ("create", |d| File::create_new(d.join("new")).map(drop)),
    ("open-write", |d| OpenOptions::new().write(true).open(d.join("file"))?.write_all(b"x")),
    ("open-append", |d| OpenOptions::new().append(true).open(d.join("file"))?.write_all(b"x")),
    ("open-read-write", |d| open(d.join("file"), OFlags::RDWR)?.write_all(b"x")),
    ("open-truncate", |d| open(d.join("file"), OFlags::WRONLY | OFlags::TRUNC).map(drop)),
    ("open-truncate-for-reading", |d| open(d.join("file"), OFlags::RDONLY | OFlags::TRUNC).map(drop)),
    ("open-temporary", |d| open(d, OFlags::TMPFILE | OFlags::WRONLY)?.write_all(b"x")),
    ("write-through-link", |d| OpenOptions::new().write(true).open(d.join("link"))?.write_all(b"x")),
    ("reopen-through-proc", |d| {
        let file = reading(d)?;
        let again = format!("/proc/self/fd/{}", file.as_raw_fd());
        OpenOptions::new().write(true).open(again)?.write_all(b"x")
    }),
    ("truncate", |d| Ok(nix::unistd::truncate(&d.join("file"), 1)?)),
    ("fallocate", |d| {
        let file = OpenOptions::new().write(true).open(d.join("file"))?;
        Ok(rfs::fallocate(file, FallocateFlags::empty(), 0, 8192)?)
    }),
    ("mkdir", |d| fs::create_dir(d.join("new"))),
    ("mkdirat", |d| Ok(rfs::mkdirat(File::open(d)?, "new", Mode::from_raw_mode(0o700))?)),
    ("rmdir", |d| fs::remove_dir(d.join("dir"))),
    ("unlink", |d| fs::remove_file(d.join("file"))),
    ("unlinkat", |d| Ok(rfs::unlinkat(File::open(d)?, "file", AtFlags::empty())?)),
    ("unlinkat-directory", |d| Ok(rfs::unlinkat(File::open(d)?, "dir", AtFlags::REMOVEDIR)?)),
    ("rename", |d| fs::rename(d.join("file"), d.join("new"))),
    ("rename-into-directory", |d| fs::rename(d.join("file"), d.join("dir/file"))),
    ("renameat2-exchange", |d| {
        let at = File::open(d)?;
        Ok(rfs::renameat_with(&at, "file", &at, "dir", RenameFlags::EXCHANGE)?)
    }),
    ("link", |d| fs::hard_link(d.join("file"), d.join("new"))),
    ("linkat", |d| {
        let at = File::open(d)?;
        Ok(rfs::linkat(&at, "file", &at, "new", AtFlags::empty())?)
    }),
    ("symlink", |d| ufs::symlink("file", d.join("new"))),
    ("symlinkat", |d| Ok(rfs::symlinkat("file", File::open(d)?, "new")?)),
    ("mknod-file", |d| {
        Ok(rfs::mknodat(CWD, d.join("new"), FileType::RegularFile, Mode::from_raw_mode(0o600), 0)?)
    }),
    ("mkfifo", |d| Ok(rfs::mknodat(CWD, d.join("new"), FileType::Fifo, Mode::from_raw_mode(0o600), 0)?)),
    ("bind-socket", |d| UnixListener::bind(d.join("new")).map(drop)),
    ("chmod", |d| Ok(rfs::chmod(d.join("file"), Mode::from_raw_mode(0o777))?)),
    ("fchmod", |d| Ok(rfs::fchmod(reading(d)?, Mode::from_raw_mode(0o777))?)),
    ("fchmodat", |d| Ok(rfs::chmodat(File::open(d)?, "file", Mode::from_raw_mode(0o777), AtFlags::empty())?)),
    ("chmod-directory", |d| Ok(rfs::chmod(d, Mode::from_raw_mode(0o777))?)),
    ("chown", |d| ufs::chown(d.join("file"), Some(12), Some(12))),
    ("lchown", |d| ufs::lchown(d.join("link"), Some(12), Some(12))),
    ("fchown", |d| ufs::fchown(reading(d)?, Some(12), Some(12))),
    ("fchownat", |d| {
        let (user, group) = (Uid::from_raw(12), Gid::from_raw(12));
        Ok(rfs::chownat(File::open(d)?, "file", Some(user), Some(group), AtFlags::empty())?)
    }),
    ("setxattr", |d| Ok(rfs::setxattr(d.join("file"), ATTRIBUTE, b"2", XattrFlags::empty())?)),
    ("lsetxattr", |d| Ok(rfs::lsetxattr(d.join("file"), ATTRIBUTE, b"2", XattrFlags::empty())?)),
    ("fsetxattr", |d| Ok(rfs::fsetxattr(reading(d)?, ATTRIBUTE, b"2", XattrFlags::empty())?)),
    ("removexattr", |d| Ok(rfs::removexattr(d.join("file"), ATTRIBUTE)?)),
    ("lremovexattr", |d| Ok(rfs::lremovexattr(d.join("file"), ATTRIBUTE)?)),
    ("fremovexattr", |d| Ok(rfs::fremovexattr(reading(d)?, ATTRIBUTE)?)),
    ("utimensat", |d| Ok(rfs::utimensat(CWD, d.join("file"), &epoch(), AtFlags::empty())?)),
    ("utimensat-link", |d| Ok(rfs::utimensat(CWD, d.join("link"), &epoch(), AtFlags::SYMLINK_NOFOLLOW)?)),
    ("futimens", |d| Ok(rfs::futimens(reading(d)?, &epoch())?)),
    ("ioctl-setflags", |d| Ok(rfs::ioctl_setflags(reading(d)?, IFlags::NODUMP)?)),
    ("create-through-root-of-parent", |d| {
        // The engine lives outside the confinement; its root is reached through /proc.
        let way = format!("/proc/{}/root{}/new", engine()?, d.display());
        File::create_new(way).map(drop)
    }),
];

/// The process id of the engine: the last argument.
fn engine() -> io::Result<u32> {
    std::env::args().next_back().and_then(|a| a.parse().ok()).ok_or_else(|| io::Error::other("no engine"))
}

/// Attempts on the machine and on other processes: `dir` is a directory as above, `victim` a
/// process outside. Harmless if they succeed.
pub fn machine(dir: &Path, work: &Path, victim: i32) -> Vec<(&'static str, io::Result<()>)> {
    let pid = Pid::from_raw(victim);
    let nix_pid = nix::unistd::Pid::from_raw(victim);
    let no_pid = || io::Error::other("no process");
    let none = None::<&str>;
    let hostname = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let lift = |r: nix::Result<()>| r.map_err(io::Error::from);
    let mut all: Vec<(&'static str, io::Result<()>)> = vec![
        ("mount", lift(mount(Some("none"), dir, Some("tmpfs"), MsFlags::empty(), none))),
        ("mount-bind", lift(mount(Some(work), dir, none, MsFlags::MS_BIND, none))),
        (
            "remount-writable",
            lift(mount(none, "/", none, MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RELATIME, none)),
        ),
        ("umount", lift(umount2(work, MntFlags::MNT_DETACH))),
        ("pivot_root", rustix::process::pivot_root(work, work).map_err(io::Error::from)),
        ("chroot", lift(nix::unistd::chroot(work))),
        ("unshare-mounts", lift(unshare(CloneFlags::CLONE_NEWNS))),
        ("unshare-user", lift(unshare(CloneFlags::CLONE_NEWUSER))),
        ("setns", File::open("/proc/self/ns/uts").and_then(|f| lift(setns(f, CloneFlags::CLONE_NEWUTS)))),
        ("sethostname", lift(nix::unistd::sethostname(hostname.trim()))),
        ("kill", lift(nix::sys::signal::kill(nix_pid, nix::sys::signal::Signal::SIGTERM))),
        ("kill-group", lift(nix::sys::signal::killpg(nix_pid, nix::sys::signal::Signal::SIGTERM))),
        (
            "pidfd_send_signal",
            pid.ok_or_else(no_pid).and_then(|p| {
                let fd = process::pidfd_open(p, PidfdFlags::empty())?;
                Ok(process::pidfd_send_signal(fd, Signal::TERM)?)
            }),
        ),
        ("ptrace", lift(nix::sys::ptrace::attach(nix_pid))),
        (
            "prlimit",
            process::prlimit(pid, Resource::Nofile, Rlimit { current: Some(64), maximum: Some(64) })
                .map(drop)
                .map_err(io::Error::from),
        ),
        ("setpriority", process::setpriority_process(pid, 5).map_err(io::Error::from)),
        (
            "process_vm_writev",
            nix::sys::uio::process_vm_writev(
                nix_pid,
                &[IoSlice::new(b"x")],
                &[nix::sys::uio::RemoteIoVec { base: 4096, len: 1 }],
            )
            .map(drop)
            .map_err(io::Error::from),
        ),
    ];
    let paths = [
        ("open-sysctl", "/proc/sys/vm/swappiness".to_owned()),
        ("open-cgroup-or-sys", "/sys/kernel/mm/transparent_hugepage/enabled".to_owned()),
        ("open-oom-score", format!("/proc/{victim}/oom_score_adj")),
        ("open-memory", format!("/proc/{victim}/mem")),
    ];
    for (name, path) in paths {
        if Path::new(&path).exists() {
            all.push((name, OpenOptions::new().write(true).open(&path).map(drop)));
        }
    }
    if let Some(device) = block_device() {
        all.push(("open-block-device", OpenOptions::new().write(true).open(device).map(drop)));
    }
    // Into the one directory that can be written.
    all.push(("rename-into-work", fs::rename(dir.join("file"), work.join("stolen"))));
    all.push(("link-into-work", fs::hard_link(dir.join("file"), work.join("linked"))));
    all
}

fn block_device() -> Option<std::path::PathBuf> {
    use std::os::unix::fs::FileTypeExt;
    let entries = fs::read_dir("/dev").ok()?;
    entries.flatten().find(|e| e.file_type().is_ok_and(|t| t.is_block_device())).map(|e| e.path())
}
