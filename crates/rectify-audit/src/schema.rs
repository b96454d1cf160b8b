//! JSON Schema of the log, see [`rectify_base::schema`].

use crate::{
    detail::{Imported, Lease, Refused},
    export::Header,
    record::AuditRecord,
};
use rectify_base::schema::{Form, Named, assemble};
use schemars::json_schema;

/// All of them.
#[must_use]
pub fn schemas() -> Vec<Named> {
    vec![(
        "audit",
        assemble("Rectify audit log", Form::Canonical, |generator| {
            json_schema!({
                "description": "One value of the audit log: the header of an export, a record, or what records say in detail that is not in the journal.",
                "anyOf": [
                    generator.subschema_for::<Header>(),
                    generator.subschema_for::<AuditRecord>(),
                    generator.subschema_for::<Imported>(),
                    generator.subschema_for::<Lease>(),
                    generator.subschema_for::<Refused>(),
                ]
            })
        }),
    )]
}
