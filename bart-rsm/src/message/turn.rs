//! SET_TURN, READ and READ_ACK: how a turn starts and what its leader learns.

use super::cert::{AgreeCert, Pol};
use super::pad::Padded;
use super::statement::{ReadAckStatement, ReadStatement, SetTurnStatement, ValueStatement};
use super::value::{get_statement, put_statement};
use std::sync::Arc;
use types::{Decode, DecodeError, Encode, Reader, Signed, Writer};

/// SET_TURN(t), acceptor to leader(t).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetTurn {
    /// The statement.
    pub core: Signed<SetTurnStatement>,
}

/// READ(t), leader(t) to non-senders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    /// The statement.
    pub core: Signed<ReadStatement>,
    /// Proof of leadership for this turn.
    pub pol: Arc<Pol>,
}

/// READ_ACK(t), acceptor to leader(t). Its size does not depend on the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadAck {
    /// The statement.
    pub core: Signed<ReadAckStatement>,
    /// Certificate of the accepted write, or the blank block.
    pub cert: Arc<AgreeCert>,
    /// The sender's statement about the accepted body, if a body was accepted.
    pub statement: Option<Signed<ValueStatement>>,
    /// The accepted body, padded to V_MAX.
    pub body: Padded,
}

impl Encode for SetTurn {
    fn encode(&self, out: &mut Writer) {
        out.put(&self.core);
    }
}

impl Decode for SetTurn {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { core: input.get()? })
    }
}

impl Encode for Read {
    fn encode(&self, out: &mut Writer) {
        out.put(&self.core);
        out.put(&*self.pol);
    }
}

impl Decode for Read {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { core: input.get()?, pol: Arc::new(input.get()?) })
    }
}

impl Encode for ReadAck {
    fn encode(&self, out: &mut Writer) {
        out.put(&self.core);
        out.put(&*self.cert);
        put_statement(out, &self.statement);
        out.put(&self.body);
    }
}

impl Decode for ReadAck {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            core: input.get()?,
            cert: Arc::new(input.get()?),
            statement: get_statement(input)?,
            body: input.get()?,
        })
    }
}
