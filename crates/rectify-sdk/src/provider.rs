//! The trait that a provider implements.

use crate::Context;
use rectify_protocol::{
    ItemError, Manifest,
    message::{Applied, Apply, DesiredItem, PlanAnswer, PlanItem, ReadAnswer, ReadItem},
};
use serde_json::{Map, Value};
use std::sync::Arc;

/// What an engine asks of a provider, as it asks. [`Types`](crate::Types) is one that is put together from typed
/// resources, actions and probes; write your own where states or plans are of another kind.
///
/// Calls come from several threads at once, never two for one item of a batch. Only
/// [`apply`](Provider::apply) may change anything outside the session's private directories, and
/// the SDK refuses it in a session that is not in mode `apply`. A panic is answered as `INTERNAL`.
pub trait Provider: Send + Sync + 'static {
    /// What the provider can do. Always the same value for the same version.
    fn manifest(&self) -> Manifest;

    /// Checks properties beyond their schema. Pure.
    ///
    /// # Errors
    /// `SCHEMA` with the place, when a rule of the type is broken.
    fn validate(&self, _cx: &Context, _item: &DesiredItem) -> Result<(), ItemError> {
        Ok(())
    }

    /// The canonical form of properties. Pure, and its own fixed point.
    ///
    /// # Errors
    /// `SCHEMA` with the place, when they cannot be read.
    fn normalize(&self, _cx: &Context, item: &DesiredItem) -> Result<Map<String, Value>, ItemError> {
        Ok(item.desired.clone())
    }

    /// The state now. What the properties say about the desired state must not matter.
    ///
    /// # Errors
    /// When it cannot be seen. A thing that does not exist is no error.
    fn read(&self, cx: &Context, item: &ReadItem) -> Result<ReadAnswer, ItemError>;

    /// What would change. Changes nothing.
    ///
    /// # Errors
    /// When it cannot be decided.
    fn plan(&self, cx: &Context, item: &PlanItem) -> Result<PlanAnswer, ItemError>;

    /// Makes the planned change, if the state is as expected (see [`Context::compare`]).
    ///
    /// # Errors
    /// With `mutated` saying truthfully what is known of the effect.
    fn apply(&self, cx: &Context, op: &Apply) -> Result<Applied, ItemError>;
}

/// So that several sessions can have one provider.
impl<P: Provider> Provider for Arc<P> {
    fn manifest(&self) -> Manifest {
        (**self).manifest()
    }

    fn validate(&self, cx: &Context, item: &DesiredItem) -> Result<(), ItemError> {
        (**self).validate(cx, item)
    }

    fn normalize(&self, cx: &Context, item: &DesiredItem) -> Result<Map<String, Value>, ItemError> {
        (**self).normalize(cx, item)
    }

    fn read(&self, cx: &Context, item: &ReadItem) -> Result<ReadAnswer, ItemError> {
        (**self).read(cx, item)
    }

    fn plan(&self, cx: &Context, item: &PlanItem) -> Result<PlanAnswer, ItemError> {
        (**self).plan(cx, item)
    }

    fn apply(&self, cx: &Context, op: &Apply) -> Result<Applied, ItemError> {
        (**self).apply(cx, op)
    }
}
