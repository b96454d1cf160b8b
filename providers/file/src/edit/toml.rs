//! `file.toml`: a value in a TOML text. `toml_edit` says where everything stands; its own editing
//! would write all line breaks anew, so the pieces are cut out and put in here. The result is read
//! again, and unless everything else says what it said before, the edit is refused.

use super::{
    EditError,
    tree::{Goal, New, Setting, Splice, Step, indent_of, newline, spliced},
};
use serde_json::Value;
use std::{collections::BTreeMap, ops::Range};
use toml_edit::{Array, Document, InlineTable, Item, Table, Value as Toml};

/// Whether a text is one value, with nothing around it.
pub(crate) fn is_value(text: &str) -> bool {
    let around = format!("k = {text}\n");
    Document::parse(around.as_str()).is_ok_and(|document| {
        document.len() == 1
            && document.get("k").and_then(Item::as_value).and_then(Toml::span) == Some(4..4 + text.len())
    })
}

/// A place in the tree.
#[derive(Clone, Copy)]
enum Node<'t> {
    Table(&'t Table),
    Tables(&'t toml_edit::ArrayOfTables),
    Value(&'t Toml),
}

impl<'t> Node<'t> {
    fn of(item: &'t Item) -> Option<Self> {
        match item {
            Item::None => None,
            Item::Value(value) => Some(Self::Value(value)),
            Item::Table(table) => Some(Self::Table(table)),
            Item::ArrayOfTables(tables) => Some(Self::Tables(tables)),
        }
    }

    fn member(self, key: &str) -> Option<Self> {
        match self {
            Self::Table(table) => table.get(key).and_then(Node::of),
            Self::Value(Toml::InlineTable(table)) => table.get(key).map(Node::Value),
            _ => None,
        }
    }

    fn item(self, index: usize) -> Option<Self> {
        match self {
            Self::Tables(tables) => tables.get(index).map(Node::Table),
            Self::Value(Toml::Array(array)) => array.get(index).map(Node::Value),
            _ => None,
        }
    }

    fn members(self) -> Option<Vec<(&'t str, Self)>> {
        match self {
            Self::Table(table) => {
                Some(table.iter().filter_map(|(key, item)| Some((key, Node::of(item)?))).collect())
            }
            Self::Value(Toml::InlineTable(table)) => {
                Some(table.iter().map(|(key, value)| (key, Node::Value(value))).collect())
            }
            _ => None,
        }
    }

    fn items(self) -> Option<Vec<Self>> {
        match self {
            Self::Tables(tables) => Some(tables.iter().map(Node::Table).collect()),
            Self::Value(Toml::Array(array)) => Some(array.iter().map(Node::Value).collect()),
            _ => None,
        }
    }

    fn kind(self) -> &'static str {
        match self {
            Self::Table(_) | Self::Value(Toml::InlineTable(_)) => "a mapping",
            Self::Tables(_) | Self::Value(Toml::Array(_)) => "a list",
            Self::Value(Toml::String(_)) => "a text",
            Self::Value(Toml::Boolean(_)) => "a boolean",
            Self::Value(Toml::Integer(_) | Toml::Float(_)) => "a number",
            Self::Value(Toml::Datetime(_)) => "a date",
        }
    }

    fn means(self, value: &Value) -> bool {
        match (self, value) {
            (Self::Value(Toml::String(found)), Value::String(wanted)) => found.value() == wanted,
            (Self::Value(Toml::Boolean(found)), Value::Bool(wanted)) => found.value() == wanted,
            (Self::Value(Toml::Integer(found)), Value::Number(wanted)) => {
                wanted.as_i64() == Some(*found.value())
            }
            (node, Value::Array(wanted)) => node.items().is_some_and(|items| {
                items.len() == wanted.len() && items.iter().zip(wanted).all(|(item, value)| item.means(value))
            }),
            (node, Value::Object(wanted)) => node.members().is_some_and(|members| {
                members.len() == wanted.len()
                    && members
                        .iter()
                        .all(|(key, node)| wanted.get(*key).is_some_and(|value| node.means(value)))
            }),
            _ => false,
        }
    }

    /// The values in it that stand on lines of their own, or in brackets of their own.
    fn leaves(self, out: &mut Vec<Range<usize>>) {
        match self {
            Self::Table(table) => {
                for (_, item) in table.iter() {
                    match item {
                        Item::Table(table) if !table.is_dotted() => {}
                        item => {
                            if let Some(node) = Node::of(item) {
                                node.leaves(out);
                            }
                        }
                    }
                }
            }
            Self::Value(Toml::InlineTable(table)) if table.is_dotted() => {
                for (_, value) in table.iter() {
                    Node::Value(value).leaves(out);
                }
            }
            Self::Value(value) => out.extend(value.span()),
            Self::Tables(_) => {}
        }
    }

    /// The tables in it that have a header, itself among them.
    fn headed(self, out: &mut Vec<&'t Table>) {
        match self {
            Self::Table(table) => {
                if !table.is_dotted() && !table.is_implicit() {
                    out.push(table);
                }
                for (_, item) in table.iter() {
                    if let Some(node) = Node::of(item) {
                        node.headed(out);
                    }
                }
            }
            Self::Tables(tables) => tables.iter().for_each(|table| Node::Table(table).headed(out)),
            Self::Value(_) => {}
        }
    }
}

/// Where a new key goes: the table, or the brackets, whose lines or members are its neighbours.
#[derive(Clone)]
struct Body<'t> {
    node: Node<'t>,
    /// Steps from the top to it.
    depth: usize,
    /// The dotted keys from it to the place at hand, as a node.
    group: Node<'t>,
    /// Whether a list of tables lies on the way.
    within_list: bool,
}

fn put(range: Range<usize>, text: impl Into<String>) -> Splice {
    Splice { range, text: text.into() }
}

fn line_start(source: &str, offset: usize) -> usize {
    source.get(..offset).and_then(|before| before.rfind('\n')).map_or(0, |at| at + 1)
}

fn line_end(source: &str, offset: usize) -> usize {
    let rest = source.get(offset..).unwrap_or_default();
    offset + rest.split_once('\n').map_or(rest, |(line, _)| line.strip_suffix('\r').unwrap_or(line)).len()
}

fn next_line(source: &str, offset: usize) -> usize {
    let rest = source.get(offset..).unwrap_or_default();
    rest.find('\n').map_or(source.len(), |at| offset + at + 1)
}

fn is_blank_line(source: &str, offset: usize) -> bool {
    source
        .get(line_start(source, offset)..line_end(source, offset))
        .is_some_and(|line| line.trim().is_empty())
}

fn parse(source: &str) -> Result<Document<&str>, EditError> {
    Document::parse(source).map_err(|e| {
        let at = e.span().map_or(0, |span| span.start);
        let line = source.get(..at).unwrap_or_default().matches('\n').count() + 1;
        EditError::Unreadable(format!("the file is not TOML (line {line}): {}", e.message()))
    })
}

/// The pieces to replace, so that the setting holds.
pub(crate) fn edit(source: &str, setting: &Setting) -> Result<Vec<Splice>, EditError> {
    let document = parse(source)?;
    let root = Node::Table(document.as_table());
    let splices = Editor { source, setting, root, newline: newline(source) }.splices()?;
    if splices.is_empty() {
        return Ok(splices);
    }
    let after = spliced(source, splices.clone());
    let sound = Document::parse(after.as_str()).is_ok_and(|new| {
        let new = Node::Table(new.as_table());
        let old_rest = rest(source, root, &setting.place, root);
        let new_rest = rest(&after, new, &setting.place, root);
        holds(&after, new, &setting.place, &setting.goal) && old_rest == new_rest
    });
    if sound {
        return Ok(splices);
    }
    Err(setting.refuse(
        setting.place.len(),
        "cannot be edited so that everything else stays as it is",
        "edit it with `file.line` or `file.block`",
    ))
}

fn holds(text: &str, root: Node<'_>, place: &[Step], goal: &Goal) -> bool {
    let found = place.iter().try_fold(root, |node, step| match step {
        Step::Key(key) => node.member(key),
        Step::Index(index) => node.item(*index),
    });
    match (goal, found) {
        (Goal::Absent, found) => found.is_none(),
        (Goal::Value(value), Some(node)) => node.means(value),
        (Goal::Literal(literal), Some(Node::Value(value))) => {
            value.span().and_then(|span| text.get(span)) == Some(literal.as_str())
        }
        _ => false,
    }
}

/// A tree without layout.
#[derive(PartialEq)]
enum Bare<'s> {
    Leaf(&'s str),
    List(Vec<Bare<'s>>),
    Map(BTreeMap<String, Bare<'s>>),
}

impl<'s> Bare<'s> {
    fn of(source: &'s str, node: Node<'_>) -> Self {
        if let Some(members) = node.members() {
            return Self::Map(
                members.into_iter().map(|(key, node)| (key.to_owned(), Self::of(source, node))).collect(),
            );
        }
        if let Some(items) = node.items() {
            return Self::List(items.into_iter().map(|node| Self::of(source, node)).collect());
        }
        match node {
            Node::Value(value) => {
                Self::Leaf(value.span().and_then(|span| source.get(span)).unwrap_or_default())
            }
            Node::Table(_) | Node::Tables(_) => Self::Leaf(""),
        }
    }

    /// Takes out what stands at a place, with the mappings around it that hold nothing else.
    fn without(&mut self, place: &[Step]) {
        match (self, place) {
            (Self::Map(members), [Step::Key(key), rest @ ..]) => {
                if let Some(member) = members.get_mut(key) {
                    member.without(rest);
                    if rest.is_empty() || matches!(member, Self::Map(inner) if inner.is_empty()) {
                        members.remove(key);
                    }
                }
            }
            (Self::List(items), [Step::Index(index), rest @ ..]) => {
                if rest.is_empty() {
                    if *index < items.len() {
                        items.remove(*index);
                    }
                } else if let Some(item) = items.get_mut(*index) {
                    item.without(rest);
                }
            }
            _ => {}
        }
    }
}

/// Everything but what the setting is about. Where even the way was missing, the way is new, too.
fn rest<'s>(source: &'s str, root: Node<'_>, place: &[Step], old: Node<'_>) -> Bare<'s> {
    let mut node = Some(old);
    let known = place.iter().take_while(|step| {
        node = node.and_then(|node| match step {
            Step::Key(key) => node.member(key),
            Step::Index(index) => node.item(*index),
        });
        node.is_some()
    });
    let depth = (known.count() + 1).min(place.len());
    let mut bare = Bare::of(source, root);
    bare.without(place.get(..depth).unwrap_or_default());
    bare
}

fn text(text: &str) -> String {
    Value::from(text).to_string().replace('\u{7f}', "\\u007F")
}

fn key(name: &str) -> String {
    let bare = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if bare { name.to_owned() } else { text(name) }
}

fn write(new: &New<'_>) -> String {
    match new {
        New::Literal(literal) => (*literal).to_owned(),
        New::Scalar(Value::String(it)) => text(it),
        New::Scalar(other) => other.to_string(),
        New::List(items) => format!("[{}]", items.iter().map(write).collect::<Vec<_>>().join(", ")),
        New::Map(members) if members.is_empty() => "{}".into(),
        New::Map(members) => {
            let members: Vec<String> =
                members.iter().map(|(name, value)| format!("{} = {}", key(name), write(value))).collect();
            format!("{{ {} }}", members.join(", "))
        }
    }
}

struct Editor<'t> {
    source: &'t str,
    setting: &'t Setting,
    root: Node<'t>,
    newline: &'static str,
}

impl<'t> Editor<'t> {
    fn splices(&self) -> Result<Vec<Splice>, EditError> {
        let setting = self.setting;
        let absent = setting.goal == Goal::Absent;
        let mut node = self.root;
        let mut body = Body { node, depth: 0, group: node, within_list: false };
        for (depth, step) in setting.place.iter().enumerate() {
            let found = match step {
                Step::Key(key) if node.members().is_some() => node.member(key),
                Step::Index(index) if node.items().is_some() => node.item(*index),
                _ if absent && node.members().is_none() && node.items().is_none() => return Ok(Vec::new()),
                _ => return Err(setting.other_kind(depth, node.kind())),
            };
            let Some(found) = found else {
                return if absent { Ok(Vec::new()) } else { self.insert(node, &body, depth) };
            };
            let dotted = match found {
                Node::Table(table) => table.is_dotted(),
                Node::Value(Toml::InlineTable(table)) => table.is_dotted(),
                _ => false,
            };
            if dotted {
                body.group = found;
            } else if found.members().is_some() {
                let within_list = body.within_list || matches!(node, Node::Tables(_));
                body = Body { node: found, depth: depth + 1, group: found, within_list };
            }
            node = found;
        }
        match &setting.goal {
            Goal::Value(value) if node.means(value) => Ok(Vec::new()),
            Goal::Absent => self.remove(node),
            goal => match node {
                Node::Value(value) if !matches!(value, Toml::InlineTable(table) if table.is_dotted()) => {
                    let range = value.span().unwrap_or_default();
                    let old = self.source.get(range.clone()).unwrap_or_default();
                    if matches!(goal, Goal::Literal(literal) if literal.as_str() == old) {
                        return Ok(Vec::new());
                    }
                    let new = New::below(&[], goal).ok_or_else(|| setting.no_item(0, 0))?;
                    Ok(vec![put(range, self.instead(&new, old, value))])
                }
                _ => Err(setting.refuse(
                    setting.place.len(),
                    "has lines of its own, and is not replaced as a whole",
                    "name each key in it that should have a value",
                )),
            },
        }
    }

    /// A value, laid out as the one it replaces.
    fn instead(&self, new: &New<'_>, old: &str, value: &Toml) -> String {
        match new {
            New::Scalar(Value::String(it)) if old.starts_with('\'') && !old.starts_with("'''") => {
                let literal = !it.contains('\'') && it.chars().all(|c| c == '\t' || !c.is_control());
                if literal { format!("'{it}'") } else { text(it) }
            }
            New::List(items) if old.contains('\n') && !items.is_empty() => {
                let first = value.as_array().and_then(|array| array.get(0)).and_then(Toml::span);
                let Some(first) = first else { return write(new) };
                let (inner, outer) = (indent_of(self.source, first.start), closing_indent(old));
                let lines: String =
                    items.iter().map(|item| format!("{}{inner}{},", self.newline, write(item))).collect();
                format!("[{lines}{}{outer}]", self.newline)
            }
            new => write(new),
        }
    }

    /// The keys of a new line, dotted, and its value.
    fn assignment(&self, from: usize, depth: usize) -> Result<String, EditError> {
        let place = &self.setting.place;
        let mut names: Vec<String> = Vec::new();
        let mut end = from;
        for step in place.get(from..).unwrap_or_default() {
            let Step::Key(name) = step else { break };
            names.push(key(name));
            end += 1;
        }
        let value = New::below(place.get(end..).unwrap_or_default(), &self.setting.goal)
            .ok_or_else(|| self.setting.no_item(depth.max(end), 0))?;
        Ok(format!("{} = {}", names.join("."), write(&value)))
    }

    fn insert(&self, node: Node<'t>, body: &Body<'t>, depth: usize) -> Result<Vec<Splice>, EditError> {
        match (node, body.node) {
            (Node::Value(Toml::Array(array)), _) => self.append(array, depth),
            (Node::Tables(tables), _) => match self.setting.place.get(depth) {
                Some(Step::Index(index)) if *index == tables.len() => Err(self.setting.refuse(
                    depth,
                    "is a list of tables, to which none is added",
                    "add it with `file.block`",
                )),
                _ => Err(self.setting.no_item(depth, tables.len())),
            },
            (_, Node::Value(Toml::InlineTable(table))) => self.in_brackets(table, body, depth),
            (_, Node::Table(table)) => self.in_table(table, body, depth),
            _ => Err(self.setting.other_kind(depth, node.kind())),
        }
    }

    fn append(&self, array: &Array, depth: usize) -> Result<Vec<Splice>, EditError> {
        let source = self.source;
        let missing = || self.setting.no_item(depth, array.len());
        match self.setting.place.get(depth) {
            Some(Step::Index(index)) if *index == array.len() => {}
            _ => return Err(missing()),
        }
        let rest = self.setting.place.get(depth + 1..).unwrap_or_default();
        let new = New::below(rest, &self.setting.goal).ok_or_else(|| self.setting.no_item(depth + 1, 0))?;
        let text = write(&new);
        let whole = array.span().ok_or_else(missing)?;
        let ends: Vec<Range<usize>> = array.iter().filter_map(Toml::span).collect();
        let Some(last) = ends.last() else { return Ok(vec![put(whole.start + 1..whole.end - 1, text)]) };
        let before = ends.iter().rev().nth(1).map_or(whole.start + 1, |previous| previous.end);
        let gap = source.get(before..last.start).unwrap_or_default();
        let broad = gap.contains('\n');
        let tail = source.get(last.end..line_end(source, last.end)).unwrap_or_default();
        if broad && tail.trim_start().starts_with(',') && line_end(source, last.end) < whole.end {
            let rest = tail.trim_start().trim_start_matches(',').trim_start();
            if rest.is_empty() || rest.starts_with('#') {
                let at = line_end(source, last.end);
                return Ok(vec![put(
                    at..at,
                    format!("{}{}{text},", self.newline, indent_of(source, last.start)),
                )]);
            }
        }
        let lead = if broad {
            format!("{}{}", self.newline, indent_of(source, last.start))
        } else {
            let lead = gap.rsplit_once(',').map_or(" ", |(_, lead)| lead);
            if lead.trim().is_empty() { lead.to_owned() } else { " ".into() }
        };
        Ok(vec![put(last.end..last.end, format!(",{lead}{text}"))])
    }

    fn in_brackets(
        &self,
        table: &InlineTable,
        body: &Body<'t>,
        depth: usize,
    ) -> Result<Vec<Splice>, EditError> {
        let text = self.assignment(body.depth, depth)?;
        let whole = table.span().unwrap_or_default();
        let mut ends = Vec::new();
        for (_, value) in table.iter() {
            Node::Value(value).leaves(&mut ends);
        }
        Ok(match ends.iter().map(|range| range.end).max() {
            Some(end) => vec![put(end..end, format!(", {text}"))],
            None => vec![put(whole.start + 1..whole.end - 1, format!(" {text} "))],
        })
    }

    fn in_table(&self, table: &Table, body: &Body<'t>, depth: usize) -> Result<Vec<Splice>, EditError> {
        let source = self.source;
        let names = |to: usize| {
            let steps = self.setting.place.get(..to).unwrap_or_default().iter();
            steps
                .map(|step| if let Step::Key(name) = step { key(name) } else { String::new() })
                .collect::<Vec<_>>()
        };
        // New tables get a header of their own; but keys are dotted already, or in an item of a list,
        // where a header would stand for another item.
        let last = self.setting.place.iter().position(|step| matches!(step, Step::Index(_)));
        let last = last.unwrap_or(self.setting.place.len()).saturating_sub(1);
        let is_root = body.depth == 0;
        let dotted =
            !matches!((body.group, body.node), (Node::Table(a), Node::Table(b)) if std::ptr::eq(a, b));
        let headless = !is_root && table.is_implicit();
        if !body.within_list && !dotted && (headless || last > depth) {
            let lead = match source {
                "" => String::new(),
                text if !text.ends_with('\n') => self.newline.repeat(2),
                text if is_blank_line(source, text.len() - 1) => String::new(),
                _ => self.newline.to_owned(),
            };
            let line = self.assignment(last, depth)?;
            let newline = self.newline;
            let text = format!("{lead}[{}]{newline}{line}{newline}", names(last).join("."));
            return Ok(vec![put(source.len()..source.len(), text)]);
        }
        let line = self.assignment(body.depth, depth)?;
        let end_of = |node: Node<'t>| {
            let mut leaves = Vec::new();
            node.leaves(&mut leaves);
            leaves.into_iter().max_by_key(|range| range.end)
        };
        if let Some(leaf) = end_of(body.group).or_else(|| end_of(body.node)) {
            let at = line_end(source, leaf.end);
            let text = format!("{}{}{line}", self.newline, indent_of(source, leaf.start));
            return Ok(vec![put(at..at, text)]);
        }
        if let (false, Some(header)) = (is_root, table.span()) {
            let at = line_end(source, header.end);
            return Ok(vec![put(at..at, format!("{}{line}", self.newline))]);
        }
        Ok(vec![self.at_the_top(&line)])
    }

    /// Puts a line before the first header, and before what comments that.
    fn at_the_top(&self, line: &str) -> Splice {
        let source = self.source;
        let mut headed = Vec::new();
        self.root.headed(&mut headed);
        let starts = headed.iter().filter_map(|table| table.span()).filter(|span| !span.is_empty());
        let Some(first) = starts.map(|span| span.start).min() else {
            let lead = if source.is_empty() || source.ends_with('\n') { "" } else { self.newline };
            return put(source.len()..source.len(), format!("{lead}{line}{}", self.newline));
        };
        let mut at = line_start(source, first);
        while at > 0 && !is_blank_line(source, at - 1) {
            at = line_start(source, at - 1);
        }
        put(at..at, format!("{line}{0}{0}", self.newline))
    }

    fn remove(&self, node: Node<'t>) -> Result<Vec<Splice>, EditError> {
        if let Some(brackets) = self.brackets_around() {
            return self.out_of_brackets(brackets, node);
        }
        let source = self.source;
        let mut ranges: Vec<Range<usize>> = Vec::new();
        let mut headed = Vec::new();
        node.headed(&mut headed);
        headed.sort_by_key(|table| table.span().map(|span| span.start));
        for table in headed {
            let mut leaves = Vec::new();
            Node::Table(table).leaves(&mut leaves);
            let header = table.span().unwrap_or_default();
            let end = leaves.iter().map(|range| range.end).max().unwrap_or(header.end).max(header.end);
            let (start, end) = (line_start(source, header.start), next_line(source, end));
            // What parts only tables that go, goes with them.
            if let Some(before) = ranges.last_mut()
                && source.get(before.end..start).is_some_and(|between| between.trim().is_empty())
            {
                before.end = end;
                continue;
            }
            ranges.push(start..end);
        }
        for range in &mut ranges {
            // The empty line that parted it from what is before.
            let parted = range.start > 0 && is_blank_line(source, range.start - 1);
            if parted && (range.end == source.len() || is_blank_line(source, range.end)) {
                range.start = line_start(source, range.start - 1);
            }
        }
        let is_line = |node: Node<'t>| match node {
            Node::Table(table) => table.is_dotted(),
            Node::Value(_) => true,
            Node::Tables(_) => false,
        };
        if is_line(node) {
            let mut leaves = Vec::new();
            node.leaves(&mut leaves);
            for leaf in leaves {
                ranges.push(line_start(source, leaf.start)..next_line(source, leaf.end));
            }
        }
        Ok(ranges.into_iter().map(|range| put(range, "")).collect())
    }

    /// The outermost brackets, without a list within, in which the value is.
    fn brackets_around(&self) -> Option<&'t InlineTable> {
        let (_, above) = self.setting.place.split_last()?;
        let mut node = self.root;
        let mut outer = None;
        for step in above {
            node = match step {
                Step::Key(key) => node.member(key)?,
                Step::Index(index) => node.item(*index)?,
            };
            match node {
                Node::Value(Toml::InlineTable(table)) if !table.is_dotted() => outer = Some(table),
                Node::Value(Toml::InlineTable(_)) => {}
                _ => outer = None,
            }
        }
        outer
    }

    fn out_of_brackets(&self, table: &InlineTable, node: Node<'t>) -> Result<Vec<Splice>, EditError> {
        let source = self.source;
        let whole = table.span().unwrap_or_default();
        let mut ends = Vec::new();
        for (_, value) in table.iter() {
            Node::Value(value).leaves(&mut ends);
        }
        ends.sort_by_key(|range| range.start);
        let mut gone = Vec::new();
        node.leaves(&mut gone);
        let mut splices = Vec::new();
        // Each with the comma before it, or the first with the comma behind it.
        let kept: Vec<bool> = ends.iter().map(|range| !gone.contains(range)).collect();
        let first_kept = kept.iter().position(|kept| *kept);
        match first_kept {
            None => splices.push(put(whole.start + 1..whole.end - 1, "")),
            Some(first) => {
                if first > 0 {
                    let start = whole.start + 1;
                    let head = source.get(start..).unwrap_or_default();
                    let start = start + head.len() - head.trim_start().len();
                    let before = ends.get(first - 1).map_or(start, |range| range.end);
                    let tail = source.get(before..).unwrap_or_default();
                    let comma = tail.find(',').map_or(before, |at| before + at + 1);
                    let tail = source.get(comma..).unwrap_or_default();
                    splices.push(put(start..comma + tail.len() - tail.trim_start().len(), ""));
                }
                for (index, range) in ends.iter().enumerate().skip(first) {
                    if kept.get(index) == Some(&false) {
                        let before = ends.get(index - 1).map_or(range.start, |before| before.end);
                        splices.push(put(before..range.end, ""));
                    }
                }
            }
        }
        if splices.iter().any(|splice| {
            source.get(splice.range.clone()).is_some_and(|part| part.contains('#') && part.contains('\n'))
        }) {
            return Err(self.setting.refuse(
                self.setting.place.len(),
                "stands beside a comment that would go, too",
                "move the comment",
            ));
        }
        Ok(splices)
    }
}

/// The blanks before the bracket that closes a list of several lines.
fn closing_indent(old: &str) -> &str {
    let line = old.rsplit_once('\n').map_or("", |(_, line)| line);
    line.get(..line.len() - line.trim_start().len()).unwrap_or_default()
}
