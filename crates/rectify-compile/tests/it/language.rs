//! `docs/language.md`: every example is compiled, and the table of limits holds what the code does.
//!
//! An example is a document (it begins with `apiVersion`), the fields of a remediation, or several
//! files, each behind a comment with its path. What it does not say is filled in, so that an example
//! shows one thing.

use crate::types::{PROJECT, compile_files, file};
use rectify_base::limits as shared;
use rectify_compile::{SourceFile, limits};
use std::collections::{BTreeMap, BTreeSet};

const PAGE: &str = include_str!("../../../../docs/language.md");
const CONSTANTS: &str = include_str!("../../src/limits.rs");
const INVENTORY: &str = "\
apiVersion: rectify/v1
kind: Inventory
targets:
  web1: {environment: prod, labels: {role: web, exempt: 'yes', cost-centre: shop}, variables: {port: 8080}}
  db1: {environment: test, labels: {role: db, zone: north}, variables: {port: 5432}}
";
const REMEDIATION: &str = "apiVersion: rectify/v1\nkind: Remediation\nmetadata: {name: example}\n";
const STEPS: &str = "steps:\n  example:\n    command.run: {argv: [a]}\n";
const TARGETS: &str = "targets: {select: 'true'}\n";

/// What stands behind the language of a fence, the line, and what is in it.
fn examples() -> Vec<(&'static str, usize, String)> {
    let mut found: Vec<(&str, usize, String)> = Vec::new();
    let mut inside = false;
    for (index, line) in PAGE.lines().enumerate() {
        match line.strip_prefix("```") {
            Some("") => inside = false,
            Some(info) => {
                let mark =
                    info.strip_prefix("yaml ").unwrap_or_else(|| panic!("line {}: no mark", index + 1));
                found.push((mark, index + 1, String::new()));
                inside = true;
            }
            None if inside => {
                let text = &mut found.last_mut().unwrap().2;
                text.push_str(line);
                text.push('\n');
            }
            None => {}
        }
    }
    found
}

fn is_path(line: &str) -> Option<&str> {
    let path = line.strip_prefix("# ")?;
    let directory = path.split('/').next()?;
    let known = ["rectify.yaml", "inventory", "remediations", "modules"].contains(&directory);
    let beside = ["templates", "files"].contains(&directory);
    (beside || known && path.ends_with(".yaml")).then_some(path)
}

/// The files of an example, with what it leaves out.
fn files(text: &str) -> Vec<SourceFile> {
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    let mut path = None;
    for line in text.lines() {
        if let Some(found) = is_path(line) {
            path = Some(found.to_owned());
            continue;
        }
        let path = path.clone().unwrap_or_else(|| {
            let kind = ["Project", "Inventory"].iter().find(|k| text.contains(&format!("\nkind: {k}\n")));
            match kind {
                Some(&"Project") => "rectify.yaml",
                Some(_) => "inventory/hosts.yaml",
                None => "remediations/example.yaml",
            }
            .to_owned()
        });
        let file = files.entry(path).or_default();
        file.push_str(line);
        file.push('\n');
    }
    for (path, text) in &mut files {
        let (directory, name) = path.split_once('/').unwrap_or((path, ""));
        let kind = match directory {
            "templates" | "files" => continue,
            "remediations" => "Remediation",
            "modules" => "Module",
            _ => "Inventory",
        };
        if !text.starts_with("apiVersion") {
            let mut head = format!("apiVersion: rectify/v1\nkind: {kind}\n");
            if kind != "Inventory" {
                head += &format!("metadata: {{name: {}}}\n", name.trim_end_matches(".yaml"));
            }
            *text = head + text;
        }
        if kind == "Remediation" {
            let has = |key: &str| text.lines().any(|l| l.starts_with(key));
            let (targets, steps) = (has("targets:"), has("steps:"));
            *text += if targets { "" } else { TARGETS };
            *text += if steps { "" } else { STEPS };
        }
    }
    let defaults = [
        ("rectify.yaml", PROJECT.to_owned()),
        ("inventory/hosts.yaml", INVENTORY.to_owned()),
        ("remediations/example.yaml", format!("{REMEDIATION}{TARGETS}{STEPS}")),
    ];
    for (path, text) in defaults {
        let directory = path.split('/').next().unwrap();
        if !files.keys().any(|p| p.split('/').next().unwrap() == directory) {
            files.insert(path.to_owned(), text);
        }
    }
    files.into_iter().map(|(path, text)| file(&path, text)).collect()
}

#[test]
fn every_example_does_what_it_says() {
    let mut wrong = Vec::new();
    let mut refused = BTreeSet::new();
    let examples = examples();
    for (mark, line, text) in &examples {
        let output = compile_files(&files(text));
        let codes: Vec<_> = output.diagnostics.iter().map(|d| d.code.as_str()).collect();
        let expected: Vec<&str> = match mark.split_once('=') {
            Some(("fails", code)) => vec![code],
            None if *mark == "ok" => vec![],
            _ => panic!("line {line}: `{mark}` is no mark"),
        };
        refused.extend(expected.iter().copied());
        if codes != expected {
            wrong.push(format!("line {line}: expected {expected:?}, got {:#?}", output.diagnostics));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(examples.len() >= 20 && refused.len() >= 10, "{} examples", examples.len());
}

#[test]
fn the_table_of_limits_is_that_of_the_code() {
    let count = |n: usize| i64::try_from(n).unwrap();
    let known: BTreeMap<&str, i64> = BTreeMap::from([
        ("SOURCE_MAX_BYTES", count(shared::SOURCE_MAX_BYTES)),
        ("NAME_MAX_BYTES", count(shared::NAME_MAX_BYTES)),
        ("YAML_DEPTH_MAX", count(limits::YAML_DEPTH_MAX)),
        ("YAML_NODES_MAX", count(limits::YAML_NODES_MAX)),
        ("SCALAR_MAX_BYTES", count(limits::SCALAR_MAX_BYTES)),
        ("FILE_PROBLEMS_MAX", count(limits::FILE_PROBLEMS_MAX)),
        ("PROBLEMS_MAX", count(limits::PROBLEMS_MAX)),
        ("EXPRESSION_MAX_BYTES", count(limits::EXPRESSION_MAX_BYTES)),
        ("EXPRESSION_NODES_MAX", count(limits::EXPRESSION_NODES_MAX)),
        ("EXPRESSION_BRACKETS_MAX", count(limits::EXPRESSION_BRACKETS_MAX)),
        ("EXPRESSION_MACROS_MAX", count(limits::EXPRESSION_MACROS_MAX)),
        ("EVALUATION_ROUNDS_MAX", i64::try_from(limits::EVALUATION_ROUNDS_MAX).unwrap()),
        ("EVALUATION_BYTES_MAX", i64::try_from(limits::EVALUATION_BYTES_MAX).unwrap()),
        ("EVALUATION_INPUT_MAX_BYTES", count(limits::EVALUATION_INPUT_MAX_BYTES)),
        ("TEXT_MAX_BYTES", count(limits::TEXT_MAX_BYTES)),
        ("TEXT_FILE_MAX_BYTES", count(limits::TEXT_FILE_MAX_BYTES)),
        ("TEXT_FILES_MAX", count(limits::TEXT_FILES_MAX)),
        ("TEXT_FILES_MAX_BYTES", count(limits::TEXT_FILES_MAX_BYTES)),
        ("REGEX_MAX_BYTES", count(limits::REGEX_MAX_BYTES)),
        ("KEY_MAX_BYTES", count(shared::KEY_MAX_BYTES)),
        ("CALLS_MAX", count(shared::CALLS_MAX)),
        ("ELEMENTS_MAX", count(limits::ELEMENTS_MAX)),
        ("GRAPH_NODES_MAX", count(limits::GRAPH_NODES_MAX)),
        ("GRAPH_EDGES_MAX", count(limits::GRAPH_EDGES_MAX)),
        ("WITHIN_MAX_S", i64::from(limits::WITHIN_MAX_S)),
        ("PARALLEL_STEPS_MAX", limits::PARALLEL_STEPS_MAX),
        ("CHANGES_MAX", limits::CHANGES_MAX),
    ]);
    let (_, table) = PAGE.split_once("| constant |\n").unwrap();
    let row = |line: &'static str| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let unit = cells[2];
        assert!(unit.chars().all(|c| c.is_ascii_lowercase()) && !unit.is_empty(), "{line}");
        (cells[3].trim_matches('`'), cells[1].parse::<i64>().unwrap())
    };
    let rows = table.lines().skip(1).take_while(|l| l.starts_with('|'));
    assert_eq!(rows.map(row).collect::<BTreeMap<_, _>>(), known);
    // None of the compiler's is left out.
    let constants = CONSTANTS.lines().filter_map(|l| l.strip_prefix("pub const ")?.split_once(':'));
    for (name, _) in constants {
        assert!(known.contains_key(name), "{name} is not in the table");
    }
}

#[test]
fn the_pages_of_codes_show_what_is_refused_and_what_is_not() {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors");
    let (mut refused, mut wrong) = (0, Vec::new());
    for code in rectify_compile::codes::ALL {
        let page = std::fs::read_to_string(directory.join(format!("{code}.md"))).unwrap();
        let blocks = page.split("```yaml\n").skip(1).filter_map(|rest| rest.split_once("```"));
        for (block, _) in blocks {
            let (first, text) = block.split_once('\n').unwrap_or((block, ""));
            let is_refused = match first {
                "# refused" => true,
                "# accepted" => false,
                _ => continue,
            };
            refused += usize::from(is_refused);
            let output = compile_files(&files(text));
            let found = output.diagnostics.iter().any(|d| d.code == *code);
            if found != is_refused {
                let found: Vec<_> =
                    output.diagnostics.iter().map(|d| format!("{} {}", d.code, d.message)).collect();
                wrong.push(format!("{code}, {first}: {found:#?}\n{text}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(refused >= 40, "only {refused} examples");
}
