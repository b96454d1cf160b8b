//! Standard error of a provider: kept for crash reports, forwarded to the log, never parsed.

use crate::{limiter::Verdict, link::Shared};
use std::{collections::VecDeque, sync::Arc};
use tokio::io::{AsyncRead, AsyncReadExt};

/// How much is kept, from the end.
pub(crate) const TAIL_BYTES: usize = 64 * 1024;
/// How much of it stands in an error message.
const SHOWN_BYTES: usize = 2 * 1024;
/// Longest line of the log.
const LINE_BYTES: usize = 4 * 1024;

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

    /// All that is kept, lossily as UTF-8.
    pub(crate) fn text(&self) -> String {
        self.last(TAIL_BYTES)
    }

    /// The end of it, for an error message.
    pub(crate) fn excerpt(&self) -> String {
        self.last(SHOWN_BYTES)
    }

    fn last(&self, bytes: usize) -> String {
        let skip = self.0.len().saturating_sub(bytes);
        let bytes: Vec<u8> = self.0.iter().skip(skip).copied().collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }
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
            if *byte == b'\n' || line.len() >= LINE_BYTES {
                log(&shared, &line);
                line.clear();
            }
            if *byte != b'\n' {
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
        let text = String::from_utf8_lossy(line);
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
        tail.push(b"bc");
        assert_eq!(tail.text().len(), TAIL_BYTES);
        assert!(tail.text().ends_with("abc"));
        assert_eq!(tail.excerpt().len(), SHOWN_BYTES);
    }
}
