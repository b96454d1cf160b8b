//! What the kit has to be told of a provider: properties that mean something, and how to get in its way.

use rectify_base::{Digest, TypeName};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Name and version of the format.
pub const FORMAT: &str = "rectify.fixtures/v1";

/// Properties of a resource.
pub type Properties = Map<String, Value>;

/// A file of fixtures. Scripts are for `sh -eu`; they run in the sandbox's root directory, where the
/// provider runs, before and after each check.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fixtures {
    /// [`FORMAT`].
    pub format: String,
    /// The provider's name.
    pub provider: String,
    /// Whether resources lie in the sandbox's root directory. If not they are on the machine itself,
    /// and checks run one after the other.
    #[serde(default = "yes")]
    pub root: bool,
    /// Commands that may run while planning.
    #[serde(default)]
    pub plan_commands: Vec<Vec<String>>,
    /// By type. A type without fixtures is tested as far as its manifest goes.
    pub types: BTreeMap<TypeName, TypeFixture>,
    /// Types that cannot have fixtures, and why.
    #[serde(default)]
    pub untested: BTreeMap<TypeName, String>,
}

/// Fixtures of one type. What is left out skips the checks that need it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TypeFixture {
    /// Makes what the properties need.
    #[serde(default)]
    pub setup: Vec<String>,
    /// Removes what neither the provider nor the end of the sandbox removes.
    #[serde(default)]
    pub teardown: Vec<String>,
    /// Properties A, valid: where nothing was, they make something. Of an action: its run.
    pub a: Properties,
    /// Properties B, of the same thing as A: an update in place.
    #[serde(default)]
    pub b: Option<Properties>,
    /// Properties C, of the same thing as A: it has to be made anew.
    #[serde(default)]
    pub replace: Option<Properties>,
    /// Properties that must be refused.
    #[serde(default)]
    pub invalid: Vec<Invalid>,
    /// Properties whose operation fails.
    #[serde(default)]
    pub failing: Option<Properties>,
    /// Properties whose operation takes a minute unless it is cancelled.
    #[serde(default)]
    pub slow: Option<Properties>,
    /// Changes the thing of A behind the provider's back.
    #[serde(default)]
    pub disturb: Vec<String>,
    /// Makes something of somebody else where A would be.
    #[serde(default)]
    pub foreign: Vec<String>,
    /// Properties with `{"$secret": [{"name": "canary"}]}` in them.
    #[serde(default)]
    pub secret: Option<Properties>,
    /// Like `secret`, whose operation fails.
    #[serde(default)]
    pub secret_failing: Option<Properties>,
    /// Something that others may not read.
    #[serde(default)]
    pub private: Option<Private>,
    /// File in the root directory to which each run of action A adds one line.
    #[serde(default)]
    pub counter: Option<String>,
    /// Of an action that can be taken back: a script that fails unless that happened.
    #[serde(default)]
    pub undone: Option<String>,
}

/// Properties that must be refused.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Invalid {
    /// The properties.
    pub properties: Properties,
    /// The place that must be blamed.
    #[serde(default)]
    pub path: Option<String>,
}

/// Something that others may not read, with a content whose digest the state has.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Private {
    /// Makes it.
    pub setup: Vec<String>,
    /// Properties that name it.
    pub properties: Properties,
    /// Its content, at least eight characters.
    pub content: String,
}

fn yes() -> bool {
    true
}

/// Why a file of fixtures cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FixturesError {
    /// It cannot be read as fixtures.
    #[error("the fixtures cannot be read: {0}")]
    Syntax(String),
    /// Another format.
    #[error("the fixtures have the format `{0}`; expected `{FORMAT}`")]
    Format(String),
}

impl Fixtures {
    /// Reads a file of fixtures, YAML or JSON.
    ///
    /// # Errors
    /// See [`FixturesError`].
    pub fn read(bytes: &[u8]) -> Result<Self, FixturesError> {
        let syntax = |e: &dyn std::fmt::Display| FixturesError::Syntax(e.to_string());
        let text = std::str::from_utf8(bytes).map_err(|e| syntax(&e))?;
        let fixtures: Self = serde_saphyr::from_str(text).map_err(|e| syntax(&e))?;
        if fixtures.format != FORMAT {
            return Err(FixturesError::Format(fixtures.format));
        }
        if let Some(name) = fixtures.untested.keys().find(|name| fixtures.types.contains_key(name)) {
            return Err(FixturesError::Syntax(format!("`{name}` has fixtures and is `untested`")));
        }
        Ok(fixtures)
    }

    /// Digest of a file of fixtures.
    #[must_use]
    pub fn digest(bytes: &[u8]) -> Digest {
        Digest::of_bytes(bytes)
    }
}
