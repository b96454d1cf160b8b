//! The provider's side of a conversation: whatever an engine says; and the ledger that it finds.

use crate::{Target, sections};
use rectify_base::{Digest, canonical};
use rectify_protocol::{
    ErrorCode, Frame, ItemError, Manifest, Mutated, VERSION,
    manifest::ProtocolRange,
    message::{
        Applied, Apply, ApplyStatus, Configure, DesiredItem, Directories, Initialize, ItemResult, Mode,
        OpStatus, PlanAnswer, PlanItem, ReadAnswer, ReadItem, method,
    },
};
use rectify_sdk::{Context, End, Provider, serve_streams, testing::Client};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs,
    io::{self, Cursor, Read, Write},
    panic::resume_unwind,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

pub(super) const TARGET: Target = Target {
    name: "serve",
    holds: "each request is answered once, with its number, in a line within the limit; a provider is asked only after the greeting, for what the mode allows",
    check,
    seeds,
    max_bytes: 4096,
    replays: 12,
};

/// What a provider was asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Call {
    Look,
    Plan,
    Apply,
    /// The action behind the ledger.
    Run,
}

/// A provider that does nothing, and notes what it is asked.
struct Noted {
    manifest: Manifest,
    calls: Calls,
}

type Calls = Arc<Mutex<BTreeMap<Call, usize>>>;

impl Noted {
    fn note(&self, call: Call) {
        *self.calls.lock().unwrap_or_else(PoisonError::into_inner).entry(call).or_default() += 1;
    }
}

impl Provider for Noted {
    fn manifest(&self) -> Manifest {
        self.manifest.clone()
    }

    fn read(&self, cx: &Context, item: &ReadItem) -> Result<ReadAnswer, ItemError> {
        self.note(Call::Look);
        assert!(!item.capture || cx.mode() == Mode::Apply);
        Ok(ReadAnswer { state: Some(item.desired.clone().into()), before_image: None })
    }

    fn plan(&self, cx: &Context, _: &PlanItem) -> Result<PlanAnswer, ItemError> {
        self.note(Call::Plan);
        assert_ne!(cx.mode(), Mode::Read);
        Ok(PlanAnswer::Unchanged { state: None, resolved: Vec::new() })
    }

    fn apply(&self, cx: &Context, op: &Apply) -> Result<Applied, ItemError> {
        self.note(Call::Apply);
        assert_eq!(cx.mode(), Mode::Apply);
        cx.once(op, || {
            self.note(Call::Run);
            applied()
        })
    }

    fn validate(&self, _: &Context, item: &DesiredItem) -> Result<(), ItemError> {
        self.note(Call::Look);
        if item.desired.contains_key("panic") {
            // As a provider may; without the hook, which ends libFuzzer.
            resume_unwind(Box::new("panic"));
        }
        Ok(())
    }
}

/// Keeps what is written.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn applied() -> Result<Applied, ItemError> {
    Ok(Applied { status: ApplyStatus::Applied, state: None, output: None })
}

/// A stream that ends only when so many lines were answered, or after a while: what waits at the end of
/// the stream is not begun any more.
struct Patient {
    input: Cursor<Vec<u8>>,
    answers: Kept,
    lines: usize,
}

impl Read for Patient {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        for _ in 0..if read == 0 { 200 } else { 0 } {
            let written = self.answers.0.lock().unwrap_or_else(PoisonError::into_inner);
            if written.iter().filter(|b| **b == b'\n').count() >= self.lines {
                break;
            }
            drop(written);
            thread::sleep(Duration::from_micros(100));
        }
        Ok(read)
    }
}

/// A provider, and what it notes.
fn noted() -> (Noted, Calls) {
    let calls = Calls::default();
    let manifest = rectify_provider_command::provider().manifest();
    (Noted { manifest, calls: Arc::clone(&calls) }, calls)
}

/// Serves a whole input with so many requests. What was written, how often the provider was asked, and the
/// end.
fn serve(input: Vec<u8>, requests: usize) -> (Vec<u8>, BTreeMap<Call, usize>, End) {
    let kept = Kept::default();
    let (provider, calls) = noted();
    let stream = Patient { input: Cursor::new(input), answers: kept.clone(), lines: requests };
    let end = serve_streams(provider, stream, kept.clone()).unwrap();
    let written = kept.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let calls = calls.lock().unwrap_or_else(PoisonError::into_inner).clone();
    (written, calls, end)
}

/// A line as it may be tried: no directory of this machine is named.
fn harmless(line: &[u8]) -> Vec<u8> {
    let Ok(mut frame) = serde_json::from_slice::<Value>(line) else { return line.to_vec() };
    match frame.pointer_mut("/params/dirs") {
        Some(Value::Object(dirs)) => {
            let is_path = |dir: &Value| dir.as_str().is_some_and(|dir| dir.starts_with('/'));
            if dirs.values().any(is_path) {
                dirs.values_mut().filter(|dir| is_path(dir)).for_each(|dir| *dir = "".into());
                return serde_json::to_vec(&frame).unwrap();
            }
            line.to_vec()
        }
        _ => line.to_vec(),
    }
}

fn check(data: &[u8]) {
    let lines: Vec<Vec<u8>> = data.split(|b| *b == b'\n').map(harmless).collect();
    // As an independent reader understands the lines.
    let mut requests: BTreeMap<u64, usize> = BTreeMap::new();
    let (mut mode, mut limit, mut configured) = (None, usize::MAX, false);
    let mut others = 0;
    for line in &lines {
        let frame = canonical::parse_strict(line).unwrap_or_default();
        let id = frame.get("id").and_then(Value::as_u64);
        let name = frame.get("method").and_then(Value::as_str).filter(|_| frame["jsonrpc"] == "2.0");
        match (id, name) {
            (Some(id), Some(name)) => {
                *requests.entry(id).or_default() += 1;
                if name == method::INITIALIZE
                    && mode.is_none()
                    && let Ok(greeting) = serde_json::from_value::<Initialize>(frame["params"].clone())
                {
                    mode = Some(greeting.mode);
                    limit = greeting.frame_max_bytes.max(4096);
                }
                configured |= name == method::CONFIGURE;
            }
            _ => others += 1,
        }
    }
    let (written, calls, end) = serve(lines.join(&b'\n'), requests.values().sum());
    assert!(matches!(end, End::Eof | End::Shutdown | End::Version));
    let mut answered: BTreeMap<u64, usize> = BTreeMap::new();
    let mut nameless = 0;
    assert!(written.is_empty() || written.ends_with(b"\n"));
    for line in written.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
        assert!(line.len() < limit, "{} bytes", line.len());
        let frame: Frame = serde_json::from_slice(line).expect("a provider writes frames");
        let value = canonical::parse_strict(line).expect("and canonical JSON");
        assert_eq!(frame.jsonrpc, "2.0");
        assert!(frame.method.is_none() && frame.result.is_some() != frame.error.is_some(), "{value}");
        match frame.id {
            Some(id) => *answered.entry(id).or_default() += 1,
            None => nameless += 1,
        }
    }
    for (id, count) in &answered {
        assert!(requests.get(id).is_some_and(|asked| count <= asked), "{id} is answered {count} times");
    }
    if end != End::Version {
        // A number that is used twice at once is refused without one.
        let missing: usize = requests.iter().map(|(id, asked)| asked - answered.get(id).unwrap_or(&0)).sum();
        assert!(missing <= nameless, "{missing} requests are not answered");
        assert!(nameless <= missing + others, "more is refused than was said");
    }
    let asked = |call| calls.get(&call).copied().unwrap_or(0);
    if !configured || mode.is_none() {
        assert!(calls.is_empty(), "asked before it is known about what: {calls:?}");
    }
    assert_eq!(asked(Call::Run), 0, "an action without a ledger");
    assert!(asked(Call::Apply) == 0 || mode == Some(Mode::Apply));
    assert!(asked(Call::Plan) == 0 || mode != Some(Mode::Read));
}

fn request(id: u64, name: &str, params: &Value) -> Vec<u8> {
    Frame::request(id, name, params).unwrap().to_line().unwrap()
}

fn greeting(mode: Mode, dirs: Directories) -> Value {
    let greeting = Initialize {
        protocol: ProtocolRange { min: VERSION, max: VERSION },
        session: "00".into(),
        mode,
        frame_max_bytes: 8192,
        dirs,
    };
    serde_json::to_value(greeting).unwrap()
}

fn operation(op_id: &str, fence: u64) -> Apply {
    let desired = json!({"argv": ["/bin/true"]}).as_object().unwrap().clone();
    Apply {
        op_id: op_id.into(),
        type_name: "command.run".parse().unwrap(),
        action: "run".into(),
        desired,
        expect: Digest::of_bytes(b"x"),
        result: None,
        deadline_ms: 1000,
        fence,
    }
}

fn seeds(_: &Path) -> Vec<Vec<u8>> {
    let item = json!({"type": "command.run", "desired": {"argv": ["/bin/true"]}});
    let bad = json!({"type": "command.run", "desired": {"panic": 1}});
    let items = json!({"items": [item, item]});
    let mut all = Vec::new();
    for mode in [Mode::Read, Mode::Plan, Mode::Apply] {
        all.push(
            [
                request(0, method::INITIALIZE, &greeting(mode, Directories::default())),
                request(1, method::CONFIGURE, &serde_json::to_value(Configure::default()).unwrap()),
                request(2, method::VALIDATE, &json!({"items": [item, bad]})),
                request(3, method::NORMALIZE, &items),
                request(4, method::READ, &items),
                request(5, method::PLAN, &items),
                request(6, method::APPLY, &serde_json::to_value(operation(&"0".repeat(64), 1)).unwrap()),
                request(7, method::OP_STATUS, &json!({"op_id": "00"})),
                request(8, method::SCHEMA_GET, &json!({})),
                request(
                    9,
                    method::BLOB_GET,
                    &json!({"digest": Digest::of_bytes(b"x"), "offset": 0, "length": 9}),
                ),
                request(10, method::PING, &json!({})),
                Frame::notification(method::CANCEL, &json!({"id": 5})).unwrap().to_line().unwrap(),
                request(11, method::SHUTDOWN, &json!({})),
            ]
            .concat(),
        );
    }
    let early = [
        request(1, method::READ, &items),
        request(2, method::PING, &json!({})),
        request(0, method::INITIALIZE, &greeting(Mode::Read, Directories::default())),
        request(0, method::INITIALIZE, &greeting(Mode::Read, Directories::default())),
        request(3, method::READ, &items),
        request(3, method::READ, &items),
    ];
    all.push(early.concat());
    all.push(b"\n{}\n[1]\n{\"jsonrpc\":\"2.0\",\"id\":1.5,\"method\":\"ping\"}\n{\"jsonrpc\":\"2.0\",\"id\":1,\"id\":2,\"method\":\"ping\"}".to_vec());
    all
}

pub(super) const LEDGER: Target = Target {
    name: "ledger",
    holds: "whatever stands in claims, results and fence, nothing runs that was claimed, nor under a lower fence; a result is what stands there",
    check: check_ledger,
    seeds: |_| {
        let claim = |parameters: &Digest, fence: u64| {
            canonical::compact(
                &json!({"format": "rectify.ledger-claim/v1", "parameters": parameters, "fence": fence}),
            )
            .unwrap()
        };
        let ours = Digest::of_bytes(b"not these");
        let done = serde_json::to_vec(&ItemResult::from(applied())).unwrap();
        let failed = |mutated| {
            let error = ItemError::new(ErrorCode::Failed, "m").mutated(mutated);
            serde_json::to_vec(&ItemResult::<Applied>::Error(error)).unwrap()
        };
        let made = own_claim();
        vec![
            sections::join(&[("fence", "7\n")]),
            sections::join(&[("fence", "8\n"), ("acting-8", "")]),
            sections::join(&[("fence", "3\n"), ("acting-3", ""), ("acting-x", "x"), ("acting-", "")]),
            sections::join(&[("claim", claim(&ours, 7))]),
            sections::join(&[("claim", made.clone())]),
            sections::join(&[("claim", made.clone()), ("done", done.clone())]),
            sections::join(&[("claim", made.clone()), ("done", failed(Mutated::No))]),
            sections::join(&[("claim", made), ("done", failed(Mutated::Maybe)), ("fence", b"6".to_vec())]),
            sections::join(&[("done", done)]),
        ]
    },
    max_bytes: 1024,
    replays: 25,
};

const FENCE: u64 = 7;
const OP: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// A directory for a ledger; in memory where there is such a place.
fn place() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let builder = || tempfile::Builder::new().prefix("rectify-fuzz-").to_owned();
    builder().tempdir_in(memory).or_else(|_| builder().tempdir()).unwrap()
}

/// What came of a call.
type Outcome<T> = Result<T, String>;

/// Asks for the status, applies, and asks again. What came of the three, and how often the action ran.
fn run(state: &Path) -> (Outcome<OpStatus>, Result<Applied, ItemError>, Outcome<OpStatus>, usize) {
    let (provider, calls) = noted();
    let mut client = Client::in_process(provider).unwrap();
    let dirs = Directories { state: state.to_str().unwrap().into(), ..Directories::default() };
    client.greet(Mode::Apply, dirs, &Configure::default()).unwrap();
    let before = client.op_status(OP).map_err(|error| error.to_string());
    let applied = client.apply(&operation(OP, FENCE));
    let applied = applied.map_err(|error| error.item().expect("an apply is answered as one"));
    let after = client.op_status(OP).map_err(|error| error.to_string());
    client.finish().unwrap();
    let ran = calls.lock().unwrap_or_else(PoisonError::into_inner).get(&Call::Run).copied().unwrap_or(0);
    (before, applied, after, ran)
}

/// The claim that the operation makes.
fn own_claim() -> Vec<u8> {
    let place = place();
    assert_eq!(run(place.path()).3, 1);
    fs::read(place.path().join(format!("{OP}.claim"))).unwrap()
}

fn check_ledger(data: &[u8]) {
    let sections = sections::split(data);
    let there = |name| sections::find(&sections, name);
    let place = place();
    for (name, bytes) in &sections {
        let file = match *name {
            b"fence" => "fence".to_owned(),
            b"claim" => format!("{OP}.claim"),
            b"done" => format!("{OP}.done"),
            name if name.starts_with(b"acting-") && name.len() < 40 && !name.contains(&b'/') => {
                String::from_utf8_lossy(name).replace('\0', "")
            }
            _ => continue,
        };
        // The first one counts.
        let path = place.path().join(file);
        if !path.exists() {
            fs::write(path, bytes).unwrap();
        }
    }
    let (before, answer, after, ran) = run(place.path());
    let done = there("done").map(serde_json::from_slice::<ItemResult<Applied>>);
    let harmless = matches!(&done, Some(Ok(ItemResult::Error(error))) if error.mutated == Mutated::No);
    assert!(ran <= 1);
    if ran == 1 {
        let untouched = there("claim").is_none() && there("done").is_none();
        assert!(untouched || harmless, "it was claimed or done, and ran again");
        let recorded = fs::read_to_string(place.path().join("fence")).unwrap();
        assert_eq!(recorded.trim().parse(), Ok(FENCE));
        assert_eq!(after, Ok(OpStatus::Done(Box::new(ItemResult::from(applied())))));
    } else {
        // What was found is found again, unless it was refused for the fence before it was looked at.
        assert_eq!(before, after, "nothing ran, and the ledger says something else");
    }
    if let Some(fence) = there("fence") {
        let number = std::str::from_utf8(fence).ok().and_then(|text| text.trim().parse::<u64>().ok());
        let stands = fs::read(place.path().join("fence")).unwrap();
        match number {
            Some(number) if number > FENCE => {
                assert_eq!(ran, 0, "ran under a lower fence");
                assert_eq!(stands, fence, "the fence fell");
            }
            Some(_) => {}
            None => {
                assert_eq!(ran, 0, "ran under a fence that cannot be read");
                assert_eq!(stands, fence);
            }
        }
    }
    match done {
        Some(Ok(result)) => assert_eq!(before, Ok(OpStatus::Done(Box::new(result)))),
        Some(Err(_)) => assert!(before.is_err(), "a damaged result passes: {before:?}"),
        None if there("claim").is_some() => assert_eq!(before, Ok(OpStatus::Started)),
        None => assert_eq!(before, Ok(OpStatus::NeverSeen)),
    }
    match answer {
        Ok(_) => assert!(ran == 1 || there("done").is_some(), "done by nobody"),
        // A result that stands says what it says.
        Err(error) => assert!(there("done").is_some() || !error.message.is_empty()),
    }
}
