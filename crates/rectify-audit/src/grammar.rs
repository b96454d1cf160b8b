//! What runs can have done, told from the log alone, and more exactly where records come with what
//! they say in detail.

use crate::{
    detail::Detail,
    record::{Action, AuditRecord, Outcome},
};
use rectify_base::{Address, TargetName};
use rectify_model::journal::{Entry, RunId, RunOutcome, RunView};
use std::collections::{BTreeMap, BTreeSet};

type Node = (TargetName, Address);

/// All runs of a log so far.
#[derive(Debug, Default)]
pub struct Grammar {
    runs: BTreeMap<RunId, Run>,
    fence: u64,
    ended: u64,
}

/// Where a step, or taking it back, stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stand {
    /// It may have happened.
    Open { unknown: bool },
    /// It came to an end, and may have left something.
    Changed,
    /// It came to an end and left nothing.
    Unchanged,
    /// The engine was stopped between the intent and the request. It may be begun again.
    NotBegun,
}

#[derive(Debug, Default)]
struct Run {
    /// How it ended for good.
    end: Option<RunOutcome>,
    undoing: bool,
    verified: BTreeSet<TargetName>,
    steps: BTreeMap<Node, Stand>,
    undo: BTreeMap<Node, Stand>,
    gates: BTreeSet<Node>,
    /// The same from the bodies.
    view: Option<Box<RunView>>,
}

impl Grammar {
    /// Takes in the next record.
    ///
    /// # Errors
    /// Why it cannot stand here.
    pub fn push(&mut self, record: &AuditRecord, detail: Option<Detail>) -> Result<(), String> {
        match record.action {
            Action::LogStarted => {
                return if record.seq == 1 { Ok(()) } else { Err("the log is begun a second time".into()) };
            }
            _ if record.seq == 1 => return Err("the log does not begin with its beginning".into()),
            Action::AdmissionRefused => return Ok(()),
            Action::LeaseAcquired => return self.lease(detail),
            Action::LeaseReleased | Action::LeaseBroken => return Ok(()),
            Action::RunAdmitted => return self.admit(record, detail),
            _ => {}
        }
        let id = record.run_id.as_ref().ok_or("no run is named")?;
        let run = self.runs.get_mut(id).ok_or_else(|| format!("run {id} was not admitted before"))?;
        if record.action == Action::ReceiptKept {
            return Ok(());
        }
        if let Some(end) = run.end {
            return Err(format!("run {id} ended before: {}", end.as_str()));
        }
        if run.push(record)? {
            self.ended += 1;
        }
        match (detail, &mut run.view) {
            (Some(Detail::Record(journal)), Some(view)) => {
                let entry = Entry { seq: view.len() + 1, at_ms: record.time_ms, record: *journal };
                view.push(&entry).map_err(|error| error.to_string())
            }
            _ => Ok(()),
        }
    }

    /// Runs that were admitted, and how many of them have not ended for good.
    #[must_use]
    pub fn runs(&self) -> (u64, u64) {
        let all = self.runs.len() as u64;
        (all, all - self.ended)
    }

    fn lease(&mut self, detail: Option<Detail>) -> Result<(), String> {
        if let Some(Detail::Lease(lease)) = detail {
            if lease.fence <= self.fence {
                return Err(format!("fence {} is not above {}", lease.fence, self.fence));
            }
            self.fence = lease.fence;
        }
        Ok(())
    }

    fn admit(&mut self, record: &AuditRecord, detail: Option<Detail>) -> Result<(), String> {
        let id = record.run_id.clone().ok_or("no run is named")?;
        let view = match detail {
            Some(Detail::Run(run)) => Some(Box::new(RunView::new(*run))),
            _ => None,
        };
        if self.runs.contains_key(&id) {
            return Err(format!("run {id} was admitted before"));
        }
        self.runs.insert(id, Run { view, ..Run::default() });
        Ok(())
    }
}

impl Run {
    /// Whether the run has ended for good with this record.
    fn push(&mut self, record: &AuditRecord) -> Result<bool, String> {
        let (action, outcome) = (record.action, record.outcome);
        let cannot = |from: &str| format!("{action} cannot follow {from}");
        match action {
            Action::TargetVerified => {
                self.verified.insert(record.target.clone().ok_or("no target is named")?);
            }
            Action::TargetRefused => {
                self.verified.remove(record.target.as_ref().ok_or("no target is named")?);
            }
            Action::RunResumed => self.verified.clear(),
            Action::RunUndoing => {
                if self.undoing {
                    return Err(cannot("taking back"));
                }
                self.undoing = true;
            }
            Action::RunEnded => return self.end(outcome),
            Action::GatePassed | Action::GateFailed => {
                if !self.gates.insert(node(record)?) {
                    return Err(cannot("the gate's answer"));
                }
            }
            Action::RunResolved => {
                let node = node(record)?;
                let open = |stands: &BTreeMap<Node, Stand>| {
                    stands.get(&node).is_some_and(|stand| matches!(stand, Stand::Open { .. }))
                };
                if !open(&self.steps) && !open(&self.undo) {
                    return Err(cannot("anything but an open operation"));
                }
            }
            Action::StepIntent
            | Action::StepSucceeded
            | Action::StepFailed
            | Action::StepUnknown
            | Action::StepStale
            | Action::StepSkipped => {
                let node = node(record)?;
                if action == Action::StepIntent && self.undoing {
                    return Err(cannot("taking back"));
                }
                let stand = self.next(self.steps.get(&node).copied(), record)?;
                self.steps.insert(node, stand);
            }
            Action::UndoIntent
            | Action::UndoDone
            | Action::UndoFailed
            | Action::UndoUnknown
            | Action::UndoConflict
            | Action::UndoKept => {
                let node = node(record)?;
                if !self.undoing {
                    return Err(format!("{action} before the run takes back"));
                }
                if self.steps.get(&node) != Some(&Stand::Changed) {
                    return Err(cannot("a step that changed nothing or has not ended"));
                }
                let stand = self.next(self.undo.get(&node).copied(), record)?;
                self.undo.insert(node, stand);
            }
            Action::RunStopped
            | Action::LogStarted
            | Action::AdmissionRefused
            | Action::RunAdmitted
            | Action::ReceiptKept
            | Action::LeaseAcquired
            | Action::LeaseReleased
            | Action::LeaseBroken => {}
        }
        Ok(false)
    }

    /// Where a step, or taking it back, stands after a record.
    fn next(&self, before: Option<Stand>, record: &AuditRecord) -> Result<Stand, String> {
        let (action, outcome) = (record.action, record.outcome);
        let from = match before {
            None => "nothing",
            Some(Stand::Open { unknown: false }) => "an intent",
            Some(Stand::Open { unknown: true }) => "an unknown outcome",
            Some(Stand::NotBegun) => "what was not begun",
            Some(Stand::Changed | Stand::Unchanged) => {
                return Err(format!("{action} cannot follow its end"));
            }
        };
        let cannot = || format!("{action} cannot follow {from}");
        let intended = matches!(before, Some(Stand::Open { .. }));
        match action {
            Action::StepIntent | Action::UndoIntent => {
                if record.target.as_ref().is_none_or(|target| !self.verified.contains(target)) {
                    return Err(format!("{action} before its target was verified"));
                }
                if before == Some(Stand::Open { unknown: false }) {
                    return Err(cannot());
                }
                Ok(Stand::Open { unknown: false })
            }
            Action::StepUnknown | Action::UndoUnknown if intended => Ok(Stand::Open { unknown: true }),
            Action::StepSucceeded | Action::UndoDone => match outcome {
                Some(Outcome::Already) => Ok(Stand::Unchanged),
                Some(Outcome::Applied | Outcome::Observed | Outcome::Judged) if intended => {
                    Ok(Stand::Changed)
                }
                _ => Err(cannot()),
            },
            Action::StepFailed | Action::UndoFailed => match outcome {
                Some(Outcome::Unchanged) => Ok(Stand::Unchanged),
                Some(Outcome::NotBegun) => Ok(Stand::NotBegun),
                Some(Outcome::MaybeChanged | Outcome::Changed) if intended => Ok(Stand::Changed),
                _ => Err(cannot()),
            },
            Action::StepStale | Action::UndoConflict => Ok(Stand::Unchanged),
            Action::StepSkipped | Action::UndoKept if !intended => Ok(Stand::Unchanged),
            _ => Err(cannot()),
        }
    }

    fn end(&mut self, outcome: Option<Outcome>) -> Result<bool, String> {
        let outcome = outcome.and_then(Outcome::run_outcome).ok_or("a run cannot end like that")?;
        if !outcome.is_final() {
            return Ok(false);
        }
        let open = |stands: &BTreeMap<Node, Stand>| {
            stands
                .iter()
                .find(|(_, stand)| matches!(stand, Stand::Open { .. }))
                .map(|((target, address), _)| format!("{target}: {address}"))
        };
        if let Some(node) = open(&self.steps).or_else(|| open(&self.undo)) {
            return Err(format!("the run ended as {} while {node} is open", outcome.as_str()));
        }
        self.end = Some(outcome);
        // What has ended needs no memory.
        *self = Self { end: self.end, ..Self::default() };
        Ok(true)
    }
}

fn node(record: &AuditRecord) -> Result<Node, String> {
    match (&record.target, &record.step_id) {
        (Some(target), Some(step)) => Ok((target.clone(), step.clone())),
        _ => Err("no step is named".into()),
    }
}
