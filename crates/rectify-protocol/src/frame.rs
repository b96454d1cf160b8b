//! Frames: one JSON object a line. Empty lines are legal. A reader bounds the line while reading.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, value::RawValue};
use std::io::{self, BufRead};

/// One message, in either direction. `id` and `method`: a request; `method` alone: a notification;
/// `id` alone: a response with `result` or `error`.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Frame {
    /// Always `2.0`.
    pub jsonrpc: String,
    /// Number of the request; assigned by the engine, never reused in a session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<u64>,
    /// Name of the method.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Parameters of a request or notification.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub params: Option<Box<RawValue>>,
    /// Result of a request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Box<RawValue>>,
    /// Failure of a request as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<RpcError>,
}

/// Failure of a request as a whole; nothing was done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[error("{message} ({code})")]
pub struct RpcError {
    /// One of [`crate::error::rpc`].
    pub code: i64,
    /// What went wrong.
    pub message: String,
    /// Detail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
}

/// Why a line is not a frame.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The line is longer than the limit. The rest of it was skipped.
    #[error("a line is longer than {limit} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// The line is not a JSON object of the expected shape.
    #[error("a line is not a protocol message: {0}")]
    Syntax(#[from] serde_json::Error),
    /// The pipe failed.
    #[error("the pipe failed: {0}")]
    Io(#[from] io::Error),
}

fn raw<T: Serialize>(value: &T) -> Result<Box<RawValue>, serde_json::Error> {
    serde_json::value::to_raw_value(value)
}

impl Frame {
    /// A request.
    ///
    /// # Errors
    /// When the parameters cannot be written as JSON.
    pub fn request<T: Serialize>(id: u64, method: &str, params: &T) -> Result<Self, serde_json::Error> {
        Ok(Self { id: Some(id), ..Self::notification(method, params)? })
    }

    /// A notification.
    ///
    /// # Errors
    /// When the parameters cannot be written as JSON.
    pub fn notification<T: Serialize>(method: &str, params: &T) -> Result<Self, serde_json::Error> {
        Ok(Self {
            jsonrpc: "2.0".into(),
            method: Some(method.into()),
            params: Some(raw(params)?),
            ..Self::default()
        })
    }

    /// The answer to a request.
    ///
    /// # Errors
    /// When the result cannot be written as JSON.
    pub fn response<T: Serialize>(id: u64, result: &T) -> Result<Self, serde_json::Error> {
        Ok(Self { jsonrpc: "2.0".into(), id: Some(id), result: Some(raw(result)?), ..Self::default() })
    }

    /// A request's failure as a whole. Without `id` where the request could not be read.
    #[must_use]
    pub fn failure(id: Option<u64>, error: RpcError) -> Self {
        Self { jsonrpc: "2.0".into(), id, error: Some(error), ..Self::default() }
    }

    /// The bytes to send, newline included.
    ///
    /// # Errors
    /// Never for frames made by this type's functions.
    pub fn to_line(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut line = serde_json::to_vec(self)?;
        line.push(b'\n');
        Ok(line)
    }

    /// Reads the parameters, or the result of a response.
    ///
    /// # Errors
    /// When they have another shape.
    pub fn decode<T: DeserializeOwned>(body: Option<&RawValue>) -> Result<T, serde_json::Error> {
        serde_json::from_str(body.map_or("null", RawValue::get))
    }
}

/// Reads the next line that is not empty into `line`, without its newline, never keeping more than
/// `limit` bytes. Returns whether there was one; `false` means the end of the stream.
///
/// # Errors
/// [`FrameError::TooLarge`] after skipping the rest of the line, so that the next call reads the
/// next line; [`FrameError::Io`].
pub fn read_line(reader: &mut impl BufRead, line: &mut Vec<u8>, limit: usize) -> Result<bool, FrameError> {
    loop {
        line.clear();
        let mut too_large = false;
        loop {
            let available = match reader.fill_buf() {
                Ok(bytes) => bytes,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e.into()),
            };
            if available.is_empty() {
                return if too_large { Err(FrameError::TooLarge { limit }) } else { Ok(!line.is_empty()) };
            }
            let end = memchr::memchr(b'\n', available);
            let take = end.unwrap_or(available.len());
            if line.len() + take > limit {
                too_large = true;
                line.clear();
            }
            if !too_large {
                line.extend_from_slice(available.get(..take).unwrap_or(available));
            }
            reader.consume(end.map_or(take, |at| at + 1));
            if end.is_some() {
                break;
            }
        }
        if too_large {
            return Err(FrameError::TooLarge { limit });
        }
        if !line.is_empty() {
            return Ok(true);
        }
    }
}
