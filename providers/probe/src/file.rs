//! `file.matches`: whether a file's text matches a pattern, or does not.

use crate::{Answer, properties};
use rectify_sdk::{
    Context, open_beneath,
    protocol::{ErrorCode, ItemError},
};
use regex::{Regex, RegexBuilder};
use rustix::fs::OFlags;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

/// Largest file that is searched.
const FILE_MAX_BYTES: u64 = 16 * 1024 * 1024;
/// Largest pattern, once compiled.
const PATTERN_MAX_BYTES: usize = 1024 * 1024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Properties {
    path: String,
    pattern: String,
    #[serde(default)]
    absent: bool,
}

/// The question.
pub(crate) struct Matches {
    path: String,
    pattern: Regex,
    absent: bool,
}

impl Matches {
    pub(crate) fn read(desired: &Map<String, Value>) -> Result<Self, ItemError> {
        let wrong = |message: String, path: &str| ItemError::new(ErrorCode::Schema, message).at(path);
        let Properties { path, pattern, absent } = properties(desired)?;
        if !path.starts_with('/') || path.contains('\0') {
            return Err(wrong("the path is not absolute".into(), "/path"));
        }
        if pattern.is_empty() {
            return Err(wrong("an empty pattern matches everything".into(), "/pattern"));
        }
        let pattern = RegexBuilder::new(&pattern)
            .multi_line(true)
            .size_limit(PATTERN_MAX_BYTES)
            .build()
            .map_err(|e| wrong(format!("the pattern cannot be used: {e}"), "/pattern"))?;
        Ok(Self { path, pattern, absent })
    }

    /// No content of the file is repeated: others may not read it.
    pub(crate) fn ask(&self, cx: &Context) -> Answer {
        let path = &self.path;
        let Some(bytes) = read(cx.root(), path, "/path")? else {
            return Ok((self.absent, format!("{path} does not exist")));
        };
        let text = String::from_utf8_lossy(&bytes);
        Ok(match self.pattern.find(&text) {
            Some(found) => {
                let line = text.get(..found.start()).unwrap_or("").matches('\n').count() + 1;
                (!self.absent, format!("{path} matches in line {line}"))
            }
            None => (self.absent, format!("{path} does not match")),
        })
    }
}

/// The bytes of a file; `None` if it does not exist. `at` is the property that names it.
pub(crate) fn read(root: Option<&Path>, path: &str, at: &str) -> Result<Option<Vec<u8>>, ItemError> {
    let error = |e: io::Error| {
        let code = match e.kind() {
            io::ErrorKind::PermissionDenied => ErrorCode::Permission,
            _ => ErrorCode::Failed,
        };
        ItemError::new(code, format!("{path} cannot be read: {e}")).at(at)
    };
    // A pipe must not be waited for, nor a device be read.
    let file = match open_beneath(root, Path::new(path), OFlags::RDONLY | OFlags::NONBLOCK) {
        Ok(file) => File::from(file),
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(e) => return Err(error(e)),
    };
    if !file.metadata().map_err(error)?.is_file() {
        let message = format!("{path} is not a regular file");
        return Err(ItemError::new(ErrorCode::Unsupported, message).at(at));
    }
    let mut bytes = Vec::new();
    file.take(FILE_MAX_BYTES + 1).read_to_end(&mut bytes).map_err(error)?;
    if bytes.len() as u64 > FILE_MAX_BYTES {
        let message = format!("{path} is longer than {FILE_MAX_BYTES} bytes");
        return Err(ItemError::new(ErrorCode::Unsupported, message).at(at));
    }
    Ok(Some(bytes))
}
