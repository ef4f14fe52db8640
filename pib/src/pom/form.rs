//! The file of a proof: [`types::Envelope`] with epoch 0 (these objects stand outside the log), the
//! kind's code, and the list of objects in canonical form (specification 8.1).

use super::{Pom, PomError};
use crate::evidence::{EVIDENCE_OBJECTS_MAX, Evidence, EvidenceKind};
use types::limits::REJECT_PROOF_MAX;
use types::{DecodeError, Encode, Envelope, Epoch, Writer};

/// Bytes of a signed StoreInfo, generously.
const INFO_LEN: usize = 256;
/// Bytes of the longest proof: two rejects that each cite as many statements as they may.
pub const POM_LEN_MAX: usize = 2 * (REJECT_PROOF_MAX + 8) * INFO_LEN;

impl Encode for Pom {
    fn encode(&self, out: &mut Writer) {
        let Evidence { kind, accused, ident, ref objects } = self.evidence;
        out.put(&Envelope { group: self.group, epoch: Epoch(0), accused, ident });
        out.u8(kind.code());
        out.list(objects);
    }
}

impl Pom {
    /// Reads a file. Nothing in it is believed before [`super::verify`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PomError> {
        let (envelope, mut input) = Envelope::read(bytes, POM_LEN_MAX)?;
        let kind =
            EvidenceKind::from_code(input.u8()?).ok_or(DecodeError::Malformed("kind of proof"))?;
        let objects = input.list("exhibits", EVIDENCE_OBJECTS_MAX)?;
        input.finish()?;
        let Envelope { group, epoch, accused, ident } = envelope;
        if epoch != Epoch(0) {
            return Err(PomError::NotCanonical("objects outside the log have epoch 0"));
        }
        Ok(Self { group, evidence: Evidence { kind, accused, ident, objects } })
    }
}
