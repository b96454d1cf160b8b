//! I: doing again what was done.

use crate::{
    bed::Subject,
    checks::bed,
    kit::Scene,
    outcome::{Check, ensure, fail, skip},
    session::print,
};
use rectify_protocol::{
    ErrorCode, Mutated,
    message::{Apply, ApplyStatus, Mode, PlanAnswer, RESTORE},
};
use serde_json::json;

/// What an action came to is not seen in its state, so a second plan may have it run again; what keeps
/// it from running twice under one permission is the ledger.
pub(crate) fn i01(scene: &Scene<'_>, subject: &Subject<'_>) -> Check {
    subject.resource()?;
    let fixture = subject.fixture()?;
    let bed = bed(scene, subject)?;
    let mut session = bed.session(Mode::Apply)?;
    session.change(&bed, subject, &fixture.a)?;
    session.end()?;
    let mut session = bed.session(Mode::Plan)?;
    match session.plan(subject, &fixture.a)? {
        PlanAnswer::Unchanged { .. } => session.end(),
        PlanAnswer::Changed { .. } => fail("what was applied would be changed again"),
    }
}

pub(crate) fn i02(scene: &Scene<'_>, subject: &Subject<'_>) -> Check {
    let fixture = subject.fixture()?;
    let bed = bed(scene, subject)?;
    if subject.is("resource") {
        let mut session = bed.session(Mode::Apply)?;
        session.change(&bed, subject, &fixture.a)?;
        session.end()?;
    }
    let mut session = bed.session(Mode::Read)?;
    let mut first = None;
    for number in 1..=10 {
        let state = session.read(subject, &fixture.a)?;
        let found = print(subject, state.as_ref())?;
        ensure!(
            *first.get_or_insert(found) == found,
            "read {number} of an unchanged thing has another fingerprint"
        );
    }
    session.end()
}

pub(crate) fn i03(scene: &Scene<'_>, subject: &Subject<'_>) -> Check {
    subject.resource()?;
    if subject.descriptor.undo == "none" {
        return skip("it takes nothing back");
    }
    let fixture = subject.fixture()?;
    let bed = bed(scene, subject)?;
    let mut session = bed.session(Mode::Apply)?;
    let (apply, plan, _) = session.change(&bed, subject, &fixture.a)?;
    if !matches!(plan, PlanAnswer::Changed { prior: None, .. }) {
        return skip("properties A make nothing where nothing was");
    }
    let nothing = print(subject, None)?;
    let made = print(subject, session.read(subject, &fixture.a)?.as_ref())?;
    let mut desired = identity(subject, &fixture.a);
    desired.insert(RESTORE.into(), json!({}));
    let back = Apply {
        op_id: bed.operation(),
        action: "delete".into(),
        desired,
        expect: made,
        result: Some(nothing),
        ..apply
    };
    match session.apply(&back)? {
        Ok(applied) => ensure!(applied.state.is_none(), "what was taken back to nothing has a state"),
        Err(error) => {
            return fail(format!("taking back to nothing failed: {:?}: {}", error.code, error.message));
        }
    }
    ensure!(session.read(subject, &fixture.a)?.is_none(), "it is still there after it was taken back");
    let again = Apply { op_id: bed.operation(), ..back };
    match session.apply(&again)? {
        Ok(applied) if applied.status == ApplyStatus::Already => session.end(),
        Ok(_) => fail("what was gone already was `applied` again"),
        Err(error) => fail(format!("taking back what is gone failed: {:?}: {}", error.code, error.message)),
    }
}

/// The properties that name the thing: those that A and B share, or all of A.
pub(crate) fn identity(
    subject: &Subject<'_>,
    a: &crate::fixtures::Properties,
) -> crate::fixtures::Properties {
    let named: Vec<&str> = subject
        .descriptor
        .touches
        .iter()
        .filter(|rule| rule.access == "write")
        .filter_map(|rule| rule.property.as_str().split('/').nth(1))
        .collect();
    if named.is_empty() {
        let required = subject.descriptor.schema.get("required").and_then(serde_json::Value::as_array);
        let required: Vec<&str> = required.into_iter().flatten().filter_map(|name| name.as_str()).collect();
        return a
            .iter()
            .filter(|(name, _)| required.contains(&name.as_str()))
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect();
    }
    a.iter().filter(|(name, _)| named.contains(&name.as_str())).map(|(k, v)| (k.clone(), v.clone())).collect()
}

pub(crate) fn i04(scene: &Scene<'_>, subject: &Subject<'_>) -> Check {
    subject.resource()?;
    let fixture = subject.fixture()?;
    let bed = bed(scene, subject)?;
    let mut session = bed.session(Mode::Apply)?;
    session.change(&bed, subject, &fixture.a)?;
    match session.plan(subject, &fixture.a)? {
        PlanAnswer::Unchanged { .. } => {}
        PlanAnswer::Changed { .. } => return fail("an identical thing would be changed"),
    }
    session.end()?;
    if fixture.foreign.is_empty() {
        return Ok(());
    }
    drop(bed);
    let bed = self::bed(scene, subject)?;
    let mut session = bed.session(Mode::Apply)?;
    // Planned where nothing was; then somebody else makes something there.
    let (apply, _) = session.prepare(&bed, subject, &fixture.a)?;
    bed.run(&fixture.foreign)?;
    let before = bed.snapshot()?;
    match session.apply(&apply)? {
        Err(error) if matches!(error.code, ErrorCode::Stale | ErrorCode::Conflict) => {
            ensure!(error.mutated == Mutated::No, "a refusal does not say `mutated: no`");
        }
        Err(error) => return fail(format!("something of somebody else is answered by {:?}", error.code)),
        Ok(_) => return fail("something of somebody else was overwritten"),
    }
    ensure!(bed.snapshot()? == before, "something of somebody else was touched");
    let answer: Result<PlanAnswer, _> =
        session.one(rectify_protocol::message::method::PLAN, crate::session::item(subject, &fixture.a))?;
    match answer {
        Ok(PlanAnswer::Changed { prior: None, .. }) => {
            return fail("a plan does not see something of somebody else");
        }
        Ok(_) => {}
        Err(error) if error.code == ErrorCode::Conflict => {}
        Err(error) => return fail(format!("something of somebody else is planned as {:?}", error.code)),
    }
    session.end()
}

pub(crate) fn i05(scene: &Scene<'_>, subject: &Subject<'_>) -> Check {
    subject.changes()?;
    let fixture = subject.fixture()?;
    let bed = bed(scene, subject)?;
    let mut session = bed.session(Mode::Apply)?;
    let (apply, _, applied) = session.change(&bed, subject, &fixture.a)?;
    let before = bed.snapshot()?;
    if subject.once().is_err() {
        match session.apply(&apply)? {
            Ok(again) => {
                ensure!(again.status == ApplyStatus::Already, "a repetition was `applied` again");
            }
            Err(error) => return fail(format!("a repetition failed: {:?}: {}", error.code, error.message)),
        }
        ensure!(bed.snapshot()? == before, "a repetition wrote again");
        return session.end();
    }
    let Some(counter) = &fixture.counter else { return skip("the fixtures have no counter of side effects") };
    ensure!(bed.count(counter)? == 1, "one run counts as {}", bed.count(counter)?);
    let retry = Apply { deadline_ms: apply.deadline_ms + 1, fence: apply.fence + 1, ..apply.clone() };
    let mut later = bed.session(Mode::Apply)?;
    for (session, who) in [(&mut session, "the same process"), (&mut later, "another process")] {
        match session.apply(&retry)? {
            Ok(again) => ensure!(again == applied, "{who} answers a redelivery with another result"),
            Err(error) => {
                return fail(format!("{who} refuses a redelivery: {:?}: {}", error.code, error.message));
            }
        }
    }
    ensure!(bed.count(counter)? == 1, "an action ran {} times under one id", bed.count(counter)?);
    let mut other = Apply { action: apply.action.clone(), ..retry };
    other.expect = print(subject, Some(&json!({"conform": "another"})))?;
    match session.apply(&other)? {
        Err(error) if error.code == ErrorCode::OpMismatch => {}
        Err(error) => return fail(format!("other parameters under one id are answered by {:?}", error.code)),
        Ok(_) => return fail("other parameters under one id are taken"),
    }
    ensure!(bed.count(counter)? == 1, "an action ran {} times under one id", bed.count(counter)?);
    later.end()?;
    session.end()
}
