//! WRITE and WRITE_ACK: a value that a quorum saw alone is stored.

use super::cert::{AgreeCert, Pol};
use super::statement::{WriteAckStatement, WriteStatement};
use std::sync::Arc;
use types::{Decode, DecodeError, Encode, Reader, Signed, Writer};

/// WRITE(t), sender or leader to acceptors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// The statement.
    pub core: Signed<WriteStatement>,
    /// `a`: a quorum acknowledged the AGREE of this turn.
    pub cert: Arc<AgreeCert>,
}

/// WRITE_ACK(t), acceptor to sender or leader. Its size does not depend on the turn it knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteAck {
    /// The statement.
    pub core: Signed<WriteAckStatement>,
    /// The latest proof of leadership that the acceptor knows, or the null proof.
    pub max_pol: Arc<Pol>,
}

impl Encode for Write {
    fn encode(&self, out: &mut Writer) {
        out.put(&self.core);
        out.put(&*self.cert);
    }
}

impl Decode for Write {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { core: input.get()?, cert: Arc::new(input.get()?) })
    }
}

impl Encode for WriteAck {
    fn encode(&self, out: &mut Writer) {
        out.put(&self.core);
        out.put(&*self.max_pol);
    }
}

impl Decode for WriteAck {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { core: input.get()?, max_pol: Arc::new(input.get()?) })
    }
}
