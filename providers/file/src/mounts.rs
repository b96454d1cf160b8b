//! Mount points: what is mounted cannot be replaced or removed under its name.

use crate::errors::{conflict, doing};
use rectify_sdk::protocol::ItemError;
use rustix::{
    fs::{self, AtFlags, StatxAttributes, StatxFlags},
    io::Errno,
};
use std::{ffi::CStr, os::fd::AsFd};

/// What is at a name, without following a link.
pub(crate) struct Status {
    /// With the bits of its kind.
    pub(crate) mode: u32,
    pub(crate) size: u64,
    /// Whether something is mounted there. A kernel before 5.8 does not say; then this is `false`.
    pub(crate) is_mount_point: bool,
}

/// Looks at a name in a directory.
pub(crate) fn status(dir: impl AsFd, name: &CStr) -> Result<Status, Errno> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    let found = fs::statx(dir, name, flags, StatxFlags::BASIC_STATS)?;
    Ok(Status {
        mode: found.stx_mode.into(),
        size: found.stx_size,
        is_mount_point: found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT),
    })
}

/// Refuses a name at which something is mounted, before anything is tried.
pub(crate) fn refuse(dir: impl AsFd, name: &CStr) -> Result<(), ItemError> {
    match status(dir, name) {
        Ok(Status { is_mount_point: true, .. }) => Err(conflict(
            "the path is a mount point: what is mounted there can be neither replaced nor removed",
        )
        .at("/path")
        .hint("change what is mounted where it comes from, or unmount it in a step before")),
        Ok(_) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(doing("the path cannot be looked at")(errno)),
    }
}
