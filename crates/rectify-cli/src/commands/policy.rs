//! `policy`.

use super::{
    project::{json, out},
    signing,
};
use crate::{
    arguments::{DataFormat, Policy},
    exit,
    failure::Failure,
    words::count,
};
use rectify_engine::{Engine, artifact::Artifact, gate};
use rectify_policy::report::{Explained, Explanation, TestReport};
use std::path::Path;

/// `policy`.
pub async fn policy(engine: &Engine, project: &Path, command: Policy) -> Result<u8, Failure> {
    match command {
        Policy::Digest => {
            let gate = gate::of_project(engine, project)?;
            out(format!("{}\n", gate.bundle.digest()).as_bytes())?;
            Ok(exit::DONE)
        }
        Policy::Test { directory, coverage, format } => {
            let report = gate::test(engine, project, directory.as_deref()).await?;
            match format {
                DataFormat::Json => out(&json(&report))?,
                DataFormat::Text => out(tested(&report, coverage).as_bytes())?,
            }
            Ok(if report.is_sound() { exit::DONE } else { exit::ERROR })
        }
        Policy::Override { plan, rules, reason, key, expires_in } => {
            signing::set_aside(engine, project, &plan, &key, rules, reason, expires_in).await
        }
        Policy::Explain { plan, format } => {
            let plan = Artifact::read(&plan)?.plan()?;
            let explanation = gate::explain(engine, project, &plan).await?;
            match format {
                DataFormat::Json => out(&json(&explanation))?,
                DataFormat::Text => out(explained(&explanation).as_bytes())?,
            }
            Ok(if explanation.decision.allowed { exit::DONE } else { exit::DENIED })
        }
    }
}

/// What the tests gave, a line each.
fn tested(report: &TestReport, coverage: bool) -> String {
    let mut text = String::new();
    let mut failed: u64 = 0;
    for test in &report.tests {
        match &test.failure {
            None => text.push_str(&format!("ok    {}\n", test.name)),
            Some(why) => {
                failed = failed.saturating_add(1);
                text.push_str(&format!("FAIL  {}: {why}\n      at {}\n", test.name, test.place));
            }
        }
    }
    for rule in &report.untested {
        let of = if rule.rule == rule.kind { String::new() } else { format!(" of `{}`", rule.rule) };
        text.push_str(&format!(
            "FAIL  no passing test fires this definition of `{}`{of}\n      at {}\n",
            rule.kind, rule.place
        ));
    }
    if coverage {
        for (file, lines) in &report.coverage {
            let missed = u64::try_from(lines.uncovered.len()).unwrap_or(u64::MAX);
            let all = lines.covered.saturating_add(missed);
            let which: Vec<String> = lines.uncovered.iter().map(ToString::to_string).collect();
            let which = if which.is_empty() { String::new() } else { format!(", not: {}", which.join(", ")) };
            text.push_str(&format!("{file}: {} of {} reached{which}\n", lines.covered, count(all, "line")));
        }
    }
    let all = u64::try_from(report.tests.len()).unwrap_or(u64::MAX);
    let untested = u64::try_from(report.untested.len()).unwrap_or(u64::MAX);
    text.push_str(&format!(
        "{}: {} passed, {failed} failed; {} without a test that fires it\n",
        count(all, "test"),
        all.saturating_sub(failed),
        count(untested, "rule")
    ));
    text
}

/// Why a decision is as it is: first what fired, then the rest.
fn explained(explanation: &Explanation) -> String {
    let decision = &explanation.decision;
    let mut text = String::from(if decision.allowed { "allowed" } else { "DENIED" });
    match decision.approvals() {
        0 => text.push('\n'),
        n => text.push_str(&format!(", asks for {}\n", count(u64::from(n), "approval"))),
    }
    let (fired, silent): (Vec<_>, Vec<_>) = explanation.rules.iter().partition(|rule| !rule.said.is_empty());
    text.push_str("\nRules that fired:\n");
    for rule in fired {
        head(&mut text, rule);
        for said in &rule.said {
            text.push_str(&format!("    {said}\n"));
        }
        data(&mut text, rule);
    }
    text.push_str("\nRules that did not:\n");
    for rule in silent {
        head(&mut text, rule);
        if let Some(stopped) = &rule.stopped {
            text.push_str(&format!("    nothing got past line {}: {}\n", stopped.line, stopped.text));
        }
        data(&mut text, rule);
    }
    text
}

fn head(text: &mut String, rule: &Explained) {
    let definition = &rule.definition;
    let severity = rule.severity.as_ref().map(|severity| format!(", {severity}")).unwrap_or_default();
    text.push_str(&format!("  {} {}{severity} ({})\n", definition.kind, definition.rule, definition.place));
}

fn data(text: &mut String, rule: &Explained) {
    for (path, value) in &rule.data {
        let shown = value.to_string();
        let short: String = shown.chars().take(160).collect();
        let more = if short.len() < shown.len() { "…" } else { "" };
        text.push_str(&format!("    data.{path} = {short}{more}\n"));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
    use super::*;
    use rectify_policy::{Bundle, Clock, explain, freeze::UtcOnly, report::test, standard};

    /// A bundle with a rule that fires, one that does not, a test that fails and a rule without one.
    fn bundle() -> Bundle {
        let rules = "package rectify\n\ndefault allow := false\n\nallow if count(deny) == 0\n\ndeny contains {\"rule\": \"few\", \"message\": message} if {\n\tnumber := count(input.changes)\n\tnumber > data.limits.changes\n\tmessage := sprintf(\"%d changes\", [number])\n}\n\nwarn contains {\"rule\": \"left\", \"message\": \"steps are left\"} if {\n\tinput.deferred > 0\n}\n";
        let tests = "package rectify_test\n\nimport data.rectify\n\ntest_few if count(rectify.deny) == 1 with input as {\"changes\": [{}, {}, {}]}\n\ntest_left if count(rectify.warn) == 1 with input as {\"deferred\": 0}\n";
        let files = [
            ("p.rego", rules),
            ("p_test.rego", tests),
            ("data.json", "{\"limits\": {\"changes\": 2}, \"rules\": {\"few\": {\"severity\": \"high\"}}}"),
        ];
        Bundle { files: files.into_iter().map(|(path, text)| (path.to_owned(), text.to_owned())).collect() }
    }

    #[test]
    fn tests_as_text() {
        insta::assert_snapshot!(tested(&test(&bundle()).unwrap(), true));
    }

    #[test]
    fn an_explanation_as_text() {
        let mut sound = bundle();
        let tests = sound.files.get_mut("p_test.rego").unwrap();
        *tests = tests.replace("{\"deferred\": 0}", "{\"deferred\": 1}");
        let input = serde_json::json!({
            "now": Clock::utc(0), "deferred": 0, "changes": [{}, {}, {}], "gates": [], "targets": {},
        });
        insta::assert_snapshot!(explained(&explain(&sound, &input, &UtcOnly).unwrap()));
        let report = test(&standard()).unwrap();
        assert!(report.is_sound());
        assert!(report.coverage.values().all(|lines| lines.uncovered.is_empty()));
        assert!(report.coverage.len() >= 16);
    }
}
