//! Freeze windows: when nothing may be changed, from the calendars (`*.ics`) of a bundle.
//!
//! Nothing here knows a clock or a zone: the moment is an argument, and so is what wall clocks show
//! ([`Zones`]). A calendar that cannot be read in full is a [`Problem`], and rules treat that as
//! frozen: what is not understood might be the window that we are in.

mod date;
mod event;
mod lines;
mod recur;

pub use date::{LocalMoment, UtcOnly, Zones};

use crate::{Bundle, limits};
use date::{DAY_S, shown};
use event::{Event, Place};
use serde::{Deserialize, Serialize};

/// How far ahead windows are looked for, in seconds: 400 days.
pub const HORIZON_S: i64 = 400 * DAY_S;
/// Most windows that are listed as active.
const ACTIVE_MAX: usize = 100;

/// What the calendars of a bundle say about a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Freeze {
    /// Windows that the moment is in, by calendar and beginning; at most 100.
    pub active: Vec<Window>,
    /// Calendars that cannot be read, which counts as frozen.
    pub problems: Vec<Problem>,
    /// When no window is active any more; absent if none is active, or if that is not within 400 days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opens: Option<Opening>,
    /// The first window that begins later, within 400 days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Window>,
}

/// One occurrence of an event: from its beginning to just before its end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Window {
    /// Path of the calendar in the bundle.
    pub calendar: String,
    /// Seconds since 1970-01-01T00:00:00Z.
    pub begins_unix_s: i64,
    /// First second after it, likewise.
    pub ends_unix_s: i64,
    /// What the event is called; may be empty.
    pub summary: String,
    /// The beginning on the wall clock of the zone, `YYYY-MM-DDTHH:MM:SS+HH:MM`.
    pub begins: String,
    /// The end, likewise.
    pub ends: String,
    /// IANA name of the zone that the event is written in.
    pub zone: String,
}

/// When changes may be made again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Opening {
    /// Seconds since 1970-01-01T00:00:00Z.
    pub unix_s: i64,
    /// On the wall clock of the zone, `YYYY-MM-DDTHH:MM:SS+HH:MM`.
    pub at: String,
    /// Zone of the window that ends then.
    pub zone: String,
}

/// Why a calendar cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Problem {
    /// Path of the calendar in the bundle.
    pub calendar: String,
    /// `<file>:<line>`.
    pub place: String,
    /// One sentence without a final period.
    pub message: String,
}

/// What one calendar has of an error: the line and what is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Malformed {
    line: usize,
    message: String,
}

impl Malformed {
    fn new(line: usize, message: impl Into<String>) -> Self {
        Self { line, message: message.into() }
    }
}

/// How much may still be looked at, over all calendars.
struct Budget {
    events: usize,
    steps: usize,
}

impl Budget {
    fn event(&mut self, line: usize) -> Result<(), Malformed> {
        let none_left = || Malformed::new(line, format!("more than {} events", limits::CALENDAR_EVENTS_MAX));
        self.events = self.events.checked_sub(1).ok_or_else(none_left)?;
        Ok(())
    }

    fn step(&mut self, line: usize) -> Result<(), Malformed> {
        let message = || format!("its events recur more than {} times in all", limits::CALENDAR_STEPS_MAX);
        self.steps = self.steps.checked_sub(1).ok_or_else(|| Malformed::new(line, message()))?;
        Ok(())
    }
}

/// What the calendars of a bundle say about a moment; nothing if it has none.
#[must_use]
pub fn freeze(bundle: &Bundle, now_unix_s: i64, zones: &dyn Zones) -> Option<Freeze> {
    let mut budget = Budget { events: limits::CALENDAR_EVENTS_MAX, steps: limits::CALENDAR_STEPS_MAX };
    let mut found: Option<(Freeze, Vec<Window>)> = None;
    for (path, text) in bundle.calendars() {
        let (freeze, windows) = found.get_or_insert_default();
        match windows_of(path, text, now_unix_s, zones, &mut budget) {
            Ok(more) => windows.extend(more),
            Err(Malformed { line, message }) => {
                freeze.problems.push(Problem {
                    calendar: path.into(),
                    place: format!("{path}:{line}"),
                    message,
                });
            }
        }
    }
    let (mut freeze, mut windows) = found?;
    windows.sort();
    windows.dedup();
    let is_active = |window: &&Window| window.begins_unix_s <= now_unix_s;
    freeze.opens = opening(&windows, now_unix_s);
    freeze.active = windows.iter().filter(is_active).take(ACTIVE_MAX).cloned().collect();
    freeze.next = windows.iter().filter(|window| !is_active(window)).min_by_key(|w| w.begins_unix_s).cloned();
    Some(freeze)
}

/// The end of the chain of windows that the moment is in.
fn opening(windows: &[Window], now_unix_s: i64) -> Option<Opening> {
    let mut by_beginning: Vec<&Window> = windows.iter().collect();
    by_beginning.sort_by_key(|window| window.begins_unix_s);
    let mut last: Option<&Window> = None;
    for window in by_beginning {
        let until = last.map_or(now_unix_s, |last| last.ends_unix_s);
        if window.begins_unix_s > until {
            break;
        }
        if window.ends_unix_s > until {
            last = Some(window);
        }
    }
    let last = last?;
    let within = last.ends_unix_s < now_unix_s.saturating_add(HORIZON_S);
    within.then(|| Opening { unix_s: last.ends_unix_s, at: last.ends.clone(), zone: last.zone.clone() })
}

/// The windows of one calendar that have not ended and begin within the horizon.
fn windows_of(
    path: &str,
    text: &str,
    now_unix_s: i64,
    zones: &dyn Zones,
    budget: &mut Budget,
) -> Result<Vec<Window>, Malformed> {
    let place = Place { now_unix_s, until_unix_s: now_unix_s.saturating_add(HORIZON_S), zones };
    let mut windows = Vec::new();
    for event in event::read(text, zones, budget)? {
        for (begins, ends) in event.occurrences(&place, budget)? {
            windows.push(window(path, &event, begins, ends, zones));
        }
    }
    Ok(windows)
}

fn window(path: &str, event: &Event, begins: i64, ends: i64, zones: &dyn Zones) -> Window {
    let zone = event.zone();
    Window {
        calendar: path.to_owned(),
        begins_unix_s: begins,
        ends_unix_s: ends,
        summary: event.summary.clone(),
        begins: shown(zones, zone, begins),
        ends: shown(zones, zone, ends),
        zone: zone.to_owned(),
    }
}
