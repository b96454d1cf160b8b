//! One step: in one line, and in full.

use super::{
    bounded::{self, cut},
    diff::{added_removed, hidden_content, is_content, is_listing, names_of, short, text_of, unified, whole},
    escape::{shell_word, visible},
    properties::{Line, leaves, name_of, property_lines},
};
use rectify_base::Pointer;
use rectify_model::{
    grade::{Disruption, Prediction, UndoGrade},
    graph::{Access, Edge, EdgeKind, Touch},
    plan::{Action, Change, Step},
};
use serde_json::Value;
use std::collections::BTreeMap;

/// Longest command that the line of a step shows whole where details follow, in characters.
const HEAD_MAX_CHARS: usize = 400;
/// Longest name among the marks, in characters.
const MARK_MAX_CHARS: usize = 32;

/// The sign of an action; each is a different character, so no colour is needed.
pub(super) const fn sign(action: Action) -> char {
    match action {
        Action::Create => '+',
        Action::Update => '~',
        Action::Replace => '±',
        Action::Delete => '-',
        Action::Run => '>',
    }
}

/// What a reader must notice about a step: how it is executed beyond its command, how sure it is, what
/// it interrupts, whether it can be taken back. Nothing where all is plain.
pub(super) fn marks(step: &Step) -> String {
    let mut marks = surroundings(step);
    match step.prediction {
        Prediction::Exact => {}
        Prediction::Conditional => marks.push("conditional".into()),
        Prediction::Opaque => marks.push("opaque".into()),
    }
    marks.extend(step.disruption.iter().map(|disruption| match disruption {
        Disruption::Reload => "reload".into(),
        Disruption::Restart => "restart".into(),
        Disruption::Reboot => "reboot".into(),
    }));
    match step.undo.grade {
        UndoGrade::Exact => {}
        UndoGrade::Lossy => marks.push("lossy undo".into()),
        UndoGrade::None => marks.push("no undo".into()),
    }
    if marks.is_empty() { String::new() } else { format!("[{}]", marks.join(", ")) }
}

/// Properties that decide what is executed, and as whom, but are no part of the command's line; and
/// where links lead.
fn surroundings(step: &Step) -> Vec<String> {
    let mut marks = Vec::new();
    if let Some(key) = step.resolved.first() {
        let path = shell_word(&key.strip_prefix("path:").unwrap_or(key).into());
        marks.push(match step.resolved.len() {
            1 => format!("in truth {path}"),
            count => format!("in truth {path} and {} more", count - 1),
        });
    }
    let given = |name: &str| step.desired.get(name);
    if let Some(user) = given("user") {
        marks.push(format!("user {}", cut(&shell_word(user), MARK_MAX_CHARS)));
    }
    match given("environment").and_then(Value::as_object).map(|map| (map.len(), map.keys().next())) {
        Some((1, Some(name))) => marks.push(format!("environment {}", cut(&visible(name), MARK_MAX_CHARS))),
        Some((count @ 2.., _)) => marks.push(format!("environment of {count}")),
        _ => {}
    }
    let named = ["stdin", "directory", "creates", "unless", "only_if", "validate"];
    marks.extend(named.into_iter().filter(|name| given(name).is_some()).map(str::to_owned));
    marks
}

/// The thing and its changes, in one line without names of targets.
pub(super) fn summary(step: &Step) -> String {
    let mut parts = vec![subject(step)];
    let changes = step.changes.iter().filter(|change| match step.action {
        Action::Update | Action::Replace => true,
        Action::Create | Action::Delete | Action::Run => {
            let state = change.before.as_ref().or(change.after.as_ref());
            is_content(state) || is_listing(state)
        }
    });
    let changes: Vec<String> = changes.map(|change| change_summary(step, change)).collect();
    parts.push(changes.join(", "));
    parts.retain(|part| !part.is_empty());
    parts.join("  ")
}

/// What a step is about: its path, its command or the first line of its script; else what it touches
/// first, else its properties.
pub(super) fn subject(step: &Step) -> String {
    let mut parts = Vec::new();
    // Quoted where they are not plain, so that none of them is taken for another column.
    if let Some(path) = step.desired.get("path").filter(|path| path.is_string()) {
        parts.push(shell_word(path));
    }
    if let Some(argv) = step.desired.get("argv").and_then(Value::as_array) {
        parts.push(command_line(argv));
    }
    if let Some(script) = step.desired.get("script").and_then(Value::as_str) {
        let first = shell_word(&script.lines().next().unwrap_or_default().into());
        parts.push(match bounded::line_count(script) {
            0 | 1 => format!("script: {first}"),
            count => format!("script ({count} lines): {first}…"),
        });
    }
    if parts.is_empty() {
        let touched = step.touches.first().map(|touch| shell_word(&touch.key.as_str().into()));
        let properties = || bounded::short(&Value::Object(step.desired.clone()));
        parts.push(touched.unwrap_or_else(properties));
    }
    parts.join("  ")
}

fn command_line(argv: &[Value]) -> String {
    argv.iter().map(shell_word).collect::<Vec<_>>().join(" ")
}

/// The subject for a line that details follow, and the places of the properties that it shows whole.
pub(super) fn head(step: &Step) -> (String, Vec<Pointer>) {
    let mut shown = Vec::new();
    let subject = subject(step);
    if subject.chars().count() <= HEAD_MAX_CHARS {
        let path = step.desired.get("path").is_some_and(Value::is_string);
        let argv = step.desired.get("argv").and_then(Value::as_array);
        shown.extend(path.then(|| Pointer::root().child("path")));
        shown.extend(argv.map(|_| Pointer::root().child("argv")));
    }
    (cut(&subject, HEAD_MAX_CHARS), shown)
}

fn change_summary(step: &Step, change: &Change) -> String {
    let name = name_of(&change.path);
    let (before, after) = (change.before.as_ref(), change.after.as_ref());
    if is_listing(before) && after.is_none() {
        return format!("a directory and its {}", short(before));
    }
    if let (Some(old), Some(new)) = (text_of(before), text_of(after)) {
        let (added, removed) = added_removed(&unified(old, new));
        return format!("{name} +{added} -{removed} lines");
    }
    match (before, after) {
        (None, after) if step.action == Action::Create => format!("{name} {}", short(after)),
        (before, after) => format!("{name} {} → {}", short(before), short(after)),
    }
}

/// Everything of a step that its line does not show whole: its properties, its changes, contents as
/// unified diffs where both texts are known, what it waits for and what it touches.
pub(super) fn details(step: &Step, headed: &[Pointer]) -> Vec<Line> {
    let properties = property_lines(step, headed);
    let mut changes: Vec<Line> = step.changes.iter().flat_map(|change| change_lines(step, change)).collect();
    if changes.is_empty() {
        changes.push(Line::Note(0, "what it changes is not known".into()));
    }
    // Of a command, what is executed matters more than what is known of its effect.
    let mut lines = match step.action {
        Action::Run => [properties, changes],
        _ => [changes, properties],
    }
    .into_iter()
    .flatten()
    .collect::<Vec<_>>();
    lines.extend(step.edges.iter().map(|edge| {
        let (name, value) = edge_text(edge);
        Line::Note(0, format!("{name}{value}"))
    }));
    let touches = step.touches.iter().filter(|touch| !is_plain(step, touch));
    lines.extend(touches.map(|touch| Line::Note(0, format!("{}: {}", verb(touch), visible(&touch.key)))));
    let resolved = step.resolved.iter();
    lines.extend(resolved.map(|key| Line::Note(0, format!("writes in truth: {}", visible(key)))));
    lines.extend(step.undo.note.iter().map(|note| Line::Note(0, format!("undo: {}", visible(note)))));
    lines
}

/// One change, whole. A content of which a text is not shown says why.
fn change_lines(step: &Step, change: &Change) -> Vec<Line> {
    let name = name_of(&change.path);
    let (before, after) = (change.before.as_ref(), change.after.as_ref());
    let text = match (before, after) {
        (None, after) if step.action == Action::Create => format!("{name}: {}", whole(after)),
        (before, after) => format!("{name}: {} → {}", whole(before), whole(after)),
    };
    let mut lines = vec![Line::Note(0, text)];
    if is_listing(before) || is_listing(after) {
        let names = names_of(before).or(names_of(after)).map(bounded::line);
        lines.push(Line::Note(
            1,
            match names {
                Some(names) => format!("counted on all levels; the first: {names}"),
                None => "counted on all levels; no names are given".into(),
            },
        ));
    }
    if is_content(before) || is_content(after) {
        let mode = |side: fn(&Change) -> Option<&Value>| {
            let change = step.changes.iter().find(|change| change.path.as_str() == "/mode");
            let planned = step.planned.as_ref().and_then(|state| state.get("mode"));
            change.map_or(planned, side).and_then(Value::as_str)
        };
        let sides = (
            hidden_content(before, mode(|change| change.before.as_ref())),
            hidden_content(after, mode(|change| change.after.as_ref())),
        );
        let why = match sides {
            (None, None) => {
                let diff = unified(text_of(before).unwrap_or_default(), text_of(after).unwrap_or_default());
                lines.extend(diff.into_iter().map(Line::Diff));
                return lines;
            }
            (Some(before), Some(after)) if before != after => format!("{before}; after the change: {after}"),
            (Some(why), _) => why,
            (None, Some(after)) => format!("after the change: {after}"),
        };
        lines.push(Line::Note(1, format!("not compared as text: {why}")));
    }
    lines
}

/// What an edge says, as a name and the rest.
fn edge_text(edge: &Edge) -> (String, String) {
    let name = match edge.kind {
        EdgeKind::OnChange => format!("on change of: {}", edge.from),
        EdgeKind::After | EdgeKind::Implied => format!("after: {}", edge.from),
    };
    let implied = if edge.kind == EdgeKind::Implied { " (implied)" } else { "" };
    let reason = edge.reason.as_ref().map(|reason| format!(": {}", visible(reason)));
    (name, format!("{implied}{}", reason.unwrap_or_default()))
}

const fn verb(touch: &Touch) -> &'static str {
    match touch.access {
        Access::Read => "reads",
        Access::Write => "writes",
    }
}

/// Whether a touch says no more than that the step writes its path.
fn is_plain(step: &Step, touch: &Touch) -> bool {
    let path = step.desired.get("path").and_then(Value::as_str);
    touch.access == Access::Write && path.is_some() && touch.key.strip_prefix("path:") == path
}

/// How a step differs from one of the same address on another target, in what their lines do not
/// show; empty if it does not.
pub(super) fn unlike(first: &Step, step: &Step) -> String {
    let (old, new) = (traits(first), traits(step));
    let mut parts = Vec::new();
    for (name, value) in &new {
        if old.get(name) != Some(value) {
            parts.push(format!("{name}{value}"));
        }
    }
    parts.extend(old.keys().filter(|name| !new.contains_key(*name)).map(|name| format!("not {name}")));
    if parts.is_empty() && first.changes != step.changes && summary(first) == summary(step) {
        parts.push("what it finds".into());
    }
    cut_list(&parts)
}

fn cut_list(parts: &[String]) -> String {
    const PARTS_MAX: usize = 4;
    let shown = parts.iter().take(PARTS_MAX).cloned().collect::<Vec<_>>().join("; ");
    match parts.len().saturating_sub(PARTS_MAX) {
        0 => shown,
        more => format!("{shown}; and {more} more, see the details"),
    }
}

/// What a step is given, waits for and touches, by name.
fn traits(step: &Step) -> BTreeMap<String, String> {
    let mut out: BTreeMap<String, String> = leaves(&step.desired)
        .into_iter()
        .map(|(at, value)| (name_of(&at), format!(" {}", bounded::short(&value))))
        .collect();
    out.extend(step.edges.iter().map(edge_text));
    let touches = step.touches.iter().filter(|touch| !is_plain(step, touch));
    out.extend(touches.map(|touch| (format!("{} {}", verb(touch), visible(&touch.key)), String::new())));
    let resolved = step.resolved.iter();
    out.extend(resolved.map(|key| (format!("writes in truth {}", visible(key)), String::new())));
    out.extend(step.undo.note.iter().map(|note| ("undo".into(), format!(": {}", visible(note)))));
    out
}
