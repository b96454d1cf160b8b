//! Edges that follow from what steps touch: a reader comes after the writer of a thing, and whatever
//! lies in a directory after the step that writes the directory.

use super::{Item, Link, Links, order::Reach};
use rectify_model::graph::{Access, EdgeKind};
use std::collections::BTreeMap;

/// The kind of things that lie in one another.
const PATH: &str = "path:";

/// Who touches a thing.
#[derive(Debug, Default)]
pub(super) struct Touched {
    /// In the order of explicit edges.
    pub writers: Vec<usize>,
    pub readers: Vec<usize>,
}

/// All things that are touched.
pub(super) fn by_key<'i>(items: &'i [Item<'_>], reach: &Reach) -> BTreeMap<&'i str, Touched> {
    let mut touched: BTreeMap<&str, Touched> = BTreeMap::new();
    for (index, item) in items.iter().enumerate() {
        for touch in &item.prepared.touches {
            let users = touched.entry(touch.touch.key.as_str()).or_default();
            match touch.touch.access {
                Access::Write => users.writers.push(index),
                Access::Read => users.readers.push(index),
            }
        }
    }
    for users in touched.values_mut() {
        users.writers.sort_by_key(|w| reach.position(*w));
    }
    touched
}

/// Adds the implied edges.
pub(super) fn add(
    items: &[Item<'_>],
    touched: &BTreeMap<&str, Touched>,
    reach: &mut Reach,
    links: &mut Links,
) {
    let mut new = Vec::new();
    let address = |index: usize| items.get(index).map_or("", |i| i.address.as_str());
    for (key, users) in touched {
        let thing = key.split_once(':').map_or(*key, |(_, name)| name);
        for reader in &users.readers {
            if let Some(writer) = last_before(*reader, &users.writers, reach) {
                let reason = format!("`{}` writes `{thing}`, which this step reads", address(writer));
                new.push((writer, *reader, reason));
            }
        }
        let Some((directory, above)) = directory_above(key, touched) else { continue };
        for user in users.writers.iter().chain(&users.readers) {
            if let Some(writer) = last_before(*user, &above.writers, reach) {
                let reason = format!(
                    "`{}` writes the directory `{directory}`, in which `{thing}` lies",
                    address(writer)
                );
                new.push((writer, *user, reason));
            }
        }
    }
    for (from, to, reason) in new {
        links.add(from, to, Link { kind: EdgeKind::Implied, reason: Some(reason), span: None });
    }
}

/// The last of the writers (which are ordered among themselves) that does not come after `user` by
/// an explicit edge.
fn last_before(user: usize, writers: &[usize], reach: &mut Reach) -> Option<usize> {
    writers.iter().rev().copied().filter(|w| *w != user).find(|w| !reach.leads(user, *w))
}

/// The nearest directory above a path that somebody writes.
fn directory_above<'k, 't>(
    key: &'k str,
    touched: &'t BTreeMap<&str, Touched>,
) -> Option<(&'k str, &'t Touched)> {
    let mut path = key.strip_prefix(PATH)?;
    while path != "/" {
        let (above, _) = path.rsplit_once('/')?;
        path = if above.is_empty() { "/" } else { above };
        let found = key.get(..PATH.len() + path.len()).and_then(|k| touched.get(k));
        if let Some(users) = found.filter(|u| !u.writers.is_empty()) {
            return Some((path, users));
        }
    }
    None
}
