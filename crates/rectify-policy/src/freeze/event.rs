//! Events: what of a calendar says when.

use super::{
    Budget, Malformed,
    date::{DAY_S, Zones, day},
    lines::{Line, lines, plain},
    recur::Rule,
};
use std::collections::BTreeSet;

/// Longest event, in seconds: 366 days.
const LENGTH_MAX_S: i64 = 366 * DAY_S;

/// An event, checked.
pub(super) struct Event {
    pub(super) summary: String,
    line: usize,
    start: Stamp,
    length: Length,
    rule: Option<Rule>,
    more: Vec<Stamp>,
    except: Vec<Stamp>,
}

/// A point in time as written.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    /// On the wall clock of the zone.
    local: i64,
    zone: String,
    /// A whole day.
    is_date: bool,
}

/// How long an occurrence lasts.
#[derive(Clone, Copy, Debug)]
struct Length {
    /// On the wall clock: a night from ten to six ends at six, however long it is.
    nominal_s: i64,
    /// By a stop watch, added afterwards.
    exact_s: i64,
}

/// Which occurrences are wanted.
pub(super) struct Place<'a> {
    pub(super) now_unix_s: i64,
    pub(super) until_unix_s: i64,
    pub(super) zones: &'a dyn Zones,
}

impl Stamp {
    fn instant(&self, zones: &dyn Zones) -> Option<i64> {
        zones.instant(&self.zone, self.local)
    }
}

impl Event {
    /// The zone that it is written in.
    pub(super) fn zone(&self) -> &str {
        &self.start.zone
    }

    /// Beginnings and ends of those occurrences that have not ended and begin before the horizon.
    pub(super) fn occurrences(
        &self,
        place: &Place<'_>,
        budget: &mut Budget,
    ) -> Result<Vec<(i64, i64)>, Malformed> {
        let unknown = || Malformed::new(self.line, format!("the time zone `{}` is not known", self.zone()));
        let zones = place.zones;
        let length_s = self.length.nominal_s.saturating_add(self.length.exact_s);
        // A day more on both sides: wall clocks are up to 14 hours away, and hours are skipped.
        let from = place.now_unix_s.saturating_sub(length_s).saturating_sub(2 * DAY_S);
        let to = place.until_unix_s.saturating_add(2 * DAY_S);
        let mut starts = vec![];
        match &self.rule {
            None => {
                budget.step(self.line)?;
                starts.push(self.start.local);
            }
            Some(rule) => {
                let until = rule.until_local(|unix_s| {
                    Some(unix_s.saturating_add(i64::from(zones.offset(self.zone(), unix_s)?)))
                });
                let until = until.ok_or_else(unknown)?;
                let near = from..=to;
                rule.starts(self.start.local, until, &near, &mut |start| {
                    budget.step(self.line)?;
                    if near.contains(&start) {
                        starts.push(start);
                    }
                    Ok(())
                })?;
            }
        }
        for stamp in &self.more {
            budget.step(self.line)?;
            starts.push(stamp.local);
        }
        starts.sort_unstable();
        starts.dedup();
        let (mut except_days, mut except_instants) = (BTreeSet::new(), BTreeSet::new());
        for stamp in &self.except {
            let instant = stamp.instant(zones).ok_or_else(unknown)?;
            if stamp.is_date {
                except_days.insert(stamp.local.div_euclid(DAY_S));
            } else {
                except_instants.insert(instant);
            }
        }
        let mut found = Vec::new();
        for start in starts {
            let begins = zones.instant(self.zone(), start).ok_or_else(unknown)?;
            let excepted =
                except_days.contains(&start.div_euclid(DAY_S)) || except_instants.contains(&begins);
            let ends = start.saturating_add(self.length.nominal_s);
            let ends = zones.instant(self.zone(), ends).ok_or_else(unknown)?;
            let ends = ends.saturating_add(self.length.exact_s);
            if !excepted && ends > place.now_unix_s && begins <= place.until_unix_s && ends > begins {
                found.push((begins, ends));
            }
        }
        Ok(found)
    }
}

/// Reads all events of a calendar.
pub(super) fn read(text: &str, zones: &dyn Zones, budget: &mut Budget) -> Result<Vec<Event>, Malformed> {
    let lines = lines(text)?;
    let last = lines.last().map_or(1, |line| line.number);
    let floating = lines.iter().find(|line| line.name == "X-WR-TIMEZONE").map(|line| line.value.as_str());
    let reader = Reader { floating, zones };
    let mut open: Vec<&str> = Vec::new();
    let mut events = Vec::new();
    let mut current: Vec<&Line> = Vec::new();
    let mut calendars: usize = 0;
    for line in &lines {
        let wrong = |message: String| Err(Malformed::new(line.number, message));
        match (line.name.as_str(), open.as_slice()) {
            ("BEGIN", []) if line.value.eq_ignore_ascii_case("VCALENDAR") => {
                calendars = calendars.saturating_add(1);
                open.push("VCALENDAR");
            }
            ("BEGIN", ["VCALENDAR"]) if line.value.eq_ignore_ascii_case("VEVENT") => {
                budget.event(line.number)?;
                current = vec![line];
                open.push("VEVENT");
            }
            // Zones are known by their names, whatever the file says about them.
            ("BEGIN", ["VCALENDAR"]) if line.value.eq_ignore_ascii_case("VTIMEZONE") => {
                open.push("VTIMEZONE")
            }
            ("BEGIN", [.., "VEVENT" | "VTIMEZONE" | "inner"]) => open.push("inner"),
            ("BEGIN", _) => return wrong(format!("`{}` is not read here", plain(&line.value))),
            ("END", [.., name]) if *name == "inner" || line.value.eq_ignore_ascii_case(name) => {
                if *name == "VEVENT" {
                    events.extend(reader.event(&current)?);
                }
                open.pop();
            }
            ("END", _) => return wrong(format!("`END:{}` ends nothing", plain(&line.value))),
            (_, [.., "VEVENT"]) => current.push(line),
            (_, []) => return wrong("expected `BEGIN:VCALENDAR`".to_owned()),
            _ => {}
        }
    }
    if let Some(name) = open.last() {
        return Err(Malformed::new(last, format!("`{name}` does not end")));
    }
    if calendars == 0 {
        return Err(Malformed::new(1, "expected `BEGIN:VCALENDAR`"));
    }
    Ok(events)
}

struct Reader<'a> {
    floating: Option<&'a str>,
    zones: &'a dyn Zones,
}

impl Reader<'_> {
    /// Nothing if the event was cancelled.
    fn event(&self, lines: &[&Line]) -> Result<Option<Event>, Malformed> {
        let first = lines.first().map_or(1, |line| line.number);
        let mut summary = String::new();
        let (mut start, mut end, mut length, mut rule) = (None, None, None, None);
        let (mut more, mut except) = (Vec::new(), Vec::new());
        let mut cancelled = false;
        for line in lines {
            let once = |there: bool| {
                let message = format!("`{}` stands there twice", line.name);
                if there { Err(Malformed::new(line.number, message)) } else { Ok(()) }
            };
            match line.name.as_str() {
                "SUMMARY" => summary = plain(&line.value),
                "STATUS" => cancelled = line.value.eq_ignore_ascii_case("CANCELLED"),
                "DTSTART" => {
                    once(start.is_some())?;
                    start = Some(self.stamp(line, &line.value)?);
                }
                "DTEND" => {
                    once(end.is_some())?;
                    end = Some(self.stamp(line, &line.value)?);
                }
                "DURATION" => {
                    once(length.is_some())?;
                    length = Some(duration(line)?);
                }
                "RRULE" => {
                    once(rule.is_some())?;
                    rule = Some((line.number, &line.value));
                }
                "RDATE" => self.list(line, &mut more)?,
                "EXDATE" => self.list(line, &mut except)?,
                "RECURRENCE-ID" | "EXRULE" => {
                    return Err(Malformed::new(line.number, format!("`{}` is not read here", line.name)));
                }
                _ => {}
            }
        }
        if cancelled {
            return Ok(None);
        }
        let start = start.ok_or_else(|| Malformed::new(first, "an event without `DTSTART`"))?;
        let length = self.length(first, &start, end, length)?;
        if more.iter().any(|stamp: &Stamp| stamp.zone != start.zone || stamp.is_date != start.is_date) {
            return Err(Malformed::new(first, "`RDATE` must be of the zone and kind of `DTSTART`"));
        }
        let rule = rule.map(|(line, text)| Rule::read(line, text, start.local)).transpose()?;
        Ok(Some(Event { summary, line: first, start, length, rule, more, except }))
    }

    fn length(
        &self,
        line: usize,
        start: &Stamp,
        end: Option<Stamp>,
        length: Option<Length>,
    ) -> Result<Length, Malformed> {
        let wrong = |message: &str| Err(Malformed::new(line, message));
        let length = match (end, length) {
            (Some(_), Some(_)) => return wrong("an event with both `DTEND` and `DURATION`"),
            (None, Some(length)) => length,
            (None, None) if start.is_date => Length { nominal_s: DAY_S, exact_s: 0 },
            (None, None) => return wrong("an event without an end: `DTEND` or `DURATION`"),
            (Some(end), None) if end.is_date != start.is_date => {
                return wrong("`DTEND` must be a date exactly if `DTSTART` is one");
            }
            (Some(end), None) => {
                // On the clock of the zone in which it begins.
                let local = end.instant(self.zones).and_then(|instant| {
                    let offset = i64::from(self.zones.offset(&start.zone, instant)?);
                    Some(if end.zone == start.zone { end.local } else { instant.saturating_add(offset) })
                });
                let local = local.ok_or_else(|| Malformed::new(line, "a time zone is not known"))?;
                Length { nominal_s: local.saturating_sub(start.local), exact_s: 0 }
            }
        };
        match length.nominal_s.saturating_add(length.exact_s) {
            ..=0 => wrong("an event that ends before it begins"),
            LENGTH_MAX_S.. => wrong("an event of more than 366 days"),
            _ => Ok(length),
        }
    }

    fn list(&self, line: &Line, into: &mut Vec<Stamp>) -> Result<(), Malformed> {
        for value in line.value.split(',') {
            into.push(self.stamp(line, value)?);
        }
        Ok(())
    }

    fn stamp(&self, line: &Line, value: &str) -> Result<Stamp, Malformed> {
        let wrong = |message: String| Malformed::new(line.number, message);
        let kind = line.parameters.get("VALUE").map(String::as_str);
        let is_date = match kind {
            Some("DATE") => true,
            Some("DATE-TIME") | None => !value.contains('T'),
            Some(other) => return Err(wrong(format!("`VALUE={other}` is not read here"))),
        };
        let (local, utc) = moment(value, is_date)
            .ok_or_else(|| wrong(format!("`{}` is not a date or a time", plain(value))))?;
        let tzid = line.parameters.get("TZID").map(String::as_str);
        let zone = match (utc, tzid, self.floating) {
            (true, None, _) => "UTC",
            (true, Some(_), _) => return Err(wrong("a time in UTC with a time zone".into())),
            (false, Some(zone), _) | (false, None, Some(zone)) => zone,
            (false, None, None) => {
                let message = "no time zone: neither `TZID` nor, for the whole calendar, `X-WR-TIMEZONE`";
                return Err(wrong(message.into()));
            }
        };
        if self.zones.offset(zone, 0).is_none() {
            return Err(wrong(format!(
                "the time zone `{}` is not known; expected an IANA name",
                plain(zone)
            )));
        }
        Ok(Stamp { local, zone: zone.to_owned(), is_date })
    }
}

/// `YYYYMMDD`, or `YYYYMMDDTHHMMSS` with an optional `Z`; and whether it is UTC.
pub(super) fn moment(text: &str, is_date: bool) -> Option<(i64, bool)> {
    let number = |from: usize, to: usize| -> Option<i64> {
        let digits = text.get(from..to)?;
        digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())?
    };
    let days = day(number(0, 4)?, number(4, 6)?, number(6, 8)?)?;
    if is_date {
        return (text.len() == 8).then_some((days * DAY_S, false));
    }
    let utc = text.ends_with('Z');
    if text.len() != 15 + usize::from(utc) || text.get(8..9) != Some("T") {
        return None;
    }
    let (hour, minute, second) = (number(9, 11)?, number(11, 13)?, number(13, 15)?);
    // A leap second is the one before it: no clock here has them.
    (hour < 24 && minute < 60 && second <= 60)
        .then(|| (days * DAY_S + hour * 3600 + minute * 60 + second.min(59), utc))
}

/// `P2W`, `P1DT12H`, `PT90M`; days and weeks on the wall clock, the rest by a stop watch.
fn duration(line: &Line) -> Result<Length, Malformed> {
    let wrong = || Malformed::new(line.number, format!("`{}` is not a duration", plain(&line.value)));
    let text = line.value.strip_prefix('+').unwrap_or(&line.value);
    let text = text.strip_prefix('P').ok_or_else(wrong)?;
    let (days, time) = text.split_once('T').map_or((text, None), |(days, time)| (days, Some(time)));
    let sum = |text: &str, units: &[(char, i64)]| -> Option<i64> {
        let mut total: i64 = 0;
        let mut digits = String::new();
        let mut left = units.iter();
        for c in text.chars() {
            if c.is_ascii_digit() {
                digits.push(c);
                continue;
            }
            let (_, seconds) = left.find(|(unit, _)| *unit == c)?;
            total = total.checked_add(digits.parse::<i64>().ok()?.checked_mul(*seconds)?)?;
            digits.clear();
        }
        digits.is_empty().then_some(total)
    };
    let nominal_s = sum(days, &[('W', 7 * DAY_S), ('D', DAY_S)]).ok_or_else(wrong)?;
    let exact_s = match time {
        None => 0,
        Some(time) => sum(time, &[('H', 3600), ('M', 60), ('S', 1)]).ok_or_else(wrong)?,
    };
    Ok(Length { nominal_s, exact_s })
}
