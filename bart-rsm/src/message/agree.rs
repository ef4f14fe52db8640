//! AGREE and AGREE_ACK: a value is put forward, and each acceptor says it saw no other.

use super::cert::{AgreeCert, ReadQuorum};
use super::pad::Padded;
use super::statement::{AgreeAckStatement, AgreeStatement, ValueStatement};
use super::value::{Value, get_statement, put_statement};
use std::sync::Arc;
use types::{Decode, DecodeError, Encode, Reader, Signed, Writer};

/// AGREE(0), sender to all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agree {
    /// The statement.
    pub core: Signed<AgreeStatement>,
    /// The proposal.
    pub value: Arc<Value>,
}

/// AGREE(t) for t > 0, leader(t) to non-senders. Its size does not depend on the value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgreeLater {
    /// The statement.
    pub core: Signed<AgreeStatement>,
    /// The read quorum that forces the value.
    pub reads: Arc<ReadQuorum>,
    /// Certificate of the selected answer, or the blank block.
    pub cert: Arc<AgreeCert>,
    /// The sender's statement about the body, unless the value is NULL.
    pub statement: Option<Signed<ValueStatement>>,
    /// The body, padded to V_MAX.
    pub body: Padded,
}

/// AGREE_ACK(t), acceptor to sender or leader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgreeAck {
    /// The statement.
    pub core: Signed<AgreeAckStatement>,
}

impl Encode for Agree {
    fn encode(&self, out: &mut Writer) {
        out.put(&self.core);
        out.put(&*self.value);
    }
}

impl Decode for Agree {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { core: input.get()?, value: Arc::new(input.get()?) })
    }
}

impl Encode for AgreeLater {
    fn encode(&self, out: &mut Writer) {
        out.put(&self.core);
        out.put(&*self.reads);
        out.put(&*self.cert);
        put_statement(out, &self.statement);
        out.put(&self.body);
    }
}

impl Decode for AgreeLater {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            core: input.get()?,
            reads: Arc::new(input.get()?),
            cert: Arc::new(input.get()?),
            statement: get_statement(input)?,
            body: input.get()?,
        })
    }
}

impl Encode for AgreeAck {
    fn encode(&self, out: &mut Writer) {
        out.put(&self.core);
    }
}

impl Decode for AgreeAck {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { core: input.get()? })
    }
}
