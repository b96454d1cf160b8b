//! What an ssh-agent answers.

use crate::Target;
use rectify_keys::agent::wire::{read_keys, read_signature};

pub(super) const TARGET: Target = Target {
    name: "agent",
    holds: "what is taken from an ssh-agent's answer is all of it, and read from one of the two answers there are",
    check,
    seeds: |_| vec![keys(), signature(), vec![5], vec![]],
    max_bytes: 1024,
    replays: 500,
};

fn check(data: &[u8]) {
    if let Ok(found) = read_keys(data) {
        assert_eq!(data.first(), Some(&12));
        // Each key takes its blob and the lengths of blob and comment.
        assert!(found.len() * 59 <= data.len());
        for key in found {
            let blob = key.blob();
            assert!(data.windows(blob.len()).any(|window| window == blob), "a key that is not there");
        }
    }
    match read_signature(data) {
        Ok(Some(signature)) => {
            assert_eq!(data.first(), Some(&14));
            // Nothing around it but the kind, three lengths and the algorithm's name.
            assert_eq!(data.len(), 1 + 4 + 4 + 11 + 4 + 64);
            assert!(data.ends_with(&signature));
        }
        Ok(None) => assert_eq!(data.first(), Some(&5)),
        Err(why) => assert!(!why.is_empty()),
    }
}

fn text(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes(), bytes].concat()
}

/// Two keys, of which one is of a kind that is passed over.
fn keys() -> Vec<u8> {
    let public = ed25519_dalek::SigningKey::from_bytes(&[7; 32]).verifying_key().to_bytes();
    let blob = [text(b"ssh-ed25519"), text(&public)].concat();
    let other = [text(b"ssh-rsa"), text(&[1, 0, 1])].concat();
    [&[12, 0, 0, 0, 2][..], &text(&other), &text(b"rsa"), &text(&blob), &text(b"a@b")].concat()
}

fn signature() -> Vec<u8> {
    [&[14][..], &text(&[text(b"ssh-ed25519"), text(&[7; 64])].concat())].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answers_to_begin_with_are_answers() {
        assert!(read_keys(&keys()).is_ok_and(|keys| keys.len() == 1));
        assert!(read_signature(&signature()).is_ok_and(|signature| signature == Some([7; 64])));
    }
}
