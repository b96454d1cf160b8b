//! The audit log that the journal keeps.

use crate::support::{export, holder, intent, node, open, place, run, scopes, succeeded, verified};
use ed25519_dalek::{Signer as _, SigningKey};
use rectify_attest::{PublicKey, SignError, Signer};
use rectify_audit::{Action, Actor, ActorKind, Anchors, checkpoint, export as format, record::Act, verify};
use rectify_model::journal::{Record, RunMark, RunOutcome};
use rectify_store::{APPLICATION_ID, Journal as _, SqliteJournal, StoreError, VERSION};
use sqlx::{ConnectOptions as _, Connection as _, sqlite::SqliteConnectOptions};
use std::{fs, os::unix::fs::PermissionsExt as _};

struct Key(SigningKey);

impl Signer for Key {
    fn public_key(&self) -> PublicKey {
        PublicKey::from_bytes(self.0.verifying_key().as_bytes()).unwrap()
    }

    fn sign(&self, bytes: &[u8]) -> Result<[u8; 64], SignError> {
        Ok(self.0.sign(bytes).to_bytes())
    }
}

fn actions(bytes: &[u8]) -> Vec<(Action, ActorKind)> {
    let lines = bytes.split_inclusive(|byte| *byte == b'\n').skip(1);
    lines
        .map(|line| {
            let record = format::read(line.strip_suffix(b"\n").unwrap()).unwrap().record;
            (record.action, record.actor.kind)
        })
        .collect()
}

#[tokio::test]
async fn each_act_is_one_record_that_verifies_against_a_checkpoint() {
    let place = place();
    let key = Key(SigningKey::from_bytes(&[7; 32]));
    let journal = open(&place).await;
    journal.act_as(Actor { keyid: Some(key.public_key().fingerprint()), ..Actor::executor() });
    let fence = journal.acquire(&scopes(&["aa"]), &holder(1, true), 1).await.unwrap();
    let record = run(1, &["a"]);
    let step = node("a", "web/config");
    journal.begin_run(&record).await.unwrap();
    journal.append(&record.run, 2, vec![verified("a"), intent(&record, &step, 1)]).await.unwrap();
    let early = checkpoint::sign(&journal.head().await.unwrap(), &key).unwrap();
    journal.put_checkpoint(3, early.clone()).await.unwrap();
    journal.append(&record.run, 3, vec![succeeded(&step)]).await.unwrap();
    journal.finish_run(&record.run, 4, RunOutcome::Succeeded, None).await.unwrap();
    journal.finish_run(&record.run, 5, RunOutcome::Succeeded, Some(b"receipt".to_vec())).await.unwrap();
    journal.break_lease("aa", fence, &Actor::person("ann"), 6).await.unwrap();
    journal
        .note(7, Act::new(Action::AdmissionRefused), Some(b"{\"codes\":[\"seal-expired\"]}".to_vec()))
        .await
        .unwrap();
    // Renewing and keeping a checkpoint are not acts.
    assert!(journal.renew(&scopes(&["aa"]), fence, 8).await.is_err());
    let note = checkpoint::sign(&journal.head().await.unwrap(), &key).unwrap();
    journal.put_checkpoint(9, note.clone()).await.unwrap();
    journal.put_checkpoint(9, note.clone()).await.unwrap();
    let kept = journal.checkpoints(9).await.unwrap();
    let seen: Vec<_> = kept.iter().map(|kept| (kept.size, kept.at_ms, &kept.note)).collect();
    assert_eq!(seen, [(10, 9, &note), (5, 3, &early)]);

    let bytes = export(&journal).await;
    let executor = ActorKind::Executor;
    assert_eq!(
        actions(&bytes),
        [
            (Action::LogStarted, executor),
            (Action::LeaseAcquired, executor),
            (Action::RunAdmitted, executor),
            (Action::TargetVerified, executor),
            (Action::StepIntent, executor),
            (Action::StepSucceeded, executor),
            (Action::RunEnded, executor),
            (Action::ReceiptKept, executor),
            (Action::LeaseBroken, ActorKind::Person),
            (Action::AdmissionRefused, executor),
        ]
    );
    let anchors = Anchors { checkpoint: Some(&note), since: Some(&early), key: Some(key.public_key()) };
    let report = verify(&bytes, anchors);
    assert_eq!((report.anchored, report.runs, report.open_runs), (10, 1, 0), "{report:?}");
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.contains(&key.public_key().fingerprint()));

    let mut without = Vec::new();
    let mut sink = |line: &[u8]| {
        without.extend_from_slice(line);
        Ok(())
    };
    journal.export(Some(key.public_key()), false, &mut sink).await.unwrap();
    assert!(verify(&without, anchors).good());
    assert!(without.len() < text.len());
}

#[tokio::test]
async fn what_is_refused_leaves_no_record_and_the_chain_goes_on() {
    let place = place();
    let journal = open(&place).await;
    let record = run(1, &["a"]);
    journal.begin_run(&record).await.unwrap();
    let (one, two) = (node("a", "web/one"), node("a", "web/two"));
    journal.append(&record.run, 1, vec![verified("a"), intent(&record, &one, 1)]).await.unwrap();
    // Likely one transaction: the refused one has a good record before its bad one.
    let (refused, fine) = tokio::join!(
        journal.append(&record.run, 2, vec![intent(&record, &two, 1), intent(&record, &one, 1)]),
        journal.append(&record.run, 3, vec![succeeded(&one)]),
    );
    assert!(matches!(refused, Err(StoreError::IntentTwice { .. })), "{refused:?}");
    fine.unwrap();
    let report = verify(&export(&journal).await, Anchors::default());
    assert_eq!((report.records, report.finding), (5, None));
}

#[tokio::test]
async fn two_processes_write_one_log() {
    let place = place();
    let (one, two) = (open(&place).await, open(&place).await);
    for number in 0..10 {
        let (a, b) = (run(2 * number + 1, &["a"]), run(2 * number + 2, &["b"]));
        let (a, b) = tokio::join!(one.begin_run(&a), two.begin_run(&b));
        a.unwrap();
        b.unwrap();
    }
    assert_eq!(one.head().await.unwrap(), two.head().await.unwrap());
    let report = verify(&export(&two).await, Anchors::default());
    assert_eq!((report.records, report.runs, report.finding), (21, 20, None));
}

#[tokio::test]
async fn a_resumed_run_is_not_ended_until_it_ends_again() {
    let place = place();
    let journal = open(&place).await;
    let record = run(1, &["a"]);
    journal.begin_run(&record).await.unwrap();
    journal.finish_run(&record.run, 1, RunOutcome::Interrupted, None).await.unwrap();
    let resumed = Record::Run(RunMark::Resumed { fence: 2 });
    journal.append(&record.run, 2, vec![resumed]).await.unwrap();
    assert_eq!(journal.list_runs(1).await.unwrap()[0].outcome, None);
    journal.append(&record.run, 3, vec![verified("a")]).await.unwrap();
    journal.finish_run(&record.run, 4, RunOutcome::Succeeded, None).await.unwrap();
    let lower = Record::Run(RunMark::Resumed { fence: 2 });
    assert!(journal.append(&record.run, 5, vec![lower]).await.is_err());
    assert!(verify(&export(&journal).await, Anchors::default()).good());
}

#[tokio::test]
async fn a_journal_of_the_first_version_is_taken_over_with_all_its_runs() {
    let place = place();
    let state = place.path.parent().unwrap();
    fs::create_dir(state).unwrap();
    fs::set_permissions(state, fs::Permissions::from_mode(0o700)).unwrap();
    let mut old =
        SqliteConnectOptions::new().filename(&place.path).create_if_missing(true).connect().await.unwrap();
    let marks = format!("PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = 1");
    let schema = concat!(include_str!("../../migrations/0001_journal.sql"), ";");
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!("{schema}{marks}"))).execute(&mut old).await.unwrap();
    let runs = [run(1, &["a"]), run(2, &["a"])];
    for (record, outcome) in runs.iter().zip([Some("succeeded"), None]) {
        let body = rectify_base::canonical::compact(record).unwrap();
        sqlx::query(
            "INSERT INTO runs (id, use_id, started_at_ms, body, outcome, finished_at_ms, receipt) \
             VALUES ($1, $2, $3, $4, $5, 9, $6)",
        )
        .bind(record.run.as_str())
        .bind(record.use_id.as_str())
        .bind(i64::try_from(record.started_at_ms).unwrap())
        .bind(body)
        .bind(outcome)
        .bind(outcome.map(|_| b"receipt".to_vec()))
        .execute(&mut old)
        .await
        .unwrap();
        let step = node("a", "web/config");
        let mut records = vec![verified("a"), intent(record, &step, 1)];
        records.extend(outcome.map(|_| succeeded(&step)));
        for (seq, entry) in (1_i64..).zip(&records) {
            let body = rectify_base::canonical::compact(entry).unwrap();
            sqlx::query("INSERT INTO records (run_id, seq, at_ms, body) VALUES ($1, $2, 5, $3)")
                .bind(record.run.as_str())
                .bind(seq)
                .bind(body)
                .execute(&mut old)
                .await
                .unwrap();
        }
    }
    old.close().await.unwrap();
    fs::set_permissions(&place.path, fs::Permissions::from_mode(0o600)).unwrap();

    let journal = SqliteJournal::open(&place.path).await.unwrap();
    let bytes = export(&journal).await;
    let report = verify(&bytes, Anchors::default());
    // The beginning, two admissions, five records, one end, one receipt.
    assert_eq!((report.records, report.runs, report.open_runs), (10, 2, 1), "{report:?}");
    assert!(String::from_utf8(bytes).unwrap().contains("\"imported_runs\":2"));
    // Work goes on where it was.
    assert_eq!(journal.load_run(&runs[0].run).await.unwrap().entries.len(), 3);
    journal.append(&runs[1].run, 9, vec![succeeded(&node("a", "web/config"))]).await.unwrap();
    let fence = journal.acquire(&scopes(&["aa"]), &holder(3, true), 9).await.unwrap();
    assert!(fence > runs[1].fence, "fences go on above those of old runs");
    journal.close().await.unwrap();
    let header = fs::read(&place.path).unwrap();
    assert_eq!(i64::from(u32::from_be_bytes(header[60..64].try_into().unwrap())), VERSION);
    let again = SqliteJournal::open(&place.path).await.unwrap();
    assert_eq!(again.head().await.unwrap().size, 12);
}
