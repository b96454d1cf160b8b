//! Laws of the whole chain over generated remediations and trees.

use proptest::{prelude::*, test_runner::Config};
use rectify_tests::{Scratch, remediation};
use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt, path::Path};

/// Content, mode and kind of everything below a directory.
fn tree(root: &Path) -> BTreeMap<String, (String, u32)> {
    let mut found = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(here) = open.pop() {
        for entry in fs::read_dir(&here).unwrap() {
            let path = entry.unwrap().path();
            let metadata = fs::symlink_metadata(&path).unwrap();
            let content = if metadata.is_dir() {
                open.push(path.clone());
                "directory".to_owned()
            } else if metadata.is_symlink() {
                format!("link {}", fs::read_link(&path).unwrap().display())
            } else {
                format!("file {:?}", fs::read(&path).unwrap())
            };
            let name = path.strip_prefix(root).unwrap().display().to_string();
            found.insert(name, (content, metadata.permissions().mode()));
        }
    }
    found
}

#[derive(Clone, Debug)]
enum Kind {
    Content(String),
    Line(String),
    Block(String),
    Directory,
    Link,
    Absent,
    /// Steps on one file, one after the other.
    Chain(Vec<Kind>),
}

fn kinds() -> impl Strategy<Value = Kind> {
    prop_oneof![
        "[a-z ]{0,12}".prop_map(Kind::Content),
        "[a-z]{1,8}".prop_map(Kind::Line),
        "[a-z]{1,8}".prop_map(Kind::Block),
        Just(Kind::Directory),
        Just(Kind::Link),
        Just(Kind::Absent),
        chain().prop_map(Kind::Chain),
    ]
}

/// What may be written and edited again. Others may read it, or it could not be predicted.
fn chain() -> impl Strategy<Value = Vec<Kind>> {
    let first = prop_oneof![
        3 => "[a-z ]{0,12}".prop_map(|content| vec![Kind::Content(content)]),
        1 => "[a-z ]{0,12}".prop_map(|content| vec![Kind::Absent, Kind::Content(content)]),
        1 => Just(vec![]),
    ];
    let edit = prop_oneof!["[a-z]{1,8}".prop_map(Kind::Line), "[a-z]{1,8}".prop_map(Kind::Block)];
    (first, prop::collection::vec(edit, 1..4)).prop_map(|(first, edits)| [first, edits].concat())
}

fn steps(kinds: &[Kind]) -> String {
    let mut text = String::new();
    for (index, kind) in kinds.iter().enumerate() {
        let path = format!("/etc/f{index}");
        if let Kind::Chain(kinds) = kind {
            for (link, kind) in kinds.iter().enumerate() {
                text.push_str(&format!("  s{index}-{link}:\n    {}\n", step(kind, &path, "0644")));
                if let Some(before) = link.checked_sub(1) {
                    text.push_str(&format!("    after: [s{index}-{before}]\n"));
                }
            }
        } else {
            text.push_str(&format!("  s{index}:\n    {}\n", step(kind, &path, "0640")));
        }
    }
    text
}

fn step(kind: &Kind, path: &str, mode: &str) -> String {
    match kind {
        Kind::Content(content) => {
            format!("file.content: {{path: {path}, content: \"{content}\\n\", mode: \"{mode}\"}}")
        }
        Kind::Line(line) => format!("file.line: {{path: {path}, line: \"{line}\", create: true}}"),
        Kind::Block(block) => format!("file.block: {{path: {path}, block: \"{block}\", create: true}}"),
        Kind::Directory => format!("file.directory: {{path: {path}, mode: \"0750\"}}"),
        Kind::Link => format!("file.link: {{path: {path}, target: ../elsewhere}}"),
        Kind::Absent => format!("file.absent: {{path: {path}}}"),
        Kind::Chain(kinds) => kinds.iter().map(|kind| step(kind, path, mode)).collect(),
    }
}

proptest! {
    #![proptest_config(Config { cases: 24, max_shrink_iters: 20, failure_persistence: None, ..Config::default() })]

    #[test]
    fn plan_then_apply_then_plan_is_empty_and_only_what_was_planned_changed(
        kinds in prop::collection::vec(kinds(), 1..12),
        existing in prop::collection::vec(prop::option::of("[a-z\n]{0,20}"), 12),
    ) {
        let scratch = Scratch::new();
        scratch.trust(1);
        for (index, content) in existing.iter().enumerate() {
            // A path that is to be a directory or a link begins empty: replacing another kind of thing
            // is a decision that those types refuse to make.
            let free = matches!(kinds.get(index), Some(Kind::Directory | Kind::Link));
            if let (Some(content), false) = (content, free) {
                scratch.write(&format!("root/etc/f{index}"), content);
            }
        }
        scratch.write("root/etc/bystander", "untouched");
        scratch.write("project/remediations/law.yaml", &remediation("law", &steps(&kinds)));
        let before = tree(&scratch.path("root"));
        let planned = scratch.run(&["-C", "project", "plan", "--out", "a.plan.json", "--detailed-exitcode"]);
        prop_assert!(planned.code == 0 || planned.code == 2, "{planned:?}");
        let plan: serde_json::Value = serde_json::from_str(&scratch.read("a.plan.json")).unwrap();
        prop_assert_eq!(plan["deferred"].as_array().unwrap().len(), 0, "{}", planned.stdout);
        let touched: Vec<String> = plan["steps"]
            .as_array()
            .unwrap()
            .iter()
            .map(|step| step["desired"]["path"].as_str().unwrap().trim_start_matches('/').to_owned())
            .collect();
        if planned.code == 2 {
            scratch.ok(&["-C", "project", "seal", "a.plan.json", "--key", "keys-author"]);
            scratch.ok(&["approve", "a.plan.json", "--key", "keys-reviewer"]);
            scratch.ok(&["-C", "project", "apply", "a.plan.json"]);
        }
        let after = tree(&scratch.path("root"));
        let names: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
        for name in names {
            if before.get(name) != after.get(name) {
                prop_assert!(touched.contains(name), "{name} changed, planned were {touched:?}");
            }
        }
        scratch.ok(&["-C", "project", "plan", "--detailed-exitcode"]);
    }
}
