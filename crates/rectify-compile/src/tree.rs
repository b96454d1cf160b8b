//! The spanned tree of a source file. Scalars keep their text as written, and whether they were
//! quoted: what they mean is decided later, by the schema of where they stand.

use std::{borrow::Cow, ops::Range};

/// A range of bytes in a source file (at most 16 MiB, so 32 bits are enough).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    pub fn new(start: usize, end: usize) -> Self {
        let clip = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Self { start: clip(start), end: clip(end.max(start)) }
    }

    pub fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// A value with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node<'s> {
    /// Of a scalar: all of it, with quotes. Of a list or mapping: its beginning.
    pub span: Span,
    pub content: Content<'s>,
}

/// What a node holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Content<'s> {
    Scalar(Scalar<'s>),
    List(Vec<Node<'s>>),
    Map(Vec<Entry<'s>>),
}

/// A scalar after YAML's own escapes and folding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scalar<'s> {
    pub text: Cow<'s, str>,
    /// Neither quoted nor a block.
    pub plain: bool,
}

/// A key and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry<'s> {
    pub key: Cow<'s, str>,
    pub key_span: Span,
    pub value: Node<'s>,
}

impl Node<'_> {
    /// What it is, for messages.
    pub fn what(&self) -> &'static str {
        match &self.content {
            Content::Scalar(s) if s.plain && s.text.is_empty() => "nothing",
            Content::Scalar(_) => "a scalar",
            Content::List(_) => "a list",
            Content::Map(_) => "a mapping",
        }
    }

    /// Whether an expression stands anywhere in it, or it may take a text from a file: then it is not all
    /// that it seems.
    pub fn has_expression(&self) -> bool {
        match &self.content {
            Content::Scalar(scalar) => scalar.text.contains("${{"),
            Content::List(items) => items.iter().any(Node::has_expression),
            Content::Map(entries) => {
                crate::beside::may_name_file(entries) || entries.iter().any(|e| e.value.has_expression())
            }
        }
    }

    /// How many elements or members it has.
    pub fn children(&self) -> usize {
        match &self.content {
            Content::Scalar(_) => 0,
            Content::List(items) => items.len(),
            Content::Map(entries) => entries.len(),
        }
    }

    /// The member of a mapping or list that a token of a JSON Pointer names: its key's place and value.
    pub fn child(&self, token: &str) -> Option<(Span, &Self)> {
        match &self.content {
            Content::Scalar(_) => None,
            Content::List(items) => items.get(token.parse::<usize>().ok()?).map(|n| (n.span, n)),
            Content::Map(entries) => entries.iter().find(|e| e.key == token).map(|e| (e.key_span, &e.value)),
        }
    }
}
