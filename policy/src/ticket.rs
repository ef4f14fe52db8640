//! What the group's admin gives to every member: the genesis configuration, signed by the
//! authority, with a moment after which it lets nobody in.

use crate::genesis::Genesis;
use crate::text_line::{self, CredentialError, TICKET};
use crate::{founding_group, founding_header};
use types::{
    Decode, DecodeError, Encode, GroupId, Kind, PublicKey, Reader, Roster, SecretKey, Signed,
    SignedPayload, Slot, Stamp, Writer,
};

/// A ticket whose signature was checked or that we made ourselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    genesis: Genesis,
    expires: Stamp,
    line: String,
}

/// The signed part.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Admission {
    genesis: Genesis,
    expires: Stamp,
}

impl Encode for Admission {
    fn encode(&self, out: &mut Writer) {
        out.put(&self.expires);
        out.put(&self.genesis);
    }
}

impl Decode for Admission {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { expires: input.get()?, genesis: input.get()? })
    }
}

impl SignedPayload for Admission {
    const KIND: Kind = Kind::Ticket;
}

impl Ticket {
    /// Signs a ticket with the authority's key.
    pub fn sign(
        authority: &SecretKey,
        genesis: Genesis,
        expires: Stamp,
    ) -> Result<Self, CredentialError> {
        if *genesis.authority() != authority.public() {
            return Err(text_line::malformed(TICKET.what, "another authority founded this group"));
        }
        let admission = Admission { genesis, expires };
        let header = founding_header(Kind::Ticket);
        let signed = Signed::new(authority, &founding_group(), header, admission).into_inner();
        let line = text_line::write(TICKET, &signed.to_bytes());
        Ok(Self { genesis: signed.payload.genesis, expires, line })
    }

    /// Reads a ticket in order to join: form, signature and expiry.
    pub fn parse(text: &str, now: Stamp) -> Result<Self, CredentialError> {
        let ticket = Self::parse_joined(text)?;
        if now > ticket.expires {
            return Err(CredentialError::Expired { expired: ticket.expires, now });
        }
        Ok(ticket)
    }

    /// Reads a ticket by which this member joined before: a member stays one after the expiry.
    pub fn parse_joined(text: &str) -> Result<Self, CredentialError> {
        let bytes = text_line::read(TICKET, text)?;
        let signed = Signed::<Admission>::from_bytes(&bytes)
            .map_err(|error| text_line::malformed(TICKET.what, error))?;
        let authority = *signed.payload.genesis.authority();
        let payload = signed.payload.to_bytes();
        let expected = founding_header(Kind::Ticket);
        if signed.header != expected
            || authority.verify(&founding_group(), &expected, &payload, &signed.signature).is_err()
        {
            return Err(CredentialError::Forged { what: TICKET.what });
        }
        let Admission { genesis, expires } = signed.payload;
        Ok(Self { genesis, expires, line: text_line::write(TICKET, &bytes) })
    }

    /// The slot of the member with these identities; its first one must be listed first there too.
    pub fn slot_for(&self, identities: &[PublicKey]) -> Result<Slot, CredentialError> {
        let slot = identities.first().and_then(|key| self.genesis.slot_of(key));
        slot.filter(|slot| {
            let listed = self.genesis.members().get(usize::from(slot.0));
            listed.is_some_and(|listed| identities.starts_with(&listed.identities))
        })
        .ok_or_else(|| CredentialError::NotForThisMember { group: self.genesis.name().to_owned() })
    }

    /// How the group begins.
    pub fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// The group id.
    pub fn gid(&self) -> GroupId {
        self.genesis.gid()
    }

    /// The roster of epoch 0.
    pub fn roster(&self) -> &Roster {
        self.genesis.roster()
    }

    /// When it stops letting members in.
    pub fn expires(&self) -> Stamp {
        self.expires
    }

    /// The line to send or store.
    pub fn line(&self) -> &str {
        &self.line
    }
}

#[cfg(test)]
#[path = "ticket_tests.rs"]
mod tests;
