//! The trust file, and keys.

use crate::{Target, seeds};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use rectify_attest::{PublicKey, Signer as _};
use rectify_keys::{no_passphrase, parse_signer, parse_trust, render_trust};
use std::path::Path;

pub(super) const TARGET: Target = Target {
    name: "trust",
    holds: "a trust file that is read can be written, and reads the same",
    check,
    seeds: |conformance| {
        seeds::directories(&conformance.join("cases/trust"))
            .iter()
            .flat_map(|case| seeds::files(case))
            .filter(|(name, _)| name == "trust.yaml")
            .map(|(_, bytes)| bytes)
            .collect()
    },
    max_bytes: 4096,
    replays: 8,
};

fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match parse_trust(text) {
        Ok(trust) => {
            let rendered = render_trust(&trust).expect("what was read can be written");
            assert_eq!(parse_trust(&rendered).as_ref(), Ok(&trust));
        }
        Err(problems) => {
            assert!(!problems.is_empty());
            assert!(problems.iter().all(|problem| !problem.message.is_empty()));
        }
    }
}

pub(super) const KEYS: Target = Target {
    name: "keys",
    holds: "a public key that is read has one spelling, and a private key fits its public one",
    check: check_key,
    seeds: |_| {
        let public = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ1GJjRIHFFz6vOyJRpb2vrLCgAu1GQVJ6EHfmGbfNlY a@b";
        vec![public.into(), pkcs8(), openssh()]
    },
    max_bytes: 2048,
    replays: 300,
};

/// A private key that opens nothing.
const SEED: [u8; 32] = [1; 32];

fn pem(label: &str, columns: usize, bytes: &[u8]) -> Vec<u8> {
    let text = STANDARD.encode(bytes);
    let lines: Vec<&str> =
        text.as_bytes().chunks(columns).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n")).into_bytes()
}

fn pkcs8() -> Vec<u8> {
    let head = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";
    pem("PRIVATE KEY", 64, &[&head[..], &SEED].concat())
}

fn openssh() -> Vec<u8> {
    let seed = SEED;
    let public = ed25519_dalek::SigningKey::from_bytes(&seed).verifying_key().to_bytes();
    fn string(out: &mut Vec<u8>, bytes: &[u8]) {
        out.extend((bytes.len() as u32).to_be_bytes());
        out.extend(bytes);
    }
    let mut key = Vec::new();
    string(&mut key, b"ssh-ed25519");
    string(&mut key, &public);
    let mut private = vec![7_u8; 8];
    private.extend(&key);
    string(&mut private, &[&seed[..], &public].concat());
    string(&mut private, b"x");
    private.extend((1..).take((8 - private.len() % 8) % 8));
    let mut file = b"openssh-key-v1\0".to_vec();
    for part in [&b"none"[..], b"none", b""] {
        string(&mut file, part);
    }
    file.extend(1_u32.to_be_bytes());
    string(&mut file, &key);
    string(&mut file, &private);
    pem("OPENSSH PRIVATE KEY", 70, &file)
}

fn check_key(data: &[u8]) {
    if let Ok(key) =
        std::str::from_utf8(data).map_err(drop).and_then(|text| PublicKey::from_openssh(text).map_err(drop))
    {
        assert_eq!(PublicKey::from_openssh(&key.to_openssh()).as_ref(), Ok(&key));
        assert_eq!(PublicKey::from_bytes(key.as_bytes()).as_ref(), Ok(&key));
    }
    if let Ok(signer) = parse_signer(Path::new("key"), data, &mut no_passphrase) {
        let signature = signer.sign(b"message").unwrap();
        assert!(signer.public_key().verifies(b"message", &signature));
        assert!(!signer.public_key().verifies(b"massage", &signature));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_to_begin_with_are_keys() {
        let seeds = (KEYS.seeds)(Path::new(""));
        for seed in &seeds[1..] {
            parse_signer(Path::new("key"), seed, &mut no_passphrase).unwrap();
        }
    }
}
