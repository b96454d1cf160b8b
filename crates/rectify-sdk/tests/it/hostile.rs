//! Bytes that no engine would send, and providers that no one would want.

use crate::fixture::{Home, operation, read};
use rectify_sdk::{
    protocol::{
        ErrorCode, Frame, Mutated,
        error::rpc,
        message::{Mode, Pong, method},
    },
    testing::{CallError, Client},
};
use serde_json::json;

/// The next frame is a failure without id and with this code; then the session goes on.
fn expect_failure(client: &mut Client, code: i64, what: &str) {
    let frame = client.receive().unwrap();
    assert_eq!((frame.id, frame.error.map(|e| e.code)), (None, Some(code)), "{what}");
    client.read(read(json!({"size": 1}))).unwrap();
}

#[test]
fn lines_that_are_no_json_are_refused_and_survived() {
    let home = Home::new();
    let mut client = home.session(Mode::Read);
    let deep = format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000));
    let lines: [&[u8]; 9] = [
        b"Last login: Tue",
        b"\x00\xff\xfe garbage",
        deep.as_bytes(),
        br#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#,
        br#"{"jsonrpc":"2.0","id":7,"method":"resource.read","params":{"items":[{"type":"test.thing","desired":{"a":1,"a":2}}]}}"#,
        br#"{"jsonrpc":"2.0","id":8,"method":"ping","params":{"a":NaN}}"#,
        br#"{"jsonrpc":"2.0","id":9,"method":"ping","params":{"a":9007199254740992}}"#,
        br#"{"jsonrpc":"2.0","id":9,"method":"ping","params":{"a":"\ud800"}}"#,
        b"{\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"p\xc3\x28\"}",
    ];
    for line in lines {
        client.send_raw(&[line, b"\n"].concat()).unwrap();
        expect_failure(&mut client, rpc::PARSE, &String::from_utf8_lossy(&line[..line.len().min(60)]));
    }
}

#[test]
fn json_that_is_no_request_is_refused_and_survived() {
    let home = Home::new();
    let mut client = home.session(Mode::Read);
    for line in [
        "[]",
        "17",
        r#"{"id":1,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":"x","method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":-1,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{}}"#,
    ] {
        client.send_raw(format!("{line}\n").as_bytes()).unwrap();
        expect_failure(&mut client, rpc::INVALID_REQUEST, line);
    }
}

#[test]
fn unknown_methods_and_wrong_parameters_have_their_codes() {
    let home = Home::new();
    let mut client = home.session(Mode::Read);
    for (name, params, code) in [
        ("foo.bar", json!({}), rpc::METHOD_NOT_FOUND),
        ("resource.read", json!({"items": 3}), rpc::INVALID_PARAMS),
        ("resource.read", json!({"items": [{"type": "Nonsense", "desired": {}}]}), rpc::INVALID_PARAMS),
        ("op.status", json!({"op_id": "../../etc/passwd"}), rpc::INVALID_REQUEST),
    ] {
        match client.call::<_, serde_json::Value>(name, &params) {
            Err(CallError::Rpc(error)) => assert_eq!(error.code, code, "{name} {params}"),
            other => panic!("{name} {params}: {other:?}"),
        }
    }
    // Unknown members of the envelope are for later minor versions; unknown notifications too.
    client.notify("$/later", &json!({})).unwrap();
    client.send_raw(b"{\"jsonrpc\":\"2.0\",\"id\":77,\"method\":\"ping\",\"later\":true}\n").unwrap();
    let _: Pong = client.answer(77).unwrap();
}

#[test]
fn a_type_that_the_provider_does_not_have_is_unsupported() {
    let home = Home::new();
    let mut client = home.session(Mode::Read);
    let mut item = read(json!({}));
    item.type_name = "other.thing".parse().unwrap();
    assert_eq!(client.read(item).unwrap_err().item().unwrap().code, ErrorCode::Unsupported);
}

#[test]
fn a_line_beyond_the_limit_is_refused_while_it_is_read() {
    let home = Home::new();
    let mut client = home.session(Mode::Read);
    let chunk = vec![b'a'; 1024 * 1024];
    for _ in 0..9 {
        client.send_raw(&chunk).unwrap();
    }
    client.send_raw(b"\n").unwrap();
    expect_failure(&mut client, rpc::TOO_LARGE, "9 MiB");
    let id = client.child().unwrap().id();
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let peak = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap();
    let peak_kib: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(peak_kib < 2 * 8 * 1024 + 16 * 1024, "{peak_kib} KiB");
}

#[test]
fn an_answer_beyond_the_limit_is_replaced_by_its_reason() {
    let home = Home::new();
    let mut client = home.session(Mode::Read);
    match client.read(read(json!({"size": 9 * 1024 * 1024}))) {
        Err(CallError::Rpc(error)) => assert_eq!(error.code, rpc::TOO_LARGE),
        other => panic!("{other:?}"),
    }
    client.read(read(json!({"size": 1}))).unwrap();
}

#[test]
fn frames_may_come_in_pieces_or_many_at_once() {
    let home = Home::new();
    let mut client = home.session(Mode::Read);
    let request = Frame::request(500, method::PING, &json!({})).unwrap().to_line().unwrap();
    for byte in request {
        client.send_raw(&[byte]).unwrap();
    }
    let _: Pong = client.answer(500).unwrap();
    let mut many = b"\n\n".to_vec();
    for id in 1_000..2_000 {
        many.extend(Frame::request(id, method::PING, &json!({})).unwrap().to_line().unwrap());
    }
    client.send_raw(&many).unwrap();
    for id in 1_000..2_000 {
        let _: Pong = client.answer(id).unwrap();
    }
}

#[test]
fn an_id_that_is_under_way_cannot_be_used_again() {
    let home = Home::new();
    let mut client = home.session(Mode::Read);
    let slow = json!({"items": [{"type": "test.thing", "desired": {"ms": 300}}]});
    let line = Frame::request(40, method::READ, &slow).unwrap().to_line().unwrap();
    client.send_raw(&line).unwrap();
    client.send_raw(&line).unwrap();
    let refused = client.receive().unwrap();
    assert_eq!((refused.id, refused.error.unwrap().code), (None, rpc::INVALID_REQUEST));
    let _: serde_json::Value = client.answer(40).unwrap();
    let _: Pong = client.call(method::PING, &json!({})).unwrap();
}

#[test]
fn a_panic_is_an_honest_error_and_the_session_goes_on() {
    let home = Home::new();
    let mut client = home.session(Mode::Apply);
    let error = client.read(read(json!({"panic": true}))).unwrap_err().item().unwrap();
    assert_eq!((error.code, error.mutated), (ErrorCode::Internal, Mutated::No));
    let op = operation("panic", "update", json!({"panic": true}));
    let error = client.apply(&op).unwrap_err().item().unwrap();
    assert_eq!((error.code, error.mutated), (ErrorCode::Internal, Mutated::Maybe));
    assert!(!error.message.contains("asked to panic"), "{error}");
    client.read(read(json!({}))).unwrap();
}

#[test]
fn stray_prints_and_children_cannot_touch_the_stream() {
    let home = Home::new();
    let mut client = home.session(Mode::Read);
    for _ in 0..3 {
        let id = client.send(method::READ, &json!({"items": [read(json!({"print": true}))]})).unwrap();
        let frame = client.receive().unwrap();
        assert_eq!(frame.id, Some(id));
        assert!(frame.result.unwrap().get().contains("items"));
    }
}
