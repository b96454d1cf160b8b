//! A provider for tests that hangs, lies, dies and floods, forth and back, as the name of the thing says:
//! `/etc/FORTH-BACK-anything`. An inverse is given nothing but the name.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "odd on purpose")]
#![allow(clippy::print_stderr, clippy::print_stdout, reason = "odd on purpose")]

use rectify_sdk::{
    Context, Found, Provider,
    base::TypeName,
    protocol::{
        ErrorCode, ItemError, Manifest, VERSION,
        manifest::{FORMAT, ProtocolRange, TouchRule, TypeDescriptor},
        message::{
            Applied, Apply, ApplyStatus, PlanAnswer, PlanItem, RESTORE, ReadAnswer, ReadItem, Restore,
        },
    },
};
use serde_json::{Map, Value, json};
use std::{fs, path::PathBuf, process::ExitCode, time::Duration};

struct Odd;

fn main() -> ExitCode {
    rectify_sdk::serve(Odd)
}

fn text<'p>(properties: &'p Map<String, Value>, name: &str) -> &'p str {
    properties.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn place(cx: &Context, properties: &Map<String, Value>) -> PathBuf {
    cx.root().unwrap().join(text(properties, "path").trim_start_matches('/'))
}

fn state(text: Option<String>) -> Option<Value> {
    text.map(|text| json!({"kind": "thing", "text": text}))
}

fn found(cx: &Context, properties: &Map<String, Value>) -> Option<Value> {
    state(fs::read_to_string(place(cx, properties)).ok())
}

/// What is wanted, forth or back.
fn wanted(properties: &Map<String, Value>) -> Option<Value> {
    match properties.get(RESTORE) {
        Some(restore) => serde_json::from_value::<Restore>(restore.clone()).unwrap().state,
        None => state(Some(text(properties, "text").to_owned())),
    }
}

fn hang() -> ! {
    loop {
        std::thread::sleep(Duration::from_secs(1));
    }
}

impl Provider for Odd {
    fn manifest(&self) -> Manifest {
        let property = json!({"type": "string"});
        Manifest {
            format: FORMAT.into(),
            name: "odd".into(),
            version: "1.0.0".into(),
            protocol: ProtocolRange { min: VERSION, max: VERSION },
            types: vec![TypeDescriptor {
                name: TypeName::new("odd.thing").unwrap(),
                version: 1,
                kind: "resource".into(),
                summary: "Holds a text, in its own way.".into(),
                schema: json!({
                    "type": "object",
                    "required": ["path", "text"],
                    "additionalProperties": false,
                    "properties": {"path": property, "text": property},
                }),
                volatile: Vec::new(),
                touches: vec![TouchRule {
                    property: "/path".into(),
                    kind: "path".into(),
                    access: "write".into(),
                }],
                prediction: "exact".into(),
                retry: "converge".into(),
                undo: "exact".into(),
                compare_and_swap: true,
                read_timeout_ms: 10_000,
                apply_timeout_ms: 1_500,
            }],
        }
    }

    fn read(&self, cx: &Context, item: &ReadItem) -> Result<ReadAnswer, ItemError> {
        Ok(ReadAnswer { state: found(cx, &item.desired), before_image: None })
    }

    fn plan(&self, cx: &Context, item: &PlanItem) -> Result<PlanAnswer, ItemError> {
        let (prior, planned) = (found(cx, &item.desired), wanted(&item.desired));
        if prior == planned {
            return Ok(PlanAnswer::Unchanged { state: prior, resolved: Vec::new() });
        }
        Ok(PlanAnswer::Changed {
            prior,
            planned,
            prediction: "exact".into(),
            disruption: Vec::new(),
            undo: "exact".into(),
            undo_note: None,
            resolved: Vec::new(),
        })
    }

    fn apply(&self, cx: &Context, op: &Apply) -> Result<Applied, ItemError> {
        let path = place(cx, &op.desired);
        if cx.compare(op, found(cx, &op.desired).as_ref())? == Found::Result {
            return Ok(Applied { status: ApplyStatus::Already, state: found(cx, &op.desired), output: None });
        }
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let ways: Vec<&str> = name.split('-').collect();
        let way = ways[usize::from(op.desired.contains_key(RESTORE))];
        let wanted = wanted(&op.desired);
        match way {
            "hang" => hang(),
            "die" => std::process::abort(),
            "refuse" => return Err(ItemError::new(ErrorCode::Failed, "it will not")),
            "lie" => return Ok(Applied { status: ApplyStatus::Applied, state: wanted, output: None }),
            "flood" => {
                for line in 0..40_000 {
                    println!("out {line} {}", "x".repeat(100));
                    eprintln!("err {line} {}", "x".repeat(100));
                    cx.progress(format!("progress {line}"));
                    cx.log("error", format!("log {line}"));
                }
            }
            _ => {}
        }
        match &wanted {
            Some(state) => fs::write(&path, state["text"].as_str().unwrap()).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        match way {
            "late" => hang(),
            "last" => std::process::abort(),
            "other" => fs::write(&path, "something else").unwrap(),
            _ => {}
        }
        Ok(Applied { status: ApplyStatus::Applied, state: wanted, output: None })
    }
}
