//! The provider `file`: files, what stands in them (lines, blocks, settings), directories, links, and
//! their absence.
//!
//! ```text
//! tree ── look ──▶ entry ──▶ goal (with edit, lines) ──▶ plan
//!  directories,    what is     what should be, pure      └──▶ apply ── write (candidate, xattr, listing)
//!  by descriptor   there
//! ```
//!
//! No path is ever handed to the system whole, except to the command that judges a candidate: all
//! else goes through descriptors of directories. It knows no C library's idea of users, and no
//! state beside the file system.

mod apply;
mod batch;
mod candidate;
mod desired;
mod edit;
mod entry;
mod errors;
mod goal;
mod lines;
mod listing;
mod look;
mod manifest;
mod names;
mod obstacles;
mod plan;
pub mod pure;
mod settings;
mod tree;
mod write;
mod xattr;

use rectify_sdk::{
    Context, Provider,
    protocol::{
        ItemError, Manifest,
        message::{Applied, Apply, DesiredItem, PlanAnswer, PlanItem, ReadAnswer, ReadItem},
    },
    stand_in,
};
use serde_json::{Map, Value};

/// The provider.
#[must_use]
pub fn provider() -> impl Provider {
    FileProvider { batches: batch::Batches::default() }
}

#[derive(Debug)]
struct FileProvider {
    batches: batch::Batches,
}

impl Provider for FileProvider {
    fn manifest(&self) -> Manifest {
        manifest::manifest()
    }

    fn validate(&self, _cx: &Context, item: &DesiredItem) -> Result<(), ItemError> {
        match desired::restore_of(&item.desired)? {
            Some(restore) => apply::check_restore(&item.desired, &restore),
            None => desired::Desired::parse(&item.type_name, &stand_in(&item.desired)).map(drop),
        }
    }

    /// Modes in their shortest spelling. Owners and groups are left as they are written: what they
    /// mean is known on the target only.
    fn normalize(&self, _cx: &Context, item: &DesiredItem) -> Result<Map<String, Value>, ItemError> {
        let mut desired = item.desired.clone();
        if let Some(Value::String(mode)) = desired.get_mut("mode") {
            let bits = entry::parse_mode(mode);
            *mode = entry::show_mode(bits.ok_or_else(|| errors::schema("this is not a mode", "/mode"))?);
        }
        Ok(desired)
    }

    fn read(&self, cx: &Context, item: &ReadItem) -> Result<ReadAnswer, ItemError> {
        apply::read(cx, item)
    }

    fn plan(&self, cx: &Context, item: &PlanItem) -> Result<PlanAnswer, ItemError> {
        plan::plan(cx, &*self.batches.of(cx)?, item)
    }

    fn apply(&self, cx: &Context, op: &Apply) -> Result<Applied, ItemError> {
        apply::apply(cx, op)
    }
}
