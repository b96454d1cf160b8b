//! Inputs to begin with, from files that are there for other reasons.

use crate::sections;
use std::{fs, path::Path};

/// All files below a directory, by path relative to it, sorted. None if there is no directory.
#[must_use]
pub fn files(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let (mut found, mut open) = (Vec::new(), vec![directory.to_owned()]);
    while let Some(here) = open.pop() {
        for entry in fs::read_dir(&here).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(directory).unwrap().to_str().unwrap().to_owned();
                found.push((name, fs::read(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

/// The directories in a directory, sorted.
#[must_use]
pub fn directories(directory: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    let mut found: Vec<_> = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
    found.sort();
    found
}

/// Each case of an area as sections: its files but the expectation.
#[must_use]
pub fn cases(conformance: &Path, area: &str) -> Vec<Vec<u8>> {
    let case = |path: &std::path::PathBuf| {
        let mut all = files(path);
        all.retain(|(name, _)| name != "expect.json");
        sections::join(&all)
    };
    directories(&conformance.join("cases").join(area)).iter().map(case).collect()
}
