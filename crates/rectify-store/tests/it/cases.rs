//! One damage a case, from `conformance/cases/store`: what was done to the journal, and the code
//! and place that must come of it.

use crate::support::{Place, holder, intent, node, open, place, run, scopes, succeeded, verified};
use rectify_audit::Actor;
use rectify_model::journal::{Record, RunId, RunMark, RunOutcome, RunRecord};
use rectify_store::{APPLICATION_ID, Journal as _, Options, SqliteJournal, StoreError, VERSION};
use serde::Deserialize;
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};
use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// SQL that is run on a whole journal with one run in it.
    #[serde(default)]
    sql: Option<String>,
    /// What is done besides.
    #[serde(default)]
    damage: Option<Damage>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Damage {
    TextFile,
    OverwritePage,
    DirectoryMode,
    FileMode,
    SymbolicLink,
    ParentIsAFile,
    HeldByAnother,
    NoSpace,
    AfterFailedSync,
    BeginAgain,
    AppendToNoRun,
    AppendAfterTheEnd,
    IntentAgain,
    ResultWithoutIntent,
    StaleEngine,
    IntentOfOtherFence,
    HeldLease,
    LostLease,
    BreakFreeLease,
    BreakOtherLease,
    ForeignCheckpoint,
    NoSpaceToBegin,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expect {
    code: String,
    place: String,
    why: String,
}

async fn raw(path: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(path).connect().await.unwrap()
}

/// A journal with one run of two records, closed.
async fn whole(place: &Place) -> RunId {
    let journal = open(place).await;
    let record = run(1, &["a"]);
    journal.begin_run(&record).await.unwrap();
    let step = node("a", "web/config");
    let records = vec![verified("a"), intent(&record, &step, 1), succeeded(&step)];
    journal.append(&record.run, 1, records).await.unwrap();
    journal.close().await.unwrap();
    record.run
}

async fn open_and_load(path: &Path, run: &RunId, options: Options) -> Result<(), StoreError> {
    let journal = SqliteJournal::open_with(path, options).await?;
    journal.head().await?;
    journal.load_run(run).await.map(|_| ())
}

async fn play(case: &Case) -> StoreError {
    let place = place();
    let id = whole(&place).await;
    let record = run(1, &["a"]);
    if let Some(sql) = &case.sql {
        let mut connection = raw(&place.path).await;
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql.clone())).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }
    let options = Options { busy_timeout_ms: 50, ..Options::default() };
    let path = place.path.clone();
    let set_mode = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    let Some(damage) = case.damage else {
        return open_and_load(&path, &id, options).await.unwrap_err();
    };
    let result = match damage {
        Damage::TextFile => {
            fs::write(&path, "These are my notes, and they are longer than a header.\n".repeat(99)).unwrap();
            open_and_load(&path, &id, options).await
        }
        Damage::OverwritePage => {
            let mut bytes = fs::read(&path).unwrap();
            // Everything after the first page, which holds the header and the schema.
            bytes[4096..].fill(0xa5);
            fs::write(&path, bytes).unwrap();
            open_and_load(&path, &id, options).await
        }
        Damage::DirectoryMode => {
            set_mode(path.parent().unwrap(), 0o755);
            open_and_load(&path, &id, options).await
        }
        Damage::FileMode => {
            set_mode(&path, 0o640);
            open_and_load(&path, &id, options).await
        }
        Damage::SymbolicLink => {
            let elsewhere = path.with_file_name("elsewhere.db");
            fs::rename(&path, &elsewhere).unwrap();
            std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
            open_and_load(&path, &id, options).await
        }
        Damage::ParentIsAFile => open_and_load(&path.join("journal.db"), &id, options).await,
        Damage::HeldByAnother => {
            let journal = SqliteJournal::open_with(&path, options).await.unwrap();
            let mut other = raw(&path).await;
            sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
            let refused = journal.begin_run(&run(2, &["a"])).await;
            sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
            journal.begin_run(&run(2, &["a"])).await.expect("works again once it is let go");
            refused
        }
        Damage::NoSpace => {
            let pages_max = u32::try_from(fs::metadata(&path).unwrap().len() / 4096).unwrap() + 4;
            let journal = SqliteJournal::open_with(&path, Options { pages_max, ..options }).await.unwrap();
            let mut result = Ok(());
            for number in 2..1_000 {
                result = journal.begin_run(&run(number, &["a", "b", "c"])).await;
                if result.is_err() {
                    break;
                }
            }
            result
        }
        Damage::AfterFailedSync => {
            let journal = SqliteJournal::open_with(&path, options).await.unwrap();
            // A constraint that is checked at commit makes the commit itself fail.
            let mut other = raw(&path).await;
            sqlx::raw_sql(
                "CREATE TABLE late (id TEXT REFERENCES runs (id) DEFERRABLE INITIALLY DEFERRED); \
                 CREATE TRIGGER fail AFTER INSERT ON records BEGIN INSERT INTO late VALUES ('nobody'); END",
            )
            .execute(&mut other)
            .await
            .unwrap();
            let failed = journal.append(&id, 9, vec![verified("a")]).await.unwrap_err();
            assert_eq!(failed.code().as_str(), "store-io", "{failed}");
            journal.append(&id, 9, vec![verified("a")]).await.map(|_| ())
        }
        Damage::BeginAgain => open(&place).await.begin_run(&record).await,
        Damage::AppendToNoRun => {
            open(&place).await.append(&run(9, &["a"]).run, 9, vec![verified("a")]).await.map(|_| ())
        }
        Damage::AppendAfterTheEnd => {
            let journal = open(&place).await;
            journal.finish_run(&id, 8, RunOutcome::Succeeded, None).await.unwrap();
            journal.append(&id, 9, vec![verified("a")]).await.map(|_| ())
        }
        Damage::IntentAgain => {
            let again = intent(&record, &node("a", "web/config"), 1);
            open(&place).await.append(&id, 9, vec![again]).await.map(|_| ())
        }
        Damage::ResultWithoutIntent => {
            let journal = open(&place).await;
            journal.append(&id, 9, vec![succeeded(&node("a", "web/other"))]).await.unwrap();
            journal.load_run(&id).await.map(|_| ())
        }
        Damage::StaleEngine => {
            let (stale, other) = (open(&place).await, open(&place).await);
            let run = run(2, &["a"]);
            stale.begin_run(&run).await.unwrap();
            let resumed = Record::Run(RunMark::Resumed { fence: 2 });
            other.append(&run.run, 8, vec![resumed]).await.unwrap();
            stale.append(&run.run, 9, vec![verified("a")]).await.map(|_| ())
        }
        Damage::IntentOfOtherFence => {
            let other = RunRecord { fence: 7, ..record };
            let intent = intent(&other, &node("a", "web/other"), 1);
            open(&place).await.append(&id, 9, vec![intent]).await.map(|_| ())
        }
        Damage::HeldLease => {
            let journal = open(&place).await;
            journal.acquire(&scopes(&["aa"]), &holder(1, false), 1_000).await.unwrap();
            let wanted = scopes(&["00", "aa"]);
            let refused = journal.acquire(&wanted, &holder(2, false), 30_999).await;
            assert_eq!(journal.leases().await.unwrap().len(), 1, "all or none");
            refused.map(|_| ())
        }
        Damage::LostLease => {
            let journal = open(&place).await;
            let fence = journal.acquire(&scopes(&["aa"]), &holder(1, true), 1_000).await.unwrap();
            journal.break_lease("aa", fence, &Actor::person("ann"), 2_000).await.unwrap();
            journal.renew(&scopes(&["aa"]), fence, 3_000).await
        }
        Damage::BreakFreeLease => {
            let journal = open(&place).await;
            let fence = journal.acquire(&scopes(&["aa"]), &holder(1, true), 1_000).await.unwrap();
            journal.release(&scopes(&["aa"]), fence, 2_000).await.unwrap();
            journal.break_lease("aa", fence, &Actor::person("ann"), 3_000).await
        }
        Damage::BreakOtherLease => {
            let journal = open(&place).await;
            let seen = journal.acquire(&scopes(&["aa"]), &holder(1, true), 1_000).await.unwrap();
            journal.acquire(&scopes(&["aa"]), &holder(2, true), 2_000).await.unwrap();
            journal.break_lease("aa", seen, &Actor::person("ann"), 3_000).await
        }
        Damage::ForeignCheckpoint => {
            let journal = open(&place).await;
            let note = "rectify-audit/00000000000000000000000000000000\n1\n\
                        AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n\u{2014} who AAAAAAAA\n";
            journal.put_checkpoint(9, note.as_bytes().to_vec()).await
        }
        Damage::NoSpaceToBegin => {
            let state = path.parent().unwrap();
            rectify_store::space::require(state, 1_000).unwrap();
            rectify_store::space::require(state, u64::MAX)
        }
    };
    result.expect_err("the damage must be noticed")
}

/// Where the error says the problem is, without what differs from run to run.
fn blamed(error: &StoreError) -> String {
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    match error {
        StoreError::Permissions { path, .. }
        | StoreError::Foreign { path, .. }
        | StoreError::Corrupt { path, .. }
        | StoreError::TooNew { path, .. }
        | StoreError::TooOld { path, .. }
        | StoreError::Busy { path }
        | StoreError::Full { path }
        | StoreError::Io { path, .. }
        | StoreError::Closed { path } => name(path),
        StoreError::UseTaken { target, .. } => format!("target {target}"),
        StoreError::RunUnknown { .. } | StoreError::RunFinished { .. } => "run".into(),
        StoreError::IntentTwice { attempt, .. } => format!("attempt {attempt}"),
        StoreError::Record { place, .. } => place.clone(),
        StoreError::Fenced { fence, current, .. } => format!("fence {fence}, now {current}"),
        StoreError::Held { scope, .. }
        | StoreError::LeaseLost { scope, .. }
        | StoreError::LeaseUnknown { scope }
        | StoreError::OtherFence { scope, .. } => format!("scope {scope}"),
        StoreError::Audit { .. } => "audit log".into(),
        StoreError::Space { path, .. } => name(path),
    }
}

#[tokio::test]
async fn each_damage_has_its_code() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance/cases/store");
    let mut seen = std::collections::BTreeSet::new();
    let mut names: Vec<_> = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    for case in &names {
        let input: Case = serde_json::from_slice(&fs::read(case.join("case.json")).unwrap()).unwrap();
        let expect: Expect = serde_json::from_slice(&fs::read(case.join("expect.json")).unwrap()).unwrap();
        let error = play(&input).await;
        let found =
            Expect { code: error.code().as_str().into(), place: blamed(&error), why: expect.why.clone() };
        assert_eq!(found, expect, "{}: {error}", case.display());
        seen.insert(expect.code);
    }
    assert!(names.len() >= 18, "only {} cases", names.len());
    for code in rectify_store::codes::ALL {
        assert!(seen.contains(code.as_str()), "no case for {code}");
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../docs/errors/{code}.md"));
        let page = fs::read_to_string(&page).unwrap_or_else(|_| panic!("no page for {code}"));
        assert!(page.starts_with(&format!("# {code}\n")), "{code}");
        assert!(page.contains("\n## Why\n") && page.contains("\n## What to do\n"), "{code}");
    }
}

#[tokio::test]
async fn the_header_tells_what_the_file_is() {
    let place = place();
    whole(&place).await;
    let header = fs::read(&place.path).unwrap();
    let number = |at: usize| i64::from(u32::from_be_bytes(header[at..at + 4].try_into().unwrap()));
    assert_eq!((number(68), number(60)), (APPLICATION_ID, VERSION));
    assert_eq!(&header[68..72], b"RCTY");
}

#[tokio::test]
async fn a_refused_file_is_left_as_it_was() {
    let place = place();
    fs::create_dir(place.path.parent().unwrap()).unwrap();
    fs::set_permissions(place.path.parent().unwrap(), Permissions::from_mode(0o700)).unwrap();
    let mut foreign =
        SqliteConnectOptions::new().filename(&place.path).create_if_missing(true).connect().await.unwrap();
    sqlx::raw_sql("CREATE TABLE notes (text TEXT)").execute(&mut foreign).await.unwrap();
    foreign.close().await.unwrap();
    fs::set_permissions(&place.path, Permissions::from_mode(0o600)).unwrap();
    let before = fs::read(&place.path).unwrap();
    let error = SqliteJournal::open(&place.path).await.unwrap_err();
    assert_eq!(error.code().as_str(), "store-foreign");
    assert_eq!(fs::read(&place.path).unwrap(), before);
}
