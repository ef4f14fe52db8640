//! TR8: a signed statement that breaks a rule of form (specification 3.3, 5.1, 8.2).
//!
//! Against whom: every rule here follows from the statement, its attachment and the roster alone; none
//! depends on when or whether something arrived. The attachment counts only if the signature covers
//! its digest.

use super::two_statements::check_places;
use super::{AnyStatement, Judge, PomError};
use crate::message::*;
use crate::proposal::Proposal;
use types::limits::PROPOSAL_LEN_MAX;
use types::{Decode, DecodeError, Encode, Hash, Header, Kind, Reader, Signed, Turn, Writer};

/// The forms of TR8.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Malformed {
    /// One statement that contradicts itself or its signer's role.
    Alone(AnyStatement),
    /// Two statements for one key, of a kind that has no row of its own.
    Twice(AnyStatement, AnyStatement),
    /// An answer to a read with a certificate that is none.
    ReadAck(Signed<ReadAckStatement>, AgreeCert),
    /// An answer to a write with a proof of leadership that is none.
    WriteAck(Signed<WriteAckStatement>, Pol),
    /// A proposal whose form is wrong.
    Proposal(Value),
}

impl Malformed {
    /// Two statements in canonical order.
    pub fn twice(a: AnyStatement, b: AnyStatement) -> Self {
        if a.digest() <= b.digest() { Self::Twice(a, b) } else { Self::Twice(b, a) }
    }

    pub(super) fn header(&self) -> &Header {
        match self {
            Self::Alone(statement) | Self::Twice(statement, _) => statement.header(),
            Self::ReadAck(core, _) => &core.header,
            Self::WriteAck(core, _) => &core.header,
            Self::Proposal(value) => &value.statement.header,
        }
    }
}

impl Encode for Malformed {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::Alone(statement) => {
                out.u8(0);
                out.put(statement);
            }
            Self::Twice(first, second) => {
                out.u8(1);
                out.put(first);
                out.put(second);
            }
            Self::ReadAck(core, cert) => {
                out.u8(2);
                out.put(core);
                out.put(cert);
            }
            Self::WriteAck(core, pol) => {
                out.u8(3);
                out.put(core);
                out.put(pol);
            }
            Self::Proposal(value) => {
                out.u8(4);
                out.put(value);
            }
        }
    }
}

impl Decode for Malformed {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match input.u8()? {
            0 => Self::Alone(input.get()?),
            1 => Self::Twice(input.get()?, input.get()?),
            2 => Self::ReadAck(input.get()?, input.get()?),
            3 => Self::WriteAck(input.get()?, input.get()?),
            4 => Self::Proposal(input.get()?),
            _ => return Err(DecodeError::Malformed("form of TR8")),
        })
    }
}

pub(super) fn check(judge: &mut Judge, what: &Malformed) -> Result<&'static str, PomError> {
    match what {
        Malformed::Alone(statement) => {
            statement.check_own(judge)?;
            alone_rule(judge, statement).ok_or(PomError::NotProven("the statement is well-formed"))
        }
        Malformed::Twice(first, second) => check_twice(judge, first, second),
        Malformed::ReadAck(core, cert) => check_read_ack(judge, core, cert),
        Malformed::WriteAck(core, pol) => check_write_ack(judge, core, pol),
        Malformed::Proposal(value) => {
            judge.own_value(value)?;
            proposal_fault(judge, value)
        }
    }
}

/// The rule that one statement breaks, its signature aside.
pub(super) fn alone_rule(judge: &Judge, statement: &AnyStatement) -> Option<&'static str> {
    role_fault(judge, statement.header()).or_else(|| alone_fault(judge, statement))
}

/// Who may sign what: the sender never acts as an acceptor or leader of its own instance, and only the
/// leader of a turn leads it.
fn role_fault(judge: &Judge, header: &Header) -> Option<&'static str> {
    let Header { kind, inst, turn, slot, .. } = *header;
    let sender = slot == judge.sender(inst);
    let leads = slot == judge.leader(inst, turn);
    match kind {
        Kind::Value if !sender => Some("only the sender of an instance proposes in it"),
        Kind::SetTurn | Kind::ReadAck | Kind::AgreeAck | Kind::WriteAck if sender => {
            Some("the sender of an instance is no acceptor in it")
        }
        Kind::ReportDecision if sender => Some("the sender reports to nobody"),
        Kind::Read | Kind::Agree | Kind::Write | Kind::ShowQuorum | Kind::ShowDecision
            if !leads =>
        {
            Some("only the leader of a turn leads it")
        }
        _ => None,
    }
}

/// Fields that contradict the place or each other.
fn alone_fault(judge: &Judge, statement: &AnyStatement) -> Option<&'static str> {
    let Header { inst, turn, .. } = *statement.header();
    match statement {
        AnyStatement::Value(_) if turn != Turn(0) => Some("a proposal belongs to turn 0"),
        AnyStatement::Value(signed) => {
            let len = signed.payload.len.0;
            let range = 1..=PROPOSAL_LEN_MAX as u64;
            (!range.contains(&len)).then_some("a proposal has at least one byte and at most V_MAX")
        }
        AnyStatement::SetTurn(_)
        | AnyStatement::Read(_)
        | AnyStatement::ReadAck(_)
        | AnyStatement::ShowDecision(_)
            if turn == Turn(0) =>
        {
            Some("turn 0 is neither started nor read")
        }
        AnyStatement::ReadAck(signed) => {
            let ReadAckStatement { val_turn, value, cert, .. } = signed.payload;
            let empty = (value == Hash::ZERO, cert == Hash::ZERO);
            match val_turn {
                TURN_NONE if empty != (true, true) => Some("who accepted nothing shows nothing"),
                TURN_NONE => None,
                _ => (empty != (false, false)).then_some("who accepted a value names it"),
            }
        }
        AnyStatement::Agree(signed) => match (turn, signed.payload.reads == Hash::ZERO) {
            (Turn(0), false) => Some("an AGREE of turn 0 has no read quorum"),
            (Turn(0), true) | (_, false) => None,
            (_, true) => Some("an AGREE of a later turn has a read quorum"),
        },
        AnyStatement::WriteAck(signed) => {
            let WriteAckStatement { max_turn, max_pol, .. } = signed.payload;
            if max_turn < turn || max_turn == TURN_NONE {
                return Some("who answers a write knows its turn");
            }
            let null = max_turn == Turn(0) && max_pol != Pol::null(judge.q(inst)).digest();
            null.then_some("turn 0 has the null proof of leadership")
        }
        _ => None,
    }
}

/// TR1, TR2, TR4 and TR6 have rows of their own and are not repeated here.
fn check_twice(
    judge: &mut Judge,
    first: &AnyStatement,
    second: &AnyStatement,
) -> Result<&'static str, PomError> {
    let (a, b) = (first.header(), second.header());
    if a.kind != b.kind {
        return Err(PomError::NotProven("the two statements are of different kinds"));
    }
    let other_row = match a.kind {
        Kind::Value | Kind::AgreeAck | Kind::WriteAck => true,
        Kind::Agree => a.turn > Turn(0),
        _ => false,
    };
    if other_row {
        return Err(PomError::NotCanonical("two statements of this kind have a row of their own"));
    }
    first.check_own(judge)?;
    second.check_own(judge)?;
    check_places((a, first.digest()), (b, second.digest()))?;
    Ok("one statement for each instance, turn and kind")
}

fn check_read_ack(
    judge: &mut Judge,
    core: &Signed<ReadAckStatement>,
    cert: &AgreeCert,
) -> Result<&'static str, PomError> {
    judge.own(core)?;
    let claim = &core.payload;
    if claim.val_turn == TURN_NONE || cert.digest() != claim.cert {
        return Err(PomError::OtherAttachment("the agree certificate"));
    }
    let fits = cert.turn == claim.val_turn && cert.value == claim.value;
    let place = judge.place(core.header.inst);
    match fits && judge.verifier.agree_cert(place, cert) {
        true => Err(PomError::NotProven("the certificate is valid")),
        false => Ok("an accepted value has a certificate of q acknowledgements"),
    }
}

fn check_write_ack(
    judge: &mut Judge,
    core: &Signed<WriteAckStatement>,
    pol: &Pol,
) -> Result<&'static str, PomError> {
    judge.own(core)?;
    let claim = &core.payload;
    if pol.digest() != claim.max_pol {
        return Err(PomError::OtherAttachment("the proof of leadership"));
    }
    let place = judge.place(core.header.inst);
    let valid = match claim.max_turn {
        Turn(0) => pol.is_null(judge.q(core.header.inst)),
        turn => pol.turn == turn && judge.verifier.pol(place, pol),
    };
    match valid {
        true => Err(PomError::NotProven("the proof of leadership is valid")),
        false => Ok("who names a later turn has its proof of leadership"),
    }
}

/// The rule of form that a proposal breaks. Signature and digest of the body are checked before.
pub(super) fn proposal_fault(judge: &Judge, value: &Value) -> Result<&'static str, PomError> {
    let header = &value.statement.header;
    if value.statement.payload.len.0 != value.body.len() as u64 {
        return Ok("a proposal has the length that its statement says");
    }
    match Proposal::from_bytes(&value.body) {
        Err(_) => Ok("a proposal can be decoded"),
        Ok(proposal) => match proposal.check_form(header.slot, judge.slots(header.inst)) {
            Err(rule) => Ok(rule),
            Ok(()) => Err(PomError::NotProven("the proposal is well-formed")),
        },
    }
}
