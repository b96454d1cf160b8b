//! Planning alone: graph and observations in memory, plan bytes out, at four sizes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a benchmark")]

#[path = "support/documents.rs"]
mod documents;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use documents::documents;
use rectify_base::canonical;
use rectify_plan::{Input, ObservedDocument, plan};

fn planning(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("plan");
    group.sample_size(10);
    for size in [100, 1_000, 10_000, 100_000] {
        let (graph, graph_digests, observation, digests) = documents(size);
        group.throughput(Throughput::Elements(size as u64));
        group.bench_with_input(BenchmarkId::from_parameter(size), &size, |bencher, _| {
            bencher.iter(|| {
                let observations = [ObservedDocument { observation: &observation, digests }];
                let planned = plan(&Input { graph: &graph, graph_digests, observations: &observations });
                canonical::file_bytes(&planned.expect("a plan").plan).expect("canonical")
            });
        });
    }
    group.finish();
}

criterion_group!(benches, planning);
criterion_main!(benches);
