//! What users, groups and authorized keys have in common: they are looked at, compared with what should
//! be, and changed only if both are as planned.

use rectify_sdk::{
    Context, Found,
    base::Digest,
    protocol::{
        ErrorCode, ItemError, Mutated,
        message::{Applied, Apply, ApplyStatus, PlanAnswer, PlanItem, RESTORE, ReadAnswer, Restore},
    },
};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// How well a change can be taken back, and what would be lost.
#[derive(Debug, PartialEq)]
pub(crate) struct Undo(pub(crate) &'static str, pub(crate) Option<String>);

impl Undo {
    pub(crate) const EXACT: Self = Self("exact", None);

    pub(crate) fn lossy(note: impl Into<String>) -> Self {
        Self("lossy", Some(note.into()))
    }
}

/// What should be: a state, and how sure it is.
#[derive(Debug)]
pub(crate) struct Goal {
    pub(crate) state: Option<Value>,
    pub(crate) sure: bool,
}

/// One thing that a step is about, as it was seen.
pub(crate) trait Thing {
    /// The state now.
    fn state(&self) -> Result<Option<Value>, ItemError>;
    /// What should be, given what is.
    fn goal(&self, prior: Option<&Value>) -> Result<Goal, ItemError>;
    /// How well the way there can be taken back.
    fn undo(&self, prior: Option<&Value>, goal: Option<&Value>) -> Undo;
    /// Keeps what an inverse needs beside the state.
    fn capture(&self, cx: &Context) -> Result<Option<Digest>, ItemError>;
    /// Brings the goal about.
    fn change(&self, cx: &Context, goal: Option<&Value>) -> Result<(), ItemError>;
}

pub(crate) fn wrong(message: impl Into<String>, at: &str) -> ItemError {
    ItemError::new(ErrorCode::Schema, message).at(at)
}

pub(crate) fn conflict(message: impl Into<String>, at: &str) -> ItemError {
    ItemError::new(ErrorCode::Conflict, message).at(at)
}

/// Reads properties, or a state that was answered earlier.
pub(crate) fn typed<T: DeserializeOwned>(value: Value) -> Result<T, ItemError> {
    serde_json::from_value(value).map_err(|e| wrong(format!("this cannot be read: {e}"), ""))
}

/// A state in its form on the wire.
pub(crate) fn written(state: &impl serde::Serialize) -> Result<Value, ItemError> {
    serde_json::to_value(state)
        .map_err(|e| ItemError::new(ErrorCode::Internal, format!("the state cannot be written: {e}")))
}

/// Takes out of properties what asks for an inverse.
pub(crate) fn restore_of(desired: &mut Map<String, Value>) -> Result<Option<Restore>, ItemError> {
    desired.remove(RESTORE).map(typed).transpose()
}

pub(crate) fn read(cx: &Context, thing: &dyn Thing, capture: bool) -> Result<ReadAnswer, ItemError> {
    let before_image = if capture { thing.capture(cx)? } else { None };
    Ok(ReadAnswer { state: thing.state()?, before_image })
}

pub(crate) fn plan(thing: &dyn Thing, item: &PlanItem) -> Result<PlanAnswer, ItemError> {
    let prior = match &item.prior {
        None => thing.state()?,
        Some(predicted) => predicted.state.clone(),
    };
    let goal = thing.goal(prior.as_ref())?;
    if goal.state == prior {
        return Ok(PlanAnswer::Unchanged { state: prior, resolved: Vec::new() });
    }
    let Undo(undo, undo_note) = thing.undo(prior.as_ref(), goal.state.as_ref());
    Ok(PlanAnswer::Changed {
        prior,
        planned: goal.state,
        prediction: if goal.sure { "exact" } else { "conditional" }.into(),
        disruption: Vec::new(),
        undo: undo.into(),
        undo_note,
        resolved: Vec::new(),
    })
}

/// Makes the change of an operation. `look` looks at the thing, also once more afterwards.
pub(crate) fn apply(
    cx: &Context,
    op: &Apply,
    look: &dyn Fn() -> Result<Box<dyn Thing>, ItemError>,
) -> Result<Applied, ItemError> {
    let thing = look()?;
    let found = thing.state()?;
    let already = |state| Ok(Applied { status: ApplyStatus::Already, state, output: None });
    if cx.compare(op, found.as_ref())? == Found::Result {
        return already(found);
    }
    let goal = thing.goal(found.as_ref())?.state;
    let version = cx.manifest().descriptor(&op.type_name).map_or(1, |descriptor| descriptor.version);
    if let Some(result) = op.result
        && cx.fingerprint(&op.type_name, version, goal.as_ref())? != result
    {
        let message = "what would be made is not what the plan says; other accounts may have changed";
        return Err(ItemError::new(ErrorCode::Stale, message).hint("make a new plan"));
    }
    if goal == found {
        return already(found);
    }
    if let Err(error) = thing.change(cx, goal.as_ref()) {
        return Err(seen_again(error, found.as_ref(), look));
    }
    let after = look().and_then(|thing| thing.state()).map_err(|error| error.mutated(Mutated::Yes))?;
    Ok(Applied { status: ApplyStatus::Applied, state: after, output: None })
}

/// After a failure: what is known of the effect is what is there now.
fn seen_again(
    error: ItemError,
    before: Option<&Value>,
    look: &dyn Fn() -> Result<Box<dyn Thing>, ItemError>,
) -> ItemError {
    match look().and_then(|thing| thing.state()) {
        Ok(now) if now.as_ref() == before => error.mutated(Mutated::No),
        Ok(_) => ItemError { code: ErrorCode::Partial, ..error }.mutated(Mutated::Yes),
        Err(_) => error.mutated(Mutated::Maybe),
    }
}
