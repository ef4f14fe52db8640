//! Who sends, who leads, and how long an idle sender waits (specification 5.1, 5.3; issue T28).

use crate::config::Params;
use types::{Instance, Roster, Slot};

/// Rotation over the live roster.
#[derive(Debug, Clone)]
pub(crate) struct Schedule {
    live: Vec<Slot>,
}

impl Schedule {
    pub(crate) fn new(roster: &Roster) -> Self {
        Self { live: roster.live().collect() }
    }

    /// Slots in rotation.
    pub(crate) fn live(&self) -> &[Slot] {
        &self.live
    }

    /// Instances in one rotation.
    pub(crate) fn rotation(&self) -> u64 {
        self.live.len() as u64
    }

    /// The one member that may propose in an instance.
    pub(crate) fn sender(&self, inst: Instance) -> Slot {
        self.live[(inst.0 % self.rotation()) as usize]
    }

    /// The sender in turn 0, then the non-senders in order; the next sender leads last.
    pub(crate) fn leader(&self, inst: Instance, turn: u32) -> Slot {
        let n = self.rotation();
        let sender = inst.0 % n;
        let place = match turn {
            0 => sender,
            _ if n < 2 => sender,
            _ => (sender + 1 + u64::from(turn) % (n - 1)) % n,
        };
        self.live[place as usize]
    }
}

/// How long an idle sender waits after `idle` consecutive empty proposals.
pub(crate) fn pace_ms(params: &Params, idle: u64, rotation: u64) -> u64 {
    let rounds = idle / rotation.max(1);
    match rounds {
        0 => 0,
        _ => {
            let doublings = (rounds - 1).min(32) as u32;
            params.idle_first_ms.saturating_mul(1 << doublings).min(params.idle_max_ms)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaders_are_all_non_senders_once_a_round_and_the_next_sender_is_last() {
        for n in 2..12u16 {
            let schedule = Schedule { live: (0..n).map(Slot).collect() };
            for inst in 0..u64::from(n) {
                let inst = Instance(inst);
                let round: Vec<_> =
                    (1..u32::from(n)).map(|turn| schedule.leader(inst, turn)).collect();
                let distinct: std::collections::BTreeSet<_> = round.iter().collect();
                assert_eq!(distinct.len(), usize::from(n) - 1);
                assert!(!round.contains(&schedule.sender(inst)));
                assert_eq!(round.last(), Some(&schedule.sender(Instance(inst.0 + 1))));
            }
        }
    }

    #[test]
    fn pace_is_zero_for_one_rotation_then_doubles_to_the_maximum() {
        let params = Params::default();
        let paces: Vec<_> = (0..9).map(|round| pace_ms(&params, round * 5, 5)).collect();
        assert_eq!(paces, [0, 1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000]);
    }
}
