//! The engine's side of a conversation: whatever a provider says, in whatever order.

use crate::Target;
use rectify_base::{Digest, TypeName, canonical};
use rectify_host::{
    Confinement, Effect, Executable, Fault, HostError, Protection, Session, SessionSpec, bytes, codes,
};
use rectify_protocol::{
    Manifest, VERSION,
    error::rpc,
    message::{
        Applied, Apply, Batch, DesiredItem, Directories, Mode, OpStatus, PlanAnswer, PlanItem, ReadAnswer,
        ReadItem,
    },
};
use rectify_sdk::Provider as _;
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::{
    future::Future,
    pin::{Pin, pin},
    sync::LazyLock,
    task::{Context, Poll, Waker},
};
use tokio::io::{AsyncWriteExt, DuplexStream, duplex};

pub(super) const TARGET: Target = Target {
    name: "session",
    holds: "each request has the one answer with its number, as it was said, or a fault with a code; a lost answer to an operation never passes for nothing done",
    check,
    seeds,
    max_bytes: 8192,
    replays: 30,
};

static MANIFEST: LazyLock<Manifest> = LazyLock::new(|| rectify_provider_file::provider().manifest());
const LIMIT: usize = 1 << 16;

/// What a request came to.
#[derive(Debug)]
enum Came {
    Validated(Vec<Value>),
    Read(Vec<Value>),
    Planned(Vec<Value>),
    Applied(Value),
    Status(Value),
    Blob(Vec<u8>),
    /// The provider's own error for the whole request.
    Item(Value),
    Failed(HostError),
}

fn type_name() -> TypeName {
    TypeName::new("file.content").unwrap()
}

fn desired() -> Map<String, Value> {
    json!({"path": "/x", "content": "x"}).as_object().unwrap().clone()
}

fn said<T: Serialize, E: Serialize>(items: Vec<Result<T, E>>) -> Vec<Value> {
    let one = |item: Result<T, E>| match item {
        Ok(answer) => json!({"ok": answer}),
        Err(error) => json!({"error": error}),
    };
    items.into_iter().map(one).collect()
}

/// The requests, numbered from 2 in this order: 1 is `configure`.
async fn ask(session: &Session, which: usize) -> Came {
    let came = match which {
        0 => {
            let item = || DesiredItem { type_name: type_name(), desired: desired() };
            session.validate(vec![item(), item()]).await.map(|items| Came::Validated(said(items)))
        }
        1 => {
            let item = || ReadItem { type_name: type_name(), desired: desired(), capture: false };
            let items = session.read(vec![item(), item(), item()]).await;
            items.map(|items: Vec<Result<ReadAnswer, _>>| Came::Read(said(items)))
        }
        2 => {
            let item = PlanItem { type_name: type_name(), desired: desired(), ..plan_item() };
            let items = session.plan(vec![item]).await;
            items.map(|items: Vec<Result<PlanAnswer, _>>| Came::Planned(said(items)))
        }
        3 => {
            // Without an id nothing is looked for among the processes of this machine.
            let op = Apply {
                op_id: String::new(),
                type_name: type_name(),
                action: "create".into(),
                desired: desired(),
                expect: Digest::of_bytes(b"expected"),
                result: None,
                deadline_ms: 60_000,
                fence: 1,
            };
            session
                .apply(op)
                .await
                .map(|answer: Result<Applied, _>| Came::Applied(said(vec![answer]).remove(0)))
        }
        4 => {
            let status: Result<OpStatus, _> = session.op_status("00").await;
            status.map(|status| Came::Status(serde_json::to_value(status).unwrap()))
        }
        _ => session.get_blob(&Digest::of_bytes(b"blob"), 1000).await.map(|blob| match blob {
            Ok(bytes) => Came::Blob(bytes),
            Err(error) => Came::Item(serde_json::to_value(error).unwrap()),
        }),
    };
    came.unwrap_or_else(Came::Failed)
}

fn plan_item() -> PlanItem {
    serde_json::from_value(json!({"type": "file.content", "desired": {}})).unwrap()
}

const REQUESTS: usize = 6;

/// Lets everything that can go on go on. Nothing here waits for time.
async fn settle() {
    for _ in 0..12 {
        tokio::task::yield_now().await;
    }
}

/// Goes on with a future as far as it gets.
fn poll<F: Future>(future: Pin<&mut F>) -> Option<F::Output> {
    match future.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

async fn write(stream: &mut DuplexStream, line: &[u8]) {
    // Who has heard enough does not listen any more.
    let _ = stream.write_all(line).await;
    let _ = stream.write_all(b"\n").await;
}

fn check(data: &[u8]) {
    let mode = [Mode::Apply, Mode::Plan, Mode::Read][usize::from(data.first().copied().unwrap_or(0) % 3)];
    let lines: Vec<&[u8]> = data.get(1..).unwrap_or_default().split(|b| *b == b'\n').collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(talk(mode, &lines));
}

async fn talk(mode: Mode, lines: &[&[u8]]) {
    let mut spec = SessionSpec::new(Executable::current(), MANIFEST.clone(), mode, Directories::default());
    spec.allow_unconfined = true;
    let (mut provider, engine) = duplex(LIMIT);
    let mut next = 0;
    let session = {
        let mut start = pin!(bytes::session(spec, engine));
        // Noise before the greeting is passed over, so this may take any number of lines.
        loop {
            settle().await;
            if let Some(session) = poll(start.as_mut()) {
                break session;
            }
            match lines.get(next) {
                Some(line) => write(&mut provider, line).await,
                None => provider.shutdown().await.unwrap(),
            }
            next += 1;
            assert!(next < lines.len() + 100, "the greeting waits for nothing");
        }
    };
    let session = match session {
        Ok(session) => session,
        Err(error) => return known(&error),
    };
    let began = lines.get(..next).unwrap_or(lines);
    assert!(
        began.iter().any(|line| contains(line, bytes::LAUNCH))
            && began.iter().any(|line| contains(line, bytes::NONCE))
    );
    let heard = lines.get(next..).unwrap_or_default();
    let came = {
        let mut asked: Vec<_> = (0..REQUESTS).map(|which| Box::pin(ask(&session, which))).collect();
        let mut came: Vec<Option<Came>> = (0..REQUESTS).map(|_| None).collect();
        let mut rest = heard.iter();
        for round in 0.. {
            for (request, came) in asked.iter_mut().zip(&mut came) {
                if came.is_none() {
                    *came = poll(request.as_mut());
                }
            }
            settle().await;
            if came.iter().all(Option::is_some) {
                break;
            }
            match rest.next() {
                Some(line) => write(&mut provider, line).await,
                None => provider.shutdown().await.unwrap(),
            }
            assert!(round < heard.len() + 100, "a request waits for ever");
        }
        came.into_iter().map(Option::unwrap).collect::<Vec<_>>()
    };
    // The end of the session's own tasks, before it is dropped.
    drop(provider);
    for _ in 0..100 {
        settle().await;
        if session.is_over() {
            break;
        }
    }
    assert!(session.is_over(), "a session without a stream");
    judge(mode, heard, &came);
}

fn contains(line: &[u8], word: &str) -> bool {
    line.windows(word.len()).any(|window| window == word.as_bytes())
}

/// The answers in what was said: all up to what ends the session at the latest. What is no JSON at all ends it.
fn answers(heard: &[&[u8]]) -> Vec<(u64, Value)> {
    let mut all = Vec::new();
    for line in heard.iter().filter(|line| !line.is_empty()) {
        let Ok(frame) = serde_json::from_slice::<Value>(line) else { break };
        let Some(id) = frame.get("id").and_then(Value::as_u64) else { continue };
        if all.iter().any(|(other, _)| *other == id) {
            break;
        }
        all.push((id, frame));
    }
    all
}

fn judge(mode: Mode, heard: &[&[u8]], came: &[Came]) {
    let answers = answers(heard);
    // Who asked for what is refused at once was given no number.
    let refused = |which: usize| match mode {
        Mode::Apply => false,
        Mode::Plan => which == 3,
        Mode::Read => which == 2 || which == 3,
    };
    let mut id = 1;
    for (which, came) in came.iter().enumerate() {
        if refused(which) {
            let Came::Failed(error) = came else { panic!("{came:?} in a session that may not") };
            assert!(matches!(*error.fault, Fault::Mode { .. }) && error.effect() == Effect::Nothing);
            continue;
        }
        id += 1;
        let answer = answers.iter().find(|(other, _)| *other == id).map(|(_, frame)| frame);
        let result = answer.and_then(|frame| frame.get("result"));
        let items = || {
            let result = result.unwrap_or_else(|| panic!("request {id} was not answered: {came:?}"));
            canonical::check(result).expect("what providers say has no floats");
            let batch: Batch<Value> = serde_json::from_value(result.clone()).expect("a batch");
            batch.items
        };
        match came {
            Came::Validated(said) | Came::Read(said) | Came::Planned(said) => {
                assert_eq!(said.len(), items().len());
                said.iter().zip(&items()).for_each(|(taken, said)| same(taken, said));
                assert!(said.iter().all(|item| item.pointer("/error/mutated").is_none_or(|m| m == "no")));
            }
            Came::Applied(taken) => same(taken, result.expect("an answer")),
            Came::Status(taken) => {
                let said = result.expect("an answer");
                assert_eq!(word(taken), word(said), "{taken} of {said}");
            }
            Came::Blob(bytes) => assert_eq!(bytes, b"blob", "another blob than was asked for"),
            Came::Item(error) => {
                let said = result.expect("an answer");
                assert_eq!(error["code"], said["error"]["code"]);
            }
            Came::Failed(error) => {
                known(error);
                if which == 3 && error.effect() == Effect::Nothing {
                    let promise = match &*error.fault {
                        Fault::Refused(refusal) => rpc::nothing_was_done(refusal.code),
                        // Nothing was sent.
                        _ => answer.is_none(),
                    };
                    assert!(promise, "passes for nothing done: {error:?}");
                }
            }
        }
    }
}

/// The variant of an enumeration as it is written.
fn word(value: &Value) -> String {
    match value {
        Value::Object(members) => members.keys().next().cloned().unwrap_or_default(),
        other => other.as_str().unwrap_or_default().to_owned(),
    }
}

/// Whether an item was taken as it was said: every member that was taken stands there with this value.
fn same(taken: &Value, said: &Value) {
    match (taken, said) {
        (Value::Object(taken), Value::Object(said)) => {
            for (name, value) in taken {
                match said.get(name) {
                    Some(there) => same(value, there),
                    // A member that may be left out has a default.
                    None => assert!(is_nothing(value), "{name} was not said"),
                }
            }
        }
        (Value::Array(taken), Value::Array(said)) => {
            assert_eq!(taken.len(), said.len());
            taken.iter().zip(said).for_each(|(taken, said)| same(taken, said));
        }
        // Members in their order, without their names, are read too.
        (Value::Object(_), Value::Array(_)) | (Value::Null, _) => {}
        (taken, said) => assert_eq!(taken, said),
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.values().all(is_nothing),
        _ => false,
    }
}

fn known(error: &HostError) {
    assert!(codes::ALL.contains(&error.code()), "{error:?}");
    assert!(!error.to_string().is_empty() && !error.place.is_empty());
}

fn seeds(_: &std::path::Path) -> Vec<Vec<u8>> {
    let none = Confinement { landlock: Protection::Unavailable("no".into()), ..Confinement::none() };
    let launch = json!({"launch": bytes::LAUNCH, "confinement": none});
    let greeting = json!({"jsonrpc": "2.0", "id": 0, "result": {
        "protocol": VERSION.to_string(), "session": bytes::NONCE, "name": MANIFEST.name, "version": MANIFEST.version,
        "manifest": MANIFEST.digest().unwrap(),
    }});
    let answer = |id: u64, result: Value| json!({"jsonrpc": "2.0", "id": id, "result": result});
    let configured = answer(1, json!({}));
    let state = json!({"kind": "file", "mode": "0644"});
    let validated = json!({"items": [{"ok": null}, {"error": {"code": "SCHEMA", "message": "m", "path": "/x", "mutated": "no"}}]});
    let read = json!({"items": [{"ok": {"state": state}}, {"ok": {}}, {"ok": {"state": {}, "before_image": Digest::of_bytes(b"b")}}]});
    let planned = json!({"items": [{"ok": {"changed": {"prior": state, "planned": state, "prediction": "exact", "disruption": ["reload"], "undo": "none", "resolved": ["/y"]}}}]});
    let unchanged = json!({"items": [{"ok": {"unchanged": {"state": state}}}]});
    let applied = json!({"ok": {"status": "applied", "state": state, "output": {"exit_code": 0, "stdout": "x", "stderr": "", "truncated": false}}});
    let blob = json!({"ok": {"size": 4, "chunk": "YmxvYg=="}});
    let failure = |code: i64| json!({"jsonrpc": "2.0", "id": 5, "error": {"code": code, "message": "m"}});
    let join = |mode: u8, lines: &[Value]| {
        let mut all = vec![mode];
        let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
        all.extend(lines.join("\n").bytes());
        all
    };
    let begin = [launch.clone(), greeting.clone(), configured];
    let then = |mode: u8, lines: &[Value]| join(mode, &[&begin, lines].concat());
    vec![
        then(
            0,
            &[
                answer(2, validated.clone()),
                answer(3, read.clone()),
                answer(4, planned.clone()),
                answer(5, applied.clone()),
                answer(6, json!("never_seen")),
                answer(7, blob.clone()),
            ],
        ),
        // In another order, with what is said unasked in between.
        then(
            0,
            &[
                answer(7, blob.clone()),
                json!({"jsonrpc": "2.0", "method": "$/progress", "params": {"id": 5, "message": "half"}}),
                answer(5, applied.clone()),
                answer(2, validated.clone()),
                json!({"jsonrpc": "2.0", "method": "$/log", "params": {"level": "warn", "message": "\u{1b}[31m"}}),
                answer(6, json!({"done": applied})),
                answer(4, unchanged.clone()),
                answer(3, read.clone()),
            ],
        ),
        then(
            1,
            &[
                answer(2, validated),
                answer(3, read.clone()),
                answer(4, unchanged),
                answer(5, json!("started")),
                answer(6, blob),
            ],
        ),
        then(2, &[answer(3, read.clone()), answer(4, json!("started"))]),
        then(0, &[failure(rpc::INTERNAL), answer(3, read.clone())]),
        then(0, &[failure(rpc::OVERLOADED), answer(3, read.clone()), answer(3, read)]),
        then(0, &[answer(5, json!({"error": {"code": "FAILED", "message": "m", "mutated": "maybe"}}))]),
        join(0, &[json!("noise"), launch.clone(), greeting.clone()]),
        join(
            0,
            &[
                launch.clone(),
                json!({"jsonrpc": "2.0", "error": {"code": rpc::PARSE, "message": "m"}}),
                json!([1]),
                greeting,
            ],
        ),
        join(0, &[json!({"launch": bytes::LAUNCH, "error": "no"})]),
        vec![0],
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_to_begin_with_is_heard() {
        let seeds = seeds(std::path::Path::new(""));
        for (seed, good) in seeds.iter().zip([6, 6, 5]) {
            let lines: Vec<&[u8]> = seed[1..].split(|b| *b == b'\n').skip(3).collect();
            assert!(answers(&lines).len() == good, "{}", answers(&lines).len());
            check(seed);
        }
    }
}
