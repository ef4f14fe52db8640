//! Never sends one kind of message, to nobody or not to some peers (the rows *-N* of sections 9.1 to
//! 9.11). What is withheld once is withheld in every repetition.

use super::{Board, Content, Entry, Outgoing, Strategy};
use bart_rsm::message::Message;
use std::collections::BTreeSet;
use types::{Kind, Slot};

/// From whom.
#[derive(Debug, Clone, Copy)]
enum From {
    /// Everybody.
    All,
    /// One honest member.
    One,
    /// As many as a quorum can spare: `n - 1 - q`.
    Spared,
    /// Some, but not all.
    Some,
}

/// What.
#[derive(Debug, Clone, Copy)]
enum What {
    Kind(Kind),
    /// AGREE of turn 0.
    Proposal,
    /// AGREE of later turns.
    LaterAgree,
    Everything,
}

struct Withhold {
    what: What,
    victims: BTreeSet<Slot>,
}

impl Withhold {
    fn boxed(board: &mut Board, me: Slot, what: What, from: From) -> Box<dyn Strategy> {
        let others = board.others(me);
        let victims = match from {
            From::All => others.into_iter().collect(),
            From::One => {
                let honest = board.honest();
                board.rng.sample(&honest, 1)
            }
            From::Spared => {
                let spared = others.len() - board.q();
                board.rng.sample(&others, spared)
            }
            From::Some => {
                let count = board.rng.between(1, others.len() as u64 - 1) as usize;
                board.rng.sample(&others, count)
            }
        };
        Box::new(Self { what, victims })
    }

    fn matches(&self, outgoing: &Outgoing) -> bool {
        let Content::Message(message) = &outgoing.content else { return false };
        match self.what {
            What::Kind(kind) => message.kind() == kind,
            What::Proposal => matches!(message, Message::Agree(_)),
            What::LaterAgree => matches!(message, Message::AgreeLater(_)),
            What::Everything => true,
        }
    }
}

impl Strategy for Withhold {
    fn outgoing(&mut self, _: &mut Board, _: Slot, mut out: Vec<Outgoing>) -> Vec<Outgoing> {
        out.retain(|outgoing| !(self.victims.contains(&outgoing.to) && self.matches(outgoing)));
        out
    }
}

macro_rules! entries {
    ($($constant:ident = $name:literal, $what:expr, $from:ident, $words:literal;)*) => {
        $(pub(super) const $constant: Entry = Entry {
            name: $name,
            what: $words,
            make: |board: &mut Board, me: Slot| Withhold::boxed(board, me, $what, From::$from),
        };)*
    };
}

entries! {
    SET_TURN_ONE = "withhold-set-turn-from-one", What::Kind(Kind::SetTurn), One,
        "sends no set-turn to one honest leader (ST-N1)";
    SET_TURN = "withhold-set-turn", What::Kind(Kind::SetTurn), All,
        "sends no set-turn to anybody (ST-N2)";
    READ = "withhold-read", What::Kind(Kind::Read), All,
        "as a leader, never reads (RD-N1)";
    READ_ACK = "withhold-read-ack", What::Kind(Kind::ReadAck), All,
        "never answers a read (RA-N1)";
    PROPOSAL = "withhold-proposal", What::Proposal, All,
        "as the sender, proposes nothing (AG-N1, RS-1)";
    OMIT = "omit-from-proposal", What::Proposal, Spared,
        "as the sender, leaves out as many members as a quorum can spare (AG-N3)";
    AGREE = "withhold-agree", What::LaterAgree, All,
        "as a leader, falls silent after its reads (AG-N2)";
    AGREE_ACK = "withhold-agree-ack", What::Kind(Kind::AgreeAck), All,
        "never acknowledges an agree (AA-N1)";
    WRITE = "withhold-write", What::Kind(Kind::Write), All,
        "as sender and leader, stops before the write (WR-N1)";
    WRITE_SOME = "write-to-some", What::Kind(Kind::Write), Some,
        "as sender and leader, writes to some members only (WR-N2)";
    WRITE_ACK = "withhold-write-ack", What::Kind(Kind::WriteAck), All,
        "never acknowledges a write (WA-N1)";
    SHOW_QUORUM = "withhold-show-quorum", What::Kind(Kind::ShowQuorum), All,
        "never shows a write quorum (SQ-N1)";
    SHOW_DECISION = "withhold-show-decision", What::Kind(Kind::ShowDecision), All,
        "as a decided leader, ignores set-turns (SD-N1)";
    REPORT = "withhold-report", What::Kind(Kind::ReportDecision), All,
        "never reports a decision to its sender (RP-N1)";
    PENANCE = "withhold-penance", What::Kind(Kind::Penance), All,
        "never pays a fine (PN-N1)";
    CATCHUP = "withhold-catchup", What::Kind(Kind::Catchup), All,
        "helps nobody who fell behind (MQ-12)";
    SHUN = "shun-one", What::Everything, One,
        "sends nothing to one honest member (MQ-4, MQ-5)";
}
