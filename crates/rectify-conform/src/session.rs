//! A provider that was greeted, spoken to as an engine does.

use crate::{
    bed::{Bed, Subject},
    fixtures::Properties,
    kit::Kit,
    outcome::{Check, Stop, ensure, fail},
    peer::{Peer, Refusal},
};
use rectify_base::{Digest, fingerprint, limits::FRAME_MAX_BYTES};
use rectify_protocol::{
    ItemError, Mutated,
    message::{Applied, Apply, ItemResult, Mode, PlanAnswer, ReadAnswer, method},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// The number that is to be echoed.
pub(crate) const NONCE: &str = "8b1d0c5e6f7a49238c4d5e6f7a8b9c0d";

pub(crate) struct Session<'k> {
    kit: &'k Kit,
    pub peer: Peer,
}

/// Reads something that the provider answered.
pub(crate) fn typed<T: DeserializeOwned>(what: &str, value: Value) -> Check<T> {
    serde_json::from_value(value.clone())
        .map_err(|e| Stop::Fail(format!("the answer to `{what}` has another shape: {e}: {value}")))
}

pub(crate) fn item(subject: &Subject<'_>, properties: &Properties) -> Value {
    json!({"type": subject.name(), "desired": properties})
}

impl<'k> Session<'k> {
    pub(crate) fn new(kit: &'k Kit, peer: Peer) -> Self {
        Self { kit, peer }
    }

    pub(crate) fn greeting(mode: Mode, dirs: Value) -> Value {
        json!({
            "protocol": {"min": "1.0", "max": "1.0"}, "session": NONCE, "mode": mode,
            "frame_max_bytes": FRAME_MAX_BYTES, "dirs": dirs,
        })
    }

    /// Greets; gives the answer.
    pub(crate) fn greet(&mut self, greeting: &Value) -> Check<Value> {
        // Behind a prefix a login may print something before.
        self.peer.lenient |= !self.kit.host.is_local();
        let id = self.peer.ask(method::INITIALIZE, greeting)?;
        let reply = self.peer.reply(id, self.kit.patience.greeting)?;
        self.peer.lenient = false;
        match reply {
            Ok(answer) => {
                ensure!(
                    answer.get("session") == Some(&json!(NONCE)),
                    "the greeting does not echo the session"
                );
                Ok(answer)
            }
            Err(refusal) => fail(format!("`initialize` was refused: {} ({})", refusal.message, refusal.code)),
        }
    }

    /// One request, one answer.
    pub(crate) fn call(&mut self, method: &str, params: &Value) -> Check<Result<Value, Refusal>> {
        let id = self.peer.ask(method, params)?;
        self.peer.reply(id, self.kit.patience.answer)
    }

    /// A request that must not be refused as a whole.
    pub(crate) fn get(&mut self, method: &str, params: &Value) -> Check<Value> {
        match self.call(method, params)? {
            Ok(answer) => Ok(answer),
            Err(refusal) => fail(format!("`{method}` was refused: {} ({})", refusal.message, refusal.code)),
        }
    }

    /// A batch; each item's answer.
    pub(crate) fn items<T: DeserializeOwned>(
        &mut self,
        method: &str,
        items: &[Value],
    ) -> Check<Vec<Result<T, ItemError>>> {
        let answer = self.get(method, &json!({"items": items}))?;
        Self::results(method, answer, items.len())
    }

    /// The answers in a batch's result.
    pub(crate) fn results<T: DeserializeOwned>(
        method: &str,
        mut answer: Value,
        count: usize,
    ) -> Check<Vec<Result<T, ItemError>>> {
        let answers: Vec<ItemResult<T>> =
            typed(method, answer.get_mut("items").map_or(Value::Null, Value::take))?;
        ensure!(answers.len() == count, "`{method}` has {} answers for {count} items", answers.len());
        let mut results = Vec::with_capacity(count);
        for answer in answers {
            if let ItemResult::Error(error) = &answer {
                ensure!(
                    error.mutated == Mutated::No,
                    "an item of `{method}`, which only looks, says that it changed something"
                );
            }
            results.push(answer.into_result());
        }
        Ok(results)
    }

    /// A batch of one.
    pub(crate) fn one<T: DeserializeOwned>(
        &mut self,
        method: &str,
        item: Value,
    ) -> Check<Result<T, ItemError>> {
        match self.items(method, &[item])?.pop() {
            Some(result) => Ok(result),
            None => fail(format!("`{method}` has no answer")),
        }
    }

    /// [`Session::one`], which must work.
    pub(crate) fn sure<T: DeserializeOwned>(&mut self, method: &str, item: Value) -> Check<T> {
        self.one(method, item)?
            .map_err(|e| Stop::Fail(format!("`{method}` failed: {:?}: {}", e.code, e.message)))
    }

    /// The state of what properties name.
    pub(crate) fn read(&mut self, subject: &Subject<'_>, properties: &Properties) -> Check<Option<Value>> {
        let answer: ReadAnswer = self.sure(method::READ, item(subject, properties))?;
        let state = answer.state;
        ensure!(state.as_ref().is_none_or(Value::is_object), "a state is no object");
        Ok(state)
    }

    pub(crate) fn plan(&mut self, subject: &Subject<'_>, properties: &Properties) -> Check<PlanAnswer> {
        self.sure(method::PLAN, item(subject, properties))
    }

    /// An operation that was planned in this session, ready to be sent.
    pub(crate) fn prepare(
        &mut self,
        bed: &Bed<'_>,
        subject: &Subject<'_>,
        properties: &Properties,
    ) -> Check<(Apply, PlanAnswer)> {
        let plan = self.plan(subject, properties)?;
        let PlanAnswer::Changed { prior, planned, prediction, .. } = &plan else {
            return fail("there is nothing to do where something should be");
        };
        let known = prediction != "opaque";
        let action = match (subject.is("action"), prior, planned) {
            (true, ..) => "run",
            (false, None, _) => "create",
            (false, Some(_), None) if known => "delete",
            (false, Some(_), _) => "update",
        };
        let apply = Apply {
            op_id: bed.operation(),
            type_name: subject.descriptor.name.clone(),
            action: action.into(),
            desired: properties.clone(),
            expect: print(subject, prior.as_ref())?,
            result: if known { Some(print(subject, planned.as_ref())?) } else { None },
            deadline_ms: 60_000,
            fence: 1,
        };
        Ok((apply, plan))
    }

    /// Sends an operation.
    pub(crate) fn send(&mut self, apply: &Apply) -> Check<u64> {
        self.peer.ask(method::APPLY, &json!(apply))
    }

    /// Sends an operation and waits for its answer.
    pub(crate) fn apply(&mut self, apply: &Apply) -> Check<Result<Applied, ItemError>> {
        let id = self.send(apply)?;
        self.applied(id, self.kit.patience.answer)
    }

    /// The answer to an operation.
    pub(crate) fn applied(
        &mut self,
        id: u64,
        within: std::time::Duration,
    ) -> Check<Result<Applied, ItemError>> {
        match self.peer.reply(id, within)? {
            Ok(answer) => Ok(typed::<ItemResult<Applied>>(method::APPLY, answer)?.into_result()),
            Err(refusal) => {
                fail(format!("`{}` was refused: {} ({})", method::APPLY, refusal.message, refusal.code))
            }
        }
    }

    /// Plans and does; it must work.
    pub(crate) fn change(
        &mut self,
        bed: &Bed<'_>,
        subject: &Subject<'_>,
        properties: &Properties,
    ) -> Check<(Apply, PlanAnswer, Applied)> {
        let (apply, plan) = self.prepare(bed, subject, properties)?;
        match self.apply(&apply)? {
            Ok(applied) => Ok((apply, plan, applied)),
            Err(e) => fail(format!("the operation failed: {:?}: {}", e.code, e.message)),
        }
    }

    /// What the ledger knows.
    pub(crate) fn status(&mut self, op_id: &str) -> Check<Value> {
        self.get(method::OP_STATUS, &json!({"op_id": op_id}))
    }

    /// Fails unless the session is of use.
    pub(crate) fn healthy(&mut self) -> Check {
        self.get(method::PING, &json!({})).map(drop)
    }

    /// Ends it in good order.
    pub(crate) fn end(mut self) -> Check {
        self.get(method::SHUTDOWN, &json!({}))?;
        self.peer.close();
        let code = self.peer.exit(self.kit.patience.exit)?;
        ensure!(code == 0, "it ended with {code} after `shutdown`");
        Ok(())
    }
}

/// The fingerprint of a state.
pub(crate) fn print(subject: &Subject<'_>, state: Option<&Value>) -> Check<Digest> {
    print_as(subject, subject.descriptor.version, state)
}

/// The fingerprint of a state under another version.
pub(crate) fn print_as(subject: &Subject<'_>, version: u32, state: Option<&Value>) -> Check<Digest> {
    fingerprint::fingerprint(&subject.descriptor.name, version, state, &subject.descriptor.volatile)
        .map_err(|e| Stop::Fail(format!("a state has no fingerprint: {e}")))
}
