//! A proposal and the certificate that it was decided, for proofs of the layers above (specification 3.3: a decision
//! certificate is self-contained).

use super::{Judge, PomError};
use crate::message::{DecisionCert, Value};
use crate::proposal::Proposal;
use types::{Decode, DecodeError, Encode, Reader, Roster, Writer};

/// A decided proposal, to show to somebody without the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecidedProposal {
    /// The signed proposal with its body.
    pub value: Value,
    /// A quorum stored it.
    pub cert: DecisionCert,
}

impl DecidedProposal {
    /// The proposal, if it was decided in its instance by the members of this roster.
    ///
    /// Checked: author, epoch, signature, body, and the quorum of write-acks. With at most `f` Byzantine members no other
    /// proposal has such a certificate for the same instance.
    pub fn verify(&self, roster: &Roster) -> Result<Proposal, PomError> {
        let mut judge = Judge::new(roster);
        judge.genuine(&self.value.statement)?;
        judge.check_body(&self.value)?;
        let place = judge.place(self.value.statement.header.inst);
        if self.value.statement.header.slot != place.sender {
            return Err(PomError::NotProven("the proposal is not its instance's sender's"));
        }
        if self.cert.value != judge.value_digest(&self.value.statement) {
            return Err(PomError::OtherAttachment("the decision certificate"));
        }
        if !judge.verifier.decision(place, &self.cert) {
            return Err(PomError::NotProven("the proposal is not shown to be decided"));
        }
        Ok(Proposal::from_bytes(&self.value.body)?)
    }
}

impl Encode for DecidedProposal {
    fn encode(&self, out: &mut Writer) {
        out.put(&self.value);
        out.put(&self.cert);
    }
}

impl Decode for DecidedProposal {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { value: input.get()?, cert: input.get()? })
    }
}
