//! The checks. Their names are those of the catalogue.

pub(crate) mod again;
pub(crate) mod blob;
pub(crate) mod exact;
pub(crate) mod ledger;
pub(crate) mod protocol;
pub(crate) mod robust;
pub(crate) mod schema;
pub(crate) mod secret;
pub(crate) mod time;

use crate::{
    bed::{Bed, Subject},
    kit::Scene,
    outcome::{Check, skip},
};
use serde_json::{Value, json};

/// A sandbox for a type with fixtures.
pub(crate) fn bed<'k>(scene: &Scene<'k>, subject: &Subject<'_>) -> Check<Bed<'k>> {
    Bed::make(scene.kit, Some(subject.fixture()?))
}

/// The first type with fixtures, with a sandbox for it.
pub(crate) fn any<'s, 'k>(scene: &'s Scene<'k>) -> Check<(&'s Subject<'k>, Bed<'k>)> {
    for subject in scene.subjects {
        if let Ok(fixture) = subject.fixture() {
            return Ok((subject, Bed::make(scene.kit, Some(fixture))?));
        }
    }
    skip("there are no fixtures")
}

/// Properties A of a type, as an item.
pub(crate) fn item_a(subject: &Subject<'_>) -> Check<Value> {
    Ok(json!({"type": subject.name(), "desired": subject.fixture()?.a}))
}
