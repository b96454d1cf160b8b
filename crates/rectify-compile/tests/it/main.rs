//! Tests of the compiler through its public interface.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod beside;
mod cases;
mod codes;
mod edges;
mod expressions;
mod facts;
mod hostile;
mod language;
mod laws;
mod locate;
mod modules;
mod properties;
mod render;
mod secrets;
mod types;
mod unfold;
mod words;
