//! The schemas themselves, and the documents that are committed beside them.

use crate::schema::{all, json, root, valid};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;
use std::fs;

#[test]
fn every_schema_is_of_the_draft_and_says_what_its_members_mean() {
    assert!(all().len() >= 19, "{:?}", all().keys());
    for (name, (schema, _)) in all() {
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema", "{name}");
        jsonschema::draft202012::meta::validate(schema).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(schema["title"].as_str().is_some_and(|t| t.len() > 8), "{name} has no title");
        if !matches!(name.as_str(), "protocol" | "policy-input") {
            described(name, schema);
        }
    }
}

/// Every member of every object has a description.
fn described(place: &str, schema: &Value) {
    match schema {
        Value::Object(members) => {
            for (name, member) in members.get("properties").and_then(Value::as_object).into_iter().flatten() {
                let said = member.get("description").and_then(Value::as_str).is_some_and(|d| !d.is_empty());
                let fixed = member.get("const").is_some() || *member == Value::Bool(false);
                // A variant is described where it stands, its only member is its name.
                let variant = members.get("required").and_then(Value::as_array).is_some_and(|r| r.len() == 1)
                    && members.get("description").is_some();
                assert!(said || fixed || variant, "{place}: `{name}` is not described");
            }
            for (key, value) in members {
                described(&format!("{place}/{key}"), value);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| described(place, item)),
        _ => {}
    }
}

#[test]
fn documents_of_the_valid_plan() {
    let directory = "conformance/cases/plans/valid";
    let mut seen = 0;
    for entry in fs::read_dir(root().join(directory)).unwrap() {
        let file = entry.unwrap().file_name().into_string().unwrap();
        let name = file.split('.').next().unwrap();
        valid(name, &file, &json(&format!("{directory}/{file}")));
        seen += 1;
    }
    assert!(seen >= 5);
}

#[test]
fn the_envelope_of_the_vectors_and_its_statement() {
    let envelope = json("conformance/vectors/dsse/approval/envelope.json");
    valid("envelope", "the vector", &envelope);
    let payload = STANDARD.decode(envelope["payload"].as_str().unwrap()).unwrap();
    valid("statement", "the vector's payload", &serde_json::from_slice(&payload).unwrap());
}

#[test]
fn the_vectors_of_names_are_spelt_as_the_schemas_say() {
    let definitions: &[(&str, &str, &[&str])] = &[
        ("name", "graph", &["ProjectName", "TargetName"]),
        ("type", "graph", &["TypeName"]),
        ("address", "graph", &["Address"]),
        ("use", "journal", &["UseId"]),
        ("run", "journal", &["RunId"]),
        ("blake3", "plan", &["Digest"]),
        ("sha256", "plan", &["Sha256Digest"]),
    ];
    let vectors = json("conformance/vectors/names/names.json");
    let vectors = vectors.as_array().unwrap();
    assert_eq!(vectors.len(), definitions.len());
    for vector in vectors {
        let (_, schema, names) = definitions.iter().find(|(kind, ..)| vector["kind"] == **kind).unwrap();
        for name in *names {
            let validator = jsonschema::validator_for(&all()[*schema].0["$defs"][*name]).unwrap();
            for (list, expected) in [("valid", true), ("invalid", false)] {
                for text in vector[list].as_array().unwrap() {
                    assert_eq!(validator.is_valid(text), expected, "{name}: {text}");
                }
            }
        }
    }
}
