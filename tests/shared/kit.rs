//! The conformance kit on a provider, and what is told of it in docs/conformance.md.

use rectify_conform::{Kit, Outcome, Row};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What came of the checks of a provider.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tally {
    pub passed: usize,
    pub failed: usize,
    pub skipped: usize,
    /// Why they were skipped, the commonest reason first.
    pub why: String,
}

/// Runs the checks. So that a busy machine does not decide, what failed is tried once more, by itself. `Err` is
/// what failed twice.
pub fn rows(mut kit: Kit) -> Result<Vec<Row>, String> {
    let first = kit.run().unwrap();
    if first.conforms() {
        return Ok(first.rows);
    }
    let doubtful = first.rows.iter().filter(|row| row.outcome == Outcome::Fail);
    kit.only = doubtful.map(|row| row.check.clone()).collect();
    kit.jobs = 1;
    let again = kit.run().unwrap();
    if !again.conforms() {
        return Err(format!("twice:\n{}{}", first.table(false), again.table(false)));
    }
    let kept = first.rows.into_iter().filter(|row| !kit.only.contains(&row.check));
    Ok(kept.chain(again.rows).collect())
}

impl Tally {
    /// Sums of results, of which none lacks fixtures.
    pub fn of(name: &str, rows: &[Row]) -> Self {
        let count = |outcome| rows.iter().filter(|row| row.outcome == outcome).count();
        let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
        for row in rows.iter().filter(|row| row.outcome == Outcome::Skip) {
            let reason = row.reason.as_deref().expect("nothing is skipped without a reason");
            assert_ne!(reason, "there are no fixtures for it", "{name}: {:?} has no fixtures", row.subject);
            *reasons.entry(reason).or_default() += 1;
        }
        let mut reasons: Vec<_> = reasons.into_iter().collect();
        reasons.sort_by_key(|(reason, count)| (usize::MAX - count, *reason));
        let reasons: Vec<String> =
            reasons.into_iter().map(|(reason, count)| format!("{count} {reason}")).collect();
        Self {
            passed: count(Outcome::Pass),
            failed: count(Outcome::Fail),
            skipped: count(Outcome::Skip),
            why: reasons.join("<br>"),
        }
    }
}
