//! The properties of `package.installed`: which package, and what it should be.

use crate::{state::State, version};
use rectify_sdk::protocol::{
    ErrorCode, ItemError,
    message::{RESTORE, Restore},
};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

pub(crate) fn wrong(message: impl Into<String>, at: &str) -> ItemError {
    ItemError::new(ErrorCode::Schema, message).at(at)
}

/// Which package, and what is asked for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Properties {
    pub(crate) name: String,
    pub(crate) want: Want,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Want {
    /// Installed.
    Present(Present),
    /// Not installed.
    Absent(Absent),
    /// What was there before.
    Back(Option<State>),
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Present {
    pub(crate) version: Option<String>,
    pub(crate) minimum: Option<String>,
    pub(crate) only_if_installed: bool,
    pub(crate) held: Option<bool>,
    pub(crate) downgrade: bool,
    pub(crate) removes: BTreeSet<String>,
    pub(crate) recommends: Option<bool>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Absent {
    pub(crate) purge: bool,
    /// Also if it is held.
    pub(crate) unhold: bool,
    pub(crate) removes: BTreeSet<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    #[serde(default)]
    state: Presence,
    version: Option<String>,
    minimum: Option<String>,
    #[serde(default)]
    only_if_installed: bool,
    held: Option<bool>,
    #[serde(default)]
    downgrade: bool,
    #[serde(default)]
    removes: BTreeSet<String>,
    recommends: Option<bool>,
    #[serde(default)]
    purge: bool,
}

#[derive(Default, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Presence {
    #[default]
    Present,
    Absent,
}

/// Whether a text is the name of a package, maybe with an architecture. A name that ends with `-` would
/// mean to apt that the package is to go.
fn is_name(text: &str) -> bool {
    let (name, architecture) = text.split_once(':').unwrap_or((text, "all"));
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let ends = |at: Option<u8>, more: &[u8]| at.is_some_and(|b| plain(b) || more.contains(&b));
    name.len() > 1
        && text.len() <= 200
        && ends(name.bytes().next(), b"")
        && ends(name.bytes().last(), b"+")
        && name.bytes().all(|b| plain(b) || b"+.-".contains(&b))
        && !architecture.is_empty()
        && architecture.bytes().all(plain)
}

impl Properties {
    /// Reads them.
    pub(crate) fn read(desired: &Map<String, Value>) -> Result<Self, ItemError> {
        let mut desired = desired.clone();
        let restore = desired.remove(RESTORE);
        let unreadable = |e: serde_json::Error| wrong(format!("the properties cannot be read: {e}"), "");
        let written: Written = serde_json::from_value(Value::Object(desired)).map_err(unreadable)?;
        if !is_name(&written.name) {
            return Err(wrong("this cannot be the name of a package", "/name"));
        }
        if let Some(at) = written.removes.iter().position(|name| !is_name(name)) {
            return Err(wrong("this cannot be the name of a package", &format!("/removes/{at}")));
        }
        for (version, at) in [(&written.version, "/version"), (&written.minimum, "/minimum")] {
            if version.as_ref().is_some_and(|version| !version::is_version(version)) {
                return Err(wrong("this cannot be a version", at));
            }
        }
        let want = match restore {
            Some(restore) => {
                let restore: Restore = serde_json::from_value(restore).map_err(unreadable)?;
                Want::Back(restore.state.map(|state| State::of(&state, &written.name)).transpose()?)
            }
            None if written.state == Presence::Absent => Want::Absent(written.absent()?),
            None => Want::Present(written.present()?),
        };
        Ok(Self { name: written.name, want })
    }

    /// Only which package.
    pub(crate) fn named(desired: &Map<String, Value>) -> Result<Self, ItemError> {
        let name = desired.iter().filter(|(name, _)| name.as_str() == "name");
        Self::read(&name.map(|(name, value)| (name.clone(), value.clone())).collect())
    }
}

impl Written {
    fn absent(&self) -> Result<Absent, ItemError> {
        let only_present = [
            (self.version.is_some(), "/version"),
            (self.minimum.is_some(), "/minimum"),
            (self.only_if_installed, "/only_if_installed"),
            (self.held == Some(true), "/held"),
            (self.downgrade, "/downgrade"),
            (self.recommends.is_some(), "/recommends"),
        ];
        if let Some((_, at)) = only_present.into_iter().find(|(given, _)| *given) {
            return Err(wrong("this says nothing of a package that is to be absent", at));
        }
        let unhold = self.held == Some(false);
        Ok(Absent { purge: self.purge, unhold, removes: self.removes.clone() })
    }

    fn present(&self) -> Result<Present, ItemError> {
        if self.purge {
            return Err(wrong("only a package that is to be absent can be purged", "/purge"));
        }
        if self.version.is_some() && self.minimum.is_some() {
            return Err(wrong("`version` and `minimum` exclude each other", "/minimum"));
        }
        if self.downgrade && self.version.is_none() {
            return Err(wrong("only to a `version` can be downgraded", "/downgrade"));
        }
        Ok(Present {
            version: self.version.clone(),
            minimum: self.minimum.clone(),
            only_if_installed: self.only_if_installed,
            held: self.held,
            downgrade: self.downgrade,
            removes: self.removes.clone(),
            recommends: self.recommends,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn read(value: &Value) -> Result<Properties, ItemError> {
        Properties::read(value.as_object().unwrap())
    }

    #[test]
    fn properties_say_what_is_asked_for() {
        let present = read(&json!({"name": "g++", "minimum": "4:12.2.0-3"})).unwrap();
        let Want::Present(want) = present.want else { unreachable!() };
        assert_eq!(want.minimum.as_deref(), Some("4:12.2.0-3"));
        let absent = read(&json!({"name": "libc6:i386", "state": "absent", "purge": true})).unwrap();
        assert_eq!(absent.want, Want::Absent(Absent { purge: true, ..Absent::default() }));
        let back = read(&json!({"name": "ed", "$restore": {}})).unwrap();
        assert_eq!(back.want, Want::Back(None));
    }

    #[test]
    fn what_makes_no_sense_is_refused_at_its_place() {
        for (properties, place) in [
            (json!({"name": "x"}), "/name"),
            (json!({"name": "-o"}), "/name"),
            (json!({"name": "ed-"}), "/name"),
            (json!({"name": "ed."}), "/name"),
            (json!({"name": "ed*"}), "/name"),
            (json!({"name": "ed/sid"}), "/name"),
            (json!({"name": "ed:"}), "/name"),
            (json!({"name": "ed:a:b"}), "/name"),
            (json!({"name": "ed", "version": "1 2"}), "/version"),
            (json!({"name": "ed", "minimum": "a"}), "/minimum"),
            (json!({"name": "ed", "version": "1", "minimum": "1"}), "/minimum"),
            (json!({"name": "ed", "downgrade": true}), "/downgrade"),
            (json!({"name": "ed", "purge": true}), "/purge"),
            (json!({"name": "ed", "removes": ["vi", "--x"]}), "/removes/0"),
            (json!({"name": "ed", "state": "absent", "version": "1"}), "/version"),
            (json!({"name": "ed", "state": "absent", "held": true}), "/held"),
            (json!({"name": "ed", "state": "absent", "recommends": false}), "/recommends"),
            (json!({"name": "ed", "other": 1}), ""),
        ] {
            let error = read(&properties).unwrap_err();
            assert_eq!((error.code, error.path.as_deref()), (ErrorCode::Schema, Some(place)), "{properties}");
        }
    }
}
