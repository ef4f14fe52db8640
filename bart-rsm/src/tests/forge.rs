//! Statements as a Byzantine member would sign them, past any sign-once log.

use super::harness::*;
use crate::message::*;
use crate::*;
use std::sync::Arc;
use types::*;

/// Signs anything as `slot`.
pub(crate) fn signed<P: SignedPayload>(
    roster: &Roster,
    slot: u16,
    inst: u64,
    turn: u32,
    payload: P,
) -> Signed<P> {
    let header = Header {
        kind: P::KIND,
        epoch: roster.epoch(),
        inst: Instance(inst),
        turn: Turn(turn),
        slot: Slot(slot),
        ident: Ident(0),
    };
    Signed::new(&secret(slot), &roster.group(), header, payload).into_inner()
}

/// A signed value with any body, and its digest.
pub(crate) fn value(roster: &Roster, sender: u16, inst: u64, body: &[u8]) -> (Hash, Arc<Value>) {
    let stated = ValueStatement { body: Hash::of(body), len: Size(body.len() as u64) };
    let statement = signed(roster, sender, inst, 0, stated);
    let digest =
        value_digest(roster.group(), roster.epoch(), Instance(inst), Slot(sender), &stated);
    (digest, Arc::new(Value { statement, body: body.into() }))
}

/// AGREE(0) with any body.
pub(crate) fn agree(roster: &Roster, sender: u16, inst: u64, body: &[u8]) -> Message {
    let (value, attached) = value(roster, sender, inst, body);
    let core = signed(roster, sender, inst, 0, AgreeStatement { value, reads: Hash::ZERO });
    Message::Agree(Agree { core, value: attached })
}

/// SET_TURN for any turn.
pub(crate) fn set_turn(roster: &Roster, slot: u16, inst: u64, turn: u32) -> Message {
    Message::SetTurn(SetTurn { core: signed(roster, slot, inst, turn, SetTurnStatement {}) })
}

/// A well-formed proposal.
pub(crate) fn proposal(roster: &Roster, stamp: u64, command: &[u8]) -> Proposal {
    Proposal::plain(roster.slots(), Stamp(stamp), vec![command.to_vec()])
}
