//! `facts.packages`: what dpkg has installed, with versions.

use crate::{Answer, Told, source::Files, too_many};
use rectify_sdk::protocol::{ErrorCode, ItemError};
use serde_json::Value;
use std::collections::BTreeMap;

const STATUS: &str = "/var/lib/dpkg/status";
const STATUS_MAX_BYTES: usize = 128 * 1024 * 1024;
const PACKAGES_MAX: usize = 100_000;
/// Where rpm keeps its database.
const RPM: [&str; 2] = ["/usr/lib/sysimage/rpm", "/var/lib/rpm"];

pub(crate) fn tell(files: &Files<'_>) -> Answer {
    let Some(bytes) = files.read(STATUS, STATUS_MAX_BYTES)? else {
        for path in RPM {
            if files.exists(path)? {
                return Ok(Told::Absent(format!(
                    "the packages of rpm (in {path}) are not read in this release"
                )));
            }
        }
        return Ok(Told::Absent(format!("there is no {STATUS}")));
    };
    let text = String::from_utf8(bytes)
        .map_err(|_| ItemError::new(ErrorCode::Failed, format!("{STATUS} is not UTF-8")))?;
    let installed = installed(&text);
    if installed.len() > PACKAGES_MAX {
        return Err(too_many("packages", PACKAGES_MAX));
    }
    let told = installed.into_iter().map(|(name, version)| (name, Value::from(version))).collect();
    Ok(Told::Value(Value::Object(told)))
}

/// Name and version of what is installed. Where a package is installed for several architectures, each
/// is also there as `name:architecture`, and the name alone is that of the first one.
pub(crate) fn installed(status: &str) -> BTreeMap<String, &str> {
    let mut all: BTreeMap<&str, BTreeMap<&str, &str>> = BTreeMap::new();
    for stanza in status.split("\n\n") {
        let field = |name: &str| {
            stanza.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
        };
        let (Some(name), Some(state), Some(version)) = (field("Package"), field("Status"), field("Version"))
        else {
            continue;
        };
        if state.split(' ').next_back() == Some("installed") {
            all.entry(name).or_default().insert(field("Architecture").unwrap_or_default(), version);
        }
    }
    let mut told = BTreeMap::new();
    for (name, versions) in all {
        if let Some(first) = versions.values().next() {
            told.insert(name.to_owned(), *first);
        }
        if versions.len() > 1 {
            told.extend(
                versions.iter().map(|(architecture, version)| (format!("{name}:{architecture}"), *version)),
            );
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_installed_is_told_and_nothing_else() {
        let status = "Package: nginx\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.22.1-9\n\
                      Description: a server\n Package: not this\n\n\
                      Package: gone\nStatus: deinstall ok config-files\nArchitecture: amd64\nVersion: 1\n\n\
                      Package: half\nStatus: install reinstreq half-installed\nVersion: 1\n\n\
                      Package: held\nStatus: hold ok installed\nArchitecture: all\nVersion: 2:1.0\n\n\
                      Package: libc6\nStatus: install ok installed\nArchitecture: i386\nVersion: 2.36-8\n\n\
                      Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nVersion: 2.36-9\n";
        let told: Vec<String> = installed(status).iter().map(|(n, v)| format!("{n} {v}")).collect();
        assert_eq!(
            told,
            ["held 2:1.0", "libc6 2.36-9", "libc6:amd64 2.36-9", "libc6:i386 2.36-8", "nginx 1.22.1-9"]
        );
    }

    #[test]
    fn an_empty_database_has_no_packages() {
        assert!(installed("").is_empty());
    }
}
