//! What people ask of a bundle beside a decision: which of its tests pass and what they reach, and
//! why each rule did or did not fire on a plan.

use crate::{
    Bundle, PolicyError, Zones,
    check::{self, Head, Noted},
    codes, data, engine,
    evaluate::{self, evaluate_value},
    lint::{self, walk},
};
use rectify_model::Decision;
use regorus::{
    Engine, Value,
    unstable::{Module, Ref},
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What the tests of a bundle gave.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestReport {
    /// The tests, by file and line.
    pub tests: Vec<TestResult>,
    /// Definitions of `deny`, `warn` and `require_approval` that no passing test fires.
    pub untested: Vec<Definition>,
    /// Lines of rules by file; only those files that hold rules.
    pub coverage: BTreeMap<String, Coverage>,
}

impl TestReport {
    /// Whether every test passed and every rule was fired by one.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.untested.is_empty() && self.tests.iter().all(|test| test.failure.is_none())
    }
}

/// One test.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestResult {
    /// Path of the rule, such as `data.rectify_test.test_x`.
    pub name: String,
    /// `<file>:<line>:<column>`.
    pub place: String,
    /// Why it failed; absent if it passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// Where a rule is defined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// `deny`, `warn` or `require_approval`.
    pub kind: String,
    /// What the definition says under `rule`, or the kind where it says nothing.
    pub rule: String,
    /// `<file>:<line>:<column>`.
    pub place: String,
}

/// Which lines of a file were evaluated.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Coverage {
    /// Number of lines that were.
    pub covered: u64,
    /// Those that were not, sorted, from 1.
    pub uncovered: Vec<u32>,
}

/// Why a decision is as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Explanation {
    /// The decision.
    pub decision: Decision,
    /// Each definition of `deny`, `warn` and `require_approval`, by place.
    pub rules: Vec<Explained>,
}

/// What one definition did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Explained {
    /// Which.
    pub definition: Definition,
    /// What `data.rules` says of how much it matters, such as `high`; absent if it says nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<String>,
    /// What it said; empty if it did not fire.
    pub said: BTreeSet<String>,
    /// The statement that nothing got past; absent if it fired, or nothing is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<Stopped>,
    /// The data that its statements name, by path.
    pub data: BTreeMap<String, serde_json::Value>,
}

/// A statement that was false or undefined in all ways in which it was reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stopped {
    /// Line, from 1.
    pub line: u32,
    /// The first line of the statement.
    pub text: String,
}

/// Runs the tests of a bundle, all of them.
///
/// # Errors
/// Whatever [`check()`](crate::check()) refuses before it runs tests.
pub fn test(bundle: &Bundle) -> Result<TestReport, PolicyError> {
    let parsed = check::parse(bundle)?;
    let mut noted = Noted::default();
    let mut engine = check::instrumented(bundle, &parsed.heads, &noted)?;
    for (path, text) in bundle.tests() {
        engine::add(&mut engine, path, text)?;
    }
    engine::add_data(&mut engine, data::merged(bundle)?.plain)?;
    engine.set_enable_coverage(true);
    let mut report = TestReport::default();
    let mut fired = BTreeSet::new();
    for (name, place) in check::tests_of(&parsed.tests) {
        noted.clear();
        let failure = match engine.eval_rule(name.clone()) {
            Ok(Value::Bool(true)) => None,
            Ok(Value::Undefined) => Some("undefined, not true".to_owned()),
            Ok(_) => Some("something else than true".to_owned()),
            Err(error) => Some(error_text(&error)),
        };
        if failure.is_none() {
            fired.extend(noted.take().into_iter().map(|(index, _)| index));
        }
        report.tests.push(TestResult { name, place, failure });
    }
    report.tests.sort_by_key(|test| position(&test.place));
    let untested = parsed.heads.iter().enumerate().filter(|(index, _)| !fired.contains(index));
    report.untested = untested.map(|(_, head)| definition(head)).collect();
    let rules: BTreeSet<&str> = bundle.rules().map(|(path, _)| path).collect();
    for (path, covered, uncovered) in coverage(&engine)? {
        if rules.contains(path.as_str()) {
            let covered = u64::try_from(covered.len()).unwrap_or(u64::MAX);
            report.coverage.insert(path, Coverage { covered, uncovered: uncovered.into_iter().collect() });
        }
    }
    Ok(report)
}

/// Decides on an [input](crate::input()) and says what each rule did.
///
/// # Errors
/// As for [`evaluate`](crate::evaluate()).
pub fn explain(
    bundle: &Bundle,
    input: &serde_json::Value,
    zones: &dyn Zones,
) -> Result<Explanation, PolicyError> {
    let value = Value::deserialize(input)
        .map_err(|error| PolicyError::new(codes::POLICY_EVALUATION, "input", error.to_string()))?;
    explain_value(bundle, value, zones)
}

/// [`explain`] over an input that is a value of the engine already.
pub(crate) fn explain_value(
    bundle: &Bundle,
    input: Value,
    zones: &dyn Zones,
) -> Result<Explanation, PolicyError> {
    let decision = evaluate_value(bundle, input.clone(), zones)?;
    let parsed = check::parse(bundle)?;
    let mut noted = Noted::default();
    let mut engine = check::instrumented(bundle, &parsed.heads, &noted)?;
    let data = data::merged(bundle)?.decisive;
    engine::add_data(&mut engine, data.clone())?;
    engine.set_input(evaluate::with_freeze(bundle, input, zones)?);
    engine.set_enable_coverage(true);
    let paths: BTreeSet<&str> = parsed.heads.iter().map(|head| head.path.as_str()).collect();
    for path in paths {
        engine
            .eval_rule(path.to_owned())
            .map_err(|error| PolicyError::from_engine(codes::POLICY_EVALUATION, path, &error.to_string()))?;
    }
    let mut said: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
    for (index, value) in noted.take() {
        said.entry(index).or_default().insert(words(&value));
    }
    let reached: BTreeMap<String, BTreeSet<u32>> =
        coverage(&engine)?.into_iter().map(|(path, covered, _)| (path, covered)).collect();
    let mut rules: Vec<Explained> = Vec::new();
    for (index, head) in parsed.heads.iter().enumerate() {
        let said = said.remove(&index).unwrap_or_default();
        let stopped = if said.is_empty() { stopped(bundle, head, reached.get(&head.file)) } else { None };
        let named = named_data(&parsed.rules, head, &data);
        let severity = data.get("rules").and_then(|rules| rules.get(&head.rule)?.get("severity")?.as_str());
        let severity = severity.map(str::to_owned);
        rules.push(Explained { definition: definition(head), severity, said, stopped, data: named });
    }
    rules.sort_by_key(|rule| position(&rule.definition.place));
    Ok(Explanation { decision, rules })
}

fn definition(head: &Head) -> Definition {
    Definition { kind: head.name.clone(), rule: head.rule.clone(), place: head.place.clone() }
}

/// Orders places as a reader meets them.
fn position(place: &str) -> (String, u32, u32) {
    let mut parts = place.rsplitn(3, ':');
    let mut number = || parts.next().and_then(|text| text.parse().ok()).unwrap_or(0);
    let (column, line) = (number(), number());
    (parts.next().unwrap_or_default().to_owned(), line, column)
}

fn error_text(error: &impl std::fmt::Display) -> String {
    PolicyError::from_engine(codes::POLICY_TEST_FAILED, "", &error.to_string()).to_string()
}

/// What a member of a set says to people.
fn words(value: &Value) -> String {
    let field =
        |name: &str| value.as_object().ok().and_then(|fields| fields.get(&Value::from(name)).cloned());
    let message = field("message").or_else(|| field("msg"));
    match message.as_ref().unwrap_or(value) {
        Value::String(text) => text.to_string(),
        other => other.to_string(),
    }
}

type Lines = BTreeSet<u32>;

fn coverage(engine: &Engine) -> Result<Vec<(String, Lines, Lines)>, PolicyError> {
    let report = engine
        .get_coverage_report()
        .map_err(|error| PolicyError::from_engine(codes::POLICY_EVALUATION, "", &error.to_string()))?;
    Ok(report.files.into_iter().map(|file| (file.path, file.covered, file.not_covered)).collect())
}

/// The last statement, as written, before the first that was not reached.
fn stopped(bundle: &Bundle, head: &Head, reached: Option<&Lines>) -> Option<Stopped> {
    let reached = reached?;
    let first_missed = head.statements.iter().position(|line| !reached.contains(line));
    let at = first_missed.unwrap_or(head.statements.len()).checked_sub(1)?;
    let line = *head.statements.get(at)?;
    let index = usize::try_from(line).ok()?.checked_sub(1)?;
    let text = bundle.files.get(&head.file)?.lines().nth(index)?.trim().to_owned();
    Some(Stopped { line, text })
}

/// The values of what a definition names under `data`, as far as it is data and no rule.
fn named_data(
    rules: &[Ref<Module>],
    head: &Head,
    data: &serde_json::Map<String, serde_json::Value>,
) -> BTreeMap<String, serde_json::Value> {
    let mut named = BTreeMap::new();
    for rule in rules.iter().flat_map(|module| &module.policy) {
        if lint::place_of(rule.as_ref()) != head.rule_place {
            continue;
        }
        walk::visit(rule.as_ref(), &mut |item| {
            let walk::Item::Reference(reference) = item else { return };
            let dotted = reference.dotted();
            let Some(path) = dotted.strip_prefix("data.") else { return };
            let mut parts = path.split('.');
            let first = parts.next().and_then(|name| data.get(name));
            let found = parts.try_fold(first, |at, name| at.map(|at| at.get(name)));
            if let Some(Some(value)) = found {
                named.insert(path.to_owned(), value.clone());
            }
        });
    }
    named
}
