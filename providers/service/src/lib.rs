//! The provider `service`: units of systemd, their files, and what makes a change of them take effect.
//!
//! ```text
//! lib ─┬─▶ unit: runs, is enabled, is masked ──┬─▶ resource: plan, apply
//!      ├─▶ unit_file: files and drop-ins ──────┘
//!      └─▶ action: restart, reload ─▶ outcome: did it stay up, what does the journal say
//!                     all of them ─▶ manager: systemd, over D-Bus     offline: a root directory
//! ```
//!
//! systemd is asked over D-Bus, and what a job came to is heard from it as a signal. Where the target is a
//! directory there is no bus; there `systemctl --root` enables and masks, and nothing is started.

mod action;
mod manager;
mod manifest;
mod name;
mod offline;
mod outcome;
mod resource;
mod unit;
mod unit_file;

use rectify_sdk::{
    Context, Provider,
    protocol::{
        ErrorCode, ItemError, Manifest,
        message::{Applied, Apply, DesiredItem, PlanAnswer, PlanItem, ReadAnswer, ReadItem},
    },
};
use resource::Resource;
use serde_json::{Map, Value};
use std::sync::{Mutex, PoisonError};

const UNIT: &str = "service.unit";
const UNIT_FILE: &str = "service.unit_file";
const RESTART: &str = "service.restart";
const RELOAD: &str = "service.reload";

/// The provider.
#[must_use]
pub fn provider() -> impl Provider {
    ServiceProvider { bus: None, reloads: Mutex::new(()) }
}

/// The provider with another bus than the system's, by its D-Bus address. For tests.
#[doc(hidden)]
#[must_use]
pub fn provider_on(bus: &str) -> impl Provider + use<> {
    ServiceProvider { bus: Some(bus.to_owned()), reloads: Mutex::new(()) }
}

struct ServiceProvider {
    bus: Option<String>,
    /// What is written and what systemd has read go together, so one file at a time.
    reloads: Mutex<()>,
}

fn no_type(name: &str) -> ItemError {
    ItemError::new(ErrorCode::Unsupported, format!("there is no type `{name}`"))
}

impl ServiceProvider {
    /// Looks at a resource.
    fn look(
        &self,
        cx: &Context,
        name: &str,
        desired: &Map<String, Value>,
    ) -> Result<Box<dyn Resource>, ItemError> {
        match name {
            UNIT => Ok(Box::new(unit::Unit::new(desired)?.seen(cx, self.bus.as_deref())?)),
            UNIT_FILE => Ok(Box::new(unit_file::UnitFile::new(desired)?.seen(cx, self.bus.as_deref())?)),
            other => Err(no_type(other)),
        }
    }
}

impl Provider for ServiceProvider {
    fn manifest(&self) -> Manifest {
        manifest::manifest()
    }

    fn validate(&self, _cx: &Context, item: &DesiredItem) -> Result<(), ItemError> {
        match item.type_name.as_str() {
            UNIT => unit::Unit::new(&item.desired).map(drop),
            UNIT_FILE => unit_file::UnitFile::new(&item.desired).map(drop),
            RESTART | RELOAD => action::Action::new(item.type_name.as_str(), &item.desired).map(drop),
            other => Err(no_type(other)),
        }
    }

    fn read(&self, cx: &Context, item: &ReadItem) -> Result<ReadAnswer, ItemError> {
        match item.type_name.as_str() {
            RESTART | RELOAD => {
                action::Action::new(item.type_name.as_str(), &item.desired)?;
                Ok(ReadAnswer { state: Some(action::state()), before_image: None })
            }
            name => {
                let naming = resource::naming(name, &item.desired);
                Ok(ReadAnswer { state: self.look(cx, name, &naming)?.state()?, before_image: None })
            }
        }
    }

    fn plan(&self, cx: &Context, item: &PlanItem) -> Result<PlanAnswer, ItemError> {
        match item.type_name.as_str() {
            name @ (RESTART | RELOAD) => {
                let action = action::Action::new(name, &item.desired)?;
                action.plan(cx, self.bus.as_deref())
            }
            name => resource::plan(&*self.look(cx, name, &item.desired)?, item),
        }
    }

    fn apply(&self, cx: &Context, op: &Apply) -> Result<Applied, ItemError> {
        match op.type_name.as_str() {
            name @ (RESTART | RELOAD) => {
                let action = action::Action::new(name, &op.desired)?;
                action.apply(cx, op, self.bus.as_deref())
            }
            name => {
                let _one =
                    (name == UNIT_FILE).then(|| self.reloads.lock().unwrap_or_else(PoisonError::into_inner));
                resource::apply(cx, op, &|| self.look(cx, name, &op.desired))
            }
        }
    }
}
