//! OpenSSH's formats, both ways.

use crate::tools::{never, once, secret, ssh_keygen};
use base64::{Engine, engine::general_purpose::STANDARD};
use rectify_attest::Signer;
use rectify_keys::{codes, generate, load_signer, no_passphrase, parse_signer, read_public_key};
use std::{fs, path::Path};
use tempfile::tempdir;

fn fingerprint(path: &Path) -> String {
    ssh_keygen(&["-l", "-E", "sha256"], path).split_whitespace().nth(1).unwrap().to_owned()
}

#[test]
fn a_key_of_ssh_keygen_is_loaded() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("id");
    ssh_keygen(&["-q", "-t", "ed25519", "-N", "", "-C", "somebody"], &path);
    let signer = load_signer(&path, &mut never).unwrap();
    assert_eq!(signer.public_key().fingerprint(), fingerprint(&path));
    assert_eq!(read_public_key(&path.with_extension("pub")).unwrap(), signer.public_key());
    let signature = signer.sign(b"message").unwrap();
    assert!(signer.public_key().verifies(b"message", &signature));
}

#[test]
fn a_key_with_a_passphrase_of_ssh_keygen_is_loaded() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("id");
    ssh_keygen(&["-q", "-t", "ed25519", "-N", "open sesame", "-a", "2"], &path);
    let signer = load_signer(&path, &mut once("open sesame")).unwrap();
    assert_eq!(signer.public_key().fingerprint(), fingerprint(&path));
    let wrong = load_signer(&path, &mut once("open barley")).unwrap_err();
    assert_eq!(wrong.code(), codes::KEY_PASSPHRASE_WRONG);
    let none = load_signer(&path, &mut no_passphrase).unwrap_err();
    assert_eq!(none.code(), codes::KEY_PASSPHRASE_NEEDED);
}

#[test]
fn our_keys_are_read_by_ssh_keygen() {
    let directory = tempdir().unwrap();
    for passphrase in ["", "open sesame"] {
        let path = directory.path().join(format!("id-{}", passphrase.len()));
        let given = (!passphrase.is_empty()).then(|| secret(passphrase));
        let signer = generate(&path, "alice@example.org", given.as_ref()).unwrap();
        let public = ssh_keygen(&["-y", "-P", passphrase], &path);
        let expected = format!("{} alice@example.org\n", signer.public_key().to_openssh());
        assert_eq!(public, expected);
        let public_path = path.with_extension("pub");
        assert_eq!(fs::read_to_string(&public_path).unwrap(), expected);
        assert_eq!(fingerprint(&public_path), signer.public_key().fingerprint());
        let mut ask = |_: &Path| given.clone();
        assert_eq!(load_signer(&path, &mut ask).unwrap().public_key(), signer.public_key());
    }
}

#[test]
fn other_algorithms_are_refused() {
    let directory = tempdir().unwrap();
    for (algorithm, passphrase) in [("ecdsa", ""), ("rsa", ""), ("rsa", "open sesame")] {
        let path = directory.path().join(format!("{algorithm}{}", passphrase.len()));
        ssh_keygen(&["-q", "-t", algorithm, "-N", passphrase, "-a", "1"], &path);
        let error = load_signer(&path, &mut never).unwrap_err();
        assert_eq!(error.code(), rectify_attest::codes::KEY_ALGORITHM, "{error}");
        let error = read_public_key(&path.with_extension("pub")).unwrap_err();
        assert_eq!(error.code(), rectify_attest::codes::KEY_ALGORITHM, "{error}");
    }
}

/// Changes the bytes inside an OpenSSH private key.
fn edited(path: &Path, edit: impl FnOnce(&mut Vec<u8>)) -> String {
    let text = fs::read_to_string(path).unwrap();
    let body: String = text.lines().filter(|line| !line.starts_with("-----")).collect();
    let mut bytes = STANDARD.decode(body).unwrap();
    edit(&mut bytes);
    let lines = STANDARD
        .encode(bytes)
        .as_bytes()
        .chunks(70)
        .map(|line| format!("{}\n", String::from_utf8_lossy(line)))
        .collect::<String>();
    format!("-----BEGIN OPENSSH PRIVATE KEY-----\n{lines}-----END OPENSSH PRIVATE KEY-----\n")
}

#[test]
fn too_many_rounds_are_not_waited_for() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("id");
    ssh_keygen(&["-q", "-t", "ed25519", "-N", "open sesame", "-a", "2"], &path);
    let text = edited(&path, |bytes| {
        // The name `bcrypt`, the length of the options, a salt of 16 bytes with its length, the rounds.
        let name = bytes.windows(6).position(|w| w == b"bcrypt").unwrap();
        let rounds = name + 6 + 4 + 4 + 16;
        assert_eq!(bytes[rounds..rounds + 4], [0, 0, 0, 2]);
        bytes[rounds] = 1;
    });
    let error = parse_signer(&path, text.as_bytes(), &mut never).unwrap_err();
    assert_eq!(error.code(), codes::KEY_FORMAT);
    assert!(error.to_string().contains("16777218 rounds"), "{error}");
}

#[test]
fn a_public_half_that_does_not_fit_is_refused() {
    let directory = tempdir().unwrap();
    let (path, other) = (directory.path().join("id"), directory.path().join("other"));
    let signer = generate(&path, "", None).unwrap();
    let other = generate(&other, "", None).unwrap().public_key();
    let text = edited(&path, |bytes| {
        let mine = signer.public_key();
        let places: Vec<_> =
            (0..bytes.len() - 31).filter(|at| bytes[*at..at + 32] == *mine.as_bytes()).collect();
        assert_eq!(places.len(), 3, "outside, beside the private half, and within it");
        for at in places {
            bytes[at..at + 32].copy_from_slice(other.as_bytes());
        }
    });
    let error = parse_signer(&path, text.as_bytes(), &mut never).unwrap_err();
    assert_eq!(error.code(), codes::KEY_MISMATCH, "{error}");
}

#[test]
fn what_is_no_key_is_refused() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("id");
    generate(&path, "", None).unwrap();
    let whole = fs::read(&path).unwrap();
    for length in 0..whole.len() - 40 {
        let error = parse_signer(&path, &whole[..length], &mut never).unwrap_err();
        assert_eq!(error.code(), codes::KEY_FORMAT, "cut to {length}: {error}");
    }
    for bytes in [b"\xff\xfe".as_slice(), b"PuTTY-User-Key-File-3: ssh-ed25519\n"] {
        assert_eq!(parse_signer(&path, bytes, &mut never).unwrap_err().code(), codes::KEY_FORMAT);
    }
}
