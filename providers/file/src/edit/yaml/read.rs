//! A YAML text as a tree in which each node knows where it stands, from the parser's events.

use granit_parser::{Event, Parser, ScalarStyle, StructureStyle};
use serde_json::Value;
use std::{collections::BTreeMap, ops::Range, sync::LazyLock};

/// Deepest nesting.
const DEPTH_MAX: usize = 128;
/// Most nodes.
const NODES_MAX: usize = 1_000_000;

/// How a scalar is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quotes {
    None,
    Single,
    Double,
    /// After `|` or `>`.
    Block,
}

#[derive(Debug)]
pub(super) enum Content {
    Scalar { text: String, quotes: Quotes },
    List { flow: bool, items: Vec<Node> },
    Map { flow: bool, entries: Vec<Entry> },
    Alias(usize),
}

/// A value. Where it stands, without its tag and anchor: of a block, from its first child or its first
/// text, to the end of its last; without the line break.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) range: Range<usize>,
    /// 0 if it has none.
    pub(super) anchor: usize,
    pub(super) tag: Option<String>,
    pub(super) content: Content,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: Node,
    /// The offset behind the colon; none where there is none behind the key.
    pub(super) colon: Option<usize>,
    pub(super) value: Node,
}

/// What a file holds.
#[derive(Debug, Default)]
pub(super) struct Stream {
    pub(super) documents: usize,
    /// Of the first document. None where nothing, or nothing but comments, is in it.
    pub(super) root: Option<Node>,
    /// Where a first document begins that says so: behind its `---`.
    pub(super) explicit: Option<usize>,
}

enum Frame {
    List {
        flow: bool,
        items: Vec<Node>,
        start: usize,
        anchor: usize,
        tag: Option<String>,
    },
    Map {
        flow: bool,
        entries: Vec<Entry>,
        key: Option<Node>,
        start: usize,
        anchor: usize,
        tag: Option<String>,
    },
}

/// Reads a text, or says what is wrong with it.
pub(super) fn read(text: &str) -> Result<Stream, String> {
    let mut options = granit_parser::options! {
        flow_nesting_limit: DEPTH_MAX,
        block_nesting_limit: DEPTH_MAX,
    };
    options.set_emit_comments(false);
    let mut stream = Stream::default();
    let mut stack: Vec<Frame> = Vec::new();
    let mut nodes = 0_usize;
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.map_err(|e| {
            let at = e.marker();
            format!("the file is not YAML (line {}, column {}): {}", at.line(), at.col() + 1, e.kind())
        })?;
        let range = span.byte_range().unwrap_or(0..0);
        nodes += 1;
        if nodes > NODES_MAX {
            return Err(format!("the file holds more than {NODES_MAX} values and is not edited"));
        }
        let tagged = |tag: Option<std::borrow::Cow<'_, granit_parser::Tag>>| {
            tag.map(|tag| format!("{}{}", tag.handle(), tag.suffix()))
        };
        match event {
            Event::DocumentStart(explicit, _) => {
                stream.documents += 1;
                if stream.documents == 1 && explicit {
                    stream.explicit = Some(range.end);
                }
            }
            Event::Scalar(content, style, anchor, tag) => {
                let quotes = match style {
                    ScalarStyle::Plain => Quotes::None,
                    ScalarStyle::SingleQuoted => Quotes::Single,
                    ScalarStyle::DoubleQuoted => Quotes::Double,
                    _ => Quotes::Block,
                };
                // The parser says `~` for nothing.
                let nothing = quotes == Quotes::None && range.is_empty();
                let range = match quotes {
                    Quotes::Block => range.start..block_end(text, &range, &content),
                    _ => range,
                };
                let said = if nothing { String::new() } else { content.into_owned() };
                let content = Content::Scalar { text: said, quotes };
                attach(&mut stack, &mut stream, text_node(range, anchor, tagged(tag), content), text);
            }
            Event::Alias(id) => {
                let node = Node { range, anchor: 0, tag: None, content: Content::Alias(id) };
                attach(&mut stack, &mut stream, node, text);
            }
            Event::SequenceStart(style, anchor, tag) => stack.push(Frame::List {
                flow: style == StructureStyle::Flow,
                items: Vec::new(),
                start: range.start,
                anchor,
                tag: tagged(tag),
            }),
            Event::MappingStart(style, anchor, tag) => stack.push(Frame::Map {
                flow: style == StructureStyle::Flow,
                entries: Vec::new(),
                key: None,
                start: range.start,
                anchor,
                tag: tagged(tag),
            }),
            Event::SequenceEnd | Event::MappingEnd => {
                let node = match stack.pop() {
                    Some(Frame::List { flow, items, start, anchor, tag }) => {
                        let end = items.last().map_or(start, |item| item.range.end);
                        let range = start..if flow { range.end } else { end };
                        text_node(range, anchor, tag, Content::List { flow, items })
                    }
                    Some(Frame::Map { flow, entries, start, anchor, tag, .. }) => {
                        let end = entries.last().map_or(start, |entry| entry.value.range.end);
                        let range = start..if flow { range.end } else { end };
                        text_node(range, anchor, tag, Content::Map { flow, entries })
                    }
                    None => continue,
                };
                attach(&mut stack, &mut stream, node, text);
            }
            _ => {}
        }
    }
    Ok(stream)
}

fn text_node(range: Range<usize>, anchor: usize, tag: Option<String>, content: Content) -> Node {
    Node { range, anchor, tag, content }
}

/// Where the text after `|` or `>` ends: empty lines behind it belong to it only if it keeps them.
fn block_end(text: &str, range: &Range<usize>, content: &str) -> usize {
    let own = text.get(range.clone()).unwrap_or_default();
    let kept = content.ends_with("\n\n") || content.chars().all(|c| c == '\n') && !content.is_empty();
    let trimmed = if kept {
        own.strip_suffix('\n').map_or(own, |own| own.strip_suffix('\r').unwrap_or(own))
    } else {
        own.trim_end_matches(['\n', '\r', ' ', '\t'])
    };
    range.start + trimmed.len()
}

fn attach(stack: &mut [Frame], stream: &mut Stream, mut node: Node, text: &str) {
    match stack.last_mut() {
        None => {
            if stream.documents == 1 && !node.is_nothing() {
                stream.root = Some(node);
            }
        }
        Some(Frame::List { items, .. }) => items.push(node),
        Some(Frame::Map { entries, key, .. }) => match key.take() {
            None => *key = Some(node),
            Some(key) => {
                let colon = colon(text, key.range.end);
                if let (Some(colon), true) = (colon, node.is_nothing()) {
                    node.range = colon..colon;
                }
                entries.push(Entry { key, colon, value: node });
            }
        },
    }
}

fn colon(text: &str, from: usize) -> Option<usize> {
    let rest = text.get(from..)?;
    let blanks = rest.len() - rest.trim_start_matches([' ', '\t']).len();
    rest.get(blanks..)?.starts_with(':').then_some(from + blanks + 1)
}

impl Node {
    /// Whether nothing is written.
    pub(super) fn is_nothing(&self) -> bool {
        let plain =
            matches!(&self.content, Content::Scalar { text, quotes: Quotes::None } if text.is_empty());
        plain && self.anchor == 0 && self.tag.is_none()
    }

    /// What it is, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match &self.content {
            Content::Alias(_) => "an alias",
            Content::List { .. } => "a list",
            Content::Map { .. } => "a mapping",
            Content::Scalar { text, quotes: Quotes::None } => match plain(text) {
                Plain::Null => "null",
                Plain::Text => "a text",
                _ => "a scalar",
            },
            Content::Scalar { .. } => "a text",
        }
    }

    /// Whether an anchor is on it or within it.
    pub(super) fn is_anchored(&self) -> bool {
        self.anchor != 0
            || match &self.content {
                Content::Scalar { .. } | Content::Alias(_) => false,
                Content::List { items, .. } => items.iter().any(Self::is_anchored),
                Content::Map { entries, .. } => {
                    entries.iter().any(|entry| entry.key.is_anchored() || entry.value.is_anchored())
                }
            }
    }

    pub(super) fn is_flow(&self) -> bool {
        matches!(&self.content, Content::List { flow: true, .. } | Content::Map { flow: true, .. })
    }

    /// Whether both say the same, however they are laid out.
    pub(super) fn same(&self, other: &Self) -> bool {
        let content = match (&self.content, &other.content) {
            (Content::Scalar { text: a, quotes: p }, Content::Scalar { text: b, quotes: q }) => {
                a == b && (*p == Quotes::None) == (*q == Quotes::None)
            }
            (Content::List { items: a, .. }, Content::List { items: b, .. }) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same(b))
            }
            (Content::Map { entries: a, .. }, Content::Map { entries: b, .. }) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same(b))
            }
            (Content::Alias(a), Content::Alias(b)) => a == b,
            _ => false,
        };
        content && self.anchor == other.anchor && self.tag == other.tag
    }

    /// The text that every reader takes it for.
    fn as_text(&self) -> Option<&str> {
        match &self.content {
            Content::Scalar { text, quotes } if self.anchor == 0 && self.tag.is_none() => {
                (*quotes != Quotes::None || plain(text) == Plain::Text).then_some(text)
            }
            _ => None,
        }
    }

    /// Whether every reader takes it for this value.
    pub(super) fn means(&self, value: &Value) -> bool {
        if self.anchor != 0 || self.tag.is_some() {
            return false;
        }
        match (&self.content, value) {
            (Content::Scalar { text, quotes: Quotes::None }, value) => match (plain(text), value) {
                (Plain::Null, Value::Null) => true,
                (Plain::Boolean(found), Value::Bool(wanted)) => found == *wanted,
                (Plain::Integer(found), Value::Number(wanted)) => Some(found) == wanted.as_i64(),
                (Plain::Text, Value::String(wanted)) => text == wanted,
                _ => false,
            },
            (Content::Scalar { text, .. }, Value::String(wanted)) => text == wanted,
            (Content::List { items, .. }, Value::Array(wanted)) => {
                items.len() == wanted.len() && items.iter().zip(wanted).all(|(item, value)| item.means(value))
            }
            (Content::Map { entries, .. }, Value::Object(wanted)) => {
                let mut found: BTreeMap<&str, &Self> = BTreeMap::new();
                for entry in entries {
                    match entry.key.as_text() {
                        // Twice means nothing, and neither does a key that is no text.
                        Some(key) if found.insert(key, &entry.value).is_none() => {}
                        _ => return false,
                    }
                }
                found.len() == wanted.len()
                    && wanted
                        .iter()
                        .all(|(key, value)| found.get(key.as_str()).is_some_and(|node| node.means(value)))
            }
            _ => false,
        }
    }
}

impl Entry {
    pub(super) fn same(&self, other: &Self) -> bool {
        self.key.same(&other.key) && self.value.same(&other.value)
    }
}

/// What a plain scalar is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plain {
    Null,
    Boolean(bool),
    /// In decimal, as all readers read it.
    Integer(i64),
    Text,
    /// Something else, or something else for some readers.
    Other,
}

/// What readers of YAML 1.1 or 1.2 take for no text: numbers (with `_`, in base 60), moments, `=`, `<<`.
static NO_TEXT: LazyLock<Option<regex::Regex>> = LazyLock::new(|| {
    regex::RegexBuilder::new(
        r"^(?:
            y|yes|n|no|on|off|true|false|null
            |[-+]?0b[01_]+|[-+]?0o?[0-7_]+|[-+]?0x[0-9a-f_]+
            |[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])*(?:\.[0-9_]*)?(?:e[-+]?[0-9]+)?
            |[-+]?\.[0-9][0-9_]*(?:e[-+]?[0-9]+)?
            |[-+]?\.inf|\.nan
            |[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[t\ \t].*)?
            |=|<<
        )$",
    )
    .ignore_whitespace(true)
    .case_insensitive(true)
    .build()
    .ok()
});

/// Reads a plain scalar.
pub(super) fn plain(text: &str) -> Plain {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Plain::Null,
        "true" | "True" | "TRUE" => return Plain::Boolean(true),
        "false" | "False" | "FALSE" => return Plain::Boolean(false),
        _ => {}
    }
    let digits = text.strip_prefix('-').unwrap_or(text);
    let canonical = !digits.is_empty()
        && digits.bytes().all(|b| b.is_ascii_digit())
        && (digits == "0" && text == "0" || !digits.starts_with('0'));
    if let (true, Ok(number)) = (canonical, text.parse()) {
        return Plain::Integer(number);
    }
    match &*NO_TEXT {
        Some(no_text) if !no_text.is_match(text) => Plain::Text,
        _ => Plain::Other,
    }
}
