//! Signing, with the key somewhere else.

use crate::{
    envelope::{Envelope, EnvelopeError},
    public_key::{PublicKey, SIGNATURE_BYTES},
    statement::{self, Predicate, StatementError},
};
use rectify_base::FileDigests;

/// A private key that can be asked to sign; where it lives is its own affair.
pub trait Signer {
    /// The public half.
    fn public_key(&self) -> PublicKey;

    /// Signs the bytes with Ed25519.
    ///
    /// # Errors
    /// [`SignError::Signer`] if the key is out of reach.
    fn sign(&self, bytes: &[u8]) -> Result<[u8; SIGNATURE_BYTES], SignError>;
}

/// Why nothing was signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// The key did not sign.
    #[error("the key did not sign: {0}")]
    Signer(String),
    /// The key signed, but its public half does not verify that.
    #[error("the signature does not verify under the signer's own public key")]
    Inconsistent,
    /// The statement cannot be written.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// The envelope cannot be written or read.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
}

/// The envelope file in which the signers say `predicate` about the plan with these digests.
///
/// # Errors
/// See [`SignError`]; also if one key is given twice, or none.
pub fn attest<T: Predicate>(
    plan: FileDigests,
    predicate: &T,
    signers: &[&dyn Signer],
) -> Result<Vec<u8>, SignError> {
    let mut envelope = Envelope::unsigned(statement::encode(plan, predicate)?);
    for signer in signers {
        add(&mut envelope, *signer)?;
    }
    Ok(envelope.to_bytes()?)
}

/// Adds a signature to an envelope file of an expected kind about an expected plan, as a requester
/// does to a seal. The signatures that are there are kept as they are.
///
/// # Errors
/// See [`SignError`].
pub fn countersign<T: Predicate>(
    plan: FileDigests,
    bytes: &[u8],
    signer: &dyn Signer,
) -> Result<Vec<u8>, SignError> {
    let mut envelope = Envelope::read(bytes)?;
    statement::decode::<T>(plan, envelope.payload())?;
    add(&mut envelope, signer)?;
    Ok(envelope.to_bytes()?)
}

fn add(envelope: &mut Envelope, signer: &dyn Signer) -> Result<(), SignError> {
    let message = envelope.signed_bytes();
    let key = signer.public_key();
    let signature = signer.sign(&message)?;
    // A broken agent or a mixed-up key file must show now, not when somebody applies.
    if !key.verifies(&message, &signature) {
        return Err(SignError::Inconsistent);
    }
    Ok(envelope.add_signature(&key, signature)?)
}
