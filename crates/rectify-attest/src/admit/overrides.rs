//! Overrides: which rules of policy people who may have set aside for this permission.

use super::{
    EnvelopeFile,
    open::{Opened, Statement, open_all},
    quorum::{keys_end, signed_by},
    seal::only_seal,
};
use crate::{
    codes, moment,
    predicate::{Override, Seal},
    principal::{PrincipalKind, PrincipalName},
    refusal::Refusal,
    trust::TrustFile,
    verify::Signed,
};
use rectify_base::{Code, Digest, FileDigests};
use rectify_model::Decision;
use serde::Serialize;
use std::collections::BTreeSet;

/// An override that counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CountedOverride {
    /// Who.
    pub by: PrincipalName,
    /// The rules that it names.
    pub rules: BTreeSet<String>,
    /// Why.
    pub reason: String,
    /// File name of the envelope.
    pub file: String,
    /// Digest of the envelope file's bytes.
    pub envelope: Digest,
    /// First second in which it counts no more: its own end or that of its key.
    pub expires_at: u64,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Overrides {
    /// Those that count, by file.
    pub(crate) counted: Vec<CountedOverride>,
    /// Genuine, but not counted.
    pub(crate) uncounted: Vec<Refusal>,
}

impl Overrides {
    /// The rules that are overridden.
    pub(crate) fn rules(&self) -> BTreeSet<String> {
        self.counted.iter().flat_map(|counted| counted.rules.iter().cloned()).collect()
    }

    /// Only those that a decision rests on.
    pub(crate) fn used(mut self, decision: &Decision) -> Vec<CountedOverride> {
        self.counted.retain(|counted| decision.overridden.iter().any(|f| counted.rules.contains(&f.rule)));
        self.counted
    }

    /// First second in which some denial that was let pass is overridden by nobody.
    pub(crate) fn expires_at(&self, decision: &Decision) -> u64 {
        let until = |rule: &str| {
            let of_rule = self.counted.iter().filter(|counted| counted.rules.contains(rule));
            of_rule.map(|counted| counted.expires_at).max().unwrap_or(0)
        };
        decision.overridden.iter().map(|finding| until(&finding.rule)).min().unwrap_or(u64::MAX)
    }

    /// Whether the decision let nothing pass but what is overridden; and why an override did not help.
    pub(crate) fn check(&self, decision: &Decision, refusals: &mut Vec<Refusal>) {
        let rules = self.rules();
        let missing: BTreeSet<_> =
            decision.overridden.iter().map(|f| &f.rule).filter(|rule| !rules.contains(*rule)).collect();
        for rule in &missing {
            let message = format!("the decision lets `{rule}` pass, which nobody has overridden who may");
            refusals.push(Refusal::new(codes::OVERRIDE_MISSING, crate::refusal::PLACE_POLICY, message));
        }
        for counted in &self.counted {
            let denied = |rule: &&String| decision.deny.iter().any(|finding| &finding.rule == *rule);
            for rule in counted.rules.iter().filter(denied) {
                let message = format!("names `{rule}`, which the policy bundle lets nobody override");
                refusals.push(Refusal::new(codes::OVERRIDE_FIXED, counted.file.as_str(), message));
            }
        }
        if !missing.is_empty() || !decision.deny.is_empty() {
            refusals.extend(self.uncounted.iter().cloned());
        }
    }
}

/// The rules that are overridden for the plan with these bytes: what policy is told before it decides.
/// Whatever else is wrong with the envelopes, [`crate::admit`] refuses.
#[must_use]
pub fn overridden(plan: &[u8], envelopes: &[EnvelopeFile], trust: &TrustFile, now: u64) -> BTreeSet<String> {
    let mut refusals = Vec::new();
    let opened = open_all(envelopes, trust, now, FileDigests::of_bytes(plan), &mut refusals);
    let seal = only_seal(&opened, false, &mut refusals);
    seal.map(|(_, seal)| count(trust, now, &opened, seal, &mut refusals).rules()).unwrap_or_default()
}

/// Why the override in this file does not count, so that nobody signs one in vain; empty if it does.
#[must_use]
pub fn override_refusals(
    plan: &[u8],
    envelopes: &[EnvelopeFile],
    trust: &TrustFile,
    now: u64,
    file: &str,
) -> Vec<Refusal> {
    let mut refusals = Vec::new();
    let opened = open_all(envelopes, trust, now, FileDigests::of_bytes(plan), &mut refusals);
    if let Some((_, seal)) = only_seal(&opened, !refusals.is_empty(), &mut refusals) {
        let overrides = count(trust, now, &opened, seal, &mut refusals);
        refusals.extend(overrides.uncounted);
    }
    refusals.retain(|refusal| refusal.place == file || refusal.place == crate::refusal::PLACE_ENVELOPES);
    refusals
}

/// Counts the overrides for this seal. One that was not meant for it is refused; one that is genuine
/// but does not count is set aside.
pub(crate) fn count(
    trust: &TrustFile,
    now: u64,
    opened: &[Opened],
    seal: &Signed<Seal>,
    refusals: &mut Vec<Refusal>,
) -> Overrides {
    let mut overrides = Overrides::default();
    for opened in opened {
        let (file, Statement::Override(signed)) = (opened.file.as_str(), &opened.statement) else { continue };
        let said = &signed.predicate;
        if let Some((code, message)) = not_for_this(&seal.predicate, signed) {
            refusals.push(Refusal::new(code, file, message));
        } else if let Some((code, message)) = does_not_count(trust, now, seal, said) {
            overrides.uncounted.push(Refusal::new(code, file, message));
        } else {
            overrides.counted.push(CountedOverride {
                by: said.by.clone(),
                rules: said.rules.clone(),
                reason: said.reason.clone(),
                file: file.to_owned(),
                envelope: signed.envelope,
                expires_at: said.expires_at.min(keys_end(trust, &signed.signers)),
            });
        }
    }
    overrides
}

fn not_for_this(seal: &Seal, signed: &Signed<Override>) -> Option<(Code, String)> {
    let said = &signed.predicate;
    if let Some(problem) = said.problem() {
        return Some((codes::OVERRIDE_CONTENT, problem.to_owned()));
    }
    match signed.signers.as_slice() {
        [only] if only.principal == said.by => {}
        [only] => {
            let message = format!("names `{}`, but is signed by `{}`", said.by, only.principal);
            return Some((codes::OVERRIDE_SIGNER, message));
        }
        _ => {
            let message = "signed by several; each signs an override of their own".to_owned();
            return Some((codes::OVERRIDE_SIGNER, message));
        }
    }
    (said.use_id != seal.use_id).then(|| {
        let message = format!("for the use {}, but the seal's is {}", said.use_id, seal.use_id);
        (codes::OVERRIDE_USE, message)
    })
}

fn does_not_count(
    trust: &TrustFile,
    now: u64,
    seal: &Signed<Seal>,
    said: &Override,
) -> Option<(Code, String)> {
    let name = &said.by;
    if now >= said.expires_at {
        let message = format!("expired at {}, and it is {}", moment(said.expires_at), moment(now));
        return Some((codes::OVERRIDE_EXPIRED, message));
    }
    let left_s = said.expires_at - now;
    let allowed = trust.data().ceilings.approval_s;
    if left_s > allowed {
        let message = format!("lives another {left_s} s; the trust file allows {allowed} s");
        return Some((codes::OVERRIDE_LIFE, message));
    }
    if name == &seal.predicate.author {
        return Some((codes::OVERRIDE_BY_AUTHOR, format!("`{name}` is the author")));
    }
    // As for approvals: the seal's author is only what the sealer says.
    if signed_by(&seal.signers, name) {
        return Some((codes::OVERRIDE_BY_SEALER, format!("`{name}` signed the seal")));
    }
    if trust.kind(name) != Some(PrincipalKind::Person) || !trust.data().overriders.contains(name) {
        return Some((codes::OVERRIDE_ROLE, format!("`{name}` may not override policy")));
    }
    None
}
