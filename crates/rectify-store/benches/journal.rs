//! How fast the journal takes records, on the disk under the temporary directory: one at a time, and
//! 16 in flight, in turns; and how fast the audit log verifies. `cargo bench -p rectify-store`.
//! Never a test: it prints, and says itself what it should be.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

#[path = "../tests/it/support.rs"]
#[allow(dead_code)]
mod support;

use rectify_audit::{Anchors, verify};
use rectify_store::{Journal as _, SqliteJournal};
use std::{sync::Arc, time::Instant};
use support::{export, intent, node, open, place, run, verified};

const APPENDS: u64 = 640;
const ROUNDS: usize = 5;
const BATCH: u32 = 5_000;

async fn appends(journal: &Arc<SqliteJournal>, round: usize, in_flight: u64) -> f64 {
    let record = Arc::new(run(1, &["a"]));
    let start = Instant::now();
    let tasks: Vec<_> = (0..in_flight)
        .map(|lane| {
            let (journal, record) = (Arc::clone(journal), Arc::clone(&record));
            tokio::spawn(async move {
                for n in 0..APPENDS / in_flight {
                    let step = node("a", &format!("web/r{round}-{in_flight}-{lane}-{n}"));
                    journal.append(&record.run, n, vec![intent(&record, &step, 1)]).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    APPENDS as f64 / start.elapsed().as_secs_f64()
}

/// What this thread has had of a core, in seconds: other work on the machine does not count.
fn core_seconds() -> f64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let place = place();
        let journal = Arc::new(open(&place).await);
        let record = run(1, &["a"]);
        journal.begin_run(&record).await.unwrap();
        journal.append(&record.run, 0, vec![verified("a")]).await.unwrap();
        let (mut lone, mut grouped) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            lone.push(appends(&journal, round, 1).await);
            grouped.push(appends(&journal, round, 16).await);
        }
        let ratios = lone.iter().zip(&grouped).map(|(lone, grouped)| grouped / lone).collect();
        let (lone, grouped, ratio) = (median(lone), median(grouped), median(ratios));
        println!(
            "journal: {lone:.0} records/s one at a time, {grouped:.0} with 16 in flight: {ratio:.2} times"
        );
        println!("  at least 1.50 times is wanted: {}", if ratio >= 1.5 { "good" } else { "MISSED" });

        // One transaction, so that what a record costs is not the sync.
        let batch: Vec<_> =
            (0..BATCH).map(|n| intent(&record, &node("a", &format!("web/batch-{n}")), 1)).collect();
        let start = Instant::now();
        journal.append(&record.run, 0, batch).await.unwrap();
        let cost = start.elapsed().as_secs_f64() * 1e6 / f64::from(BATCH);
        println!("  {cost:.0} µs a record in one transaction of {BATCH}, with its record in the audit log");

        let start = Instant::now();
        let bytes = export(&journal).await;
        let exported = start.elapsed().as_secs_f64();
        let rates = (0..ROUNDS).map(|_| {
            let start = core_seconds();
            let report = verify(&bytes, Anchors::default());
            assert!(report.good(), "{report:?}");
            report.records as f64 / (core_seconds() - start)
        });
        let rate = median(rates.collect());
        let records = journal.head().await.unwrap().size;
        println!(
            "audit: {records} records, exported at {:.0} records/s, verified with bodies at {rate:.0} records/s of one core",
            records as f64 / exported
        );
        println!("  at least 50,000 records/s are wanted: {}", if rate >= 5e4 { "good" } else { "MISSED" });
    });
}
