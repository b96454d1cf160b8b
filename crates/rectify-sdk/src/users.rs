//! Users of the target, from its own passwd and group files: a static executable has no other way,
//! and a root directory has users of its own.

use crate::open_beneath;
use rustix::fs::OFlags;
use std::{
    fs::File,
    io::{self, Read},
    os::fd::AsRawFd,
    path::Path,
};

/// Longest passwd or group file that is read.
const FILE_MAX_BYTES: u64 = 16 * 1024 * 1024;

/// Who runs a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Numeric user id.
    pub uid: u32,
    /// Numeric id of the first group.
    pub gid: u32,
    /// Numeric ids of the other groups, sorted.
    pub groups: Vec<u32>,
}

impl User {
    /// Looks a user up by name. `None`: there is none of that name.
    ///
    /// # Errors
    /// When the files of the target cannot be read.
    pub fn find(root: Option<&Path>, name: &str) -> io::Result<Option<Self>> {
        let passwd = read(root, "/etc/passwd")?;
        if passwd_entry(&passwd, name).is_none() {
            return Ok(None);
        }
        let group = match read(root, "/etc/group") {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => String::new(),
            Err(e) => return Err(e),
        };
        Ok(Self::of_files(&passwd, &group, name))
    }

    /// Looks a user up in the contents of a passwd and a group file. Lines of another shape name
    /// nobody.
    #[must_use]
    pub fn of_files(passwd: &str, group: &str, name: &str) -> Option<Self> {
        let (uid, gid) = passwd_entry(passwd, name)?;
        let mut groups: Vec<u32> = group.lines().filter_map(|line| membership(line, name)).collect();
        groups.sort_unstable();
        groups.dedup();
        Some(Self { uid, gid, groups })
    }
}

/// Reads a file of the target. It is looked at before it is opened: opening a FIFO would wait for a
/// writer, and opening a device may do something.
fn read(root: Option<&Path>, path: &str) -> io::Result<String> {
    let found = File::from(open_beneath(root, Path::new(path), OFlags::PATH)?);
    if !found.metadata()?.is_file() {
        return Err(io::Error::other(format!("{path} is not a regular file")));
    }
    let file = File::open(format!("/proc/self/fd/{}", found.as_raw_fd()))?;
    let mut bytes = Vec::new();
    file.take(FILE_MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_MAX_BYTES {
        return Err(io::Error::other(format!("{path} is longer than {FILE_MAX_BYTES} bytes")));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn passwd_entry(text: &str, name: &str) -> Option<(u32, u32)> {
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next()? != name {
            return None;
        }
        Some((fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?))
    })
}

/// The id of the group in a line, if the user is one of its members.
fn membership(line: &str, name: &str) -> Option<u32> {
    let mut fields = line.split(':').skip(2);
    let gid = fields.next()?.parse().ok()?;
    fields.next()?.split(',').any(|member| member.trim() == name).then_some(gid)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn users_come_from_the_files_of_the_root() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("etc")).unwrap();
        let find = |name| User::find(Some(root.path()), name);
        assert_eq!(find("deploy").unwrap_err().kind(), io::ErrorKind::NotFound);
        let passwd = "root:x:0:0::/:/bin/sh\nbroken\nodd:x:abc:1::/:\ndeploy:x:4321:4322::/:/bin/sh\n";
        std::fs::write(root.path().join("etc/passwd"), passwd).unwrap();
        let plain = User { uid: 4321, gid: 4322, groups: vec![] };
        assert_eq!(find("deploy").unwrap(), Some(plain));
        let group = "wheel:x:10:root,deploy\nadm:x:4:deploy\nnone:x:7:\nother:x:8:deployer\nbad\n";
        std::fs::write(root.path().join("etc/group"), group).unwrap();
        let full = User { uid: 4321, gid: 4322, groups: vec![4, 10] };
        assert_eq!(find("deploy").unwrap(), Some(full));
        assert_eq!(find("odd").unwrap(), None);
        assert_eq!(find("deplo").unwrap(), None);
    }

    #[test]
    fn what_is_no_regular_file_of_bounded_size_is_refused_at_once() {
        let root = tempfile::tempdir().unwrap();
        let etc = root.path().join("etc");
        std::fs::create_dir(&etc).unwrap();
        let find = || User::find(Some(root.path()), "deploy").unwrap_err().to_string();
        let fifo = etc.join("passwd");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
        // Nobody ever writes to it, so whoever waits for that waits for ever.
        let (sender, answer) = std::sync::mpsc::channel();
        let path = root.path().to_owned();
        std::thread::spawn(move || sender.send(User::find(Some(&path), "deploy").map_err(|e| e.to_string())));
        let answer = answer.recv_timeout(std::time::Duration::from_secs(20)).unwrap();
        assert_eq!(answer.unwrap_err(), "/etc/passwd is not a regular file");
        std::fs::remove_file(&fifo).unwrap();
        std::fs::create_dir(&fifo).unwrap();
        assert_eq!(find(), "/etc/passwd is not a regular file");
        std::fs::remove_dir(&fifo).unwrap();
        std::fs::File::create(&fifo).unwrap().set_len(FILE_MAX_BYTES + 1).unwrap();
        assert_eq!(find(), "/etc/passwd is longer than 16777216 bytes");
        std::fs::write(&fifo, "deploy:x:1:1::/:\n").unwrap();
        std::fs::create_dir(etc.join("group")).unwrap();
        assert_eq!(find(), "/etc/group is not a regular file");
    }
}
