//! The world outside: things with a fingerprint, providers that compare and swap, a ledger, gates.

use crate::plans::{identity, nothing};
use rectify_apply::{ActAnswer, Applied, GateAnswer, Looked, Operation, OperationStatus};
use rectify_base::{Digest, NodeKey};
use rectify_model::{
    Plan,
    grade::Retry,
    journal::{Direction, Failure, Mutated},
    observation::Identity,
    plan::Step,
};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// What goes wrong with a step, each time or only the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The state cannot be read before.
    LookFails,
    /// The state cannot be read after.
    LookAgainFails,
    /// Refused, nothing written.
    Refused,
    /// Failed half way.
    HalfWay,
    /// Says `UNKNOWN_OUTCOME` without having written.
    SaysUnknown,
    /// Times out, having written.
    TimesOut,
    /// The answer is lost before the effect.
    LostBefore,
    /// The answer is lost after the effect.
    LostAfter,
    /// The answer is lost half way.
    LostHalfWay,
    /// Failed with some of the places changed and others not, once.
    Partway,
    /// The answer is lost with some of the places changed and others not, once.
    LostPartway,
    /// The answer is lost before the effect, once.
    LostOnce,
    /// The provider cannot say what became of it: lost half way, and its ledger is gone.
    LedgerGone,
    /// Says that it is done, and did nothing.
    Lies,
    /// Somebody else changed it since the plan.
    Edited,
    /// Somebody else changed it between the look and the act.
    EditedLate,
    /// It is as planned already.
    AlreadyThere,
    /// For commands: the guard says that there is nothing to do.
    NothingToDo,
}

/// One effect on the world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deed {
    pub node: NodeKey,
    pub direction: Direction,
    pub attempt: u32,
    pub op_id: String,
    /// Whether all of it was done.
    pub whole: bool,
}

pub struct World {
    steps: BTreeMap<NodeKey, Step>,
    pub states: BTreeMap<(String, String), Digest>,
    pub faults: BTreeMap<NodeKey, Fault>,
    /// What goes wrong with taking a step back.
    pub back_faults: BTreeMap<NodeKey, Fault>,
    /// Gates, and at which question they begin to hold; never if absent.
    pub gates: BTreeMap<NodeKey, Option<u32>>,
    pub identities: BTreeMap<String, Result<Identity, Failure>>,
    /// Highest fence that was seen, by target. Nothing under a lower one is written.
    pub fences: BTreeMap<String, u64>,
    retries: BTreeMap<NodeKey, Retry>,
    ledger: BTreeMap<String, OperationStatus>,
    /// Things that somebody else wrote to.
    pub edited: BTreeSet<(String, String)>,
    /// Number of faults that came to bear.
    pub faults_seen: u64,
    /// Number of operations that came too late, under an old fence.
    pub fenced: u64,
    pub deeds: Vec<Deed>,
}

fn failure(code: &str, mutated: Mutated) -> Failure {
    Failure { code: code.into(), message: format!("simulated {code}"), mutated }
}

fn garbage() -> Digest {
    Digest::of_bytes(b"garbage")
}

/// Some places as before, others as planned: seen as such, and good to go on from.
pub fn partway() -> Digest {
    Digest::of_bytes(b"partway")
}

impl World {
    pub fn new(plan: &Plan) -> Self {
        let mut world = Self {
            steps: BTreeMap::new(),
            states: BTreeMap::new(),
            faults: BTreeMap::new(),
            back_faults: BTreeMap::new(),
            gates: BTreeMap::new(),
            identities: BTreeMap::new(),
            fences: BTreeMap::new(),
            retries: BTreeMap::new(),
            ledger: BTreeMap::new(),
            edited: BTreeSet::new(),
            faults_seen: 0,
            fenced: 0,
            deeds: Vec::new(),
        };
        for step in &plan.steps {
            let node = NodeKey { target: step.target.clone(), address: step.address.clone() };
            if let Some(thing) = thing(step) {
                world.states.entry(thing).or_insert(step.expect);
            }
            world.retries.insert(node.clone(), plan.types[&step.type_name].retry);
            world.steps.insert(node, step.clone());
        }
        for gate in &plan.gates {
            let node = NodeKey { target: gate.target.clone(), address: gate.address.clone() };
            world.gates.insert(node, Some(1));
        }
        for target in plan.targets.keys() {
            world.identities.insert(target.to_string(), Ok(identity(target.as_str())));
        }
        world
    }

    /// Puts a fault in place; those about the state before take effect now.
    pub fn set_fault(&mut self, node: &NodeKey, fault: Fault) {
        let step = &self.steps[node];
        if let Some(thing) = thing(step) {
            match fault {
                Fault::Edited => drop(self.states.insert(thing, garbage())),
                Fault::AlreadyThere => drop(self.states.insert(thing, step.result.unwrap())),
                _ => {}
            }
        }
        self.faults.insert(node.clone(), fault);
    }

    /// Somebody else changes a thing.
    pub fn edit(&mut self, thing: &(String, String)) {
        self.edited.insert(thing.clone());
        self.states.insert(thing.clone(), garbage());
    }

    /// A target was verified under this fence.
    pub fn raise_fence(&mut self, target: &str, fence: u64) {
        let seen = self.fences.entry(target.to_owned()).or_insert(0);
        *seen = fence.max(*seen);
    }

    fn fault(&self, node: &NodeKey, direction: Direction) -> Option<Fault> {
        match direction {
            Direction::Forward => self.faults.get(node).copied(),
            Direction::Back => self.back_faults.get(node).copied(),
        }
    }

    fn state(&self, step: &Step) -> Digest {
        thing(step).map_or_else(nothing, |thing| self.states[&thing])
    }

    pub fn look(&mut self, node: &NodeKey, again: bool, direction: Direction) -> Result<Looked, Failure> {
        let step = self.steps[node].clone();
        let fault = self.fault(node, direction);
        if direction == Direction::Back
            && !again
            && let Some(thing) = thing(&step)
        {
            match fault {
                Some(Fault::Edited) => self.edit(&thing),
                Some(Fault::AlreadyThere) => {
                    self.edited.insert(thing.clone());
                    self.states.insert(thing, step.expect);
                }
                _ => {}
            }
        }
        match (fault, again) {
            (Some(Fault::LookFails), false) | (Some(Fault::LookAgainFails), true) => {
                self.faults_seen += 1;
                Err(failure("PERMISSION", Mutated::No))
            }
            _ => {
                let fingerprint = self.state(&step);
                Ok(Looked { fingerprint, before_image: None, partway: fingerprint == partway() })
            }
        }
    }

    fn write(&mut self, operation: &Operation, state: Digest) {
        let step = self.steps[&operation.node].clone();
        if let Some(thing) = thing(&step) {
            self.states.insert(thing, state);
        }
        self.deeds.push(Deed {
            node: operation.node.clone(),
            direction: operation.direction,
            attempt: operation.attempt,
            op_id: operation.op_id.clone(),
            whole: state != garbage() && state != partway(),
        });
    }

    /// The provider acts: looks, compares, writes.
    pub fn act(&mut self, operation: &Operation) -> ActAnswer {
        let step = self.steps[&operation.node].clone();
        let lost = || ActAnswer::Lost { message: "the provider died".into() };
        let seen = self.fences.entry(operation.node.target.to_string()).or_insert(0);
        if operation.fence < *seen {
            self.fenced += 1;
            return ActAnswer::Failed(failure("CONFLICT", Mutated::No));
        }
        *seen = operation.fence;
        // Where repeating would do harm, a second delivery is told what became of the first.
        if self.retries[&operation.node] != Retry::Converge {
            match self.ledger.get(&operation.op_id) {
                Some(OperationStatus::Done(answer)) => return answer.clone(),
                Some(_) => return ActAnswer::Failed(failure("UNKNOWN_OUTCOME", Mutated::Maybe)),
                None => {}
            }
        }
        let fault = self.fault(&operation.node, operation.direction);
        self.faults_seen += u64::from(fault.is_some());
        if fault == Some(Fault::EditedLate)
            && let Some(thing) = thing(&step)
        {
            self.edit(&thing);
        }
        let found = self.state(&step);
        let planned = operation.result.unwrap_or_else(nothing);
        let done = |applied| ActAnswer::Done(applied);
        if fault == Some(Fault::LostBefore) || (fault == Some(Fault::LostOnce) && operation.attempt == 1) {
            return lost();
        }
        if found != operation.expect {
            let answer = if operation.result == Some(found) {
                done(Applied::Already)
            } else {
                ActAnswer::Failed(failure("STALE", Mutated::No))
            };
            self.ledger.insert(operation.op_id.clone(), OperationStatus::Done(answer.clone()));
            return answer;
        }
        self.ledger.insert(operation.op_id.clone(), OperationStatus::Started);
        let answer = match fault {
            Some(Fault::Refused) => ActAnswer::Failed(failure("PERMISSION", Mutated::No)),
            Some(Fault::NothingToDo) => done(Applied::Already),
            Some(Fault::SaysUnknown) => return ActAnswer::Failed(failure("UNKNOWN_OUTCOME", Mutated::Maybe)),
            Some(Fault::Lies) => done(Applied::Applied),
            Some(Fault::HalfWay) => {
                self.write(operation, garbage());
                ActAnswer::Failed(failure("PARTIAL", Mutated::Yes))
            }
            Some(Fault::Partway) if found != partway() => {
                self.write(operation, partway());
                ActAnswer::Failed(failure("PARTIAL", Mutated::Yes))
            }
            Some(Fault::LostPartway) if found != partway() => {
                self.write(operation, partway());
                return lost();
            }
            Some(Fault::LostHalfWay | Fault::LedgerGone) => {
                self.write(operation, garbage());
                return lost();
            }
            _ => {
                self.write(operation, planned);
                done(Applied::Applied)
            }
        };
        self.ledger.insert(operation.op_id.clone(), OperationStatus::Done(answer.clone()));
        match fault {
            Some(Fault::LostAfter) => lost(),
            Some(Fault::TimesOut) => ActAnswer::Failed(failure("TIMEOUT", Mutated::Maybe)),
            _ => answer,
        }
    }

    pub fn status(&self, node: &NodeKey, direction: Direction, op_id: &str) -> OperationStatus {
        if self.fault(node, direction) == Some(Fault::LedgerGone) {
            return OperationStatus::Lost { message: "no ledger".into() };
        }
        self.ledger.get(op_id).cloned().unwrap_or(OperationStatus::NeverSeen)
    }

    pub fn gate(&self, node: &NodeKey, attempt: u32) -> GateAnswer {
        match self.gates[node] {
            Some(holds_at) if attempt >= holds_at => GateAnswer::Passed,
            _ => GateAnswer::NotYet { message: "connection refused".into() },
        }
    }
}

/// The thing that a step writes: the only key that is no lock.
pub fn thing(step: &Step) -> Option<(String, String)> {
    let own = step.touches.iter().find(|touch| !touch.key.starts_with("path:/lock"));
    own.map(|touch| (step.target.to_string(), touch.key.clone()))
}
