//! What is asked of the seal, and of the decision that it names.

use super::{AdmissionInput, open::Opened, open::Statement};
use crate::{
    codes, moment,
    predicate::{DecisionRecord, Seal},
    refusal::{PLACE_ENVELOPES, PLACE_POLICY, Refusal},
    verify::Signed,
};
use rectify_model::Plan;

/// The one seal. `damaged` says that some file could not be read: it may have been the seal, and
/// has been refused already.
pub(crate) fn only_seal<'o>(
    opened: &'o [Opened],
    damaged: bool,
    refusals: &mut Vec<Refusal>,
) -> Option<(&'o str, &'o Signed<Seal>)> {
    let mut seals = opened.iter().filter_map(|o| match &o.statement {
        Statement::Seal(signed) => Some((o.file.as_str(), signed)),
        _ => None,
    });
    let first = seals.next();
    if first.is_none() && !damaged {
        let message = "the plan has no seal; `rectify seal` makes one";
        refusals.push(Refusal::new(codes::SEAL_MISSING, PLACE_ENVELOPES, message));
    }
    let mut only = true;
    for (file, _) in seals {
        let message = "a second seal; which of them counts would be anybody's guess";
        refusals.push(Refusal::new(codes::SEAL_DUPLICATE, file, message));
        only = false;
    }
    first.filter(|_| only)
}

pub(crate) fn check_seal(
    input: &AdmissionInput<'_>,
    plan: Option<&Plan>,
    file: &str,
    signed: &Signed<Seal>,
    refusals: &mut Vec<Refusal>,
) {
    let seal = &signed.predicate;
    let trust = input.trust.data();
    let mut refuse = |code, message: String| refusals.push(Refusal::new(code, file, message));
    if !signed.signers.iter().any(|s| trust.sealers.contains(&s.principal)) {
        refuse(codes::SEAL_ROLE, "none of its signers may seal".to_owned());
    }
    if let Some(plan) = plan
        && !seal.is_of(&plan.project)
    {
        let message = format!("its scope `{}` is not one of the project `{}`", seal.scope, plan.project);
        refuse(codes::SEAL_SCOPE, message);
    }
    if !trust.principals.contains_key(&seal.author) {
        let message = format!("its author `{}` is not a principal of the trust file", seal.author);
        refuse(codes::SEAL_AUTHOR_UNKNOWN, message);
    }
    let life_s = seal.expires_at.saturating_sub(seal.not_before);
    if life_s == 0 || life_s > trust.ceilings.seal_s {
        let allowed = trust.ceilings.seal_s;
        refuse(codes::SEAL_LIFE, format!("lives {life_s} s; the trust file allows 1 to {allowed} s"));
    }
    if input.now < seal.not_before {
        let message = format!("counts from {}, and it is {}", moment(seal.not_before), moment(input.now));
        refuse(codes::SEAL_NOT_YET_VALID, message);
    }
    if input.now >= seal.expires_at {
        let message = format!("expired at {}, and it is {}", moment(seal.expires_at), moment(input.now));
        refuse(codes::SEAL_EXPIRED, message);
    }
}

/// Exactly the decision that the seal names, and the same bundle in all three places.
pub(crate) fn check_decision(
    input: &AdmissionInput<'_>,
    opened: &[Opened],
    damaged: bool,
    seal: Option<(&str, &Seal)>,
    refusals: &mut Vec<Refusal>,
) {
    let evaluated = input.decision.bundle;
    if !input.trust.data().policy_bundles.contains(&evaluated) {
        let message = format!("the trust file does not accept the policy bundle {evaluated}");
        refusals.push(Refusal::new(codes::TRUST_BUNDLE, PLACE_POLICY, message));
    }
    if !input.decision.allowed || !input.decision.deny.is_empty() {
        let reasons: Vec<_> =
            input.decision.deny.iter().map(|f| format!("{}: {}", f.rule, f.message)).collect();
        let reasons = if reasons.is_empty() { "`allow` is not true".to_owned() } else { reasons.join("; ") };
        refusals.push(Refusal::new(
            codes::SEAL_POLICY_DENIED,
            PLACE_POLICY,
            format!("policy, evaluated now, does not allow the plan: {reasons}"),
        ));
    }
    let Some((seal_file, seal)) = seal else { return };
    if seal.policy != evaluated {
        let message = format!("sealed under the bundle {}, but {evaluated} was evaluated", seal.policy);
        refusals.push(Refusal::new(codes::SEAL_BUNDLE, seal_file, message));
    }
    let mut found = false;
    for (file, signed) in decisions(opened) {
        if signed.envelope != seal.decision {
            let message = "the seal names another decision";
            refusals.push(Refusal::new(codes::ENVELOPE_STRAY, file, message));
            continue;
        }
        found = true;
        let recorded = signed.predicate.decision.bundle;
        if recorded != evaluated {
            let message = format!("records the bundle {recorded}, but {evaluated} was evaluated");
            refusals.push(Refusal::new(codes::SEAL_BUNDLE, file, message));
        }
    }
    if !found && !damaged {
        let message = format!("the decision {} that it names is not there", seal.decision);
        refusals.push(Refusal::new(codes::SEAL_DECISION_MISSING, seal_file, message));
    }
}

fn decisions(opened: &[Opened]) -> impl Iterator<Item = (&str, &Signed<DecisionRecord>)> {
    opened.iter().filter_map(|o| match &o.statement {
        Statement::Decision(signed) => Some((o.file.as_str(), signed)),
        _ => None,
    })
}
