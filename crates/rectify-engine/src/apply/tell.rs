//! What the step function notices, as events.

use crate::{Engine, Event, observe::word};
use rectify_apply::Notice;
use rectify_model::journal::{Kept, StepState, UndoState};

/// Tells whoever listens.
pub fn tell(engine: &Engine, notice: Notice) {
    let event = match notice {
        Notice::StepStarted { node } => Event::StepStarted { target: node.target, address: node.address },
        Notice::StepIs { node, state } => {
            let Some((result, message)) = step(state) else { return };
            Event::StepEnded { target: node.target, address: node.address, result, message }
        }
        Notice::Undoing { because, steps } => {
            Event::Undoing { place: because.place, message: because.message, steps: steps.len() as u64 }
        }
        Notice::UndoStarted { node } => Event::UndoStarted { target: node.target, address: node.address },
        Notice::UndoIs { node, state } => {
            let Some((result, message)) = undo(state) else { return };
            Event::UndoEnded { target: node.target, address: node.address, result, message }
        }
        Notice::GatePassed { node } => {
            Event::GateEnded { target: node.target, address: node.address, holds: true, message: None }
        }
        Notice::GateWaits { node, attempt, message } => {
            Event::GateWaiting { target: node.target, address: node.address, attempt, message }
        }
        Notice::WaveStarted { index, .. } => {
            tracing::debug!(index, "wave");
            return;
        }
        Notice::Stopping(reason) => {
            tracing::info!(place = reason.place, message = reason.message, "nothing new is started");
            return;
        }
        Notice::Owed { by, steps } => {
            tracing::debug!(%by, count = steps.len(), "owed");
            return;
        }
        Notice::Ignored { code, what } => {
            tracing::warn!(%code, what, "an event that nobody asked for");
            return;
        }
    };
    engine.events.on(&event);
}

fn step(state: StepState) -> Option<(String, Option<String>)> {
    Some(match state {
        StepState::Intent(_) => return None,
        StepState::Succeeded { how, .. } => (word(&how).unwrap_or_default(), None),
        StepState::Failed(failure) => ("failed".into(), Some(failure.message)),
        StepState::Unknown(failure) => ("unknown".into(), Some(failure.message)),
        StepState::Stale { .. } => {
            let message = "what was found is neither what the plan expects nor what it wants";
            ("stale".into(), Some(message.into()))
        }
        StepState::Skipped { .. } => ("skipped".into(), None),
    })
}

fn undo(state: UndoState) -> Option<(String, Option<String>)> {
    Some(match state {
        UndoState::Intent(_) => return None,
        UndoState::Undone { .. } => ("undone".into(), None),
        UndoState::Failed(failure) => ("failed".into(), Some(failure.message)),
        UndoState::Unknown(failure) => ("unknown".into(), Some(failure.message)),
        UndoState::Conflict { .. } => {
            ("conflict".into(), Some("it was changed since; nothing was written".into()))
        }
        UndoState::Kept { because: Kept::NoInverse } => {
            ("kept".into(), Some("it cannot be taken back, as the plan said".into()))
        }
        UndoState::Kept { because: Kept::Dependent(address) } => {
            ("kept".into(), Some(format!("{address}, which comes after it, was not taken back")))
        }
    })
}
