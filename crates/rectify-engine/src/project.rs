//! A project on disk: which files belong to it, and their bytes.

use crate::{
    EngineError,
    error::FileVerb,
    files::{read_beneath, read_bounded},
};
use rectify_attest::lock::{LOCK_FILE, LOCK_MAX_BYTES};
use rectify_base::{Digest, digest::context, limits::SOURCE_MAX_BYTES};
use rectify_compile::{
    SourceFile,
    limits::{TEXT_FILE_MAX_BYTES, TEXT_FILES_MAX, TEXT_FILES_MAX_BYTES},
};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Name of the file that makes a directory a project.
pub const PROJECT_FILE: &str = "rectify.yaml";
/// Directories whose `.yaml` files belong to a project.
const SOURCE_DIRECTORIES: &[&str] = &["inventory", "modules", "remediations"];

/// Directories whose files properties may take texts from, with all that lies below them.
const TEXT_DIRECTORIES: &[&str] = &["files", "templates"];
/// Deepest nesting of directories below these.
const TEXT_DEPTH_MAX: usize = 8;

/// A project directory, read once.
#[derive(Clone, Debug)]
pub struct Project {
    /// Its directory.
    pub directory: PathBuf,
    /// Its sources, sorted by path: YAML, what properties may take texts from, and the lock file.
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
        if directory.join(LOCK_FILE).symlink_metadata().is_ok() {
            let bytes = read_bounded(&directory.join(LOCK_FILE), LOCK_MAX_BYTES)?;
            files.push(SourceFile { path: LOCK_FILE.to_owned(), bytes });
        }
        let mut texts = Texts { directory, files: Vec::new(), bytes: 0 };
        for name in TEXT_DIRECTORIES {
            if directory.join(name).symlink_metadata().is_ok() {
                texts.read(name, TEXT_DEPTH_MAX)?;
            }
        }
        files.append(&mut texts.files);
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Self { directory: directory.to_owned(), files })
    }

    /// The settings and the inventory alone, where a plan says what is to be done.
    #[must_use]
    pub fn without_remediations(&self) -> Vec<SourceFile> {
        let needed = |file: &&SourceFile| file.path == PROJECT_FILE || file.path.starts_with("inventory/");
        self.files.iter().filter(needed).cloned().collect()
    }

    /// Digest of the sources: derived over path and bytes of each file in order of path.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let parts: Vec<&[u8]> =
            self.files.iter().flat_map(|f| [f.path.as_bytes(), f.bytes.as_slice()]).collect();
        Digest::derive(context::SOURCES, &parts)
    }
}

/// Gathers the files that properties may take texts from. They are reviewed and sealed with the project,
/// so none of them may lie elsewhere: no link is followed.
struct Texts<'a> {
    directory: &'a Path,
    files: Vec<SourceFile>,
    bytes: usize,
}

impl Texts<'_> {
    /// Everything below a directory, given relative to the project. What begins with a dot is an editor's or
    /// a tool's, as among the YAML files.
    fn read(&mut self, name: &str, depth: usize) -> Result<(), EngineError> {
        let path = self.directory.join(name);
        let error = |e| EngineError::file(FileVerb::Read, &path, e);
        let refused = |kind, message: &str| Err(error(io::Error::new(kind, message)));
        if path.symlink_metadata().map_err(error)?.is_symlink() {
            return refused(
                io::ErrorKind::InvalidInput,
                "a link: templates and files lie in the project itself",
            );
        }
        if depth == 0 {
            return refused(io::ErrorKind::InvalidInput, "directories are nested too deeply");
        }
        for entry in fs::read_dir(&path).map_err(error)? {
            let entry = entry.map_err(error)?;
            let Ok(file_name) = entry.file_name().into_string() else {
                return refused(io::ErrorKind::InvalidData, "the name of a file in it is not UTF-8");
            };
            if file_name.starts_with('.') {
                continue;
            }
            let name = format!("{name}/{file_name}");
            if entry.file_type().map_err(error)?.is_dir() {
                self.read(&name, depth - 1)?;
                continue;
            }
            let bytes = read_beneath(self.directory, &name, TEXT_FILE_MAX_BYTES)?;
            self.bytes += bytes.len();
            self.files.push(SourceFile { path: name, bytes });
            if self.files.len() > TEXT_FILES_MAX {
                let message = format!("there are more than {TEXT_FILES_MAX} templates and files");
                return refused(io::ErrorKind::FileTooLarge, &message);
            }
            if self.bytes > TEXT_FILES_MAX_BYTES {
                let limit_bytes = TEXT_FILES_MAX_BYTES;
                return Err(EngineError::TooLarge { path: path.clone(), limit_bytes });
            }
        }
        Ok(())
    }
}

fn read_source(directory: &Path, name: &str) -> Result<SourceFile, EngineError> {
    let bytes = read_bounded(&directory.join(name), SOURCE_MAX_BYTES)?;
    Ok(SourceFile { path: name.to_owned(), bytes })
}
