//! What asks a provider for the inverse of a step: the properties that name the thing, and what it is to
//! be again.

use rectify_base::{Digest, Pointer, fingerprint::fingerprint};
use rectify_model::{
    grade::TypeKind,
    plan::{PlanType, Step},
};
use rectify_protocol::{
    manifest::TypeDescriptor,
    message::{RESTORE, Restore, UNDO},
};
use serde_json::{Map, Value};

/// The properties of the inverse of a step; `None` where the signed plan does not hold the state before.
///
/// For a resource these are the properties that name what the step writes, and the state that the plan
/// expected to find, whose fingerprint must be `result`. For an action they are all properties, and the
/// wish for its declared way back.
#[must_use]
pub fn desired(
    step: &Step,
    facts: &PlanType,
    descriptor: &TypeDescriptor,
    result: Option<Digest>,
) -> Option<Map<String, Value>> {
    if facts.kind == TypeKind::Action {
        let mut desired = step.desired.clone();
        desired.insert(UNDO.into(), Value::Bool(true));
        return Some(desired);
    }
    let state = step.before(&facts.volatile);
    let found = fingerprint(&step.type_name, facts.version, state.as_ref(), &facts.volatile).ok()?;
    if result.is_some_and(|result| result != found) {
        return None;
    }
    let mut desired = Map::new();
    for name in naming(descriptor) {
        if let Some(value) = step.desired.get(&name) {
            desired.insert(name, value.clone());
        }
    }
    desired.insert(RESTORE.into(), serde_json::to_value(Restore { state }).ok()?);
    Some(desired)
}

/// The properties that name what a type writes.
fn naming(descriptor: &TypeDescriptor) -> Vec<String> {
    let written = descriptor.touches.iter().filter(|rule| rule.access == "write");
    written.filter_map(|rule| first(&rule.property)).collect()
}

fn first(pointer: &Pointer) -> Option<String> {
    pointer.tokens().into_iter().next()
}
