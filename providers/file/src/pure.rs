//! What needs no file system, for those who have only bytes: tests that try any bytes at all.

use crate::{
    desired::{Desired, Want},
    edit::EditError,
    names::Table,
};
use rectify_sdk::{
    base::TypeName,
    protocol::{ErrorCode, ItemError},
};
use serde_json::{Map, Value};

/// The content after an edit (`file.line`, `file.ini`, ...) of one that exists.
///
/// # Errors
/// For properties that no step may have, and for contents that cannot be edited so.
pub fn edit(
    type_name: &TypeName,
    desired: &Map<String, Value>,
    content: &[u8],
) -> Result<Vec<u8>, ItemError> {
    match Desired::parse(type_name, desired)?.want {
        Want::Edit { edit, .. } => edit.apply(content).map_err(EditError::answer),
        Want::Content { .. } | Want::Directory { .. } | Want::Link { .. } | Want::Absent { .. } => {
            let message = format!("`{type_name}` edits nothing");
            Err(ItemError::new(ErrorCode::Unsupported, message))
        }
    }
}

/// A passwd or group file as states and properties read it.
#[derive(Debug)]
pub struct Accounts(Table);

impl Accounts {
    /// Reads a file; lines of another shape name nobody.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Self {
        Self(Table::parse(bytes))
    }

    /// How states write an id.
    #[must_use]
    pub fn name(&self, id: u32) -> String {
        self.0.name(id)
    }

    /// The id that a state means.
    #[must_use]
    pub fn id(&self, name: &str) -> Option<u32> {
        self.0.id(name).ok()
    }

    /// The id that a property means.
    #[must_use]
    pub fn wanted(&self, name: &str) -> Option<u32> {
        self.0.wanted(name).ok()
    }
}
