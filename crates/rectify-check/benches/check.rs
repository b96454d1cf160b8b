//! Checking alone: a plan against graph and observations in memory, at three sizes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a benchmark")]

#[allow(dead_code)]
#[path = "../../rectify-plan/tests/it/fixture.rs"]
mod fixture;
#[allow(dead_code)]
#[path = "../../rectify-plan/tests/it/generate.rs"]
mod generate;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rectify_check::check;

fn checking(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("check");
    group.sample_size(10);
    for size in [100, 1_000, 10_000] {
        let documents = generate::large(size, true, true);
        let plan = documents.plan().expect("a plan").plan;
        group.throughput(Throughput::Elements(size as u64));
        group.bench_with_input(BenchmarkId::from_parameter(size), &size, |bencher, _| {
            bencher.iter(|| {
                let (graph, observations) = (&documents.graph, &documents.observations);
                let notes = check(&plan, graph, observations, documents.graph_digests);
                assert!(notes.is_empty());
            });
        });
    }
    group.finish();
}

criterion_group!(benches, checking);
criterion_main!(benches);
