//! DSSE v1 envelopes, in exactly one byte form: a canonical JSON file, standard padded base64, the
//! signatures sorted by key id.

use crate::{
    base64_text, codes,
    public_key::{PublicKey, SIGNATURE_BYTES},
};
use rectify_base::{
    Code,
    canonical::{self, CanonicalError},
    limits::{ENVELOPE_MAX_BYTES, ENVELOPE_SIGNATURES_MAX},
};
use serde::{Deserialize, Serialize};

/// The only payload type.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// Why bytes are not an envelope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// Larger than [`ENVELOPE_MAX_BYTES`].
    #[error("{0} bytes long; an envelope has at most {ENVELOPE_MAX_BYTES}")]
    TooLarge(usize),
    /// Not the canonical file form, or other fields.
    #[error("not an envelope in canonical form: {0}")]
    NotCanonical(CanonicalError),
    /// Another payload type.
    #[error("payload type `{0}` is not `{PAYLOAD_TYPE}`")]
    PayloadType(String),
    /// Another spelling of base64.
    #[error("{0} is not standard padded base64")]
    Base64(&'static str),
    /// None, too many, unsorted, or twice the same key.
    #[error("{0}")]
    SignatureList(&'static str),
}

impl EnvelopeError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::TooLarge(_) => codes::ENVELOPE_TOO_LARGE,
            Self::NotCanonical(_) => codes::ENVELOPE_NOT_CANONICAL,
            Self::PayloadType(_) => codes::ENVELOPE_PAYLOAD_TYPE,
            Self::Base64(_) => codes::ENVELOPE_BASE64,
            Self::SignatureList(_) => codes::ENVELOPE_SIGNATURE_LIST,
        }
    }
}

/// One signature and the hint which key made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvelopeSignature {
    /// [`PublicKey::fingerprint`]; only a hint for looking the key up, nothing follows from it.
    pub keyid: String,
    /// Raw Ed25519 signature over [`pae`].
    pub signature: [u8; SIGNATURE_BYTES],
}

/// An envelope, decoded but not verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    payload: Vec<u8>,
    signatures: Vec<EnvelopeSignature>,
}

/// A DSSE v1 envelope: an in-toto statement about a plan, and who signed it.
#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Wire {
    /// The statement's bytes, in standard padded base64.
    #[cfg_attr(feature = "schema", schemars(extend("pattern" = crate::base64_text::PATTERN)))]
    payload: String,
    /// What the payload is.
    #[serde(rename = "payloadType")]
    #[cfg_attr(feature = "schema", schemars(extend("const" = PAYLOAD_TYPE)))]
    payload_type: String,
    /// The signatures, sorted by key id, one per key.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = ENVELOPE_SIGNATURES_MAX)))]
    signatures: Vec<WireSignature>,
}

/// One signature.
#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct WireSignature {
    /// OpenSSH's fingerprint of the key; only a hint.
    keyid: String,
    /// Raw Ed25519 signature over the pre-authentication encoding, in standard padded base64.
    #[cfg_attr(feature = "schema", schemars(extend("pattern" = "^[A-Za-z0-9+/]{86}==$")))]
    sig: String,
}

impl Envelope {
    /// An envelope that nobody has signed yet.
    #[must_use]
    pub const fn unsigned(payload: Vec<u8>) -> Self {
        Self { payload, signatures: Vec::new() }
    }

    /// Reads an envelope file. Nothing is verified.
    ///
    /// # Errors
    /// See [`EnvelopeError`]; whatever [`Envelope::to_bytes`] would not have written is refused.
    pub fn read(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        if bytes.len() > ENVELOPE_MAX_BYTES {
            return Err(EnvelopeError::TooLarge(bytes.len()));
        }
        let wire: Wire = canonical::read_file(bytes).map_err(EnvelopeError::NotCanonical)?;
        if wire.payload_type != PAYLOAD_TYPE {
            return Err(EnvelopeError::PayloadType(wire.payload_type.chars().take(80).collect()));
        }
        let payload = base64_text::decode(&wire.payload).ok_or(EnvelopeError::Base64("the payload"))?;
        let signatures = wire
            .signatures
            .into_iter()
            .map(|signature| {
                let bytes =
                    base64_text::decode(&signature.sig).ok_or(EnvelopeError::Base64("a signature"))?;
                let bytes = bytes
                    .try_into()
                    .map_err(|_| EnvelopeError::SignatureList("a signature is not 64 bytes long"))?;
                Ok(EnvelopeSignature { keyid: signature.keyid, signature: bytes })
            })
            .collect::<Result<Vec<_>, _>>()?;
        check_list(&signatures)?;
        Ok(Self { payload, signatures })
    }

    /// The bytes of the envelope file.
    ///
    /// # Errors
    /// [`EnvelopeError::SignatureList`] if nobody has signed, [`EnvelopeError::TooLarge`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, EnvelopeError> {
        check_list(&self.signatures)?;
        let wire = Wire {
            payload: base64_text::encode(&self.payload),
            payload_type: PAYLOAD_TYPE.to_owned(),
            signatures: self
                .signatures
                .iter()
                .map(|s| WireSignature { keyid: s.keyid.clone(), sig: base64_text::encode(&s.signature) })
                .collect(),
        };
        let bytes = canonical::file_bytes(&wire).map_err(EnvelopeError::NotCanonical)?;
        if bytes.len() > ENVELOPE_MAX_BYTES {
            return Err(EnvelopeError::TooLarge(bytes.len()));
        }
        Ok(bytes)
    }

    /// The payload's bytes.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// The signatures, sorted by key id.
    #[must_use]
    pub fn signatures(&self) -> &[EnvelopeSignature] {
        &self.signatures
    }

    /// What each signature is made over.
    #[must_use]
    pub fn signed_bytes(&self) -> Vec<u8> {
        pae(PAYLOAD_TYPE, &self.payload)
    }

    /// Adds a signature in its place.
    ///
    /// # Errors
    /// [`EnvelopeError::SignatureList`] if this key has signed already or the list is full.
    pub fn add_signature(
        &mut self,
        key: &PublicKey,
        signature: [u8; SIGNATURE_BYTES],
    ) -> Result<(), EnvelopeError> {
        let mut signatures = self.signatures.clone();
        signatures.push(EnvelopeSignature { keyid: key.fingerprint(), signature });
        signatures.sort_by(|a, b| a.keyid.cmp(&b.keyid));
        check_list(&signatures)?;
        self.signatures = signatures;
        Ok(())
    }
}

fn check_list(signatures: &[EnvelopeSignature]) -> Result<(), EnvelopeError> {
    if signatures.is_empty() {
        return Err(EnvelopeError::SignatureList("the envelope has no signature"));
    }
    if signatures.len() > ENVELOPE_SIGNATURES_MAX {
        return Err(EnvelopeError::SignatureList("the envelope has more than 16 signatures"));
    }
    if !signatures.is_sorted_by(|a, b| a.keyid < b.keyid) {
        return Err(EnvelopeError::SignatureList(
            "signatures are not sorted by key id, or one key signed twice",
        ));
    }
    Ok(())
}

/// DSSE's pre-authentication encoding: what is signed, so that type and payload cannot be shifted
/// against each other.
#[must_use]
pub fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut bytes = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}
