//! A provider for tests that shows the secrets it is given in every place where it should not, and
//! then ends as it is told. It is written with the SDK, as a careless author would.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "careless on purpose")]
#![allow(clippy::print_stderr, reason = "careless on purpose")]

use rectify_sdk::{
    Context, Found, Provider,
    base::TypeName,
    protocol::{
        ErrorCode, ItemError, Manifest, Mutated, VERSION,
        manifest::{FORMAT, ProtocolRange, TouchRule, TypeDescriptor},
        message::{Applied, Apply, ApplyStatus, Output, PlanAnswer, PlanItem, ReadAnswer, ReadItem},
    },
};
use serde_json::{Map, Value, json};
use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, process::ExitCode};

struct Leaky;

fn main() -> ExitCode {
    rectify_sdk::serve(Leaky)
}

fn text(properties: &Map<String, Value>, name: &str) -> String {
    properties.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn path(cx: &Context, properties: &Map<String, Value>) -> PathBuf {
    cx.root().unwrap().join(text(properties, "path").trim_start_matches('/'))
}

fn state(exists: bool) -> Option<Value> {
    exists.then(|| json!({"written": true}))
}

/// Everywhere, in several ways.
fn leak(cx: &Context, secret: &str) {
    eprintln!("the secret is {secret}");
    eprintln!("and once more {secret:?}");
    cx.log("info", format!("log {secret}"));
    cx.log("error", format!("log {}", json!({"secret": secret})));
    cx.progress(format!("progress {secret}"));
}

impl Provider for Leaky {
    fn manifest(&self) -> Manifest {
        let property = |secret: bool| json!({"type": "string", "x-rectify-secret": secret});
        Manifest {
            format: FORMAT.into(),
            name: "leaky".into(),
            version: "1.0.0".into(),
            protocol: ProtocolRange { min: VERSION, max: VERSION },
            types: vec![TypeDescriptor {
                name: TypeName::new("leaky.write").unwrap(),
                version: 1,
                kind: "resource".into(),
                summary: "Writes a text, and tells everybody.".into(),
                schema: json!({
                    "type": "object",
                    "required": ["path", "text", "ending"],
                    "additionalProperties": false,
                    "properties": {"path": property(false), "text": property(true), "ending": property(false)},
                }),
                volatile: vec!["/shown".into()],
                touches: vec![TouchRule {
                    property: "/path".into(),
                    kind: "path".into(),
                    access: "write".into(),
                }],
                prediction: "exact".into(),
                retry: "converge".into(),
                undo: "none".into(),
                compare_and_swap: true,
                read_timeout_ms: 10_000,
                apply_timeout_ms: 3_000,
            }],
        }
    }

    fn read(&self, cx: &Context, item: &ReadItem) -> Result<ReadAnswer, ItemError> {
        Ok(ReadAnswer { state: state(path(cx, &item.desired).exists()), before_image: None })
    }

    fn plan(&self, cx: &Context, item: &PlanItem) -> Result<PlanAnswer, ItemError> {
        let secret = text(&cx.reveal(&item.desired)?.properties, "text");
        leak(cx, &secret);
        let mut planned = json!({"written": true, "shown": format!("what it will be: {secret}")});
        match text(&item.desired, "ending").as_str() {
            "plan-state" => planned["written"] = json!(secret),
            "plan-error" => {
                return Err(ItemError::new(ErrorCode::Failed, format!("I will not write {secret}")));
            }
            "plan-panic" => panic!("the secret {secret}"),
            _ => {}
        }
        if path(cx, &item.desired).exists() {
            return Ok(PlanAnswer::Unchanged { state: state(true), resolved: Vec::new() });
        }
        Ok(PlanAnswer::Changed {
            prior: None,
            planned: Some(planned),
            prediction: "exact".into(),
            disruption: Vec::new(),
            undo: "none".into(),
            undo_note: Some("it cannot be taken back".into()),
            resolved: Vec::new(),
        })
    }

    fn apply(&self, cx: &Context, op: &Apply) -> Result<Applied, ItemError> {
        let secret = text(&cx.reveal(&op.desired)?.properties, "text");
        let path = path(cx, &op.desired);
        if cx.compare(op, state(path.exists()).as_ref())? == Found::Result {
            return Ok(Applied { status: ApplyStatus::Already, state: state(true), output: None });
        }
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, &secret).unwrap();
        leak(cx, &secret);
        let output =
            Output { exit_code: Some(0), stdout: secret.clone(), stderr: secret.clone(), truncated: false };
        let done = Applied { status: ApplyStatus::Applied, state: state(true), output: Some(output) };
        match text(&op.desired, "ending").as_str() {
            "failure" => {
                let error =
                    ItemError::new(ErrorCode::Failed, format!("not with {secret}")).mutated(Mutated::Yes);
                Err(error.hint(format!("try another than {secret}")))
            }
            "panic" => panic!("the secret {secret}"),
            "kill" => std::process::abort(),
            "hang" => loop {
                std::thread::sleep(std::time::Duration::from_secs(1));
            },
            "state" => Ok(Applied { state: Some(json!({"written": secret})), ..done }),
            _ => Ok(done),
        }
    }
}
