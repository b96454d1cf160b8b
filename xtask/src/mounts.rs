//! Mounts of hosts and machines to test on. They are made in a mount namespace of their own, and are gone with its last process.

use crate::run::Outcome;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use std::path::{Path, PathBuf};

/// Parts this process from the mounts of the machine.
pub fn part() -> Outcome {
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS)
        .map_err(|e| format!("no mount namespace: {e}"))?;
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
        .map_err(|e| format!("the mounts cannot be made private: {e}"))
}

/// Mounts directories over each other, the uppermost first, with what changes in `upper`.
pub fn overlay(lower: &[&Path], upper: &Path, work: &Path, at: &Path) -> Outcome {
    let lower: Vec<String> = lower.iter().map(|path| path.display().to_string()).collect();
    let options =
        format!("lowerdir={},upperdir={},workdir={}", lower.join(":"), upper.display(), work.display());
    mount(Some("overlay"), at, Some("overlay"), MsFlags::empty(), Some(options.as_str()))
        .map_err(|e| format!("{}: the overlay cannot be mounted: {e}", at.display()))
}

/// An empty file system in memory.
pub fn memory(at: &Path) -> Outcome {
    mount(Some("tmpfs"), at, Some("tmpfs"), MsFlags::empty(), Some("mode=0755"))
        .map_err(|e| format!("{}: no tmpfs can be mounted: {e}", at.display()))
}

/// Shows a directory at another place too, without what is mounted below it.
pub fn shared(directory: &Path, at: &Path) -> Outcome {
    mount(Some(directory), at, None::<&str>, MsFlags::MS_BIND, None::<&str>)
        .map_err(|e| format!("{}: cannot be shown in {}: {e}", directory.display(), at.display()))
}

/// Mount points below a directory, the deepest first.
pub fn below(directory: &Path) -> Result<Vec<PathBuf>, String> {
    let mounts = crate::run::read(Path::new("/proc/self/mountinfo"))?;
    let points = mounts.lines().filter_map(|line| line.split(' ').nth(4)).map(PathBuf::from);
    let mut found: Vec<PathBuf> = points.filter(|point| point.starts_with(directory)).collect();
    found.sort();
    found.reverse();
    Ok(found)
}

/// Unmounts everything below a directory.
pub fn end(directory: &Path) -> Outcome {
    for point in below(directory)? {
        umount2(&point, MntFlags::MNT_DETACH).map_err(|e| format!("{}: {e}", point.display()))?;
    }
    Ok(())
}
