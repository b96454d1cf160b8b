//! Group commit.

use crate::support::{intent, node, open, place, run, verified};
use rectify_store::Journal as _;
use std::sync::Arc;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_appends_share_transactions() {
    const APPENDS: u64 = 64;
    let place = place();
    let journal = Arc::new(open(&place).await);
    let record = Arc::new(run(1, &["a"]));
    journal.begin_run(&record).await.unwrap();
    journal.append(&record.run, 0, vec![verified("a")]).await.unwrap();
    let before = journal.stats();
    let tasks: Vec<_> = (0..APPENDS)
        .map(|n| {
            let (journal, record) = (Arc::clone(&journal), Arc::clone(&record));
            tokio::spawn(async move {
                let step = node("a", &format!("web/s{n}"));
                journal.append(&record.run, n, vec![intent(&record, &step, 1)]).await.unwrap().seq
            })
        })
        .collect();
    let mut numbers = Vec::new();
    for task in tasks {
        numbers.push(task.await.unwrap());
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (2..APPENDS + 2).collect::<Vec<_>>(), "one place in the run for each");
    let after = journal.stats();
    assert_eq!(after.submissions - before.submissions, APPENDS);
    let transactions = after.transactions - before.transactions;
    assert!(transactions < APPENDS, "{transactions} transactions for {APPENDS} appends");
}

#[tokio::test]
async fn closing_stores_what_was_submitted() {
    let place = place();
    let journal = open(&place).await;
    let record = run(1, &["a"]);
    journal.begin_run(&record).await.unwrap();
    for n in 0..10 {
        journal.append(&record.run, n, vec![verified("a")]).await.unwrap();
    }
    journal.close().await.unwrap();
    assert_eq!(open(&place).await.load_run(&record.run).await.unwrap().entries.len(), 10);
}
