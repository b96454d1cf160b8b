use crate::{Probe, active, enabled, here, show, systemctl};
use rectify_sdk::protocol::{ErrorCode, Mutated};
use serde_json::json;
use std::fs;

const TYPE: &str = "service.unit";

#[test]
fn a_unit_starts_and_stops_and_each_is_taken_back() {
    let mut exercise = here();
    let probe = Probe::new("probe-run.service");
    let running = json!({"unit": probe.0, "state": "running", "stable_s": 1});
    let planned = exercise.there_and_back(TYPE, &running).unwrap();
    assert_eq!((planned.undo.as_str(), planned.prediction.as_str()), ("exact", "exact"));
    assert_eq!(active(probe.0), "inactive");
    exercise.converge(TYPE, &running).unwrap();
    assert_eq!(active(probe.0), "active");
    let stopped = json!({"unit": probe.0, "state": "stopped"});
    exercise.there_and_back(TYPE, &stopped).unwrap();
    assert_eq!(active(probe.0), "active");
    // Somebody stopped it behind our back: that is drift.
    systemctl(&["kill", "--signal=KILL", probe.0]);
    systemctl(&["stop", probe.0]);
    exercise.converge(TYPE, &running).unwrap();
}

#[test]
fn a_unit_is_enabled_and_disabled_and_each_is_taken_back() {
    let mut exercise = here();
    let probe = Probe::new("probe-enable.service");
    let desired = json!({"unit": probe.0, "enabled": true});
    assert_eq!(exercise.there_and_back(TYPE, &desired).unwrap().undo, "exact");
    assert_eq!((enabled(probe.0).as_str(), active(probe.0).as_str()), ("disabled", "inactive"));
    exercise.converge(TYPE, &desired).unwrap();
    assert!(fs::symlink_metadata("/etc/systemd/system/multi-user.target.wants/probe-enable.service").is_ok());
    let off = json!({"unit": probe.0, "enabled": false});
    assert_eq!(exercise.there_and_back(TYPE, &off).unwrap().undo, "lossy");
    assert_eq!(enabled(probe.0), "enabled");
    exercise.converge(TYPE, &off).unwrap();
    assert_eq!(enabled(probe.0), "disabled");
    // All at once, in one step.
    let both = json!({"unit": probe.0, "state": "running", "enabled": true, "stable_s": 0});
    exercise.there_and_back(TYPE, &both).unwrap();
    assert_eq!((enabled(probe.0).as_str(), active(probe.0).as_str()), ("disabled", "inactive"));
}

#[test]
fn what_is_masked_cannot_be_started_until_it_is_unmasked() {
    let mut exercise = here();
    let probe = Probe::later("probe-mask.service");
    let vendor = "/usr/lib/systemd/system/probe-mask.service";
    fs::write(vendor, "[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n")
        .unwrap();
    systemctl(&["daemon-reload"]);
    exercise.converge(TYPE, &json!({"unit": probe.0, "enabled": true, "state": "running"})).unwrap();
    let masked = json!({"unit": probe.0, "masked": true, "state": "stopped"});
    let planned = exercise.there_and_back(TYPE, &masked).unwrap();
    assert_eq!(planned.undo, "exact");
    assert_eq!((enabled(probe.0).as_str(), active(probe.0).as_str()), ("enabled", "active"));
    exercise.converge(TYPE, &masked).unwrap();
    assert_eq!((enabled(probe.0).as_str(), active(probe.0).as_str()), ("masked", "inactive"));
    for (desired, place) in [
        (json!({"unit": probe.0, "state": "running"}), "/state"),
        (json!({"unit": probe.0, "state": "running", "masked": false, "enabled": true}), ""),
    ] {
        let planned = exercise.plan(TYPE, &desired).unwrap();
        match planned {
            Err(error) => assert_eq!((error.code, error.path.as_deref()), (ErrorCode::Conflict, Some(place))),
            Ok(planned) => assert_eq!((planned.unwrap().prediction.as_str(), place), ("conditional", "")),
        }
    }
    // It is as it was before the mask: enabled, and not started.
    exercise.converge(TYPE, &json!({"unit": probe.0, "masked": false})).unwrap();
    assert_eq!((enabled(probe.0).as_str(), active(probe.0).as_str()), ("enabled", "inactive"));
}

#[test]
fn a_unit_of_ones_own_cannot_be_masked() {
    let mut exercise = here();
    let probe = Probe::new("probe-own.service");
    let error = exercise.plan(TYPE, &json!({"unit": probe.0, "masked": true})).unwrap().unwrap_err();
    assert_eq!((error.code, error.path.as_deref()), (ErrorCode::Conflict, Some("/masked")), "{error}");
}

#[test]
fn what_systemd_would_refuse_is_refused_beforehand() {
    let mut exercise = here();
    let probe = Probe::with("probe-static.service", "[Service]\nExecStart=/bin/sleep infinity\n");
    let error = exercise.plan(TYPE, &json!({"unit": probe.0, "enabled": true})).unwrap().unwrap_err();
    assert_eq!((error.code, error.path.as_deref()), (ErrorCode::Conflict, Some("/enabled")));
    assert!(error.message.contains("[Install]"), "{error}");
    // One thing has one name: that of Debian's is ssh.service.
    let error =
        exercise.plan(TYPE, &json!({"unit": "sshd.service", "state": "running"})).unwrap().unwrap_err();
    assert_eq!((error.code, error.path.as_deref()), (ErrorCode::Conflict, Some("/unit")));
    assert!(error.message.contains("`ssh.service`"), "{error}");
    // What is not there is neither running nor enabled.
    let off = json!({"unit": "probe-nowhere.service", "state": "stopped", "enabled": false, "masked": false});
    assert_eq!(exercise.plan(TYPE, &off).unwrap().unwrap(), None);
    let on = json!({"unit": "probe-nowhere.service", "state": "running"});
    let planned = exercise.plan(TYPE, &on).unwrap().unwrap().unwrap();
    assert_eq!(planned.prediction, "conditional");
    let op = exercise.operation(TYPE, &on, &planned).unwrap();
    let error = exercise.apply(&op).unwrap().unwrap_err();
    assert_eq!((error.code, error.mutated), (ErrorCode::Failed, Mutated::No), "{error}");
    assert!(error.message.contains("there is no unit"), "{error}");
}

#[test]
fn a_unit_that_does_not_start_is_left_as_it_was_and_the_journal_says_why() {
    let mut exercise = here();
    let text = "[Service]\nExecStart=/bin/sh -c 'echo the tank is empty >&2; exit 7'\n[Install]\nWantedBy=multi-user.target\n";
    let probe = Probe::with("probe-broken.service", text);
    let desired = json!({"unit": probe.0, "state": "running", "enabled": true});
    let planned = exercise.plan(TYPE, &desired).unwrap().unwrap().unwrap();
    let op = exercise.operation(TYPE, &desired, &planned).unwrap();
    let error = exercise.apply(&op).unwrap().unwrap_err();
    assert_eq!((error.code, error.mutated), (ErrorCode::Failed, Mutated::Yes), "{error}");
    assert!(error.message.contains("the tank is empty"), "{error}");
    assert!(error.message.contains("exit-code"), "{error}");
    assert_eq!(enabled(probe.0), "disabled");
    // So is one that ran for a while: it is stopped again.
    systemctl(&["reset-failed", probe.0]);
    let text = "[Service]\nExecStart=/bin/sleep infinity\nExecStartPost=/bin/sh -c 'echo no second tank >&2; exit 1'\n";
    fs::write(probe.path(), text).unwrap();
    systemctl(&["daemon-reload"]);
    let running = json!({"unit": probe.0, "state": "running"});
    let planned = exercise.plan(TYPE, &running).unwrap().unwrap().unwrap();
    let op_running = exercise.operation(TYPE, &running, &planned).unwrap();
    let error = exercise.apply(&op_running).unwrap().unwrap_err();
    assert!(error.message.contains("no second tank"), "{error}");
    assert_eq!(show(probe.0, "MainPID"), "0");
    // The state that was there before is found again, so there is nothing to take back.
    let state = exercise.read(TYPE, &desired, false).unwrap().unwrap().state;
    assert_eq!(exercise.print(TYPE, state.as_ref()).unwrap(), op.expect);
}

#[test]
fn sockets_timers_and_units_that_run_once_are_units_too() {
    let mut exercise = here();
    let once = Probe::with(
        "probe-once.service",
        "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n",
    );
    exercise.there_and_back(TYPE, &json!({"unit": once.0, "state": "running"})).unwrap();
    let ends = Probe::with("probe-ends.service", "[Service]\nType=oneshot\nExecStart=/bin/true\n");
    let desired = json!({"unit": ends.0, "state": "running"});
    let planned = exercise.plan(TYPE, &desired).unwrap().unwrap().unwrap();
    let op = exercise.operation(TYPE, &desired, &planned).unwrap();
    let error = exercise.apply(&op).unwrap().unwrap_err();
    assert!(error.hint.unwrap().contains("RemainAfterExit"));
    let timer = Probe::with(
        "probe-ends.timer",
        "[Timer]\nOnCalendar=2000-01-01\n[Install]\nWantedBy=timers.target\n",
    );
    exercise.there_and_back(TYPE, &json!({"unit": timer.0, "state": "running", "enabled": true})).unwrap();
    assert_eq!(show(timer.0, "ActiveState"), "inactive");
}
