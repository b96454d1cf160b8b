//! What may be wrong on the wire.

use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read, Write},
    process::exit,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc::{Sender, channel},
    },
    thread,
    time::Duration,
};

/// Behaviours that need the input line by line.
const LINES_IN: &[&str] = &[
    "strict-members",
    "unknown-type-served",
    "ledger-elsewhere",
    "fence-forgotten",
    "stray-cancel-answered",
    "stays-at-end",
    "slow-pings",
    "duplicate-id-served",
    "garbage-kills",
    "unbounded-lines",
    "lenient-json",
    "long-answers",
    "changes-in-any-mode",
    "forgets-claims",
    "configures-again",
];

struct Shared {
    behaviour: String,
    out: Mutex<File>,
    /// Requests under way, with their methods.
    under_way: Mutex<BTreeMap<u64, String>>,
    shutdown: AtomicBool,
}

impl Shared {
    fn is(&self, behaviour: &str) -> bool {
        self.behaviour == behaviour
    }

    fn emit(&self, line: &Value) {
        let _ = self.out.lock().unwrap().write_all(format!("{line}\n").as_bytes());
    }
}

/// Both ways, with the behaviour between.
pub fn twist(behaviour: &str, input: File, output: File) -> (Box<dyn Read + Send>, Box<dyn Write + Send>) {
    let shared = Arc::new(Shared {
        behaviour: behaviour.into(),
        out: Mutex::new(output),
        under_way: Mutex::default(),
        shutdown: AtomicBool::new(false),
    });
    let reader: Box<dyn Read + Send> = if LINES_IN.contains(&behaviour) {
        Box::new(In {
            shared: Arc::clone(&shared),
            input,
            line: Vec::new(),
            ready: Vec::new(),
            passing: false,
        })
    } else if behaviour == "one-write-one-message" {
        Box::new(Chunks(input))
    } else {
        Box::new(input)
    };
    let writer: Box<dyn Write + Send> = if behaviour == "hoards-output" {
        let (sender, lines) = channel::<Vec<u8>>();
        thread::spawn(move || {
            for bytes in lines {
                // Nobody hears it: that is not noticed.
                let _ = shared.out.lock().unwrap().write_all(&bytes);
            }
        });
        Box::new(Hoard(sender))
    } else {
        Box::new(Out { shared, line: Vec::new(), first: true })
    };
    (reader, writer)
}

struct Hoard(Sender<Vec<u8>>);

impl Write for Hoard {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Many copies, so that it shows.
        self.0.send(bytes.to_vec()).map_err(io::Error::other)?;
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Takes what one read gives for one message.
struct Chunks(File);

impl Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len() - 1;
        let count = self.0.read(&mut buffer[..most])?;
        if count > 0 && buffer[count - 1] != b'\n' {
            buffer[count] = b'\n';
            return Ok(count + 1);
        }
        Ok(count)
    }
}

struct In {
    shared: Arc<Shared>,
    input: File,
    line: Vec<u8>,
    ready: Vec<u8>,
    /// In the middle of a line that is too long to be looked at.
    passing: bool,
}

impl Read for In {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.ready.is_empty() {
            let mut piece = vec![0; 64 * 1024];
            let count = self.input.read(&mut piece)?;
            if count == 0 {
                if self.shared.is("stays-at-end") && !self.shared.shutdown.load(Ordering::Relaxed) {
                    thread::sleep(Duration::from_secs(15));
                }
                return Ok(0);
            }
            for part in piece[..count].split_inclusive(|byte| *byte == b'\n') {
                self.line.extend_from_slice(part);
                if part.ends_with(b"\n") {
                    let line = std::mem::take(&mut self.line);
                    let line = if std::mem::take(&mut self.passing) { line } else { self.twist(line) };
                    self.ready.extend(line);
                } else if self.line.len() > 256 * 1024 && !self.shared.is("unbounded-lines") {
                    self.passing = true;
                    self.ready.append(&mut self.line);
                }
            }
        }
        let count = self.ready.len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.ready[..count]);
        self.ready.drain(..count);
        Ok(count)
    }
}

fn bytes(frame: &Value) -> Vec<u8> {
    format!("{frame}\n").into_bytes()
}

impl In {
    /// What the provider gets instead of a line.
    fn twist(&mut self, line: Vec<u8>) -> Vec<u8> {
        let shared = &self.shared;
        let Ok(mut frame) = serde_json::from_slice::<Value>(&line) else {
            if shared.is("garbage-kills") && line.len() > 1 {
                exit(1);
            }
            return line;
        };
        let original = frame.clone();
        let method = frame["method"].as_str().unwrap_or_default().to_owned();
        let id = frame["id"].as_u64();
        if method == "shutdown" {
            shared.shutdown.store(true, Ordering::Relaxed);
        }
        match shared.behaviour.as_str() {
            // Values as this reader understands them, doubled keys and all.
            "lenient-json" => return bytes(&frame),
            "strict-members" if frame.get("later").is_some() => frame["params"] = json!({"items": 3}),
            "unknown-type-served" => {
                let items = frame.pointer_mut("/params/items").and_then(Value::as_array_mut);
                for item in items.into_iter().flatten() {
                    if item["type"] == "conform.unheard" {
                        *item = json!({"type": "mis.thing", "desired": {"path": "/unheard"}});
                    }
                }
            }
            "ledger-elsewhere" if method == "initialize" => {
                let own = format!("{}/own", frame["params"]["dirs"]["state"].as_str().unwrap_or_default());
                if own != "/own" {
                    let _ = fs::create_dir(&own);
                    frame["params"]["dirs"]["state"] = own.into();
                }
            }
            "forgets-claims" if method == "initialize" => {
                let state = frame["params"]["dirs"]["state"].as_str().unwrap_or_default().to_owned();
                for entry in fs::read_dir(state).into_iter().flatten().flatten() {
                    let path = entry.path();
                    if path.extension().is_some_and(|e| e == "claim") && !path.with_extension("done").exists()
                    {
                        let _ = fs::remove_file(path);
                    }
                }
            }
            "fence-forgotten" if method == "resource.apply" => frame["params"]["fence"] = 1_000.into(),
            "long-answers" if method == "initialize" => frame["params"]["frame_max_bytes"] = 8_388_608.into(),
            "changes-in-any-mode" if method == "initialize" => {
                let work = frame["params"]["dirs"]["work"].clone();
                frame["params"]["mode"] = "apply".into();
                for dir in ["state", "blobs"] {
                    if frame["params"]["dirs"][dir] == "" {
                        frame["params"]["dirs"][dir] = work.clone();
                    }
                }
            }
            "configures-again" if method == "configure" => {
                if shared.under_way.lock().unwrap().insert(u64::MAX, method).is_some() {
                    shared.emit(&json!({"jsonrpc": "2.0", "id": id, "result": {}}));
                    return b"\n".to_vec();
                }
            }
            "stray-cancel-answered" if method == "$/cancel" => {
                if !shared
                    .under_way
                    .lock()
                    .unwrap()
                    .contains_key(&frame["params"]["id"].as_u64().unwrap_or(0))
                {
                    shared.emit(
                        &json!({"jsonrpc": "2.0", "error": {"code": -32600, "message": "no such request"}}),
                    );
                }
            }
            "slow-pings" if method == "ping" => {
                let busy = shared.under_way.lock().unwrap().values().any(|method| method == "resource.apply");
                if busy {
                    thread::sleep(Duration::from_millis(1_300));
                }
            }
            "duplicate-id-served" => {
                if let Some(id) = id
                    && shared.under_way.lock().unwrap().contains_key(&id)
                {
                    shared.emit(&json!({"jsonrpc": "2.0", "id": id, "result": {"items": []}}));
                    return b"\n".to_vec();
                }
            }
            _ => return self.remember(id, &frame, line),
        }
        // What nothing was done to goes on as it came, however it is written.
        let line = if frame == original { line } else { bytes(&frame) };
        self.remember(id, &frame, line)
    }

    fn remember(&self, id: Option<u64>, frame: &Value, line: Vec<u8>) -> Vec<u8> {
        if let (Some(id), Some(method)) = (id, frame["method"].as_str()) {
            self.shared.under_way.lock().unwrap().insert(id, method.into());
        }
        line
    }
}

struct Out {
    shared: Arc<Shared>,
    line: Vec<u8>,
    first: bool,
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(part);
            if part.ends_with(b"\n") {
                let line = std::mem::take(&mut self.line);
                self.send(line)?;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.shared.out.lock().unwrap().flush()
    }
}

impl Out {
    fn send(&mut self, line: Vec<u8>) -> io::Result<()> {
        let first = std::mem::replace(&mut self.first, false);
        if first && line == b"\n" && self.shared.is("no-first-line-end") {
            return Ok(());
        }
        let mut lines = vec![line];
        if let Ok(mut frame) = serde_json::from_slice::<Value>(&lines[0]) {
            let id = frame["id"].as_u64();
            if let Some(id) = id {
                self.shared.under_way.lock().unwrap().remove(&id);
            }
            let code = frame["error"]["code"].as_i64().unwrap_or(0);
            let nth = id.is_some_and(|id| id % 40 == 39);
            let instead = |result: Value| vec![bytes(&json!({"jsonrpc": "2.0", "id": id, "result": result}))];
            match self.shared.behaviour.as_str() {
                "wrong-nonce" if id == Some(0) => {
                    frame["result"]["session"] = "0".repeat(32).into();
                    lines = vec![bytes(&frame)];
                }
                "hides-its-ranges" if code == -32011 => {
                    frame["error"].as_object_mut().unwrap().remove("data");
                    lines = vec![bytes(&frame)];
                }
                "serves-early" if code == -32010 => lines = instead(json!({"items": []})),
                "knows-every-method" if code == -32601 => lines = instead(json!({})),
                "loses-an-answer" if nth => lines.clear(),
                "answers-twice" if nth => lines.push(lines[0].clone()),
                "asks-the-engine" if nth => {
                    lines.push(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"who\",\"params\":{}}\n".to_vec());
                }
                "serves-after-shutdown" if frame["error"]["message"] == "the session was shut down" => {
                    lines = instead(json!({"items": []}));
                }
                "damages-blobs" if frame["result"]["ok"].get("chunk").is_some() => {
                    frame["result"]["ok"]["chunk"] = "AAAA".into();
                    lines = vec![bytes(&frame)];
                }
                "writes-floats" if frame["result"]["in_flight"].is_u64() => {
                    lines = vec![lines[0].clone()];
                    let text = String::from_utf8_lossy(&lines[0])
                        .replace("\"in_flight\":", "\"load\":0.5,\"in_flight\":");
                    lines = vec![text.into_bytes()];
                }
                _ => {}
            }
        }
        let mut out = self.shared.out.lock().unwrap();
        for line in lines {
            out.write_all(&line)?;
        }
        Ok(())
    }
}
