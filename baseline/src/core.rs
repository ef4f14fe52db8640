//! The normal case: commands go to the leader, a value passes two rounds of votes, and is executed.

use crate::message::*;
use bart_rsm::{
    Config, ConfigError, Effect, Fault, Input, Machine, Now, Proposal, Record, RecordKey, Refusal,
    Stats, Step,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use types::limits::COMMANDS_MAX;
use types::{
    Encode, Epoch, GroupId, Hash, Header, Ident, Instance, Kind, Millis, SecretKey, Signed,
    SignedPayload, Slot, Stamp, Turn, Writer,
};

/// Bytes of commands that a member holds for all origins together.
pub const QUEUE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Decided instances kept for members that lag.
pub const KEEP: u64 = 64;

/// A value and its certificate.
pub(crate) type Certified = (Cert, Arc<[u8]>);

/// One member. Pure, like `bart_rsm::Core`.
pub struct Baseline {
    pub(crate) config: Config,
    key: SecretKey,
    group: GroupId,
    pub(crate) me: Slot,
    pub(crate) q: usize,
    pub(crate) now: Now,
    pub(crate) up: BTreeSet<Slot>,
    /// The instance that is being decided; all before it are executed.
    pub(crate) current: Instance,
    pub(crate) view: Turn,
    /// Where the view was established, and what its first value there must be. None while it is not.
    pub(crate) established: Option<(Instance, Option<Hash>)>,
    /// What established it, to show to members that missed it.
    pub(crate) proof: Option<Message>,
    // The current instance.
    pub(crate) proposal: Option<(Signed<Proposed>, Arc<[u8]>)>,
    /// Bodies seen in this instance, by digest.
    pub(crate) bodies: BTreeMap<Hash, Arc<[u8]>>,
    voted: Option<(Turn, Signed<Voted>)>,
    committed: Option<(Turn, Signed<Committing>)>,
    pub(crate) lock: Option<Certified>,
    votes: BTreeMap<Slot, types::Signature>,
    commits: BTreeMap<Slot, types::Signature>,
    locked: Option<Cert>,
    // Across instances.
    pub(crate) changes: BTreeMap<(Turn, Slot), (Signed<Leaving>, Option<Certified>)>,
    pub(crate) decided: BTreeMap<Instance, Certified>,
    pub(crate) asked: BTreeMap<Slot, (Instance, Turn)>,
    /// Highest number executed of each origin.
    executed: BTreeMap<Slot, u64>,
    /// Commands that wait, by origin and number.
    pub(crate) pool: BTreeMap<(Slot, u64), Vec<u8>>,
    pool_bytes: usize,
    own: VecDeque<(u64, u64)>,
    next_number: u64,
    pub(crate) deadline: Option<Millis>,
    /// The members were told of our commands, not only the leader.
    pub(crate) shouted: bool,
    pub(crate) fruitless: u32,
    signatures: u64,
    verifications: u64,
    pub(crate) out: Vec<Effect<Message>>,
    pub(crate) faults: Vec<(Slot, Fault)>,
}

impl Baseline {
    /// A member that has never run.
    pub fn new(config: Config, key: SecretKey) -> Result<Self, ConfigError> {
        // The same checks of slot, key and parameters.
        drop(bart_rsm::Core::new(config.clone(), key.clone())?);
        let roster = Arc::clone(&config.roster);
        // A name of its own: no signature from here is worth anything in the real log.
        let group = GroupId(Hash::tagged("baseline", roster.group().0.as_bytes()));
        Ok(Self {
            key,
            group,
            me: config.slot,
            q: roster.quorum().size(),
            now: Now { mono: Millis(0), wall: Stamp(0) },
            up: BTreeSet::new(),
            current: Instance(0),
            view: Turn(0),
            established: Some((Instance(0), None)),
            proof: None,
            proposal: None,
            bodies: BTreeMap::new(),
            voted: None,
            committed: None,
            lock: None,
            votes: BTreeMap::new(),
            commits: BTreeMap::new(),
            locked: None,
            changes: BTreeMap::new(),
            decided: BTreeMap::new(),
            asked: BTreeMap::new(),
            executed: BTreeMap::new(),
            pool: BTreeMap::new(),
            pool_bytes: 0,
            own: VecDeque::new(),
            next_number: 0,
            deadline: None,
            shouted: false,
            fruitless: 0,
            signatures: 0,
            verifications: 0,
            out: Vec::new(),
            faults: Vec::new(),
            config,
        })
    }

    pub(crate) fn leader(&self, view: Turn) -> Slot {
        Slot((view.0 as usize % self.config.roster.slots()) as u16)
    }

    pub(crate) fn leads(&self) -> bool {
        self.leader(self.view) == self.me
    }

    pub(crate) fn others(&self) -> Vec<Slot> {
        self.config.roster.all().filter(|slot| *slot != self.me).collect()
    }

    pub(crate) fn send(&mut self, to: Slot, message: Message) {
        if self.up.contains(&to) {
            self.out.push(Effect::Send { to, message });
        }
    }

    pub(crate) fn send_all(&mut self, message: &Message) {
        for to in self.others() {
            self.send(to, message.clone());
        }
    }

    pub(crate) fn fault(&mut self, from: Slot, fault: Fault) {
        self.faults.push((from, fault));
    }

    // --- signatures ---------------------------------------------------------------------------

    pub(crate) fn sign<P: SignedPayload>(&mut self, payload: P) -> Signed<P> {
        self.signatures += 1;
        let header = Header {
            kind: P::KIND,
            epoch: Epoch(0),
            inst: self.current,
            turn: self.view,
            slot: self.me,
            ident: self.config.ident,
        };
        Signed::new(&self.key, &self.group, header, payload).into_inner()
    }

    pub(crate) fn check<P: SignedPayload>(&mut self, from: Slot, signed: &Signed<P>) -> bool {
        let header = signed.header;
        header.slot == from && {
            let bytes = signed.payload.to_bytes();
            self.check_bytes(header, &bytes, &signed.signature)
        }
    }

    fn check_bytes(
        &mut self,
        header: Header,
        payload: &[u8],
        signature: &types::Signature,
    ) -> bool {
        self.verifications += 1;
        let key = self.config.roster.active_key(header.slot);
        header.epoch == Epoch(0)
            && key.is_some_and(|key| key.verify(&self.group, &header, payload, signature).is_ok())
    }

    /// A quorum of different members signed `value` at the certificate's place.
    pub(crate) fn check_cert(&mut self, cert: &Cert, kind: Kind) -> bool {
        let slots: BTreeSet<Slot> = cert.votes.iter().map(|(slot, _)| *slot).collect();
        let payload = cert.value.to_bytes();
        slots.len() == self.q
            && cert.votes.len() == self.q
            && cert.votes.iter().all(|(slot, signature)| {
                let (epoch, inst, turn) = (Epoch(0), cert.inst, cert.view);
                let header = Header { kind, epoch, inst, turn, slot: *slot, ident: Ident(0) };
                self.check_bytes(header, &payload, signature)
            })
    }

    // --- commands -----------------------------------------------------------------------------

    fn submit(&mut self, ticket: u64, bytes: Vec<u8>) {
        let max = types::limits::COMMAND_LEN_MAX;
        if bytes.is_empty() || bytes.len() > max {
            let reason = Refusal::TooLong { len: bytes.len(), max };
            return self.out.push(Effect::Refused { ticket, reason });
        }
        if !self.enqueue(ticket, bytes) {
            self.out.push(Effect::Refused { ticket, reason: Refusal::QueueFull });
        }
    }

    fn enqueue(&mut self, ticket: u64, bytes: Vec<u8>) -> bool {
        // The clock keeps numbers of a later life above those of an earlier one.
        self.next_number = self.next_number.max(self.now.wall.0 << 16) + 1;
        let number = self.next_number;
        let command = Command { origin: self.me, number, bytes };
        if !self.pool_add(command.clone()) {
            return false;
        }
        self.own.push_back((number, ticket));
        if !self.leads() {
            self.send(self.leader(self.view), Message::Forward(vec![command]));
        }
        true
    }

    /// Our commands that wait.
    pub(crate) fn own_commands(&self) -> Vec<Command> {
        let own = self.pool.range((self.me, 0)..=(self.me, u64::MAX));
        let mut room = 4 * self.config.params.v_max;
        own.map_while(|((origin, number), bytes)| {
            room = room.checked_sub(bytes.len())?;
            Some(Command { origin: *origin, number: *number, bytes: bytes.clone() })
        })
        .take(COMMANDS_MAX)
        .collect()
    }

    /// Forgets what can no longer be executed: numbers up to the last one of their origin. Ours among
    /// them were overtaken on the way to a new leader, and get new numbers.
    fn clean_pool(&mut self) {
        let mut overtaken = Vec::new();
        for (origin, last) in self.executed.clone() {
            let old: Vec<_> =
                self.pool.range((origin, 0)..=(origin, last)).map(|(key, _)| *key).collect();
            for key in old {
                let Some(bytes) = self.pool.remove(&key) else { continue };
                self.pool_bytes -= bytes.len();
                if let Some((_, ticket)) = self.own.front().filter(|(no, _)| key == (self.me, *no))
                {
                    overtaken.push((*ticket, bytes));
                    self.own.pop_front();
                }
            }
        }
        for (ticket, bytes) in overtaken {
            self.enqueue(ticket, bytes);
        }
    }

    fn pool_add(&mut self, command: Command) -> bool {
        let known = self.executed.get(&command.origin).is_some_and(|last| command.number <= *last);
        if known || self.pool_bytes + command.bytes.len() > QUEUE_BYTES_MAX {
            return known;
        }
        let len = command.bytes.len();
        if self.pool.insert((command.origin, command.number), command.bytes).is_none() {
            self.pool_bytes += len;
        }
        self.arm();
        true
    }

    /// The next batch: of every origin the lowest numbers, up to the size of a proposal.
    fn batch(&self) -> Vec<Command> {
        let mut room = self.config.params.v_max.saturating_sub(4);
        let mut batch = Vec::new();
        for ((origin, number), bytes) in &self.pool {
            let len = 2 + 8 + 4 + bytes.len();
            if len > room || batch.len() == COMMANDS_MAX {
                break;
            }
            room -= len;
            batch.push(Command { origin: *origin, number: *number, bytes: bytes.clone() });
        }
        batch
    }

    // --- the normal case ----------------------------------------------------------------------

    /// The leader's next value: the one that the view change left, or a batch.
    pub(crate) fn propose(&mut self) {
        let Some((at, wanted)) = self.established.filter(|_| self.leads()) else { return };
        if self.proposal.is_some() {
            return;
        }
        let body = match wanted.filter(|_| at == self.current) {
            Some(value) => match self.bodies.get(&value) {
                Some(body) => Arc::clone(body),
                None => return,
            },
            None => {
                let batch = self.batch();
                if batch.is_empty() {
                    return;
                }
                body_of(&batch)
            }
        };
        let core = self.sign(Proposed(Hash::of(&body)));
        self.send_all(&Message::Propose(core.clone(), Arc::clone(&body)));
        self.on_propose(self.me, core, body);
    }

    fn on_propose(&mut self, from: Slot, core: Signed<Proposed>, body: Arc<[u8]>) {
        let (view, value) = (core.header.turn, core.payload.0);
        if view != self.view || from != self.leader(view) {
            return;
        }
        let Some((at, wanted)) = self.established else {
            return self.send(from, Message::Fetch(self.current, view));
        };
        if at == self.current && wanted.is_some_and(|wanted| wanted != value) {
            return self.fault(from, Fault::Unexpected(Kind::Value));
        }
        let own = from == self.me;
        let fits = body.len() <= self.config.params.v_max && Hash::of(&body) == value;
        if !fits || commands_of(&body).is_err() || !(own || self.check(from, &core)) {
            return self.fault(from, Fault::BadSignature(Kind::Value));
        }
        self.arm();
        if let Some((at, vote)) = &self.voted
            && *at == view
        {
            // A repetition gets the same vote, another value none.
            if vote.payload.0 == value {
                let vote = vote.clone();
                self.send(from, Message::Vote(vote));
            }
            return;
        }
        self.keep_body(value, &body);
        let vote = self.sign(Voted(value));
        self.voted = Some((view, vote.clone()));
        self.proposal = Some((core, body));
        self.save();
        match own {
            true => self.on_vote(from, vote),
            false => self.send(from, Message::Vote(vote)),
        }
    }

    fn on_vote(&mut self, from: Slot, vote: Signed<Voted>) {
        let Some((core, _)) = self.proposal.as_ref().filter(|_| self.leads()) else { return };
        let value = core.payload.0;
        let right = vote.header.turn == self.view && vote.payload.0 == value;
        if !right || self.locked.is_some() || self.votes.contains_key(&from) {
            return;
        }
        if from != self.me && !self.check(from, &vote) {
            return self.fault(from, Fault::BadSignature(Kind::AgreeAck));
        }
        self.votes.insert(from, vote.signature);
        if self.votes.len() == self.q {
            let votes = std::mem::take(&mut self.votes).into_iter().collect();
            let cert = Cert { inst: self.current, view: self.view, value, votes };
            self.locked = Some(cert.clone());
            self.send_all(&Message::Lock(cert.clone()));
            self.on_lock(self.me, cert);
        }
    }

    fn on_lock(&mut self, from: Slot, cert: Cert) {
        let (view, value) = (cert.view, cert.value);
        if view != self.view || from != self.leader(view) {
            return;
        }
        let Some(body) = self.bodies.get(&value).cloned() else { return };
        if let Some((at, commit)) = &self.committed
            && *at == view
        {
            let commit = commit.clone();
            return self.send(from, Message::Commit(commit));
        }
        if from != self.me && !self.check_cert(&cert, Kind::AgreeAck) {
            return self.fault(from, Fault::BadSignature(Kind::Write));
        }
        self.lock = Some((cert, body));
        let commit = self.sign(Committing(value));
        self.committed = Some((view, commit.clone()));
        self.save();
        match from == self.me {
            true => self.on_commit(from, commit),
            false => self.send(from, Message::Commit(commit)),
        }
    }

    fn on_commit(&mut self, from: Slot, commit: Signed<Committing>) {
        let Some(locked) = self.locked.as_ref().filter(|_| self.leads()) else { return };
        let value = locked.value;
        let right = commit.header.turn == self.view && commit.payload.0 == value;
        if !right || self.commits.contains_key(&from) {
            return;
        }
        if from != self.me && !self.check(from, &commit) {
            return self.fault(from, Fault::BadSignature(Kind::WriteAck));
        }
        self.commits.insert(from, commit.signature);
        if self.commits.len() == self.q {
            let votes = std::mem::take(&mut self.commits).into_iter().collect();
            let cert = Cert { inst: self.current, view: self.view, value, votes };
            self.send_all(&Message::Decide(cert.clone(), None));
            self.decide(cert);
        }
    }

    pub(crate) fn on_decide(&mut self, from: Slot, cert: Cert, body: Option<Arc<[u8]>>) {
        let body = body.filter(|body| Hash::of(body) == cert.value);
        let Some(body) = body.or_else(|| self.bodies.get(&cert.value).cloned()) else {
            return self.send(from, Message::Fetch(self.current, self.view));
        };
        if !self.check_cert(&cert, Kind::WriteAck) {
            return self.fault(from, Fault::BadSignature(Kind::ShowQuorum));
        }
        self.keep_body(cert.value, &body);
        self.decide(cert);
    }

    fn decide(&mut self, cert: Cert) {
        let Some(body) = self.bodies.get(&cert.value).cloned() else { return };
        let (inst, sender) = (self.current, self.leader(cert.view));
        self.decided.insert(inst, (cert, Arc::clone(&body)));
        if let Some(old) = inst.0.checked_sub(KEEP) {
            self.decided.remove(&Instance(old));
        }
        self.save();
        let (mut commands, mut settled) = (Vec::new(), Vec::new());
        for command in commands_of(&body).unwrap_or_default() {
            let last = self.executed.entry(command.origin).or_default();
            if command.number <= *last {
                continue;
            }
            *last = command.number;
            if let Some(bytes) = self.pool.remove(&(command.origin, command.number)) {
                self.pool_bytes -= bytes.len();
            }
            let mine = command.origin == self.me;
            let at = self.own.iter().position(|(number, _)| mine && *number == command.number);
            if let Some((_, ticket)) = at.and_then(|at| self.own.remove(at)) {
                settled.push((ticket, commands.len()));
            }
            commands.push(command.bytes);
        }
        let proposal = Proposal::plain(0, self.now.wall, commands);
        let (proposal, tau) = (Some(Arc::new(proposal)), Stamp(0));
        self.out.push(Effect::Apply { inst, sender, proposal, tau });
        for (ticket, index) in settled {
            self.out.push(Effect::Committed { ticket, inst, index });
        }
        self.next_instance();
    }

    fn next_instance(&mut self) {
        self.current = Instance(self.current.0 + 1);
        self.bodies.clear();
        (self.voted, self.committed, self.lock) = (None, None, None);
        (self.shouted, self.fruitless, self.deadline) = (false, 0, None);
        self.clear_lead();
        self.clean_pool();
        self.changes.retain(|(view, _), _| *view > self.view);
        if self.established.is_none() {
            self.say_leaving();
        }
        if !self.pool.is_empty() {
            self.arm();
        }
        self.propose();
    }

    pub(crate) fn clear_lead(&mut self) {
        (self.proposal, self.locked) = (None, None);
        self.votes.clear();
        self.commits.clear();
    }

    /// Writes a body once, before the record that names it.
    pub(crate) fn keep_body(&mut self, value: Hash, body: &Arc<[u8]>) {
        if self.bodies.insert(value, Arc::clone(body)).is_none() {
            let key = RecordKey::Body(self.current, value);
            self.out.push(Effect::Persist(Record { key, value: body.to_vec() }));
        }
    }

    /// What must not be forgotten about the current instance; before what rests on it leaves.
    pub(crate) fn save(&mut self) {
        let mut out = Writer::new();
        out.put(&self.view);
        out.put(&self.voted.as_ref().map(|(_, vote)| vote.clone()));
        out.put(&self.committed.as_ref().map(|(_, commit)| commit.clone()));
        out.put(&self.lock.as_ref().map(|(cert, _)| cert.clone()));
        out.put(&self.decided.get(&self.current).map(|(cert, _)| cert.clone()));
        let key = RecordKey::Instance(self.current);
        self.out.push(Effect::Persist(Record { key, value: out.finish() }));
    }

    fn on_message(&mut self, from: Slot, message: Message) {
        let inst = match &message {
            Message::Propose(core, _) => core.header.inst,
            Message::Vote(core) => core.header.inst,
            Message::Commit(core) => core.header.inst,
            Message::Lock(cert) | Message::Decide(cert, _) => cert.inst,
            Message::ViewChange(core, _) => core.header.inst,
            _ => self.current,
        };
        if inst > self.current {
            return self.ask(from, self.view);
        }
        if inst < self.current {
            if matches!(message, Message::ViewChange(..)) {
                self.serve(from, inst);
            }
            return;
        }
        match message {
            Message::Forward(commands) => {
                for command in commands {
                    self.pool_add(command);
                }
            }
            Message::Propose(core, body) => self.on_propose(from, core, body),
            Message::Vote(vote) => self.on_vote(from, vote),
            Message::Lock(cert) => self.on_lock(from, cert),
            Message::Commit(commit) => self.on_commit(from, commit),
            Message::Decide(cert, body) => self.on_decide(from, cert, body),
            Message::ViewChange(core, lock) => self.on_view_change(from, core, lock),
            Message::NewView(changes, lock) => self.on_new_view(from, changes, lock),
            Message::Fetch(inst, view) => self.on_fetch(from, inst, view),
        }
    }

    fn finish(&mut self) -> Step<Message> {
        // Records first: a vote never leaves before what it promises.
        let out = std::mem::take(&mut self.out);
        let (mut effects, later): (Vec<_>, Vec<_>) =
            out.into_iter().partition(|effect| matches!(effect, Effect::Persist(_)));
        effects.extend(later);
        Step { effects, faults: std::mem::take(&mut self.faults) }
    }
}

impl Machine for Baseline {
    type Message = Message;

    fn start(&mut self, now: Now) -> Step<Message> {
        self.now = now;
        Step::default()
    }

    fn handle(&mut self, now: Now, input: Input<Message>) -> Step<Message> {
        self.now = now;
        match input {
            Input::Message { from, message } => self.on_message(from, message),
            Input::LinkUp(peer) => self.on_link_up(peer),
            Input::LinkDown(peer) => {
                self.up.remove(&peer);
                self.asked.remove(&peer);
            }
            Input::Tick => {}
            Input::Submit { ticket, command } => self.submit(ticket, command),
            // Nobody is convicted here, and nobody leaves.
            Input::Reform { ticket, .. } => {
                self.out.push(Effect::Refused { ticket, reason: Refusal::NoAuthority });
            }
            Input::Loaded(_) | Input::LoadMissing(_) | Input::Digest { .. } | Input::Proof(_) => {}
        }
        self.on_time();
        self.propose();
        self.finish()
    }

    fn next_wakeup(&self) -> Option<Millis> {
        self.deadline
    }

    fn stats(&self) -> Stats {
        Stats {
            instances: self.decided.len(),
            queued_commands: self.own.len(),
            signatures: self.signatures,
            verifications: self.verifications,
            ..Stats::default()
        }
    }
}
