//! What each message kind says under a signature (specification 3.3, column "signed fields").
//!
//! Assumes: the header of [`types::Signed`] names group, epoch, instance, turn and signer.
//! Guarantees: a statement's fields name the exact earlier message it answers, so that no
//! statement fits a second conversation (issues T1, T29).

use types::{Decode, DecodeError, Encode, Hash, Kind, Reader, SignedPayload, Size, Turn, Writer};

/// Stands for "no turn" where a fixed layout needs a number: nothing was accepted yet.
pub const TURN_NONE: Turn = Turn(u32::MAX);

macro_rules! statement {
    ($(#[$doc:meta])* $name:ident = $kind:ident { $($(#[$field_doc:meta])* $field:ident: $ty:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $name { $($(#[$field_doc])* pub $field: $ty,)* }

        impl Encode for $name {
            fn encode(&self, _out: &mut Writer) {
                $(_out.put(&self.$field);)*
            }
        }

        impl Decode for $name {
            fn decode(_input: &mut Reader<'_>) -> Result<Self, DecodeError> {
                Ok(Self { $($field: _input.get()?,)* })
            }
        }

        impl SignedPayload for $name {
            const KIND: Kind = Kind::$kind;
        }
    };
}

statement! {
    /// The sender's proposal for one instance.
    ValueStatement = Value {
        /// Digest of the encoded proposal.
        body: Hash,
        /// Its length in bytes.
        len: Size,
    }
}
statement! {
    /// "I start this turn."
    SetTurnStatement = SetTurn {}
}
statement! {
    /// "This turn is mine, here is the proof; what did you accept?"
    ReadStatement = Read {
        /// Digest of the attached proof of leadership.
        pol: Hash,
    }
}
statement! {
    /// "This is the latest value that I accepted."
    ReadAckStatement = ReadAck {
        /// The turn of the accepted write, or [`TURN_NONE`].
        val_turn: Turn,
        /// The accepted value's digest, or zero.
        value: Hash,
        /// Digest of the agree certificate of that write, or zero.
        cert: Hash,
        /// Digest of the READ that this answers.
        read: Hash,
    }
}
statement! {
    /// "This is the value of my turn."
    AgreeStatement = Agree {
        /// The value's digest.
        value: Hash,
        /// Digest of the read quorum that forces the value; zero in turn 0.
        reads: Hash,
    }
}
statement! {
    /// "In this turn I saw no other value."
    AgreeAckStatement = AgreeAck {
        /// The value's digest.
        value: Hash,
        /// Digest of the AGREE that this answers.
        agree: Hash,
    }
}
statement! {
    /// "A quorum saw only this value."
    WriteStatement = Write {
        /// The value's digest.
        value: Hash,
        /// Digest of the AGREE of this turn.
        agree: Hash,
        /// Digest of the attached agree certificate.
        cert: Hash,
    }
}
statement! {
    /// "I stored the value; the latest turn that I know is this one."
    WriteAckStatement = WriteAck {
        /// The value's digest.
        value: Hash,
        /// The turn of the latest proof of leadership known; 0 if none.
        max_turn: Turn,
        /// Digest of that proof.
        max_pol: Hash,
        /// Digest of the WRITE that this answers.
        write: Hash,
    }
}
statement! {
    /// "This is the outcome of my turn."
    ShowQuorumStatement = ShowQuorum {
        /// The value's digest.
        value: Hash,
        /// Digest of the attached write quorum.
        acks: Hash,
    }
}
statement! {
    /// "Your turn is not needed, this was decided."
    ShowDecisionStatement = ShowDecision {
        /// The decided digest.
        value: Hash,
        /// Digest of the attached decision certificate.
        cert: Hash,
    }
}
statement! {
    /// "This was decided in your instance."
    ReportStatement = ReportDecision {
        /// The decided digest.
        value: Hash,
        /// Digest of the attached decision certificate.
        cert: Hash,
    }
}
statement! {
    /// "I pay this many units."
    PenanceStatement = Penance {
        /// Units, as the decided proposal states them.
        count: Turn,
    }
}
statement! {
    /// "I have commands; do not idle."
    WakeStatement = Wake {}
}
