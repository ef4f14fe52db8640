//! All secrets of a member from one 32-byte master secret (the recovery code), by HKDF-SHA256.
//!
//! Guarantees: the same master gives the same secrets for ever, so that the recovery code alone
//! brings identities, names and data back; every secret has a purpose of its own, and none tells
//! anything about another; all are wiped when dropped.

use crate::error::Error;
use hkdf::Hkdf;
use sha2::Sha256;
use types::limits::IDENTITIES_MAX;
use types::{Ident, SecretKey};
use zeroize::{Zeroize, ZeroizeOnDrop};

const SALT: &[u8] = b"PIB master secret v1";

/// What follows from the master secret.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Secrets {
    master: [u8; 32],
    names: [u8; 32],
    label: [u8; 32],
    nonces: [u8; 32],
    repository: [u8; 32],
}

impl Secrets {
    /// Derives everything.
    pub fn from_master(master: &[u8; 32]) -> Self {
        let derive = |purpose: &str| expand(master, purpose.as_bytes());
        Self {
            master: *master,
            names: derive("chunk names"),
            label: derive("chunk labels"),
            nonces: derive("chunk label nonces"),
            repository: derive("repository"),
        }
    }

    /// The signing key of a linked identity, which is also the key of the transport.
    pub fn identity(&self, ident: Ident) -> Result<SecretKey, Error> {
        if usize::from(ident.0) >= IDENTITIES_MAX {
            return Err(Error::Limit { what: "identities", max: IDENTITIES_MAX });
        }
        let mut purpose = b"identity ".to_vec();
        purpose.extend_from_slice(&ident.0.to_le_bytes());
        let mut seed = expand(&self.master, &purpose);
        let key = SecretKey::from_seed(&seed);
        seed.zeroize();
        Ok(key)
    }

    /// Key of the names under which chunks are stored.
    pub(crate) fn names(&self) -> &[u8; 32] {
        &self.names
    }

    /// Key that seals labels.
    pub(crate) fn label(&self) -> &[u8; 32] {
        &self.label
    }

    /// Key from which the nonces of labels come.
    pub(crate) fn nonces(&self) -> &[u8; 32] {
        &self.nonces
    }

    /// The secret from which the snapshot layer takes its repository key.
    pub fn repository(&self) -> &[u8; 32] {
        &self.repository
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Secrets(..)")
    }
}

fn expand(master: &[u8; 32], purpose: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    // The only failure is an output longer than 255 digests; this one is 32 bytes.
    Hkdf::<Sha256>::new(Some(SALT), master)
        .expand(purpose, &mut out)
        .expect("32 bytes are within the bound of HKDF");
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn secrets_of_one_master_are_all_different() {
        let secrets = Secrets::from_master(&[1; 32]);
        let mut seen = BTreeSet::from([
            secrets.master,
            secrets.names,
            secrets.label,
            secrets.nonces,
            secrets.repository,
        ]);
        for ident in 0..IDENTITIES_MAX as u16 {
            seen.insert(secrets.identity(Ident(ident)).unwrap().seed());
        }
        assert_eq!(seen.len(), 5 + IDENTITIES_MAX);
    }

    #[test]
    fn identity_beyond_the_limit_is_refused() {
        let secrets = Secrets::from_master(&[1; 32]);
        assert!(secrets.identity(Ident(IDENTITIES_MAX as u16)).is_err());
    }

    #[test]
    fn debug_output_shows_no_secret() {
        assert_eq!(format!("{:?}", Secrets::from_master(&[7; 32])), "Secrets(..)");
    }
}
