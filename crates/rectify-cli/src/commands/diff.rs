//! `diff` of two plans: what changed, since it was approved for instance.

use super::project::out;
use crate::{arguments::DiffFormat, exit, failure::Failure};
use rectify_attest::PrincipalName;
use rectify_engine::{
    Engine,
    artifact::{Artifact, ENDING, document},
    review, show,
};
use rectify_model::Plan;
use rectify_review::{
    Options,
    compare::{compare, markdown, text},
};
use std::{path::Path, sync::Arc};

/// How a difference is printed.
pub struct Wanted {
    /// In which form.
    pub format: DiffFormat,
    /// Everything in full.
    pub details: bool,
    /// Exit with 2 if there is a difference.
    pub detailed_exitcode: bool,
}

/// The two plans that are compared, if the words are plans.
pub fn subjects(
    engine: &Engine,
    words: &[String],
    since_approved: bool,
    by: Option<&str>,
) -> Result<Option<[Artifact; 2]>, Failure> {
    let plans = words.iter().filter(|word| word.ends_with(ENDING)).count();
    match words {
        [after] if since_approved && plans == 1 => {
            let by = by.map(PrincipalName::new).transpose().map_err(|e| Failure::usage(e.to_string()))?;
            let after = Artifact::read(Path::new(after))?;
            let before = review::last_approved(engine, &after, by.as_ref())?;
            Ok(Some([before, after]))
        }
        _ if since_approved => Err(Failure::usage("`diff --since-approved` takes one plan, the new one")),
        [before, after] if plans == 2 => {
            Ok(Some([Artifact::read(Path::new(before))?, Artifact::read(Path::new(after))?]))
        }
        _ if plans == 0 => Ok(None),
        _ => Err(Failure::usage(
            "`diff` compares two plans; for one, say --since-approved, or name the other one, too",
        )),
    }
}

/// Prints what changed between two plans.
pub fn of_plans([before, after]: &[Artifact; 2], wanted: &Wanted) -> Result<u8, Failure> {
    let (old, new) = (sound(before)?, sound(after)?);
    let comparison = compare((&old, before.digests), (&new, after.digests));
    let options = Options { details: wanted.details, ..Options::default() };
    match wanted.format {
        DiffFormat::Text => out(text(&old, &new, &comparison, &options).as_bytes())?,
        DiffFormat::Json => out(&document(&comparison)?)?,
        DiffFormat::Markdown => out(markdown(&old, &new, &comparison, &options).as_bytes())?,
    }
    let another = !comparison.differences.is_empty();
    Ok(if wanted.detailed_exitcode && another { exit::CHANGES } else { exit::DONE })
}

fn sound(artifact: &Artifact) -> Result<Arc<Plan>, Failure> {
    let plan = artifact.plan()?;
    show::check(artifact, &plan)?;
    Ok(plan)
}
