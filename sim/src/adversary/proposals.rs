//! What a faulty sender may write into its own proposal: malformed vectors and bodies (rows AG-D6,
//! AG-D8, UN-D3), fines (UN-*), accusations (BL-*), and fields that lie (RS-4, RS-5, RS-6).

use super::{Board, Entry, Strategy};
use crate::rng::{Random, Stream};
use bart_rsm::{Accusation, Compose, Proposal};
use std::sync::Arc;
use types::limits::UNTIMELY_MAX;
use types::{Encode, Hash, Instance, Kind, Slot, Stamp, Turn};

/// What a proposal is altered with; drawn anew for each instance.
struct Pen {
    me: Slot,
    victim: Slot,
    v_max: usize,
    rng: Random,
}

type Alter = fn(&mut Pen, Instance, &Proposal) -> Option<Vec<u8>>;

struct Proposals(Compose);

impl Proposals {
    fn boxed(board: &mut Board, me: Slot, alter: Alter) -> Box<dyn Strategy> {
        let victim = board.honest().first().copied().unwrap_or(me);
        let (v_max, seed) = (board.v_max, board.rng.between(0, u64::MAX));
        Box::new(Self(Arc::new(move |inst, honest| {
            let rng = Random::new(seed.wrapping_add(inst.0), Stream::Adversary);
            alter(&mut Pen { me, victim, v_max, rng }, inst, honest)
        })))
    }
}

impl Strategy for Proposals {
    fn compose(&self) -> Option<Compose> {
        Some(self.0.clone())
    }
}

fn bytes(alter: impl FnOnce(&mut Proposal), honest: &Proposal) -> Option<Vec<u8>> {
    let mut proposal = honest.clone();
    alter(&mut proposal);
    Some(proposal.to_bytes())
}

fn set<T>(vector: &mut [T], slot: Slot, value: T) {
    if let Some(entry) = vector.get_mut(usize::from(slot.0)) {
        *entry = value;
    }
}

/// AG-D6: a vector is missing, too short or too long.
fn wrong_vectors(pen: &mut Pen, _: Instance, honest: &Proposal) -> Option<Vec<u8>> {
    let way = pen.rng.between(0, 4);
    let alter = |proposal: &mut Proposal| match way {
        0 => proposal.untimely.clear(),
        1 => proposal.accuse.clear(),
        2 => proposal.untimely.push(0),
        3 => drop(proposal.accuse.pop()),
        _ => proposal.commands.push(Vec::new()),
    };
    bytes(alter, honest)
}

/// AG-D8: longer than V_MAX, or no proposal at all.
fn wrong_encoding(pen: &mut Pen, _: Instance, honest: &Proposal) -> Option<Vec<u8>> {
    let mut body = honest.to_bytes();
    match pen.rng.between(0, 2) {
        0 => body.resize(pen.v_max + 1, 0),
        1 => body.truncate(pen.rng.index(body.len())),
        _ => body = pen.rng.bytes(64),
    }
    Some(body)
}

/// AG-D9: well formed, with commands that no application understands.
fn failing_commands(pen: &mut Pen, _: Instance, honest: &Proposal) -> Option<Vec<u8>> {
    let count = pen.rng.between(1, 5);
    let noise: Vec<Vec<u8>> = (0..count).map(|_| pen.rng.bytes(24)).collect();
    bytes(|proposal| proposal.commands.extend(noise), honest)
}

/// UN-N1: no mark is ever published.
fn no_fines(_: &mut Pen, _: Instance, honest: &Proposal) -> Option<Vec<u8>> {
    bytes(|proposal| proposal.untimely.fill(0), honest)
}

/// UN-D1: everybody is fined in every proposal.
fn fine_all(pen: &mut Pen, _: Instance, honest: &Proposal) -> Option<Vec<u8>> {
    let alter = |proposal: &mut Proposal| {
        proposal.untimely.fill(UNTIMELY_MAX);
        set(&mut proposal.untimely, pen.me, 0);
    };
    bytes(alter, honest)
}

/// UN-D2: one honest member is fined in every proposal.
fn fine_one(pen: &mut Pen, _: Instance, honest: &Proposal) -> Option<Vec<u8>> {
    bytes(|proposal| set(&mut proposal.untimely, pen.victim, UNTIMELY_MAX), honest)
}

/// UN-D3: fines above the cap, or of itself.
fn wrong_fines(pen: &mut Pen, _: Instance, honest: &Proposal) -> Option<Vec<u8>> {
    let own = pen.rng.once_in(2);
    let alter = |proposal: &mut Proposal| {
        if own {
            set(&mut proposal.untimely, pen.me, 1);
        } else {
            proposal.untimely.fill(255);
            set(&mut proposal.untimely, pen.me, 0);
        }
    };
    bytes(alter, honest)
}

fn listing(pen: &mut Pen, now: Instance) -> Accusation {
    let inst = Instance(pen.rng.between(0, now.0));
    let kinds = [Kind::AgreeAck, Kind::ShowQuorum, Kind::ReportDecision, Kind::Penance];
    let kind = pen.rng.pick(&kinds).unwrap_or(Kind::AgreeAck);
    Accusation { reason: 1, inst, turn: Turn(0), kind: kind as u8, message: Hash::ZERO }
}

/// BL-D1, BL-D2, BL-T1: one honest member is listed in every proposal, without cause.
fn list_one(pen: &mut Pen, inst: Instance, honest: &Proposal) -> Option<Vec<u8>> {
    let entry = listing(pen, inst);
    bytes(|proposal| set(&mut proposal.accuse, pen.victim, entry), honest)
}

/// BL-D1 towards everybody, sometimes as malformed.
fn list_all(pen: &mut Pen, inst: Instance, honest: &Proposal) -> Option<Vec<u8>> {
    let mut entry = listing(pen, inst);
    if pen.rng.once_in(2) {
        let message = Hash::of(&pen.rng.bytes(8));
        entry = Accusation { reason: 2, message, ..Accusation::default() };
    }
    let alter = |proposal: &mut Proposal| {
        proposal.accuse.fill(entry);
        set(&mut proposal.accuse, pen.me, Accusation::default());
    };
    bytes(alter, honest)
}

/// BL-N1: nobody is ever listed.
fn no_listing(_: &mut Pen, _: Instance, honest: &Proposal) -> Option<Vec<u8>> {
    bytes(|proposal| proposal.accuse.fill(Accusation::default()), honest)
}

/// RS-4: closed far ahead of everything, or nothing ever closed.
fn wrong_closed(pen: &mut Pen, inst: Instance, honest: &Proposal) -> Option<Vec<u8>> {
    let closed = pen.rng.pick(&[0, inst.0, inst.0 + 1_000, u64::MAX]).unwrap_or(0);
    bytes(|proposal| proposal.closed_upto = Instance(closed), honest)
}

/// RS-5: checkpoints of states that nobody else has.
fn wrong_checkpoint(pen: &mut Pen, inst: Instance, honest: &Proposal) -> Option<Vec<u8>> {
    let at = pen.rng.pick(&[0, inst.0, 1_000, u64::MAX]).unwrap_or(0);
    let digest = Hash::of(&pen.rng.bytes(8));
    bytes(|proposal| proposal.checkpoint = (Instance(at), digest), honest)
}

/// RS-6: clocks at the extremes.
fn wild_stamps(pen: &mut Pen, _: Instance, honest: &Proposal) -> Option<Vec<u8>> {
    let stamp = honest.stamp.0;
    let wild = [
        1,
        stamp / 2,
        stamp.saturating_add(86_400_000),
        stamp.saturating_add(1 << 40),
        u64::MAX - 1,
        u64::MAX,
    ];
    let stamp = Stamp(pen.rng.pick(&wild).unwrap_or(stamp));
    bytes(|proposal| proposal.stamp = stamp, honest)
}

macro_rules! entries {
    ($($constant:ident = $name:literal, $compose:ident, $words:literal;)*) => {
        $(pub(super) const $constant: Entry = Entry {
            name: $name,
            what: $words,
            make: |board: &mut Board, me: Slot| Proposals::boxed(board, me, $compose),
        };)*
    };
}

entries! {
    WRONG_VECTORS = "wrong-vectors", wrong_vectors,
        "proposes with vectors of a wrong length (AG-D6)";
    WRONG_ENCODING = "wrong-encoding", wrong_encoding,
        "proposes too many bytes, or none that decode (AG-D8)";
    FAILING_COMMANDS = "failing-commands", failing_commands,
        "proposes commands that fail (AG-D9)";
    NO_FINES = "no-fines", no_fines,
        "publishes no untimely marks (UN-N1)";
    FINE_ALL = "fine-all", fine_all,
        "fines everybody in every proposal (UN-D1)";
    FINE_ONE = "fine-one", fine_one,
        "fines one victim in every proposal (UN-D2)";
    WRONG_FINES = "wrong-fines", wrong_fines,
        "fines above the cap, or itself (UN-D3)";
    LIST_ONE = "list-one", list_one,
        "lists one innocent member for ever, before any deadline (BL-D1, BL-D2, BL-T1)";
    LIST_ALL = "list-all", list_all,
        "lists everybody, also as malformed (BL-D1)";
    NO_LISTING = "no-listing", no_listing,
        "never lists who is overdue (BL-N1)";
    WRONG_CLOSED = "wrong-closed", wrong_closed,
        "claims to have closed everything, or nothing (RS-4)";
    WRONG_CHECKPOINT = "wrong-checkpoint", wrong_checkpoint,
        "publishes checkpoints of states that nobody has (RS-5)";
    WILD_STAMPS = "wild-stamps", wild_stamps,
        "stamps its proposals at the extremes (RS-6)";
}
