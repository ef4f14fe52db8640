//! The random mixture: each faulty member draws a few behaviours and plays them together.

use super::{ALL, Board, Entry, FIRST_MIX, MIX, Outgoing, Strategy, find};
use bart_rsm::Compose;
use bart_rsm::message::Message;
use types::Slot;

struct Mix(Vec<Box<dyn Strategy>>);

impl Strategy for Mix {
    fn seats(&self) -> usize {
        self.0.iter().map(|part| part.seats()).max().unwrap_or(1)
    }

    fn compose(&self) -> Option<Compose> {
        self.0.iter().find_map(|part| part.compose())
    }

    fn serves(&self, seat: usize, peer: Slot) -> bool {
        self.0.iter().all(|part| part.seats() == 1 || part.serves(seat, peer))
    }

    fn start(&mut self, board: &mut Board, me: Slot) {
        for part in &mut self.0 {
            part.start(board, me);
        }
    }

    fn outgoing(&mut self, board: &mut Board, me: Slot, out: Vec<Outgoing>) -> Vec<Outgoing> {
        self.0.iter_mut().fold(out, |out, part| part.outgoing(board, me, out))
    }

    fn incoming(&mut self, board: &mut Board, me: Slot, from: Slot, message: &Message) -> bool {
        let mut pass = true;
        for part in &mut self.0 {
            pass &= part.incoming(board, me, from, message);
        }
        pass
    }

    fn tick(&mut self, board: &mut Board, me: Slot) {
        for part in &mut self.0 {
            part.tick(board, me);
        }
    }
}

/// The strategies of [`FIRST_MIX`].
const FIRST_NAMES: &[&str] = &[
    "follow",
    "silent",
    "selective-silence",
    "equivocate",
    "selective-show-quorum",
    "selective-read",
    "replay",
    "short-quorum",
    "lying-read",
    "favour-null",
    "stale-max-pol",
    "early-set-turn",
    "double-vote",
    "flood",
    "garbage",
    "amnesia",
    "slow",
];

/// Draws one to five of the named strategies, which play in the order of the names.
fn draw(board: &mut Board, me: Slot, names: &[&str]) -> Box<dyn Strategy> {
    let count = board.rng.between(1, 5) as usize;
    let chosen = board.rng.sample(names, count);
    let parts = names.iter().filter(|name| chosen.contains(*name));
    let parts = parts.filter_map(|name| find(name)).map(|entry| (entry.make)(board, me)).collect();
    Box::new(Mix(parts))
}

pub(super) const ENTRY: Entry = Entry {
    name: MIX,
    what: "each faulty member draws one to five of the others and plays them together",
    make: |board: &mut Board, me: Slot| {
        let names: Vec<&str> = ALL.iter().map(|entry| entry.name).collect();
        let names: Vec<&str> =
            names.into_iter().filter(|name| ![MIX, FIRST_MIX].contains(name)).collect();
        draw(board, me, &names)
    },
};

pub(super) const FIRST: Entry = Entry {
    name: FIRST_MIX,
    what: "as mixture, of the strategies that there were first; for recorded seeds",
    make: |board: &mut Board, me: Slot| draw(board, me, FIRST_NAMES),
};
