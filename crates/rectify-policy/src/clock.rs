//! Time as policies see it. The caller reads the clock; nothing here does.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The moment of a decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Clock {
    /// Seconds since 1970-01-01T00:00:00Z.
    pub unix_s: i64,
    /// The same moment on the clocks of the zones that the bundle asks for in `data.json` under
    /// `zones`, by IANA name. `UTC` is always there.
    pub zones: BTreeMap<String, LocalTime>,
}

/// A moment on the clock on the wall of one zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LocalTime {
    /// `YYYY-MM-DD`.
    pub date: String,
    /// `monday` to `sunday`.
    pub weekday: String,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// Seconds east of UTC.
    pub offset_s: i32,
}

const WEEKDAYS: [&str; 7] = ["thursday", "friday", "saturday", "sunday", "monday", "tuesday", "wednesday"];
const DAY_S: i64 = 86_400;

impl Clock {
    /// A moment with the zone `UTC` alone.
    #[must_use]
    pub fn utc(unix_s: i64) -> Self {
        Self { unix_s, zones: BTreeMap::from([("UTC".to_owned(), LocalTime::at(unix_s, 0))]) }
    }

    /// Adds a zone by its offset at this moment, in seconds east of UTC.
    #[must_use]
    pub fn with_zone(mut self, name: impl Into<String>, offset_s: i32) -> Self {
        self.zones.insert(name.into(), LocalTime::at(self.unix_s, offset_s));
        self
    }
}

impl LocalTime {
    fn at(unix_s: i64, offset_s: i32) -> Self {
        let local = unix_s.saturating_add(i64::from(offset_s));
        let (day, second) = (local.div_euclid(DAY_S), local.rem_euclid(DAY_S));
        let (year, month, day_of_month) = civil(day);
        let weekday = usize::try_from(day.rem_euclid(7)).ok().and_then(|i| WEEKDAYS.get(i));
        let part = |seconds: i64, modulus: i64| u8::try_from(second / seconds % modulus).unwrap_or(0);
        Self {
            date: format!("{year:04}-{month:02}-{day_of_month:02}"),
            weekday: (*weekday.unwrap_or(&"monday")).to_owned(),
            hour: part(3600, 24),
            minute: part(60, 60),
            offset_s,
        }
    }
}

/// Year, month and day of a number of days since 1970-01-01, in the proleptic Gregorian
/// calendar. Years begin in March here, so that the leap day is the last day of a year.
pub(crate) fn civil(days: i64) -> (i64, i64, i64) {
    let from_epoch = days.saturating_add(719_468);
    let era = from_epoch.div_euclid(146_097);
    let day = from_epoch.rem_euclid(146_097);
    let year_of_era = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments() {
        for (unix_s, date, weekday, hour, minute) in [
            (0, "1970-01-01", "thursday", 0, 0),
            (-1, "1969-12-31", "wednesday", 23, 59),
            (951_782_400, "2000-02-29", "tuesday", 0, 0),
            (1_709_251_199, "2024-02-29", "thursday", 23, 59),
            (1_709_251_200, "2024-03-01", "friday", 0, 0),
            (4_107_542_400, "2100-03-01", "monday", 0, 0),
        ] {
            let time = LocalTime::at(unix_s, 0);
            assert_eq!(
                (time.date.as_str(), time.weekday.as_str(), time.hour, time.minute),
                (date, weekday, hour, minute)
            );
        }
    }

    #[test]
    fn a_zone_can_be_on_another_day() {
        let clock = Clock::utc(1_709_251_199).with_zone("Asia/Tokyo", 9 * 3600);
        let tokyo = clock.zones.get("Asia/Tokyo").map(|time| (time.date.as_str(), time.hour));
        assert_eq!(tokyo, Some(("2024-03-01", 8)));
    }
}
