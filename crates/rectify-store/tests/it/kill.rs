//! A process is killed while it appends; whatever it was told is stored must be there.

use crate::support::{intent, node, open, place, run, verified};
use rectify_store::{Journal as _, SqliteJournal};
use std::{
    collections::BTreeSet,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

const CHILD: &str = "RECTIFY_STORE_TEST_CHILD";
const ROUND: &str = "RECTIFY_STORE_TEST_ROUND";
const ROUNDS: u64 = 20;
const WRITERS: u64 = 6;

fn splitmix64(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

/// What the killed process does: appends, and prints what was acknowledged. Ends only by a signal.
async fn append_for_ever(path: &Path, round: u64) {
    let journal = Arc::new(SqliteJournal::open(path).await.unwrap());
    let record = Arc::new(run(u128::from(round), &["a"]));
    journal.begin_run(&record).await.unwrap();
    journal.append(&record.run, 0, vec![verified("a")]).await.unwrap();
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (journal, record) = (Arc::clone(&journal), Arc::clone(&record));
            tokio::spawn(async move {
                for n in 0_u64.. {
                    let address = format!("web/w{writer}-{n}");
                    let intent = intent(&record, &node("a", &address), 1);
                    let seq = journal.append(&record.run, n, vec![intent]).await.unwrap().seq;
                    let mut out = std::io::stdout().lock();
                    writeln!(out, "ack {seq} {address}").unwrap();
                    out.flush().unwrap();
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_a_kill() {
    if let (Ok(path), Ok(round)) = (std::env::var(CHILD), std::env::var(ROUND)) {
        return append_for_ever(Path::new(&path), round.parse().unwrap()).await;
    }
    let place = place();
    let mut seed = 0x7265_6374_6966_7921;
    let mut acknowledged_in_all = 0;
    for round in 1..=ROUNDS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "kill::what_was_acknowledged_survives_a_kill", "--nocapture"])
            .env(CHILD, &place.path)
            .env(ROUND, round.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut acknowledged = BTreeSet::new();
        let mut take = |line: String| {
            // The harness prints to the same stream, and the last line may be cut off.
            let mut words = line.split(' ').skip_while(|word| *word != "ack").skip(1);
            if let (Some(Ok(seq)), Some(address)) = (words.next().map(str::parse::<u64>), words.next()) {
                acknowledged.insert((seq, address.to_owned()));
            }
        };
        // Wait until it works at all, so that the kill falls among the appends.
        for line in lines.by_ref() {
            let line = line.unwrap();
            let begun = line.contains("ack ");
            take(line);
            if begun {
                break;
            }
        }
        let pause = Duration::from_micros(splitmix64(&mut seed) % 60_000);
        let killer = std::thread::spawn(move || {
            std::thread::sleep(pause);
            child.kill().unwrap();
            child.wait().unwrap()
        });
        let mut rest: Vec<String> = lines.map_while(Result::ok).collect();
        let status = killer.join().unwrap();
        assert_eq!(status.code(), None, "it must not have ended by itself");
        rest.pop_if(|last| last.split(' ').count() != 3);
        // The last line is only sure to be whole if the one before it was not the last.
        rest.pop();
        rest.into_iter().for_each(&mut take);

        // Opening checks the file as a whole.
        let journal = open(&place).await;
        let loaded = journal.load_run(&run(u128::from(round), &["a"]).run).await.unwrap();
        for (seq, address) in &acknowledged {
            let entry = &loaded.entries[usize::try_from(*seq).unwrap() - 1];
            let expected = intent(&run(u128::from(round), &["a"]), &node("a", address), 1);
            assert_eq!((entry.seq, &entry.record), (*seq, &expected), "round {round}");
        }
        assert_eq!(journal.list_runs(99).await.unwrap().len() as u64, round, "no earlier run is gone");
        acknowledged_in_all += acknowledged.len() as u64;
        journal.close().await.unwrap();
    }
    assert!(
        acknowledged_in_all >= 5 * ROUNDS,
        "only {acknowledged_in_all} appends: the kills came too early"
    );
}
