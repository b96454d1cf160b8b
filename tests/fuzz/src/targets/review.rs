//! What reviewers see of any plan, and of any two.

use crate::{Target, sections, seeds};
use rectify_base::{FileDigests, canonical};
use rectify_model::Plan;
use rectify_review::{
    Judgement, Options, Review, Standing, Voucher, compare,
    drawing::{ARROWS_MAX, BOXES_MAX, Drawing, dot, svg},
    html, visible,
};

pub(super) const TARGET: Target = Target {
    name: "review",
    holds: "any plan is shown on a page and as drawings that are whole, bounded and well formed, without a character that hides; a plan does not differ from itself",
    check,
    seeds: |conformance| {
        let plan = seeds::files(&conformance.join("cases/plans/valid"))
            .into_iter()
            .find_map(|(name, bytes)| (name == "plan.json").then_some(bytes));
        let plan = plan.unwrap_or_default();
        vec![
            sections::join(&[("plan", plan.clone())]),
            sections::join(&[("plan", plan.clone()), ("plan", plan)]),
        ]
    },
    max_bytes: 65_536,
    replays: 25,
};

/// Most of a page that is not the plan: style, script, graph, lists.
const FRAME_MAX_BYTES: usize = 512 * 1024;

/// Reads a plan that need not be canonical: mutations mostly are not.
fn read(body: &[u8]) -> Option<Plan> {
    serde_json::from_value(canonical::parse_strict(body).ok()?).ok()
}

fn check(data: &[u8]) {
    let sections = sections::split(data);
    let plans: Vec<(Plan, FileDigests)> = sections
        .iter()
        .take(2)
        .filter_map(|(_, body)| Some((read(body)?, FileDigests::of_bytes(body))))
        .collect();
    for (plan, digests) in &plans {
        page(plan, *digests, data.len());
        drawings(plan);
    }
    if let [(before, old), (after, new)] = plans.as_slice() {
        let same = compare::compare((before, *old), (before, *old));
        assert!(same.differences.is_empty(), "a plan differs from itself");
        let there = compare::compare((before, *old), (after, *new));
        let back = compare::compare((after, *new), (before, *old));
        assert_eq!(there.differences.len(), back.differences.len());
        assert!(before == after || !there.differences.is_empty() || bytes(before) == bytes(after));
        let options = Options::default();
        for text in [
            compare::text(before, after, &there, &options),
            compare::markdown(before, after, &there, &options),
        ] {
            shown(&text);
        }
        let markdown = compare::markdown(before, after, &there, &options);
        let length = markdown.encode_utf16().count() + markdown.lines().count();
        assert!(length <= options.size_max_chars, "{length} characters");
    }
}

fn bytes(plan: &Plan) -> Option<Vec<u8>> {
    canonical::file_bytes(plan).ok()
}

fn shown(text: &str) {
    let hidden = |line: &str| visible(line) != line.replace('\t', "\\t");
    if let Some(line) = text.split('\n').find(|line| hidden(line)) {
        panic!("a character that hides is shown as it is: {line:?}");
    }
}

fn page(plan: &Plan, digests: FileDigests, size: usize) {
    let vouchers = [Voucher {
        file: plan.project.to_string(),
        kind: "seal".into(),
        standing: Standing::Unverified("<script>".into()),
        says: Vec::new(),
    }];
    let judgement = Judgement::Undecided { code: "a-code", message: "it <b>failed</b>\u{202e}" };
    let review = Review { plan, digests, report: None, judgement, vouchers: &vouchers };
    let page = html(&review);
    assert_eq!(html(&review), page);
    shown(&page);
    assert!(page.len() <= FRAME_MAX_BYTES + 60 * size, "{} bytes of a plan of {size}", page.len());
    assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>\n"));
    for (open, close) in
        [("<script>", "</script>"), ("<style>", "</style>"), ("<body>", "</body>"), ("<main>", "</main>")]
    {
        assert_eq!(
            (page.matches(open).count(), page.matches(close).count()),
            (1, 1),
            "{open} is not there once"
        );
    }
    for element in ["section", "details", "summary", "ul", "li", "pre", "table", "svg"] {
        let begins =
            page.matches(&format!("<{element}>")).count() + page.matches(&format!("<{element} ")).count();
        assert_eq!(begins, page.matches(&format!("</{element}>")).count(), "<{element}> is not closed");
    }
}

fn drawings(plan: &Plan) {
    let drawing = Drawing::of_plan(plan);
    assert!(drawing.boxes.len() <= BOXES_MAX && drawing.arrows.len() <= ARROWS_MAX);
    assert!(drawing.arrows.iter().all(|a| a.from != a.to && a.from.max(a.to) < drawing.boxes.len()));
    let (picture, graph) = (svg(&drawing), dot(&drawing));
    shown(&picture);
    shown(&graph);
    let document = roxmltree::Document::parse(&picture).expect("an SVG is well-formed");
    assert_eq!(document.root_element().tag_name().name(), "svg");
    assert!(picture.len() <= FRAME_MAX_BYTES && graph.len() <= FRAME_MAX_BYTES);
}
