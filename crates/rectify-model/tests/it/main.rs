//! Laws of the shared data types.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod journal;
