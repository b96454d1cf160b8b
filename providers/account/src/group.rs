//! `group.entry`: a line of the group file.

use crate::{
    files::{Accounts, is_name},
    thing::{Goal, Thing, Undo, conflict, restore_of, typed, written, wrong},
    tool::Change,
};
use rectify_sdk::{
    Context,
    base::Digest,
    crash::{At, reached},
    protocol::{ErrorCode, ItemError, message::Restore},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    name: String,
    gid: u32,
    #[serde(default)]
    members: BTreeSet<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Properties {
    name: String,
    gid: Option<u32>,
    members: Option<BTreeSet<String>>,
    #[serde(default)]
    keep_members: bool,
    #[serde(default)]
    system: bool,
    #[serde(default)]
    state: Presence,
}

/// Whether something should be there.
#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Presence {
    #[default]
    Present,
    Absent,
}

/// A group, and what is asked for.
pub(crate) struct Group {
    properties: Properties,
    restore: Option<Restore>,
    accounts: Accounts,
}

impl Group {
    /// Reads properties, without looking at anything.
    pub(crate) fn new(desired: &Map<String, Value>) -> Result<Self, ItemError> {
        let mut desired = desired.clone();
        let restore = restore_of(&mut desired)?;
        let properties: Properties = typed(Value::Object(desired))?;
        if !is_name(&properties.name) {
            return Err(wrong("this cannot be the name of a group", "/name"));
        }
        let members = properties.members.iter().flatten();
        if let Some(member) = members.into_iter().find(|member| !is_name(member)) {
            let member = member.escape_debug();
            return Err(wrong(format!("`{member}` cannot be the name of a user"), "/members"));
        }
        if properties.state == Presence::Absent && properties.members.is_some() {
            return Err(wrong("a group that is to be absent has no members", "/members"));
        }
        let group = Self { properties, restore, accounts: Accounts::default() };
        if let Some(Restore { state: Some(state) }) = &group.restore {
            group.known(state)?;
        }
        Ok(group)
    }

    /// Looks.
    pub(crate) fn seen(mut self, cx: &Context) -> Result<Self, ItemError> {
        self.accounts = Accounts::load(cx.root())?;
        Ok(self)
    }

    fn known(&self, state: &Value) -> Result<State, ItemError> {
        let state: State = typed(state.clone())?;
        let sound = state.name == self.properties.name && state.members.iter().all(|name| is_name(name));
        if sound { Ok(state) } else { Err(wrong("the given state is about another group", "")) }
    }

    fn found(&self) -> Option<State> {
        let group = self.accounts.group(&self.properties.name)?;
        Some(State { name: group.name.clone(), gid: group.gid, members: group.members.clone() })
    }

    fn wanted(&self, prior: Option<State>) -> Result<State, ItemError> {
        let p = &self.properties;
        let gid = match (p.gid, &prior) {
            (Some(gid), _) => gid,
            (None, Some(prior)) => prior.gid,
            (None, None) => self.accounts.free_number(&p.name, p.system).ok_or_else(|| {
                ItemError::new(ErrorCode::Failed, "no number is free for a new group").at("/gid")
            })?,
        };
        let taken = self.accounts.groups.iter().find(|group| group.gid == gid && group.name != p.name);
        if let Some(other) = taken.filter(|_| prior.as_ref().is_none_or(|prior| prior.gid != gid)) {
            return Err(conflict(format!("the number {gid} belongs to the group `{}`", other.name), "/gid"));
        }
        let before = prior.map(|prior| prior.members).unwrap_or_default();
        let members = match &p.members {
            None => before,
            Some(members) if p.keep_members => members.union(&before).cloned().collect(),
            Some(members) => members.clone(),
        };
        Ok(State { name: p.name.clone(), gid, members })
    }
}

impl Thing for Group {
    fn state(&self) -> Result<Option<Value>, ItemError> {
        self.found().map(|state| written(&state)).transpose()
    }

    fn goal(&self, prior: Option<&Value>) -> Result<Goal, ItemError> {
        let prior = prior.map(|prior| self.known(prior)).transpose()?;
        let goal = match &self.restore {
            Some(restore) => restore.state.as_ref().map(|state| self.known(state)).transpose()?,
            None if self.properties.state == Presence::Absent => None,
            None => Some(self.wanted(prior.clone())?),
        };
        if let (None, Some(prior)) = (&goal, &prior)
            && let Some(user) = self.accounts.users.iter().find(|user| user.gid == prior.gid)
        {
            return Err(conflict(format!("it is the first group of the user `{}`", user.name), "/name"));
        }
        // A user who is not there yet may come by an earlier step.
        let sure = goal.iter().flat_map(|goal| &goal.members).all(|name| self.accounts.user(name).is_some());
        Ok(Goal { state: goal.map(|goal| written(&goal)).transpose()?, sure })
    }

    fn undo(&self, prior: Option<&Value>, goal: Option<&Value>) -> Undo {
        if prior.is_some() && goal.is_none() && self.accounts.has_extras(&self.properties.name) {
            return Undo::lossy("the password and the administrators of the group are not brought back");
        }
        Undo::EXACT
    }

    fn capture(&self, _cx: &Context) -> Result<Option<Digest>, ItemError> {
        Ok(None)
    }

    fn change(&self, cx: &Context, goal: Option<&Value>) -> Result<(), ItemError> {
        let name = self.properties.name.as_str();
        let goal = goal.map(|goal| self.known(goal)).transpose()?;
        let found = self.found();
        let mut change = Change::default();
        match (&found, &goal) {
            (None, None) => {}
            (Some(_), None) => {
                change.then(&["groupdel", name], None);
            }
            (None, Some(goal)) => {
                let gid = goal.gid.to_string();
                let system: &[&str] = if self.properties.system { &["--system"] } else { &[] };
                change.then(&[&["groupadd", "--gid", &gid], system, &["--", name]].concat(), None);
                change.or_back(&["groupdel", name]);
                if !goal.members.is_empty() {
                    self.set_members(&mut change, &goal.members);
                }
            }
            (Some(found), Some(goal)) => {
                if found.gid != goal.gid {
                    change.then(&["groupmod", "--gid", &goal.gid.to_string(), "--", name], None);
                    change.or_back(&["groupmod", "--gid", &found.gid.to_string(), "--", name]);
                }
                if found.members != goal.members {
                    self.set_members(&mut change, &goal.members);
                }
            }
        }
        reached(At::Prepared);
        change.run(cx)?;
        reached(At::Done);
        Ok(())
    }
}

impl Group {
    fn set_members(&self, change: &mut Change, members: &BTreeSet<String>) {
        let members = members.iter().map(String::as_str).collect::<Vec<_>>().join(",");
        change.then(&["gpasswd", "--members", &members, &self.properties.name], None);
    }
}
