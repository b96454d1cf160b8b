//! From the address of a node and a property to the place where it was written, for problems that are
//! found after compiling: what a provider refuses, or what cannot be observed.

use crate::{
    LineIndex, Place, SourceFile, SourceMap,
    report::{Cx, Report},
    text,
    tree::{Content, Entry, Node},
    yaml,
};
use rectify_base::{Address, Code, Diagnostic, Pointer, TargetName};
use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

/// Finds places in the sources that a graph was compiled from. A file is read again when the first
/// place in it is asked for, and kept: only who has a problem to tell pays for it.
#[derive(Debug)]
pub struct Locator<'a> {
    files: &'a [SourceFile],
    map: &'a SourceMap,
    parsed: RefCell<BTreeMap<&'a str, Option<Rc<Parsed<'a>>>>>,
}

#[derive(Debug)]
struct Parsed<'a> {
    lines: LineIndex<'a>,
    root: Node<'a>,
}

impl<'a> Locator<'a> {
    /// Over the files that were compiled and the source map that came out.
    #[must_use]
    pub fn new(files: &'a [SourceFile], map: &'a SourceMap) -> Self {
        Self { files, map, parsed: RefCell::default() }
    }

    /// An error about a node, or about the property of it that `pointer` names (into the node's
    /// `desired`). What is not written, such as a default, is shown where it would be: at the nearest
    /// thing around it. The target is told beside the place. A node that the sources do not have, as
    /// when they have changed since, gives a diagnostic without a place that names the address.
    #[must_use]
    pub fn diagnostic(
        &self,
        address: &Address,
        target: Option<&TargetName>,
        pointer: Option<&Pointer>,
        code: Code,
        message: impl Into<String>,
    ) -> Diagnostic {
        let on = target.map_or_else(String::new, |name| format!("on `{name}`"));
        match self.place(address, pointer) {
            Some(place) => Diagnostic::error(code, message).at(place.file, place.start..place.end, on),
            None if on.is_empty() => Diagnostic::error(code, format!("`{address}`: {}", message.into())),
            None => Diagnostic::error(code, format!("`{address}` {on}: {}", message.into())),
        }
    }

    /// The place of a node, or of a property of it; see [`Locator::diagnostic`].
    #[must_use]
    pub fn place(&self, address: &Address, pointer: Option<&Pointer>) -> Option<Place> {
        let node = self.map.get(address)?;
        let inner = pointer.and_then(|pointer| self.property(node, address.is_gate(), pointer));
        Some(inner.unwrap_or_else(|| node.clone()))
    }

    fn property(&self, node: &Place, is_gate: bool, pointer: &Pointer) -> Option<Place> {
        let file = self.file(&node.file)?;
        let call = call(entry_at(&file.root, node.start)?, is_gate)?;
        let (mut at, mut value) = (call.key_span, &call.value);
        for token in pointer.tokens() {
            let Some((key, child)) = value.child(&token) else { break };
            (at, value) = (if matches!(child.content, Content::Scalar(_)) { child.span } else { key }, child);
        }
        let range = Some(at.range()).filter(|r| !r.is_empty()).unwrap_or_else(|| call.key_span.range());
        let (line, column) = file.lines.locate(range.start);
        Some(Place { file: node.file.clone(), start: range.start, end: range.end, line, column })
    }

    fn file(&self, path: &str) -> Option<Rc<Parsed<'a>>> {
        let source = self.files.iter().find(|f| f.path == path)?;
        let read = || {
            // What is wrong with the file was said when it was compiled.
            let (report, path) = (&mut Report::default(), source.path.as_str());
            let cx = &mut Cx::new(path, report);
            let text = text::decode(&source.bytes, cx)?;
            let root = yaml::parse(text, cx)?;
            Some(Rc::new(Parsed { lines: LineIndex::new(text), root }))
        };
        self.parsed.borrow_mut().entry(source.path.as_str()).or_insert_with(read).clone()
    }
}

/// The entry of a mapping whose key begins here.
fn entry_at<'t, 's>(root: &'t Node<'s>, start: usize) -> Option<&'t Entry<'s>> {
    match &root.content {
        Content::Scalar(_) => None,
        Content::List(items) => items.iter().find_map(|item| entry_at(item, start)),
        Content::Map(entries) => {
            // Keys stand in the order of the text: only one member can hold the place.
            let after = entries.partition_point(|e| e.key_span.range().start <= start);
            let holder = entries.get(after.checked_sub(1)?)?;
            let is_here = holder.key_span.range().start == start;
            if is_here { Some(holder) } else { entry_at(&holder.value, start) }
        }
    }
}

/// The type and properties of a step, given its name and what it holds; a gate's entry is its type.
fn call<'t, 's>(entry: &'t Entry<'s>, is_gate: bool) -> Option<&'t Entry<'s>> {
    match &entry.value.content {
        _ if is_gate => Some(entry),
        Content::Map(members) => members.iter().find(|m| m.key.contains('.')),
        _ => None,
    }
}
