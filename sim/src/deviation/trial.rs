//! One strategy against one Byzantine behaviour under one network sample, and what it was worth.

use super::arena::{Arena, Run, Setup};
use super::assertions::Premises;
use super::frame::Frame;
use super::hostile::Foe;
use super::meter::Prices;
use super::play::{Follow, Mind, Player};
use super::rows::Strategy;
use super::sizes::Sizes;
use super::weather::draw;
use bart_rsm::{Duty, Rules};
use types::{Mode, Slot, Turn};

/// The rational member and the Byzantine ones of a sample; the seed places them.
fn places(n: usize, f: usize, seed: u64) -> (Slot, Vec<Slot>) {
    let rational = Slot((draw(seed, &[10]) % n as u64) as u16);
    let mut others: Vec<Slot> = (0..n as u16).map(Slot).filter(|slot| *slot != rational).collect();
    others.sort_by_key(|slot| draw(seed, &[11, slot.0.into()]));
    others.truncate(f);
    (rational, others)
}

/// Plays a sample. Without a strategy the rational member follows.
pub fn play(
    frame: &Frame,
    strategy: Option<&Strategy>,
    foe: Foe,
    seed: u64,
) -> Result<Run, String> {
    let quorum = frame.roster.quorum();
    let (rational, mut hostile) = places(quorum.n(), quorum.f(), seed);
    if foe == Foe::Absent {
        hostile.clear();
    }
    let mut minds: Vec<Box<dyn Mind>> = Vec::new();
    let mut rules: Vec<Rules> = Vec::new();
    for slot in frame.roster.all() {
        if hostile.contains(&slot) {
            minds.push(foe.mind(rational, frame.params.t0_min_ms));
            rules.push(foe.rules(frame.rules, rational));
        } else if let Some(strategy) = strategy.filter(|_| slot == rational) {
            minds.push(Box::new(Player::new(&strategy.play)));
            rules.push(frame.rules.with_selfish(strategy.selfish));
        } else {
            minds.push(Box::new(Follow));
            rules.push(frame.rules);
        }
    }
    let away = strategy.and_then(|strategy| strategy.play.away);
    let setup = Setup { frame, seed, rational, hostile, minds, away, rules };
    let mut run = Arena::new(setup)?.run();
    run.acted += u64::from(strategy.is_some_and(Strategy::acts_inside));
    Ok(run)
}

/// Bytes that a duty still costs if it is fulfilled (`owed(r)`, 10.1).
fn owed_bytes(sizes: &Sizes, duty: Duty) -> usize {
    let answers = sizes.agree_ack + sizes.write_ack;
    match duty {
        Duty::SenderTurn => sizes.turn_0().0,
        Duty::Answer(Turn(0)) => answers,
        Duty::Answer(_) => sizes.read_ack + answers,
        Duty::Report => sizes.report,
        Duty::LeaderTurn(_) => sizes.turn().0,
        Duty::SetTurn(_) => sizes.turn().1,
        Duty::Penance => sizes.penance,
    }
}

/// `standing(r)`: whether the group would go on with this member (10.1).
pub fn standing(frame: &Frame, run: &Run, foe: Foe) -> bool {
    let quorum = frame.roster.quorum();
    if frame.convicts && run.proven.is_some() {
        return false;
    }
    if !frame.lists {
        return true;
    }
    match quorum.mode() {
        Mode::QuasiSync => run.listed_by.is_empty(),
        // The f that may still turn hostile are taken from those that it serves well.
        Mode::Async => {
            let hostile = if foe == Foe::Absent { 0 } else { quorum.f() };
            let followers = quorum.n() - 1 - hostile;
            let served = followers - run.listed_by.len();
            served.saturating_sub(quorum.f() - hostile) >= quorum.size()
        }
    }
}

/// What a run was worth, apart from the continuation.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Worth {
    /// Benefit of decided proposals.
    pub benefit: f64,
    /// Everything that was spent, and what is still owed.
    pub cost: f64,
    /// Whether the member may go on.
    pub standing: bool,
}

impl Worth {
    /// Values a run.
    pub fn of(frame: &Frame, premises: &Premises, prices: &Prices, foe: Foe, run: &Run) -> Self {
        // What is open after the longest response is paid because a listing makes it be paid. Where nobody
        // lists it is saved for good; what was only late was waited for and metered.
        let owes = run.owes.iter().filter(|_| frame.lists);
        let owed: usize = owes.map(|(_, duty)| owed_bytes(&premises.sizes, *duty)).sum();
        Self {
            benefit: premises.benefit(&Prices::FULL) * run.own_decided as f64,
            cost: prices.cost(&run.meter) + prices.bytes(owed as f64, 0.0),
            standing: standing(frame, run, foe),
        }
    }

    /// `U_r`.
    pub fn utility(&self, continuation: f64) -> f64 {
        self.benefit - self.cost + if self.standing { continuation } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::Quorum;

    fn frame() -> Frame {
        Frame::new(5, Quorum::largest_f(5), Mode::QuasiSync, 2).unwrap()
    }

    #[test]
    fn same_sample_gives_the_same_run() {
        let frame = frame();
        let (one, other) = (play(&frame, None, Foe::Slow, 3), play(&frame, None, Foe::Slow, 3));
        assert_eq!(format!("{one:?}"), format!("{other:?}"));
    }

    #[test]
    fn member_that_follows_keeps_its_standing_and_owes_nothing_whatever_the_others_do() {
        let frame = frame();
        for foe in Foe::ALL {
            for seed in 0..12 {
                let run = play(&frame, None, foe, seed).unwrap();
                assert!(run.safe && run.live, "{foe:?} {seed}: {run:?}");
                assert!(standing(&frame, &run, foe), "{foe:?} {seed}: {run:?}");
                assert!(run.owes.is_empty() && run.blamed_by.is_empty(), "{foe:?} {seed}: {run:?}");
            }
        }
    }
}
