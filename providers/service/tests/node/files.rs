use crate::{Probe, active, here, show, systemctl};
use rectify_sdk::{
    protocol::{ErrorCode, Mutated, message::Predicted},
    testing::Exercise,
};
use serde_json::{Value, json};
use std::{fs, path::Path};

const TYPE: &str = "service.unit_file";

fn refused(exercise: &mut Exercise, desired: &Value) -> rectify_sdk::protocol::ItemError {
    let planned = exercise.plan(TYPE, desired).unwrap().unwrap().unwrap();
    let op = exercise.operation(TYPE, desired, &planned).unwrap();
    exercise.apply(&op).unwrap().unwrap_err()
}

#[test]
fn systemd_has_read_a_drop_in_once_it_is_there() {
    let mut exercise = here();
    let probe = Probe::new("probe-drop.service");
    let desired = json!({"path": probe.drop_in(), "content": "[Service]\nLimitNOFILE=4711\n"});
    let before = show(probe.0, "LimitNOFILE");
    exercise.there_and_back(TYPE, &desired).unwrap();
    assert_eq!(show(probe.0, "LimitNOFILE"), before);
    assert!(!Path::new("/etc/systemd/system/probe-drop.service.d").exists());
    exercise.converge(TYPE, &desired).unwrap();
    assert_eq!(show(probe.0, "LimitNOFILE"), "4711");
    assert_eq!(show(probe.0, "NeedDaemonReload"), "no");
    let other = json!({"path": probe.drop_in(), "content": "[Service]\nLimitNOFILE=4712\n"});
    exercise.there_and_back(TYPE, &other).unwrap();
    assert_eq!(show(probe.0, "LimitNOFILE"), "4711");
    let absent = json!({"path": probe.drop_in(), "state": "absent"});
    exercise.there_and_back(TYPE, &absent).unwrap();
    exercise.converge(TYPE, &absent).unwrap();
    assert_eq!(show(probe.0, "LimitNOFILE"), before);
}

#[test]
fn a_new_unit_is_made_started_and_taken_back() {
    let mut exercise = here();
    let probe = Probe::later("probe-new.service");
    let file = json!({"path": probe.path(), "content": "[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n"});
    let unit = json!({"unit": probe.0, "state": "running", "enabled": true});
    // Both are planned before either is done, as an engine does.
    let planned_file = exercise.plan(TYPE, &file).unwrap().unwrap().unwrap();
    let planned_unit = exercise.plan("service.unit", &unit).unwrap().unwrap().unwrap();
    assert_eq!((planned_file.undo.as_str(), planned_unit.prediction.as_str()), ("exact", "conditional"));
    exercise.carry_out(TYPE, &file, &planned_file).unwrap();
    exercise.carry_out("service.unit", &unit, &planned_unit).unwrap();
    assert_eq!(active(probe.0), "active");
    let back = exercise.back("service.unit", &unit, &planned_unit).unwrap();
    exercise.converge("service.unit", &back).unwrap();
    let back = exercise.back(TYPE, &file, &planned_file).unwrap();
    exercise.converge(TYPE, &back).unwrap();
    assert_eq!(show(probe.0, "LoadState"), "not-found");
    assert!(!Path::new(&probe.path()).exists());
}

#[test]
fn a_file_that_systemd_does_not_load_is_taken_back_at_once() {
    let mut exercise = here();
    let probe = Probe::later("probe-bad.service");
    let bad = json!({"path": probe.path(), "content": "[Service]\nNice=1\n"});
    let error = refused(&mut exercise, &bad);
    assert_eq!((error.code, error.mutated), (ErrorCode::Failed, Mutated::No), "{error}");
    assert_eq!(error.path.as_deref(), Some("/content"));
    assert!(!Path::new(&probe.path()).exists());
    assert_eq!(show(probe.0, "LoadState"), "not-found");
    drop(probe);
    // The same of a drop-in over something that runs: it goes on running.
    let probe = Probe::new("probe-bad2.service");
    systemctl(&["start", probe.0]);
    let bad = json!({"path": probe.drop_in(), "content": "[Service]\nExecStart=\n"});
    let error = refused(&mut exercise, &bad);
    assert_eq!((error.code, error.mutated), (ErrorCode::Failed, Mutated::No), "{error}");
    assert!(!Path::new(&probe.drop_in()).exists());
    assert_eq!((show(probe.0, "LoadState").as_str(), active(probe.0).as_str()), ("loaded", "active"));
}

#[test]
fn two_steps_on_one_file_are_predicted_one_on_the_other() {
    let mut exercise = here();
    let probe = Probe::new("probe-chain.service");
    let first = json!({"path": probe.drop_in(), "content": "[Service]\nNice=1\n"});
    let second = json!({"path": probe.drop_in(), "content": "[Service]\nNice=2\n"});
    let planned_first = exercise.plan(TYPE, &first).unwrap().unwrap().unwrap();
    let prior = Predicted { state: planned_first.planned.clone() };
    let planned_second = exercise.plan_on(TYPE, &second, Some(prior)).unwrap().unwrap().unwrap();
    exercise.carry_out(TYPE, &first, &planned_first).unwrap();
    exercise.carry_out(TYPE, &second, &planned_second).unwrap();
    assert_eq!(show(probe.0, "Nice"), "2");
    assert_eq!(fs::read_to_string(probe.drop_in()).unwrap(), "[Service]\nNice=2\n");
}
