//! Counting people: distinct approvers, persons, neither the author nor who sealed.

use super::{AdmissionInput, open::Opened, open::Statement};
use crate::{
    codes, moment,
    predicate::{Approval, Seal, Verdict},
    principal::{PrincipalKind, PrincipalName},
    refusal::Refusal,
    trust::TrustFile,
    verify::{Signed, SignedBy},
};
use rectify_base::{Code, Digest};
use rectify_model::Plan;
use serde::Serialize;
use std::collections::BTreeMap;

/// An approval that counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CountedApproval {
    /// Who.
    pub approver: PrincipalName,
    /// File name of the envelope.
    pub file: String,
    /// Digest of the envelope file's bytes.
    pub envelope: Digest,
    /// First second in which it counts no more: its own end or that of its key.
    pub expires_at: u64,
}

/// How the approvals add up.
#[derive(Clone, Debug)]
pub(crate) struct Quorum {
    pub(crate) required: u32,
    /// Approvals that policy asks for and a solo trust file lets go.
    pub(crate) waived: u32,
    pub(crate) counted: Vec<CountedApproval>,
    /// Genuine, but not counted.
    pub(crate) uncounted: Vec<Refusal>,
    /// Until when the requester's signature stands, if it is an approval that carries it.
    requester_until: u64,
}

impl Quorum {
    pub(crate) fn is_met(&self) -> bool {
        usize::try_from(self.required).is_ok_and(|required| self.counted.len() >= required)
    }

    /// First second in which too few of the counted approvals are left.
    pub(crate) fn expires_at(&self) -> u64 {
        let mut ends: Vec<u64> = self.counted.iter().map(|c| c.expires_at).collect();
        ends.sort_unstable_by(|a, b| b.cmp(a));
        let last_needed = usize::try_from(self.required).ok().and_then(|n| n.checked_sub(1));
        let approvals = last_needed.map_or(u64::MAX, |index| ends.get(index).copied().unwrap_or(0));
        approvals.min(self.requester_until)
    }
}

/// Counts the approvals for this seal. An approval that was not meant for it is refused; one that
/// is genuine but does not count is set aside.
pub(crate) fn count(
    input: &AdmissionInput<'_>,
    plan: &Plan,
    opened: &[Opened],
    seal: &Signed<Seal>,
    refusals: &mut Vec<Refusal>,
) -> Quorum {
    let mut uncounted = Vec::new();
    let mut best: BTreeMap<PrincipalName, CountedApproval> = BTreeMap::new();
    let requester = &seal.predicate.requester;
    let mut requester_until = signed_by(&seal.signers, requester).then_some(u64::MAX);
    for (file, signed) in approvals(opened) {
        let approval = &signed.predicate;
        if let Some((code, message)) = not_for_this(&seal.predicate, signed) {
            refusals.push(Refusal::new(code, file, message));
            continue;
        }
        let until = approval.expires_at.min(keys_end(input.trust, &signed.signers));
        if &approval.approver == requester && input.now < until {
            requester_until = requester_until.max(Some(until));
        }
        if let Some((code, message)) = does_not_count(input, seal, approval) {
            uncounted.push(Refusal::new(code, file, message));
            continue;
        }
        let counted = CountedApproval {
            approver: approval.approver.clone(),
            file: file.to_owned(),
            envelope: signed.envelope,
            expires_at: until,
        };
        let longer =
            |other: &CountedApproval| (other.expires_at, &other.file) >= (counted.expires_at, &counted.file);
        let weaker = match best.get(&counted.approver) {
            Some(other) if longer(other) => Some(counted),
            _ => best.insert(counted.approver.clone(), counted),
        };
        if let Some(weaker) = weaker {
            let message = format!("`{}` has approved already; a person counts once", weaker.approver);
            uncounted.push(Refusal::new(codes::APPROVAL_REPEATED, weaker.file, message));
        }
    }
    let threshold =
        input.trust.threshold(&plan.project, plan.targets.values().map(|t| t.environment.as_str()));
    // Where one person decides alone and nobody may approve, nobody could give what policy asks for.
    let asked = input.decision.approvals();
    let trust = input.trust.data();
    let alone = trust.solo && trust.approvers.is_empty();
    let waived = if alone { asked.saturating_sub(threshold) } else { 0 };
    let required = threshold.max(asked - waived).saturating_add(u32::from(requester_until.is_none()));
    Quorum {
        required,
        waived,
        counted: best.into_values().collect(),
        uncounted,
        requester_until: requester_until.unwrap_or(u64::MAX),
    }
}

/// Until when all these keys count.
pub(crate) fn keys_end(trust: &TrustFile, signers: &[SignedBy]) -> u64 {
    signers
        .iter()
        .filter_map(|s| trust.key_with_id(&s.keyid).and_then(|(_, _, record)| record.valid_to))
        .min()
        .unwrap_or(u64::MAX)
}

pub(crate) fn signed_by(signers: &[SignedBy], name: &PrincipalName) -> bool {
    signers.iter().any(|s| &s.principal == name)
}

fn not_for_this(seal: &Seal, signed: &Signed<Approval>) -> Option<(Code, String)> {
    let approval = &signed.predicate;
    match signed.signers.as_slice() {
        [only] if only.principal == approval.approver => {}
        [only] => {
            let message = format!("names `{}`, but is signed by `{}`", approval.approver, only.principal);
            return Some((codes::APPROVAL_SIGNER, message));
        }
        _ => {
            let message = "signed by several; each approver signs an approval of their own".to_owned();
            return Some((codes::APPROVAL_SIGNER, message));
        }
    }
    if approval.use_id != seal.use_id {
        let message = format!("for the use {}, but the seal's is {}", approval.use_id, seal.use_id);
        return Some((codes::APPROVAL_USE, message));
    }
    if approval.verdict != Verdict::Yes {
        let message = format!("`{}` says no", approval.approver);
        return Some((codes::APPROVAL_VERDICT, message));
    }
    None
}

fn does_not_count(
    input: &AdmissionInput<'_>,
    seal: &Signed<Seal>,
    approval: &Approval,
) -> Option<(Code, String)> {
    let name = &approval.approver;
    let trust = input.trust.data();
    if input.now >= approval.expires_at {
        let message = format!("expired at {}, and it is {}", moment(approval.expires_at), moment(input.now));
        return Some((codes::APPROVAL_EXPIRED, message));
    }
    let left_s = approval.expires_at - input.now;
    if left_s > trust.ceilings.approval_s {
        let allowed = trust.ceilings.approval_s;
        let message = format!("lives another {left_s} s; the trust file allows {allowed} s");
        return Some((codes::APPROVAL_LIFE, message));
    }
    if name == &seal.predicate.author {
        return Some((codes::APPROVAL_BY_AUTHOR, format!("`{name}` is the author")));
    }
    // The seal's author is only what the sealer says. Were sealers counted, one person could seal
    // under another's name and approve that.
    if signed_by(&seal.signers, name) {
        return Some((codes::APPROVAL_BY_SEALER, format!("`{name}` signed the seal")));
    }
    if input.trust.kind(name) != Some(PrincipalKind::Person) {
        return Some((codes::APPROVAL_BY_MACHINE, format!("`{name}` is a machine")));
    }
    if !trust.approvers.contains(name) {
        return Some((codes::APPROVAL_ROLE, format!("`{name}` is not an approver")));
    }
    None
}

fn approvals(opened: &[Opened]) -> impl Iterator<Item = (&str, &Signed<Approval>)> {
    opened.iter().filter_map(|o| match &o.statement {
        Statement::Approval(signed) => Some((o.file.as_str(), signed)),
        _ => None,
    })
}
