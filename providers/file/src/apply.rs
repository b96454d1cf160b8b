//! Making a planned change, forwards or back.

use crate::{
    desired::{Desired, Path, Want, path_of, restore_of},
    entry::{Content, Entry},
    errors::{conflict, stale},
    goal::Goals,
    look::{Look, Scope, look},
    names::Names,
    tree::Tree,
    write::Change,
};
use rectify_sdk::{
    Context, Found,
    base::Digest,
    protocol::{
        ErrorCode, ItemError, Mutated,
        message::{Applied, Apply, ApplyStatus, ReadAnswer, ReadItem, Restore},
    },
};
use serde_json::{Map, Value};
use std::{
    fs::File,
    io::{self, Seek},
    os::fd::AsFd,
    time::Duration,
};

fn state_of(look: &Look, path: &Path) -> Result<Option<Value>, ItemError> {
    look.entry.as_ref().map(|entry| entry.state(&path.text, false)).transpose()
}

/// The state now, and the before-image of a regular file if one is asked for.
pub(crate) fn read(cx: &Context, item: &ReadItem) -> Result<ReadAnswer, ItemError> {
    let path = path_of(&item.desired)?;
    let tree = Tree::open(cx.root())?;
    let names = Names::load(&tree)?;
    let look = look(&tree, &names, &path, Scope::of(&item.type_name, cx.digest_key()))?;
    let before_image = if item.capture { before_image(cx, &look)? } else { None };
    Ok(ReadAnswer { state: state_of(&look, &path)?, before_image })
}

/// Keeps the content of a regular file. What others may not read is kept, too, or it could not be
/// brought back: in the private directory for blobs, under its keyed digest if there is a key. A
/// content that is too long to be kept is not; the plan says that it cannot be brought back.
fn before_image(cx: &Context, look: &Look) -> Result<Option<Digest>, ItemError> {
    let Some(entry @ Entry::File { content, .. }) = &look.entry else { return Ok(None) };
    if content.is_long() {
        return Ok(None);
    }
    let kept = match (&content.bytes, &look.fd) {
        (Some(bytes), _) => cx.keep_before_image_from(&mut bytes.as_slice(), entry.is_secret())?,
        (None, Some(fd)) => {
            let failed = |e: io::Error| {
                ItemError::new(ErrorCode::Failed, format!("the file cannot be read once more: {e}"))
            };
            let mut file = File::from(fd.as_fd().try_clone_to_owned().map_err(failed)?);
            file.rewind().map_err(failed)?;
            cx.keep_before_image_from(&mut file, entry.is_secret())?
        }
        (None, None) => return Ok(None),
    };
    let named = content.keyed.filter(|_| entry.is_secret()).or(content.plain.map(|plain| plain.digest));
    if named != Some(kept) {
        return Err(ItemError::new(ErrorCode::Transient, "the file was changed while it was looked at")
            .hint("try again"));
    }
    Ok(Some(kept))
}

/// Makes the change of an operation, if the state is as expected.
pub(crate) fn apply(cx: &Context, op: &Apply) -> Result<Applied, ItemError> {
    let restore = restore_of(&op.desired)?;
    let (desired, secret) = match restore {
        Some(_) => (None, false),
        None => {
            let revealed = cx.reveal(&op.desired)?;
            (Some(Desired::parse(&op.type_name, &revealed.properties)?), revealed.is_secret)
        }
    };
    let path = path_of(&op.desired)?;
    // An inverse may need the bytes that are there, to write them again with other permissions.
    let edits = matches!(&desired, None | Some(Desired { want: Want::Edit { .. }, .. }));
    let scope = Scope::of(&op.type_name, cx.digest_key());
    let tree = Tree::open(cx.root())?;
    let names = Names::load(&tree)?;
    let found = look(&tree, &names, &path, if edits { scope.with_bytes() } else { scope })?;
    let state = state_of(&found, &path)?;
    if cx.compare(op, state.as_ref())? == Found::Result {
        return Ok(Applied { status: ApplyStatus::Already, state, output: None });
    }
    let goals = Goals { names: &names, owner: tree.owner, key: cx.digest_key(), secret };
    let goal = match (&desired, restore) {
        (Some(desired), _) => goals.goal(&desired.want, found.entry.as_ref())?,
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
    let after = look(&tree, &names, &path, scope).map_err(|error| error.mutated(Mutated::Yes))?;
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

/// Checks what asks for an inverse, without looking at anything.
pub(crate) fn check_restore(desired: &Map<String, Value>, restore: &Restore) -> Result<(), ItemError> {
    let path = path_of(desired)?;
    restore.state.as_ref().map(|state| Entry::from_state(state, &path.text)).transpose().map(drop)
}

/// Whether a state can be brought back at all from what is there.
pub(crate) fn can_come_back(goal: Option<&Entry>, found: Option<&Entry>) -> Result<(), ItemError> {
    let unsupported = |message: String| Err(ItemError::new(ErrorCode::Unsupported, message));
    match (goal, found) {
        (Some(Entry::Directory { entries: Some(entries), .. }), None) if entries.count > 0 => {
            unsupported("what the directory held was not kept".into())
        }
        (Some(entry @ Entry::Special { .. }), None) => {
            unsupported(format!("a {} is not brought back", entry.kind()))
        }
        (Some(goal), Some(found)) if goal.kind() != found.kind() => {
            Err(conflict(format!("a {} is not turned back into a {}", found.kind(), goal.kind())).at("/path"))
        }
        _ => Ok(()),
    }
}

/// The state that an inverse brings back, with its content from the blob directory.
fn restored(cx: &Context, restore: &Restore, path: &Path, found: &Look) -> Result<Option<Entry>, ItemError> {
    let Some(state) = &restore.state else { return Ok(None) };
    let mut entry = Entry::from_state(state, &path.text)?;
    can_come_back(Some(&entry), found.entry.as_ref())?;
    if let Entry::File { content, .. } = &mut entry {
        if let Some(Entry::File { content: there, .. }) = &found.entry
            && there == content
            && there.bytes.is_some()
        {
            content.bytes.clone_from(&there.bytes);
        } else {
            content.bytes = Some(match content {
                Content { plain: Some(plain), .. } => cx.read_blob(&plain.digest)?,
                Content { keyed: Some(keyed), .. } => cx.read_secret_blob(keyed)?,
                Content { .. } => return Err(ItemError::new(ErrorCode::Internal, "no digest is known")),
            });
        }
    }
    Ok(Some(entry))
}
