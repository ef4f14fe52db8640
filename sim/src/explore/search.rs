//! Depth-first search over all states, each visited once up to symmetry.
//!
//! Guarantees: every state within the bounds is visited, but for two states of one 64-bit
//! fingerprint (among 10^8 states the chance of one such pair is below 1 in 3000). Memory: 8 to 16
//! bytes a state, and one path.

use super::adversary::{Adversary, Offer};
use super::name::mix;
use super::property;
use super::setting::NODES;
use super::system::{Event, LocalId, PostId, System};
use crate::view;
use std::collections::BTreeMap;
use std::sync::Arc;
use types::Slot;

/// Stands for the state of the faulty member, which has none.
const NOBODY: LocalId = LocalId::MAX;

/// One state of the group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    locals: [LocalId; NODES],
    /// Messages on their way to honest members, in order.
    flying: Vec<PostId>,
    /// Everything that the faulty member heard, in order.
    heard: Vec<PostId>,
}

impl State {
    /// The honest members' states.
    pub fn locals(&self) -> impl Iterator<Item = LocalId> + '_ {
        self.locals.iter().copied().filter(|id| *id != NOBODY)
    }

    fn send(&mut self, system: &System, sent: &[PostId]) {
        let faulty = system.setting.faulty.slot();
        for id in sent {
            let heard = Some(system.post(*id).to) == faulty;
            let list = if heard { &mut self.heard } else { &mut self.flying };
            // The network may lose a repetition: what is on its way twice arrives once.
            if let Err(at) = list.binary_search(id) {
                list.insert(at, *id);
            }
        }
    }
}

/// Fingerprints that were seen. Only ever asked whether it holds one, so its order plays no part.
#[allow(clippy::disallowed_types)]
type Seen = std::collections::HashSet<u64, std::hash::BuildHasherDefault<Plain>>;

/// The fingerprint is its own hash.
#[derive(Default)]
pub struct Plain(u64);

impl std::hash::Hasher for Plain {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, _: &[u8]) {
        unreachable!("only u64 is hashed");
    }
    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

/// What was found.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// Distinct states.
    pub states: u64,
    /// Steps from one state to another or to a known one.
    pub transitions: u64,
    /// The longest path.
    pub depth: usize,
    /// States in which nothing is under way.
    pub at_rest: u64,
    /// Among them, by outcome: the values decided and how many members did not decide.
    pub outcomes: BTreeMap<String, u64>,
    /// Distinct states of single members.
    pub locals: usize,
    /// Steps of the real core.
    pub steps: usize,
    /// Whether the whole space was seen.
    pub exhausted: bool,
    /// Pairs of states of one name whose successors were compared.
    pub audited: u64,
    /// What went wrong, and the path to it.
    pub violation: Option<(String, Vec<String>)>,
}

struct Frame {
    state: State,
    events: Vec<Event>,
    next: usize,
}

/// The search.
pub struct Search {
    system: System,
    adversary: Option<Adversary>,
    exchanges: Vec<[u8; NODES]>,
    seen: Seen,
    samples: BTreeMap<u64, (State, Option<Vec<u64>>)>,
    found: Found,
    stack: Vec<Frame>,
}

impl Search {
    /// A search in the system of a setting.
    pub fn new(mut system: System) -> Self {
        let adversary = Adversary::new(&mut system);
        let exchanges = system.setting.exchanges();
        Self {
            system,
            adversary,
            exchanges,
            seen: Seen::default(),
            samples: BTreeMap::new(),
            found: Found::default(),
            stack: Vec::new(),
        }
    }

    /// Explores until everything was seen, something is wrong, or the bound is reached. `tell` is
    /// called now and then.
    pub fn run(mut self, tell: &mut dyn FnMut(&Found)) -> Result<Found, String> {
        let first = self.first()?;
        if let Err(wrong) = self.visit(first) {
            self.blame(wrong, None);
        }
        while let Some(frame) = self.stack.last_mut() {
            if self.found.violation.is_some() || self.found.states >= self.system.setting.states_max
            {
                break;
            }
            let Some(event) = frame.events.get(frame.next).copied() else {
                self.stack.pop();
                continue;
            };
            frame.next += 1;
            let state = frame.state.clone();
            let result = self.after(&state, event).and_then(|state| match state {
                Some(state) => self.visit(state),
                None => Ok(()),
            });
            if let Err(wrong) = result {
                self.blame(wrong, Some(event));
            }
            if self.found.transitions.is_multiple_of(1 << 22) {
                tell(&self.found);
            }
        }
        self.found.exhausted = self.stack.is_empty() && self.found.violation.is_none();
        self.found.locals = self.system.locals_len();
        self.found.steps = self.system.steps_len();
        Ok(self.found)
    }

    fn first(&mut self) -> Result<State, String> {
        let mut state = State { locals: [NOBODY; NODES], flying: vec![], heard: vec![] };
        let honest: Vec<Slot> = self.system.setting.honest().collect();
        for slot in honest {
            let reaction = self.system.start(slot)?;
            state.locals[usize::from(slot.0)] = reaction.next;
            state.send(&self.system, &reaction.sent);
        }
        Ok(state)
    }

    /// The state after an event; none if nothing changes.
    fn after(&mut self, state: &State, event: Event) -> Result<Option<State>, String> {
        let slot = match event {
            Event::Timer(slot) => slot,
            Event::Deliver(id) => self.system.post(id).to,
        };
        let at = usize::from(slot.0);
        let reaction = self.system.react(state.locals[at], event);
        if let Some(wrong) = reaction.wrong {
            return Err(wrong);
        }
        let mut next = state.clone();
        if let Event::Deliver(id) = event
            && let Ok(place) = next.flying.binary_search(&id)
        {
            next.flying.remove(place);
        }
        next.locals[at] = reaction.next;
        next.send(&self.system, &reaction.sent);
        Ok((next != *state).then_some(next))
    }

    /// What may happen in a state; and whether honest members have something left to do.
    fn events(&mut self, state: &State) -> (Vec<Event>, bool) {
        let turns = self.system.setting.turns;
        let mut events: Vec<Event> = state.flying.iter().copied().map(Event::Deliver).collect();
        for id in state.locals() {
            let local = self.system.local(id);
            if local.timer.is_some_and(|(turn, _)| turn + 1 < turns) {
                events.push(Event::Timer(local.slot));
            }
        }
        let rests = events.is_empty();
        if let Some(adversary) = &mut self.adversary {
            let menu: Arc<Vec<Offer>> = adversary.menu(&mut self.system, &state.heard);
            for offer in menu.iter() {
                let to = self.system.post(offer.post).to;
                let local = self.system.local(state.locals[usize::from(to.0)]);
                let stage = |turn| local.turns.get(&turn).map_or(0, |(stage, _)| *stage);
                if offer.stage.is_none_or(|(turn, wanted)| stage(turn) == wanted) {
                    events.push(Event::Deliver(offer.post));
                }
            }
        }
        (events, rests)
    }

    /// Counts a new state, checks it and puts it on the path.
    fn visit(&mut self, state: State) -> Result<(), String> {
        self.found.transitions += 1;
        let name = self.name(&state);
        if !self.seen.insert(name) {
            return self.audit(name, &state);
        }
        self.found.states += 1;
        property::always(&self.system, &state)?;
        let (events, rests) = self.events(&state);
        if rests {
            self.found.at_rest += 1;
            *self.found.outcomes.entry(self.outcome(&state)).or_default() += 1;
            property::at_rest(&self.system, &state)?;
        }
        let every = self.system.setting.audit;
        if every > 0 && name.is_multiple_of(every) {
            self.samples.insert(name, (state.clone(), None));
        }
        self.stack.push(Frame { state, events, next: 0 });
        self.found.depth = self.found.depth.max(self.stack.len() - 1);
        Ok(())
    }

    fn outcome(&self, state: &State) -> String {
        let mut decided = BTreeMap::new();
        for id in state.locals() {
            let value = self.system.local(id).decided.map_or("none", |(_, v)| property::word(v));
            *decided.entry(value).or_insert(0) += 1;
        }
        decided
            .iter()
            .map(|(value, count)| format!("{value}x{count}"))
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// The name of a state: the least over all exchanges of members in equal roles. A sum of mixed
    /// parts, so that their order plays no part.
    fn name(&self, state: &State) -> u64 {
        let sum = |exchange: &[u8; NODES]| {
            let place = |slot: Slot| u64::from(exchange[usize::from(slot.0)]);
            let mut sum = 0u64;
            for id in state.locals() {
                let local = self.system.local(id);
                let slot = place(local.slot);
                sum = sum.wrapping_add(mix(&[1, slot, local.own]));
                for (peer, about) in local.about.iter().enumerate() {
                    let peer = place(Slot(peer as u16));
                    sum = sum.wrapping_add(mix(&[2, slot, peer, *about]));
                }
            }
            for id in state.flying.iter().chain(&state.heard) {
                let post = self.system.post(*id);
                sum = sum.wrapping_add(mix(&[3, place(post.from), place(post.to), post.name]));
            }
            sum
        };
        self.exchanges.iter().map(sum).min().unwrap_or_default()
    }

    /// Compares what follows a state with what follows the kept state of the same name.
    fn audit(&mut self, name: u64, state: &State) -> Result<(), String> {
        let Some((kept, known)) = self.samples.get(&name) else { return Ok(()) };
        if kept == state {
            return Ok(());
        }
        let (kept, known) = (kept.clone(), known.clone());
        let expected = match known {
            Some(known) => known,
            None => {
                let names = self.successors(&kept)?;
                self.samples.insert(name, (kept, Some(names.clone())));
                names
            }
        };
        self.found.audited += 1;
        if self.successors(state)? == expected {
            return Ok(());
        }
        Err("two states of one name are followed by different ones: the outline is too coarse"
            .into())
    }

    fn successors(&mut self, state: &State) -> Result<Vec<u64>, String> {
        let mut names = Vec::new();
        for event in self.events(state).0 {
            if let Some(next) = self.after(state, event)? {
                names.push(self.name(&next));
            }
        }
        names.sort_unstable();
        names.dedup();
        // A step to a state of the same name is no step.
        let own = self.name(state);
        names.retain(|name| *name != own);
        Ok(names)
    }

    /// Keeps what is wrong, with the events that led there.
    fn blame(&mut self, wrong: String, last: Option<Event>) {
        let taken =
            self.stack.iter().filter_map(|frame| frame.events.get(frame.next.wrapping_sub(1)));
        let mut events: Vec<Event> = taken.copied().collect();
        if events.last() != last.as_ref() {
            events.extend(last);
        }
        let path = events.into_iter().map(|event| self.tell(event)).collect();
        self.found.violation.get_or_insert((wrong, path));
    }

    fn tell(&self, event: Event) -> String {
        match event {
            Event::Timer(slot) => format!("{slot}: its timer fires"),
            Event::Deliver(id) => {
                let post = self.system.post(id);
                let what = view::describe(&post.message);
                let liar = Some(post.from) == self.system.setting.faulty.slot();
                let who = if liar { " (faulty)" } else { "" };
                format!("{}{who} -> {}: {what}", post.from, post.to)
            }
        }
    }
}
