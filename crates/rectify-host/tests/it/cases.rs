//! The case files under `conformance/cases/providers`: one misbehaviour each, with its code and
//! the place where it shows.

use crate::{
    manifest::{THING, manifest},
    support::{Dirs, item, operation, program, spec, type_name},
};
use rectify_base::{Digest, FileDigests};
use rectify_host::{Executable, HostError, Launcher, Methods, Session, SessionSpec, codes};
use rectify_protocol::message::{Mode, ReadItem};
use serde::Deserialize;
use serde_json::json;
use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// What the test provider does.
    #[serde(default = "none")]
    behaviour: String,
    mode: Mode,
    /// What the engine asks for: `start`, `plan`, `read`, `apply`, `capture`, `shutdown`,
    /// `plan-after-shutdown`.
    request: String,
    #[serde(default = "thing", rename = "type")]
    type_name: String,
    #[serde(default = "one")]
    items: usize,
    /// What is wrong on the engine's side.
    #[serde(default)]
    setup: Option<String>,
    #[serde(default)]
    handshake_ms: Option<u64>,
    #[serde(default)]
    ping_ms: Option<u64>,
    #[serde(default)]
    batch_max_ms: Option<u64>,
    #[serde(default)]
    confine: Option<bool>,
}

fn none() -> String {
    "none".into()
}

fn thing() -> String {
    THING.into()
}

const fn one() -> usize {
    1
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expect {
    code: String,
    place: String,
    #[expect(dead_code, reason = "for people")]
    why: String,
}

fn read<T: for<'a> Deserialize<'a>>(path: &Path) -> T {
    let bytes = fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_slice(&bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

async fn run(case: &Case) -> Result<(), HostError> {
    let dirs = Dirs::new();
    let mut spec = spec(&dirs, case.mode, &case.behaviour);
    // Most misbehaviours do not depend on the confinement, which has tests of its own.
    spec.confine = case.confine.unwrap_or(false);
    if let Some(ms) = case.handshake_ms {
        spec.timings.handshake = Duration::from_millis(ms);
    }
    if let Some(ms) = case.ping_ms {
        spec.timings.ping = Duration::from_millis(ms);
    }
    if let Some(ms) = case.batch_max_ms {
        spec.timings.batch_max = Duration::from_millis(ms);
    }
    spec.timings.apply_grace = Duration::from_millis(300);
    spec.timings.exit = Duration::from_millis(500);
    let mut items = vec![item(&case.type_name, json!({"path": "/x"})); case.items];
    if let Some(setup) = &case.setup {
        prepare(setup, &dirs, &mut spec)?;
        if setup == "huge-item" {
            items = vec![item(THING, json!({"text": "x".repeat(9 << 20)}))];
        }
    }
    let session = Session::start(spec).await?;
    match case.request.as_str() {
        "plan" => session.plan(items).await.map(drop),
        "read" | "capture" => {
            let items = items.into_iter().map(|i| ReadItem {
                type_name: i.type_name,
                desired: i.desired,
                capture: case.request == "capture",
            });
            session.read(items.collect()).await.map(drop)
        }
        "apply" => {
            let mut op = operation(json!({}), 500);
            op.type_name = type_name(&case.type_name);
            session.apply(op).await.map(drop)
        }
        // What comes after the answer shows with the next request.
        "apply-twice" => {
            session.apply(operation(json!({}), 500)).await?.unwrap();
            tokio::time::sleep(Duration::from_millis(50)).await;
            session.apply(operation(json!({}), 500)).await.map(drop)
        }
        "shutdown" => session.shutdown().await.map(drop),
        "plan-after-shutdown" => {
            session.shutdown().await?;
            session.plan(items).await.map(drop)
        }
        "plan-killed" => {
            let kill = async {
                tokio::time::sleep(Duration::from_millis(50)).await;
                session.kill().await;
            };
            tokio::join!(session.plan(items), kill).0.map(drop)
        }
        "put-blob" => session.put_blob(b"content").await.map(drop),
        "get-blob" => session.get_blob(&Digest::of_bytes(b"content"), 1000).await.map(drop),
        "start" => Ok(()),
        other => panic!("unknown request {other}"),
    }
}

fn prepare(setup: &str, dirs: &Dirs, spec: &mut SessionSpec) -> Result<(), HostError> {
    let file = |name: &str, text: &str| {
        let path = dirs.base().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    match setup {
        "huge-item" => {}
        "missing-program" => {
            Executable::open(&PathBuf::from("/nonexistent/provider"), None)?;
        }
        "program-is-a-directory" => {
            Executable::open(dirs.base(), None)?;
        }
        "another-program" => {
            let path = file("rectify-provider-test", "#!/bin/sh\nexit 0\n");
            Executable::open(&path, Some(FileDigests::of_bytes(b"#!/bin/sh\nexit 1\n")))?;
        }
        "not-executable" => {
            let path = file("rectify-provider-test", "no program at all\n");
            spec.program = Executable::open(&path, None)?;
        }
        "another-machine" => {
            let path = file("rectify-provider-test", "\x7fELF, but that is all");
            spec.program = Executable::open(&path, None)?;
        }
        "missing-interpreter" => {
            let path = file("rectify-provider-test", "#!/nonexistent/interpreter\n");
            spec.program = Executable::open(&path, None)?;
        }
        "missing-launcher" => {
            spec.launcher = Launcher { program: "/nonexistent".into(), arguments: Vec::new() }
        }
        "no-launcher" => spec.launcher = Launcher { program: "/bin/echo".into(), arguments: Vec::new() },
        "no-method" => spec.methods = Methods { mount_namespace: false, landlock: false },
        "work-not-empty" => fs::write(dirs.work().join("left-over"), b"").unwrap(),
        "work-open-to-others" => {
            fs::set_permissions(dirs.work(), fs::Permissions::from_mode(0o755)).unwrap();
        }
        "work-missing" => fs::remove_dir(dirs.work()).unwrap(),
        "state-missing" => spec.dirs.state = String::new(),
        "manifest-without-digest" => {
            spec.manifest = manifest();
            spec.manifest.types[0].schema = json!({"maximum": 1.5});
        }
        other => panic!("unknown setup {other}"),
    }
    Ok(())
}

#[tokio::test]
async fn every_case_has_its_code_and_place() {
    program();
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance/cases/providers");
    let mut paths: Vec<PathBuf> = fs::read_dir(&directory).unwrap().map(|e| e.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() >= 80, "only {} cases found", paths.len());
    let mut seen = BTreeSet::new();
    let mut wrong = Vec::new();
    for path in &paths {
        let name = path.file_name().unwrap().to_string_lossy();
        let case: Case = read(&path.join("case.json"));
        let expect: Expect = read(&path.join("expect.json"));
        seen.insert(expect.code.clone());
        let started = Instant::now();
        match tokio::time::timeout(Duration::from_secs(60), run(&case)).await {
            Ok(Err(error)) => {
                let found = (error.code().as_str(), error.place.as_str());
                if found != (expect.code.as_str(), expect.place.as_str()) {
                    wrong.push(format!("{name}: expected {expect:?}, found {found:?}: {error}"));
                }
            }
            Ok(Ok(())) => wrong.push(format!("{name}: nothing was found")),
            Err(_) => wrong.push(format!("{name}: hangs")),
        }
        println!("{name}: {} ms", started.elapsed().as_millis());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let own = codes::ALL.iter().map(|c| c.as_str()).filter(|c| is_ours(c));
    let untested: Vec<_> = own.filter(|c| !seen.contains(*c)).collect();
    assert!(untested.is_empty(), "codes without a case: {untested:?}");
}

fn is_ours(code: &str) -> bool {
    code.starts_with("provider-") || code.starts_with("host-")
}

#[test]
fn every_code_has_a_page() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors");
    for code in codes::ALL {
        let path = directory.join(format!("{code}.md"));
        let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        assert!(text.starts_with(&format!("# {code}\n\n")), "{code}");
        assert!(text.contains("\n## Why\n") && text.contains("\n## What to do\n"), "{code}");
    }
}
