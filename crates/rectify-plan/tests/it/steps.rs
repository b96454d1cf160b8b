//! What becomes of single nodes: actions, predictions, undo, deferrals, gates and waves.

use crate::fixture::{Documents, changed, file, graph, node, observe, runs, unchanged, valid, valid_plan};
use rectify_model::{
    Plan,
    grade::{Prediction, UndoGrade},
    observation::Answer,
    plan::{Action, Step},
};
use rectify_plan::{Reason, WaveReason};
use serde_json::{Value, json};

fn step<'p>(plan: &'p Plan, address: &str) -> &'p Step {
    plan.steps.iter().find(|step| step.address.as_str() == address).expect("a step")
}

fn planned(nodes: &[Value], answer: impl Fn(&str) -> Answer) -> Documents {
    observe(graph(&["t"], nodes, &[]), |node, _| answer(node.address.step()))
}

#[test]
fn actions_follow_from_the_states() {
    let plan = valid_plan();
    let action = |address: &str| step(&plan, address).action;
    assert_eq!(action("base/dir"), Action::Create);
    assert_eq!(action("base/old"), Action::Delete);
    assert_eq!(action("base/swap"), Action::Replace);
    assert_eq!(action("web/conf"), Action::Update);
    assert_eq!(action("web/reload"), Action::Run);
    assert_eq!(plan.counts.changes(), plan.steps.len() as u64);
}

#[test]
fn a_chain_hands_its_state_on() {
    let plan = valid_plan();
    let (conf, line) = (step(&plan, "web/conf"), step(&plan, "web/line"));
    // Fingerprints are per type, so the states are compared.
    assert_eq!(
        conf.planned.as_ref().unwrap()["content"]["blake3"],
        line.changes[0].before.as_ref().unwrap()["blake3"]
    );
    assert_eq!(line.changes.len(), 1);
    assert_eq!(line.changes[0].path.as_str(), "/content");
    assert_eq!(line.changes[0].after.as_ref().unwrap()["text"], "# web\nport 80\nroot /srv\n");
    assert_eq!(line.planned.as_ref().unwrap().pointer("/content/text"), None);
}

#[test]
fn undo_mirrors_the_step_or_says_why_not() {
    let plan = valid_plan();
    let delete = step(&plan, "base/old");
    let inverse = delete.undo.inverse.as_ref().unwrap();
    assert_eq!(
        (inverse.action, Some(inverse.expect), inverse.result),
        (Action::Create, delete.result, Some(delete.expect))
    );
    let run = step(&plan, "web/reload");
    assert_eq!((run.undo.grade, &run.undo.inverse), (UndoGrade::None, &None));
    assert!(run.undo.note.is_some());
    assert_eq!(step(&plan, "web/conf").undo.note.as_deref(), Some("the file has another name"));
}

#[test]
fn an_action_is_taken_back_as_its_author_declared() {
    let plan = valid_plan();
    // Its state tells whether it ran.
    let init = step(&plan, "web/init");
    let inverse = init.undo.inverse.as_ref().unwrap();
    assert_eq!(
        (inverse.action, Some(inverse.expect), inverse.result),
        (Action::Run, init.result, Some(init.expect))
    );
    // Nothing tells.
    let migrate = step(&plan, "web/migrate");
    let inverse = migrate.undo.inverse.as_ref().unwrap();
    assert_eq!((inverse.action, inverse.expect, inverse.result), (Action::Run, migrate.expect, None));
    assert_eq!(migrate.undo.grade, UndoGrade::Lossy);

    let nodes = [node("t", "r/a", "command.run", json!({"argv": ["x"]}), &[])];
    // What is seen of it before says that something is seen of it afterwards, which is not known here.
    let seen = json!({"creates": {"path": "/x", "exists": false}});
    for (prior, grade, expected) in [
        (seen, "lossy", (UndoGrade::None, false)),
        (json!({}), "exact", (UndoGrade::Lossy, true)),
        (json!({}), "none", (UndoGrade::None, false)),
        (Value::Null, "lossy", (UndoGrade::Lossy, true)),
    ] {
        let rest = json!({"prediction": "opaque", "undo": {"grade": grade}});
        let plan = planned(&nodes, |_| changed(prior.clone(), Value::Null, &rest)).plan().unwrap().plan;
        let undo = &plan.steps[0].undo;
        assert_eq!((undo.grade, undo.inverse.is_some()), expected, "{prior} {grade}");
        assert!(undo.note.is_some());
    }
}

#[test]
fn predictions_are_lowered_by_what_they_stand_on() {
    let plan = valid_plan();
    let sure = |address: &str| step(&plan, address).prediction;
    assert_eq!(sure("web/migrate"), Prediction::Opaque);
    assert_eq!(sure("web/init"), Prediction::Conditional);
    // Its trigger is opaque.
    assert_eq!(sure("web/marker"), Prediction::Conditional);
    assert_eq!(step(&plan, "web/migrate").result, None);
    assert!(step(&plan, "web/init").result.is_some());
}

#[test]
fn a_chain_on_an_uncertain_result_is_conditional() {
    let nodes = [
        node("t", "r/a", "command.run", json!({"argv": ["x"]}), &[]),
        node("t", "r/b", "file.content", json!({"path": "/a"}), &[("on_change", "r/a")]),
        node("t", "r/c", "file.line", json!({"path": "/a"}), &[("implied", "r/b")]),
        node("t", "r/d", "file.matches", json!({"path": "/a"}), &[("implied", "r/c")]),
    ];
    let state = |text: &str| file("/a", "0644", text);
    let documents = planned(&nodes, |name| match name {
        "a" => runs(&json!([])),
        "b" => changed(Value::Null, state("1"), &Value::Null),
        "c" => changed(state("1"), state("2"), &Value::Null),
        _ => unchanged(json!({"ok": true, "detail": ""})),
    });
    let planned = documents.plan().unwrap();
    assert_eq!(step(&planned.plan, "r/c").prediction, Prediction::Conditional);
    // A probe that was asked before what it reads changes: said, not hidden.
    let note = planned.report.entries.iter().any(|entry| {
        entry.address.step() == "d"
            && matches!(&entry.reason, Reason::ReadsChanged { key, .. } if key == "path:/a")
    });
    assert!(note);
}

#[test]
fn a_type_or_an_unknown_result_limits_the_prediction() {
    let nodes = [node("t", "r/a", "command.run", json!({"argv": ["x"]}), &[])];
    // Claims to be exact, but says nothing of what is left behind.
    let answer = changed(json!({}), Value::Null, &json!({"undo": {"grade": "exact"}}));
    let planned = planned(&nodes, |_| answer.clone()).plan().unwrap();
    let step = &planned.plan.steps[0];
    assert_eq!((step.prediction, step.undo.grade), (Prediction::Opaque, UndoGrade::Lossy));
    assert!(planned.report.entries.iter().any(|entry| matches!(entry.reason, Reason::Degraded { .. })));
}

#[test]
fn an_opaque_resource_is_changed_without_a_result() {
    let nodes = [node("t", "r/a", "file.content", json!({"path": "/a"}), &[])];
    for (prior, action) in [(Value::Null, Action::Create), (file("/a", "0644", "x"), Action::Update)] {
        let answer =
            changed(prior, Value::Null, &json!({"prediction": "opaque", "undo": {"grade": "exact"}}));
        let plan = planned(&nodes, |_| answer.clone()).plan().unwrap().plan;
        let step = &plan.steps[0];
        assert_eq!((step.action, step.result, step.changes.len()), (action, None, 0));
        assert_eq!(step.undo.grade, UndoGrade::None);
    }
}

#[test]
fn what_comes_after_a_deferred_step_is_deferred() {
    let planned = valid().plan().unwrap();
    let deferred: Vec<(&str, &str)> =
        planned.plan.deferred.iter().map(|entry| (entry.address.as_str(), entry.code.as_str())).collect();
    assert_eq!(deferred, [("web/ask", "PERMISSION"), ("web/after-ask", "plan-after-deferred")]);
}

#[test]
fn gates_are_kept_where_something_changes() {
    let planned = valid().plan().unwrap();
    let gates: Vec<String> =
        planned.plan.gates.iter().map(|gate| format!("{}:{}", gate.target, gate.address)).collect();
    assert_eq!(gates, ["app-1:base/verify:0", "app-1:web/verify:0", "app-2:base/verify:0"]);
    let why = |target: &str, address: &str| {
        planned.report.why(Some(&target.parse().unwrap()), &address.parse().unwrap())
    };
    assert_eq!(
        why("app-2", "web/verify:0"),
        "app-2:web/verify:0: not asked: its remediation changes nothing here\n"
    );
    assert!(why("app-1", "web/verify:0").contains("may fail: `web/ask` of its remediation is deferred"));
}

#[test]
fn the_first_wave_is_one_target_that_changes() {
    let one = |name: &str| node(name, "r/a", "file.content", json!({"path": "/a"}), &[]);
    let documents = observe(graph(&["a", "b", "c"], &[one("a"), one("b"), one("c")], &[]), |node, _| {
        let state = file("/a", "0644", "x\n");
        if node.target.as_str() == "a" { unchanged(state) } else { changed(Value::Null, state, &Value::Null) }
    });
    let planned = documents.plan().unwrap();
    let waves: Vec<Vec<&str>> =
        planned.plan.waves.iter().map(|wave| wave.iter().map(|t| t.as_str()).collect()).collect();
    assert_eq!(waves, [vec!["b"], vec!["a", "c"]]);
    assert_eq!(planned.report.waves[0].reason, WaveReason::First);
}

#[test]
fn an_unfired_trigger_is_a_no_op() {
    let planned = valid().plan().unwrap();
    assert_eq!(
        planned.report.why(None, &"web/idle".parse().unwrap()),
        "app-1:web/idle: nothing to do: what triggers it does not change (`base/motd`)\n"
    );
}
