//! One signed statement of any kind.

use crate::message::*;
use types::{Decode, DecodeError, Encode, Hash, Header, Kind, Reader, Signed, Writer};

macro_rules! any {
    ($($kind:ident => $payload:ident,)*) => {
        /// One signed statement of any kind.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum AnyStatement { $(#[doc = concat!("Of kind ", stringify!($kind), ".")] $kind(Signed<$payload>),)* }

        impl AnyStatement {
            /// Who says it, and where.
            pub fn header(&self) -> &Header {
                match self { $(Self::$kind(signed) => &signed.header,)* }
            }

            /// Names what is signed, never the signature.
            pub fn digest(&self) -> Hash {
                match self { $(Self::$kind(signed) => signed.digest(),)* }
            }

            pub(super) fn check_own(
                &self,
                judge: &mut super::Judge,
            ) -> Result<(), super::PomError> {
                match self { $(Self::$kind(signed) => judge.own(signed),)* }
            }
        }

        impl Encode for AnyStatement {
            fn encode(&self, out: &mut Writer) {
                match self { $(Self::$kind(signed) => out.put(signed),)* }
            }
        }

        impl Decode for AnyStatement {
            fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
                match input.fork().get::<Kind>()? {
                    $(Kind::$kind => Ok(Self::$kind(input.get()?)),)*
                    _ => Err(DecodeError::Malformed("kind of statement")),
                }
            }
        }

        $(impl From<Signed<$payload>> for AnyStatement {
            fn from(signed: Signed<$payload>) -> Self {
                Self::$kind(signed)
            }
        })*
    };
}

any! {
    Value => ValueStatement,
    SetTurn => SetTurnStatement,
    Read => ReadStatement,
    ReadAck => ReadAckStatement,
    Agree => AgreeStatement,
    AgreeAck => AgreeAckStatement,
    Write => WriteStatement,
    WriteAck => WriteAckStatement,
    ShowQuorum => ShowQuorumStatement,
    ShowDecision => ShowDecisionStatement,
    ReportDecision => ReportStatement,
    Penance => PenanceStatement,
}
