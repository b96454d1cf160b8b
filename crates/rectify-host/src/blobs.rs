//! Contents too large for a message: moved in chunks, checked by digest on both sides.

use crate::{
    error::{Fault, HostError},
    session::{Session, decode},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use rectify_base::{ContentHasher, Digest, DigestKey, limits::FILE_CONTENT_MAX_BYTES};
use rectify_protocol::{
    ItemError,
    message::{BlobChunk, BlobGet, BlobPut, BlobReceived, ItemResult, Mode, method},
};
use serde::{Serialize, de::DeserializeOwned};
use std::time::Duration;

/// Longest chunk of a transfer.
const CHUNK_BYTES: usize = 512 * 1024;
/// Longest time for one chunk: the last one is answered when the blob is on the disk and checked.
const CHUNK_TIME: Duration = Duration::from_secs(60);

impl Session {
    /// Puts a blob into the session's blob directory, and returns its digest. What a broken transfer
    /// left there is not sent again. Only in mode `apply`.
    ///
    /// # Errors
    /// [`HostError`], with [`Fault::BlobTooLarge`] for more than
    /// [`FILE_CONTENT_MAX_BYTES`]. The inner error is the provider's own, `BUSY` among them.
    pub async fn put_blob(&self, bytes: &[u8]) -> Result<Result<Digest, ItemError>, HostError> {
        const METHOD: &str = method::BLOB_PUT;
        if self.mode() != Mode::Apply {
            return Err(self.forbidden(METHOD));
        }
        let size = bytes.len() as u64;
        if size > FILE_CONTENT_MAX_BYTES {
            return Err(self.error(METHOD, Fault::BlobTooLarge { size, limit: FILE_CONTENT_MAX_BYTES }));
        }
        let digest = Digest::of_bytes(bytes);
        let mut offset = 0;
        // A jump back to where a broken transfer stopped is no circle; one for each chunk is.
        for _ in 0..2 * (bytes.len() / CHUNK_BYTES) + 3 {
            let chunk = bytes.get(offset..).unwrap_or_default();
            let chunk = STANDARD.encode(chunk.get(..CHUNK_BYTES).unwrap_or(chunk));
            let request = BlobPut { digest, offset: offset as u64, size, chunk };
            let received: BlobReceived = match self.chunk(METHOD, &request).await? {
                Ok(received) => received,
                Err(error) => return Ok(Err(error)),
            };
            if received.complete && received.received == size {
                return Ok(Ok(digest));
            }
            match usize::try_from(received.received) {
                Ok(next) if !received.complete && (next < bytes.len() || bytes.is_empty()) => offset = next,
                _ => return Err(self.shape(METHOD, "it has more of the blob than there is").await),
            }
        }
        Err(self.shape(METHOD, "it never has the whole blob").await)
    }

    /// Fetches a blob of at most `limit` bytes from the session's blob directory, and checks that it
    /// has its digest.
    ///
    /// # Errors
    /// [`HostError`], with [`Fault::BlobTooLarge`] for more than `limit` or
    /// [`FILE_CONTENT_MAX_BYTES`], and [`Fault::BlobDigest`] for other bytes. The inner error is the
    /// provider's own: `DEPENDENCY` where there is no such blob, `FAILED` where it is damaged.
    pub async fn get_blob(
        &self,
        digest: &Digest,
        limit: u64,
    ) -> Result<Result<Vec<u8>, ItemError>, HostError> {
        self.fetch(digest, None, limit).await
    }

    /// As [`Session::get_blob`], for a blob that was kept under its keyed digest.
    ///
    /// # Errors
    /// See there.
    pub async fn get_secret_blob(
        &self,
        digest: &Digest,
        key: &DigestKey,
        limit: u64,
    ) -> Result<Result<Vec<u8>, ItemError>, HostError> {
        self.fetch(digest, Some(key), limit).await
    }

    async fn fetch(
        &self,
        digest: &Digest,
        key: Option<&DigestKey>,
        limit: u64,
    ) -> Result<Result<Vec<u8>, ItemError>, HostError> {
        const METHOD: &str = method::BLOB_GET;
        let limit = limit.min(FILE_CONTENT_MAX_BYTES);
        let mut hasher = ContentHasher::new(key);
        let mut bytes = Vec::new();
        let mut announced = None;
        loop {
            let (offset, length) = (bytes.len() as u64, CHUNK_BYTES as u64);
            let request = BlobGet { digest: *digest, offset, length };
            let BlobChunk { size, chunk } = match self.chunk(METHOD, &request).await? {
                Ok(chunk) => chunk,
                Err(error) => return Ok(Err(error)),
            };
            if size > limit {
                return Err(self.error(METHOD, Fault::BlobTooLarge { size, limit }));
            }
            if *announced.get_or_insert(size) != size {
                return Err(self.shape(METHOD, "the size of the blob changes").await);
            }
            let Ok(chunk) = STANDARD.decode(&chunk) else {
                return Err(self.shape(METHOD, "the chunk is not base64").await);
            };
            let left = size - offset;
            if chunk.len() as u64 > left.min(length) || (chunk.is_empty() && left > 0) {
                return Err(self.shape(METHOD, "the chunk has another length than was asked for").await);
            }
            hasher.update(&chunk);
            bytes.extend(chunk);
            if bytes.len() as u64 == size {
                break;
            }
        }
        let (plain, keyed) = hasher.digests();
        let found = keyed.unwrap_or(plain);
        if found != *digest {
            return Err(self.error(METHOD, Fault::BlobDigest { expected: *digest, found }));
        }
        Ok(Ok(bytes))
    }

    async fn chunk<T: DeserializeOwned>(
        &self,
        method: &'static str,
        request: &impl Serialize,
    ) -> Result<Result<T, ItemError>, HostError> {
        let body = self.call(method, request, CHUNK_TIME).await?;
        match decode::<ItemResult<T>>(&body) {
            Ok(result) => Ok(result.into_result()),
            Err(fault) => Err(self.fatal(method, fault).await),
        }
    }

    async fn shape(&self, method: &'static str, what: &str) -> HostError {
        self.fatal(method, Fault::AnswerShape(what.into())).await
    }
}
