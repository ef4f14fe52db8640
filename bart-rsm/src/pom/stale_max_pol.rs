//! TR7: of a WRITE_ACK in turn t and a READ_ACK in a later turn t', one lies (specification 3.6, 8.2).
//!
//! Against whom: whoever answered the write first has a value of turn t or later when it answers the
//! read; whoever answered the read first knows the proof of t' when it answers the write. Both
//! facts are durable before the answers leave, so no restart and no order excuses.

use super::{Judge, PomError};
use crate::message::{ReadAckStatement, TURN_NONE, WriteAckStatement};
use types::Signed;

pub(super) fn check(
    judge: &mut Judge,
    write: &Signed<WriteAckStatement>,
    read: &Signed<ReadAckStatement>,
) -> Result<&'static str, PomError> {
    judge.own(write)?;
    judge.own(read)?;
    let (earlier, later) = (write.header.turn, read.header.turn);
    if write.header.inst != read.header.inst {
        return Err(PomError::NotProven("the two answers are for different instances"));
    }
    if earlier >= later {
        return Err(PomError::NotProven("the read is not of a later turn than the write"));
    }
    if write.payload.max_turn >= later {
        return Err(PomError::NotProven("the answer to the write names the later turn"));
    }
    let accepted = read.payload.val_turn;
    if accepted != TURN_NONE && accepted >= earlier {
        return Err(PomError::NotProven(
            "the answer to the read names the written value or a later one",
        ));
    }
    Ok("who stored a value names it in later reads, and who answered a read knows its turn")
}
