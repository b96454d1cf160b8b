//! The part of the conformance suite that needs no fixtures, in this process: `PROVIDER --selftest`. It reads
//! and changes nothing of the system. The numbers are those of `rectify-conform`.

use crate::{
    End, Provider,
    testing::{CallError, Client},
};
use rectify_base::{Digest, canonical, limits::FRAME_MAX_BYTES};
use rectify_protocol::{
    ErrorCode, Frame, ItemError, Mutated,
    error::rpc,
    message::{
        Applied, Apply, Batch, BatchResult, Cancel, DesiredItem, Initialized, ItemResult, Mode, Pong, method,
    },
};
use serde_json::{Map, Value, json};
use std::{collections::BTreeSet, fmt::Write as _, fs, path::Path, sync::Arc};

/// Number that the provider must echo.
const NONCE: &str = "00112233445566778899aabbccddeeff";
/// Requests that are sent at once.
const AT_ONCE: usize = 64;

/// What is tried, and with what.
struct Bench<P> {
    provider: Arc<P>,
    home: tempfile::TempDir,
}

type Check = Result<(), String>;
type Run<P> = fn(&Bench<P>) -> Check;

/// All checks: number, what is tested, how.
fn checks<P: Provider>() -> [(&'static str, &'static str, Run<P>); 14] {
    [
        ("P01", "the greeting echoes the nonce and names the manifest", greeting),
        ("P02", "the highest common version is picked; without one the session ends", versions),
        ("P03", "nothing is done before the greeting", early),
        ("P04", "an unknown method is refused, an unknown member ignored", unknown),
        ("P05", "the manifest is the same wherever it is asked for", manifest),
        ("P06", "many requests at once are answered once each", at_once),
        ("P08", "a session that is shut down ends well", shutdown),
        ("S02", "an unknown property is SCHEMA, with its place", bad_properties),
        ("C02", "the cancellation of what nobody asked for is ignored", stray_cancel),
        ("R01", "lines that are no JSON are refused and survived", garbage),
        ("R02", "a line beyond the limit is refused while it is read", too_long),
        ("R03", "a line may come in pieces", pieces),
        ("R04", "JSON that others would read in another way is refused", strictness),
        ("K03", "a session that plans changes nothing", modes),
    ]
}

/// Runs all checks; what is to be printed of them, and whether all is well.
pub(crate) fn run<P: Provider>(provider: P) -> (String, bool) {
    let home = match tempfile::Builder::new().prefix("rectify-selftest-").tempdir() {
        Ok(home) => home,
        Err(e) => return (format!("no directory for the checks: {e}\n"), false),
    };
    let bench = Bench { provider: Arc::new(provider), home };
    let (mut report, mut bad) = (String::new(), 0);
    let checks = checks();
    for (id, what, check) in &checks {
        // Writing to a text cannot fail.
        let _ = match check(&bench) {
            Ok(()) => writeln!(report, "{id} ok      {what}"),
            Err(problem) => {
                bad += 1;
                writeln!(report, "{id} FAILED  {what}: {problem}")
            }
        };
    }
    let total = checks.len();
    let _ = match bad {
        0 => writeln!(report, "{total} checks passed"),
        bad => writeln!(report, "{bad} of {total} checks failed"),
    };
    (report, bad == 0)
}

impl<P: Provider> Bench<P> {
    /// A session that nothing was said in.
    fn start(&self) -> Result<Client, String> {
        Client::in_process(Arc::clone(&self.provider)).map_err(|e| e.to_string())
    }

    fn greet(
        &self,
        client: &mut Client,
        mode: Mode,
        versions: (&str, &str),
    ) -> Result<Initialized, CallError> {
        let at = |name: &str| -> Result<String, CallError> {
            let path = self.home.path().join(name);
            fs::create_dir_all(&path)?;
            Ok(path.display().to_string())
        };
        let greeting = json!({
            "protocol": {"min": versions.0, "max": versions.1}, "session": NONCE, "mode": mode,
            "frame_max_bytes": FRAME_MAX_BYTES,
            "dirs": {"work": at("work")?, "state": at("state")?, "blobs": at("blobs")?},
        });
        client.call(method::INITIALIZE, &greeting)
    }

    /// A session that is ready.
    fn session(&self, mode: Mode) -> Result<Client, String> {
        let mut client = self.start()?;
        self.greet(&mut client, mode, ("1.0", "1.0")).map_err(told)?;
        let root: &Path = self.home.path();
        let _: Value = client.call(method::CONFIGURE, &json!({"root": root})).map_err(told)?;
        Ok(client)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is given to `map_err`")]
fn told(error: CallError) -> String {
    error.to_string()
}

fn ensure(holds: bool, problem: impl FnOnce() -> String) -> Check {
    if holds { Ok(()) } else { Err(problem()) }
}

/// Ends a session, which must end so.
fn ends(client: Client, expected: End) -> Check {
    let end = client.finish().map_err(|e| e.to_string())?;
    ensure(end == Some(expected), || format!("the session ended by {end:?}, not by {expected:?}"))
}

/// A request that must fail as a whole, with this number.
fn refused(result: Result<Value, CallError>, code: i64) -> Check {
    match result {
        Err(CallError::Rpc(error)) if error.code == code => Ok(()),
        other => Err(format!("expected the failure {code}, got {other:?}")),
    }
}

fn ping(client: &mut Client) -> Check {
    client.call::<_, Pong>(method::PING, &json!({})).map(drop).map_err(told)
}

/// Bytes after which the next line must be a failure with this number; the session goes on.
fn expect_failure(client: &mut Client, bytes: &[u8], code: i64) -> Check {
    client.send_raw(bytes).map_err(|e| e.to_string())?;
    let found = answer(client)?.error.map(|error| error.code);
    ensure(found == Some(code), || format!("expected the failure {code}, got {found:?}"))?;
    ping(client)
}

/// The next line that is no notification.
fn answer(client: &mut Client) -> Result<Frame, String> {
    loop {
        let frame = client.receive().map_err(told)?;
        if frame.method.is_none() {
            return Ok(frame);
        }
    }
}

fn greeting<P: Provider>(bench: &Bench<P>) -> Check {
    let mut client = bench.start()?;
    let greeted = bench.greet(&mut client, Mode::Read, ("1.0", "1.0")).map_err(told)?;
    let digest = bench.provider.manifest().digest().map_err(|e| e.to_string())?;
    ensure(greeted.session == NONCE && greeted.manifest == digest, || format!("got {greeted:?}"))
}

fn versions<P: Provider>(bench: &Bench<P>) -> Check {
    let mut client = bench.start()?;
    let greeted = bench.greet(&mut client, Mode::Read, ("1.0", "1.9")).map_err(told)?;
    ensure(greeted.protocol == rectify_protocol::VERSION, || format!("picked {}", greeted.protocol))?;
    let mut client = bench.start()?;
    let greeted = bench.greet(&mut client, Mode::Read, ("9.0", "9.9"));
    refused(greeted.map(|greeted| json!(greeted)), rpc::VERSION)?;
    ends(client, End::Version)
}

fn early<P: Provider>(bench: &Bench<P>) -> Check {
    let mut client = bench.start()?;
    refused(client.call(method::READ, &json!({"items": []})), rpc::NOT_INITIALIZED)
}

fn unknown<P: Provider>(bench: &Bench<P>) -> Check {
    let mut client = bench.session(Mode::Read)?;
    refused(client.call("foo.bar", &json!({})), rpc::METHOD_NOT_FOUND)?;
    client.call::<_, Pong>(method::PING, &json!({"later": true})).map(drop).map_err(told)
}

fn manifest<P: Provider>(bench: &Bench<P>) -> Check {
    let mut client = bench.session(Mode::Read)?;
    let asked: Value = client.call(method::SCHEMA_GET, &json!({})).map_err(told)?;
    let asked = canonical::file_bytes(&asked).map_err(|e| e.to_string())?;
    for _ in 0..2 {
        let printed = bench.provider.manifest().to_bytes().map_err(|e| e.to_string())?;
        ensure(printed == asked, || "`schema.get` differs from `manifest`".into())?;
    }
    Ok(())
}

fn at_once<P: Provider>(bench: &Bench<P>) -> Check {
    let mut client = bench.session(Mode::Read)?;
    let mut open = BTreeSet::new();
    for _ in 0..AT_ONCE {
        open.insert(client.send(method::VALIDATE, &json!({"items": []})).map_err(told)?);
    }
    while !open.is_empty() {
        let id = answer(&mut client)?.id;
        let known = id.is_some_and(|id| open.remove(&id));
        ensure(known, || format!("an answer nobody asked for: {id:?}"))?;
    }
    Ok(())
}

fn shutdown<P: Provider>(bench: &Bench<P>) -> Check {
    let mut client = bench.session(Mode::Read)?;
    let _: Value = client.call(method::SHUTDOWN, &json!({})).map_err(told)?;
    ends(client, End::Shutdown)
}

fn bad_properties<P: Provider>(bench: &Bench<P>) -> Check {
    let mut client = bench.session(Mode::Read)?;
    let desired: Map<String, Value> = [("no_such_property".to_owned(), json!(true))].into_iter().collect();
    for descriptor in bench.provider.manifest().types {
        let item = DesiredItem { type_name: descriptor.name.clone(), desired: desired.clone() };
        let batch = Batch { items: vec![item] };
        let answer: BatchResult<Value> = client.call(method::VALIDATE, &batch).map_err(told)?;
        let right =
            |item: &ItemResult<Value>| matches!(item, ItemResult::Error(e) if e.code == ErrorCode::Schema);
        ensure(answer.items.len() == 1 && answer.items.iter().all(right), || {
            format!("{}: got {:?}", descriptor.name, answer.items)
        })?;
    }
    Ok(())
}

fn stray_cancel<P: Provider>(bench: &Bench<P>) -> Check {
    let mut client = bench.session(Mode::Read)?;
    client.notify(method::CANCEL, &Cancel { id: 999_999 }).map_err(told)?;
    ping(&mut client)
}

fn garbage<P: Provider>(bench: &Bench<P>) -> Check {
    expect_failure(&mut bench.session(Mode::Read)?, b"\x00\xff\xfe garbage\n", rpc::PARSE)
}

fn too_long<P: Provider>(bench: &Bench<P>) -> Check {
    let mut line = vec![b'a'; FRAME_MAX_BYTES + 1];
    line.push(b'\n');
    expect_failure(&mut bench.session(Mode::Read)?, &line, rpc::TOO_LARGE)
}

fn pieces<P: Provider>(bench: &Bench<P>) -> Check {
    let mut client = bench.session(Mode::Read)?;
    for byte in b"\n\n{\"jsonrpc\":\"2.0\",\"id\":77,\"method\":\"ping\"}\n" {
        client.send_raw(&[*byte]).map_err(|e| e.to_string())?;
    }
    let found = answer(&mut client)?.id;
    ensure(found == Some(77), || format!("got the answer to {found:?}"))
}

fn strictness<P: Provider>(bench: &Bench<P>) -> Check {
    let mut client = bench.session(Mode::Read)?;
    let deep = "[".repeat(10_000);
    for line in [
        deep.as_bytes(),
        br#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#,
        br#"{"jsonrpc":"2.0","id":8,"method":"ping","params":{"a":NaN}}"#,
        br#"{"jsonrpc":"2.0","id":9,"method":"ping","params":{"a":9007199254740992}}"#,
        br#"{"jsonrpc":"2.0","id":9,"method":"ping","params":{"a":"\ud800"}}"#,
        b"{\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"p\xc3\x28\"}",
    ] {
        let sent = [line, b"\n"].concat();
        expect_failure(&mut client, &sent, rpc::PARSE).map_err(|problem| {
            let shown = String::from_utf8_lossy(line.get(..60).unwrap_or(line)).into_owned();
            format!("{shown}: {problem}")
        })?;
    }
    Ok(())
}

fn modes<P: Provider>(bench: &Bench<P>) -> Check {
    let mut client = bench.session(Mode::Plan)?;
    for descriptor in bench.provider.manifest().types {
        let op = Apply {
            op_id: "a".repeat(64),
            type_name: descriptor.name.clone(),
            action: "update".into(),
            desired: Map::new(),
            expect: Digest::of_bytes(b""),
            result: None,
            deadline_ms: 1_000,
            fence: 1,
        };
        let answer: ItemResult<Applied> = client.call(method::APPLY, &op).map_err(told)?;
        let right = matches!(
            &answer,
            ItemResult::Error(ItemError { code: ErrorCode::Mode, mutated: Mutated::No, .. })
        );
        ensure(right, || format!("{}: got {answer:?}", descriptor.name))?;
    }
    Ok(())
}
