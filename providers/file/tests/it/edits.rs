//! Line endings, missing newlines and bytes that are no text, through the whole provider.

use crate::world::World;
use rectify_sdk::protocol::ErrorCode;
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

/// Bytes at the edges of what a text file may be, through the whole provider.
#[test]
fn odd_texts_are_edited_and_brought_back() {
    let mut world = World::new();
    let long = "x".repeat(1_000_000);
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (b"".to_vec(), "b\n"),
        (b"a".to_vec(), "a\nb\n"),
        (b"\n".to_vec(), "\nb\n"),
        (b"a\r\n".to_vec(), "a\r\nb\r\n"),
        (b"a\r\nc".to_vec(), "a\r\nc\r\nb\r\n"),
        (b"a\r".to_vec(), "a\r\nb\r\n"),
        (b"\xef\xbb\xbfa\n".to_vec(), "\u{feff}a\nb\n"),
        (b"a\0\n".to_vec(), "a\0\nb\n"),
    ];
    for (before, after) in cases {
        let desired = json!({"path": "/c", "line": "b"});
        world.write("/c", &before, 0o644);
        let planned = world.converge("file.line", &desired);
        assert_eq!(world.bytes("/c"), after.as_bytes());
        let inverse = world.inverse("file.line", &desired, &planned);
        world.apply(&inverse).unwrap();
        assert_eq!(world.bytes("/c"), before);
    }
    world.write("/c", format!("{long}\nPort 1\n"), 0o644);
    let port = json!({"path": "/c", "match": "^Port", "line": "Port 2"});
    let planned = world.converge("file.line", &port);
    assert_eq!(world.bytes("/c"), format!("{long}\nPort 2\n").into_bytes());
    assert!(planned.planned.unwrap()["content"].get("text").is_none(), "too long to be shown");
}

#[test]
fn a_file_of_too_many_lines_is_not_edited() {
    let mut world = World::new();
    world.write("/c", vec![b'\n'; 4_000_001], 0o644);
    let error = world.plan("file.line", &json!({"path": "/c", "line": "b"})).unwrap_err();
    assert_eq!((error.code, error.path.as_deref()), (ErrorCode::Unsupported, Some("/path")));
    assert!(error.message.contains("lines"), "{error}");
    world.converge("file.content", &json!({"path": "/c", "content": "b\n"}));
}

/// Set-id bits, attributes and other names of a file that is replaced.
#[test]
fn what_a_file_has_beside_its_content_stays() {
    let mut world = World::new();
    world.write("/c", "a\n", 0o4755);
    let attribute =
        rustix::fs::setxattr(world.at("/c"), "user.note", b"kept", rustix::fs::XattrFlags::empty());
    std::fs::hard_link(world.at("/c"), world.at("/other")).unwrap();
    let planned = world.converge("file.line", &json!({"path": "/c", "line": "b"}));
    assert_eq!(planned.undo, "lossy");
    assert_eq!((world.mode_of("/c"), world.bytes("/other")), (0o4755, b"a\n".to_vec()));
    if attribute.is_ok() {
        let mut value = [0; 16];
        let length = rustix::fs::getxattr(world.at("/c"), "user.note", &mut value).unwrap();
        assert_eq!(&value[..length], b"kept");
    }
}
