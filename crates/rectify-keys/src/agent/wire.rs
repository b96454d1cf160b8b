//! The four messages of the agent's protocol that signing needs (draft-miller-ssh-agent). A message is
//! its length in four bytes, its kind in one, and its body; a text in it has its length before it.

use rectify_attest::{PublicKey, public_key::ALGORITHM};

/// Longest message: what OpenSSH's agent takes.
pub const MESSAGE_MAX_BYTES: usize = 256 * 1024;

const FAILURE: u8 = 5;
const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES: u8 = 12;
const SIGN_REQUEST: u8 = 13;
const SIGNATURE: u8 = 14;

/// Asks for the keys.
#[must_use]
pub fn list_request() -> Vec<u8> {
    vec![0, 0, 0, 1, REQUEST_IDENTITIES]
}

/// Asks for a signature over the bytes as they are; nothing if they are too many.
#[must_use]
pub fn sign_request(key: &PublicKey, bytes: &[u8]) -> Option<Vec<u8>> {
    let mut body = vec![SIGN_REQUEST];
    put(&mut body, &key.blob())?;
    put(&mut body, bytes)?;
    body.extend_from_slice(&[0; 4]); // no flags
    if body.len() > MESSAGE_MAX_BYTES {
        return None;
    }
    let mut message = Vec::new();
    put(&mut message, &body)?;
    Some(message)
}

/// Reads an answer to [`list_request`]: the Ed25519 keys that we accept. Others are passed over.
///
/// # Errors
/// When it is no such answer.
pub fn read_keys(answer: &[u8]) -> Result<Vec<PublicKey>, &'static str> {
    const BROKEN: &str = "its list of keys is cut off";
    let mut rest = match answer.split_first() {
        Some((&IDENTITIES, rest)) => rest,
        Some((&FAILURE, _)) => return Err("it refuses to list its keys"),
        _ => return Err("it answers with a message of another kind"),
    };
    let count = number(&mut rest).ok_or(BROKEN)?;
    let mut keys = Vec::new();
    // Each takes at least eight bytes, so the length bounds the rounds.
    for _ in 0..count {
        let blob = text(&mut rest).ok_or(BROKEN)?;
        text(&mut rest).ok_or(BROKEN)?; // the comment
        keys.extend(PublicKey::from_blob(blob));
    }
    if rest.is_empty() { Ok(keys) } else { Err("something follows its list of keys") }
}

/// Reads an answer to [`sign_request`]; nothing if the agent refuses.
///
/// # Errors
/// When it is no such answer, or the signature is not one of Ed25519.
pub fn read_signature(answer: &[u8]) -> Result<Option<[u8; 64]>, &'static str> {
    let mut rest = match answer.split_first() {
        Some((&SIGNATURE, rest)) => rest,
        Some((&FAILURE, _)) => return Ok(None),
        _ => return Err("it answers with a message of another kind"),
    };
    let mut signature = text(&mut rest).ok_or("its signature is cut off")?;
    let algorithm = text(&mut signature).ok_or("its signature is cut off")?;
    let bytes = text(&mut signature).ok_or("its signature is cut off")?;
    if !rest.is_empty() || !signature.is_empty() {
        return Err("something follows its signature");
    }
    if algorithm != ALGORITHM.as_bytes() {
        return Err("its signature is not one of Ed25519");
    }
    bytes.try_into().map(Some).map_err(|_| "its signature is not 64 bytes long")
}

fn put(into: &mut Vec<u8>, bytes: &[u8]) -> Option<()> {
    into.extend_from_slice(&u32::try_from(bytes.len()).ok()?.to_be_bytes());
    into.extend_from_slice(bytes);
    Some(())
}

fn number(rest: &mut &[u8]) -> Option<u32> {
    let (bytes, after) = rest.split_first_chunk::<4>()?;
    *rest = after;
    Some(u32::from_be_bytes(*bytes))
}

fn text<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(number(rest)?).ok()?;
    let (text, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(text)
}
