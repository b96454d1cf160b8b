//! What cannot be changed as things are: what is mounted cannot be replaced or removed under its
//! name, and what is marked immutable cannot be changed at all.

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
    /// Whether it is marked as immutable, or as one that only grows.
    pub(crate) is_fixed: bool,
}

/// Looks at a name in a directory.
pub(crate) fn status(dir: impl AsFd, name: &CStr) -> Result<Status, Errno> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    let found = fs::statx(dir, name, flags, StatxFlags::BASIC_STATS)?;
    Ok(Status {
        mode: found.stx_mode.into(),
        size: found.stx_size,
        is_mount_point: found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT),
        is_fixed: found.stx_attributes.intersects(StatxAttributes::IMMUTABLE | StatxAttributes::APPEND),
    })
}

/// Refuses a change that is bound to fail, before anything is tried.
///
/// `replaced`: whether something else, or nothing, will be under the name; what is only changed in its
/// place may be a mount point.
pub(crate) fn refuse(dir: impl AsFd, name: &CStr, replaced: bool) -> Result<(), ItemError> {
    let status = match status(dir, name) {
        Ok(status) => status,
        Err(Errno::NOENT) => return Ok(()),
        Err(errno) => return Err(doing("the path cannot be looked at")(errno)),
    };
    if status.is_mount_point && replaced {
        let message = "the path is a mount point: what is mounted there can be neither replaced nor removed";
        return Err(conflict(message)
            .at("/path")
            .hint("change what is mounted where it comes from, or unmount it before"));
    }
    if status.is_fixed {
        return Err(conflict("the path is marked as immutable, or as one that only grows")
            .at("/path")
            .hint("take the mark away with `chattr -i -a` before"));
    }
    Ok(())
}
