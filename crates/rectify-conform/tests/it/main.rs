//! The kit against a provider that misbehaves in one way at a time, and its papers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod behaviours;
mod papers;
mod verdicts;

use rectify_conform::{Fixtures, Host, Kit, Patience};
use std::{path::PathBuf, time::Duration};

const MISBEHAVE: &str = env!("CARGO_BIN_EXE_rectify-conform-misbehave");

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// A kit for the misbehaving provider, as quick as may be.
fn kit(behaviour: &str) -> Kit {
    let bytes = include_bytes!("fixtures.yaml");
    let provider = vec![MISBEHAVE.to_owned(), behaviour.to_owned()];
    let mut kit = Kit::new(provider, Fixtures::read(bytes).unwrap(), Fixtures::digest(bytes));
    let three = Duration::from_secs(3);
    kit.patience = Patience { greeting: three, answer: three, exit: three };
    kit.soak = 400;
    kit.jobs = 6;
    kit
}

/// [`kit`], behind a prefix.
fn behind(behaviour: &str, prefix: &str) -> Kit {
    Kit { host: Host::via(prefix), ..kit(behaviour) }
}
