//! The shape of the trust file. Texts are read as texts here and understood afterwards, so that
//! every mistake is reported, with its place.

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use std::collections::BTreeMap;

/// Read first, so that a newer format is named as such and not by its first unknown field.
#[derive(Deserialize)]
pub(crate) struct Header {
    #[serde(default)]
    pub(crate) format: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wire {
    pub(crate) format: String,
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub(crate) solo: bool,
    #[serde(deserialize_with = "valued")]
    pub(crate) principals: BTreeMap<String, WirePrincipal>,
    pub(crate) roles: WireRoles,
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub(crate) approvals: Option<WireApprovals>,
    #[serde(deserialize_with = "valued")]
    pub(crate) policy_bundles: Vec<String>,
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub(crate) ceilings: Option<WireCeilings>,
    #[serde(default, deserialize_with = "valued", skip_serializing_if = "Vec::is_empty")]
    pub(crate) plan_commands: Vec<Vec<String>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WirePrincipal {
    pub(crate) kind: WireKind,
    #[serde(deserialize_with = "valued")]
    pub(crate) keys: Vec<WireKey>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum WireKind {
    Person,
    Machine,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WireKey {
    pub(crate) public: String,
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub(crate) valid_from: Option<String>,
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub(crate) valid_to: Option<String>,
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub(crate) revoked: Option<WireRevocation>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WireRevocation {
    pub(crate) since: String,
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WireRoles {
    #[serde(deserialize_with = "valued")]
    pub(crate) sealer: Vec<String>,
    #[serde(default, deserialize_with = "valued")]
    pub(crate) approver: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WireApprovals {
    pub(crate) default: u32,
    #[serde(default, deserialize_with = "valued", skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) environments: BTreeMap<String, u32>,
    #[serde(default, deserialize_with = "valued", skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) projects: BTreeMap<String, u32>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WireCeilings {
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub(crate) seal: Option<String>,
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub(crate) approval: Option<String>,
}

/// A member that is written has a value: an empty `valid_to:` must not mean "for ever".
fn valued<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    Option::deserialize(deserializer)?.ok_or_else(|| D::Error::custom("a member without a value"))
}

/// The same for members that may be left out.
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    valued(deserializer).map(Some)
}
