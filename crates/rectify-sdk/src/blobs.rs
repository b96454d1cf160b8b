//! Content-addressed blobs: `<blake3 hex>` in the session's blob directory, mode 0600. The name of
//! what others may not read is its keyed digest, so that nothing that names a blob gives away more
//! than a state does.

use crate::durable;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use rectify_base::{ContentHasher, Digest, DigestKey, limits::FILE_CONTENT_MAX_BYTES};
use rectify_protocol::{
    ErrorCode, ItemError,
    message::{BlobChunk, BlobGet, BlobPut, BlobReceived, Directories},
};
use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// How much of a before-image is in memory at a time.
const PIECE_BYTES: usize = 128 * 1024;
/// How much is read at first: most are no longer.
const FIRST_PIECE_BYTES: usize = 8 * 1024;
/// Longest chunk of a transfer.
const CHUNK_MAX_BYTES: u64 = 512 * 1024;

pub(crate) fn directory(dirs: &Directories) -> Result<PathBuf, ItemError> {
    if dirs.blobs.is_empty() {
        return Err(ItemError::new(ErrorCode::Unsupported, "this session has no directory for blobs"));
    }
    Ok(PathBuf::from(&dirs.blobs))
}

fn failed(what: &str) -> impl Fn(io::Error) -> ItemError + '_ {
    move |e| ItemError::new(ErrorCode::Failed, format!("{what}: {e}"))
}

/// Something that was kept and is not durable before it is [settled](settle).
#[derive(Debug)]
pub(crate) struct Kept(File);

/// Keeps bytes.
pub(crate) fn keep(dir: &Path, bytes: &[u8]) -> Result<(Digest, Kept), ItemError> {
    if bytes.len() as u64 > FILE_CONTENT_MAX_BYTES {
        return Err(ItemError::new(
            ErrorCode::Unsupported,
            format!("a before-image of {} bytes is longer than {FILE_CONTENT_MAX_BYTES}", bytes.len()),
        ));
    }
    keep_from(dir, &mut &*bytes, None)
}

/// Makes what was kept durable, contents before names. All of them are written by then, so the disk takes
/// neighbours together.
pub(crate) fn settle(dir: &Path, kept: &[Kept]) -> Result<(), ItemError> {
    let synced = kept.iter().try_for_each(|Kept(file)| file.sync_all());
    synced.and_then(|()| durable::sync_directory(dir)).map_err(failed("the before-image cannot be kept"))
}

/// Keeps what a reader gives, piece by piece; under its keyed digest if there is a key.
pub(crate) fn keep_from(
    dir: &Path,
    reader: &mut dyn Read,
    key: Option<&DigestKey>,
) -> Result<(Digest, Kept), ItemError> {
    let error = failed("the before-image cannot be kept");
    let mut hasher = ContentHasher::new(key);
    let mut piece = Vec::with_capacity(FIRST_PIECE_BYTES);
    (&mut *reader).take(FIRST_PIECE_BYTES as u64).read_to_end(&mut piece).map_err(&error)?;
    hasher.update(&piece);
    let name = |hasher: ContentHasher| {
        let (plain, keyed) = hasher.digests();
        keyed.unwrap_or(plain)
    };
    // What is there is used only if it is whole: a damaged blob could not undo anything.
    if piece.len() < FIRST_PIECE_BYTES {
        let digest = name(hasher);
        let whole = |there: &mut File| is_whole(there, &digest, key);
        let placed = durable::place_short(dir, &digest.hex(), &piece, whole);
        return placed.map(|file| (digest, Kept(file))).map_err(&error);
    }
    let mut file = durable::beside(dir, &piece).map_err(&error)?;
    let mut length = piece.len() as u64;
    piece.resize(PIECE_BYTES, 0);
    loop {
        let read = match reader.read(&mut piece) {
            Ok(count) => piece.get(..count).unwrap_or_default(),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(error(e)),
        };
        if read.is_empty() {
            break;
        }
        length += read.len() as u64;
        if length > FILE_CONTENT_MAX_BYTES {
            return Err(ItemError::new(
                ErrorCode::Unsupported,
                format!("a before-image is at most {FILE_CONTENT_MAX_BYTES} bytes long"),
            ));
        }
        hasher.update(read);
        file.write_all(read).map_err(&error)?;
    }
    let digest = name(hasher);
    let whole = |there: &mut File| is_whole(there, &digest, key);
    let placed = durable::place(dir, &digest.hex(), file, whole);
    placed.map(|file| (digest, Kept(file))).map_err(&error)
}

pub(crate) fn read(dir: PathBuf, digest: &Digest, key: Option<&DigestKey>) -> Result<Vec<u8>, ItemError> {
    let bytes = durable::read_if_exists(&dir.join(digest.hex()))
        .map_err(failed("the blob cannot be read"))?
        .ok_or_else(|| missing(digest))?;
    let found = key.map_or_else(|| Digest::of_bytes(&bytes), |key| key.digest(&bytes));
    if found != *digest {
        return Err(damaged(digest));
    }
    Ok(bytes)
}

fn damaged(digest: &Digest) -> ItemError {
    ItemError::new(ErrorCode::Failed, format!("the blob {digest} is damaged"))
}

/// Whether a file has the content that the digest names.
fn is_whole(file: &mut File, digest: &Digest, key: Option<&DigestKey>) -> io::Result<bool> {
    let mut hasher = ContentHasher::new(key);
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => hasher.update(buffer.get(..count).unwrap_or_default()),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    let (plain, keyed) = hasher.digests();
    Ok(plain == *digest || keyed == Some(*digest))
}

fn missing(digest: &Digest) -> ItemError {
    ItemError::new(ErrorCode::Dependency, format!("the content {digest} is not kept here (any more)"))
        .hint("before-images are deleted when their retention ends (`undo.keep_days` in the trust file)")
}

/// Takes one chunk. Chunks of one blob come in order, each after the answer to the one before; the
/// answer says how much is there, so a transfer can go on after a break.
pub(crate) fn put(dir: &Path, request: &BlobPut) -> Result<BlobReceived, ItemError> {
    let error = failed("the blob cannot be stored");
    let refuse = |message: String, path: &str| Err(ItemError::new(ErrorCode::Schema, message).at(path));
    if request.size > FILE_CONTENT_MAX_BYTES {
        return refuse(format!("a blob is at most {FILE_CONTENT_MAX_BYTES} bytes long"), "/size");
    }
    let Ok(chunk) = STANDARD.decode(&request.chunk) else {
        return refuse("the chunk is not base64".into(), "/chunk");
    };
    let end = request.offset.saturating_add(chunk.len() as u64);
    if chunk.len() as u64 > CHUNK_MAX_BYTES || end > request.size {
        return refuse(
            format!("a chunk is at most {CHUNK_MAX_BYTES} bytes long and lies within the blob"),
            "/chunk",
        );
    }
    if read(dir.to_path_buf(), &request.digest, None).is_ok() {
        return Ok(BlobReceived { received: request.size, complete: true });
    }
    let part = dir.join(format!("{}part-{}", durable::UNFINISHED, request.digest.hex()));
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&part)
        .map_err(&error)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(ItemError::new(ErrorCode::Busy, "another chunk of this blob is being stored"));
        }
        Err(TryLockError::Error(e)) => return Err(error(e)),
    }
    // Whoever finished the blob meanwhile renamed the file that was opened above.
    let own = file.metadata().map_err(&error)?;
    if fs::metadata(&part).map_or(true, |named| (named.dev(), named.ino()) != (own.dev(), own.ino())) {
        return Err(ItemError::new(ErrorCode::Busy, "another chunk of this blob was stored"));
    }
    let mut there = own.len();
    if there > request.size {
        file.set_len(0).map_err(&error)?;
        there = 0;
    }
    // A chunk that was sent before, or too early, is not written; the answer says where to go on.
    if request.offset == there {
        file.seek(SeekFrom::Start(there)).map_err(&error)?;
        file.write_all(&chunk).map_err(&error)?;
        there = end;
    }
    if there < request.size {
        return Ok(BlobReceived { received: there, complete: false });
    }
    file.sync_all().map_err(&error)?;
    let bytes = fs::read(&part).map_err(&error)?;
    if Digest::of_bytes(&bytes) != request.digest {
        fs::remove_file(&part).map_err(&error)?;
        return refuse("the blob does not have the digest it was announced with".into(), "/digest");
    }
    fs::rename(&part, dir.join(request.digest.hex())).map_err(&error)?;
    durable::sync_directory(dir).map_err(&error)?;
    Ok(BlobReceived { received: there, complete: true })
}

/// Gives out one chunk. With the first one the whole blob is checked, under the digest or the keyed
/// digest that names it: a damaged one is not sent at all.
pub(crate) fn get(dir: &Path, request: &BlobGet, key: Option<&DigestKey>) -> Result<BlobChunk, ItemError> {
    let error = failed("the blob cannot be read");
    let mut file = match File::open(dir.join(request.digest.hex())) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(missing(&request.digest)),
        Err(e) => return Err(error(e)),
    };
    let size = file.metadata().map_err(&error)?.len();
    if request.offset == 0 && !is_whole(&mut file, &request.digest, key).map_err(&error)? {
        return Err(damaged(&request.digest));
    }
    let mut chunk = Vec::new();
    if request.offset < size {
        file.seek(SeekFrom::Start(request.offset)).map_err(&error)?;
        file.take(request.length.min(CHUNK_MAX_BYTES)).read_to_end(&mut chunk).map_err(&error)?;
    }
    Ok(BlobChunk { size, chunk: STANDARD.encode(chunk) })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_secret_is_named_and_checked_by_its_keyed_digest() {
        let home = tempfile::tempdir().unwrap();
        let dir = || home.path().to_path_buf();
        let key = DigestKey::from_bytes([1; 32]);
        let bytes = vec![b'x'; PIECE_BYTES + 1];
        let keep = |key| keep_from(&dir(), &mut bytes.as_slice(), key).unwrap().0;
        let (plain, secret) = (keep(None), keep(Some(&key)));
        assert_eq!((plain, secret), (Digest::of_bytes(&bytes), key.digest(&bytes)));
        // Again: what is there is replaced by the same.
        assert_eq!(keep(Some(&key)), secret);
        let names = fs::read_dir(dir()).unwrap().map(|entry| entry.unwrap().file_name());
        assert_eq!(names.filter(|name| !name.to_string_lossy().starts_with('.')).count(), 2);
        assert_eq!(read(dir(), &secret, Some(&key)).unwrap(), bytes);
        assert_eq!(read(dir(), &plain, None).unwrap(), bytes);
        let other = DigestKey::from_bytes([2; 32]);
        for error in [read(dir(), &secret, None), read(dir(), &secret, Some(&other))] {
            assert_eq!(error.unwrap_err().code, ErrorCode::Failed);
        }
        let mode = fs::metadata(dir().join(secret.hex())).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn contents_of_all_lengths_are_kept_whole_and_damaged_ones_are_replaced() {
        let home = tempfile::tempdir().unwrap();
        for length in [0, 1, FIRST_PIECE_BYTES - 1, FIRST_PIECE_BYTES, FIRST_PIECE_BYTES + 1, PIECE_BYTES + 1]
        {
            let bytes = vec![b'x'; length];
            let keep = || keep(home.path(), &bytes).unwrap();
            let (digest, first) = keep();
            assert_eq!(digest, Digest::of_bytes(&bytes));
            settle(home.path(), &[first, keep().1]).unwrap();
            let path = home.path().join(digest.hex());
            assert_eq!(fs::read(&path).unwrap(), bytes);
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            // As after a crash between the name and the content.
            fs::write(&path, &[b'x'; 2 * PIECE_BYTES][..length / 2]).unwrap();
            settle(home.path(), &[keep().1]).unwrap();
            assert_eq!(read(home.path().into(), &digest, None).unwrap(), bytes);
        }
        let names = fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().file_name());
        assert_eq!(names.filter(|name| !name.to_string_lossy().starts_with('.')).count(), 6);
    }

    #[test]
    fn what_cannot_be_read_to_its_end_leaves_nothing() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("broken"))
            }
        }
        let home = tempfile::tempdir().unwrap();
        let error = keep_from(home.path(), &mut io::Cursor::new(b"x").chain(Broken), None).unwrap_err();
        assert_eq!(error.code, ErrorCode::Failed);
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
    }
}
