//! Gates: asked once the steps of their remediation on their target are done, and again each
//! second until they hold or their window ends.

use crate::{
    GATE_INTERVAL_MS, codes,
    effect::{Effect, Notice},
    event::GateAnswer,
    state::{GatePhase, Purpose, RunState},
};
use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};
use rectify_model::journal::{Failure, GateRecord, GateState, Mutated, Record};

impl RunState {
    /// Asks the gates of a target whose turn has come. A gate of a remediation that changes nothing
    /// there is asked when all steps of the target are done, because they may be what it waits for.
    pub(crate) fn ask_gates_of_target(&mut self, target: usize, out: &mut Vec<Effect>) {
        if self.stopping || self.targets.get(target).is_none_or(|t| t.gates_left == 0) {
            return;
        }
        let all_done = self.targets.get(target).is_some_and(|t| t.steps_left == 0);
        let due: Vec<usize> = self
            .gates
            .iter()
            .enumerate()
            .filter(|(_, gate)| gate.target == target && gate.phase == GatePhase::Pending)
            .filter(|(_, gate)| {
                let key = (target, gate.node.address.remediation().to_string());
                self.remediation_left.get(&key).map_or(all_done, |left| *left == 0)
            })
            .map(|(index, _)| index)
            .collect();
        for index in due {
            let now_ms = self.now_ms;
            if let Some(gate) = self.gates.get_mut(index) {
                gate.until_ms = now_ms.saturating_add(gate.within_ms);
            }
            self.ask(index, out);
        }
    }

    fn ask(&mut self, index: usize, out: &mut Vec<Effect>) {
        let Some(gate) = self.gates.get_mut(index) else { return };
        gate.attempt = gate.attempt.saturating_add(1);
        gate.phase = GatePhase::Asking;
        self.asking += 1;
        out.push(Effect::AskGate { node: gate.node.clone(), attempt: gate.attempt });
    }

    /// Asks the gates whose pause is over.
    pub(crate) fn wake(&mut self, out: &mut Vec<Effect>) {
        let mut woken = false;
        while let Some((at_ms, index)) = self.sleeping.first().copied() {
            if at_ms > self.now_ms {
                break;
            }
            self.sleeping.pop_first();
            self.ask(index, out);
            woken = true;
        }
        // The clock went back while the driver waited: it has to wait for the rest.
        if let Some((at_ms, _)) = self.sleeping.first().filter(|_| !woken) {
            out.push(Effect::WaitUntil { at_ms: *at_ms });
        }
    }

    /// Takes in a gate's answer.
    pub(crate) fn gate_answered(&mut self, index: usize, answer: GateAnswer, out: &mut Vec<Effect>) {
        let (now_ms, stopping) = (self.now_ms, self.stopping);
        let Some(gate) = self.gates.get_mut(index) else { return };
        self.asking = self.asking.saturating_sub(1);
        let next_ms = now_ms.saturating_add(GATE_INTERVAL_MS);
        let state = match answer {
            GateAnswer::Passed => GateState::Passed,
            // A run that is being stopped does not wait for a gate, nor does it call it failed.
            GateAnswer::NotYet { .. } if stopping => {
                gate.phase = GatePhase::Pending;
                return;
            }
            GateAnswer::NotYet { message } if next_ms <= gate.until_ms => {
                gate.phase = GatePhase::Sleeping;
                self.sleeping.insert((next_ms, index));
                out.push(Effect::Log(Notice::GateWaits {
                    node: gate.node.clone(),
                    attempt: gate.attempt,
                    message,
                }));
                out.push(Effect::WaitUntil { at_ms: next_ms });
                return;
            }
            GateAnswer::NotYet { message } => GateState::Failed(Failure {
                code: String::from(codes::GATE.as_str()),
                message,
                mutated: Mutated::No,
            }),
        };
        gate.phase = GatePhase::Committing;
        let (node, attempts) = (gate.node.clone(), gate.attempt);
        let passed = state == GateState::Passed;
        if let GateState::Failed(failure) = &state {
            self.facts.failed = true;
            let message = format!("asked {attempts} times: {}", failure.message);
            self.stop(codes::GATE, &node, message, out);
        }
        self.commit(Purpose::Gate(index, passed), Record::Gate(GateRecord { node, attempts, state }), out);
    }

    /// A gate's answer is durable.
    pub(crate) fn gate_committed(&mut self, index: usize, passed: bool, out: &mut Vec<Effect>) {
        let Some(gate) = self.gates.get_mut(index) else { return };
        gate.phase = GatePhase::Done;
        gate.passed = passed;
        if !passed {
            return;
        }
        out.push(Effect::Log(Notice::GatePassed { node: gate.node.clone() }));
        let target = gate.target;
        self.gates_left = self.gates_left.saturating_sub(1);
        if let Some(item) = self.targets.get_mut(target) {
            item.gates_left = item.gates_left.saturating_sub(1);
        }
        self.note_target_done(target);
    }

    /// Forgets gates that are being asked; their answers no longer matter.
    pub(crate) fn drop_gates(&mut self) {
        self.asking = 0;
        for gate in &mut self.gates {
            if matches!(gate.phase, GatePhase::Asking | GatePhase::Sleeping) {
                gate.phase = GatePhase::Pending;
            }
        }
    }
}
