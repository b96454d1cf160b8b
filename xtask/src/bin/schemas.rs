//! Prints the JSON Schema of every format as one object by name. `cargo xtask codegen` runs it and
//! writes `schemas/<name>.schema.json`.

use rectify_sdk::Provider as _;
use serde_json::{Map, Value};

fn main() {
    let manifests = [
        rectify_provider_account::provider().manifest(),
        rectify_provider_command::provider().manifest(),
        rectify_provider_facts::provider().manifest(),
        rectify_provider_file::provider().manifest(),
        rectify_provider_package::provider().manifest(),
        rectify_provider_probe::provider().manifest(),
        rectify_provider_service::provider().manifest(),
        rectify_provider_sysctl::provider().manifest(),
    ];
    let all = [
        rectify_model::schema::schemas(),
        rectify_protocol::schema::schemas(),
        rectify_attest::schema::schemas(),
        rectify_audit::schema::schemas(),
        rectify_conform::schemas(),
        rectify_keys::schema::schemas(),
        rectify_plan::schema::schemas(),
        rectify_review::schema::schemas(),
        rectify_compile::editor::schemas(&manifests),
    ];
    let object: Map<String, Value> =
        all.into_iter().flatten().map(|(name, schema)| (name.to_owned(), schema)).collect();
    println!("{}", Value::Object(object));
}
