//! Cutting a list of items into requests.

use crate::error::Fault;
use rectify_base::limits::FRAME_MAX_BYTES;
use serde::Serialize;

/// Most items in one request.
pub(crate) const ITEMS_MAX: usize = 128;
/// Most bytes in one request, unless a single item is longer.
pub(crate) const BATCH_BYTES: usize = 256 * 1024;
/// Requests under way at once: enough that 10,000 items cross a line of 40 ms in five of its round trips.
pub(crate) const WINDOW: usize = 16;

/// What a line has beside its items, at most.
const ENVELOPE_BYTES: usize = 128;

/// Writes as many items, from `first` on, as fit into a request, with commas between them. Returns
/// how many those are: at least one, unless there is none.
pub(crate) fn cut<T: Serialize>(items: &[T], first: usize) -> Result<(Vec<u8>, usize), Fault> {
    let mut body = Vec::with_capacity(64 * 1024);
    let mut count = 0;
    for (index, item) in items.iter().enumerate().skip(first).take(ITEMS_MAX) {
        let before = body.len();
        if count > 0 {
            body.push(b',');
        }
        let start = body.len();
        serde_json::to_writer(&mut body, item).map_err(|e| Fault::System {
            what: "an item cannot be written as JSON",
            reason: e.to_string(),
        })?;
        let size = body.len() - start;
        if body.len() + ENVELOPE_BYTES > FRAME_MAX_BYTES && count == 0 {
            return Err(Fault::ItemTooLarge { index, size, limit: FRAME_MAX_BYTES });
        }
        if body.len() + ENVELOPE_BYTES > BATCH_BYTES && count > 0 {
            body.truncate(before);
            break;
        }
        count += 1;
    }
    Ok((body, count))
}

/// The line of a request with these items.
pub(crate) fn line(id: u64, method: &str, items: &[u8]) -> Vec<u8> {
    let head = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{"items":["#);
    [head.as_bytes(), items, b"]}}\n"].concat()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use rectify_protocol::{Frame, message::Batch};

    fn lines(items: &[String]) -> Vec<Vec<String>> {
        let mut all = Vec::new();
        let mut first = 0;
        while first < items.len() {
            let (body, count) = cut(items, first).unwrap();
            let line = line(7, "resource.normalize", &body);
            assert!(line.len() <= body.len() + ENVELOPE_BYTES);
            assert_eq!(line.last(), Some(&b'\n'));
            let frame: Frame = serde_json::from_slice(&line).unwrap();
            assert_eq!((frame.id, frame.method.as_deref()), (Some(7), Some("resource.normalize")));
            let batch: Batch<String> = Frame::decode(frame.params.as_deref()).unwrap();
            assert_eq!(batch.items.len(), count);
            assert!(line.len() <= BATCH_BYTES || count == 1);
            all.push(batch.items);
            first += count;
        }
        all
    }

    #[test]
    fn requests_are_bounded_in_items_and_bytes_and_lose_nothing() {
        let many: Vec<String> = (0..300).map(|i| i.to_string()).collect();
        let cuts = lines(&many);
        assert_eq!(cuts.iter().map(Vec::len).collect::<Vec<_>>(), [128, 128, 44]);
        assert_eq!(cuts.concat(), many);

        let long: Vec<String> = (0..10).map(|i| i.to_string().repeat(100 * 1024)).collect();
        let cuts = lines(&long);
        assert_eq!(cuts[0].len(), 2);
        assert_eq!(cuts.concat(), long);
    }

    #[test]
    fn one_item_beyond_a_frame_is_refused_and_named() {
        let items = ["a".to_owned(), "b".repeat(FRAME_MAX_BYTES)];
        assert_eq!(cut(&items, 0).unwrap().1, 1);
        let fault = cut(&items, 1).unwrap_err();
        assert!(matches!(fault, Fault::ItemTooLarge { index: 1, .. }), "{fault}");
    }
}
