//! A session with a built-in provider, line by line.

use crate::schema::{all, takes, valid};
use rectify_tests::{Scratch, rectify};
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader, Write},
    process::{ChildStdin, ChildStdout, Command, Stdio},
};

struct Session {
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    next: u64,
}

impl Session {
    /// Sends a request and checks both lines.
    fn call(&mut self, method: &str, params: Value) -> Value {
        self.next += 1;
        let request = json!({"jsonrpc": "2.0", "id": self.next, "method": method, "params": params});
        valid("protocol", method, &request);
        part(&format!("{method}.request"), &request);
        writeln!(self.input, "{request}").unwrap();
        self.input.flush().unwrap();
        loop {
            let mut line = String::new();
            assert_ne!(self.output.read_line(&mut line).unwrap(), 0, "{method}: the stream ended");
            // Empty lines are legal.
            if line.trim().is_empty() {
                continue;
            }
            let frame: Value = serde_json::from_str(&line).unwrap();
            valid("protocol", method, &frame);
            if frame["id"] == self.next {
                if frame.get("result").is_some() {
                    part(&format!("{method}.response"), &frame);
                }
                return frame;
            }
        }
    }
}

/// Checks a value against one definition of the protocol's schema.
fn part(name: &str, value: &Value) {
    let mut schema = all()["protocol"].0.clone();
    let members = schema.as_object_mut().unwrap();
    members.remove("anyOf");
    members.insert("$ref".into(), format!("#/$defs/{name}").into());
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let found: Vec<String> =
        validator.iter_errors(value).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(found.is_empty(), "{name}: {value}\n{}", found.join("\n"));
}

#[test]
fn every_line_of_a_session_is_a_message() {
    let scratch = Scratch::new();
    for directory in ["work", "ledger", "blobs"] {
        let path = scratch.path(directory);
        std::fs::create_dir_all(&path).unwrap();
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    }
    let mut child = Command::new(rectify())
        .args(["provider", "serve", "file"])
        .env("RECTIFY_PROVIDER", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let input = child.stdin.take().unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let mut session = Session { input, output, next: 0 };
    let early = session.call("resource.read", json!({"items": []}));
    assert_eq!(early["error"]["code"], -32010);
    let dirs = json!({
        "work": scratch.path("work"), "state": scratch.path("ledger"), "blobs": scratch.path("blobs"),
    });
    let greeting = json!({
        "protocol": {"min": "1.0", "max": "1.0"}, "session": "0".repeat(32), "mode": "apply",
        "frame_max_bytes": 8_388_608, "dirs": dirs,
    });
    session.call("initialize", greeting);
    session.call("configure", json!({"root": scratch.path("root")}));
    session.call("schema.get", json!({}));
    session.call("ping", json!({}));
    let item = json!({"type": "file.content", "desired": {"path": "/etc/motd", "content": "hello\n"}});
    let unknown = json!({"type": "file.nothing", "desired": {}});
    for method in ["resource.validate", "resource.normalize", "resource.read", "resource.plan"] {
        let answer = session.call(method, json!({"items": [item, unknown]}));
        let items = answer["result"]["items"].as_array().unwrap();
        assert!(items[0].get("ok").is_some() && items[1].get("error").is_some(), "{answer}");
    }
    let op = "0".repeat(64);
    session.call("op.status", json!({"op_id": op}));
    let digest = format!("blake3:{}", "0".repeat(64));
    let apply = json!({
        "op_id": op, "type": "file.content", "action": "create", "desired": item["desired"], "expect": digest,
        "deadline_ms": 1000, "fence": 1,
    });
    let answer = session.call("resource.apply", apply);
    assert_eq!(answer["result"]["error"]["code"], "STALE", "{answer}");
    session.call("blob.get", json!({"digest": digest, "offset": 0, "length": 10}));
    session.call("shutdown", json!({}));
    // The engine closes the stream then.
    drop(session);
    assert!(child.wait().unwrap().success());
}

#[test]
fn what_is_no_message_is_refused() {
    for line in [
        json!({}),
        json!([]),
        json!({"jsonrpc": "1.0", "id": 1, "method": "ping", "params": {}}),
        json!({"jsonrpc": "2.0", "id": -1, "method": "ping", "params": {}}),
        json!({"jsonrpc": "2.0", "id": 1, "method": "resource.destroy", "params": {}}),
        json!({"jsonrpc": "2.0", "id": 1, "method": "resource.read", "params": {}}),
        json!({"jsonrpc": "2.0", "id": 1, "method": "resource.read", "params": {"items": [{"type": "file"}]}}),
        json!({"jsonrpc": "2.0", "id": 1, "result": {}, "error": {"code": 1, "message": "both"}}),
        json!({"jsonrpc": "2.0", "id": 1, "error": {"code": "E", "message": "a text as code"}}),
        json!({"jsonrpc": "2.0", "id": 1, "method": "$/cancel", "params": {"id": 1}}),
        json!({"jsonrpc": "2.0", "method": "$/progress", "params": {"message": "no id"}}),
    ] {
        assert!(!takes("protocol", &line), "{line}");
    }
    // Unknown members are ignored, so that a minor version can add some.
    assert!(takes("protocol", &json!({"jsonrpc": "2.0", "id": 1, "method": "ping", "params": {"new": 1}})));
}
