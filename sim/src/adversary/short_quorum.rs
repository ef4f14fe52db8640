//! Shows vectors that are no quorum: a signer short, the sender among the signers, or a signature
//! in somebody else's place (rows RD-D1, WR-D1, SQ-D3, SD-D1).

use super::{Board, Content, Entry, Outgoing, Strategy};
use bart_rsm::message::cert::Entry as VectorEntry;
use bart_rsm::message::{
    AgreeCert, Catchup, DecisionCert, Message, Pol, Read, ReportDecision, ShowQuorum, Signers,
    Write, WriteQuorum,
};
use std::sync::Arc;
use types::Slot;

struct ShortQuorum;

/// The vector with one entry spoiled; it keeps its length where it can.
fn spoil<T: VectorEntry>(board: &mut Board, sender: Slot, vector: &Signers<T>) -> Signers<T> {
    let mut parts: Vec<(Slot, T)> =
        vector.iter().map(|(slot, entry)| (slot, entry.clone())).collect();
    let way = board.rng.between(0, 2);
    if let Some((slot, entry)) = parts.pop() {
        match way {
            0 => {}
            1 => parts.push((sender, entry)),
            _ => {
                // Somebody who did not sign takes the place of somebody who did.
                let others = board.others(slot);
                let other = board.rng.pick(&others).unwrap_or(slot);
                parts.push((other, entry));
            }
        }
    }
    Signers::new(parts)
}

fn spoil_decision(board: &mut Board, sender: Slot, cert: &DecisionCert) -> Arc<DecisionCert> {
    let signers = spoil(board, sender, &cert.signers);
    Arc::new(DecisionCert { signers, ..cert.clone() })
}

fn spoiled(board: &mut Board, message: &Message) -> Option<Message> {
    let sender = board.sender(message.inst().0);
    Some(match message {
        Message::Read(m) => {
            let signers = spoil(board, sender, &m.pol.signers);
            let pol = Pol { signers, ..(*m.pol).clone() };
            let mut payload = m.core.payload;
            payload.pol = pol.digest();
            Message::Read(Read { core: board.sign(m.core.header, payload)?, pol: Arc::new(pol) })
        }
        Message::Write(m) => {
            let signers = spoil(board, sender, &m.cert.signers);
            let cert = AgreeCert { signers, ..(*m.cert).clone() };
            let mut payload = m.core.payload;
            payload.cert = cert.digest();
            let core = board.sign(m.core.header, payload)?;
            Message::Write(Write { core, cert: Arc::new(cert) })
        }
        Message::ShowQuorum(m) => {
            let signers = spoil(board, sender, &m.acks.signers);
            let acks = WriteQuorum { signers, ..(*m.acks).clone() };
            let mut payload = m.core.payload;
            payload.acks = acks.digest();
            let core = board.sign(m.core.header, payload)?;
            Message::ShowQuorum(ShowQuorum { core, acks: Arc::new(acks), pol: m.pol.clone() })
        }
        Message::ReportDecision(m) => {
            let cert = spoil_decision(board, sender, &m.cert);
            let mut payload = m.core.payload;
            payload.cert = cert.digest();
            let core = board.sign(m.core.header, payload)?;
            Message::ReportDecision(ReportDecision { core, cert })
        }
        Message::Catchup(m) => {
            let cert = spoil_decision(board, sender, &m.cert);
            Message::Catchup(Catchup { cert, ..m.clone() })
        }
        _ => return None,
    })
}

impl Strategy for ShortQuorum {
    fn outgoing(&mut self, board: &mut Board, _: Slot, out: Vec<Outgoing>) -> Vec<Outgoing> {
        let mut sent = Vec::with_capacity(out.len());
        for outgoing in out {
            if let Content::Message(message) = &outgoing.content
                && board.rng.once_in(2)
                && let Some(message) = spoiled(board, message)
            {
                sent.push(Outgoing::now(outgoing.to, message));
            }
            sent.push(outgoing);
        }
        sent
    }
}

pub(super) const ENTRY: Entry = Entry {
    name: "short-quorum",
    what: "shows vectors that are no quorum (RD-D1, WR-D1, SQ-D3, SD-D1)",
    make: |_: &mut Board, _: Slot| Box::new(ShortQuorum),
};
