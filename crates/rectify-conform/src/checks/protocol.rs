//! P and N: greeting, order, numbers, ends.

use crate::{
    bed::{Bed, Subject},
    checks::{any, bed, item_a},
    kit::Scene,
    outcome::{Check, ensure, fail},
    proxy::Line,
    session::{NONCE, Session, item},
};
use rectify_base::Digest;
use rectify_protocol::{error::rpc, message::Mode};
use serde_json::{Value, json};
use std::{
    thread,
    time::{Duration, Instant},
};

const SECOND: Duration = Duration::from_secs(1);

pub(crate) fn p01(scene: &Scene<'_>) -> Check {
    let bed = Bed::make(scene.kit, None)?;
    let (mut peer, work) = bed.start()?;
    let greeting = Session::greeting(Mode::Plan, bed.dirs(Mode::Plan, &work));
    let id = peer.ask("initialize", &greeting)?;
    // What a login prints behind a prefix comes before, and may end with a prompt on the same line.
    peer.lenient = !scene.kit.host.is_local();
    if !peer.lenient {
        let first = peer.next_line(scene.kit.patience.greeting)?;
        ensure!(first.is_none_or(|line| line.is_empty()), "its first byte is no line end");
    }
    let answer = match peer.reply(id, scene.kit.patience.greeting)? {
        Ok(answer) => answer,
        Err(refusal) => return fail(format!("`initialize` was refused: {}", refusal.message)),
    };
    for (member, expected) in [
        ("session", NONCE),
        ("protocol", "1.0"),
        ("name", &scene.manifest.name),
        ("version", &scene.manifest.version),
    ] {
        let found = answer.get(member).and_then(Value::as_str).unwrap_or_default();
        ensure!(found == expected, "`{member}` of the greeting is `{found}`, not `{expected}`");
    }
    Ok(())
}

pub(crate) fn p02(scene: &Scene<'_>) -> Check {
    let bed = Bed::make(scene.kit, None)?;
    let greeting = |min: &str, max: &str, work: &str| {
        let mut greeting = Session::greeting(Mode::Plan, bed.dirs(Mode::Plan, work));
        if let Some(range) = greeting.get_mut("protocol") {
            *range = json!({"min": min, "max": max});
        }
        greeting
    };
    let (peer, work) = bed.start()?;
    let mut session = Session::new(scene.kit, peer);
    let answer = session.greet(&greeting("1.0", "1.9", &work))?;
    let best = scene.manifest.protocol.max.to_string();
    ensure!(
        answer.get("protocol") == Some(&json!(best)),
        "of 1.0 to 1.9 it chose {}, not {best}",
        answer.get("protocol").unwrap_or(&Value::Null)
    );
    let (mut peer, work) = bed.start()?;
    let id = peer.ask("initialize", &greeting("9.0", "9.9", &work))?;
    let Err(refusal) = peer.reply(id, scene.kit.patience.greeting)? else {
        return fail("it greeted an engine that speaks 9.0 to 9.9");
    };
    ensure!(refusal.code == rpc::VERSION, "no common version is answered by {}", refusal.code);
    let range = scene.manifest.protocol;
    let ranges = json!({"engine": {"min": "9.0", "max": "9.9"}, "provider": range});
    ensure!(refusal.data == ranges, "the ranges are not in `data`: {}", refusal.data);
    let code = peer.exit(SECOND)?;
    ensure!(code != 0, "it ended with 0 though there was no session");
    Ok(())
}

pub(crate) fn p03(scene: &Scene<'_>) -> Check {
    let (subject, bed) = any(scene)?;
    let (peer, work) = bed.start()?;
    let mut session = Session::new(scene.kit, peer);
    let reads = json!({"items": [item_a(subject)?]});
    let early = |session: &mut Session<'_>, method: &str, params: &Value, before: &str| match session
        .call(method, params)?
    {
        Err(refusal) if refusal.code == rpc::NOT_INITIALIZED => Ok(()),
        Err(refusal) => fail(format!("`{method}` before `{before}` is answered by {}", refusal.code)),
        Ok(_) => fail(format!("`{method}` was served before `{before}`")),
    };
    session.healthy()?;
    early(&mut session, "configure", &bed.configuration(), "initialize")?;
    early(&mut session, "resource.read", &reads, "initialize")?;
    session.greet(&Session::greeting(Mode::Plan, bed.dirs(Mode::Plan, &work)))?;
    for method in ["resource.read", "resource.plan", "resource.normalize"] {
        early(&mut session, method, &reads, "configure")?;
    }
    session.get("schema.get", &json!({}))?;
    session.get("configure", &bed.configuration())?;
    session.get("resource.read", &reads)?;
    session.end()
}

pub(crate) fn p04(scene: &Scene<'_>) -> Check {
    let (subject, bed) = any(scene)?;
    let reads = json!({"items": [item_a(subject)?]});
    let refused =
        |session: &mut Session<'_>, method: &str, params: &Value, code: i64, what: &str| match session
            .call(method, params)?
        {
            Err(refusal) if refusal.code == code => Ok(()),
            Err(refusal) => fail(format!("{what} is answered by {}, not {code}", refusal.code)),
            Ok(_) => fail(format!("{what} was served")),
        };
    // A relative directory; then the session goes on.
    let (peer, work) = bed.start()?;
    let mut session = Session::new(scene.kit, peer);
    let relative = Session::greeting(Mode::Plan, json!({"work": "work", "state": "", "blobs": ""}));
    refused(&mut session, "initialize", &relative, rpc::INVALID_PARAMS, "a relative directory")?;
    let greeting = Session::greeting(Mode::Plan, bed.dirs(Mode::Plan, &work));
    session.greet(&greeting)?;
    session.get("configure", &bed.configuration())?;
    refused(&mut session, "initialize", &greeting, rpc::INVALID_REQUEST, "a second `initialize`")?;
    refused(&mut session, "configure", &bed.configuration(), rpc::INVALID_REQUEST, "a second `configure`")?;
    refused(&mut session, "resource.frobnicate", &json!({}), rpc::METHOD_NOT_FOUND, "an unknown method")?;
    refused(
        &mut session,
        "resource.read",
        &json!({"items": 3}),
        rpc::INVALID_PARAMS,
        "`items` that is no list",
    )?;
    let plain = session.get("resource.read", &reads)?;
    session.peer.line(r#"{"jsonrpc":"2.0","method":"$/unheard-of","params":{"x":1}}"#)?;
    let id = 4_000;
    session.peer.expect(id);
    let mut later = item_a(subject)?;
    if let Some(members) = later.as_object_mut() {
        members.insert("later".into(), json!({"minor": [1, null]}));
    }
    let line = json!({
        "later": true, "jsonrpc": "2.0", "id": id, "method": "resource.read",
        "params": {"items": [later], "later": "x"},
    });
    session.peer.line(&line.to_string())?;
    match session.peer.reply(id, scene.kit.patience.answer)? {
        Ok(answer) => ensure!(answer == plain, "unknown members of a message change its answer"),
        Err(refusal) => {
            return fail(format!("unknown members of a message are refused: {}", refusal.message));
        }
    }
    session.end()
}

pub(crate) fn p05(scene: &Scene<'_>) -> Check {
    let first = scene.kit.printed(&scene.kit.print_manifest(), "LANG=C")?;
    let second = scene
        .kit
        .printed(&scene.kit.print_manifest(), "LANG=de_DE.UTF-8 TZ=Asia/Tokyo HOME=/ PYTHONHASHSEED=7")?;
    ensure!(first == second, "two processes print two manifests");
    if let Err(error) = rectify_base::canonical::read_file::<Value>(&first) {
        return fail(format!("the manifest is no canonical file: {error}"));
    }
    let bed = Bed::make(scene.kit, None)?;
    let (peer, work) = bed.start()?;
    let mut session = Session::new(scene.kit, peer);
    let greeting = session.greet(&Session::greeting(Mode::Plan, bed.dirs(Mode::Plan, &work)))?;
    let digest = Digest::of_bytes(&first);
    ensure!(
        greeting.get("manifest") == Some(&json!(digest)),
        "the greeting names the manifest {}, and the printed one is {digest}",
        greeting.get("manifest").unwrap_or(&Value::Null)
    );
    let told = session.get("schema.get", &json!({}))?;
    let printed: Value = serde_json::from_slice(&first).unwrap_or(Value::Null);
    ensure!(told == printed, "`schema.get` answers another manifest than is printed");
    if scene.kit.builtin.is_none() {
        let mut argv = scene.kit.provider.clone();
        argv.push("version".into());
        let version = scene.kit.printed(&argv, "")?;
        let expected = format!("{} {}\n", scene.manifest.name, scene.manifest.version);
        ensure!(version == expected.as_bytes(), "`version` prints something else than name and version");
    }
    session.end()
}

pub(crate) fn p06(scene: &Scene<'_>) -> Check {
    let (subject, bed) = any(scene)?;
    let mut session = bed.session(Mode::Read)?;
    let one = item_a(subject)?;
    let mut asked = Vec::new();
    for number in 0..64_usize {
        // Sizes that jump about.
        let count = number * 37 % 11 + 1;
        let id = session.peer.ask("resource.read", &json!({"items": vec![one.clone(); count]}))?;
        asked.push((id, count));
    }
    for (id, count) in asked {
        match session.peer.reply(id, scene.kit.patience.answer)? {
            Ok(answer) => {
                let found = answer.get("items").and_then(Value::as_array).map_or(0, Vec::len);
                ensure!(found == count, "request {id} had {count} items, its answer has {found}");
            }
            Err(refusal) => {
                return fail(format!("one of 64 requests under way is refused: {}", refusal.message));
            }
        }
    }
    session.peer.listen(Duration::from_millis(100))?;
    session.end()
}

pub(crate) fn p07(scene: &Scene<'_>, subject: &Subject<'_>) -> Check {
    let bed = bed(scene, subject)?;
    let fixture = subject.fixture()?;
    let mode = if subject.changes().is_ok() { Mode::Apply } else { Mode::Plan };
    let mut session = bed.session(mode)?;
    let unknown = json!({"conform_unknown_property": true});
    let invalid = fixture.invalid.iter().map(|invalid| &invalid.properties);
    for properties in
        [Some(&fixture.a), fixture.b.as_ref()].into_iter().flatten().chain(invalid).chain(unknown.as_object())
    {
        for method in ["resource.validate", "resource.normalize", "resource.read", "resource.plan"] {
            let _: Result<Value, _> = session.one(method, item(subject, properties))?;
        }
    }
    if mode == Mode::Apply {
        for properties in [Some(&fixture.a), fixture.failing.as_ref()].into_iter().flatten() {
            // What it comes to is the business of other checks.
            if let Ok((apply, _)) = session.prepare(&bed, subject, properties) {
                let _ = session.apply(&apply)?;
            }
        }
    }
    session.peer.listen(Duration::from_millis(100))?;
    session.end()
}

pub(crate) fn p08(scene: &Scene<'_>) -> Check {
    let (subject, bed) = any(scene)?;
    let mut session = bed.session(Mode::Read)?;
    let reads = json!({"items": [item_a(subject)?]});
    session.get("resource.read", &reads)?;
    let pid = session.peer.pid()?;
    session.get("shutdown", &json!({}))?;
    match session.call("resource.read", &reads)? {
        Err(refusal) if refusal.code == rpc::INVALID_REQUEST => {}
        Err(refusal) => return fail(format!("a request after `shutdown` is answered by {}", refusal.code)),
        Ok(_) => return fail("a request after `shutdown` was served"),
    }
    session.peer.close();
    let code = session.peer.exit(scene.kit.patience.exit)?;
    ensure!(code == 0, "it ended with {code} after `shutdown`");
    let left = scene.kit.host.members(pid)?;
    ensure!(left.is_empty(), "it left {} processes behind", left.len());
    Ok(())
}

pub(crate) fn p09(scene: &Scene<'_>) -> Check {
    let bed = Bed::make(scene.kit, None)?;
    let without: Vec<_> = Bed::environment()
        .into_iter()
        .filter(|(name, _)| name != rectify_protocol::COOKIE_VARIABLE)
        .collect();
    let mut wrong = vec![("no cookie", scene.kit.serve(), without)];
    if scene.kit.builtin.is_none() {
        let mut argv = scene.kit.provider.clone();
        argv.push("--conform-unknown".into());
        wrong.push(("an unknown argument", argv, Bed::environment()));
    }
    for (what, argv, environment) in wrong {
        let work = bed.work()?;
        let start = crate::peer::Start { argv, environment, work: &work, line: Line::default(), before: "" };
        let mut peer = crate::peer::Peer::start(&scene.kit.host, &start)?;
        let code = peer.exit(scene.kit.patience.exit)?;
        ensure!(code == 64, "with {what} it ends with {code}, not 64");
        ensure!(peer.next_line(SECOND)?.is_none(), "with {what} it writes to standard output");
        // What it wrote last may still be on its way here.
        let end = Instant::now() + SECOND;
        while peer.stderr().is_empty() {
            ensure!(Instant::now() < end, "with {what} it says nothing on standard error");
            thread::sleep(Duration::from_millis(5));
        }
    }
    Ok(())
}

pub(crate) fn n01(scene: &Scene<'_>) -> Check {
    let bed = Bed::make(scene.kit, None)?;
    let noise = "echo 'Last login: today from nowhere'; echo; printf 'prompt$ '; dd bs=1 count=10 of=/dev/null 2>/dev/null;";
    let (mut peer, work) = bed.start_with(Bed::environment(), Line::default(), noise)?;
    peer.lenient = true;
    let greeting = Session::greeting(Mode::Plan, bed.dirs(Mode::Plan, &work));
    let (id, line) = peer.prepare("initialize", &greeting);
    peer.line(&line)?;
    // Something ate the beginning of the line, so that the rest of it is no message.
    let refusal = peer.orphan(scene.kit.patience.greeting)?;
    ensure!(refusal.code == rpc::PARSE, "half a line is answered by {}", refusal.code);
    ensure!(
        peer.noise == 2 || !scene.kit.host.is_local(),
        "the prompt without a line end was not ended by an empty line"
    );
    peer.line(&line)?;
    match peer.reply(id, scene.kit.patience.greeting)? {
        Ok(answer) => {
            ensure!(answer.get("session") == Some(&json!(NONCE)), "the greeting does not echo the session")
        }
        Err(refusal) => return fail(format!("the second `initialize` was refused: {}", refusal.message)),
    }
    let mut session = Session::new(scene.kit, peer);
    session.get("configure", &bed.configuration())?;
    session.end()
}
