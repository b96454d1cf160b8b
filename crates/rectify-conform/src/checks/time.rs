//! C: signs of life, cancellation, deadlines and the end of input, while something is going on.

use crate::{
    bed::{Bed, Subject},
    checks::{any, bed, item_a},
    kit::Scene,
    outcome::{Check, ensure, fail},
    session::{Session, print},
};
use rectify_protocol::{
    ErrorCode, ItemError, Mutated,
    error::rpc,
    message::{Applied, Apply, Mode, method},
};
use serde_json::{Value, json};
use std::{
    thread,
    time::{Duration, Instant},
};

/// From a deadline, when the engine cancels, to the end of its patience.
const GRACE: Duration = Duration::from_secs(5);
/// How long what must not be broken off may take: a slow operation takes a minute.
const FINISH: Duration = Duration::from_secs(120);
/// How long a slow operation is left alone, so that it is in the middle.
const MIDDLE: Duration = Duration::from_millis(300);

/// A session in which a slow operation is under way.
struct Slow<'k> {
    session: Session<'k>,
    apply: Apply,
    id: u64,
    before: String,
}

fn begin<'k>(bed: &Bed<'k>, subject: &Subject<'_>, deadline_ms: u64) -> Check<Slow<'k>> {
    let slow = subject.slow()?;
    let mut session = bed.session(Mode::Apply)?;
    let (mut apply, _) = session.prepare(bed, subject, slow)?;
    apply.deadline_ms = deadline_ms;
    let before = bed.things()?;
    let id = session.send(&apply)?;
    if deadline_ms > 10_000 {
        if subject.once().is_ok() {
            super::ledger::claimed(bed, &apply.op_id)?;
        }
        thread::sleep(MIDDLE);
    }
    Ok(Slow { session, apply, id, before })
}

/// `mutated: no` is a promise.
fn honest(bed: &Bed<'_>, before: &str, answer: &Result<Applied, ItemError>) -> Check {
    if let Err(error) = answer
        && error.mutated == Mutated::No
    {
        ensure!(bed.things()? == before, "it says `mutated: no`, and something changed");
    }
    Ok(())
}

pub(crate) fn c01(scene: &Scene<'_>, subject: &Subject<'_>) -> Check {
    subject.changes()?;
    let bed = bed(scene, subject)?;
    let Slow { mut session, id, before, .. } = begin(&bed, subject, 60_000)?;
    session.peer.cancel(id)?;
    let answer = session.applied(id, GRACE + GRACE)?;
    honest(&bed, &before, &answer)?;
    match &answer {
        Err(error) if error.code == ErrorCode::Cancelled => {}
        Err(error) => return fail(format!("a cancelled operation is answered by {:?}", error.code)),
        Ok(_) => return fail("an operation that takes a minute was done in less"),
    }
    session.peer.listen(Duration::from_millis(200))?;
    let company = session.peer.company()?;
    ensure!(company.is_empty(), "a cancelled operation left {} processes behind", company.len());
    session.healthy()?;
    session.end()
}

pub(crate) fn c02(scene: &Scene<'_>) -> Check {
    let (subject, bed) = any(scene)?;
    let mut session = bed.session(Mode::Read)?;
    let id = session.peer.ask(method::READ, &json!({"items": [item_a(subject)?]}))?;
    let first = session.peer.reply(id, scene.kit.patience.answer)?;
    ensure!(first.is_ok(), "a read was refused");
    for stray in [id, 9_999_999, 0] {
        session.peer.cancel(stray)?;
    }
    session.peer.line(r#"{"jsonrpc":"2.0","method":"$/cancel","params":{"id":"x"}}"#)?;
    session.peer.listen(Duration::from_millis(150))?;
    ensure!(session.peer.orphans.is_empty(), "a stray cancellation is answered");
    session.get(method::READ, &json!({"items": [item_a(subject)?]}))?;
    session.end()
}

pub(crate) fn c03(scene: &Scene<'_>, subject: &Subject<'_>) -> Check {
    subject.changes()?;
    let bed = bed(scene, subject)?;
    let deadline = Duration::from_millis(400);
    let Slow { mut session, id, before, .. } = begin(&bed, subject, 400)?;
    thread::sleep(deadline);
    session.peer.cancel(id)?;
    let answer = session.applied(id, GRACE)?;
    honest(&bed, &before, &answer)?;
    match &answer {
        Err(error) if matches!(error.code, ErrorCode::Timeout | ErrorCode::Cancelled) => session.end(),
        Err(error) => fail(format!("an operation beyond its deadline is answered by {:?}", error.code)),
        Ok(_) => fail("an operation that takes a minute was done in less"),
    }
}

pub(crate) fn c04(scene: &Scene<'_>, subject: &Subject<'_>) -> Check {
    subject.changes()?;
    let bed = bed(scene, subject)?;
    let Slow { mut session, apply, before, .. } = begin(&bed, subject, 60_000)?;
    let pid = session.peer.pid()?;
    // Half a line is no message.
    session.peer.raw(br#"{"jsonrpc":"2.0","id":77,"method":"resour"#)?;
    session.peer.close();
    let code = session.peer.exit(scene.kit.patience.exit)?;
    ensure!(code != 0, "it ended with 0, though nobody asked for an end");
    let host = &scene.kit.host;
    let left = host.members(pid)?;
    // What must not be broken off says so, and comes to its end by itself.
    let finishes = format!("{}=", rectify_protocol::FINISHES_VARIABLE);
    let mut broken = Vec::new();
    for pid in &left {
        let shown = host.shown(&[*pid])?;
        if !shown.windows(finishes.len()).any(|part| part == finishes.as_bytes()) {
            broken.push(*pid);
        }
    }
    ensure!(broken.is_empty(), "it left {} processes behind", broken.len());
    let until = Instant::now() + FINISH;
    while !host.members(pid)?.is_empty() {
        ensure!(Instant::now() < until, "what it must not break off still runs after {} s", FINISH.as_secs());
        thread::sleep(Duration::from_millis(200));
    }
    let mut session = bed.session(Mode::Apply)?;
    if subject.once().is_ok() {
        let known = session.status(&apply.op_id)?;
        ensure!(known.get("done").is_some(), "`op.status` after the end says {known}, not how it ended");
    } else {
        let now = print(subject, session.read(subject, subject.slow()?)?.as_ref())?;
        ensure!(
            bed.things()? == before || apply.result.is_none_or(|result| result == now),
            "the end of input left neither the old nor the new"
        );
    }
    session.end()
}

pub(crate) fn c05(scene: &Scene<'_>, subject: &Subject<'_>) -> Check {
    subject.changes()?;
    let bed = bed(scene, subject)?;
    let Slow { mut session, id, .. } = begin(&bed, subject, 60_000)?;
    for _ in 0..3 {
        let asked = Instant::now();
        let ping = session.peer.ask(method::PING, &json!({}))?;
        let answer = match session.peer.reply(ping, Duration::from_secs(1))? {
            Ok(answer) => answer,
            Err(refusal) => return fail(format!("`ping` was refused: {}", refusal.message)),
        };
        ensure!(asked.elapsed() < Duration::from_secs(1), "a sign of life took longer than a second");
        let busy = answer.get("in_flight").and_then(Value::as_u64);
        ensure!(busy == Some(1), "`in_flight` is {busy:?} with one operation under way");
    }
    session.peer.cancel(id)?;
    let _ = session.applied(id, GRACE + GRACE)?;
    session.end()
}

pub(crate) fn c06(scene: &Scene<'_>, subject: &Subject<'_>) -> Check {
    subject.changes()?;
    let bed = bed(scene, subject)?;
    let Slow { mut session, id, .. } = begin(&bed, subject, 60_000)?;
    let again = json!({"jsonrpc": "2.0", "id": id, "method": "resource.read", "params": {"items": [item_a(subject)?]}});
    session.peer.line(&again.to_string())?;
    let refusal = session.peer.orphan(scene.kit.patience.answer)?;
    ensure!(
        refusal.code == rpc::INVALID_REQUEST,
        "a number that is under way is answered by {}",
        refusal.code
    );
    session.peer.cancel(id)?;
    session.peer.cancel(id)?;
    let _ = session.applied(id, GRACE + GRACE)?;
    session.peer.listen(Duration::from_millis(200))?;
    session.end()
}
