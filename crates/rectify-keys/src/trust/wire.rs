//! The shape of the trust file. Texts are read as texts here and understood afterwards, so that
//! every mistake is reported, with its place.

use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;

/// Read first, so that a newer format is named as such and not by its first unknown field.
#[derive(Deserialize)]
pub(crate) struct Header {
    pub(crate) format: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wire {
    pub(crate) format: String,
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub(crate) solo: bool,
    pub(crate) principals: BTreeMap<String, WirePrincipal>,
    pub(crate) roles: WireRoles,
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub(crate) approvals: Option<WireApprovals>,
    pub(crate) policy_bundles: Vec<String>,
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub(crate) ceilings: Option<WireCeilings>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) plan_commands: Vec<Vec<String>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WirePrincipal {
    pub(crate) kind: WireKind,
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
    pub(crate) sealer: Vec<String>,
    #[serde(default)]
    pub(crate) approver: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WireApprovals {
    pub(crate) default: u32,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) environments: BTreeMap<String, u32>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
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

/// A key that is written has a value: an empty `valid_to:` must not mean "for ever".
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}
