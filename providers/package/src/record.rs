//! What an operation did with other packages is in no database of the system, so it is noted here: a
//! file for each package, `/var/lib/rectify-packages/NAME.json`, with what came with each version. It
//! counts for the version that is installed; a note about another one is left over and says nothing.

use crate::{backend::Changes, state::State};
use rectify_sdk::{
    Context, Folder, Owned,
    protocol::{ErrorCode, ItemError},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::Path};

const PARENT: &str = "/var/lib";
const DIRECTORY: &str = "rectify-packages";
const FORMAT: &str = "rectify.packages/v1";
const FILE_MAX_BYTES: u64 = 4 * 1024 * 1024;
/// Stands for a version where only configuration is left.
const CONFIGURATION: &str = "";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Notes {
    format: String,
    versions: BTreeMap<String, Changes>,
}

fn version(state: &State) -> &str {
    state.installed().map_or(CONFIGURATION, |(version, _)| version)
}

fn file(name: &str) -> String {
    format!("{name}.json")
}

fn directory() -> Result<Option<Folder>, ItemError> {
    let Some(parent) = Folder::open(None, Path::new(PARENT))? else { return Ok(None) };
    parent.inside(DIRECTORY)
}

/// What is noted of a package.
pub(crate) fn read(name: &str) -> Result<BTreeMap<String, Changes>, ItemError> {
    let Some(folder) = directory()? else { return Ok(BTreeMap::new()) };
    let Some(found) = folder.read(&file(name), FILE_MAX_BYTES)? else { return Ok(BTreeMap::new()) };
    let path = || format!("{PARENT}/{DIRECTORY}/{name}.json");
    let unreadable = |why: String| {
        ItemError::new(ErrorCode::Failed, format!("{} cannot be read: {why}", path()))
            .hint("remove the file; what came with the package is then not taken back with it")
    };
    let notes: Notes = serde_json::from_slice(&found.bytes).map_err(|e| unreadable(e.to_string()))?;
    if notes.format == FORMAT {
        Ok(notes.versions)
    } else {
        Err(unreadable(format!("format {}", notes.format)))
    }
}

/// What came with the version that is there.
pub(crate) fn with(notes: &BTreeMap<String, Changes>, version: Option<&str>) -> Changes {
    notes.get(version.unwrap_or(CONFIGURATION)).cloned().unwrap_or_default()
}

/// Notes what comes with a version, before it comes: until then the note says nothing.
pub(crate) fn add(cx: &Context, state: &State) -> Result<(), ItemError> {
    let mut notes = read(state.name())?;
    let had = notes.get(version(state)).cloned().unwrap_or_default();
    if had == *state.with() {
        return Ok(());
    }
    notes.insert(version(state).to_owned(), state.with().clone());
    write(cx, state.name(), notes)
}

/// Forgets all that is not about what is there now.
pub(crate) fn tidy(cx: &Context, name: &str, state: Option<&State>) -> Result<(), ItemError> {
    let mut notes = read(name)?;
    let all = notes.len();
    notes.retain(|key, with| !with.is_empty() && state.is_some_and(|state| version(state) == key));
    if notes.len() == all { Ok(()) } else { write(cx, name, notes) }
}

fn write(cx: &Context, name: &str, versions: BTreeMap<String, Changes>) -> Result<(), ItemError> {
    let missing = || ItemError::new(ErrorCode::Failed, format!("there is no {PARENT}"));
    let parent = Folder::open(None, Path::new(PARENT))?.ok_or_else(missing)?;
    let owned = |mode| Ok::<_, ItemError>(Owned { mode, ..parent.owned()? });
    let folder = match parent.inside(DIRECTORY)? {
        Some(folder) => folder,
        None if versions.is_empty() => return Ok(()),
        None => parent.make(cx, DIRECTORY, owned(0o755)?)?,
    };
    let name = file(name);
    let found = folder.read(&name, FILE_MAX_BYTES)?;
    if versions.is_empty() {
        found.map_or(Ok(()), |found| folder.remove(&name, &found))?;
        return parent.remove_empty(DIRECTORY).map(drop);
    }
    let notes = Notes { format: FORMAT.into(), versions };
    let mut bytes = serde_json::to_vec_pretty(&notes)
        .map_err(|e| ItemError::new(ErrorCode::Internal, format!("notes cannot be written: {e}")))?;
    bytes.push(b'\n');
    folder.replace(cx, &name, found.as_ref(), &bytes, owned(0o644)?)
}
