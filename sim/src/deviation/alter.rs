//! "Send different": rewritten messages (the middle column of Table 1). Each rewriter signs with the
//! deviator's own key and returns false where it has nothing to change.

use super::play::Scene;
use bart_rsm::Proposal;
use bart_rsm::message::*;
use std::sync::Arc;
use types::{Decode as _, Encode as _, Epoch, Hash, Instance, Kind, Size, Slot, Turn};

fn place(message: &Message) -> (u64, u32) {
    (message.inst().0, message.turn().0)
}

fn pad_key(scene: &Scene, message: &Message, to: Slot) -> PadKey {
    let (inst, turn) = (message.inst(), message.turn());
    PadKey { group: scene.group, inst, turn, kind: message.kind(), from: scene.me, to }
}

/// ST-D1: names the next turn.
pub fn next_turn(scene: &Scene, _: Slot, message: &mut Message) -> bool {
    let (inst, turn) = place(message);
    let Message::SetTurn(m) = message else { return false };
    m.core = scene.sign(inst, turn + 1, SetTurnStatement {});
    true
}

/// RA-D1: "I accepted nothing", although something was accepted.
pub fn deny_accepted(scene: &Scene, to: Slot, message: &mut Message) -> bool {
    let (inst, turn) = place(message);
    let key = pad_key(scene, message, to);
    let Message::ReadAck(m) = message else { return false };
    if m.core.payload.val_turn == TURN_NONE {
        return false;
    }
    let read = m.core.payload.read;
    let (val_turn, value, cert) = (TURN_NONE, Hash::ZERO, Hash::ZERO);
    m.core = scene.sign(inst, turn, ReadAckStatement { val_turn, value, cert, read });
    m.cert = Arc::new(AgreeCert::blank(scene.q));
    m.statement = None;
    let unpadded = m.body.block_len() == m.body.body().len();
    m.body = Padded::new(&[], if unpadded { 0 } else { m.body.block_len() }, &key);
    true
}

/// RA-D4, AG-D5, SD-D2: no pad.
pub fn unpadded(scene: &Scene, to: Slot, message: &mut Message) -> bool {
    let key = pad_key(scene, message, to);
    let body = match message {
        Message::ReadAck(m) => &mut m.body,
        Message::AgreeLater(m) => &mut m.body,
        Message::ShowDecision(m) => &mut m.body,
        _ => return false,
    };
    let bare = Padded::new(body.body(), 0, &key);
    *body = bare;
    true
}

/// Another proposal in the place of the core's own. The core will not know the answers to it.
pub fn propose(scene: &Scene, message: &mut Message, change: impl FnOnce(&mut Proposal)) -> bool {
    let (inst, turn) = place(message);
    let Message::Agree(m) = message else { return false };
    let Ok(mut proposal) = Proposal::from_bytes(&m.value.body) else { return false };
    change(&mut proposal);
    let body: Arc<[u8]> = proposal.to_bytes().into();
    let stated = ValueStatement { body: Hash::of(&body), len: Size(body.len() as u64) };
    let statement = scene.sign(inst, turn, stated);
    let value = value_digest(scene.group, Epoch(0), Instance(inst), scene.me, &stated);
    m.core = scene.sign(inst, turn, AgreeStatement { value, reads: Hash::ZERO });
    m.value = Arc::new(Value { statement, body });
    true
}

/// AG-D6: a proposal without the vectors about others, which saves their bytes.
pub fn without_vectors(scene: &Scene, _: Slot, message: &mut Message) -> bool {
    propose(scene, message, |proposal| {
        proposal.untimely.clear();
        proposal.accuse.clear();
    })
}

/// Z4: a second proposal for half of the group.
pub fn second_value(scene: &Scene, _: Slot, message: &mut Message) -> bool {
    propose(scene, message, |proposal| proposal.stamp.0 += 1)
}

/// Z8: an AGREE of turn 0 that names a read quorum, which no AGREE of turn 0 may.
pub fn bait(scene: &Scene, _: Slot, message: &mut Message) -> bool {
    let (inst, turn) = place(message);
    let Message::Agree(m) = message else { return false };
    let value = m.core.payload.value;
    m.core = scene.sign(inst, turn, AgreeStatement { value, reads: Hash::tagged("bait", b"") });
    true
}

/// AA-D2: acknowledges another value than the one it was asked about.
pub fn ack_other(scene: &Scene, _: Slot, message: &mut Message) -> bool {
    let (inst, turn) = place(message);
    let Message::AgreeAck(m) = message else { return false };
    let agree = m.core.payload.agree;
    let value = Hash::tagged("another value", agree.as_bytes());
    m.core = scene.sign(inst, turn, AgreeAckStatement { value, agree });
    true
}

/// WA-D1: knows of no later turn, although it does.
pub fn forget_later_turn(scene: &Scene, _: Slot, message: &mut Message) -> bool {
    let (inst, turn) = place(message);
    let Message::WriteAck(m) = message else { return false };
    if turn != 0 || m.core.payload.max_turn == Turn(0) {
        return false;
    }
    let pol = Arc::new(Pol::null(scene.q));
    let payload = WriteAckStatement { max_turn: Turn(0), max_pol: pol.digest(), ..m.core.payload };
    m.core = scene.sign(inst, turn, payload);
    m.max_pol = pol;
    true
}

/// RP-D1: a certificate with one signer fewer.
pub fn short_report(scene: &Scene, _: Slot, message: &mut Message) -> bool {
    let (inst, turn) = place(message);
    let Message::ReportDecision(m) = message else { return false };
    let mut cert = (*m.cert).clone();
    let fewer = cert.signers.iter().skip(1).map(|(slot, entry)| (slot, *entry));
    cert.signers = Signers::new(fewer.collect::<Vec<_>>());
    let payload = ReportStatement { value: cert.value, cert: cert.digest() };
    m.core = scene.sign(inst, turn, payload);
    m.cert = Arc::new(cert);
    true
}

/// PN-D1: half of the pad.
pub fn short_penance(_: &Scene, _: Slot, message: &mut Message) -> bool {
    let Message::Penance(m) = message else { return false };
    m.pad = m.pad[..m.pad.len() / 2].into();
    true
}

/// The bandit's "alternative content" for each kind: the cheapest lie that is known.
pub fn cheapest(scene: &Scene, to: Slot, message: &mut Message) -> bool {
    match message.kind() {
        Kind::SetTurn => next_turn(scene, to, message),
        Kind::ReadAck | Kind::ShowDecision => unpadded(scene, to, message),
        Kind::Agree if message.turn().0 == 0 => without_vectors(scene, to, message),
        Kind::Agree => unpadded(scene, to, message),
        Kind::AgreeAck => ack_other(scene, to, message),
        Kind::WriteAck => forget_later_turn(scene, to, message),
        Kind::ReportDecision => short_report(scene, to, message),
        Kind::Penance => short_penance(scene, to, message),
        _ => false,
    }
}
