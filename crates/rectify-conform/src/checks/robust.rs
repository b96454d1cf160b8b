//! R: bad lines, bad pipes, long lives.

use crate::{
    bed::Bed,
    checks::{any, item_a},
    kit::Scene,
    outcome::{Check, ensure, fail, skip},
    peer::Peer,
    proxy::Line,
    session::{Session, item},
};
use rectify_protocol::{COOKIE_VARIABLE, ErrorCode, ItemError, error::rpc, message::Mode, message::method};
use serde_json::{Value, json};
use std::{
    io::Write,
    thread,
    time::{Duration, Instant},
};

const MIB: usize = 1024 * 1024;

pub(crate) fn r01(scene: &Scene<'_>) -> Check {
    let (subject, bed) = any(scene)?;
    let mut session = bed.session(Mode::Read)?;
    let mut noise = [0_u8; 64];
    getrandom::fill(&mut noise).map_err(|e| crate::Stop::Fail(format!("the kit could not go on: {e}")))?;
    let noise: Vec<u8> = noise.into_iter().filter(|byte| *byte != b'\n').collect();
    for garbage in [&noise[..], b"\xff\xfe\x00", b"Hello there", b"{\"jsonrpc\":"] {
        session.peer.raw(garbage)?;
        session.peer.raw(b"\n\n\n")?;
        let refusal = session.peer.orphan(scene.kit.patience.answer)?;
        ensure!(
            refusal.code == rpc::PARSE,
            "{:?} is answered by {}",
            String::from_utf8_lossy(garbage),
            refusal.code
        );
        session.get(method::READ, &json!({"items": [item_a(subject)?]}))?;
    }
    session.end()
}

fn limited<'k>(bed: &Bed<'k>, bytes: usize) -> Check<Session<'k>> {
    let (peer, work) = bed.start()?;
    let mut session = Session::new(bed.kit, peer);
    let mut greeting = Session::greeting(Mode::Plan, bed.dirs(Mode::Plan, &work));
    if let Some(members) = greeting.as_object_mut() {
        members.insert("frame_max_bytes".into(), bytes.into());
    }
    session.greet(&greeting)?;
    session.get("configure", &bed.configuration())?;
    Ok(session)
}

pub(crate) fn r02(scene: &Scene<'_>) -> Check {
    let (subject, bed) = any(scene)?;
    let mut session = limited(&bed, MIB)?;
    session.healthy()?;
    let [before, ..] = session.peer.usage()?;
    session.peer.raw(br#"{"jsonrpc":"2.0","id":900,"method":"ping","params":{"x":""#)?;
    let piece = vec![b'x'; MIB];
    for _ in 0..32 {
        session.peer.raw(&piece)?;
    }
    let [after, ..] = session.peer.usage()?;
    let grown = after.saturating_sub(before);
    ensure!(grown < 16 * 1024, "a line of 32 MiB made it grow by {grown} KiB; its limit is 1 MiB");
    session.peer.raw(b"\"}}\n")?;
    let refusal = session.peer.orphan(scene.kit.patience.answer)?;
    ensure!(refusal.code == rpc::TOO_LARGE, "a line beyond the limit is answered by {}", refusal.code);
    session.get(method::READ, &json!({"items": [item_a(subject)?]}))?;
    // One byte too long, by itself.
    session.peer.raw(&vec![b' '; MIB + 1])?;
    session.peer.raw(b"\n")?;
    let refusal = session.peer.orphan(scene.kit.patience.answer)?;
    ensure!(
        refusal.code == rpc::TOO_LARGE,
        "a line one byte beyond the limit is answered by {}",
        refusal.code
    );
    session.end()
}

pub(crate) fn r03(scene: &Scene<'_>) -> Check {
    let (subject, bed) = any(scene)?;
    let reads = json!({"items": [item_a(subject)?, item_a(subject)?]});
    let mut whole = bed.session(Mode::Read)?;
    let expected = whole.get(method::NORMALIZE, &reads)?;
    let mut many = Vec::new();
    let mut ids = Vec::new();
    for _ in 0..1_000 {
        let (id, line) = whole.peer.prepare(method::PING, &json!({}));
        ids.push(id);
        many.extend_from_slice(line.as_bytes());
        many.push(b'\n');
    }
    whole.peer.raw(&many)?;
    for id in ids {
        let answer = whole.peer.reply(id, scene.kit.patience.answer)?;
        ensure!(answer.is_ok(), "one of 1,000 requests in a write was refused");
    }
    whole.end()?;
    let line = Line { split: 1, delay: Duration::from_micros(50), ..Line::default() };
    let (peer, work) = bed.start_with(Bed::environment(), line, "")?;
    let mut session = bed.greet(peer, &work, Mode::Read, &bed.configuration())?;
    let found = session.get(method::NORMALIZE, &reads)?;
    ensure!(found == expected, "cut into single bytes, a request has another answer");
    session.end()
}

pub(crate) fn r04(scene: &Scene<'_>) -> Check {
    let (_, bed) = any(scene)?;
    let mut session = bed.session(Mode::Read)?;
    let deep = "[".repeat(10_000) + &"]".repeat(10_000);
    let deeper = "[".repeat(66) + &"]".repeat(66);
    let hostile = [
        (r#"{"a":1,"a":2}"#, "a duplicate key"),
        (r#"{"a":{"b":1,"\u0062":2}}"#, "a duplicate key, escaped"),
        (r#"{"a":NaN}"#, "NaN"),
        (r#"{"a":-Infinity}"#, "an infinity"),
        (r#"{"a":1.5}"#, "a number that is no integer"),
        (r#"{"a":1e3}"#, "a number with an exponent"),
        (r#"{"a":9007199254740992}"#, "2^53"),
        (r#"{"a":-9007199254740992}"#, "-2^53"),
        (r#"{"a":18446744073709551616}"#, "2^64"),
        (r#"{"a":"\ud800"}"#, "a lone surrogate"),
        (r#"{"a":"\udc00\ud800"}"#, "surrogates in the wrong order"),
        (deep.as_str(), "a depth of 10,000"),
        (deeper.as_str(), "a depth of 66"),
    ];
    for (params, what) in hostile {
        session.peer.line(&format!(r#"{{"jsonrpc":"2.0","id":700,"method":"ping","params":{params}}}"#))?;
        let refusal = match session.peer.orphan(scene.kit.patience.answer) {
            Ok(refusal) => refusal,
            Err(stop) => return fail(format!("{what} is not refused: {}", reason(stop))),
        };
        ensure!(refusal.code == rpc::PARSE, "{what} is answered by {}", refusal.code);
    }
    session
        .peer
        .raw(b"{\"jsonrpc\":\"2.0\",\"id\":700,\"method\":\"ping\",\"params\":{\"a\":\"\xc3\x28\"}}\n")?;
    let refusal = session.peer.orphan(scene.kit.patience.answer)?;
    ensure!(refusal.code == rpc::PARSE, "bad UTF-8 is answered by {}", refusal.code);
    for (line, what) in [
        ("[]", "a list"),
        ("null", "null"),
        (r#"{"jsonrpc":"1.0","id":700,"method":"ping"}"#, "JSON-RPC 1.0"),
        (r#"{"jsonrpc":"2.0","id":"700","method":"ping"}"#, "a text as number"),
        (r#"{"jsonrpc":"2.0","id":-700,"method":"ping"}"#, "a negative number"),
        (r#"{"jsonrpc":"2.0","id":700}"#, "a request without a method"),
    ] {
        session.peer.line(line)?;
        let refusal = match session.peer.orphan(scene.kit.patience.answer) {
            Ok(refusal) => refusal,
            Err(stop) => return fail(format!("{what} is not refused: {}", reason(stop))),
        };
        ensure!(refusal.code == rpc::INVALID_REQUEST, "{what} is answered by {}", refusal.code);
    }
    session.healthy()?;
    session.end()
}

fn reason(stop: crate::Stop) -> String {
    match stop {
        crate::Stop::Skip(reason) | crate::Stop::Fail(reason) => reason,
    }
}

pub(crate) fn r05(scene: &Scene<'_>) -> Check {
    let (subject, bed) = any(scene)?;
    let mut session = bed.session(Mode::Read)?;
    session.healthy()?;
    let [before, ..] = session.peer.usage()?;
    session.peer.freeze(true);
    let [begin, end] = Peer::template(method::READ, &json!({"items": vec![item_a(subject)?; 16]}));
    let ids = session.peer.numbers(20_000);
    let Some(mut input) = session.peer.take_input() else { return skip("there is no input") };
    // It may stop reading as well, so this may stand still for ever.
    thread::spawn(move || {
        for id in ids {
            if input.write_all(format!("{begin}{id}{end}").as_bytes()).is_err() {
                return;
            }
        }
        thread::sleep(Duration::from_secs(30));
    });
    thread::sleep(Duration::from_millis(1_500));
    let [after, ..] = session.peer.usage()?;
    let grown = after.saturating_sub(before);
    ensure!(grown < 128 * 1024, "while nobody read its output it grew by {grown} KiB");
    let pid = session.peer.pid()?;
    session.peer.signal("TERM")?;
    // Behind a prefix the client itself stands still, so the process is looked at where it is.
    let end = Instant::now() + scene.kit.patience.exit;
    while scene.kit.host.members(pid)?.contains(&pid) {
        ensure!(Instant::now() < end, "it does not end on TERM while nobody reads its output");
        thread::sleep(Duration::from_millis(10));
    }
    session.peer.freeze(false);
    drop(session);

    let mut session = bed.session(Mode::Read)?;
    session.healthy()?;
    let [.., before] = session.peer.usage()?;
    session.peer.hang_up();
    let end = Instant::now() + scene.kit.patience.exit;
    loop {
        // A closed pipe is what this is about.
        let _ = session.peer.ask(method::PING, &json!({}));
        if session.peer.exit(Duration::from_millis(200)).is_ok() {
            return Ok(());
        }
        if Instant::now() >= end {
            let [.., after] = session.peer.usage()?;
            return fail(format!(
                "it did not end after its output was closed, and used {} ticks of the processor",
                after.saturating_sub(before)
            ));
        }
    }
}

pub(crate) fn r07(scene: &Scene<'_>) -> Check {
    let (subject, bed) = any(scene)?;
    let environment = vec![(COOKIE_VARIABLE.to_owned(), "1".to_owned())];
    let (peer, work) = bed.start_with(environment, Line::default(), "")?;
    let mut session = bed.greet(peer, &work, Mode::Read, &bed.configuration())?;
    let answer: Result<Value, ItemError> = session.one(method::READ, item_a(subject)?)?;
    if let Err(error) = answer {
        ensure!(error.code == ErrorCode::Dependency, "without an environment a read fails: {:?}", error.code);
    }
    session.end()
}

pub(crate) fn r08(scene: &Scene<'_>) -> Check {
    let (subject, bed) = any(scene)?;
    let a = &subject.fixture()?.a;
    let mut session = bed.session(Mode::Read)?;
    let round = |session: &mut Session<'_>, count: usize| -> Check {
        let mut left = count;
        while left > 0 {
            let batch = left.min(64);
            let reads = json!({"items": [item(subject, a)]});
            let ids: Vec<u64> =
                (0..batch).map(|_| session.peer.ask(method::READ, &reads)).collect::<Check<_>>()?;
            for id in ids {
                let answer = session.peer.reply(id, scene.kit.patience.answer)?;
                ensure!(answer.is_ok(), "a read was refused");
            }
            session.peer.said.clear();
            left -= batch;
        }
        Ok(())
    };
    // Whatever is made once is made now, and a heap that is collected has grown to its size.
    round(&mut session, scene.kit.soak / 4 + 1_000)?;
    let [memory, files, _] = session.peer.usage()?;
    round(&mut session, scene.kit.soak)?;
    let [after, files_after, _] = session.peer.usage()?;
    let allowed = (memory / 10).max(2048);
    let grown = after.saturating_sub(memory);
    ensure!(grown <= allowed, "{} reads made it grow by {grown} KiB, from {memory}", scene.kit.soak);
    ensure!(files_after <= files, "{} reads left {} descriptors open", scene.kit.soak, files_after - files);
    session.end()
}

pub(crate) fn r09(scene: &Scene<'_>) -> Check {
    const FRAME: usize = 4096;
    let mut tried = false;
    for subject in scene.subjects {
        let Ok(fixture) = subject.fixture() else { continue };
        let bed = Bed::make(scene.kit, Some(fixture))?;
        // As many items as a request may have.
        let one = item_a(subject)?;
        let count = ((FRAME - 200) / (one.to_string().len() + 1)).clamp(1, 128);
        let many = json!({"items": vec![one.clone(); count]});
        for method in [method::READ, method::PLAN] {
            let mut session = bed.session(Mode::Plan)?;
            let answer = session.get(method, &many)?;
            session.end()?;
            if answer.to_string().len() <= FRAME {
                continue;
            }
            tried = true;
            let mut session = limited(&bed, FRAME)?;
            match session.call(method, &many)? {
                Err(refusal) if refusal.code == rpc::TOO_LARGE => {}
                Err(refusal) => {
                    return fail(format!("an answer beyond the limit is replaced by {}", refusal.code));
                }
                Ok(_) => return fail("it wrote a line longer than the limit"),
            }
            session.get(method::NORMALIZE, &json!({"items": [one.clone()]}))?;
            session.end()?;
        }
        if tried {
            return Ok(());
        }
    }
    skip("no answer is long enough")
}
