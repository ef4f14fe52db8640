//! Who is in a sample: a function of secret bytes, the place and the layer, and of nothing else.
//!
//! The same secret gives the same samples after a restart, so they need no record. Whoever knows the
//! secret, or sees who subscribes, can poison a sample: assumption 5 of section 4.2 is load-bearing.

use crate::ids::Place;
use std::collections::BTreeSet;
use types::{Encode as _, Hash, Slot};

/// Secret random bytes of one member, never told and never reused in another group.
#[derive(Clone)]
pub struct Secret(pub [u8; 32]);

/// Which sample of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layer {
    /// Algorithm 6.
    Gossip,
    /// Algorithm 8.
    Echo,
    /// Algorithm 9, contagion.
    Ready,
    /// Algorithm 9, delivery.
    Delivery,
}

/// Uniform numbers from one hash chain.
struct Draws {
    seed: Vec<u8>,
    counter: u64,
}

impl Draws {
    fn new(secret: &Secret, place: Place, layer: Layer) -> Self {
        let mut seed = secret.0.to_vec();
        seed.extend_from_slice(&place.to_bytes());
        seed.push(layer as u8);
        Self { seed, counter: 0 }
    }

    fn next(&mut self) -> u64 {
        let mut input = self.seed.clone();
        input.extend_from_slice(&self.counter.to_le_bytes());
        self.counter += 1;
        let hash = Hash::tagged("ledger sample", &input);
        let mut first = [0; 8];
        first.copy_from_slice(&hash.as_bytes()[..8]);
        u64::from_le_bytes(first)
    }

    /// Uniform below `bound`, which is above 0: numbers from the uneven rest of the range are drawn again.
    fn below(&mut self, bound: u64) -> u64 {
        let even = u64::MAX - u64::MAX % bound;
        loop {
            let number = self.next();
            if number < even {
                return number % bound;
            }
        }
    }

    /// How many of `trials` hit, each with chance `part / whole`.
    fn hits(&mut self, trials: u64, part: u64, whole: u64) -> u64 {
        (0..trials).map(|_| u64::from(self.below(whole) < part)).sum()
    }
}

/// `size` distinct members out of `members`, uniformly; the member itself may be one of them.
/// The gossip sample has a binomial number of entries with mean `size`, which is the distribution whose
/// Poisson limit algorithm 6 draws from, and which makes links independent at every size.
pub fn draw(
    secret: &Secret,
    place: Place,
    layer: Layer,
    size: usize,
    members: usize,
) -> BTreeSet<Slot> {
    let mut draws = Draws::new(secret, place, layer);
    let size = match layer {
        Layer::Gossip => draws.hits(members as u64, size as u64, members as u64) as usize,
        _ => size,
    };
    let size = size.min(members);
    // Floyd's algorithm: each subset of that size is equally likely, with one draw an entry.
    let mut chosen = BTreeSet::new();
    for last in members - size..members {
        let slot = Slot(draws.below(last as u64 + 1) as u16);
        if !chosen.insert(slot) {
            chosen.insert(Slot(last as u16));
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{Account, Seq};

    fn place(seq: u64) -> Place {
        Place { account: Account(1), seq: Seq(seq) }
    }

    #[test]
    fn sample_depends_on_secret_place_and_layer_and_on_nothing_else() {
        let of = |secret, seq, layer| draw(&Secret([secret; 32]), place(seq), layer, 10, 100);
        let one = of(1, 1, Layer::Echo);
        assert_eq!(one, of(1, 1, Layer::Echo));
        assert_ne!(one, of(2, 1, Layer::Echo));
        assert_ne!(one, of(1, 2, Layer::Echo), "fresh for each instance");
        assert_ne!(one, of(1, 1, Layer::Ready));
        assert_eq!(one.len(), 10);
    }

    #[test]
    fn members_are_drawn_equally_often() {
        let mut counts = [0_u32; 20];
        for seq in 0..4_000 {
            for slot in draw(&Secret([3; 32]), place(seq), Layer::Ready, 5, 20) {
                counts[usize::from(slot.0)] += 1;
            }
        }
        // 1000 expected, with a standard deviation of 27.
        assert!(counts.iter().all(|count| (860..1140).contains(count)), "{counts:?}");
    }

    #[test]
    fn gossip_sample_has_the_expected_size_on_average() {
        let size = |seq| draw(&Secret([4; 32]), place(seq), Layer::Gossip, 8, 50).len();
        let sum: usize = (0..2_000).map(size).sum();
        assert!((15_400..16_600).contains(&sum), "{sum}");
    }
}
