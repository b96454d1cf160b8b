//! Recorded conversations of each released minor of the protocol, replayed against the providers of
//! today, read by the engine's types, and checked against the schema.

use crate::schema::valid;
use rectify_base::{Digest, Pointer, TypeName, fingerprint};
use rectify_protocol::{
    Frame, Manifest,
    message::{
        Applied, Apply, Batch, BatchResult, BlobChunk, BlobGet, BlobPut, BlobReceived, Cancel, Configure,
        DesiredItem, Initialize, Initialized, ItemResult, Log, OpStatus, OpStatusQuery, PlanAnswer, PlanItem,
        Pong, Progress, ReadAnswer, ReadItem, method,
    },
};
use rectify_tests::rectify;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};
use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Read, Write},
    os::unix::{
        fs::PermissionsExt,
        process::{CommandExt, ExitStatusExt},
    },
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../conformance/protocol/1.0")
}

fn transcripts() -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(directory()).unwrap().map(|e| e.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|e| e == "ndjson"));
    paths.sort();
    assert!(paths.len() >= 20, "where are the transcripts?");
    paths
}

/// A released minor never changes. What is new is a new minor, with transcripts of its own.
#[test]
fn the_files_of_a_minor_have_the_digests_that_were_noted() {
    let noted = fs::read_to_string(directory().join("DIGESTS")).unwrap();
    let found: String = transcripts()
        .iter()
        .map(|path| {
            let digest = rectify_base::Sha256Digest::of_bytes(&fs::read(path).unwrap());
            format!("{}  {}\n", digest.hex(), path.file_name().unwrap().to_str().unwrap())
        })
        .collect();
    assert_eq!(found, noted, "a released minor of the protocol does not change: write 1.1");
}

#[test]
fn every_transcript_can_be_had_again() {
    for path in transcripts() {
        let text = fs::read_to_string(&path).unwrap();
        let mut lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let header = lines.next().unwrap();
        assert_eq!(
            (&header["format"], &header["protocol"]),
            (&json!("rectify.transcript/v1"), &json!("1.0"))
        );
        let mut replay = Replay::new(path.file_stem().unwrap().to_str().unwrap(), &header);
        lines.for_each(|event| replay.event(&event));
    }
}

struct Replay {
    name: String,
    provider: String,
    home: tempfile::TempDir,
    manifest: Option<Manifest>,
    prints: BTreeMap<String, Digest>,
    methods: BTreeMap<u64, String>,
    operations: Vec<String>,
    child: Option<Running>,
}

struct Running {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Replay {
    fn new(name: &str, header: &Value) -> Self {
        let home = tempfile::tempdir().unwrap();
        for directory in ["root", "work", "state", "blobs"] {
            let path = home.path().join(directory);
            fs::create_dir(&path).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
        }
        for file in header["setup"].as_array().into_iter().flatten() {
            let path = home.path().join("root").join(file["file"].as_str().unwrap());
            let directory = path.parent().unwrap();
            fs::create_dir_all(directory).unwrap();
            // As it was when they were recorded, whatever the mask is: what is told of a content depends
            // on who may get at it.
            fs::set_permissions(directory, fs::Permissions::from_mode(0o700)).unwrap();
            fs::write(&path, file["text"].as_str().unwrap()).unwrap();
            let mode = u32::from_str_radix(file["mode"].as_str().unwrap(), 8).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        }
        Self {
            name: name.into(),
            provider: header["provider"].as_str().unwrap().into(),
            home,
            manifest: None,
            prints: BTreeMap::new(),
            methods: BTreeMap::new(),
            operations: Vec::new(),
            child: None,
        }
    }

    /// A text with what differs from place to place filled in.
    fn here(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for directory in ["root", "work", "state", "blobs"] {
            let path = self.home.path().join(directory).display().to_string();
            text = text.replace(&format!("${{{directory}}}"), &path);
        }
        text = text.replace("${uid}", &nix::unistd::getuid().to_string());
        text = text.replace("${gid}", &nix::unistd::getgid().to_string());
        for (name, digest) in &self.prints {
            text = text.replace(&format!("${{{name}}}"), &digest.to_string());
        }
        assert!(!text.contains("${"), "{}: nothing stands for a name in {text}", self.name);
        text
    }

    fn event(&mut self, event: &Value) {
        let name = self.name.clone();
        if event["start"] == true {
            self.start();
        } else if let Some(line) = event["engine"].as_str() {
            let line = self.here(line);
            self.engine(&line);
        } else if let Some(line) = event["provider"].as_str() {
            self.provider(&self.here(line), event);
        } else if let Some(path) = event["until"]["file"].as_str() {
            let path = self.here(path);
            let end = Instant::now() + Duration::from_secs(20);
            while !Path::new(&path).exists() {
                assert!(Instant::now() < end, "{name}: there is no {path}");
                std::thread::sleep(Duration::from_millis(5));
            }
        } else if event["close"] == true {
            self.running().input = None;
        } else if event["kill"] == true {
            let running = self.running();
            let group = nix::unistd::Pid::from_raw(i32::try_from(running.child.id()).unwrap());
            // The commands have groups of their own; their mark finds them.
            nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGKILL).unwrap();
            assert_eq!(running.child.wait().unwrap().signal(), Some(9));
            self.operations.iter().for_each(|op_id| end_marked(op_id));
            self.child = None;
        } else if let Some(code) = event["exit"].as_i64() {
            let running = self.running();
            let mut rest = String::new();
            running.output.read_to_string(&mut rest).unwrap();
            assert_eq!(rest.trim(), "", "{name}: more was said than recorded");
            assert_eq!(running.child.wait().unwrap().code().map(i64::from), Some(code), "{name}");
            self.child = None;
        } else {
            panic!("{name}: an unknown event: {event}");
        }
    }

    fn running(&mut self) -> &mut Running {
        self.child.as_mut().expect("a provider")
    }

    fn start(&mut self) {
        let mut child = Command::new(rectify())
            .args(["provider", "serve", &self.provider])
            .env_clear()
            .envs([
                ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
                ("LANG", "C.UTF-8"),
                ("TZ", "UTC"),
                ("RECTIFY_PROVIDER", "1"),
            ])
            .current_dir(self.home.path().join("work"))
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().unwrap());
        self.methods.clear();
        self.child = Some(Running { child, input, output });
        if self.manifest.is_none() {
            let printed =
                Command::new(rectify()).args(["provider", "manifest", &self.provider]).output().unwrap();
            self.manifest = Some(serde_json::from_slice(&printed.stdout).unwrap());
        }
    }

    fn engine(&mut self, line: &str) {
        // A line that is wrong on purpose is no message of the engine's.
        if self.name != "hostile"
            && let Ok(frame) = serde_json::from_str::<Frame>(line)
        {
            let value: Value = serde_json::from_str(line).unwrap();
            let method = frame.method.clone().unwrap_or_default();
            let params = value["params"].clone();
            if let Some(op_id) = params["op_id"].as_str() {
                self.operations.push(op_id.to_owned());
            }
            if let Some(id) = frame.id {
                self.methods.insert(id, method.clone());
            }
            // What is refused for its shape, or not known, has no type.
            let odd = params["items"] == 3 || method == "resource.frobnicate" || method == "$/unheard-of";
            if !odd {
                valid("protocol", &format!("{}: {line}", self.name), &value);
                parameters(&method, &params);
            }
        } else if let Ok(value) = serde_json::from_str::<Value>(line)
            && let (Some(id), Some(method)) = (value["id"].as_u64(), value["method"].as_str())
        {
            self.methods.insert(id, method.to_owned());
        }
        let input = self.running().input.as_mut().unwrap();
        input.write_all(format!("{line}\n").as_bytes()).unwrap();
        input.flush().unwrap();
    }

    fn provider(&mut self, expected: &str, event: &Value) {
        let name = self.name.clone();
        let mut line = String::new();
        self.running().output.read_line(&mut line).unwrap();
        let line =
            line.strip_suffix('\n').unwrap_or_else(|| panic!("{name}: the stream ended before {expected}"));
        if expected.is_empty() {
            assert_eq!(line, "", "{name}");
            return;
        }
        let read = |text: &str| {
            serde_json::from_str::<Value>(text).unwrap_or_else(|e| panic!("{name}: {e}: {text}"))
        };
        let (found, mut expected) = (read(line), read(expected));
        valid("protocol", &format!("{name}: {line}"), &found);
        self.answer(&found);
        for place in event["varies"].as_array().into_iter().flatten() {
            let place = place.as_str().unwrap();
            let (now, then) = match (found.pointer(place), expected.pointer_mut(place)) {
                (Some(now), Some(then)) => (now, then),
                // A failure, as it was when it was recorded.
                (None, None) => continue,
                _ => panic!("{name}: {place} is in one and not in the other: {line}"),
            };
            assert_eq!(
                std::mem::discriminant(now),
                std::mem::discriminant(then),
                "{name}: {place} is of another kind in {line}"
            );
            *then = now.clone();
        }
        assert_eq!(found, expected, "{name}");
        for (bound, place) in event["fingerprints"].as_object().into_iter().flatten() {
            let type_name: TypeName = place["type"].as_str().unwrap().parse().unwrap();
            let state = found.pointer(place["state"].as_str().unwrap());
            let descriptor = self.manifest.as_ref().unwrap().descriptor(&type_name).unwrap();
            let volatile: Vec<Pointer> = descriptor.volatile.clone();
            let print = fingerprint::fingerprint(&type_name, descriptor.version, state, &volatile).unwrap();
            self.prints.insert(bound.clone(), print);
        }
    }

    /// Reads what the provider said as the engine does.
    fn answer(&self, frame: &Value) {
        let (Some(id), Some(result)) = (frame["id"].as_u64(), frame.get("result")) else { return };
        let method = self.methods.get(&id).unwrap_or_else(|| panic!("{}: who asked {id}?", self.name));
        let result = result.clone();
        match method.as_str() {
            method::INITIALIZE => same::<Initialized>(result),
            method::CONFIGURE | method::SHUTDOWN => assert_eq!(result, json!({})),
            method::VALIDATE => same::<BatchResult<()>>(result),
            method::NORMALIZE => same::<BatchResult<Map<String, Value>>>(result),
            method::READ => same::<BatchResult<ReadAnswer>>(result),
            method::PLAN => same::<BatchResult<PlanAnswer>>(result),
            method::APPLY => same::<ItemResult<Applied>>(result),
            method::OP_STATUS => same::<OpStatus>(result),
            method::BLOB_PUT => same::<ItemResult<BlobReceived>>(result),
            method::BLOB_GET => same::<ItemResult<BlobChunk>>(result),
            method::PING => same::<Pong>(result),
            other => panic!("{}: an answer to {other}", self.name),
        }
    }
}

impl Drop for Replay {
    fn drop(&mut self) {
        if let Some(running) = &mut self.child {
            let _ = running.child.kill();
            let _ = running.child.wait();
        }
        self.operations.iter().for_each(|op_id| end_marked(op_id));
    }
}

/// Ends the commands of an operation.
fn end_marked(op_id: &str) {
    let mark = format!("RECTIFY_OPERATION={op_id}");
    for process in fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let environment = fs::read(process.path().join("environ")).unwrap_or_default();
        if environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes()) {
            let _ =
                nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
        }
    }
}

/// A value that a type reads and writes again as it was: nothing in it is passed over.
fn same<T: DeserializeOwned + Serialize>(value: Value) {
    let read: T = serde_json::from_value(value.clone()).unwrap_or_else(|e| panic!("{e}: {value}"));
    assert_eq!(serde_json::to_value(read).unwrap(), value);
}

fn parameters(method: &str, params: &Value) {
    let params = params.clone();
    // Members of a later minor are there on purpose.
    if params.get("later").is_some() {
        return;
    }
    match method {
        method::INITIALIZE => same::<Initialize>(params),
        method::CONFIGURE => same::<Configure>(params),
        method::VALIDATE | method::NORMALIZE => same::<Batch<DesiredItem>>(params),
        method::READ => same::<Batch<ReadItem>>(params),
        method::PLAN => same::<Batch<PlanItem>>(params),
        method::APPLY => same::<Apply>(params),
        method::OP_STATUS => same::<OpStatusQuery>(params),
        method::BLOB_PUT => same::<BlobPut>(params),
        method::BLOB_GET => same::<BlobGet>(params),
        method::CANCEL => same::<Cancel>(params),
        method::PROGRESS => same::<Progress>(params),
        method::LOG => same::<Log>(params),
        method::PING | method::SHUTDOWN | method::SCHEMA_GET => assert_eq!(params, json!({})),
        other => panic!("the engine does not know {other}"),
    }
}
