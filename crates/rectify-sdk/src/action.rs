//! What is done, rather than brought about.

use crate::{
    Context, Found, Object, Properties,
    properties::{Codec, milliseconds},
    types::{Kind, truthful},
};
use rectify_protocol::{
    ErrorCode, ItemError, Mutated,
    manifest::TypeDescriptor,
    message::{
        Applied, Apply, ApplyStatus, DesiredItem, ItemResult, OpStatus, Output, PlanAnswer, PlanItem,
        ReadAnswer, ReadItem, UNDO,
    },
};
use serde_json::{Value, json};
use std::time::Duration;

/// Something that is done at most once for each permission, over crashes and redeliveries: it is claimed durably
/// before [`run`](Action::run), and what came of it is recorded.
///
/// ```
/// # use rectify_sdk::{Action, Context, Properties, Result, Run, protocol::message::Output};
/// # /// Starts a service anew.
/// # #[derive(serde::Deserialize, schemars::JsonSchema, Properties)]
/// # struct Unit {
/// #     /// Name of the unit.
/// #     #[rectify(touch = "unit", write)]
/// #     name: String,
/// # }
/// # struct Restart;
/// impl Action for Restart {
///     type Properties = Unit;
///     const TYPE: &'static str = "acme.restart";
///
///     fn run(&self, cx: &Context, unit: &Unit) -> Result<Option<Output>> {
///         let argv = ["systemctl", "restart", &unit.name].map(str::to_owned);
///         cx.run(&Run::new(cx, &argv))?.success().map(Some)
///     }
/// }
/// # let _ = rectify_sdk::Types::new("acme", "1.0.0").action(Restart);
/// ```
pub trait Action: Send + Sync + 'static {
    /// What people write.
    type Properties: Properties;

    /// Name of the type, `provider.kind`.
    const TYPE: &'static str;
    /// Version of the properties; raised when old ones are read in another way.
    const VERSION: u32 = 1;
    /// Whether [`done`](Action::done) can say that there is nothing to do.
    const HAS_GUARD: bool = false;
    /// Whether there is an [`undo`](Action::undo).
    const HAS_UNDO: bool = false;
    /// Longest that the guard may take.
    const READ_LIMIT: Duration = Duration::from_secs(30);
    /// Longest that a run may take.
    const APPLY_LIMIT: Duration = Duration::from_secs(600);

    /// Rules that a schema cannot say. Pure.
    ///
    /// # Errors
    /// `SCHEMA`, with the property to blame: [`invalid`](crate::invalid).
    fn validate(&self, _properties: &Self::Properties) -> Result<(), ItemError> {
        Ok(())
    }

    /// Whether it has been done. Changes nothing. Asked only with [`HAS_GUARD`](Action::HAS_GUARD).
    ///
    /// # Errors
    /// When it cannot be seen.
    fn done(&self, _cx: &Context, _properties: &Self::Properties) -> Result<bool, ItemError> {
        Ok(false)
    }

    /// Does it. The output is for the record.
    ///
    /// # Errors
    /// Whatever went wrong. Something may have been done then, unless the code says that it did not begin
    /// (`SCHEMA`, `UNSUPPORTED`, `CONFLICT`, `DEPENDENCY`, `BUSY`, `TRANSIENT`) and `cx` did nothing either.
    fn run(&self, cx: &Context, properties: &Self::Properties) -> Result<Option<Output>, ItemError>;

    /// Takes it back; it, too, runs at most once. Called only with [`HAS_UNDO`](Action::HAS_UNDO).
    ///
    /// # Errors
    /// As [`Action::run`].
    fn undo(&self, _cx: &Context, _properties: &Self::Properties) -> Result<Option<Output>, ItemError> {
        Err(ItemError::new(ErrorCode::Unsupported, NO_UNDO))
    }
}

const NO_UNDO: &str = "the action declares nothing that takes it back";

/// An action as a type of a provider.
pub(crate) struct Doing<A: Action> {
    action: A,
    codec: Codec<A::Properties>,
}

/// What is asked for.
struct Wish<P> {
    properties: P,
    /// Whether it is to be taken back.
    back: bool,
}

impl<A: Action> Doing<A> {
    pub(crate) fn new(action: A) -> Self {
        Self { action, codec: Codec::new(A::TYPE) }
    }

    fn wish(
        &self,
        desired: &Object,
        read: impl FnOnce(&Object) -> Result<A::Properties, ItemError>,
    ) -> Result<Wish<A::Properties>, ItemError> {
        let back = match desired.get(UNDO) {
            None => false,
            Some(Value::Bool(true)) if A::HAS_UNDO => true,
            Some(Value::Bool(true)) => return Err(ItemError::new(ErrorCode::Unsupported, NO_UNDO)),
            Some(_) => {
                let message = format!("`{UNDO}` is true, or is not there");
                return Err(ItemError::new(ErrorCode::Schema, message));
            }
        };
        let properties = if back {
            let mut forward = desired.clone();
            forward.remove(UNDO);
            read(&forward)?
        } else {
            read(desired)?
        };
        self.action.validate(&properties)?;
        Ok(Wish { properties, back })
    }

    /// Whether it has been done, if that can be known, and the state that says so.
    fn look(&self, cx: &Context, properties: &A::Properties) -> Result<(Option<bool>, Value), ItemError> {
        if !A::HAS_GUARD {
            return Ok((None, json!({})));
        }
        let done = self.action.done(cx, properties)?;
        Ok((Some(done), state(done)))
    }

    /// The answer where there is nothing to do.
    fn settled(
        &self,
        cx: &Context,
        op: &Apply,
        wish: &Wish<A::Properties>,
    ) -> Result<Option<Applied>, ItemError> {
        let (done, state) = self.look(cx, &wish.properties)?;
        let found = cx.compare(op, Some(&state));
        let settled = done == Some(!wish.back) || found? == Found::Result;
        Ok(settled.then_some(Applied { status: ApplyStatus::Already, state: Some(state), output: None }))
    }

    fn carry_out(&self, cx: &Context, wish: &Wish<A::Properties>) -> Result<Applied, ItemError> {
        let Wish { properties, back } = wish;
        let output = if *back { self.action.undo(cx, properties) } else { self.action.run(cx, properties) };
        let output = output.map_err(|error| {
            let least = if did_not_begin(error.code) { Mutated::No } else { Mutated::Maybe };
            truthful(cx, error, least)
        })?;
        let (done, state) = self.look(cx, properties).map_err(|error| error.mutated(Mutated::Yes))?;
        if done == Some(*back) {
            let message = "the action ended, and nothing shows that it was done";
            return Err(ItemError::new(ErrorCode::Partial, message).mutated(Mutated::Yes));
        }
        Ok(Applied { status: ApplyStatus::Applied, state: Some(state), output })
    }
}

/// Whether a failure says by its very code that nothing was done.
fn did_not_begin(code: ErrorCode) -> bool {
    use ErrorCode::{Busy, Conflict, Dependency, Schema, Transient, Unsupported};
    matches!(code, Schema | Unsupported | Conflict | Dependency | Busy | Transient)
}

fn state(done: bool) -> Value {
    json!({"done": done})
}

impl<A: Action> Kind for Doing<A> {
    fn descriptor(&self) -> TypeDescriptor {
        TypeDescriptor {
            prediction: if A::HAS_GUARD { "conditional" } else { "opaque" }.into(),
            retry: "once".into(),
            undo: if A::HAS_UNDO { "lossy" } else { "none" }.into(),
            read_timeout_ms: milliseconds(A::READ_LIMIT),
            apply_timeout_ms: milliseconds(A::APPLY_LIMIT),
            ..self.codec.descriptor(A::TYPE, A::VERSION, "action")
        }
    }

    fn validate(&self, _cx: &Context, item: &DesiredItem) -> Result<(), ItemError> {
        self.wish(&item.desired, |desired| self.codec.read_shape(desired)).map(drop)
    }

    fn read(&self, cx: &Context, item: &ReadItem) -> Result<ReadAnswer, ItemError> {
        let wish = self.wish(&item.desired, |desired| self.codec.read_shape(desired))?;
        let (_, state) = self.look(cx, &wish.properties)?;
        Ok(ReadAnswer { state: Some(state), before_image: None })
    }

    fn plan(&self, cx: &Context, item: &PlanItem) -> Result<PlanAnswer, ItemError> {
        let Wish { properties, back } = self.wish(&item.desired, |desired| self.codec.read_shape(desired))?;
        if item.prior.is_some() {
            let message = "an action cannot be predicted on the result of another step";
            return Err(ItemError::new(ErrorCode::Unsupported, message));
        }
        let (done, prior) = self.look(cx, &properties)?;
        if done == Some(!back) {
            return Ok(PlanAnswer::Unchanged { state: Some(prior), resolved: Vec::new() });
        }
        let (undo, note) = match (back, A::HAS_UNDO) {
            (true, _) => ("none", "it takes an action back, which is not taken back in turn"),
            (false, true) => ("lossy", "it is taken back by its own action"),
            (false, false) => ("none", NO_UNDO),
        };
        Ok(PlanAnswer::Changed {
            prior: Some(prior),
            planned: done.map(|_| state(!back)),
            prediction: if A::HAS_GUARD { "conditional" } else { "opaque" }.into(),
            disruption: Vec::new(),
            undo: undo.into(),
            undo_note: Some(note.into()),
            resolved: Vec::new(),
        })
    }

    fn apply(&self, cx: &Context, op: &Apply) -> Result<Applied, ItemError> {
        let wish = self.wish(&op.desired, |desired| self.codec.read(cx, desired))?;
        // A claim decides alone: what the guard says afterwards may be the action's own doing.
        let free = match cx.op_status(&op.op_id)? {
            OpStatus::NeverSeen => true,
            OpStatus::Started => false,
            OpStatus::Done(result) => matches!(*result, ItemResult::Error(e) if e.mutated == Mutated::No),
        };
        if free && let Some(settled) = self.settled(cx, op, &wish)? {
            return Ok(settled);
        }
        cx.once(op, || self.carry_out(cx, &wish))
    }
}
