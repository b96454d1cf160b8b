//! Taking back what a run did, when it failed: the signed inverses of the plan and nothing else.
//!
//! Steps are taken back in the reverse of the order of their edges, each only once nothing that
//! changed after it and through it is left. Actions that something triggered (a reload) come last and in
//! the plan's order, because they make what was brought back take effect.

use crate::{
    codes,
    effect::{Effect, Notice, Reason},
    ending::{changed, is_over},
    scope::{self, Node},
    state::{Entered, Phase, Purpose, RunState, Trust},
};
use alloc::{collections::BTreeSet, string::ToString, vec::Vec};
use rectify_base::Address;
use rectify_model::{
    graph::Access,
    journal::{Direction, Failure, Kept, Mutated, Record, RunMark, UndoState, operation_id_of},
};

/// Why an inverse is not tried on something else.
pub(crate) const CONFLICT: &str =
    "changed since the run: it is neither what the step left behind nor what was there before";

/// How far taking back has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UndoPhase {
    /// Nothing is taken back.
    Not,
    /// That it begins is being stored.
    Marking,
    /// Targets are verified again.
    Verifying,
    /// Steps are taken back.
    Running,
}

impl RunState {
    /// What would have to be taken back if the run were over now.
    pub(crate) fn undo_scope(&self) -> BTreeSet<usize> {
        if self.facts.undoing {
            return self.members.clone();
        }
        let incomplete: BTreeSet<(usize, &str)> = self
            .gates
            .iter()
            .filter(|gate| !gate.passed)
            .map(|gate| (gate.target, gate.node.address.remediation()))
            .chain(
                self.remediation_left
                    .iter()
                    .filter(|(_, left)| **left > 0)
                    .map(|((target, name), _)| (*target, name.as_str())),
            )
            .collect();
        let node = |item: &crate::state::Item| {
            let name = item.node.address.remediation();
            Node {
                due: self.auto.contains(name) && incomplete.contains(&(item.target, name)),
                changed: item.forward.as_ref().is_some_and(changed)
                    || matches!(item.phase, Phase::Unresolved { .. }),
                dependents: item.dependents.iter().map(|(index, _)| *index).collect(),
            }
        };
        let nodes: Vec<Node> = self.items.iter().map(node).collect();
        scope::taken_back(&nodes)
    }

    /// Decides what is taken back.
    pub(crate) fn choose_members(&mut self) {
        self.facts.undoing = false;
        let members = self.undo_scope();
        self.facts.undoing = true;
        for index in &members {
            self.turn_back(*index, 0);
        }
        self.members = members;
    }

    /// From now on the item is about the inverse of its step.
    pub(crate) fn turn_back(&mut self, index: usize, retries: u32) {
        let Some(item) = self.items.get_mut(index) else { return };
        let (target, address) = (&item.node.target, &item.node.address);
        item.op_id = operation_id_of(&self.use_id, target, address, Direction::Back, retries);
        item.direction = Direction::Back;
        if let Some(inverse) = &item.inverse {
            item.action = inverse.action;
            item.expect = inverse.expect;
            item.result = inverse.result;
        }
        item.phase = Phase::Waiting;
        item.attempt = 0;
        item.tries = 0;
        item.granted = false;
        item.unproven = false;
        item.partway = None;
        item.before_image = None;
    }

    /// Begins or goes on to take back, if something failed and nothing else is under way.
    pub(crate) fn take_back(&mut self, out: &mut Vec<Effect>) {
        if self.undo == UndoPhase::Not {
            if !self.is_idle() || self.is_paused() || !self.may_take_back() {
                return;
            }
            if self.facts.undoing {
                self.verify_for_undo(out);
            } else {
                return self.mark_undoing(out);
            }
        }
        if self.undo == UndoPhase::Verifying && self.verifying == 0 && self.commits.is_empty() {
            self.run_undo();
        }
        if self.undo == UndoPhase::Running {
            self.start_taking_back(out);
        }
    }

    fn may_take_back(&self) -> bool {
        let known = !self.facts.unknown
            && !self.items.iter().any(|item| {
                item.direction == Direction::Forward
                    && (matches!(item.phase, Phase::Unresolved { .. }) || item.granted)
            });
        known && self.undo_is_left()
    }

    fn mark_undoing(&mut self, out: &mut Vec<Effect>) {
        self.undo = UndoPhase::Marking;
        self.choose_members();
        let because = self.reasons.first().cloned().unwrap_or_else(|| Reason {
            code: codes::STEP_FAILED,
            place: "run".into(),
            message: "it failed".into(),
        });
        let steps = self.members.iter().filter_map(|index| self.items.get(*index));
        let steps = steps.map(|item| item.node.clone()).collect();
        let (code, place) = (because.code.as_str().to_string(), because.place.clone());
        let failure = Failure { code, message: because.message.clone(), mutated: Mutated::Yes };
        let mark = RunMark::Undoing { because: failure, place };
        out.push(Effect::Log(Notice::Undoing { because, steps }));
        self.commit(Purpose::Undoing, Record::Run(mark), out);
    }

    pub(crate) fn undoing_committed(&mut self, out: &mut Vec<Effect>) {
        if !self.is_paused() {
            self.verify_for_undo(out);
        }
    }

    fn verify_for_undo(&mut self, out: &mut Vec<Effect>) {
        self.undo = UndoPhase::Verifying;
        let targets: BTreeSet<usize> = self
            .members
            .iter()
            .filter_map(|index| self.items.get(*index))
            .filter(|item| !item.back.as_ref().is_some_and(is_over))
            .map(|item| item.target)
            .collect();
        for target in targets {
            if self.targets.get(target).is_some_and(|target| target.trust != Trust::Verified) {
                self.verify(target, false, out);
            }
        }
    }

    fn run_undo(&mut self) {
        self.undo = UndoPhase::Running;
        for target in &mut self.targets {
            target.ready.clear();
        }
        self.back_left = self.items.len();
        let mut free = Vec::new();
        for index in 0..self.items.len() {
            self.hold_keys(index);
            let Some(item) = self.items.get_mut(index) else { continue };
            item.back_unmet = item.dependents.len();
            if item.back_unmet == 0 {
                free.push(index);
            }
        }
        self.pass(free);
    }

    /// Whether the steps that something triggered are being taken back: all others are over.
    const fn is_last_part(&self) -> bool {
        self.back_left == 0
    }

    /// Lets these steps have their turn, and passes by those that have nothing to take back now.
    fn pass(&mut self, mut free: Vec<usize>) {
        while let Some(index) = free.pop() {
            let last = self.is_last_part();
            let Some(item) = self.items.get(index) else { continue };
            let mine = self.members.contains(&index) && item.comes_last == last;
            if mine && !item.back.as_ref().is_some_and(is_over) {
                let (target, waits) = (item.target, item.phase == Phase::Waiting);
                if let Some(target) = self.targets.get_mut(target).filter(|_| waits) {
                    target.ready.insert(index);
                }
                continue;
            }
            free.extend(self.passed(index));
        }
    }

    /// A step has been dealt with; which others may be now.
    fn passed(&mut self, index: usize) -> Vec<usize> {
        let last = self.is_last_part();
        let Some(item) = self.items.get(index) else { return Vec::new() };
        let not_taken_back = match &item.back {
            Some(UndoState::Failed(_) | UndoState::Conflict { .. })
            | Some(UndoState::Kept { because: Kept::Dependent(_) }) => Some(item.node.address.clone()),
            Some(_) => None,
            None => item.blocked.clone(),
        };
        let next = if last {
            item.dependents.iter().map(|(dependent, _)| *dependent).collect()
        } else {
            item.sources.clone()
        };
        let mut free = self.free(&next, not_taken_back.as_ref());
        if !last {
            self.back_left -= 1;
            if self.back_left == 0 {
                free.extend(self.begin_last_part());
            }
        }
        free
    }

    fn free(&mut self, next: &[usize], blocked: Option<&Address>) -> Vec<usize> {
        let mut free = Vec::new();
        for index in next {
            let Some(item) = self.items.get_mut(*index) else { continue };
            if item.blocked.is_none() {
                item.blocked = blocked.cloned();
            }
            item.back_unmet = item.back_unmet.saturating_sub(1);
            if item.back_unmet == 0 {
                free.push(*index);
            }
        }
        free
    }

    fn begin_last_part(&mut self) -> Vec<usize> {
        let mut free = Vec::new();
        for (index, item) in self.items.iter_mut().enumerate() {
            item.back_unmet = item.sources.len();
            item.blocked = None;
            if item.back_unmet == 0 {
                free.push(index);
            }
        }
        free
    }

    fn start_taking_back(&mut self, out: &mut Vec<Effect>) {
        let verified =
            |target: &usize| self.targets.get(*target).is_some_and(|target| target.trust == Trust::Verified);
        let targets: Vec<usize> = (0..self.targets.len()).filter(verified).collect();
        for target in targets {
            while !self.is_paused()
                && let Some(index) = self.next_ready(target)
            {
                self.start_back(index, out);
            }
        }
    }

    fn start_back(&mut self, index: usize, out: &mut Vec<Effect>) {
        let Some(item) = self.items.get(index) else { return };
        let written = item.touches.iter().filter(|(_, access)| *access == Access::Write);
        let held = written.filter_map(|(key, _)| self.held_keys.get(key)).next();
        // What was begun had its turn.
        let blocked = item.blocked.as_ref().or(held).filter(|_| item.attempt == 0);
        let kept = match (blocked, &item.inverse) {
            (Some(address), _) => Some(Kept::Dependent(address.clone())),
            (None, None) => Some(Kept::NoInverse),
            (None, Some(_)) => None,
        };
        self.occupy(index);
        if let Some(because) = kept {
            return self.conclude(index, Entered::Undo(UndoState::Kept { because }), out);
        }
        let Some(item) = self.items.get_mut(index) else { return };
        item.phase = Phase::Looking;
        item.asks += 1;
        let node = item.node.clone();
        out.push(Effect::Log(Notice::UndoStarted { node: node.clone() }));
        out.push(Effect::Look { node, ask: item.asks, capture: false });
    }

    /// Taking a step back has come to its durable end.
    pub(crate) fn undo_over(&mut self, index: usize, state: UndoState, _out: &mut Vec<Effect>) {
        let Some(item) = self.items.get_mut(index) else { return };
        let over = is_over(&state);
        if matches!(state, UndoState::Failed(_)) && !over {
            item.phase = Phase::Waiting;
        }
        item.back = Some(state);
        self.hold_keys(index);
        if over && self.undo == UndoPhase::Running {
            let free = self.passed(index);
            self.pass(free);
        }
    }

    /// What a step wrote stays if the step was not taken back, and so does what is below it.
    fn hold_keys(&mut self, index: usize) {
        let Some(item) = self.items.get(index) else { return };
        let stays = match &item.back {
            Some(UndoState::Failed(failure)) => !failure.not_begun(),
            Some(UndoState::Conflict { .. } | UndoState::Kept { .. }) => true,
            _ => false,
        };
        if stays {
            for (key, access) in &item.touches {
                if *access == Access::Write {
                    self.held_keys.entry(*key).or_insert_with(|| item.node.address.clone());
                }
            }
        }
    }
}
