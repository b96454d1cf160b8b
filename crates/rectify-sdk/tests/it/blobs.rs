//! Blobs: kept under their digest, moved in chunks.

use crate::fixture::{Home, read};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use rectify_sdk::{
    base::Digest,
    protocol::{
        ErrorCode,
        message::{BlobChunk, BlobGet, BlobPut, BlobReceived, ItemResult, Mode, method},
    },
    testing::Client,
};
use serde_json::json;
use std::{fs, os::unix::fs::PermissionsExt};

fn put(client: &mut Client, content: &[u8], from: usize, to: usize) -> Result<BlobReceived, ErrorCode> {
    let request = BlobPut {
        digest: Digest::of_bytes(content),
        offset: from as u64,
        size: content.len() as u64,
        chunk: STANDARD.encode(&content[from..to]),
    };
    let result: ItemResult<BlobReceived> = client.call(method::BLOB_PUT, &request).unwrap();
    result.into_result().map_err(|e| e.code)
}

fn get(client: &mut Client, content: &[u8]) -> Result<Vec<u8>, ErrorCode> {
    let digest = Digest::of_bytes(content);
    let mut bytes = Vec::new();
    loop {
        let request = BlobGet { digest, offset: bytes.len() as u64, length: 1_000_000 };
        let result: ItemResult<BlobChunk> = client.call(method::BLOB_GET, &request).unwrap();
        let chunk = result.into_result().map_err(|e| e.code)?;
        bytes.extend(STANDARD.decode(&chunk.chunk).unwrap());
        if bytes.len() as u64 == chunk.size {
            return Ok(bytes);
        }
    }
}

#[test]
fn a_before_image_is_private_and_named_by_its_content() {
    let home = Home::new();
    let mut client = home.session(Mode::Apply);
    let mut item = read(json!({"image": "before"}));
    item.capture = true;
    let digest = client.read(item.clone()).unwrap().before_image.unwrap();
    assert_eq!(digest, Digest::of_bytes(b"before"));
    let path = home.path(&format!("blobs/{}", digest.hex()));
    assert_eq!(fs::read(&path).unwrap(), b"before");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    // A damaged blob is written anew, and nothing else is left behind.
    fs::write(&path, b"damaged").unwrap();
    client.read(item).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"before");
    let names = fs::read_dir(home.path("blobs")).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(names.filter(|name| name != ".lock").count(), 1);
}

#[test]
fn a_blob_comes_back_as_it_went_over_a_broken_transfer() {
    let home = Home::new();
    let content: Vec<u8> = (0..1_300_000_u32).map(|i| (i % 251) as u8).collect();
    let mut first = home.session(Mode::Apply);
    let part = put(&mut first, &content, 0, 500_000).unwrap();
    assert_eq!((part.received, part.complete), (500_000, false));
    first.child().unwrap().kill().unwrap();
    first.wait_child().unwrap();
    let mut second = home.session(Mode::Apply);
    assert_eq!(get(&mut second, &content), Err(ErrorCode::Dependency));
    assert_eq!(put(&mut second, &content, 0, 500_000).unwrap().received, 500_000);
    assert_eq!(put(&mut second, &content, 900_000, 1_000_000).unwrap().received, 500_000);
    assert_eq!(put(&mut second, &content, 500_000, 1_000_000).unwrap().received, 1_000_000);
    assert!(put(&mut second, &content, 1_000_000, 1_300_000).unwrap().complete);
    assert!(put(&mut second, &content, 0, 0).unwrap().complete);
    assert_eq!(get(&mut second, &content).unwrap(), content);
    // A damaged one is not sent, not even its first chunk.
    let path = home.path(&format!("blobs/{}", Digest::of_bytes(&content).hex()));
    let mut damaged = content.clone();
    *damaged.last_mut().unwrap() ^= 1;
    fs::write(path, damaged).unwrap();
    assert_eq!(get(&mut second, &content), Err(ErrorCode::Failed));
    assert_eq!(fs::read_dir(home.path("blobs")).unwrap().count(), 1);
}

#[test]
fn a_blob_that_lies_about_its_digest_is_not_kept() {
    let home = Home::new();
    let mut client = home.session(Mode::Apply);
    let lie = |chunk: &str, size| BlobPut {
        digest: Digest::of_bytes(b"other"),
        offset: 0,
        size,
        chunk: chunk.into(),
    };
    for request in [lie(&STANDARD.encode("abc"), 3), lie("%%%", 3), lie(&STANDARD.encode("abc"), 2)] {
        let result: ItemResult<BlobReceived> = client.call(method::BLOB_PUT, &request).unwrap();
        assert_eq!(result.into_result().unwrap_err().code, ErrorCode::Schema, "{request:?}");
    }
    assert_eq!(fs::read_dir(home.path("blobs")).unwrap().count(), 0);
}
