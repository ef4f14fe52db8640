//! The Byzantine library Z0 to Z11 (specification 10.3).
//!
//! Z7 (slow work path) and Z9 (audit harassment) act on levels 1 and 2 and have no counterpart here.
//! Z11 is what recovery abuse means at level 0: a member that keeps asking for what it has.

use super::alter;
use super::play::{Act, Intake, Mind, Parcel, Place, Play, Player, Rule, Scene, Victim};
use bart_rsm::message::{Message, Resume};
use bart_rsm::{Rules, Selfish, Slant};
use types::{Epoch, Instance, Kind, Slot};

/// How Byzantine members behave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Foe {
    /// Z0 without any Byzantine member.
    Absent,
    /// Z0: they follow.
    Follow,
    /// Z1: they are down.
    Crash,
    /// Z2: silent towards the rational member only.
    SilentToTarget,
    /// Z3: they follow, and fine and list the rational member at the cap.
    Fine,
    /// Z3 without a cap; only for the control that has none.
    FineUnlimited,
    /// Z4: as senders they propose two values.
    Equivocate,
    /// Z5: just inside the timers.
    Slow,
    /// Z6: they show reads and outcomes to all but the rational member.
    Hide,
    /// Z6: they show reads and outcomes to the rational member only.
    ShowTargetOnly,
    /// Z6: they show outcomes to nobody, so that all accepted a value and nobody knows.
    ShowNobody,
    /// Z8: they put invalid proposals before the rational member, to catch who acknowledges blindly.
    Bait,
    /// Z10: they follow until the rational member wrongs them, then Z2 and Z3.
    Adaptive,
    /// Z11: they ask the rational member for all decisions, again and again.
    Recover,
}

impl Foe {
    /// All of them but the one without a cap.
    pub const ALL: [Self; 13] = [
        Self::Absent,
        Self::Follow,
        Self::Crash,
        Self::SilentToTarget,
        Self::Fine,
        Self::Equivocate,
        Self::Slow,
        Self::Hide,
        Self::ShowTargetOnly,
        Self::ShowNobody,
        Self::Bait,
        Self::Adaptive,
        Self::Recover,
    ];

    /// Name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Absent => "none",
            Self::Follow => "Z0",
            Self::Crash => "Z1",
            Self::SilentToTarget => "Z2",
            Self::Fine => "Z3",
            Self::FineUnlimited => "Z3 without a cap",
            Self::Equivocate => "Z4",
            Self::Slow => "Z5",
            Self::Hide => "Z6a",
            Self::ShowTargetOnly => "Z6b",
            Self::ShowNobody => "Z6c",
            Self::Bait => "Z8",
            Self::Adaptive => "Z10",
            Self::Recover => "Z11",
        }
    }

    /// The rules of a Byzantine member's core.
    pub fn rules(self, rules: Rules, target: Slot) -> Rules {
        let slant = match self {
            Self::Fine => Slant::Fine(target),
            Self::FineUnlimited => Slant::FineUnlimited(target),
            _ => Slant::None,
        };
        rules.with_selfish(Selfish { slant, ..Selfish::default() })
    }

    /// The mind of a Byzantine member.
    pub fn mind(self, target: Slot, t0_ms: u64) -> Box<dyn Mind> {
        let rule = |kinds, place, victim, act| Rule { kinds, place, victim, act, per_mille: 1000 };
        let play = |rules: Vec<Rule>| -> Box<dyn Mind> {
            Box::new(Player::new(&Play { rules, ..Play::default() }))
        };
        const SHOWN: &[Kind] = &[Kind::Read, Kind::ShowQuorum];
        let only = Victim::Only(target);
        match self {
            Self::Absent | Self::Follow | Self::Fine | Self::FineUnlimited => play(Vec::new()),
            Self::Crash => play(vec![
                rule(&[], Place::Any, Victim::All, Act::Skip),
                rule(&[], Place::Any, Victim::All, Act::Ignore),
            ]),
            Self::SilentToTarget => play(vec![
                rule(&[], Place::Any, only, Act::Skip),
                rule(&[], Place::Any, only, Act::Ignore),
            ]),
            Self::Equivocate => play(vec![rule(
                &[Kind::Agree],
                Place::First,
                Victim::Half,
                Act::Alter(alter::second_value),
            )]),
            Self::Slow => play(vec![
                rule(&[Kind::Agree], Place::First, Victim::All, Act::Delay(t0_ms * 3 / 4)),
                rule(&[Kind::Read], Place::Any, Victim::All, Act::Delay(t0_ms / 2)),
            ]),
            Self::Hide => play(vec![rule(SHOWN, Place::Any, only, Act::Skip)]),
            Self::ShowTargetOnly => {
                play(vec![rule(SHOWN, Place::Any, Victim::AllBut(target), Act::Skip)])
            }
            Self::ShowNobody => {
                play(vec![rule(&[Kind::ShowQuorum], Place::Any, Victim::All, Act::Skip)])
            }
            Self::Bait => {
                play(vec![rule(&[Kind::Agree], Place::First, only, Act::Alter(alter::bait))])
            }
            Self::Adaptive => Box::new(Adaptive { angry: false }),
            Self::Recover => Box::new(Recover { sent: 0 }),
        }
    }
}

/// Z10.
struct Adaptive {
    angry: bool,
}

impl Mind for Adaptive {
    fn outgoing(&mut self, scene: &Scene, to: Slot, message: Message, post: &mut Vec<Parcel>) {
        if !(self.angry && to == scene.target) {
            post.push(Parcel::now(to, message));
        }
    }

    fn incoming(&mut self, scene: &Scene, from: Slot, _: &Message, _: &mut Vec<Parcel>) -> Intake {
        if self.angry && from == scene.target { Intake::Drop } else { Intake::Take }
    }

    fn provoked(&mut self, scene: &Scene, by: Slot) {
        self.angry |= by == scene.target;
    }
}

/// Z11.
struct Recover {
    sent: u64,
}

/// One request for everything after so many messages.
const ASK_EVERY: u64 = 20;

impl Mind for Recover {
    fn outgoing(&mut self, scene: &Scene, to: Slot, message: Message, post: &mut Vec<Parcel>) {
        self.sent += 1;
        if self.sent.is_multiple_of(ASK_EVERY) {
            let (epoch, zero) = (Epoch(0), Instance(0));
            let resume = Resume { epoch, undecided: zero, frontier: zero };
            post.push(Parcel::now(scene.target, Message::Resume(resume)));
        }
        post.push(Parcel::now(to, message));
    }
}
