//! TR9: a signed READ, WRITE, SHOW or REPORT whose vector is no quorum (specification 3.3, 8.2).
//!
//! Against whom: members build a vector from answers that they verified one by one, and repeat
//! certificates that they verified whole. The signature covers the vector's digest.

use super::{Judge, PomError};
use crate::message::*;
use types::{Decode, DecodeError, Encode, Header, Reader, Signed, Writer};

/// A statement with the vector that it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BadVector {
    /// READ with its proof of leadership.
    Read(Signed<ReadStatement>, Pol),
    /// WRITE with its agree certificate.
    Write(Signed<WriteStatement>, AgreeCert),
    /// SHOW_QUORUM with its write quorum.
    ShowQuorum(Signed<ShowQuorumStatement>, WriteQuorum),
    /// SHOW_DECISION with its decision certificate.
    ShowDecision(Signed<ShowDecisionStatement>, DecisionCert),
    /// REPORT_DECISION with its decision certificate.
    Report(Signed<ReportStatement>, DecisionCert),
}

impl BadVector {
    pub(super) fn header(&self) -> &Header {
        match self {
            Self::Read(core, _) => &core.header,
            Self::Write(core, _) => &core.header,
            Self::ShowQuorum(core, _) => &core.header,
            Self::ShowDecision(core, _) => &core.header,
            Self::Report(core, _) => &core.header,
        }
    }
}

macro_rules! forms {
    ($($code:literal => $name:ident,)*) => {
        impl Encode for BadVector {
            fn encode(&self, out: &mut Writer) {
                match self {
                    $(Self::$name(core, vector) => {
                        out.u8($code);
                        out.put(core);
                        out.put(vector);
                    })*
                }
            }
        }

        impl Decode for BadVector {
            fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
                match input.u8()? {
                    $($code => Ok(Self::$name(input.get()?, input.get()?)),)*
                    _ => Err(DecodeError::Malformed("form of TR9")),
                }
            }
        }
    };
}

forms! {
    0 => Read,
    1 => Write,
    2 => ShowQuorum,
    3 => ShowDecision,
    4 => Report,
}

pub(super) fn check(judge: &mut Judge, vector: &BadVector) -> Result<&'static str, PomError> {
    let Header { inst, turn, .. } = *vector.header();
    let place = judge.place(inst);
    let (named, valid, rule) = match vector {
        BadVector::Read(core, pol) => {
            judge.own(core)?;
            let valid = pol.turn == turn && judge.verifier.pol(place, pol);
            (core.payload.pol == pol.digest(), valid, "a turn is read with q set-turns for it")
        }
        BadVector::Write(core, cert) => {
            judge.own(core)?;
            let WriteStatement { value, agree, cert: named } = core.payload;
            let fits = cert.turn == turn && cert.value == value && cert.agree == agree;
            let valid = fits && judge.verifier.agree_cert(place, cert);
            (named == cert.digest(), valid, "a value is written that q members acknowledged")
        }
        BadVector::ShowQuorum(core, acks) => {
            judge.own(core)?;
            let valid = judge.verifier.writes(place, turn, core.payload.value, acks);
            (core.payload.acks == acks.digest(), valid, "an outcome has q answers to its write")
        }
        BadVector::ShowDecision(core, cert) => {
            judge.own(core)?;
            let payload = (core.payload.value, core.payload.cert);
            check_decision(judge, place, payload, cert)
        }
        BadVector::Report(core, cert) => {
            judge.own(core)?;
            let payload = (core.payload.value, core.payload.cert);
            check_decision(judge, place, payload, cert)
        }
    };
    match (named, valid) {
        (false, _) => Err(PomError::OtherAttachment("the vector")),
        (true, true) => Err(PomError::NotProven("the vector is a quorum")),
        (true, false) => Ok(rule),
    }
}

/// Whether the certificate is the one named, whether it is valid, and the rule.
fn check_decision(
    judge: &mut Judge,
    place: crate::verify::Place,
    (value, named): (types::Hash, types::Hash),
    cert: &DecisionCert,
) -> (bool, bool, &'static str) {
    let valid = cert.value == value && judge.verifier.decision(place, cert);
    (named == cert.digest(), valid, "a decision has q answers that know no later turn")
}
