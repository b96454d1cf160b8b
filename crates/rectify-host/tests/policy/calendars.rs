//! `conformance/cases/calendars`: what calendars say about moments, over changes of clocks, and what
//! is closed because it cannot be read.

use crate::{alone, block_on, input, program};
use jiff::Timestamp;
use rectify_host::policy::{CompiledZones, evaluate};
use rectify_policy::{
    Bundle,
    freeze::{Freeze, freeze},
    standard,
};
use serde::Deserialize;
use serde_json::json;
use std::{fs, path::PathBuf, time::Instant};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expect {
    #[serde(rename = "why")]
    _why: String,
    moments: Vec<Moment>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Moment {
    at: Timestamp,
    #[serde(default)]
    active: Vec<String>,
    #[serde(default)]
    opens: Option<String>,
    #[serde(default)]
    next: Option<String>,
    #[serde(default)]
    problem: Option<String>,
}

fn calendar(text: &str) -> Bundle {
    Bundle { files: [("freeze.ics".to_owned(), text.to_owned())].into() }
}

fn at(bundle: &Bundle, moment: Timestamp) -> Freeze {
    freeze(bundle, moment.as_second(), &CompiledZones::default()).unwrap()
}

#[test]
fn every_calendar_says_what_is_expected() {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../conformance/cases/calendars");
    let mut cases: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    assert!(cases.len() >= 30, "only {} cases", cases.len());
    let mut wrong = Vec::new();
    for case in cases {
        let name = case.file_name().unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(case.join("freeze.ics")).unwrap();
        let expect: Expect = serde_json::from_slice(&fs::read(case.join("moments.json")).unwrap()).unwrap();
        for moment in expect.moments {
            let said = at(&calendar(&text), moment.at);
            let mut active: Vec<_> = said.active.iter().map(|window| window.summary.clone()).collect();
            active.sort();
            let problem =
                said.problems.first().map(|problem| format!("{}: {}", problem.place, problem.message));
            let got = (active, said.opens.map(|opens| opens.at), said.next.map(|next| next.begins), problem);
            if got != (moment.active, moment.opens, moment.next, moment.problem) {
                wrong.push(format!("{name} at {}: {got:?}", moment.at));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The standard bundle with a calendar, over the input that all cases share, at a moment.
fn decided(text: &str, moment: &str) -> (bool, Vec<String>) {
    let mut bundle = standard();
    bundle.files.insert("freeze.ics".into(), text.into());
    let mut input = input();
    input["now"]["unix_s"] = json!(moment.parse::<Timestamp>().unwrap().as_second());
    let decision = block_on(evaluate(program(), &[], &bundle, &input)).unwrap();
    let said = decision.deny.iter().filter(|finding| finding.rule == "freeze");
    (decision.allowed, said.map(|finding| finding.message.clone()).collect())
}

#[test]
fn the_child_knows_zones_and_closes_what_it_cannot_read() {
    let _alone = alone();
    let night = "BEGIN:VCALENDAR\nBEGIN:VEVENT\nSUMMARY:night\nDTSTART;TZID=Europe/Berlin:20260101T220000\nDURATION:PT8H\nRRULE:FREQ=DAILY\nEND:VEVENT\nEND:VCALENDAR\n";
    let (allowed, said) = decided(night, "2026-07-01T21:00:00Z");
    assert!(!allowed);
    assert_eq!(
        said,
        [
            "freeze.ics: test is frozen until 2026-07-02T06:00:00+02:00 (night); the next opening is 2026-07-02T06:00:00+02:00, Europe/Berlin"
        ]
    );
    assert_eq!(decided(night, "2026-07-01T12:00:00Z"), (true, vec![]));
    let (allowed, said) = decided(&night.replace("DAILY", "DAYLY"), "2026-07-01T12:00:00Z");
    assert!(!allowed);
    assert_eq!(
        said,
        ["test is frozen because a calendar cannot be read: freeze.ics:6: `FREQ=DAYLY` is not read here"]
    );
}

/// Whatever is in a calendar, the child answers within its limits, and the answer is no.
#[test]
fn hostile_calendars_are_closed_in_time() {
    let _alone = alone();
    let event = |more: &str| {
        format!("BEGIN:VEVENT\nDTSTART;TZID=Europe/Berlin:19700101T000000\nDURATION:PT1S\n{more}END:VEVENT\n")
    };
    let of = |events: &str| format!("BEGIN:VCALENDAR\n{events}END:VCALENDAR\n");
    for (text, message) in [
        (of(&event("").repeat(3000)), "more than 2000 events"),
        (of(&event("RRULE:FREQ=DAILY;COUNT=10000\n").repeat(1900)), "recur more than 50000 times"),
        (of(&event("RRULE:FREQ=DAILY\n").repeat(1900)), "recur more than 50000 times"),
        (
            of(&event("RRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30;COUNT=5\n").repeat(1900)),
            "recur more than 50000 times",
        ),
        (
            of(&event(&format!("RDATE:{}20260101T000000Z\n", "20260101T000000Z,".repeat(4000)))),
            "`RDATE` must be",
        ),
        (format!("BEGIN:VCALENDAR\n{}", "BEGIN:VEVENT\n".repeat(60_000)), "does not end"),
        (format!("{}\n", ":;=\"".repeat(200_000)), "expected `BEGIN:VCALENDAR`"),
        (of(&event(&format!("SUMMARY:{}\n", "\n x".repeat(200_000)))), ""),
        // Each period, or each beginning, looks at all of these.
        (of(&event(&format!("RRULE:FREQ=DAILY;BYSETPOS={}1\n", "1,-1,".repeat(150_000)))), ""),
        (of(&event(&format!("RRULE:FREQ=YEARLY;BYDAY={}SU\n", "MO,-1MO,".repeat(100_000)))), ""),
        (
            of(&event(&format!(
                "RDATE;TZID=Europe/Berlin:{}19700101T000000\nEXDATE:{}20260101T000000Z\n",
                "20260701T000000,".repeat(25_000),
                "20260101T000000Z,".repeat(30_000)
            ))),
            "",
        ),
    ] {
        let began = Instant::now();
        let (allowed, said) = decided(&text, "2026-07-01T12:00:00Z");
        println!("{} bytes: {:?}", text.len(), began.elapsed());
        if message.is_empty() {
            assert!(allowed);
            continue;
        }
        assert!(!allowed, "{message}");
        assert!(said.len() == 1 && said[0].contains(message), "{message}: {said:?}");
    }
}
