//! What a member sends to the group's admin: who it is and where it listens, signed by its first
//! identity, as one line of text.

use crate::genesis::Founder;
use crate::text_line::{self, CredentialError, JOIN};
use crate::{founding_group, founding_header};
use types::{
    Decode, DecodeError, Encode, Kind, PublicKey, Reader, SecretKey, Signed, SignedPayload, Writer,
};

/// A wish to join, whose signature was checked or that we made ourselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinRequest {
    founder: Founder,
    line: String,
}

/// The signed part.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wish(Founder);

impl Encode for Wish {
    fn encode(&self, out: &mut Writer) {
        self.0.encode(out);
    }
}

impl Decode for Wish {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(input.get()?))
    }
}

impl SignedPayload for Wish {
    const KIND: Kind = Kind::JoinRequest;
}

impl JoinRequest {
    /// Signs a wish with the key of `identities[0]`.
    pub fn sign(
        key: &SecretKey,
        name: String,
        addresses: Vec<String>,
        identities: Vec<PublicKey>,
    ) -> Result<Self, CredentialError> {
        let founder = Founder { name, addresses, identities };
        founder.check().map_err(|reason| text_line::malformed(JOIN.what, reason))?;
        if founder.identities.first() != Some(&key.public()) {
            return Err(text_line::malformed(JOIN.what, "the first identity must sign"));
        }
        let header = founding_header(Kind::JoinRequest);
        let signed = Signed::new(key, &founding_group(), header, Wish(founder));
        let line = text_line::write(JOIN, &signed.to_bytes());
        Ok(Self { founder: signed.into_inner().payload.0, line })
    }

    /// Reads a line and checks form and signature.
    pub fn parse(text: &str) -> Result<Self, CredentialError> {
        let bytes = text_line::read(JOIN, text)?;
        let signed = Signed::<Wish>::from_bytes(&bytes)
            .map_err(|error| text_line::malformed(JOIN.what, error))?;
        let founder = &signed.payload.0;
        founder.check().map_err(|reason| text_line::malformed(JOIN.what, reason))?;
        let forged = CredentialError::Forged { what: JOIN.what };
        let first = founder.identities.first().ok_or(forged.clone())?;
        let payload = signed.payload.to_bytes();
        let expected = founding_header(Kind::JoinRequest);
        if signed.header != expected
            || first.verify(&founding_group(), &expected, &payload, &signed.signature).is_err()
        {
            return Err(forged);
        }
        Ok(Self { line: text_line::write(JOIN, &bytes), founder: signed.payload.0 })
    }

    /// Who wants to join.
    pub fn founder(&self) -> &Founder {
        &self.founder
    }

    /// The line to send.
    pub fn line(&self) -> &str {
        &self.line
    }
}
