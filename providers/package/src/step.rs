//! Planning a change, and making it.

use crate::{
    asked::Asked,
    backend::{Backend, Changes, Snapshot, Status, of_machine},
    goal::{Decision, Goal},
    properties::{Properties, Want},
    record,
    state::{State, value},
};
use rectify_sdk::{
    Context, Found,
    crash::{At, reached},
    protocol::{
        ErrorCode, ItemError, Mutated,
        message::{Applied, Apply, ApplyStatus, PlanAnswer, PlanItem},
    },
};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

/// Time that is kept back for looking again, in the end.
const RESERVE: Duration = Duration::from_secs(2);

/// A package as it was looked at.
pub(crate) struct Look {
    backend: Box<dyn Backend>,
    key: String,
    status: Status,
    pub(crate) state: Option<State>,
}

/// Looks at a package.
pub(crate) fn look(cx: &Context, name: &str, asked: Option<&Arc<Asked>>) -> Result<Look, ItemError> {
    let backend = of_machine(cx, asked)?;
    let key = backend.key(cx, name)?;
    let status = backend.statuses(cx, &[&key])?.remove(&key).unwrap_or(Status::Absent);
    let notes = record::read(name)?;
    let state = State::seen(name, &status, record::with(&notes, status.version()));
    Ok(Look { backend, key, status, state })
}

impl Look {
    fn goal(
        &self,
        cx: &Context,
        properties: &Properties,
        prior: Option<&State>,
        on: Option<&Snapshot>,
        planning: bool,
    ) -> Result<Goal, ItemError> {
        let decision = Decision { cx, backend: &*self.backend, key: &self.key, on, planning };
        decision.goal(properties, prior)
    }
}

pub(crate) fn plan(cx: &Context, item: &PlanItem, asked: &Arc<Asked>) -> Result<PlanAnswer, ItemError> {
    let properties = Properties::read(&item.desired)?;
    let look = look(cx, &properties.name, Some(asked))?;
    let prior = match &item.prior {
        None => look.state.clone(),
        Some(predicted) => {
            predicted.state.as_ref().map(|state| State::of(state, &properties.name)).transpose()?
        }
    };
    let goal = look.goal(cx, &properties, prior.as_ref(), None, true)?;
    if goal.state == prior {
        return Ok(PlanAnswer::Unchanged { state: value(prior.as_ref())?, resolved: Vec::new() });
    }
    if goal.request.is_some() {
        if prior != look.state {
            let message = "what would be done on the result of another step for this package is not known";
            return Err(ItemError::new(ErrorCode::Unsupported, message)
                .hint("say all that this package should be in one step"));
        }
        look.backend.ready()?;
    }
    let (undo, undo_note) = undo(cx, &look, &properties, prior.as_ref(), &goal)?;
    Ok(PlanAnswer::Changed {
        prior: value(prior.as_ref())?,
        planned: value(goal.state.as_ref())?,
        prediction: if goal.sure { "exact" } else { "conditional" }.into(),
        disruption: look.backend.disruption(&goal.changes),
        undo: undo.into(),
        undo_note,
        resolved: Vec::new(),
    })
}

/// How well a change can be taken back, and what would be lost.
fn undo(
    cx: &Context,
    look: &Look,
    properties: &Properties,
    prior: Option<&State>,
    goal: &Goal,
) -> Result<(&'static str, Option<String>), ItemError> {
    let before = goal.changes.iter().filter(|(_, change)| change.before != change.after);
    let before: BTreeMap<String, String> =
        before.filter_map(|(name, change)| Some((name.clone(), change.before.clone()?))).collect();
    let available = look.backend.available(cx, &before)?;
    let missing: Vec<String> = before
        .iter()
        .filter(|(name, _)| !available.contains(*name))
        .map(|(name, version)| format!("{version} of `{name}`"))
        .collect();
    if before.contains_key(&look.key) && !available.contains(&look.key) {
        let message = format!("no repository and no cache of the target has {}", missing.join(", "));
        return Ok(("none", Some(message)));
    }
    if matches!((prior, &goal.state), (Some(State::Configuration { .. }), None)) {
        return Ok(("none", Some("configuration that is removed is not brought back".into())));
    }
    let mut lost = Vec::new();
    if !missing.is_empty() {
        lost.push(format!("no repository and no cache of the target has {}", missing.join(", ")));
    }
    let purges = goal.request.as_ref().is_some_and(|request| request.purge);
    if purges && matches!(properties.want, Want::Absent(_)) {
        lost.push("configuration that is removed is not brought back".into());
    }
    let removed: Vec<String> = match goal.state {
        // A package that is gone remembers nothing.
        None => goal.others(&look.key).into_keys().collect(),
        Some(_) => Vec::new(),
    };
    if !removed.is_empty() && matches!(properties.want, Want::Absent(_)) {
        lost.push(format!("{} would be removed, too, and is not brought back", removed.join(", ")));
    }
    if goal.state.as_ref().is_none_or(|state| state.installed().is_none())
        && matches!(look.status, Status::Installed { automatic: true, .. })
    {
        lost.push("that it came for another package is not brought back".into());
    }
    Ok(if lost.is_empty() { ("exact", None) } else { ("lossy", Some(lost.join("; "))) })
}

/// The package database before the first change of a session: what a plan with several steps was made on.
pub(crate) type First = Option<Snapshot>;

pub(crate) fn apply(cx: &Context, op: &Apply, first: &mut First) -> Result<Applied, ItemError> {
    let begin = Instant::now();
    let properties = Properties::read(&op.desired)?;
    let deadline = begin + Duration::from_millis(op.deadline_ms).saturating_sub(RESERVE);
    // While somebody is at it, what is found is not what stays.
    of_machine(cx, None)?.wait(cx, deadline)?;
    let look = look(cx, &properties.name, None)?;
    let found = value(look.state.as_ref())?;
    let already = |state| Ok(Applied { status: ApplyStatus::Already, state, output: None });
    if cx.compare(op, found.as_ref())? == Found::Result {
        return already(found);
    }
    let goal = agreed(cx, op, &look, &properties, first.as_ref())?;
    if goal.state == look.state {
        return already(found);
    }
    look.backend.ready()?;
    if first.is_none() && goal.request.is_some() {
        *first = Some(look.backend.snapshot(Path::new(&cx.dirs().work))?);
    }
    if let Err(error) = change(cx, &look, &goal, deadline) {
        return Err(seen_again(cx, error, &look, &goal.changes));
    }
    let after = settled(cx, &look, &properties.name, &goal).map_err(|error| error.mutated(Mutated::Yes))?;
    reached(At::Done);
    Ok(Applied { status: ApplyStatus::Applied, state: after, output: None })
}

/// What has to be done, if that leads to what was signed.
fn agreed(
    cx: &Context,
    op: &Apply,
    look: &Look,
    properties: &Properties,
    first: Option<&Snapshot>,
) -> Result<Goal, ItemError> {
    let prior = look.state.as_ref();
    let goal = look.goal(cx, properties, prior, None, false)?;
    let Some(result) = op.result else { return Ok(goal) };
    let version = cx.manifest().descriptor(&op.type_name).map_or(1, |descriptor| descriptor.version);
    let leads = |goal: &Goal| -> Result<bool, ItemError> {
        let state = value(goal.state.as_ref())?;
        Ok(cx.fingerprint(&op.type_name, version, state.as_ref())? == result)
    };
    if leads(&goal)? {
        return Ok(goal);
    }
    // Other steps of the plan may have brought some of it already. Then it must be what was planned
    // before they did, and nothing may be done now that was not to be done then.
    if first.is_some() {
        let then = look.goal(cx, properties, prior, first, false)?;
        let planned = |(name, change): (&String, &crate::backend::Change)| {
            then.changes.get(name).is_some_and(|then| then.after == change.after)
        };
        if leads(&then)? && goal.changes.iter().all(planned) {
            return Ok(Goal { state: then.state, ..goal });
        }
    }
    let message = "what the package manager would do by now is not what the plan says";
    Err(ItemError::new(ErrorCode::Stale, message).hint("make a new plan"))
}

fn change(cx: &Context, look: &Look, goal: &Goal, deadline: Instant) -> Result<(), ItemError> {
    if let Some(state) = &goal.state {
        record::add(cx, state)?;
    }
    if let Some(request) = &goal.request {
        let others: Vec<&str> = goal.changes.keys().map(String::as_str).collect();
        let before = look.backend.statuses(cx, &others)?;
        let removes = goal.changes.values().any(|change| change.after.is_none());
        reached(At::Prepared);
        look.backend.carry_out(cx, request, removes, deadline)?;
        // What is named in a request counts as wanted for itself from then on.
        let automatic =
            |status: Option<&Status>| matches!(status, Some(Status::Installed { automatic: true, .. }));
        let after = look.backend.statuses(cx, &others)?;
        let lost: BTreeSet<String> = after
            .iter()
            .filter(|(name, now)| {
                now.version().is_some() && !automatic(Some(now)) && automatic(before.get(*name))
            })
            .map(|(name, _)| name.clone())
            .collect();
        if !lost.is_empty() {
            look.backend.automatic(cx, &lost, deadline)?;
        }
    }
    if let Some((_, held)) = goal.state.as_ref().and_then(State::installed) {
        let now = look.backend.statuses(cx, &[&look.key])?.remove(&look.key);
        if matches!(now, Some(Status::Installed { held: now, .. }) if now != held) {
            look.backend.hold(cx, &look.key, held, deadline)?;
        }
    }
    Ok(())
}

/// Looks whether all is as it should be, and forgets what is no longer of use.
fn settled(cx: &Context, look: &Look, name: &str, goal: &Goal) -> Result<Option<Value>, ItemError> {
    record::tidy(cx, name, goal.state.as_ref())?;
    let now = self::look(cx, name, None)?;
    let names: Vec<&str> = goal.changes.keys().map(String::as_str).collect();
    let statuses = look.backend.statuses(cx, &names)?;
    let other = |(name, change): &(&String, &crate::backend::Change)| {
        statuses.get(*name).and_then(Status::version) != change.after.as_deref()
    };
    let others: Vec<String> =
        goal.changes.iter().filter(other).map(|(name, _)| format!("`{name}`")).collect();
    if now.state == goal.state && others.is_empty() {
        return value(now.state.as_ref());
    }
    let what = if others.is_empty() { format!("`{name}`") } else { others.join(", ") };
    let message = format!("the package manager reported success, and {what} is not as it said it would be");
    Err(ItemError::new(ErrorCode::Partial, message))
}

/// After a failure: what is known of the effect is what is there now.
fn seen_again(cx: &Context, error: ItemError, look: &Look, changes: &Changes) -> ItemError {
    let mut names: Vec<&str> = changes.keys().map(String::as_str).collect();
    names.push(&look.key);
    let unchanged = |statuses: &BTreeMap<String, Status>| {
        let others = changes
            .iter()
            .all(|(name, change)| statuses.get(name).and_then(Status::version) == change.before.as_deref());
        others && statuses.get(&look.key) == Some(&look.status)
    };
    let code = match error.code {
        ErrorCode::Timeout | ErrorCode::Cancelled => error.code,
        _ => ErrorCode::Partial,
    };
    match look.backend.statuses(cx, &names) {
        Ok(statuses) if unchanged(&statuses) && look.backend.ready().is_ok() => {
            // A note about what did not come says nothing; that it stays behind is no harm either.
            let _ = look.state.as_ref().map(|state| record::tidy(cx, state.name(), Some(state)));
            error.mutated(Mutated::No)
        }
        Ok(_) => ItemError { code, ..error }.mutated(Mutated::Yes),
        Err(half) => {
            let message = format!("{}; now {}", error.message, half.message);
            let hint = error.hint.clone().or(half.hint);
            ItemError { code, message, hint, ..error }.mutated(Mutated::Yes)
        }
    }
}
