//! The random mixture: each faulty member draws a few behaviours and plays them together.

use super::{ALL, Board, Entry, MIX, Outgoing, Strategy};
use bart_rsm::message::Message;
use types::Slot;

struct Mix(Vec<Box<dyn Strategy>>);

impl Strategy for Mix {
    fn seats(&self) -> usize {
        self.0.iter().map(|part| part.seats()).max().unwrap_or(1)
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

pub(super) const ENTRY: Entry = Entry {
    name: MIX,
    what: "each faulty member draws one to five of the others and plays them together",
    make: |board: &mut Board, me: Slot| {
        let count = board.rng.between(1, 5) as usize;
        let names: Vec<&str> =
            ALL.iter().map(|entry| entry.name).filter(|name| *name != MIX).collect();
        let chosen = board.rng.sample(&names, count);
        let parts = ALL.iter().filter(|entry| chosen.contains(entry.name));
        let parts = parts.map(|entry| (entry.make)(board, me)).collect();
        Box::new(Mix(parts))
    },
};
