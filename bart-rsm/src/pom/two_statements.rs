//! Two statements for one key: TR1, TR2, TR4, TR6 (specification 3.12.2, 5.7, 8.2).
//!
//! Against whom: a member signs at most one statement for (instance, turn, kind), and makes it durable
//! first; so neither a restart nor a repetition yields a second. Only what is signed is compared:
//! a second signature under the same words proves nothing.

use super::{Judge, PomError};
use types::{Decode, DecodeError, Encode, Hash, Reader, Signed, SignedPayload, Turn, Writer};

/// Two statements of one kind, in the order of their digests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair<P>(Signed<P>, Signed<P>);

impl<P: SignedPayload> Pair<P> {
    /// Puts two statements into canonical order.
    pub fn new(a: Signed<P>, b: Signed<P>) -> Self {
        if a.digest() <= b.digest() { Self(a, b) } else { Self(b, a) }
    }
}

impl<P> Pair<P> {
    /// The one whose digest is smaller.
    pub fn first(&self) -> &Signed<P> {
        &self.0
    }

    /// The other.
    pub fn second(&self) -> &Signed<P> {
        &self.1
    }
}

impl<P: SignedPayload> Encode for Pair<P> {
    fn encode(&self, out: &mut Writer) {
        out.put(&self.0);
        out.put(&self.1);
    }
}

impl<P: SignedPayload> Decode for Pair<P> {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(input.get()?, input.get()?))
    }
}

/// Both for one instance and turn, with different words.
pub(super) fn check_places(
    first: (&types::Header, Hash),
    second: (&types::Header, Hash),
) -> Result<(), PomError> {
    if first.0.inst != second.0.inst {
        return Err(PomError::NotProven("the two statements are for different instances"));
    }
    if first.0.turn != second.0.turn {
        return Err(PomError::NotProven("the two statements are for different turns"));
    }
    if first.1 == second.1 {
        return Err(PomError::NotProven("both statements say the same"));
    }
    if first.1 > second.1 {
        return Err(PomError::NotCanonical("the two statements are in the wrong order"));
    }
    Ok(())
}

pub(super) fn check<P: SignedPayload>(
    judge: &mut Judge,
    pair: &Pair<P>,
) -> Result<&'static str, PomError> {
    judge.own(&pair.0)?;
    judge.own(&pair.1)?;
    check_places((&pair.0.header, pair.0.digest()), (&pair.1.header, pair.1.digest()))?;
    Ok("one statement for each instance, turn and kind")
}

/// TR2 is about turns that somebody leads; what a sender signs in turn 0 is TR1.
pub(super) fn check_leader<P: SignedPayload>(
    judge: &mut Judge,
    pair: &Pair<P>,
) -> Result<&'static str, PomError> {
    if pair.0.header.turn == Turn(0) {
        return Err(PomError::NotProven("turn 0 has no leader; two proposals are another kind"));
    }
    check(judge, pair)
}
