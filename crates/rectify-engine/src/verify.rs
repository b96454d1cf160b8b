//! `verify`: offline, what a plan is, who vouches for it, and whether it may be applied.

use crate::{
    Engine, EngineError, apply::EXECUTOR_KEY, artifact::Artifact, codes, gate, plan::derive, validate,
};
use rectify_attest::{Description, PublicKey, Receipt, Refusal, TrustFile};
use rectify_base::RemediationName;
use rectify_model::{Decision, Plan};
use serde::Serialize;
use std::path::Path;

/// What `verify` found.
#[derive(Debug)]
pub struct Verified {
    /// What the plan is, who vouches for it, whether it may be applied and why not.
    pub description: Description,
    /// The decision as this machine makes it now, or why there is none.
    pub decision: Result<Decision, EngineError>,
}

/// Derives the plan again from the evidence beside it, and compares.
///
/// # Errors
/// When the evidence is not the one that the plan names, or gives other bytes.
pub fn reproduce(artifact: &Artifact, plan: &Plan) -> Result<(), EngineError> {
    let (graph, graph_digests) = artifact.graph()?;
    if graph_digests != plan.graph {
        return Err(EngineError::Evidence { what: "the graph".into() });
    }
    let documents = artifact.observations(plan)?;
    for (observation, digests) in &documents {
        if plan.targets.get(&observation.target).is_none_or(|target| target.observation != *digests) {
            return Err(EngineError::Evidence {
                what: format!("the observation of `{}`", observation.target),
            });
        }
    }
    let (again, _) = derive(&graph, graph_digests, &documents)?;
    if crate::artifact::document(&again)? != artifact.bytes() {
        return Err(EngineError::NotReproduced { what: "plan".into() });
    }
    Ok(())
}

/// Compiles the sources again, with the recorded facts, and compares the graph with the recorded one. That
/// of a plan that takes back a run is made again from the journal. Starts no provider.
///
/// # Errors
/// When the sources have problems, or give another graph.
pub async fn reproduce_sources(
    engine: &Engine,
    artifact: &Artifact,
    plan: &Plan,
    sources: &Path,
) -> Result<(), EngineError> {
    if let Some(run) = artifact.undo_of()? {
        let graph = crate::undo::graph_of(engine, &run, sources).await?;
        return match crate::plan::recorded(&graph)?.1 == plan.graph {
            true => Ok(()),
            false => Err(EngineError::NotReproduced { what: "graph".into() }),
        };
    }
    let assumptions = plan.targets.values().flat_map(|target| &target.assumptions);
    // Also those of which facts left nothing.
    let decided = assumptions.flat_map(|assumption| &assumption.decides);
    let named = decided.filter_map(|address| RemediationName::new(address.remediation()).ok());
    let select = plan.remediations.keys().cloned().chain(named).collect();
    let facts = artifact.observations(plan)?.into_iter().map(|(o, _)| (o.target, o.facts)).collect();
    let compiled = validate::validate_with(engine, sources, Some(&select), facts)?;
    if compiled.graph_digests != plan.graph {
        return Err(EngineError::NotReproduced { what: "graph".into() });
    }
    Ok(())
}

/// Says everything about a plan that can be said without touching a target.
///
/// # Errors
/// When the plan or an attestation cannot be read at all.
pub async fn verify(engine: &Engine, project: &Path, plan: &Path) -> Result<Verified, EngineError> {
    let artifact = Artifact::read(plan)?;
    let trust = gate::required_trust(engine)?;
    let decision = decide_now(engine, project, &artifact, &trust).await;
    let description = describe(engine, &artifact, &trust, decision.as_ref().ok())?;
    Ok(Verified { description, decision })
}

/// A receipt beside a plan.
#[derive(Clone, Debug, Serialize)]
pub struct ReceiptFile {
    /// Its file name.
    pub file: String,
    /// What it says, if it is about this plan and a known executor signed it; else why not.
    #[serde(flatten)]
    pub receipt: ReceiptState,
}

/// Whether a receipt can be relied on.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ReceiptState {
    /// It verifies.
    Verified(Receipt),
    /// It does not, or by no key that is known here.
    Refused(Refusal),
}

/// Verifies the receipts beside a plan with the executors' public keys; without any, with that of
/// this machine.
///
/// # Errors
/// When a file cannot be read.
pub fn receipts(
    engine: &Engine,
    artifact: &Artifact,
    executors: &[PublicKey],
) -> Result<Vec<ReceiptFile>, EngineError> {
    let own = engine.places.state.join(EXECUTOR_KEY).with_extension("pub");
    let keys = match executors {
        [] if own.exists() => vec![rectify_keys::read_public_key(&own)?],
        keys => keys.to_vec(),
    };
    let mut seen = Vec::new();
    for (file, bytes) in artifact.receipts()? {
        let unknown = Refusal::new(codes::RECEIPT_EXECUTOR, file.as_str(), "no executor's key is known here");
        let mut state = ReceiptState::Refused(unknown);
        for key in &keys {
            match rectify_attest::verify_by::<Receipt>(&file, &bytes, artifact.digests, key) {
                Ok(receipt) => {
                    state = ReceiptState::Verified(receipt);
                    break;
                }
                Err(refusal) => state = ReceiptState::Refused(refusal),
            }
        }
        seen.push(ReceiptFile { file, receipt: state });
    }
    Ok(seen)
}

async fn decide_now(
    engine: &Engine,
    project: &Path,
    artifact: &Artifact,
    trust: &TrustFile,
) -> Result<Decision, EngineError> {
    let gate = gate::of_project(engine, project)?;
    let now = (engine.now_ms)() / 1000;
    let overridden = rectify_attest::overridden(artifact.bytes(), &artifact.envelopes()?, trust, now);
    let plan = artifact.plan()?;
    gate::decide_with(engine, &gate, &plan, overridden).await
}

fn describe(
    engine: &Engine,
    artifact: &Artifact,
    trust: &TrustFile,
    decision: Option<&Decision>,
) -> Result<Description, EngineError> {
    let envelopes = artifact.envelopes()?;
    let denied = Decision {
        bundle: rectify_base::Digest::from_bytes([0; 32]),
        allowed: false,
        deny: std::collections::BTreeSet::new(),
        warn: std::collections::BTreeSet::new(),
        require_approval: std::collections::BTreeSet::new(),
        overridden: std::collections::BTreeSet::new(),
    };
    Ok(rectify_attest::describe(&rectify_attest::AdmissionInput {
        plan: artifact.bytes(),
        envelopes: &envelopes,
        trust,
        decision: decision.unwrap_or(&denied),
        now: (engine.now_ms)() / 1000,
    }))
}
