//! A project on disk: which files belong to it, and their bytes.

use crate::{EngineError, error::FileVerb, files::read_bounded};
use rectify_base::{Digest, digest::context, limits::SOURCE_MAX_BYTES};
use rectify_compile::SourceFile;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Name of the file that makes a directory a project.
pub const PROJECT_FILE: &str = "rectify.yaml";
/// Directories whose `.yaml` files belong to a project.
const SOURCE_DIRECTORIES: &[&str] = &["inventory", "modules", "remediations"];

/// A project directory, read once.
#[derive(Clone, Debug)]
pub struct Project {
    /// Its directory.
    pub directory: PathBuf,
    /// Its YAML files, sorted by path.
    pub files: Vec<SourceFile>,
}

impl Project {
    /// Reads a project.
    ///
    /// # Errors
    /// When there is no [`PROJECT_FILE`], or a file cannot be read or is too large.
    pub fn read(directory: &Path) -> Result<Self, EngineError> {
        if !directory.join(PROJECT_FILE).is_file() {
            return Err(EngineError::NoProject { directory: directory.to_owned() });
        }
        let mut files = vec![read_source(directory, PROJECT_FILE)?];
        for name in SOURCE_DIRECTORIES {
            let path = directory.join(name);
            if !path.is_dir() {
                continue;
            }
            let entries = fs::read_dir(&path).map_err(|e| EngineError::file(FileVerb::Read, &path, e))?;
            for entry in entries {
                let entry = entry.map_err(|e| EngineError::file(FileVerb::Read, &path, e))?;
                let file_name = entry.file_name();
                let file_name = file_name.to_string_lossy();
                if Path::new(file_name.as_ref()).extension().is_some_and(|e| e == "yaml" || e == "yml")
                    && !file_name.starts_with('.')
                {
                    files.push(read_source(directory, &format!("{name}/{file_name}"))?);
                }
            }
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Self { directory: directory.to_owned(), files })
    }

    /// Digest of the sources: derived over path and bytes of each file in order of path.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let parts: Vec<&[u8]> =
            self.files.iter().flat_map(|f| [f.path.as_bytes(), f.bytes.as_slice()]).collect();
        Digest::derive(context::SOURCES, &parts)
    }
}

fn read_source(directory: &Path, name: &str) -> Result<SourceFile, EngineError> {
    let bytes = read_bounded(&directory.join(name), SOURCE_MAX_BYTES)?;
    Ok(SourceFile { path: name.to_owned(), bytes })
}
