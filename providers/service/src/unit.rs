//! `service.unit`: whether a unit runs, whether it starts by itself, and whether it can be started at all.

use crate::{
    manager::{Manager, Seen},
    name::{self, wrong},
    offline,
    outcome::{Patience, Verb, bring_about},
    resource::{Goal, Remarks, Resource, restore_of, typed, written},
};
use rectify_sdk::{
    Context, Folder,
    crash::{At, reached},
    protocol::{ErrorCode, ItemError, Mutated, message::Restore},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::{
    path::Path,
    time::{Duration, Instant},
};

/// Seconds that a unit has to stay up, unless a step says otherwise.
pub(crate) const STABLE_DEFAULT_S: u64 = 2;
/// Most of them.
pub(crate) const STABLE_MAX_S: u64 = 300;
/// Seconds for a job, unless a step says otherwise.
pub(crate) const TIMEOUT_DEFAULT_S: u64 = 300;
/// Most of them.
pub(crate) const TIMEOUT_MAX_S: u64 = 1_800;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Running {
    Running,
    Stopped,
}

/// The state on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    unit: String,
    state: Running,
    enabled: bool,
    masked: bool,
    /// For people, and no part of what is compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    detail: Option<Detail>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Detail {
    active: String,
    file: String,
}

impl State {
    fn without_detail(&self) -> Self {
        Self { detail: None, ..self.clone() }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Properties {
    unit: String,
    state: Option<Running>,
    enabled: Option<bool>,
    masked: Option<bool>,
    #[serde(default = "stable_default")]
    stable_s: u64,
    #[serde(default = "timeout_default")]
    timeout_s: u64,
}

pub(crate) fn stable_default() -> u64 {
    STABLE_DEFAULT_S
}

pub(crate) fn timeout_default() -> u64 {
    TIMEOUT_DEFAULT_S
}

pub(crate) fn check_times(stable_s: u64, timeout_s: u64) -> Result<(), ItemError> {
    if stable_s > STABLE_MAX_S {
        return Err(wrong(format!("the time is at most {STABLE_MAX_S} seconds"), "/stable_s"));
    }
    if !(1..=TIMEOUT_MAX_S).contains(&timeout_s) {
        return Err(wrong(format!("the time is between 1 and {TIMEOUT_MAX_S} seconds"), "/timeout_s"));
    }
    Ok(())
}

/// Where the answers come from.
enum Source {
    /// Nobody was asked yet.
    Nobody,
    /// The systemd of this machine.
    Manager(Box<Manager>, Box<Seen>),
    /// The files of a root directory.
    Directory,
}

/// A unit, and what is asked for.
pub(crate) struct Unit {
    properties: Properties,
    restore: Option<Restore>,
    source: Source,
    /// `enabled`, `disabled`, `static`, …, as `systemctl is-enabled` says; empty: no file.
    enablement: String,
    /// Whether something wants it; a mask hides that from the above.
    linked: bool,
}

impl Unit {
    /// Reads properties, without looking at anything.
    pub(crate) fn new(desired: &Map<String, Value>) -> Result<Self, ItemError> {
        let mut desired = desired.clone();
        let restore = restore_of(&mut desired)?;
        let p: Properties = typed(Value::Object(desired))?;
        name::check(&p.unit)?;
        check_times(p.stable_s, p.timeout_s)?;
        let unit =
            Self { properties: p, restore, source: Source::Nobody, enablement: String::new(), linked: false };
        let p = &unit.properties;
        match &unit.restore {
            Some(Restore { state: Some(state) }) => return unit.known(state).map(|_| unit),
            Some(Restore { state: None }) => {
                return Err(wrong("a unit always has a state", ""));
            }
            None => {}
        }
        if p.state.is_none() && p.enabled.is_none() && p.masked.is_none() {
            return Err(wrong("one of `state`, `enabled` and `masked` is needed", ""));
        }
        if p.masked == Some(true) && p.state == Some(Running::Running) {
            return Err(wrong("what is masked cannot be started", "/state"));
        }
        if p.masked == Some(true) && p.enabled == Some(true) {
            return Err(wrong("what is masked cannot be enabled", "/enabled"));
        }
        Ok(unit)
    }

    /// Looks.
    pub(crate) fn seen(mut self, cx: &Context, bus: Option<&str>) -> Result<Self, ItemError> {
        let unit = self.properties.unit.clone();
        self.linked = is_linked(cx, &unit)?;
        if cx.root().is_some() {
            self.enablement = offline::enablement(cx, &unit)?;
            self.source = Source::Directory;
            return Ok(self);
        }
        let manager = Manager::open(bus)?;
        self.enablement = manager.enablement(&unit)?;
        let seen = manager.unit(&unit)?;
        self.source = Source::Manager(Box::new(manager), Box::new(seen));
        Ok(self)
    }

    fn found(&self) -> State {
        let (state, active) = match &self.source {
            Source::Manager(_, seen) if seen.runs() => (Running::Running, seen.phrase()),
            Source::Manager(_, seen) => (Running::Stopped, seen.phrase()),
            Source::Nobody | Source::Directory => (Running::Stopped, "unknown".into()),
        };
        let file = if self.enablement.is_empty() { "not found" } else { &self.enablement };
        State {
            unit: self.properties.unit.clone(),
            state,
            enabled: if self.is_masked() { self.linked } else { self.enablement == "enabled" },
            masked: self.is_masked(),
            detail: Some(Detail { active, file: file.into() }),
        }
    }

    fn is_masked(&self) -> bool {
        self.enablement.starts_with("masked")
    }

    fn known(&self, state: &Value) -> Result<State, ItemError> {
        let state: State = typed(state.clone())?;
        if state.unit == self.properties.unit {
            Ok(state)
        } else {
            Err(wrong("the given state is about another unit", ""))
        }
    }

    /// What the properties ask for, on top of what is.
    fn wanted(&self, prior: &State) -> Result<State, ItemError> {
        let p = &self.properties;
        let goal = State {
            unit: p.unit.clone(),
            state: p.state.unwrap_or(prior.state),
            enabled: p.enabled.unwrap_or(prior.enabled),
            masked: p.masked.unwrap_or(prior.masked),
            detail: None,
        };
        self.possible(prior, &goal)?;
        Ok(goal)
    }

    /// Refuses what systemd would refuse, before anything is changed.
    fn possible(&self, prior: &State, goal: &State) -> Result<(), ItemError> {
        let unit = &self.properties.unit;
        let conflict = |message: String, at: &str| ItemError::new(ErrorCode::Conflict, message).at(at);
        if let Source::Manager(_, seen) = &self.source
            && seen.id != *unit
            && !seen.id.is_empty()
        {
            let message = format!("`{unit}` is another name of `{}`", seen.id);
            return Err(
                conflict(message, "/unit").hint("name the unit itself, so that it has one name in a plan")
            );
        }
        let starts = goal.state == Running::Running && prior.state == Running::Stopped;
        if starts && matches!(self.source, Source::Directory) {
            let message = "the target is a directory, where nothing runs";
            return Err(ItemError::new(ErrorCode::Unsupported, message).at("/state"));
        }
        if starts && goal.masked {
            return Err(conflict(format!("`{unit}` is masked"), "/state").hint("say `masked: false`"));
        }
        if goal.enabled && !prior.enabled {
            if goal.masked {
                return Err(conflict(format!("`{unit}` is masked"), "/enabled").hint("say `masked: false`"));
            }
            let why = match self.enablement.as_str() {
                "static" => "its file has no [Install] section; what needs it starts it",
                "generated" => "its file is made anew at each boot, so systemd keeps no links to it",
                "transient" => "it was made for the moment, and has no file that stays",
                "indirect" => "its [Install] section names other units; enable those",
                "bad" => "its file cannot be read",
                _ => "",
            };
            if !why.is_empty() {
                return Err(conflict(format!("`{unit}` cannot be enabled: {why}"), "/enabled"));
            }
        }
        let own = |path: &str| name::DIRECTORIES.first().is_some_and(|directory| path.starts_with(directory));
        if let Source::Manager(_, seen) = &self.source
            && goal.masked
            && !prior.masked
            && own(&seen.fragment)
        {
            let message = format!(
                "`{unit}` cannot be masked: its own file lies at `{}`, where the mask would be",
                seen.fragment
            );
            return Err(conflict(message, "/masked")
                .hint("remove the file with `service.unit_file` and `state: absent`"));
        }
        Ok(())
    }

    /// Whether systemd has a file for it, now.
    fn is_there(&self) -> bool {
        !self.enablement.is_empty()
    }
}

/// Whether another unit of the administrator's wants or requires it.
fn is_linked(cx: &Context, unit: &str) -> Result<bool, ItemError> {
    let Some(directory) = name::DIRECTORIES.first() else { return Ok(false) };
    let Some(folder) = Folder::open(cx.root(), Path::new(directory))? else { return Ok(false) };
    for above in folder.names()? {
        if !above.ends_with(".wants") && !above.ends_with(".requires") {
            continue;
        }
        // What is no directory links nothing.
        let Ok(Some(links)) = folder.inside(&above) else { continue };
        if links.names()?.iter().any(|name| name == unit) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// One thing that is done to a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Unmask,
    Enable,
    Disable,
    Start,
    Stop,
    Mask,
}

impl Act {
    fn inverse(self) -> Self {
        match self {
            Self::Unmask => Self::Mask,
            Self::Enable => Self::Disable,
            Self::Disable => Self::Enable,
            Self::Start => Self::Stop,
            Self::Stop => Self::Start,
            Self::Mask => Self::Unmask,
        }
    }
}

/// What leads from one state to another, in an order in which each is possible.
fn way(from: &State, to: &State) -> Vec<Act> {
    let mut acts = Vec::new();
    let mut add = |due: bool, act: Act| {
        if due {
            acts.push(act);
        }
    };
    add(from.masked && !to.masked, Act::Unmask);
    add(!from.enabled && to.enabled, Act::Enable);
    add(from.enabled && !to.enabled, Act::Disable);
    add(from.state == Running::Stopped && to.state == Running::Running, Act::Start);
    add(from.state == Running::Running && to.state == Running::Stopped, Act::Stop);
    add(!from.masked && to.masked, Act::Mask);
    acts
}

impl Resource for Unit {
    fn state(&self) -> Result<Option<Value>, ItemError> {
        written(&self.found()).map(Some)
    }

    fn goal(&self, prior: Option<&Value>) -> Result<Goal, ItemError> {
        let prior = match prior {
            Some(prior) => self.known(prior)?,
            None => self.found(),
        };
        let goal = match &self.restore {
            Some(Restore { state: Some(state) }) => self.known(state)?.without_detail(),
            _ => self.wanted(&prior)?,
        };
        let same = goal == prior.without_detail();
        let goal = if same { &prior } else { &goal };
        // Without a file an earlier step may make one; then its own [Install] section says what is possible.
        Ok(Goal { state: Some(written(goal)?), sure: self.is_there() && !self.is_masked() })
    }

    fn remarks(&self, prior: Option<&Value>, goal: Option<&Value>) -> Result<Remarks, ItemError> {
        let (Some(prior), Some(goal)) = (prior, goal) else { return Ok(Remarks::default()) };
        let acts = way(&self.known(prior)?, &self.known(goal)?);
        let disruption = if acts.contains(&Act::Stop) { vec!["restart".into()] } else { Vec::new() };
        let lost = acts.contains(&Act::Disable).then(|| {
            "enabled again as its [Install] section says; links that somebody made by hand are not brought back"
                .to_owned()
        });
        Ok(Remarks { disruption, lost })
    }

    fn change(&self, cx: &Context, goal: Option<&Value>) -> Result<(), ItemError> {
        let Some(goal) = goal else {
            return Err(ItemError::new(ErrorCode::Internal, "a unit always has a state"));
        };
        let (found, goal) = (self.found(), self.known(goal)?);
        if !self.is_there() && (goal.enabled || goal.state == Running::Running) {
            let message = format!("there is no unit `{}`", self.properties.unit);
            return Err(ItemError::new(ErrorCode::Failed, message)
                .at("/unit")
                .hint("make its file in a step before, with `service.unit_file`, or install its package"));
        }
        let deadline = Instant::now() + Duration::from_secs(self.properties.timeout_s);
        let mut done = Vec::new();
        reached(At::Prepared);
        for act in way(&found, &goal) {
            if let Err(error) = self.act(cx, act, deadline) {
                // What was done of it is taken back, the last first; and what was half done, too.
                let tried = (error.mutated != Mutated::No).then_some(act);
                let taken_back = self.take_back(cx, tried.into_iter().chain(done.into_iter().rev()));
                let untouched = tried.is_none() && taken_back;
                return Err(error.mutated(if untouched { Mutated::No } else { Mutated::Yes }));
            }
            done.push(act);
        }
        reached(At::Done);
        Ok(())
    }
}

impl Unit {
    fn act(&self, cx: &Context, act: Act, deadline: Instant) -> Result<(), ItemError> {
        let unit = self.properties.unit.as_str();
        let stable = Duration::from_secs(self.properties.stable_s);
        let manager = match &self.source {
            Source::Manager(manager, _) => manager,
            Source::Directory => {
                return match act {
                    Act::Unmask => offline::run(cx, "unmask", unit),
                    Act::Enable => offline::run(cx, "enable", unit),
                    Act::Disable => offline::run(cx, "disable", unit),
                    Act::Mask => offline::run(cx, "mask", unit),
                    Act::Start | Act::Stop => {
                        let message = "the target is a directory, where nothing runs";
                        Err(ItemError::new(ErrorCode::Unsupported, message).at("/state"))
                    }
                };
            }
            Source::Nobody => return Err(ItemError::new(ErrorCode::Internal, "nobody was asked")),
        };
        let patience = Patience { deadline, stable };
        match act {
            Act::Unmask => manager.unmask(unit, self.enablement == "masked-runtime"),
            Act::Enable => manager.enable(unit),
            Act::Disable => manager.disable(unit),
            Act::Mask => manager.mask(unit),
            Act::Start => {
                // Some versions of systemd do not notice new drop-ins.
                manager.reload().map_err(|error| error.mutated(Mutated::No))?;
                manager.forget_failure(unit)?;
                let seen = bring_about(cx, manager, unit, Verb::Start, patience)?;
                if seen.runs() {
                    return Ok(());
                }
                let message = format!("`{unit}` ended by itself, so it does not stay `running`: it is {}", seen.phrase());
                Err(ItemError::new(ErrorCode::Failed, message)
                    .at("/state")
                    .mutated(Mutated::Yes)
                    .hint("a unit that runs once and ends has no lasting state; use `service.restart`, or `RemainAfterExit=yes`"))
            }
            Act::Stop => bring_about(cx, manager, unit, Verb::Stop, patience).map(drop),
        }
        .map_err(|error| if act_has_place(&error) { error } else { error.at("/unit") })
    }

    /// Whether all of these could be taken back.
    fn take_back(&self, cx: &Context, acts: impl Iterator<Item = Act>) -> bool {
        let deadline = Instant::now() + Duration::from_secs(self.properties.timeout_s);
        // One that cannot be taken back does not keep the others from it.
        let failed = acts.filter(|act| self.act(cx, act.inverse(), deadline).is_err()).count();
        failed == 0
    }
}

fn act_has_place(error: &ItemError) -> bool {
    error.path.is_some()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn states() -> impl Strategy<Value = State> {
        (any::<bool>(), any::<bool>(), any::<bool>()).prop_map(|(running, enabled, masked)| State {
            unit: "a.service".into(),
            state: if running { Running::Running } else { Running::Stopped },
            enabled,
            masked,
            detail: None,
        })
    }

    fn after(mut state: State, acts: &[Act]) -> State {
        for act in acts {
            match act {
                Act::Unmask => state.masked = false,
                Act::Mask => state.masked = true,
                Act::Enable => state.enabled = true,
                Act::Disable => state.enabled = false,
                Act::Start => {
                    assert!(!state.masked, "what is masked cannot be started");
                    state.state = Running::Running;
                }
                Act::Stop => state.state = Running::Stopped,
            }
        }
        state
    }

    proptest! {
        #[test]
        fn a_way_leads_there_and_its_inverses_lead_back(from in states(), to in states()) {
            let starts = from.state == Running::Stopped && to.state == Running::Running;
            let stops = from.state == Running::Running && to.state == Running::Stopped;
            prop_assume!(!(to.masked && starts || from.masked && stops));
            let acts = way(&from, &to);
            prop_assert_eq!(after(from.clone(), &acts), to.clone());
            prop_assert_eq!(acts.is_empty(), from == to);
            let back: Vec<Act> = acts.iter().rev().map(|act| act.inverse()).collect();
            prop_assert_eq!(after(to, &back), from);
        }
    }
}
