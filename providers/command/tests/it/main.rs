//! `command.run` with real processes and real files.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod fixture;
mod guards;
mod laws;
mod outcomes;
mod planning;
mod surroundings;
mod undo;
