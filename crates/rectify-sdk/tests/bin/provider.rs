//! A provider for the SDK's own tests: it does what its properties ask for, bad things included.

use rectify_sdk::{
    Context, Provider, Run,
    base::TypeName,
    protocol::{
        ErrorCode, ItemError, Manifest, Mutated, VERSION,
        manifest::{FORMAT, ProtocolRange, TypeDescriptor},
        message::{Applied, Apply, ApplyStatus, PlanAnswer, PlanItem, ReadAnswer, ReadItem},
    },
};
use serde_json::{Map, Value, json};
use std::{
    fs::OpenOptions,
    io::{Read, Write},
    process::{Command, ExitCode},
    thread,
    time::{Duration, Instant},
};

struct Obedient;

fn main() -> ExitCode {
    rectify_sdk::serve(Obedient)
}

fn number(map: &Map<String, Value>, key: &str) -> u64 {
    map.get(key).and_then(Value::as_u64).unwrap_or(0)
}

fn text<'a>(map: &'a Map<String, Value>, key: &str) -> &'a str {
    map.get(key).and_then(Value::as_str).unwrap_or("")
}

fn failed(message: String) -> ItemError {
    ItemError::new(ErrorCode::Failed, message)
}

fn append(path: &str, word: &str) -> Result<(), ItemError> {
    let file = OpenOptions::new().append(true).create(true).open(path);
    file.and_then(|mut file| file.write_all(format!("{word}\n").as_bytes()))
        .map_err(|e| failed(e.to_string()))
}

/// Waits, unless cancelled. Returns whether it was.
fn wait(cx: &Context, milliseconds: u64) -> bool {
    let end = Instant::now() + Duration::from_millis(milliseconds);
    while Instant::now() < end && !cx.cancelled() {
        thread::sleep(Duration::from_millis(2));
    }
    cx.cancelled()
}

#[expect(clippy::print_stdout, reason = "stray prints are what is tested")]
fn misbehave(desired: &Map<String, Value>) {
    if desired.contains_key("print") {
        println!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":\"stray\"}}");
        // A child inherits standard output, and standard input too.
        let _ = Command::new("/bin/sh").args(["-c", "echo stray child; cat"]).status();
        let mut input = String::new();
        let _ = std::io::stdin().read_to_string(&mut input);
    }
    assert!(!desired.contains_key("panic"), "asked to panic");
}

impl Provider for Obedient {
    fn manifest(&self) -> Manifest {
        let name = TypeName::new("test.thing");
        let types = name.into_iter().map(|name| TypeDescriptor {
            name,
            version: 1,
            kind: "resource".into(),
            summary: "Does what it is told.".into(),
            schema: json!({"type": "object"}),
            volatile: vec!["/volatile".into()],
            touches: Vec::new(),
            prediction: "exact".into(),
            retry: "once".into(),
            undo: "none".into(),
            compare_and_swap: false,
            read_timeout_ms: 1_000,
            apply_timeout_ms: 10_000,
        });
        Manifest {
            format: FORMAT.into(),
            name: "test".into(),
            version: "0.1.0".into(),
            protocol: ProtocolRange { min: VERSION, max: VERSION },
            types: types.collect(),
        }
    }

    fn read(&self, cx: &Context, item: &ReadItem) -> Result<ReadAnswer, ItemError> {
        misbehave(&item.desired);
        wait(cx, number(&item.desired, "ms"));
        let length = usize::try_from(number(&item.desired, "size")).unwrap_or(0);
        let state = json!({"text": "x".repeat(length), "volatile": text(&item.desired, "volatile")});
        let before_image = if item.capture {
            Some(cx.keep_before_image(text(&item.desired, "image").as_bytes())?)
        } else {
            None
        };
        Ok(ReadAnswer { state: Some(state), before_image })
    }

    fn plan(&self, cx: &Context, item: &PlanItem) -> Result<PlanAnswer, ItemError> {
        let root = cx.root().map_or(Value::Null, |root| json!(root.display().to_string()));
        let allowed = cx.may_execute(&["ls".into()]);
        Ok(PlanAnswer::Unchanged {
            state: Some(json!({"root": root, "may": allowed, "desired": item.desired})),
            resolved: Vec::new(),
        })
    }

    fn apply(&self, cx: &Context, op: &Apply) -> Result<Applied, ItemError> {
        if op.action != "run" {
            misbehave(&op.desired);
            cx.progress("began");
            if let Some(script) = op.desired.get("shell").and_then(Value::as_str) {
                let argv = ["/bin/sh", "-c", script].map(str::to_owned);
                let finishes = op.desired.contains_key("finishes");
                let deadline = Instant::now() + Duration::from_secs(60);
                let output = cx.run(&Run { finishes, deadline, ..Run::new(cx, &argv) })?.success()?;
                return Ok(Applied { status: ApplyStatus::Applied, state: None, output: Some(output) });
            }
            if wait(cx, number(&op.desired, "ms")) {
                return Err(ItemError::new(ErrorCode::Cancelled, "stopped half way").mutated(Mutated::Yes));
            }
            if op.desired.contains_key("append_after") {
                let word = text(&op.desired, "word");
                append(text(&op.desired, "append_after"), word)?;
            }
            return Ok(Applied { status: ApplyStatus::Applied, state: None, output: None });
        }
        cx.once(op, || {
            if std::path::Path::new(text(&op.desired, "refuse_if")).exists() {
                return Err(failed("refused before anything was done".into()));
            }
            append(text(&op.desired, "append"), "ran")?;
            cx.progress("ran");
            wait(cx, number(&op.desired, "ms"));
            if op.desired.contains_key("fail") {
                return Err(failed("failed half way".into()).mutated(Mutated::Yes));
            }
            Ok(Applied { status: ApplyStatus::Applied, state: Some(json!({"ran": true})), output: None })
        })
    }
}
