//! Idempotency and parity: each type of resource × {create, update, unchanged, delete, undo}. What an action
//! did is in no state; its cells are that it is done, not done again, and taken back.

use crate::{Probe, act, active, back, here, systemctl};
use rectify_sdk::testing::Exercise;
use serde_json::{Value, json};

type Outcome = Result<(), String>;

/// Makes a change with all checks of [`Exercise::converge`], and finds nothing left to do.
fn changed(exercise: &mut Exercise, name: &str, desired: &Value) -> Outcome {
    exercise.converge(name, desired).map(drop)
}

fn unchanged(exercise: &mut Exercise, name: &str, desired: &Value) -> Outcome {
    match exercise.plan(name, desired)? {
        Ok(None) => Ok(()),
        other => Err(format!("{desired}: {other:?}")),
    }
}

fn undone(exercise: &mut Exercise, name: &str, desired: &Value) -> Outcome {
    exercise.there_and_back(name, desired).map(drop)
}

fn resource(
    exercise: &mut Exercise,
    name: &'static str,
    made: &Value,
    other: &Value,
    gone: &Value,
) -> Vec<(String, Outcome)> {
    let mut cells = Vec::new();
    let mut add = |cell: &str, outcome: Outcome| cells.push((format!("{name} {cell}"), outcome));
    add("create, undone", undone(exercise, name, made));
    add("create", changed(exercise, name, made));
    add("unchanged", unchanged(exercise, name, made));
    add("update, undone", undone(exercise, name, other));
    add("update", changed(exercise, name, other));
    add("delete, undone", undone(exercise, name, gone));
    add("delete", changed(exercise, name, gone));
    add("deleted, unchanged", unchanged(exercise, name, gone));
    cells
}

#[test]
fn every_cell_of_the_matrix_holds() {
    let mut exercise = here();
    let probe = Probe::new("probe-cells.service");
    let mut cells = Vec::new();
    let file = |content: &str| json!({"path": probe.drop_in(), "content": content});
    let none = json!({"path": probe.drop_in(), "state": "absent"});
    cells.extend(resource(
        &mut exercise,
        "service.unit_file",
        &file("[Service]\nNice=1\n"),
        &file("[Service]\nNice=2\n"),
        &none,
    ));
    let unit = |more: Value| {
        let mut unit = json!({"unit": probe.0, "stable_s": 0});
        unit.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        unit
    };
    cells.extend(resource(
        &mut exercise,
        "service.unit",
        &unit(json!({"state": "running", "enabled": true})),
        &unit(json!({"state": "running", "enabled": false})),
        &unit(json!({"state": "stopped"})),
    ));
    systemctl(&["start", probe.0]);
    for name in ["service.restart", "service.reload"] {
        let desired = match name {
            "service.restart" => json!({"unit": probe.0, "stable_s": 0}),
            _ => json!({"unit": probe.0, "stable_s": 0, "or_restart": true}),
        };
        let done = act(&mut exercise, name, &desired).map(drop).map_err(|e| e.to_string());
        cells.push((format!("{name} run"), done));
        let planned = exercise.plan(name, &desired).unwrap().unwrap().unwrap();
        let op = exercise.operation(name, &desired, &planned).unwrap();
        let op = rectify_sdk::protocol::message::Apply { result: None, action: "run".into(), ..op };
        let first = exercise.apply(&op).unwrap();
        let pid = crate::show(probe.0, "MainPID");
        let again = exercise.apply(&op).unwrap();
        let once = first.is_ok() && first == again && crate::show(probe.0, "MainPID") == pid;
        cells.push((
            format!("{name} again"),
            once.then_some(()).ok_or_else(|| format!("{first:?} {again:?}")),
        ));
        let taken = back(&mut exercise, name, &desired).map(drop).map_err(|e| e.to_string());
        cells.push((format!("{name} undone"), taken));
        assert_eq!(active(probe.0), "active");
    }
    let failed: Vec<_> = cells.iter().filter(|(_, outcome)| outcome.is_err()).collect();
    println!("{} of {} cells hold", cells.len() - failed.len(), cells.len());
    assert!(failed.is_empty(), "{failed:#?}");
}
