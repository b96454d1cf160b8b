//! Extended attributes: POSIX access lists, security labels, capabilities, and what users set.

use crate::errors::doing;
use rectify_sdk::protocol::ItemError;
use rustix::{
    fs::{self, XattrFlags},
    io::Errno,
};
use std::{
    ffi::{CStr, CString},
    os::fd::AsFd,
};

/// Signatures over the old content: wrong for the new one, and made by the kernel where in use.
const OF_CONTENT: [&CStr; 2] = [c"security.ima", c"security.evm"];
/// Set by the kernel's policy on whatever is created.
const LABEL: &CStr = c"security.selinux";
/// Access lists, which a new file may inherit from its directory.
const ACCESS_LIST_PREFIX: &[u8] = b"system.posix_acl_";

fn is_about_content(name: &CStr) -> bool {
    OF_CONTENT.contains(&name)
}

/// Calls with a buffer that is as long as the kernel says, again if it grew meanwhile.
fn sized(
    length: impl Fn() -> Result<usize, Errno>,
    call: impl Fn(&mut [u8]) -> Result<usize, Errno>,
) -> Result<Vec<u8>, Errno> {
    loop {
        let mut buffer = vec![0; length()?];
        if buffer.is_empty() {
            return Ok(buffer);
        }
        match call(&mut buffer) {
            Ok(length) => {
                buffer.truncate(length);
                return Ok(buffer);
            }
            Err(Errno::RANGE) => {}
            Err(errno) => return Err(errno),
        }
    }
}

fn list(fd: impl AsFd) -> Result<Vec<CString>, Errno> {
    let names = match sized(|| fs::flistxattr_query(&fd), |buffer| fs::flistxattr(&fd, buffer)) {
        Ok(names) => names,
        Err(Errno::NOTSUP) => return Ok(Vec::new()),
        Err(errno) => return Err(errno),
    };
    Ok(names.split(|b| *b == 0).filter(|n| !n.is_empty()).filter_map(|n| CString::new(n).ok()).collect())
}

fn value(fd: impl AsFd, name: &CStr) -> Result<Vec<u8>, Errno> {
    sized(|| fs::fgetxattr_query(&fd, name), |buffer| fs::fgetxattr(&fd, name, buffer))
}

/// Gives `to` the attributes of `from`, and takes away access lists that only `to` has.
///
/// # Errors
/// When one cannot be copied: a file that lost its label or access list is not the same file.
pub(crate) fn copy(from: impl AsFd, to: impl AsFd) -> Result<(), ItemError> {
    let wanted = list(&from).map_err(doing("the extended attributes cannot be listed"))?;
    let there = list(&to).map_err(doing("the extended attributes cannot be listed"))?;
    let failed = |name: &CStr| format!("the extended attribute `{}` cannot be kept", name.to_string_lossy());
    for name in wanted.iter().filter(|name| !is_about_content(name)) {
        let what = failed(name);
        let wanted = value(&from, name).map_err(doing(&what))?;
        // The kernel may have set it already, and may not let us set it.
        if !(there.contains(name) && value(&to, name).is_ok_and(|value| value == wanted)) {
            fs::fsetxattr(&to, &**name, &wanted, XattrFlags::empty()).map_err(doing(&what))?;
        }
    }
    for name in there.iter().filter(|name| name.to_bytes().starts_with(ACCESS_LIST_PREFIX)) {
        if !wanted.contains(name) {
            fs::fremovexattr(&to, &**name).map_err(doing(&failed(name)))?;
        }
    }
    Ok(())
}

/// The attributes that would be lost with the file, for a person to read.
pub(crate) fn at_stake(fd: impl AsFd) -> Result<Vec<String>, ItemError> {
    let names = list(fd).map_err(doing("the extended attributes cannot be listed"))?;
    let lost = names.iter().filter(|name| !is_about_content(name) && name.as_c_str() != LABEL);
    Ok(lost.map(|name| name.to_string_lossy().into_owned()).collect())
}
