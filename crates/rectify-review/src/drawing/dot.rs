//! A drawing in the language of Graphviz, for other programs to place.

use super::{Drawing, Shape};
use crate::escape::visible;
use rectify_model::{graph::EdgeKind, plan::Action};
use std::fmt::Write as _;

/// Renders a drawing as DOT.
#[must_use]
pub fn dot(drawing: &Drawing) -> String {
    let mut out = String::from("digraph rectify {\n");
    // Writing to a string cannot fail.
    let _ = writeln!(out, "  graph [label={}, labelloc=t, rankdir=LR];", quoted(&[&drawing.title]));
    out.push_str("  node [fontname=monospace, shape=box, style=rounded];\n");
    for (at, drawn) in drawing.boxes.iter().enumerate() {
        let label = quoted(&[&drawn.name, &drawn.note]);
        let _ = writeln!(out, "  n{at} [label={label}{}];", attributes(drawn.shape));
    }
    for arrow in &drawing.arrows {
        let kind = match arrow.kind {
            EdgeKind::OnChange => " [label=\"on change\", style=bold]",
            EdgeKind::After => "",
            EdgeKind::Implied => " [label=\"implied\", style=dashed]",
        };
        let _ = writeln!(out, "  n{} -> n{}{kind};", arrow.from, arrow.to);
    }
    out.push_str("}\n");
    out
}

/// A quoted string of several lines. A backslash would begin an escape of Graphviz's own.
fn quoted(lines: &[&str]) -> String {
    let line = |line: &&str| visible(line).replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{}\"", lines.iter().map(line).collect::<Vec<_>>().join("\\n"))
}

const fn attributes(shape: Shape) -> &'static str {
    match shape {
        Shape::Step => "",
        Shape::Mixed => ", penwidth=2",
        Shape::Gate => ", style=\"rounded,dashed\"",
        Shape::Acts(Action::Create) => ", color=\"#17693b\"",
        Shape::Acts(Action::Update | Action::Replace) => ", color=\"#7d5200\"",
        Shape::Acts(Action::Delete) => ", color=\"#a3231b\"",
        Shape::Acts(Action::Run) => ", color=\"#6a3a9c\"",
    }
}
