//! Things that are brought into a state.

use crate::{
    Context, Found, Object, Properties,
    properties::{Codec, from_value, milliseconds},
    types::{Kind, truthful},
};
use rectify_base::{Digest, Pointer};
use rectify_protocol::{
    ErrorCode, ItemError, Mutated,
    manifest::TypeDescriptor,
    message::{
        Applied, Apply, ApplyStatus, DesiredItem, PlanAnswer, PlanItem, RESTORE, ReadAnswer, ReadItem,
        Restore,
    },
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::time::Duration;

/// What names a thing of a resource.
pub type Id<R> = <<R as Resource>::Properties as Properties>::Id;

/// A kind of thing that can be looked at, and brought into a state. Calls come from several threads at once.
///
/// The plan is made by comparing what [`read`](Resource::read) finds with the [`goal`](Resource::goal); and a step
/// is taken back by [`apply`](Resource::apply) with the state from before as what is wanted.
pub trait Resource: Send + Sync + 'static {
    /// What people write.
    type Properties: Properties;
    /// What is there, as far as it counts. It stands in plans and records, so nothing private is in it, and no
    /// floating-point number. Two states are the same if they are the same JSON.
    type State: Serialize + DeserializeOwned;

    /// Name of the type, `provider.kind`.
    const TYPE: &'static str;
    /// Version of properties and state; raised when old ones are read in another way.
    const VERSION: u32 = 1;
    /// Members of the state, as JSON Pointers, that move by themselves or are for display only.
    const VOLATILE: &'static [&'static str] = &[];
    /// How well a step can be taken back at best.
    const UNDO: Undo = Undo::Exact;
    /// Longest that one thing may be looked at.
    const READ_LIMIT: Duration = Duration::from_secs(30);
    /// Longest that a step may take.
    const APPLY_LIMIT: Duration = Duration::from_secs(120);

    /// Rules that a schema cannot say. Pure.
    ///
    /// # Errors
    /// `SCHEMA`, with the property to blame: [`invalid`](crate::invalid).
    fn validate(&self, _properties: &Self::Properties) -> Result<(), ItemError> {
        Ok(())
    }

    /// The state now; `None` where there is nothing. Changes nothing.
    ///
    /// # Errors
    /// When it cannot be seen.
    fn read(&self, cx: &Context, id: &Id<Self>) -> Result<Option<Self::State>, ItemError>;

    /// The state that properties lead to from what is `found`; `None`: there should be nothing. It must be the
    /// very state that `read` finds afterwards: it is signed, and compared. It is asked for when planning and
    /// again before anything is changed, and says the same.
    ///
    /// # Errors
    /// When it cannot be decided.
    fn goal(
        &self,
        cx: &Context,
        properties: &Self::Properties,
        found: Option<&Self::State>,
    ) -> Result<Option<Self::State>, ItemError>;

    /// What else is to be said of a change. It is asked where nothing changes, too.
    ///
    /// # Errors
    /// When the change cannot be made.
    fn forecast(&self, _cx: &Context, _step: &Step<Self>) -> Result<Forecast, ItemError> {
        Ok(Forecast { undo: Self::UNDO, ..Forecast::default() })
    }

    /// Keeps, before a change, what `found` does not hold and an undo needs: see
    /// [`Context::keep_before_image`].
    ///
    /// # Errors
    /// When it cannot be kept. The change is not made then.
    fn capture(
        &self,
        _cx: &Context,
        _id: &Id<Self>,
        _found: &Self::State,
    ) -> Result<Option<Digest>, ItemError> {
        Ok(None)
    }

    /// Brings about what is wanted. It is called only if what was found is what the plan expects, and the
    /// state is looked at again afterwards.
    ///
    /// # Errors
    /// Whatever went wrong, with `mutated` where more is known than can be seen: what was changed by the
    /// functions of `cx`, and what a look at the state shows, is added.
    fn apply(&self, cx: &Context, step: &Step<Self>) -> Result<(), ItemError>;
}

/// One change of one thing.
pub struct Step<R: Resource + ?Sized> {
    /// What names the thing.
    pub id: Id<R>,
    /// What people wrote; `None` where a state is brought back.
    pub properties: Option<R::Properties>,
    /// What is there; `None`: nothing.
    pub found: Option<R::State>,
    /// What is to be there; `None`: nothing.
    pub want: Option<R::State>,
}

/// What is known of a change before it is made, beside the state that it leads to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forecast {
    /// What it interrupts.
    pub disruption: Vec<Disruption>,
    /// How well it can be taken back.
    pub undo: Undo,
    /// What would be lost.
    pub undo_note: Option<String>,
    /// Keys, `kind:name`, that it writes in truth, where links lead elsewhere than the properties say.
    pub resolved: Vec<String>,
}

/// What a change interrupts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Disruption {
    /// Something reads its configuration again.
    Reload,
    /// Something is started anew.
    Restart,
    /// The machine is started anew.
    Reboot,
}

impl Disruption {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Reload => "reload",
            Self::Restart => "restart",
            Self::Reboot => "reboot",
        }
    }
}

/// How well a change can be taken back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Undo {
    /// To the state from before.
    #[default]
    Exact,
    /// In part.
    Lossy,
    /// Not at all.
    None,
}

impl Undo {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Lossy => "lossy",
            Self::None => "none",
        }
    }
}

/// What is asked for.
enum Wish<R: Resource> {
    Properties(R::Properties),
    Back(Option<R::State>),
}

/// A resource as a type of a provider.
pub(crate) struct Converging<R: Resource> {
    resource: R,
    codec: Codec<R::Properties>,
}

/// A state, as its type and as JSON.
struct State<T> {
    typed: Option<T>,
    value: Option<Value>,
}

impl<R: Resource> Converging<R> {
    pub(crate) fn new(resource: R) -> Self {
        let codec = Codec::new(R::TYPE);
        let names = <R::Properties as Properties>::NAMES;
        assert!(
            !names.is_empty(),
            "the properties of `{}`: no field is marked `#[rectify(identity)]`",
            R::TYPE
        );
        Self { resource, codec }
    }

    fn state(typed: Option<R::State>) -> Result<State<R::State>, ItemError> {
        let value = typed.as_ref().map(serde_json::to_value).transpose();
        let value = value.map_err(|e| {
            ItemError::new(ErrorCode::Internal, format!("the state cannot be written as JSON: {e}"))
        })?;
        Ok(State { typed, value })
    }

    fn of_value(value: Option<Value>) -> Result<State<R::State>, ItemError> {
        let typed = value.clone().map(|value| from_value(value, &Pointer::root())).transpose();
        let typed = typed.map_err(|error| ItemError {
            message: format!("the given state cannot be read: {}", error.message),
            path: None,
            ..error
        })?;
        Ok(State { typed, value })
    }

    fn look(&self, cx: &Context, id: &Id<R>) -> Result<State<R::State>, ItemError> {
        Self::state(self.resource.read(cx, id)?)
    }

    /// What names the thing, and what is to become of it.
    fn wish(
        &self,
        desired: &Object,
        read: impl FnOnce(&Object) -> Result<R::Properties, ItemError>,
    ) -> Result<(Id<R>, Wish<R>), ItemError> {
        let Some(back) = desired.get(RESTORE) else {
            let properties = read(desired)?;
            self.resource.validate(&properties)?;
            return Ok((properties.id(), Wish::Properties(properties)));
        };
        let Restore { state } = from_value(back.clone(), &Pointer::root().child(RESTORE))?;
        let id = <R::Properties as Properties>::read_id(desired)?;
        Ok((id, Wish::Back(Self::of_value(state)?.typed)))
    }

    /// The change that a wish leads to, and the states before and after it as JSON.
    fn step(
        &self,
        cx: &Context,
        id: Id<R>,
        wish: Wish<R>,
        found: State<R::State>,
    ) -> Result<(Step<R>, [Option<Value>; 2]), ItemError> {
        let (properties, want) = match wish {
            Wish::Back(state) => (None, state),
            Wish::Properties(properties) => {
                let goal = self.resource.goal(cx, &properties, found.typed.as_ref())?;
                (Some(properties), goal)
            }
        };
        let want = Self::state(want)?;
        Ok((Step { id, properties, found: found.typed, want: want.typed }, [found.value, want.value]))
    }
}

impl<R: Resource> Kind for Converging<R> {
    fn descriptor(&self) -> TypeDescriptor {
        TypeDescriptor {
            volatile: R::VOLATILE.iter().map(|pointer| Pointer::from(*pointer)).collect(),
            undo: R::UNDO.as_str().into(),
            read_timeout_ms: milliseconds(R::READ_LIMIT),
            apply_timeout_ms: milliseconds(R::APPLY_LIMIT),
            ..self.codec.descriptor(R::TYPE, R::VERSION, "resource")
        }
    }

    fn validate(&self, _cx: &Context, item: &DesiredItem) -> Result<(), ItemError> {
        self.wish(&item.desired, |desired| self.codec.read_shape(desired)).map(drop)
    }

    fn read(&self, cx: &Context, item: &ReadItem) -> Result<ReadAnswer, ItemError> {
        let id = <R::Properties as Properties>::read_id(&item.desired)?;
        let State { typed, value } = self.look(cx, &id)?;
        let before_image = match typed.filter(|_| item.capture) {
            Some(found) => self.resource.capture(cx, &id, &found)?,
            None => None,
        };
        Ok(ReadAnswer { state: value, before_image })
    }

    fn plan(&self, cx: &Context, item: &PlanItem) -> Result<PlanAnswer, ItemError> {
        let (id, wish) = self.wish(&item.desired, |desired| self.codec.read(cx, desired))?;
        let found = match &item.prior {
            Some(predicted) => Self::of_value(predicted.state.clone())?,
            None => self.look(cx, &id)?,
        };
        let (step, [prior, planned]) = self.step(cx, id, wish, found)?;
        let print = |state: &Option<Value>| cx.fingerprint(&item.type_name, R::VERSION, state.as_ref());
        let changes = print(&prior)? != print(&planned)?;
        let Forecast { disruption, undo, undo_note, mut resolved } = self.resource.forecast(cx, &step)?;
        resolved.sort();
        if !changes {
            return Ok(PlanAnswer::Unchanged { state: prior, resolved });
        }
        Ok(PlanAnswer::Changed {
            prior,
            planned,
            prediction: "exact".into(),
            disruption: disruption.into_iter().map(|word| word.as_str().into()).collect(),
            undo: undo.as_str().into(),
            undo_note,
            resolved,
        })
    }

    fn apply(&self, cx: &Context, op: &Apply) -> Result<Applied, ItemError> {
        let (id, wish) = self.wish(&op.desired, |desired| self.codec.read(cx, desired))?;
        let found = self.look(cx, &id)?;
        if cx.compare(op, found.value.as_ref())? == Found::Result {
            return Ok(Applied { status: ApplyStatus::Already, state: found.value, output: None });
        }
        let print = |state: &Option<Value>| cx.fingerprint(&op.type_name, R::VERSION, state.as_ref());
        let (step, [before, planned]) = self.step(cx, id, wish, found)?;
        let goal = print(&planned)?;
        if op.result.is_some_and(|result| result != goal) {
            let message = "what would be written is not what the plan says";
            return Err(ItemError::new(ErrorCode::Stale, message).hint("make a new plan"));
        }
        if goal == op.expect {
            return Ok(Applied { status: ApplyStatus::Already, state: before, output: None });
        }
        if cx.cancelled() {
            let message = "cancelled before anything was changed";
            return Err(ItemError::new(ErrorCode::Cancelled, message));
        }
        let applied = self.resource.apply(cx, &step);
        let after = self.look(cx, &step.id);
        if let Err(error) = applied {
            // What is seen proves a change, but never that there was none.
            let least = match after.and_then(|after| print(&after.value)) {
                Ok(print) if print == op.expect => Mutated::No,
                Ok(_) => Mutated::Yes,
                Err(_) => Mutated::Maybe,
            };
            return Err(truthful(cx, error, least));
        }
        let after = after.map_err(|error| error.mutated(Mutated::Yes))?;
        Ok(Applied { status: ApplyStatus::Applied, state: after.value, output: None })
    }
}
