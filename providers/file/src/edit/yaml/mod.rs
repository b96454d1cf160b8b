//! `file.yaml`: a value in a YAML text. Pieces are cut out and put in where the parser says that
//! nodes stand; then the result is read again, and unless everything else says what it said
//! before, the edit is refused.

mod read;
mod write;

use super::{
    EditError,
    tree::{Goal, New, Setting, Splice, Step, newline, spliced},
};
use read::{Content, Entry, Node, Quotes, Stream, read};
use std::ops::Range;
use write::Style;

/// Whether a text is one value, alone in its line and within brackets, with no comment, anchor, alias
/// or tag.
pub(super) fn is_value(text: &str) -> bool {
    let alone = |around: String, from: usize, depth: usize| {
        let Ok(Stream { documents: 1, root: Some(root), .. }) = read(&around) else { return false };
        let mut node = &root;
        for _ in 0..depth {
            node = match &node.content {
                Content::List { items, .. } => match items.as_slice() {
                    [one] => one,
                    _ => return false,
                },
                Content::Map { entries, .. } => match entries.as_slice() {
                    [one] => &one.value,
                    _ => return false,
                },
                _ => return false,
            };
        }
        node.range == (from..from + text.len()) && is_bare(node)
    };
    alone(format!("k: {text}"), 3, 1)
        && alone(format!("[{text}]"), 1, 1)
        && alone(format!("- {text}\n"), 2, 1)
}

fn is_bare(node: &Node) -> bool {
    node.anchor == 0
        && node.tag.is_none()
        && match &node.content {
            Content::Alias(_) => false,
            Content::Scalar { quotes, .. } => *quotes != Quotes::Block,
            Content::List { items, .. } => items.iter().all(is_bare),
            Content::Map { entries, .. } => entries.iter().all(|e| is_bare(&e.key) && is_bare(&e.value)),
        }
}

/// Where a node hangs.
#[derive(Clone, Copy)]
enum Parent<'t> {
    Root,
    Item { bound: usize },
    Member { map: &'t Node, entries: &'t [Entry], index: usize, colon: usize },
}

/// What is to be done, as found on the way down.
enum Found<'t> {
    Nothing,
    /// The value itself. `owner` is where that hangs in which it is.
    Value {
        node: &'t Node,
        parent: Parent<'t>,
        owner: Parent<'t>,
        flow: bool,
    },
    /// The collection in which the step at this depth is missing.
    Missing {
        node: &'t Node,
        parent: Parent<'t>,
        depth: usize,
        flow: bool,
    },
}

/// The pieces to replace, so that the setting holds.
pub(super) fn edit(source: &str, setting: &Setting) -> Result<Vec<Splice>, EditError> {
    let stream = read(source).map_err(EditError::Unreadable)?;
    if stream.documents > 1 {
        return Err(EditError::Unsafe {
            at: "/path".into(),
            message: format!("the file holds {} documents", stream.documents),
            hint: "which one is meant cannot be said; edit it with `file.line` or `file.block`",
        });
    }
    let mut refusal = None;
    // A text of several lines is easier to read after `|`, where it can stand.
    for blocks in [true, false] {
        let style = style(source, stream.root.as_ref(), blocks);
        let editor = Editor { source, setting, style, top: stream.explicit.unwrap_or(0) };
        let splices = match &stream.root {
            None => editor.begin(&stream)?,
            Some(root) => editor.splices(root)?,
        };
        if splices.is_empty() {
            return Ok(splices);
        }
        let after = spliced(source, splices.clone());
        let again = read(&after);
        let holds = again.as_ref().is_ok_and(|again| {
            again.documents == 1
                && match (&stream.root, &again.root) {
                    (None, Some(new)) => fresh(&after, new, &setting.place, &setting.goal),
                    (Some(old), Some(new)) => holds(&after, old, new, &setting.place, &setting.goal),
                    _ => false,
                }
        });
        if holds {
            return Ok(splices);
        }
        refusal = Some(setting.refuse(
            setting.place.len(),
            "cannot be edited so that everything else stays as it is",
            "write it in the usual way once (no tabs, no `?` before keys), or edit it with `file.line`",
        ));
    }
    refusal.map_or(Ok(Vec::new()), Err)
}

/// Whether a new node is what should be there, where nothing was.
fn fresh(text: &str, new: &Node, steps: &[Step], goal: &Goal) -> bool {
    let Some((step, rest)) = steps.split_first() else {
        return match goal {
            Goal::Value(value) => new.means(value),
            Goal::Literal(literal) => text.get(new.range.clone()) == Some(literal.as_str()),
            Goal::Absent => false,
        };
    };
    match (&new.content, step) {
        (Content::Map { entries, .. }, Step::Key(key)) => match entries.as_slice() {
            [one] => one.key.means(&key.as_str().into()) && fresh(text, &one.value, rest, goal),
            _ => false,
        },
        (Content::List { items, .. }, Step::Index(0)) => match items.as_slice() {
            [one] => fresh(text, one, rest, goal),
            _ => false,
        },
        _ => false,
    }
}

/// Whether the new tree is the old one but for the setting.
fn holds(text: &str, old: &Node, new: &Node, steps: &[Step], goal: &Goal) -> bool {
    let Some((step, rest)) = steps.split_first() else { return fresh(text, new, steps, goal) };
    if old.is_nothing() {
        return fresh(text, new, steps, goal);
    }
    if old.anchor != new.anchor || old.tag != new.tag {
        return false;
    }
    match (&old.content, &new.content, step) {
        (Content::Map { entries: old, .. }, Content::Map { entries: new, .. }, Step::Key(key)) => {
            let at = old.iter().position(|entry| is_key(&entry.key, key));
            let (Some(head), Some(tail)) =
                (old.get(..at.unwrap_or(old.len())), at.map_or(Some(&[][..]), |at| old.get(at + 1..)))
            else {
                return false;
            };
            let gone = rest.is_empty() && *goal == Goal::Absent;
            let Some((new_head, new_tail)) = new.split_at_checked(head.len()) else { return false };
            let new_tail = match (gone, new_tail.split_first()) {
                (true, _) => new_tail,
                (false, Some((entry, new_tail))) => {
                    let sound = match at.and_then(|at| old.get(at)) {
                        Some(old) => {
                            old.key.same(&entry.key) && holds(text, &old.value, &entry.value, rest, goal)
                        }
                        None => {
                            entry.key.means(&key.as_str().into()) && fresh(text, &entry.value, rest, goal)
                        }
                    };
                    if !sound {
                        return false;
                    }
                    new_tail
                }
                (false, None) => return false,
            };
            let same =
                |a: &[Entry], b: &[Entry]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same(b));
            same(head, new_head) && same(tail, new_tail)
        }
        (Content::List { items: old, .. }, Content::List { items: new, .. }, Step::Index(at)) => {
            new.len() == old.len().max(at + 1)
                && new.iter().enumerate().all(|(index, item)| match old.get(index) {
                    Some(old) if index == *at => holds(text, old, item, rest, goal),
                    Some(old) => old.same(item),
                    None => fresh(text, item, rest, goal),
                })
        }
        _ => false,
    }
}

fn is_key(node: &Node, key: &str) -> bool {
    matches!(&node.content, Content::Scalar { text, quotes } if text == key && !(key.is_empty() && *quotes == Quotes::None))
}

/// How the file is laid out: as its first blocks within blocks are.
fn style(source: &str, root: Option<&Node>, blocks: bool) -> Style {
    let mut style = Style { newline: newline(source), unit: 2, list: 2, blocks };
    let (mut unit, mut list) = (None, None);
    let mut todo: Vec<(&Node, Option<usize>)> = root.map(|root| (root, None)).into_iter().collect();
    while let Some((node, above)) = todo.pop() {
        match &node.content {
            Content::Map { flow: false, entries } => {
                let Some(own) = entries.first().map(|entry| column(source, entry.key.range.start)) else {
                    continue;
                };
                if let Some(above) = above.filter(|above| own > *above) {
                    unit = unit.or(Some(own - above));
                }
                todo.extend(entries.iter().rev().map(|entry| (&entry.value, Some(own))));
            }
            Content::List { flow: false, items } => {
                if let (Some(above), Some(first)) = (above, items.first())
                    && let Some(dash) = dash_before(source, first.range.start)
                {
                    list = list.or(column(source, dash).checked_sub(above));
                }
                todo.extend(items.iter().rev().map(|item| (item, None)));
            }
            _ => {}
        }
        if unit.is_some() && list.is_some() {
            break;
        }
    }
    style.unit = unit.unwrap_or(2).clamp(1, 16);
    style.list = list.unwrap_or(style.unit).min(16);
    style
}

/// Columns from the beginning of the line, in characters.
fn column(source: &str, offset: usize) -> usize {
    let before = source.get(..offset).unwrap_or_default();
    before.get(line_start(source, offset)..).unwrap_or_default().chars().count()
}

fn line_start(source: &str, offset: usize) -> usize {
    source.get(..offset).and_then(|before| before.rfind('\n')).map_or(0, |at| at + 1)
}

/// Where the line ends in which an offset lies: before its line break.
fn line_end(source: &str, offset: usize) -> usize {
    let rest = source.get(offset..).unwrap_or_default();
    let line = rest.split_once('\n').map_or(rest, |(line, _)| line.strip_suffix('\r').unwrap_or(line));
    offset + line.len()
}

/// The offset behind the line break that ends the line.
fn next_line(source: &str, offset: usize) -> usize {
    let rest = source.get(offset..).unwrap_or_default();
    rest.find('\n').map_or(source.len(), |at| offset + at + 1)
}

/// The dash in front of an item that begins in the same line.
fn dash_before(source: &str, offset: usize) -> Option<usize> {
    let before = source.get(..offset)?.trim_end_matches([' ', '\t']);
    before.ends_with('-').then(|| before.len() - 1)
}

/// The first dash from an offset on, behind blanks, line breaks and comments.
fn dash_after(source: &str, offset: usize) -> Option<usize> {
    let mut at = offset;
    loop {
        let rest = source.get(at..)?;
        let blanks = rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
        at += blanks;
        match source.get(at..)?.bytes().next()? {
            b'-' => return Some(at),
            b'#' => at = next_line(source, at),
            _ => return None,
        }
    }
}

/// Whether nothing but blanks and a comment stands between an offset and the end of its line.
fn ends_line(source: &str, offset: usize) -> bool {
    let rest = source.get(offset..line_end(source, offset)).unwrap_or_default();
    let trimmed = rest.trim_start_matches([' ', '\t']);
    trimmed.is_empty() || trimmed.starts_with('#') && (trimmed.len() < rest.len())
}

struct Editor<'t> {
    source: &'t str,
    setting: &'t Setting,
    style: Style,
    /// Where the document may begin: behind its `---`.
    top: usize,
}

fn put(range: Range<usize>, text: impl Into<String>) -> Splice {
    Splice { range, text: text.into() }
}

impl<'t> Editor<'t> {
    fn below(&self, depth: usize) -> Result<New<'t>, EditError> {
        let rest = self.setting.place.get(depth..).unwrap_or_default();
        New::below(rest, &self.setting.goal).ok_or_else(|| self.setting.no_item(depth, 0))
    }

    /// Puts the first value into a file that has none.
    fn begin(&self, stream: &Stream) -> Result<Vec<Splice>, EditError> {
        if self.setting.goal == Goal::Absent {
            return Ok(Vec::new());
        }
        let new = self.below(0)?;
        let text = match &new {
            New::List(items) => self.style.items(items, 0),
            New::Map(members) => self.style.members(members, 0),
            New::Scalar(_) | New::Literal(_) => return Ok(Vec::new()),
        };
        let source = self.source;
        let at = stream.explicit.map_or(source.len(), |at| next_line(source, at));
        let before = source.get(..at).unwrap_or_default();
        let lead = if before.is_empty() || before.ends_with('\n') { "" } else { self.style.newline };
        Ok(vec![put(at..at, format!("{lead}{text}{}", self.style.newline))])
    }

    fn splices(&self, root: &'t Node) -> Result<Vec<Splice>, EditError> {
        match self.find(root)? {
            Found::Nothing => Ok(Vec::new()),
            Found::Missing { node, parent, depth, flow } => self.insert(node, parent, depth, flow),
            Found::Value { node, parent, owner, flow } => {
                let depth = self.setting.place.len();
                let holds = match &self.setting.goal {
                    Goal::Value(value) => node.means(value),
                    Goal::Literal(literal) => self.source.get(node.range.clone()) == Some(literal.as_str()),
                    Goal::Absent => false,
                };
                if holds {
                    return Ok(Vec::new());
                }
                self.unshared(node, depth)?;
                if node.is_anchored() {
                    return Err(self.setting.refuse(depth, "holds an anchor", ANCHOR));
                }
                match self.setting.goal {
                    Goal::Absent => self.remove(parent, owner),
                    Goal::Value(_) | Goal::Literal(_) => {
                        self.replace(node, parent, flow, &self.below(depth)?)
                    }
                }
            }
        }
    }

    /// A value that also counts elsewhere, or that a tag makes into something, is not touched.
    fn unshared(&self, node: &Node, depth: usize) -> Result<(), EditError> {
        let refuse = |what: &str, hint| Err(self.setting.refuse(depth, what, hint));
        match node {
            Node { content: Content::Alias(_), .. } => refuse("is an alias", ANCHOR),
            Node { anchor: 1.., .. } => refuse("has an anchor", ANCHOR),
            Node { tag: Some(_), .. } => {
                refuse("has a tag", "what it means is known to its reader only; edit it with `file.line`")
            }
            _ => Ok(()),
        }
    }

    fn find(&self, root: &'t Node) -> Result<Found<'t>, EditError> {
        let setting = self.setting;
        let absent = setting.goal == Goal::Absent;
        let (mut node, mut parent, mut owner, mut flow) = (root, Parent::Root, Parent::Root, false);
        for (depth, step) in setting.place.iter().enumerate() {
            self.unshared(node, depth)?;
            flow |= node.is_flow();
            let missing = if absent { Found::Nothing } else { Found::Missing { node, parent, depth, flow } };
            match (&node.content, step) {
                (Content::Map { entries, .. }, Step::Key(key)) => {
                    let mut named = entries.iter().enumerate().filter(|(_, entry)| is_key(&entry.key, key));
                    let found = named.next();
                    if named.next().is_some() {
                        return Err(setting.twice(depth + 1));
                    }
                    let merges = entries.iter().any(|entry| is_key(&entry.key, "<<"));
                    if merges && absent {
                        return Err(setting.refuse(
                            depth,
                            "merges another mapping (`<<`)",
                            "what is removed here might still come from there",
                        ));
                    }
                    let Some((index, entry)) = found else { return Ok(missing) };
                    self.unshared(&entry.key, depth + 1)?;
                    let Some(colon) = entry.colon else {
                        return Err(setting.refuse(
                            depth + 1,
                            "has no `:` behind its key",
                            "write it as `key: value` once",
                        ));
                    };
                    owner = parent;
                    parent = Parent::Member { map: node, entries, index, colon };
                    node = &entry.value;
                }
                (Content::List { items, .. }, Step::Index(index)) => {
                    let Some(item) = items.get(*index) else { return Ok(missing) };
                    let bound = match index.checked_sub(1).and_then(|before| items.get(before)) {
                        Some(before) => before.range.end,
                        None => match parent {
                            Parent::Root => self.top,
                            Parent::Member { colon, .. } => colon,
                            Parent::Item { bound, .. } => {
                                dash_after(self.source, bound).map_or(bound, |at| at + 1)
                            }
                        },
                    };
                    owner = parent;
                    parent = Parent::Item { bound };
                    node = item;
                }
                _ if node.is_nothing() => return Ok(missing),
                (Content::Scalar { .. }, _) if absent => return Ok(Found::Nothing),
                _ => return Err(setting.other_kind(depth, node.kind())),
            }
        }
        Ok(Found::Value { node, parent, owner, flow })
    }

    /// The column that decides how deep the value of a parent is, and where that value may begin.
    fn place(&self, parent: Parent<'t>) -> (usize, usize) {
        match parent {
            Parent::Root => (0, self.top),
            Parent::Member { entries, index, colon, .. } => {
                let key = entries.get(index).map_or(0, |entry| entry.key.range.start);
                (column(self.source, key), colon)
            }
            Parent::Item { bound, .. } => {
                let dash = dash_after(self.source, bound).unwrap_or(bound);
                (column(self.source, dash), dash + 1)
            }
        }
    }

    fn after(&self, parent: Parent<'t>, new: &New<'_>, column: usize, like: Quotes) -> String {
        match parent {
            Parent::Item { .. } => self.style.after_dash(new, column, like),
            _ => self.style.after_key(new, column, like),
        }
    }

    fn replace(
        &self,
        node: &'t Node,
        parent: Parent<'t>,
        flow: bool,
        new: &New<'t>,
    ) -> Result<Vec<Splice>, EditError> {
        let source = self.source;
        let (column, begin) = self.place(parent);
        let like = match &node.content {
            Content::Scalar { quotes, .. } => *quotes,
            _ => Quotes::None,
        };
        let lines = matches!(new, New::List(items) if !items.is_empty())
            || matches!(new, New::Map(members) if !members.is_empty());
        if flow {
            if node.is_nothing() {
                return Ok(vec![put(begin..begin, format!(" {}", write::flow(new, like)))]);
            }
            return Ok(vec![put(node.range.clone(), write::flow(new, like))]);
        }
        let block = match &node.content {
            Content::Scalar { quotes, .. } => *quotes == Quotes::Block,
            _ => !node.is_flow(),
        };
        let text = self.after(parent, new, column, like);
        if node.is_nothing() {
            let at = if text.starts_with(self.style.newline) { line_end(source, begin) } else { begin };
            return Ok(vec![put(at..at, text)]);
        }
        if block {
            // What is said beside the key stays there.
            let end = line_end(source, begin);
            if matches!(like, Quotes::None) && ends_line(source, begin) && end < node.range.start {
                if text.starts_with(self.style.newline) {
                    return Ok(vec![put(end..node.range.end, text)]);
                }
                return Ok(vec![put(begin..begin, text), put(end..node.range.end, "")]);
            }
            return Ok(vec![put(begin..node.range.end, text)]);
        }
        if lines && !node.is_flow() {
            let between = source.get(begin..node.range.start).unwrap_or_default();
            if !between.contains('#') {
                return Ok(vec![put(begin..node.range.end, text)]);
            }
        }
        let text = if lines { write::flow(new, like) } else { text.trim_start_matches(' ').to_owned() };
        Ok(vec![put(node.range.clone(), text)])
    }

    fn insert(
        &self,
        node: &'t Node,
        parent: Parent<'t>,
        depth: usize,
        flow: bool,
    ) -> Result<Vec<Splice>, EditError> {
        let source = self.source;
        if node.is_nothing() {
            return self.replace(node, parent, flow, &self.below(depth)?);
        }
        let new = self.below(depth + 1)?;
        // A new key or item is quoted as the one before it.
        let neighbour = match &node.content {
            Content::Map { flow: true, entries } => entries.last().map(|entry| &entry.key.content),
            Content::List { items, .. } => items.last().map(|item| &item.content),
            _ => None,
        };
        let like = match neighbour {
            Some(Content::Scalar { quotes: quotes @ (Quotes::Single | Quotes::Double), .. }) => *quotes,
            _ => Quotes::None,
        };
        let (key, last, previous, count) = match (&node.content, self.setting.place.get(depth)) {
            (Content::Map { entries, .. }, Some(Step::Key(key))) => {
                let ranges =
                    |entry: &Entry| entry.key.range.start..entry.value.range.end.max(entry.key.range.end);
                let mut back = entries.iter().rev().map(ranges);
                (Some(key.as_str()), back.next(), back.next(), entries.len())
            }
            (Content::List { items, .. }, Some(Step::Index(index))) => {
                if *index != items.len() {
                    return Err(self.setting.no_item(depth, items.len()));
                }
                let mut back = items.iter().rev().map(|item| item.range.clone());
                (None, back.next(), back.next(), items.len())
            }
            _ => return Err(self.setting.other_kind(depth, node.kind())),
        };
        if flow {
            let text = match key {
                Some(key) => write::flow_member(key, &new, like),
                None => write::flow(&new, like),
            };
            let Some(last) = last else {
                return Ok(vec![put(node.range.start + 1..node.range.end - 1, text)]);
            };
            let gap =
                source.get(previous.map_or(node.range.start + 1, |p| p.end)..last.start).unwrap_or_default();
            let lead = gap.rsplit_once(',').map_or(gap, |(_, lead)| lead);
            let lead = match lead.rsplit_once('\n') {
                Some((_, indent)) if lead.trim().is_empty() => format!("{}{indent}", self.style.newline),
                None if lead.trim().is_empty() && count > 1 => lead.to_owned(),
                _ => " ".to_owned(),
            };
            return Ok(vec![put(last.end..last.end, format!(",{lead}{text}"))]);
        }
        let (Some(last), Content::Map { .. } | Content::List { .. }) = (last, &node.content) else {
            return Err(self.setting.other_kind(depth, node.kind()));
        };
        let at = line_end(source, last.end);
        let text = match (key, &node.content) {
            (Some(key), Content::Map { entries, .. }) => {
                let column = entries.first().map_or(0, |entry| column(source, entry.key.range.start));
                format!("{}{}", " ".repeat(column), self.style.member(key, &new, column))
            }
            _ => {
                let (_, begin) = self.place(parent);
                let dash = dash_after(source, begin).map_or(0, |dash| column(source, dash));
                format!("{}-{}", " ".repeat(dash), self.style.after_dash(&new, dash, like))
            }
        };
        Ok(vec![put(at..at, format!("{}{text}", self.style.newline))])
    }

    fn remove(&self, parent: Parent<'t>, owner: Parent<'t>) -> Result<Vec<Splice>, EditError> {
        let source = self.source;
        let depth = self.setting.place.len();
        // Items are not removed: the last step names a key.
        let Parent::Member { map, entries, index, .. } = parent else { return Ok(Vec::new()) };
        let range = |entry: &Entry| entry.key.range.start..entry.value.range.end.max(entry.key.range.end);
        let Some(own) = entries.get(index).map(range) else { return Ok(Vec::new()) };
        let next = entries.get(index + 1).map(range);
        let previous = index.checked_sub(1).and_then(|at| entries.get(at)).map(range);
        let comment = || {
            self.setting.refuse(
                depth,
                "stands beside a comment that would go, too",
                "move the comment to a line of its own",
            )
        };
        if map.is_flow() {
            let gone = match (previous, next) {
                (_, Some(next)) => own.start..next.start,
                (Some(previous), None) => previous.end..own.end,
                (None, None) => map.range.start + 1..map.range.end - 1,
            };
            let around = [gone.start.min(own.start)..own.start, own.end..gone.end];
            if around.into_iter().any(|part| source.get(part).is_some_and(|part| part.contains('#'))) {
                return Err(comment());
            }
            return Ok(vec![put(gone, "")]);
        }
        let start = line_start(source, own.start);
        let inline = !source.get(start..own.start).unwrap_or_default().trim().is_empty();
        if inline {
            return match next {
                None => Ok(vec![put(own, "{}")]),
                Some(next) if source.get(own.end..next.start).is_some_and(|part| part.contains('#')) => {
                    Err(comment())
                }
                Some(next) => Ok(vec![put(own.start..next.start, "")]),
            };
        }
        let end = next_line(source, own.end);
        // Without a line break at the end of the file, the one before goes.
        let lines = if end == source.len() && !source.ends_with('\n') {
            source.get(..start).map_or(start, |head| {
                head.strip_suffix('\n').map_or(start, |head| head.strip_suffix('\r').unwrap_or(head).len())
            })..end
        } else {
            start..end
        };
        if entries.len() > 1 {
            return Ok(vec![put(lines, "")]);
        }
        // A mapping that loses its only key becomes `{}`, not nothing.
        if let Parent::Root = owner {
            return Ok(vec![put(own, "{}")]);
        }
        let (_, begin) = self.place(owner);
        Ok(vec![put(begin..begin, " {}"), put(lines, "")])
    }
}

/// What to do about anchors and aliases.
const ANCHOR: &str = "the value counts in other places, too; write it without anchors and aliases once";

#[cfg(test)]
mod tests {
    use super::{
        read::{Plain, plain},
        *,
    };

    #[test]
    fn literals_are_one_value() {
        for text in ["0.5", "1e3", "2001-01-01", "[0.5, a]", "{a: 0.5}", "'x'", "\"#\"", "0x1F", "x"] {
            assert!(is_value(text), "{text}");
        }
        for text in
            ["", "a: b", "a # b", "&a b", "*a", "!t a", "a, b", "- a", "|", "a]", "[a", "\"a", "? a", "%"]
        {
            assert!(!is_value(text), "{text}");
        }
    }

    #[test]
    fn what_readers_take_for_no_text() {
        for text in [
            "yes",
            "Off",
            "0640",
            "1_000",
            "1:30",
            "1.5",
            ".5",
            "0x1f",
            "0o17",
            "2001-01-01",
            "=",
            "<<",
            "+1",
            "-0",
            "1e3",
            ".NaN",
            "1.",
        ] {
            assert!(matches!(plain(text), Plain::Other), "{text}");
        }
        for text in ["a", "10.0.0.1", "1.2.3", "v1", "1a", "nope", "e3", "-", "12:30:99x", "a=b"] {
            assert!(matches!(plain(text), Plain::Text), "{text}");
        }
    }
}
