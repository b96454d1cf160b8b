//! What units and their files have in common: they are looked at, compared with what should be, and
//! changed only if both are as planned.

use crate::{UNIT, name::wrong};
use rectify_sdk::{
    Context, Found,
    protocol::{
        ErrorCode, ItemError, Mutated,
        message::{Applied, Apply, ApplyStatus, PlanAnswer, PlanItem, RESTORE, Restore},
    },
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

/// What should be, and how sure that is.
pub(crate) struct Goal {
    pub(crate) state: Option<Value>,
    pub(crate) sure: bool,
}

/// What a plan says of a change besides its states.
#[derive(Default)]
pub(crate) struct Remarks {
    /// What it interrupts.
    pub(crate) disruption: Vec<String>,
    /// What is not brought back.
    pub(crate) lost: Option<String>,
}

/// A thing that a step is about, as it was seen.
pub(crate) trait Resource {
    /// The state now.
    fn state(&self) -> Result<Option<Value>, ItemError>;
    /// What should be, given what is.
    fn goal(&self, prior: Option<&Value>) -> Result<Goal, ItemError>;
    /// What else is to be said of the way there.
    fn remarks(&self, prior: Option<&Value>, goal: Option<&Value>) -> Result<Remarks, ItemError>;
    /// Brings the goal about. What fails half way is taken back as far as that goes.
    fn change(&self, cx: &Context, goal: Option<&Value>) -> Result<(), ItemError>;
}

/// Reads properties, or a state that was answered earlier.
pub(crate) fn typed<T: DeserializeOwned>(value: Value) -> Result<T, ItemError> {
    serde_json::from_value(value).map_err(|e| wrong(format!("this cannot be read: {e}"), ""))
}

/// A state in its form on the wire.
pub(crate) fn written(state: &impl Serialize) -> Result<Value, ItemError> {
    serde_json::to_value(state)
        .map_err(|e| ItemError::new(ErrorCode::Internal, format!("the state cannot be written: {e}")))
}

/// Takes out of properties what asks for an inverse.
pub(crate) fn restore_of(desired: &mut Map<String, Value>) -> Result<Option<Restore>, ItemError> {
    desired.remove(RESTORE).map(typed).transpose()
}

/// The properties that name a thing; what they say of its state does not matter to a reader.
pub(crate) fn naming(type_name: &str, desired: &Map<String, Value>) -> Map<String, Value> {
    let name = if type_name == UNIT { "unit" } else { "path" };
    let mut naming: Map<String, Value> =
        desired.get(name).map(|value| (name.to_owned(), value.clone())).into_iter().collect();
    if type_name == UNIT {
        naming.insert("masked".into(), false.into());
    } else {
        naming.insert("state".into(), "absent".into());
    }
    naming
}

pub(crate) fn plan(resource: &dyn Resource, item: &PlanItem) -> Result<PlanAnswer, ItemError> {
    let prior = match &item.prior {
        None => resource.state()?,
        Some(predicted) => predicted.state.clone(),
    };
    let goal = resource.goal(prior.as_ref())?;
    if goal.state == prior {
        return Ok(PlanAnswer::Unchanged { state: prior, resolved: Vec::new() });
    }
    let remarks = resource.remarks(prior.as_ref(), goal.state.as_ref())?;
    Ok(PlanAnswer::Changed {
        prior,
        planned: goal.state,
        prediction: if goal.sure { "exact" } else { "conditional" }.into(),
        disruption: remarks.disruption,
        undo: if remarks.lost.is_some() { "lossy" } else { "exact" }.into(),
        undo_note: remarks.lost,
        resolved: Vec::new(),
    })
}

/// Makes the change of an operation. `look` looks at the thing, also once more afterwards.
pub(crate) fn apply(
    cx: &Context,
    op: &Apply,
    look: &dyn Fn() -> Result<Box<dyn Resource>, ItemError>,
) -> Result<Applied, ItemError> {
    let resource = look()?;
    let found = resource.state()?;
    let already = |state| Ok(Applied { status: ApplyStatus::Already, state, output: None });
    if cx.compare(op, found.as_ref())? == Found::Result {
        return already(found);
    }
    let goal = resource.goal(found.as_ref())?.state;
    let version = cx.manifest().descriptor(&op.type_name).map_or(1, |descriptor| descriptor.version);
    if let Some(result) = op.result
        && cx.fingerprint(&op.type_name, version, goal.as_ref())? != result
    {
        return Err(ItemError::new(ErrorCode::Stale, "what would be made is not what the plan says")
            .hint("make a new plan"));
    }
    if goal == found {
        return already(found);
    }
    resource.change(cx, goal.as_ref())?;
    let after = look().and_then(|thing| thing.state()).map_err(|error| error.mutated(Mutated::Yes))?;
    Ok(Applied { status: ApplyStatus::Applied, state: after, output: None })
}
