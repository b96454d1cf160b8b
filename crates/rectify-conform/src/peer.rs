//! One provider process: bytes in, lines out, and what each line must be.

use crate::{
    host::Host,
    outcome::{Check, Stop, ensure, fail},
    proxy::{Incoming, Line, Outgoing},
};
use rectify_base::canonical;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Read, Write},
    process::{Child, ChildStdin, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError, channel},
    },
    thread,
    time::{Duration, Instant},
};

/// Longest line that the kit keeps: more than any provider may write.
const LINE_MAX: usize = 9 * 1024 * 1024;

/// Adds to a line as much as is kept of it.
fn keep(line: &mut Vec<u8>, piece: &[u8]) {
    let most = LINE_MAX.saturating_sub(line.len());
    line.extend_from_slice(piece.get(..most).unwrap_or(piece));
}

/// What a peer is started with.
pub(crate) struct Start<'s> {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Its whole environment.
    pub environment: Vec<(String, String)>,
    /// Its working directory; the number of its process is kept beside it.
    pub work: &'s str,
    /// What happens to what is sent.
    pub line: Line,
    /// Shell that runs before it becomes the provider.
    pub before: &'s str,
}

/// A provider process.
pub(crate) struct Peer {
    host: Host,
    child: Child,
    input: Option<Outgoing<ChildStdin>>,
    lines: Receiver<Vec<u8>>,
    frozen: Arc<AtomicBool>,
    deaf: Arc<AtomicBool>,
    stderr: Arc<Mutex<Vec<u8>>>,
    pid_file: String,
    pid: Option<u32>,
    asked: BTreeSet<u64>,
    answered: BTreeSet<u64>,
    answers: BTreeMap<u64, Value>,
    next: u64,
    /// Failures without an id, in order.
    pub orphans: Vec<Value>,
    /// Every byte of standard output so far, as far as lines were taken.
    pub said: Vec<u8>,
    /// Lines that are no messages are let through, as before a greeting.
    pub lenient: bool,
    /// How many such lines there were.
    pub noise: usize,
    over: bool,
}

impl Peer {
    pub(crate) fn start(host: &Host, start: &Start<'_>) -> Check<Self> {
        let pid_file = format!("{}.pid", start.work);
        let mut child = match Self::near(host, start) {
            Some(child) => {
                let child = child?;
                crate::near::write(&pid_file, child.id().to_string().as_bytes())?;
                child
            }
            None => Self::shell(host, start, &pid_file)?,
        };
        let missing = || Stop::Fail("the kit could not go on: a child has no pipe".into());
        let input = Outgoing::new(child.stdin.take().ok_or_else(missing)?, start.line);
        let output = child.stdout.take().ok_or_else(missing)?;
        let mut errors = child.stderr.take().ok_or_else(missing)?;
        let (frozen, deaf) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (sender, lines) = channel();
        let (mut reader, ears) = (Incoming::new(output, Arc::clone(&frozen)), Arc::clone(&deaf));
        thread::spawn(move || {
            let (mut buffer, mut line) = (vec![0; 64 * 1024], Vec::new());
            while let Ok(count) = reader.read(&mut buffer) {
                if count == 0 || ears.load(Ordering::Acquire) {
                    break;
                }
                let mut rest = buffer.get(..count).unwrap_or_default();
                while let Some(end) = memchr::memchr(b'\n', rest) {
                    let (piece, next) = rest.split_at(end);
                    keep(&mut line, piece);
                    if sender.send(std::mem::take(&mut line)).is_err() {
                        return;
                    }
                    rest = next.get(1..).unwrap_or_default();
                }
                keep(&mut line, rest);
            }
            if !line.is_empty() {
                // Half a line at the end is no message; it is shown as what it is.
                let _ = sender.send(line);
            }
        });
        let stderr = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&stderr);
        thread::spawn(move || {
            let mut buffer = vec![0; 16 * 1024];
            while let Ok(count) = errors.read(&mut buffer) {
                if count == 0 {
                    break;
                }
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                if kept.len() < LINE_MAX {
                    kept.extend(buffer.get(..count).unwrap_or_default());
                }
            }
        });
        Ok(Self {
            host: host.clone(),
            child,
            input: Some(input),
            lines,
            frozen,
            deaf,
            stderr,
            pid_file,
            pid: None,
            asked: BTreeSet::new(),
            answered: BTreeSet::new(),
            answers: BTreeMap::new(),
            next: 0,
            orphans: Vec::new(),
            said: Vec::new(),
            lenient: false,
            noise: 0,
            over: false,
        })
    }

    /// Starts it on this machine without a shell, where nothing needs one.
    fn near(host: &Host, start: &Start<'_>) -> Option<io::Result<Child>> {
        if !host.is_local() || !start.before.is_empty() {
            return None;
        }
        crate::near::directory(start.work).ok()?;
        crate::near::start(&start.argv, &start.environment, start.work)
    }

    /// Starts it by a shell that becomes it.
    fn shell(host: &Host, start: &Start<'_>, pid_file: &str) -> io::Result<Child> {
        let environment: Vec<String> =
            start.environment.iter().map(|(k, v)| crate::host::quote(&format!("{k}={v}"))).collect();
        let argv: Vec<String> = start.argv.iter().map(|word| crate::host::quote(word)).collect();
        let line = format!(
            "umask 077; mkdir -p {0}; cd {0} && echo $$ >{1} && {{ {2} true; }} && exec env -i {3} {4}",
            crate::host::quote(start.work),
            crate::host::quote(pid_file),
            start.before,
            environment.join(" "),
            argv.join(" "),
        );
        host.command(&line).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
    }

    /// Its process, which is also its session.
    pub(crate) fn pid(&mut self) -> Check<u32> {
        if let Some(pid) = self.pid {
            return Ok(pid);
        }
        if self.host.is_local() {
            // `setsid`, `sh` and `env` have become it, one after the other.
            return Ok(self.child.id());
        }
        let text = self.host.sh(&format!("cat {}", crate::host::quote(&self.pid_file)))?;
        let pid = text.trim().parse();
        let pid =
            pid.map_err(|_| Stop::Fail(format!("the kit could not go on: no process number in {text:?}")))?;
        self.pid = Some(pid);
        Ok(pid)
    }

    /// What it wrote to standard error so far.
    pub(crate) fn stderr(&self) -> Vec<u8> {
        self.stderr.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    // Sending.

    /// Sends bytes as they are.
    pub(crate) fn raw(&mut self, bytes: &[u8]) -> Check {
        let Some(input) = &mut self.input else { return fail("the kit closed the input before") };
        input
            .write_all(bytes)
            .and_then(|()| input.flush())
            .map_err(|e| Stop::Fail(format!("it does not read its input any more: {e}")))
    }

    /// Takes the way in, to write from another thread.
    pub(crate) fn take_input(&mut self) -> Option<Outgoing<ChildStdin>> {
        self.input.take()
    }

    /// Sends a line.
    pub(crate) fn line(&mut self, line: &str) -> Check {
        self.raw(format!("{line}\n").as_bytes())
    }

    /// The line of a request with a number of its own.
    pub(crate) fn prepare(&mut self, method: &str, params: &Value) -> (u64, String) {
        let id = self.next;
        self.next += 1;
        self.asked.insert(id);
        (id, json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string())
    }

    /// Sends a request and gives its number.
    pub(crate) fn ask(&mut self, method: &str, params: &Value) -> Check<u64> {
        let (id, line) = self.prepare(method, params);
        self.line(&line)?;
        Ok(id)
    }

    /// The text of a request but for its number, which goes between the two.
    pub(crate) fn template(method: &str, params: &Value) -> [String; 2] {
        let rest = format!(",\"method\":{},\"params\":{params}}}\n", json!(method));
        ["{\"jsonrpc\":\"2.0\",\"id\":".into(), rest]
    }

    /// So many numbers of its own, for requests that are made by hand.
    pub(crate) fn numbers(&mut self, count: u64) -> std::ops::Range<u64> {
        let first = self.next;
        self.next += count;
        self.asked.extend(first..self.next);
        first..self.next
    }

    /// Says that the answer to a number that was used by hand is awaited.
    pub(crate) fn expect(&mut self, id: u64) {
        self.asked.insert(id);
        self.next = self.next.max(id + 1);
    }

    /// Asks to stop a request.
    pub(crate) fn cancel(&mut self, id: u64) -> Check {
        self.line(&json!({"jsonrpc": "2.0", "method": "$/cancel", "params": {"id": id}}).to_string())
    }

    // Hearing.

    /// The next line, as bytes; `None` at the end of the stream.
    pub(crate) fn next_line(&mut self, within: Duration) -> Check<Option<Vec<u8>>> {
        match self.lines.recv_timeout(within) {
            Ok(line) => {
                self.said.extend(&line);
                self.said.push(b'\n');
                Ok(Some(line))
            }
            Err(RecvTimeoutError::Disconnected) => Ok(None),
            Err(RecvTimeoutError::Timeout) => fail(format!("it said nothing for {} ms", within.as_millis())),
        }
    }

    /// The answer to a request, or its failure as a whole.
    pub(crate) fn reply(&mut self, id: u64, within: Duration) -> Check<Result<Value, Refusal>> {
        let end = Instant::now() + within;
        loop {
            if let Some(frame) = self.answers.remove(&id) {
                return Ok(open(&frame));
            }
            self.hear(end, &format!("an answer to request {id}"))?;
        }
    }

    /// Takes lines for a while; whether the answer to a request is there.
    pub(crate) fn answered(&mut self, id: u64, time: Duration) -> Check<bool> {
        if !self.answers.contains_key(&id) {
            self.listen(time)?;
        }
        Ok(self.answers.contains_key(&id))
    }

    /// The next failure without an id.
    pub(crate) fn orphan(&mut self, within: Duration) -> Check<Refusal> {
        let end = Instant::now() + within;
        while self.orphans.is_empty() {
            self.hear(end, "a failure without id")?;
        }
        match open(&self.orphans.remove(0)) {
            Err(refusal) => Ok(refusal),
            Ok(_) => fail("a failure without id has a result"),
        }
    }

    /// Takes lines for a while, and does not mind if there are none.
    pub(crate) fn listen(&mut self, time: Duration) -> Check {
        let end = Instant::now() + time;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    self.said.extend(&line);
                    self.said.push(b'\n');
                    self.take(&line)?;
                }
                Err(_) => return Ok(()),
            }
        }
    }

    fn hear(&mut self, end: Instant, awaited: &str) -> Check {
        let left = end.saturating_duration_since(Instant::now());
        match self.lines.recv_timeout(left) {
            Ok(line) => {
                self.said.extend(&line);
                self.said.push(b'\n');
                self.take(&line)
            }
            Err(RecvTimeoutError::Timeout) => {
                fail(format!("there was no {}", awaited.trim_start_matches("an ")))
            }
            Err(RecvTimeoutError::Disconnected) => fail(format!("its output ended before {awaited}")),
        }
    }

    /// Judges a line and puts it where it belongs.
    fn take(&mut self, line: &[u8]) -> Check {
        if line.is_empty() {
            return Ok(());
        }
        let shown = || String::from_utf8_lossy(line.get(..200).unwrap_or(line)).escape_debug().to_string();
        let frame = match canonical::parse_strict(line) {
            Ok(frame) if frame.is_object() => frame,
            _ if self.lenient => {
                self.noise += 1;
                return Ok(());
            }
            Ok(_) => return fail(format!("a line is no object: {}", shown())),
            Err(e) => return fail(format!("a line is no message ({e}): {}", shown())),
        };
        let member = |name: &str| frame.get(name).filter(|value| !value.is_null());
        ensure!(member("jsonrpc") == Some(&json!("2.0")), "a line is no JSON-RPC 2.0: {}", shown());
        match (member("id"), member("method"), frame.get("result").is_some(), member("error")) {
            (None, Some(_), false, None) => Ok(()),
            (Some(_), Some(_), ..) => fail(format!("it sent a request: {}", shown())),
            (None, None, false, Some(_)) => {
                self.orphans.push(frame);
                Ok(())
            }
            (Some(id), None, result, error) if result != error.is_some() => {
                let Some(id) = id.as_u64() else { return fail(format!("an id is no number: {}", shown())) };
                ensure!(self.asked.contains(&id), "an answer to a request that was not made: {}", shown());
                ensure!(self.answered.insert(id), "request {id} was answered twice");
                self.answers.insert(id, frame);
                Ok(())
            }
            _ => fail(format!("a line is neither answer nor notification: {}", shown())),
        }
    }

    // The end.

    /// Reads no more, so that its pipe fills up; or reads again.
    pub(crate) fn freeze(&self, frozen: bool) {
        self.frozen.store(frozen, Ordering::Release);
    }

    /// Closes its output as soon as it says something.
    pub(crate) fn hang_up(&self) {
        self.deaf.store(true, Ordering::Release);
    }

    /// Closes its input.
    pub(crate) fn close(&mut self) {
        self.input = None;
    }

    /// Waits for its end; the exit code, -1 for a signal.
    pub(crate) fn exit(&mut self, within: Duration) -> Check<i32> {
        let end = Instant::now() + within;
        loop {
            if let Some(status) = self.child.try_wait()? {
                self.over = true;
                return Ok(status.code().unwrap_or(-1));
            }
            if Instant::now() >= end {
                return fail(format!("it did not end within {} ms", within.as_millis()));
            }
            thread::sleep(Duration::from_millis(3));
        }
    }

    /// Ends its session at once, as a crash would.
    pub(crate) fn kill(&mut self) -> Check {
        let pid = self.pid()?;
        self.host.kill(pid);
        let _ = self.exit(Duration::from_secs(5));
        Ok(())
    }

    /// Sends its process a signal by name.
    pub(crate) fn signal(&mut self, name: &str) -> Check {
        let pid = self.pid()?;
        self.host.sh(&format!("kill -{name} {pid}")).map(drop)
    }

    /// What of its session is alive beside itself.
    pub(crate) fn company(&mut self) -> Check<Vec<u32>> {
        let pid = self.pid()?;
        Ok(self.host.members(pid)?.into_iter().filter(|other| *other != pid).collect())
    }

    /// Its resident memory in KiB, its open descriptors, and its processor time in ticks.
    pub(crate) fn usage(&mut self) -> Check<[u64; 3]> {
        let pid = self.pid()?;
        self.host.usage(pid)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.freeze(false);
        self.input = None;
        if !self.over {
            if let Ok(pid) = self.pid() {
                self.host.kill(pid);
            }
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// The failure of a request as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub code: i64,
    pub message: String,
    pub data: Value,
}

fn open(frame: &Value) -> Result<Value, Refusal> {
    match frame.get("error").filter(|error| !error.is_null()) {
        None => Ok(frame.get("result").cloned().unwrap_or(Value::Null)),
        Some(error) => Err(Refusal {
            code: error.get("code").and_then(Value::as_i64).unwrap_or(0),
            message: error.get("message").and_then(Value::as_str).unwrap_or_default().to_owned(),
            data: error.get("data").cloned().unwrap_or(Value::Null),
        }),
    }
}
