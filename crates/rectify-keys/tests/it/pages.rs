//! Every code has a page.

use rectify_keys::codes;
use std::{fs, path::PathBuf};

#[test]
fn every_code_has_a_page() {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors");
    for code in codes::ALL {
        let page = fs::read_to_string(directory.join(format!("{code}.md"))).unwrap_or_default();
        let complete = page.starts_with(&format!("# {code}\n"))
            && page.contains("\n## Why\n")
            && page.contains("\n## What to do\n");
        assert!(complete, "docs/errors/{code}.md is missing or incomplete");
    }
}
