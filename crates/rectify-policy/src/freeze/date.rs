//! Moments on wall clocks, as seconds since 1970-01-01T00:00:00 of that clock.

use crate::clock::civil;

/// Seconds of a day.
pub(super) const DAY_S: i64 = 86_400;

/// A moment on a wall clock: seconds since that clock showed 1970-01-01T00:00:00, as if no hour were
/// ever skipped or repeated.
pub type LocalMoment = i64;

/// What wall clocks show. The tables behind it belong to whoever runs the evaluation.
pub trait Zones {
    /// Seconds east of UTC at an instant; nothing if there is no such zone.
    fn offset(&self, zone: &str, unix_s: i64) -> Option<i32>;

    /// The instant at which a wall clock shows this. Where it shows it twice, the first; where it is
    /// skipped, as if the clock had not been moved yet (RFC 5545, section 3.3.5). Nothing if there is
    /// no such zone.
    fn instant(&self, zone: &str, local: LocalMoment) -> Option<i64>;
}

/// The zone `UTC` and no other.
#[derive(Clone, Copy, Debug)]
pub struct UtcOnly;

impl Zones for UtcOnly {
    fn offset(&self, zone: &str, _: i64) -> Option<i32> {
        (zone == "UTC").then_some(0)
    }

    fn instant(&self, zone: &str, local: LocalMoment) -> Option<i64> {
        (zone == "UTC").then_some(local)
    }
}

/// A date as days since 1970-01-01; nothing if there is no such day.
pub(super) fn day(year: i64, month: i64, day_of_month: i64) -> Option<i64> {
    if !(1..=12).contains(&month) || day_of_month < 1 || day_of_month > days_in(year, month) {
        return None;
    }
    let shifted = if month > 2 { year } else { year - 1 };
    let era = shifted.div_euclid(400);
    let year_of_era = shifted.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day_of_month - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

/// Year, month and day of a number of days since 1970-01-01.
pub(super) fn date(days: i64) -> (i64, i64, i64) {
    civil(days)
}

/// Number of days of a month.
pub(super) const fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// 0 for Monday to 6 for Sunday.
pub(super) const fn weekday(days: i64) -> i64 {
    (days + 3).rem_euclid(7)
}

/// An instant on the wall clock of a zone, `YYYY-MM-DDTHH:MM:SS+HH:MM`.
pub(super) fn shown(zones: &dyn Zones, zone: &str, unix_s: i64) -> String {
    let offset = i64::from(zones.offset(zone, unix_s).unwrap_or(0));
    let local = unix_s.saturating_add(offset);
    let (year, month, day) = date(local.div_euclid(DAY_S));
    let second = local.rem_euclid(DAY_S);
    let sign = if offset < 0 { '-' } else { '+' };
    let minutes = offset.abs() / 60;
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}{sign}{:02}:{:02}",
        second / 3600,
        second / 60 % 60,
        second % 60,
        minutes / 60,
        minutes % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_dates_are_inverse() {
        for days in (-800_000..800_000).step_by(37) {
            let (year, month, of_month) = date(days);
            assert_eq!(day(year, month, of_month), Some(days));
        }
        assert_eq!(day(2024, 2, 29), Some(19_782));
        assert_eq!(day(2023, 2, 29), None);
        assert_eq!(day(2100, 2, 29), None);
        assert_eq!(day(2024, 13, 1), None);
        assert_eq!(weekday(0), 3);
    }

    #[test]
    fn moments_are_shown_with_their_offset() {
        assert_eq!(shown(&UtcOnly, "UTC", 1_709_251_199), "2024-02-29T23:59:59+00:00");
    }
}
