//! A provider for tests that does, on request, what a provider must not do. It is written against
//! the wire format alone, without the SDK. Its last arguments name the behaviour:
//! `serve --stdio BEHAVIOUR ENGINE`, where `ENGINE` is the engine's process id.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "../support/manifest.rs"]
mod manifest;
#[path = "../support/mutations.rs"]
mod mutations;

use rectify_base::Digest;
use rectify_protocol::{
    Frame, ItemError, Mutated,
    error::{ErrorCode, rpc},
    frame::{RpcError, read_line},
    message::{Batch, Initialize, Initialized, PlanItem, ProtocolVersion, method},
};
use serde_json::{Map, Value, json};
use std::{
    fs,
    io::{self, BufReader, BufWriter, Write},
    path::Path,
    process::{Command, exit},
    thread::sleep,
    time::Duration,
};

const FRAME: usize = 8 * 1024 * 1024;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    assert_eq!(arguments.get(..2), Some(&["serve".to_owned(), "--stdio".to_owned()][..]));
    let behaviour = arguments.get(2).cloned().unwrap_or_else(|| "none".into());
    let mut provider =
        Provider { behaviour, greetings: 0, out: BufWriter::new(io::stdout()), work: String::new() };
    // An empty line is legal, and ends whatever a shell may have left without a newline.
    provider.text("\n");
    let mut reader = BufReader::with_capacity(64 * 1024, io::stdin());
    let mut line = Vec::new();
    while read_line(&mut reader, &mut line, FRAME).expect("a line") {
        let frame: Frame = serde_json::from_slice(&line).expect("a frame");
        provider.take(&frame);
    }
}

struct Provider {
    behaviour: String,
    greetings: u32,
    out: BufWriter<io::Stdout>,
    work: String,
}

fn forever() -> ! {
    loop {
        sleep(Duration::from_secs(60));
    }
}

impl Provider {
    fn is(&self, behaviour: &str) -> bool {
        self.behaviour == behaviour
    }

    /// Writes; ends like most programs when nobody reads any more.
    fn text(&mut self, text: &str) {
        if self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush()).is_err() {
            exit(0);
        }
    }

    fn send(&mut self, frame: &Frame) {
        let line = frame.to_line().expect("a line");
        if self.out.write_all(&line).and_then(|()| self.out.flush()).is_err() {
            exit(0);
        }
    }

    fn answer(&mut self, id: u64, result: &Value) {
        self.send(&Frame::response(id, result).expect("a frame"));
    }

    fn refuse(&mut self, id: Option<u64>, code: i64, message: &str) {
        self.send(&Frame::failure(id, RpcError { code, message: message.into(), data: None }));
    }

    fn take(&mut self, frame: &Frame) {
        let id = frame.id.unwrap_or(0);
        match frame.method.as_deref() {
            Some(method::INITIALIZE) => self.initialize(id, frame),
            Some(method::CONFIGURE) if self.is("refuses-configure") => {
                self.refuse(Some(id), rpc::INVALID_PARAMS, "not like this");
            }
            Some(method::CONFIGURE | method::PING) => self.answer(id, &json!({})),
            Some(method::PLAN | method::READ) => self.plan(id, frame),
            Some(method::VALIDATE) => {
                let items = Self::items(frame).len();
                self.answer(id, &json!({"items": vec![json!({"ok": null}); items]}));
            }
            Some(method::NORMALIZE) => {
                let items: Vec<Value> =
                    Self::items(frame).into_iter().map(|i| json!({"ok": i.desired})).collect();
                self.answer(id, &json!({"items": items}));
            }
            Some(method::APPLY) => self.apply(id, frame),
            Some(method::OP_STATUS) => self.answer(id, &json!("never_seen")),
            Some(method::CANCEL) => {
                if self.is("cancellable") {
                    // The request before this one.
                    let id = Frame::decode::<Value>(frame.params.as_deref()).unwrap()["id"].as_u64().unwrap();
                    let error = ItemError::new(ErrorCode::Cancelled, "cancelled").mutated(Mutated::Maybe);
                    self.answer(id, &json!({"error": error}));
                }
            }
            Some(method::BLOB_PUT) => {
                let received = if self.is("blob-beyond") { 1000 } else { 0 };
                self.answer(id, &json!({"ok": {"received": received, "complete": false}}));
            }
            Some(method::BLOB_GET) => {
                // "content" in base64, and something else.
                let (size, chunk) = match self.behaviour.as_str() {
                    "blob-forged" => (7, "Y29udGVuVA=="),
                    "blob-huge" => (1001, "Y29udGVudA=="),
                    "blob-stuck" => (7, ""),
                    "blob-genuine" => (7, "Y29udGVudA=="),
                    _ => (6, "Y29udGVudA=="),
                };
                self.answer(id, &json!({"ok": {"size": size, "chunk": chunk}}));
            }
            Some(method::SHUTDOWN) => {
                self.answer(id, &Value::Null);
                if self.is("lingers") {
                    let _ = forbid_term();
                    forever();
                }
            }
            _ => self.refuse(Some(id), rpc::METHOD_NOT_FOUND, "no such method"),
        }
    }

    fn initialize(&mut self, id: u64, frame: &Frame) {
        let asked: Initialize = Frame::decode(frame.params.as_deref()).expect("initialize");
        self.work.clone_from(&asked.dirs.work);
        self.greetings += 1;
        let manifest = manifest::manifest();
        let mut greeting = Initialized {
            protocol: ProtocolVersion { major: 1, minor: 0 },
            session: asked.session,
            name: manifest.name.clone(),
            version: manifest.version.clone(),
            manifest: manifest.digest().expect("a digest"),
        };
        match self.behaviour.as_str() {
            "silent" => forever(),
            "exits-at-once" => {
                eprintln!("cannot find my configuration");
                exit(3);
            }
            "wrong-nonce" => greeting.session = "0".repeat(32),
            "wrong-version" => greeting.protocol = ProtocolVersion { major: 2, minor: 0 },
            "refuses-version" => return self.refuse(Some(id), rpc::VERSION, "2.0 to 2.3 only"),
            "wrong-manifest" => greeting.manifest = Digest::of_bytes(b"another manifest"),
            "wrong-name" => greeting.name = "another".into(),
            "preamble" => {
                for line in 0..150 {
                    self.text(&format!("Welcome to this machine, line {line}\r\n"));
                }
            }
            "preamble-lines" => {
                for line in 0..1000 {
                    self.text(&format!("{line}\n"));
                }
            }
            "preamble-bytes" => loop {
                self.text("no end of this line is to be seen ");
            },
            "parse-error-once" if self.greetings == 1 => return self.refuse(None, rpc::PARSE, "what?"),
            "parse-error-always" => return self.refuse(None, rpc::PARSE, "what?"),
            _ => {}
        }
        self.send(&Frame::response(id, &greeting).expect("a frame"));
    }

    fn items(frame: &Frame) -> Vec<PlanItem> {
        Frame::decode::<Batch<PlanItem>>(frame.params.as_deref()).expect("items").items
    }

    fn plan(&mut self, id: u64, frame: &Frame) {
        let items = Self::items(frame);
        let unchanged = |state: &Map<String, Value>| json!({"ok": {"unchanged": {"state": state}}});
        let change = |prediction: &str, undo: &str| {
            json!({"ok": {"changed": {
                "prior": {}, "planned": {}, "prediction": prediction, "undo": undo}}})
        };
        let mut answers: Vec<Value> = items.iter().map(|i| unchanged(&i.desired)).collect();
        let reading = frame.method.as_deref() == Some(method::READ);
        if reading {
            answers = items.iter().map(|i| json!({"ok": {"state": i.desired}})).collect();
        }
        match self.behaviour.as_str() {
            "garbage" => self.text("Segmentation fault (not really)\n"),
            "not-utf8" => {
                let _ = self.out.write_all(b"{\"jsonrpc\":\"\xff\"}\n");
            }
            "truncated-json" => self.text("{\"jsonrpc\":\"2.0\",\"id\":\n"),
            "two-answers" => self.answer(id, &json!({"items": answers})),
            "unknown-id" => self.answer(id + 1000, &json!({"items": answers})),
            "missing-item" => drop(answers.pop()),
            "extra-item" => answers.push(unchanged(&Map::new())),
            "giant-line" => {
                let long = "x".repeat(FRAME + 1);
                self.text(&long);
                self.text("\n");
            }
            "dies-mid-answer" => {
                self.text("{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{\"items\":[{\"ok\"");
                eprintln!("out of memory");
                exit(9);
            }
            "closes-output" => {
                rustix::stdio::dup2_stdout(fs::File::open("/dev/null").unwrap()).unwrap();
                forever();
            }
            // Still answers questions for a sign of life.
            "never-answers" => return,
            // It reports progress for ever; each report is no answer.
            "never-answers-but-progress" => loop {
                let progress = json!({"id": id, "message": "still at it"});
                self.send(&Frame::notification(method::PROGRESS, &progress).unwrap());
                sleep(Duration::from_millis(50));
            },
            "slow-but-progress" => {
                for _ in 0..40 {
                    let progress = json!({"id": id, "message": "getting there"});
                    self.send(&Frame::notification(method::PROGRESS, &progress).unwrap());
                    sleep(Duration::from_millis(50));
                }
            }
            "frozen" => forever(),
            "ignores-term" => {
                let _ = forbid_term();
                forever();
            }
            "asks-the-engine" => {
                self.send(&Frame::request(1, "secrets.get", &json!({"name": "db"})).unwrap());
            }
            "refuses" => return self.refuse(Some(id), rpc::INTERNAL, "no"),
            "result-and-error" => {
                self.text(&format!(
                    "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{{}},\"error\":{{\"code\":1,\"message\":\"\"}}}}\n"
                ));
            }
            "wrong-jsonrpc" => self.text(&format!("{{\"jsonrpc\":\"1.0\",\"id\":{id},\"result\":{{}}}}\n")),
            "bad-digest" => {
                answers = vec![json!({"ok": {"state": {}, "before_image": "blake3:xyz"}}); items.len()];
            }
            "float" => answers = vec![json!({"ok": {"unchanged": {"state": {"n": 1.5}}}})],
            "state-is-a-list" => answers = vec![json!({"ok": {"unchanged": {"state": [1]}}})],
            "duplicate-key" => {
                self.text(&format!(
                    "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{{\"items\":[{{\"ok\":{{\"unchanged\":\
                     {{\"state\":{{\"mode\":\"0644\",\"mode\":\"0600\"}}}}}}}}]}}}}\n"
                ));
                return;
            }
            "too-deep" => {
                let state = format!("{}1{}", "{\"a\":".repeat(100), "}".repeat(100));
                self.text(&format!(
                    "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{{\"items\":[{{\"ok\":{{\"unchanged\":\
                     {{\"state\":{state}}}}}}}]}}}}\n"
                ));
                return;
            }
            "unknown-grade" => answers = vec![change("certain", "exact")],
            "overclaims-prediction" => answers = vec![change("exact", "none")],
            "overclaims-undo" => answers = vec![change("opaque", "exact")],
            "claims-a-change" => {
                let error = ItemError::new(ErrorCode::Failed, "oops").mutated(Mutated::Yes);
                answers = vec![json!({"error": error})];
            }
            "item-errors" => {
                let error = json!({"error": ItemError::new(ErrorCode::Permission, "not me")});
                for answer in answers.iter_mut().step_by(2) {
                    *answer = error.clone();
                }
            }
            "floods-stderr" => {
                for _ in 0..65536 {
                    eprintln!("all work and no play makes a dull provider, again and again");
                }
                eprintln!("the very last line");
            }
            "logs" => {
                self.send(
                    &Frame::notification(method::LOG, &json!({"level": "info", "message": "looking"}))
                        .unwrap(),
                );
                self.send(&Frame::notification("$/later", &json!({"unknown": true})).unwrap());
            }
            "slow" => sleep(Duration::from_millis(100)),
            "leaves-children" => leave_children(&items[0].desired),
            "mutates" => answers = vec![self.mutate(&items[0].desired)],
            "inspects" => answers = vec![inspect()],
            _ => {}
        }
        self.answer(id, &json!({"items": answers}));
    }

    fn apply(&mut self, id: u64, frame: &Frame) {
        match self.behaviour.as_str() {
            "dies-mid-apply" => exit(1),
            "frozen" => forever(),
            "cancellable" | "never-answers" => return,
            "refuses" => return self.refuse(Some(id), rpc::INVALID_PARAMS, "no"),
            "fails" => return self.refuse(Some(id), rpc::INTERNAL, "something broke"),
            "complains" => return self.refuse(None, rpc::INVALID_REQUEST, "what was that?"),
            "bad-digest" => return self.answer(id, &json!({"ok": {"status": "perhaps"}})),
            "two-answers" => self.answer(id, &json!({"ok": {"status": "already"}})),
            "leaves-children" => {
                let params: Value = Frame::decode(frame.params.as_deref()).unwrap();
                leave_children(params["desired"].as_object().unwrap());
            }
            "item-errors" => {
                let error = ItemError::new(ErrorCode::Stale, "it moved");
                return self.answer(id, &json!({"error": error}));
            }
            _ => {}
        }
        self.send(&Frame::notification(method::PROGRESS, &json!({"id": id, "message": "half way"})).unwrap());
        self.answer(id, &json!({"ok": {"status": "applied", "state": {}}}));
    }

    /// Tries everything; answers with what worked.
    fn mutate(&self, desired: &Map<String, Value>) -> Value {
        let text = |key: &str| desired.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let scratch = text("scratch");
        let mut outcomes = Map::new();
        for (name, attempt) in mutations::FILES {
            outcomes.insert((*name).into(), outcome(&attempt(&Path::new(&scratch).join(name))));
        }
        if let Some(victim) = desired.get("victim").and_then(Value::as_i64) {
            let dir = Path::new(&scratch).join("machine");
            let victim = i32::try_from(victim).unwrap();
            for (name, result) in mutations::machine(&dir, Path::new(&self.work), victim) {
                outcomes.insert(name.into(), outcome(&result));
            }
        }
        let work = Path::new(&self.work);
        let allowed = [
            ("write-work", fs::write(work.join("a"), b"x")),
            ("rename-work", fs::rename(work.join("a"), work.join("b"))),
            ("remove-work", fs::remove_file(work.join("b"))),
            ("write-null", fs::write("/dev/null", b"x")),
            ("read-outside", fs::read(Path::new(&scratch).join("create/file")).map(drop)),
            ("run", run_true()),
            ("end-own-child", end_own_child()),
        ];
        let allowed: Map<String, Value> =
            allowed.into_iter().map(|(name, result)| (name.into(), outcome(&result))).collect();
        json!({"ok": {"unchanged": {"state": {"attempts": outcomes, "allowed": allowed}}}})
    }
}

fn outcome(result: &io::Result<()>) -> Value {
    match result {
        Ok(()) => json!("done"),
        Err(e) => json!(e.to_string()),
    }
}

fn run_true() -> io::Result<()> {
    let status = Command::new("true").status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(status.to_string())) }
}

fn end_own_child() -> io::Result<()> {
    let mut child = Command::new("sleep").arg("1000").spawn()?;
    child.kill()?;
    child.wait().map(drop)
}

#[expect(clippy::zombie_processes, reason = "leaving them behind is the misbehaviour")]
/// Children that would outlive us: one in our process group, one in its own.
fn leave_children(desired: &Map<String, Value>) {
    use std::os::unix::process::CommandExt;
    let mark = desired["mark"].as_str().unwrap();
    Command::new("sleep").arg(mark).spawn().expect("a child");
    if desired.contains_key("own_group") {
        Command::new("sleep").arg(mark).process_group(0).spawn().expect("a child");
    }
}

/// What the process was given.
fn inspect() -> Value {
    let environment: Map<String, Value> = std::env::vars().map(|(k, v)| (k, v.into())).collect();
    let mask = rustix::process::umask(rustix::fs::Mode::empty());
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let field = |name: &str| {
        let line = status.lines().find_map(|l| l.strip_prefix(name));
        line.map(|l| l.trim_start_matches(':').trim().to_owned()).unwrap_or_default()
    };
    let descriptors = fs::read_dir("/proc/self/fd").unwrap().flatten().count();
    json!({"ok": {"unchanged": {"state": {
        "environment": environment,
        "umask": format!("{:03o}", mask.bits()),
        "directory": std::env::current_dir().unwrap(),
        "capabilities": field("CapEff"),
        "no_new_privs": field("NoNewPrivs"),
        "seccomp": field("Seccomp"),
        "blocked": field("SigBlk"),
        // One of them is the listing itself.
        "descriptors": descriptors - 1,
    }}}})
}

fn forbid_term() -> nix::Result<()> {
    let set: nix::sys::signal::SigSet = [nix::sys::signal::Signal::SIGTERM].into_iter().collect();
    set.thread_block()
}
