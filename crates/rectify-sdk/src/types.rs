//! A provider that is put together from its types.

use crate::{
    Action, Context, Probe, Provider, Resource, action::Doing, probe::Asking, resource::Converging,
    secrets::hide_error,
};
use rectify_protocol::{
    ErrorCode, ItemError, Manifest, VERSION,
    manifest::{FORMAT, ProtocolRange, TypeDescriptor},
    message::{Applied, Apply, DesiredItem, PlanAnswer, PlanItem, ReadAnswer, ReadItem},
};
use std::collections::BTreeMap;

/// What a provider does for one of its types.
pub(crate) trait Kind: Send + Sync + 'static {
    fn descriptor(&self) -> TypeDescriptor;
    fn validate(&self, cx: &Context, item: &DesiredItem) -> Result<(), ItemError>;
    fn read(&self, cx: &Context, item: &ReadItem) -> Result<ReadAnswer, ItemError>;
    fn plan(&self, cx: &Context, item: &PlanItem) -> Result<PlanAnswer, ItemError>;
    fn apply(&self, cx: &Context, op: &Apply) -> Result<Applied, ItemError>;
}

/// A provider: its name, its version, and its types, each of which is a [`Resource`], an [`Action`] or a
/// [`Probe`]. What they have in common is done here: properties are checked by their schema and read, plans are
/// made by comparing states, a step is carried out only if nothing moved, and taken back by the state from before.
pub struct Types {
    name: String,
    version: String,
    kinds: BTreeMap<String, Box<dyn Kind>>,
}

impl Types {
    /// A provider without types. The version is that of the program, as in `env!("CARGO_PKG_VERSION")`.
    #[must_use]
    pub fn new(name: impl Into<String>, version: impl Into<String>) -> Self {
        Self { name: name.into(), version: version.into(), kinds: BTreeMap::new() }
    }

    /// Adds a resource.
    ///
    /// # Panics
    /// If its properties give no usable schema, it is not the name of a type, or there is one of that name.
    #[must_use]
    pub fn resource<R: Resource>(self, resource: R) -> Self {
        self.with(R::TYPE, Box::new(Converging::new(resource)))
    }

    /// Adds an action.
    ///
    /// # Panics
    /// As [`Types::resource`].
    #[must_use]
    pub fn action<A: Action>(self, action: A) -> Self {
        self.with(A::TYPE, Box::new(Doing::new(action)))
    }

    /// Adds a probe.
    ///
    /// # Panics
    /// As [`Types::resource`].
    #[must_use]
    pub fn probe<P: Probe>(self, probe: P) -> Self {
        self.with(P::TYPE, Box::new(Asking::new(probe)))
    }

    fn with(mut self, name: &str, kind: Box<dyn Kind>) -> Self {
        assert!(self.kinds.insert(name.to_owned(), kind).is_none(), "there are two types `{name}`");
        self
    }

    fn kind(&self, name: &str) -> Result<&dyn Kind, ItemError> {
        let unknown = || ItemError::new(ErrorCode::Unsupported, format!("there is no type `{name}`"));
        self.kinds.get(name).map(|kind| &**kind).ok_or_else(unknown)
    }
}

impl Provider for Types {
    fn manifest(&self) -> Manifest {
        Manifest {
            format: FORMAT.into(),
            name: self.name.clone(),
            version: self.version.clone(),
            protocol: ProtocolRange { min: VERSION, max: VERSION },
            types: self.kinds.values().map(|kind| kind.descriptor()).collect(),
        }
    }

    fn validate(&self, cx: &Context, item: &DesiredItem) -> Result<(), ItemError> {
        quiet(cx, self.kind(item.type_name.as_str())?.validate(cx, item))
    }

    fn read(&self, cx: &Context, item: &ReadItem) -> Result<ReadAnswer, ItemError> {
        quiet(cx, self.kind(item.type_name.as_str())?.read(cx, item))
    }

    fn plan(&self, cx: &Context, item: &PlanItem) -> Result<PlanAnswer, ItemError> {
        quiet(cx, self.kind(item.type_name.as_str())?.plan(cx, item))
    }

    fn apply(&self, cx: &Context, op: &Apply) -> Result<Applied, ItemError> {
        quiet(cx, self.kind(op.type_name.as_str())?.apply(cx, op))
    }
}

/// A result whose error holds no value of a secret, whatever quoted it.
fn quiet<T>(cx: &Context, result: Result<T, ItemError>) -> Result<T, ItemError> {
    result.map_err(|error| hide_error(error, &cx.settings.secrets))
}

/// An error with what is known of the effect: at least what could be seen, and what the context knows.
pub(crate) fn truthful(cx: &Context, error: ItemError, least: rectify_protocol::Mutated) -> ItemError {
    use rectify_protocol::Mutated;
    let touched = if cx.has_touched() { Mutated::Maybe } else { Mutated::No };
    let mutated = error.mutated.max(least).max(touched);
    error.mutated(mutated)
}
