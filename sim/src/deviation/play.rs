//! What a member does at its queue boundary: the strategies of the experiment as data.
//!
//! A rational deviator owns its key and runs the real core; a [`Play`] filters, delays, rewrites and
//! holds back what the core sends and receives. Plays compose: a pair is the rules of both.
//!
//! Guarantees: whether a rule with a probability applies follows from the message's place, so that a
//! repetition of a message that was withheld is withheld too.

use super::weather::draw;
use bart_rsm::message::Message;
use types::{
    Epoch, GroupId, Header, Ident, Instance, Kind, SecretKey, Signed, SignedPayload, Slot, Turn,
};

/// What a member knows besides the messages.
#[derive(Clone)]
pub struct Scene {
    /// Virtual time.
    pub now_ms: u64,
    /// The member.
    pub me: Slot,
    /// Members of the group.
    pub n: usize,
    /// Quorum size.
    pub q: usize,
    /// The group.
    pub group: GroupId,
    /// The member's key.
    pub key: SecretKey,
    /// The sample's seed.
    pub seed: u64,
    /// Base timeout, ms.
    pub t0_ms: u64,
    /// The honest member that a rule against one fixed victim means.
    pub victim: Slot,
    /// The honest member that is farthest away in the rotation.
    pub distant: Slot,
    /// The rational member under test; what hostile members aim at.
    pub target: Slot,
}

impl Scene {
    /// The sender of an instance, when all members are live.
    pub fn sender(&self, inst: u64) -> Slot {
        Slot((inst % self.n as u64) as u16)
    }

    /// The leader of a turn above 0 (issue T28).
    pub fn leader(&self, inst: u64, turn: u32) -> Slot {
        let n = self.n as u64;
        Slot(((inst % n + 1 + u64::from(turn) % (n - 1)) % n) as u16)
    }

    /// Everybody else.
    pub fn others(&self) -> impl Iterator<Item = Slot> + '_ {
        (0..self.n as u16).map(Slot).filter(|slot| *slot != self.me)
    }

    /// Signs a statement in the member's own name.
    pub fn sign<T: SignedPayload>(&self, inst: u64, turn: u32, payload: T) -> Signed<T> {
        let header = Header {
            kind: T::KIND,
            epoch: Epoch(0),
            inst: Instance(inst),
            turn: Turn(turn),
            slot: self.me,
            ident: Ident(0),
        };
        Signed::new(&self.key, &self.group, header, payload).into_inner()
    }

    fn draw(&self, to: Slot, message: &Message) -> u64 {
        let place = [message.kind() as u64, message.inst().0, message.turn().0.into()];
        draw(self.seed, &[0xde, self.me.0.into(), to.0.into(), place[0], place[1], place[2]])
    }
}

/// A message on its way out.
#[derive(Debug, Clone)]
pub struct Parcel {
    /// To whom.
    pub to: Slot,
    /// What.
    pub message: Message,
    /// Held back for so long.
    pub delay_ms: u64,
    /// Given up if the author has decided the instance by then.
    pub only_if_open: bool,
}

impl Parcel {
    /// Leaves at once.
    pub fn now(to: Slot, message: Message) -> Self {
        Self { to, message, delay_ms: 0, only_if_open: false }
    }
}

/// What becomes of a message that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intake {
    /// The core gets it.
    Take,
    /// The core never sees it.
    Drop,
    /// The core gets it so many ms later.
    Later(u64),
}

/// The behaviour of one member around its core.
pub trait Mind {
    /// The core wants to send.
    fn outgoing(&mut self, scene: &Scene, to: Slot, message: Message, post: &mut Vec<Parcel>);

    /// A message arrives.
    fn incoming(&mut self, _: &Scene, _from: Slot, _: &Message, _post: &mut Vec<Parcel>) -> Intake {
        Intake::Take
    }

    /// Somebody did this member wrong.
    fn provoked(&mut self, _: &Scene, _by: Slot) {}

    /// After how long this member restores a broken link of which it is the dialer; none: never.
    fn redials_after_ms(&self, _scene: &Scene, _peer: Slot) -> Option<u64> {
        Some(0)
    }

    /// How often this member did something that the protocol does not say.
    fn acted(&self) -> u64 {
        0
    }
}

/// Follows the protocol.
pub struct Follow;

impl Mind for Follow {
    fn outgoing(&mut self, _: &Scene, to: Slot, message: Message, post: &mut Vec<Parcel>) {
        post.push(Parcel::now(to, message));
    }
}

/// In which turns a rule applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// All.
    Any,
    /// Turn 0: as sender, or towards the sender.
    First,
    /// Turns above 0.
    Later,
}

/// Towards whom a rule applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Victim {
    /// Everybody.
    All,
    /// One honest member.
    Fixed,
    /// The honest member that is farthest away in the rotation: neither needs the other to enter the
    /// instance that follows its own.
    Distant,
    /// Another one in each instance.
    Random,
    /// This member.
    Only(Slot),
    /// Everybody but this member.
    AllBut(Slot),
    /// Members with odd slots.
    Half,
    /// The leader of this turn.
    Leader(u32),
    /// So many members after the author in the rotation.
    First(usize),
}

impl Victim {
    fn is(self, scene: &Scene, to: Slot, inst: u64) -> bool {
        match self {
            Victim::All => true,
            Victim::Fixed => to == scene.victim,
            Victim::Distant => to == scene.distant,
            Victim::Random => {
                let step = 1 + draw(scene.seed, &[0x71, inst]) % (scene.n as u64 - 1);
                u64::from(to.0) == (u64::from(scene.me.0) + step) % scene.n as u64
            }
            Victim::Leader(turn) => to == scene.leader(inst, turn),
            Victim::Only(slot) => to == slot,
            Victim::AllBut(slot) => to != slot,
            Victim::Half => to.0 % 2 == 1,
            Victim::First(count) => {
                let n = scene.n;
                let step = (usize::from(to.0) + n - usize::from(scene.me.0)) % n;
                (1..=count).contains(&step)
            }
        }
    }
}

/// When something that is held back leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// The leader of the message's turn, or of a later one, showed its proof.
    Proof,
    /// The member sends its own next proposal.
    OwnProposal,
}

/// What a rule does.
#[derive(Debug, Clone, Copy)]
pub enum Act {
    /// Withholds the message.
    Skip,
    /// Sends it so many ms late.
    Delay(u64),
    /// Sends it so many ms late, unless the instance is decided by then.
    DelayIfOpen(u64),
    /// Holds it back.
    Hold(Until),
    /// Sends it twice.
    Twice,
    /// Sends it to one more member, who does not expect it.
    Stray,
    /// Rewrites it; false leaves it as it is.
    Alter(fn(&Scene, Slot, &mut Message) -> bool),
    /// Keeps a received message from the core.
    Ignore,
    /// Hands a received message to the core so many ms late.
    Late(u64),
}

impl Act {
    fn is_about_received(&self) -> bool {
        matches!(self, Act::Ignore | Act::Late(_))
    }
}

/// A rule about some messages.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// Which kinds; empty means all.
    pub kinds: &'static [Kind],
    /// In which turns.
    pub place: Place,
    /// Towards whom; for [`Act::Ignore`], from whom.
    pub victim: Victim,
    /// What happens.
    pub act: Act,
    /// With which probability, in thousandths.
    pub per_mille: u64,
}

impl Rule {
    fn applies(&self, scene: &Scene, peer: Slot, message: &Message) -> bool {
        let later = message.turn().0 > 0;
        (self.kinds.is_empty() || self.kinds.contains(&message.kind()))
            && match self.place {
                Place::Any => true,
                Place::First => !later,
                Place::Later => later,
            }
            && self.victim.is(scene, peer, message.inst().0)
            && (self.per_mille >= 1000 || scene.draw(peer, message) % 1000 < self.per_mille)
    }
}

/// A strategy: rules at the queue boundary, in order; the first that applies to a message acts.
#[derive(Debug, Clone, Default)]
pub struct Play {
    /// The rules.
    pub rules: Vec<Rule>,
    /// How it restores the links that it dials.
    pub redial: Redial,
    /// It goes away on purpose, from when and until when, ms.
    pub away: Option<(u64, u64)>,
}

/// How a dialer restores broken links.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Redial {
    /// As the back-off says.
    #[default]
    Prompt,
    /// So many ms later.
    Late(u64),
    /// Not at all.
    Never,
}

impl Play {
    /// One rule.
    pub fn one(rule: Rule) -> Self {
        Self { rules: vec![rule], ..Self::default() }
    }

    /// Both strategies at once.
    pub fn and(&self, other: &Play) -> Self {
        let mut both = self.clone();
        both.rules.extend_from_slice(&other.rules);
        if both.redial == Redial::Prompt {
            both.redial = other.redial;
        }
        both.away = both.away.or(other.away);
        both
    }
}

/// A member that plays a [`Play`].
pub struct Player {
    play: Play,
    held: Vec<(Slot, Message, Until)>,
    acted: u64,
}

impl Player {
    /// Starts a play.
    pub fn new(play: &Play) -> Self {
        Self { play: play.clone(), held: Vec::new(), acted: 0 }
    }

    fn release(&mut self, post: &mut Vec<Parcel>, due: impl Fn(&Message, Until) -> bool) {
        let mut kept = Vec::new();
        for (to, message, until) in self.held.drain(..) {
            if due(&message, until) {
                post.push(Parcel::now(to, message));
            } else {
                kept.push((to, message, until));
            }
        }
        self.held = kept;
    }
}

/// Messages that a player holds back at most; an older one is given up.
const HELD_MAX: usize = 256;

impl Mind for Player {
    fn outgoing(&mut self, scene: &Scene, to: Slot, message: Message, post: &mut Vec<Parcel>) {
        if message.kind() == Kind::Agree && message.turn().0 == 0 {
            self.release(post, |_, until| until == Until::OwnProposal);
        }
        let rules = &self.play.rules;
        let rule = rules
            .iter()
            .find(|rule| !rule.act.is_about_received() && rule.applies(scene, to, &message));
        let Some(rule) = rule.copied() else { return post.push(Parcel::now(to, message)) };
        self.acted += 1;
        match rule.act {
            Act::Skip => {}
            Act::Delay(delay_ms) => {
                post.push(Parcel { to, message, delay_ms, only_if_open: false });
            }
            Act::DelayIfOpen(delay_ms) => {
                post.push(Parcel { to, message, delay_ms, only_if_open: true });
            }
            Act::Hold(until) => {
                if self.held.len() == HELD_MAX {
                    self.held.remove(0);
                }
                self.held.push((to, message, until));
            }
            Act::Twice => {
                post.push(Parcel::now(to, message.clone()));
                post.push(Parcel::now(to, message));
            }
            Act::Stray => {
                let other = Slot(((usize::from(to.0) + 1) % scene.n) as u16);
                if other != scene.me {
                    post.push(Parcel::now(other, message.clone()));
                }
                post.push(Parcel::now(to, message));
            }
            Act::Alter(alter) => {
                let mut altered = message;
                if !alter(scene, to, &mut altered) {
                    self.acted -= 1;
                }
                post.push(Parcel::now(to, altered));
            }
            Act::Ignore | Act::Late(_) => {}
        }
    }

    fn incoming(
        &mut self,
        scene: &Scene,
        from: Slot,
        message: &Message,
        post: &mut Vec<Parcel>,
    ) -> Intake {
        let (inst, turn) = (message.inst(), message.turn());
        let shows_turn = matches!(message.kind(), Kind::Read | Kind::ShowQuorum);
        self.release(post, |held, until| match until {
            Until::Proof => shows_turn && held.inst() == inst && held.turn() <= turn,
            Until::OwnProposal => false,
        });
        let rule = self
            .play
            .rules
            .iter()
            .find(|rule| rule.act.is_about_received() && rule.applies(scene, from, message));
        self.acted += u64::from(rule.is_some());
        match rule.map(|rule| rule.act) {
            Some(Act::Ignore) => Intake::Drop,
            Some(Act::Late(ms)) => Intake::Later(ms),
            _ => Intake::Take,
        }
    }

    fn redials_after_ms(&self, _: &Scene, _: Slot) -> Option<u64> {
        match self.play.redial {
            Redial::Prompt => Some(0),
            Redial::Late(ms) => Some(ms),
            Redial::Never => None,
        }
    }

    fn acted(&self) -> u64 {
        let (redial, away) = (self.play.redial != Redial::Prompt, self.play.away.is_some());
        self.acted + u64::from(redial || away)
    }
}
