//! The report: why what is not changed is not, why targets stand in their order, and how providers were
//! confined. The reasons of changes are with the changes.

use super::{Review, Section, sections::list};
use crate::{
    fold::{place, same},
    markup::Markup,
};
use rectify_plan::{Layer, Reason, Report, WaveReason};
use std::collections::BTreeMap;

/// The section.
pub(super) fn section(review: &Review<'_>) -> Option<Section> {
    let report = review.report?;
    let mut body = Markup::default();
    body.raw("<p>From the report beside the plan. It explains, and is no part of what is signed. Reasons of changes are with the changes.</p>\n");
    type Wanted = fn(&Reason) -> bool;
    let kinds: [(&'static str, Wanted); 5] = [
        ("As desired already", |reason| matches!(reason, Reason::AsDesired)),
        ("Left as found by a chain of steps", |reason| matches!(reason, Reason::Converged { .. })),
        ("Not triggered", |reason| matches!(reason, Reason::TriggerNotFired { .. })),
        ("Deferred", |reason| matches!(reason, Reason::Undecided { .. } | Reason::AfterDeferred { .. })),
        ("Checks", |reason| {
            matches!(reason, Reason::GateKept | Reason::GateNotNeeded | Reason::GateDoubtful { .. })
        }),
    ];
    for (title, wanted) in kinds {
        let entries = report.entries.iter().filter(|entry| wanted(&entry.reason));
        let entries = entries.map(|entry| (format!("{}: {}", entry.address, entry.reason), &entry.target));
        titled(&mut body, review, title, same(entries));
    }
    let left_out = report.left_out.iter();
    let left_out = left_out.map(|entry| (format!("{}: {}", entry.address, entry.why), &entry.target));
    titled(&mut body, review, "Written, but not taken here", same(left_out));
    waves(&mut body, report);
    sessions(&mut body, review, report);
    Some(Section { id: "why", title: "Why", count: None, body })
}

fn titled(
    body: &mut Markup,
    review: &Review<'_>,
    title: &'static str,
    entries: Vec<(String, Vec<&rectify_base::TargetName>)>,
) {
    if entries.is_empty() {
        return;
    }
    let lines: Vec<String> = entries
        .into_iter()
        .map(|(text, targets)| match place(review.plan, &targets) {
            place if place.is_empty() => text,
            place => format!("{text} ({place})"),
        })
        .collect();
    body.raw("<h3>").raw(title).raw(" <small>").count(lines.len()).raw("</small></h3>\n");
    list(body, &lines);
}

fn waves(body: &mut Markup, report: &Report) {
    if report.waves.len() < 2 {
        return;
    }
    body.raw("<h3>Waves</h3>\n<ol>");
    for wave in &report.waves {
        body.raw("<li>").count(wave.targets.len());
        body.raw(if wave.targets.len() == 1 { " target: " } else { " targets: " }).raw(match wave.reason {
            WaveReason::Only => "the only one",
            WaveReason::First => "the first one that changes goes alone, so that a bad plan is seen on one",
            WaveReason::Rest => "all others, once the first wave is done",
        });
        body.raw("</li>");
    }
    body.raw("</ol>\n");
}

/// How the providers were confined while they were asked, equal sessions together.
fn sessions(body: &mut Markup, review: &Review<'_>, report: &Report) {
    let layers = |layers: &BTreeMap<String, Layer>| -> String {
        let each = layers.iter().map(|(name, layer)| match layer {
            Layer::Achieved => format!("{name} in force"),
            Layer::Unavailable(why) => format!("{name} NOT in force: {why}"),
            Layer::NotRequested => format!("{name} not asked for"),
        });
        each.collect::<Vec<_>>().join("; ")
    };
    let entries = report.sessions.iter().map(|session| {
        let whole = if session.complete { "confined" } else { "NOT fully confined" };
        (format!("{}: {whole} ({})", session.provider, layers(&session.layers)), &session.target)
    });
    titled(body, review, "How providers were kept from changing anything", same(entries));
}
