//! Making a planned change, forwards or back.

use crate::{
    desired::{Desired, Path, path_of, restore_of},
    entry::{Content, Entry},
    errors::stale,
    goal::Goals,
    look::{Depth, Look, look},
    names::Names,
    tree::Tree,
    write::Change,
};
use rectify_sdk::{
    Context, Found,
    base::TypeName,
    protocol::{
        ErrorCode, ItemError, Mutated,
        message::{Applied, Apply, ApplyStatus, ReadAnswer, ReadItem, Restore},
    },
};
use serde_json::Value;
use std::time::Duration;

/// The depth that the states of a type need, whatever else is known of an item.
fn depth_of(type_name: &TypeName) -> Depth {
    if type_name.as_str() == "file.absent" { Depth::Entries } else { Depth::Itself }
}

fn state_of(look: &Look, path: &Path) -> Result<Option<Value>, ItemError> {
    look.entry.as_ref().map(|entry| entry.state(&path.text, false)).transpose()
}

/// The state now, and the before-image of a regular file if one is asked for.
pub(crate) fn read(cx: &Context, item: &ReadItem) -> Result<ReadAnswer, ItemError> {
    let path = path_of(&item.desired)?;
    let tree = Tree::open(cx.root())?;
    let names = Names::load(&tree)?;
    let look = look(&tree, &names, &path, depth_of(&item.type_name))?;
    let before_image = match &look.entry {
        Some(Entry::File { content: Content { bytes: Some(bytes), .. }, .. }) if item.capture => {
            Some(cx.keep_before_image(bytes)?)
        }
        _ => None,
    };
    Ok(ReadAnswer { state: state_of(&look, &path)?, before_image })
}

/// Makes the change of an operation, if the state is as expected.
pub(crate) fn apply(cx: &Context, op: &Apply) -> Result<Applied, ItemError> {
    let restore = restore_of(&op.desired)?;
    let desired = match restore {
        Some(_) => None,
        None => Some(Desired::parse(&op.type_name, &op.desired)?),
    };
    let path = path_of(&op.desired)?;
    let depth = depth_of(&op.type_name);
    let tree = Tree::open(cx.root())?;
    let names = Names::load(&tree)?;
    let found = look(&tree, &names, &path, depth)?;
    let state = state_of(&found, &path)?;
    if cx.compare(op, state.as_ref())? == Found::Result {
        return Ok(Applied { status: ApplyStatus::Already, state, output: None });
    }
    let goal = match (&desired, restore) {
        (Some(desired), _) => {
            Goals { names: &names, owner: tree.owner }.goal(&desired.want, found.entry.as_ref())?
        }
        (None, Some(restore)) => restored(cx, &restore, &path, &found)?,
        (None, None) => return Err(ItemError::new(ErrorCode::Internal, "nothing is asked for")),
    };
    agrees_with_plan(cx, op, goal.as_ref(), &path)?;
    if goal == found.entry {
        return Ok(Applied { status: ApplyStatus::Already, state, output: None });
    }
    let change = Change {
        cx,
        tree: &tree,
        names: &names,
        path: &path,
        look: &found,
        validate: desired.as_ref().and_then(|desired| desired.validate.as_deref()),
        limit: Duration::from_millis(op.deadline_ms),
    };
    change.make(goal.as_ref())?;
    let after = look(&tree, &names, &path, depth).map_err(|error| error.mutated(Mutated::Yes))?;
    Ok(Applied { status: ApplyStatus::Applied, state: state_of(&after, &path)?, output: None })
}

/// What would be written must have the fingerprint that was signed, or nothing is written.
fn agrees_with_plan(cx: &Context, op: &Apply, goal: Option<&Entry>, path: &Path) -> Result<(), ItemError> {
    let Some(result) = op.result else { return Ok(()) };
    let state = goal.map(|entry| entry.state(&path.text, false)).transpose()?;
    let version = cx.manifest().descriptor(&op.type_name).map_or(1, |descriptor| descriptor.version);
    if cx.fingerprint(&op.type_name, version, state.as_ref())? == result {
        return Ok(());
    }
    Err(stale("what would be written is not what the plan says; names of users or groups may have changed"))
}

/// The state that an inverse brings back, with its content from the blob directory.
fn restored(cx: &Context, restore: &Restore, path: &Path, found: &Look) -> Result<Option<Entry>, ItemError> {
    let Some(state) = &restore.state else { return Ok(None) };
    let mut entry = Entry::from_state(state, &path.text)?;
    match &mut entry {
        Entry::File { content, .. } => {
            if let Some(Entry::File { content: there, .. }) = &found.entry
                && there == content
            {
                content.bytes.clone_from(&there.bytes);
            } else {
                content.bytes = Some(cx.read_blob(&content.digest)?);
            }
        }
        Entry::Directory { entries: Some(entries), .. } if entries.count > 0 && found.entry.is_none() => {
            return Err(ItemError::new(ErrorCode::Unsupported, "what the directory held was not kept"));
        }
        Entry::Directory { .. } | Entry::Link { .. } => {}
    }
    Ok(Some(entry))
}
