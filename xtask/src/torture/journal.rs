//! What `rectify history` tells of runs, as far as it is judged here.

use super::area::Area;
use std::collections::BTreeMap;

/// A run in the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The beginning of its id.
    pub id: String,
    /// How it ended; `not finished` if it has not.
    pub outcome: String,
}

/// One run with its records.
#[derive(Clone, Debug, Default)]
pub struct Journal {
    /// Everything, as it was printed.
    pub text: String,
    /// How it ended.
    pub outcome: String,
    /// Sequence numbers.
    pub seqs: Vec<u64>,
    /// Fences, in the order in which they were taken.
    pub fences: Vec<u64>,
    /// What is known last of each step.
    pub steps: BTreeMap<String, Known>,
    /// What is known last of taking each step back.
    pub back: BTreeMap<String, Known>,
}

/// What the last record of a step says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// It may act, and nobody knows more.
    Intent,
    /// Whether it acted is not known.
    Unknown,
    /// It came to an end.
    Ended,
}

/// The exit code of an outcome, as documented.
pub fn exit_code(outcome: &str) -> Option<i32> {
    Some(match outcome {
        "succeeded" => 0,
        "failed" | "undone" => 1,
        "stale" => 4,
        "partially_applied" => 5,
        "undo_failed" => 6,
        "needs_operator" => 7,
        "cancelled" | "interrupted" => 130,
        _ => return None,
    })
}

/// All runs, newest first.
pub fn runs(area: &Area) -> Result<Vec<Run>, String> {
    let ran = area.expect(0, &["history"])?;
    let run = |line: &str| {
        let mut words = line.split("  ").filter(|word| !word.is_empty());
        let (_, id, outcome) = (words.next()?, words.next()?, words.next()?);
        Some(Run { id: id.trim().into(), outcome: outcome.trim().into() })
    };
    Ok(ran.stdout.lines().filter_map(run).collect())
}

/// One run.
pub fn journal(area: &Area, run: &str) -> Result<Journal, String> {
    let text = area.expect(0, &["history", run])?.stdout;
    let mut journal = Journal { text: text.clone(), ..Journal::default() };
    for (index, line) in text.lines().enumerate() {
        if index == 0 {
            journal.outcome = line.rsplit_once(": ").map(|(_, outcome)| outcome.into()).unwrap_or_default();
            continue;
        }
        let mut words = line.trim_start().splitn(3, "  ");
        let (Some(seq), Some(_), Some(what)) = (words.next(), words.next(), words.next()) else { continue };
        journal.seqs.push(seq.parse().map_err(|e| format!("history: {line:?}: {e}"))?);
        if let Some(fence) = what.strip_prefix("resumed, fence ") {
            journal.fences.push(fence.trim().parse().map_err(|e| format!("history: {line:?}: {e}"))?);
        }
        let Some((node, state)) = what.split_once(": ") else { continue };
        let (states, state) = match state.strip_prefix("undo: ").or_else(|| state.strip_prefix("undo ")) {
            Some(state) => (&mut journal.back, state),
            None if ["undone", "kept"].iter().any(|word| state.starts_with(word)) => {
                (&mut journal.back, state)
            }
            None => (&mut journal.steps, state),
        };
        let known = match state.split([' ', ':', ',']).next().unwrap_or_default() {
            "intent" => Known::Intent,
            "unknown" => Known::Unknown,
            "succeeded" | "failed" | "stale" | "skipped" | "undone" | "kept" | "refused" => Known::Ended,
            // Targets, gates and what people said.
            _ => continue,
        };
        states.insert(node.to_owned(), known);
    }
    Ok(journal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_has_its_code() {
        assert_eq!(exit_code("succeeded"), Some(0));
        assert_eq!(exit_code("not finished"), None);
    }
}
