//! Standard error of a provider: kept for crash reports, forwarded to the log, never parsed.

use crate::{limiter::Verdict, link::Shared};
use rectify_base::limits::SECRET_MAX_BYTES;
use std::{collections::VecDeque, sync::Arc};
use tokio::io::{AsyncRead, AsyncReadExt};

/// How much is kept, from the end.
pub(crate) const TAIL_BYTES: usize = 64 * 1024;
/// How much of it stands in an error message.
const SHOWN_BYTES: usize = 2 * 1024;
/// Longest line of the log.
const LINE_BYTES: usize = 4 * 1024;
/// How much of a line is looked at, so that a secret is found that reaches beyond what is logged.
const LINE_READ_BYTES: usize = LINE_BYTES + 4 * SECRET_MAX_BYTES;

/// The last bytes of a stream.
#[derive(Debug, Default)]
pub(crate) struct Tail(VecDeque<u8>);

impl Tail {
    fn push(&mut self, bytes: &[u8]) {
        let kept = bytes.get(bytes.len().saturating_sub(TAIL_BYTES)..).unwrap_or_default();
        let excess = (self.0.len() + kept.len()).saturating_sub(TAIL_BYTES);
        self.0.drain(..excess);
        self.0.extend(kept);
    }

    /// All that is kept, lossily as UTF-8. What was cut off may have been the beginning of a secret, so
    /// a line without its beginning is left out.
    pub(crate) fn text(&self) -> String {
        let whole = self.0.len() < TAIL_BYTES;
        let skip =
            if whole { 0 } else { self.0.iter().position(|b| *b == b'\n').map_or(self.0.len(), |at| at + 1) };
        let bytes: Vec<u8> = self.0.iter().skip(skip).copied().collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// The end of a text, for an error message.
pub(crate) fn excerpt(text: &str) -> &str {
    let start = text.len().saturating_sub(SHOWN_BYTES);
    let start = (start..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
    text.get(start..).unwrap_or_default()
}

/// Reads until the end.
pub(crate) async fn forward(mut stream: impl AsyncRead + Unpin, shared: Arc<Shared>) {
    let mut buffer = vec![0_u8; 16 * 1024];
    let mut line = Vec::new();
    while let Ok(n) = stream.read(&mut buffer).await {
        let chunk = buffer.get(..n).unwrap_or_default();
        if chunk.is_empty() {
            break;
        }
        shared.with_tail(|tail| tail.push(chunk));
        for byte in chunk {
            if *byte == b'\n' {
                log(&shared, &line);
                line.clear();
            } else if line.len() < LINE_READ_BYTES {
                line.push(*byte);
            }
        }
    }
    log(&shared, &line);
}

fn log(shared: &Shared, line: &[u8]) {
    if line.is_empty() {
        return;
    }
    if let Verdict::Keep(dropped) = shared.judge(line.len()) {
        let mut text = shared.clean(&String::from_utf8_lossy(line), "stderr");
        let end = (0..=LINE_BYTES.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        tracing::debug!(provider = %shared.name, dropped, stderr = %text.escape_debug());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_is_kept() {
        let mut tail = Tail::default();
        tail.push(&vec![b'a'; TAIL_BYTES]);
        tail.push(b"\nbc");
        assert_eq!(tail.text(), "bc");
        let mut tail = Tail::default();
        tail.push(&vec![b'a'; TAIL_BYTES - 3]);
        tail.push(b"bc");
        assert_eq!(tail.text().len(), TAIL_BYTES - 1);
        assert_eq!(excerpt(&tail.text()).len(), SHOWN_BYTES);
        assert_eq!(excerpt(&"é".repeat(SHOWN_BYTES)).len(), SHOWN_BYTES);
        assert_eq!(excerpt(&format!("x{}y", "é".repeat(SHOWN_BYTES / 2))).len(), SHOWN_BYTES - 1);
    }
}
