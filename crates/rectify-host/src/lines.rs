//! Lines of a pipe, bounded while they are read.

use std::io;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};

/// As much as a pipe holds by default.
const BUFFER_BYTES: usize = 64 * 1024;

/// Why there is no line.
#[derive(Debug)]
pub(crate) enum LineError {
    /// It is longer than the limit.
    TooLarge,
    /// The pipe failed.
    Io(io::Error),
}

/// Reads lines; tells `heard` of every sign of life, even in the middle of a long line.
pub(crate) struct Lines<R, F> {
    reader: BufReader<R>,
    heard: F,
}

impl<R: AsyncRead + Unpin, F: Fn()> Lines<R, F> {
    pub(crate) fn new(reader: R, heard: F) -> Self {
        Self { reader: BufReader::with_capacity(BUFFER_BYTES, reader), heard }
    }

    /// Reads the next line that is not empty, without its end. `false`: the stream has ended, maybe
    /// in the middle of a line, which is no line then.
    pub(crate) async fn next(&mut self, line: &mut Vec<u8>, limit: usize) -> Result<bool, LineError> {
        line.clear();
        loop {
            let available = self.reader.fill_buf().await.map_err(LineError::Io)?;
            if available.is_empty() {
                return Ok(false);
            }
            (self.heard)();
            let end = available.iter().position(|b| *b == b'\n');
            let part = available.get(..end.unwrap_or(available.len())).unwrap_or_default();
            if line.len() + part.len() > limit {
                return Err(LineError::TooLarge);
            }
            line.extend_from_slice(part);
            let taken = part.len() + usize::from(end.is_some());
            self.reader.consume(taken);
            if end.is_some() && !line.is_empty() {
                return Ok(true);
            }
        }
    }

    /// Reads everything that is left.
    pub(crate) async fn rest(&mut self, limit: usize) -> Result<Vec<u8>, LineError> {
        let mut bytes = Vec::new();
        let mut reader = (&mut self.reader).take(limit as u64 + 1);
        reader.read_to_end(&mut bytes).await.map_err(LineError::Io)?;
        if bytes.len() > limit { Err(LineError::TooLarge) } else { Ok(bytes) }
    }

    /// Reads on and forgets, so that the writer is not stuck while it ends.
    pub(crate) async fn drain(&mut self) {
        let mut sink = vec![0_u8; 8 * 1024];
        while matches!(self.reader.read(&mut sink).await, Ok(n) if n > 0) {}
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn lines_are_bounded_and_empty_ones_skipped() {
        let mut lines = Lines::new(&b"\n\nab\n\ncd\nlonger than that\n"[..], || {});
        let mut line = Vec::new();
        assert!(lines.next(&mut line, 8).await.unwrap());
        assert_eq!(line, b"ab");
        assert!(lines.next(&mut line, 8).await.unwrap());
        assert_eq!(line, b"cd");
        assert!(matches!(lines.next(&mut line, 8).await, Err(LineError::TooLarge)));
    }

    #[tokio::test]
    async fn half_a_line_is_no_line() {
        let mut lines = Lines::new(&b"{\"id\":"[..], || {});
        assert!(!lines.next(&mut Vec::new(), 100).await.unwrap());
    }
}
