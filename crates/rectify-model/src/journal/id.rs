//! Ids of runs and operations. All follow from the seal's `use`; none is drawn here.

use alloc::{
    string::{String, ToString},
    vec::Vec,
};
use core::{fmt, str::FromStr};
use rectify_base::{Address, Digest, TargetName, digest::context};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Why a text is not an id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{got}` is not a {kind}: expected {digits} lower-case hexadecimal digits")]
pub struct IdError {
    kind: &'static str,
    digits: usize,
    got: String,
}

macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $digits:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[cfg_attr(
            feature = "schema",
            derive(schemars::JsonSchema),
            schemars(extend("pattern" = concat!("^[0-9a-f]{", $digits, "}$")))
        )]
        pub struct $name(String);

        impl $name {
            /// Checks the spelling and wraps it.
            ///
            /// # Errors
            /// [`IdError`] unless the text has the right number of lower-case hexadecimal digits.
            pub fn new(text: impl Into<String>) -> Result<Self, IdError> {
                let text = text.into();
                if text.len() == $digits && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
                    Ok(Self(text))
                } else {
                    Err(IdError { kind: $kind, digits: $digits, got: text.chars().take(80).collect() })
                }
            }

            /// The digits.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::new(String::deserialize(deserializer)?).map_err(D::Error::custom)
            }
        }
    };
}

hex_id!(
    /// The seal's `use`: one permission, 128 random bits. It is at most one run per target.
    UseId,
    "use",
    32
);
hex_id!(
    /// A run. Derived from the permission and the targets, so the same start has the same id.
    RunId,
    "run id",
    64
);

impl RunId {
    /// The run of this permission on these targets; the order of the targets means nothing.
    #[must_use]
    pub fn derive<'a>(use_id: &UseId, targets: impl IntoIterator<Item = &'a TargetName>) -> Self {
        let mut names: Vec<&str> = targets.into_iter().map(TargetName::as_str).collect();
        names.sort_unstable();
        names.dedup();
        let parts: Vec<&[u8]> = core::iter::once(use_id.as_str()).chain(names).map(str::as_bytes).collect();
        Self(Digest::derive(context::RUN, &parts).hex())
    }
}

/// The id of one operation: the same for each attempt, other for each permission. The permission
/// enters as the text of its digits.
#[must_use]
pub fn operation_id(use_id: &UseId, target: &TargetName, address: &Address) -> String {
    Digest::derive(
        context::OPERATION,
        &[use_id.as_str().as_bytes(), target.as_str().as_bytes(), address.as_str().as_bytes()],
    )
    .hex()
}

/// Which way an operation goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// As the plan's step says.
    Forward,
    /// As its inverse says.
    Back,
}

/// The id of an operation in either direction. `retries` counts how often a person said that it did
/// not happen and may be tried as a new operation; a ledger that knows the old one is not asked again.
/// Forward without retries it is [`operation_id`]; otherwise a word for the direction and the decimal
/// count enter as two more parts.
#[must_use]
pub fn operation_id_of(
    use_id: &UseId,
    target: &TargetName,
    address: &Address,
    direction: Direction,
    retries: u32,
) -> String {
    let word = match direction {
        Direction::Forward if retries == 0 => return operation_id(use_id, target, address),
        Direction::Forward => "forward",
        Direction::Back => "back",
    };
    let count = retries.to_string();
    Digest::derive(
        context::OPERATION,
        &[
            use_id.as_str().as_bytes(),
            target.as_str().as_bytes(),
            address.as_str().as_bytes(),
            word.as_bytes(),
            count.as_bytes(),
        ],
    )
    .hex()
}
