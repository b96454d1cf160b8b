//! The provider `package`: packages are installed, at a version or at least at one, held, or not there.
//!
//! ```text
//! properties ──▶ goal: what should be, by a simulation ──▶ step: plan, apply
//!                  └── backend: apt (parse, run)              └── record: what came with it
//! ```
//!
//! The package manager decides what a change takes, in a simulation; the plan says all of it; and an
//! operation begins only if the package manager would still do just that.

mod apt;
mod asked;
mod backend;
mod goal;
mod manifest;
mod properties;
pub mod pure;
mod record;
mod state;
mod step;
mod version;

use asked::Asked;
use properties::Properties;
use rectify_sdk::{
    Context, Provider,
    protocol::{
        ItemError, Manifest,
        message::{Applied, Apply, DesiredItem, PlanAnswer, PlanItem, ReadAnswer, ReadItem},
    },
};
use std::sync::{Arc, Mutex, PoisonError};

const TYPE: &str = "package.installed";

/// The provider.
#[must_use]
pub fn provider() -> impl Provider {
    PackageProvider { first: Mutex::new(None), asked: Arc::default() }
}

struct PackageProvider {
    /// One change at a time: there is one package database.
    first: Mutex<step::First>,
    asked: Arc<Asked>,
}

impl Provider for PackageProvider {
    fn manifest(&self) -> Manifest {
        manifest::manifest()
    }

    fn validate(&self, _cx: &Context, item: &DesiredItem) -> Result<(), ItemError> {
        Properties::read(&item.desired).map(drop)
    }

    fn read(&self, cx: &Context, item: &ReadItem) -> Result<ReadAnswer, ItemError> {
        let name = Properties::named(&item.desired)?.name;
        let state = step::look(cx, &name, Some(&self.asked))?.state;
        Ok(ReadAnswer { state: state::value(state.as_ref())?, before_image: None })
    }

    fn plan(&self, cx: &Context, item: &PlanItem) -> Result<PlanAnswer, ItemError> {
        step::plan(cx, item, &self.asked)
    }

    fn apply(&self, cx: &Context, op: &Apply) -> Result<Applied, ItemError> {
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        step::apply(cx, op, &mut first)
    }
}
