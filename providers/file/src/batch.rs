//! What the items of one request share while planning: open directories and names. It lives no
//! longer than the request, so that nobody plans on what an earlier request saw. Applying shares
//! nothing.

use crate::{
    names::Names,
    tree::{Dir, Owner, Tree, Walked},
};
use rectify_sdk::{Context, protocol::ItemError};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

/// Most directories that one request keeps open.
const DIRECTORIES_MAX: usize = 96;
/// Most requests that are remembered: as many as the SDK works on at once.
const BATCHES_MAX: usize = 16;

/// One request.
#[derive(Debug)]
pub(crate) struct Batch {
    tree: Tree,
    names: OnceLock<Names>,
    dirs: Mutex<BTreeMap<String, Arc<Dir>>>,
}

impl Batch {
    fn new(cx: &Context) -> Result<Self, ItemError> {
        Ok(Self { tree: Tree::open(cx.root())?, names: OnceLock::new(), dirs: Mutex::default() })
    }

    /// Who owns what is new.
    pub(crate) fn owner(&self) -> Owner {
        self.tree.owner
    }

    /// The target's users and groups.
    pub(crate) fn names(&self) -> Result<&Names, ItemError> {
        match self.names.get() {
            Some(names) => Ok(names),
            None => {
                let names = Names::load(&self.tree)?;
                Ok(self.names.get_or_init(|| names))
            }
        }
    }

    /// Walks to a directory beneath the root. What does not exist is looked for again each time.
    pub(crate) fn walk(&self, path: &str) -> Result<Walked, ItemError> {
        let mut dirs = self.dirs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(dir) = dirs.get(path) {
            return Ok(Walked::There(Arc::clone(dir)));
        }
        let mut here = self.tree.root();
        let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
        let mut begin = 0;
        for end in ends {
            let (Some(known), Some(part)) = (path.get(..end), path.get(begin..end)) else { break };
            begin = end + 1;
            if let Some(dir) = dirs.get(known) {
                here = Arc::clone(dir);
                continue;
            }
            let next = match self.tree.walk(here, part)? {
                Walked::There(next) => next,
                Walked::Missing(mut real) => {
                    real.extend_from_slice(path.get(end..).unwrap_or_default().as_bytes());
                    return Ok(Walked::Missing(real));
                }
            };
            if dirs.len() >= DIRECTORIES_MAX {
                dirs.clear();
            }
            dirs.insert(known.into(), Arc::clone(&next));
            here = next;
        }
        Ok(Walked::There(here))
    }
}

/// The requests under way, by number.
#[derive(Debug, Default)]
pub(crate) struct Batches(Mutex<VecDeque<(u64, Arc<Batch>)>>);

impl Batches {
    /// What the items of this request share.
    pub(crate) fn of(&self, cx: &Context) -> Result<Arc<Batch>, ItemError> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, batch)) = all.iter().find(|(request, _)| *request == cx.request()) {
            return Ok(Arc::clone(batch));
        }
        let batch = Arc::new(Batch::new(cx)?);
        if all.len() >= BATCHES_MAX {
            all.pop_front();
        }
        all.push_back((cx.request(), Arc::clone(&batch)));
        Ok(batch)
    }
}
