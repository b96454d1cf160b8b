//! From a checked [`TrustFile`] to the file.

use super::{
    read::parse_trust,
    times::{render_duration, render_time},
    wire::{
        Wire, WireApprovals, WireAudit, WireCeilings, WireKey, WireKind, WirePrincipal, WireRevocation,
        WireRoles, WireUndo,
    },
};
use crate::{
    disk::{self, Existing},
    error::{FileKind, KeyError},
};
use rectify_attest::{
    Ceilings, KeyRecord, Principal, PrincipalKind, PrincipalName, PublicKey, Retention, Thresholds,
    TrustData, TrustFile, TrustProblem, trust::FORMAT,
};
use rectify_base::Digest;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

const HEADER: &str = "\
# Whose keys count, and for what. Keep this file where only its owner can write it;
# whoever can change it decides what may be applied from this machine.
";

const SOLO: &str = "\
#
# !!! SOLO !!!  ONE PERSON WRITES, SEALS AND APPLIES; NOBODY ELSE LOOKS.
# That is meant for trying things out and for machines that only you answer for.
# For anything else: list your colleagues under `principals` and `roles.approver`,
# raise `approvals.default` to 1 or more, and remove `solo: true`.
";

/// The trust file of one person who works alone: may seal, and nobody has to approve.
///
/// # Errors
/// [`TrustProblem`]s, of which none is to be expected.
pub fn solo_trust(
    name: PrincipalName,
    key: PublicKey,
    policy_bundles: BTreeSet<Digest>,
) -> Result<TrustFile, Vec<TrustProblem>> {
    let person = Principal { kind: PrincipalKind::Person, keys: vec![KeyRecord::unlimited(key)] };
    TrustFile::new(TrustData {
        solo: true,
        principals: BTreeMap::from([(name.clone(), person)]),
        sealers: BTreeSet::from([name]),
        approvers: BTreeSet::new(),
        overriders: BTreeSet::new(),
        publishers: None,
        thresholds: Thresholds { default: 0, ..Thresholds::default() },
        policy_bundles,
        ceilings: Ceilings::default(),
        retention: Retention::default(),
        plan_commands: BTreeSet::new(),
        secret_commands: BTreeSet::new(),
        audit_sinks: BTreeSet::new(),
    })
}

/// Writes a trust file where there is none.
///
/// # Errors
/// [`KeyError::Exists`] or [`KeyError::Write`].
pub fn write_new_trust(path: &Path, trust: &TrustFile) -> Result<(), KeyError> {
    write(path, trust, Existing::Refuse)
}

/// Replaces a trust file in one step: a reader sees the old one or the new one. Comments that people
/// wrote into the old one are lost.
///
/// # Errors
/// [`KeyError::Write`].
pub fn write_trust(path: &Path, trust: &TrustFile) -> Result<(), KeyError> {
    write(path, trust, Existing::Replace)
}

/// Replaces the trust file that is there, see [`write_trust`]. Where people wrote more into it than we
/// would, such as comments, the old text is kept beside it, under the name with `.old` added: its path is
/// the answer.
///
/// # Errors
/// [`KeyError::Read`], [`KeyError::Mode`] or [`KeyError::Write`].
pub fn replace_trust(path: &Path, trust: &TrustFile) -> Result<Option<PathBuf>, KeyError> {
    let kind = FileKind::Trust;
    // A link to the file stays one.
    let path = &std::fs::canonicalize(path).map_err(|e| KeyError::Read {
        kind,
        path: path.into(),
        why: e.to_string(),
    })?;
    let bytes = disk::read(kind, path, 0o022)?;
    let ours = core::str::from_utf8(&bytes)
        .ok()
        .and_then(|text| Some(render_trust(&parse_trust(text).ok()?).ok()? == text));
    let mut kept = None;
    if ours != Some(true) {
        let mut name = path.clone().into_os_string();
        name.push(".old");
        let old = PathBuf::from(name);
        disk::write(kind, &old, &bytes, 0o644, Existing::Replace)?;
        kept = Some(old);
    }
    write_trust(path, trust)?;
    Ok(kept)
}

fn write(path: &Path, trust: &TrustFile, existing: Existing) -> Result<(), KeyError> {
    let kind = FileKind::Trust;
    let text = render_trust(trust).map_err(|why| KeyError::Write { kind, path: path.into(), why })?;
    disk::write(kind, path, text.as_bytes(), 0o644, existing)
}

/// The text of a trust file, which [`parse_trust`] reads as the same.
///
/// # Errors
/// If something in it cannot be written so that it reads the same, such as a time beyond year 9999.
pub fn render_trust(trust: &TrustFile) -> Result<String, String> {
    let data = trust.data();
    let wire = wire(data).ok_or("a time in it cannot be written")?;
    let yaml = serde_saphyr::to_string(&wire).map_err(|e| e.to_string())?;
    let solo = if data.solo { SOLO } else { "" };
    let text = format!("{HEADER}{solo}\n{yaml}");
    match parse_trust(&text) {
        Ok(again) if &again == trust => Ok(text),
        _ => Err("it would not be read as it is written".to_owned()),
    }
}

fn wire(data: &TrustData) -> Option<Wire> {
    let names = |set: &BTreeSet<PrincipalName>| set.iter().map(ToString::to_string).collect();
    Some(Wire {
        format: FORMAT.to_owned(),
        solo: data.solo,
        principals: data
            .principals
            .iter()
            .map(|(name, principal)| Some((name.to_string(), wire_principal(principal)?)))
            .collect::<Option<_>>()?,
        roles: WireRoles {
            sealer: names(&data.sealers),
            approver: names(&data.approvers),
            overriders: names(&data.overriders),
            publisher: data.publishers.as_ref().map(names),
        },
        approvals: Some(WireApprovals {
            default: data.thresholds.default,
            environments: data.thresholds.environments.clone(),
            projects: data.thresholds.projects.iter().map(|(k, v)| (k.to_string(), *v)).collect(),
        }),
        policy_bundles: data.policy_bundles.iter().map(ToString::to_string).collect(),
        ceilings: Some(WireCeilings {
            seal: Some(render_duration(data.ceilings.seal_s)),
            approval: Some(render_duration(data.ceilings.approval_s)),
        }),
        undo: Some(WireUndo { keep_days: data.retention.keep_days }),
        plan_commands: data.plan_commands.iter().cloned().collect(),
        secret_commands: data.secret_commands.iter().cloned().collect(),
        audit: (!data.audit_sinks.is_empty())
            .then(|| WireAudit { sinks: data.audit_sinks.iter().cloned().collect() }),
    })
}

fn wire_principal(principal: &Principal) -> Option<WirePrincipal> {
    let kind = match principal.kind {
        PrincipalKind::Person => WireKind::Person,
        PrincipalKind::Machine => WireKind::Machine,
    };
    let keys = principal.keys.iter().map(wire_key).collect::<Option<_>>()?;
    Some(WirePrincipal { kind, keys })
}

fn wire_key(record: &KeyRecord) -> Option<WireKey> {
    let time = |seconds: Option<u64>| match seconds {
        Some(seconds) => render_time(seconds).map(Some),
        None => Some(None),
    };
    let revoked = match &record.revoked {
        Some(revocation) => {
            Some(WireRevocation { since: render_time(revocation.since)?, reason: revocation.reason.clone() })
        }
        None => None,
    };
    Some(WireKey {
        public: record.public.to_openssh(),
        valid_from: time(record.valid_from)?,
        valid_to: time(record.valid_to)?,
        revoked,
    })
}
