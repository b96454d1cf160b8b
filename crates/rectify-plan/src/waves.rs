//! The order of targets: with more than one, the first that changes goes alone, then all others.
//! So a plan that is bad everywhere is seen to be bad on one.

use crate::report::{WaveEntry, WaveReason};
use rectify_base::TargetName;
use std::collections::BTreeSet;

/// Splits the targets, sorted by name, into waves.
pub(crate) fn waves<'a>(
    targets: impl Iterator<Item = &'a TargetName>,
    changing: &BTreeSet<&TargetName>,
) -> Vec<WaveEntry> {
    let all: Vec<TargetName> = targets.cloned().collect();
    if all.len() < 2 {
        return vec![WaveEntry { targets: all, reason: WaveReason::Only }];
    }
    let first = all.iter().find(|target| changing.contains(target)).or(all.first()).cloned();
    let rest = all.into_iter().filter(|target| Some(target) != first.as_ref()).collect();
    vec![
        WaveEntry { targets: first.into_iter().collect(), reason: WaveReason::First },
        WaveEntry { targets: rest, reason: WaveReason::Rest },
    ]
}
