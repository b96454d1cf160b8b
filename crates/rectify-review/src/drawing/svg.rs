//! A drawing as SVG. Without scripts, links, fonts or anything else from outside.

use super::{
    Drawing, Shape,
    layout::{BOX_HEIGHT, LINE_MAX_CHARS, Layout, layout},
};
use crate::{bounded::cut, markup::Markup};
use rectify_model::{graph::EdgeKind, plan::Action};

/// Colours for a picture that stands alone; a page has its own.
const STYLE: &str = include_str!("drawing.css");

/// Renders a drawing as a file of its own.
#[must_use]
pub fn svg(drawing: &Drawing) -> String {
    let mut out = Markup::default();
    out.raw("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    picture(&mut out, drawing, true);
    out.raw("\n");
    out.finish()
}

/// Renders a drawing as part of a page, which has the style.
pub(crate) fn inline(drawing: &Drawing) -> Markup {
    let mut out = Markup::default();
    picture(&mut out, drawing, false);
    out
}

fn picture(out: &mut Markup, drawing: &Drawing, alone: bool) {
    let layout = layout(drawing);
    out.raw("<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" class=\"graph\" width=\"")
        .number(layout.width);
    out.raw("\" height=\"").number(layout.height).raw("\" viewBox=\"0 0 ").number(layout.width);
    out.raw(" ").number(layout.height).raw("\" aria-labelledby=\"graph-title graph-note\">");
    out.raw("<title id=\"graph-title\">").text(&drawing.title).raw("</title><desc id=\"graph-note\">");
    out.count(drawing.boxes.len()).raw(" boxes and ").count(drawing.arrows.len()).raw(" arrows for ");
    out.count(drawing.steps).raw(" steps and gates. ").text(drawing.coarseness().unwrap_or_default());
    out.raw("</desc>");
    if alone {
        out.raw("<style>").raw(STYLE).raw("</style>");
    }
    out.raw("<defs>");
    for (id, class) in [("tip", "tip"), ("tip-fires", "tip fires-tip")] {
        out.raw("<marker id=\"").raw(id).raw("\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerUnits=\"userSpaceOnUse\" markerWidth=\"9\" markerHeight=\"9\" orient=\"auto\"><path class=\"").raw(class);
        out.raw("\" d=\"M0 0L8 4L0 8z\"/></marker>");
    }
    out.raw("</defs>");
    arrows(out, drawing, &layout);
    boxes(out, drawing, &layout);
    out.raw("</svg>");
}

fn arrows(out: &mut Markup, drawing: &Drawing, layout: &Layout) {
    for (arrow, route) in drawing.arrows.iter().zip(&layout.routes) {
        out.raw("<path class=\"").raw(match arrow.kind {
            EdgeKind::OnChange => "edge fires",
            EdgeKind::After => "edge",
            EdgeKind::Implied => "edge implied",
        });
        out.raw(if arrow.kind == EdgeKind::OnChange {
            "\" marker-end=\"url(#tip-fires)\" d=\""
        } else {
            "\" marker-end=\"url(#tip)\" d=\""
        });
        let mut last: Option<(i64, i64)> = None;
        for (x, y) in route.iter().copied() {
            match last {
                None => out.raw("M").number(x).raw(" ").number(y),
                Some((_, before)) if before == y => out.raw("H").number(x),
                Some((left, before)) => {
                    let middle = i64::midpoint(left, x);
                    out.raw("C").number(middle).raw(" ").number(before).raw(" ").number(middle).raw(" ");
                    out.number(y).raw(" ").number(x).raw(" ").number(y)
                }
            };
            last = Some((x, y));
        }
        out.raw("\"><title>").text(name(drawing, arrow.from)).raw(match arrow.kind {
            EdgeKind::OnChange => " triggers ",
            EdgeKind::After => " comes before ",
            EdgeKind::Implied => " comes, as both touch one thing, before ",
        });
        out.text(name(drawing, arrow.to)).raw("</title></path>");
    }
}

fn name(drawing: &Drawing, at: usize) -> &str {
    drawing.boxes.get(at).map_or("", |drawn| drawn.name.as_str())
}

fn boxes(out: &mut Markup, drawing: &Drawing, layout: &Layout) {
    for (drawn, place) in drawing.boxes.iter().zip(&layout.places) {
        out.raw("<g class=\"").raw(class(drawn.shape)).raw("\"><title>").text(&drawn.name).raw(", ");
        out.text(&drawn.note).raw(", ").raw(word(drawn.shape)).raw("</title><rect x=\"").number(place.x);
        out.raw("\" y=\"").number(place.y).raw("\" width=\"").number(place.width).raw("\" height=\"");
        out.number(BOX_HEIGHT).raw("\" rx=\"").raw(if drawn.shape == Shape::Gate { "20" } else { "5" });
        out.raw("\"/><text x=\"").number(place.x + 12).raw("\" y=\"").number(place.y + 17);
        out.raw("\">").text(&cut(&drawn.name, LINE_MAX_CHARS)).raw("</text><text class=\"sub\" x=\"");
        out.number(place.x + 12).raw("\" y=\"").number(place.y + 32).raw("\">");
        out.text(&cut(&drawn.note, LINE_MAX_CHARS)).raw("</text></g>");
    }
}

const fn class(shape: Shape) -> &'static str {
    match shape {
        Shape::Step => "box step",
        Shape::Mixed => "box mixed",
        Shape::Gate => "box gate",
        Shape::Acts(Action::Create) => "box create",
        Shape::Acts(Action::Update) => "box update",
        Shape::Acts(Action::Replace) => "box replace",
        Shape::Acts(Action::Delete) => "box delete",
        Shape::Acts(Action::Run) => "box run",
    }
}

const fn word(shape: Shape) -> &'static str {
    match shape {
        Shape::Step => "step",
        Shape::Mixed => "several actions",
        Shape::Gate => "gate",
        Shape::Acts(action) => action.as_str(),
    }
}
