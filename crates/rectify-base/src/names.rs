//! Names and addresses. Each kind of name is a type of its own; all share one spelling rule. They are
//! in many places at once, so a copy shares the text.

use crate::limits::{CALLS_MAX, KEY_MAX_BYTES, NAME_MAX_BYTES};
use alloc::{
    format,
    string::{String, ToString},
    sync::Arc,
};
use core::{fmt, str::FromStr};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Why a text is not a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{got}` is not a {kind}: {expected}")]
pub struct NameError {
    /// What kind of name was expected.
    pub kind: &'static str,
    /// The text, cut to 80 characters.
    pub got: String,
    /// The spelling rule.
    pub expected: &'static str,
}

const NAME_RULE: &str =
    "expected 1 to 63 of a-z, 0-9, `-`, `_` and `.`, beginning and ending with a letter or a digit";

fn is_name(text: &str) -> bool {
    let alphanumeric = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = text.as_bytes();
    (1..=NAME_MAX_BYTES).contains(&bytes.len())
        && bytes.iter().all(|b| alphanumeric(b) || matches!(b, b'-' | b'_' | b'.'))
        && bytes.first().is_some_and(alphanumeric)
        && bytes.last().is_some_and(alphanumeric)
}

/// What [`is_name`] accepts, as a regular expression for the schemas.
#[cfg(feature = "schema")]
macro_rules! name_pattern {
    () => {
        "[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?"
    };
}

/// What [`is_key`] accepts, in brackets, or nothing.
#[cfg(feature = "schema")]
macro_rules! key_pattern {
    () => {
        "(\\[\"[ !#-\\[\\]-_a-~]{1,255}\"\\])?"
    };
}

/// Whether a text can tell one of several steps of a `for_each` from the others: 1 to
/// [`KEY_MAX_BYTES`] printable ASCII characters without `"`, `\` and the backtick, so that an address
/// reads the same in messages, tables and shells.
#[must_use]
pub fn is_key(text: &str) -> bool {
    (1..=KEY_MAX_BYTES).contains(&text.len())
        && text.bytes().all(|b| matches!(b, b' '..=b'~') && !matches!(b, b'"' | b'\\' | b'`'))
}

/// A step below a remediation: names, each with a key or without, one in another.
fn is_steps(mut rest: &str) -> bool {
    for _ in 0..=CALLS_MAX {
        let end = rest.find(['/', '[']).unwrap_or(rest.len());
        let (name, tail) = rest.split_at(end);
        if !is_name(name) {
            return false;
        }
        rest = tail;
        if let Some(keyed) = rest.strip_prefix("[\"") {
            // A key may hold slashes and brackets, but no quote.
            let Some((key, tail)) = keyed.split_once('"') else { return false };
            let Some(tail) = tail.strip_prefix(']').filter(|_| is_key(key)) else { return false };
            rest = tail;
        }
        match rest.strip_prefix('/') {
            Some(inner) => rest = inner,
            None => return rest.is_empty(),
        }
    }
    false
}

macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $pattern:expr, $rule:expr, $valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[cfg_attr(
            feature = "schema",
            derive(schemars::JsonSchema),
            schemars(extend("pattern" = concat!("^", $pattern, "$")))
        )]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks the spelling and wraps it.
            ///
            /// # Errors
            /// [`NameError`] with the rule that the text breaks.
            pub fn new(text: impl Into<String>) -> Result<Self, NameError> {
                let text = text.into();
                let valid: fn(&str) -> bool = $valid;
                if valid(&text) {
                    Ok(Self(text.into()))
                } else {
                    Err(NameError { kind: $kind, got: text.chars().take(80).collect(), expected: $rule })
                }
            }

            /// The name as written.
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
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
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

text_type!(
    /// Name of a project.
    ProjectName, "project name", name_pattern!(), NAME_RULE, is_name
);
text_type!(
    /// Name of a remediation, unique in its project.
    RemediationName, "remediation name", name_pattern!(), NAME_RULE, is_name
);
text_type!(
    /// Name of a module, unique in its project.
    ModuleName, "module name", name_pattern!(), NAME_RULE, is_name
);
text_type!(
    /// Name of a group of targets, unique in the inventory.
    GroupName, "group name", name_pattern!(), NAME_RULE, is_name
);
text_type!(
    /// Name of a step, unique in its remediation.
    StepName, "step name", name_pattern!(), NAME_RULE, is_name
);
text_type!(
    /// Name of a target, unique in the inventory.
    TargetName, "target name", name_pattern!(), NAME_RULE, is_name
);
text_type!(
    /// Name of a secret, unique in its project. Expressions write it as `secrets.NAME`.
    SecretName,
    "secret name",
    "[A-Za-z][A-Za-z0-9_]{0,62}",
    "expected a letter, then up to 62 letters, digits and `_`",
    |text| {
        text.len() <= NAME_MAX_BYTES
            && text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    }
);
text_type!(
    /// Name of a resource, action or probe type: `family.kind`, such as `file.content`.
    TypeName,
    "type name",
    "[a-z][a-z0-9_]{0,62}\\.[a-z][a-z0-9_]{0,62}",
    "expected `provider.kind`, each of a-z, 0-9 and `_`, beginning with a letter",
    |text| {
        let word = |w: &str| {
            (1..=NAME_MAX_BYTES).contains(&w.len())
                && w.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
                && w.bytes().next().is_some_and(|b| b.is_ascii_lowercase())
        };
        text.split_once('.').is_some_and(|(provider, kind)| word(provider) && word(kind))
    }
);
text_type!(
    /// Where something stands in a project: `remediation/step`, or `remediation/verify:0` for a
    /// gate. One of several steps has its key behind it, `remediation/step["key"]`, and a step of a
    /// module stands below its call, `remediation/call/step`. Together with a target it names one
    /// node of the graph.
    Address,
    "address",
    concat!(
        name_pattern!(), "/(", name_pattern!(), key_pattern!(),
        "(/", name_pattern!(), key_pattern!(), "){0,4}|verify:[0-9]{1,6})"
    ),
    "expected `remediation/step`, `remediation/step[\"key\"]`, `remediation/call/step` or \
     `remediation/verify:<index>`",
    |text| {
        text.split_once('/').is_some_and(|(remediation, rest)| {
            let gate = rest
                .strip_prefix("verify:")
                .is_some_and(|i| !i.is_empty() && i.len() <= 6 && i.bytes().all(|b| b.is_ascii_digit()));
            is_name(remediation) && (gate || is_steps(rest))
        })
    }
);

impl TypeName {
    /// The part before the dot: the family. It is often, but not always, the provider's name.
    #[must_use]
    pub fn provider(&self) -> &str {
        self.0.split_once('.').map_or(self.as_str(), |(provider, _)| provider)
    }
}

impl Address {
    /// The address of a step.
    #[must_use]
    pub fn of_step(remediation: &RemediationName, step: &StepName) -> Self {
        Self(format!("{remediation}/{step}").into())
    }

    /// The address of the gate with this place in the `verify` list.
    #[must_use]
    pub fn of_gate(remediation: &RemediationName, index: usize) -> Self {
        Self(format!("{remediation}/verify:{index}").into())
    }

    /// The remediation's name.
    #[must_use]
    pub fn remediation(&self) -> &str {
        self.0.split_once('/').map_or("", |(remediation, _)| remediation)
    }

    /// What stands behind the remediation: the step's name, with keys and calls if there are any, or
    /// `verify:<index>`.
    #[must_use]
    pub fn step(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, step)| step)
    }

    /// Whether this names a gate.
    #[must_use]
    pub fn is_gate(&self) -> bool {
        self.step().starts_with("verify:")
    }
}

/// A node of the graph: a target and an address; ordered by target, then address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct NodeKey {
    /// Where.
    pub target: TargetName,
    /// What.
    pub address: Address,
}

impl fmt::Display for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&(self.target.to_string() + ":" + self.address.as_str()))
    }
}
