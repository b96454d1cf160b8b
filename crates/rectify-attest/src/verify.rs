//! Verifying one envelope: first the signatures over the stored bytes, then what they say.

use crate::{
    codes,
    envelope::Envelope,
    principal::{PrincipalKind, PrincipalName},
    public_key::PublicKey,
    refusal::Refusal,
    statement::{self, Predicate},
    trust::TrustFile,
};
use rectify_base::{Digest, FileDigests};

/// A statement whose every signature is that of a listed key. Whether those keys count now, and for
/// this, is not said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed<T> {
    /// What was said.
    pub predicate: T,
    /// Who signed, by distinct keys. Never empty.
    pub signers: Vec<SignedBy>,
    /// Digest of the envelope file's bytes.
    pub envelope: Digest,
    /// Digest of the payload: equal for two envelopes that say the same.
    pub payload: Digest,
}

/// One verified signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedBy {
    /// Whose key it is.
    pub principal: PrincipalName,
    /// What they are.
    pub kind: PrincipalKind,
    /// The key's fingerprint.
    pub keyid: String,
}

/// Verifies an envelope file as a statement of one kind about one plan. `place` is the name of the
/// file, for messages. Every signature must verify under a listed key.
///
/// # Errors
/// The first [`Refusal`]; one that `place` names.
pub fn verify<T: Predicate>(
    place: &str,
    bytes: &[u8],
    plan: FileDigests,
    trust: &TrustFile,
) -> Result<Signed<T>, Refusal> {
    let (envelope, signers) = verify_signatures(place, bytes, trust)?;
    typed(place, bytes, &envelope, signers, plan)
}

/// Verifies an envelope file that one known key alone must have signed, such as a receipt by its
/// executor's.
///
/// # Errors
/// The first [`Refusal`]; one that `place` names.
pub fn verify_by<T: Predicate>(
    place: &str,
    bytes: &[u8],
    plan: FileDigests,
    key: &PublicKey,
) -> Result<T, Refusal> {
    let envelope = Envelope::read(bytes).map_err(|e| Refusal::new(e.code(), place, e.to_string()))?;
    let message = envelope.signed_bytes();
    for signature in envelope.signatures() {
        let shown: String = signature.keyid.chars().take(60).collect();
        if signature.keyid != key.fingerprint() {
            let message = format!("signed with the key {shown}, which is not the expected one");
            return Err(Refusal::new(codes::TRUST_KEY_UNKNOWN, place, message));
        }
        if !key.verifies(&message, &signature.signature) {
            let message = format!("the signature with the key {shown} does not verify");
            return Err(Refusal::new(codes::ENVELOPE_SIGNATURE, place, message));
        }
    }
    statement::decode(plan, envelope.payload()).map_err(|e| Refusal::new(e.code(), place, e.to_string()))
}

pub(crate) fn typed<T: Predicate>(
    place: &str,
    bytes: &[u8],
    envelope: &Envelope,
    signers: Vec<SignedBy>,
    plan: FileDigests,
) -> Result<Signed<T>, Refusal> {
    let predicate = statement::decode(plan, envelope.payload())
        .map_err(|e| Refusal::new(e.code(), place, e.to_string()))?;
    Ok(Signed {
        predicate,
        signers,
        envelope: Digest::of_bytes(bytes),
        payload: Digest::of_bytes(envelope.payload()),
    })
}

/// The key id only says which listed key to try. What the signature proves follows from the key
/// under which it verifies, and distinct key ids are distinct keys because they are their digests.
pub(crate) fn verify_signatures(
    place: &str,
    bytes: &[u8],
    trust: &TrustFile,
) -> Result<(Envelope, Vec<SignedBy>), Refusal> {
    let envelope = Envelope::read(bytes).map_err(|e| Refusal::new(e.code(), place, e.to_string()))?;
    let message = envelope.signed_bytes();
    let signers = envelope
        .signatures()
        .iter()
        .map(|signature| {
            let shown: String = signature.keyid.chars().take(60).collect();
            let (key, principal, _) = trust.key_with_id(&signature.keyid).ok_or_else(|| {
                let message = format!("the trust file lists no key with the id `{shown}`");
                Refusal::new(codes::TRUST_KEY_UNKNOWN, place, message)
            })?;
            if !key.verifies(&message, &signature.signature) {
                let message = format!("the signature of `{principal}` ({shown}) does not verify");
                return Err(Refusal::new(codes::ENVELOPE_SIGNATURE, place, message));
            }
            let kind = trust.kind(principal).unwrap_or(PrincipalKind::Machine);
            Ok(SignedBy { principal: principal.clone(), kind, keyid: signature.keyid.clone() })
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok((envelope, signers))
}
