//! Laws: the order of files and keys means nothing, and no input makes the compiler panic.

use crate::types::{INVENTORY, PROJECT, compile_files, file};
use proptest::prelude::*;
use rectify_base::canonical;
use rectify_compile::SourceFile;
use rectify_model::{Graph, graph::EdgeKind};
use std::collections::{BTreeMap, BTreeSet};

/// A remediation as data, so that it can be written in any order.
#[derive(Clone, Debug)]
struct Step {
    name: usize,
    kind: usize,
    path: usize,
    after: Vec<usize>,
    trigger: bool,
    /// Where it is wanted: everywhere, on one target, or nowhere.
    wanted: usize,
    /// Whether there are two of it.
    twice: bool,
}

fn step() -> impl Strategy<Value = Step> {
    let after = proptest::collection::vec(0..12_usize, 0..3);
    (0..3_usize, 0..6_usize, after, any::<bool>(), 0..8_usize, any::<bool>()).prop_map(
        |(kind, path, after, trigger, wanted, twice)| {
            let twice = twice && kind == 2;
            Step { name: 0, kind, path, after, trigger, wanted, twice }
        },
    )
}

fn project() -> impl Strategy<Value = Vec<Vec<Step>>> {
    let remediation = proptest::collection::vec(step(), 1..8).prop_map(|mut steps| {
        for (name, step) in steps.iter_mut().enumerate() {
            step.name = name;
            // Only backwards, so that most projects compile; implied edges make cycles enough.
            step.after.retain(|a| *a < name);
        }
        steps
    });
    proptest::collection::vec(remediation, 1..4)
}

const PATHS: [&str; 6] = ["/a", "/a/b", "/a/b/c", "/d", "/d/e", "/f"];

/// Writes the project; `keys` decides the order of everything that has none.
fn write(project: &[Vec<Step>], keys: &[u64]) -> Vec<SourceFile> {
    let mut next = keys.iter().copied().cycle();
    let mut shuffle = |mut parts: Vec<String>| {
        let mut keyed: Vec<(u64, String)> = parts.drain(..).map(|p| (next.next().unwrap_or(0), p)).collect();
        keyed.sort();
        keyed.into_iter().map(|(_, p)| p).collect::<Vec<_>>()
    };
    let mut files = vec![
        ("rectify.yaml".to_owned(), PROJECT.to_owned()),
        ("inventory/i.yaml".to_owned(), INVENTORY.to_owned()),
    ];
    for (index, steps) in project.iter().enumerate() {
        let steps: Vec<String> = steps
            .iter()
            .map(|step| {
                let path = PATHS[step.path];
                // Texts differ, so that writers of one path are told apart.
                let (name, properties) = match step.kind {
                    0 => (
                        "file.content",
                        vec![
                            format!("path: {path}/f{}", step.name),
                            format!("content: c{index}-{}", step.name),
                        ],
                    ),
                    1 => ("file.directory", vec![format!("path: {path}"), "mode: 0700".to_owned()]),
                    _ => (
                        "command.run",
                        vec![
                            "argv: [a]".to_owned(),
                            format!("reads: {path}"),
                            "timeout_s: ${{ params.t }}".replace("${{", "'${{").replace("}}", "}}'"),
                        ],
                    ),
                };
                let mut fields = vec![format!("    {name}: {{{}}}\n", shuffle(properties).join(", "))];
                match step.wanted {
                    0 => fields.push("    when: 'false'\n".to_owned()),
                    1 => fields.push("    when: target.name == \"alpha\"\n".to_owned()),
                    _ => {}
                }
                if step.twice {
                    fields.push(format!(
                        "    for_each: [{}]\n",
                        shuffle(vec!["x".into(), "y".into()]).join(", ")
                    ));
                }
                if !step.after.is_empty() {
                    let names = shuffle(step.after.iter().map(|a| format!("s{a}")).collect());
                    let field = if step.trigger { "on_change" } else { "after" };
                    fields.push(format!("    {field}: [{}]\n", names.join(", ")));
                }
                format!("  s{}:\n{}", step.name, shuffle(fields).concat())
            })
            .collect();
        let fields = vec![
            "apiVersion: rectify/v1\n".to_owned(),
            "kind: Remediation\n".to_owned(),
            format!("metadata: {{name: r{index}}}\n"),
            "parameters: {t: {type: integer, default: 5}}\n".to_owned(),
            "targets: {select: 'true'}\n".to_owned(),
            format!("steps:\n{}", shuffle(steps).concat()),
        ];
        files.push((format!("remediations/r{index}.yaml"), shuffle(fields).concat()));
    }
    let order = shuffle((0..files.len()).map(|i| i.to_string()).collect());
    order.iter().map(|i| &files[i.parse::<usize>().unwrap()]).map(|(p, t)| file(p, t.as_str())).collect()
}

/// For each step, all that come before it by edges that were written.
fn ordered(graph: &Graph) -> BTreeMap<(String, String), BTreeSet<(String, String)>> {
    let mut before: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for node in &graph.nodes {
        let mut all = BTreeSet::new();
        for edge in node.edges.iter().filter(|e| e.kind != EdgeKind::Implied) {
            let from = (node.target.to_string(), edge.from.to_string());
            all.extend(before.get(&from).into_iter().flatten().cloned());
            all.insert(from);
        }
        before.insert((node.target.to_string(), node.address.to_string()), all);
    }
    before
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn the_order_of_files_and_keys_means_nothing(
        project in project(),
        one in proptest::collection::vec(any::<u64>(), 40),
        two in proptest::collection::vec(any::<u64>(), 40),
    ) {
        let first = compile_files(&write(&project, &one));
        let second = compile_files(&write(&project, &two));
        let bytes = |o: &rectify_compile::Output| o.graph.as_ref().map(|g| canonical::file_bytes(g).unwrap());
        prop_assert_eq!(bytes(&first), bytes(&second));
        let codes = |o: &rectify_compile::Output| {
            let mut found: Vec<_> = o.diagnostics.iter().map(|d| (d.code, d.message.clone())).collect();
            found.sort();
            found
        };
        prop_assert_eq!(codes(&first), codes(&second));
        prop_assert_eq!(first.graph.is_none(), !first.diagnostics.is_empty());
    }

    #[test]
    fn what_is_left_out_takes_no_order_with_it(project in project(), keys in proptest::collection::vec(any::<u64>(), 40)) {
        // Commands only, which write nothing, in chains: so all of them compile.
        let mut project = project;
        for step in project.iter_mut().flatten() {
            step.kind = 2;
            if step.after.is_empty() && step.name > 0 {
                step.after.push(step.name - 1);
            }
        }
        let mut whole = project.clone();
        whole.iter_mut().flatten().for_each(|step| step.wanted = 9);
        let (part, whole) = (compile_files(&write(&project, &keys)), compile_files(&write(&whole, &keys)));
        let (Some(part), Some(whole)) = (part.graph, whole.graph) else { return Ok(()) };
        let (part, whole) = (ordered(&part), ordered(&whole));
        for (later, earlier) in whole {
            let Some(kept) = part.get(&later) else { continue };
            for step in earlier.iter().filter(|step| part.contains_key(*step)) {
                prop_assert!(kept.contains(step), "{step:?} no longer comes before {later:?}");
            }
        }
    }

    #[test]
    fn edges_lead_forward_and_stay_on_their_target(project in project(), keys in proptest::collection::vec(any::<u64>(), 40)) {
        let output = compile_files(&write(&project, &keys));
        let Some(graph) = output.graph else { return Ok(()) };
        for (index, node) in graph.nodes.iter().enumerate() {
            for edge in &node.edges {
                let from = graph.nodes.iter().position(|n| n.target == node.target && n.address == edge.from);
                prop_assert!(from.is_some_and(|f| f < index));
                prop_assert_eq!(edge.reason.is_some(), edge.kind == rectify_model::graph::EdgeKind::Implied);
            }
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in "[a-z:{}\\[\\]\\-\\$\"'#&*!|>%@`, \n\t0-9.ü]{0,200}") {
        let head = "apiVersion: rectify/v1\nkind: Remediation\nmetadata: {name: a}\ntargets: {select: 'true'}\nsteps:\n";
        let files = [file("rectify.yaml", PROJECT), file("inventory/i.yaml", INVENTORY), file("remediations/a.yaml", format!("{head}{text}"))];
        let output = compile_files(&files);
        prop_assert_eq!(output.graph.is_none(), !output.diagnostics.is_empty());
    }

    #[test]
    fn no_expression_makes_it_panic(text in "[a-z.()\\[\\]{}+*/%&|!?:<>='\" 0-9,_ü-]{0,80}") {
        let body = format!("parameters: {{n: {{type: integer, default: 1}}}}\ntargets: {{select: 'true'}}\nsteps:\n  s:\n    file.content:\n      path: /x\n      content: |-\n        ${{{{{text}}}}}\n");
        let output = crate::types::compile_bodies(&[&body]);
        for label in output.diagnostics.iter().flat_map(|d| &d.labels) {
            prop_assert!(label.start <= label.end);
        }
    }
}
