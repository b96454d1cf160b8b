//! Blobs, moved to and from a real provider process.

use crate::{
    genuine::spec,
    support::{self, Dirs},
};
use rectify_base::{Digest, DigestKey};
use rectify_host::{Fault, Session, codes};
use rectify_protocol::{ErrorCode, message::Mode};
use std::fs;

const LIMIT: u64 = 16 * 1024 * 1024;

async fn start(dirs: &Dirs, mode: Mode) -> Session {
    let mut spec = spec(dirs, mode, "blobs");
    spec.confine = false;
    Session::start(spec).await.unwrap()
}

/// So many bytes that differ from chunk to chunk.
fn content(length: u32) -> Vec<u8> {
    (0..length).map(|n| (n % 251) as u8).collect()
}

#[tokio::test]
async fn a_blob_comes_back_as_it_went() {
    let dirs = Dirs::new();
    let session = start(&dirs, Mode::Apply).await;
    for length in [0, 1, 512 * 1024, 512 * 1024 + 1, 1_300_000] {
        let bytes = content(length);
        let digest = session.put_blob(&bytes).await.unwrap().unwrap();
        assert_eq!(digest, Digest::of_bytes(&bytes));
        assert_eq!(fs::read(dirs.base().join("blobs").join(digest.hex())).unwrap(), bytes);
        // Again, which sends nothing that is there.
        assert_eq!(session.put_blob(&bytes).await.unwrap().unwrap(), digest);
        assert_eq!(session.get_blob(&digest, LIMIT).await.unwrap().unwrap(), bytes);
    }
    session.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_broken_transfer_goes_on_where_it_stopped() {
    let dirs = Dirs::new();
    let bytes = content(1_300_000);
    let name = Digest::of_bytes(&bytes).hex();
    let session = start(&dirs, Mode::Apply).await;
    // As a session leaves it that ends after a part.
    fs::write(dirs.base().join("blobs").join(format!(".tmp-part-{name}")), &bytes[..700_000]).unwrap();
    session.put_blob(&bytes).await.unwrap().unwrap();
    assert_eq!(fs::read(dirs.base().join("blobs").join(name)).unwrap(), bytes);
    // A part with other bytes shows when the digest is checked, and is thrown away.
    let bytes = content(1_200_000);
    let name = Digest::of_bytes(&bytes).hex();
    fs::write(dirs.base().join("blobs").join(format!(".tmp-part-{name}")), vec![0; 700_000]).unwrap();
    assert_eq!(session.put_blob(&bytes).await.unwrap().unwrap_err().code, ErrorCode::Schema);
    session.put_blob(&bytes).await.unwrap().unwrap();
    assert_eq!(fs::read_dir(dirs.base().join("blobs")).unwrap().count(), 2);
    session.shutdown().await.unwrap();
}

#[tokio::test]
async fn what_is_missing_damaged_or_too_large_is_refused_and_the_session_goes_on() {
    let dirs = Dirs::new();
    let session = start(&dirs, Mode::Apply).await;
    let bytes = content(600_000);
    let missing = session.get_blob(&Digest::of_bytes(b"never sent"), LIMIT).await.unwrap();
    assert_eq!(missing.unwrap_err().code, ErrorCode::Dependency);
    let digest = session.put_blob(&bytes).await.unwrap().unwrap();
    let error = session.get_blob(&digest, 599_999).await.unwrap_err();
    assert_eq!(error.code(), codes::HOST_BLOB_TOO_LARGE);
    assert_eq!(*error.fault, Fault::BlobTooLarge { size: 600_000, limit: 599_999 });
    assert_eq!(session.get_blob(&digest, 600_000).await.unwrap().unwrap(), bytes);
    let error = session.put_blob(&vec![0; 256 * 1024 * 1024 + 1]).await.unwrap_err();
    assert_eq!(error.code(), codes::HOST_BLOB_TOO_LARGE);
    // The provider itself notices before it sends the first chunk.
    let path = dirs.base().join("blobs").join(digest.hex());
    let mut damaged = bytes.clone();
    damaged[599_999] ^= 1;
    fs::write(&path, damaged).unwrap();
    let error = session.get_blob(&digest, LIMIT).await.unwrap().unwrap_err();
    assert_eq!(error.code, ErrorCode::Failed);
    session.shutdown().await.unwrap();
}

#[tokio::test]
async fn only_a_session_that_may_change_something_takes_blobs() {
    let dirs = Dirs::new();
    let apply = start(&dirs, Mode::Apply).await;
    let digest = apply.put_blob(b"content").await.unwrap().unwrap();
    apply.shutdown().await.unwrap();
    let read = start(&dirs, Mode::Read).await;
    assert_eq!(read.get_blob(&digest, LIMIT).await.unwrap().unwrap(), b"content");
    assert_eq!(read.put_blob(b"content").await.unwrap_err().code(), codes::HOST_MODE);
    read.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_secret_is_checked_by_its_keyed_digest() {
    let dirs = Dirs::new();
    let session = Session::start(support::spec(&dirs, Mode::Apply, "blob-genuine")).await.unwrap();
    let key = DigestKey::from_bytes([7; 32]);
    let digest = key.digest(b"content");
    assert_eq!(session.get_secret_blob(&digest, &key, LIMIT).await.unwrap().unwrap(), b"content");
    assert_eq!(session.get_blob(&Digest::of_bytes(b"content"), LIMIT).await.unwrap().unwrap(), b"content");
    let plain = session.get_blob(&digest, LIMIT).await.unwrap_err();
    let other = session.get_secret_blob(&digest, &DigestKey::from_bytes([8; 32]), LIMIT).await.unwrap_err();
    assert_eq!([plain.code(), other.code()], [codes::PROVIDER_BLOB_DIGEST; 2]);
    session.shutdown().await.unwrap();
}
