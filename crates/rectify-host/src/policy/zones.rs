//! What wall clocks show, from the tables that are compiled into this executable: the same on every
//! machine, whatever its own tables are, and readable without opening a file.

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use rectify_policy::{Zones, freeze::LocalMoment};
use std::{cell::RefCell, collections::BTreeMap};

/// The IANA database.
#[derive(Default)]
pub struct CompiledZones {
    /// Zones are looked up by name thousands of times.
    known: RefCell<BTreeMap<String, Option<TimeZone>>>,
}

impl CompiledZones {
    fn zone(&self, name: &str) -> Option<TimeZone> {
        if let Some(zone) = self.known.borrow().get(name) {
            return zone.clone();
        }
        let zone = TimeZone::get(name).ok();
        self.known.borrow_mut().insert(name.to_owned(), zone.clone());
        zone
    }
}

impl Zones for CompiledZones {
    fn offset(&self, zone: &str, unix_s: i64) -> Option<i32> {
        Some(self.zone(zone)?.to_offset(Timestamp::from_second(unix_s).ok()?).seconds())
    }

    fn instant(&self, zone: &str, local: LocalMoment) -> Option<i64> {
        // The same number of seconds on the clock of UTC gives the fields of the date.
        let fields: DateTime = TimeZone::UTC.to_datetime(Timestamp::from_second(local).ok()?);
        Some(self.zone(zone)?.to_ambiguous_timestamp(fields).compatible().ok()?.as_second())
    }
}
