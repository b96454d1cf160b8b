//! Random changes of a log, each of which a checkpoint that was kept elsewhere must show. 2,000 of them,
//! or as many as `RECTIFY_AUDIT_MUTATIONS` says.

use crate::{
    cases::{act_of, lines},
    second,
    support::{Key, Writer, sample},
};
use rectify_attest::Signer as _;
use rectify_audit::{Action, Actor, Anchors, Checkpoint, Outcome, checkpoint, export, verify};

/// How many are also given to the second verifier, which is slow.
const SECOND: u64 = 60;

/// A good generator of numbers that are the same everywhere.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }
}

/// Somebody without the key changes a record and writes all after it anew, with right digests.
fn rechained(original: &Writer, bodies: bool, numbers: &mut Numbers) -> Writer {
    let mut rows: Vec<_> = original.lines[1..].to_vec();
    let at = numbers.below(rows.len());
    let kind = numbers.below(6);
    match kind {
        0 => drop(rows.remove(at)),
        1 => rows.insert(at, rows[numbers.below(rows.len())].clone()),
        2 => {
            let other = numbers.below(rows.len());
            rows.swap(at, other);
        }
        3 => rows.truncate(at),
        _ => {}
    }
    let mut log = Writer::new();
    for (index, (record, body)) in rows.into_iter().enumerate() {
        let line = export::line(&record, None);
        let mut act = act_of(&export::read(line.trim_ascii_end()).unwrap().record);
        let mut body = body;
        if kind > 3 && index == at {
            match numbers.below(5) {
                0 => act.actor = Some(Actor::person("mallory")),
                1 => act.outcome = Some(Outcome::Judged),
                2 => act.run_id = None,
                3 => act.action = Action::ALL[numbers.below(Action::ALL.len())],
                // With a body the digest is made anew from it.
                _ => match &mut body {
                    Some(body) if bodies => body.retain(|byte| *byte != b'1'),
                    _ => act.detail_digest = None,
                },
            }
        }
        log.push(act, body);
    }
    log
}

/// A good log, its exports with bodies and without, and the checkpoint over it.
#[derive(Clone)]
struct Original {
    log: Writer,
    exports: [Vec<u8>; 2],
    note: Vec<u8>,
}

/// A changed export, and the checkpoint that it comes with.
fn mutate(original: &Original, numbers: &mut Numbers) -> (Vec<u8>, Vec<u8>, &'static str) {
    let bodies = numbers.below(4) != 0;
    let good = &original.exports[usize::from(!bodies)];
    let mut bytes = good.clone();
    let mut all = lines(good);
    let (at, other) = (numbers.below(all.len()), numbers.below(all.len()));
    let mut note = original.note.clone();
    let kind = match numbers.below(9) {
        0 | 1 => {
            let at = numbers.below(bytes.len());
            bytes[at] ^= 1 << numbers.below(8);
            "bit"
        }
        2 => {
            let at = numbers.below(bytes.len());
            match numbers.below(3) {
                0 => drop(bytes.remove(at)),
                1 => bytes.insert(at, bytes[at]),
                _ => bytes[at] = u8::try_from(numbers.below(256)).unwrap(),
            }
            "byte"
        }
        3 => {
            all.remove(at);
            bytes = all.concat();
            "dropped"
        }
        4 => {
            let line = all[at].clone();
            all.insert(other, line);
            bytes = all.concat();
            "duplicated"
        }
        5 => {
            all.swap(at, other);
            bytes = all.concat();
            "swapped"
        }
        6 => {
            bytes.truncate(numbers.below(bytes.len()));
            "truncated"
        }
        7 => {
            bytes = rechained(&original.log, bodies, numbers).export(bodies);
            "re-chained"
        }
        _ => {
            let forged = rechained(&original.log, bodies, numbers);
            bytes = forged.export(bodies);
            note = checkpoint::sign(&forged.chain.head(), &Key::new(9)).unwrap();
            // Or the good signature under another text.
            if numbers.below(2) == 0 {
                let good = String::from_utf8(original.note.clone()).unwrap();
                let (_, signatures) = good.rsplit_once("\n\n").unwrap();
                note = format!("{}\n{signatures}", checkpoint::text(&forged.chain.head())).into_bytes();
            }
            "with its own checkpoint"
        }
    };
    (bytes, note, kind)
}

#[test]
fn each_random_change_is_found() {
    let wanted: u64 =
        std::env::var("RECTIFY_AUDIT_MUTATIONS").ok().map_or(2_000, |text| text.parse().unwrap());
    let log = sample();
    let exports = [log.export(true), log.export(false)];
    let original = Original { note: log.checkpoint(), exports, log };
    let key = Key::new(7).public_key();
    let threads: Vec<_> = (0..2_u64)
        .map(|thread| {
            let original = original.clone();
            std::thread::spawn(move || {
                let mut numbers = Numbers(0x6175_6469_7400 + thread);
                let mut found = std::collections::BTreeMap::<(&str, &str), u64>::new();
                let mut second = Vec::new();
                for number in 0..wanted.div_ceil(2) {
                    let (bytes, note, kind) = mutate(&original, &mut numbers);
                    if original.exports.contains(&bytes) && note == original.note {
                        *found.entry((kind, "nothing changed")).or_default() += 1;
                        continue;
                    }
                    let anchors = Anchors { checkpoint: Some(&note), since: None, key: Some(key) };
                    let report = verify(&bytes, anchors);
                    let Some(finding) = report.finding else {
                        panic!("not found: {kind}, number {number} of thread {thread}");
                    };
                    if number < SECOND / 2 {
                        second.push((bytes, note, finding.code, finding.seq));
                    }
                    *found.entry((kind, finding.code)).or_default() += 1;
                }
                (found, second)
            })
        })
        .collect();
    let mut total = 0;
    for thread in threads {
        let (found, second) = thread.join().unwrap();
        for ((kind, code), count) in found {
            println!("{kind}: {code} {count}");
            total += if code == "nothing changed" { 0 } else { count };
        }
        for (bytes, note, code, seq) in second {
            let other = second::verify(&bytes, Some(&note), None, Some(&key));
            assert_eq!(other, Some((code.to_owned(), seq)), "the verifiers disagree");
        }
    }
    println!("{total} changes, all found");
    assert!(total * 10 > wanted * 8, "too many changed nothing");
    assert_eq!(Checkpoint::read(&original.note).unwrap().size, original.log.lines.len() as u64);
}
