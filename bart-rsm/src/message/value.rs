//! The sender's signed proposal and its body, and the digests that stand for outcomes.

use super::statement::ValueStatement;
use std::sync::Arc;
use types::limits::PROPOSAL_LEN_MAX;
use types::{
    Decode, DecodeError, Encode, Epoch, GroupId, Hash, Instance, Reader, Signed, Slot, Writer,
};

/// Bytes of an encoded VALUE statement; a block of zeros of this size stands for none.
pub const VALUE_STATEMENT_LEN: usize = 21 + 32 + 8 + 64;

/// `s(VALUE)`: names an outcome by instance, sender and body, never by turn or pad (issue T20).
pub fn value_digest(
    group: GroupId,
    epoch: Epoch,
    inst: Instance,
    sender: Slot,
    stated: &ValueStatement,
) -> Hash {
    let mut out = Writer::with_capacity(96);
    out.put(&group);
    out.put(&epoch);
    out.put(&inst);
    out.put(&sender);
    out.put(stated);
    Hash::tagged("value", &out.finish())
}

/// `s_null(inst)`: the one NULL outcome of an instance.
pub fn null_digest(group: GroupId, epoch: Epoch, inst: Instance, sender: Slot) -> Hash {
    let mut out = Writer::with_capacity(64);
    out.put(&group);
    out.put(&epoch);
    out.put(&inst);
    out.put(&sender);
    Hash::tagged("null value", &out.finish())
}

/// A VALUE statement and its body.
#[derive(Clone, PartialEq, Eq)]
pub struct Value {
    /// Signed by the sender.
    pub statement: Signed<ValueStatement>,
    /// The encoded proposal.
    pub body: Arc<[u8]>,
}

impl std::fmt::Debug for Value {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Value({:?}, {} bytes)", self.statement.payload.body, self.body.len())
    }
}

impl Encode for Value {
    fn encode(&self, out: &mut Writer) {
        out.put(&self.statement);
        out.bytes(&self.body);
    }
}

impl Decode for Value {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let statement = input.get()?;
        Ok(Self { statement, body: input.bytes("proposal", PROPOSAL_LEN_MAX)?.into() })
    }
}

/// Writes a VALUE statement, or zeros of the same length.
pub(super) fn put_statement(out: &mut Writer, statement: &Option<Signed<ValueStatement>>) {
    match statement {
        Some(statement) => {
            out.u8(1);
            out.put(statement);
        }
        None => {
            out.u8(0);
            out.raw(&[0; VALUE_STATEMENT_LEN]);
        }
    }
}

/// Reads what [`put_statement`] wrote.
pub(super) fn get_statement(
    input: &mut Reader<'_>,
) -> Result<Option<Signed<ValueStatement>>, DecodeError> {
    match input.u8()? {
        0 if input.raw(VALUE_STATEMENT_LEN)?.iter().all(|byte| *byte == 0) => Ok(None),
        1 => Ok(Some(input.get()?)),
        _ => Err(DecodeError::Malformed("value statement")),
    }
}
