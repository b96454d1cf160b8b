//! After something went wrong: `undo`.

use super::{page, project::say_verdict, run::named};
use crate::{
    arguments::PlanFormat,
    exit,
    failure::Failure,
    say::{say, tell},
    words::count,
};
use rectify_engine::{
    Engine,
    artifact::check_place,
    rundir::RunDirectory,
    undo::{self as undoing, Kept, short},
};
use rectify_model::journal::RunId;
use rectify_review::visible;
use std::path::{Path, PathBuf};

/// The project to use for a run: the one that is named, else the one that the run was started from.
fn project_of(engine: &Engine, project: &Path, run: &RunId) -> PathBuf {
    if project != Path::new(".") {
        return project.to_owned();
    }
    let origin = RunDirectory::of(&engine.places.state, run).origin();
    origin.map_or_else(|_| project.to_owned(), |origin| PathBuf::from(origin.project))
}

/// `undo`.
pub async fn undo(
    engine: &Engine,
    project: &Path,
    id: &str,
    file: Option<&Path>,
    format: PlanFormat,
    details: bool,
) -> Result<u8, Failure> {
    if let Some(path) = file {
        check_place(path)?;
    }
    let run = named(engine, id).await?;
    let project = project_of(engine, project, &run);
    let undone = undoing::undo(engine, &run, &project).await?;
    let Some(outcome) = undone.outcome.as_ref().filter(|outcome| outcome.plan.counts.changes() > 0) else {
        tell_kept(&undone.kept);
        say!("run {}: nothing is left to take back", short(&run));
        return Ok(exit::DONE);
    };
    page::of_outcome(outcome, format, details)?;
    tell_kept(&undone.kept);
    if format == PlanFormat::Text {
        say!("plan {}", outcome.digests.blake3);
    }
    say_verdict(&outcome.verdict);
    if let Some(path) = file {
        undoing::write(outcome, &run, path)?;
        tell!("wrote {}; seal, approve and apply it like any plan", path.display());
    }
    Ok(exit::DONE)
}

/// Says what stays as the run left it.
fn tell_kept(kept: &[Kept]) {
    if kept.is_empty() {
        return;
    }
    tell!(
        "{} cannot be taken back and {} as the run left {}:",
        count(kept.len() as u64, "step"),
        if kept.len() == 1 { "stays" } else { "stay" },
        if kept.len() == 1 { "it" } else { "them" }
    );
    for step in kept {
        tell!("  {}: {}", step.node, visible(&step.why));
    }
}
