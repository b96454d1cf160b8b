//! A plan for a pull request: what must not be overlooked, a line for each change, details folded away,
//! and an honest note of what did not fit.
//!
//! What does not fit is left out in steps, from the back: details of changes, in the order of the plan;
//! then their lines, of which sums by remediation stay; then entries of the lists, of which the number
//! stays. Digest, sums and decision are always there.

use super::{
    Judgement, Options,
    bounded::cut,
    fold::{Block, Group, fold, place},
    page::{Page, code, fence, html, inline},
    properties::Line,
    step::{details, head, marks, sign, summary},
    text::{
        ASSUMED, NOT_TRIGGERED, PROVIDERS, SECRETS, UNDECIDED, WAITING, assumptions, counts, deferred, gates,
        headline, not_triggered, providers, reasons, secrets, undo_lines, waves,
    },
};
use rectify_base::{FileDigests, canonical};
use rectify_model::{
    Decision, Plan,
    grade::UndoGrade,
    plan::{Action, DeferredCause},
};
use std::collections::BTreeMap;

/// Longest summary in the table, in characters; the details have everything.
const SUMMARY_MAX_CHARS: usize = 300;
/// Room for one list, in hundredths of the page.
const LIST_HUNDREDTHS: usize = 8;
/// Where the table ends if not all of it fits, in hundredths of the page.
const TABLE_END_HUNDREDTHS: usize = 80;

/// Renders a plan as Markdown of at most `options.size_max_chars`, with the digests of its file.
#[must_use]
pub fn markdown(plan: &Plan, judgement: Judgement<'_>, options: &Options) -> String {
    let digests = canonical::file_bytes(plan).map(|bytes| FileDigests::of_bytes(&bytes));
    let mut page = Page::new(options.size_max_chars);
    page.push(&format!("### {}\n\n", inline(&headline(plan))));
    page.push(&digests.map_or_else(
        |_| "Plan without a canonical form\n\n".into(),
        |digests| format!("Plan `{}`\n`{}`\n\n", digests.blake3, digests.sha256),
    ));
    page.push(&format!("{}\n", counts(plan)));

    let blocks = fold(plan);
    let groups: Vec<(&Block<'_>, &Group<'_>)> =
        blocks.iter().flat_map(|block| block.groups.iter().map(move |group| (block, group))).collect();
    let mut left_out = Vec::new();
    // What must not be overlooked comes before the long parts, so that it is never cut for them.
    let (verdict, mut lists) = decision(judgement);
    page.push(&verdict);
    lists.extend([
        (UNDECIDED, deferred(plan, DeferredCause::Undecided)),
        (WAITING, deferred(plan, DeferredCause::Waits)),
        ("Cannot be taken back", undo_lines(plan, &blocks, UndoGrade::None)),
        ("Taken back only in part", undo_lines(plan, &blocks, UndoGrade::Lossy)),
        (PROVIDERS, providers(plan)),
        (ASSUMED, assumptions(plan)),
        (SECRETS, secrets(plan)),
        ("Checked afterwards", gates(plan)),
        ("Order of targets", waves(plan, options.details)),
        (NOT_TRIGGERED, not_triggered(plan)),
        ("Why", reasons(plan)),
    ]);
    for (title, lines) in lists {
        let missing = page.list(title, &lines, LIST_HUNDREDTHS);
        if missing > 0 {
            left_out.push(format!("{missing} of {} entries under “{title}”", lines.len()));
        }
    }
    if !groups.is_empty() {
        let missing = table(&mut page, plan, &groups);
        if missing > 0 {
            left_out.push(format!("{missing} of {} lines of the table of changes", groups.len()));
        }
    }
    let missing = groups.iter().filter(|(block, group)| !folded(&mut page, plan, block, group)).count();
    if missing > 0 {
        left_out.push(format!("the details of {missing} of {} changes", groups.len()));
    }
    page.finish(&left_out, "The plan file has everything; `rectify show` prints it.")
}

/// What policy says: a line, and the reasons.
fn decision(judgement: Judgement<'_>) -> (String, Vec<(&'static str, Vec<String>)>) {
    match judgement {
        Judgement::Nothing | Judgement::NotAsked => (String::new(), Vec::new()),
        Judgement::Undecided { code: name, message } => (
            format!(
                "\n**Policy: DENIED**, because it could not decide: {} ({})\n",
                inline(&super::visible(&cut(message, SUMMARY_MAX_CHARS))),
                inline(&super::visible(name))
            ),
            Vec::new(),
        ),
        Judgement::Decided { decision, source } => {
            let word = if decision.allowed { "allowed" } else { "DENIED" };
            let approvals = match decision.approvals() {
                0 => String::new(),
                1 => ", asks for 1 approval".into(),
                count => format!(", asks for {count} approvals"),
            };
            (
                format!("\n**Policy: {word}**{approvals}, {}\n", inline(&super::visible(source))),
                findings(decision),
            )
        }
    }
}

fn findings(decision: &Decision) -> Vec<(&'static str, Vec<String>)> {
    let line = |rule: &str, message: &str| super::visible(&format!("{rule}: {message}"));
    vec![
        (
            "Denied because",
            decision.deny.iter().map(|finding| line(&finding.rule, &finding.message)).collect(),
        ),
        (
            "OVERRIDDEN: denied, and let pass by people",
            decision.overridden.iter().map(|finding| line(&finding.rule, &finding.message)).collect(),
        ),
        (
            "Approval asked for because",
            decision.require_approval.iter().map(|demand| line(&demand.rule, &demand.message)).collect(),
        ),
        (
            "Remarks of policy",
            decision.warn.iter().map(|finding| line(&finding.rule, &finding.message)).collect(),
        ),
    ]
}

/// What must be noticed about a change, and how it differs from that on most targets.
fn notes(block: &Block<'_>, group: &Group<'_>) -> String {
    let difference = block.difference(group.step).map(|difference| format!("unlike the first: {difference}"));
    let parts = [Some(marks(group.step)), difference];
    parts.into_iter().flatten().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Appends the table of changes; returns how many rows did not fit. Sums stand for those.
fn table(page: &mut Page, plan: &Plan, groups: &[(&Block<'_>, &Group<'_>)]) -> usize {
    let rows: Vec<String> = groups.iter().map(|(block, group)| row(plan, block, group)).collect();
    let head = "\n| | Step | Type | Change | Notes | Where |\n|---|---|---|---|---|---|\n";
    if page.push(&format!("{head}{}", rows.concat())) {
        return 0;
    }
    let begun = page.push_within(head, TABLE_END_HUNDREDTHS);
    let mut sums: BTreeMap<&str, BTreeMap<Action, usize>> = BTreeMap::new();
    let mut missing = 0;
    for ((block, group), row) in groups.iter().zip(&rows) {
        // In order, so that what is listed is the beginning of the plan.
        if missing > 0 || !begun || !page.push_within(row, TABLE_END_HUNDREDTHS) {
            missing += 1;
            let of = sums.entry(block.address.remediation()).or_default();
            *of.entry(group.step.action).or_default() += group.targets.len();
        }
    }
    let sum = |(name, actions): (&str, BTreeMap<Action, usize>)| {
        let actions: Vec<String> =
            actions.iter().map(|(action, count)| format!("{count} to {}", action.as_str())).collect();
        format!("{name}: {}", actions.join(", "))
    };
    let sums: Vec<String> = sums.into_iter().map(sum).collect();
    page.list("Not listed above", &sums, 100 - TABLE_END_HUNDREDTHS);
    missing
}

fn row(plan: &Plan, block: &Block<'_>, group: &Group<'_>) -> String {
    let cells = [
        code(&sign(group.step.action).to_string()),
        code(block.address.as_str()),
        code(group.step.type_name.as_str()),
        inline(&cut(&summary(group.step), SUMMARY_MAX_CHARS)),
        inline(&notes(block, group)),
        inline(&place(plan, &group.targets)),
    ];
    format!("| {} |\n", cells.map(|cell| cell.replace('|', "\\|")).join(" | "))
}

/// Appends the folded details of one change, if they fit whole.
fn folded(page: &mut Page, plan: &Plan, block: &Block<'_>, group: &Group<'_>) -> bool {
    let step = group.step;
    let (subject, headed) = head(step);
    let body = details(step, &headed).into_iter().map(detail_line).collect::<Vec<_>>().join("\n");
    let (open, close) = fence(&body);
    let title = [
        format!("<code>{} {}</code>", html(&sign(step.action).to_string()), html(block.address.as_str())),
        format!("<code>{}</code>", html(&subject)),
        html(&place(plan, &group.targets)),
    ];
    let title: Vec<String> = title.into_iter().filter(|part| !part.is_empty()).collect();
    page.push(&format!(
        "\n<details><summary>{}</summary>\n\n{open}\n{body}\n{close}\n\n</details>\n",
        title.join(" ")
    ))
}

/// Lines of a diff stand as they are, so that a browser colours them; all other lines get a mark, so
/// that none of them is taken for one of a diff.
fn detail_line(line: Line) -> String {
    match line {
        Line::Note(depth, text) => format!("# {}{text}", "  ".repeat(depth)),
        Line::Diff(text) => text,
    }
}
