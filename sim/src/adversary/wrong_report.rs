//! Reports a decision with a certificate of another turn, of another value, or with fewer signers
//! (row RP-D1); says the same to set-turns (row SD-D1).

use super::{Board, Content, Entry, Outgoing, Strategy};
use bart_rsm::message::{DecisionCert, Message, ReportDecision, ShowDecision, Signers};
use std::sync::Arc;
use types::{Hash, Slot, Turn};

struct WrongReport;

fn spoil(board: &mut Board, cert: &DecisionCert) -> DecisionCert {
    match board.rng.between(0, 2) {
        0 => DecisionCert { turn: Turn(cert.turn.0 + 1), ..cert.clone() },
        1 => DecisionCert { value: Hash::of(&board.rng.bytes(8)), ..cert.clone() },
        _ => {
            let parts: Vec<_> =
                cert.signers.iter().skip(1).map(|(slot, entry)| (slot, *entry)).collect();
            DecisionCert { signers: Signers::new(parts), ..cert.clone() }
        }
    }
}

fn alter(board: &mut Board, message: &Message) -> Option<Message> {
    Some(match message {
        Message::ReportDecision(m) => {
            let cert = spoil(board, &m.cert);
            let mut payload = m.core.payload;
            (payload.value, payload.cert) = (cert.value, cert.digest());
            let core = board.sign(m.core.header, payload)?;
            Message::ReportDecision(ReportDecision { core, cert: Arc::new(cert) })
        }
        Message::ShowDecision(m) => {
            let cert = spoil(board, &m.cert);
            let mut payload = m.core.payload;
            (payload.value, payload.cert) = (cert.value, cert.digest());
            let core = board.sign(m.core.header, payload)?;
            Message::ShowDecision(ShowDecision { core, cert: Arc::new(cert), ..m.clone() })
        }
        _ => return None,
    })
}

impl Strategy for WrongReport {
    fn outgoing(&mut self, board: &mut Board, _: Slot, mut out: Vec<Outgoing>) -> Vec<Outgoing> {
        for outgoing in &mut out {
            if let Content::Message(message) = &outgoing.content
                && let Some(message) = alter(board, message)
            {
                outgoing.content = Content::Message(message);
            }
        }
        out
    }
}

pub(super) const ENTRY: Entry = Entry {
    name: "wrong-report",
    what: "reports and shows decisions with certificates that prove nothing (RP-D1, SD-D1)",
    make: |_: &mut Board, _: Slot| Box::new(WrongReport),
};
