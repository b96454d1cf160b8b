//! `facts.mounts`: mounted file systems, by where they are mounted.
//!
//! This is read in a session that cannot change anything, so there every mount is read-only and
//! without devices. Told is only what that leaves as it is: the file system's own `ro`, and the other
//! flags of the mount.

use crate::{Answer, Told, source::Files, too_many};
use rectify_sdk::protocol::{ErrorCode, ItemError};
use serde_json::{Map, Value, json};

const TABLE: &str = "/proc/self/mountinfo";
const TABLE_MAX_BYTES: usize = 8 * 1024 * 1024;
const MOUNTS_MAX: usize = 1000;
/// What the kernel shows of itself.
const KERNEL: [&str; 18] = [
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "fusectl",
    "hugetlbfs",
    "mqueue",
    "nsfs",
    "proc",
    "pstore",
    "securityfs",
    "sysfs",
];
/// Flags of a mount that a session which cannot change anything has set or cleared itself.
const OURS: [&str; 3] = ["ro", "rw", "nodev"];

pub(crate) fn tell(files: &Files<'_>, work: &str) -> Answer {
    if !files.is_machine() {
        return Ok(Told::Absent("a directory that stands for a system has no mounts of its own".into()));
    }
    let Some(bytes) = files.read(TABLE, TABLE_MAX_BYTES)? else {
        return Err(ItemError::new(ErrorCode::Failed, format!("there is no {TABLE}")));
    };
    let mounts = mounts(&String::from_utf8_lossy(&bytes), work)?;
    Ok(Told::Value(Value::Object(mounts)))
}

/// The mounts of a table; of several at one place the last one, which lies over the others.
pub(crate) fn mounts(table: &str, work: &str) -> Result<Map<String, Value>, ItemError> {
    let mut found = Map::new();
    for line in table.lines() {
        let Some((target, kind, mount)) = entry(line) else {
            return Err(ItemError::new(
                ErrorCode::Failed,
                format!("{TABLE} has a line that is none: {line}"),
            ));
        };
        if is_passing(&target, &kind, work) {
            found.remove(&target);
        } else {
            found.insert(target, mount);
        }
    }
    if found.len() > MOUNTS_MAX {
        return Err(too_many("mounts", MOUNTS_MAX));
    }
    Ok(found)
}

/// What comes and goes by itself, or belongs to the kernel or to this session.
fn is_passing(target: &str, kind: &str, work: &str) -> bool {
    KERNEL.contains(&kind)
        || kind == "tracefs"
        || target.starts_with("/run/")
        || target.starts_with("/proc/")
        || target.starts_with("/sys/")
        || (target.starts_with("/dev/") && target != "/dev/shm")
        || target == work
}

/// Place, type and facts of a line of mountinfo, see proc(5).
fn entry(line: &str) -> Option<(String, String, Value)> {
    let (left, right) = line.split_once(" - ")?;
    let mut left = left.split(' ').skip(4);
    let (target, flags) = (left.next()?, left.next()?);
    let mut right = right.split(' ');
    let (kind, source, own) = (right.next()?, right.next()?, right.next().unwrap_or_default());
    let mut options: Vec<&str> = flags.split(',').filter(|flag| !OURS.contains(flag)).collect();
    options.sort_unstable();
    let mount = json!({
        "source": unescaped(source),
        "type": kind,
        "options": options,
        "read_only": own.split(',').any(|option| option == "ro"),
    });
    Some((unescaped(target), kind.to_owned(), mount))
}

/// Undoes the kernel's escapes: a backslash and three octal digits.
fn unescaped(text: &str) -> String {
    let mut out: Vec<u8> = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let octal = tail
            .get(..3)
            .filter(|_| *first == b'\\')
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        match octal {
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
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const HEAD: &str = "22 1 8:1 / / ro,nodev,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro\n";

    #[test]
    fn a_mount_is_told_as_it_is_outside_of_the_session() {
        let confined = mounts(HEAD, "/tmp/work").unwrap();
        let free = mounts(&HEAD.replace("ro,nodev,relatime", "rw,relatime"), "/tmp/work").unwrap();
        assert_eq!(confined, free);
        let expected =
            json!({"source": "/dev/sda1", "type": "ext4", "options": ["relatime"], "read_only": false});
        assert_eq!(confined.get("/"), Some(&expected));
    }

    #[test]
    fn the_last_mount_at_a_place_counts_and_what_passes_is_left_out() {
        let more = "30 22 0:30 / /mnt/with\\040space rw,noexec - tmpfs tmpfs ro,size=1k\n\
                    31 22 0:31 / /mnt/with\\040space rw - xfs /dev/sdb ro\n\
                    32 22 0:5 / /dev rw - devtmpfs udev rw\n33 22 0:6 / /dev/null rw - ext4 /dev/sda1 rw\n\
                    34 22 0:7 / /dev/shm rw,nosuid - tmpfs tmpfs rw\n35 22 0:8 / /run/user/0 rw - tmpfs tmpfs rw\n\
                    36 22 0:9 / /tmp/work rw - ext4 /dev/sda1 rw\n";
        let found = mounts(&format!("{HEAD}{more}"), "/tmp/work").unwrap();
        let places: Vec<&str> = found.keys().map(String::as_str).collect();
        assert_eq!(places, ["/", "/dev/shm", "/mnt/with space"]);
        assert_eq!(found.get("/mnt/with space").unwrap()["type"], "xfs");
        assert_eq!(found.get("/mnt/with space").unwrap()["read_only"], true);
    }

    #[test]
    fn what_is_no_table_is_refused() {
        assert!(mounts("nonsense\n", "").is_err());
    }
}
