//! Beginning, appending, ending and reading back.

use crate::support::{intent, node, open, place, run, succeeded, use_id, verified};
use rectify_model::journal::{Record, RunId, RunOutcome};
use rectify_store::{Journal as _, StoreError};
use std::os::unix::fs::PermissionsExt as _;

#[tokio::test]
async fn what_was_appended_is_there_after_reopening() {
    let place = place();
    let record = run(7, &["a", "b"]);
    let step = node("a", "web/config");
    let records: Vec<Record> =
        vec![verified("a"), verified("b"), intent(&record, &step, 1), succeeded(&step)];
    let journal = open(&place).await;
    journal.begin_run(&record).await.unwrap();
    assert_eq!(journal.append(&record.run, 10, records[..3].to_vec()).await.unwrap().seq, 3);
    assert_eq!(journal.append(&record.run, 11, records[3..].to_vec()).await.unwrap().seq, 4);
    journal.finish_run(&record.run, 12, RunOutcome::Succeeded, Some(b"receipt".to_vec())).await.unwrap();
    journal.close().await.unwrap();

    let loaded = open(&place).await.load_run(&record.run).await.unwrap();
    assert_eq!(loaded.view.run(), &record);
    let entries: Vec<(u64, u64, Record)> =
        loaded.entries.into_iter().map(|e| (e.seq, e.at_ms, e.record)).collect();
    let times = [10, 10, 10, 11];
    let expected: Vec<(u64, u64, Record)> =
        records.into_iter().zip(1..).zip(times).map(|((r, seq), at)| (seq, at, r)).collect();
    assert_eq!(entries, expected);
    assert_eq!(loaded.outcome, Some(RunOutcome::Succeeded));
    assert_eq!(loaded.finished_at_ms, Some(12));
    assert_eq!(loaded.receipt.as_deref(), Some(&b"receipt"[..]));
}

#[tokio::test]
async fn a_permission_is_one_run_per_target() {
    let place = place();
    let journal = open(&place).await;
    let first = run(1, &["a", "b"]);
    journal.begin_run(&first).await.unwrap();
    let again = journal.begin_run(&first).await.unwrap_err();
    assert_eq!(
        again,
        StoreError::UseTaken { target: "a".parse().unwrap(), run: first.run.clone(), outcome: None }
    );
    journal.finish_run(&first.run, 5, RunOutcome::Stale, None).await.unwrap();
    let overlapping = journal.begin_run(&run(1, &["b", "c"])).await.unwrap_err();
    let outcome = Some(RunOutcome::Stale);
    assert_eq!(
        overlapping,
        StoreError::UseTaken { target: "b".parse().unwrap(), run: first.run.clone(), outcome }
    );
    // The refused run left nothing behind, so its other target is still free.
    journal.begin_run(&run(1, &["c"])).await.unwrap();
    journal.begin_run(&run(2, &["a", "b"])).await.unwrap();
    assert_eq!(journal.list_runs(10).await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_run_that_may_be_resumed_takes_records_after_its_end_and_a_final_one_does_not() {
    for outcome in RunOutcome::ALL {
        let place = place();
        let journal = open(&place).await;
        let record = run(1, &["a"]);
        journal.begin_run(&record).await.unwrap();
        journal.finish_run(&record.run, 5, outcome, None).await.unwrap();
        journal.finish_run(&record.run, 6, outcome, None).await.unwrap();
        let appended = journal.append(&record.run, 7, vec![verified("a")]).await;
        let ended = journal.finish_run(&record.run, 8, RunOutcome::Succeeded, None).await;
        if outcome.is_final() {
            assert_eq!(appended, Err(StoreError::RunFinished { run: record.run.clone(), outcome }));
            assert_eq!(ended.is_ok(), outcome == RunOutcome::Succeeded);
        } else {
            assert_eq!((appended.map(|appended| appended.seq), ended), (Ok(1), Ok(())));
        }
    }
}

#[tokio::test]
async fn history_is_latest_first_and_limited() {
    let place = place();
    let journal = open(&place).await;
    for number in 1..=5 {
        journal.begin_run(&run(number, &["a"])).await.unwrap();
    }
    journal.append(&run(4, &["a"]).run, 1, vec![verified("a")]).await.unwrap();
    let history = journal.list_runs(3).await.unwrap();
    let uses: Vec<_> = history.iter().map(|summary| summary.run.use_id.clone()).collect();
    assert_eq!(uses, [use_id(5), use_id(4), use_id(3)]);
    assert_eq!(history.iter().map(|summary| summary.records).collect::<Vec<_>>(), [0, 1, 0]);
}

#[tokio::test]
async fn a_refused_submission_leaves_nothing_and_harms_no_neighbour() {
    let place = place();
    let journal = open(&place).await;
    let record = run(1, &["a"]);
    let (one, two) = (node("a", "web/one"), node("a", "web/two"));
    journal.begin_run(&record).await.unwrap();
    journal.append(&record.run, 1, vec![verified("a"), intent(&record, &one, 1)]).await.unwrap();
    let missing = RunId::new("0".repeat(64)).unwrap();
    // All three are likely to share a transaction; the answers must not.
    let (twice, fine, unknown) = tokio::join!(
        journal.append(&record.run, 2, vec![succeeded(&one), intent(&record, &one, 1)]),
        journal.append(&record.run, 3, vec![intent(&record, &two, 1)]),
        journal.append(&missing, 4, vec![verified("a")]),
    );
    assert!(matches!(twice, Err(StoreError::IntentTwice { attempt: 1, .. })), "{twice:?}");
    assert_eq!(fine.map(|appended| appended.seq), Ok(3));
    assert_eq!(unknown, Err(StoreError::RunUnknown { run: missing }));
    let loaded = journal.load_run(&record.run).await.unwrap();
    assert_eq!(loaded.entries.len(), 3);
    assert_eq!(loaded.view.open().count(), 2);
}

#[tokio::test]
async fn two_processes_may_share_a_journal() {
    let place = place();
    let (one, two) = (open(&place).await, open(&place).await);
    let (first, second) = (run(1, &["a"]), run(2, &["b"]));
    let (a, b) = tokio::join!(one.begin_run(&first), two.begin_run(&second));
    assert_eq!((a, b), (Ok(()), Ok(())));
    assert!(matches!(two.begin_run(&first).await, Err(StoreError::UseTaken { .. })));
    assert_eq!(one.list_runs(9).await.unwrap(), two.list_runs(9).await.unwrap());
}

#[tokio::test]
async fn all_files_and_the_directory_are_private() {
    let place = place();
    let journal = open(&place).await;
    journal.begin_run(&run(1, &["a"])).await.unwrap();
    let directory = place.path.parent().unwrap();
    assert_eq!(directory.metadata().unwrap().permissions().mode() & 0o7777, 0o700);
    let files: Vec<_> = directory.read_dir().unwrap().map(|entry| entry.unwrap()).collect();
    assert!(files.len() >= 2, "the write-ahead log is a file of its own");
    for file in files {
        let mode = file.metadata().unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode, 0o600, "{}", file.path().display());
    }
}
