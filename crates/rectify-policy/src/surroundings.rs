//! What a decision depends on besides plan and bundle. Whoever asks reads clock, inventory and
//! journal; nothing here does.

use crate::Clock;
use rectify_base::TargetName;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What is around a plan when it is decided on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Surroundings {
    /// The moment.
    pub now: Clock,
    /// Number of targets in the inventory, by environment.
    pub fleet: BTreeMap<String, u64>,
    /// What was applied lately.
    pub history: History,
    /// Rules that people who may override have overridden for this plan. Only ids whose signatures were
    /// verified belong here.
    pub overrides: BTreeSet<String>,
    /// What testers found of the plan's providers, by the provider's name. Only what is signed by keys that
    /// count, about executables of the locked release, belongs here.
    pub verdicts: BTreeMap<String, Vec<ProviderVerdict>>,
}

/// What the conformance kit found of a locked executable, as a tester signed it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ProviderVerdict {
    /// Whose key signed it, by the trust file.
    pub tester: String,
    /// Which executable of the release, such as `linux-x86_64`, or `any`.
    pub platform: String,
    /// Version of the protocol that was tested.
    pub protocol: String,
    /// Version of the kit.
    pub kit: String,
    /// Digest of the fixtures.
    pub fixtures: String,
    /// Checks that passed.
    pub passed: u64,
    /// Checks that failed.
    pub failed: u64,
    /// Checks that said nothing.
    pub skipped: u64,
}

impl From<Clock> for Surroundings {
    /// A moment, an unknown inventory and an empty history.
    fn from(now: Clock) -> Self {
        Self {
            now,
            fleet: BTreeMap::new(),
            history: History::default(),
            overrides: BTreeSet::new(),
            verdicts: BTreeMap::new(),
        }
    }
}

/// What the machine that decides applied lately, by its journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct History {
    /// Whether every run of the last seven days was counted; if not, the numbers are too small.
    pub complete: bool,
    /// Runs by target; a target without any is absent.
    pub targets: BTreeMap<String, TargetHistory>,
}

/// How many runs began on one target, whatever came of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TargetHistory {
    /// Within the last hour.
    pub hour: u64,
    /// Within the last 24 hours.
    pub day: u64,
    /// Within the last seven days.
    pub week: u64,
    /// When the latest began, in seconds since 1970-01-01T00:00:00Z.
    pub last_unix_s: u64,
}

/// How far back runs are counted, in seconds.
pub const HISTORY_S: u64 = 7 * 24 * 3600;

impl Default for History {
    fn default() -> Self {
        Self { complete: true, targets: BTreeMap::new() }
    }
}

impl History {
    /// Counts one run that began at `began_unix_s` on some targets. One from the future counts as
    /// one of this moment: a clock that was set back must not forget it.
    pub fn count<'a>(
        &mut self,
        now_unix_s: u64,
        began_unix_s: u64,
        targets: impl IntoIterator<Item = &'a TargetName>,
    ) {
        let age_s = now_unix_s.saturating_sub(began_unix_s);
        if age_s >= HISTORY_S {
            return;
        }
        for target in targets {
            let entry = self.targets.entry(target.to_string()).or_default();
            let within = |limit_s: u64| u64::from(age_s < limit_s);
            entry.hour = entry.hour.saturating_add(within(3600));
            entry.day = entry.day.saturating_add(within(24 * 3600));
            entry.week = entry.week.saturating_add(1);
            entry.last_unix_s = entry.last_unix_s.max(began_unix_s);
        }
    }

    /// That of some targets only.
    pub(crate) fn of<'a>(&self, targets: impl IntoIterator<Item = &'a TargetName>) -> Self {
        let known = |target: &TargetName| Some((target.to_string(), *self.targets.get(target.as_str())?));
        Self { complete: self.complete, targets: targets.into_iter().filter_map(known).collect() }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn runs_are_counted_by_their_age() {
        let target: TargetName = "web-1".parse().unwrap();
        let now = 10 * HISTORY_S;
        let mut history = History::default();
        for age_s in [0, 3599, 3600, 86_399, 86_400, HISTORY_S - 1, HISTORY_S] {
            history.count(now, now - age_s, [&target]);
        }
        history.count(now, now + 5, [&target]);
        let expected = TargetHistory { hour: 3, day: 5, week: 7, last_unix_s: now + 5 };
        assert_eq!(history.targets.get("web-1"), Some(&expected));
        let other: TargetName = "web-2".parse().unwrap();
        assert!(history.of([&other]).targets.is_empty());
    }
}
