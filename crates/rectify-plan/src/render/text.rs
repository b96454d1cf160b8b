//! A plan for a terminal or a log: one line a change, readable without colour.

use super::{
    Options,
    diff::{added_removed, cut, is_content, short, text_of, unified, whole},
    escape::visible,
    fold::{Block, Group, every_name, fold, names, place, same},
};
use rectify_model::{
    Plan,
    grade::{Disruption, Prediction, UndoGrade},
    plan::{Action, Change, Step},
};
use serde_json::Value;

/// Room that a summary always has, in characters, however narrow the page is.
const SUMMARY_MIN_CHARS: usize = 40;

/// Renders a plan as text. The last line ends in a line feed.
#[must_use]
pub fn text(plan: &Plan, options: &Options) -> String {
    let mut lines = vec![headline(plan)];
    let blocks = fold(plan);
    if !blocks.is_empty() {
        lines.push(String::new());
    }
    for block in &blocks {
        block_lines(plan, options, block, &mut lines);
    }
    section(&mut lines, "Deferred: not covered by this plan, and not done", deferred(plan));
    section(&mut lines, "Cannot be taken back", undo_lines(plan, &blocks, UndoGrade::None));
    section(&mut lines, "Taken back only in part", undo_lines(plan, &blocks, UndoGrade::Lossy));
    section(&mut lines, "Checked afterwards", gates(plan));
    section(&mut lines, "Order of targets", waves(plan, options.details));
    lines.push(String::new());
    lines.push(counts(plan));
    if !blocks.is_empty() {
        lines.push("+ create  ~ update  ± replace  - delete  > run".into());
    }
    lines.push(String::new());
    lines.join("\n")
}

fn section(lines: &mut Vec<String>, title: &str, body: Vec<String>) {
    if !body.is_empty() {
        lines.push(String::new());
        lines.push(format!("{title}:"));
        lines.extend(body);
    }
}

/// One sentence about the whole plan.
pub(super) fn headline(plan: &Plan) -> String {
    let targets = match plan.targets.keys().next() {
        Some(only) if plan.targets.len() == 1 => format!("target {only}"),
        _ => format!("{} targets", plan.targets.len()),
    };
    match (plan.counts.changes(), plan.counts.deferred) {
        (0, 0) => format!("Plan for {} on {targets}: nothing to change", plan.project),
        (0, _) => format!(
            "Plan for {} on {targets}: nothing to change, but not everything is decided",
            plan.project
        ),
        (1, _) => format!("Plan for {} on {targets}: 1 change", plan.project),
        (count, _) => format!("Plan for {} on {targets}: {count} changes", plan.project),
    }
}

/// All sums of a plan in one line.
pub(super) fn counts(plan: &Plan) -> String {
    let counts = plan.counts;
    format!(
        "{} to create, {} to update, {} to replace, {} to delete, {} to run; {} unchanged, {} deferred",
        counts.create,
        counts.update,
        counts.replace,
        counts.delete,
        counts.run,
        counts.unchanged,
        counts.deferred
    )
}

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

fn block_lines(plan: &Plan, options: &Options, block: &Block<'_>, lines: &mut Vec<String>) {
    for group in &block.groups {
        let step = group.step;
        let mut parts = vec![format!("  {} {}  {}", sign(step.action), block.address, step.type_name)];
        let tail: Vec<String> =
            [marks(step), place(plan, &group.targets)].into_iter().filter(|part| !part.is_empty()).collect();
        let used = parts.iter().chain(&tail).map(|part| part.chars().count() + 2).sum::<usize>();
        let summary = summary(step);
        if !summary.is_empty() {
            let room = if options.details {
                usize::MAX
            } else {
                options.width.saturating_sub(used).max(SUMMARY_MIN_CHARS)
            };
            parts.push(cut(&summary, room));
        }
        parts.extend(tail);
        lines.push(parts.join("  "));
        if options.details {
            lines.extend(
                detail_lines(group).into_iter().map(|line| format!("      {line}").trim_end().into()),
            );
        }
    }
    if !block.unchanged.is_empty() {
        lines.push(format!("      as desired already on {}", names(&block.unchanged)));
    }
    if !block.deferred.is_empty() {
        lines.push(format!("      deferred on {}", names(&block.deferred)));
    }
}

/// What a reader must notice about a step: how sure it is, what it interrupts, whether it can be
/// taken back. Nothing where all is well.
pub(super) fn marks(step: &Step) -> String {
    let mut marks = Vec::new();
    match step.prediction {
        Prediction::Exact => {}
        Prediction::Conditional => marks.push("conditional"),
        Prediction::Opaque => marks.push("opaque"),
    }
    marks.extend(step.disruption.iter().map(|disruption| match disruption {
        Disruption::Reload => "reload",
        Disruption::Restart => "restart",
        Disruption::Reboot => "reboot",
    }));
    match step.undo.grade {
        UndoGrade::Exact => {}
        UndoGrade::Lossy => marks.push("lossy undo"),
        UndoGrade::None => marks.push("no undo"),
    }
    if marks.is_empty() { String::new() } else { format!("[{}]", marks.join(", ")) }
}

/// The thing and its changes, in one line without names of targets.
pub(super) fn summary(step: &Step) -> String {
    let mut parts = Vec::new();
    if let Some(subject) = subject(step) {
        parts.push(subject);
    }
    let changes = step.changes.iter().filter(|change| match step.action {
        Action::Update | Action::Replace => true,
        Action::Create | Action::Delete | Action::Run => {
            is_content(change.before.as_ref().or(change.after.as_ref()))
        }
    });
    let changes: Vec<String> = changes.map(|change| change_summary(step, change)).collect();
    if !changes.is_empty() {
        parts.push(changes.join(", "));
    }
    parts.join("  ")
}

/// What a step is about: its path, its command, or the first thing that it writes.
fn subject(step: &Step) -> Option<String> {
    if let Some(path) = step.desired.get("path").and_then(Value::as_str) {
        return Some(visible(path));
    }
    if let Some(argv) = step.desired.get("argv").and_then(Value::as_array) {
        let words: Vec<String> = argv.iter().map(word).collect();
        return Some(words.join(" "));
    }
    step.touches.first().map(|touch| visible(&touch.key))
}

/// One word of a command, quoted where a shell would not take it as one word.
fn word(value: &Value) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@%+".contains(c);
    match value.as_str() {
        Some(text) if !text.is_empty() && text.chars().all(plain) => text.into(),
        _ => visible(&value.to_string()),
    }
}

fn change_summary(step: &Step, change: &Change) -> String {
    let name = place_name(change);
    let (before, after) = (change.before.as_ref(), change.after.as_ref());
    if let (Some(old), Some(new)) = (text_of(before), text_of(after)) {
        let (added, removed) = added_removed(&unified(old, new));
        return format!("{name} +{added} -{removed} lines");
    }
    match (before, after) {
        (None, after) if step.action == Action::Create => format!("{name} {}", short(after)),
        (before, None) => format!("{name} {} → (none)", short(before)),
        (before, after) => format!("{name} {} → {}", short(before), short(after)),
    }
}

fn place_name(change: &Change) -> String {
    let path = change.path.as_str();
    visible(path.strip_prefix('/').unwrap_or(if path.is_empty() { "state" } else { path }))
}

/// Every change of a step, contents as unified diffs where both texts are known.
fn detail_lines(group: &Group<'_>) -> Vec<String> {
    let mut lines: Vec<String> =
        group.step.changes.iter().flat_map(|change| change_lines(group.step, change)).collect();
    if group.step.changes.is_empty() {
        lines.push("what it changes is not known".into());
    }
    lines.extend(group.step.undo.note.iter().map(|note| format!("undo: {}", visible(note))));
    lines
}

/// One change, whole. A content of which a text is not shown says so.
pub(super) fn change_lines(step: &Step, change: &Change) -> Vec<String> {
    let name = place_name(change);
    let (before, after) = (change.before.as_ref(), change.after.as_ref());
    let mut lines = match (before, after) {
        (None, after) if step.action == Action::Create => vec![format!("{name}: {}", whole(after))],
        (before, after) => vec![format!("{name}: {} → {}", whole(before), whole(after))],
    };
    if is_content(before) || is_content(after) {
        let known = |side: Option<&Value>| side.is_none() || text_of(side).is_some();
        if known(before) && known(after) {
            let diff = unified(text_of(before).unwrap_or_default(), text_of(after).unwrap_or_default());
            lines.extend(diff.into_iter().map(|line| format!("  {line}")));
        } else {
            lines.push("  not shown: it is secret, binary or too large".into());
        }
    }
    lines
}

/// One line for each deferred address and reason.
pub(super) fn deferred(plan: &Plan) -> Vec<String> {
    let entries = plan.deferred.iter().map(|entry| {
        let text = format!("  ? {}  {}: {}", entry.address, visible(&entry.code), visible(&entry.message));
        (text, &entry.target)
    });
    with_places(plan, same(entries))
}

/// One line for each address of this undo grade, with what is lost.
pub(super) fn undo_lines(plan: &Plan, blocks: &[Block<'_>], grade: UndoGrade) -> Vec<String> {
    let groups = blocks.iter().flat_map(|block| &block.groups).filter(|group| group.step.undo.grade == grade);
    let entries = groups.flat_map(|group| {
        let note = group.step.undo.note.as_deref().unwrap_or("its provider does not say why");
        let text = format!("  {}: {}", group.step.address, visible(note));
        group.targets.iter().map(move |target| (text.clone(), *target))
    });
    with_places(plan, same(entries))
}

/// One line for each gate.
pub(super) fn gates(plan: &Plan) -> Vec<String> {
    let entries = plan.gates.iter().map(|gate| {
        let properties = Value::Object(gate.desired.clone()).to_string();
        let within = match gate.within_s {
            0 => "once".to_owned(),
            seconds => format!("within {seconds} s"),
        };
        let text = format!("  {}  {} {}  {within}", gate.address, gate.type_name, visible(&properties));
        (text, &gate.target)
    });
    with_places(plan, same(entries))
}

fn with_places(plan: &Plan, entries: Vec<(String, Vec<&rectify_base::TargetName>)>) -> Vec<String> {
    let line = |(text, targets): (String, Vec<_>)| match place(plan, &targets) {
        place if place.is_empty() => text,
        place => format!("{text}  {place}"),
    };
    entries.into_iter().map(line).collect()
}

/// The waves, where there is more than one; every name of them, or the first ones.
pub(super) fn waves(plan: &Plan, all: bool) -> Vec<String> {
    if plan.waves.len() < 2 {
        return Vec::new();
    }
    let line = |(at, wave): (usize, &Vec<rectify_base::TargetName>)| {
        let targets: Vec<_> = wave.iter().collect();
        let names = if all { every_name(&targets) } else { names(&targets) };
        format!("  {}. {names}", at + 1)
    };
    plan.waves.iter().enumerate().map(line).collect()
}
