//! The provider `command`: runs a command at most once per permission, guarded by what it creates
//! and by what other commands say.
//!
//! What a command does cannot be predicted, so this provider never claims to: without `creates` a
//! step is `opaque`, with it at most `conditional`. And a command knows no root directory: it runs
//! unconfined, whatever the target's root is.

mod command;
mod guards;
mod manifest;
mod properties;

use guards::{Verdict, guard_state};
use properties::Properties;
use rectify_sdk::{
    Context, Found, Provider,
    protocol::{
        ErrorCode, ItemError, Manifest, Mutated,
        message::{
            Applied, Apply, ApplyStatus, DesiredItem, ItemResult, OpStatus, PlanAnswer, PlanItem, ReadAnswer,
            ReadItem,
        },
    },
    stand_in,
};
use std::time::{Duration, Instant};

/// How long guards may take while planning; the type's read timeout is a little longer.
const PLAN_GUARD_TIMEOUT: Duration = Duration::from_secs(25);

/// The provider.
#[must_use]
pub fn provider() -> impl Provider {
    CommandProvider
}

struct CommandProvider;

impl Provider for CommandProvider {
    fn manifest(&self) -> Manifest {
        manifest::manifest()
    }

    fn validate(&self, _cx: &Context, item: &DesiredItem) -> Result<(), ItemError> {
        Properties::read(&stand_in(&item.desired)).map(drop)
    }

    /// The state of an action is that of its guards; there is nothing to capture.
    fn read(&self, cx: &Context, item: &ReadItem) -> Result<ReadAnswer, ItemError> {
        let properties = Properties::read(&stand_in(&item.desired))?;
        let state = guard_state(cx.root(), properties.creates.as_deref())?;
        Ok(ReadAnswer { state: Some(state.to_value()), before_image: None })
    }

    fn plan(&self, cx: &Context, item: &PlanItem) -> Result<PlanAnswer, ItemError> {
        let properties = Properties::read(&stand_in(&item.desired))?;
        if item.prior.is_some() {
            return Err(ItemError::new(
                ErrorCode::Unsupported,
                "a command cannot be predicted on the result of another step",
            ));
        }
        let state = guard_state(cx.root(), properties.creates.as_deref())?;
        let prior = Some(state.to_value());
        if state.is_done() {
            return Ok(PlanAnswer::Unchanged { state: prior, resolved: Vec::new() });
        }
        let decided = match guards::ask(cx, &properties, Instant::now() + PLAN_GUARD_TIMEOUT)? {
            Verdict::NothingToDo => {
                return Ok(PlanAnswer::Unchanged { state: prior, resolved: Vec::new() });
            }
            Verdict::ToDo => true,
            Verdict::NotAllowed => false,
        };
        let planned = state.after().filter(|_| decided);
        let prediction = if planned.is_some() { "conditional" } else { "opaque" };
        Ok(PlanAnswer::Changed {
            prior,
            planned,
            prediction: prediction.into(),
            disruption: properties.disruption().into_iter().map(Into::into).collect(),
            undo: "none".into(),
            undo_note: Some("what a command did is not known, so it cannot be taken back".into()),
            resolved: Vec::new(),
        })
    }

    fn apply(&self, cx: &Context, op: &Apply) -> Result<Applied, ItemError> {
        let properties = Properties::read(&cx.reveal(&op.desired)?.properties)?;
        let limit = Duration::from_secs(properties.timeout_s).min(Duration::from_millis(op.deadline_ms));
        let deadline = Instant::now() + limit;
        // A claim decides alone: what the guards say afterwards may be the command's own doing.
        let free = match cx.op_status(&op.op_id)? {
            OpStatus::NeverSeen => true,
            OpStatus::Started => false,
            OpStatus::Done(result) => {
                matches!(*result, ItemResult::Error(e) if e.mutated == Mutated::No)
            }
        };
        let already = |state: &guards::GuardState| {
            Ok(Applied { status: ApplyStatus::Already, state: Some(state.to_value()), output: None })
        };
        if free {
            let state = guard_state(cx.root(), properties.creates.as_deref())?;
            if cx.compare(op, Some(&state.to_value()))? == Found::Result || state.is_done() {
                return already(&state);
            }
            match guards::ask(cx, &properties, deadline)? {
                Verdict::NothingToDo => return already(&state),
                Verdict::ToDo => {}
                Verdict::NotAllowed => {
                    let message = "the guards may not be executed in this session";
                    return Err(ItemError::new(ErrorCode::Mode, message));
                }
            }
        }
        cx.once(op, || {
            // The guards may have taken a while.
            let state = guard_state(cx.root(), properties.creates.as_deref())?;
            if state.is_done() {
                return already(&state);
            }
            let output = command::carry_out(cx, &properties, deadline)?;
            let state =
                guard_state(cx.root(), properties.creates.as_deref()).map_err(|e| e.mutated(Mutated::Yes))?;
            if let Some(path) = state.missing() {
                return Err(command::created_nothing(path, &output));
            }
            Ok(Applied { status: ApplyStatus::Applied, state: Some(state.to_value()), output: Some(output) })
        })
    }
}
