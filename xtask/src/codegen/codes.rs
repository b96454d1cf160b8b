//! The codes: each has a case, and a page that says why and what to do.

use super::{Generated, files};
use crate::run::{read, root};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

/// Both files, unless codes, pages and cases contradict each other.
pub(super) fn generate() -> Generated {
    let pages = pages()?;
    let declared = declared()?;
    let cases = cases()?;
    let page_names: BTreeSet<&String> = pages.keys().collect();
    let declared_names: BTreeSet<&String> = declared.keys().collect();
    let mut problems: Vec<String> = Vec::new();
    problems.extend(
        declared_names.difference(&page_names).map(|c| format!("code {c} has no page docs/errors/{c}.md")),
    );
    problems.extend(
        page_names.difference(&declared_names).map(|c| format!("docs/errors/{c}.md explains no code")),
    );
    problems
        .extend(declared.keys().filter(|c| !cases.contains_key(*c)).map(|c| format!("code {c} has no case")));
    if !problems.is_empty() {
        return Err(problems.join("\n  "));
    }
    Ok(vec![
        (root().join("docs/errors/README.md"), table(&declared, &pages, &cases)),
        (root().join("crates/rectify-cli/src/pages.rs"), embedded(&pages)),
    ])
}

/// First paragraph of each page, by code.
fn pages() -> Result<BTreeMap<String, String>, String> {
    let mut pages = BTreeMap::new();
    for path in files(&root().join("docs/errors"), "md")? {
        let code = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if code == "README" {
            continue;
        }
        let text = read(&path)?;
        let mut paragraphs = text.split("\n\n");
        if paragraphs.next().map(str::trim) != Some(&format!("# {code}")) {
            return Err(format!("{} must begin with `# {code}`", path.display()));
        }
        for section in ["\n## Why\n", "\n## What to do\n"] {
            if !text.contains(section) {
                return Err(format!("{} lacks the section `{}`", path.display(), section.trim()));
            }
        }
        let summary = paragraphs.next().unwrap_or_default().trim().replace('\n', " ");
        pages.insert(code, summary);
    }
    Ok(pages)
}

/// Code to crate, as the `codes.rs` files declare them.
fn declared() -> Result<BTreeMap<String, String>, String> {
    let mut codes = BTreeMap::new();
    for path in rust_files(&root().join("crates"))? {
        if path.file_name().is_none_or(|name| name != "codes.rs") {
            continue;
        }
        let relative = path.strip_prefix(root().join("crates")).unwrap_or(&path);
        let owner = relative.iter().next().unwrap_or_default().to_string_lossy().into_owned();
        for line in read(&path)?.lines() {
            let code = line
                .trim()
                .strip_suffix("\";")
                .and_then(|rest| rest.split_once(" = \""))
                .map(|(_, code)| code);
            if let Some(code) = code
                && let Some(other) = codes.insert(code.to_owned(), owner.clone())
            {
                return Err(format!("code {code} is declared by {other} and {owner}"));
            }
        }
    }
    Ok(codes)
}

/// Cases by code: directories with an `expect.json`, and tests that name the code.
fn cases() -> Result<BTreeMap<String, BTreeSet<String>>, String> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let top = root().join("conformance/cases");
    for path in files(&top, "json")? {
        if path.file_name().is_none_or(|name| name != "expect.json") {
            continue;
        }
        let value: serde_json::Value =
            serde_json::from_str(&read(&path)?).map_err(|e| format!("{}: {e}", path.display()))?;
        let code = value["code"].as_str().ok_or_else(|| format!("{} has no code", path.display()))?;
        let case = path.parent().and_then(|p| p.strip_prefix(&top).ok()).unwrap_or(&path);
        found.entry(code.to_owned()).or_default().insert(case.display().to_string());
    }
    let codes: Vec<String> = declared()?.into_keys().collect();
    let mut tests: Vec<PathBuf> = Vec::new();
    for directory in ["crates", "tests"] {
        tests.extend(
            rust_files(&root().join(directory))?.into_iter().filter(|p| p.iter().any(|part| part == "tests")),
        );
    }
    for path in tests {
        let text = read(&path)?;
        let shown = path.strip_prefix(root()).unwrap_or(&path).display().to_string();
        for code in &codes {
            let constant = format!("codes::{}", code.to_uppercase().replace('-', "_"));
            let word = |at: usize| text[at..].chars().next().is_none_or(|c| !c.is_alphanumeric() && c != '_');
            let named = text.match_indices(&constant).any(|(at, _)| word(at + constant.len()));
            if named || text.contains(&format!("\"{code}\"")) || text.contains(&format!("[{code}]")) {
                found.entry(code.clone()).or_default().insert(shown.clone());
            }
        }
    }
    Ok(found)
}

fn table(
    declared: &BTreeMap<String, String>,
    pages: &BTreeMap<String, String>,
    cases: &BTreeMap<String, BTreeSet<String>>,
) -> String {
    let mut text = String::from(
        "# Error codes\n\nGenerated by `cargo xtask codegen`. `rectify explain CODE` prints the page of a code.\n\n\
         | code | meaning | crate | shown by |\n|---|---|---|---|\n",
    );
    for (code, owner) in declared {
        let shown: Vec<String> =
            cases.get(code).into_iter().flatten().take(3).map(|case| format!("`{case}`")).collect();
        let more = cases.get(code).map_or(0, BTreeSet::len).saturating_sub(3);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let summary = pages.get(code).cloned().unwrap_or_default().replace('|', "\\|");
        text.push_str(&format!(
            "| [`{code}`]({code}.md) | {summary} | {owner} | {}{more} |\n",
            shown.join(", ")
        ));
    }
    text
}

fn embedded(pages: &BTreeMap<String, String>) -> String {
    let mut text = String::from(
        "//! Generated by `cargo xtask codegen`: the pages of `docs/errors`, by code.\n\n\
         /// Code and page, sorted by code.\npub const PAGES: &[(&str, &str)] = &[\n",
    );
    for code in pages.keys() {
        text.push_str(&format!("    (\"{code}\", include_str!(\"../../../docs/errors/{code}.md\")),\n"));
    }
    text.push_str("];\n");
    text
}

fn rust_files(directory: &Path) -> Result<Vec<PathBuf>, String> {
    files(directory, "rs")
}
