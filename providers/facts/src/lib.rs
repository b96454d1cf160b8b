//! The provider `facts`: what a target is, for expressions to decide by. It only reads, starts
//! nothing, and tells nothing that changes by itself: no time, no process, no counter.
//!
//! The state of each type is `{"value": …}`, or `{"absent": "why"}` where a target has nothing of
//! the kind. What cannot be read is an error: it is not known to be absent.

mod addresses;
mod kernel;
mod manifest;
mod mounts;
mod os;
mod packages;
#[doc(hidden)]
pub mod pure;
mod source;
mod units;

use rectify_sdk::{
    Context, Provider,
    protocol::{
        ErrorCode, ItemError, Manifest,
        message::{Applied, Apply, DesiredItem, PlanAnswer, PlanItem, ReadAnswer, ReadItem},
    },
};
use serde_json::{Value, json};

/// The provider.
#[must_use]
pub fn provider() -> impl Provider {
    FactsProvider
}

struct FactsProvider;

/// What was found of a group.
#[derive(Debug, PartialEq)]
enum Told {
    Value(Value),
    Absent(String),
}

/// What a group comes to, or why it cannot be told.
type Answer = Result<Told, ItemError>;

/// Reads a group.
fn tell(cx: &Context, name: &str) -> Answer {
    let files = source::Files::new(cx.root());
    match name {
        "facts.addresses" => addresses::tell(&files),
        "facts.kernel" => Ok(kernel::tell(&files)),
        "facts.mounts" => mounts::tell(&files, &cx.dirs().work),
        "facts.os" => os::tell(&files),
        "facts.packages" => packages::tell(&files),
        "facts.units" => units::tell(&files),
        other => Err(ItemError::new(ErrorCode::Unsupported, format!("there are no facts `{other}`"))),
    }
}

/// More of something than is told.
fn too_many(what: &str, most: usize) -> ItemError {
    ItemError::new(ErrorCode::Unsupported, format!("there are more than {most} {what}"))
}

impl Provider for FactsProvider {
    fn manifest(&self) -> Manifest {
        manifest::manifest()
    }

    fn validate(&self, _cx: &Context, item: &DesiredItem) -> Result<(), ItemError> {
        match item.desired.keys().next() {
            None => Ok(()),
            Some(name) => {
                Err(ItemError::new(ErrorCode::Schema, "facts have no properties").at(format!("/{name}")))
            }
        }
    }

    fn read(&self, cx: &Context, item: &ReadItem) -> Result<ReadAnswer, ItemError> {
        let state = match tell(cx, item.type_name.as_str())? {
            Told::Value(value) => json!({"value": value}),
            Told::Absent(why) => json!({"absent": why}),
        };
        Ok(ReadAnswer { state: Some(state), before_image: None })
    }

    fn plan(&self, _cx: &Context, item: &PlanItem) -> Result<PlanAnswer, ItemError> {
        let message = format!("`{}` tells facts; there is nothing to plan", item.type_name);
        Err(ItemError::new(ErrorCode::Unsupported, message))
    }

    fn apply(&self, _cx: &Context, op: &Apply) -> Result<Applied, ItemError> {
        let message = format!("`{}` tells facts; it changes nothing", op.type_name);
        Err(ItemError::new(ErrorCode::Unsupported, message))
    }
}
