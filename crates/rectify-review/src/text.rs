//! A plan for a terminal or a log: one line a change, readable without colour.

use super::{
    Options, bounded,
    bounded::cut,
    escape::visible,
    fold::{Block, every_name, fold, names, place, same},
    properties::Line,
    step::{details, head, marks, sign, summary},
};
use rectify_base::secret_text;
use rectify_model::{
    Plan,
    fact::Found,
    grade::UndoGrade,
    graph::{RemediationInfo, SecretSource, UndoMode},
    plan::{DeferredCause, Idle},
    provider::LockedProvider,
};
use serde_json::Value;
use std::collections::BTreeSet;

/// Room that a summary always has, in characters, however narrow the page is.
const SUMMARY_MIN_CHARS: usize = 40;
/// Above what could not be decided.
pub(super) const UNDECIDED: &str =
    "DEFERRED, because it could not be decided: not covered by this plan, and not done";
/// Above what waits for something else.
pub(super) const WAITING: &str = "DEFERRED, because it waits: not covered by this plan, and not done";
/// Above what no change triggers.
pub(super) const NOT_TRIGGERED: &str = "Not triggered, because nothing that would trigger it changes";

/// Above the secrets that steps name.
pub(super) const SECRETS: &str = "Secrets that it uses, and where their values come from";
/// Above the providers of others.
pub(super) const PROVIDERS: &str = "Providers that are not part of Rectify";
/// Above what must still be so when the plan is applied.
pub(super) const ASSUMED: &str = "Assumed, and read again before anything is done";
/// Most steps that are named with what decided them.
const DECIDED_MAX: usize = 4;

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
    section(&mut lines, UNDECIDED, deferred(plan, DeferredCause::Undecided));
    section(&mut lines, WAITING, deferred(plan, DeferredCause::Waits));
    section(&mut lines, "Cannot be taken back", undo_lines(plan, &blocks, UndoGrade::None));
    section(&mut lines, "Taken back only in part", undo_lines(plan, &blocks, UndoGrade::Lossy));
    section(&mut lines, PROVIDERS, providers(plan));
    section(&mut lines, ASSUMED, assumptions(plan));
    section(&mut lines, SECRETS, secrets(plan));
    section(&mut lines, "Checked afterwards", gates(plan));
    section(&mut lines, "Order of targets", waves(plan, options.details));
    if options.details {
        section(&mut lines, NOT_TRIGGERED, not_triggered(plan));
        section(&mut lines, "Why", reasons(plan));
    }
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
    let changes = match plan.counts.changes() {
        0 => "nothing to change".to_owned(),
        1 => "1 change".to_owned(),
        count => format!("{count} changes"),
    };
    let deferred = match plan.counts.deferred {
        0 => String::new(),
        count => format!(", {count} DEFERRED"),
    };
    format!("Plan for {} on {targets}: {changes}{deferred}", plan.project)
}

/// The sums of a plan in one line, without those that are nothing.
pub(super) fn counts(plan: &Plan) -> String {
    let counts = plan.counts;
    let changes = [
        (counts.create, "to create"),
        (counts.update, "to update"),
        (counts.replace, "to replace"),
        (counts.delete, "to delete"),
        (counts.run, "to run"),
    ];
    let changes: Vec<String> = changes
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    let mut parts =
        vec![if changes.is_empty() { "nothing to change".to_owned() } else { changes.join(", ") }];
    if counts.unchanged > 0 {
        parts.push(format!("{} unchanged", counts.unchanged));
    }
    if counts.not_triggered > 0 {
        parts.push(format!("{} not triggered", counts.not_triggered));
    }
    if counts.deferred > 0 {
        parts.push(format!("{} DEFERRED: not covered by this plan, and not done", counts.deferred));
    }
    parts.join("; ")
}

fn block_lines(plan: &Plan, options: &Options, block: &Block<'_>, lines: &mut Vec<String>) {
    for group in &block.groups {
        let step = group.step;
        let mut parts = vec![format!("  {} {}  {}", sign(step.action), block.address, step.type_name)];
        let tail: Vec<String> =
            [marks(step), place(plan, &group.targets)].into_iter().filter(|part| !part.is_empty()).collect();
        let (head, headed) = head(step);
        if options.details {
            parts.push(head);
        } else {
            let used = parts.iter().chain(&tail).map(|part| part.chars().count() + 2).sum::<usize>();
            let room = options.width.saturating_sub(used).max(SUMMARY_MIN_CHARS);
            parts.push(cut(&summary(step), room));
        }
        parts.extend(tail);
        lines.push(parts.join("  "));
        if options.details {
            lines.extend(details(step, &headed).into_iter().map(detail_line));
        } else if let Some(difference) = block.difference(step) {
            lines.push(format!("      unlike the first: {difference}"));
        }
    }
    if !block.unchanged.is_empty() {
        lines.push(format!("      as desired already on {}", names(&block.unchanged)));
    }
    if !block.not_triggered.is_empty() {
        lines.push(format!("      not triggered on {}", names(&block.not_triggered)));
    }
    if !block.deferred.is_empty() {
        lines.push(format!("      DEFERRED on {}", names(&block.deferred)));
    }
}

fn detail_line(line: Line) -> String {
    let (depth, text) = match line {
        Line::Note(depth, text) => (depth, text),
        Line::Diff(text) => (1, text),
    };
    format!("      {}{text}", "  ".repeat(depth)).trim_end().into()
}

/// One line for each remediation: why it exists, and what happens if it fails.
pub(super) fn reasons(plan: &Plan) -> Vec<String> {
    plan.remediations.iter().map(|(name, info)| format!("  {name}: {}", reason(info))).collect()
}

pub(super) fn reason(info: &RemediationInfo) -> String {
    let because = info.because.iter().flat_map(|because| [&because.id, &because.text]).flatten();
    let because: Vec<String> = because.filter(|text| !text.is_empty()).map(|text| visible(text)).collect();
    let because = if because.is_empty() { "no reason is given".into() } else { because.join(": ") };
    let undo = match info.undo {
        UndoMode::Auto => "if it fails, finished steps are taken back",
        UndoMode::Manual => "if it fails, finished steps stay",
    };
    format!("{because} ({undo})")
}

/// One line for each address that is deferred for such a cause, and each reason.
pub(super) fn deferred(plan: &Plan, cause: DeferredCause) -> Vec<String> {
    let entries = plan.deferred.iter().filter(|entry| entry.cause == cause).map(|entry| {
        let text = format!("  ? {}  {}: {}", entry.address, visible(&entry.code), visible(&entry.message));
        (text, &entry.target)
    });
    with_places(plan, same(entries))
}

/// One line for each address that no change triggers.
pub(super) fn not_triggered(plan: &Plan) -> Vec<String> {
    let entries = plan.unchanged.iter().filter(|entry| entry.why == Idle::NotTriggered);
    with_places(plan, same(entries.map(|entry| (format!("  {}", entry.address), &entry.target))))
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
        let properties = bounded::line(&Value::Object(gate.desired.clone()));
        let within = match gate.within_s {
            0 => "once".to_owned(),
            seconds => format!("within {seconds} s"),
        };
        let text = format!("  {}  {} {properties}  {within}", gate.address, gate.type_name);
        (text, &gate.target)
    });
    with_places(plan, same(entries))
}

/// One line for each fact, what was found, and what that decided.
pub(super) fn assumptions(plan: &Plan) -> Vec<String> {
    let all =
        plan.targets.iter().flat_map(|(name, target)| target.assumptions.iter().map(move |a| (name, a)));
    let entries = all.map(|(name, assumption)| {
        let found = match &assumption.is {
            Found::Value(value) => format!("is {}", bounded::line(value)),
            Found::Digest(digest) => format!("has the digest {digest}"),
            Found::Present => "is there".to_owned(),
            Found::Absent => "is not there".to_owned(),
        };
        let named: Vec<&str> =
            assumption.decides.iter().take(DECIDED_MAX).map(rectify_base::Address::as_str).collect();
        let more = match assumption.decides.len().saturating_sub(DECIDED_MAX) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let fact = visible(&assumption.named());
        (format!("  {fact} {found}: decides {}{more}", named.join(", ")), name)
    });
    with_places(plan, same(entries))
}

/// One line for each provider that is not part of Rectify: whose it is, and what is not certain of it.
pub(super) fn providers(plan: &Plan) -> Vec<String> {
    let line = |(name, locked): (&String, &LockedProvider)| {
        let signer = match &locked.publisher {
            Some(publisher) => format!("signed by {} ({})", publisher.name, publisher.key),
            None => "NOT SIGNED by anybody".to_owned(),
        };
        let interpreter = match &locked.interpreter {
            Some(line) => format!("; run by `{line}`, which is NOT PINNED"),
            None => String::new(),
        };
        format!(
            "  {} {}, {}{}",
            visible(name),
            visible(&locked.version),
            visible(&signer),
            visible(&interpreter)
        )
    };
    plan.providers.iter().map(line).collect()
}

/// One line for each secret that a changing step names, with its source.
pub(super) fn secrets(plan: &Plan) -> Vec<String> {
    let mut used = BTreeSet::new();
    for step in &plan.steps {
        secret_text::names_in(&step.desired, &mut |name| {
            used.insert((&step.target, name));
        });
    }
    let entries = used.iter().filter_map(|(target, name)| {
        let (at, planned) = plan.targets.get_key_value(*target)?;
        let from = match &planned.secrets.get(name)?.origin.from {
            SecretSource::File(path) => format!("the file {}", visible(path)),
            SecretSource::Env(variable) => format!("the variable {}", visible(variable)),
            SecretSource::Fd(fd) => format!("descriptor {fd}"),
            SecretSource::Command(argv) => format!("the command {}", bounded::line(&argv.clone().into())),
        };
        Some((format!("  {name}: {from}"), at))
    });
    let mut entries: Vec<_> = entries.collect();
    entries.sort();
    with_places(plan, same(entries.into_iter()))
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
