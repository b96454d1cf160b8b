//! The shape of the trust file. Texts are read as texts here and understood afterwards, so that
//! every mistake is reported, with its place.

#[cfg(feature = "schema")]
use rectify_attest::PrincipalName;
#[cfg(feature = "schema")]
use rectify_base::{Digest, ProjectName};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use std::collections::BTreeMap;

/// What [`super::times`] reads, as regular expressions.
#[cfg(feature = "schema")]
const TIME: &str = "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$";
#[cfg(feature = "schema")]
const DURATION: &str = "^[0-9]+[smhd]$";

/// Read first, so that a newer format is named as such and not by its first unknown field.
#[derive(Deserialize)]
pub(crate) struct Header {
    #[serde(default)]
    pub(crate) format: Option<String>,
}

/// Whose keys count for what. It lies outside any project.
#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Wire {
    /// Name and version of the format.
    #[cfg_attr(feature = "schema", schemars(extend("const" = rectify_attest::trust::FORMAT)))]
    pub(crate) format: String,
    /// Thresholds of zero are allowed: one person seals and applies alone.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub(crate) solo: bool,
    /// Who holds which keys, by name.
    #[cfg_attr(feature = "schema", schemars(with = "BTreeMap<PrincipalName, WirePrincipal>"))]
    #[serde(deserialize_with = "valued")]
    pub(crate) principals: BTreeMap<String, WirePrincipal>,
    /// Who may do what.
    pub(crate) roles: WireRoles,
    /// How many must approve; one unless this says otherwise.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub(crate) approvals: Option<WireApprovals>,
    /// Digests of the policy bundles that may decide.
    #[cfg_attr(feature = "schema", schemars(with = "Vec<Digest>"))]
    #[serde(deserialize_with = "valued")]
    pub(crate) policy_bundles: Vec<String>,
    /// How long things may live.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub(crate) ceilings: Option<WireCeilings>,
    /// What is kept for taking changes back.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub(crate) undo: Option<WireUndo>,
    /// Commands, as whole argument lists, that providers may run while planning.
    #[serde(default, deserialize_with = "valued", skip_serializing_if = "Vec::is_empty")]
    pub(crate) plan_commands: Vec<Vec<String>>,
    /// Commands, as whole argument lists, that the engine may run to fetch secrets.
    #[serde(default, deserialize_with = "valued", skip_serializing_if = "Vec::is_empty")]
    pub(crate) secret_commands: Vec<Vec<String>>,
    /// What happens to the audit log.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub(crate) audit: Option<WireAudit>,
}

/// What happens to the audit log.
#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct WireAudit {
    /// Absolute paths of files to which each checkpoint is appended: on another machine's disk, best.
    #[serde(deserialize_with = "valued")]
    pub(crate) sinks: Vec<String>,
}

/// A holder of keys. One without keys can be named as author.
#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct WirePrincipal {
    /// Only persons approve.
    pub(crate) kind: WireKind,
    /// The keys.
    #[serde(deserialize_with = "valued")]
    pub(crate) keys: Vec<WireKey>,
}

/// Person or machine.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub(crate) enum WireKind {
    /// A human being.
    Person,
    /// A planner, an agent, a pipeline.
    Machine,
}

/// One key and when it counts.
#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct WireKey {
    /// One line of an OpenSSH public key file.
    #[cfg_attr(feature = "schema", schemars(extend("pattern" = "^\\s*ssh-ed25519\\s+[A-Za-z0-9+/]+={0,2}(\\s.*)?$")))]
    pub(crate) public: String,
    /// First second in which it counts.
    #[cfg_attr(feature = "schema", schemars(extend("pattern" = TIME)))]
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub(crate) valid_from: Option<String>,
    /// First second in which it counts no more.
    #[cfg_attr(feature = "schema", schemars(extend("pattern" = TIME)))]
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub(crate) valid_to: Option<String>,
    /// Set if it must not count again, whatever the time.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub(crate) revoked: Option<WireRevocation>,
}

/// Why a key was taken out of use.
#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct WireRevocation {
    /// Since when it is not trusted.
    #[cfg_attr(feature = "schema", schemars(extend("pattern" = TIME)))]
    pub(crate) since: String,
    /// Why.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
}

/// Who may do what, by names of principals.
#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct WireRoles {
    /// Who may seal.
    #[cfg_attr(feature = "schema", schemars(with = "Vec<PrincipalName>"))]
    #[serde(deserialize_with = "valued")]
    pub(crate) sealer: Vec<String>,
    /// Who may approve. Persons only.
    #[cfg_attr(feature = "schema", schemars(with = "Vec<PrincipalName>"))]
    #[serde(default, deserialize_with = "valued")]
    pub(crate) approver: Vec<String>,
    /// Who may override rules of policy that let themselves be overridden. Persons only.
    #[cfg_attr(feature = "schema", schemars(with = "Vec<PrincipalName>"))]
    #[serde(
        default,
        rename = "override",
        deserialize_with = "valued",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub(crate) overriders: Vec<String>,
    /// Whose providers may run, beside those that are part of Rectify. Without it anybody's may; an empty
    /// list means nobody's.
    #[cfg_attr(feature = "schema", schemars(with = "Vec<PrincipalName>"))]
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub(crate) publisher: Option<Vec<String>>,
}

/// How many must approve. Of all that apply the highest counts.
#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct WireApprovals {
    /// For environments that are not listed.
    pub(crate) default: u32,
    /// By environment of the plan's targets.
    #[serde(default, deserialize_with = "valued", skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) environments: BTreeMap<String, u32>,
    /// By project.
    #[cfg_attr(feature = "schema", schemars(with = "BTreeMap<ProjectName, u32>"))]
    #[serde(default, deserialize_with = "valued", skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) projects: BTreeMap<String, u32>,
}

/// Longest lives, such as `72h`.
#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct WireCeilings {
    /// From a seal's beginning to its end.
    #[cfg_attr(feature = "schema", schemars(extend("pattern" = DURATION)))]
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub(crate) seal: Option<String>,
    /// From now to an approval's end.
    #[cfg_attr(feature = "schema", schemars(extend("pattern" = DURATION)))]
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub(crate) approval: Option<String>,
}

/// What is kept for taking changes back.
#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct WireUndo {
    /// Days after the end of a run for which its before-images are kept; 30 unless this says otherwise.
    #[cfg_attr(
        feature = "schema",
        schemars(range(min = 1, max = rectify_attest::trust::KEEP_DAYS_MAX))
    )]
    pub(crate) keep_days: u32,
}

/// A member that is written has a value: an empty `valid_to:` must not mean "for ever".
fn valued<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    Option::deserialize(deserializer)?.ok_or_else(|| D::Error::custom("a member without a value"))
}

/// The same for members that may be left out.
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    valued(deserializer).map(Some)
}
