//! A private key in this process's memory.

use core::fmt;
use ed25519_dalek::{Signer as _, SigningKey};
use rectify_attest::{KeyError, PublicKey, SignError, Signer};
use zeroize::Zeroizing;

/// An Ed25519 key in memory, which is cleared when it is dropped.
pub struct LocalSigner {
    key: SigningKey,
    public: PublicKey,
}

impl LocalSigner {
    /// The key of a seed.
    ///
    /// # Errors
    /// [`KeyError`] if its public half is not one that we accept; no honest seed gives that.
    pub fn from_seed(seed: &Zeroizing<[u8; 32]>) -> Result<Self, KeyError> {
        let key = SigningKey::from_bytes(seed);
        let public = PublicKey::from_bytes(key.verifying_key().as_bytes())?;
        Ok(Self { key, public })
    }

    pub(crate) fn seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.key.to_bytes())
    }
}

impl Signer for LocalSigner {
    fn public_key(&self) -> PublicKey {
        self.public
    }

    fn sign(&self, bytes: &[u8]) -> Result<[u8; 64], SignError> {
        let signature = self.key.try_sign(bytes).map_err(|e| SignError::Signer(e.to_string()))?;
        Ok(signature.to_bytes())
    }
}

impl fmt::Debug for LocalSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LocalSigner({})", self.public.fingerprint())
    }
}
