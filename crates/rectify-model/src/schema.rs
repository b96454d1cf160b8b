//! JSON Schemas of the documents in this crate, see [`rectify_base::schema`].

use crate::{
    Graph, Observation, Plan,
    journal::{Entry, Record, RunOutcome, RunRecord},
};
use alloc::{vec, vec::Vec};
use rectify_base::schema::{Form, Named, assemble, document};
use schemars::json_schema;

/// All of them.
#[must_use]
pub fn schemas() -> Vec<Named> {
    vec![
        ("graph", document::<Graph>("Rectify graph", Form::Canonical)),
        ("observation", document::<Observation>("Rectify observation", Form::Canonical)),
        ("plan", document::<Plan>("Rectify plan", Form::Canonical)),
        (
            "journal",
            assemble("Rectify journal", Form::Canonical, |generator| {
                json_schema!({
                    "description": "One value of the journal: the beginning of a run, a record of it, alone or with its place and time, or how the run ended.",
                    "anyOf": [
                        generator.subschema_for::<RunRecord>(),
                        generator.subschema_for::<Record>(),
                        generator.subschema_for::<Entry>(),
                        generator.subschema_for::<RunOutcome>(),
                    ]
                })
            }),
        ),
    ]
}
