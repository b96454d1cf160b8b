//! From the file to a checked [`TrustFile`].

use super::{
    times::{parse_duration, parse_time},
    wire::{Header, Wire, WireCeilings, WireKey, WireKind},
};
use crate::{
    codes,
    disk::{self, FILE_MAX_BYTES},
    error::{FileKind, KeyError},
};
use rectify_attest::{
    Ceilings, KeyRecord, Principal, PrincipalKind, PrincipalName, PublicKey, Retention, Revocation,
    Thresholds, TrustData, TrustFile, TrustProblem, trust::FORMAT,
};
use rectify_base::{Code, Digest, ProjectName};
use serde_saphyr::{DuplicateKeyPolicy, MergeKeyPolicy, Options};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    str::FromStr,
};

/// Reads the trust file. It must belong to us or to root, and others must not be able to write it.
///
/// # Errors
/// See [`KeyError`].
pub fn read_trust(path: &Path) -> Result<TrustFile, KeyError> {
    let kind = FileKind::Trust;
    let bytes = disk::read(kind, path, 0o022)?;
    let text = core::str::from_utf8(&bytes).map_err(|e| KeyError::Read {
        kind,
        path: path.into(),
        why: format!("not UTF-8: {e}"),
    })?;
    parse_trust(text).map_err(|problems| KeyError::Trust { path: path.into(), problems })
}

/// Reads and checks the text of a trust file. The place of a YAML mistake is `line:column`, that of
/// any other a JSON Pointer.
///
/// # Errors
/// Every [`TrustProblem`]; YAML stops at its first mistake.
pub fn parse_trust(text: &str) -> Result<TrustFile, Vec<TrustProblem>> {
    if text.len() > FILE_MAX_BYTES {
        let message = format!("larger than {FILE_MAX_BYTES} bytes");
        return Err(vec![TrustProblem { code: codes::TRUST_YAML, place: "1:1".to_owned(), message }]);
    }
    let header: Header = serde_saphyr::from_str_with_options(text, options()).map_err(|e| yaml(&e))?;
    if header.format.as_deref() != Some(FORMAT) {
        let got: String = header.format.unwrap_or_default().chars().take(80).collect();
        let message = format!("the member `format` says `{got}`; this release reads `{FORMAT}`");
        let place = "/format".to_owned();
        return Err(vec![TrustProblem { code: codes::TRUST_FORMAT, place, message }]);
    }
    let wire: Wire = serde_saphyr::from_str_with_options(text, options()).map_err(|e| yaml(&e))?;
    let mut problems = Vec::new();
    let data = understand(&wire, &mut problems);
    if !problems.is_empty() {
        return Err(problems);
    }
    TrustFile::new(data)
}

fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_aliases: 0,
            max_anchors: 0,
            max_documents: 1,
            max_depth: 16,
            max_nodes: 50_000,
        },
        duplicate_keys: DuplicateKeyPolicy::Error,
        merge_keys: MergeKeyPolicy::Error,
        strict_booleans: true,
        no_schema: true,
        reject_unsupported_tags: true,
        with_snippet: false,
    }
}

fn yaml(error: &serde_saphyr::Error) -> Vec<TrustProblem> {
    let message = error.render_with_formatter(&serde_saphyr::UserMessageFormatter);
    let place = error.location().map_or_else(|| "1:1".to_owned(), |l| format!("{}:{}", l.line(), l.column()));
    vec![TrustProblem { code: codes::TRUST_YAML, place, message }]
}

fn understand(wire: &Wire, problems: &mut Vec<TrustProblem>) -> TrustData {
    let mut reader = Reader { problems };
    let principals = wire
        .principals
        .iter()
        .filter_map(|(name, principal)| {
            let place = format!("/principals/{name}");
            let kind = match principal.kind {
                WireKind::Person => PrincipalKind::Person,
                WireKind::Machine => PrincipalKind::Machine,
            };
            let keys = principal
                .keys
                .iter()
                .enumerate()
                .filter_map(|(index, key)| reader.key(key, &format!("{place}/keys/{index}")))
                .collect();
            Some((reader.name::<PrincipalName>(name, &place)?, Principal { kind, keys }))
        })
        .collect();
    TrustData {
        solo: wire.solo,
        principals,
        sealers: reader.members(&wire.roles.sealer, "sealer"),
        approvers: reader.members(&wire.roles.approver, "approver"),
        overriders: reader.members(&wire.roles.overriders, "override"),
        publishers: wire.roles.publisher.as_ref().map(|names| reader.members(names, "publisher")),
        thresholds: reader.thresholds(wire),
        policy_bundles: reader.bundles(&wire.policy_bundles),
        ceilings: reader.ceilings(wire.ceilings.as_ref()),
        retention: wire
            .undo
            .as_ref()
            .map_or_else(Retention::default, |undo| Retention { keep_days: undo.keep_days }),
        plan_commands: wire.plan_commands.iter().cloned().collect(),
        secret_commands: wire.secret_commands.iter().cloned().collect(),
        audit_sinks: wire.audit.iter().flat_map(|audit| audit.sinks.iter().cloned()).collect(),
    }
}

struct Reader<'p> {
    problems: &'p mut Vec<TrustProblem>,
}

impl Reader<'_> {
    fn problem(&mut self, code: Code, place: &str, message: String) {
        self.problems.push(TrustProblem { code, place: place.to_owned(), message });
    }

    fn name<T: FromStr<Err: ToString>>(&mut self, text: &str, place: &str) -> Option<T> {
        text.parse().map_err(|e: T::Err| self.problem(codes::TRUST_NAME, place, e.to_string())).ok()
    }

    fn key(&mut self, wire: &WireKey, place: &str) -> Option<KeyRecord> {
        let public = PublicKey::from_openssh(&wire.public)
            .map_err(|e| self.problem(e.code(), &format!("{place}/public"), e.to_string()))
            .ok();
        let valid_from = wire.valid_from.as_ref().map(|t| self.time(t, &format!("{place}/valid_from")));
        let valid_to = wire.valid_to.as_ref().map(|t| self.time(t, &format!("{place}/valid_to")));
        let revoked = wire.revoked.as_ref().map(|r| Revocation {
            since: self.time(&r.since, &format!("{place}/revoked/since")),
            reason: r.reason.clone(),
        });
        Some(KeyRecord { public: public?, valid_from, valid_to, revoked })
    }

    /// What stands in for an unreadable time does not matter: the file is refused.
    fn time(&mut self, text: &str, place: &str) -> u64 {
        parse_time(text).unwrap_or_else(|| {
            let message = "expected a time such as `2026-11-21T09:00:00Z`, in UTC".to_owned();
            self.problem(codes::TRUST_TIME, place, message);
            0
        })
    }

    fn members(&mut self, names: &[String], role: &str) -> BTreeSet<PrincipalName> {
        let place = |index| format!("/roles/{role}/{index}");
        names.iter().enumerate().filter_map(|(index, name)| self.name(name, &place(index))).collect()
    }

    fn thresholds(&mut self, wire: &Wire) -> Thresholds {
        let Some(approvals) = &wire.approvals else { return Thresholds::default() };
        let projects: BTreeMap<ProjectName, u32> = approvals
            .projects
            .iter()
            .filter_map(|(name, count)| {
                Some((self.name(name, &format!("/approvals/projects/{name}"))?, *count))
            })
            .collect();
        Thresholds { default: approvals.default, environments: approvals.environments.clone(), projects }
    }

    fn bundles(&mut self, texts: &[String]) -> BTreeSet<Digest> {
        texts
            .iter()
            .enumerate()
            .filter_map(|(index, text)| {
                let place = format!("/policy_bundles/{index}");
                text.parse().map_err(|e| self.problem(codes::TRUST_DIGEST, &place, format!("{e}"))).ok()
            })
            .collect()
    }

    fn ceilings(&mut self, wire: Option<&WireCeilings>) -> Ceilings {
        let mut ceilings = Ceilings::default();
        if let Some(wire) = wire {
            self.duration(wire.seal.as_deref(), "seal", &mut ceilings.seal_s);
            self.duration(wire.approval.as_deref(), "approval", &mut ceilings.approval_s);
        }
        ceilings
    }

    fn duration(&mut self, text: Option<&str>, name: &str, seconds: &mut u64) {
        let Some(text) = text else { return };
        match parse_duration(text) {
            Some(value) => *seconds = value,
            None => {
                let message = "expected a duration such as `72h`, `30m` or `7d`".to_owned();
                self.problem(codes::TRUST_TIME, &format!("/ceilings/{name}"), message);
            }
        }
    }
}
