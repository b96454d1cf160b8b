//! What needs no file system, for those who have only bytes: tests that try any bytes at all.

use crate::{addresses, kernel, mounts, os, packages, units};
use rectify_sdk::protocol::ItemError;
use serde_json::{Map, Value};
use std::{collections::BTreeMap, net::Ipv6Addr};

/// What `facts.os` tells of an os-release file.
#[must_use]
pub fn os(text: &str) -> Value {
    os::os(text)
}

/// What `facts.packages` tells of a status file of dpkg.
#[must_use]
pub fn packages(status: &str) -> BTreeMap<String, &str> {
    packages::installed(status)
}

/// What `facts.mounts` tells of a mount table, in a session with this work directory.
///
/// # Errors
/// A line that the kernel does not write; too many mounts.
pub fn mounts(table: &str, work: &str) -> Result<Map<String, Value>, ItemError> {
    mounts::mounts(table, work)
}

/// The lasting addresses of `/proc/net/if_inet6`: interface, address, length of the prefix.
#[must_use]
pub fn addresses(table: &str) -> Vec<(String, (Ipv6Addr, u32))> {
    addresses::six(table)
}

/// What `facts.kernel` tells.
#[must_use]
pub fn kernel(release: &str, machine: &str) -> Value {
    kernel::kernel(release, machine)
}

/// Whether a file of this name is a unit, and the template that it is an instance of.
#[must_use]
pub fn unit(name: &str) -> (bool, Option<String>) {
    (units::is_unit(name), units::template_of(name))
}
