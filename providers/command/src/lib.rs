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

use guards::{GuardState, Verdict, guard_state};
use properties::{Properties, Way, directed};
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
        directed(stand_in(&item.desired)).map(drop)
    }

    /// The state of an action is that of its guards; there is nothing to capture.
    fn read(&self, cx: &Context, item: &ReadItem) -> Result<ReadAnswer, ItemError> {
        let (_, properties) = directed(stand_in(&item.desired))?;
        let state = guard_state(cx.root(), properties.creates.as_deref())?;
        Ok(ReadAnswer { state: Some(state.to_value()), before_image: None })
    }

    fn plan(&self, cx: &Context, item: &PlanItem) -> Result<PlanAnswer, ItemError> {
        let (way, properties) = directed(stand_in(&item.desired))?;
        if item.prior.is_some() {
            return Err(ItemError::new(
                ErrorCode::Unsupported,
                "a command cannot be predicted on the result of another step",
            ));
        }
        let state = guard_state(cx.root(), properties.creates.as_deref())?;
        match way {
            Way::Forward => plan_forward(cx, &properties, &state),
            Way::Back => Ok(plan_back(&properties, &state)),
        }
    }

    fn apply(&self, cx: &Context, op: &Apply) -> Result<Applied, ItemError> {
        let (way, properties) = directed(cx.reveal(&op.desired)?.properties.into_owned())?;
        let limit = Duration::from_secs(properties.timeout_s).min(Duration::from_millis(op.deadline_ms));
        let deadline = Instant::now() + limit;
        let look = || guard_state(cx.root(), properties.creates.as_deref());
        // A claim decides alone: what the guards say afterwards may be the command's own doing.
        let free = match cx.op_status(&op.op_id)? {
            OpStatus::NeverSeen => true,
            OpStatus::Started => false,
            OpStatus::Done(result) => {
                matches!(*result, ItemResult::Error(e) if e.mutated == Mutated::No)
            }
        };
        if free {
            let state = look()?;
            let settled = way == Way::Forward && state.is_done();
            if cx.compare(op, Some(&state.to_value()))? == Found::Result || settled {
                return already(&state);
            }
            // The guards ask whether the command has something to do, not whether it has been done.
            let verdict = match way {
                Way::Forward => guards::ask(cx, &properties, deadline)?,
                Way::Back => Verdict::ToDo,
            };
            match verdict {
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
            let state = look()?;
            if way == Way::Forward && state.is_done() {
                return already(&state);
            }
            let output = command::carry_out(cx, &properties, way, deadline)?;
            let state = look().map_err(|e| e.mutated(Mutated::Yes))?;
            match way {
                Way::Forward => {
                    if let Some(path) = state.missing() {
                        return Err(command::created_nothing(path, &output));
                    }
                }
                Way::Back => {
                    if let Some(path) = state.left() {
                        return Err(command::removed_nothing(path, &output));
                    }
                }
            }
            Ok(Applied { status: ApplyStatus::Applied, state: Some(state.to_value()), output: Some(output) })
        })
    }
}

fn already(state: &GuardState<'_>) -> Result<Applied, ItemError> {
    Ok(Applied { status: ApplyStatus::Already, state: Some(state.to_value()), output: None })
}

fn plan_forward(
    cx: &Context,
    properties: &Properties,
    state: &GuardState<'_>,
) -> Result<PlanAnswer, ItemError> {
    let prior = Some(state.to_value());
    if state.is_done() {
        return Ok(PlanAnswer::Unchanged { state: prior, resolved: Vec::new() });
    }
    let decided = match guards::ask(cx, properties, Instant::now() + PLAN_GUARD_TIMEOUT)? {
        Verdict::NothingToDo => {
            return Ok(PlanAnswer::Unchanged { state: prior, resolved: Vec::new() });
        }
        Verdict::ToDo => true,
        Verdict::NotAllowed => false,
    };
    let planned = state.after().filter(|_| decided);
    let prediction = if planned.is_some() { "conditional" } else { "opaque" };
    // Where it creates something and the guards were not asked, what will be found is not known.
    let known = planned.is_some() || properties.creates.is_none();
    let (undo, note) = match &properties.undo {
        None => ("none", "what a command did is not known, so it cannot be taken back".into()),
        Some(_) if !known => (
            "none",
            "what it leaves behind is not known, because its guards may not be asked while planning".into(),
        ),
        Some(argv) => ("lossy", format!("taken back by its own command: {}", shown(argv))),
    };
    Ok(PlanAnswer::Changed {
        prior,
        planned,
        prediction: prediction.into(),
        disruption: properties.disruption().into_iter().map(Into::into).collect(),
        undo: undo.into(),
        undo_note: Some(note),
        resolved: Vec::new(),
    })
}

/// The way back as a step of its own. Its guards are those of the command, and are not asked.
fn plan_back(properties: &Properties, state: &GuardState<'_>) -> PlanAnswer {
    let prior = Some(state.to_value());
    if state.missing().is_some() {
        return PlanAnswer::Unchanged { state: prior, resolved: Vec::new() };
    }
    let planned = state.before();
    let prediction = if planned.is_some() { "conditional" } else { "opaque" };
    PlanAnswer::Changed {
        prior,
        planned,
        prediction: prediction.into(),
        disruption: properties.disruption_of_undo().into_iter().map(Into::into).collect(),
        undo: "none".into(),
        undo_note: Some("it takes a command back, which is not taken back in turn".into()),
        resolved: Vec::new(),
    }
}

/// A command as a person may read it: words with anything unusual in them are quoted.
fn shown(argv: &[String]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@%+".contains(c);
    let word = |word: &String| {
        if !word.is_empty() && word.chars().all(plain) { word.clone() } else { format!("{word:?}") }
    };
    argv.iter().map(word).collect::<Vec<_>>().join(" ")
}
