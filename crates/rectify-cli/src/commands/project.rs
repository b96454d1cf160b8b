//! `init`, `validate`, `plan`, `diff` and `show`.

use super::page;
use crate::{
    arguments::{DiffFormat, PlanFormat, ProblemFormat},
    diagnostics, exit,
    failure::Failure,
    say::{say, tell},
    words::count,
};
use rectify_attest::PrincipalName;
use rectify_base::{Address, ProjectName, RemediationName, TargetName};
use rectify_engine::{
    Engine, EngineError,
    artifact::Artifact,
    compiler::{Output, SourceFile},
    gate::Verdict,
    init::TEMPLATES,
    plan as planning, show as showing,
    undo::short,
    validate::{self as compiling, Validated},
};
use rectify_model::Decision;
use std::{
    collections::BTreeSet,
    io::Write,
    path::{Path, PathBuf},
};

/// Writes data to standard output; a closed pipe is not an error of ours.
pub fn out(bytes: &[u8]) -> Result<(), Failure> {
    // What is no text holds no secret either: everything that is written here is made of texts.
    let clean = std::str::from_utf8(bytes).map(crate::say::clean);
    let clean = clean.as_ref().map_or(bytes, String::as_bytes);
    match crate::progress::aside(|| std::io::stdout().write_all(clean)) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::plain(format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// `init`.
pub fn init(
    engine: &Engine,
    directory: &Path,
    name: Option<String>,
    solo: bool,
    template: &str,
) -> Result<u8, Failure> {
    let name = name.map(ProjectName::new).transpose().map_err(|e| Failure::usage(e.to_string()))?;
    let template = TEMPLATES.iter().find(|known| known.name == template);
    let template = template.ok_or_else(|| Failure::usage("there is no such template"))?;
    let done = rectify_engine::init::init(directory, name.as_ref(), template)?;
    for path in done.written {
        say!("wrote {}", path.display());
    }
    for path in done.kept {
        tell!("{} was there already; it is left as it is", path.display());
    }
    let trusted = engine.places.trust.exists();
    if solo && !trusted {
        let name = PrincipalName::new("me").map_err(|e| Failure::usage(e.to_string()))?;
        super::trust::solo(engine, name)?;
    } else if solo {
        tell!("there is a trust file at {}; it is left as it is", engine.places.trust.display());
    }
    say!("next: rectify -C {} plan", quoted(directory));
    if !solo && !trusted {
        tell!(
            "to apply, this machine needs to know whom to trust: `rectify trust init --help`, or docs/trust.md"
        );
    }
    Ok(exit::DONE)
}

/// `init --list-templates`.
pub fn templates() -> Result<u8, Failure> {
    for template in TEMPLATES {
        say!("{:<10}  {}", template.name, template.summary);
    }
    Ok(exit::DONE)
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-+@%,:".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text;
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// `validate`.
pub async fn validate(engine: &Engine, directory: &Path, format: ProblemFormat) -> Result<u8, Failure> {
    let compiled = match compiling::validate(engine, directory, None) {
        Ok(Validated::AsksFacts { project, output, .. }) => {
            return needs_facts(&project.files, &output, format);
        }
        Ok(Validated::Whole(compiled)) => {
            compiling::ask_providers(engine, &compiled).await.map(|()| *compiled)
        }
        Err(error) => Err(error),
    };
    match (compiled, format) {
        (Ok(compiled), ProblemFormat::Text) => {
            diagnostics::print(compiled.warnings(), &compiled.project.files);
            say!(
                "valid: {} and {} on {}",
                count(compiled.graph.nodes.len() as u64, "step"),
                count(compiled.graph.gates.len() as u64, "gate"),
                count(compiled.graph.targets.len() as u64, "target")
            );
            Ok(exit::DONE)
        }
        (Ok(compiled), format) => {
            diagnostics::write(compiled.warnings(), &compiled.project.files, format)?;
            Ok(exit::DONE)
        }
        (Err(EngineError::Sources { diagnostics, files }), ProblemFormat::Json | ProblemFormat::Sarif) => {
            diagnostics::write(&diagnostics, &files, format)?;
            Ok(exit::ERROR)
        }
        (Err(error), _) => Err(error.into()),
    }
}

/// What can be said of sources that ask for facts, without looking at a target.
fn needs_facts(files: &[SourceFile], output: &Output, format: ProblemFormat) -> Result<u8, Failure> {
    if format != ProblemFormat::Text {
        diagnostics::write(&output.diagnostics, files, format)?;
        return Ok(exit::DONE);
    }
    diagnostics::print(&output.diagnostics, files);
    let groups: BTreeSet<String> =
        output.asked.values().flatten().map(|group| format!("facts.{group}")).collect();
    let groups: Vec<String> = groups.into_iter().collect();
    say!(
        "valid, as far as that is known without {} of {}; `rectify plan` reads them",
        groups.join(", "),
        count(output.asked.len() as u64, "target")
    );
    Ok(exit::DONE)
}

/// Pretty JSON with a final newline.
pub fn json<T: serde::Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(value).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

/// What `plan` was asked for.
pub struct Wanted {
    /// Where to write it.
    pub out: Option<PathBuf>,
    /// How to print it.
    pub format: PlanFormat,
    /// Where the page for a browser is written as well.
    pub page: Option<PathBuf>,
    /// Show every change in full.
    pub details: bool,
    /// Exit with 2 if changes are pending.
    pub detailed_exitcode: bool,
}

/// `plan`.
pub async fn plan(
    engine: &Engine,
    directory: &Path,
    select: Option<&BTreeSet<RemediationName>>,
    wanted: Wanted,
) -> Result<u8, Failure> {
    if let Some(path) = &wanted.out {
        rectify_engine::artifact::check_place(path)?;
    }
    // The process ends soon, and taking large documents apart piece by piece would be for nothing.
    let outcome = std::mem::ManuallyDrop::new(planning::plan(engine, directory, select).await?);
    diagnostics::print(outcome.compiled.warnings(), &outcome.compiled.project.files);
    page::of_outcome(&outcome, wanted.format, wanted.details)?;
    if let Some(path) = &wanted.page {
        page::write(&outcome, path)?;
        tell!("wrote {}", path.display());
    }
    if wanted.format == PlanFormat::Text {
        say!("plan {}", outcome.digests.blake3);
    }
    for owed in &outcome.owed {
        tell!(
            "OWED: {} was to run because of what run {} changed, and did not; this plan does not run it",
            owed.node,
            short(&owed.run)
        );
    }
    say_verdict(&outcome.verdict);
    if let Some(path) = &wanted.out {
        planning::write(&outcome, path)?;
        tell!("wrote {}", path.display());
    }
    let undecided = outcome.undecided();
    if !undecided.is_empty() {
        return Err(rectify_engine::EngineError::Sources {
            diagnostics: undecided,
            files: outcome.compiled.project.files.clone(),
        }
        .into());
    }
    let pending = outcome.plan.counts.changes() > 0;
    Ok(if wanted.detailed_exitcode && pending { exit::CHANGES } else { exit::DONE })
}

/// `diff` without plans.
pub async fn diff(
    engine: &Engine,
    directory: &Path,
    select: Option<&BTreeSet<RemediationName>>,
    wanted: &super::diff::Wanted,
) -> Result<u8, Failure> {
    let format = match wanted.format {
        DiffFormat::Text => PlanFormat::Text,
        DiffFormat::Json => PlanFormat::Json,
        DiffFormat::Markdown => PlanFormat::Markdown,
    };
    let detailed_exitcode = wanted.detailed_exitcode;
    let wanted = Wanted { out: None, format, page: None, details: true, detailed_exitcode };
    plan(engine, directory, select, wanted).await
}

/// `show`.
pub fn show(engine: &Engine, path: &Path, format: PlanFormat, details: bool) -> Result<u8, Failure> {
    let artifact = Artifact::read(path)?;
    let plan = artifact.plan()?;
    page::of_artifact(engine, &artifact, &plan, format, details)?;
    if matches!(format, PlanFormat::Text | PlanFormat::Markdown) {
        out(page::overrides(engine, &artifact, format)?.as_bytes())?;
    }
    if format == PlanFormat::Text {
        say!("plan {}", artifact.digests.blake3);
    }
    showing::check(&artifact, &plan)?;
    Ok(exit::DONE)
}

/// `why`.
pub fn why(path: &Path, address: &str, target: Option<&str>) -> Result<u8, Failure> {
    let artifact = Artifact::read(path)?;
    let report = artifact.report()?;
    let address = Address::new(address).map_err(|e| Failure::usage(e.to_string()))?;
    let target = target.map(TargetName::new).transpose().map_err(|e| Failure::usage(e.to_string()))?;
    let text = report.why(target.as_ref(), &address);
    if text.is_empty() {
        return Err(Failure::usage(format!(
            "the report of this plan says nothing of `{address}`; `rectify graph` lists the steps"
        )));
    }
    for line in text.lines() {
        say!("{line}");
    }
    Ok(exit::DONE)
}

/// Says what policy would decide, on standard error.
pub fn say_verdict(verdict: &Verdict) {
    match verdict {
        Verdict::Nothing => {}
        Verdict::Decided(decision) => say_decision(decision),
        Verdict::Undecided { code, message } => {
            tell!("policy: cannot decide, which counts as denied: {message} [{code}]");
        }
    }
}

/// Says what policy decided, on standard error.
pub fn say_decision(decision: &Decision) {
    let word = if decision.allowed { "allowed" } else { "DENIED" };
    let approvals = match decision.approvals() {
        0 => String::new(),
        1 => ", asks for 1 approval".into(),
        n => format!(", asks for {n} approvals"),
    };
    tell!("policy: {word}{approvals}");
    for finding in &decision.deny {
        tell!("  deny  {}: {}", finding.rule, finding.message);
    }
    for finding in &decision.overridden {
        tell!("  OVERRIDDEN  {}: {}", finding.rule, finding.message);
    }
    for demand in &decision.require_approval {
        tell!("  approval  {}: {}", demand.rule, demand.message);
    }
    for finding in &decision.warn {
        tell!("  warn  {}: {}", finding.rule, finding.message);
    }
}
