//! Notes: their one form, and whose signature counts.

use crate::support::{Key, log_id, sample};
use rectify_audit::{Checkpoint, CheckpointError, LogId, checkpoint};

fn note() -> String {
    String::from_utf8(sample().checkpoint()).unwrap()
}

#[test]
fn a_checkpoint_is_a_signed_note_of_origin_size_and_root() {
    let note = note();
    let lines: Vec<&str> = note.split('\n').collect();
    let name = "rectify-audit/5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a";
    assert_eq!((lines.len(), lines[0], lines[3], lines[5]), (6, name, "", ""));
    assert_eq!(lines[1].parse(), Ok(sample().lines.len()));
    assert!(lines[4].starts_with(&format!("— {name} ")), "{}", lines[4]);
    let read = Checkpoint::read(note.as_bytes()).unwrap();
    assert_eq!((read.size, read.root), (sample().lines.len() as u64, sample().chain.head().root));
    read.verify(&log_id(), &Key::new(7).public()).unwrap();
}

#[test]
fn only_the_key_and_the_log_that_were_asked_for_count() {
    let read = Checkpoint::read(note().as_bytes()).unwrap();
    let other_key = read.verify(&log_id(), &Key::new(8).public());
    assert!(matches!(other_key, Err(CheckpointError::Unsigned(_))), "{other_key:?}");
    let other_log = read.verify(&LogId::from_bytes([1; 16]), &Key::new(7).public());
    assert!(matches!(other_log, Err(CheckpointError::Origin { .. })), "{other_log:?}");
}

#[test]
fn a_witness_may_sign_too_and_nobody_may_change_a_byte() {
    let note = note();
    let cosigned = format!("{note}— witness.example/w1 AAAAAAAAAAAAAAAAAAAAAA==\n");
    let read = Checkpoint::read(cosigned.as_bytes()).unwrap();
    read.verify(&log_id(), &Key::new(7).public()).unwrap();
    for at in 0..note.len() {
        let mut bytes = note.clone().into_bytes();
        bytes[at] ^= 1;
        let result = Checkpoint::read(&bytes).and_then(|read| read.verify(&log_id(), &Key::new(7).public()));
        assert!(result.is_err(), "byte {at} may be changed");
    }
}

#[test]
fn each_other_form_is_refused() {
    let note = note();
    let forms = [
        note.replace("\n\n", "\n"),
        note.trim_end().to_owned(),
        note.replace('\n', "\r\n"),
        note.replacen('\n', "\n0", 1),
        format!("{note}\n"),
        note.replacen("\n\n", "\n\n\n", 1),
        note.replace('—', "-"),
        note.replacen("=\n", "\n", 1),
        format!("{note}{}", note.lines().last().unwrap().repeat(2)),
        "x".repeat(checkpoint::NOTE_MAX_BYTES + 1),
        String::new(),
    ];
    for form in forms {
        let result = Checkpoint::read(form.as_bytes());
        assert!(matches!(result, Err(CheckpointError::Form(_))), "{form:?}: {result:?}");
    }
}

#[test]
fn the_key_has_the_form_of_other_tools() {
    let text = checkpoint::verifier_key(&log_id(), &Key::new(7).public());
    let mut parts = text.split('+');
    assert_eq!(parts.next(), Some("rectify-audit/5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a"));
    let id = checkpoint::key_id("rectify-audit/5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a", &Key::new(7).public());
    assert_eq!(parts.next().map(|text| u32::from_str_radix(text, 16)), Some(Ok(u32::from_be_bytes(id))));
}
