//! The edges that were written, between the steps of one target, and what becomes of them where a
//! step is left out.

use super::{Placed, Site, Waits};
use crate::{
    LeftOut, WhyLeftOut, codes,
    document::step::Reference,
    graph::{Link, Links},
    limits::GRAPH_EDGES_MAX,
    report::{Cx, Report},
};
use rectify_base::{Address, TargetName};
use rectify_model::graph::EdgeKind;
use std::{collections::BTreeSet, ops::Range};

/// As how many edges it counts to look behind a step that is left out, or not there.
const LEFT_OUT_COST: usize = 16;

/// The address of the step that a reference names, without keys.
fn named(waits: &Waits<'_>, reference: &Reference<'_>) -> String {
    if reference.text.contains('/') {
        reference.text.to_owned()
    } else {
        format!("{}{}", waits.base, reference.text)
    }
}

/// The items that a step became: itself, one of several, or what lies in its module. Items are sorted
/// by address.
fn found(items: &[Placed<'_>], address: &str) -> impl Iterator<Item = usize> + use<> {
    let range = |prefix: &str| -> Range<usize> {
        let start = items.partition_point(|p| p.item.address.as_str() < prefix);
        let length = items
            .get(start..)
            .unwrap_or_default()
            .partition_point(|p| p.item.address.as_str().starts_with(prefix));
        start..start + length
    };
    let own = items.binary_search_by(|p| p.item.address.as_str().cmp(address)).ok();
    own.into_iter().chain(range(&format!("{address}/"))).chain(range(&format!("{address}[\"")))
}

/// Leaves out what nothing can trigger: steps of which every trigger is left out. `budget` bounds the
/// work; [`links`] says so if it is used up.
pub(super) fn settle(
    target: &TargetName,
    site: &mut Site<'_>,
    left_out: &mut Vec<LeftOut>,
    budget: &mut usize,
) {
    if site.absent.is_empty() {
        return;
    }
    let mut triggers = vec![0_usize; site.items.len()];
    let mut triggered: Vec<Vec<usize>> = vec![Vec::new(); site.items.len()];
    let mut idle = Vec::new();
    for (to, placed) in site.items.iter().enumerate() {
        let mut count = 0;
        for reference in placed.waits.on_change {
            for from in found(&site.items, &named(&placed.waits, reference)) {
                let Some(rest) = budget.checked_sub(1) else { return };
                *budget = rest;
                count += 1;
                triggered.get_mut(from).into_iter().for_each(|list| list.push(to));
            }
        }
        triggers.get_mut(to).into_iter().for_each(|n| *n = count);
        if count == 0 && !placed.waits.on_change.is_empty() {
            idle.push(to);
        }
    }
    let mut gone = BTreeSet::new();
    while let Some(from) = idle.pop() {
        gone.insert(from);
        for to in triggered.get(from).into_iter().flatten() {
            let Some(count) = triggers.get_mut(*to) else { continue };
            *count -= 1;
            if *count == 0 {
                idle.push(*to);
            }
        }
    }
    let mut removed = Vec::new();
    let mut index = 0;
    site.items.retain(|placed| {
        let keep = !gone.contains(&index);
        index += 1;
        if !keep {
            removed.push((placed.declared(), placed.waits.clone()));
        }
        keep
    });
    for (address, waits) in removed {
        if found(&site.items, &address).next().is_some() {
            continue;
        }
        if let Ok(address) = Address::new(address.as_str()) {
            left_out.push(LeftOut { target: target.clone(), address, why: WhyLeftOut::NoTrigger });
        }
        site.absent.insert(address, waits);
    }
}

/// The edges. A step of another remediation that does not take part here orders nothing here; one that
/// is left out passes on what it would have waited for. `budget` is how many edges there may still be.
pub(super) fn links(site: &Site<'_>, budget: &mut usize, report: &mut Report) -> Option<Links> {
    let mut links = Links::default();
    for (to, placed) in site.items.iter().enumerate() {
        let calls = std::iter::successors(placed.waits.outer.as_deref(), |waits| waits.outer.as_deref());
        let of_calls = calls.map(|waits| (waits, EdgeKind::After, waits.after));
        let own = &placed.waits;
        let own = [(own, EdgeKind::After, own.after), (own, EdgeKind::OnChange, own.on_change)];
        for (waits, kind, references) in own.into_iter().chain(of_calls) {
            for reference in references {
                let mut open = vec![(named(waits, reference), kind)];
                let mut seen = BTreeSet::new();
                while let Some((address, kind)) = open.pop() {
                    let mut any = false;
                    for from in found(&site.items, &address) {
                        any = true;
                        spend(1, budget, placed, reference, report)?;
                        links.add(from, to, Link { kind, reason: None, span: Some(reference.span) });
                    }
                    if any || !seen.insert(address.clone()) {
                        continue;
                    }
                    spend(LEFT_OUT_COST, budget, placed, reference, report)?;
                    if let Some(waits) = site.absent.get(&address) {
                        let before = waits.after.iter().chain(waits.on_change);
                        open.extend(before.map(|r| (named(waits, r), EdgeKind::After)));
                    }
                }
            }
        }
    }
    Some(links)
}

fn spend(
    cost: usize,
    budget: &mut usize,
    placed: &Placed<'_>,
    reference: &Reference<'_>,
    report: &mut Report,
) -> Option<()> {
    match budget.checked_sub(cost) {
        Some(rest) => *budget = rest,
        None => {
            let cx = &mut Cx::new(placed.item.file, report);
            let message = format!("the graph has more than {GRAPH_EDGES_MAX} edges");
            cx.error(codes::GRAPH_TOO_LARGE, reference.span, message).help =
                Some("put a step between the two, for which one waits and the other is waited for".into());
            return None;
        }
    }
    Some(())
}
