//! `show`: whether a recorded plan is what it seems, as far as its bytes alone can say.

use crate::{EngineError, artifact::Artifact, seal::SEAL_FILE};
use rectify_attest::{Envelope, Seal, statement};
use rectify_model::Plan;

/// Checks a plan alone, and that a seal beside it is about these bytes. Who sealed it is not
/// looked at; that is what `verify` does.
///
/// # Errors
/// When the plan contradicts itself, or the seal is about another plan.
pub fn check(artifact: &Artifact, plan: &Plan) -> Result<(), EngineError> {
    let notes = rectify_check::check_alone(plan);
    if !notes.is_empty() {
        return Err(EngineError::Unsound { notes });
    }
    for (name, bytes) in artifact.attestations()? {
        if name != SEAL_FILE {
            continue;
        }
        let refused = |code, message: String| EngineError::Refused {
            refusals: vec![rectify_attest::Refusal::new(code, name.as_str(), message)],
        };
        let envelope = Envelope::read(&bytes).map_err(|e| refused(e.code(), e.to_string()))?;
        statement::decode::<Seal>(artifact.digests, envelope.payload())
            .map_err(|e| refused(e.code(), e.to_string()))?;
    }
    Ok(())
}
