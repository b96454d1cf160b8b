//! Owners and groups by name, from the target's own `etc/passwd` and `etc/group` beneath the root.
//! The C library's name services are those of this machine, not of the target: they are not asked.

use crate::{
    errors::{doing, system},
    tree::{Dir, Tree},
};
use rectify_sdk::protocol::{ErrorCode, ItemError};
use rustix::{
    fs::{self, FileType, Mode, OFlags},
    io::Errno,
};
use std::{collections::BTreeMap, ffi::CStr, fs::File, io::Read};

/// Longest passwd or group file.
const FILE_MAX_BYTES: u64 = 16 * 1024 * 1024;

/// One of the two files.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Table {
    by_name: BTreeMap<String, u32>,
    by_id: BTreeMap<u32, String>,
}

impl Table {
    /// Reads `name:password:id:…` lines. Lines of another shape are skipped, as libc does.
    fn parse(bytes: &[u8]) -> Self {
        let mut table = Self::default();
        for line in String::from_utf8_lossy(bytes).lines() {
            let mut fields = line.split(':');
            let (name, id) = (fields.next().unwrap_or(""), fields.nth(1).and_then(|id| id.parse().ok()));
            if let (false, Some(id)) = (name.is_empty() || name.starts_with(['#', '+', '-']), id) {
                table.by_name.entry(name.into()).or_insert(id);
                table.by_id.entry(id).or_insert_with(|| name.into());
            }
        }
        table
    }

    /// The name of an id; the number itself where there is none.
    pub(crate) fn name(&self, id: u32) -> String {
        self.by_id.get(&id).cloned().unwrap_or_else(|| id.to_string())
    }

    /// The id of a name, or of a number written as text.
    pub(crate) fn id(&self, name: &str) -> Option<u32> {
        let number = || {
            let digits = !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit());
            // The largest number means "no change" to the system.
            digits.then(|| name.parse().ok()).flatten().filter(|id| *id != u32::MAX)
        };
        self.by_name.get(name).copied().or_else(number)
    }
}

/// Users and groups of a target.
#[derive(Debug, Default)]
pub(crate) struct Names {
    pub(crate) users: Table,
    pub(crate) groups: Table,
}

impl Names {
    /// Reads both files; one that does not exist names nobody.
    pub(crate) fn load(tree: &Tree) -> Result<Self, ItemError> {
        let Some(etc) = tree.walk(tree.root(), "etc")? else { return Ok(Self::default()) };
        Ok(Self {
            users: Table::parse(&read(&etc, c"passwd")?),
            groups: Table::parse(&read(&etc, c"group")?),
        })
    }

    /// The user of a property, as id.
    pub(crate) fn user(&self, name: &str) -> Result<u32, ItemError> {
        self.users.id(name).ok_or_else(|| unknown("user", name, "/owner"))
    }

    /// The group of a property, as id.
    pub(crate) fn group(&self, name: &str) -> Result<u32, ItemError> {
        self.groups.id(name).ok_or_else(|| unknown("group", name, "/group"))
    }
}

fn unknown(what: &str, name: &str, at: &str) -> ItemError {
    ItemError::new(ErrorCode::Failed, format!("the target has no {what} `{name}`"))
        .at(at)
        .hint("only the target's own etc/passwd and etc/group are read; a number is taken as it is")
}

fn read(etc: &Dir, name: &CStr) -> Result<Vec<u8>, ItemError> {
    let shown = format!("etc/{} cannot be read", name.to_string_lossy());
    let error = doing(&shown);
    let fd = match etc.open(name, OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty()) {
        Ok(fd) => fd,
        Err(Errno::NOENT) => return Ok(Vec::new()),
        Err(errno) => return Err(error(errno)),
    };
    let stat = fs::fstat(&fd).map_err(&error)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(system(Errno::INVAL, &shown));
    }
    let mut bytes = Vec::new();
    File::from(fd)
        .take(FILE_MAX_BYTES)
        .read_to_end(&mut bytes)
        .map_err(|e| ItemError::new(ErrorCode::Failed, format!("{shown}: {e}")))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_entry_wins_and_numbers_are_taken_as_they_are() {
        let table = Table::parse(b"root:x:0:0::/root:/bin/sh\ntoor:x:0:0\nweb:x:33:33\n+nis\nbad:x:y\n\n");
        assert_eq!(table.name(0), "root");
        assert_eq!(table.name(33), "web");
        assert_eq!(table.name(4711), "4711");
        assert_eq!(table.id("toor"), Some(0));
        assert_eq!(table.id("4711"), Some(4711));
        assert_eq!(table.id("4294967295"), None);
        assert_eq!(table.id("nobody"), None);
        assert_eq!(table.id(""), None);
    }
}
