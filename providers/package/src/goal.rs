//! What should be, given what is, and what has to be done for it: asked of the package manager as a
//! simulation, and checked against what the step allows.

use crate::{
    backend::{Backend, Changes, Request, Snapshot, Transaction},
    properties::{Absent, Present, Properties, Want},
    state::State,
};
use rectify_sdk::{
    Context,
    protocol::{ErrorCode, ItemError},
};
use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
};

/// What should be.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Goal {
    pub(crate) state: Option<State>,
    /// What the package manager has to do.
    pub(crate) request: Option<Request>,
    /// What that does to all packages.
    pub(crate) changes: Changes,
    /// Whether it can be done as things are.
    pub(crate) sure: bool,
}

impl Goal {
    fn stay(prior: Option<&State>) -> Self {
        Self { state: prior.cloned(), request: None, changes: Changes::new(), sure: true }
    }

    /// Changes of other packages.
    pub(crate) fn others(&self, key: &str) -> Changes {
        let others = self.changes.iter().filter(|(name, _)| name.as_str() != key);
        others.map(|(name, change)| (name.clone(), change.clone())).collect()
    }
}

fn conflict(message: impl Into<String>, at: &str) -> ItemError {
    ItemError::new(ErrorCode::Conflict, message).at(at)
}

fn listed<'n>(names: impl IntoIterator<Item = &'n String>) -> String {
    names.into_iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// One decision.
pub(crate) struct Decision<'a> {
    pub(crate) cx: &'a Context,
    pub(crate) backend: &'a dyn Backend,
    /// The package among the changes.
    pub(crate) key: &'a str,
    /// The package database to simulate on, where that is not the one of now.
    pub(crate) on: Option<&'a Snapshot>,
    /// Nothing is done yet, and steps before this one may change what is there.
    pub(crate) planning: bool,
}

impl Decision<'_> {
    /// What should be, given what is.
    pub(crate) fn goal(&self, properties: &Properties, prior: Option<&State>) -> Result<Goal, ItemError> {
        match &properties.want {
            Want::Present(want) => self.present(&properties.name, want, prior),
            Want::Absent(want) => self.absent(&properties.name, want, prior),
            Want::Back(back) => self.back(back.as_ref(), prior),
        }
    }

    fn simulate(&self, request: &Request) -> Result<Transaction, ItemError> {
        let found = self.backend.simulate(self.cx, request, self.on)?;
        if !found.essential.is_empty() {
            let names = listed(&found.essential);
            return Err(conflict(format!("{names} would be removed, and the system needs it"), ""));
        }
        if !found.unfinished.is_empty() {
            let message = format!("an earlier operation left {} unfinished", listed(&found.unfinished));
            return Err(ItemError::new(ErrorCode::Failed, message).hint(crate::apt::CONFIGURE));
        }
        let held: Vec<&String> = found.held.iter().filter(|name| *name != self.key).collect();
        if !held.is_empty() {
            let message = format!("{} would be changed, and is held", listed(held));
            return Err(conflict(message, "").hint("release it in a step before (`held: false`)"));
        }
        Ok(found)
    }

    /// Simulates, and refuses to remove what may not be removed.
    fn allowed(&self, request: &Request, removes: &BTreeSet<String>) -> Result<Transaction, ItemError> {
        let found = self.simulate(request)?;
        let gone = found.changes.iter().filter(|(name, change)| {
            change.after.is_none() && name.as_str() != self.key && !removes.contains(*name)
        });
        let gone: Vec<&String> = gone.map(|(name, _)| name).collect();
        if gone.is_empty() {
            return Ok(found);
        }
        let message = format!("{} would have to be removed", listed(gone));
        Err(conflict(message, "/removes").hint("if that is meant, name it under `removes`"))
    }

    fn present(&self, name: &str, want: &Present, prior: Option<&State>) -> Result<Goal, ItemError> {
        let installed = prior.and_then(State::installed);
        let is_held = installed.is_some_and(|(_, held)| held);
        let held = want.held.unwrap_or(is_held);
        let wanted = match (installed, &want.version, &want.minimum) {
            (None, _, _) if want.only_if_installed => return Ok(Goal::stay(prior)),
            (None, version, _) => Some(version.clone()),
            (Some((there, _)), Some(version), _) => match self.backend.compare(there, version) {
                Ordering::Equal => None,
                Ordering::Greater if !want.downgrade => {
                    let message = format!("{there} is installed, which is later than {version}");
                    return Err(conflict(message, "/version").hint("if that is meant, say `downgrade: true`"));
                }
                Ordering::Greater | Ordering::Less => Some(Some(version.clone())),
            },
            (Some((there, _)), None, Some(minimum)) if self.backend.compare(there, minimum).is_lt() => {
                Some(None)
            }
            (Some(_), None, _) => None,
        };
        let Some(version) = wanted else {
            let mut goal = Goal::stay(prior);
            if let Some(State::Installed { held: now, .. }) = &mut goal.state {
                *now = held;
            }
            return Ok(goal);
        };
        if is_held && want.held.is_none() {
            return Err(conflict(format!("`{name}` is held"), "/held")
                .hint("say `held`: `false` releases it, `true` holds the new version"));
        }
        let mut request = Request { held: is_held, recommends: want.recommends, ..Request::default() };
        request.install.insert(self.key.to_owned(), version);
        let found = self.allowed(&request, &want.removes)?;
        let after = found.changes.get(self.key).and_then(|change| change.after.clone());
        let offered = after.as_deref().or_else(|| installed.map(|(version, _)| version));
        if let Some(minimum) = &want.minimum
            && offered.is_none_or(|offered| self.backend.compare(offered, minimum).is_lt())
        {
            let offered = offered.unwrap_or("nothing");
            let message = format!("the repositories offer {offered}, and at least {minimum} is asked for");
            return Err(ItemError::new(ErrorCode::Failed, message)
                .at("/minimum")
                .hint("refresh the target's lists with `apt-get update`, or add a repository that has it"));
        }
        let Some(version) = after else {
            return Err(ItemError::new(ErrorCode::Failed, format!("no repository has `{name}`"))
                .at("/name")
                .hint("compare the spelling, and refresh the target's lists with `apt-get update`"));
        };
        // From here on exactly this one.
        request.install.insert(self.key.to_owned(), Some(version.clone()));
        let mut goal = Goal { state: None, request: Some(request), changes: found.changes, sure: true };
        let with = goal.others(self.key);
        goal.state = Some(State::Installed { name: name.to_owned(), version, held, with });
        Ok(goal)
    }

    fn absent(&self, name: &str, want: &Absent, prior: Option<&State>) -> Result<Goal, ItemError> {
        let held = match prior {
            None => return Ok(Goal::stay(None)),
            Some(State::Configuration { .. }) if !want.purge => return Ok(Goal::stay(prior)),
            Some(State::Configuration { .. }) => false,
            Some(State::Installed { held, .. }) => *held,
        };
        if held && !want.unhold {
            return Err(conflict(format!("`{name}` is held"), "/held").hint("say `held: false` to remove it"));
        }
        let request = Request {
            remove: BTreeSet::from([self.key.to_owned()]),
            purge: want.purge,
            held,
            ..Request::default()
        };
        let found = self.allowed(&request, &want.removes)?;
        let mut goal = Goal { state: None, request: Some(request), changes: found.changes, sure: true };
        if !want.purge && self.backend.leaves_configuration(self.cx, self.key)? {
            let with = goal.others(self.key);
            goal.state = Some(State::Configuration { name: name.to_owned(), with });
        }
        Ok(goal)
    }

    /// Back to what was there before, and to what other packages were before, as far as nobody else has
    /// a use for what came.
    fn back(&self, back: Option<&State>, prior: Option<&State>) -> Result<Goal, ItemError> {
        let installed = prior.and_then(State::installed);
        let mut request = Request { held: installed.is_some_and(|(_, held)| held), ..Request::default() };
        let key = || self.key.to_owned();
        match (back, prior) {
            (None, None) | (Some(State::Configuration { .. }), Some(State::Configuration { .. })) => {
                return Ok(Goal { state: back.cloned(), ..Goal::stay(None) });
            }
            (Some(State::Installed { version, .. }), _) => {
                if installed.is_some_and(|(there, _)| there == version) {
                    return Ok(Goal { state: back.cloned(), ..Goal::stay(None) });
                }
                request.install.insert(key(), Some(version.clone()));
            }
            (Some(State::Configuration { .. }), Some(State::Installed { .. })) => {
                request.remove.insert(key());
            }
            (None, Some(_)) => {
                request.remove.insert(key());
                request.purge = true;
            }
            (Some(State::Configuration { .. }), None) => {
                let message = "the configuration that was left over is gone, and cannot be brought back";
                return Err(ItemError::new(ErrorCode::Unsupported, message));
            }
        }
        let with = prior.map(State::with).cloned().unwrap_or_default();
        let reverts = self.reverts(&with)?;
        let added = self.unneeded(&request, &with)?;
        let attempt = |install: BTreeMap<String, Option<String>>| {
            let mut request = request.clone();
            request.remove.extend(added.iter().cloned());
            request.install.extend(install);
            let found = self.allowed(&request, &added)?;
            Ok::<_, ItemError>((request, found))
        };
        // Somebody may need the later version of another package by now: then that one stays.
        let attempted = match attempt(reverts.clone()) {
            Err(_) if !reverts.is_empty() => attempt(BTreeMap::new()),
            other => other,
        };
        let (request, found) = match attempted {
            // What needs this one may be taken back before it.
            Err(error) if self.planning && error.code == ErrorCode::Conflict => {
                return Ok(Goal { state: back.cloned(), sure: false, ..Goal::stay(None) });
            }
            other => other?,
        };
        Ok(Goal { state: back.cloned(), request: Some(request), changes: found.changes, sure: true })
    }

    /// Other packages that were changed or removed, and that can be what they were.
    fn reverts(&self, with: &Changes) -> Result<BTreeMap<String, Option<String>>, ItemError> {
        let before: BTreeMap<String, String> =
            with.iter().filter_map(|(name, change)| Some((name.clone(), change.before.clone()?))).collect();
        if before.is_empty() {
            return Ok(BTreeMap::new());
        }
        let names: Vec<&str> = before.keys().map(String::as_str).collect();
        let now = self.backend.statuses(self.cx, &names)?;
        let available = self.backend.available(self.cx, &before)?;
        // What somebody changed since is theirs.
        let ours = |name: &String| {
            let left = with.get(name).and_then(|change| change.after.as_deref());
            now.get(name).and_then(|status| status.version()) == left && available.contains(name)
        };
        Ok(before.into_iter().filter(|(name, _)| ours(name)).map(|(name, v)| (name, Some(v))).collect())
    }

    /// Packages that came with it, and that nobody needs once it is gone.
    fn unneeded(&self, request: &Request, with: &Changes) -> Result<BTreeSet<String>, ItemError> {
        let came = |name: &String, version: Option<&String>| {
            with.get(name).is_some_and(|change| change.before.is_none() && change.after.as_ref() == version)
        };
        if with.values().all(|change| change.before.is_some()) {
            return Ok(BTreeSet::new());
        }
        let all = self.backend.simulate(self.cx, &Request { unneeded: true, ..request.clone() }, self.on)?;
        let gone = all.changes.into_iter().filter(|(name, change)| {
            change.after.is_none() && name != self.key && came(name, change.before.as_ref())
        });
        Ok(gone.map(|(name, _)| name).collect())
    }
}
