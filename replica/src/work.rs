//! Level 1 beside the log: work that members must answer, with the group as the witness (specification 6).
//!
//! The pure core is `work_assign::Core`. It sees every decided instance, judges proposals and adds to ours from inside
//! the log's core ([`Layer`]); its messages travel on lane W, its records lie in [`Space::Work`] and are committed with
//! the log's own, in the same transaction; its state lies beside the application's snapshot.
//!
//! Assumes: one instance at a time (`pipeline = 1`). Guarantees: (1) nothing of a step leaves before its records and those
//! of the log it rests on are durable; (2) after a restart the state is that of the snapshot with the instances that the
//! log replays, hence the one that it was; (3) lane W never holds the log up: its messages wait in bounded queues, one
//! is taken a round, and no gate of the log depends on it.
//!
//! Departures: the overdue duties of this lane do not close the log's gate towards their owner (decision 14), because
//! the log has no lists yet; they are shown. A message on lane W is never held back by a bubble of the log, so the gate
//! of specification 6.1 is the link.

use crate::error::Error;
use crate::store::{Space, Store, Write};
use bart_rsm::message::Value;
use bart_rsm::pom::DecidedProposal;
use bart_rsm::{Layer, LayerDecided, Now, Proposal};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::mpsc;
use types::{Decode, Encode, Hash, Instance, Millis, SecretKey, Slot, Stamp};
use work_assign::{
    Aid, Command, Core, Decided, Duty, Effect, Input, Key, Outcome, Record, Refusal, Request, State,
};

/// Where the state lies beside the application's snapshot.
pub(crate) const STATE_KEY: &[u8] = b"work";
/// First byte of a record of the core, and of a decided proposal that is kept for a proof.
const RECORD: u8 = 0;
const SHOWN: u8 = 1;
/// Digests of states after an instance that are remembered for checkpoints.
const DIGESTS_MAX: usize = 128;
/// Instances of which the certificates are kept, for assignments of ours that are open.
const SHOWN_MAX: usize = 1024;
/// The longest time between two ticks: deadlines are days long.
const TICK_MAX_MS: u64 = 60_000;
/// The shortest.
const TICK_MIN_MS: u64 = 50;

/// What level 1 of a member is made of.
pub struct WorkParts {
    /// Deadlines, prices and quotas of the group.
    pub params: work_assign::Params,
    /// Whether an honest member can always answer a request, at this log time. A proposal that assigns anything else is
    /// not acknowledged, so that nobody is convicted over it. The same at all members, from nothing but these.
    pub legal: Legal,
    /// Where what comes of it goes.
    pub events: mpsc::UnboundedSender<WorkEvent>,
}

/// Judges a request at a log time.
pub type Legal = Arc<dyn Fn(&Request, Stamp) -> bool + Send + Sync>;

/// What level 1 tells whoever uses it. Everything that it rests on is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkEvent {
    /// Somebody must have an answer to this request; give it with [`crate::Replica::performed`]. Comes again after a
    /// restart until it is answered.
    Perform(Hash, Box<Request>),
    /// What came of work that we assigned: its name, its place in the log, the outcome.
    Deliver(Hash, Aid, Outcome),
    /// Work of ours is in the log from now on.
    Assigned(Hash, Aid),
    /// Our work cannot be assigned.
    Refused(Hash, Refusal),
    /// A member owes something for longer than it may.
    Late(Duty),
    /// It does not any more.
    InTime(Duty),
}

/// The core and what it has said that nobody has carried out yet.
pub(crate) struct Work {
    core: Core,
    legal: Legal,
    slot: Slot,
    out: VecDeque<Effect>,
    writes: Vec<Write>,
    events: Vec<WorkEvent>,
    /// Decided proposals with assignments of ours, for proofs that they were not answered (WR1): the log erases them
    /// long before their deadlines.
    shown: BTreeMap<Instance, DecidedProposal>,
    digests: BTreeMap<Instance, Hash>,
    refused: Option<(Instance, Hash)>,
}

/// A handle for the driver and for the log's core.
#[derive(Debug, Clone)]
pub(crate) struct WorkLayer(Arc<Mutex<Work>>);

impl WorkLayer {
    /// Level 1 as the store knows it.
    pub(crate) fn restore(
        store: &impl Store,
        config: &bart_rsm::Config,
        (params, legal): (&work_assign::Params, &Legal),
        key: SecretKey,
        now: Now,
    ) -> Result<Self, Error> {
        let damaged = |detail: String| Error::Record { what: "assigned work", detail };
        let state = match store.get(Space::Applied, STATE_KEY)? {
            Some(bytes) => State::from_bytes(&bytes).map_err(|error| damaged(error.to_string()))?,
            None => State::default(),
        };
        let (mut records, mut shown, mut bad) = (Vec::new(), BTreeMap::new(), None);
        store.scan(Space::Work, vec![0]..=vec![255; 64], &mut |key, value| {
            let read = match key.split_first() {
                Some((&RECORD, key)) => Key::from_bytes(key)
                    .map(|key| records.push(Record { key, value: Some(value.to_vec()) })),
                Some((&SHOWN, inst)) => Instance::from_bytes(inst).and_then(|inst| {
                    shown.insert(inst, DecidedProposal::from_bytes(value)?);
                    Ok(())
                }),
                _ => Err(types::DecodeError::Malformed("record of work")),
            };
            bad = bad.take().or(read.err());
        })?;
        if let Some(error) = bad {
            return Err(damaged(error.to_string()));
        }
        let config = work_assign::Config {
            roster: Arc::clone(&config.roster),
            slot: config.slot,
            ident: config.ident,
            params: params.clone(),
            links: work_assign::Links::default(),
        };
        let slot = config.slot;
        let (core, step) = Core::restore(config, key, state, records, now)
            .map_err(|error| damaged(error.to_string()))?;
        Ok(Self(Arc::new(Mutex::new(Work {
            core,
            legal: Arc::clone(legal),
            slot,
            out: step.effects.into(),
            writes: Vec::new(),
            events: Vec::new(),
            shown,
            digests: BTreeMap::new(),
            refused: None,
        }))))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Work> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl fmt::Debug for Work {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Work").field("core", &self.core).finish_non_exhaustive()
    }
}

impl Work {
    /// Whether the application can answer all that a proposal assigns.
    fn is_answerable(&self, sender: Slot, commands: &[Vec<u8>]) -> bool {
        let tau = self.core.state().tau();
        commands.iter().all(|bytes| match Command::read(bytes) {
            Some(Ok(Command::Assign(work))) => {
                work.requester() == sender
                    && work.requests().iter().all(|one| (self.legal)(one, tau))
            }
            _ => true,
        })
    }

    pub(crate) fn handle(&mut self, now: Now, input: Input) {
        let step = self.core.handle(now, input);
        self.out.extend(step.effects);
    }

    pub(crate) fn tick(&mut self, now: Now) {
        self.handle(now, Input::Tick);
        let ended: Vec<Instance> =
            self.shown.keys().copied().filter(|inst| !self.core.asks_in(*inst)).collect();
        for inst in ended {
            self.shown.remove(&inst);
            self.writes.push(Write { space: Space::Work, key: shown_key(inst), value: None });
        }
    }

    /// The next effect to carry out.
    pub(crate) fn pop(&mut self) -> Option<Effect> {
        self.out.pop_front()
    }

    /// Records that are not the core's.
    pub(crate) fn take_writes(&mut self) -> Vec<Write> {
        std::mem::take(&mut self.writes)
    }

    /// Events that are not the core's.
    pub(crate) fn take_events(&mut self) -> Vec<WorkEvent> {
        std::mem::take(&mut self.events)
    }

    /// The certificate that somebody was asked.
    pub(crate) fn shown(&self, inst: Instance) -> Option<DecidedProposal> {
        self.shown.get(&inst).cloned()
    }

    /// How many instances it has seen, and the state after them.
    pub(crate) fn snapshot(&self) -> (u64, Vec<u8>) {
        (self.core.state().next().0, self.core.state().to_bytes())
    }

    /// Names the state after an instance; none if that was too long ago.
    pub(crate) fn digest_after(&self, inst: Instance) -> Option<Hash> {
        self.digests.get(&inst).copied()
    }

    /// Keeps what shows that we asked somebody.
    fn show(&mut self, decided: &LayerDecided<'_>) {
        let Some((value, cert)) = decided.shown else { return };
        if decided.sender != self.slot || self.shown.len() >= SHOWN_MAX {
            return;
        }
        let commands = decided.proposal.map_or(&[][..], |proposal| &proposal.commands);
        let mut asks = false;
        for (index, bytes) in commands.iter().enumerate() {
            if let Some(Ok(Command::Assign(work))) = Command::read(bytes) {
                asks = true;
                let name = work.root(decided.roster.group());
                let aid = Aid { inst: decided.inst, index: index as u32 };
                self.events.push(WorkEvent::Assigned(name, aid));
            }
        }
        if asks {
            let proof = DecidedProposal { value: value.clone(), cert: cert.clone() };
            let (key, value) = (shown_key(decided.inst), Some(proof.to_bytes()));
            self.writes.push(Write { space: Space::Work, key, value });
            self.shown.insert(decided.inst, proof);
        }
    }

    fn follow(&mut self, now: Now, roster: &Arc<types::Roster>) {
        if roster.epoch() > self.core.context().rosters.current().epoch() {
            self.handle(now, Input::Roster(Arc::clone(roster)));
        }
    }
}

impl Layer for WorkLayer {
    fn on_decided(&mut self, now: Now, decided: LayerDecided<'_>) {
        let mut work = self.lock();
        work.follow(now, decided.roster);
        if decided.inst >= work.core.state().next() {
            work.show(&decided);
            let commands = decided.proposal.map_or_else(Vec::new, |one| one.commands.clone());
            let input = Decided {
                inst: decided.inst,
                epoch: decided.roster.epoch(),
                sender: decided.sender,
                tau_prefix: decided.tau_prefix,
                tau: decided.tau,
                commands,
            };
            work.handle(now, Input::Decided(input));
            let digest = Hash::tagged("state of work", &work.core.state().to_bytes());
            work.digests.insert(decided.inst, digest);
            while work.digests.len() > DIGESTS_MAX {
                work.digests.pop_first();
            }
        }
        work.follow(now, decided.next_roster);
    }

    fn judge(&mut self, now: Now, value: &Value, proposal: &Proposal) -> Result<(), &'static str> {
        let mut work = self.lock();
        let header = value.statement.header;
        let (inst, sender) = (header.inst, header.slot);
        if work.core.state().next() != inst {
            return Err("a proposal that no prefix here judges");
        }
        let judged = work.core.state().check(work.core.context(), sender, &proposal.commands);
        if judged.is_ok() {
            return match work.is_answerable(sender, &proposal.commands) {
                true => Ok(()),
                false => Err("work that nobody can answer"),
            };
        }
        // The same proposal again says nothing new.
        let place = (inst, value.statement.digest());
        if work.refused != Some(place) {
            work.refused = Some(place);
            work.handle(now, Input::Refused(Box::new(value.clone())));
        }
        Err("the rules of assigned work")
    }

    fn carry(&mut self, room: usize) -> Vec<Vec<u8>> {
        self.lock().core.carry(room)
    }

    fn permits(&self, commands: &[Vec<u8>]) -> bool {
        let work = self.lock();
        work.core.state().check(work.core.context(), work.slot, commands).is_ok()
            && work.is_answerable(work.slot, commands)
    }

    fn owns(&self, command: &[u8]) -> bool {
        Command::is_mine(command)
    }

    fn boxed(&self) -> Box<dyn Layer> {
        Box::new(self.clone())
    }
}

fn shown_key(inst: Instance) -> Vec<u8> {
    let mut key = vec![SHOWN];
    key.extend(inst.to_bytes());
    key
}

/// A record of the core as a write.
pub(crate) fn write(record: Record) -> Write {
    let mut key = vec![RECORD];
    key.extend(record.key.to_bytes());
    Write { space: Space::Work, key, value: record.value }
}

/// Time between two ticks: a sixteenth of the shortest deadline, at most a minute.
pub(crate) fn tick_ms(params: &work_assign::Params) -> u64 {
    (params.max_response_ms / 16).clamp(TICK_MIN_MS, TICK_MAX_MS)
}

/// Messages of lane W that wait, one queue a peer.
#[derive(Debug, Default)]
pub(crate) struct Lane {
    queues: BTreeMap<Slot, (VecDeque<bytes::Bytes>, usize)>,
    /// Whose turn it is.
    next: Slot,
}

/// Messages of one peer that wait; more are dropped, and their author says them again.
const LANE_MESSAGES_MAX: usize = 64;
/// Their bytes; two of the longest always fit.
const LANE_BYTES_MAX: usize = 2 * types::limits::CONTROL_FRAME_MAX;

impl Lane {
    pub(crate) fn is_empty(&self) -> bool {
        self.queues.is_empty()
    }

    /// False if there is no room.
    pub(crate) fn push(&mut self, from: Slot, message: bytes::Bytes) -> bool {
        let (queue, bytes) = self.queues.entry(from).or_default();
        let fits = queue.len() < LANE_MESSAGES_MAX && *bytes + message.len() <= LANE_BYTES_MAX;
        if fits {
            *bytes += message.len();
            queue.push_back(message);
        }
        fits
    }

    /// The next message, of each peer in turn.
    pub(crate) fn pop(&mut self) -> Option<(Slot, bytes::Bytes)> {
        let after = self.queues.range(self.next..).next().or_else(|| self.queues.iter().next());
        let from = *after?.0;
        let (queue, bytes) = self.queues.get_mut(&from)?;
        let message = queue.pop_front()?;
        *bytes -= message.len();
        if queue.is_empty() {
            self.queues.remove(&from);
        }
        self.next = Slot(from.0.saturating_add(1));
        Some((from, message))
    }
}

/// Commands of level 1 on their way into the log, and those that the log had no room for.
#[derive(Debug, Default)]
pub(crate) struct Submitted {
    under_way: BTreeMap<u64, Vec<u8>>,
    refused: VecDeque<Vec<u8>>,
}

impl Submitted {
    pub(crate) fn sent(&mut self, ticket: u64, command: Vec<u8>) {
        self.under_way.insert(ticket, command);
    }

    /// True if the ticket was one of ours.
    pub(crate) fn ended(&mut self, ticket: u64) -> bool {
        self.under_way.remove(&ticket).is_some()
    }

    /// To be tried again at the next tick. True if the ticket was one of ours.
    pub(crate) fn put_off(&mut self, ticket: u64) -> bool {
        let command = self.under_way.remove(&ticket);
        self.refused.extend(command.clone());
        command.is_some()
    }

    pub(crate) fn again(&mut self) -> VecDeque<Vec<u8>> {
        std::mem::take(&mut self.refused)
    }
}

/// The part of the driver that is level 1's.
pub(crate) struct WorkDriver {
    pub(crate) layer: WorkLayer,
    pub(crate) lane: Lane,
    pub(crate) submitted: Submitted,
    pub(crate) events: mpsc::UnboundedSender<WorkEvent>,
    pub(crate) tick_ms: u64,
    pub(crate) next_tick: Millis,
    /// Who owes something for too long.
    pub(crate) late: BTreeSet<Duty>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lane_takes_peers_in_turn_and_drops_what_exceeds_one_peers_share() {
        let mut lane = Lane::default();
        let message = |byte: u8| bytes::Bytes::from(vec![byte; 8]);
        for byte in 0..=LANE_MESSAGES_MAX as u8 {
            let fits = lane.push(Slot(3), message(byte));
            assert_eq!(fits, usize::from(byte) < LANE_MESSAGES_MAX);
        }
        assert!(lane.push(Slot(1), message(100)));
        assert!(lane.push(Slot(7), message(101)));
        let order: Vec<u16> = (0..5).filter_map(|_| Some(lane.pop()?.0.0)).collect();
        assert_eq!(order, [1, 3, 7, 3, 3], "a flood of one peer puts the others off by one each");
        while lane.pop().is_some() {}
        assert!(lane.is_empty());
    }

    #[test]
    fn lane_bounds_the_bytes_of_one_peer_and_takes_two_of_the_longest() {
        let mut lane = Lane::default();
        let longest = bytes::Bytes::from(vec![0; types::limits::CONTROL_FRAME_MAX]);
        assert!(lane.push(Slot(0), longest.clone()) && lane.push(Slot(0), longest.clone()));
        assert!(!lane.push(Slot(0), bytes::Bytes::from_static(b"x")));
        assert!(lane.pop().is_some() && lane.push(Slot(0), longest));
    }
}
