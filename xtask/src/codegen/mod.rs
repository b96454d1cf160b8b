//! `codegen`: files that are derived from others, committed, and checked for drift.
//!
//! - `docs/errors/README.md`: every error code and the cases that show it
//! - `crates/rectify-cli/src/pages.rs`: the pages that `rectify explain` prints
//! - `crates/rectify-scaffold/src/embedded.rs`: the files of the SDKs, for `rectify provider new`
//! - tables of docs/hosts.md and docs/conformance.md: what was found on hosts
//! - `schemas/*.schema.json`: the formats, as the executable `schemas` derives them from the types

mod codes;
mod hosts;
mod scaffold;
mod schemas;

use crate::run::{self, Outcome};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Files and what they should hold.
type Generated = Result<Vec<(PathBuf, String)>, String>;

/// `codegen`: writes all generated files. One group that cannot be generated leaves the others be.
pub fn write() -> Outcome {
    each(run::write)
}

/// Writes what was found on hosts, and nothing else.
pub fn hosts() -> Outcome {
    hosts::generate()?.iter().try_for_each(|(path, text)| run::write(path, text))
}

/// `codegen --check`: says which files would change.
pub fn check() -> Outcome {
    each(|path, text| {
        if fs::read_to_string(path).ok().as_deref() == Some(text) {
            return Ok(());
        }
        Err(format!("{} is stale, run `cargo xtask codegen`", path.display()))
    })?;
    println!("generated files: up to date");
    Ok(())
}

fn each(act: impl Fn(&Path, &str) -> Outcome) -> Outcome {
    let mut problems = Vec::new();
    for generate in [codes::generate, hosts::generate, scaffold::generate, schemas::generate] {
        match generate() {
            Ok(files) => {
                problems.extend(files.iter().filter_map(|(path, text)| act(path, text).err()));
            }
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(problems.join("\n  ")) }
}

/// All files with an ending below a directory, sorted.
fn files(directory: &Path, ending: &str) -> Result<Vec<PathBuf>, String> {
    let mut found = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(here) = open.pop() {
        let Ok(entries) = fs::read_dir(&here) else { continue };
        for entry in entries {
            let path = entry.map_err(|e| format!("{}: {e}", here.display()))?.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|e| e == ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}
