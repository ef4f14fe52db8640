//! Whole machines in one process from one seed: a log that honest members agree on, lanes with random delays,
//! crashes at each durable write, and members that deviate by changing what leaves them. At the end every proof
//! predicate is tried over all signed objects of the run.

use crate::cert::Rosters;
use crate::pom::{DecidedProposal, Pom, PomKind};
use crate::statement::*;
use crate::*;
use bart_rsm::message::{
    DecisionCert, DecisionEntry, Signers, Value, ValueStatement, WriteAckStatement, value_digest,
};
use bart_rsm::{Now, Proposal};
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};
use std::sync::Arc;
use types::*;

/// A member of a machine.
pub(super) type At = (usize, u16);

/// What deviating members change. Each gets the world's keys, so that it can sign anything as itself.
pub(super) type OnSend = fn(&World, At, Slot, Message) -> Vec<(Slot, Message)>;
pub(super) type OnPropose = fn(&World, At, &mut Vec<Vec<u8>>);
pub(super) type OnPerform = fn(&World, At, &Request) -> Option<Answer>;
pub(super) type OnCross = fn(&World, At, Crossing) -> Option<Crossing>;

#[derive(Clone, Copy, Default)]
pub(super) struct Deviation {
    pub(super) send: Option<OnSend>,
    pub(super) propose: Option<OnPropose>,
    pub(super) perform: Option<OnPerform>,
    pub(super) cross: Option<OnCross>,
    /// No proposal of it is decided.
    pub(super) nulled: bool,
}

pub(super) struct Machine {
    pub(super) roster: Arc<Roster>,
    keys: Vec<SecretKey>,
    pub(super) log: Vec<Decided>,
    pub(super) proofs: Vec<Option<DecidedProposal>>,
    queues: Vec<VecDeque<Vec<u8>>>,
    tau: Stamp,
    stamps: Vec<u64>,
}

#[derive(Clone, Debug)]
enum Happening {
    Instance(usize),
    Tick,
    Deliver(At, Slot, Box<Message>),
    Perform(At, Hash, Box<Request>),
    Execute(At, Aid, Box<Work>),
    Cross(At, usize, Box<Crossing>),
    Restart(At),
}

struct Member {
    core: Option<Core>,
    disk: BTreeMap<Key, Vec<u8>>,
    snapshot: State,
    fed: usize,
}

pub(super) struct World {
    pub(super) now: u64,
    seq: u64,
    seed: u64,
    pub(super) params: Params,
    pub(super) machines: Vec<Machine>,
    links: Vec<Links>,
    quotas: BTreeMap<usize, u64>,
    members: BTreeMap<At, Member>,
    queue: BinaryHeap<std::cmp::Reverse<(u64, u64)>>,
    happenings: BTreeMap<u64, Happening>,
    pub(super) deviants: BTreeMap<At, Deviation>,
    /// Chance in a thousand that a member crashes at a durable write.
    pub(super) crash_per_mille: u64,
    pub(super) crashes: u64,
    pub(super) delivered: Vec<(At, Hash, Aid, Outcome)>,
    pub(super) direct: Vec<(At, Hash, usize)>,
    pub(super) evidence: Vec<(At, Pom)>,
    pub(super) accused: BTreeSet<(At, Duty)>,
    pub(super) shut: BTreeSet<(At, Slot)>,
    pub(super) faults: Vec<(At, Slot, Fault)>,
    pub(super) refused: Vec<(At, Refusal)>,
    pub(super) nulls: Vec<(usize, u16, FormFlaw)>,
    pub(super) executed: BTreeMap<(usize, Aid), BTreeMap<u16, Vec<u8>>>,
    pub(super) performed: BTreeMap<(At, Hash), u64>,
    pub(super) sent_bytes: BTreeMap<At, u64>,
    pub(super) sent: Vec<(At, Slot, Message)>,
    pub(super) values: Vec<(usize, Value)>,
}

pub(super) fn params() -> Params {
    Params {
        max_response_ms: 1_000_000,
        margin_ms: 10_000,
        rotation_ms: 20_000,
        open_ms: 50_000,
        reply_ms: 5_000,
        request_life_ms: 60_000_000,
        quota_period_ms: 40_000_000,
        quota_bytes: 10_000_000,
        mandatory_bytes: 1_000_000,
        ..Params::default()
    }
}

pub(super) fn secret(machine: usize, slot: u16) -> SecretKey {
    let mut seed = [7; 32];
    (seed[0], seed[1], seed[2]) = (machine as u8, slot as u8, (slot >> 8) as u8);
    SecretKey::from_seed(&seed)
}

pub(super) fn group(machine: usize) -> GroupId {
    GroupId(Hash::of(&[machine as u8]))
}

pub(super) fn roster(machine: usize, n: usize, f: usize) -> Arc<Roster> {
    let member = |slot| types::Member {
        identities: vec![secret(machine, slot).public()],
        active: Ident(0),
        standing: Standing::Live,
    };
    let members = (0..n as u16).map(member).collect();
    Arc::new(Roster::new(group(machine), Epoch(0), f, Mode::QuasiSync, members).unwrap())
}

pub(super) fn request(from: u16, to: To, payload: &[u8], fields: u32, body: u32) -> Request {
    Request {
        requester: Slot(from),
        to,
        kinds: Kinds::of(&[1, 2]),
        fields_cap: Cap(fields),
        body_cap: Cap(body),
        expires: Stamp(50_000_000),
        payload: Blob(payload.to_vec()),
    }
}

pub(super) fn member_work(from: u16, to: u16, payload: &[u8]) -> Work {
    Work::new(vec![request(from, To::Member(Slot(to)), payload, 100, 300)]).unwrap()
}

impl World {
    pub(super) fn new(seed: u64, n: usize, f: usize, params: Params) -> Self {
        Self::linked(seed, &[(n, f)], params, |_| Vec::new())
    }

    /// Machines with their links: for each machine the other one and the pairs of slots.
    pub(super) fn linked(
        seed: u64,
        sizes: &[(usize, usize)],
        params: Params,
        links: impl Fn(usize) -> Vec<(usize, Vec<(u16, u16)>)>,
    ) -> Self {
        let rosters: Vec<_> =
            sizes.iter().enumerate().map(|(m, (n, f))| roster(m, *n, *f)).collect();
        let machine = |roster: &Arc<Roster>| Machine {
            roster: Arc::clone(roster),
            keys: Vec::new(),
            log: Vec::new(),
            proofs: Vec::new(),
            queues: vec![VecDeque::new(); roster.slots()],
            tau: Stamp(0),
            stamps: vec![0; roster.slots()],
        };
        let mut machines: Vec<Machine> = rosters.iter().map(machine).collect();
        let mut all_links = Vec::new();
        for (m, machine) in machines.iter_mut().enumerate() {
            machine.keys = (0..sizes[m].0 as u16).map(|slot| secret(m, slot)).collect();
            let mut own = Links::default();
            for (other, pairs) in links(m) {
                let overlap = pairs.iter().map(|(a, b)| (Slot(*a), Slot(*b))).collect();
                let link = Link { rosters: Rosters::new(Arc::clone(&rosters[other])), overlap };
                own.add(&rosters[m], link).unwrap();
            }
            all_links.push(own);
        }
        let mut world = Self {
            now: 1_000,
            seq: 0,
            seed: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            params,
            machines,
            links: all_links,
            quotas: BTreeMap::new(),
            members: BTreeMap::new(),
            queue: BinaryHeap::new(),
            happenings: BTreeMap::new(),
            deviants: BTreeMap::new(),
            crash_per_mille: 0,
            crashes: 0,
            delivered: Vec::new(),
            direct: Vec::new(),
            evidence: Vec::new(),
            accused: BTreeSet::new(),
            shut: BTreeSet::new(),
            faults: Vec::new(),
            refused: Vec::new(),
            nulls: Vec::new(),
            executed: BTreeMap::new(),
            performed: BTreeMap::new(),
            sent_bytes: BTreeMap::new(),
            sent: Vec::new(),
            values: Vec::new(),
        };
        world.start();
        world
    }

    /// Work for a machine goes by way of another.
    pub(super) fn route(&mut self, machine: usize, to: usize, by: usize) {
        self.links[machine].route(group(to), group(by));
        self.start_anew(machine);
    }

    /// A machine with a quota of its own.
    pub(super) fn set_quota(&mut self, machine: usize, bytes: u64) {
        self.quotas.insert(machine, bytes);
        self.start_anew(machine);
    }

    fn start_anew(&mut self, machine: usize) {
        let slots: Vec<At> = self.members.keys().copied().filter(|at| at.0 == machine).collect();
        for at in slots {
            let core = Core::new(self.config(at), secret(at.0, at.1)).unwrap();
            self.members.get_mut(&at).unwrap().core = Some(core);
            self.open_gates(at);
        }
    }

    fn config(&self, at: At) -> Config {
        Config {
            roster: Arc::clone(&self.machines[at.0].roster),
            slot: Slot(at.1),
            ident: Ident(0),
            params: Params {
                quota_bytes: *self.quotas.get(&at.0).unwrap_or(&self.params.quota_bytes),
                ..self.params.clone()
            },
            links: self.links[at.0].clone(),
        }
    }

    fn start(&mut self) {
        for m in 0..self.machines.len() {
            for slot in 0..self.machines[m].roster.slots() as u16 {
                let core = Core::new(self.config((m, slot)), secret(m, slot)).unwrap();
                let disk = BTreeMap::new();
                let member = Member { core: Some(core), disk, snapshot: State::default(), fed: 0 };
                self.members.insert((m, slot), member);
            }
            self.later(1_000, Happening::Instance(m));
        }
        let all: Vec<At> = self.members.keys().copied().collect();
        all.into_iter().for_each(|at| self.open_gates(at));
        self.later(500, Happening::Tick);
    }

    fn open_gates(&mut self, at: At) {
        for peer in 0..self.machines[at.0].roster.slots() as u16 {
            if peer != at.1 {
                self.feed(at, Input::Gate(Slot(peer), true));
            }
        }
    }

    pub(super) fn is_honest(&self, at: At) -> bool {
        !self.deviants.contains_key(&at)
    }

    pub(super) fn core(&self, at: At) -> &Core {
        self.members[&at].core.as_ref().expect("a member that runs")
    }

    pub(super) fn random(&mut self) -> u64 {
        // xorshift64*, by Marsaglia and Vigna.
        self.seed ^= self.seed >> 12;
        self.seed ^= self.seed << 25;
        self.seed ^= self.seed >> 27;
        self.seed.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11
    }

    fn later(&mut self, ms: u64, what: Happening) {
        self.seq += 1;
        self.queue.push(std::cmp::Reverse((self.now + ms, self.seq)));
        self.happenings.insert(self.seq, what);
    }

    fn clock(&self) -> Now {
        Now { mono: Millis(self.now), wall: Stamp(self.now) }
    }

    /// Runs for some time.
    pub(super) fn run(&mut self, ms: u64) {
        let end = self.now + ms;
        while let Some(std::cmp::Reverse((at, seq))) = self.queue.peek().copied() {
            if at > end {
                break;
            }
            self.queue.pop();
            self.now = at;
            if let Some(what) = self.happenings.remove(&seq) {
                self.happen(what);
            }
        }
        self.now = end;
    }

    /// The layer above asks for something.
    pub(super) fn local(&mut self, at: At, local: Local) {
        self.feed(at, Input::Local(local));
    }

    /// A performer that took its time.
    pub(super) fn performed_late(&mut self, at: At, name: Hash) {
        let answer = Answer { kind: 1, fields: b"late".to_vec(), body: vec![3; 50] };
        self.feed(at, Input::Performed(name, answer));
    }

    /// Denials become known to a member.
    pub(super) fn publish(&mut self, at: At, cert: crate::cert::DenialCert) {
        self.feed(at, Input::Denials(Box::new(cert)));
    }

    pub(super) fn gate(&mut self, at: At, peer: u16, open: bool) {
        self.feed(at, Input::Gate(Slot(peer), open));
    }

    fn happen(&mut self, what: Happening) {
        match what {
            Happening::Instance(m) => {
                self.decide(m);
                self.later(1_000, Happening::Instance(m));
            }
            Happening::Tick => {
                let all: Vec<At> = self.members.keys().copied().collect();
                all.into_iter().for_each(|at| self.feed(at, Input::Tick));
                self.later(4_000, Happening::Tick);
            }
            Happening::Deliver((m, from), to, message) => {
                self.feed((m, to.0), Input::Message(Slot(from), message));
            }
            Happening::Perform(at, name, request) => {
                let count = self.performed.entry((at, name)).or_insert(0);
                *count += 1;
                // Another answer each time: only the cache makes the second the same as the first.
                let mut fields = request.payload.0.clone();
                fields.push(*count as u8);
                let body = vec![*count as u8; request.body_cap.0.min(200) as usize];
                let honest = Some(Answer { kind: 1, fields, body });
                let answer = match self.deviants.get(&at).and_then(|deviant| deviant.perform) {
                    Some(perform) => perform(self, at, &request),
                    None => honest,
                };
                if let Some(answer) = answer {
                    self.feed(at, Input::Performed(name, answer));
                }
            }
            Happening::Execute(at, place, work) => {
                let result = [b"did ", &work.requests()[0].payload.0[..]].concat();
                let seen = self.executed.entry((at.0, place)).or_default();
                seen.insert(at.1, result.clone());
                self.feed(at, Input::Executed(place, result));
            }
            Happening::Cross(at, from, crossing) => {
                self.feed(at, Input::Crossing(group(from), crossing));
            }
            Happening::Restart(at) => self.restart(at),
        }
    }

    fn sign<P: SignedPayload>(&self, at: At, inst: u64, payload: P) -> Signed<P> {
        self.sign_at(at, Aid { inst: Instance(inst), index: 0 }, payload)
    }

    /// Signs anything as anybody: for deviating members.
    pub(super) fn sign_at<P: SignedPayload>(&self, at: At, aid: Aid, payload: P) -> Signed<P> {
        let header = Header {
            kind: P::KIND,
            epoch: Epoch(0),
            inst: aid.inst,
            turn: aid.turn(),
            slot: Slot(at.1),
            ident: Ident(0),
        };
        Signed::new(&secret(at.0, at.1), &group(at.0), header, payload).into_inner()
    }

    /// Signs an answer as anybody.
    pub(super) fn sign_core(&self, at: At, payload: ResponseCore) -> Signed<ResponseCore> {
        let header = crate::request::outside(Kind::WorkResponse, Slot(at.1), Ident(0));
        Signed::new(&secret(at.0, at.1), &group(at.0), header, payload).into_inner()
    }

    /// One instance: the next sender proposes; honest members check; a quorum of them decides.
    fn decide(&mut self, m: usize) {
        let inst = self.machines[m].log.len() as u64;
        let n = self.machines[m].roster.slots() as u64;
        let sender = (inst % n) as u16;
        let at = (m, sender);
        let Some(core) = self.members[&at].core.as_ref() else {
            return self.append(m, sender, None);
        };
        let mut commands = core.carry(40_000);
        let mut room = 60_000 - commands.iter().map(|command| command.len() + 4).sum::<usize>();
        while let Some(next) = self.machines[m].queues[usize::from(sender)].pop_front() {
            if next.len() + 4 > room {
                self.machines[m].queues[usize::from(sender)].push_front(next);
                break;
            }
            room -= next.len() + 4;
            commands.push(next);
        }
        if let Some(propose) = self.deviants.get(&at).and_then(|deviant| deviant.propose) {
            propose(self, at, &mut commands);
        }
        let stamp = self.now.max(self.machines[m].stamps[usize::from(sender)] + 1);
        let proposal = Proposal::plain(n as usize, Stamp(stamp), commands.clone());
        let body = proposal.to_bytes();
        let stated = ValueStatement { body: Hash::of(&body), len: Size(body.len() as u64) };
        let value = Value { statement: self.sign(at, inst, stated), body: body.into() };
        self.values.push((m, value.clone()));
        let flaw = self.verdict(m, sender, &commands);
        if let Some(flaw) = flaw {
            self.nulls.push((m, sender, flaw));
            let all: Vec<At> = self.members.keys().copied().filter(|at| at.0 == m).collect();
            for judge in all {
                self.feed(judge, Input::Refused(Box::new(value.clone())));
            }
        }
        let nulled = self.deviants.get(&at).is_some_and(|deviant| deviant.nulled);
        if flaw.is_some() || nulled {
            if self.is_honest(at) || nulled {
                for command in commands.into_iter().rev() {
                    let settles = matches!(
                        Command::read(&command),
                        Some(Ok(Command::Fulfil { .. } | Command::VowDefault { .. }))
                    );
                    if !settles {
                        self.machines[m].queues[usize::from(sender)].push_front(command);
                    }
                }
            }
            return self.append(m, sender, None);
        }
        self.append(m, sender, Some((stamp, commands, value)));
    }

    /// All honest members that run must say the same.
    fn verdict(&self, m: usize, sender: u16, commands: &[Vec<u8>]) -> Option<FormFlaw> {
        let length = self.machines[m].log.len() as u64;
        let mut verdicts = BTreeSet::new();
        for (at, member) in self.members.iter().filter(|(at, _)| at.0 == m) {
            let Some(core) = member.core.as_ref().filter(|_| self.is_honest(*at)) else { continue };
            assert_eq!(core.state().next(), Instance(length));
            let verdict = core.state().check(core.context(), Slot(sender), commands);
            verdicts.insert(format!("{verdict:?}"));
            if let Err(flaw) = verdict {
                assert_eq!(verdicts.len(), 1, "honest members judge alike");
                return Some(flaw);
            }
        }
        None
    }

    fn append(&mut self, m: usize, sender: u16, decided: Option<(u64, Vec<Vec<u8>>, Value)>) {
        let inst = Instance(self.machines[m].log.len() as u64);
        let tau_prefix = self.machines[m].tau;
        let mut commands = Vec::new();
        let mut proof = None;
        if let Some((stamp, decided, value)) = decided {
            self.machines[m].stamps[usize::from(sender)] = stamp;
            commands = decided;
            proof = Some(DecidedProposal { cert: self.certify(m, &value), value });
        }
        let machine = &mut self.machines[m];
        let mut stamps = machine.stamps.clone();
        stamps.sort_unstable();
        machine.tau = machine.tau.max(Stamp(stamps[(stamps.len() - 1) / 2]));
        let decided = Decided {
            inst,
            epoch: Epoch(0),
            sender: Slot(sender),
            tau_prefix,
            tau: machine.tau,
            commands,
        };
        machine.log.push(decided);
        machine.proofs.push(proof);
        let all: Vec<At> = self.members.keys().copied().filter(|at| at.0 == m).collect();
        all.into_iter().for_each(|at| self.catch_up(at));
    }

    fn certify(&self, m: usize, value: &Value) -> DecisionCert {
        let header = value.statement.header;
        let (group, epoch) = (group(m), Epoch(0));
        let digest = value_digest(group, epoch, header.inst, header.slot, &value.statement.payload);
        let (write, max_pol) = (Hash::of(b"write"), Hash::of(b"pol"));
        let quorum = self.machines[m].roster.quorum();
        let voters = (0..quorum.n() as u16).filter(|slot| Slot(*slot) != header.slot);
        let ack = WriteAckStatement { value: digest, max_turn: Turn(0), max_pol, write };
        let entry = |slot: u16| {
            let signed = self.sign((m, slot), header.inst.0, ack);
            (Slot(slot), DecisionEntry { max_pol, signature: signed.signature })
        };
        let signers = Signers::new(voters.take(quorum.size()).map(entry));
        DecisionCert { turn: Turn(0), value: digest, write, signers }
    }

    /// Feeds a member what it has not applied of its log.
    fn catch_up(&mut self, at: At) {
        loop {
            let Some(member) = self.members.get(&at).filter(|member| member.core.is_some()) else {
                return;
            };
            let Some(decided) = self.machines[at.0].log.get(member.fed).cloned() else { return };
            self.members.get_mut(&at).unwrap().fed += 1;
            self.feed(at, Input::Decided(decided));
            // A snapshot now and then, so that a restart replays some instances.
            let Some(member) = self.members.get_mut(&at) else { return };
            if let Some(core) = member.core.as_ref()
                && core.state().next().0.is_multiple_of(7)
            {
                member.snapshot = State::from_bytes(&core.state().to_bytes()).unwrap();
                assert_eq!(member.snapshot, *core.state());
            }
        }
    }

    fn feed(&mut self, at: At, input: Input) {
        let now = self.clock();
        let Some(core) = self.members.get_mut(&at).and_then(|member| member.core.as_mut()) else {
            return;
        };
        let step = core.handle(now, input);
        self.carry_out(at, step);
    }

    fn carry_out(&mut self, at: At, step: Step) {
        for (place, effect) in step.effects.into_iter().enumerate() {
            if let Effect::Persist(records) = effect {
                assert_eq!(place, 0, "records come before everything else");
                let (before, after) = (self.crashes_now(at), self.crashes_now(at));
                if before {
                    return self.crash(at);
                }
                let disk = &mut self.members.get_mut(&at).unwrap().disk;
                for record in records {
                    match record.value {
                        Some(value) => disk.insert(record.key, value),
                        None => disk.remove(&record.key),
                    };
                }
                if after {
                    return self.crash(at);
                }
            } else {
                self.effect(at, effect);
            }
        }
    }

    fn effect(&mut self, at: At, effect: Effect) {
        match effect {
            Effect::Persist(_) => {}
            Effect::Send(to, message) => self.send(at, to, *message),
            Effect::Perform(name, request) => {
                let delay = 20 + self.random() % 50;
                self.later(delay, Happening::Perform(at, name, request));
            }
            Effect::Execute(place, work) => {
                let delay = 20 + self.random() % 50;
                self.later(delay, Happening::Execute(at, place, work));
            }
            Effect::Submit(command) => {
                self.machines[at.0].queues[usize::from(at.1)].push_back(command);
            }
            Effect::Accuse(duty) => drop(self.accused.insert((at, duty))),
            Effect::Withdraw(duty) => drop(self.accused.remove(&(at, duty))),
            Effect::Shut(peer, true) => drop(self.shut.insert((at, peer))),
            Effect::Shut(peer, false) => drop(self.shut.remove(&(at, peer))),
            Effect::Evidence(pom) => self.evidence.push((at, *pom)),
            Effect::Deliver(name, aid, outcome) => self.delivered.push((at, name, aid, outcome)),
            Effect::Direct(name, place, _) => self.direct.push((at, name, place)),
            Effect::Cross(machine, crossing) => self.cross(at, machine, *crossing),
            Effect::NeedDecision(inst) => {
                let proof = self.machines[at.0].proofs[inst.0 as usize].clone();
                let proof = proof.expect("only what was decided is asked for");
                self.feed(at, Input::Decision(Box::new(proof)));
            }
            Effect::Fault(peer, fault) => self.faults.push((at, peer, fault)),
            Effect::Refused(_, refusal) => self.refused.push((at, refusal)),
            Effect::Misuse(what) => {
                assert!(!self.is_honest(at), "{at:?} misuses its core: {what}");
            }
        }
    }

    fn send(&mut self, at: At, to: Slot, message: Message) {
        let messages = match self.deviants.get(&at).and_then(|deviant| deviant.send) {
            Some(send) => send(self, at, to, message),
            None => vec![(to, message)],
        };
        for (to, message) in messages {
            let bytes = message.to_bytes();
            let again = Message::from_bytes(&bytes).expect("what is sent can be read");
            assert_eq!(again.to_bytes(), bytes);
            *self.sent_bytes.entry(at).or_default() += bytes.len() as u64;
            self.sent.push((at, to, again.clone()));
            let delay = 5 + self.random() % 400;
            self.later(delay, Happening::Deliver(at, to, Box::new(again)));
        }
    }

    fn cross(&mut self, at: At, machine: GroupId, crossing: Crossing) {
        let Some(other) = (0..self.machines.len()).find(|m| group(*m) == machine) else { return };
        let link = self.links[at.0].get(machine).expect("only linked machines");
        let there = link.overlap.iter().find(|(own, _)| own.0 == at.1);
        let Some((_, there)) = there.copied() else { return };
        let crossing = match self.deviants.get(&at).and_then(|deviant| deviant.cross) {
            Some(cross) => cross(self, at, crossing),
            None => Some(crossing),
        };
        if let Some(crossing) = crossing {
            self.later(1, Happening::Cross((other, there.0), at.0, Box::new(crossing)));
        }
    }

    fn crashes_now(&mut self, at: At) -> bool {
        self.crash_per_mille > 0
            && self.is_honest(at)
            && self.random() % 1000 < self.crash_per_mille
    }

    /// A member loses everything but its disk. What was on the way to it is lost too.
    pub(super) fn crash(&mut self, at: At) {
        self.crashes += 1;
        self.members.get_mut(&at).unwrap().core = None;
        self.shut.retain(|(accuser, _)| *accuser != at);
        self.accused.retain(|(accuser, _)| *accuser != at);
        self.machines[at.0].queues[usize::from(at.1)].clear();
        let slots = self.machines[at.0].roster.slots() as u16;
        for peer in (0..slots).filter(|peer| *peer != at.1) {
            self.feed((at.0, peer), Input::Gate(Slot(at.1), false));
        }
        let away = 500 + self.random() % 4_000;
        self.later(away, Happening::Restart(at));
    }

    fn restart(&mut self, at: At) {
        let config = self.config(at);
        let now = self.clock();
        let member = self.members.get_mut(&at).unwrap();
        if member.core.is_some() {
            return;
        }
        let records: Vec<Record> = member
            .disk
            .iter()
            .map(|(key, value)| {
                let key = Key::from_bytes(&key.to_bytes()).unwrap();
                Record { key, value: Some(value.clone()) }
            })
            .collect();
        let snapshot = member.snapshot.clone();
        member.fed = snapshot.next().0 as usize;
        let (core, step) =
            Core::restore(config, secret(at.0, at.1), snapshot, records, now).unwrap();
        member.core = Some(core);
        self.carry_out(at, step);
        self.catch_up(at);
        let slots = self.machines[at.0].roster.slots() as u16;
        for peer in (0..slots).filter(|peer| *peer != at.1) {
            self.feed(at, Input::Gate(Slot(peer), true));
            self.feed((at.0, peer), Input::Gate(Slot(at.1), true));
            self.feed(at, Input::LinkUp(Slot(peer)));
            self.feed((at.0, peer), Input::LinkUp(Slot(at.1)));
        }
    }

    pub(super) fn kinds_against(&self, at: At) -> BTreeSet<PomKind> {
        let of = |(by, pom): &&(At, Pom)| by.0 == at.0 && pom.accused.0 == at.1;
        self.evidence.iter().filter(of).map(|(_, pom)| pom.kind()).collect()
    }

    pub(super) fn answers_of(&self, at: At) -> Vec<&ResponseCore> {
        let answer = |one: &'_ (At, Hash, Aid, Outcome)| one.0 == at;
        self.delivered
            .iter()
            .filter(|one| answer(one))
            .filter_map(|(_, _, _, outcome)| match outcome {
                Outcome::Answer(answered) => Some(&answered.core.payload),
                _ => None,
            })
            .collect()
    }

    pub(super) fn listed_by(&self, at: At) -> BTreeSet<u16> {
        let by = self.accused.iter().filter(|(accuser, _)| *accuser == at);
        by.map(|(_, duty)| duty.peer.0).collect()
    }
}
