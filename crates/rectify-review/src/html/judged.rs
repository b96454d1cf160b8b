//! What policy says, and who vouches.

use super::{Judgement, Review, Section, Standing, changes::Changes};
use crate::markup::Markup;
use rectify_model::{
    Decision,
    decision::{ApprovalDemand, Finding},
};
use std::collections::BTreeMap;

/// Findings of one rule that are shown unfolded.
const SHOWN_MAX: usize = 8;

/// What policy says, finding by finding, each linked to the step that it names.
pub(super) fn decision(review: &Review<'_>, changes: &Changes<'_>) -> Option<Section> {
    let mut body = Markup::default();
    match review.judgement {
        Judgement::Nothing => {
            body.raw("<p>Nothing changes, so there is nothing to decide.</p>\n");
        }
        Judgement::NotAsked => {
            body.raw("<p class=\"warn\">No decision is recorded beside this plan. <code>rectify plan</code> asks policy and says what it thinks; <code>rectify seal</code> records it.</p>\n");
        }
        Judgement::Undecided { code, message } => {
            body.raw(
                "<p class=\"verdict no\">Denied</p>\n<p>Policy could not decide, which counts as denied: ",
            );
            body.text(message).raw(" <code>").text(code).raw("</code></p>\n");
        }
        Judgement::Decided { decision, source } => decided(&mut body, decision, source, changes),
    }
    Some(Section { id: "decision", title: "Decision", count: None, body })
}

fn decided(body: &mut Markup, decision: &Decision, source: &str, changes: &Changes<'_>) {
    body.raw(if decision.allowed {
        "<p class=\"verdict yes\">Allowed"
    } else {
        "<p class=\"verdict no\">Denied"
    });
    match decision.approvals() {
        0 => {}
        1 => drop(body.raw(", asks for 1 approval")),
        count => drop(body.raw(", asks for ").number(count).raw(" approvals")),
    }
    body.raw("</p>\n<p>As policy said ").text(source);
    body.raw(". It is advice to the reader: whoever applies the plan decides again. Bundle <code>");
    body.text(&decision.bundle.to_string()).raw("</code></p>\n");
    let demands: BTreeMap<&str, Vec<&str>> = by_rule(decision.require_approval.iter().map(demand));
    findings(body, "Denied because", "no", &by_rule(decision.deny.iter().map(finding)), changes);
    let overridden = by_rule(decision.overridden.iter().map(finding));
    findings(body, "OVERRIDDEN: denied, and let pass by people", "no", &overridden, changes);
    findings(body, "Approval asked for because", "ask", &demands, changes);
    findings(body, "Remarks", "warn", &by_rule(decision.warn.iter().map(finding)), changes);
}

fn finding(finding: &Finding) -> (&str, &str) {
    (&finding.rule, &finding.message)
}

fn demand(demand: &ApprovalDemand) -> (&str, &str) {
    (&demand.rule, &demand.message)
}

fn by_rule<'a>(findings: impl Iterator<Item = (&'a str, &'a str)>) -> BTreeMap<&'a str, Vec<&'a str>> {
    let mut map: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (rule, message) in findings {
        map.entry(rule).or_default().push(message);
    }
    map
}

fn findings(
    body: &mut Markup,
    title: &'static str,
    class: &'static str,
    findings: &BTreeMap<&str, Vec<&str>>,
    changes: &Changes<'_>,
) {
    if findings.is_empty() {
        return;
    }
    body.raw("<h3>").raw(title).raw("</h3>\n<ul class=\"findings ").raw(class).raw("\">\n");
    for (rule, messages) in findings {
        body.raw("<li><code>").text(rule).raw("</code>");
        list(body, messages.iter().take(SHOWN_MAX), changes);
        if messages.len() > SHOWN_MAX {
            let rest = messages.len() - SHOWN_MAX;
            body.raw("<details><summary>").count(rest).raw(" more of this rule</summary>");
            list(body, messages.iter().skip(SHOWN_MAX), changes);
            body.raw("</details>");
        }
        body.raw("</li>\n");
    }
    body.raw("</ul>\n");
}

fn list<'a>(body: &mut Markup, messages: impl Iterator<Item = &'a &'a str>, changes: &Changes<'_>) {
    body.raw("<ul>");
    for message in messages {
        body.raw("<li>");
        changes.linked(body, message);
        body.raw("</li>");
    }
    body.raw("</ul>");
}

/// Who vouches for the plan.
pub(super) fn vouchers(review: &Review<'_>) -> Option<Section> {
    let mut body = Markup::default();
    if review.vouchers.is_empty() {
        body.raw("<p>Nobody has sealed or approved this plan. It cannot be applied as it is.</p>\n");
    } else {
        body.raw("<p>Whether it may be applied now depends on the trust file and the clock of the machine that applies it; <code>rectify verify</code> says so there.</p>\n");
    }
    for voucher in review.vouchers {
        body.raw("<article class=\"voucher\"><h3>").text(&voucher.kind).raw(" <small>").text(&voucher.file);
        body.raw("</small></h3>\n");
        match &voucher.standing {
            Standing::Verified(signers) => {
                body.raw("<p class=\"yes\">Signature verified: ").text(&signers.join(", ")).raw("</p>\n");
            }
            Standing::Unverified(why) => {
                body.raw("<p class=\"warn\">Signature NOT verified: ").text(why).raw("</p>\n");
            }
        }
        body.raw("<dl>");
        for (name, value) in &voucher.says {
            body.raw("<dt>").text(name).raw("</dt><dd>").text(value).raw("</dd>");
        }
        body.raw("</dl></article>\n");
    }
    let count = (!review.vouchers.is_empty()).then_some(review.vouchers.len());
    Some(Section { id: "vouchers", title: "Who vouches", count, body })
}
