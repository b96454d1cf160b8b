//! YAML to tree, strictly: one document, no anchors, aliases, tags, merge keys or duplicate keys.
//!
//! The parser's events are read, not a deserializer: only they tell how a scalar was quoted and
//! where exactly each thing stands, and so several problems of a file can be reported in one go.

use crate::{
    codes,
    limits::{SCALAR_MAX_BYTES, YAML_DEPTH_MAX, YAML_NODES_MAX},
    report::Cx,
    tree::{Content, Entry, Node, Scalar, Span},
};
use serde_saphyr::granit_parser::{self, ErrorKind, Event, Parser, ScalarStyle, ScanError};
use std::borrow::Cow;

/// Mappings up to this size are searched for duplicates pair by pair.
const SMALL: usize = 12;

/// Reads the one document of a file; absent if anything is wrong with it.
pub(crate) fn parse<'s>(text: &'s str, cx: &mut Cx<'_, '_>) -> Option<Node<'s>> {
    let before = cx.count();
    let mut options = granit_parser::options! {
        disallow_directives: true,
        emit_unresolved_aliases: true,
        emit_anchor_events: true,
        simple_key_max_lookahead: 1024,
        // One more than ours, so that the message is ours.
        flow_nesting_limit: YAML_DEPTH_MAX + 1,
        block_nesting_limit: YAML_DEPTH_MAX + 1,
    };
    options.set_emit_comments(false);
    let mut builder = Builder { text, stack: Vec::new(), root: None, nodes: 0 };
    let mut documents = 0_usize;
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = match event {
            Ok((event, span)) => (event, Span::from(&span)),
            Err(error) => {
                syntax(&error, text, cx);
                break;
            }
        };
        if matches!(event, Event::DocumentStart(..)) {
            documents += 1;
            if documents > 1 {
                cx.error(codes::YAML_DOCUMENTS, span, "a second document begins here").help =
                    Some("write one document a file".into());
                break;
            }
        }
        if builder.event(event, span, cx).is_none() || cx.is_full() {
            break;
        }
    }
    if cx.count() > before {
        return None;
    }
    match builder.root {
        Some(Node { content: Content::Scalar(Scalar { ref text, plain: true }), .. }) if text.is_empty() => {}
        Some(root) => return Some(root),
        None => {}
    }
    cx.error(codes::YAML_EMPTY, Span::default(), "there is nothing in this file").help =
        Some("a source file begins with `apiVersion: rectify/v1` and a `kind`".into());
    None
}

impl From<&granit_parser::Span> for Span {
    fn from(span: &granit_parser::Span) -> Self {
        let range = span.byte_range().unwrap_or(0..0);
        Self::new(range.start, range.end)
    }
}

fn syntax(error: &ScanError, text: &str, cx: &mut Cx<'_, '_>) {
    let start = error.marker().byte_offset().unwrap_or(text.len()).min(text.len());
    let at = Span::new(start, start);
    match error.kind() {
        ErrorKind::RecursionLimitExceeded => too_deep(at, cx),
        kind => {
            cx.error(codes::YAML_SYNTAX, at, format!("this is not YAML: {kind}"));
        }
    }
}

fn too_deep(at: Span, cx: &mut Cx<'_, '_>) {
    cx.error(codes::YAML_DEPTH, at, format!("nested deeper than {YAML_DEPTH_MAX} levels"));
}

enum Frame<'s> {
    List { span: Span, items: Vec<Node<'s>> },
    Map { span: Span, entries: Vec<Entry<'s>>, key: Option<(Cow<'s, str>, Span)> },
}

struct Builder<'s> {
    text: &'s str,
    stack: Vec<Frame<'s>>,
    root: Option<Node<'s>>,
    nodes: usize,
}

impl<'s> Builder<'s> {
    /// Takes an event; `None` if reading must stop.
    fn event(&mut self, event: Event<'s>, span: Span, cx: &mut Cx<'_, '_>) -> Option<()> {
        match event {
            Event::Scalar(text, style, _, tag) => {
                self.count(span, cx)?;
                if tag.is_some() {
                    tagged(span, cx);
                }
                if text.len() > SCALAR_MAX_BYTES {
                    cx.error(
                        codes::YAML_SCALAR_TOO_LONG,
                        Span::new(span.range().start, span.range().start),
                        format!("this text has {} bytes, more than {SCALAR_MAX_BYTES}", text.len()),
                    )
                    .help = Some("keep large contents in a file of their own".into());
                    return None;
                }
                let plain = style == ScalarStyle::Plain;
                // The parser says `~` for nothing.
                let text = if plain && span.range().is_empty() { Cow::Borrowed("") } else { text };
                let span = if plain { self.trimmed(span, &text) } else { span };
                self.attach(Node { span, content: Content::Scalar(Scalar { text, plain }) }, cx);
            }
            Event::SequenceStart(_, _, tag) => {
                self.open(span, tag.is_some(), cx)?;
                self.stack.push(Frame::List { span, items: Vec::new() });
            }
            Event::MappingStart(_, _, tag) => {
                self.open(span, tag.is_some(), cx)?;
                self.stack.push(Frame::Map { span, entries: Vec::new(), key: None });
            }
            Event::SequenceEnd | Event::MappingEnd => match self.stack.pop()? {
                Frame::List { span, items } => self.attach(Node { span, content: Content::List(items) }, cx),
                Frame::Map { span, entries, .. } => {
                    refuse_duplicates(&entries, cx);
                    let end = entries.first().map_or(span.range().end, |e| e.key_span.range().end);
                    let span = Span::new(span.range().start, end);
                    self.attach(Node { span, content: Content::Map(entries) }, cx);
                }
            },
            Event::Anchor(..) => {
                cx.error(codes::YAML_ANCHOR, span, "anchors are not allowed").help =
                    Some("write the value where it is used, or make it a parameter".into());
            }
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                cx.error(codes::YAML_ANCHOR, span, "aliases are not allowed").help =
                    Some("write the value here; a text that begins with `*` must stand in quotes".into());
                let text = Cow::Borrowed("alias");
                self.attach(Node { span, content: Content::Scalar(Scalar { text, plain: false }) }, cx);
            }
            _ => {}
        }
        Some(())
    }

    /// The parser's span of a plain scalar may reach over what follows it; the text itself decides.
    fn trimmed(&self, span: Span, text: &str) -> Span {
        let range = span.range();
        match self.text.get(range.clone()) {
            Some(source) => Span::new(range.start, range.start + source.trim_end().len()),
            None => Span::new(range.start, range.start + text.len()),
        }
    }

    fn open(&mut self, span: Span, tag: bool, cx: &mut Cx<'_, '_>) -> Option<()> {
        self.count(span, cx)?;
        if tag {
            tagged(span, cx);
        }
        if self.stack.len() >= YAML_DEPTH_MAX {
            too_deep(Span::new(span.range().start, span.range().start), cx);
            return None;
        }
        Some(())
    }

    fn count(&mut self, span: Span, cx: &mut Cx<'_, '_>) -> Option<()> {
        self.nodes += 1;
        if self.nodes > YAML_NODES_MAX {
            cx.error(
                codes::YAML_TOO_MANY_NODES,
                span,
                format!("more than {YAML_NODES_MAX} values in one file"),
            )
            .help = Some("split the file".into());
            return None;
        }
        Some(())
    }

    fn attach(&mut self, node: Node<'s>, cx: &mut Cx<'_, '_>) {
        match self.stack.last_mut() {
            None => self.root = Some(node),
            Some(Frame::List { items, .. }) => items.push(node),
            Some(Frame::Map { entries, key, .. }) => match key.take() {
                Some((key, key_span)) => entries.push(Entry { key, key_span, value: node }),
                None => *key = Some(as_key(node, cx)),
            },
        }
    }
}

fn tagged(span: Span, cx: &mut Cx<'_, '_>) {
    cx.error(codes::YAML_TAG, span, "tags are not allowed").help = Some(
        "the type of a value follows from where it stands; put a text that begins with `!` in quotes".into(),
    );
}

fn as_key<'s>(node: Node<'s>, cx: &mut Cx<'_, '_>) -> (Cow<'s, str>, Span) {
    match node.content {
        Content::Scalar(Scalar { text, plain }) => {
            if plain && text == "<<" {
                cx.error(codes::YAML_MERGE_KEY, node.span, "merge keys are not allowed").help =
                    Some("write the members here".into());
            } else if plain && text.is_empty() {
                cx.error(codes::YAML_KEY, node.span, "a key is empty");
            }
            (text, node.span)
        }
        Content::List(_) | Content::Map(_) => {
            cx.error(codes::YAML_KEY, node.span, format!("a key must be a text, not {}", node.what())).help =
                Some("a text that begins with `{` or `[` must stand in quotes".into());
            (Cow::Borrowed("key"), node.span)
        }
    }
}

fn refuse_duplicates(entries: &[Entry<'_>], cx: &mut Cx<'_, '_>) {
    let mut report = |first: &Entry<'_>, second: &Entry<'_>| {
        let file = cx.file;
        let diagnostic = cx.error(
            codes::YAML_DUPLICATE_KEY,
            second.key_span,
            format!("the key `{}` stands twice in this mapping", second.key),
        );
        diagnostic.labels.push(rectify_base::Label {
            file: file.into(),
            start: first.key_span.range().start,
            end: first.key_span.range().end,
            text: "first here".into(),
        });
    };
    if entries.len() <= SMALL {
        for (index, entry) in entries.iter().enumerate() {
            if let Some(first) = entries.iter().take(index).find(|e| e.key == entry.key) {
                report(first, entry);
            }
        }
        return;
    }
    let mut sorted: Vec<&Entry<'_>> = entries.iter().collect();
    sorted.sort_by(|a, b| (&a.key, a.key_span).cmp(&(&b.key, b.key_span)));
    for pair in sorted.windows(2) {
        if let [first, second] = pair
            && first.key == second.key
        {
            report(first, second);
        }
    }
}
