//! Graphs as pictures.

use crate::fixture::{graph, node, observe, runs, valid, valid_plan};
use proptest::prelude::*;
use rectify_model::Plan;
use rectify_review::drawing::{ARROWS_MAX, BOXES_MAX, Drawing, Level, dot, svg};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// A plan of commands with these addresses and edges, on each target.
fn commands(targets: &[&str], steps: &[(String, Vec<String>)]) -> Plan {
    let nodes: Vec<Value> = targets
        .iter()
        .flat_map(|target| {
            steps.iter().map(|(address, after)| {
                let edges: Vec<(&str, &str)> = after.iter().map(|from| ("after", from.as_str())).collect();
                node(target, address, "command.run", json!({"argv": ["true"]}), &edges)
            })
        })
        .collect();
    observe(graph(targets, &nodes, &[]), |_, _| runs(&json!([]))).plan().unwrap().plan
}

fn steps(
    count: usize,
    name: impl Fn(usize) -> String,
    sources: impl Fn(usize) -> Vec<usize>,
) -> Vec<(String, Vec<String>)> {
    (0..count).map(|at| (name(at), sources(at).into_iter().map(&name).collect())).collect()
}

#[test]
fn a_plan_as_dot() {
    insta::assert_snapshot!(dot(&Drawing::of_plan(&valid_plan())));
}

#[test]
fn a_project_as_dot() {
    insta::assert_snapshot!(dot(&Drawing::of_graph(&valid().graph)));
}

#[test]
fn a_plan_as_svg() {
    insta::assert_snapshot!(svg(&Drawing::of_plan(&valid_plan())).replace("><", ">\n<"));
}

/// Whether the picture is what it says: XML, with a box and an arrow for each, inside its frame, no two
/// boxes over each other, and every arrow to the right.
fn check(drawing: &Drawing) {
    let picture = svg(drawing);
    let document = roxmltree::Document::parse(&picture).unwrap();
    let root = document.root_element();
    let number =
        |node: roxmltree::Node<'_, '_>, name: &str| node.attribute(name).unwrap().parse::<i64>().unwrap();
    let (width, height) = (number(root, "width"), number(root, "height"));
    let boxes: Vec<(i64, i64, i64, i64)> = root
        .descendants()
        .filter(|node| node.has_tag_name(("http://www.w3.org/2000/svg", "rect")))
        .map(|node| (number(node, "x"), number(node, "y"), number(node, "width"), number(node, "height")))
        .collect();
    assert_eq!(boxes.len(), drawing.boxes.len());
    for (at, (x, y, w, h)) in boxes.iter().enumerate() {
        assert!(*x >= 0 && *y >= 0 && x + w <= width && y + h <= height, "{at} is outside");
        for (x2, y2, w2, h2) in &boxes[at + 1..] {
            assert!(x + w <= *x2 || x2 + w2 <= *x || y + h <= *y2 || y2 + h2 <= *y, "{at} is over another");
        }
    }
    let edges =
        root.descendants().filter(|node| node.attribute("class").is_some_and(|c| c.starts_with("edge")));
    assert_eq!(edges.count(), drawing.arrows.len());
    assert!(!picture.contains("href") && !picture.contains("<script") && !picture.contains("url(h"));
    let text = dot(drawing);
    let mut parser = layout::gv::DotParser::new(&text);
    assert!(parser.process().is_ok(), "{text}");
}

#[test]
fn pictures_are_sound() {
    check(&Drawing::of_plan(&valid_plan()));
    check(&Drawing::of_graph(&valid().graph));
    // Nothing, one box, boxes without arrows, a long chain, all on one.
    check(&Drawing::of_plan(&commands(&["t"], &[])));
    check(&Drawing::of_plan(&commands(&["t"], &steps(1, |n| format!("a/s{n}"), |_| vec![]))));
    check(&Drawing::of_plan(&commands(&["t"], &steps(60, |n| format!("a/s{n}"), |_| vec![]))));
    check(&Drawing::of_plan(&commands(
        &["t"],
        &steps(60, |n| format!("a/s{n}"), |n| (n > 0).then(|| n - 1).into_iter().collect()),
    )));
    check(&Drawing::of_plan(&commands(
        &["t"],
        &steps(60, |n| format!("a/s{n}"), |n| if n == 59 { (0..59).collect() } else { vec![] }),
    )));
}

#[test]
fn what_is_too_large_to_read_is_drawn_coarser() {
    let level = |plan: &Plan| {
        let drawing = Drawing::of_plan(plan);
        check(&drawing);
        assert!(drawing.boxes.len() <= BOXES_MAX && drawing.arrows.len() <= ARROWS_MAX);
        (drawing.level, drawing.boxes.len())
    };
    assert_eq!(
        level(&commands(&["t"], &steps(150, |n| format!("a/s{n}"), |_| vec![]))),
        (Level::Addresses, 150)
    );
    let keyed = steps(151, |n| format!("a/s[\"{n}\"]"), |_| vec![]);
    assert_eq!(level(&commands(&["t"], &keyed)), (Level::Families, 1));
    let spread = steps(151, |n| format!("r{}/s{n}", n % 7), |n| (n > 0).then(|| n - 1).into_iter().collect());
    assert_eq!(level(&commands(&["t"], &spread)), (Level::Remediations, 7));
    let wide = steps(151, |n| format!("r{n}/s"), |_| vec![]);
    assert_eq!(level(&commands(&["t"], &wide)), (Level::Nothing, 0));
    let coarse = svg(&Drawing::of_plan(&commands(&["t"], &wide)));
    assert!(coarse.contains("Nothing is drawn"), "{coarse}");
}

#[test]
fn targets_are_folded() {
    let steps = steps(3, |n| format!("a/s{n}"), |n| (n > 0).then(|| n - 1).into_iter().collect());
    let drawing = Drawing::of_plan(&commands(&["a", "b", "c"], &steps));
    assert_eq!((drawing.boxes.len(), drawing.arrows.len(), drawing.steps), (3, 2, 9));
    assert!(drawing.boxes[0].note.ends_with("on 3 targets"), "{}", drawing.boxes[0].note);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn every_graph_can_be_drawn(edges in prop::collection::btree_set((0..40_usize, 0..40_usize), 0..80), remediations in 1..5_usize) {
        // Across remediations the coarse picture has circles, which the plan has not.
        let edges: BTreeSet<(usize, usize)> = edges.into_iter().filter(|(from, to)| from < to).collect();
        let sources = |at: usize| edges.iter().filter(|(_, to)| *to == at).map(|(from, _)| *from).collect();
        let steps = steps(40, |n| format!("r{}/s{n:02}", n % remediations), sources);
        let drawing = Drawing::of_plan(&commands(&["t"], &steps));
        check(&drawing);
        let mut coarse = drawing;
        // A circle, and an arrow back over everything.
        let last = coarse.boxes.len() - 1;
        coarse.arrows.push(rectify_review::drawing::Arrow { from: last, to: 0, kind: rectify_model::graph::EdgeKind::After });
        check(&coarse);
    }
}
