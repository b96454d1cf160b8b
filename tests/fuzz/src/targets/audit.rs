//! The audit log as it is handed to a verifier, and its checkpoints.

use crate::{Target, sections, seeds};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use rectify_attest::PublicKey;
use rectify_audit::{Anchors, Checkpoint, Report, codes, export, verify};
use rectify_base::Code;

pub(super) const TARGET: Target = Target {
    name: "audit",
    holds: "an export is good or bad at one of its records, always alike; what a checkpoint vouches for are the bytes that it was made over; lines and notes have one form",
    check,
    seeds: |conformance| {
        let mut all = vec![
            sections::join(&[("export.jsonl", EXPORT)]),
            sections::join(&[("checkpoint.txt", CHECKPOINT)]),
        ];
        for case in seeds::directories(&conformance.join("cases/audit")) {
            let mut files = seeds::files(&case);
            files.retain(|(name, _)| name.ends_with(".jsonl") || name.ends_with(".txt"));
            all.push(sections::join(&files));
        }
        all
    },
    max_bytes: 65_536,
    replays: 3,
};

const EXPORT: &[u8] =
    include_bytes!("../../../../conformance/cases/audit/checkpoint-without-key/export.jsonl");
const CHECKPOINT: &[u8] =
    include_bytes!("../../../../conformance/cases/audit/checkpoint-without-key/checkpoint.txt");
const KEY: &str = include_str!("../../../../conformance/cases/audit/checkpoint-edited/key.pub");

fn key() -> PublicKey {
    PublicKey::from_openssh(KEY.trim()).unwrap()
}

fn check(data: &[u8]) {
    let sections = sections::split(data);
    let notes: Vec<&[u8]> =
        sections.iter().filter(|(name, _)| name.ends_with(b".txt")).map(|(_, body)| *body).collect();
    notes.iter().for_each(|note| one_form(note));
    let Some(log) = sections::find(&sections, "export.jsonl") else { return };
    for line in log.split(|b| *b == b'\n').skip(1) {
        if let Ok(read) = export::read(line) {
            assert_eq!(export::line(read.bytes, read.body).strip_suffix(b"\n"), Some(line));
        }
    }
    let bare = judged(log, Anchors::default());
    let kept = judged(log, Anchors { checkpoint: Some(CHECKPOINT), since: None, key: Some(key()) });
    if kept.good() {
        assert!(bare.good(), "good only with a checkpoint");
        assert!(vouched(log, &kept), "a checkpoint vouches for other records");
    }
    for note in &notes {
        let report =
            judged(log, Anchors { checkpoint: Some(note), since: Some(CHECKPOINT), key: Some(key()) });
        assert!(!report.good() || vouched(log, &report), "not a continuation");
    }
}

/// Whether the records that a checkpoint vouches for are those of the log that it was made over.
fn vouched(log: &[u8], report: &Report) -> bool {
    let records = |bytes: &[u8]| -> Vec<Vec<u8>> {
        let lines = bytes.split(|b| *b == b'\n').skip(1);
        lines.filter_map(|line| Some(export::read(line).ok()?.bytes.to_vec())).collect()
    };
    let (old, new) = (records(EXPORT), records(log));
    report.anchored >= old.len() as u64 && new.starts_with(&old)
}

fn judged(log: &[u8], anchors: Anchors<'_>) -> Report {
    let report = verify(log, anchors);
    assert_eq!(verify(log, anchors), report);
    let lines = log.split(|b| *b == b'\n').count() as u64;
    assert!(report.records <= lines && report.anchored <= report.records && report.open_runs <= report.runs);
    if let Some(finding) = &report.finding {
        assert!(codes::ALL.iter().map(|code: &Code| code.as_str()).any(|code| code == finding.code));
        assert!(
            finding.seq.is_none_or(|seq| seq >= 1 && seq <= lines.max(report.records + 1))
                || anchors.since.is_some()
        );
        assert!(!finding.message.is_empty() && report.anchored == 0);
    }
    report
}

/// A note that is read is written by its parts.
fn one_form(note: &[u8]) {
    let Ok(read) = Checkpoint::read(note) else { return };
    let mut text = format!("{}\n{}\n{}\n", read.origin, read.size, STANDARD.encode(read.root));
    for line in &read.extensions {
        text.push_str(line);
        text.push('\n');
    }
    text.push('\n');
    assert!(note.starts_with(text.as_bytes()), "read otherwise than it is written");
    let signatures = std::str::from_utf8(&note[text.len()..]).unwrap();
    assert!(signatures.ends_with('\n') && signatures.lines().all(|line| line.starts_with("\u{2014} ")));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_to_begin_with_is_good() {
        let report = verify(EXPORT, Anchors { checkpoint: Some(CHECKPOINT), since: None, key: Some(key()) });
        assert!(report.good() && report.anchored > 3, "{report:?}");
        assert!(vouched(EXPORT, &report));
    }
}
