//! PKCS#8 for machines, both ways.

use crate::tools::{never, openssl};
use rectify_attest::Signer;
use rectify_keys::{codes, generate_pkcs8, load_signer, parse_signer};
use std::{fs, os::unix::fs::PermissionsExt, path::Path};
use tempfile::tempdir;

#[test]
fn our_keys_are_read_back_and_are_version_one() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("machine.pem");
    let signer = generate_pkcs8(&path).unwrap();
    assert_eq!(load_signer(&path, &mut never).unwrap().public_key(), signer.public_key());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    let text = fs::read_to_string(&path).unwrap();
    // SEQUENCE of 46 bytes, INTEGER 0: version 1, and no room for a public half.
    assert!(text.starts_with("-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEI"), "{text}");
}

#[test]
fn openssl_reads_our_keys_and_verifies_our_signatures() {
    let directory = tempdir().unwrap();
    let file = |name: &str| directory.path().join(name);
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let key = file("machine.pem");
    let signer = generate_pkcs8(&key).unwrap();
    let Some(public) = openssl(&["pkey", "-in", &text(&key), "-pubout", "-outform", "DER"]) else {
        eprintln!("openssl is not installed; its half of this test did not run");
        return;
    };
    assert_eq!(public[public.len() - 32..], *signer.public_key().as_bytes());
    let (public, message, signature) = (file("public.pem"), file("message"), file("signature"));
    openssl(&["pkey", "-in", &text(&key), "-pubout", "-out", &text(&public)]).unwrap();
    fs::write(&message, b"message").unwrap();
    fs::write(&signature, signer.sign(b"message").unwrap()).unwrap();
    let said = openssl(&[
        "pkeyutl",
        "-verify",
        "-rawin",
        "-pubin",
        "-inkey",
        &text(&public),
        "-in",
        &text(&message),
        "-sigfile",
        &text(&signature),
    ])
    .unwrap();
    assert!(String::from_utf8_lossy(&said).contains("Verified Successfully"));
}

#[test]
fn a_key_of_openssl_is_loaded() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("machine.pem");
    let text = path.to_str().unwrap();
    if openssl(&["genpkey", "-algorithm", "ed25519", "-out", text]).is_none() {
        eprintln!("openssl is not installed; this test did not run");
        return;
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let signer = load_signer(&path, &mut never).unwrap();
    let public = openssl(&["pkey", "-in", text, "-pubout", "-outform", "DER"]).unwrap();
    assert_eq!(public[public.len() - 32..], *signer.public_key().as_bytes());

    let encrypted = directory.path().join("encrypted.pem");
    let out = encrypted.to_str().unwrap();
    openssl(&["pkcs8", "-topk8", "-in", text, "-out", out, "-passout", "pass:sesame"]).unwrap();
    fs::set_permissions(&encrypted, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(load_signer(&encrypted, &mut never).unwrap_err().code(), codes::KEY_FORMAT);
    let curve = directory.path().join("x25519.pem");
    openssl(&["genpkey", "-algorithm", "x25519", "-out", curve.to_str().unwrap()]).unwrap();
    fs::set_permissions(&curve, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(load_signer(&curve, &mut never).unwrap_err().code(), codes::KEY_FORMAT);
}

#[test]
fn version_two_is_read_and_its_public_half_compared() {
    use ed25519_dalek::pkcs8::{EncodePrivateKey, KeypairBytes, PublicKeyBytes};
    let pem = |public: [u8; 32]| {
        KeypairBytes { secret_key: [7; 32], public_key: Some(PublicKeyBytes(public)) }
            .to_pkcs8_pem(Default::default())
            .unwrap()
    };
    let right = ed25519_dalek::SigningKey::from_bytes(&[7; 32]).verifying_key().to_bytes();
    let wrong = ed25519_dalek::SigningKey::from_bytes(&[8; 32]).verifying_key().to_bytes();
    let path = Path::new("machine.pem");
    let signer = parse_signer(path, pem(right).as_bytes(), &mut never).unwrap();
    assert_eq!(signer.public_key().as_bytes(), &right);
    let error = parse_signer(path, pem(wrong).as_bytes(), &mut never).unwrap_err();
    assert_eq!(error.code(), codes::KEY_MISMATCH);
}
