//! Who leads, and how long an idle sender waits (specification 5.1, 5.3; issue T28).

use crate::config::Params;

/// Who leads, as a place among `live` slots whose sender has place `sender`: the sender in turn 0,
/// then the non-senders in order; the next sender leads last.
pub(crate) fn leader_place(live: usize, sender: usize, turn: u32) -> usize {
    match turn {
        0 => sender,
        _ if live < 2 => sender,
        _ => (sender + 1 + turn as usize % (live - 1)) % live,
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
        for n in 2..12 {
            for sender in 0..n {
                let round: Vec<_> =
                    (1..n as u32).map(|turn| leader_place(n, sender, turn)).collect();
                let distinct: std::collections::BTreeSet<_> = round.iter().collect();
                assert_eq!(distinct.len(), n - 1);
                assert!(!round.contains(&sender));
                assert_eq!(round.last(), Some(&((sender + 1) % n)));
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
