//! Newtypes without silent conversions. All integers are encoded little-endian at full width.

use crate::codec::{Decode, DecodeError, Encode, Reader, Writer};
use crate::hash::Hash;
use std::fmt;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($int:ty), $put:ident, $get:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
        pub struct $name(pub $int);

        impl $name {
            /// The next value, or `None` at the end of the range.
            pub fn next(self) -> Option<Self> {
                self.0.checked_add(1).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(out, concat!($prefix, "{}"), self.0)
            }
        }

        impl Encode for $name {
            fn encode(&self, out: &mut Writer) {
                out.$put(self.0);
            }
        }

        impl Decode for $name {
            fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
                Ok(Self(input.$get()?))
            }
        }
    };
}

number!(
    /// A place in the roster, `0..n`. It outlives the keys that act for it.
    Slot(u16), u16, u16, "slot "
);
number!(
    /// Which of a slot's linked identities signs (paper section 7.2), counted from 0.
    Ident(u16), u16, u16, "identity "
);
number!(
    /// A version of the roster.
    Epoch(u32), u32, u32, "epoch "
);
number!(
    /// One terminating reliable broadcast: a place in the log.
    Instance(u64), u64, u64, "instance "
);
number!(
    /// A turn of an instance; turn 0 belongs to the sender.
    Turn(u32), u32, u32, "turn "
);
number!(
    /// Milliseconds since the Unix epoch as a signer states them; strictly increasing per
    /// identity, so that it doubles as a sequence number (issue P18 of the specification).
    Stamp(u64), u64, u64, ""
);
number!(
    /// A length in bytes.
    Size(u64), u64, u64, ""
);
number!(
    /// A reading of a local monotonic clock in milliseconds. It is never signed or sent.
    Millis(u64), u64, u64, ""
);

impl Instance {
    /// The instance `by` places earlier, if there is one.
    pub fn back(self, by: u64) -> Option<Self> {
        self.0.checked_sub(by).map(Self)
    }
}

impl Millis {
    /// This reading plus a duration in milliseconds, at most the end of the range.
    pub fn plus(self, duration_ms: u64) -> Self {
        Self(self.0.saturating_add(duration_ms))
    }

    /// Milliseconds since an earlier reading; 0 when it is not earlier.
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// The name of a group: the hash of its genesis configuration.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct GroupId(pub Hash);

impl fmt::Display for GroupId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

impl Encode for GroupId {
    fn encode(&self, out: &mut Writer) {
        self.0.encode(out);
    }
}

impl Decode for GroupId {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(Hash::decode(input)?))
    }
}
