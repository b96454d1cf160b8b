//! A disk that is full, and one that does not sync.

use crate::support::{agree, export, intent, node, open, place, run, verified};
use rectify_audit::{Anchors, verify};
use rectify_store::{Journal as _, Options, SqliteJournal, StoreError, space};
use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::{fs::PermissionsExt as _, process::ExitStatusExt as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// A small file system in memory, as long as it lives.
struct Small(PathBuf);

impl Small {
    /// Nothing, and a line that says so, if this process may not mount.
    fn mount(at: &Path, mib: u32) -> Option<Self> {
        let root = fs::metadata("/proc/self").is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0);
        if !root {
            eprintln!("SKIPPED: only root can mount a small file system");
            return None;
        }
        fs::create_dir_all(at).unwrap();
        let size = format!("size={mib}m,mode=700");
        let status = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "none"]).arg(at).status();
        assert!(status.unwrap().success(), "root must be able to mount");
        Some(Self(at.to_owned()))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Takes all the space there is.
fn fill(path: &Path) {
    let mut file = fs::File::create(path).unwrap();
    let block = [1_u8; 4096];
    while file.write_all(&block).is_ok() {}
}

#[tokio::test]
async fn when_the_disk_is_full_the_reserve_stores_what_is_open_and_then_callers_may_wait() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    let Some(_mounted) = Small::mount(&state, 24) else { return };
    let path = state.join("journal.db");
    let options = Options { reserve_bytes: 1024 * 1024, ..Options::default() };
    let journal = SqliteJournal::open_with(&path, options).await.unwrap();
    let record = run(1, &["a"]);
    journal.begin_run(&record).await.unwrap();
    assert!(!journal.append(&record.run, 1, vec![verified("a")]).await.unwrap().low_space);
    assert_eq!(fs::metadata(state.join(space::RESERVE_NAME)).unwrap().len(), 1024 * 1024);
    assert!(matches!(space::require(&state, 0), Err(StoreError::Space { .. })), "24 MiB are too few");

    fill(&state.join("filler"));
    let mut stored = 1;
    let mut low = 0;
    let refused = loop {
        let step = node("a", &format!("web/s{stored}"));
        match journal.append(&record.run, stored, vec![intent(&record, &step, 1)]).await {
            Ok(appended) => {
                stored += 1;
                assert_eq!(appended.seq, stored);
                assert!(appended.low_space || low == 0, "it stays low");
                low += u64::from(appended.low_space);
            }
            Err(error) => break error,
        }
        assert!(stored < 100_000, "it is never full");
    };
    assert!(matches!(refused, StoreError::Full { .. }), "{refused}");
    assert!(low > 10, "the reserve stored only {low}");
    assert!(!state.join(space::RESERVE_NAME).exists());
    assert!(journal.low_space());
    // Reading still works, and waiting helps: the very same records are stored once there is space.
    let again = vec![intent(&record, &node("a", &format!("web/s{stored}")), 1)];
    let still = journal.append(&record.run, stored, again.clone()).await;
    assert!(matches!(still, Err(StoreError::Full { .. })), "{still:?}");
    assert_eq!(journal.load_run(&record.run).await.unwrap().entries.len() as u64, stored);
    fs::remove_file(state.join("filler")).unwrap();
    let appended = journal.append(&record.run, stored, again).await.unwrap();
    assert_eq!((appended.seq, appended.low_space), (stored + 1, true));
    journal.close().await.unwrap();

    let journal = SqliteJournal::open_with(&path, options).await.unwrap();
    assert_eq!(journal.load_run(&record.run).await.unwrap().entries.len() as u64, stored + 1);
    assert!(!journal.low_space(), "the reserve is there again");
    let bytes = export(&journal).await;
    let report = verify(&bytes, Anchors::default());
    assert_eq!((report.records, report.finding), (stored + 3, None));
    agree(&bytes);
}

#[tokio::test]
async fn without_space_for_the_reserve_the_journal_opens_low() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    let Some(_mounted) = Small::mount(&state, 8) else { return };
    let journal = SqliteJournal::open(&state.join("journal.db")).await.unwrap();
    assert!(journal.low_space());
    assert!(!state.join(space::RESERVE_NAME).exists(), "a part of a reserve is in the way");
    journal.begin_run(&run(1, &["a"])).await.unwrap();
    assert!(journal.append(&run(1, &["a"]).run, 1, vec![verified("a")]).await.unwrap().low_space);
}

#[tokio::test]
async fn the_reserve_is_private_and_made_once() {
    let place = place();
    let journal = open(&place).await;
    assert!(!journal.low_space());
    let reserve = place.path.with_file_name(space::RESERVE_NAME);
    let metadata = fs::metadata(&reserve).unwrap();
    assert_eq!(metadata.len(), space::RESERVE_BYTES);
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    assert!(space::free(place.path.parent().unwrap()).unwrap() > 0);
}

const CHILD: &str = "RECTIFY_STORE_TEST_SYNC";

/// The kernel's answer to one sync is replaced by an error, as a disk that is pulled out gives it; all
/// other syncs succeed. Whoever synced again would believe that all is well.
#[tokio::test]
async fn a_failed_sync_ends_the_process_at_once() {
    if let Ok(path) = std::env::var(CHILD) {
        let journal = SqliteJournal::open(Path::new(&path)).await.unwrap();
        let record = run(1, &["a"]);
        journal.begin_run(&record).await.unwrap();
        for n in 0..50 {
            let step = node("a", &format!("web/s{n}"));
            let records = if n == 0 { vec![verified("a")] } else { vec![intent(&record, &step, 1)] };
            let answer = journal.append(&record.run, n, records).await;
            println!("ack {}", answer.expect("no answer is given to a failed sync").seq);
        }
        return;
    }
    let me = std::env::current_exe().unwrap();
    let mut died = 0;
    for number in [4, 9, 16] {
        let place = place();
        // Made beforehand, so that the numbered sync is one of the appends.
        open(&place).await.close().await.unwrap();
        let inject = format!("inject=fsync,fdatasync:error=EIO:when={number}");
        let mut child = Command::new("strace")
            .args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync,fdatasync", "-e", &inject])
            .arg(&me)
            .args(["--exact", "full::a_failed_sync_ends_the_process_at_once", "--nocapture"])
            .env(CHILD, &place.path)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("strace is installed");
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let acknowledged = lines
            .filter_map(|line| line.split("ack ").nth(1).and_then(|seq| seq.parse::<usize>().ok()))
            .max()
            .unwrap_or(0);
        let status = child.wait().unwrap();
        assert_eq!(status.signal(), Some(6), "it must abort, and did: {status}");
        assert!(acknowledged < 50);
        died += acknowledged;
        let journal = open(&place).await;
        let loaded = journal.load_run(&run(1, &["a"]).run).await.unwrap();
        assert!(loaded.entries.len() >= acknowledged, "acknowledged and not there");
        assert!(verify(&export(&journal).await, Anchors::default()).good());
    }
    assert!(died > 10, "the syncs that failed were not those of the appends");
}
