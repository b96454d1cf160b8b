//! What was found on hosts, and its page: every type of every built-in provider has cells, and the sums add up.
//! `cargo xtask fleet matrix` and `fleet conform` run them and write both; here no host is needed.

use crate::{
    case::{self, CELLS, Case},
    kit::Tally,
};
use rectify_tests::Scratch;
use serde::Deserialize;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// What a host of one release gave.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Results {
    format: String,
    /// The release of Debian.
    pub release: String,
    /// By line and cell: `pass`, `fail: WHY` or `none: WHY`.
    cells: BTreeMap<String, BTreeMap<String, String>>,
    /// What the conformance kit found.
    pub kit: BTreeMap<String, Tally>,
}

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Of each release, in the order of their names.
pub fn results() -> Vec<Results> {
    let directory = top().join("conformance/hosts/results");
    let entries = fs::read_dir(&directory).unwrap_or_else(|e| panic!("{}: {e}", directory.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let read = |path: PathBuf| {
        let results: Results = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        assert_eq!(results.format, "rectify.hosts/v1");
        assert_eq!(path.file_stem().unwrap().to_str(), Some(results.release.as_str()));
        results
    };
    paths.into_iter().map(read).collect()
}

fn cases() -> BTreeMap<String, Case> {
    case::all(&top().join("conformance/hosts"))
}

#[test]
fn every_type_has_cells() {
    let scratch = Scratch::new();
    let list = scratch.ok(&["provider", "list"]).stdout;
    let names: Vec<&str> =
        list.lines().filter_map(|line| line.strip_prefix("builtin:")?.split('@').next()).collect();
    let mut types = BTreeSet::new();
    for name in names {
        let manifest = scratch.ok(&["provider", "manifest", name]).stdout;
        let manifest: Value = serde_json::from_str(&manifest).unwrap();
        let descriptors = manifest["types"].as_array().unwrap();
        types.extend(descriptors.iter().map(|found| found["name"].as_str().unwrap().to_owned()));
    }
    assert!(types.contains("file.content") && types.contains("package.installed"), "{types:?}");
    let tested: BTreeSet<String> = cases().into_values().map(|case| case.type_name).collect();
    assert_eq!(tested, types, "conformance/hosts has a case for each type, and for no other");
}

#[test]
fn every_case_was_run_on_every_release() {
    let cases = cases();
    let all = results();
    let releases: Vec<&str> = all.iter().map(|results| results.release.as_str()).collect();
    assert!(releases.len() >= 2 && releases.contains(&"bookworm"), "{releases:?}");
    for results in &all {
        let release = &results.release;
        let run: Vec<&String> = results.cells.keys().collect();
        assert_eq!(run, cases.keys().collect::<Vec<_>>(), "{release}: `cargo xtask fleet matrix` runs them");
        for (name, case) in &cases {
            for cell in CELLS {
                let found =
                    results.cells[name].get(cell).unwrap_or_else(|| panic!("{release}: {name} {cell}"));
                match case.none.get(cell) {
                    Some(reason) => assert_eq!(found, &format!("none: {reason}"), "{release}: {name} {cell}"),
                    None => assert!(found == "pass" || found.starts_with("fail: "), "{name} {cell}: {found}"),
                }
            }
            assert_eq!(results.cells[name].len(), CELLS.len(), "{release}: {name}");
        }
        let kit: Vec<&str> = results.kit.keys().map(String::as_str).collect();
        assert_eq!(kit, ["account", "package", "service", "sysctl"], "{release}");
        for (name, tally) in &results.kit {
            assert!(tally.passed > 0 && tally.failed == 0, "{release}: {name}: {tally:?}");
        }
    }
}

/// The rows of a table of the page, without its head.
fn rows<'p>(page: &'p str, mark: &str) -> Vec<Vec<&'p str>> {
    let (_, rest) = page.split_once(&format!("<!-- {mark} -->")).unwrap();
    let (table, _) = rest.split_once(&format!("<!-- end of {mark} -->")).unwrap();
    let lines = table.lines().filter(|line| line.starts_with("| ")).skip(1);
    lines.map(|line| line.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

#[test]
fn the_page_says_what_was_found_and_its_sums_add_up() {
    let page = fs::read_to_string(top().join("docs/hosts.md")).unwrap();
    let (cases, results) = (cases(), results());
    let table = rows(&page, "matrix");
    let names: Vec<String> = table.iter().map(|row| row[0].trim_matches('`').to_owned()).collect();
    assert_eq!(names, cases.keys().cloned().collect::<Vec<_>>());
    let totals = rows(&page, "totals");
    assert_eq!(totals.len(), results.len());
    for (number, (results, total)) in results.iter().zip(&totals).enumerate() {
        let (mut passed, mut counted, mut failing) = (0, 0, Vec::new());
        for (row, (name, case)) in table.iter().zip(&cases) {
            let count = CELLS.len() - case.none.len();
            let failed: Vec<&str> = CELLS
                .into_iter()
                .filter(|cell| results.cells[name].get(*cell).is_some_and(|found| found.starts_with("fail")))
                .collect();
            let shown = format!("{} of {count}", count - failed.len());
            assert!(row[number + 1].starts_with(&shown), "{name}: {row:?}");
            for cell in &failed {
                assert!(row[number + 1].contains(cell), "{name}: {row:?}");
                failing.push(format!("`{name}` {cell}"));
            }
            passed += count - failed.len();
            counted += count;
        }
        // At least 99 of 100 cells hold, or the table says otherwise than the project may.
        assert!(passed * 100 >= counted * 99, "{}: {passed} of {counted}", results.release);
        let expected = [
            results.release.clone(),
            counted.to_string(),
            passed.to_string(),
            if failing.is_empty() { "none".to_owned() } else { failing.join(", ") },
        ];
        assert_eq!(total[..], expected);
    }
}
