//! Newtypes of the ledger: accounts, amounts, sequence numbers, and the place of a message.

use std::fmt;
use types::{Decode, DecodeError, Encode, Reader, Writer};

/// An account. Numbers are given by the authority, in order, and never again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Account(pub u32);

/// Credits. A group's supply fits in 64 bits, which the state checks once, at minting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Amount(pub u64);

/// The number of an account's message: 1 for its first; 0 stands for "none yet".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Seq(pub u64);

/// Where a message stands: at most one is ever delivered for an account and sequence number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Place {
    /// The account whose message it is; in source-order broadcast, the source.
    pub account: Account,
    /// Its number in the order of that account.
    pub seq: Seq,
}

impl Amount {
    /// The sum, or `None` when it does not fit.
    pub fn plus(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The difference, or `None` when it would be negative.
    pub fn minus(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }
}

impl Seq {
    /// The next number, or `None` at the end of the range.
    pub fn next(self) -> Option<Self> {
        self.0.checked_add(1).map(Self)
    }
}

macro_rules! number {
    ($name:ident, $put:ident, $get:ident, $prefix:literal) => {
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

number!(Account, u32, u32, "account ");
number!(Amount, u64, u64, "");
number!(Seq, u64, u64, "#");

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", self.account, self.seq)
    }
}

impl Encode for Place {
    fn encode(&self, out: &mut Writer) {
        out.put(&self.account);
        out.put(&self.seq);
    }
}

impl Decode for Place {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { account: input.get()?, seq: input.get()? })
    }
}
