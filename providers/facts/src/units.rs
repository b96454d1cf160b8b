//! `facts.units`: the unit files of systemd, and whether they are enabled, as the files and links
//! say. systemd itself is not asked, so a system that is not running tells the same.

use crate::{
    Answer, Told,
    source::{Entry, Files},
    too_many,
};
use rectify_sdk::protocol::ItemError;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Where the administrator enables, masks and replaces units.
const LOCAL: &str = "/etc/systemd/system";
/// Where units come from, the strongest first.
const DIRECTORIES: [&str; 4] =
    [LOCAL, "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];
const KINDS: [&str; 10] =
    ["automount", "mount", "path", "service", "slice", "socket", "swap", "target", "timer", "scope"];
const ENTRIES_MAX: usize = 10_000;
const UNIT_MAX_BYTES: usize = 1024 * 1024;
/// Directories of what is enabled.
const ENABLING: [&str; 3] = [".wants", ".requires", ".upholds"];

/// A unit file, before it is known whether it is enabled.
#[derive(Debug, PartialEq)]
enum Unit {
    Masked,
    /// Another name of a unit.
    Alias(String),
    /// A file; whether it says how it can be enabled.
    File(bool),
}

pub(crate) fn tell(files: &Files<'_>) -> Answer {
    let mut units: BTreeMap<String, (Unit, String)> = BTreeMap::new();
    let mut enabled = BTreeSet::new();
    let mut there = false;
    for directory in DIRECTORIES {
        let Some(entries) = files.list(directory, ENTRIES_MAX)? else { continue };
        there |= directory != LOCAL;
        for (name, entry) in entries {
            let path = format!("{directory}/{name}");
            if directory == LOCAL && entry == Entry::Directory && ENABLING.iter().any(|e| name.ends_with(e)) {
                let names = files.list(&path, ENTRIES_MAX)?.unwrap_or_default();
                enabled.extend(names.into_keys().filter(|name| is_unit(name)));
            } else if is_unit(&name)
                && !units.contains_key(&name)
                && let Some(unit) = unit(files, &name, &path, &entry)?
            {
                units.insert(name, (unit, path));
            }
        }
    }
    if !there {
        return Ok(Told::Absent("there are no units of systemd".into()));
    }
    if units.len() + enabled.len() > ENTRIES_MAX {
        return Err(too_many("units", ENTRIES_MAX));
    }
    // A link of the administrator's that gives a unit another name enables it.
    for (unit, path) in units.values() {
        if let Unit::Alias(of) = unit
            && path.starts_with(LOCAL)
        {
            enabled.insert(of.clone());
        }
    }
    let mut told: serde_json::Map<String, Value> = units
        .iter()
        .map(|(name, (unit, path))| (name.clone(), fact(unit, path, enabled.contains(name))))
        .collect();
    for name in &enabled {
        // One of the units that a template stands for.
        let template = template_of(name).and_then(|template| units.get(&template));
        if let Some((_, path)) = template
            && !told.contains_key(name)
        {
            told.insert(name.clone(), json!({"state": "enabled", "path": path}));
        }
    }
    Ok(Told::Value(Value::Object(told)))
}

fn unit(files: &Files<'_>, name: &str, path: &str, entry: &Entry) -> Result<Option<Unit>, ItemError> {
    Ok(match entry {
        Entry::Directory => None,
        Entry::Link(target) if target == "/dev/null" => Some(Unit::Masked),
        Entry::Link(target) => {
            let of = target.rsplit('/').next().unwrap_or_default();
            // A link of the same name leads to a unit file that lies elsewhere.
            if of == name || !is_unit(of) { file(files, path)? } else { Some(Unit::Alias(of.to_owned())) }
        }
        Entry::File => file(files, path)?,
    })
}

fn file(files: &Files<'_>, path: &str) -> Result<Option<Unit>, ItemError> {
    let Some(bytes) = files.read(path, UNIT_MAX_BYTES)? else { return Ok(None) };
    if bytes.is_empty() {
        return Ok(Some(Unit::Masked));
    }
    let text = String::from_utf8_lossy(&bytes);
    Ok(Some(Unit::File(text.lines().any(|line| line.trim() == "[Install]"))))
}

fn fact(unit: &Unit, path: &str, is_enabled: bool) -> Value {
    let state = match unit {
        Unit::Masked => "masked",
        Unit::Alias(of) => return json!({"state": "alias", "path": path, "of": of}),
        Unit::File(_) if is_enabled => "enabled",
        Unit::File(true) => "disabled",
        Unit::File(false) => "static",
    };
    json!({"state": state, "path": path})
}

pub(crate) fn is_unit(name: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(stem, kind)| !stem.is_empty() && KINDS.contains(&kind))
}

/// `getty@.service` for `getty@tty1.service`.
pub(crate) fn template_of(name: &str) -> Option<String> {
    let (stem, kind) = name.rsplit_once('.')?;
    let (template, _) = stem.split_once('@')?;
    Some(format!("{template}@.{kind}"))
}
