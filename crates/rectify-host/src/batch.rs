//! Cutting a list of items into requests.

use crate::error::Fault;
use rectify_base::limits::FRAME_MAX_BYTES;
use serde::Serialize;

/// Most items in one request.
pub(crate) const ITEMS_MAX: usize = 128;
/// Most bytes in one request, unless a single item is longer.
pub(crate) const BATCH_BYTES: usize = 256 * 1024;
/// Requests under way at once.
pub(crate) const WINDOW: usize = 6;

/// Writes a request with as many items, from `first` on, as fit. Returns the line and how many
/// those are: at least one, unless there is none.
pub(crate) fn request<T: Serialize>(
    id: u64,
    method: &str,
    items: &[T],
    first: usize,
) -> Result<(Vec<u8>, usize), Fault> {
    let mut line = Vec::with_capacity(64 * 1024);
    line.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
    line.extend_from_slice(id.to_string().as_bytes());
    line.extend_from_slice(br#","method":""#);
    line.extend_from_slice(method.as_bytes());
    line.extend_from_slice(br#"","params":{"items":["#);
    let mut count = 0;
    for (index, item) in items.iter().enumerate().skip(first).take(ITEMS_MAX) {
        let before = line.len();
        if count > 0 {
            line.push(b',');
        }
        let start = line.len();
        serde_json::to_writer(&mut line, item).map_err(|e| Fault::System {
            what: "an item cannot be written as JSON",
            reason: e.to_string(),
        })?;
        let size = line.len() - start;
        // The end of the line still has to fit.
        if line.len() + 8 > FRAME_MAX_BYTES && count == 0 {
            return Err(Fault::ItemTooLarge { index, size, limit: FRAME_MAX_BYTES });
        }
        if line.len() > BATCH_BYTES && count > 0 {
            line.truncate(before);
            break;
        }
        count += 1;
    }
    line.extend_from_slice(b"]}}\n");
    Ok((line, count))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use rectify_protocol::{Frame, message::Batch};

    fn cut(items: &[String]) -> Vec<Vec<String>> {
        let mut all = Vec::new();
        let mut first = 0;
        while first < items.len() {
            let (line, count) = request(7, "m", items, first).unwrap();
            assert_eq!(line.last(), Some(&b'\n'));
            let frame: Frame = serde_json::from_slice(&line).unwrap();
            assert_eq!((frame.id, frame.method.as_deref()), (Some(7), Some("m")));
            let batch: Batch<String> = Frame::decode(frame.params.as_deref()).unwrap();
            assert_eq!(batch.items.len(), count);
            assert!(line.len() <= BATCH_BYTES + 8 || count == 1);
            all.push(batch.items);
            first += count;
        }
        all
    }

    #[test]
    fn requests_are_bounded_in_items_and_bytes_and_lose_nothing() {
        let many: Vec<String> = (0..300).map(|i| i.to_string()).collect();
        let cuts = cut(&many);
        assert_eq!(cuts.iter().map(Vec::len).collect::<Vec<_>>(), [128, 128, 44]);
        assert_eq!(cuts.concat(), many);

        let long: Vec<String> = (0..10).map(|i| i.to_string().repeat(100 * 1024)).collect();
        let cuts = cut(&long);
        assert_eq!(cuts[0].len(), 2);
        assert_eq!(cuts.concat(), long);
    }

    #[test]
    fn one_item_beyond_a_frame_is_refused_and_named() {
        let items = ["a".to_owned(), "b".repeat(FRAME_MAX_BYTES)];
        assert_eq!(request(1, "m", &items, 0).unwrap().1, 1);
        let fault = request(1, "m", &items, 1).unwrap_err();
        assert!(matches!(fault, Fault::ItemTooLarge { index: 1, .. }), "{fault}");
    }
}
