//! The group as a transition system over small numbers: local states, messages, and a memory of
//! what each member does in each local state.
//!
//! Guarantees: what a member does is always the real core's doing; it is computed once for each pair
//! of local state and event, because the core is a pure function of both.

use super::name::{NULL, Names, VALUE_A, mix, short};
use super::setting::{INSTANCE, NODES, Setting, key};
use crate::view;
use bart_rsm::message::{Message, null_digest};
use bart_rsm::{Core, Duty, Effect, Input, Now, Step};
use std::collections::BTreeMap;
use std::sync::Arc;
use types::{Encode, Epoch, Hash, Header, Kind, Millis, Roster, Slot, Stamp};

/// Names a local state of one member.
pub type LocalId = u32;
/// Names a message with its author and addressee.
pub type PostId = u32;

/// The wall clock of everybody.
const WALL: Stamp = Stamp(1_767_225_600_000);

/// Something that happens to one member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    /// A message arrives.
    Deliver(PostId),
    /// The timer of its turn fires.
    Timer(Slot),
}

/// A message on its way.
#[derive(Debug)]
pub struct Post {
    /// Its author.
    pub from: Slot,
    /// Its addressee.
    pub to: Slot,
    /// The message.
    pub message: Message,
    /// Messages of one name may stand for each other.
    pub name: u64,
}

/// One state of one member, and what the search asks about it.
pub struct Local {
    /// Whose state.
    pub slot: Slot,
    core: Core,
    /// Name of what concerns no particular peer.
    pub own: u64,
    /// Names of what concerns each peer.
    pub about: [u64; NODES],
    /// Stage and name of the agreed value of each turn.
    pub turns: BTreeMap<u32, (u8, u64)>,
    /// Turn and name of the decided value.
    pub decided: Option<(u32, u64)>,
    /// The turn whose timer runs, and when it fires.
    pub timer: Option<(u32, Millis)>,
    /// What peers owe this member in the explored instance.
    pub owed: Vec<(Slot, Duty)>,
    said: BTreeMap<Header, Hash>,
}

/// What a member does when something happens to it.
#[derive(Debug, Clone)]
pub struct Reaction {
    /// Its next state.
    pub next: LocalId,
    /// What it sends.
    pub sent: Vec<PostId>,
    /// What was wrong about it.
    pub wrong: Option<String>,
}

/// The transition system.
pub struct System {
    /// What is explored.
    pub setting: Setting,
    /// The group.
    pub roster: Arc<Roster>,
    /// What digests stand for.
    pub names: Names,
    locals: Vec<Local>,
    local_ids: BTreeMap<(Slot, Hash), LocalId>,
    posts: Vec<Post>,
    post_ids: BTreeMap<(Slot, Slot, Hash), PostId>,
    memory: BTreeMap<(LocalId, Event), Reaction>,
}

impl System {
    /// The system of a setting, before anybody started.
    pub fn new(setting: &Setting) -> Self {
        let roster = setting.roster();
        let mut names = Names::default();
        let sender = setting.leader(0);
        names.give(null_digest(roster.group(), Epoch(0), INSTANCE, sender), NULL);
        Self {
            setting: setting.clone(),
            roster,
            names,
            locals: Vec::new(),
            local_ids: BTreeMap::new(),
            posts: Vec::new(),
            post_ids: BTreeMap::new(),
            memory: BTreeMap::new(),
        }
    }

    /// Starts a member, with all links up; its first state and what it sends.
    pub fn start(&mut self, slot: Slot) -> Result<Reaction, String> {
        let config = self.setting.config(&self.roster, slot);
        let mut core = Core::new(config, key(slot)).map_err(|error| error.to_string())?;
        let now = Now { mono: Millis(0), wall: WALL };
        let mut steps = vec![core.start(now)];
        for peer in self.roster.all().filter(|peer| *peer != slot) {
            steps.push(core.handle(now, Input::LinkUp(peer)));
        }
        Ok(self.conclude(slot, core, BTreeMap::new(), steps))
    }

    /// The quorum of the specification, whatever the members under test use.
    pub fn quorum(&self) -> usize {
        self.roster.quorum().size()
    }

    /// Signers of a vector that the members under test take for a quorum.
    pub fn vector(&self) -> usize {
        self.setting.rules.rules().quorum_size(&self.roster.quorum())
    }

    /// A local state.
    pub fn local(&self, id: LocalId) -> &Local {
        &self.locals[id as usize]
    }

    /// A message.
    pub fn post(&self, id: PostId) -> &Post {
        &self.posts[id as usize]
    }

    /// Distinct local states so far.
    pub fn locals_len(&self) -> usize {
        self.locals.len()
    }

    /// Steps of the real core that were computed.
    pub fn steps_len(&self) -> usize {
        self.memory.len()
    }

    /// What a member does.
    pub fn react(&mut self, local: LocalId, event: Event) -> Reaction {
        if let Some(known) = self.memory.get(&(local, event)) {
            return known.clone();
        }
        let Local { slot, core, said, timer, .. } = self.local(local);
        let (slot, mut core, said) = (*slot, core.clone(), said.clone());
        let step = match event {
            Event::Deliver(post) => {
                let Post { from, message, .. } = self.post(post);
                let input = Input::Message { from: *from, message: message.clone() };
                // The core keeps its own clock, which only its timers move.
                core.handle(Now { mono: Millis(0), wall: WALL }, input)
            }
            Event::Timer(_) => {
                let mono = timer.map_or(Millis(0), |(_, at)| at);
                core.handle(Now { mono, wall: WALL }, Input::Tick)
            }
        };
        let reaction = self.conclude(slot, core, said, vec![step]);
        self.memory.insert((local, event), reaction.clone());
        reaction
    }

    /// Takes in what a core did.
    fn conclude(
        &mut self,
        slot: Slot,
        core: Core,
        mut said: BTreeMap<Header, Hash>,
        steps: Vec<Step>,
    ) -> Reaction {
        let mut sent = Vec::new();
        let mut wrong = None;
        for (peer, fault) in steps.iter().flat_map(|step| &step.faults) {
            if fault.is_misbehavior() && Some(*peer) != self.setting.faulty.slot() {
                wrong = Some(format!("{slot} blames {peer}, which is honest: {fault}"));
            }
        }
        for effect in steps.into_iter().flat_map(|step| step.effects) {
            match effect {
                Effect::Send { to, message } => {
                    for statement in view::own_statements(slot, &message) {
                        let known = said.entry(statement.header).or_insert(statement.payload);
                        if *known != statement.payload {
                            wrong = Some(format!("{slot} signs twice: {:?}", statement.header));
                        }
                    }
                    sent.extend(self.put(slot, to, message));
                }
                Effect::Alarm(alarm) => wrong = Some(format!("{slot} raises an alarm: {alarm}")),
                _ => {}
            }
        }
        Reaction { next: self.keep(slot, core, said), sent, wrong }
    }

    /// Whether a message belongs to what is explored.
    fn is_explored(&self, message: &Message) -> bool {
        let side = matches!(message.kind(), Kind::Resume | Kind::Wake);
        !side && message.inst() == INSTANCE && message.turn().0 < self.setting.turns
    }

    /// Names a message; none if it lies outside what is explored.
    pub fn put(&mut self, from: Slot, to: Slot, message: Message) -> Option<PostId> {
        if !self.is_explored(&message) {
            return None;
        }
        let digest = Hash::of(&message.to_bytes());
        if let Some(known) = self.post_ids.get(&(from, to, digest)) {
            return Some(*known);
        }
        if let Message::Agree(agree) = &message
            && Some(from) != self.setting.faulty.slot()
        {
            self.names.give(agree.core.payload.value, VALUE_A);
        }
        let name = self.names.message(&message);
        let name = if self.setting.exact { short(&digest) } else { name };
        let id = self.posts.len() as PostId;
        self.posts.push(Post { from, to, message, name });
        self.post_ids.insert((from, to, digest), id);
        Some(id)
    }

    fn keep(&mut self, slot: Slot, core: Core, said: BTreeMap<Header, Hash>) -> LocalId {
        let exact = core.fingerprint();
        if let Some(known) = self.local_ids.get(&(slot, exact)) {
            return *known;
        }
        let outline = core.outline(INSTANCE, &|digest| self.names.of(digest));
        let honest = |peer: &Slot| Some(*peer) != self.setting.faulty.slot();
        let parked = |peer: usize| {
            let from = Slot(peer as u16);
            let name = |digest: &Hash| match self.post_ids.get(&(from, slot, *digest)) {
                Some(id) => self.post(*id).name,
                None => short(digest),
            };
            mix(&outline.parked[peer].iter().map(name).collect::<Vec<_>>())
        };
        let (own, about) = match self.setting.exact {
            true => (short(&exact), [0; NODES]),
            false => {
                let about = |peer: usize| mix(&[mix(&outline.about[peer]), parked(peer)]);
                (mix(&outline.own), std::array::from_fn(about))
            }
        };
        let value = |value: &Hash| self.names.of(value);
        let local = Local {
            slot,
            own,
            about,
            turns: outline
                .turns
                .iter()
                .map(|(turn, (stage, agreed))| (*turn, (*stage, agreed.as_ref().map_or(0, value))))
                .collect(),
            decided: outline.decided.map(|(turn, digest)| (turn.0, value(&digest))),
            timer: outline.timer,
            owed: core
                .residual_duties()
                .into_iter()
                .filter(|(peer, inst, _)| *inst == INSTANCE && honest(peer))
                .map(|(peer, _, duty)| (peer, duty))
                .collect(),
            core,
            said,
        };
        let id = self.locals.len() as LocalId;
        self.locals.push(local);
        self.local_ids.insert((slot, exact), id);
        id
    }
}
