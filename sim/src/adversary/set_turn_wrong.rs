//! Sends set-turns to whom they do not belong, twice, for another turn, or signed for another
//! instance or group (rows ST-D1, ST-D3, ST-D4).

use super::early_set_turn::set_turn;
use super::{Board, Content, Entry, Outgoing, Strategy};
use bart_rsm::message::{Message, SetTurn, SetTurnStatement};
use types::{GroupId, Hash, Instance, Signed, Slot, Turn};

struct SetTurnWrong;

/// A set-turn whose signature is of another instance or group than it claims.
fn foreign(board: &mut Board, honest: &SetTurn) -> Option<Message> {
    let header = honest.core.header;
    let group = board.roster.group();
    let (signed_as, group) = match board.rng.once_in(2) {
        true => {
            let inst = Instance(header.inst.0.wrapping_add(1));
            (types::Header { inst, ..header }, group)
        }
        false => (header, GroupId(Hash::of(b"another group"))),
    };
    let key = board.keys.get(&header.slot)?;
    let signature = Signed::new(key, &group, signed_as, SetTurnStatement {}).signature;
    let core = Signed { header, payload: SetTurnStatement {}, signature };
    Some(Message::SetTurn(SetTurn { core }))
}

impl Strategy for SetTurnWrong {
    fn outgoing(&mut self, board: &mut Board, me: Slot, out: Vec<Outgoing>) -> Vec<Outgoing> {
        let mut sent = Vec::with_capacity(out.len());
        for outgoing in out {
            let Content::Message(Message::SetTurn(honest)) = &outgoing.content else {
                sent.push(outgoing);
                continue;
            };
            let (inst, Turn(turn)) = (honest.core.header.inst, honest.core.header.turn);
            match board.rng.between(0, 3) {
                // Another turn, to its leader: either too early or long over.
                0 => {
                    let turn = match board.rng.once_in(2) {
                        true => turn + 1,
                        false => turn.saturating_sub(1).max(1),
                    };
                    sent.extend(
                        set_turn(board, me, inst.0, turn).map(|(to, m)| Outgoing::now(to, m)),
                    );
                }
                // To somebody who does not lead this turn, and twice to its leader.
                1 => {
                    let others = board.others(me);
                    if let Some(to) = board.rng.pick(&others) {
                        sent.push(Outgoing { to, ..outgoing.clone() });
                    }
                    sent.push(outgoing.clone());
                }
                2 => {
                    if let Some(message) = foreign(board, honest) {
                        sent.push(Outgoing::now(outgoing.to, message));
                    }
                }
                _ => {}
            }
            // One time of three the right one does not leave at all.
            if !board.rng.once_in(3) {
                sent.push(outgoing);
            }
        }
        sent
    }
}

pub(super) const ENTRY: Entry = Entry {
    name: "set-turn-wrong",
    what: "sends set-turns of other turns, to non-leaders, or signed for another place (ST-D1, ST-D3, ST-D4)",
    make: |_: &mut Board, _: Slot| Box::new(SetTurnWrong),
};
