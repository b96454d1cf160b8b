//! The changes: one folded line each, in full when opened.

use super::{Review, Section};
use crate::{
    bounded::cut,
    diff::added_removed,
    fold::{Block, Group, every_name, place, same},
    markup::Markup,
    properties::Line,
    step::{details, head, marks, sign, summary},
    text::reason,
};
use rectify_base::{Address, Digest, TargetName};
use rectify_model::{
    Plan,
    grade::{Prediction, Retry, UndoGrade},
    plan::{Action, Step},
};
use rectify_plan::Reason;
use std::collections::{BTreeMap, BTreeSet};

/// Longest summary of a change, in characters; the details have everything.
const SUMMARY_MAX_CHARS: usize = 160;
/// Lines of diffs of one change that are shown unfolded once the change is opened.
const UNFOLDED_LINES_MAX: usize = 40;
/// Lines of one change in one screen's part of the page.
const CHUNK: usize = 40;
/// Room for what is behind the lines of all changes, in bytes. A browser has to read all of it before
/// it can show the page whole.
const BODIES_MAX_BYTES: usize = 24 * 1024 * 1024;

/// The changes, rendered, with the places to link to.
pub(super) struct Changes<'p> {
    /// The first line of each address.
    anchors: BTreeMap<&'p str, usize>,
    /// By remediation, in the order of their names.
    parts: BTreeMap<&'p str, Part<'p>>,
    left_out: usize,
}

/// The changes of one remediation.
struct Part<'p> {
    rows: Vec<Markup>,
    steps: usize,
    /// Steps that would be taken back, with their targets, in the plan's order.
    undo: Vec<(&'p Step, &'p [&'p TargetName])>,
}

impl<'p> Changes<'p> {
    /// Renders the changes of a plan.
    pub fn new(review: &Review<'p>, blocks: &'p [Block<'p>]) -> Self {
        let why = why(review);
        let mut changes = Self { anchors: BTreeMap::new(), parts: BTreeMap::new(), left_out: 0 };
        let mut number = 0;
        let mut room = BODIES_MAX_BYTES;
        for block in blocks {
            for (nth, group) in block.groups.iter().enumerate() {
                number += 1;
                if nth == 0 {
                    changes.anchors.insert(block.address.as_str(), number);
                }
                let mut body = body(review.plan, block, group, nth, &why);
                if body.len() > room {
                    changes.left_out += 1;
                    body = Markup::default();
                    body.raw("<p class=\"warn\">Left out to keep this page small enough for a browser; <code>rectify show --details</code> prints it.</p>");
                }
                room = room.saturating_sub(body.len());
                let part = changes.parts.entry(block.address.remediation()).or_insert_with(|| Part {
                    rows: Vec::new(),
                    steps: 0,
                    undo: Vec::new(),
                });
                part.rows.push(row(review.plan, block, group, number, &body));
                part.steps += group.targets.len();
                part.undo.push((group.step, &group.targets));
            }
        }
        changes
    }

    /// How many changes are there without what is behind their lines.
    pub const fn left_out(&self) -> usize {
        self.left_out
    }

    /// A message in which the first line of each address that it names is linked.
    pub fn linked(&self, out: &mut Markup, message: &str) {
        let mut begin = 0;
        // Addresses hold no spaces, but for keys; those are found by the part before.
        for (at, separator) in message.match_indices([' ', ',', ';']) {
            self.word(out, message.get(begin..at).unwrap_or_default());
            out.text(separator);
            begin = at + separator.len();
        }
        self.word(out, message.get(begin..).unwrap_or_default());
    }

    /// A word, linked if it is an address that changes.
    fn word(&self, out: &mut Markup, word: &str) {
        match self.anchors.get(word.trim_matches('`')) {
            Some(number) => drop(out.raw("<a href=\"#c").count(*number).raw("\">").text(word).raw("</a>")),
            None => drop(out.text(word)),
        }
    }

    /// A link to the first line of an address, if it changes.
    pub fn link(&self, out: &mut Markup, address: &Address) {
        self.linked(out, address.as_str());
    }

    /// Steps that would be taken back, by remediation.
    pub fn undo(&self) -> impl Iterator<Item = (&'p str, &[(&'p Step, &'p [&'p TargetName])])> {
        self.parts.iter().map(|(name, part)| (*name, part.undo.as_slice()))
    }
}

/// Reasons of the report for one place.
type Why<'r> = BTreeMap<(&'r Address, &'r TargetName), Vec<&'r Reason>>;

fn why<'r>(review: &Review<'r>) -> Why<'r> {
    let mut map: Why<'r> = BTreeMap::new();
    for entry in review.report.iter().flat_map(|report| &report.entries) {
        // What the line says already is not repeated.
        if !matches!(entry.reason, Reason::Changes { .. }) {
            map.entry((&entry.address, &entry.target)).or_default().push(&entry.reason);
        }
    }
    map
}

/// The section.
pub(super) fn section(review: &Review<'_>, changes: &Changes<'_>) -> Option<Section> {
    let plan = review.plan;
    let mut body = Markup::default();
    let rows: usize = changes.parts.values().map(|part| part.rows.len()).sum();
    if rows == 0 {
        body.raw("<p>Nothing is changed.</p>\n");
        return Some(Section { id: "changes", title: "Changes", count: None, body });
    }
    body.raw("<p>One line a change; a line stands for all targets where the change is the same. Open it for everything that will be done.</p>\n");
    filter(&mut body, plan);
    for (name, part) in &changes.parts {
        body.raw("<section class=\"part\"><h3>").text(name).raw(" <small>").count(part.steps);
        body.raw(if part.steps == 1 { " change" } else { " changes" }).raw("</small></h3>\n");
        if let Some((_, info)) = plan.remediations.iter().find(|(known, _)| known.as_str() == *name) {
            body.raw("<p class=\"because\">").text(&reason(info)).raw("</p>\n");
        }
        for chunk in part.rows.chunks(CHUNK) {
            body.raw("<div class=\"k\">\n");
            for row in chunk {
                body.append(row);
            }
            body.raw("</div>\n");
        }
        body.raw("</section>\n");
    }
    Some(Section { id: "changes", title: "Changes", count: Some(rows), body })
}

/// The form that a script brings to life; without one it is hidden.
fn filter(out: &mut Markup, plan: &Plan) {
    out.raw("<form id=\"filter\" role=\"search\" aria-label=\"Filter the changes\" hidden>\n");
    out.raw("<label>Text <input id=\"f-text\" type=\"search\" autocomplete=\"off\" spellcheck=\"false\" placeholder=\"address, type, path\"></label>\n");
    out.raw("<label>Action <select id=\"f-action\"><option value=\"\">all</option>");
    let actions: BTreeSet<Action> = plan.steps.iter().map(|step| step.action).collect();
    for action in actions {
        out.raw("<option>").raw(action.as_str()).raw("</option>");
    }
    out.raw("</select></label>\n");
    if plan.targets.len() > 1 {
        out.raw("<label>Target <input id=\"f-target\" list=\"f-targets\" autocomplete=\"off\" spellcheck=\"false\"></label><datalist id=\"f-targets\">");
        for target in plan.targets.keys() {
            out.raw("<option value=\"").text(target.as_str()).raw("\"></option>");
        }
        out.raw("</datalist>\n");
    }
    out.raw("<button type=\"button\" id=\"f-open\">Open all</button> <button type=\"button\" id=\"f-close\">Close all</button>\n");
    out.raw("<output id=\"f-count\" aria-live=\"polite\"></output>\n");
    out.raw("<p class=\"keys\"><kbd>/</kbd> filter <kbd>j</kbd> <kbd>k</kbd> next, previous <kbd>o</kbd> open or close</p>\n</form>\n");
}

fn row(plan: &Plan, block: &Block<'_>, group: &Group<'_>, number: usize, body: &Markup) -> Markup {
    let step = group.step;
    let mut out = Markup::default();
    out.raw("<details class=\"c\" id=\"c").count(number).raw("\" data-a=\"").raw(step.action.as_str());
    // On all targets, or by name.
    if plan.targets.len() > 1 && group.targets.len() < plan.targets.len() {
        out.raw("\" data-t=\"").text(&spaced(&group.targets));
    }
    out.raw("\"><summary><b class=\"s ")
        .raw(step.action.as_str())
        .raw("\" title=\"")
        .raw(step.action.as_str());
    out.raw("\">").text(&sign(step.action).to_string()).raw("</b> <code>").text(block.address.as_str());
    out.raw("</code> <i>").text(step.type_name.as_str()).raw("</i> <span>");
    out.text(&cut(&summary(step), SUMMARY_MAX_CHARS)).raw("</span>");
    let marks = marks(step);
    if !marks.is_empty() {
        out.raw(" <em>").text(&marks).raw("</em>");
    }
    let place = place(plan, &group.targets);
    if !place.is_empty() {
        out.raw(" <small>").text(&place).raw("</small>");
    }
    out.raw("</summary>").append(body).raw("</details>\n");
    out
}

fn spaced(targets: &[&TargetName]) -> String {
    targets.iter().map(|target| target.as_str()).collect::<Vec<_>>().join(" ")
}

/// What is behind the line of a change.
fn body(plan: &Plan, block: &Block<'_>, group: &Group<'_>, nth: usize, why: &Why<'_>) -> Markup {
    let step = group.step;
    let mut out = Markup::default();
    let (subject, headed) = head(step);
    out.raw("<p class=\"g\">").text(&subject).raw("</p>");
    lines(&mut out, details(step, &headed));
    let mut notes = Vec::new();
    if plan.targets.len() > 1 {
        notes.push(format!("on: {}", every_name(&group.targets)));
    }
    if nth > 0
        && let Some(difference) = block.difference(step)
    {
        notes.push(format!("unlike the first of this address: {difference}"));
    }
    if nth == 0 {
        for (what, targets) in [
            ("as desired already on", &block.unchanged),
            ("not triggered on", &block.not_triggered),
            ("DEFERRED on", &block.deferred),
        ] {
            if !targets.is_empty() {
                notes.push(format!("{what}: {}", every_name(targets)));
            }
        }
    }
    let reasons = group.targets.iter().flat_map(|target| {
        let reasons = why.get(&(block.address, *target)).into_iter().flatten();
        reasons.map(|reason| (reason.to_string(), *target))
    });
    for (text, targets) in same(reasons) {
        let place = match targets.len() {
            count if count == group.targets.len() => String::new(),
            _ => format!(" (on {})", crate::fold::names(&targets)),
        };
        notes.push(format!("why: {text}{place}"));
    }
    notes.extend(grades(plan, step));
    out.raw("<ul>");
    for note in notes {
        out.raw("<li>").text(&note).raw("</li>");
    }
    out.raw("</ul>");
    out
}

/// How sure it is, what may be done if its outcome is not known, and how it is taken back.
fn grades(plan: &Plan, step: &Step) -> [String; 3] {
    let prediction = match step.prediction {
        Prediction::Exact => "prediction exact: the state after it is known",
        Prediction::Conditional => "prediction CONDITIONAL: whether it happens depends on something opaque",
        Prediction::Opaque => "prediction OPAQUE: what it changes cannot be known",
    };
    let retry = match plan.types.get(&step.type_name).map(|known| known.retry) {
        Some(Retry::Converge) => "retry converge: after a lost answer it may be repeated",
        Some(Retry::Query) => "retry query: after a lost answer its provider knows whether it happened",
        Some(Retry::Once) => "retry once: after a lost answer only a person may have it repeated",
        None => "retry not known",
    };
    let undo = match (step.undo.grade, &step.undo.inverse) {
        (UndoGrade::None, _) => "undo NONE: it cannot be taken back".to_owned(),
        (grade, Some(inverse)) => {
            let grade = if grade == UndoGrade::Exact { "exact" } else { "LOSSY" };
            let action = inverse.action.as_str();
            match &inverse.result {
                Some(back) => {
                    format!(
                        "undo {grade}: {action}, if {} is found, to {}",
                        state(&inverse.expect),
                        state(back)
                    )
                }
                None => format!("undo {grade}: {action}, and nothing can be seen of what it did"),
            }
        }
        (_, None) => "undo without an inverse".to_owned(),
    };
    let after = step.result.as_ref().map_or_else(|| "what cannot be known".to_owned(), state);
    [format!("{prediction}; finds {}, leaves {after}", state(&step.expect)), retry.to_owned(), undo]
}

/// The first digits of a fingerprint.
fn state(digest: &Digest) -> String {
    let hex = digest.hex();
    format!("state {}…", hex.get(..12).unwrap_or(&hex))
}

/// Notes as they are, and each hunk of a diff with its additions and removals marked; of a long diff
/// the hunks are folded.
fn lines(out: &mut Markup, lines: Vec<Line>) {
    let long = lines.iter().filter(|line| matches!(line, Line::Diff(_))).count() > UNFOLDED_LINES_MAX;
    let mut notes: Vec<String> = Vec::new();
    let mut hunk: Vec<String> = Vec::new();
    for line in lines {
        match line {
            Line::Note(depth, text) => {
                close_hunk(out, &mut hunk, long);
                notes.push(format!("{}{text}", "  ".repeat(depth)));
            }
            Line::Diff(text) => {
                close_notes(out, &mut notes);
                if text.starts_with("@@") {
                    close_hunk(out, &mut hunk, long);
                }
                hunk.push(text);
            }
        }
    }
    close_notes(out, &mut notes);
    close_hunk(out, &mut hunk, long);
}

fn close_notes(out: &mut Markup, notes: &mut Vec<String>) {
    if !notes.is_empty() {
        out.raw("<pre>");
        for note in notes.drain(..) {
            out.line(&note).raw("\n");
        }
        out.raw("</pre>");
    }
}

fn close_hunk(out: &mut Markup, hunk: &mut Vec<String>, fold: bool) {
    let Some(head) = hunk.first().cloned() else { return };
    let body = hunk.get(1..).unwrap_or_default();
    if fold {
        let (added, removed) = added_removed(body);
        out.raw("<details class=\"h\"><summary>").text(&head).raw(" <small>+").count(added).raw(" −");
        out.count(removed).raw("</small></summary><pre class=\"d\">");
    } else {
        out.raw("<pre class=\"d\">").line(&head).raw("\n");
    }
    let mut sign = ' ';
    for line in body {
        let mine = line.chars().next().filter(|c| matches!(c, '+' | '-' | '\\')).unwrap_or(' ');
        // The remark that a line does not end belongs to the line above.
        let mine = if mine == '\\' { sign } else { mine };
        if mine != sign {
            close_sign(out, sign);
            match mine {
                '+' => drop(out.raw("<ins>")),
                '-' => drop(out.raw("<del>")),
                _ => {}
            }
            sign = mine;
        }
        out.line(line).raw("\n");
    }
    close_sign(out, sign);
    out.raw(if fold { "</pre></details>" } else { "</pre>" });
    hunk.clear();
}

fn close_sign(out: &mut Markup, sign: char) {
    match sign {
        '+' => drop(out.raw("</ins>")),
        '-' => drop(out.raw("</del>")),
        _ => {}
    }
}
