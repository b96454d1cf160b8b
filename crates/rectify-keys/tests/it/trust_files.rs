//! Reading and writing trust files.

use crate::trust_cases::with_keys;
use rectify_attest::{PrincipalKind, PrincipalName, Signer, TrustFile};
use rectify_base::Digest;
use rectify_keys::{
    LocalSigner, codes, parse_trust, read_trust, render_trust, solo_trust, write_new_trust, write_trust,
};
use std::{collections::BTreeSet, fs, os::unix::fs::PermissionsExt};
use tempfile::tempdir;

const FULL: &str = "\
# A comment.
format: rectify.trust/v1
principals:
  alice:
    kind: person
    keys:
      - public: ${alice} alice@example.org
        valid_from: 2026-01-01T00:00:00Z
        valid_to: 2026-04-01T00:00:00Z
  bob@example.org:
    kind: person
    keys:
      - public: ${bob}
        revoked: {since: 2026-02-03T04:05:06Z, reason: 'lost laptop: stolen'}
  carol: {kind: person, keys: []}
  ci:
    kind: machine
    keys: [{public: '${ci}'}]
roles:
  sealer: [alice, ci]
  approver: [bob@example.org, carol]
approvals:
  default: 1
  environments: {prod: 2}
  projects: {web: 2}
policy_bundles:
  - blake3:1111111111111111111111111111111111111111111111111111111111111111
ceilings: {seal: 48h, approval: 90m}
plan_commands:
  - [/usr/bin/test, -e, '/a b']
  - [/usr/bin/true, 'no', '1', '', '~']
";

fn name(text: &str) -> PrincipalName {
    text.parse().unwrap()
}

fn solo() -> TrustFile {
    let key = LocalSigner::from_seed(&[1; 32].into()).unwrap().public_key();
    solo_trust(name("alice"), key, BTreeSet::from([Digest::of_bytes(b"bundle")])).unwrap()
}

#[test]
fn everything_is_read() {
    let trust = parse_trust(&with_keys(FULL)).unwrap();
    let data = trust.data();
    assert!(!data.solo);
    let alice = &data.principals[&name("alice")].keys[0];
    assert_eq!((alice.valid_from, alice.valid_to), (Some(1_767_225_600), Some(1_775_001_600)));
    let bob = &data.principals[&name("bob@example.org")].keys[0];
    let revoked = bob.revoked.as_ref().unwrap();
    assert_eq!((revoked.since, revoked.reason.as_deref()), (1_770_091_506, Some("lost laptop: stolen")));
    assert_eq!(trust.kind(&name("ci")), Some(PrincipalKind::Machine));
    assert_eq!(data.approvers, BTreeSet::from([name("bob@example.org"), name("carol")]));
    assert_eq!(data.thresholds.environments["prod"], 2);
    assert_eq!((data.ceilings.seal_s, data.ceilings.approval_s), (48 * 3600, 90 * 60));
    assert!(data.plan_commands.contains(["/usr/bin/true", "no", "1", "", "~"].map(String::from).as_slice()));
}

#[test]
fn what_is_written_reads_the_same() {
    for trust in [parse_trust(&with_keys(FULL)).unwrap(), solo()] {
        let text = render_trust(&trust).unwrap();
        assert_eq!(parse_trust(&text).unwrap(), trust);
        assert_eq!(render_trust(&parse_trust(&text).unwrap()).unwrap(), text);
    }
}

#[test]
fn a_solo_file_says_so_loudly() {
    let text = render_trust(&solo()).unwrap();
    let loud = text.lines().find(|line| line.contains("SOLO")).unwrap();
    assert!(loud.starts_with('#') && loud.contains("NOBODY ELSE LOOKS"));
    assert!(text.contains("\nsolo: true\n"));
    let shared = render_trust(&parse_trust(&with_keys(FULL)).unwrap()).unwrap();
    assert!(!shared.to_lowercase().contains("solo"), "{shared}");
}

#[test]
fn files_are_replaced_whole_or_not_at_all() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("trust.yaml");
    write_new_trust(&path, &solo()).unwrap();
    assert_eq!(read_trust(&path).unwrap(), solo());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o644);
    let full = parse_trust(&with_keys(FULL)).unwrap();
    assert_eq!(write_new_trust(&path, &full).unwrap_err().code(), codes::TRUST_EXISTS);
    assert_eq!(read_trust(&path).unwrap(), solo());
    write_trust(&path, &full).unwrap();
    assert_eq!(read_trust(&path).unwrap(), full);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "no temporary file is left");
    let nowhere = directory.path().join("no/such/trust.yaml");
    assert_eq!(write_trust(&nowhere, &full).unwrap_err().code(), codes::TRUST_WRITE);
}

#[test]
fn a_time_without_a_spelling_is_not_written() {
    let mut data = solo().data().clone();
    data.principals.get_mut(&name("alice")).unwrap().keys[0].valid_to = Some(u64::MAX);
    assert!(render_trust(&TrustFile::new(data).unwrap()).is_err());
}

#[test]
fn a_file_that_is_not_text_is_refused() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("trust.yaml");
    fs::write(&path, b"format: \xff").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(read_trust(&path).unwrap_err().code(), codes::TRUST_READ);
    fs::write(&path, "format: rectify.trust/v2\n").unwrap();
    assert_eq!(read_trust(&path).unwrap_err().code(), codes::TRUST_FORMAT);
}
