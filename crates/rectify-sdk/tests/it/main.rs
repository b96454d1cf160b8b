//! The serve loop and the ledger, with a real provider process at the other end.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod blobs;
mod fence;
mod fixture;
mod hostile;
mod ledger;
mod lifecycle;
mod modes;
mod power;
mod selftest;
mod structs;
mod typed;
