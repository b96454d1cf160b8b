//! What looks at nothing, for tests against the tools themselves and what they printed once.

pub use crate::version::{compare, is_version};

use crate::apt;
use serde_json::{Value, json};

/// What `apt-get -s` says that it would do.
///
/// # Errors
/// With the line that is not understood.
pub fn simulation(stdout: &str) -> Result<Value, String> {
    apt::simulation(stdout).map(|found| json!(found))
}

/// What dpkg-query knows of packages, by name; `null` where something was left half done.
#[must_use]
pub fn query(stdout: &str) -> Option<Value> {
    let rows = apt::rows(stdout)?;
    Some(rows.into_iter().map(|row| (row.name.clone(), json!(row.status(false)))).collect())
}

/// Why a tool failed.
#[must_use]
pub fn complaint(stdout: &str, stderr: &str) -> Value {
    json!(apt::complaint(stdout, stderr))
}
