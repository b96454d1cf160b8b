//! From bytes to lines and columns, each file indexed once.

use super::Region;
use crate::{LineIndex, SourceFile};
use rectify_base::Label;
use std::collections::BTreeMap;

/// The files that places are in.
pub(super) struct Regions<'f> {
    texts: BTreeMap<&'f str, &'f str>,
    indices: BTreeMap<&'f str, LineIndex<'f>>,
}

impl<'f> Regions<'f> {
    pub fn new(files: &'f [SourceFile]) -> Self {
        let texts = files.iter().map(|file| (file.path.as_str(), sound(&file.bytes))).collect();
        Self { texts, indices: BTreeMap::new() }
    }

    /// The region of a label. Where the file ends, or is no text any more, so does the region.
    pub fn find(&mut self, label: &Label) -> Region {
        let (path, text) =
            self.texts.get_key_value(label.file.as_str()).map_or(("", ""), |(path, text)| (*path, *text));
        let index = self.indices.entry(path).or_insert_with(|| LineIndex::new(text));
        let start = floor(text, label.start);
        let end = floor(text, label.end).max(start);
        let (start_line, start_column) = index.locate(start);
        let (end_line, end_column) = index.locate(end);
        Region {
            file: label.file.clone(),
            start,
            end,
            start_line,
            start_column,
            end_line,
            end_column,
            text: Some(label.text.clone()).filter(|text| !text.is_empty()),
        }
    }
}

/// The part of a file that is UTF-8.
fn sound(bytes: &[u8]) -> &str {
    match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            bytes.get(..error.valid_up_to()).and_then(|b| std::str::from_utf8(b).ok()).unwrap_or("")
        }
    }
}

/// The character that a byte is in.
fn floor(text: &str, offset: usize) -> usize {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}
