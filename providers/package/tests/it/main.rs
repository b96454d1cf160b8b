//! What needs no package manager that may be changed. The rest is tested on nodes, see `tests/node`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod cases;
mod versions;
