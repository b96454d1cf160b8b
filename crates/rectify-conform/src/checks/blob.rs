//! Contents in chunks.

use crate::{
    bed::Bed,
    kit::Scene,
    outcome::{Check, ensure, fail},
    session::{Session, typed},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use rectify_base::Digest;
use rectify_protocol::{
    ErrorCode, ItemError,
    message::{BlobChunk, BlobReceived, ItemResult, Mode, method},
};
use serde_json::json;

const SIZE: usize = 700_000;
const CHUNK: usize = 512 * 1024;

fn put(
    session: &mut Session<'_>,
    digest: &Digest,
    offset: usize,
    size: usize,
    chunk: &[u8],
) -> Check<Result<BlobReceived, ItemError>> {
    let params = json!({"digest": digest, "offset": offset, "size": size, "chunk": STANDARD.encode(chunk)});
    let answer = session.get(method::BLOB_PUT, &params)?;
    Ok(typed::<ItemResult<BlobReceived>>(method::BLOB_PUT, answer)?.into_result())
}

fn get(session: &mut Session<'_>, digest: &Digest, offset: usize) -> Check<Result<BlobChunk, ItemError>> {
    let answer =
        session.get(method::BLOB_GET, &json!({"digest": digest, "offset": offset, "length": CHUNK}))?;
    Ok(typed::<ItemResult<BlobChunk>>(method::BLOB_GET, answer)?.into_result())
}

pub(crate) fn k05(scene: &Scene<'_>) -> Check {
    let bed = Bed::make(scene.kit, None)?;
    let mut session = bed.session(Mode::Apply)?;
    let content: Vec<u8> = (0..SIZE).map(|at| u8::try_from(at * 7 % 251).unwrap_or(0)).collect();
    let digest = Digest::of_bytes(&content);
    let part = |from: usize, to: usize| content.get(from..to).unwrap_or_default();
    let received = |answer: Result<BlobReceived, ItemError>, bytes: usize, complete: bool| match answer {
        Ok(BlobReceived { received, complete: whole }) => {
            ensure!(
                received == bytes as u64 && whole == complete,
                "of a blob {received} bytes are there (complete: {whole}), not {bytes} (complete: {complete})"
            );
            Ok(())
        }
        Err(error) => fail(format!("a chunk is refused: {:?}: {}", error.code, error.message)),
    };
    received(put(&mut session, &digest, 0, SIZE, part(0, CHUNK))?, CHUNK, false)?;
    // Sent before; and too early.
    received(put(&mut session, &digest, 0, SIZE, part(0, 100))?, CHUNK, false)?;
    received(put(&mut session, &digest, CHUNK + 5, SIZE, part(CHUNK + 5, SIZE))?, CHUNK, false)?;
    session.end()?;
    // Taken up again by another process.
    let mut session = bed.session(Mode::Apply)?;
    received(put(&mut session, &digest, CHUNK, SIZE, part(CHUNK, SIZE))?, SIZE, true)?;
    let name = format!("blobs/{}", digest.hex());
    ensure!(bed.file(&name)?.as_deref() == Some(&content[..]), "the blob is not in its file, as it was sent");
    let mode = bed.kit.host.sh(&format!("stat -c %a {}", crate::host::quote(&bed.path(&name))))?;
    ensure!(mode.trim() == "600", "a blob has the mode {}", mode.trim());
    let mut back = Vec::new();
    while back.len() < SIZE {
        let chunk = match get(&mut session, &digest, back.len())? {
            Ok(chunk) => chunk,
            Err(error) => {
                return fail(format!("a blob is not given back: {:?}: {}", error.code, error.message));
            }
        };
        ensure!(chunk.size == SIZE as u64, "a blob's size is {}", chunk.size);
        match STANDARD.decode(&chunk.chunk) {
            Ok(bytes) if bytes.len() == CHUNK.min(SIZE - back.len()) => back.extend(bytes),
            Ok(bytes) => {
                return fail(format!("a chunk has {} bytes, not those that were asked for", bytes.len()));
            }
            Err(_) => return fail("a chunk is not base64"),
        }
    }
    ensure!(back == content, "a blob comes back with other bytes");
    let wrong = Digest::of_bytes(b"something else");
    match put(&mut session, &wrong, 0, 5, b"wrong")? {
        Err(error) if error.code == ErrorCode::Schema => {}
        Err(error) => return fail(format!("a blob with another digest is answered by {:?}", error.code)),
        Ok(_) => return fail("a blob with another digest is taken"),
    }
    ensure!(bed.file(&format!("blobs/{}", wrong.hex()))?.is_none(), "a blob with another digest was kept");
    match get(&mut session, &wrong, 0)? {
        Err(error) if error.code == ErrorCode::Dependency => {}
        Err(error) => return fail(format!("a blob that is not there is answered by {:?}", error.code)),
        Ok(_) => return fail("a blob that is not there is given out"),
    }
    bed.write(&name, b"damaged")?;
    match get(&mut session, &digest, 0)? {
        Err(error) if error.code == ErrorCode::Failed => {}
        Err(error) => return fail(format!("a damaged blob is answered by {:?}", error.code)),
        Ok(_) => return fail("a damaged blob is given out"),
    }
    session.end()
}
