//! Graph, observation, plan and manifest as files.

use crate::{Target, seeds};
use rectify_apply::{Options, RunState};
use rectify_base::{FileDigests, canonical};
use rectify_check::check_alone;
use rectify_compile::SourceMap;
use rectify_model::{Graph, Observation, Plan, journal::UseId};
use rectify_plan::{ObservedDocument, Report, Walk};
use rectify_policy::{Clock, input};
use rectify_protocol::Manifest;
use rectify_sdk::Provider as _;
use serde::{Serialize, de::DeserializeOwned};
use std::{fmt::Debug, path::Path};

pub(super) const TARGET: Target = Target {
    name: "documents",
    holds: "a document that is read is written as it was read; a plan can be checked, shown, judged and begun without a panic",
    check,
    seeds,
    max_bytes: 65_536,
    replays: 20,
};

fn check(data: &[u8]) {
    if let Some(plan) = same::<Plan>(data) {
        check_plan(&plan);
    }
    if let Some(graph) = same::<Graph>(data) {
        for target in graph.targets.keys() {
            if let Ok(mut walk) = Walk::new(&graph, target) {
                assert!(walk.ready().iter().all(|item| graph.nodes[item.node].target == *target));
            }
        }
        let digests = FileDigests::of_bytes(data);
        let nothing: &[ObservedDocument<'_>] = &[];
        let planned = rectify_plan::plan(&rectify_plan::Input {
            graph: &graph,
            graph_digests: digests,
            observations: nothing,
        });
        assert!(planned.is_err(), "a plan without an observation");
    }
    same::<Observation>(data);
    same::<Manifest>(data);
    same::<Report>(data);
    same::<SourceMap>(data);
}

/// Reads a file. What was read is written so that it reads the same.
fn same<T: DeserializeOwned + Serialize + PartialEq + Debug>(data: &[u8]) -> Option<T> {
    let document: T = canonical::read_file(data).ok()?;
    let written = canonical::file_bytes(&document).expect("what was read is canonical");
    assert_eq!(canonical::read_file::<T>(&written).as_ref(), Ok(&document));
    Some(document)
}

fn check_plan(plan: &Plan) {
    let notes = check_alone(plan);
    assert_eq!(check_alone(plan), notes);
    let use_id = UseId::new("00112233445566778899aabbccddeeff").unwrap();
    let begun = RunState::new(plan, &use_id, 1_000, Options::default());
    if notes.is_empty() {
        assert!(begun.is_ok(), "sound by itself, and cannot be begun: {:?}", begun.err());
    }
    drop(canonical::check(&input(plan, &Clock::utc(1_800_000_000).into())));
    for details in [false, true] {
        let options = rectify_review::Options { details, ..rectify_review::Options::default() };
        let text = rectify_review::text(plan, &options);
        assert!(
            !text.contains(|c: char| c.is_control() && c != '\n'),
            "a control character is shown as it is"
        );
        let markdown = rectify_review::markdown(plan, rectify_review::Judgement::NotAsked, &options);
        assert!(!markdown.contains(|c: char| c.is_control() && c != '\n'));
        let length = markdown.encode_utf16().count() + markdown.lines().count();
        assert!(length <= options.size_max_chars, "{length} characters");
    }
}

fn seeds(conformance: &Path) -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> =
        seeds::files(&conformance.join("cases/plans/valid")).into_iter().map(|(_, bytes)| bytes).collect();
    all.push(rectify_provider_probe::provider().manifest().to_bytes().unwrap());
    all
}
