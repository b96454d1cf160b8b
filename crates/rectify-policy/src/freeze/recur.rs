//! Recurrence rules (RFC 5545, section 3.3.10) by day and above. What is not read is refused, never
//! left out: an hour that recurs would be frozen too little.

use super::{
    Malformed,
    date::{DAY_S, date, day, days_in, weekday},
    event::moment,
    lines::plain,
};
use std::ops::RangeInclusive;

/// Most occurrences that a rule may count.
const COUNT_MAX: u32 = 10_000;
/// Largest interval.
const INTERVAL_MAX: i64 = 1000;

/// A recurrence rule, checked.
pub(super) struct Rule {
    every: Every,
    interval: i64,
    end: End,
    months: Vec<i64>,
    month_days: Vec<i64>,
    /// Ordinal (0 for each) and weekday.
    days: Vec<(i64, i64)>,
    positions: Vec<i64>,
    week_start: i64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Every {
    Day,
    Week,
    Month,
    Year,
}

enum End {
    Never,
    Count(u32),
    /// The last beginning, on the wall clock.
    Local(i64),
    /// The last beginning, an instant.
    Instant(i64),
}

const WEEKDAYS: [&str; 7] = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"];

impl Rule {
    /// Reads a rule for an event that first begins at `start` on the wall clock.
    pub(super) fn read(line: usize, text: &str, start: i64) -> Result<Self, Malformed> {
        let wrong = |message: String| Malformed::new(line, message);
        let mut every = None;
        let mut rule = Self {
            every: Every::Day,
            interval: 1,
            end: End::Never,
            months: Vec::new(),
            month_days: Vec::new(),
            days: Vec::new(),
            positions: Vec::new(),
            week_start: 0,
        };
        let mut seen = std::collections::BTreeSet::new();
        for part in text.split(';') {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let name = name.to_ascii_uppercase();
            let bad = || wrong(format!("`{}` is not understood", plain(part)));
            if !seen.insert(name.clone()) {
                return Err(wrong(format!("`{}` stands there twice", plain(&name))));
            }
            let numbers = |least: i64, most: i64| -> Result<Vec<i64>, Malformed> {
                let number = |text: &str| {
                    let number: i64 = text.parse().ok()?;
                    (number != 0 && number >= least && number <= most).then_some(number)
                };
                value.split(',').map(|text| number(text).ok_or_else(bad)).collect()
            };
            match name.as_str() {
                "FREQ" => {
                    every = Some(match value {
                        "DAILY" => Every::Day,
                        "WEEKLY" => Every::Week,
                        "MONTHLY" => Every::Month,
                        "YEARLY" => Every::Year,
                        _ => return Err(wrong(format!("`FREQ={}` is not read here", plain(value)))),
                    });
                }
                "INTERVAL" => rule.interval = single(&numbers(1, INTERVAL_MAX)?).ok_or_else(bad)?,
                "COUNT" => {
                    let count = single(&numbers(1, i64::from(COUNT_MAX))?).ok_or_else(bad)?;
                    rule.end = End::Count(u32::try_from(count).map_err(|_| bad())?);
                }
                "UNTIL" => {
                    let is_date = !value.contains('T');
                    let (local, utc) = moment(value, is_date).ok_or_else(bad)?;
                    rule.end = match (is_date, utc) {
                        (true, _) => End::Local(local + DAY_S - 1),
                        (false, false) => End::Local(local),
                        (false, true) => End::Instant(local),
                    };
                }
                "BYMONTH" => rule.months = numbers(1, 12)?,
                "BYMONTHDAY" => rule.month_days = numbers(-31, 31)?,
                "BYSETPOS" => rule.positions = numbers(-366, 366)?,
                "BYDAY" => {
                    let days = value.split(',').map(|text| weekday_of(text).ok_or_else(bad));
                    rule.days = days.collect::<Result<_, _>>()?;
                }
                "WKST" => {
                    let position = WEEKDAYS.iter().position(|name| *name == value).ok_or_else(bad)?;
                    rule.week_start = i64::try_from(position).unwrap_or(0);
                }
                _ => return Err(wrong(format!("`{}` is not read here", plain(&name)))),
            }
        }
        if seen.contains("COUNT") && seen.contains("UNTIL") {
            return Err(wrong("both `COUNT` and `UNTIL`".into()));
        }
        rule.every = every.ok_or_else(|| wrong("no `FREQ`".into()))?;
        // A number says the same however often it stands there, and each period looks at all of them.
        for numbers in [&mut rule.months, &mut rule.month_days, &mut rule.positions] {
            numbers.sort_unstable();
            numbers.dedup();
        }
        rule.days.sort_unstable();
        rule.days.dedup();
        let counted = rule.days.iter().any(|(ordinal, _)| *ordinal != 0);
        if counted && !matches!(rule.every, Every::Month | Every::Year) {
            return Err(wrong("a counted weekday needs `FREQ=MONTHLY` or `YEARLY`".into()));
        }
        if rule.every == Every::Week && !rule.month_days.is_empty() {
            return Err(wrong("`BYMONTHDAY` does not go with `FREQ=WEEKLY`".into()));
        }
        rule.default_days(start);
        Ok(rule)
    }

    /// What the first beginning says where the rule says nothing.
    fn default_days(&mut self, start: i64) {
        let first = start.div_euclid(DAY_S);
        let (_, month, of_month) = date(first);
        let no_days = self.days.is_empty() && self.month_days.is_empty();
        match self.every {
            Every::Day => {}
            Every::Week if self.days.is_empty() => self.days = vec![(0, weekday(first))],
            Every::Month if no_days => self.month_days = vec![of_month],
            Every::Year if no_days => {
                self.month_days = vec![of_month];
                if self.months.is_empty() {
                    self.months = vec![month];
                }
            }
            Every::Week | Every::Month | Every::Year => {}
        }
    }

    /// The last beginning on the wall clock; `None` if the zone is not known.
    pub(super) fn until_local(&self, local: impl Fn(i64) -> Option<i64>) -> Option<i64> {
        match self.end {
            End::Never | End::Count(_) => Some(i64::MAX),
            End::Local(until) => Some(until),
            End::Instant(until) => local(until),
        }
    }

    /// Calls `see` with the beginnings in order, as far as `near` needs them. Those before `near` are
    /// skipped where nothing counts them.
    pub(super) fn starts(
        &self,
        start: i64,
        until: i64,
        near: &RangeInclusive<i64>,
        see: &mut dyn FnMut(i64) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        let (first, second) = (start.div_euclid(DAY_S), start.rem_euclid(DAY_S));
        let mut left = match self.end {
            End::Count(count) => count,
            _ => u32::MAX,
        };
        let mut index =
            if left == u32::MAX { self.periods_before(first, near.start().div_euclid(DAY_S)) } else { 0 };
        // The first beginning is one, whether the rule says so or not.
        let mut seen_first = false;
        loop {
            let (begin, days) = self.period(first, index);
            if begin.saturating_mul(DAY_S) > *near.end() || begin.saturating_mul(DAY_S) > until {
                break;
            }
            if days.is_empty() {
                see(i64::MIN)?;
            }
            if !seen_first {
                seen_first = true;
                if index == 0 && days.iter().all(|day| *day != first) {
                    see(start)?;
                    left = left.saturating_sub(1);
                }
            }
            for day in days.into_iter().filter(|day| *day >= first) {
                let local = day.saturating_mul(DAY_S).saturating_add(second);
                if left == 0 || local > until {
                    return Ok(());
                }
                see(local)?;
                left = left.saturating_sub(1);
            }
            if left == 0 {
                break;
            }
            index = index.saturating_add(1);
        }
        Ok(())
    }

    /// A number of periods that surely lie before a day.
    const fn periods_before(&self, first: i64, near: i64) -> i64 {
        let longest = match self.every {
            Every::Day => 1,
            Every::Week => 7,
            Every::Month => 31,
            Every::Year => 366,
        };
        let periods = near.saturating_sub(first) / (longest * self.interval);
        if periods > 2 { periods - 2 } else { 0 }
    }

    /// The first day of a period and the days in it that the rule names, sorted.
    fn period(&self, first: i64, index: i64) -> (i64, Vec<i64>) {
        let step = index.saturating_mul(self.interval);
        let (year, month, _) = date(first);
        let (begin, mut days) = match self.every {
            Every::Day => {
                let only = first.saturating_add(step);
                (only, if self.fits(only) { vec![only] } else { Vec::new() })
            }
            Every::Week => {
                let into_week = (weekday(first) - self.week_start).rem_euclid(7);
                let begin = first.saturating_sub(into_week).saturating_add(step.saturating_mul(7));
                (begin, (begin..begin.saturating_add(7)).filter(|day| self.fits(*day)).collect())
            }
            Every::Month => {
                let months = year.saturating_mul(12).saturating_add(month - 1).saturating_add(step);
                let (year, month) = (months.div_euclid(12), months.rem_euclid(12) + 1);
                let begin = day(year, month, 1).unwrap_or(i64::MAX / DAY_S);
                let within = self.months.is_empty() || self.months.contains(&month);
                (begin, if within { self.in_month(year, month) } else { Vec::new() })
            }
            Every::Year => {
                let year = year.saturating_add(step);
                let begin = day(year, 1, 1).unwrap_or(i64::MAX / DAY_S);
                (begin, self.in_year(year))
            }
        };
        days.sort_unstable();
        days.dedup();
        if !self.positions.is_empty() {
            let all = days.clone();
            let chosen = self.positions.iter().filter_map(|position| pick(&all, *position));
            days = chosen.collect();
            days.sort_unstable();
            days.dedup();
        }
        (begin, days)
    }

    /// Whether a day is one by month, day of the month and weekday, for periods of days and weeks.
    fn fits(&self, at: i64) -> bool {
        let (year, month, of_month) = date(at);
        let from_end = of_month - days_in(year, month) - 1;
        (self.months.is_empty() || self.months.contains(&month))
            && (self.month_days.is_empty()
                || self.month_days.contains(&of_month)
                || self.month_days.contains(&from_end))
            && (self.days.is_empty() || self.days.iter().any(|(_, name)| *name == weekday(at)))
    }

    fn in_month(&self, year: i64, month: i64) -> Vec<i64> {
        let last = days_in(year, month);
        let all: Vec<i64> = (1..=last).filter_map(|of_month| day(year, month, of_month)).collect();
        self.chosen(&all).into_iter().filter(|at| self.is_month_day(*at)).collect()
    }

    fn in_year(&self, year: i64) -> Vec<i64> {
        if !self.months.is_empty() {
            return self.months.iter().flat_map(|month| self.in_month(year, *month)).collect();
        }
        if self.days.is_empty() {
            return (1..=12).flat_map(|month| self.in_month(year, month)).collect();
        }
        let (Some(from), Some(to)) = (day(year, 1, 1), day(year, 12, 31)) else { return Vec::new() };
        let all: Vec<i64> = (from..=to).collect();
        self.chosen(&all).into_iter().filter(|at| self.is_month_day(*at)).collect()
    }

    fn is_month_day(&self, at: i64) -> bool {
        let (year, month, of_month) = date(at);
        let from_end = of_month - days_in(year, month) - 1;
        self.month_days.is_empty()
            || self.month_days.contains(&of_month)
            || self.month_days.contains(&from_end)
    }

    /// The days of a month or year that are of the weekdays, each or by their number.
    fn chosen(&self, all: &[i64]) -> Vec<i64> {
        if self.days.is_empty() {
            return all.to_vec();
        }
        let of = |(ordinal, name): &(i64, i64)| -> Vec<i64> {
            let named: Vec<i64> = all.iter().copied().filter(|at| weekday(*at) == *name).collect();
            if *ordinal == 0 { named } else { pick(&named, *ordinal).into_iter().collect() }
        };
        self.days.iter().flat_map(of).collect()
    }
}

fn single(numbers: &[i64]) -> Option<i64> {
    match numbers {
        [only] => Some(*only),
        _ => None,
    }
}

/// The n-th, from the front for 1 and more, from the back for -1 and less.
fn pick(all: &[i64], position: i64) -> Option<i64> {
    let index = usize::try_from(position.unsigned_abs()).ok()?.checked_sub(1)?;
    if position > 0 { all.get(index).copied() } else { all.iter().rev().nth(index).copied() }
}

/// `MO`, `1MO`, `-1FR`.
fn weekday_of(text: &str) -> Option<(i64, i64)> {
    let at = text.len().checked_sub(2)?;
    let (ordinal, name) = (text.get(..at)?, text.get(at..)?);
    let name = i64::try_from(WEEKDAYS.iter().position(|known| *known == name)?).ok()?;
    let ordinal: i64 = if ordinal.is_empty() { 0 } else { ordinal.parse().ok().filter(|n| *n != 0)? };
    (ordinal.abs() <= 53).then_some((ordinal, name))
}
