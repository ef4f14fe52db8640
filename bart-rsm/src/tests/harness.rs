//! A small in-order network with virtual time and one disk per member.

use crate::pom::Exhibits;
use crate::record::LogRecord;
use crate::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use types::*;

/// One way, in ms.
pub(crate) const LATENCY_MS: u64 = 5;
/// The wall clock at virtual time 0.
pub(crate) const EPOCH_MS: u64 = 1_700_000_000_000;

/// What a filter does with a message.
pub(crate) enum Verdict {
    Pass,
    Drop,
    Replace(Vec<Message>),
}

type Filter = Box<dyn FnMut(Slot, Slot, &Message) -> Verdict>;
type Applied = (Instance, Option<Arc<Proposal>>, Stamp);

pub(crate) struct Net {
    pub(crate) roster: Arc<Roster>,
    pub(crate) params: Params,
    pub(crate) cores: Vec<Option<Core>>,
    pub(crate) disks: Vec<BTreeMap<RecordKey, Vec<u8>>>,
    pub(crate) applied: Vec<BTreeMap<Instance, Applied>>,
    pub(crate) committed: Vec<Vec<u64>>,
    pub(crate) refused: Vec<(u64, Refusal)>,
    pub(crate) faults: Vec<(Slot, Slot, Fault)>,
    pub(crate) alarms: Vec<(Slot, Alarm)>,
    /// Reforms that were executed: where they were handed in, as what, and the instance.
    pub(crate) reformed: Vec<(Slot, u64, Instance)>,
    /// The epochs that each member was told of.
    pub(crate) rosters: Vec<BTreeMap<Epoch, (Instance, Arc<Roster>)>>,
    pub(crate) changes: Vec<Vec<StandingChange>>,
    /// Proofs, with who noticed.
    pub(crate) proofs: Vec<(Slot, crate::pom::Pom)>,
    /// What the cores themselves sent, before filters.
    exhibits: std::cell::RefCell<Exhibits>,
    /// Messages of a run that are searched for proofs; a few, because many runs are long.
    pub(crate) exhibits_left: usize,
    /// Every statement digest that left, per author and key: sign-once as an outsider sees it.
    pub(crate) said: BTreeMap<(Slot, Instance, Turn, Kind), Hash>,
    pub(crate) sent: BTreeMap<(Slot, Kind), usize>,
    /// Instances that were read back from disk, per member.
    pub(crate) loads: BTreeMap<Slot, usize>,
    /// Most bytes that left in one step, per author and receiver.
    pub(crate) most_in_step: BTreeMap<(Slot, Slot), usize>,
    pub(crate) now: u64,
    /// Crash this member after so many further persists.
    pub(crate) crash_after: Option<(Slot, usize)>,
    pub(crate) crashed: bool,
    /// Members whose application went wrong.
    pub(crate) corrupt: BTreeSet<Slot>,
    /// Links come up when time first passes, so that filters see everything.
    connected: bool,
    down: BTreeSet<(Slot, Slot)>,
    queue: BTreeMap<(u64, u64), (Slot, Slot, Vec<u8>)>,
    seq: u64,
    filter: Filter,
}

pub(crate) fn secret(slot: u16) -> SecretKey {
    SecretKey::from_seed(&[slot as u8 + 1; 32])
}

pub(crate) fn roster(n: u16) -> Arc<Roster> {
    let members = (0..n)
        .map(|slot| Member {
            identities: vec![secret(slot).public()],
            active: Ident(0),
            standing: Standing::Live,
        })
        .collect();
    let group = GroupId(Hash::of(b"test group"));
    let f = Quorum::largest_f(usize::from(n));
    Arc::new(Roster::new(group, Epoch(3), f, Mode::QuasiSync, members).unwrap())
}

impl Net {
    pub(crate) fn new(n: u16) -> Self {
        Self::with(n, Params { expel: false, ..Params::default() })
    }

    pub(crate) fn with(n: u16, params: Params) -> Self {
        let count = usize::from(n);
        let mut net = Self {
            roster: roster(n),
            params,
            cores: (0..n).map(|_| None).collect(),
            disks: vec![BTreeMap::new(); count],
            applied: vec![BTreeMap::new(); count],
            committed: vec![Vec::new(); count],
            refused: Vec::new(),
            faults: Vec::new(),
            alarms: Vec::new(),
            reformed: Vec::new(),
            rosters: vec![BTreeMap::new(); count],
            changes: vec![Vec::new(); count],
            proofs: Vec::new(),
            exhibits: Exhibits::new(&roster(n)).into(),
            exhibits_left: 40,
            said: BTreeMap::new(),
            sent: BTreeMap::new(),
            loads: BTreeMap::new(),
            most_in_step: BTreeMap::new(),
            now: 0,
            crash_after: None,
            crashed: false,
            corrupt: BTreeSet::new(),
            connected: false,
            down: BTreeSet::new(),
            queue: BTreeMap::new(),
            seq: 0,
            filter: Box::new(|_, _, _| Verdict::Pass),
        };
        for slot in 0..n {
            net.boot(Slot(slot));
        }
        net
    }

    pub(crate) fn n(&self) -> u16 {
        self.cores.len() as u16
    }

    pub(crate) fn config(&self, slot: Slot) -> Config {
        Config {
            roster: Arc::clone(&self.roster),
            slot,
            ident: Ident(0),
            params: self.params.clone(),
            rules: Rules::default(),
        }
    }

    pub(crate) fn filter(&mut self, filter: impl FnMut(Slot, Slot, &Message) -> Verdict + 'static) {
        self.filter = Box::new(filter);
    }

    pub(crate) fn core(&self, slot: u16) -> &Core {
        self.cores[usize::from(slot)].as_ref().unwrap()
    }

    pub(crate) fn core_mut(&mut self, slot: u16) -> &mut Core {
        self.cores[usize::from(slot)].as_mut().unwrap()
    }

    /// Starts or restarts a member from its disk; its links are down.
    pub(crate) fn boot(&mut self, slot: Slot) {
        let disk = &self.disks[usize::from(slot.0)];
        let core = if disk.is_empty() {
            Core::new(self.config(slot), secret(slot.0)).unwrap()
        } else {
            let records = disk.iter().map(|(key, value)| Record {
                key: RecordKey::from_bytes(&key.to_bytes()).unwrap(),
                value: value.clone(),
            });
            Core::restore(self.config(slot), secret(slot.0), records).unwrap()
        };
        self.cores[usize::from(slot.0)] = Some(core);
        let now = self.clock();
        let step = self.core_mut(slot.0).start(now);
        self.carry_out(slot, step);
    }

    /// Cuts the power: what is on the way to and from the member is lost.
    pub(crate) fn crash(&mut self, slot: Slot) {
        self.cores[usize::from(slot.0)] = None;
        self.queue.retain(|_, (from, to, _)| *from != slot && *to != slot);
        for peer in 0..self.n() {
            self.link(slot, Slot(peer), false);
        }
    }

    /// Brings all links up between running members.
    pub(crate) fn connect(&mut self) {
        self.connected = true;
        for a in 0..self.n() {
            for b in 0..a {
                self.link(Slot(a), Slot(b), true);
            }
        }
    }

    pub(crate) fn link(&mut self, a: Slot, b: Slot, up: bool) {
        if a == b {
            return;
        }
        let pair = (a.min(b), a.max(b));
        if up {
            self.down.remove(&pair);
        } else {
            self.down.insert(pair);
            self.queue.retain(|_, (from, to, _)| ((*from).min(*to), (*from).max(*to)) != pair);
        }
        for (me, peer) in [(a, b), (b, a)] {
            if self.cores[usize::from(me.0)].is_some() {
                let input = if up { Input::LinkUp(peer) } else { Input::LinkDown(peer) };
                self.input(me, input);
            }
        }
    }

    pub(crate) fn clock(&self) -> Now {
        Now { mono: Millis(self.now), wall: Stamp(EPOCH_MS + self.now) }
    }

    pub(crate) fn input(&mut self, slot: Slot, input: Input) {
        let now = self.clock();
        let Some(core) = self.cores[usize::from(slot.0)].as_mut() else { return };
        let step = core.handle(now, input);
        self.carry_out(slot, step);
    }

    pub(crate) fn submit(&mut self, slot: u16, ticket: u64, command: &[u8]) {
        self.input(Slot(slot), Input::Submit { ticket, command: command.to_vec() });
    }

    /// Puts a message on the wire as if `from` had sent it.
    pub(crate) fn inject(&mut self, from: Slot, to: Slot, message: &Message) {
        self.seq += 1;
        self.queue.insert((self.now + LATENCY_MS, self.seq), (from, to, message.to_bytes()));
    }

    /// Counts one change of a disk; crashes the member if it is the one to crash at.
    fn power_fails(&mut self, slot: Slot) -> bool {
        match &mut self.crash_after {
            Some((victim, 0)) if *victim == slot => {
                self.crash_after = None;
                self.crashed = true;
                self.crash(slot);
                true
            }
            Some((victim, left)) if *victim == slot => {
                *left -= 1;
                false
            }
            _ => false,
        }
    }

    fn carry_out(&mut self, slot: Slot, step: Step) {
        let me = usize::from(slot.0);
        for (peer, fault) in step.faults {
            self.faults.push((slot, peer, fault));
        }
        let (mut loads, mut digests) = (Vec::new(), Vec::new());
        let mut bytes: BTreeMap<Slot, usize> = BTreeMap::new();
        for effect in step.effects {
            match effect {
                Effect::Persist(record) => {
                    self.disks[me].insert(record.key, record.value);
                    if self.power_fails(slot) {
                        return;
                    }
                }
                Effect::Erase { from, to } => {
                    for keys in RecordKey::of_instances(from, to) {
                        let old: Vec<_> = self.disks[me].range(keys).map(|(key, _)| *key).collect();
                        for key in old {
                            self.disks[me].remove(&key);
                            if self.power_fails(slot) {
                                return;
                            }
                        }
                    }
                }
                Effect::Load(key) => {
                    let inst = matches!(key, RecordKey::Instance(_));
                    *self.loads.entry(slot).or_default() += usize::from(inst);
                    loads.push(key);
                }
                Effect::Send { to, message } => {
                    *bytes.entry(to).or_default() += message.size();
                    self.put_on_wire(slot, to, message);
                }
                Effect::Apply { inst, proposal, tau, .. } => {
                    let entry = (inst, proposal, tau);
                    if let Some(before) = self.applied[me].insert(inst, entry.clone()) {
                        assert_eq!(before, entry, "applied again, differently");
                    }
                }
                Effect::Digest { inst } => digests.push(inst),
                Effect::Committed { ticket, .. } => self.committed[me].push(ticket),
                Effect::Refused { ticket, reason } => self.refused.push((ticket, reason)),
                Effect::Evidence(pom) => self.proofs.push((slot, *pom)),
                Effect::Reformed { ticket, inst } => self.reformed.push((slot, ticket, inst)),
                Effect::Roster { first, roster, changes } => {
                    let known = self.rosters[me].insert(roster.epoch(), (first, roster.clone()));
                    if let Some(known) = known {
                        assert_eq!(known, (first, roster), "an epoch made twice, differently");
                    }
                    self.changes[me].extend(changes);
                }
                Effect::Alarm(alarm) => self.alarms.push((slot, alarm)),
            }
        }
        for (to, bytes) in bytes {
            let most = self.most_in_step.entry((slot, to)).or_default();
            *most = bytes.max(*most);
        }
        self.check_marks(slot);
        for inst in digests {
            self.answer_digest(slot, inst);
        }
        for key in loads {
            let input = match self.disks[me].get(&key) {
                Some(value) => Input::Loaded(Record { key, value: value.clone() }),
                None => Input::LoadMissing(key),
            };
            self.input(slot, input);
        }
    }

    /// The application's state is what it applied; a corrupt one has another digest.
    fn answer_digest(&mut self, slot: Slot, inst: Instance) {
        let applied = &self.applied[usize::from(slot.0)];
        if applied.last_key_value().is_none_or(|(last, _)| *last != inst) {
            return;
        }
        let mut state = Vec::new();
        for (no, (_, proposal, _)) in applied {
            state.extend(no.0.to_le_bytes());
            state.extend(proposal.iter().flat_map(|proposal| proposal.to_bytes()));
        }
        state.extend(self.corrupt.contains(&slot).then_some(1));
        self.input(slot, Input::Digest { inst, state: Hash::of(&state) });
    }

    /// A durable closed mark above the one in memory would settle, after a crash, what was signed
    /// meanwhile below it.
    fn check_marks(&self, slot: Slot) {
        let disk = &self.disks[usize::from(slot.0)];
        let core = self.cores[usize::from(slot.0)].as_ref();
        let (Some(core), Some(log)) = (core, disk.get(&RecordKey::Log)) else { return };
        let closed = LogRecord::read(log).unwrap().closed;
        for (at, (durable, peer)) in closed.iter().zip(&core.peers).enumerate() {
            assert!(*durable <= peer.all_closed(), "slot {slot}, peer {at}: {durable} is durable");
        }
    }

    fn put_on_wire(&mut self, from: Slot, to: Slot, message: Message) {
        assert_ne!(from, to);
        let pair = (from.min(to), from.max(to));
        assert!(!self.down.contains(&pair), "sent over a link that is down");
        if let Some(header) = message.header() {
            let key = (from, header.inst, header.turn, header.kind);
            let digest = core_digest(&message);
            let known = *self.said.entry(key).or_insert(digest);
            assert_eq!(known, digest, "two statements for one key: {key:?}");
        }
        if self.exhibits_left > 0 {
            self.exhibits_left -= 1;
            self.exhibits.get_mut().show(&message);
        }
        *self.sent.entry((from, message.kind())).or_default() += 1;
        let messages = match (self.filter)(from, to, &message) {
            Verdict::Pass => vec![message],
            Verdict::Drop => Vec::new(),
            Verdict::Replace(messages) => messages,
        };
        for message in messages {
            self.inject(from, to, &message);
        }
    }

    /// Lets `ms` of virtual time pass.
    pub(crate) fn run(&mut self, ms: u64) {
        if !self.connected {
            self.connect();
        }
        let end = self.now + ms;
        loop {
            let mail = self.queue.keys().next().map(|(at, _)| *at);
            let wake =
                self.cores.iter().flatten().filter_map(Core::next_wakeup).map(|at| at.0).min();
            let next = mail.into_iter().chain(wake).min().unwrap_or(end);
            if next > end {
                break;
            }
            let idle = mail.is_none() && wake.is_none();
            self.now = self.now.max(next);
            if idle {
                break;
            }
            if mail.is_some_and(|at| at <= self.now) {
                let Some((_, (from, to, bytes))) = self.queue.pop_first() else { continue };
                let message = Message::from_bytes(&bytes).unwrap();
                assert_eq!(message.to_bytes(), bytes);
                self.input(to, Input::Message { from, message });
            } else {
                for slot in 0..self.n() {
                    let due = self.cores[usize::from(slot)].as_ref().and_then(Core::next_wakeup);
                    if due.is_some_and(|at| at.0 <= self.now) {
                        self.input(Slot(slot), Input::Tick);
                        let core = self.cores[usize::from(slot)].as_ref();
                        let again = core.and_then(Core::next_wakeup);
                        assert!(again.is_none_or(|at| at.0 > self.now), "tick without progress");
                    }
                }
            }
        }
        self.now = end;
    }

    /// Runs until `done`, at most `ms`.
    pub(crate) fn run_until(&mut self, ms: u64, mut done: impl FnMut(&Net) -> bool) -> bool {
        let end = self.now + ms;
        while self.now < end {
            if done(self) {
                return true;
            }
            self.run(10);
        }
        done(self)
    }

    pub(crate) fn decided(&self, slot: u16) -> u64 {
        self.core(slot).decided_upto().map_or(0, |no| no.0 + 1)
    }

    /// Agreement over `slots`; the length of the shortest log.
    pub(crate) fn check_agreement(&self, slots: impl IntoIterator<Item = u16>) -> u64 {
        let slots: Vec<_> = slots.into_iter().collect();
        assert!(self.alarms.is_empty(), "{:?}", self.alarms);
        // Whatever its peers do, what a core itself says never convicts its member.
        let proofs = self.exhibits.borrow_mut().convictions(|_| true);
        assert!(proofs.is_empty(), "{:?}", proofs[0]);
        let shortest = slots.iter().map(|slot| self.decided(*slot)).min().unwrap();
        for no in (0..shortest).map(Instance) {
            let first = &self.applied[usize::from(slots[0])][&no];
            for slot in &slots {
                assert_eq!(&self.applied[usize::from(*slot)][&no], first, "{no}");
            }
        }
        shortest
    }

    /// No duty between `slots` in instances before the last few.
    pub(crate) fn check_no_residue(&self, slots: impl IntoIterator<Item = u16>) {
        let slots: BTreeSet<_> = slots.into_iter().collect();
        for slot in &slots {
            let upto = self.decided(*slot).saturating_sub(2);
            let core = self.core(*slot);
            let left: Vec<_> = core
                .residual_duties()
                .into_iter()
                .filter(|(peer, no, _)| no.0 < upto && slots.contains(&peer.0))
                .collect();
            assert!(left.is_empty(), "slot {slot} is owed {left:?}");
            for peer in slots.iter().filter(|peer| *peer != slot) {
                let closed = core.peers[usize::from(*peer)].all_closed();
                assert!(closed.0 >= upto, "slot {slot} has {closed} open with slot {peer}");
            }
        }
    }
}

/// Digest of the author's own statement.
pub(crate) fn core_digest(message: &Message) -> Hash {
    match message {
        Message::SetTurn(m) => m.core.digest(),
        Message::Read(m) => m.core.digest(),
        Message::ReadAck(m) => m.core.digest(),
        Message::Agree(m) => m.core.digest(),
        Message::AgreeLater(m) => m.core.digest(),
        Message::AgreeAck(m) => m.core.digest(),
        Message::Write(m) => m.core.digest(),
        Message::WriteAck(m) => m.core.digest(),
        Message::ShowQuorum(m) => m.core.digest(),
        Message::ShowDecision(m) => m.core.digest(),
        Message::ReportDecision(m) => m.core.digest(),
        Message::Penance(m) => m.core.digest(),
        Message::Wake(m) => m.core.digest(),
        Message::Resume(_) | Message::Catchup(_) | Message::Ping(_) | Message::Pong(_) => {
            Hash::ZERO
        }
    }
}
