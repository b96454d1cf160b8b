//! What is read of a target's own files: users and groups, and the mount table.

use crate::{Target, sections};
use rectify_host::bytes::mounts;
use rectify_provider_file::pure::Accounts;
use rectify_sdk::User;
use std::{ffi::OsStr, os::unix::ffi::OsStrExt, path::Path};

pub(super) const TARGET: Target = Target {
    name: "accounts",
    holds: "in any passwd and group file, the name of an id leads back to it, and a user is the first line of the name",
    check,
    seeds,
    max_bytes: 1024,
    replays: 200,
};

fn check(data: &[u8]) {
    let sections = sections::split(data);
    let text =
        |name| String::from_utf8_lossy(sections::find(&sections, name).unwrap_or_default()).into_owned();
    let (passwd, group, name) = (text("passwd"), text("group"), text("name"));
    for table in [&passwd, &group] {
        let accounts = Accounts::parse(table.as_bytes());
        let ids = table.split([':', '\n', ',']).filter_map(|word| word.parse::<u32>().ok());
        for id in ids.chain([0, 1, 65_534]).filter(|id| *id != u32::MAX) {
            let name = accounts.name(id);
            assert_eq!(accounts.id(&name), Some(id), "{name:?} does not lead back");
        }
        if let Some(id) = accounts.wanted(&name) {
            assert_eq!(accounts.id(&name), Some(id));
        }
    }
    let user = User::of_files(&passwd, &group, &name);
    // Lines of another shape are passed over.
    let mut ids = passwd.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let id = |at: usize| fields.get(at)?.parse::<u32>().ok();
        (fields[0] == name).then_some((id(2)?, id(3)?))
    });
    assert_eq!(user.as_ref().map(|user| (user.uid, user.gid)), ids.next());
    if let Some(user) = user {
        assert!(user.groups.is_sorted_by(|a, b| a < b));
    }
}

fn seeds(_: &Path) -> Vec<Vec<u8>> {
    let passwd = "root:x:0:0::/root:/bin/sh\nbroken\nodd:x:abc:1::/:\n33:x:1000:1000\nweb:x:33:33\n+nis\nweb:x:34:34::\n";
    let group = "root:x:0:\nwheel:x:10:root,web\nadm:x:4:web, root\nnone:x:7:\nbad\n";
    ["web", "33", "root", ""]
        .map(|name| sections::join(&[("passwd", passwd), ("group", group), ("name", name)]))
        .to_vec()
}

pub(super) const MOUNTS: Target = Target {
    name: "mounts",
    holds: "a mount table is read whole or refused, and any path survives the kernel's way of writing it",
    check: check_mounts,
    seeds: |_| {
        vec![
            b"36 35 98:0 /mnt1 /mnt/with\\040space rw,nosuid,noatime master:1 - ext3 /dev/root rw\n\
              37 36 0:5 / / rw,relatime - tmpfs none rw\n"
                .to_vec(),
            b"/a\\b \t\n\xff\x01\\040".to_vec(),
        ]
    },
    max_bytes: 1024,
    replays: 300,
};

fn check_mounts(data: &[u8]) {
    if let Ok(found) = mounts(data) {
        let lines = data.split(|b| *b == b'\n').filter(|line| !line.is_empty());
        assert_eq!(found.len(), lines.count());
    }
    let path: Vec<u8> = data.iter().copied().filter(|b| *b != 0).collect();
    let mut line = b"1 2 0:1 / ".to_vec();
    for byte in &path {
        match byte {
            b' ' | b'\t' | b'\n' | b'\\' => line.extend(format!("\\{byte:03o}").bytes()),
            other => line.push(*other),
        }
    }
    line.extend(b" rw,relatime - ext4 /dev/root rw\n");
    let found = mounts(&line).expect("a line as the kernel writes it");
    assert_eq!(found, [(1, Path::new(OsStr::from_bytes(&path)).to_owned())]);
}
