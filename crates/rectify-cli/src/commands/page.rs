//! A plan in each of its forms: what `plan` and `show` know of it, put together for its readers.

use super::project::out;
use crate::{arguments::PlanFormat, failure::Failure};
use rectify_attest::{Kind, moment};
use rectify_engine::{
    Engine,
    artifact::Artifact,
    gate::Verdict,
    plan::PlanOutcome,
    review::{Said, Statement, statements},
};
use rectify_model::{Decision, Plan};
use rectify_review::{Judgement, Options, Review, Standing, Voucher, html, markdown, text};
use std::path::Path;

/// A fresh plan: policy was just asked, and nobody vouches for it yet.
pub fn of_outcome(outcome: &PlanOutcome, format: PlanFormat, details: bool) -> Result<(), Failure> {
    print(&review(outcome), &outcome.bytes, format, details)
}

/// Writes the page of a fresh plan to a file.
pub fn write(outcome: &PlanOutcome, path: &Path) -> Result<(), Failure> {
    std::fs::write(path, html(&review(outcome)))
        .map_err(|error| Failure::plain(format!("cannot write {}: {error}", path.display())))
}

fn review(outcome: &PlanOutcome) -> Review<'_> {
    let judgement = match &outcome.verdict {
        Verdict::Nothing => Judgement::Nothing,
        Verdict::Decided(decision) => Judgement::Decided { decision, source: "when the plan was made" },
        Verdict::Undecided { code, message } => Judgement::Undecided { code: code.as_str(), message },
    };
    let (plan, report) = (&outcome.plan, Some(&outcome.report));
    Review { plan, digests: outcome.digests, report, judgement, vouchers: &[] }
}

/// A recorded plan, with what lies beside it.
pub fn of_artifact(
    engine: &Engine,
    artifact: &Artifact,
    plan: &Plan,
    format: PlanFormat,
    details: bool,
) -> Result<(), Failure> {
    if matches!(format, PlanFormat::Text | PlanFormat::Json) {
        // These show the plan alone.
        let (digests, judgement) = (artifact.digests, Judgement::NotAsked);
        let review = Review { plan, digests, report: None, judgement, vouchers: &[] };
        return print(&review, artifact.bytes(), format, details);
    }
    let statements = statements(engine, artifact)?;
    let vouchers: Vec<Voucher> = statements.iter().map(voucher).collect();
    // The page is whole without the report, which is no part of the plan.
    let report = artifact.report().ok();
    let recorded = statements.iter().find_map(recorded);
    let judgement = match &recorded {
        Some((decision, source)) => Judgement::Decided { decision, source },
        None if plan.counts.changes() == 0 => Judgement::Nothing,
        None => Judgement::NotAsked,
    };
    let (report, digests) = (report.as_ref(), artifact.digests);
    let review = Review { plan, digests, report, judgement, vouchers: &vouchers };
    print(&review, artifact.bytes(), format, details)
}

fn print(review: &Review<'_>, bytes: &[u8], format: PlanFormat, details: bool) -> Result<(), Failure> {
    let options = Options { details, ..Options::default() };
    match format {
        PlanFormat::Text => out(text(review.plan, &options).as_bytes()),
        PlanFormat::Markdown => out(markdown(review.plan, review.judgement, &options).as_bytes()),
        PlanFormat::Html => out(html(review).as_bytes()),
        PlanFormat::Json => out(bytes),
    }
}

/// The overrides beside a plan, as a part of its text or Markdown; nothing if there is none.
pub fn overrides(engine: &Engine, artifact: &Artifact, format: PlanFormat) -> Result<String, Failure> {
    let mut text = String::new();
    for statement in statements(engine, artifact)? {
        let Some(Said::Override(said)) = &statement.said else { continue };
        let rules = said.rules.iter().cloned().collect::<Vec<_>>().join(", ");
        let standing = match &statement.signers {
            Ok(_) => String::new(),
            Err(why) => format!("; signature NOT verified: {why}"),
        };
        let line = format!(
            "OVERRIDES POLICY: {rules}, by {}, until {}: {}{standing}",
            said.by,
            moment(said.expires_at),
            said.reason
        );
        text.push_str(&match format {
            PlanFormat::Markdown => {
                format!("\n> **{}**\n", rectify_review::inline(&rectify_review::visible(&line)))
            }
            _ => format!("{}\n", rectify_review::visible(&line)),
        });
    }
    Ok(text)
}

fn recorded(statement: &Statement) -> Option<(&Decision, String)> {
    let Some(Said::Decision(record)) = &statement.said else { return None };
    let when = moment(record.evaluated_at);
    let source = match &statement.signers {
        Ok(_) => format!("when the plan was sealed, at {when}"),
        Err(_) => format!("at {when}, as {} claims, whose signature is NOT verified", statement.file),
    };
    Some((&record.decision, source))
}

fn voucher(statement: &Statement) -> Voucher {
    let standing = match &statement.signers {
        Ok(signers) => Standing::Verified(
            signers.iter().map(|signer| format!("{} with {}", signer.principal, signer.keyid)).collect(),
        ),
        Err(why) => Standing::Unverified(why.clone()),
    };
    let says: Vec<(&str, String)> = match &statement.said {
        None => Vec::new(),
        Some(Said::Decision(record)) => vec![
            ("decided", moment(record.evaluated_at)),
            ("allowed", if record.decision.allowed { "yes" } else { "NO" }.into()),
        ],
        Some(Said::Seal(seal)) => vec![
            ("written by", seal.author.to_string()),
            ("asked for by", seal.requester.to_string()),
            ("valid from", moment(seal.not_before)),
            ("expires", moment(seal.expires_at)),
            ("scope", format!("{}, generation {}", seal.scope, seal.generation)),
            ("use", seal.use_id.to_string()),
            ("sources", seal.sources.to_string()),
        ],
        Some(Said::Override(said)) => vec![
            ("OVERRIDES", said.rules.iter().cloned().collect::<Vec<_>>().join(", ")),
            ("by", said.by.to_string()),
            ("reason", said.reason.clone()),
            ("expires", moment(said.expires_at)),
            ("for use", said.use_id.to_string()),
        ],
        Some(Said::Approval(approval)) => {
            let mut says = vec![
                ("approver", approval.approver.to_string()),
                ("verdict", format!("{:?}", approval.verdict).to_lowercase()),
                ("expires", moment(approval.expires_at)),
                ("for use", approval.use_id.to_string()),
            ];
            says.extend(approval.reason.iter().map(|reason| ("reason", reason.clone())));
            says
        }
    };
    Voucher {
        file: statement.file.clone(),
        kind: statement.kind.map_or("not readable", Kind::as_str).to_owned(),
        standing,
        says: says.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
    }
}
