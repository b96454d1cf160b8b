//! What apt's and dpkg's tools print. Pure.

use crate::backend::{Change, Status, Transaction};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What dpkg-query is asked for, a line for each package.
pub(super) const FORMAT: &str = "${Package}\\t${Architecture}\\t${db:Status-Want}\\t${db:Status-Eflag}\\t${db:Status-Status}\\t${Version}\\n";

/// A line of dpkg-query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(super) architecture: String,
    want: String,
    flag: String,
    status: String,
    version: String,
}

impl Row {
    /// What is there; `None` where something was left half done.
    pub(crate) fn status(&self, automatic: bool) -> Option<Status> {
        match (self.flag.as_str(), self.status.as_str()) {
            ("ok", "installed") => Some(Status::Installed {
                version: self.version.clone(),
                held: self.want == "hold",
                automatic,
            }),
            ("ok", "config-files") => Some(Status::Configuration),
            ("ok", "not-installed") => Some(Status::Absent),
            _ => None,
        }
    }

    /// How dpkg calls it.
    pub(super) fn shown(&self) -> String {
        if self.flag == "ok" { self.status.clone() } else { format!("{} ({})", self.status, self.flag) }
    }
}

/// The lines of dpkg-query.
pub(crate) fn rows(text: &str) -> Option<Vec<Row>> {
    let row = |line: &str| {
        let fields: Vec<&str> = line.split('\t').collect();
        let [name, architecture, want, flag, status, version] = fields.as_slice() else { return None };
        let own = |text: &str| text.to_owned();
        Some(Row {
            name: own(name),
            architecture: own(architecture),
            want: own(want),
            flag: own(flag),
            status: own(status),
            version: own(version),
        })
    };
    text.lines().map(row).collect()
}

/// Name and architecture of packages that came for others.
pub(super) fn automatic(text: &str) -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    for stanza in text.split("\n\n") {
        let field = |name: &str| {
            let value =
                |line: &str| line.strip_prefix(name)?.strip_prefix(':').map(str::trim).map(str::to_owned);
            stanza.lines().find_map(value)
        };
        if let (Some(name), Some(architecture), Some("1")) =
            (field("Package"), field("Architecture"), field("Auto-Installed").as_deref())
        {
            found.insert((name, architecture));
        }
    }
    found
}

/// Name and version of what `apt-cache madison` lists.
pub(super) fn madison(text: &str) -> BTreeSet<(String, String)> {
    let line = |line: &str| {
        let mut fields = line.split('|').map(str::trim);
        let (name, version, from) = (fields.next()?, fields.next()?, fields.next()?);
        (!from.ends_with("Sources")).then(|| (name.to_owned(), version.to_owned()))
    };
    text.lines().filter_map(line).collect()
}

/// What `apt-get -s` says that it would do; `Err` with a line that is not understood.
pub(crate) fn simulation(text: &str) -> Result<Transaction, String> {
    let mut found = Transaction::default();
    let mut heading = "";
    let mut configured = BTreeSet::new();
    for line in text.lines() {
        if let Some(names) = line.strip_prefix("  ") {
            let names = names.split_ascii_whitespace().map(|name| name.trim_end_matches('*').to_owned());
            match heading {
                "The following held packages will be changed:" => found.held.extend(names),
                "WARNING: The following essential packages will be removed." => {
                    found
                        .essential
                        .extend(names.filter(|name| !name.starts_with('(') && !name.ends_with(')')));
                }
                _ => {}
            }
            continue;
        }
        if !line.starts_with("This should NOT be done") {
            heading = line;
        }
        let understood = || line.to_owned();
        if let Some(rest) = line.strip_prefix("Inst ") {
            let (name, before, after) = item(rest).ok_or_else(understood)?;
            found.changes.insert(name, Change { before, after: Some(after.ok_or_else(understood)?) });
        } else if let Some(rest) = line.strip_prefix("Remv ").or_else(|| line.strip_prefix("Purg ")) {
            let (name, before, _) = item(rest).ok_or_else(understood)?;
            // What is removed to come back in another version is said once more.
            let change = found.changes.entry(name).or_default();
            change.before = change.before.take().or(before);
        } else if let Some(rest) = line.strip_prefix("Conf ") {
            let (name, _, _) = item(rest).ok_or_else(understood)?;
            configured.insert(name);
        }
    }
    found.unfinished = configured.into_iter().filter(|name| !found.changes.contains_key(name)).collect();
    Ok(found)
}

/// `NAME [OLD] (NEW ORIGIN [ARCHITECTURE]) …`: the name and the versions.
fn item(text: &str) -> Option<(String, Option<String>, Option<String>)> {
    let (name, rest) = text.split_once(' ').unwrap_or((text, ""));
    let mut rest = rest.trim_start();
    let mut before = None;
    if let Some(inner) = rest.strip_prefix('[') {
        let (version, after) = inner.split_once(']')?;
        before = Some(version.to_owned()).filter(|version| !version.is_empty());
        rest = after.trim_start();
    }
    let after = rest.strip_prefix('(').and_then(|inner| inner.split([' ', ')']).next());
    let name_is_one = !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic());
    name_is_one.then(|| (name.to_owned(), before, after.map(str::to_owned)))
}

/// Why apt or dpkg refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Complaint {
    /// Somebody holds the package database.
    Locked(Option<String>),
    /// dpkg was interrupted earlier.
    Interrupted,
    /// No package of that name.
    Unknown(String),
    /// No such version.
    NoVersion(String),
    /// A file could not be fetched.
    NotFetched(String),
    /// Dependencies and conflicts cannot be settled.
    Unsolvable(String),
    /// A script of a package failed.
    Script(String),
    /// Anything else, in its own words.
    Other(String),
}

/// What the output of a tool that failed complains about.
pub(crate) fn complaint(stdout: &str, stderr: &str) -> Complaint {
    let errors: Vec<&str> =
        stderr.lines().filter(|line| line.starts_with("E: ") || line.starts_with("dpkg: error")).collect();
    let has = |part: &str| errors.iter().find(|line| line.contains(part)).copied();
    if has("Could not get lock").is_some()
        || has("Unable to acquire the dpkg frontend lock").is_some()
        || has("lock was locked by").is_some()
    {
        // apt names the holder where it says that it waits, dpkg where it gives up.
        let lines = errors.into_iter().chain(stdout.lines().rev());
        return Complaint::Locked(lines.into_iter().find_map(held_by));
    }
    if has("dpkg was interrupted").is_some() {
        return Complaint::Interrupted;
    }
    if let Some(line) = has("Unable to locate package") {
        return Complaint::Unknown(format!("`{}`", line.rsplit(' ').next().unwrap_or_default()));
    }
    if let Some(line) = has("has no installation candidate") {
        return Complaint::Unknown(quoted(line, 0).map_or_else(|| plain(line), |name| format!("`{name}`")));
    }
    if let Some(line) = has("was not found").filter(|line| line.starts_with("E: Version ")) {
        let version = (quoted(line, 0), quoted(line, 1));
        return Complaint::NoVersion(match version {
            (Some(version), Some(name)) => format!("version {version} of `{name}`"),
            _ => plain(line),
        });
    }
    if let Some(line) = has("Failed to fetch").or_else(|| has("Unable to fetch")) {
        return Complaint::NotFetched(plain(line));
    }
    if has("held broken packages").is_some()
        || has("Unmet dependencies").is_some()
        || has("generated breaks").is_some()
    {
        return Complaint::Unsolvable(
            unmet(stdout).unwrap_or_else(|| "its dependencies cannot be met".into()),
        );
    }
    if let Some(script) = script(stderr) {
        return Complaint::Script(script);
    }
    let last = stderr.lines().rfind(|line| !line.trim().is_empty());
    Complaint::Other(errors.first().copied().or(last).map(plain).unwrap_or_default())
}

fn plain(line: &str) -> String {
    line.strip_prefix("E: ").unwrap_or(line).trim().to_owned()
}

/// Text between the quotes of a number.
fn quoted(line: &str, number: usize) -> Option<&str> {
    line.split('\'').nth(2 * number + 1)
}

/// Who holds a lock, as apt (`held by process 7 (apt-get)`) and dpkg (`locked by another process with
/// pid 7`, `locked by /usr/bin/apt-get process with pid 7`) tell.
fn held_by(line: &str) -> Option<String> {
    let (pid, name) = if let Some((_, rest)) = line.split_once("held by process ") {
        let (pid, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        (pid, rest.strip_prefix('(').and_then(|rest| rest.split(')').next()))
    } else {
        let (_, rest) = line.split_once("lock was locked by ")?;
        let (who, pid) = rest.split_once(" process with pid ")?;
        (pid, who.rsplit('/').next().filter(|who| *who != "another"))
    };
    let pid: String = pid.chars().take_while(char::is_ascii_digit).collect();
    let name = name.map(|name| format!(" ({name})")).unwrap_or_default();
    (!pid.is_empty()).then(|| format!("process {pid}{name}"))
}

/// The dependencies that cannot be met, as apt lists them.
fn unmet(stdout: &str) -> Option<String> {
    let mut lines = stdout.lines().skip_while(|line| !line.ends_with("unmet dependencies:"));
    lines.next()?;
    let listed: Vec<String> = lines
        .take_while(|line| line.starts_with(' '))
        .map(|line| line.split_ascii_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    (!listed.is_empty()).then(|| listed.join("; "))
}

/// The packages whose scripts failed, and what they said last.
fn script(stderr: &str) -> Option<String> {
    let failed = |line: &str| {
        let rest = line.strip_prefix("dpkg: error processing ")?;
        let name = rest.strip_prefix("package ").or_else(|| rest.strip_prefix("archive "))?;
        name.split(' ').next().map(str::to_owned)
    };
    let names: BTreeMap<String, ()> = stderr.lines().filter_map(|line| Some((failed(line)?, ()))).collect();
    if names.is_empty() {
        return None;
    }
    let why = stderr.lines().map(str::trim).find(|line| line.contains("subprocess returned error"));
    let names = names.into_keys().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    Some(match why {
        Some(why) => format!("dpkg failed with {names}: {why}"),
        None => format!("dpkg failed with {names}"),
    })
}
