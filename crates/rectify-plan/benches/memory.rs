//! Memory of planning alone: what is held at most between graph and observations in memory and plan
//! bytes in memory, the inputs not counted.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a benchmark")]
#![allow(clippy::print_stdout, reason = "a benchmark")]

#[path = "support/documents.rs"]
mod documents;

use documents::documents;
use peak_alloc::PeakAlloc;
use rectify_base::canonical;
use rectify_plan::{Input, ObservedDocument, plan};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

fn main() {
    println!("| steps | plan bytes a step | held at most, bytes a step |\n|---|---|---|");
    for size in [100, 1_000, 10_000, 100_000] {
        let (graph, graph_digests, observation, digests) = documents(size);
        let before = MEMORY.current_usage();
        MEMORY.reset_peak_usage();
        let observations = [ObservedDocument { observation: &observation, digests }];
        let planned = plan(&Input { graph: &graph, graph_digests, observations: &observations });
        let bytes = canonical::file_bytes(&planned.expect("a plan").plan).expect("canonical");
        let peak = MEMORY.peak_usage().saturating_sub(before);
        println!("| {size} | {} | {} |", bytes.len() / size, peak / size);
    }
}
