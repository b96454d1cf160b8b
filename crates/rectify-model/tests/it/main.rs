//! Laws of the shared data types, and the vectors that need nothing else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod canonical;
mod canonical_json;
mod digests;
mod journal;
mod names;
mod plan;

use serde::de::DeserializeOwned;
use std::{fs, path::Path};

/// The vectors in a file; at least as many as there were when this was written.
fn vectors<T: DeserializeOwned>(file: &str, at_least: usize) -> Vec<T> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance/vectors").join(file);
    let bytes = fs::read(&path).unwrap_or_else(|e| panic!("{file}: {e}"));
    let found: Vec<T> = serde_json::from_slice(&bytes).unwrap_or_else(|e| panic!("{file}: {e}"));
    assert!(found.len() >= at_least, "{file} has only {} vectors", found.len());
    found
}

/// Bytes of hexadecimal digits.
fn bytes_of(hex: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(digit).collect()
}
