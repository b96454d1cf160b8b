//! The schema of the input, as published. It also tells the linter which fields exist.

/// `schemas/policy-input.schema.json`.
pub const INPUT_SCHEMA: &str = include_str!("../../../schemas/policy-input.schema.json");

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    /// `RECTIFY_UPDATE_SCHEMAS=1` writes the file anew.
    #[test]
    fn the_published_schema_is_that_of_the_types() {
        let text = serde_json::to_string_pretty(&crate::input::generated_schema()).unwrap() + "\n";
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../schemas/policy-input.schema.json");
        if std::env::var_os("RECTIFY_UPDATE_SCHEMAS").is_some() {
            std::fs::write(path, &text).unwrap();
        }
        assert_eq!(text, std::fs::read_to_string(path).unwrap());
    }
}
