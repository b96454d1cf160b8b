//! The edge cases of Ed25519 at which libraries differ; all of them are refused.

use crate::world::signer;
use ed25519_dalek::{Signature, SigningKey, Verifier, VerifyingKey};
use rectify_attest::{KeyError, PublicKey, Signer, codes};
use rectify_base::Code;
use sha2::Digest as _;

/// Covered here.
pub const CODES: [Code; 4] =
    [codes::KEY_PUBLIC_TEXT, codes::KEY_ALGORITHM, codes::KEY_INVALID, codes::KEY_WEAK];

/// Little-endian y with the sign of x in the last bit.
fn encoding(first: u8, middle: u8, last: u8) -> [u8; 32] {
    let mut bytes = [middle; 32];
    bytes[0] = first;
    bytes[31] = last;
    bytes
}

const ORDER_8_A: [u8; 32] = [
    0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5,
    0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
];
const ORDER_8_B: [u8; 32] = [
    0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a,
    0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
];

/// All encodings of the eight points of small order, canonical or not.
fn small_order() -> Vec<[u8; 32]> {
    let mut all = vec![
        encoding(0x01, 0, 0),
        encoding(0xec, 0xff, 0x7f),
        encoding(0x00, 0, 0),
        ORDER_8_A,
        ORDER_8_B,
        encoding(0xed, 0xff, 0x7f),
        encoding(0xee, 0xff, 0x7f),
    ];
    for index in 0..all.len() {
        let mut other_sign = all[index];
        other_sign[31] ^= 0x80;
        all.push(other_sign);
    }
    all
}

#[test]
fn small_order_keys_are_refused() {
    for bytes in small_order() {
        let error = PublicKey::from_bytes(&bytes).unwrap_err();
        assert!(matches!(error, KeyError::Weak | KeyError::Invalid), "{bytes:02x?}: {error}");
    }
    assert_eq!(PublicKey::from_bytes(&encoding(0x01, 0, 0)).unwrap_err().code(), codes::KEY_WEAK);
    assert_eq!(PublicKey::from_bytes(&ORDER_8_A).unwrap_err().code(), codes::KEY_WEAK);
}

#[test]
fn keys_with_a_second_spelling_are_refused() {
    let mut decodable = 0;
    // y from the prime up to 2^255 - 1: the same points as y from 0 to 18.
    for first in 0xed..=0xff {
        for last in [0x7f, 0xff] {
            let bytes = encoding(first, 0xff, last);
            decodable += u32::from(VerifyingKey::from_bytes(&bytes).is_ok());
            assert_eq!(PublicKey::from_bytes(&bytes).unwrap_err().code(), codes::KEY_INVALID);
        }
    }
    assert!(decodable > 4, "the library underneath decodes some of them, so our check is what refuses");
}

#[test]
fn keys_of_mixed_order_are_refused() {
    let honest = VerifyingKey::from_bytes(signer("alice").public_key().as_bytes()).unwrap();
    let torsion = VerifyingKey::from_bytes(&ORDER_8_A).unwrap();
    let mixed = (honest.to_edwards() + torsion.to_edwards()).compress().to_bytes();
    assert!(!VerifyingKey::from_bytes(&mixed).unwrap().is_weak(), "not caught by looking for small order");
    assert_eq!(PublicKey::from_bytes(&mixed).unwrap_err().code(), codes::KEY_WEAK);
}

#[test]
fn a_signature_with_small_order_r_is_refused() {
    let key = SigningKey::from_bytes(&[7; 32]);
    let message = b"message";
    let r = encoding(0x01, 0, 0);
    // With r = 0, S = H(R, A, M) * a solves the equation. Double and add, from the highest bit.
    let hash: [u8; 64] = sha2::Sha512::new()
        .chain_update(r)
        .chain_update(key.verifying_key().as_bytes())
        .chain_update(message)
        .finalize()
        .into();
    let a = key.to_scalar();
    let mut s = a - a;
    for byte in hash.iter().rev() {
        for bit in (0..8).rev() {
            s += s;
            if byte >> bit & 1 == 1 {
                s += a;
            }
        }
    }
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(&r);
    signature[32..].copy_from_slice(s.as_bytes());
    let lax = key.verifying_key().verify(message, &Signature::from_bytes(&signature));
    assert!(lax.is_ok(), "the lax rules accept it, so it is the strict ones that refuse");
    let public = PublicKey::from_bytes(key.verifying_key().as_bytes()).unwrap();
    assert!(!public.verifies(message, &signature));
    for r in small_order() {
        signature[..32].copy_from_slice(&r);
        assert!(!public.verifies(message, &signature));
    }
}

#[test]
fn s_beyond_the_order_is_refused() {
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let alice = signer("alice");
    let mut signature = alice.sign(b"message").unwrap();
    assert!(alice.public_key().verifies(b"message", &signature));
    let mut carry = 0;
    for (byte, add) in signature[32..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        *byte = u8::try_from(sum & 0xff).unwrap();
        carry = sum >> 8;
    }
    assert_eq!(carry, 0);
    assert!(!alice.public_key().verifies(b"message", &signature));
}

#[test]
fn every_flipped_bit_of_a_signature_is_refused() {
    let alice = signer("alice");
    let signature = alice.sign(b"message").unwrap();
    for bit in 0..512 {
        let mut flipped = signature;
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(!alice.public_key().verifies(b"message", &flipped), "bit {bit}");
    }
}

#[test]
fn public_key_texts() {
    let key = signer("alice").public_key();
    let text = key.to_openssh();
    assert_eq!(PublicKey::from_openssh(&format!("{text} alice@example.org\n")).unwrap(), key);
    let code = |text: &str| PublicKey::from_openssh(text).unwrap_err().code();
    assert_eq!(code(""), codes::KEY_PUBLIC_TEXT);
    assert_eq!(code("ssh-ed25519"), codes::KEY_PUBLIC_TEXT);
    assert_eq!(code("ssh-ed25519 !!!!"), codes::KEY_PUBLIC_TEXT);
    assert_eq!(code(&text[..text.len() - 4]), codes::KEY_PUBLIC_TEXT);
    assert_eq!(code(&format!("{text}\n{text}")), codes::KEY_PUBLIC_TEXT);
    assert_eq!(code(&text.replace("ssh-ed25519", "ssh-rsa")), codes::KEY_ALGORITHM);
    assert_eq!(code(&format!("command=\"x\" {text}")), codes::KEY_ALGORITHM);
}
