//! Questions.

use crate::{
    Context, Object, Properties,
    properties::{Codec, milliseconds},
    types::Kind,
};
use rectify_protocol::{
    ErrorCode, ItemError,
    manifest::TypeDescriptor,
    message::{Applied, Apply, DesiredItem, PlanAnswer, PlanItem, ReadAnswer, ReadItem},
};
use serde_json::json;
use std::time::Duration;

/// A question with the answer yes or no. It changes nothing.
pub trait Probe: Send + Sync + 'static {
    /// What people write.
    type Properties: Properties;

    /// Name of the type, `provider.kind`.
    const TYPE: &'static str;
    /// Version of the properties; raised when old ones are read in another way.
    const VERSION: u32 = 1;
    /// Longest that an answer may take.
    const READ_LIMIT: Duration = Duration::from_secs(30);

    /// Rules that a schema cannot say. Pure.
    ///
    /// # Errors
    /// `SCHEMA`, with the property to blame: [`invalid`](crate::invalid).
    fn validate(&self, _properties: &Self::Properties) -> Result<(), ItemError> {
        Ok(())
    }

    /// The answer, with a sentence for people.
    ///
    /// # Errors
    /// When it cannot be decided.
    fn ask(&self, cx: &Context, properties: &Self::Properties) -> Result<Answer, ItemError>;
}

/// The answer of a [`Probe`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Yes or no.
    pub yes: bool,
    /// Why, in a sentence for people.
    pub sentence: String,
}

/// A probe as a type of a provider.
pub(crate) struct Asking<P: Probe> {
    probe: P,
    codec: Codec<P::Properties>,
}

impl<P: Probe> Asking<P> {
    pub(crate) fn new(probe: P) -> Self {
        Self { probe, codec: Codec::new(P::TYPE) }
    }

    fn ask(&self, cx: &Context, desired: &Object) -> Result<Answer, ItemError> {
        let properties = self.codec.read(cx, desired)?;
        self.probe.validate(&properties)?;
        self.probe.ask(cx, &properties)
    }
}

impl<P: Probe> Kind for Asking<P> {
    fn descriptor(&self) -> TypeDescriptor {
        let limit = milliseconds(P::READ_LIMIT);
        TypeDescriptor {
            volatile: vec!["/detail".into()],
            undo: "none".into(),
            read_timeout_ms: limit,
            apply_timeout_ms: limit,
            ..self.codec.descriptor(P::TYPE, P::VERSION, "probe")
        }
    }

    fn validate(&self, _cx: &Context, item: &DesiredItem) -> Result<(), ItemError> {
        self.probe.validate(&self.codec.read_shape(&item.desired)?)
    }

    fn read(&self, cx: &Context, item: &ReadItem) -> Result<ReadAnswer, ItemError> {
        let Answer { yes, sentence } = self.ask(cx, &item.desired)?;
        Ok(ReadAnswer { state: Some(json!({"ok": yes, "detail": sentence})), before_image: None })
    }

    fn plan(&self, cx: &Context, item: &PlanItem) -> Result<PlanAnswer, ItemError> {
        let Answer { yes, sentence } = self.ask(cx, &item.desired)?;
        if !yes {
            return Err(ItemError::new(ErrorCode::Failed, sentence));
        }
        let state = Some(json!({"ok": true, "detail": sentence}));
        Ok(PlanAnswer::Unchanged { state, resolved: Vec::new() })
    }

    fn apply(&self, _cx: &Context, op: &Apply) -> Result<Applied, ItemError> {
        let message = format!("`{}` is a question; it changes nothing", op.type_name);
        Err(ItemError::new(ErrorCode::Unsupported, message))
    }
}
