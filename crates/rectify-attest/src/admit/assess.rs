//! One look at everything, from which both the verdict and the description are made.

use super::{
    AdmissionInput, Admitted,
    open::{Opened, Statement, open_all},
    overrides::{self, CountedOverride, Overrides},
    quorum::{Quorum, count, keys_end},
    seal::{check_decision, check_seal, only_seal},
};
use crate::{
    codes,
    predicate::Seal,
    refusal::{PLACE_ENVELOPES, PLACE_PLAN, Refusal},
    verify::Signed,
};
use rectify_base::{FileDigests, canonical, limits::DOCUMENT_MAX_BYTES};
use rectify_model::{Plan, plan};

/// Everything that was found.
pub(crate) struct Assessment {
    pub(crate) plan: Option<Plan>,
    pub(crate) digests: FileDigests,
    pub(crate) opened: Vec<Opened>,
    pub(crate) seal: Option<Signed<Seal>>,
    pub(crate) quorum: Option<Quorum>,
    /// Those that the decision rests on.
    pub(crate) overrides: Vec<CountedOverride>,
    /// Approvals and overrides that are genuine and do not count.
    pub(crate) uncounted: Vec<Refusal>,
    /// Sorted; empty if and only if the plan is admitted.
    pub(crate) refusals: Vec<Refusal>,
    pub(crate) expires_at: u64,
    bundle: rectify_base::Digest,
}

pub(crate) fn assess(input: &AdmissionInput<'_>) -> Assessment {
    let mut refusals = Vec::new();
    let digests = FileDigests::of_bytes(input.plan);
    let plan = read_plan(input.plan, &mut refusals);
    let before = refusals.len();
    let opened = open_all(input.envelopes, input.trust, input.now, digests, &mut refusals);
    let damaged = refusals.len() > before;

    let seal = only_seal(&opened, damaged, &mut refusals);
    if let Some((file, signed)) = seal {
        check_seal(input, plan.as_ref(), file, signed, &mut refusals);
    }
    let overrides = seal.map_or_else(Overrides::default, |(_, signed)| {
        overrides::count(input.trust, input.now, &opened, signed, &mut refusals)
    });
    overrides.check(input.decision, &mut refusals);
    check_decision(input, &opened, damaged, seal.map(|(f, s)| (f, &s.predicate)), &mut refusals);

    let quorum = match (&plan, seal) {
        (Some(plan), Some((_, signed))) => {
            let before = refusals.len();
            let quorum = count(input, plan, &opened, signed, &mut refusals);
            let damaged = damaged || refusals.len() > before;
            if !quorum.is_met() && !damaged {
                refusals.extend(quorum.uncounted.iter().cloned());
                refusals.push(shortage(&quorum));
            }
            Some(quorum)
        }
        _ => None,
    };
    let expires_at = seal.map_or(0, |(_, signed)| {
        let keys = keys_end(input.trust, &signed.signers);
        let approvals = quorum.as_ref().map_or(0, Quorum::expires_at);
        signed.predicate.expires_at.min(keys).min(approvals).min(overrides.expires_at(input.decision))
    });
    let mut uncounted = quorum.as_ref().map(|quorum| quorum.uncounted.clone()).unwrap_or_default();
    uncounted.extend(overrides.uncounted.iter().cloned());
    let overrides = overrides.used(input.decision);
    let seal = seal.map(|(_, signed)| signed.clone());
    refusals.sort_by(|a, b| (&a.place, a.code).cmp(&(&b.place, b.code)));
    let bundle = input.decision.bundle;
    Assessment { plan, digests, opened, seal, quorum, overrides, uncounted, refusals, expires_at, bundle }
}

impl Assessment {
    pub(crate) fn into_result(self) -> Result<Admitted, Vec<Refusal>> {
        if !self.refusals.is_empty() {
            return Err(self.refusals);
        }
        match (self.plan, self.seal, self.quorum) {
            (Some(plan), Some(seal), Some(quorum)) if quorum.is_met() => Ok(Admitted {
                plan,
                digests: self.digests,
                seal: seal.predicate,
                seal_envelope: seal.envelope,
                bundle: self.bundle,
                required: quorum.required,
                approvals: quorum.counted,
                uncounted: self.uncounted,
                overrides: self.overrides,
                expires_at: self.expires_at,
            }),
            // Whatever is absent has been refused above. Should that ever be wrong, still refuse.
            _ => Err(vec![Refusal::new(codes::SEAL_MISSING, PLACE_ENVELOPES, "the plan has no seal")]),
        }
    }

    pub(crate) fn seal_file(&self) -> Option<&str> {
        self.opened.iter().find_map(|o| match &o.statement {
            Statement::Seal(_) => Some(o.file.as_str()),
            _ => None,
        })
    }
}

fn shortage(quorum: &Quorum) -> Refusal {
    let message = format!("{} of {} approvals count", quorum.counted.len(), quorum.required);
    Refusal::new(codes::APPROVAL_MISSING, PLACE_ENVELOPES, message)
}

fn read_plan(bytes: &[u8], refusals: &mut Vec<Refusal>) -> Option<Plan> {
    let mut refuse = |code, message: String| {
        refusals.push(Refusal::new(code, PLACE_PLAN, message));
        None
    };
    if bytes.len() > DOCUMENT_MAX_BYTES {
        let message = format!("{} bytes long; a plan has at most {DOCUMENT_MAX_BYTES}", bytes.len());
        return refuse(codes::SEAL_PLAN, message);
    }
    if let Ok(plan) = canonical::read_document::<Plan>(bytes)
        && plan.format == plan::FORMAT
    {
        return Some(plan);
    }
    // Otherwise it takes longer, to say why not.
    let value: serde_json::Value = match canonical::read_file(bytes) {
        Ok(value) => value,
        Err(error) => return refuse(codes::SEAL_PLAN, error.to_string()),
    };
    match value.get("format").and_then(serde_json::Value::as_str) {
        Some(plan::FORMAT) => {}
        Some(other) => {
            let other: String = other.chars().take(80).collect();
            let message = format!("its format is `{other}`; this release reads `{}`", plan::FORMAT);
            return refuse(codes::SEAL_PLAN_FORMAT, message);
        }
        None => return refuse(codes::SEAL_PLAN, "not a plan: it has no `format`".to_owned()),
    }
    let plan: Plan = match serde_json::from_value(value) {
        Ok(plan) => plan,
        Err(error) => return refuse(codes::SEAL_PLAN, format!("not a plan: {error}")),
    };
    // Typed reading forgives `null` for an absent field; two readers could differ over that.
    match canonical::file_bytes(&plan) {
        Ok(again) if again == bytes => Some(plan),
        Ok(_) => refuse(codes::SEAL_PLAN, "not written as a plan is; it was edited".to_owned()),
        Err(error) => refuse(codes::SEAL_PLAN, error.to_string()),
    }
}
