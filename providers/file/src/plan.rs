//! What would change. Changes nothing.

use crate::{
    apply::can_come_back,
    batch::Batch,
    desired::{Desired, Path, Want, path_of, restore_of},
    entry::{Entry, parse_mode},
    errors::conflict,
    goal::{Goals, count},
    look::{Look, Scope, look_in},
    obstacles,
    tree::Walked,
    write::{keeps_inode, replaces},
    xattr,
};
use rectify_sdk::{
    Context,
    base::limits::FILE_CONTENT_MAX_BYTES,
    protocol::{
        ItemError,
        message::{PlanAnswer, PlanItem, Predicted, Restore},
    },
};
use serde_json::Value;

/// How well a change can be taken back, and what is lost.
struct Undo {
    grade: &'static str,
    note: Option<String>,
}

/// Answers one item.
pub(crate) fn plan(cx: &Context, batch: &Batch, item: &PlanItem) -> Result<PlanAnswer, ItemError> {
    if let Some(restore) = restore_of(&item.desired)? {
        return plan_back(cx, batch, item, &restore);
    }
    let revealed = cx.reveal(&item.desired)?;
    let desired = Desired::parse(&item.type_name, &revealed.properties)?;
    let names = batch.names()?;
    let path = &desired.path;
    let walked = batch.walk(&path.parent)?;
    let dir = walked.dir();
    let resolved: Vec<String> = resolved_key(&walked, path).into_iter().collect();
    let edits = matches!(desired.want, Want::Edit { .. });
    let scope = Scope::of(&item.type_name, cx.digest_key());
    let scope = if edits { scope.with_bytes() } else { scope };
    let open_to_others = dir.as_ref().is_none_or(|dir| dir.open_to_others);
    let see = || look_in(dir.clone(), names, path, scope);
    let (mut look, prior) = match &item.prior {
        None => {
            let mut look = see()?;
            let prior = look.entry.take();
            (Some(look), prior)
        }
        Some(predicted) => (None, predicted_entry(predicted, path, &desired.want, see)?),
    };
    let goals = Goals { names, owner: batch.owner(), key: cx.digest_key(), secret: revealed.is_secret };
    let goal = goals.goal(&desired.want, prior.as_ref())?;
    if goal == prior {
        return Ok(PlanAnswer::Unchanged { state: state(prior.as_ref(), path, false)?, resolved });
    }
    let prediction = match (&dir, &prior) {
        (None, None) => into_missing(cx, item, path)?,
        _ => "exact",
    };
    if let (Some(_), Some(dir), Some(prior)) = (&look, &dir, &prior) {
        obstacles::refuse(&**dir, &path.name, replaces(prior, goal.as_ref()))?;
    }
    // On a predicted state, what is there now still says how many names and attributes it has.
    if look.is_none() {
        look = see().ok();
    }
    // Neither is shown if either is private: what is being closed was not meant to be seen, and
    // what is being opened has not been yet.
    let readable = |entry: Option<&Entry>| entry.is_none_or(|entry| !entry.is_secret());
    let show = open_to_others && !will_be_closed(item) && readable(prior.as_ref()) && readable(goal.as_ref());
    let undo = undo(prior.as_ref(), goal.as_ref(), look.as_ref())?;
    Ok(PlanAnswer::Changed {
        prior: state(prior.as_ref(), path, show)?,
        planned: state(goal.as_ref(), path, show)?,
        prediction: prediction.into(),
        disruption: Vec::new(),
        undo: undo.grade.into(),
        undo_note: undo.note,
        resolved,
    })
}

/// Answers one item that brings back a state. Whether the content of a file is still kept is seen only
/// where it is needed: a session that plans has no before-images.
fn plan_back(
    cx: &Context,
    batch: &Batch,
    item: &PlanItem,
    restore: &Restore,
) -> Result<PlanAnswer, ItemError> {
    let path = path_of(&item.desired)?;
    let names = batch.names()?;
    let walked = batch.walk(&path.parent)?;
    let dir = walked.dir();
    let resolved: Vec<String> = resolved_key(&walked, &path).into_iter().collect();
    let scope = Scope::of(&item.type_name, cx.digest_key());
    let open_to_others = dir.as_ref().is_none_or(|dir| dir.open_to_others);
    let look = look_in(dir.clone(), names, &path, scope)?;
    let prior = match &item.prior {
        None => look.entry.clone(),
        Some(predicted) => {
            predicted.state.as_ref().map(|state| Entry::from_state(state, &path.text)).transpose()?
        }
    };
    let goal = restore.state.as_ref().map(|state| Entry::from_state(state, &path.text)).transpose()?;
    if goal == prior {
        return Ok(PlanAnswer::Unchanged { state: state(prior.as_ref(), &path, false)?, resolved });
    }
    can_come_back(goal.as_ref(), prior.as_ref())?;
    let prediction = match (&dir, &prior) {
        (None, None) => into_missing(cx, item, &path)?,
        _ => "exact",
    };
    if let (None, Some(dir), Some(prior)) = (&item.prior, &dir, &prior) {
        obstacles::refuse(&**dir, &path.name, replaces(prior, goal.as_ref()))?;
    }
    let readable = |entry: Option<&Entry>| entry.is_none_or(|entry| !entry.is_secret());
    let show = open_to_others && !will_be_closed(item) && readable(prior.as_ref()) && readable(goal.as_ref());
    let undo = undo(prior.as_ref(), goal.as_ref(), Some(&look))?;
    Ok(PlanAnswer::Changed {
        prior: state(prior.as_ref(), &path, show)?,
        planned: state(goal.as_ref(), &path, show)?,
        prediction: prediction.into(),
        disruption: Vec::new(),
        undo: undo.grade.into(),
        undo_note: undo.note,
        resolved,
    })
}

/// The key of the thing that is written in truth, where links on the way lead elsewhere than the
/// path says.
fn resolved_key(walked: &Walked, path: &Path) -> Option<String> {
    let mut real = walked.real().to_vec();
    real.push(b'/');
    real.extend_from_slice(path.name.to_bytes());
    // A path that is no text cannot be named by another step either.
    let real = String::from_utf8(real).ok()?;
    (real != path.text).then(|| format!("path:{real}"))
}

/// How sure it is that something can be made in a directory that does not exist yet: an earlier step
/// makes it, or what earlier steps make is not known, or nothing does.
fn into_missing(cx: &Context, item: &PlanItem, path: &Path) -> Result<&'static str, ItemError> {
    let parent = format!("/{}", path.parent);
    let Some(directories) = &item.directories else {
        let what = &path.text;
        cx.log(
            "info",
            format!("`{what}` can be made only if an earlier step makes the directory `{parent}`"),
        );
        return Ok("conditional");
    };
    let makes_it = |state: &Value| {
        let is = |member: &str, value: &str| state.get(member).and_then(Value::as_str) == Some(value);
        is("kind", "directory") && is("path", &parent)
    };
    if directories.iter().any(makes_it) {
        return Ok("exact");
    }
    Err(conflict(format!(
        "the directory `{}` does not exist, and no earlier step makes it",
        parent.escape_debug()
    ))
    .at("/path")
    .hint("add a `file.directory` step for it, spelled in the same way, and name that step in `after`"))
}

/// Whether an earlier step closes a directory above it to others.
fn will_be_closed(item: &PlanItem) -> bool {
    let closed = |state: &Value| {
        let mode = state.get("mode").and_then(Value::as_str).and_then(parse_mode);
        mode.is_some_and(|mode| mode & 0o001 == 0)
    };
    item.directories.iter().flatten().any(closed)
}

fn state(entry: Option<&Entry>, path: &Path, with_text: bool) -> Result<Option<Value>, ItemError> {
    entry.map(|entry| entry.state(&path.text, with_text)).transpose()
}

/// The state that an earlier step leaves behind. Where its text is not at hand but the file already
/// has that very content, the file's bytes serve.
fn predicted_entry(
    predicted: &Predicted,
    path: &Path,
    want: &Want,
    see: impl Fn() -> Result<Look, ItemError>,
) -> Result<Option<Entry>, ItemError> {
    let Some(state) = &predicted.state else { return Ok(None) };
    let mut entry = Entry::from_state(state, &path.text)?;
    if let (Want::Edit { .. }, Entry::File { content, .. }) = (want, &mut entry)
        && content.bytes.is_none()
        && let Ok(Look { entry: Some(Entry::File { content: found, .. }), .. }) = see()
        && found == *content
    {
        content.bytes = found.bytes;
    }
    Ok(Some(entry))
}

fn undo(prior: Option<&Entry>, goal: Option<&Entry>, look: Option<&Look>) -> Result<Undo, ItemError> {
    let lossy = |note: String| Ok(Undo { grade: "lossy", note: Some(note) });
    let exact = Ok(Undo { grade: "exact", note: None });
    let Some(prior) = prior else { return exact };
    let links = look.map_or(1, |look| look.links);
    match (prior, goal) {
        (Entry::Special { .. }, None) => {
            Ok(Undo { grade: "none", note: Some(format!("a {} is not brought back", prior.kind())) })
        }
        (Entry::File { content, .. }, goal) if content.is_long() && replaces(prior, goal) => {
            let note = format!("a content of more than {FILE_CONTENT_MAX_BYTES} bytes is not kept");
            Ok(Undo { grade: "none", note: Some(note) })
        }
        (Entry::Directory { entries: Some(entries), .. }, None) if entries.count > 0 => Ok(Undo {
            grade: "none",
            note: Some(format!("what the directory holds ({}) is not kept", count(entries.count))),
        }),
        (Entry::File { .. }, Some(goal)) if links > 1 && !keeps_inode(prior, goal) => {
            lossy(format!("the file has {links} names; this one is parted from the others, and stays so"))
        }
        (Entry::File { .. }, None) if links > 1 => lossy(format!(
            "the file has {links} names; brought back, this one no longer shares its content with the others"
        )),
        (Entry::File { .. } | Entry::Directory { .. }, None) => {
            let lost = match look.and_then(|look| look.fd.as_ref()) {
                Some(fd) => xattr::at_stake(fd)?,
                None => Vec::new(),
            };
            if lost.is_empty() {
                return exact;
            }
            lossy(format!("extended attributes are not kept: {}", lost.join(", ")))
        }
        _ => exact,
    }
}
