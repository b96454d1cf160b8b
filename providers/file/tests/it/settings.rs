//! What the types that set single values have in common in tests: an edit of a text, without a file.

use rectify_provider_file::pure::edit;
use rectify_sdk::{base::TypeName, protocol::ItemError};
use serde_json::Value;

/// The bytes after an edit.
pub fn after_bytes(name: &str, before: &[u8], desired: &Value) -> Result<Vec<u8>, ItemError> {
    let mut desired = desired.as_object().unwrap().clone();
    desired.insert("path".into(), "/x".into());
    let name = TypeName::new(name).unwrap();
    let once = edit(&name, &desired, before)?;
    assert_eq!(edit(&name, &desired, &once).as_ref(), Ok(&once), "{desired:?} is no fixed point");
    Ok(once)
}

/// The text after an edit that is possible.
pub fn after(name: &str, before: &str, desired: &Value) -> String {
    let bytes = after_bytes(name, before.as_bytes(), desired);
    String::from_utf8(bytes.unwrap_or_else(|e| panic!("{desired} in {before:?}: {e}"))).unwrap()
}

/// The message of an edit that is refused, with its code and place.
pub fn refused(name: &str, before: impl AsRef<[u8]>, desired: &Value) -> String {
    let error = match after_bytes(name, before.as_ref(), desired) {
        Err(error) => error,
        Ok(bytes) => panic!("not refused: {desired} gives {:?}", String::from_utf8_lossy(&bytes)),
    };
    format!("{:?} {}: {}", error.code, error.path.unwrap_or_default(), error.message)
}
