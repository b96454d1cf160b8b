//! K: what must not be seen, and what must not be done.

use crate::{
    bed::{Bed, Subject},
    checks::{bed, item_a},
    fixtures::Properties,
    host::quote,
    kit::Scene,
    outcome::{Check, Stop, ensure, fail, skip},
    session::{item, print},
};
use rectify_base::{Digest, DigestKey, Redaction, Secret, SecretName};
use rectify_protocol::{
    ErrorCode, ItemError, Mutated,
    message::{Apply, ItemResult, Mode, PlanAnswer, ReadAnswer, method},
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// The name of the secret in fixtures.
const NAME: &str = "canary";

/// Runs for each type that takes a secret. One row for all of them: a secret that is out is out.
pub(crate) fn k01(scene: &Scene<'_>) -> Check {
    let mut tried = false;
    for subject in scene.subjects {
        let Ok(fixture) = subject.fixture() else { continue };
        for properties in [fixture.secret.as_ref(), fixture.secret_failing.as_ref()].into_iter().flatten() {
            tried = true;
            keeps(scene, subject, properties)?;
        }
    }
    if tried { Ok(()) } else { skip("no fixture names a secret") }
}

fn keeps(scene: &Scene<'_>, subject: &Subject<'_>, properties: &Properties) -> Check {
    let mut random = [0_u8; 18];
    getrandom::fill(&mut random).map_err(|e| Stop::Fail(format!("the kit could not go on: {e}")))?;
    let value = format!("c\u{f6}nary/{}+\"q", Digest::of_bytes(&random).hex());
    let name = SecretName::new(NAME).map_err(|e| Stop::Fail(e.to_string()))?;
    let secrets = BTreeMap::from([(name, Secret::new(value.clone()))]);
    let redaction = Redaction::new(&secrets);
    let bed = bed(scene, subject)?;
    let mut configure = bed.configuration();
    if let Some(members) = configure.as_object_mut() {
        members.insert("secrets".into(), json!({NAME: value}));
        members.insert("digest_key".into(), json!("5a".repeat(32)));
    }
    let mut session = bed.session_with(Mode::Apply, &configure)?;
    let (apply, _) = session.prepare(&bed, subject, properties)?;
    let pid = session.peer.pid()?;
    let id = session.send(&apply)?;
    // While it works: what anybody on the machine sees of it.
    let end = Instant::now() + scene.kit.patience.answer;
    let mut seen = Vec::new();
    loop {
        let over = session.peer.answered(id, Duration::from_millis(5))? || Instant::now() >= end;
        seen.extend(bed.kit.host.shown(&bed.kit.host.members(pid)?)?);
        if over {
            break;
        }
    }
    let answer = session.applied(id, scene.kit.patience.answer)?;
    if subject.is("resource") && answer.is_ok() {
        session.read(subject, properties)?;
        let _: Result<PlanAnswer, ItemError> = session.one(method::PLAN, item(subject, properties))?;
    }
    // A name without a value.
    let mut unnamed = Value::Object(properties.clone());
    rename(&mut unnamed);
    let answer: Result<Value, ItemError> = match unnamed.as_object() {
        Some(properties) if subject.is("resource") => session.one(method::PLAN, item(subject, properties))?,
        _ => Err(ItemError::new(ErrorCode::Schema, "not asked")),
    };
    match answer {
        Err(error) => {
            ensure!(error.code == ErrorCode::Schema, "an unknown secret is answered by {:?}", error.code)
        }
        Ok(_) => return fail("a secret without a value is taken"),
    }
    session.peer.listen(Duration::from_millis(50))?;
    // A before-image of a secret is a secret: only what others may read counts there.
    let open = bed.kit.host.bytes(
        &format!(
            "find {} {} -type f -perm /077 -exec cat {{}} + 2>/dev/null || true",
            quote(&bed.path("root")),
            quote(&bed.path("blobs"))
        ),
        b"",
    )?;
    let ledger =
        bed.kit.host.bytes(&format!("cat {}/* 2>/dev/null || true", quote(&bed.path("state"))), b"")?;
    let work = bed.kit.host.bytes(
        &format!(
            "find {} -type f -perm /077 -exec cat {{}} + 2>/dev/null || true",
            quote(&bed.path("work-1"))
        ),
        b"",
    )?;
    for (place, bytes) in [
        ("an answer, a log record or progress", &session.peer.said),
        ("standard error", &session.peer.stderr()),
        ("the arguments or the environment of a process", &seen),
        ("the state directory", &ledger),
        ("a file that others may read", &open),
        ("a scratch file that others may read", &work),
    ] {
        ensure!(redaction.found(bytes).is_empty(), "the value of a secret is in {place}");
    }
    session.end()
}

/// Gives every secret in a value a name that has no value.
fn rename(value: &mut Value) {
    match value {
        Value::Object(members) => {
            if let Some(Value::Array(pieces)) = members.get_mut(rectify_base::secret_text::MARK) {
                for piece in pieces.iter_mut().filter(|piece| piece.is_object()) {
                    *piece = json!({"name": "unheard"});
                }
            } else {
                members.values_mut().for_each(rename);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(rename),
        _ => {}
    }
}

pub(crate) fn k02(scene: &Scene<'_>, subject: &Subject<'_>) -> Check {
    let fixture = subject.fixture()?;
    let private = subject.part(fixture.private.as_ref(), "private thing")?;
    let bed = Bed::make(scene.kit, Some(fixture))?;
    bed.run(&private.setup)?;
    let key = [0x5a; 32];
    let mut configure = bed.configuration();
    if let Some(members) = configure.as_object_mut() {
        members.insert("digest_key".into(), json!("5a".repeat(32)));
    }
    let mut session = bed.session_with(Mode::Plan, &configure)?;
    let state = session.read(subject, &private.properties)?;
    let shown = json!(state).to_string();
    let keyed = DigestKey::from_bytes(key).digest(private.content.as_bytes()).hex();
    let plain = Digest::of_bytes(private.content.as_bytes()).hex();
    ensure!(shown.contains(&keyed), "the state has not the keyed digest of what others may not read");
    let _: Result<PlanAnswer, ItemError> = session.one(method::PLAN, item(subject, &private.properties))?;
    let said = String::from_utf8_lossy(&session.peer.said).into_owned();
    ensure!(!said.contains(&plain), "the plain digest of what others may not read is in an answer");
    ensure!(!said.contains(private.content.trim()), "what others may not read is in an answer");
    session.end()
}

pub(crate) fn k03(scene: &Scene<'_>, subject: &Subject<'_>) -> Check {
    let fixture = subject.fixture()?;
    let bed = bed(scene, subject)?;
    let before = bed.snapshot()?;
    let apply = Apply {
        op_id: bed.operation(),
        type_name: subject.descriptor.name.clone(),
        action: if subject.is("action") { "run" } else { "create" }.into(),
        desired: fixture.a.clone(),
        expect: print(subject, None)?,
        result: None,
        deadline_ms: 5_000,
        fence: 1,
    };
    let forbidden = |error: &ItemError, what: &str, mode: Mode| -> Check {
        ensure!(
            error.code == ErrorCode::Mode && error.mutated == Mutated::No,
            "{what} in mode `{}` is answered by {:?}, mutated: {:?}",
            json!(mode),
            error.code,
            error.mutated
        );
        Ok(())
    };
    for mode in [Mode::Read, Mode::Plan] {
        let mut session = bed.session(mode)?;
        // What was really there is expected, so that nothing but the mode is in the way.
        let mut apply = apply.clone();
        if subject.changes().is_ok() {
            apply.expect = print(subject, session.read(subject, &fixture.a)?.as_ref())?;
        }
        match session.apply(&apply)? {
            Err(error) => forbidden(&error, "an operation", mode)?,
            Ok(_) => return fail(format!("a session in mode `{}` changes things", json!(mode))),
        }
        let mut capture = item_a(subject)?;
        if let Some(members) = capture.as_object_mut() {
            members.insert("capture".into(), json!(true));
        }
        let answer: Result<ReadAnswer, ItemError> = session.one(method::READ, capture)?;
        match answer {
            Err(error) => forbidden(&error, "a capture", mode)?,
            Ok(_) => return fail(format!("a session in mode `{}` keeps before-images", json!(mode))),
        }
        let put = json!({"digest": Digest::of_bytes(b"x"), "offset": 0, "size": 1, "chunk": "eA=="});
        let stored: ItemResult<Value> =
            crate::session::typed(method::BLOB_PUT, session.get(method::BLOB_PUT, &put)?)?;
        match stored {
            ItemResult::Error(error) => forbidden(&error, "`blob.put`", mode)?,
            ItemResult::Ok(_) => return fail(format!("a session in mode `{}` stores blobs", json!(mode))),
        }
        if mode == Mode::Read {
            let answer: Result<Value, ItemError> = session.one(method::PLAN, item_a(subject)?)?;
            match answer {
                Err(error) => forbidden(&error, "`plan`", mode)?,
                Ok(_) => return fail("a session in mode `read` plans"),
            }
        }
        session.end()?;
    }
    ensure!(bed.snapshot()? == before, "a session that may not changed something");
    if subject.changes().is_err() {
        let mut session = bed.session(Mode::Apply)?;
        match session.apply(&apply)? {
            Err(error) => ensure!(
                error.code == ErrorCode::Unsupported && error.mutated == Mutated::No,
                "what changes nothing answers an operation by {:?}",
                error.code
            ),
            Ok(_) => return fail("what changes nothing carried out an operation"),
        }
        session.end()?;
    }
    Ok(())
}

pub(crate) fn k04(scene: &Scene<'_>, subject: &Subject<'_>) -> Check {
    subject.changes()?;
    let fixture = subject.fixture()?;
    let bed = bed(scene, subject)?;
    let mut session = bed.session(Mode::Apply)?;
    if subject.is("resource")
        && let Some(failing) = &fixture.failing
    {
        let before = bed.sh("find . | sort")?;
        let (apply, _) = session.prepare(&bed, subject, failing)?;
        if let Err(error) = session.apply(&apply)?
            && error.mutated == Mutated::No
        {
            ensure!(bed.sh("find . | sort")? == before, "an operation that failed left files behind");
        }
    }
    session.change(&bed, subject, &fixture.a)?;
    let mut capture = item_a(subject)?;
    if let Some(members) = capture.as_object_mut() {
        members.insert("capture".into(), json!(true));
    }
    let _: Result<ReadAnswer, ItemError> = session.one(method::READ, capture)?;
    if subject.is("resource")
        && let Some(b) = &fixture.b
    {
        session.change(&bed, subject, b)?;
    }
    session.end()?;
    let dirs = format!("{} {}", quote(&bed.path("state")), quote(&bed.path("blobs")));
    let open = bed
        .kit
        .host
        .sh(&format!("find {dirs} -type f -perm /077; find {dirs} -mindepth 1 -type d -perm /077"))?;
    ensure!(open.is_empty(), "others may use private files: {}", open.trim());
    let unfinished = bed.kit.host.sh(&format!("find {dirs} -name '.tmp-*'"))?;
    ensure!(unfinished.is_empty(), "something unfinished was left: {}", unfinished.trim());
    Ok(())
}
