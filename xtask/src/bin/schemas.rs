//! Prints the JSON Schema of every format as one object by name. `cargo xtask codegen` runs it and
//! writes `schemas/<name>.schema.json`.

use rectify_base::schema::Named;
use serde_json::{Map, Value};

fn main() {
    let all: [Vec<Named>; 1] = [rectify_model::schema::schemas()];
    let object: Map<String, Value> =
        all.into_iter().flatten().map(|(name, schema)| (name.to_owned(), schema)).collect();
    println!("{}", Value::Object(object));
}
