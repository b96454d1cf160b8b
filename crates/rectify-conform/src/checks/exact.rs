//! D and X: that predictions come true, and nothing else does.

use crate::{
    bed::{Bed, Subject},
    checks::{again::identity, bed, item_a},
    kit::Scene,
    outcome::{Check, ensure, fail, skip},
    proxy::Line,
    session::{item, print},
};
use rectify_base::canonical;
use rectify_protocol::{
    ErrorCode, ItemError, Mutated,
    message::{Apply, ApplyStatus, Mode, PlanAnswer, RESTORE, Restore, UNDO, method},
};
use serde_json::{Value, json};
use std::collections::BTreeSet;

pub(crate) fn d01(scene: &Scene<'_>, subject: &Subject<'_>) -> Check {
    let fixture = subject.fixture()?;
    let bed = bed(scene, subject)?;
    let mut answers = Vec::new();
    for variables in [
        &[][..],
        &[
            ("TZ", "Asia/Kathmandu"),
            ("LANG", "tr_TR.UTF-8"),
            ("LC_ALL", "tr_TR.UTF-8"),
            ("HOME", "/nonexistent"),
            ("USER", "nobody"),
            ("PYTHONHASHSEED", "31"),
            ("COLUMNS", "7"),
            ("RUST_BACKTRACE", "1"),
        ],
    ] {
        let mut environment = Bed::environment();
        environment.retain(|(name, _)| variables.iter().all(|(other, _)| other != name));
        environment.extend(variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
        let (peer, work) = bed.start_with(environment, Line::default(), "")?;
        let mut session = bed.greet(peer, &work, Mode::Plan, &bed.configuration())?;
        let mut said = Vec::new();
        for properties in [Some(&fixture.a), fixture.b.as_ref()].into_iter().flatten() {
            let methods: &[&str] = if subject.changes().is_ok() {
                &[method::NORMALIZE, method::READ, method::PLAN]
            } else {
                &[method::NORMALIZE]
            };
            for method in methods {
                let answer = session.get(method, &json!({"items": [item(subject, properties)]}))?;
                said.push(canonical::compact(&answer).unwrap_or_default());
            }
            let state = session.read(subject, properties)?;
            said.push(print(subject, state.as_ref())?.to_string().into_bytes());
        }
        session.end()?;
        answers.push(said);
    }
    match answers.as_slice() {
        [first, second] if first == second => Ok(()),
        _ => fail("two processes in two environments answer differently"),
    }
}

pub(crate) fn d02(scene: &Scene<'_>, subject: &Subject<'_>) -> Check {
    let fixture = subject.fixture()?;
    let bed = bed(scene, subject)?;
    let mut session = bed.session(Mode::Plan)?;
    let bad = json!({"type": subject.name(), "desired": {"conform_unknown_property": [1]}});
    let mut items = vec![item_a(subject)?, bad];
    items.extend(fixture.b.iter().map(|b| item(subject, b)));
    items.push(item_a(subject)?);
    // What a probe says of its answer is for people.
    let methods: &[&str] = if subject.changes().is_ok() {
        &[method::NORMALIZE, method::READ, method::PLAN]
    } else {
        &[method::NORMALIZE]
    };
    for method in methods {
        let mut single = Vec::new();
        for item in &items {
            single.push(answer(session.one(method, item.clone())?));
        }
        let batch: Vec<Value> = session.items(method, &items)?.into_iter().map(answer).collect();
        ensure!(batch == single, "`{method}` of several items answers differently from single items");
        let turned: Vec<Value> = items.iter().rev().cloned().collect();
        let mut turned: Vec<Value> = session.items(method, &turned)?.into_iter().map(answer).collect();
        turned.reverse();
        ensure!(turned == single, "`{method}` depends on the order of its items");
    }
    session.end()
}

fn answer(result: Result<Value, ItemError>) -> Value {
    result.map_or_else(|error| json!({"error": error}), |ok| json!({"ok": ok}))
}

pub(crate) fn x01(scene: &Scene<'_>, subject: &Subject<'_>) -> Check {
    subject.resource()?;
    let fixture = subject.fixture()?;
    let bed = bed(scene, subject)?;
    let mut session = bed.session(Mode::Apply)?;
    let (apply, ..) = session.change(&bed, subject, &fixture.a)?;
    if apply.result.is_none() {
        return skip("what it leads to is not predicted");
    }
    let before = bed.snapshot()?;
    let again = Apply { op_id: bed.operation(), ..apply };
    match session.apply(&again)? {
        Ok(applied) => ensure!(applied.status == ApplyStatus::Already, "what is there already was `applied`"),
        Err(error) => return fail(format!("what is there already is answered by {:?}", error.code)),
    }
    ensure!(bed.snapshot()? == before, "what is there already was written again");
    session.end()
}

/// The places at which two states differ.
fn differences(a: &Value, b: &Value, at: &str, found: &mut BTreeSet<String>) {
    match (a, b) {
        (Value::Object(old), Value::Object(new)) => {
            for key in old.keys().chain(new.keys().filter(|key| !old.contains_key(*key))) {
                let (old, new) = (old.get(key).unwrap_or(&Value::Null), new.get(key).unwrap_or(&Value::Null));
                differences(old, new, &format!("{at}/{key}"), found);
            }
        }
        _ if a == b => {}
        _ => {
            found.insert(at.to_owned());
        }
    }
}

fn settled(subject: &Subject<'_>, state: Option<Value>) -> Value {
    let mut state = state.unwrap_or(Value::Null);
    for pointer in &subject.descriptor.volatile {
        pointer.remove(&mut state);
    }
    state
}

pub(crate) fn x02(scene: &Scene<'_>, subject: &Subject<'_>) -> Check {
    subject.resource()?;
    let (fixture, b) = (subject.fixture()?, subject.b()?);
    let bed = bed(scene, subject)?;
    let mut session = bed.session(Mode::Apply)?;
    session.change(&bed, subject, &fixture.a)?;
    let before = settled(subject, session.read(subject, b)?);
    let (_, plan, _) = session.change(&bed, subject, b)?;
    let after = settled(subject, session.read(subject, b)?);
    let PlanAnswer::Changed { planned, prediction, .. } = plan else { return skip("there is nothing to do") };
    if prediction == "opaque" {
        return skip("what it leads to is not predicted");
    }
    let (mut promised, mut real) = (BTreeSet::new(), BTreeSet::new());
    differences(&before, &settled(subject, planned), "", &mut promised);
    differences(&before, &after, "", &mut real);
    ensure!(!real.is_empty(), "an update changed nothing");
    let extra: Vec<&String> = real.difference(&promised).collect();
    ensure!(extra.is_empty(), "changed without being planned: {extra:?}");
    session.end()
}

fn rank(words: [&str; 3], word: &str) -> Option<usize> {
    words.iter().position(|known| *known == word)
}

pub(crate) fn x03(scene: &Scene<'_>, subject: &Subject<'_>) -> Check {
    subject.changes()?;
    let fixture = subject.fixture()?;
    let bed = bed(scene, subject)?;
    let mut session = bed.session(Mode::Apply)?;
    for properties in [Some(&fixture.a), fixture.b.as_ref()].into_iter().flatten() {
        let (apply, plan, applied) = session.change(&bed, subject, properties)?;
        let PlanAnswer::Changed { prediction, undo, .. } = plan else { continue };
        let d = subject.descriptor;
        for (what, words, promised, best) in [
            ("prediction", ["opaque", "conditional", "exact"], &prediction, &d.prediction),
            ("undo", ["none", "lossy", "exact"], &undo, &d.undo),
        ] {
            match (rank(words, promised), rank(words, best)) {
                (Some(promised), Some(best)) if promised <= best => {}
                _ => return fail(format!("a plan's {what} is `{promised}`, and the type promises `{best}`")),
            }
        }
        ensure!(applied.status == ApplyStatus::Applied, "what was to be done was `already` done");
        let found = print(subject, session.read(subject, properties)?.as_ref())?;
        if let Some(result) = apply.result {
            ensure!(found == result, "what is there is not what was planned (P1)");
        }
        ensure!(
            found == print(subject, applied.state.as_ref())?,
            "what is there is not what was answered (P4)"
        );
        if subject.is("resource") {
            let again = session.plan(subject, properties)?;
            ensure!(matches!(again, PlanAnswer::Unchanged { .. }), "there is still something to do (P3)");
        }
    }
    session.end()
}

pub(crate) fn x04(scene: &Scene<'_>, subject: &Subject<'_>) -> Check {
    let fixture = subject.fixture()?;
    let bed = bed(scene, subject)?;
    let before = bed.snapshot()?;
    for mode in [Mode::Read, Mode::Plan] {
        let mut session = bed.session(mode)?;
        let slow = fixture.slow.as_ref();
        for properties in
            [Some(&fixture.a), fixture.b.as_ref(), fixture.failing.as_ref(), slow].into_iter().flatten()
        {
            for method in [method::VALIDATE, method::NORMALIZE, method::READ, method::PLAN] {
                let _: Result<Value, _> = session.one(method, item(subject, properties))?;
            }
        }
        session.end()?;
        ensure!(bed.snapshot()? == before, "a session in mode `{}` changed something", json!(mode));
    }
    Ok(())
}

pub(crate) fn x05(scene: &Scene<'_>, subject: &Subject<'_>) -> Check {
    subject.changes()?;
    let fixture = subject.fixture()?;
    let bed = bed(scene, subject)?;
    let mut session = bed.session(Mode::Apply)?;
    let stale = |answer: Result<_, ItemError>, what: &str| match answer {
        Err(error) if error.code == ErrorCode::Stale && error.mutated == Mutated::No => Ok(()),
        Err(error) => fail(format!("{what} is answered by {:?}, mutated: {:?}", error.code, error.mutated)),
        Ok(_) => fail(format!("{what} did not keep it from acting")),
    };
    let (apply, _) = session.prepare(&bed, subject, &fixture.a)?;
    let before = bed.snapshot()?;
    let elsewhere = print(subject, Some(&json!({"conform": "elsewhere"})))?;
    let other = Apply { expect: elsewhere, result: Some(elsewhere), op_id: bed.operation(), ..apply };
    stale(session.apply(&other)?, "another expectation")?;
    ensure!(bed.snapshot()? == before, "something was written in spite of another expectation");
    if !fixture.disturb.is_empty() && subject.is("resource") {
        session.change(&bed, subject, &fixture.a)?;
        let (apply, _) = session.prepare(&bed, subject, subject.b()?)?;
        bed.run(&fixture.disturb)?;
        let before = bed.snapshot()?;
        stale(session.apply(&apply)?, "a change by somebody else")?;
        ensure!(bed.snapshot()? == before, "a change by somebody else did not stay");
    }
    session.end()
}

pub(crate) fn x06(scene: &Scene<'_>, subject: &Subject<'_>) -> Check {
    subject.resource()?;
    let fixture = subject.fixture()?;
    let c = subject.part(fixture.replace.as_ref(), "properties C")?;
    let bed = bed(scene, subject)?;
    let mut session = bed.session(Mode::Apply)?;
    session.change(&bed, subject, &fixture.a)?;
    let before = bed.snapshot()?;
    let answer: Result<PlanAnswer, ItemError> = session.one(method::PLAN, item(subject, c))?;
    match answer {
        Err(_) => {
            ensure!(bed.snapshot()? == before, "refusing to make it anew changed something");
            return session.end();
        }
        Ok(PlanAnswer::Unchanged { .. }) => return fail("what has to be made anew is `unchanged`"),
        Ok(PlanAnswer::Changed { .. }) => {}
    }
    let (apply, _) = session.prepare(&bed, subject, c)?;
    let apply = Apply { action: "replace".into(), ..apply };
    match session.apply(&apply)? {
        Ok(_) => {
            let found = print(subject, session.read(subject, c)?.as_ref())?;
            ensure!(
                apply.result.is_none_or(|result| result == found),
                "it was made anew otherwise than planned"
            );
        }
        Err(error) => {
            ensure!(error.mutated == Mutated::No, "making it anew failed half way: {}", error.message);
            ensure!(bed.snapshot()? == before, "making it anew failed, and something changed");
        }
    }
    session.end()
}

pub(crate) fn x07(scene: &Scene<'_>, subject: &Subject<'_>) -> Check {
    subject.changes()?;
    let fixture = subject.fixture()?;
    let bed = bed(scene, subject)?;
    let mut session = bed.session(Mode::Apply)?;
    if subject.descriptor.undo == "none" {
        return skip("it takes nothing back");
    }
    if subject.is("action") {
        let undone = subject.part(fixture.undone.as_ref(), "way to see that a run was taken back")?;
        let (apply, ..) = session.change(&bed, subject, &fixture.a)?;
        let state = session.read(subject, &fixture.a)?;
        let mut desired = fixture.a.clone();
        desired.insert(UNDO.into(), json!(true));
        let expect = print(subject, state.as_ref())?;
        let back = Apply { op_id: bed.operation(), desired, expect, result: None, ..apply };
        if let Err(error) = session.apply(&back)? {
            return fail(format!("taking it back failed: {:?}: {}", error.code, error.message));
        }
        if bed.sh(undone).is_err() {
            return fail("it says that it was taken back, and it was not");
        }
        return session.end();
    }
    let b = subject.b()?;
    session.change(&bed, subject, &fixture.a)?;
    let mut capture = item(subject, b);
    if let Some(members) = capture.as_object_mut() {
        members.insert("capture".into(), json!(true));
    }
    let before: rectify_protocol::message::ReadAnswer = session.sure(method::READ, capture)?;
    if let Some(image) = &before.before_image {
        let kept = bed.file(&format!("blobs/{}", image.hex()))?;
        ensure!(kept.is_some(), "the before-image {image} is not in the blob directory");
    }
    let was = print(subject, before.state.as_ref())?;
    let (apply, plan, _) = session.change(&bed, subject, b)?;
    let PlanAnswer::Changed { undo, .. } = plan else { return skip("there is nothing to do") };
    if undo != "exact" {
        return skip(format!("this change is taken back only `{undo}`"));
    }
    let mut desired = identity(subject, &fixture.a);
    desired.insert(RESTORE.into(), json!(Restore { state: before.state }));
    let expect = print(subject, session.read(subject, b)?.as_ref())?;
    let back = Apply {
        op_id: bed.operation(),
        desired,
        expect,
        result: Some(was),
        action: "update".into(),
        ..apply
    };
    if let Err(error) = session.apply(&back)? {
        return fail(format!("taking it back failed: {:?}: {}", error.code, error.message));
    }
    let found = print(subject, session.read(subject, &fixture.a)?.as_ref())?;
    ensure!(found == was, "taken back, it is not what it was");
    session.end()
}

pub(crate) fn x08(scene: &Scene<'_>, subject: &Subject<'_>) -> Check {
    subject.changes()?;
    let fixture = subject.fixture()?;
    let failing = subject.part(fixture.failing.as_ref(), "properties whose operation fails")?;
    let bed = bed(scene, subject)?;
    let mut session = bed.session(Mode::Apply)?;
    let (apply, _) = session.prepare(&bed, subject, failing)?;
    let before = bed.things()?;
    let state = print(subject, session.read(subject, failing)?.as_ref())?;
    let Err(error) = session.apply(&apply)? else {
        return fail("an operation that fails is answered as done");
    };
    let after = print(subject, session.read(subject, failing)?.as_ref())?;
    if error.mutated == Mutated::No {
        ensure!(bed.things()? == before, "a failure says `mutated: no`, and something changed");
    }
    ensure!(error.code != ErrorCode::Partial || error.mutated != Mutated::No, "`PARTIAL` with `mutated: no`");
    if subject.is("resource") {
        ensure!(
            after == state || apply.result.is_none_or(|result| result == after),
            "a failure left neither the old nor the new"
        );
    }
    session.healthy()?;
    session.end()
}
