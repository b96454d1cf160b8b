//! Modes, owners, and what is never overwritten.

use crate::tools::never;
use rectify_attest::Signer;
use rectify_keys::{
    codes, generate, generate_pkcs8, load_or_generate, load_signer, read_public_key, read_trust,
};
use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};
use tempfile::tempdir;

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn generated_files_have_narrow_modes() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("id");
    generate(&path, "", None).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(&path.with_extension("pub")), 0o644);
    let mut names: Vec<_> = fs::read_dir(directory.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["id", "id.pub"], "no temporary file is left");
}

#[test]
fn all_who_find_no_key_at_once_have_the_same() {
    for _ in 0..20 {
        let directory = tempdir().unwrap();
        let path = &directory.path().join("executor");
        let keys: Vec<_> = std::thread::scope(|scope| {
            let all: Vec<_> = (0..8).map(|_| scope.spawn(|| load_or_generate(path, "executor"))).collect();
            all.into_iter().map(|one| one.join().unwrap().unwrap().public_key()).collect()
        });
        let kept = read_public_key(&path.with_extension("pub")).unwrap();
        assert!(keys.iter().all(|key| *key == kept));
    }
}

#[test]
fn a_public_key_whose_private_one_was_never_written_gives_way() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("executor");
    let lost = generate(&path, "", None).unwrap();
    fs::remove_file(&path).unwrap();
    let made = load_or_generate(&path, "").unwrap();
    assert_ne!(made.public_key(), lost.public_key());
    assert_eq!(read_public_key(&path.with_extension("pub")).unwrap(), made.public_key());
}

#[test]
fn a_private_key_that_others_have_rights_to_is_refused() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("id");
    generate(&path, "", None).unwrap();
    for mode in [0o640, 0o604, 0o620, 0o610, 0o602, 0o601, 0o666] {
        chmod(&path, mode);
        let error = load_signer(&path, &mut never).unwrap_err();
        assert_eq!(error.code(), codes::KEY_FILE_MODE, "{mode:o}: {error}");
    }
    for mode in [0o600, 0o700] {
        chmod(&path, mode);
        load_signer(&path, &mut never).unwrap();
    }
}

#[test]
fn files_that_others_can_write_are_refused() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("id");
    generate(&path, "", None).unwrap();
    let public = path.with_extension("pub");
    for mode in [0o664, 0o646] {
        chmod(&public, mode);
        assert_eq!(read_public_key(&public).unwrap_err().code(), codes::KEY_FILE_MODE);
        let trust = directory.path().join("trust.yaml");
        fs::write(&trust, "").unwrap();
        chmod(&trust, mode);
        assert_eq!(read_trust(&trust).unwrap_err().code(), codes::TRUST_FILE_MODE);
    }
}

#[test]
fn files_of_somebody_else_are_refused() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("only root can give files away; this test did not run");
        return;
    }
    let directory = tempdir().unwrap();
    let path = directory.path().join("id");
    generate(&path, "", None).unwrap();
    std::os::unix::fs::chown(&path, Some(12_345), None).unwrap();
    assert_eq!(load_signer(&path, &mut never).unwrap_err().code(), codes::KEY_FILE_MODE);
}

#[test]
fn what_is_no_regular_file_is_refused() {
    let directory = tempdir().unwrap();
    let pipe = directory.path().join("pipe");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    let large = directory.path().join("large");
    fs::write(&large, vec![b'a'; 1024 * 1024 + 1]).unwrap();
    chmod(&large, 0o600);
    let missing = directory.path().join("missing");
    for path in [pipe.as_path(), directory.path(), &large, &missing] {
        let error = load_signer(path, &mut never).unwrap_err();
        assert_eq!(error.code(), codes::KEY_FILE_READ, "{error}");
        assert_eq!(read_trust(path).unwrap_err().code(), codes::TRUST_READ);
    }
}

#[test]
fn a_link_is_followed_to_a_file_that_is_kept_safe() {
    let directory = tempdir().unwrap();
    let (path, link) = (directory.path().join("id"), directory.path().join("link"));
    let signer = generate(&path, "", None).unwrap();
    symlink(&path, &link).unwrap();
    assert_eq!(load_signer(&link, &mut never).unwrap().public_key(), signer.public_key());
    chmod(&path, 0o644);
    assert_eq!(load_signer(&link, &mut never).unwrap_err().code(), codes::KEY_FILE_MODE);
}

#[test]
fn keys_are_never_overwritten() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("id");
    fs::write(&path, "something").unwrap();
    assert_eq!(generate(&path, "", None).unwrap_err().code(), codes::KEY_EXISTS);
    assert!(!path.with_extension("pub").exists(), "half a pair is not left behind");
    assert_eq!(generate_pkcs8(&path).unwrap_err().code(), codes::KEY_EXISTS);
    let other = directory.path().join("other");
    fs::write(other.with_extension("pub"), "something").unwrap();
    assert_eq!(generate(&other, "", None).unwrap_err().code(), codes::KEY_EXISTS);
    assert!(!other.exists());
    let dangling = directory.path().join("dangling");
    symlink(directory.path().join("elsewhere"), &dangling).unwrap();
    assert_eq!(generate_pkcs8(&dangling).unwrap_err().code(), codes::KEY_EXISTS);
    assert_eq!(fs::read_to_string(&path).unwrap(), "something");
}

#[test]
fn what_cannot_be_written_is_said() {
    let directory = tempdir().unwrap();
    let nowhere = directory.path().join("no/such/directory/id");
    assert_eq!(generate(&nowhere, "", None).unwrap_err().code(), codes::KEY_WRITE);
    let path = directory.path().join("id");
    assert_eq!(generate(&path, "two\nlines", None).unwrap_err().code(), codes::KEY_WRITE);
    assert!(!path.exists());
}

#[test]
fn debug_shows_no_secret() {
    let directory = tempdir().unwrap();
    let signer = generate(&directory.path().join("id"), "", None).unwrap();
    assert_eq!(format!("{signer:?}"), format!("LocalSigner({})", signer.public_key().fingerprint()));
}
