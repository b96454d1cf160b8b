//! What a plan is, who vouches for it, and whether it may be applied: the data that
//! `rectify verify` shows. It is made from the same assessment as [`crate::admit`]'s verdict.

use crate::{
    admit::{AdmissionInput, Assessment, CountedApproval, CountedOverride, Opened, Statement, assess},
    principal::{PrincipalKind, PrincipalName},
    refusal::Refusal,
    statement::Kind,
    verify::SignedBy,
};
use rectify_base::{Digest, FileDigests, ProjectName, TargetName};
use rectify_model::{
    journal::{RunId, RunOutcome, UseId},
    plan::Counts,
};
use serde::Serialize;
use std::collections::BTreeSet;

/// A plan and what is said about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Description {
    /// Digests of the plan file, as `b3sum` and `sha256sum` print them.
    pub digests: FileDigests,
    /// What the plan is; absent if it cannot be read.
    pub plan: Option<PlanSummary>,
    /// The permission; absent unless there is exactly one seal.
    pub seal: Option<SealSummary>,
    /// How many approvals are needed; absent if plan or seal is.
    pub approvals_required: Option<u32>,
    /// How many approvals policy asks for and a solo trust file lets go.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub approvals_waived: u32,
    /// The approvals that count.
    pub approvals: Vec<CountedApproval>,
    /// The overrides that the decision rests on: what policy denies and people let pass.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<CountedOverride>,
    /// Genuine approvals and overrides that do not count, and why.
    pub uncounted: Vec<Refusal>,
    /// Every file beside the plan that verified, by name.
    pub envelopes: Vec<EnvelopeSummary>,
    /// Whether it may be applied now.
    pub may_be_applied: bool,
    /// Until when, in unix seconds; absent if it may not.
    pub until: Option<u64>,
    /// Why not; empty if it may.
    pub refusals: Vec<Refusal>,
}

/// What a plan is, in a few words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlanSummary {
    /// Its project.
    pub project: ProjectName,
    /// Where it acts.
    pub targets: BTreeSet<TargetName>,
    /// The environments of those.
    pub environments: BTreeSet<String>,
    /// How much it does.
    pub counts: Counts,
}

/// What a seal permits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SealSummary {
    /// File name.
    pub file: String,
    /// See [`crate::Seal`]; likewise the others.
    pub scope: String,
    /// Generation within the scope.
    pub generation: u64,
    /// The permission's id.
    #[serde(rename = "use")]
    pub use_id: UseId,
    /// Unix seconds.
    pub not_before: u64,
    /// Unix seconds.
    pub expires_at: u64,
    /// Who wrote the change.
    pub author: PrincipalName,
    /// Who asked for it.
    pub requester: PrincipalName,
    /// Digest of the sources.
    pub sources: Digest,
    /// Digest of the policy bundle.
    pub policy: Digest,
}

/// One file beside the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EnvelopeSummary {
    /// File name.
    pub file: String,
    /// What it says.
    pub kind: Kind,
    /// Who signed it.
    pub signers: Vec<SignerSummary>,
    /// For a receipt: the run and how it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<RunSummary>,
}

/// One signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SignerSummary {
    /// Whose.
    pub principal: PrincipalName,
    /// What they are.
    pub kind: PrincipalKind,
    /// The key's fingerprint, as `ssh-keygen -l` prints it.
    pub keyid: String,
}

/// A run that a receipt tells of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RunSummary {
    /// The run.
    pub run: RunId,
    /// How it ended.
    pub result: RunOutcome,
    /// When, in unix seconds.
    pub ended_at: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// Describes a plan. `may_be_applied` is true if and only if [`crate::admit`] admits it.
#[must_use]
pub fn describe(input: &AdmissionInput<'_>) -> Description {
    let assessment = assess(input);
    let may_be_applied = assessment.refusals.is_empty();
    Description {
        digests: assessment.digests,
        plan: assessment.plan.as_ref().map(|plan| PlanSummary {
            project: plan.project.clone(),
            targets: plan.targets.keys().cloned().collect(),
            environments: plan.targets.values().map(|t| t.environment.clone()).collect(),
            counts: plan.counts,
        }),
        seal: seal_summary(&assessment),
        approvals_required: assessment.quorum.as_ref().map(|q| q.required),
        approvals_waived: assessment.quorum.as_ref().map_or(0, |q| q.waived),
        approvals: assessment.quorum.as_ref().map(|q| q.counted.clone()).unwrap_or_default(),
        overrides: assessment.overrides,
        uncounted: assessment.uncounted,
        envelopes: assessment.opened.iter().map(envelope_summary).collect(),
        may_be_applied,
        until: may_be_applied.then_some(assessment.expires_at),
        refusals: assessment.refusals,
    }
}

fn seal_summary(assessment: &Assessment) -> Option<SealSummary> {
    let seal = &assessment.seal.as_ref()?.predicate;
    Some(SealSummary {
        file: assessment.seal_file()?.to_owned(),
        scope: seal.scope.clone(),
        generation: seal.generation,
        use_id: seal.use_id.clone(),
        not_before: seal.not_before,
        expires_at: seal.expires_at,
        author: seal.author.clone(),
        requester: seal.requester.clone(),
        sources: seal.sources,
        policy: seal.policy,
    })
}

fn envelope_summary(opened: &Opened) -> EnvelopeSummary {
    let signer =
        |s: &SignedBy| SignerSummary { principal: s.principal.clone(), kind: s.kind, keyid: s.keyid.clone() };
    EnvelopeSummary {
        file: opened.file.clone(),
        kind: opened.statement.kind(),
        signers: opened.statement.signers().iter().map(signer).collect(),
        run: match &opened.statement {
            Statement::Receipt(signed) => Some(RunSummary {
                run: signed.predicate.run.clone(),
                result: signed.predicate.result,
                ended_at: signed.predicate.ended_at,
            }),
            _ => None,
        },
    }
}
