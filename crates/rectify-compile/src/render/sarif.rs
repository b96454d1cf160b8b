//! Diagnostics as SARIF 2.1.0, the form in which code hosts and editors take findings of any tool.

use super::{Problem, Region, Repair, regions::Regions};
use crate::SourceFile;
use rectify_base::{Diagnostic, Severity};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The name that SARIF's users give the directory which paths are relative to; here, the project.
const BASE: &str = "%SRCROOT%";

/// Who speaks.
#[derive(Clone, Copy, Debug)]
pub struct Tool<'a> {
    /// Version of Rectify.
    pub version: &'a str,
    /// The page of each code in Markdown, as under `docs/errors`: a heading, a summary, sections.
    pub pages: &'a [(&'a str, &'a str)],
}

/// A log of one run. Columns count Unicode code points. It describes the codes that occur, sorted, and
/// no other.
#[must_use]
pub fn sarif(diagnostics: &[Diagnostic], files: &[SourceFile], tool: &Tool<'_>) -> Value {
    let mut regions = Regions::new(files);
    let problems: Vec<Problem> = diagnostics.iter().map(|d| Problem::new(d, &mut regions)).collect();
    let codes: BTreeSet<&str> = problems.iter().map(|problem| problem.code.as_str()).collect();
    let index: BTreeMap<&str, usize> = codes.iter().enumerate().map(|(at, code)| (*code, at)).collect();
    let rules: Vec<Value> = codes.iter().map(|code| rule(code, tool)).collect();
    let results: Vec<Value> = problems.iter().map(|problem| result(problem, &index)).collect();
    json!({
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {"name": "Rectify", "semanticVersion": tool.version, "rules": rules}},
            "automationDetails": {"id": "rectify/validate/"},
            "columnKind": "unicodeCodePoints",
            "originalUriBaseIds": {BASE: {"description": {"text": "The directory of the project."}}},
            "results": results,
        }],
    })
}

fn rule(code: &str, tool: &Tool<'_>) -> Value {
    let mut rule = Map::new();
    rule.insert("id".into(), code.into());
    rule.insert("defaultConfiguration".into(), json!({"level": "error"}));
    if let Some((_, page)) = tool.pages.iter().find(|(name, _)| *name == code) {
        let body = page.split_once("\n\n").map_or("", |(_, body)| body).trim_end();
        let summary = body.split("\n\n").next().unwrap_or_default().replace('\n', " ");
        rule.insert("shortDescription".into(), json!({"text": summary}));
        rule.insert("help".into(), json!({"text": body, "markdown": body}));
    }
    Value::Object(rule)
}

fn result(problem: &Problem, index: &BTreeMap<&str, usize>) -> Value {
    let text = match &problem.help {
        Some(help) => format!("{}\n{help}", problem.message),
        None => problem.message.clone(),
    };
    let level = match problem.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let mut result = Map::new();
    result.insert("ruleId".into(), problem.code.as_str().into());
    if let Some(at) = index.get(problem.code.as_str()) {
        result.insert("ruleIndex".into(), (*at).into());
    }
    result.insert("level".into(), level.into());
    result.insert("message".into(), json!({"text": text}));
    if let Some((first, others)) = problem.places.split_first() {
        result.insert("locations".into(), json!([location(first, None)]));
        if !others.is_empty() {
            let others = others.iter().enumerate().map(|(at, region)| location(region, Some(at + 1)));
            result.insert("relatedLocations".into(), others.collect());
        }
    }
    if !problem.fixes.is_empty() {
        result.insert("fixes".into(), problem.fixes.iter().map(fix).collect());
    }
    Value::Object(result)
}

/// Related locations are numbered, so that a message could speak of them.
fn location(region: &Region, id: Option<usize>) -> Value {
    let mut location = json!({
        "physicalLocation": {"artifactLocation": artifact(&region.file), "region": span(region)},
    });
    if let Some(members) = location.as_object_mut() {
        if let Some(id) = id {
            members.insert("id".into(), id.into());
        }
        if let Some(text) = &region.text {
            members.insert("message".into(), json!({"text": text}));
        }
    }
    location
}

fn span(region: &Region) -> Value {
    json!({
        "startLine": region.start_line,
        "startColumn": region.start_column,
        "endLine": region.end_line,
        "endColumn": region.end_column,
        "byteOffset": region.start,
        "byteLength": region.end - region.start,
    })
}

fn fix(repair: &Repair) -> Value {
    json!({
        "description": {"text": format!("Write `{}`", repair.replacement)},
        "artifactChanges": [{
            "artifactLocation": artifact(&repair.at.file),
            "replacements": [{
                "deletedRegion": span(&repair.at),
                "insertedContent": {"text": repair.replacement},
            }],
        }],
    })
}

/// A path as a relative URI.
fn artifact(path: &str) -> Value {
    let mut uri = String::new();
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                uri.push(char::from(byte));
            }
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    json!({"uri": uri, "uriBaseId": BASE})
}
