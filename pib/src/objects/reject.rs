//! StoreReject: a storer refuses a chunk and shows why it may.

use super::StoreInfo;
use types::limits::REJECT_PROOF_MAX;
use types::{
    Decode, DecodeError, Encode, Hash, Kind, Reader, Signed, SignedPayload, Stamp, Writer,
};

/// Why a storer may refuse. A closed list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RejectReason {
    /// Its contribution is used up by the chunks of these StoreInfos. Citing one is a receipt for
    /// it (decision 19), so that phantoms bind the storer that cites them.
    Full {
        /// Live, pairwise distinct, all naming this storer.
        proof: Vec<Signed<StoreInfo>>,
    },
    /// The body that came with a Put has this digest, not the one of the StoreInfo.
    BadRequest {
        /// Digest of what came.
        body: Hash,
    },
}

/// The storer does not hold, and will not be asked for, what the StoreInfo names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreReject {
    /// The owner's statement that is refused.
    pub info: Signed<StoreInfo>,
    /// Why.
    pub reason: RejectReason,
    /// The storer's clock.
    pub stamp: Stamp,
}

impl Encode for StoreReject {
    fn encode(&self, out: &mut Writer) {
        out.put(&self.info);
        match &self.reason {
            RejectReason::Full { proof } => {
                out.u8(0);
                out.list(proof);
            }
            RejectReason::BadRequest { body } => {
                out.u8(1);
                out.put(body);
            }
        }
        out.put(&self.stamp);
    }
}

impl Decode for StoreReject {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let info = input.get()?;
        let reason = match input.u8()? {
            0 => {
                // Not Reader::list: its capacity is in items, and a peer states the count.
                let count = input.count("proof of fullness", REJECT_PROOF_MAX)?;
                let mut proof = Vec::new();
                for _ in 0..count {
                    proof.push(input.get()?);
                }
                RejectReason::Full { proof }
            }
            1 => RejectReason::BadRequest { body: input.get()? },
            _ => return Err(DecodeError::Malformed("reason of StoreReject")),
        };
        Ok(Self { info, reason, stamp: input.get()? })
    }
}

impl SignedPayload for StoreReject {
    const KIND: Kind = Kind::StoreReject;
}
