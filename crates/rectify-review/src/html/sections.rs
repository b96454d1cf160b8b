//! The parts of the page beside the changes.

use super::{Review, Section, changes::Changes};
use crate::{
    fold::Block,
    markup::Markup,
    text::{self, NOT_TRIGGERED, UNDECIDED, WAITING},
};
use rectify_model::{
    Plan,
    grade::{Disruption, Prediction, UndoGrade},
    graph::{Access, UndoMode},
    observation::Identity,
    plan::{DeferredCause, Step},
};
use std::collections::{BTreeMap, BTreeSet};

/// Entries of one list; more are counted.
const ENTRIES_MAX: usize = 300;
/// Entries of a list that are shown unfolded.
const UNFOLDED_MAX: usize = 12;
/// Links of a list that are shown unfolded.
const LINKS_UNFOLDED_MAX: usize = 24;

/// Headline, sums, digests.
pub(super) fn title(out: &mut Markup, review: &Review<'_>, left_out: usize) {
    let plan = review.plan;
    out.raw("<p class=\"kicker\">Rectify review</p>\n<h1>")
        .text(&text::headline(plan))
        .raw("</h1>\n<ul class=\"tiles\">");
    let counts = plan.counts;
    for (count, class, sign, what) in [
        (counts.create, "create", "+", "create"),
        (counts.update, "update", "~", "update"),
        (counts.replace, "replace", "±", "replace"),
        (counts.delete, "delete", "-", "delete"),
        (counts.run, "run", "&gt;", "run"),
        (counts.unchanged, "idle", "=", "as desired"),
        (counts.not_triggered, "idle", "=", "not triggered"),
        (counts.deferred, "deferred", "?", "DEFERRED"),
    ] {
        if count > 0 {
            out.raw("<li class=\"")
                .raw(class)
                .raw("\"><b class=\"s ")
                .raw(class)
                .raw("\" aria-hidden=\"true\">")
                .raw(sign);
            out.raw("</b> ").text(&count.to_string()).raw(" ").raw(what).raw("</li>");
        }
    }
    out.raw("</ul>\n<dl class=\"digests\"><dt>b3sum</dt><dd><code>").text(&review.digests.blake3.hex());
    out.raw("</code></dd><dt>sha256sum</dt><dd><code>").text(&review.digests.sha256.hex());
    out.raw("</code></dd><dt>graph</dt><dd><code>").text(&plan.graph.blake3.to_string());
    out.raw("</code></dd></dl>\n<p class=\"note\">This page shows the plan file with these digests. It is no part of what is signed: compare the digests before you approve.</p>\n");
    if left_out > 0 {
        out.raw("<p class=\"warn\">This page is not the whole plan: the details of ").count(left_out);
        out.raw(" changes are left out to keep it small enough for a browser. <code>rectify show --details</code> prints them.</p>\n");
    }
}

/// A list; a long one is folded, a very long one is cut, and says so.
pub(super) fn list(out: &mut Markup, entries: &[String]) {
    let fold = entries.len() > UNFOLDED_MAX;
    if fold {
        out.raw("<details><summary>").count(entries.len()).raw(" entries</summary>");
    }
    out.raw("<ul class=\"plain\">");
    for entry in entries.iter().take(ENTRIES_MAX) {
        out.raw("<li>").text(entry.trim()).raw("</li>");
    }
    if entries.len() > ENTRIES_MAX {
        out.raw("<li class=\"warn\">and ").count(entries.len() - ENTRIES_MAX);
        out.raw(" more, which <code>rectify show --details</code> prints</li>");
    }
    out.raw("</ul>");
    if fold {
        out.raw("</details>");
    }
    out.raw("\n");
}

fn titled(out: &mut Markup, title: &'static str, entries: &[String]) {
    if !entries.is_empty() {
        out.raw("<h3>").raw(title).raw(" <small>").count(entries.len()).raw("</small></h3>\n");
        list(out, entries);
    }
}

/// What must not be overlooked.
pub(super) fn attention(plan: &Plan, blocks: &[Block<'_>], changes: &Changes<'_>) -> Option<Section> {
    let mut body = Markup::default();
    titled(&mut body, "Cannot be taken back", &text::undo_lines(plan, blocks, UndoGrade::None));
    titled(&mut body, "Taken back only in part", &text::undo_lines(plan, blocks, UndoGrade::Lossy));
    titled(&mut body, text::PROVIDERS, &text::providers(plan));
    let of = |wanted: &dyn Fn(&Step) -> bool| -> BTreeSet<&str> {
        let steps = plan.steps.iter().filter(|step| wanted(step));
        steps.map(|step| step.address.as_str()).collect()
    };
    for (title, addresses) in [
        ("Nobody can know what it changes", of(&|step| step.prediction == Prediction::Opaque)),
        ("Not certain to happen as planned", of(&|step| step.prediction == Prediction::Conditional)),
        ("Restarts a target", of(&|step| step.disruption.contains(&Disruption::Reboot))),
        ("Restarts a service", of(&|step| step.disruption.contains(&Disruption::Restart))),
        (
            "Has a service read its configuration again",
            of(&|step| step.disruption.contains(&Disruption::Reload)),
        ),
        ("Writes elsewhere than its path says", of(&|step| !step.resolved.is_empty())),
    ] {
        links(&mut body, title, &addresses, changes);
    }
    (body.len() > 0).then_some(Section { id: "attention", title: "What to look at", count: None, body })
}

/// Addresses that lead to their changes.
fn links(out: &mut Markup, title: &'static str, addresses: &BTreeSet<&str>, changes: &Changes<'_>) {
    if addresses.is_empty() {
        return;
    }
    out.raw("<h3>").raw(title).raw(" <small>").count(addresses.len()).raw("</small></h3>\n");
    let fold = addresses.len() > LINKS_UNFOLDED_MAX;
    if fold {
        out.raw("<details><summary>").count(addresses.len()).raw(" steps</summary>");
    }
    out.raw("<p class=\"links\">");
    for address in addresses.iter().take(ENTRIES_MAX) {
        out.raw("<code>");
        changes.linked(out, address);
        out.raw("</code> ");
    }
    if addresses.len() > ENTRIES_MAX {
        out.raw("and ").count(addresses.len() - ENTRIES_MAX).raw(" more");
    }
    out.raw(if fold { "</p></details>\n" } else { "</p>\n" });
}

/// What the plan does not do.
pub(super) fn not_covered(plan: &Plan) -> Option<Section> {
    let mut body = Markup::default();
    titled(&mut body, UNDECIDED, &text::deferred(plan, DeferredCause::Undecided));
    titled(&mut body, WAITING, &text::deferred(plan, DeferredCause::Waits));
    titled(&mut body, NOT_TRIGGERED, &text::not_triggered(plan));
    let count = usize::try_from(plan.counts.deferred + plan.counts.not_triggered).ok();
    (body.len() > 0).then_some(Section { id: "not-covered", title: "Not done", count, body })
}

/// What must hold afterwards.
pub(super) fn gates(plan: &Plan) -> Option<Section> {
    let gates = text::gates(plan);
    if gates.is_empty() {
        return None;
    }
    let mut body = Markup::default();
    body.raw("<p>Asked on each target after the steps of its remediation. If one does not hold, the run has failed.</p>\n");
    list(&mut body, &gates);
    Some(Section { id: "gates", title: "Checked afterwards", count: Some(gates.len()), body })
}

/// Waves and bounds.
pub(super) fn order(plan: &Plan) -> Option<Section> {
    let mut body = Markup::default();
    let waves = text::waves(plan, true);
    if waves.is_empty() {
        body.raw("<p>One wave: no target waits for another.</p>\n");
    } else {
        body.raw("<p>Each wave waits for the one before; if one fails, the next does not begin.</p>\n<ol>");
        for wave in &plan.waves {
            let names: Vec<&str> = wave.iter().map(rectify_base::TargetName::as_str).collect();
            body.raw("<li>").text(&names.join(", ")).raw("</li>");
        }
        body.raw("</ol>\n");
    }
    body.raw("<p>At most ").text(&plan.limits.parallel_steps.to_string());
    body.raw(" steps at once on a target.</p>\n");
    let count = (plan.waves.len() > 1).then_some(plan.waves.len());
    Some(Section { id: "order", title: "Order of targets", count, body })
}

/// What happens if something fails, and the steps that take the changes back.
pub(super) fn undo(plan: &Plan, changes: &Changes<'_>) -> Option<Section> {
    if plan.steps.is_empty() {
        return None;
    }
    let mut body = Markup::default();
    body.raw("<p>The steps that take changes back are part of what is signed. They run in reverse order, only for steps that ran, and only if what is found is what was left behind.</p>\n");
    for (name, steps) in changes.undo() {
        let info = plan.remediations.iter().find(|(known, _)| known.as_str() == name).map(|(_, info)| info);
        body.raw("<details class=\"undo\"><summary><code>").text(name).raw("</code> ");
        body.raw(match info.map(|info| info.undo) {
            Some(UndoMode::Auto) => "if it fails, finished steps are taken back",
            _ => "if it fails, finished steps stay",
        });
        let grades = |grade: UndoGrade| -> usize {
            steps.iter().filter(|(step, _)| step.undo.grade == grade).map(|(_, targets)| targets.len()).sum()
        };
        body.raw(" <small>").count(grades(UndoGrade::Exact)).raw(" exact, ").count(grades(UndoGrade::Lossy));
        body.raw(" lossy, ").count(grades(UndoGrade::None)).raw(" none</small></summary><ol>");
        for (step, targets) in steps.iter().rev().take(ENTRIES_MAX) {
            body.raw("<li><code>");
            changes.link(&mut body, &step.address);
            body.raw("</code> ");
            match (&step.undo.inverse, step.undo.grade) {
                (Some(inverse), UndoGrade::Exact) => drop(body.raw(inverse.action.as_str()).raw(", exact")),
                (Some(inverse), _) => drop(body.raw(inverse.action.as_str()).raw(", LOSSY")),
                (None, _) => drop(body.raw("cannot be taken back")),
            }
            if let Some(note) = &step.undo.note {
                body.raw(": ").text(note);
            }
            if plan.targets.len() > 1 {
                body.raw(" <small>").text(&crate::fold::place(plan, targets)).raw("</small>");
            }
            body.raw("</li>");
        }
        if steps.len() > ENTRIES_MAX {
            body.raw("<li class=\"warn\">and ").count(steps.len() - ENTRIES_MAX);
            body.raw(" more; each change says how it is taken back</li>");
        }
        body.raw("</ol></details>\n");
    }
    Some(Section { id: "undo", title: "Undo", count: None, body })
}

/// Where it happens.
pub(super) fn targets(plan: &Plan) -> Option<Section> {
    let mut body = Markup::default();
    let mut counts: BTreeMap<_, usize> = BTreeMap::new();
    for step in &plan.steps {
        *counts.entry(&step.target).or_default() += 1;
    }
    body.raw("<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"Table of targets\"><table>\n<thead><tr><th scope=\"col\">Target</th><th scope=\"col\">Environment</th><th scope=\"col\">Labels</th><th scope=\"col\">Changes</th><th scope=\"col\">Identity</th></tr></thead>\n<tbody>\n");
    for (name, target) in plan.targets.iter().take(ENTRIES_MAX) {
        let labels: Vec<String> =
            target.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let (kind, digest) = match &target.identity {
            Identity::Machine(digest) => ("machine ", digest),
            Identity::Root(digest) => ("root directory ", digest),
        };
        body.raw("<tr><th scope=\"row\">").text(name.as_str()).raw("</th><td>").text(&target.environment);
        body.raw("</td><td>").text(&labels.join(", ")).raw("</td><td>");
        body.count(counts.get(name).copied().unwrap_or(0)).raw("</td><td>").raw(kind).raw("<code>");
        body.text(&digest.hex()).raw("</code></td></tr>\n");
    }
    body.raw("</tbody></table></div>\n");
    if plan.targets.len() > ENTRIES_MAX {
        body.raw("<p class=\"warn\">and ").count(plan.targets.len() - ENTRIES_MAX).raw(" more</p>\n");
    }
    Some(Section { id: "targets", title: "Targets", count: Some(plan.targets.len()), body })
}

/// What is taken for granted, and looked at again before anything is done.
pub(super) fn assumptions(plan: &Plan) -> Option<Section> {
    let mut body = Markup::default();
    body.raw("<ul class=\"plain\"><li>Each target proves that it is the one that was planned for, by its identity above.</li>");
    if !plan.steps.is_empty() {
        body.raw("<li>Each change finds the state that it expects; its details name it. Anything else is refused as stale, except what is already as planned.</li>");
    }
    body.raw("<li>The providers are those whose manifests were read:");
    let mut manifests: BTreeMap<_, Vec<&str>> = BTreeMap::new();
    for (name, known) in &plan.types {
        manifests.entry(known.manifest).or_default().push(name.as_str());
    }
    body.raw("<ul>");
    for (manifest, types) in manifests {
        body.raw("<li><code>")
            .text(&manifest.to_string())
            .raw("</code> ")
            .text(&types.join(", "))
            .raw("</li>");
    }
    body.raw("</ul></li></ul>\n");
    titled(&mut body, text::ASSUMED, &text::assumptions(plan));
    titled(&mut body, text::SECRETS, &text::secrets(plan));
    let reads: BTreeSet<String> = plan
        .steps
        .iter()
        .flat_map(|step| {
            let reads = step.touches.iter().filter(|touch| touch.access == Access::Read);
            reads.map(|touch| format!("{} reads {}", step.address, touch.key))
        })
        .collect();
    titled(&mut body, "Read while planning", &reads.into_iter().collect::<Vec<_>>());
    Some(Section { id: "assumptions", title: "Taken for granted", count: None, body })
}

/// What the words mean.
pub(super) fn words(plan: &Plan) -> Option<Section> {
    let mut body = Markup::default();
    body.raw(
        "<dl class=\"words\">\
<dt>prediction</dt><dd>How sure the plan is. <b>exact</b>: the state after the step is known. <b>conditional</b>: what happens is known, but whether it happens depends on something that is not. <b>opaque</b>: an unguarded command; what it changes cannot be known.</dd>\
<dt>retry</dt><dd>What may be done if the answer of a step was lost. <b>converge</b>: look again, and repeat if need be. <b>query</b>: the provider knows whether it happened. <b>once</b>: it is not repeated unless a person says so.</dd>\
<dt>undo</dt><dd>Whether a step can be taken back. <b>exact</b>: what was there comes back, as long as its image is kept. <b>lossy</b>: something is lost, and a note says what. <b>none</b>: it cannot be taken back.</dd>\
<dt>deferred</dt><dd>Not part of what is signed, and not done: it could not be decided, or waits for something that is not decided.</dd>\
<dt>seal, approval</dt><dd>A seal permits one run of exactly this plan, until a moment. An approval is a person's consent to that seal.</dd>\
</dl>\n",
    );
    (!plan.steps.is_empty()).then_some(Section { id: "words", title: "Words", count: None, body })
}
