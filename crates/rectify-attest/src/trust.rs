//! The trust file: whose keys count for what. It lives outside any project; reading and writing it
//! is another crate's work. Times are unix seconds, UTC.

use crate::{
    codes, moment,
    principal::{PrincipalKind, PrincipalName},
    public_key::PublicKey,
};
use rectify_base::{Code, Digest, ProjectName};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Format name of this version.
pub const FORMAT: &str = "rectify.trust/v1";
/// Longest life of a seal or approval unless the file says otherwise: 72 hours.
pub const CEILING_DEFAULT_S: u64 = 72 * 3600;
/// Longest life that the file may grant: 31 days.
pub const CEILING_MAX_S: u64 = 31 * 24 * 3600;

/// Days for which before-images are kept unless the file says otherwise.
pub const KEEP_DAYS_DEFAULT: u32 = 30;
/// Most days for which they can be kept: ten years.
pub const KEEP_DAYS_MAX: u32 = 3_650;

/// What a trust file says, not checked yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustData {
    /// Thresholds of zero are allowed, and without approvers those that policy asks for are let go:
    /// one person seals and applies alone. Loud on purpose.
    pub solo: bool,
    /// Who holds which keys.
    pub principals: BTreeMap<PrincipalName, Principal>,
    /// Who may seal.
    pub sealers: BTreeSet<PrincipalName>,
    /// Who may approve. Persons only.
    pub approvers: BTreeSet<PrincipalName>,
    /// Who may override rules of policy that let themselves be overridden. Persons only; nobody by default.
    pub overriders: BTreeSet<PrincipalName>,
    /// Whose providers may run, beside those that are part of Rectify; anybody's if absent.
    pub publishers: Option<BTreeSet<PrincipalName>>,
    /// How many must approve.
    pub thresholds: Thresholds,
    /// Digests of the policy bundles that may decide.
    pub policy_bundles: BTreeSet<Digest>,
    /// How long things may live.
    pub ceilings: Ceilings,
    /// How long before-images are kept.
    pub retention: Retention,
    /// Commands, as whole argument lists, that providers may run while planning.
    pub plan_commands: BTreeSet<Vec<String>>,
    /// Commands, as whole argument lists, that the engine may run to fetch secrets.
    pub secret_commands: BTreeSet<Vec<String>>,
    /// Absolute paths of files to which each checkpoint of the audit log is appended.
    pub audit_sinks: BTreeSet<String>,
}

/// A holder of keys. One without keys can be named as author.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// Person or machine.
    pub kind: PrincipalKind,
    /// The keys.
    pub keys: Vec<KeyRecord>,
}

/// One key and when it counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRecord {
    /// The key.
    pub public: PublicKey,
    /// First second in which it counts.
    pub valid_from: Option<u64>,
    /// First second in which it counts no more.
    pub valid_to: Option<u64>,
    /// Set if it must not count again, whatever the time.
    pub revoked: Option<Revocation>,
}

/// Why a key was taken out of use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// Since when it is not trusted; for reading history.
    pub since: u64,
    /// Why.
    pub reason: Option<String>,
}

/// How many approvals are needed at least. Of all that apply the highest counts; policy may raise it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// For environments that are not listed.
    pub default: u32,
    /// By environment of the plan's targets.
    pub environments: BTreeMap<String, u32>,
    /// By project.
    pub projects: BTreeMap<ProjectName, u32>,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { default: 1, environments: BTreeMap::new(), projects: BTreeMap::new() }
    }
}

/// Longest lives, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ceilings {
    /// From a seal's `not_before` to its `expires_at`.
    pub seal_s: u64,
    /// From now to an approval's `expires_at`.
    pub approval_s: u64,
}

impl Default for Ceilings {
    fn default() -> Self {
        Self { seal_s: CEILING_DEFAULT_S, approval_s: CEILING_DEFAULT_S }
    }
}

/// How long what undo needs is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Days after the end of a run. Until then an exact undo is exact.
    pub keep_days: u32,
}

impl Default for Retention {
    fn default() -> Self {
        Self { keep_days: KEEP_DAYS_DEFAULT }
    }
}

/// Something in a trust file that makes no sense or is not safe.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, thiserror::Error)]
#[error("{place}: {message} [{code}]")]
pub struct TrustProblem {
    /// Stable code.
    pub code: Code,
    /// JSON Pointer into the file, such as `/principals/alice/keys/0`.
    pub place: String,
    /// One sentence without a final period.
    pub message: String,
}

/// A checked trust file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustFile {
    data: TrustData,
    holders: BTreeMap<PublicKey, (PrincipalName, usize)>,
    by_keyid: BTreeMap<String, PublicKey>,
}

impl TrustFile {
    /// Checks what a file says.
    ///
    /// # Errors
    /// Every [`TrustProblem`] in it.
    pub fn new(data: TrustData) -> Result<Self, Vec<TrustProblem>> {
        let mut problems = Vec::new();
        let holders = holders(&data, &mut problems);
        check_roles(&data, &mut problems);
        check_thresholds(&data, &mut problems);
        check_limits(&data, &mut problems);
        if problems.is_empty() {
            let by_keyid = holders.keys().map(|key| (key.fingerprint(), *key)).collect();
            Ok(Self { data, holders, by_keyid })
        } else {
            Err(problems)
        }
    }

    /// What the file says.
    #[must_use]
    pub const fn data(&self) -> &TrustData {
        &self.data
    }

    /// The listed key with this fingerprint, and who holds it.
    #[must_use]
    pub fn key_with_id(&self, keyid: &str) -> Option<(PublicKey, &PrincipalName, &KeyRecord)> {
        let key = self.by_keyid.get(keyid)?;
        let (name, index) = self.holders.get(key)?;
        let record = self.data.principals.get(name)?.keys.get(*index)?;
        Some((*key, name, record))
    }

    /// Who holds this key.
    #[must_use]
    pub fn holder(&self, key: &PublicKey) -> Option<&PrincipalName> {
        self.holders.get(key).map(|(name, _)| name)
    }

    /// Person or machine; `None` if the principal is not defined.
    #[must_use]
    pub fn kind(&self, name: &PrincipalName) -> Option<PrincipalKind> {
        self.data.principals.get(name).map(|principal| principal.kind)
    }

    /// How many approvals a plan of this project for these environments needs, before policy.
    pub fn threshold<'a>(
        &self,
        project: &ProjectName,
        environments: impl IntoIterator<Item = &'a str>,
    ) -> u32 {
        let thresholds = &self.data.thresholds;
        let of_environments = environments
            .into_iter()
            .map(|name| thresholds.environments.get(name).copied().unwrap_or(thresholds.default))
            .max()
            .unwrap_or(thresholds.default);
        of_environments.max(thresholds.projects.get(project).copied().unwrap_or(0))
    }
}

impl KeyRecord {
    /// A key without limits.
    #[must_use]
    pub const fn unlimited(public: PublicKey) -> Self {
        Self { public, valid_from: None, valid_to: None, revoked: None }
    }

    /// Why the key does not count at this time, if it does not.
    #[must_use]
    pub fn refused_at(&self, now: u64) -> Option<(Code, String)> {
        if let Some(revocation) = &self.revoked {
            let reason = revocation.reason.as_deref().map(|r| format!(" ({r})")).unwrap_or_default();
            return Some((codes::TRUST_KEY_REVOKED, format!("the key is revoked{reason}")));
        }
        if let Some(from) = self.valid_from.filter(|from| now < *from) {
            return Some((
                codes::TRUST_KEY_NOT_YET_VALID,
                format!("the key counts only from {}, and it is {}", moment(from), moment(now)),
            ));
        }
        if let Some(to) = self.valid_to.filter(|to| now >= *to) {
            return Some((
                codes::TRUST_KEY_EXPIRED,
                format!("the key counted until {}, and it is {}", moment(to), moment(now)),
            ));
        }
        None
    }
}

fn problem(problems: &mut Vec<TrustProblem>, code: Code, place: String, message: String) {
    problems.push(TrustProblem { code, place, message });
}

fn holders(
    data: &TrustData,
    problems: &mut Vec<TrustProblem>,
) -> BTreeMap<PublicKey, (PrincipalName, usize)> {
    let mut holders: BTreeMap<PublicKey, (PrincipalName, usize)> = BTreeMap::new();
    for (name, principal) in &data.principals {
        for (index, record) in principal.keys.iter().enumerate() {
            let place = format!("/principals/{name}/keys/{index}");
            if let Some((other, at)) = holders.insert(record.public, (name.clone(), index)) {
                let message = format!("the same key is `/principals/{other}/keys/{at}`");
                problem(problems, codes::TRUST_KEY_DUPLICATE, place.clone(), message);
            }
            if let (Some(from), Some(to)) = (record.valid_from, record.valid_to)
                && from >= to
            {
                let message = "`valid_to` is not after `valid_from`".to_owned();
                problem(problems, codes::TRUST_KEY_PERIOD, place, message);
            }
        }
    }
    holders
}

fn check_roles(data: &TrustData, problems: &mut Vec<TrustProblem>) {
    let nobody = BTreeSet::new();
    let publishers = data.publishers.as_ref().unwrap_or(&nobody);
    for (role, members) in [
        ("sealer", &data.sealers),
        ("approver", &data.approvers),
        ("override", &data.overriders),
        ("publisher", publishers),
    ] {
        for (index, name) in members.iter().enumerate() {
            let place = format!("/roles/{role}/{index}");
            match data.principals.get(name) {
                None => {
                    let message = format!("`{name}` is not defined under `principals`");
                    problem(problems, codes::TRUST_MEMBER_UNKNOWN, place, message);
                }
                Some(principal)
                    if matches!(role, "approver" | "override")
                        && principal.kind == PrincipalKind::Machine =>
                {
                    let does = if role == "approver" { "approve" } else { "override" };
                    let message = format!("`{name}` is a machine, and only persons {does}");
                    problem(problems, codes::TRUST_MEMBER_MACHINE, place, message);
                }
                Some(_) => {}
            }
        }
    }
    if data.sealers.is_empty() {
        let message = "nobody may seal, so nothing could ever be applied".to_owned();
        problem(problems, codes::TRUST_NO_SEALER, "/roles/sealer".to_owned(), message);
    }
}

fn check_thresholds(data: &TrustData, problems: &mut Vec<TrustProblem>) {
    let thresholds = &data.thresholds;
    let all = core::iter::once(("/approvals/default".to_owned(), thresholds.default))
        .chain(thresholds.environments.iter().map(|(k, v)| (format!("/approvals/environments/{k}"), *v)))
        .chain(thresholds.projects.iter().map(|(k, v)| (format!("/approvals/projects/{k}"), *v)));
    let approvers = data.approvers.len();
    for (place, count) in all {
        if count == 0 && !data.solo {
            let message = "a threshold of 0 lets one person decide alone; say `solo: true` to mean that";
            problem(problems, codes::TRUST_THRESHOLD_ZERO, place, message.to_owned());
        } else if usize::try_from(count).is_ok_and(|count| count > approvers) {
            let message = format!("{count} approvals can never be met by {approvers} approvers");
            problem(problems, codes::TRUST_THRESHOLD_UNREACHABLE, place, message);
        }
    }
}

fn check_limits(data: &TrustData, problems: &mut Vec<TrustProblem>) {
    let ceilings = [("seal", data.ceilings.seal_s), ("approval", data.ceilings.approval_s)];
    for (name, seconds) in ceilings {
        if seconds == 0 || seconds > CEILING_MAX_S {
            let message = format!("expected 1 second to 31 days, got {seconds} seconds");
            problem(problems, codes::TRUST_CEILING, format!("/ceilings/{name}"), message);
        }
    }
    let keep_days = data.retention.keep_days;
    if keep_days == 0 || keep_days > KEEP_DAYS_MAX {
        let message = format!("expected 1 to {KEEP_DAYS_MAX} days, got {keep_days}");
        problem(problems, codes::TRUST_RETENTION, "/undo/keep_days".to_owned(), message);
    }
    for (index, sink) in data.audit_sinks.iter().enumerate() {
        if !sink.starts_with('/') {
            let message = format!("`{sink}` is not an absolute path");
            problem(problems, codes::TRUST_SINK, format!("/audit/sinks/{index}"), message);
        }
    }
    for (list, commands) in
        [("plan_commands", &data.plan_commands), ("secret_commands", &data.secret_commands)]
    {
        for (index, command) in commands.iter().enumerate() {
            if command.first().is_none_or(String::is_empty) {
                let message = "the command is empty".to_owned();
                problem(problems, codes::TRUST_PLAN_COMMAND, format!("/{list}/{index}"), message);
            }
        }
    }
}
