//! Facts: what a target is, as far as expressions asked; and what is assumed to stay so until a run.

use alloc::{collections::BTreeMap, string::String, vec::Vec};
use core::fmt;
use rectify_base::{Address, Digest, Pointer, TypeName, canonical, digest::context};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The family of the types that tell facts: `facts.os` tells the group `os`.
pub const FAMILY: &str = "facts";
/// Longest canonical form of a value that an [`Assumption`] holds as it is, in bytes.
pub const VALUE_MAX_BYTES: usize = 256;

/// The facts of one target, by group. A group is the part of its type's name after the dot.
pub type Facts = BTreeMap<String, Fact>;

/// A group of facts, as its provider told it. No time, pid or anything else that changes by itself is
/// in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Fact {
    /// What was found: an object or a list.
    Value(Value),
    /// The target has nothing of the kind, and why that is known.
    Absent(String),
}

/// Something about a target that decided what the graph holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Assumption {
    /// Place in the facts of the target; the first token is the group.
    pub fact: Pointer,
    /// What was found there.
    pub is: Found,
    /// The steps and gates that it decided, sorted; also those that it left out.
    pub decides: Vec<Address>,
}

/// What was found at a place of the facts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Found {
    /// This value, whose canonical form has at most [`VALUE_MAX_BYTES`].
    Value(Value),
    /// A longer value: derived digest of its canonical form.
    Digest(Digest),
    /// Something; only that was asked.
    Present,
    /// Nothing.
    Absent,
}

/// The type that tells a group.
#[must_use]
pub fn type_of(group: &str) -> Option<TypeName> {
    TypeName::new(alloc::format!("{FAMILY}.{group}")).ok()
}

/// The value at a place of facts, if there is one.
#[must_use]
pub fn value_at<'f>(facts: &'f Facts, fact: &Pointer) -> Option<&'f Value> {
    let tokens = fact.tokens();
    let (group, rest) = tokens.split_first()?;
    match facts.get(group)? {
        Fact::Value(value) => Pointer::from_tokens(rest.iter().map(String::as_str)).get(value),
        Fact::Absent(_) => None,
    }
}

impl Found {
    /// What is found at a place of facts, or only whether something is.
    #[must_use]
    pub fn at(facts: &Facts, fact: &Pointer, only_whether: bool) -> Self {
        match value_at(facts, fact) {
            None => Self::Absent,
            Some(_) if only_whether => Self::Present,
            Some(value) => match canonical::compact_value(value) {
                Ok(bytes) if bytes.len() > VALUE_MAX_BYTES => {
                    Self::Digest(Digest::derive(context::FACT, &[&bytes]))
                }
                _ => Self::Value(value.clone()),
            },
        }
    }
}

/// In words, as after "is".
impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(value) => write!(f, "{value}"),
            Self::Digest(digest) => write!(f, "a value with the digest {digest}"),
            Self::Present => f.write_str("there"),
            Self::Absent => f.write_str("not there"),
        }
    }
}

impl Assumption {
    /// What is found in facts now, in the same form.
    #[must_use]
    pub fn found(&self, facts: &Facts) -> Found {
        Found::at(facts, &self.fact, self.is == Found::Present)
    }

    /// The fact as an expression names it, such as `facts.os.id` or `facts.packages["apt-utils"]`.
    #[must_use]
    pub fn named(&self) -> String {
        let mut out = String::from(FAMILY);
        for token in self.fact.tokens() {
            let plain = token.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && token.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            match plain {
                true => out.extend([".", &token]),
                false => out.extend(["[\"", &token, "\"]"]),
            }
        }
        out
    }

    /// Its group.
    #[must_use]
    pub fn group(&self) -> String {
        self.fact.tokens().into_iter().next().unwrap_or_default()
    }
}
