//! What a session's mode allows.

use crate::fixture::{Home, operation, plan, read};
use rectify_sdk::{
    base::Digest,
    protocol::{
        ErrorCode, Mutated,
        message::{ApplyStatus, BlobPut, BlobReceived, ItemResult, Mode, method},
    },
};
use serde_json::json;
use std::fs;

#[test]
fn a_session_that_only_looks_changes_nothing() {
    for mode in [Mode::Read, Mode::Plan] {
        let home = Home::new();
        let mut client = home.session(mode);
        let op = operation("x", "run", json!({"append": home.path("out")}));
        let error = client.apply(&op).unwrap_err().item().unwrap();
        assert_eq!((error.code, error.mutated), (ErrorCode::Mode, Mutated::No));
        let mut item = read(json!({"image": "before"}));
        item.capture = true;
        assert_eq!(client.read(item).unwrap_err().item().unwrap().code, ErrorCode::Mode);
        let put = BlobPut { digest: Digest::of_bytes(b""), offset: 0, size: 0, chunk: String::new() };
        let result: ItemResult<BlobReceived> = client.call(method::BLOB_PUT, &put).unwrap();
        assert_eq!(result.into_result().unwrap_err().code, ErrorCode::Mode);
        assert!(!fs::exists(home.path("out")).unwrap());
        for dir in ["state", "blobs"] {
            assert_eq!(fs::read_dir(home.path(dir)).unwrap().count(), 0);
        }
    }
}

#[test]
fn a_session_that_only_reads_does_not_plan() {
    let home = Home::new();
    let mut client = home.session(Mode::Read);
    assert_eq!(client.plan(plan(json!({}))).unwrap_err().item().unwrap().code, ErrorCode::Mode);
}

#[test]
fn a_session_that_changes_does_it_all() {
    let home = Home::new();
    let mut client = home.session(Mode::Apply);
    client.plan(plan(json!({}))).unwrap();
    let op = operation("x", "run", json!({"append": home.path("out")}));
    assert_eq!(client.apply(&op).unwrap().status, ApplyStatus::Applied);
    assert_eq!(fs::read_to_string(home.path("out")).unwrap(), "ran\n");
}
