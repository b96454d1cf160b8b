//! The provider `account`: users, groups, and the keys that let users in over ssh.
//!
//! ```text
//! files ── what passwd, group, shadow say ──▶ user, group, keys ──▶ thing: plan, apply
//!                                             line: one key          └──▶ tool: useradd and its kin
//! ```
//!
//! The files are read here and written by the target's own tools, which hold the locks that everybody
//! else respects. It asks no name service: who is not in the files is not there.

mod files;
mod group;
mod keys;
mod line;
mod manifest;
mod thing;
mod tool;
mod user;

use rectify_sdk::{
    Context, Provider,
    protocol::{
        ErrorCode, ItemError, Manifest,
        message::{Applied, Apply, DesiredItem, PlanAnswer, PlanItem, ReadAnswer, ReadItem},
    },
    stand_in,
};
use serde_json::{Map, Value};
use std::sync::{Mutex, PoisonError};
use thing::Thing;
use user::Secrets;

/// The provider.
#[must_use]
pub fn provider() -> impl Provider {
    AccountProvider { changes: Mutex::new(()) }
}

struct AccountProvider {
    /// The tools lock the same files, and wait for each other only so long.
    changes: Mutex<()>,
}

const USER: &str = "user.account";
const GROUP: &str = "group.entry";
const KEYS: &str = "ssh.authorized_keys";

fn no_type(name: &str) -> ItemError {
    ItemError::new(ErrorCode::Unsupported, format!("there is no type `{name}`"))
}

/// A thing as it is now.
fn look(cx: &Context, name: &str, desired: &Map<String, Value>) -> Result<Box<dyn Thing>, ItemError> {
    match name {
        USER => {
            let revealed = cx.reveal(desired)?;
            let secrets = if revealed.is_secret { Secrets::Revealed } else { Secrets::None };
            Ok(Box::new(user::User::new(&revealed.properties, secrets)?.seen(cx)?))
        }
        GROUP => Ok(Box::new(group::Group::new(desired)?.seen(cx)?)),
        KEYS => Ok(Box::new(keys::Keys::new(desired)?.seen(cx)?)),
        other => Err(no_type(other)),
    }
}

/// The tools change a whole machine; what they would make of a directory is not known.
fn machines_only(cx: &Context, name: &str) -> Result<(), ItemError> {
    if cx.root().is_none() || name == KEYS {
        return Ok(());
    }
    let message = "users and groups are managed on whole machines, and the target is a directory";
    Err(ItemError::new(ErrorCode::Unsupported, message))
}

impl Provider for AccountProvider {
    fn manifest(&self) -> Manifest {
        manifest::manifest()
    }

    fn validate(&self, _cx: &Context, item: &DesiredItem) -> Result<(), ItemError> {
        match item.type_name.as_str() {
            USER => {
                let plain = item.desired.get("password").is_none_or(Value::is_string);
                let secrets = if plain { Secrets::None } else { Secrets::StandIn };
                user::User::new(&stand_in(&item.desired), secrets).map(drop)
            }
            GROUP => group::Group::new(&item.desired).map(drop),
            KEYS => keys::Keys::new(&item.desired).map(drop),
            other => Err(no_type(other)),
        }
    }

    fn read(&self, cx: &Context, item: &ReadItem) -> Result<ReadAnswer, ItemError> {
        // Only what names the thing counts.
        let naming = |name: &str| matches!(name, "name" | "user");
        let desired: Map<String, Value> = item
            .desired
            .iter()
            .filter(|(name, _)| naming(name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        thing::read(cx, &*look(cx, item.type_name.as_str(), &desired)?, item.capture)
    }

    fn plan(&self, cx: &Context, item: &PlanItem) -> Result<PlanAnswer, ItemError> {
        machines_only(cx, item.type_name.as_str())?;
        thing::plan(&*look(cx, item.type_name.as_str(), &item.desired)?, item)
    }

    fn apply(&self, cx: &Context, op: &Apply) -> Result<Applied, ItemError> {
        machines_only(cx, op.type_name.as_str())?;
        let _one = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        thing::apply(cx, op, &|| look(cx, op.type_name.as_str(), &op.desired))
    }
}
