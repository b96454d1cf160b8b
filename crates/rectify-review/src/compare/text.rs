//! A comparison for a terminal: one entry for equal differences on several targets.

use super::{Comparison, Difference, How, Part};
use crate::{
    Options, bounded,
    diff::unified,
    escape::visible,
    fold::{every_name, names, same},
    step::{marks, sign, summary},
};
use rectify_base::{Pointer, TargetName};
use rectify_model::{
    Plan,
    plan::{Change, Step},
};
use serde_json::Value;
use std::collections::BTreeMap;

/// Lines of one difference between contents that are shown without `--details`.
const DIFF_LINES_MAX: usize = 24;

/// Renders a comparison as text; `before` and `after` are the plans that it is of.
#[must_use]
pub fn text(before: &Plan, after: &Plan, comparison: &Comparison, options: &Options) -> String {
    let mut lines = vec![headline(comparison)];
    for (title, entries) in sections(before, after, comparison, options) {
        lines.push(String::new());
        lines.push(format!("{title}:"));
        for entry in entries {
            lines.push(format!("  {}", entry.line));
            lines.extend(entry.details.iter().map(|line| format!("      {line}").trim_end().to_owned()));
        }
    }
    lines.push(String::new());
    lines.join("\n")
}

/// A line and what is below it. No hidden character is in either.
pub(super) struct Entry {
    pub line: String,
    pub details: Vec<String>,
}

/// One sentence about all of it.
pub(super) fn headline(comparison: &Comparison) -> String {
    if comparison.differences.is_empty() {
        return format!("The same plan: {}", comparison.after.blake3);
    }
    let count = |part: Part, how: How| {
        let alike = comparison.differences.iter().filter(|d| d.part == part && d.how == how);
        alike.filter(|difference| !only_observed(difference)).count()
    };
    let mut parts = Vec::new();
    for (part, noun) in [(Part::Step, "step"), (Part::Target, "target"), (Part::Gate, "check")] {
        for (how, word) in [(How::Added, "added"), (How::Removed, "removed"), (How::Changed, "changed")] {
            match count(part, how) {
                0 => {}
                1 => parts.push(format!("1 {noun} {word}")),
                count => parts.push(format!("{count} {noun}s {word}")),
            }
        }
    }
    if parts.is_empty() {
        parts.push("no step is another".into());
    }
    format!("Another plan: {}", parts.join(", "))
}

/// Whether nothing is another but what was seen on a target; the steps say what follows from that.
fn only_observed(difference: &Difference) -> bool {
    difference.part == Part::Target
        && difference.how == How::Changed
        && difference.places.iter().all(|place| place.path.as_str().starts_with("/observation/"))
}

/// Everything that differs, in the order in which a reader wants it.
pub(super) fn sections(
    before: &Plan,
    after: &Plan,
    comparison: &Comparison,
    options: &Options,
) -> Vec<(&'static str, Vec<Entry>)> {
    if comparison.differences.is_empty() {
        return Vec::new();
    }
    let (old, new) = (steps(before), steps(after));
    let of =
        |part: Part, how: How| comparison.differences.iter().filter(move |d| d.part == part && d.how == how);
    let mut out = Vec::new();
    let digests = [("before", comparison.before), ("after", comparison.after)];
    let digests = digests.map(|(name, digests)| Entry {
        line: format!("{name:<6}  {}  {}", digests.blake3, digests.sha256),
        details: Vec::new(),
    });
    out.push(("Plans", digests.into()));
    for (title, how, plan) in [("Steps added", How::Added, &new), ("Steps removed", How::Removed, &old)] {
        let lines = of(Part::Step, how).filter_map(|difference| {
            let target = difference.target.as_ref()?;
            let step = plan.get(&(target, difference.name.as_str()))?;
            Some((one_line(step), target))
        });
        let entries = same(lines).into_iter().map(|(line, targets)| Entry {
            line: format!("{line}{}", place(&targets, options)),
            details: Vec::new(),
        });
        out.push((title, entries.collect()));
    }
    out.push(("Steps changed", folded(of(Part::Step, How::Changed), options)));
    for (title, part) in [
        ("Targets", Part::Target),
        ("Remediations", Part::Remediation),
        ("Types", Part::Type),
        ("Providers", Part::Provider),
        ("Checks afterwards", Part::Gate),
        ("Not covered", Part::Deferred),
        ("Needs nothing", Part::Unchanged),
        ("The plan as a whole", Part::Plan),
    ] {
        out.push((title, folded(comparison.differences.iter().filter(|d| d.part == part), options)));
    }
    out.retain(|(_, entries)| !entries.is_empty());
    out
}

fn steps(plan: &Plan) -> BTreeMap<(&TargetName, &str), &Step> {
    plan.steps.iter().map(|step| ((&step.target, step.address.as_str()), step)).collect()
}

fn one_line(step: &Step) -> String {
    let parts = [
        format!("{} {}  {}  {}", sign(step.action), step.address, step.type_name, summary(step)),
        marks(step),
    ];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("  ")
}

fn place(targets: &[&TargetName], options: &Options) -> String {
    match targets {
        [] => String::new(),
        targets if options.details => format!("  on {}", every_name(targets)),
        targets => format!("  on {}", names(targets)),
    }
}

/// Equal differences together.
fn folded<'c>(differences: impl Iterator<Item = &'c Difference>, options: &Options) -> Vec<Entry> {
    let mut known: BTreeMap<String, usize> = BTreeMap::new();
    let mut groups: Vec<(&Difference, Vec<&TargetName>)> = Vec::new();
    for difference in differences {
        let key = (&difference.name, difference.how, &difference.places);
        // What is new or gone is told by its name alone.
        let key = match difference.how {
            How::Changed => serde_json::to_string(&key).unwrap_or_default(),
            _ => format!("{:?} {}", difference.how, difference.name),
        };
        let at = *known.entry(key).or_insert(groups.len());
        match groups.get_mut(at) {
            Some((_, targets)) => targets.extend(&difference.target),
            None => groups.push((difference, difference.target.iter().collect())),
        }
    }
    let entry = |(difference, targets): (&Difference, Vec<&TargetName>)| {
        let sign = match difference.how {
            How::Added => '+',
            How::Removed => '-',
            How::Changed => '~',
        };
        let name = match difference.part {
            Part::Plan => String::new(),
            _ => format!(" {}", visible(&difference.name)),
        };
        let line = format!("{sign}{name}{}", place(&targets, options));
        let details = match difference.how {
            How::Changed if only_observed(difference) => vec!["what was seen there is another".to_owned()],
            How::Changed => places(&difference.places, options),
            _ => Vec::new(),
        };
        Entry { line, details }
    };
    groups.into_iter().map(entry).collect()
}

/// What follows from other places: named in one line, unless nothing else differs.
fn follows(path: &Pointer) -> bool {
    let path = path.as_str();
    ["/planned", "/expect", "/result", "/undo/inverse/expect", "/undo/inverse/result"]
        .iter()
        .any(|begin| path.strip_prefix(begin).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

fn places(places: &[Change], options: &Options) -> Vec<String> {
    let texts: Vec<&str> = places
        .iter()
        .filter(|place| {
            place.before.as_ref().is_some_and(Value::is_string)
                && place.after.as_ref().is_some_and(Value::is_string)
        })
        .filter_map(|place| place.path.as_str().strip_suffix("/text"))
        .collect();
    // Where both texts are shown, their digests and lengths say nothing more.
    let shown = |path: &str| {
        [path.strip_suffix("/blake3"), path.strip_suffix("/size")]
            .iter()
            .flatten()
            .any(|of| texts.contains(of))
    };
    let mut lines = Vec::new();
    for place in places {
        if !follows(&place.path) && !shown(place.path.as_str()) {
            one_place(place, options, &mut lines);
        }
    }
    for (path, line) in
        [("/expect", "it expects to find another state"), ("/result", "it leaves another state")]
    {
        if places.iter().any(|place| place.path.as_str() == path) {
            lines.push(line.to_owned());
        }
    }
    if lines.is_empty() {
        for place in places {
            one_place(place, options, &mut lines);
        }
    }
    lines
}

fn one_place(place: &Change, options: &Options, lines: &mut Vec<String>) {
    let tokens: Vec<String> = place.path.tokens().iter().map(|token| visible(token)).collect();
    let name = if tokens.is_empty() { "all".to_owned() } else { tokens.join(" ") };
    let both = (place.before.as_ref().and_then(Value::as_str), place.after.as_ref().and_then(Value::as_str));
    if let (Some(old), Some(new)) = both
        && (bounded::has_lines(old) || bounded::has_lines(new))
    {
        lines.push(format!("{name}:"));
        let diff = unified(old, new);
        let most = if options.details { diff.len() } else { DIFF_LINES_MAX };
        lines.extend(diff.iter().take(most).map(|line| format!("  {line}")));
        if diff.len() > most {
            lines.push(format!("  … ({} more lines; --details shows them)", diff.len() - most));
        }
        return;
    }
    let shown = |value: Option<&Value>| value.map_or_else(|| "(none)".to_owned(), bounded::line);
    lines.push(format!("{name}: {} → {}", shown(place.before.as_ref()), shown(place.after.as_ref())));
}
