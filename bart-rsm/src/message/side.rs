//! Messages outside the turns: PENANCE, RESUME, CATCHUP, WAKE, PING and PONG.
//!
//! RESUME, PING, PONG and CATCHUP carry no signature of their own: the link authenticates the author, and a
//! CATCHUP proves itself by its decision certificate.

use super::cert::DecisionCert;
use super::pad::BLOCK_MAX;
use super::statement::{PenanceStatement, WakeStatement};
use super::value::Value;
use std::sync::Arc;
use types::{Decode, DecodeError, Encode, Epoch, Instance, Kind, Reader, Signed, Writer};

/// PENANCE: a fined member pays each non-sender with bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Penance {
    /// The statement.
    pub core: Signed<PenanceStatement>,
    /// `count * late_fee` bytes of keyed stream.
    pub pad: Arc<[u8]>,
}

impl std::fmt::Debug for Penance {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Penance({:?}, {} bytes)", self.core.payload.count, self.pad.len())
    }
}

/// CATCHUP: one decision with its proof and body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Catchup {
    /// Roster version.
    pub epoch: Epoch,
    /// The instance.
    pub inst: Instance,
    /// The proof.
    pub cert: Arc<DecisionCert>,
    /// The decided proposal; none for NULL.
    pub value: Option<Arc<Value>>,
}

/// WAKE: the author has commands, so nobody should idle for a rotation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wake {
    /// The statement.
    pub core: Signed<WakeStatement>,
}

impl Encode for Penance {
    fn encode(&self, out: &mut Writer) {
        out.put(&self.core);
        out.bytes(&self.pad);
    }
}

impl Decode for Penance {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { core: input.get()?, pad: input.bytes("penance", BLOCK_MAX)?.into() })
    }
}

macro_rules! standing {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $name {
            /// Roster version.
            pub epoch: Epoch,
            /// The first instance that the author has not decided.
            pub undecided: Instance,
            /// The first instance in which the addressee owes the author something.
            pub frontier: Instance,
        }

        impl Encode for $name {
            fn encode(&self, out: &mut Writer) {
                out.put(&Kind::$name);
                out.put(&self.epoch);
                out.put(&self.undecided);
                out.put(&self.frontier);
            }
        }

        impl Decode for $name {
            fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
                expect_kind(input, Kind::$name)?;
                Ok(Self { epoch: input.get()?, undecided: input.get()?, frontier: input.get()? })
            }
        }
    };
}

standing! {
    /// RESUME: where the author stands. It asks for decisions from `undecided` on, and for everything
    /// outstanding towards the author from `frontier` on (it is also the NEED hint of 4.4).
    Resume
}
standing! {
    /// PING: the dialer expects something and has nothing to repeat (4.3).
    Ping
}
standing! {
    /// PONG: the acceptor has nothing to repeat either.
    Pong
}

fn expect_kind(input: &mut Reader<'_>, kind: Kind) -> Result<(), DecodeError> {
    let got: Kind = input.get()?;
    if got == kind { Ok(()) } else { Err(DecodeError::Malformed("message kind")) }
}

impl Encode for Catchup {
    fn encode(&self, out: &mut Writer) {
        out.put(&Kind::Catchup);
        out.put(&self.epoch);
        out.put(&self.inst);
        out.put(&*self.cert);
        match &self.value {
            None => out.u8(0),
            Some(value) => {
                out.u8(1);
                out.put(&**value);
            }
        }
    }
}

impl Decode for Catchup {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        expect_kind(input, Kind::Catchup)?;
        Ok(Self {
            epoch: input.get()?,
            inst: input.get()?,
            cert: Arc::new(input.get()?),
            value: input.get::<Option<Value>>()?.map(Arc::new),
        })
    }
}

impl Encode for Wake {
    fn encode(&self, out: &mut Writer) {
        out.put(&self.core);
    }
}

impl Decode for Wake {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { core: input.get()? })
    }
}
