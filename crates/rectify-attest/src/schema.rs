//! JSON Schemas of envelopes, statements and predicates, see [`rectify_base::schema`].

use crate::{
    envelope::Wire,
    predicate::{Approval, DecisionRecord, Receipt, Seal},
    statement::{Predicate, Statement},
};
use rectify_base::schema::{Named, Null, assemble, document};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

/// All of them.
#[must_use]
pub fn schemas() -> Vec<Named> {
    vec![
        ("envelope", document::<Wire>("DSSE envelope of Rectify", Null::Refused)),
        (
            "statement",
            assemble("in-toto statement of Rectify", Null::Refused, |generator| {
                json_schema!({
                    "description": "The payload of an envelope, told apart by `predicateType`.",
                    "oneOf": [
                        statement::<DecisionRecord>(generator),
                        statement::<Seal>(generator),
                        statement::<Approval>(generator),
                        statement::<Receipt>(generator),
                    ]
                })
            }),
        ),
        ("decision", document::<DecisionRecord>("Rectify decision", Null::Refused)),
        ("seal", document::<Seal>("Rectify seal", Null::Refused)),
        ("approval", document::<Approval>("Rectify approval", Null::Refused)),
        ("receipt", document::<Receipt>("Rectify receipt", Null::Refused)),
    ]
}

/// The statement whose predicate is of one type.
fn statement<T: Predicate + JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = Statement::<T>::json_schema(generator);
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.insert("predicateType".into(), json!({"const": T::KIND.uri()}));
    }
    schema
}
