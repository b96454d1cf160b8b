//! What of the reading of bundles is not public by itself, for tests that try any bytes at all.

use crate::{Bundle, PolicyError, check, data};
use serde_json::{Map, Value};

/// Everything that is said of a bundle without running it: the number of definitions that decide.
///
/// # Errors
/// As of [`check::check`].
pub fn parse(bundle: &Bundle) -> Result<usize, PolicyError> {
    check::parse(bundle).map(|parsed| parsed.heads.len())
}

/// What stands under `data`.
pub type Data = Map<String, Value>;

/// What all data files give together: as they say, and with what was moved on purpose.
///
/// # Errors
/// A file that is not of the form, or contradicts another.
pub fn data(bundle: &Bundle) -> Result<(Data, Data), PolicyError> {
    data::merged(bundle).map(|data| (data.plain, data.decisive))
}
