//! Line endings, missing newlines and bytes that are no text, through the whole provider.

use crate::world::World;
use serde_json::json;

#[test]
fn crlf_files_stay_crlf() {
    let mut world = World::new();
    world.write("/c", "a\r\nb\r\n", 0o644);
    world.converge("file.line", &json!({"path": "/c", "match": "^a$", "line": "A"}));
    world.converge("file.block", &json!({"path": "/c", "marker": "{mark}", "block": "1\n2"}));
    assert_eq!(world.bytes("/c"), b"A\r\nb\r\nBEGIN\r\n1\r\n2\r\nEND\r\n");
}

#[test]
fn a_missing_last_newline_stays_missing_where_nothing_follows() {
    let mut world = World::new();
    world.write("/c", "a\nb", 0o644);
    world.converge("file.line", &json!({"path": "/c", "match": "^b", "line": "B"}));
    assert_eq!(world.bytes("/c"), b"a\nB");
    world.converge("file.line", &json!({"path": "/c", "line": "c"}));
    assert_eq!(world.bytes("/c"), b"a\nB\nc\n");
}

#[test]
fn bytes_that_are_no_text_are_kept_and_not_shown() {
    let mut world = World::new();
    world.write("/c", b"\xff\x00\xfe\nkey=1\n\x80", 0o644);
    let planned = world.converge("file.line", &json!({"path": "/c", "match": "^key=", "line": "key=2"}));
    assert_eq!(world.bytes("/c"), b"\xff\x00\xfe\nkey=2\n\x80");
    assert!(planned.planned.unwrap()["content"].get("text").is_none());
}

#[test]
fn long_texts_are_named_by_digest_only() {
    let mut world = World::new();
    world.write("/c", "x\n".repeat(40_000), 0o644);
    let planned = world.converge("file.line", &json!({"path": "/c", "line": "y"}));
    assert!(planned.prior.unwrap()["content"].get("text").is_none());
    assert!(world.bytes("/c").ends_with(b"x\ny\n"));
}
