//! TR3: a leader's AGREE against its own read quorum. TR5: who acknowledged such an AGREE
//! (specification 3.6 A2, 8.2; issues T5, T29).
//!
//! Against whom: a leader checks every answer at receipt, and an acceptor checks quorum, value and
//! certificate before it acknowledges; the same code judges here. Only what the signatures
//! cover counts: a wrong body or pad is an unsigned attachment. The AGREE in a TR5 carries its
//! leader's signature, so an outsider cannot make an invalid one and pin it on an acceptor: the
//! acceptor named it by digest.

use super::malformed::proposal_fault;
use super::{Judge, PomError};
use crate::agree::latest;
use crate::message::*;
use types::{Decode, DecodeError, Encode, Hash, Reader, Signed, Turn, Writer};

/// An AGREE of a later turn with what is to force its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgreeProof {
    /// The statement.
    pub core: Signed<AgreeStatement>,
    /// The read quorum that it names.
    pub reads: ReadQuorum,
    /// The certificate that the decisive answer names, where that is what is wrong.
    pub cert: Option<AgreeCert>,
}

/// The AGREE that an acknowledgement names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamedAgree {
    /// Of turn 0.
    First {
        /// The statement.
        core: Signed<AgreeStatement>,
        /// The proposal, where that is what is wrong.
        value: Option<Value>,
    },
    /// Of a later turn.
    Later(AgreeProof),
}

impl Encode for AgreeProof {
    fn encode(&self, out: &mut Writer) {
        out.put(&self.core);
        out.put(&self.reads);
        out.put(&self.cert);
    }
}

impl Decode for AgreeProof {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { core: input.get()?, reads: input.get()?, cert: input.get()? })
    }
}

impl Encode for NamedAgree {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::First { core, value } => {
                out.u8(0);
                out.put(core);
                out.put(value);
            }
            Self::Later(proof) => {
                out.u8(1);
                out.put(proof);
            }
        }
    }
}

impl Decode for NamedAgree {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match input.u8()? {
            0 => Ok(Self::First { core: input.get()?, value: input.get()? }),
            1 => Ok(Self::Later(input.get()?)),
            _ => Err(DecodeError::Malformed("acknowledged AGREE")),
        }
    }
}

/// TR3.
pub(super) fn check(judge: &mut Judge, proof: &AgreeProof) -> Result<&'static str, PomError> {
    judge.own(&proof.core)?;
    fault(judge, proof)
}

/// The rule that an AGREE of a later turn breaks.
fn fault(judge: &mut Judge, proof: &AgreeProof) -> Result<&'static str, PomError> {
    let AgreeProof { core, reads, cert } = proof;
    let (inst, turn) = (core.header.inst, core.header.turn);
    if turn == Turn(0) {
        return Err(PomError::NotProven("turn 0 has no read quorum"));
    }
    if reads.digest() != core.payload.reads {
        return Err(PomError::OtherAttachment("the read quorum"));
    }
    let place = judge.place(inst);
    let latest = latest(reads.signers.iter().map(|(_, entry)| entry)).copied();
    let quorum = judge.verifier.reads(place, turn, reads);
    let without_cert = |rule| match cert {
        None => Ok(rule),
        Some(_) => Err(PomError::NotCanonical("a certificate is attached without need")),
    };
    match latest {
        _ if !quorum => without_cert("q distinct non-senders answered the read"),
        None if core.payload.value != judge.null(inst) => {
            without_cert("where nobody accepted anything the value is NULL")
        }
        None => Err(PomError::NotProven("NULL is what the read quorum forces")),
        Some(entry) if entry.value != core.payload.value => {
            without_cert("the value is that of the latest turn in the read quorum")
        }
        Some(entry) => {
            let Some(cert) = cert else {
                return Err(PomError::NotProven("the value is what the read quorum forces"));
            };
            check_cert(judge, place, &entry, cert)
        }
    }
}

/// The certificate that a READ_ACK names is none.
fn check_cert(
    judge: &mut Judge,
    place: crate::verify::Place,
    entry: &ReadEntry,
    cert: &AgreeCert,
) -> Result<&'static str, PomError> {
    if cert.digest() != entry.cert {
        return Err(PomError::OtherAttachment("the agree certificate"));
    }
    let fits = cert.turn == entry.val_turn && cert.value == entry.value;
    match fits && judge.verifier.agree_cert(place, cert) {
        true => Err(PomError::NotProven("the certificate of the latest value is valid")),
        false => Ok("the latest value has a certificate of q acknowledgements"),
    }
}

/// TR5.
pub(super) fn check_ack(
    judge: &mut Judge,
    ack: &Signed<AgreeAckStatement>,
    agree: &NamedAgree,
) -> Result<&'static str, PomError> {
    judge.own(ack)?;
    let core = match agree {
        NamedAgree::First { core, .. } | NamedAgree::Later(AgreeProof { core, .. }) => core,
    };
    judge.genuine(core)?;
    if ack.payload.agree != core.digest() {
        return Err(PomError::OtherAttachment("the AGREE"));
    }
    if (ack.header.inst, ack.header.turn) != (core.header.inst, core.header.turn) {
        return Ok("an acknowledgement belongs to the instance and turn of its AGREE");
    }
    if ack.payload.value != core.payload.value {
        return Ok("an acknowledgement names the value of its AGREE");
    }
    match agree {
        NamedAgree::Later(proof) => fault(judge, proof),
        NamedAgree::First { core, value } => first_fault(judge, core, value.as_ref()),
    }
}

/// The rule that an AGREE of turn 0 breaks.
fn first_fault(
    judge: &mut Judge,
    core: &Signed<AgreeStatement>,
    value: Option<&Value>,
) -> Result<&'static str, PomError> {
    if core.header.turn != Turn(0) {
        return Err(PomError::NotProven("the AGREE of a later turn is shown without its reads"));
    }
    if core.payload.reads != Hash::ZERO {
        return match value {
            None => Ok("an AGREE of turn 0 has no read quorum"),
            Some(_) => Err(PomError::NotCanonical("a proposal is attached without need")),
        };
    }
    let Some(value) = value else {
        return Err(PomError::NotProven("nothing is wrong with the AGREE itself"));
    };
    if judge.value_digest(&value.statement) != core.payload.value
        || value.statement.header.inst != core.header.inst
    {
        return Err(PomError::OtherAttachment("the proposal"));
    }
    judge.genuine(&value.statement)?;
    judge.check_body(value)?;
    proposal_fault(judge, value)
}
