//! Group commit.

use crate::support::{agree, export, intent, node, open, place, run, verified};
use rectify_model::journal::{Record, RunMark, RunOutcome};
use rectify_store::{Journal as _, StoreError};
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

/// A journal knows where its last transaction ended. What another process did since counts all the same.
#[tokio::test]
async fn another_writer_between_two_appends_is_noticed() {
    let place = place();
    let (ours, theirs) = (open(&place).await, open(&place).await);
    let (first, second) = (run(1, &["a"]), run(2, &["b"]));
    ours.begin_run(&first).await.unwrap();
    theirs.begin_run(&second).await.unwrap();
    for n in 0..5 {
        assert_eq!(ours.append(&first.run, n, vec![verified("a"); 2]).await.unwrap().seq, 2 * n + 2);
        if n % 2 == 0 {
            assert_eq!(theirs.append(&second.run, n, vec![verified("b")]).await.unwrap().seq, n / 2 + 1);
        }
    }
    // In the same run: the numbers go on after theirs.
    theirs.append(&first.run, 5, vec![verified("a")]).await.unwrap();
    assert_eq!(ours.append(&first.run, 6, vec![verified("a")]).await.unwrap().seq, 12);
    let step = node("a", "web/s");
    theirs.append(&first.run, 7, vec![intent(&first, &step, 1)]).await.unwrap();
    let twice = ours.append(&first.run, 8, vec![intent(&first, &step, 1)]).await.unwrap_err();
    assert!(matches!(twice, StoreError::IntentTwice { .. }), "{twice}");
    ours.append(&first.run, 9, vec![verified("a")]).await.unwrap();
    // Somebody takes the run over.
    let resumed = Record::Run(RunMark::Resumed { fence: 2 });
    theirs.append(&first.run, 10, vec![resumed]).await.unwrap();
    let fenced = ours.append(&first.run, 11, vec![verified("a")]).await.unwrap_err();
    assert!(matches!(fenced, StoreError::Fenced { fence: 1, current: 2, .. }), "{fenced}");
    // Or ends it.
    theirs.append(&second.run, 12, vec![verified("b")]).await.unwrap();
    ours.finish_run(&second.run, 13, RunOutcome::Undone, None).await.unwrap();
    let over = theirs.append(&second.run, 14, vec![verified("b")]).await.unwrap_err();
    assert!(matches!(over, StoreError::RunFinished { .. }), "{over}");
    assert_eq!(ours.load_run(&first.run).await.unwrap().entries.len(), 15);
    agree(&export(&ours).await);
}

/// What fails in the middle of the quick way leaves nothing, and the next one is stored.
#[tokio::test]
async fn a_group_that_is_refused_at_a_known_end_leaves_the_next_one_alone() {
    let place = place();
    let journal = open(&place).await;
    let record = run(1, &["a"]);
    journal.begin_run(&record).await.unwrap();
    let step = node("a", "web/s");
    journal.append(&record.run, 1, vec![intent(&record, &step, 1)]).await.unwrap();
    let both = vec![verified("a"), intent(&record, &step, 1)];
    let error = journal.append(&record.run, 2, both).await.unwrap_err();
    assert!(matches!(error, StoreError::IntentTwice { .. }), "{error}");
    assert_eq!(journal.append(&record.run, 3, vec![verified("a")]).await.unwrap().seq, 2);
    agree(&export(&journal).await);
}
