//! Receipt: a storer holds a chunk.

use super::StoreInfo;
use crate::error::Fault;
use types::{
    Decode, DecodeError, Encode, Hash, Kind, Reader, Roster, Signed, SignedPayload, Slot, Stamp,
    Unverified, Verified, Writer,
};

/// The storer holds what the StoreInfo asks for and will return it to its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The owner's statement, with its signature.
    pub info: Signed<StoreInfo>,
    /// The storer's clock.
    pub stamp: Stamp,
}

impl Receipt {
    /// Checks both signatures, and that the storer named is the one that signed.
    pub fn verify(
        receipt: Unverified<Signed<Self>>,
        roster: &Roster,
    ) -> Result<Verified<Signed<Self>>, Fault> {
        let receipt = receipt.verify_outside_log(roster)?;
        Unverified::new(receipt.payload.info.clone()).verify_outside_log(roster)?;
        let (expected, got) = (receipt.payload.info.payload.storer, receipt.header.slot);
        if expected != got {
            return Err(Fault::WrongSigner { expected, got });
        }
        Ok(receipt)
    }

    /// The owner whose chunk it is.
    pub fn owner(&self) -> Slot {
        self.info.header.slot
    }

    /// The name under which answers cite a signed receipt.
    pub fn cite(receipt: &Signed<Self>) -> Hash {
        receipt.digest()
    }
}

impl Encode for Receipt {
    fn encode(&self, out: &mut Writer) {
        out.put(&self.info);
        out.put(&self.stamp);
    }
}

impl Decode for Receipt {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { info: input.get()?, stamp: input.get()? })
    }
}

impl SignedPayload for Receipt {
    const KIND: Kind = Kind::Receipt;
}
