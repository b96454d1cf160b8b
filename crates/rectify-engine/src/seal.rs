//! `seal` and `approve`: people vouch for a plan, until when, for one use.

use crate::{Engine, EngineError, artifact::Artifact, gate, identity, project::Project};
use rectify_attest::{
    Approval, DecisionRecord, Override, PrincipalName, Refusal, Seal, Signer, TrustFile, Verdict, attest,
};
use rectify_base::Digest;
use rectify_model::{Decision, Plan, journal::UseId};
use std::{collections::BTreeSet, path::Path};

/// File name of the decision.
pub const DECISION_FILE: &str = "decision.dsse.json";
/// File name of the seal.
pub const SEAL_FILE: &str = "seal.dsse.json";

/// How a plan is to be sealed.
pub struct SealRequest<'a> {
    /// Directory of the project.
    pub project: &'a Path,
    /// The plan.
    pub plan: &'a Path,
    /// Whose key seals.
    pub signer: &'a dyn Signer,
    /// Who wrote the change.
    pub author: PrincipalName,
    /// Who asked for it.
    pub requester: PrincipalName,
    /// Seconds until it expires; the trust file's default if absent.
    pub lifetime_s: Option<u64>,
    /// Whether a seal that can still be used is replaced; one that is over always is.
    pub again: bool,
    /// Rules that deny the plan now and that somebody is expected to override. It is not applied before.
    pub expecting: BTreeSet<String>,
}

/// What was sealed.
#[derive(Clone, Debug)]
pub struct Sealed {
    /// The seal.
    pub seal: Seal,
    /// What policy said.
    pub decision: Decision,
}

/// Checks a plan against its evidence, lets policy decide, and seals it.
///
/// # Errors
/// When the plan is not what its evidence gives, changes nothing, is sealed already, or is denied.
pub async fn seal(engine: &Engine, request: &SealRequest<'_>) -> Result<Sealed, EngineError> {
    let artifact = Artifact::read(request.plan)?;
    let plan = artifact.plan()?;
    if let Some(entry) = plan.undecided().next() {
        return Err(EngineError::Undecided { target: entry.target.clone(), address: entry.address.clone() });
    }
    if plan.counts.changes() == 0 {
        return Err(EngineError::EmptyPlan);
    }
    let now = (engine.now_ms)() / 1000;
    let sealed = artifact.attestations()?.into_iter().find(|(name, _)| name == SEAL_FILE);
    if let Some((_, bytes)) = &sealed
        && !request.again
        && !is_over(engine, &artifact, bytes, now).await?
    {
        return Err(EngineError::Sealed { path: artifact.path });
    }
    crate::verify::reproduce(&artifact, &plan)?;
    // The seal names the sources, so the plan must be what they say.
    crate::verify::reproduce_sources(engine, &artifact, &plan, request.project).await?;
    let trust = gate::required_trust(engine)?;
    let project = Project::read(request.project)?;
    let gate = gate::of_project(engine, request.project)?;
    let decision = gate::decide(engine, &gate, &plan).await?;
    // What is recorded is the denial, as it stands; what is expected only lets it be sealed.
    let expected = match request.expecting.is_empty() {
        true => decision.clone(),
        false => decide_without(engine, &gate, &plan, &decision, &request.expecting).await?,
    };
    if !expected.allowed {
        return Err(EngineError::Denied { decision: Box::new(expected) });
    }
    let record = DecisionRecord { evaluated_at: now, decision: decision.clone() };
    let decision_bytes = attest(artifact.digests, &record, &[request.signer])?;
    let use_id =
        UseId::new(identity::random_hex()?).map_err(|e| EngineError::Entropy { message: e.to_string() })?;
    let lifetime_s = request.lifetime_s.unwrap_or_else(|| trust.data().ceilings.seal_s);
    let seal = Seal {
        scope: plan.project.to_string(),
        generation: now,
        use_id,
        not_before: now,
        expires_at: now.saturating_add(lifetime_s),
        author: request.author.clone(),
        requester: request.requester.clone(),
        sources: project.digest(),
        policy: decision.bundle,
        decision: Digest::of_bytes(&decision_bytes),
    };
    let seal_bytes = attest(artifact.digests, &seal, &[request.signer])?;
    // Also what an attempt left that ended between the two files.
    if !artifact.attestations()?.is_empty() {
        artifact.set_aside()?;
    }
    artifact.attest(DECISION_FILE, &decision_bytes)?;
    artifact.attest(SEAL_FILE, &seal_bytes)?;
    Ok(Sealed { seal, decision })
}

/// Whether a seal gives nobody anything any more: it has expired, or this machine has used it.
async fn is_over(engine: &Engine, artifact: &Artifact, bytes: &[u8], now: u64) -> Result<bool, EngineError> {
    let envelope = rectify_attest::Envelope::read(bytes);
    let seal = envelope
        .ok()
        .and_then(|e| rectify_attest::statement::decode::<Seal>(artifact.digests, e.payload()).ok());
    // What cannot be read is not replaced silently: somebody should look at it.
    let Some(seal) = seal else { return Ok(false) };
    let runs = crate::history::list(engine, u32::MAX).await?;
    Ok(now >= seal.expires_at || runs.iter().any(|summary| summary.run.use_id == seal.use_id))
}

/// How a plan is to be approved.
pub struct ApproveRequest<'a> {
    /// The plan.
    pub plan: &'a Path,
    /// Whose key approves.
    pub signer: &'a dyn Signer,
    /// Who approves.
    pub approver: PrincipalName,
    /// Why, for readers.
    pub reason: Option<String>,
    /// Seconds until it expires; the seal's expiry if absent.
    pub lifetime_s: Option<u64>,
}

/// Adds an approval beside a sealed plan.
///
/// # Errors
/// When nobody who may seal has sealed the plan, its seal has expired, or this key approved it already.
pub fn approve(engine: &Engine, request: &ApproveRequest<'_>) -> Result<Approval, EngineError> {
    let artifact = Artifact::read(request.plan)?;
    let plan = artifact.plan()?;
    crate::verify::reproduce(&artifact, &plan)?;
    let trust = gate::required_trust(engine)?;
    let now = (engine.now_ms)() / 1000;
    let seal = seal_of(&artifact, &trust, now)?;
    let expires_at = request.lifetime_s.map_or(seal.expires_at, |s| now.saturating_add(s));
    let approval = Approval {
        use_id: seal.use_id,
        approver: request.approver.clone(),
        expires_at,
        verdict: Verdict::Yes,
        reason: request.reason.clone(),
        rendering: None,
    };
    let bytes = attest(artifact.digests, &approval, &[request.signer])?;
    let key = Digest::of_bytes(request.signer.public_key().as_bytes()).hex();
    let key = key.get(..16).unwrap_or(&key);
    // A later end makes another file, so that an approval can be renewed before or after it expires.
    let name = format!("approval-{key}-{expires_at}.dsse.json");
    if artifact.attestations()?.iter().any(|(other, _)| *other == name) {
        return Err(EngineError::Approved { name: request.approver.to_string(), expires_at });
    }
    artifact.attest(&name, &bytes)?;
    Ok(approval)
}

/// What policy says where these rules are overridden, each of which denies the plan now and lets itself
/// be overridden.
async fn decide_without(
    engine: &Engine,
    gate: &gate::Gate,
    plan: &Plan,
    denied: &Decision,
    rules: &BTreeSet<String>,
) -> Result<Decision, EngineError> {
    let stands = |decision: &Decision, rule: &String| decision.deny.iter().any(|found| &found.rule == rule);
    if let Some(idle) = rules.iter().find(|rule| !stands(denied, rule)) {
        return Err(EngineError::OverrideIdle { rule: idle.clone() });
    }
    let decision = gate::decide_with(engine, gate, plan, rules.clone()).await?;
    match rules.iter().find(|rule| stands(&decision, rule)) {
        Some(fixed) => Err(EngineError::OverrideFixed { rule: fixed.clone() }),
        None => Ok(decision),
    }
}

/// Which rules are to be overridden.
pub struct OverrideRequest<'a> {
    /// Directory of the project, whose policy says what denies the plan now.
    pub project: &'a Path,
    /// The plan.
    pub plan: &'a Path,
    /// Whose key signs.
    pub signer: &'a dyn Signer,
    /// Who overrides.
    pub by: PrincipalName,
    /// Ids of rules that deny the plan now.
    pub rules: BTreeSet<String>,
    /// Why.
    pub reason: String,
    /// Seconds until it expires; the seal's expiry, or what the trust file allows, if absent.
    pub lifetime_s: Option<u64>,
}

/// Adds an override beside a sealed plan, signed by somebody who may.
///
/// # Errors
/// When the plan has no seal that counts, this person may not override for it, a rule does not deny the
/// plan now, or may not be overridden.
pub async fn set_aside(engine: &Engine, request: &OverrideRequest<'_>) -> Result<Override, EngineError> {
    let artifact = Artifact::read(request.plan)?;
    let plan = artifact.plan()?;
    crate::verify::reproduce(&artifact, &plan)?;
    let trust = gate::required_trust(engine)?;
    let now = (engine.now_ms)() / 1000;
    let seal = seal_of(&artifact, &trust, now)?;
    let longest = now.saturating_add(trust.data().ceilings.approval_s);
    let expires_at =
        request.lifetime_s.map_or_else(|| seal.expires_at.min(longest), |s| now.saturating_add(s));
    let said = Override {
        use_id: seal.use_id,
        by: request.by.clone(),
        rules: request.rules.clone(),
        reason: request.reason.clone(),
        expires_at,
    };
    let bytes = attest(artifact.digests, &said, &[request.signer])?;
    let key = Digest::of_bytes(request.signer.public_key().as_bytes()).hex();
    let what = Digest::of_bytes(&bytes).hex();
    let (key, what) = (key.get(..16).unwrap_or(&key), what.get(..16).unwrap_or(&what));
    let name = format!("override-{key}-{what}.dsse.json");
    let mut envelopes = artifact.envelopes()?;
    envelopes.push(rectify_attest::EnvelopeFile { name: name.clone(), bytes: bytes.clone() });
    let refusals = rectify_attest::override_refusals(artifact.bytes(), &envelopes, &trust, now, &name);
    if !refusals.is_empty() {
        return Err(EngineError::Refused { refusals });
    }
    let gate = gate::of_project(engine, request.project)?;
    let standing = gate::decide(engine, &gate, &plan).await?;
    decide_without(engine, &gate, &plan, &standing, &request.rules).await?;
    artifact.attest(&name, &bytes)?;
    Ok(said)
}

/// The seal, if somebody who may seal has signed it and it has not expired. An approval beside
/// anything else would be consent to nothing.
fn seal_of(artifact: &Artifact, trust: &TrustFile, now: u64) -> Result<Seal, EngineError> {
    let attestations = artifact.attestations()?;
    let (_, bytes) = attestations
        .iter()
        .find(|(name, _)| name == SEAL_FILE)
        .ok_or_else(|| EngineError::NotSealed { path: artifact.path.clone() })?;
    let refused = |refusal| EngineError::Refused { refusals: vec![refusal] };
    let signed =
        rectify_attest::verify::<Seal>(SEAL_FILE, bytes, artifact.digests, trust).map_err(refused)?;
    if !signed.signers.iter().any(|signer| trust.data().sealers.contains(&signer.principal)) {
        let message = "none of its signers may seal";
        return Err(refused(Refusal::new(rectify_attest::codes::SEAL_ROLE, SEAL_FILE, message)));
    }
    if now >= signed.predicate.expires_at {
        let message = format!("expired at {}", rectify_attest::moment(signed.predicate.expires_at));
        return Err(refused(Refusal::new(rectify_attest::codes::SEAL_EXPIRED, SEAL_FILE, message)));
    }
    Ok(signed.predicate)
}
