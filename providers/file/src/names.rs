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
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let mut table = Self::default();
        for line in String::from_utf8_lossy(bytes).lines() {
            let mut fields = line.split(':');
            let (name, id) = (fields.next().unwrap_or(""), fields.nth(1).and_then(|id| id.parse().ok()));
            let skipped = name.is_empty() || name.starts_with(['#', '+', '-']);
            if let (false, Some(id)) = (skipped, id) {
                // A name that came before with another id leads there, so it does not stand for this one.
                if *table.by_name.entry(name.into()).or_insert(id) == id && !is_number(name) {
                    table.by_id.entry(id).or_insert_with(|| name.into());
                }
            }
        }
        table
    }

    /// How states write an id: by a name that leads back to it, else as its number. Digits are
    /// always a number here, even where somebody has them for a name.
    pub(crate) fn name(&self, id: u32) -> String {
        self.by_id.get(&id).cloned().unwrap_or_else(|| id.to_string())
    }

    /// The id that a state means.
    pub(crate) fn id(&self, name: &str) -> Result<u32, Unknown> {
        if is_number(name) {
            // The largest number means "no change" to the system.
            return name.parse().ok().filter(|id| *id != u32::MAX).ok_or(Unknown::Nobody);
        }
        self.by_name.get(name).copied().ok_or(Unknown::Nobody)
    }

    /// The id that a property means: the same, but where digits are a name, too, nobody guesses.
    pub(crate) fn wanted(&self, name: &str) -> Result<u32, Unknown> {
        let id = self.id(name);
        match self.by_name.get(name) {
            Some(named) if id != Ok(*named) => Err(Unknown::Ambiguous { id: *named }),
            _ => id,
        }
    }
}

/// Whether a text is a number, and so never a name.
fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// Why a name has no id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unknown {
    Nobody,
    /// It is a number, and the name of another id.
    Ambiguous {
        id: u32,
    },
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
        let Some(etc) = tree.find("etc")? else { return Ok(Self::default()) };
        Ok(Self {
            users: Table::parse(&read(&etc, c"passwd")?),
            groups: Table::parse(&read(&etc, c"group")?),
        })
    }

    /// The user of a property, as id.
    pub(crate) fn wanted_user(&self, name: &str) -> Result<u32, ItemError> {
        self.users.wanted(name).map_err(|why| unknown("user", name, "/owner", why))
    }

    /// The group of a property, as id.
    pub(crate) fn wanted_group(&self, name: &str) -> Result<u32, ItemError> {
        self.groups.wanted(name).map_err(|why| unknown("group", name, "/group", why))
    }

    /// The user and the group of a state, as ids.
    pub(crate) fn ids(&self, owner: &str, group: &str) -> Result<(u32, u32), ItemError> {
        let user = self.users.id(owner).map_err(|why| unknown("user", owner, "/owner", why))?;
        let group = self.groups.id(group).map_err(|why| unknown("group", group, "/group", why))?;
        Ok((user, group))
    }
}

fn unknown(what: &str, name: &str, at: &str, why: Unknown) -> ItemError {
    let name = name.escape_debug();
    match why {
        Unknown::Nobody => ItemError::new(ErrorCode::Failed, format!("the target has no {what} `{name}`"))
            .at(at)
            .hint("only the target's own etc/passwd and etc/group are read; a number is taken as it is"),
        Unknown::Ambiguous { id } => ItemError::new(
            ErrorCode::Failed,
            format!("`{name}` is a number, and the name of the {what} {id}, too"),
        )
        .at(at)
        .hint(format!("write `{id}` if the {what} of that name is meant")),
    }
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

    /// A name in a state must lead back to the id that was found, or applying would hand the file to
    /// somebody else.
    #[test]
    fn a_name_stands_for_an_id_only_if_it_leads_back_to_it() {
        let table = Table::parse(
            b"33:x:1000:1000\nweb:x:33:33\nweb:x:34:34\nother:x:34:34\nweb:x:35:35\nalso:x:33:33\n00:x:36:36\n",
        );
        for (id, name) in [(1000, "1000"), (33, "web"), (34, "other"), (35, "35"), (36, "36"), (0, "0")] {
            assert_eq!(table.name(id), name);
            assert_eq!(table.id(&table.name(id)), Ok(id));
        }
        for id in [0, 33, 34, 35, 36, 1000, 4711] {
            assert_eq!(table.id(&table.name(id)), Ok(id));
        }
        // Two things could be meant: the user of that name, or that of that number.
        assert_eq!(table.wanted("33"), Err(Unknown::Ambiguous { id: 1000 }));
        assert_eq!(table.wanted("00"), Err(Unknown::Ambiguous { id: 36 }));
        assert_eq!(table.wanted("1000"), Ok(1000));
        assert_eq!(table.wanted("web"), Ok(33));
    }

    #[test]
    fn the_first_entry_wins_and_numbers_are_taken_as_they_are() {
        let table = Table::parse(b"root:x:0:0::/root:/bin/sh\ntoor:x:0:0\nweb:x:33:33\n+nis\nbad:x:y\n\n");
        assert_eq!(table.name(0), "root");
        assert_eq!(table.name(33), "web");
        assert_eq!(table.name(4711), "4711");
        assert_eq!(table.id("toor"), Ok(0));
        assert_eq!(table.wanted("4711"), Ok(4711));
        for nobody in ["4294967295", "4294967296", "nobody", ""] {
            assert_eq!(table.wanted(nobody), Err(Unknown::Nobody));
        }
    }
}
