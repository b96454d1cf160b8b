//! A plan for a pull request: a table of changes, details folded away, and an honest note of what
//! did not fit.

use super::{
    Options,
    bounded::cut,
    fold::{Block, Group, fold, place},
    properties::Line,
    step::{details, head, marks, sign, summary},
    text::{
        ASSUMED, NOT_TRIGGERED, UNDECIDED, WAITING, assumptions, counts, deferred, gates, headline,
        not_triggered, reasons, undo_lines, waves,
    },
};
use rectify_base::{Digest, canonical};
use rectify_model::{Plan, grade::UndoGrade, plan::DeferredCause};

/// Room that is kept for the notes at the end, in bytes.
const TAIL_BYTES: usize = 1_000;
/// Longest summary in the table, in characters; the details have everything.
const SUMMARY_MAX_CHARS: usize = 300;

/// Renders a plan as Markdown of at most `options.size_max_bytes`, with the digest of its file. What
/// does not fit is left out whole, and counted at the end.
#[must_use]
pub fn markdown(plan: &Plan, options: &Options) -> String {
    let digest = canonical::file_bytes(plan).map(|bytes| Digest::of_bytes(&bytes).to_string());
    let mut page = Page { text: String::new(), max: options.size_max_bytes.saturating_sub(TAIL_BYTES) };
    page.push(&format!("### {}\n\n", inline(&headline(plan))));
    page.push(&format!("Plan `{}`\n\n", digest.unwrap_or_else(|_| "without a canonical form".into())));
    page.push(&format!("{}\n", counts(plan)));

    let blocks = fold(plan);
    let groups: Vec<(&Block<'_>, &Group<'_>)> =
        blocks.iter().flat_map(|block| block.groups.iter().map(move |group| (block, group))).collect();
    let mut left_out = Vec::new();
    // What must not be overlooked comes before the long parts, so that it is never cut for them.
    for (title, lines) in [
        (UNDECIDED, deferred(plan, DeferredCause::Undecided)),
        (WAITING, deferred(plan, DeferredCause::Waits)),
        ("Cannot be taken back", undo_lines(plan, &blocks, UndoGrade::None)),
        ("Taken back only in part", undo_lines(plan, &blocks, UndoGrade::Lossy)),
        (ASSUMED, assumptions(plan)),
        ("Checked afterwards", gates(plan)),
        ("Order of targets", waves(plan, options.details)),
        (NOT_TRIGGERED, not_triggered(plan)),
        ("Why", reasons(plan)),
    ] {
        let missing = page.list(title, &lines);
        if missing > 0 {
            left_out.push(format!("{missing} of {} entries under “{title}”", lines.len()));
        }
    }
    if !groups.is_empty() {
        let missing = page.table(plan, &groups);
        if missing > 0 {
            left_out.push(format!("{missing} of {} lines of the table of changes", groups.len()));
        }
    }
    let missing = groups.iter().filter(|(block, group)| !page.details(plan, block, group)).count();
    if missing > 0 {
        left_out.push(format!("the details of {missing} of {} changes", groups.len()));
    }
    let mut text = page.text;
    if !left_out.is_empty() {
        text.push_str(&format!(
            "\n**This page is not the whole plan.** Left out to keep it under {} bytes: {}. \
             The plan file has everything; `rectify show` prints it.\n",
            options.size_max_bytes,
            left_out.join("; ")
        ));
    }
    text
}

/// What must be noticed about a change, and how it differs from that on most targets.
fn notes(block: &Block<'_>, group: &Group<'_>) -> String {
    let difference = block.difference(group.step).map(|difference| format!("unlike the first: {difference}"));
    let parts = [Some(marks(group.step)), difference];
    parts.into_iter().flatten().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

/// A page that grows up to a limit.
struct Page {
    text: String,
    max: usize,
}

impl Page {
    /// Appends a part if it fits whole.
    fn push(&mut self, part: &str) -> bool {
        let fits = self.text.len() + part.len() <= self.max;
        if fits {
            self.text.push_str(part);
        }
        fits
    }

    /// Appends a list; returns how many entries did not fit.
    fn list(&mut self, title: &str, lines: &[String]) -> usize {
        if lines.is_empty() {
            return 0;
        }
        if !self.push(&format!("\n**{title}**\n\n")) {
            return lines.len();
        }
        lines.iter().filter(|line| !self.push(&format!("- {}\n", inline(line.trim())))).count()
    }

    /// Appends the table of changes; returns how many rows did not fit.
    fn table(&mut self, plan: &Plan, groups: &[(&Block<'_>, &Group<'_>)]) -> usize {
        if !self.push("\n| | Step | Type | Change | Notes | Where |\n|---|---|---|---|---|---|\n") {
            return groups.len();
        }
        let row = |(block, group): &(&Block<'_>, &Group<'_>)| {
            let cells = [
                code(&sign(group.step.action).to_string()),
                code(block.address.as_str()),
                code(group.step.type_name.as_str()),
                inline(&cut(&summary(group.step), SUMMARY_MAX_CHARS)),
                inline(&notes(block, group)),
                inline(&place(plan, &group.targets)),
            ];
            format!("| {} |\n", cells.map(|cell| cell.replace('|', "\\|")).join(" | "))
        };
        groups.iter().filter(|group| !self.push(&row(group))).count()
    }

    /// Appends the folded details of one change, if they fit whole.
    fn details(&mut self, plan: &Plan, block: &Block<'_>, group: &Group<'_>) -> bool {
        let step = group.step;
        let (subject, headed) = head(step);
        let body = details(step, &headed).into_iter().map(detail_line).collect::<Vec<_>>().join("\n");
        let fence = "`".repeat(longest_run(&body).max(2) + 1);
        let title = [
            format!("<code>{} {}</code>", html(&sign(step.action).to_string()), html(block.address.as_str())),
            format!("<code>{}</code>", html(&subject)),
            html(&place(plan, &group.targets)),
        ];
        let title: Vec<String> = title.into_iter().filter(|part| !part.is_empty()).collect();
        self.push(&format!(
            "\n<details><summary>{}</summary>\n\n{fence}diff\n{body}\n{fence}\n\n</details>\n",
            title.join(" ")
        ))
    }
}

/// Lines of a diff stand as they are, so that a browser colours them; all other lines get a mark, so
/// that none of them is taken for one of a diff.
fn detail_line(line: Line) -> String {
    match line {
        Line::Note(depth, text) => format!("# {}{text}", "  ".repeat(depth)),
        Line::Diff(text) => text,
    }
}

/// The longest run of backticks in a text.
fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

/// Text in code style, whatever backticks it holds.
fn code(text: &str) -> String {
    let fence = "`".repeat(longest_run(text) + 1);
    let space = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{fence}{space}{text}{space}{fence}")
}

/// Text that means nothing to Markdown or HTML.
fn inline(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            // As an entity, so that nobody is mentioned by accident.
            '@' => out.push_str("&#64;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '~' | '#' | '!' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    // Nor does a bare address become a link.
    out.replace("://", "&#58;//").replace("www.", "www&#46;")
}

fn html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
