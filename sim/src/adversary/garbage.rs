//! Alters bytes of what it sends, cuts and extends it, and sends noise (rows MQ-6, RA-D4, AG-D8).

use super::{Board, Content, Entry, Outgoing, Strategy};
use crate::view;
use types::Slot;

struct Garbage {
    per_mille: u64,
}

fn mutate(board: &mut Board, bytes: &mut Vec<u8>) {
    match board.rng.between(0, 4) {
        0 => bytes.truncate(board.rng.index(bytes.len() + 1)),
        1 => {
            let len = board.rng.between(1, 40) as usize;
            bytes.extend(board.rng.bytes(len));
        }
        2 => {
            // Most fields that matter lie near the front.
            let near = bytes.len().min(200);
            flip(board, bytes, near);
        }
        3 => {
            for _ in 0..8 {
                let all = bytes.len();
                flip(board, bytes, all);
            }
        }
        _ => {
            let len = board.rng.between(0, 300) as usize;
            *bytes = board.rng.bytes(len);
        }
    }
}

fn flip(board: &mut Board, bytes: &mut [u8], within: usize) {
    let at = board.rng.index(within);
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 1 << board.rng.between(0, 7);
    }
}

impl Strategy for Garbage {
    fn outgoing(&mut self, board: &mut Board, _: Slot, out: Vec<Outgoing>) -> Vec<Outgoing> {
        let mut sent = Vec::with_capacity(out.len());
        for outgoing in out {
            if let Content::Message(message) = &outgoing.content
                && board.rng.per_mille(self.per_mille)
            {
                let mut bytes = view::encode(message);
                mutate(board, &mut bytes);
                let content = Content::Bytes(bytes);
                sent.push(Outgoing { content, ..outgoing.clone() });
                // Half of the time the altered message stands in for the real one.
                if board.rng.once_in(2) {
                    continue;
                }
            }
            sent.push(outgoing);
        }
        sent
    }
}

pub(super) const ENTRY: Entry = Entry {
    name: "garbage",
    what: "alters, cuts and extends what it sends, and sends noise",
    make: |board: &mut Board, _: Slot| {
        Box::new(Garbage { per_mille: board.rng.pick(&[50, 300, 1000]).unwrap_or(300) })
    },
};
