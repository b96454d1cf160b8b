//! docs/hosts.md and docs/conformance.md: what `cargo xtask fleet matrix` and `fleet conform` found,
//! from `conformance/hosts/results`.

use super::{Generated, files};
use crate::run::{read, root};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The cells of a line.
const CELLS: [&str; 5] = ["create", "update", "unchanged", "delete", "undo"];

/// What a host of one release gave.
struct Results {
    release: String,
    /// By line and cell.
    cells: BTreeMap<String, BTreeMap<String, String>>,
    kit: BTreeMap<String, Value>,
}

impl Results {
    fn all() -> Result<Vec<Self>, String> {
        let mut all = Vec::new();
        for path in files(&root().join("conformance/hosts/results"), "json")? {
            let told = |e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
            let value: Value = serde_json::from_str(&read(&path)?).map_err(|e| told(&e))?;
            let member = |name: &str| value.get(name).cloned().unwrap_or_default();
            all.push(Self {
                release: serde_json::from_value(member("release")).map_err(|e| told(&e))?,
                cells: serde_json::from_value(member("cells")).map_err(|e| told(&e))?,
                kit: serde_json::from_value(member("kit")).map_err(|e| told(&e))?,
            });
        }
        Ok(all)
    }

    fn found(&self, line: &str, cell: &str) -> &str {
        self.cells.get(line).and_then(|cells| cells.get(cell)).map_or("", String::as_str)
    }

    /// The cells of a line that count, and those of them that fail.
    fn counted(&self, line: &str) -> (usize, Vec<&'static str>) {
        let counts = CELLS.into_iter().filter(|cell| !self.found(line, cell).starts_with("none: "));
        let failed = CELLS.into_iter().filter(|cell| self.found(line, cell).starts_with("fail"));
        (counts.count(), failed.collect())
    }
}

/// Both pages.
pub fn generate() -> Generated {
    let all = Results::all()?;
    let page = root().join("docs/hosts.md");
    let text = read(&page)?;
    let text = put(&text, "totals", &totals(&all))?;
    let text = put(&text, "matrix", &matrix(&all))?;
    let text = put(&text, "failures", &failures(&all))?;
    let kit = root().join("docs/conformance.md");
    let table = conformance(&read(&kit)?, &all)?;
    Ok(vec![(page, text), (kit, table)])
}

/// Puts a text between the marks of a page.
fn put(page: &str, mark: &str, text: &str) -> Result<String, String> {
    let (begin, end) = (format!("<!-- {mark} -->\n"), format!("<!-- end of {mark} -->"));
    let lacks = || format!("a page has no `{}`", begin.trim());
    let (before, rest) = page.split_once(&begin).ok_or_else(lacks)?;
    let (_, after) = rest.split_once(&end).ok_or_else(lacks)?;
    Ok(format!("{before}{begin}\n{text}\n{end}{after}"))
}

fn totals(all: &[Results]) -> String {
    let mut text = String::from("| release | cells | pass | fail |\n|---|---|---|---|\n");
    for results in all {
        let (mut cells, mut failing) = (0, Vec::new());
        for line in results.cells.keys() {
            let (count, failed) = results.counted(line);
            cells += count;
            failing.extend(failed.into_iter().map(|cell| format!("`{line}` {cell}")));
        }
        let passed = cells - failing.len();
        let failing = if failing.is_empty() { "none".to_owned() } else { failing.join(", ") };
        text.push_str(&format!("| {} | {cells} | {passed} | {failing} |\n", results.release));
    }
    text
}

fn matrix(all: &[Results]) -> String {
    let lines: BTreeSet<&String> = all.iter().flat_map(|results| results.cells.keys()).collect();
    let mut text = String::from("| case |");
    let mut rule = String::from("|---|");
    for results in all {
        text.push_str(&format!(" {} |", results.release));
        rule.push_str("---|");
    }
    text.push_str(&format!(" no cells |\n{rule}---|\n"));
    for line in lines {
        text.push_str(&format!("| `{line}` |"));
        let mut none: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for results in all {
            let (count, failed) = results.counted(line);
            let failing =
                if failed.is_empty() { String::new() } else { format!("; not {}", failed.join(", ")) };
            text.push_str(&format!(" {} of {count}{failing} |", count - failed.len()));
            for cell in CELLS {
                if let Some(reason) = results.found(line, cell).strip_prefix("none: ") {
                    let cells = none.entry(reason).or_default();
                    if !cells.contains(&cell) {
                        cells.push(cell);
                    }
                }
            }
        }
        let mut none: Vec<_> = none.into_iter().collect();
        none.sort_by_key(|(_, cells)| CELLS.iter().position(|cell| cells.first() == Some(cell)));
        let none: Vec<String> =
            none.into_iter().map(|(reason, cells)| format!("{}: {reason}", cells.join(", "))).collect();
        text.push_str(&format!(" {} |\n", none.join("<br>")));
    }
    text
}

fn failures(all: &[Results]) -> String {
    let mut text = String::new();
    for results in all {
        for line in results.cells.keys() {
            for cell in CELLS {
                if let Some(reason) = results.found(line, cell).strip_prefix("fail: ") {
                    text.push_str(&format!("- {}, `{line}` {cell}: {reason}\n", results.release));
                }
            }
        }
    }
    if text.is_empty() { "No cell fails.\n".to_owned() } else { text }
}

/// The page of the kit with the lines of hosts, which come last in the table of providers.
fn conformance(page: &str, all: &[Results]) -> Result<String, String> {
    let (before, rest) = page
        .split_once("<!-- end of providers -->")
        .ok_or("the page of the kit has no table of providers")?;
    let of_hosts = |line: &str| line.starts_with("| `") && line.contains("` on ");
    let mut text: String =
        before.split_inclusive('\n').filter(|line| !of_hosts(line)).collect::<String>().trim_end().to_owned();
    text.push('\n');
    let mut lines = BTreeMap::new();
    for results in all {
        for (name, tally) in &results.kit {
            let of = |member: &str| match tally.get(member) {
                Some(Value::String(text)) => text.clone(),
                Some(other) => other.to_string(),
                None => String::new(),
            };
            let (passed, failed, skipped) = (of("passed"), of("failed"), of("skipped"));
            let line = format!(
                "| `{name}` on {} | {passed} | {failed} | {skipped} | {} |\n",
                results.release,
                of("why")
            );
            lines.insert((name, &results.release), line);
        }
    }
    text.extend(lines.into_values());
    Ok(format!("{text}\n<!-- end of providers -->{rest}"))
}

#[cfg(test)]
mod tests {
    use super::{Results, failures, matrix, totals};
    use std::collections::BTreeMap;

    fn one(undo: &str) -> Results {
        let cells = [("create", "pass"), ("update", "pass"), ("undo", undo)];
        let none = [("unchanged", "none: it is an action"), ("delete", "none: it is an action")];
        let cells = cells.into_iter().chain(none).map(|(name, found)| (name.to_owned(), found.to_owned()));
        Results {
            release: "bookworm".into(),
            cells: BTreeMap::from([("a.b".to_owned(), cells.collect())]),
            kit: BTreeMap::new(),
        }
    }

    #[test]
    fn what_fails_is_named() {
        let (good, bad) = ([one("pass")], [one("fail: it stays")]);
        assert!(totals(&good).ends_with("| bookworm | 3 | 3 | none |\n"));
        assert!(totals(&bad).ends_with("| bookworm | 3 | 2 | `a.b` undo |\n"));
        assert!(matrix(&good).ends_with("| `a.b` | 3 of 3 | unchanged, delete: it is an action |\n"));
        assert!(matrix(&bad).contains("| 2 of 3; not undo |"));
        assert_eq!(failures(&good), "No cell fails.\n");
        assert_eq!(failures(&bad), "- bookworm, `a.b` undo: it stays\n");
    }
}
