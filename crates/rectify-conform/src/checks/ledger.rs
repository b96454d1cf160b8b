//! What is on disk: the ledger and the fence, as another language must find them.

use crate::{
    bed::{Bed, Subject},
    checks::bed,
    fixtures::Properties,
    kit::Scene,
    outcome::{Check, Stop, ensure, fail, skip},
    session::{Session, print},
};
use rectify_base::{Digest, canonical};
use rectify_protocol::{
    ErrorCode, ItemError, Mutated,
    error::rpc,
    message::{Applied, Apply, ItemResult, Mode, method},
};
use serde_json::{Value, json};
use std::{
    thread,
    time::{Duration, Instant},
};

/// Between two looks at something that is to come.
const PAUSE: Duration = Duration::from_millis(3);
/// How long a provider takes to start what it starts for an operation, if it starts anything at all.
const QUIET: Duration = Duration::from_secs(3);

/// Context of the digest of an operation's parameters.
const PARAMETERS: &str = "rectify 2026 v1 ledger parameters";

fn parameters(apply: &Apply) -> Check<Digest> {
    let desired = canonical::compact(&apply.desired).map_err(|e| {
        Stop::Fail(format!("the kit could not go on: the fixtures have no canonical form: {e}"))
    })?;
    let result = apply.result.map_or(String::new(), |digest| digest.to_string());
    Ok(Digest::derive(
        PARAMETERS,
        &[
            apply.type_name.as_str().as_bytes(),
            apply.action.as_bytes(),
            &desired,
            apply.expect.to_string().as_bytes(),
            result.as_bytes(),
        ],
    ))
}

fn claim(apply: &Apply) -> Check<Value> {
    Ok(json!({"format": "rectify.ledger-claim/v1", "parameters": parameters(apply)?, "fence": apply.fence}))
}

fn json_of(bed: &Bed<'_>, name: &str) -> Check<Value> {
    let Some(bytes) = bed.file(name)? else { return fail(format!("there is no `{name}`")) };
    serde_json::from_slice(&bytes).map_err(|e| Stop::Fail(format!("`{name}` is no JSON: {e}")))
}

fn code_of(answer: Result<Applied, ItemError>, code: ErrorCode, mutated: Mutated, what: &str) -> Check {
    match answer {
        Err(error) if error.code == code && error.mutated == mutated => Ok(()),
        Err(error) => fail(format!("{what} is answered by {:?}, mutated: {:?}", error.code, error.mutated)),
        Ok(_) => fail(format!("{what} is answered as done")),
    }
}

pub(crate) fn i06(scene: &Scene<'_>, subject: &Subject<'_>) -> Check {
    subject.changes()?;
    subject.once()?;
    let fixture = subject.fixture()?;
    let Some(counter) = &fixture.counter else { return skip("the fixtures have no counter of side effects") };
    let bed = bed(scene, subject)?;
    let mut session = bed.session(Mode::Apply)?;
    // As the provider writes it.
    let (apply, _) = session.prepare(&bed, subject, &fixture.a)?;
    ensure!(session.status(&apply.op_id)? == json!("never_seen"), "the ledger knows what was never asked");
    let answer = match session.apply(&apply)? {
        Ok(applied) => ItemResult::Ok(applied),
        Err(error) => return fail(format!("the operation failed: {:?}: {}", error.code, error.message)),
    };
    let found = json_of(&bed, &format!("state/{}.claim", apply.op_id))?;
    let expected = claim(&apply)?;
    ensure!(found == expected, "the claim is {found}, not {expected}");
    let found = json_of(&bed, &format!("state/{}.done", apply.op_id))?;
    ensure!(
        found == json!(answer),
        "the result in the ledger is {found}, and the answer was {}",
        json!(answer)
    );
    let known = session.status(&apply.op_id)?;
    ensure!(known == json!({"done": answer}), "`op.status` says {known} of what was done");
    session.end()?;
    let runs = bed.count(counter)?;

    // As others write it.
    let mut session = bed.session(Mode::Apply)?;
    let write = |kind: &str, apply: &Apply, value: &Value| {
        bed.write(&format!("state/{}.{kind}", apply.op_id), value.to_string().as_bytes())
    };
    let fresh = || Apply { op_id: bed.operation(), ..apply.clone() };
    let begun = fresh();
    write("claim", &begun, &claim(&begun)?)?;
    let known = session.status(&begun.op_id)?;
    ensure!(known == json!("started"), "`op.status` says {known} of a claim without a result");
    code_of(session.apply(&begun)?, ErrorCode::UnknownOutcome, Mutated::Maybe, "a claim without a result")?;
    let done = fresh();
    write("claim", &done, &claim(&done)?)?;
    let error = json!({"error": {"code": "FAILED", "message": "as the kit wrote it", "mutated": "yes"}});
    write("done", &done, &error)?;
    let known = session.status(&done.op_id)?;
    ensure!(known == json!({"done": error}), "`op.status` says {known} of a result on disk");
    code_of(session.apply(&done)?, ErrorCode::Failed, Mutated::Yes, "a result on disk")?;
    let strange = fresh();
    let mut later = claim(&strange)?;
    if let Some(members) = later.as_object_mut() {
        members.insert("later".into(), json!(1));
    }
    write("claim", &strange, &later)?;
    code_of(
        session.apply(&strange)?,
        ErrorCode::UnknownOutcome,
        Mutated::Maybe,
        "a claim with an unknown member",
    )?;
    ensure!(bed.count(counter)? == runs, "it ran what a ledger says was begun");
    // Known to have done nothing: it may run.
    let harmless = fresh();
    write("claim", &harmless, &claim(&harmless)?)?;
    write(
        "done",
        &harmless,
        &json!({"error": {"code": "DEPENDENCY", "message": "missing", "mutated": "no"}}),
    )?;
    if let Err(error) = session.apply(&harmless)? {
        return fail(format!("what is known to have done nothing does not run again: {:?}", error.code));
    }
    ensure!(bed.count(counter)? == runs + 1, "what is known to have done nothing did not run once");
    match session.call(method::OP_STATUS, &json!({"op_id": "../etc/passwd"}))? {
        Err(refusal) if refusal.code == rpc::INVALID_REQUEST => {}
        Err(refusal) => return fail(format!("a bad operation id is answered by {}", refusal.code)),
        Ok(_) => return fail("a bad operation id is taken"),
    }
    session.end()
}

/// Waits until an operation is claimed.
pub(crate) fn claimed(bed: &Bed<'_>, op_id: &str) -> Check {
    let end = Instant::now() + bed.kit.patience.answer;
    while bed.file(&format!("state/{op_id}.claim"))?.is_none() {
        ensure!(Instant::now() < end, "an operation under way has no claim on disk");
        thread::sleep(PAUSE);
    }
    Ok(())
}

pub(crate) fn r06(scene: &Scene<'_>, subject: &Subject<'_>) -> Check {
    subject.changes()?;
    subject.once()?;
    let slow = subject.slow()?;
    let bed = bed(scene, subject)?;
    let mut session = bed.session(Mode::Apply)?;
    let (apply, _) = session.prepare(&bed, subject, slow)?;
    session.send(&apply)?;
    claimed(&bed, &apply.op_id)?;
    // What it started for the operation must be found by its mark, or nobody could end it.
    let pid = session.peer.pid()?;
    let begin = Instant::now();
    let end = begin + bed.kit.patience.answer;
    let mark = format!("{}={}", rectify_protocol::OPERATION_VARIABLE, apply.op_id);
    loop {
        let company = session.peer.company()?;
        if company.is_empty() && begin.elapsed() >= QUIET {
            // It starts nothing, but asks others, as a manager of services is asked.
            break;
        }
        if !company.is_empty() {
            let shown = bed.kit.host.shown(&company)?;
            if shown.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes()) {
                break;
            }
        }
        ensure!(Instant::now() < end, "what it started for the operation does not carry its mark");
        thread::sleep(PAUSE);
    }
    bed.kit.host.kill(pid);
    session.peer.kill()?;
    let mut session = bed.session(Mode::Apply)?;
    let known = session.status(&apply.op_id)?;
    ensure!(known == json!("started"), "`op.status` of a killed operation says {known}");
    code_of(
        session.apply(&apply)?,
        ErrorCode::UnknownOutcome,
        Mutated::Maybe,
        "an operation that was killed",
    )?;
    session.end()
}

fn fenced(
    session: &mut Session<'_>,
    bed: &Bed<'_>,
    subject: &Subject<'_>,
    properties: &Properties,
    fence: u64,
) -> Check<Result<Applied, ItemError>> {
    let state = session.read(subject, properties)?;
    let apply = Apply {
        op_id: bed.operation(),
        type_name: subject.descriptor.name.clone(),
        action: if subject.is("action") { "run" } else { "create" }.into(),
        desired: properties.clone(),
        expect: print(subject, state.as_ref())?,
        result: None,
        deadline_ms: 20_000,
        fence,
    };
    session.apply(&apply)
}

pub(crate) fn x09(scene: &Scene<'_>, subject: &Subject<'_>) -> Check {
    subject.changes()?;
    let a = &subject.fixture()?.a;
    let bed = bed(scene, subject)?;
    let mut old = bed.session(Mode::Apply)?;
    let mut new = bed.session(Mode::Apply)?;
    if let Err(error) = fenced(&mut new, &bed, subject, a, 5)? {
        return fail(format!("an operation under fence 5 failed: {:?}: {}", error.code, error.message));
    }
    let fence = bed.file("state/fence")?.unwrap_or_default();
    ensure!(fence == b"5\n", "the file `fence` is {:?}, not \"5\\n\"", String::from_utf8_lossy(&fence));
    let before = bed.snapshot()?;
    for (session, who) in [(&mut old, "another process"), (&mut new, "the same process")] {
        let answer = fenced(session, &bed, subject, a, 4)?;
        code_of(answer, ErrorCode::Conflict, Mutated::No, &format!("a lower fence in {who}"))?;
    }
    bed.write("state/fence", b"9\n")?;
    code_of(
        fenced(&mut new, &bed, subject, a, 6)?,
        ErrorCode::Conflict,
        Mutated::No,
        "a fence lower than that on disk",
    )?;
    bed.write("state/fence", b"many\n")?;
    code_of(
        fenced(&mut new, &bed, subject, a, 10)?,
        ErrorCode::Failed,
        Mutated::No,
        "a fence that cannot be read",
    )?;
    ensure!(bed.snapshot()? == before, "something was done under a lower fence");
    // What still holds its lock is waited for, in vain here.
    bed.write("state/fence", b"10\n")?;
    let path = crate::host::quote(&bed.path("state"));
    let mut holder = bed
        .kit
        .host
        .command(&format!("cd {path}; exec flock -s -o acting-10 cat"))
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()?;
    let held = wait_for_lock(&bed, &path);
    let mut session = bed.session(Mode::Apply)?;
    let state = session.read(subject, a)?;
    let apply = Apply {
        op_id: bed.operation(),
        type_name: subject.descriptor.name.clone(),
        action: if subject.is("action") { "run" } else { "create" }.into(),
        desired: a.clone(),
        expect: print(subject, state.as_ref())?,
        result: None,
        deadline_ms: 600,
        fence: 11,
    };
    let busy = session.apply(&apply);
    // Its input ends, so it does.
    drop(holder.stdin.take());
    let _ = holder.wait();
    held?;
    code_of(busy?, ErrorCode::Busy, Mutated::No, "an operation under a lower fence that is still going on")?;
    session.end()?;
    old.end()?;
    new.end()
}

fn wait_for_lock(bed: &Bed<'_>, path: &str) -> Check {
    let end = Instant::now() + Duration::from_secs(5);
    let look = format!("cd {path}; touch acting-10; if flock -n -x acting-10 true; then echo free; fi");
    while bed.kit.host.sh(&look)?.contains("free") {
        ensure!(Instant::now() < end, "the kit could not go on: there is no `flock`");
    }
    Ok(())
}
