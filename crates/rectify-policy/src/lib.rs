//! Policy: what may be done, decided by Rego over a published view of the plan.
//!
//! Everything here is a pure function of its arguments: no clock (time is a field of the input),
//! no file, no environment, no randomness. It may still loop, exhaust memory or overflow the
//! stack, because Rego can: untrusted bundles are only ever evaluated in the confined child of
//! `rectify-host`, which speaks [`wire`].
//!
//! A bundle is first [loaded](check::check): parsed, linted against the schema of the input, and
//! its own tests run. Only then is it [evaluated](evaluate()).

pub mod bundle;
#[doc(hidden)]
pub mod bytes;
pub mod check;
pub mod clock;
pub mod codes;
mod commands;
mod data;
mod engine;
pub mod error;
pub mod evaluate;
mod foreign;
pub mod freeze;
pub mod input;
pub mod limits;
mod lint;
mod overrides;
pub mod report;
mod schema;
pub mod surroundings;
pub mod wire;

pub use bundle::{Bundle, standard};
pub use check::{Checked, check};
pub use clock::Clock;
pub use error::PolicyError;
pub use evaluate::{evaluate, evaluate_in};
pub use freeze::Zones;
pub use input::input;
pub use report::{Explanation, TestReport, explain};
pub use schema::INPUT_SCHEMA;
pub use surroundings::{History, ProviderVerdict, Surroundings, TargetHistory};
