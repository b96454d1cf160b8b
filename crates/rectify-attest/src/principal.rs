//! Who can sign.

use core::{fmt, str::FromStr};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Longest name of a principal.
pub const PRINCIPAL_MAX_BYTES: usize = 128;

/// Why a text does not name a principal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{got}` is not the name of a principal: expected 1 to 128 of a-z, 0-9, `-`, `_`, `.`, `@` and `+`, beginning and ending with a letter or a digit"
)]
pub struct PrincipalNameError {
    got: String,
}

/// Name of a person or machine that holds keys, such as `alice@example.org`. One spelling only, so
/// that nobody is two principals by capital letters or spaces.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(extend("pattern" = "^[a-z0-9]([a-z0-9._@+-]{0,126}[a-z0-9])?$"))
)]
pub struct PrincipalName(String);

impl PrincipalName {
    /// Checks the spelling and wraps it.
    ///
    /// # Errors
    /// [`PrincipalNameError`] with the rule.
    pub fn new(text: impl Into<String>) -> Result<Self, PrincipalNameError> {
        let text = text.into();
        let alphanumeric = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let bytes = text.as_bytes();
        let valid = (1..=PRINCIPAL_MAX_BYTES).contains(&bytes.len())
            && bytes.iter().all(|b| alphanumeric(b) || matches!(b, b'-' | b'_' | b'.' | b'@' | b'+'))
            && bytes.first().is_some_and(alphanumeric)
            && bytes.last().is_some_and(alphanumeric);
        if valid { Ok(Self(text)) } else { Err(PrincipalNameError { got: text.chars().take(80).collect() }) }
    }

    /// The name as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PrincipalName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for PrincipalName {
    type Err = PrincipalNameError;
    fn from_str(text: &str) -> Result<Self, PrincipalNameError> {
        Self::new(text)
    }
}

impl Serialize for PrincipalName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for PrincipalName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// What kind of principal; a machine never counts as a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PrincipalKind {
    /// A human being.
    Person,
    /// A planner, an agent, a pipeline.
    Machine,
}
