//! Users of the target, from its own passwd and group files: a static executable has no other way,
//! and a root directory has users of its own.

use crate::open_beneath;
use rustix::fs::OFlags;
use std::{
    fs::File,
    io::{self, Read},
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
        let Some((uid, gid)) = passwd_entry(&read(root, "/etc/passwd")?, name) else { return Ok(None) };
        let group_file = match read(root, "/etc/group") {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => String::new(),
            Err(e) => return Err(e),
        };
        let mut groups: Vec<u32> = group_file.lines().filter_map(|line| membership(line, name)).collect();
        groups.sort_unstable();
        groups.dedup();
        Ok(Some(Self { uid, gid, groups }))
    }
}

fn read(root: Option<&Path>, path: &str) -> io::Result<String> {
    let file = File::from(open_beneath(root, Path::new(path), OFlags::RDONLY)?);
    let mut bytes = Vec::new();
    file.take(FILE_MAX_BYTES).read_to_end(&mut bytes)?;
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
}
