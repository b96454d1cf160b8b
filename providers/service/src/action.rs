//! `service.restart` and `service.reload`: a unit takes up what was changed, and it is waited until it has.
//!
//! What they did is in no state, so nothing is claimed of it: an action is planned as opaque, and the ledger
//! knows whether it was done.

use crate::{
    RELOAD,
    manager::Manager,
    name,
    outcome::{Patience, Verb, bring_about},
    resource::typed,
    unit::{check_times, stable_default, timeout_default},
};
use rectify_sdk::{
    Context,
    crash::{At, reached},
    protocol::{
        ErrorCode, ItemError, Mutated,
        message::{Applied, Apply, ApplyStatus, Output, PlanAnswer, UNDO},
    },
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::time::{Duration, Instant};

/// What is done to a unit that does not run.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Stopped {
    Start,
    Leave,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Properties {
    unit: String,
    when_stopped: Option<Stopped>,
    #[serde(default)]
    or_restart: bool,
    #[serde(default = "stable_default")]
    stable_s: u64,
    #[serde(default = "timeout_default")]
    timeout_s: u64,
}

/// An action, and whether it takes one back.
pub(crate) struct Action {
    properties: Properties,
    reload: bool,
    back: bool,
}

/// The state of an action: nothing is to be seen of it.
pub(crate) fn state() -> Value {
    json!({})
}

impl Action {
    /// Reads properties, without looking at anything.
    pub(crate) fn new(type_name: &str, desired: &Map<String, Value>) -> Result<Self, ItemError> {
        let mut desired = desired.clone();
        let back = match desired.remove(UNDO) {
            None => false,
            Some(Value::Bool(true)) => true,
            Some(_) => return Err(name::wrong(format!("`{UNDO}` is true, or is not there"), "")),
        };
        let reload = type_name == RELOAD;
        if let Some(extra) = ["or_restart", "when_stopped"].get(usize::from(reload))
            && desired.contains_key(*extra)
        {
            return Err(name::wrong(format!("`{type_name}` has no property `{extra}`"), ""));
        }
        let properties: Properties = typed(Value::Object(desired))?;
        name::check(&properties.unit)?;
        check_times(properties.stable_s, properties.timeout_s)?;
        Ok(Self { properties, reload, back })
    }

    pub(crate) fn plan(&self, cx: &Context, bus: Option<&str>) -> Result<PlanAnswer, ItemError> {
        machines_only(cx)?;
        // That systemd answers is known before anything depends on it.
        Manager::open(bus)?.unit(&self.properties.unit)?;
        let (word, disruption) = if self.reload { ("reloaded", "reload") } else { ("restarted", "restart") };
        let note = format!("it is {word} again, once what was changed before it is back");
        Ok(PlanAnswer::Changed {
            prior: Some(state()),
            planned: None,
            prediction: "opaque".into(),
            disruption: vec![disruption.into()],
            undo: if self.back { "none" } else { "lossy" }.into(),
            undo_note: Some(note).filter(|_| !self.back),
            resolved: Vec::new(),
        })
    }

    pub(crate) fn apply(&self, cx: &Context, op: &Apply, bus: Option<&str>) -> Result<Applied, ItemError> {
        machines_only(cx)?;
        // A claim decides alone; what was done once is not compared again.
        cx.once(op, || {
            cx.compare(op, Some(&state()))?;
            self.carry_out(cx, op, bus)
        })
    }

    fn carry_out(&self, cx: &Context, op: &Apply, bus: Option<&str>) -> Result<Applied, ItemError> {
        let deadline =
            Duration::from_secs(self.properties.timeout_s).min(Duration::from_millis(op.deadline_ms));
        let deadline = Instant::now() + deadline;
        let manager = Manager::open(bus)?;
        let unit = self.properties.unit.as_str();
        // Some versions of systemd do not notice new drop-ins, so nobody is asked whether this is due.
        manager.reload().map_err(|error| error.mutated(Mutated::No))?;
        let seen = manager.unit(unit)?;
        if seen.load == "not-found" {
            let message = format!("there is no unit `{unit}`");
            return Err(ItemError::new(ErrorCode::Failed, message).at("/unit"));
        }
        let Some(verb) = self.verb(&seen)? else {
            return Ok(done(format!(
                "`{unit}` does not run, so there was nothing to do; it is {}",
                seen.phrase()
            )));
        };
        // What was tried before does not count against what is tried now.
        manager.forget_failure(unit)?;
        reached(At::Prepared);
        let stable = Duration::from_secs(self.properties.stable_s);
        let seen = bring_about(cx, &manager, unit, verb, Patience { deadline, stable })?;
        reached(At::Done);
        if cx.cancelled() {
            let message = format!("cancelled while `{unit}` was watched; it is {}", seen.phrase());
            return Err(ItemError::new(ErrorCode::Cancelled, message).mutated(Mutated::Yes));
        }
        Ok(done(format!("`{unit}` is {}", seen.phrase())))
    }

    /// What is to be done to the unit as it is.
    fn verb(&self, seen: &crate::manager::Seen) -> Result<Option<Verb>, ItemError> {
        let broken = seen.active == "failed" || seen.active == "activating";
        if !seen.runs() {
            // On the way back, what broke is what the step broke.
            return Ok(match (self.reload, self.back && broken) {
                (_, true) => Some(Verb::Restart),
                (true, false) => None,
                (false, false) => {
                    let leave = self.properties.when_stopped == Some(Stopped::Leave);
                    (!leave).then_some(Verb::Restart)
                }
            });
        }
        match (self.reload, seen.can_reload, self.properties.or_restart) {
            (false, _, _) | (true, false, true) => Ok(Some(Verb::Restart)),
            (true, true, _) => Ok(Some(Verb::Reload)),
            (true, false, false) => {
                let message = format!("`{}` does not know how to reload", self.properties.unit);
                Err(ItemError::new(ErrorCode::Failed, message)
                    .at("/unit")
                    .hint("say `or_restart: true`, or take `service.restart`"))
            }
        }
    }
}

fn done(said: String) -> Applied {
    let output = Output { exit_code: None, stdout: said, stderr: String::new(), truncated: false };
    Applied { status: ApplyStatus::Applied, state: Some(state()), output: Some(output) }
}

fn machines_only(cx: &Context) -> Result<(), ItemError> {
    if cx.root().is_none() {
        return Ok(());
    }
    Err(ItemError::new(ErrorCode::Unsupported, "the target is a directory, where nothing runs"))
}
