//! A plan as one HTML page that needs nothing else: no request, no script to be read, no style from
//! elsewhere. It is a function of what it is given; no clock decides what it says.

mod changes;
mod judged;
mod reasons;
mod sections;

use crate::{
    drawing::{Drawing, inline},
    fold::fold,
    markup::Markup,
    text::headline,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use rectify_base::FileDigests;
use rectify_model::{Decision, Plan};
use rectify_plan::Report;

const STYLE: &str =
    concat!(include_str!("style.css"), include_str!("../drawing/drawing.css"), include_str!("graph.css"));
const SCRIPT: &str = include_str!("script.js");

/// Everything that a page is made of.
#[derive(Clone, Copy, Debug)]
pub struct Review<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// Digests of its file, as `b3sum` and `sha256sum` print them.
    pub digests: FileDigests,
    /// Why it is as it is, if that is recorded.
    pub report: Option<&'a Report>,
    /// What policy says.
    pub judgement: Judgement<'a>,
    /// Who vouches for it, in the order of the files.
    pub vouchers: &'a [Voucher],
}

/// What policy says about the plan.
#[derive(Clone, Copy, Debug)]
pub enum Judgement<'a> {
    /// Nothing changes, so there is nothing to decide.
    Nothing,
    /// It was not asked, and nothing is recorded.
    NotAsked,
    /// It was decided; `source` says where and when, in a few words.
    Decided {
        /// What it said.
        decision: &'a Decision,
        /// Such as `when this page was made`.
        source: &'a str,
    },
    /// It could not be decided, which counts as denied.
    Undecided {
        /// Stable code.
        code: &'a str,
        /// Why.
        message: &'a str,
    },
}

/// A statement beside the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Voucher {
    /// Its file name.
    pub file: String,
    /// Such as `seal` or `approval`.
    pub kind: String,
    /// Whether its signatures were verified.
    pub standing: Standing,
    /// What it says: names and values.
    pub says: Vec<(String, String)>,
}

/// Whether signatures were verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// By the trust file of the machine that made the page: who signed, with which key.
    Verified(Vec<String>),
    /// They were not, for this reason; whatever is said may be invented.
    Unverified(String),
}

/// Renders the page.
#[must_use]
pub fn html(review: &Review<'_>) -> String {
    let plan = review.plan;
    let blocks = fold(plan);
    let changes = changes::Changes::new(review, &blocks);
    // The sections first: the contents say which there are.
    let sections = [
        judged::decision(review, &changes),
        judged::vouchers(review),
        sections::attention(plan, &blocks, &changes),
        changes::section(review, &changes),
        sections::not_covered(plan),
        sections::gates(plan),
        sections::order(plan),
        sections::undo(plan, &changes),
        sections::targets(plan),
        graph(plan),
        reasons::section(review),
        sections::assumptions(plan),
        sections::words(plan),
    ];
    let mut page = Markup::default();
    head(&mut page, plan);
    page.raw("<body>\n<a class=\"skip\" href=\"#changes\">Skip to the changes</a>\n<header>\n");
    sections::title(&mut page, review, changes.left_out());
    page.raw("</header>\n<div class=\"columns\">\n<nav aria-label=\"Contents\"><ol>\n");
    for section in sections.iter().flatten() {
        page.raw("<li><a href=\"#").raw(section.id).raw("\">").raw(section.title).raw("</a>");
        if let Some(count) = section.count {
            page.raw(" <small>").count(count).raw("</small>");
        }
        page.raw("</li>\n");
    }
    page.raw("</ol></nav>\n<main>\n");
    for section in sections.iter().flatten() {
        page.raw("<section id=\"").raw(section.id).raw("\" aria-labelledby=\"h-").raw(section.id);
        page.raw("\">\n<h2 id=\"h-").raw(section.id).raw("\">").raw(section.title).raw("</h2>\n");
        page.append(&section.body).raw("</section>\n");
    }
    page.raw("</main>\n</div>\n<script>").raw(SCRIPT).raw("</script>\n</body>\n</html>\n");
    page.finish()
}

/// A part of the page.
struct Section {
    id: &'static str,
    title: &'static str,
    /// What the contents say behind the title.
    count: Option<usize>,
    body: Markup,
}

fn head(page: &mut Markup, plan: &Plan) {
    page.raw("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    page.raw("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src '");
    page.text(&hash(STYLE)).raw("'; script-src '").text(&hash(SCRIPT));
    page.raw("'; base-uri 'none'; form-action 'none'\">\n");
    page.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    page.raw("<meta name=\"color-scheme\" content=\"light dark\">\n");
    page.raw("<meta name=\"referrer\" content=\"no-referrer\">\n<title>").text(&headline(plan));
    page.raw("</title>\n<style>").raw(STYLE).raw("</style>\n</head>\n");
}

/// What a content security policy calls an inline style or script by.
fn hash(text: &str) -> String {
    let digest = FileDigests::of_bytes(text.as_bytes()).sha256;
    format!("sha256-{}", STANDARD.encode(digest.as_bytes()))
}

fn graph(plan: &Plan) -> Option<Section> {
    let drawing = Drawing::of_plan(plan);
    if plan.steps.is_empty() {
        return None;
    }
    let mut body = Markup::default();
    body.raw("<p>What stands further left comes first. A bold arrow triggers, a dotted one is implied because both steps touch one thing; a dashed box is a check afterwards.");
    body.raw(" Steps that are the same on several targets are one box. ");
    body.text(drawing.coarseness().unwrap_or_default()).raw("</p>\n");
    if !drawing.boxes.is_empty() {
        body.raw("<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"Graph\">");
        body.append(&inline(&drawing)).raw("</div>\n");
    }
    Some(Section { id: "graph", title: "Graph", count: None, body })
}
