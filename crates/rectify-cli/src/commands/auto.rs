//! `apply --auto`: the same path in one go, for whoever may decide alone.

use super::{ask, page, run, signing};
use crate::{
    arguments::{Key, PlanFormat},
    diagnostics, exit,
    failure::Failure,
    say::{say, tell},
    words::count,
};
use rectify_engine::{Engine, EngineError, plan as planning};
use std::{fs, path::Path};

/// Where the plans lie, in the project: they are kept, as every plan that was applied should be.
const PLACE: &str = ".rectify/auto";

/// Plans, shows, asks, seals, applies.
pub async fn apply(engine: &Engine, at: &Path, key: Option<Key>, yes: bool) -> Result<u8, Failure> {
    let key = key.ok_or_else(|| Failure::usage("`apply --auto` seals the plan: name a key with --key"))?;
    let outcome = planning::plan(engine, at, None).await?;
    diagnostics::print(outcome.compiled.warnings(), &outcome.compiled.project.files);
    page::of_outcome(&outcome, PlanFormat::Text, true)?;
    say!("plan {}", outcome.digests.blake3);
    let undecided = outcome.undecided();
    if !undecided.is_empty() {
        let files = outcome.compiled.project.files;
        return Err(EngineError::Sources { diagnostics: undecided, files }.into());
    }
    let changes = outcome.plan.counts.changes();
    if changes == 0 {
        return Ok(exit::DONE);
    }
    let question = format!("apply {}?", count(changes, "change"));
    if !yes && !ask::agreed(&question, "say --yes to apply without asking")? {
        tell!("nothing was done");
        return Ok(exit::ERROR);
    }
    let place = at.join(PLACE);
    fs::create_dir_all(&place)
        .map_err(|e| Failure::plain(format!("cannot make {}: {e}", place.display())))?;
    let short: String = outcome.digests.blake3.hex().chars().take(16).collect();
    let plan = place.join(format!("{short}.plan.json"));
    planning::write(&outcome, &plan)?;
    let wanted = signing::Sealing {
        author: None,
        requester: None,
        lifetime_s: None,
        again: false,
        expecting: Vec::new(),
    };
    match signing::seal(engine, at, &plan, &key, wanted).await {
        // Sealed by an earlier attempt that was not applied: its approvals are still good.
        Err(Failure::Engine(error)) if matches!(*error, EngineError::Sealed { .. }) => {}
        sealed => {
            sealed?;
        }
    }
    let applied = run::apply(engine, at, &plan).await;
    if let Err(Failure::Engine(error)) = &applied
        && matches!(**error, EngineError::Refused { .. })
    {
        tell!("the sealed plan is {}; once it is approved, apply it by its name", plan.display());
    }
    applied
}
