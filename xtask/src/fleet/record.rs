//! What is written down of a fleet before anything of it is made, so that whoever comes later can end it.

use crate::run::{Outcome, write};
use serde::{Deserialize, Serialize};
use std::{
    fs,
    path::{Path, PathBuf},
};

const FORMAT: &str = "rectify.fleet/v1";
const NAME: &str = "fleet.json";

/// One fleet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    format: String,
    /// Four hexadecimal digits.
    pub id: String,
    /// The process that it ends with; `None`: it stays until somebody ends it.
    pub owner: Option<Owner>,
    /// Third part of its addresses.
    pub subnet: u8,
    /// Release of its nodes.
    pub release: String,
    /// Directories that the nodes are made of, uppermost first.
    pub layers: Vec<PathBuf>,
    /// A directory with packages, which nodes see as `/srv/rectify-repository`.
    pub repository: PathBuf,
    /// Its nodes, by name. The first has address `.2`.
    pub nodes: Vec<String>,
}

/// A process, told from others that had its number before or get it later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Owner {
    pid: i32,
    /// When it was started, in ticks since boot.
    started: u64,
}

impl Owner {
    /// This process.
    pub fn here() -> Result<Self, String> {
        let pid = i32::try_from(std::process::id()).map_err(|e| e.to_string())?;
        let started = started(pid).ok_or("this process is not in /proc")?;
        Ok(Self { pid, started })
    }

    /// Whether the process still runs.
    pub fn lives(self) -> bool {
        started(self.pid) == Some(self.started)
    }
}

fn started(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before it may hold anything, even a parenthesis.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?;
    if state == "Z" { None } else { fields.nth(18)?.parse().ok() }
}

impl Record {
    /// A fleet that ends with this process.
    pub fn new(id: String, subnet: u8, release: String, nodes: u8) -> Result<Self, String> {
        let names = (1..=nodes).map(|n| format!("rf{id}-{n}")).collect();
        Ok(Self {
            format: FORMAT.into(),
            owner: Some(Owner::here()?),
            subnet,
            release,
            layers: Vec::new(),
            repository: PathBuf::new(),
            nodes: names,
            id,
        })
    }

    /// Reads the record in a directory.
    pub fn read(directory: &Path) -> Result<Self, String> {
        let path = directory.join(NAME);
        let text = crate::run::read(&path)?;
        let record: Self = serde_json::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))?;
        let own = directory.file_name().is_some_and(|name| name == record.id.as_str());
        if record.format == FORMAT && own {
            return Ok(record);
        }
        Err(format!("{} is not the record of the fleet of this directory", path.display()))
    }

    /// Writes it, at once as a whole.
    pub fn write(&self, directory: &Path) -> Outcome {
        let text = serde_json::to_string_pretty(self).map_err(|e| e.to_string())?;
        let path = directory.join(NAME);
        let new = directory.join(format!("{NAME}.new"));
        write(&new, &text)?;
        fs::rename(&new, &path).map_err(|e| format!("{}: {e}", path.display()))
    }

    /// Whether nobody is there any more for whom it was made.
    pub fn is_left_over(&self) -> bool {
        self.owner.is_some_and(|owner| !owner.lives())
    }
}

#[cfg(test)]
mod tests {
    use super::{Owner, Record};

    #[test]
    fn a_record_is_about_its_own_directory() -> Result<(), String> {
        let scratch = tempfile::tempdir().map_err(|e| e.to_string())?;
        let at = |name: &str| scratch.path().join(name);
        let record = Record::new("12ab".into(), 7, "bookworm".into(), 2)?;
        assert_eq!(record.nodes, ["rf12ab-1", "rf12ab-2"]);
        for name in ["12ab", "12ac"] {
            std::fs::create_dir(at(name)).map_err(|e| e.to_string())?;
            record.write(&at(name))?;
        }
        assert_eq!(Record::read(&at("12ab")), Ok(record));
        assert!(Record::read(&at("12ac")).is_err_and(|e| e.contains("not the record")));
        assert!(Record::read(&at("none")).is_err());
        Ok(())
    }

    #[test]
    fn an_owner_is_more_than_its_number() -> Result<(), String> {
        let owner = Owner::here()?;
        assert!(owner.lives());
        assert!(!Owner { started: owner.started + 1, ..owner }.lives());
        let mut child = std::process::Command::new("true").spawn().map_err(|e| e.to_string())?;
        let pid = i32::try_from(child.id()).map_err(|e| e.to_string())?;
        let started = super::started(pid);
        child.wait().map_err(|e| e.to_string())?;
        assert!(started.is_none_or(|started| !Owner { pid, started }.lives()));
        let mut record = Record::new("12ab".into(), 7, "bookworm".into(), 1)?;
        assert!(!record.is_left_over());
        record.owner = Some(Owner { started: 0, ..owner });
        assert!(record.is_left_over());
        record.owner = None;
        assert!(!record.is_left_over());
        Ok(())
    }
}
