//! JSON Schemas of envelopes, statements and predicates, see [`rectify_base::schema`].

use crate::{
    envelope::Wire,
    lock::Lock,
    predicate::{Approval, DecisionRecord, Override, Receipt, Resolution, Seal},
    release::Release,
    statement::{Predicate, Statement},
};
use rectify_base::schema::{Form, Named, assemble, document};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

/// All of them.
#[must_use]
pub fn schemas() -> Vec<Named> {
    vec![
        ("envelope", document::<Wire>("DSSE envelope of Rectify", Form::Canonical)),
        (
            "statement",
            assemble("in-toto statement of Rectify", Form::Canonical, |generator| {
                json_schema!({
                    "description": "The payload of an envelope, told apart by `predicateType`.",
                    "oneOf": [
                        statement::<DecisionRecord>(generator),
                        statement::<Seal>(generator),
                        statement::<Approval>(generator),
                        statement::<Receipt>(generator),
                        statement::<Override>(generator),
                        statement::<Resolution>(generator),
                        statement::<Release>(generator),
                    ]
                })
            }),
        ),
        ("decision", document::<DecisionRecord>("Rectify decision", Form::Canonical)),
        ("seal", document::<Seal>("Rectify seal", Form::Canonical)),
        ("approval", document::<Approval>("Rectify approval", Form::Canonical)),
        ("receipt", document::<Receipt>("Rectify receipt", Form::Canonical)),
        ("override", document::<Override>("Rectify override", Form::Canonical)),
        ("release", document::<Release>("Rectify provider release", Form::Canonical)),
        ("lock", document::<Lock>("Rectify lock file", Form::Canonical)),
        ("resolution", document::<Resolution>("Rectify resolution", Form::Canonical)),
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
