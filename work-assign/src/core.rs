//! A member's part in level 1: dispatch, records, repetition (specification 6, 4.2, 5.7).
//!
//! Each role has its file: `target`, `witness`, `requester`, `direct` (vows), `abroad` and `hosted` (other machines),
//! `case` (proposals that break a rule). This file knows none of their rules.
//!
//! Guarantees: (1) every change to an entry is in the step's one `Persist`, before whatever leaves; (2) what a peer has
//! not confirmed is said again, byte by byte the same, when its link comes up and at growing intervals; (3) an instance
//! that was taken up before a crash is not taken up again. Bounds: `WORK_OPEN_MAX` entries a role, parked messages below.

use crate::account::Links;
use crate::case::Case;
use crate::cert::Rosters;
use crate::effect::{Effect, Fault, Input, Refusal, Step};
use crate::message::Message;
use crate::params::{Params, ParamsError};
use crate::quota::Charge;
use crate::record::{Key, Record};
use crate::request::{Aid, Request};
use crate::role::*;
use crate::signer::Signer;
use crate::state::{Context, Decided, Event, State};
use crate::uptime::Uptime;
use bart_rsm::Now;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use types::limits::WORK_OPEN_MAX;
use types::{
    Encode, Epoch, GroupId, Hash, Ident, Instance, Millis, Roster, SecretKey, Slot, Stamp,
};

/// Everything that a core needs to know about its group and its place in it.
#[derive(Debug, Clone)]
pub struct Config {
    /// The members.
    pub roster: Arc<Roster>,
    /// Our place among them.
    pub slot: Slot,
    /// The linked identity that we sign with.
    pub ident: Ident,
    /// Deadlines, prices, quotas.
    pub params: Params,
    /// The linked machines.
    pub links: Links,
}

/// Why a core cannot be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The parameters break a relation.
    #[error(transparent)]
    Params(#[from] ParamsError),
    /// The key is not the one in the roster.
    #[error("{0} signs with another key in the roster")]
    Key(Slot),
}

/// Messages of one peer that wait for our log.
const PARKED_MAX: usize = 32;
/// Their bytes: one of the longest always fits.
const PARKED_BYTES_MAX: usize = 2 * types::limits::CONTROL_FRAME_MAX;
/// First interval after which something unconfirmed is said again, ms; it doubles up to the last.
const REPEAT_FIRST_MS: u64 = 600_000;
const REPEAT_LAST_MS: u64 = 12 * 3_600_000;

/// When something was last repeated to a peer.
#[derive(Debug, Clone, Copy)]
struct Repeat {
    at: Millis,
    every_ms: u64,
}

/// A member's part in level 1.
#[derive(Debug, Clone)]
pub struct Core {
    pub(crate) group: GroupId,
    pub(crate) slot: Slot,
    pub(crate) params: Params,
    pub(crate) links: Links,
    pub(crate) rosters: Rosters,
    pub(crate) signer: Signer,
    pub(crate) state: State,
    pub(crate) now: Now,
    pub(crate) applied: Instance,
    pub(crate) uptime: Uptime,
    pub(crate) answers: BTreeMap<Hash, Answered>,
    pub(crate) serving: BTreeMap<Aid, Serving>,
    pub(crate) watched: BTreeMap<Aid, Watched>,
    pub(crate) asked: BTreeMap<Aid, Asked>,
    pub(crate) vows: BTreeMap<Hash, OwnVow>,
    pub(crate) abroad: BTreeMap<Aid, Abroad>,
    pub(crate) couriers: BTreeMap<Aid, Courier>,
    pub(crate) bringing: BTreeMap<(GroupId, Aid), Bringing>,
    pub(crate) hosted: BTreeMap<Aid, Hosted>,
    pub(crate) cases: BTreeMap<Instance, Case>,
    pub(crate) performing: BTreeMap<Hash, Request>,
    pub(crate) direct_waiting: BTreeMap<Hash, Slot>,
    pub(crate) closing: BTreeMap<Hash, (Slot, Aid, Vec<Hash>)>,
    pub(crate) under_way: BTreeMap<Hash, (Charge, Aid)>,
    parked: BTreeMap<Slot, VecDeque<Message>>,
    repeats: BTreeMap<Slot, Repeat>,
    overdue: BTreeMap<Slot, BTreeSet<crate::Duty>>,
    dirty: BTreeSet<Key>,
    pub(crate) out: Vec<Effect>,
    to_self: VecDeque<Message>,
}

impl Core {
    /// A member that starts with the group.
    pub fn new(config: Config, key: SecretKey) -> Result<Self, ConfigError> {
        Self::with_state(config, key, State::default())
    }

    pub(crate) fn with_state(
        config: Config,
        key: SecretKey,
        state: State,
    ) -> Result<Self, ConfigError> {
        let Config { roster, slot, ident, params, links } = config;
        params.check()?;
        if roster.identity_key(slot, ident) != Some(&key.public()) {
            return Err(ConfigError::Key(slot));
        }
        let group = roster.group();
        Ok(Self {
            group,
            slot,
            params,
            links,
            rosters: Rosters::new(roster),
            signer: Signer::new(key, group, slot, ident),
            applied: state.next(),
            state,
            now: Now { mono: Millis(0), wall: Stamp(0) },
            uptime: Uptime::default(),
            answers: BTreeMap::new(),
            serving: BTreeMap::new(),
            watched: BTreeMap::new(),
            asked: BTreeMap::new(),
            vows: BTreeMap::new(),
            abroad: BTreeMap::new(),
            couriers: BTreeMap::new(),
            bringing: BTreeMap::new(),
            hosted: BTreeMap::new(),
            cases: BTreeMap::new(),
            performing: BTreeMap::new(),
            direct_waiting: BTreeMap::new(),
            closing: BTreeMap::new(),
            under_way: BTreeMap::new(),
            parked: BTreeMap::new(),
            repeats: BTreeMap::new(),
            overdue: BTreeMap::new(),
            dirty: BTreeSet::new(),
            out: Vec::new(),
            to_self: VecDeque::new(),
        })
    }

    /// Takes one input.
    pub fn handle(&mut self, now: Now, input: Input) -> Step {
        self.now = now;
        // Waits are days long; a message alone need not look through all of them.
        let timed = !matches!(input, Input::Message(..) | Input::Performed(..));
        match input {
            Input::Decided(decided) => self.on_decided(&decided),
            Input::Roster(roster) => self.on_roster(roster),
            Input::Message(peer, message) => self.on_message(peer, *message),
            Input::LinkUp(peer) => self.repeat(peer),
            Input::Gate(peer, open) => self.uptime.gate(now.mono, peer, open),
            Input::Tick => {}
            Input::Local(local) => self.on_local(local),
            Input::Performed(request, answer) => self.on_performed(request, answer),
            Input::Executed(place, result) => self.on_executed(place, result),
            Input::Crossing(from, crossing) => self.on_crossing(from, *crossing),
            Input::Decision(proof) => self.on_decision(*proof),
            Input::Refused(value) => self.on_refused(*value),
            Input::Denials(cert) => self.compare_denials(&cert),
        }
        while let Some(message) = self.to_self.pop_front() {
            self.on_message(self.slot, message);
        }
        if timed {
            self.on_time();
        }
        self.finish()
    }

    /// The replicated state, for snapshots and for the format predicate.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// What the replicated state is judged with.
    pub fn context(&self) -> Context<'_> {
        Context { rosters: &self.rosters, params: &self.params, links: &self.links }
    }

    /// When the next [`Input::Tick`] is due at the latest: never more than a minute off, because deadlines run in
    /// uptime and are days long.
    pub fn next_wakeup(&self) -> Millis {
        self.now.mono.plus(crate::uptime::SAVE_MS)
    }

    /// Whether an assignment of ours in this instance is still open: until then its certificate may be asked for.
    pub fn asks_in(&self, inst: Instance) -> bool {
        self.asked.keys().any(|aid| aid.inst == inst)
    }

    /// Duties that are overdue now.
    pub fn overdue(&self) -> impl Iterator<Item = &crate::Duty> {
        self.overdue.values().flatten()
    }

    /// Whether nothing is owed in either direction, but for what is kept against late denials.
    pub fn is_idle(&self) -> bool {
        let confirmed = |entry: &Watched| entry.core.is_some() && entry.received.0;
        self.serving.values().all(|entry| entry.waiting.is_empty())
            && self.watched.values().all(confirmed)
            && self.asked.is_empty()
            && self.abroad.values().all(|entry| {
                entry.unordered.is_empty()
                    && entry.result.is_some()
                    && entry.deadlines.0.keys().all(|peer| entry.from.contains(*peer))
            })
            && self.couriers.values().all(|entry| entry.unbrought.is_empty())
            && self.hosted.values().all(|entry| entry.unshared.is_empty())
            && self.overdue.is_empty()
    }

    fn on_decided(&mut self, decided: &Decided) {
        if decided.inst != self.state.next() {
            return self.out.push(Effect::Misuse("instances come in order, each once"));
        }
        if self.rosters.at(decided.epoch).is_none() {
            return self
                .out
                .push(Effect::Misuse("a roster comes before the instances of its epoch"));
        }
        let mut state = std::mem::take(&mut self.state);
        let events = state.apply(self.context(), decided);
        self.state = state;
        if decided.sender == self.slot {
            for command in &decided.commands {
                self.under_way.remove(&Hash::of(command));
            }
        }
        // Taken up before a crash: its entries are among the records, or have ended.
        if decided.inst >= self.applied {
            self.applied = Instance(decided.inst.0.saturating_add(1));
            if !events.is_empty() {
                self.dirty.insert(Key::Applied);
            }
            for event in events {
                if let Event::NoOp(aid, why) = event {
                    self.on_no_op(decided, aid, why);
                } else {
                    self.take_up(decided.epoch, event);
                }
            }
        }
        self.unpark();
        self.end_old();
    }

    fn take_up(&mut self, epoch: Epoch, event: Event) {
        match event {
            Event::Assigned { aid, target, work } => {
                if self.is_full() {
                    return self.out.push(Effect::Misuse("more is open than a quota allows"));
                }
                match (target == self.slot, work.requester() == self.slot) {
                    (true, _) => self.serve(epoch, aid, work),
                    (_, true) => self.ask(epoch, aid, target, work),
                    _ => self.watch(epoch, aid, target, work),
                }
            }
            Event::AssignedMachine { aid, next, order, work } => {
                self.send_abroad(epoch, aid, (next, order), (work, self.group), true);
            }
            Event::Vowed(pending) => self.on_vowed(&pending),
            Event::Settled(vow, denied) => {
                self.on_settled(vow);
                if let Some(cert) = denied {
                    self.compare_denials(&cert);
                }
            }
            Event::ForeignWork { origin, order, place, work, home, fate } => {
                self.host(epoch, place, (origin, *order), (work, home), fate);
            }
            Event::ForeignDone { cert, result } => self.on_foreign_done(*cert, result),
            Event::NoOp(..) => {}
        }
    }

    /// A command of ours did nothing: whoever asked is told, and a vow is not made again.
    fn on_no_op(&mut self, decided: &Decided, aid: Aid, why: &'static str) {
        let bytes = decided.commands.get(aid.index as usize);
        let command = bytes.and_then(|bytes| crate::Command::read(bytes));
        if decided.sender != self.slot {
            return;
        }
        let name = match command {
            Some(Ok(crate::Command::Assign(work))) => work.root(self.group),
            Some(Ok(crate::Command::AssignMachine { work, .. })) => work.root(self.group),
            Some(Ok(crate::Command::Vow(vow))) => {
                if self.vows.get(&vow.root).is_some_and(|own| own.id.is_none()) {
                    self.vows.remove(&vow.root);
                    self.touch(Key::Vow(vow.root));
                }
                vow.root
            }
            _ => return,
        };
        self.refuse(name, Refusal::Illegal(why));
    }

    fn on_roster(&mut self, roster: Arc<Roster>) {
        self.rosters.push(roster);
        let live: Vec<Slot> = self.rosters.current().live().collect();
        self.drop_members(&live);
        let gone = |duty: &&crate::Duty| !live.contains(&duty.peer);
        let duties: Vec<_> = self.overdue.values().flatten().filter(gone).copied().collect();
        for duty in duties {
            self.withdraw(duty);
        }
    }

    fn on_message(&mut self, peer: Slot, message: Message) {
        if peer != self.slot && !self.rosters.current().is_live(peer) {
            return;
        }
        if let Some(inst) = ahead(&message)
            && inst >= self.state.next()
        {
            return self.park(peer, message);
        }
        match message {
            Message::Response { aid: Some(aid), core, body } => {
                self.on_response(peer, aid, *core, body);
            }
            Message::Response { aid: None, core, body } => self.on_direct_answer(peer, *core, body),
            Message::Ack(ack) => self.on_ack(peer, ack),
            Message::Witness { word, core, body, pad } => {
                self.on_witness(peer, word, *core, body, pad);
            }
            Message::NoEvidence { word, pad } => self.on_no_evidence(peer, word, &pad),
            Message::Got(what, aid) => self.on_got(peer, what, aid),
            Message::Direct { vow, leaves, request } => {
                self.on_direct(peer, vow, &leaves, *request);
            }
            Message::Close { vow, leaves } => self.on_close(peer, vow, leaves),
            Message::Order(share) => self.on_order(peer, share),
            Message::Share(share) => self.on_share(peer, share),
            Message::Foreign { aid, machine, cert, result } => {
                self.on_foreign(peer, aid, machine, *cert, result.0);
            }
            Message::ForeignWitness { word, machine, cert, result, pad } => {
                self.on_foreign_witness(peer, word, (machine, *cert, result.0), &pad);
            }
            Message::Account(share) => self.on_account(peer, share),
        }
    }

    /// A message about an instance that we have not applied waits; a full queue drops it, and its author repeats it.
    fn park(&mut self, peer: Slot, message: Message) {
        let queue = self.parked.entry(peer).or_default();
        let bytes: usize = queue.iter().chain([&message]).map(|one| one.to_bytes().len()).sum();
        if queue.len() < PARKED_MAX && bytes <= PARKED_BYTES_MAX && !queue.contains(&message) {
            queue.push_back(message);
        }
    }

    fn unpark(&mut self) {
        let next = self.state.next();
        let mut ready = Vec::new();
        for (peer, queue) in &mut self.parked {
            let (now, later): (VecDeque<_>, VecDeque<_>) =
                queue.drain(..).partition(|message| ahead(message).is_none_or(|inst| inst < next));
            *queue = later;
            ready.extend(now.into_iter().map(|message| (*peer, message)));
        }
        self.parked.retain(|_, queue| !queue.is_empty());
        for (peer, message) in ready {
            self.on_message(peer, message);
        }
    }

    fn on_time(&mut self) {
        self.expire_witness();
        self.expire_requester();
        self.expire_abroad();
        self.expire_hosted();
        self.drive_vows();
        self.drive_abroad();
        for peer in self.uptime.take_unsaved(self.now.mono) {
            self.dirty.insert(Key::Uptime(peer));
        }
        let now = self.now.mono;
        let due = |repeat: &Repeat| now.since(repeat.at) >= repeat.every_ms;
        let peers: Vec<Slot> =
            self.repeats.iter().filter(|(_, repeat)| due(repeat)).map(|(peer, _)| *peer).collect();
        for peer in peers {
            let every_ms = self.repeats.get(&peer).map_or(REPEAT_FIRST_MS, |one| one.every_ms);
            self.repeat(peer);
            if let Some(repeat) = self.repeats.get_mut(&peer) {
                repeat.every_ms = every_ms.saturating_mul(2).min(REPEAT_LAST_MS);
            }
        }
    }

    /// Says again what a peer has not confirmed.
    fn repeat(&mut self, peer: Slot) {
        let mut messages = Vec::new();
        self.outstanding_target(peer, &mut messages);
        self.outstanding_witness(peer, &mut messages);
        self.outstanding_direct(peer, &mut messages);
        self.outstanding_abroad(peer, &mut messages);
        self.outstanding_hosted(peer, &mut messages);
        if messages.is_empty() {
            self.repeats.remove(&peer);
            return;
        }
        self.repeats.insert(peer, Repeat { at: self.now.mono, every_ms: REPEAT_FIRST_MS });
        for message in messages {
            self.out.push(Effect::Send(peer, Box::new(message)));
        }
    }

    /// Says something that the peer will confirm.
    pub(crate) fn say(&mut self, peer: Slot, message: Message) {
        let (at, every_ms) = (self.now.mono, REPEAT_FIRST_MS);
        if peer != self.slot {
            self.repeats.entry(peer).or_insert(Repeat { at, every_ms });
        }
        self.tell(peer, message);
    }

    /// Says something once.
    pub(crate) fn tell(&mut self, peer: Slot, message: Message) {
        if peer == self.slot {
            self.to_self.push_back(message);
        } else {
            self.out.push(Effect::Send(peer, Box::new(message)));
        }
    }

    pub(crate) fn fault(&mut self, peer: Slot, fault: Fault) {
        self.out.push(Effect::Fault(peer, fault));
    }

    pub(crate) fn refuse(&mut self, name: Hash, refusal: Refusal) {
        self.out.push(Effect::Refused(name, refusal));
    }

    /// A duty is overdue.
    pub(crate) fn accuse(&mut self, duty: crate::Duty) {
        let duties = self.overdue.entry(duty.peer).or_default();
        let first = duties.is_empty();
        if duties.insert(duty) {
            self.out.push(Effect::Accuse(duty));
        }
        if first {
            self.out.push(Effect::Shut(duty.peer, true));
        }
    }

    /// A duty is done, however late.
    pub(crate) fn withdraw(&mut self, duty: crate::Duty) {
        let Some(duties) = self.overdue.get_mut(&duty.peer) else { return };
        if duties.remove(&duty) {
            self.out.push(Effect::Withdraw(duty));
        }
        if duties.is_empty() {
            self.overdue.remove(&duty.peer);
            self.out.push(Effect::Shut(duty.peer, false));
        }
    }

    /// The next stamp.
    pub(crate) fn stamp(&mut self) -> Stamp {
        let (stamp, moved) = self.signer.stamp(self.now.wall);
        if moved {
            self.dirty.insert(Key::Stamp);
        }
        stamp
    }

    /// An entry has changed, or is gone.
    pub(crate) fn touch(&mut self, key: Key) {
        self.dirty.insert(key);
    }

    /// A reading of a peer's counter, some time from now.
    pub(crate) fn deadline(&self, peer: Slot, wait_ms: u64) -> crate::layout::Count {
        crate::layout::Count(self.uptime.read(self.now.mono, peer).saturating_add(wait_ms))
    }

    /// Whether a reading is reached.
    pub(crate) fn is_over(&self, peer: Slot, deadline: crate::layout::Count) -> bool {
        self.uptime.read(self.now.mono, peer) >= deadline.0
    }

    /// Live members but ourselves.
    pub(crate) fn others(&self) -> Vec<Slot> {
        self.rosters.current().live().filter(|slot| *slot != self.slot).collect()
    }

    /// State machine time after which an entry made now ends in any case.
    pub(crate) fn until(&self) -> Stamp {
        let wait = self.params.machine_ms().saturating_add(self.params.witness_ms());
        Stamp(self.state.tau().0.saturating_add(wait.saturating_mul(2)))
    }

    pub(crate) fn is_full(&self) -> bool {
        [
            self.serving.len(),
            self.watched.len(),
            self.asked.len(),
            self.abroad.len(),
            self.hosted.len(),
        ]
        .into_iter()
        .any(|len| len >= WORK_OPEN_MAX)
    }

    /// Entries that nobody needs any more.
    fn end_old(&mut self) {
        let tau = self.state.tau();
        self.end_old_target(tau);
        self.end_old_witness(tau);
        self.end_old_requester(tau);
        self.end_old_abroad(tau);
        self.end_old_hosted(tau);
    }

    /// Closes a step: one `Persist` before everything else.
    pub(crate) fn finish(&mut self) -> Step {
        let keys = std::mem::take(&mut self.dirty);
        let records: Vec<Record> =
            keys.into_iter().map(|key| Record { key, value: self.write_record(key) }).collect();
        let mut effects = Vec::with_capacity(self.out.len() + 1);
        if !records.is_empty() {
            effects.push(Effect::Persist(records));
        }
        effects.append(&mut self.out);
        Step { effects }
    }
}

/// The instance that a message cannot be judged before.
fn ahead(message: &Message) -> Option<Instance> {
    match message {
        Message::Response { aid, .. } => aid.map(|aid| aid.inst),
        // An acknowledgement answers what we have said.
        Message::Ack(_) => None,
        Message::Witness { word, .. } | Message::ForeignWitness { word, .. } => {
            Some(word.header.inst)
        }
        Message::NoEvidence { word, .. } => Some(word.header.inst),
        Message::Got(_, aid) | Message::Foreign { aid, .. } => Some(aid.inst),
        Message::Direct { vow, .. } | Message::Close { vow, .. } => Some(vow.inst),
        Message::Order(share) => Some(share.header.inst),
        Message::Share(share) => Some(share.header.inst),
        Message::Account(share) => Some(share.header.inst),
    }
}
