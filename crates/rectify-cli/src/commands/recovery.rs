//! After something went wrong: `resume`, `resolve` and `undo`.

use super::{
    page,
    project::say_verdict,
    run::{conclude, listen, named},
    signing::{holder, load},
};
use crate::{
    arguments::{Key, PlanFormat, ResolveAs},
    exit,
    failure::Failure,
    say::{say, tell},
    words::count,
};
use rectify_engine::{
    Engine,
    apply::{ResumeRequest, Stop, resume as engine_resume},
    artifact::check_place,
    gate, history,
    resolve::{ResolveRequest, resolve as engine_resolve},
    rundir::RunDirectory,
    undo::{self as undoing, Kept, short},
};
use rectify_model::journal::{RunId, Verdict};
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

/// `resume`.
pub async fn resume(engine: &Engine, project: &Path, id: Option<&str>) -> Result<u8, Failure> {
    let run = match id {
        Some(id) => named(engine, id).await?,
        None => {
            let open = history::unfinished(engine).await?;
            match open.as_slice() {
                [] => {
                    say!("every run has ended; there is nothing to resume");
                    return Ok(exit::DONE);
                }
                [only] => only.run.run.clone(),
                several => {
                    let names: Vec<&str> = several.iter().map(|summary| short(&summary.run.run)).collect();
                    let message = format!("several runs have not ended; name one: {}", names.join(", "));
                    return Err(Failure::usage(message));
                }
            }
        }
    };
    let (wish, stop) = tokio::sync::watch::channel(Stop::No);
    let listener = tokio::spawn(listen(wish));
    // The one that it was started from is known best.
    let project = (project != Path::new(".")).then_some(project);
    let applied = engine_resume(engine, ResumeRequest { run: &run, project, stop }).await;
    listener.abort();
    Ok(conclude(&applied?))
}

/// What a person says of a step.
pub struct Answer {
    /// See [`ResolveRequest`]; likewise the others.
    pub answer: ResolveAs,
    pub reason: String,
    pub undo: bool,
}

/// `resolve`.
pub async fn resolve(engine: &Engine, id: &str, step: &str, key: &Key, said: Answer) -> Result<u8, Failure> {
    let run = named(engine, id).await?;
    let trust = gate::required_trust(engine)?;
    let signer = load(key)?;
    let by = holder(&trust, &*signer, key)?;
    let verdict = match said.answer {
        ResolveAs::Succeeded => Verdict::Succeeded,
        ResolveAs::Failed => Verdict::Failed,
        ResolveAs::Retry => Verdict::Retry,
    };
    let Answer { reason, undo, .. } = said;
    let request = ResolveRequest { run: &run, step, undo, verdict, reason, signer: &*signer, by: by.clone() };
    let node = engine_resolve(engine, &request).await?;
    say!("{node}: {}, says {by}", verdict.as_str());
    say!("next: rectify resume {}", short(&run));
    Ok(exit::DONE)
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
