//! Sends one kind of message late (the rows *-T* of sections 9.1 to 9.10).

use super::{Board, Content, Entry, Outgoing, Strategy};
use bart_rsm::message::Message;
use types::{Kind, Slot};

/// Least width of the window in which a set-turn counts as punctual, ms (specification 1).
pub(super) const WINDOW_MS: u64 = 250;

/// How late.
#[derive(Debug, Clone, Copy)]
enum Late {
    /// By parts of the punctuality window: 1.1, 3 or 10 times.
    Windows,
    /// Seven eighths of the base timeout.
    JustInside,
    /// Past the base timeout.
    Outside,
    /// By any part of two base timeouts.
    Any,
}

struct Delay {
    matches: fn(&Message) -> bool,
    delay_ms: u64,
}

impl Delay {
    fn boxed(board: &mut Board, matches: fn(&Message) -> bool, late: Late) -> Box<dyn Strategy> {
        let t0_ms = board.t0_min_ms;
        let delay_ms = match late {
            Late::Windows => board.rng.pick(&[11, 30, 100]).unwrap_or(11) * WINDOW_MS / 10,
            Late::JustInside => t0_ms * 7 / 8,
            Late::Outside => t0_ms * board.rng.between(9, 24) / 8,
            Late::Any => board.rng.between(1, 2 * t0_ms),
        };
        Box::new(Self { matches, delay_ms })
    }
}

impl Strategy for Delay {
    fn outgoing(&mut self, _: &mut Board, _: Slot, mut out: Vec<Outgoing>) -> Vec<Outgoing> {
        for outgoing in &mut out {
            if let Content::Message(message) = &outgoing.content
                && (self.matches)(message)
            {
                outgoing.delay_ms += self.delay_ms;
            }
        }
        out
    }
}

macro_rules! entries {
    ($($constant:ident = $name:literal, $matches:expr, $late:ident, $words:literal;)*) => {
        $(pub(super) const $constant: Entry = Entry {
            name: $name,
            what: $words,
            make: |board: &mut Board, _: Slot| Delay::boxed(board, $matches, Late::$late),
        };)*
    };
}

entries! {
    SET_TURN = "late-set-turn", |m| m.kind() == Kind::SetTurn, Windows,
        "sends set-turns late by 1.1, 3 or 10 windows (ST-T2)";
    READ = "late-read", |m| m.kind() == Kind::Read, Any,
        "as a leader, waits long with its reads, hoping to need none (RD-T1)";
    READ_ACK = "late-read-ack", |m| m.kind() == Kind::ReadAck, Any,
        "answers reads late (RA-T1)";
    PROPOSAL = "just-in-time-proposal", |m| matches!(m, Message::Agree(_)), JustInside,
        "as the sender, proposes just inside the timeout each time (AG-T1, RS-2)";
    LATE_PROPOSAL = "late-proposal", |m| matches!(m, Message::Agree(_)), Outside,
        "as the sender, proposes after the timeout (AG-T2)";
    AGREE = "late-agree", |m| matches!(m, Message::AgreeLater(_)), Any,
        "as a leader, waits for more answers than it needs before it agrees (AG-T3)";
    AGREE_ACK = "late-agree-ack", |m| m.kind() == Kind::AgreeAck, Any,
        "acknowledges agrees late (AA-T1)";
    WRITE = "late-write", |m| m.kind() == Kind::Write, Any,
        "waits for more agree-acks than it needs before it writes (WR-T1)";
    WRITE_ACK = "late-write-ack", |m| m.kind() == Kind::WriteAck, Any,
        "acknowledges writes late (WA-T1)";
    SHOW_QUORUM = "late-show-quorum", |m| m.kind() == Kind::ShowQuorum, Outside,
        "shows its write quorum after the others timed out (SQ-T1)";
    SHOW_DECISION = "late-show-decision", |m| m.kind() == Kind::ShowDecision, Any,
        "as a decided leader, answers set-turns late (SD-T1)";
    REPORT = "late-report", |m| m.kind() == Kind::ReportDecision, Outside,
        "reports decisions late (RP-T1)";
    PENANCE = "late-penance", |m| m.kind() == Kind::Penance, Outside,
        "pays its fines late (PN-T1)";
}
