//! One defect a case: what was done to a good log, and the code and record that must come of it. The
//! cases are files under `conformance`, written from here with `RECTIFY_AUDIT_CASES=write` and compared
//! otherwise, so that another verifier can run them.

use crate::support::{
    Key, Writer, failure, intent, log_id, mark, not_begun, run, sample, step, succeeded, undone, verified,
};
use rectify_audit::{Action, Anchors, Checkpoint, Header, LogId, Verifier, checkpoint, codes, verify};
use rectify_model::journal::{How, Mutated, RunMark, RunOutcome, StepState};
use serde_json::{Value, json};
use std::{collections::BTreeSet, fs, path::PathBuf};

struct Case {
    name: &'static str,
    export: Vec<u8>,
    checkpoint: Option<Vec<u8>>,
    since: Option<Vec<u8>>,
    key: bool,
    /// Code, record and why; nothing where the log is good.
    expect: Option<(&'static str, Option<u64>, &'static str)>,
}

/// The lines of an export, header first, each with its end.
pub fn lines(export: &[u8]) -> Vec<Vec<u8>> {
    export.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
}

/// Puts something else in place of a text that must be there once.
fn edit(line: &mut Vec<u8>, from: &str, to: &str) {
    let text = String::from_utf8(line.clone()).unwrap();
    assert_eq!(text.matches(from).count(), 1, "{from} in {text}");
    *line = text.replace(from, to).into_bytes();
}

fn edited(at: usize, from: &str, to: &str) -> Vec<u8> {
    let mut lines = lines(&sample().export(true));
    edit(&mut lines[at], from, to);
    lines.concat()
}

/// A log that was written as told, with the wrong things in it.
fn wrong(write: impl FnOnce(&mut Writer)) -> Writer {
    let mut log = Writer::new();
    write(&mut log);
    log
}

/// A log in which a record was changed and all after it were chained anew, by somebody without the key.
fn forged() -> Writer {
    let original = sample();
    let mut log = Writer::new();
    for (record, body) in &original.lines[1..] {
        let mut act = rectify_audit::export::read(rectify_audit::export::line(record, None).trim_ascii_end())
            .map(|line| act_of(&line.record))
            .unwrap();
        if log.lines.len() == 2 {
            act.actor = Some(rectify_audit::Actor::person("mallory"));
        }
        log.push(act, body.clone());
    }
    log
}

pub fn act_of(record: &rectify_audit::AuditRecord) -> rectify_audit::record::Act {
    let record = record.clone();
    rectify_audit::record::Act {
        action: record.action,
        actor: Some(record.actor),
        run_id: record.run_id,
        plan_digest: record.plan_digest,
        step_id: record.step_id,
        target: record.target,
        decision: record.decision,
        outcome: record.outcome,
        detail_digest: record.detail_digest,
    }
}

fn early() -> Writer {
    // The sample as it was after 20 records.
    let all = sample();
    let mut log = Writer { chain: rectify_audit::Chain::new(log_id()), lines: Vec::new() };
    for (record, body) in all.lines.into_iter().take(20) {
        log.chain.push(&record);
        log.lines.push((record, body));
    }
    log
}

fn cases() -> Vec<Case> {
    let good = || Case {
        name: "",
        export: sample().export(true),
        checkpoint: Some(sample().checkpoint()),
        since: None,
        key: true,
        expect: None,
    };
    let bad = |name, export, code: rectify_base::Code, seq, why| Case {
        name,
        export,
        checkpoint: None,
        expect: Some((code.as_str(), seq, why)),
        ..good()
    };
    let grammar = |name, log: Writer, seq, why| Case {
        name,
        // Written like that, so that the checkpoint is good.
        checkpoint: Some(log.checkpoint()),
        export: log.export(true),
        expect: Some((codes::GRAMMAR.as_str(), seq, why)),
        ..good()
    };
    let without = |at: usize| {
        let mut lines = lines(&sample().export(true));
        lines.remove(at);
        lines.concat()
    };
    let last = sample().lines.len() as u64;
    let note = |text: &str, from: &str, to: &str| text.replacen(from, to, 1).into_bytes();
    let good_note = String::from_utf8(sample().checkpoint()).unwrap();
    vec![
        Case { name: "good", ..good() },
        Case { name: "good-since", since: Some(early().checkpoint()), ..good() },
        Case { name: "good-without-bodies", export: sample().export(false), ..good() },
        Case { name: "good-without-checkpoint", checkpoint: None, key: false, ..good() },
        Case { name: "good-beyond-checkpoint", checkpoint: Some(early().checkpoint()), ..good() },
        bad("no-header", without(0), codes::HEADER, None, "the first line is a record"),
        bad("empty", Vec::new(), codes::HEADER, None, "there is nothing"),
        bad(
            "header-of-other-format",
            edited(0, "audit-export/v1", "audit-export/v2"),
            codes::HEADER,
            None,
            "a format that is not known",
        ),
        Case {
            checkpoint: Some(sample().checkpoint()),
            ..bad(
                "header-names-other-key",
                {
                    let mut lines = lines(&sample().export(true));
                    lines[0] = Header::new(log_id(), Some(Key::new(8).public()), true).to_line().unwrap();
                    lines.concat()
                },
                codes::HEADER,
                None,
                "the key of the header is not the one that was given",
            )
        },
        bad("line-cut", edited(7, "}\n", "\n"), codes::LINE, Some(7), "a line is not JSON"),
        bad(
            "line-without-end",
            {
                let mut export = sample().export(true);
                export.pop();
                export
            },
            codes::LINE,
            Some(last),
            "the last line has no end",
        ),
        bad("line-spaced", edited(7, "\"record\":", "\"record\": "), codes::LINE, Some(7), "a space"),
        bad(
            "line-with-unknown-field",
            edited(7, ",\"step_id\"", ",\"note\":\"x\",\"step_id\""),
            codes::LINE,
            Some(7),
            "a field that no record has",
        ),
        bad(
            "line-with-unknown-action",
            edited(7, "\"step_succeeded\"", "\"step_done\""),
            codes::LINE,
            Some(7),
            "an action that there is not",
        ),
        bad(
            "line-with-key-twice",
            edited(7, "\"v\":1}", "\"v\":1,\"v\":1}"),
            codes::LINE,
            Some(7),
            "a key twice",
        ),
        bad(
            "line-of-other-version",
            edited(7, "\"v\":1}", "\"v\":2}"),
            codes::LINE,
            Some(7),
            "a version that is not known",
        ),
        bad("record-dropped", without(9), codes::SEQ, Some(9), "record 9 is missing"),
        bad(
            "record-twice",
            {
                let mut lines = lines(&sample().export(true));
                lines.insert(9, lines[9].clone());
                lines.concat()
            },
            codes::SEQ,
            Some(10),
            "record 9 comes twice",
        ),
        bad(
            "records-swapped",
            {
                let mut lines = lines(&sample().export(true));
                lines.swap(9, 10);
                lines.concat()
            },
            codes::SEQ,
            Some(9),
            "records 9 and 10 changed places",
        ),
        bad(
            "record-edited",
            edited(8, "\"time_ms\":1790000000008", "\"time_ms\":1790000000009"),
            codes::CHAIN,
            Some(9),
            "record 8 was changed, and record 9 names it as it was",
        ),
        bad(
            "record-of-other-log",
            edited(8, "\"log_id\":\"5a", "\"log_id\":\"5b"),
            codes::CHAIN,
            Some(8),
            "a record of another log",
        ),
        bad(
            "other-log-throughout",
            {
                let mut lines = lines(&sample().export(true));
                lines[0] = Header::new(LogId::from_bytes([9; 16]), None, true).to_line().unwrap();
                lines.concat()
            },
            codes::CHAIN,
            Some(1),
            "the header is of another log than the records",
        ),
        bad(
            "body-edited",
            edited(21, "\"mutated\":\"maybe\"", "\"mutated\":\"no\""),
            codes::DETAIL,
            Some(21),
            "the body was changed",
        ),
        bad(
            "body-missing",
            {
                let log = sample();
                let mut lines = lines(&log.export(true));
                lines[6] = rectify_audit::export::line(&log.lines[5].0, None);
                lines.concat()
            },
            codes::DETAIL,
            Some(6),
            "a body is missing, and the header says that none is",
        ),
        Case {
            checkpoint: None,
            ..bad(
                "body-contradicts",
                wrong(|log| {
                    let run = run(1, 1);
                    log.admit(&run);
                    let record = verified();
                    let act = rectify_audit::record::Act {
                        run_id: Some(run.run.clone()),
                        action: Action::TargetRefused,
                        ..rectify_audit::record::Act::of_record(&record)
                    };
                    log.push(act, Some(rectify_base::canonical::compact(&record).unwrap()));
                })
                .export(true),
                codes::DETAIL,
                Some(3),
                "the record says refused, its body says verified",
            )
        },
        grammar(
            "effect-without-admission",
            wrong(|log| {
                let run = run(1, 1);
                log.record(&run, &verified());
            }),
            Some(2),
            "a run that was never admitted",
        ),
        grammar(
            "admitted-twice",
            wrong(|log| {
                log.admit(&run(1, 1));
                log.admit(&run(1, 1));
            }),
            Some(3),
            "one run is admitted once",
        ),
        grammar(
            "result-without-intent",
            wrong(|log| {
                let run = run(1, 1);
                log.admit(&run);
                log.record(&run, &verified());
                log.record(&run, &succeeded("config", How::Applied));
            }),
            Some(4),
            "something was changed without an intent",
        ),
        grammar(
            "result-of-what-was-not-begun",
            wrong(|log| {
                let run = run(1, 1);
                log.admit(&run);
                log.record(&run, &verified());
                log.record(&run, &intent(&run, "config", 1, 1));
                log.record(&run, &step("config", StepState::Failed(not_begun())));
                log.record(&run, &succeeded("config", How::Applied));
            }),
            Some(6),
            "what was not begun has changed something, without a new intent",
        ),
        grammar(
            "two-results",
            wrong(|log| {
                let run = run(1, 1);
                log.admit(&run);
                log.record(&run, &verified());
                log.record(&run, &intent(&run, "config", 1, 1));
                log.record(&run, &succeeded("config", How::Applied));
                log.record(&run, &step("config", StepState::Failed(failure(Mutated::Yes))));
            }),
            Some(6),
            "one intent has two results",
        ),
        grammar(
            "intent-before-target",
            wrong(|log| {
                let run = run(1, 1);
                log.admit(&run);
                log.record(&run, &intent(&run, "config", 1, 1));
            }),
            Some(3),
            "the target was not verified",
        ),
        grammar(
            "intent-open-at-the-end",
            wrong(|log| {
                let run = run(1, 1);
                log.admit(&run);
                log.record(&run, &verified());
                log.record(&run, &intent(&run, "config", 1, 1));
                log.end(&run, RunOutcome::Failed);
            }),
            Some(5),
            "the run ended for good, and nobody knows what the step did",
        ),
        grammar(
            "after-the-end",
            wrong(|log| {
                let run = run(1, 1);
                log.admit(&run);
                log.end(&run, RunOutcome::Failed);
                log.receipt(&run);
                log.record(&run, &verified());
            }),
            Some(5),
            "nothing comes after the end but a receipt",
        ),
        grammar(
            "undo-before-its-mark",
            wrong(|log| {
                let run = run(1, 1);
                log.admit(&run);
                log.record(&run, &verified());
                log.record(&run, &intent(&run, "config", 1, 1));
                log.record(&run, &succeeded("config", How::Applied));
                log.record(&run, &undone("config"));
            }),
            Some(6),
            "a step is taken back before the run says so",
        ),
        grammar(
            "intent-while-taking-back",
            wrong(|log| {
                let run = run(1, 1);
                log.admit(&run);
                log.record(&run, &verified());
                let because = failure(Mutated::No);
                log.record(&run, &mark(RunMark::Undoing { because, place: "run".into() }));
                log.record(&run, &intent(&run, "config", 1, 1));
            }),
            Some(5),
            "a run that takes back does nothing new",
        ),
        grammar(
            "attempt-skipped",
            wrong(|log| {
                let run = run(1, 1);
                log.admit(&run);
                log.record(&run, &verified());
                log.record(&run, &intent(&run, "config", 2, 1));
            }),
            Some(4),
            "the second attempt without a first; only the body tells",
        ),
        grammar(
            "intent-under-old-fence",
            wrong(|log| {
                let run = run(1, 1);
                log.admit(&run);
                log.record(&run, &mark(RunMark::Resumed { fence: 2 }));
                log.record(&run, &verified());
                log.record(&run, &intent(&run, "config", 1, 1));
            }),
            Some(5),
            "an engine that was replaced goes on; only the body tells",
        ),
        grammar(
            "fence-falls",
            wrong(|log| {
                log.lease(Action::LeaseAcquired, &run(1, 2), 2);
                log.lease(Action::LeaseAcquired, &run(1, 1), 1);
            }),
            Some(3),
            "fences only grow",
        ),
        grammar(
            "begun-twice",
            {
                let mut log = Writer::new();
                let (_, body) = log.lines[0].clone();
                log.push(rectify_audit::record::Act::new(Action::LogStarted), body);
                log
            },
            Some(2),
            "a log begins once",
        ),
        Case {
            checkpoint: Some(good_note.replace("\n\n", "\n").into_bytes()),
            ..bad("checkpoint-without-signature", good().export, codes::CHECKPOINT, None, "not a note")
        },
        Case {
            checkpoint: Some(note(&good_note, "5a5a", "5b5a")),
            ..bad("checkpoint-of-other-log", good().export, codes::CHECKPOINT, None, "another origin")
        },
        Case {
            checkpoint: Some(checkpoint::sign(&sample().chain.head(), &Key::new(8)).unwrap()),
            ..bad(
                "checkpoint-by-other-key",
                good().export,
                codes::SIGNATURE,
                None,
                "a key that was not given",
            )
        },
        Case {
            checkpoint: Some(note(&good_note, &format!("\n{last}\n"), &format!("\n{}\n", last - 1))),
            ..bad("checkpoint-edited", good().export, codes::SIGNATURE, None, "its size was changed")
        },
        Case {
            checkpoint: Some(good().checkpoint.unwrap()),
            key: false,
            ..bad("checkpoint-without-key", good().export, codes::SIGNATURE, None, "no key to believe")
        },
        Case {
            checkpoint: Some(sample().checkpoint()),
            ..bad(
                "truncated",
                lines(&sample().export(true))[..30].concat(),
                codes::TRUNCATED,
                Some(30),
                "the last records are missing",
            )
        },
        Case {
            checkpoint: Some(sample().checkpoint()),
            ..bad("forged", forged().export(true), codes::ROOT, Some(1), "chained anew, without the key")
        },
        Case {
            checkpoint: Some(sample().checkpoint()),
            since: Some(early().checkpoint()),
            ..bad(
                "forged-before-since",
                forged().export(true),
                codes::CONSISTENCY,
                Some(1),
                "the past was rewritten",
            )
        },
        Case {
            checkpoint: Some(early().checkpoint()),
            since: Some(sample().checkpoint()),
            ..bad("since-is-later", good().export, codes::CONSISTENCY, None, "the two were exchanged")
        },
    ]
}

fn top() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../conformance")
}

fn directory(case: &Case) -> PathBuf {
    let group = if case.expect.is_some() { "cases/audit" } else { "vectors/audit" };
    top().join(group).join(case.name)
}

/// Where the files of all cases are, good ones included.
pub fn directories() -> Vec<PathBuf> {
    cases().iter().map(directory).collect()
}

/// What must come of the case in a directory.
pub fn expected(wanted: &std::path::Path) -> Option<(String, Option<u64>)> {
    let case = cases().into_iter().find(|case| directory(case) == wanted).unwrap();
    case.expect.map(|(code, seq, _)| (code.to_owned(), seq))
}

fn files(case: &Case) -> Vec<(&'static str, Option<Vec<u8>>)> {
    let text = |value: Value| Some((serde_json::to_string_pretty(&value).unwrap() + "\n").into_bytes());
    let expect = case.expect.map(|(code, seq, why)| {
        text(json!({"code": code, "place": seq.map_or("log".to_owned(), |seq| format!("record {seq}")), "why": why}))
    });
    vec![
        ("export.jsonl", Some(case.export.clone())),
        ("checkpoint.txt", case.checkpoint.clone()),
        ("since.txt", case.since.clone()),
        ("key.pub", case.key.then(|| format!("{}\n", Key::new(7).public()).into_bytes())),
        ("expect.json", expect.flatten()),
    ]
}

#[test]
fn the_case_files_are_those_of_the_cases() {
    let write = std::env::var("RECTIFY_AUDIT_CASES").is_ok_and(|word| word == "write");
    let mut names = BTreeSet::new();
    for case in cases() {
        let directory = directory(&case);
        assert!(names.insert(directory.clone()), "{} twice", case.name);
        for (name, wanted) in files(&case) {
            let path = directory.join(name);
            if write {
                fs::create_dir_all(&directory).unwrap();
                match &wanted {
                    Some(bytes) => fs::write(&path, bytes).unwrap(),
                    None => drop(fs::remove_file(&path)),
                }
            }
            assert_eq!(fs::read(&path).ok(), wanted, "{}", path.display());
        }
    }
    for group in ["cases/audit", "vectors/audit"] {
        for found in fs::read_dir(top().join(group)).unwrap() {
            let path = found.unwrap().path();
            assert!(names.contains(&top().join(group).join(path.file_name().unwrap())), "{}", path.display());
        }
    }
}

#[test]
fn each_case_has_its_code_and_record() {
    let mut seen = BTreeSet::new();
    for case in cases() {
        let anchors = Anchors {
            checkpoint: case.checkpoint.as_deref(),
            since: case.since.as_deref(),
            key: case.key.then(|| Key::new(7).public()),
        };
        let report = verify(&case.export, anchors);
        let found = report.finding.as_ref().map(|finding| (finding.code, finding.seq));
        assert_eq!(found, case.expect.map(|(code, seq, _)| (code, seq)), "{}: {report:?}", case.name);
        seen.extend(found.map(|(code, _)| code));
        if case.expect.is_none() {
            let anchored = case.checkpoint.map_or(0, |note| Checkpoint::read(&note).unwrap().size);
            assert_eq!((report.anchored, report.runs, report.open_runs), (anchored, 4, 1), "{}", case.name);
        }
    }
    for code in codes::ALL {
        assert!(seen.contains(code.as_str()), "no case for {code}");
    }
}

#[test]
fn bodies_that_the_header_denies_are_refused() {
    let mut lines = lines(&sample().export(true));
    lines[0] = Header::new(log_id(), None, false).to_line().unwrap();
    let report = verify(&lines.concat(), Anchors::default());
    assert_eq!(report.finding.map(|finding| finding.code), Some("audit-detail"));
}

#[test]
fn after_a_finding_nothing_more_is_read() {
    let mut verifier = Verifier::new(Anchors::default());
    assert!(!verifier.line(b"nothing\n"));
    assert!(!verifier.line(&Header::new(log_id(), None, true).to_line().unwrap()));
    assert_eq!(verifier.finish().records, 0);
}
