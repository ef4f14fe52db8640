//! The step function: inputs in, effects out (specification section 12).

use crate::batch::Batch;
use crate::checkpoint::OwnCheckpoint;
use crate::config::{Config, ConfigError, Now};
use crate::costs::Costs;
use crate::effect::{Alarm, Duty, Effect, Fault, Input, Stats, Step};
use crate::epoch::{Epoch, Schedule};
use crate::inst::Inst;
use crate::message::{Message, SlotSet};
use crate::peer::Peer;
use crate::record::{LogRecord, Record, RecordKey, body_record, inst_record};
use crate::residence::Load;
use crate::sign_once::{Refused, SignOnce};
use crate::standing::Pending;
use crate::time::LogState;
use crate::untimely::Marks;
use crate::verify::{Place, Verifier};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use types::{Hash, Instance, Millis, Quorum, SecretKey, Signed, SignedPayload, Slot, Stamp, Turn};

/// Rounds of sending and retrying in one step; each round needs progress, so this is never reached.
const ROUNDS_MAX: usize = 10_000;

/// What became of a message.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Used, or a harmless repetition.
    Done,
    /// Its gate is closed or its place is not reached.
    Park,
    /// Refused.
    Fault(Fault),
}

/// One member of the state machine. Pure: it sends, stores and waits through effects only. It is
/// `Clone` for exhaustive exploration: a copy that runs beside its original signs twice.
#[derive(Debug, Clone)]
pub struct Core {
    pub(crate) config: Config,
    pub(crate) me: Slot,
    /// Pads and fees, by the size of the roster.
    pub(crate) costs: Vec<(Quorum, Costs)>,
    /// The roster of every instance.
    pub(crate) schedule: Schedule,
    pub(crate) signer: SignOnce,
    pub(crate) verifier: Verifier,
    pub(crate) insts: BTreeMap<Instance, Inst>,
    /// The first instance that is not decided; everything before it is applied.
    pub(crate) current: Instance,
    /// Instances below this are entered.
    pub(crate) entered: Instance,
    pub(crate) log: LogState,
    pub(crate) peers: Vec<Peer>,
    pub(crate) batch: Batch,
    /// Orders that wait for our proposals.
    pub(crate) pending: Pending,
    pub(crate) now: Now,
    /// In each instance under way: the turn whose timer runs.
    pub(crate) timers: BTreeMap<Instance, (u32, Millis)>,
    /// When our own instance under way is proposed.
    pub(crate) propose_at: Option<(Instance, Millis)>,
    pub(crate) entered_at: Millis,
    pub(crate) awake_until: Instance,
    pub(crate) woke: Option<Instance>,
    /// Whom we found untimely.
    pub(crate) marks: Marks,
    /// Led turns that are not judged yet.
    pub(crate) unjudged: BTreeSet<(Instance, u32)>,
    /// Where we started: our timers say nothing about others there.
    pub(crate) judge_after: Instance,
    pub(crate) loads: BTreeMap<Instance, Load>,
    pub(crate) asks: crate::resume::Asks,
    pub(crate) collector: crate::pom::Collector,
    pub(crate) alarmed: bool,
    pub(crate) running: bool,
    /// What has rules of its own for proposals.
    pub(crate) layer: Option<Box<dyn crate::layer::Layer>>,
    // What this step collects.
    pub(crate) out: Vec<Effect>,
    pub(crate) faults: Vec<(Slot, Fault)>,
    pub(crate) new_bodies: Vec<Record>,
    pub(crate) new_epochs: Vec<Record>,
    pub(crate) save: BTreeSet<Instance>,
    pub(crate) save_log: bool,
    /// Something below some peer's `closed` is open again, which must be durable before what reopened the instance.
    pub(crate) reopened: bool,
    /// The log state of the last durable record.
    pub(crate) durable_log: LogState,
    /// The first instance on disk; what is below was closed by everybody and erased.
    pub(crate) floor: Instance,
    /// The marks of the last durable record.
    pub(crate) durable_marks: Marks,
    pub(crate) checkpoint: OwnCheckpoint,
    /// Instances whose cursors changed since their record was written.
    pub(crate) unsaved: BTreeSet<Instance>,
    pub(crate) dirty_insts: BTreeSet<Instance>,
    pub(crate) dirty_peers: SlotSet,
    /// For simulations of faulty members only.
    #[cfg_attr(not(feature = "broken-rules"), allow(dead_code))]
    pub(crate) tamper: crate::tamper::Tamper,
}

impl Core {
    /// A member that has never run.
    pub fn new(config: Config, key: SecretKey) -> Result<Self, ConfigError> {
        config.check(&key)?;
        let roster = Arc::clone(&config.roster);
        let (me, slots) = (config.slot, roster.slots());
        let signer = SignOnce::new(key, roster.group(), config.rules, me, config.ident);
        let schedule = Schedule::new(&roster);
        let zero = Millis(0);
        Ok(Self {
            me,
            costs: vec![(roster.quorum(), config.costs(roster.quorum()))],
            signer,
            verifier: Verifier::new(schedule.clone(), config.rules),
            schedule,
            insts: BTreeMap::new(),
            current: Instance(0),
            entered: Instance(0),
            log: LogState::new(slots),
            peers: (0..slots).map(|_| Peer::new(config.params.gamma_ms)).collect(),
            batch: Batch::default(),
            pending: Pending::default(),
            now: Now { mono: zero, wall: Stamp(0) },
            timers: BTreeMap::new(),
            propose_at: None,
            entered_at: zero,
            awake_until: Instance(0),
            woke: None,
            marks: Marks::new(slots),
            unjudged: BTreeSet::new(),
            judge_after: Instance(0),
            loads: BTreeMap::new(),
            asks: Default::default(),
            collector: Default::default(),
            alarmed: false,
            running: false,
            layer: None,
            out: Vec::new(),
            faults: Vec::new(),
            new_bodies: Vec::new(),
            new_epochs: Vec::new(),
            save: BTreeSet::new(),
            save_log: false,
            reopened: false,
            durable_log: LogState::new(slots),
            floor: Instance(0),
            durable_marks: Marks::new(slots),
            checkpoint: OwnCheckpoint::default(),
            unsaved: BTreeSet::new(),
            dirty_insts: BTreeSet::new(),
            dirty_peers: SlotSet::default(),
            tamper: Default::default(),
            config,
        })
    }

    /// The first call after `new` or `restore`.
    pub fn start(&mut self, now: Now) -> Step {
        self.now = now;
        if !self.running {
            self.running = true;
            self.erase_leftovers();
            self.replay();
            self.entered = self.current;
            self.entered_at = now.mono;
            self.enter_window();
            self.judge_after = self.last_entered();
            self.tell_roster();
            self.settle();
        }
        self.finish()
    }

    /// Takes one input.
    pub fn handle(&mut self, now: Now, input: Input) -> Step {
        self.now = Now { mono: now.mono.max(self.now.mono), wall: now.wall };
        if self.running {
            match input {
                Input::Message { from, message } => self.on_message(from, message),
                Input::LinkUp(peer) => self.on_link_up(peer),
                Input::LinkDown(peer) => self.on_link_down(peer),
                Input::Tick => {}
                Input::Submit { ticket, command } => self.on_submit(ticket, command),
                Input::Proof(pom) => self.on_proof(&pom),
                Input::Reform { ticket, reform } => self.on_reform(ticket, reform),
                Input::Digest { inst, state } => self.on_digest(inst, state),
                Input::Loaded(record) => self.on_loaded(record),
                Input::LoadMissing(key) => self.on_load_missing(key),
            }
            self.on_time();
            self.settle();
            self.evict();
            self.collect_garbage();
        }
        self.finish()
    }

    /// When the next [`Input::Tick`] is due.
    pub fn next_wakeup(&self) -> Option<Millis> {
        let timers = self.timers.values().map(|(_, at)| *at);
        let propose = self.propose_at.map(|(_, at)| at);
        let resend = self.peers.iter().filter_map(|peer| peer.resend_at);
        timers.chain(propose).chain(resend).chain(self.ask_due()).min()
    }

    /// Everything up to here is decided and was handed to `Apply`.
    pub fn decided_upto(&self) -> Option<Instance> {
        self.current.back(1)
    }

    /// Whether no command waits, nothing is parked, and no peer owes an answer.
    pub fn is_idle(&self) -> bool {
        self.batch.is_empty()
            && !self.has_orders()
            && self.peers.iter().all(|peer| peer.parking.is_empty())
            && self.residual_duties().iter().all(|(_, _, duty)| *duty == Duty::SenderTurn)
    }

    /// Outstanding duties of peers towards us in resident instances; the current instance's own
    /// sender duty and reports are among them.
    pub fn residual_duties(&self) -> Vec<(Slot, Instance, Duty)> {
        let mut all = Vec::new();
        for inst in self.insts.values() {
            for peer in self.others() {
                // A discharge may be forgotten in a crash where only `closed` was durable.
                if self.peer_ref(peer).is_some_and(|state| !state.is_open(inst.no)) {
                    continue;
                }
                self.each_duty(peer, inst, &mut |_, duty| all.push((peer, inst.no, duty)));
            }
        }
        all
    }

    /// What this core holds and did.
    pub fn stats(&self) -> Stats {
        Stats {
            instances: self.insts.len(),
            parked_messages: self.peers.iter().map(|peer| peer.parking.len()).sum(),
            parked_bytes: self.peers.iter().map(|peer| peer.parking.bytes()).sum(),
            parked_dropped: self.peers.iter().map(|peer| peer.dropped).sum(),
            queued_commands: self.batch.len(),
            verifications: self.verifier.count(),
            signatures: self.signer.count(),
            loads: self.loads.len(),
        }
    }

    // --- helpers shared by the step files -----------------------------------------------------

    /// Who takes part in an instance.
    pub(crate) fn epoch(&self, inst: Instance) -> &Epoch {
        self.schedule.at(inst)
    }

    /// The quorum size of an instance.
    pub(crate) fn q(&self, inst: Instance) -> usize {
        self.config.rules.quorum_size(&self.schedule.quorum(inst))
    }

    /// Pads and fees in an instance.
    pub(crate) fn costs(&self, inst: Instance) -> Costs {
        let quorum = self.schedule.quorum(inst);
        let known = self.costs.iter().find(|(of, _)| *of == quorum);
        known.map_or_else(|| self.config.costs(quorum), |(_, costs)| *costs)
    }

    /// Computes the pads and fees of an instance's roster, once a size.
    pub(crate) fn know_costs(&mut self, inst: Instance) {
        let quorum = self.schedule.quorum(inst);
        if !self.costs.iter().any(|(of, _)| *of == quorum) {
            self.costs.push((quorum, self.config.costs(quorum)));
        }
    }

    /// The slots of an instance, expelled ones included: the length of every vector.
    pub(crate) fn slots(&self, inst: Instance) -> usize {
        self.epoch(inst).roster.slots()
    }

    /// Instances in one rotation, now.
    pub(crate) fn rotation(&self) -> u64 {
        self.schedule.rotation(self.current)
    }

    /// Live members but us, now.
    pub(crate) fn others(&self) -> Vec<Slot> {
        let live = self.schedule.live(self.current);
        live.iter().copied().filter(|slot| *slot != self.me).collect()
    }

    pub(crate) fn peer(&mut self, slot: Slot) -> Option<&mut Peer> {
        self.peers.get_mut(usize::from(slot.0))
    }

    pub(crate) fn peer_ref(&self, slot: Slot) -> Option<&Peer> {
        self.peers.get(usize::from(slot.0))
    }

    pub(crate) fn is_up(&self, slot: Slot) -> bool {
        self.peer_ref(slot).is_some_and(|peer| peer.up)
    }

    pub(crate) fn place(&self, inst: Instance) -> Place {
        Place { inst, sender: self.schedule.sender(inst) }
    }

    /// Whether an instance is decided and applied.
    pub(crate) fn is_decided(&self, inst: Instance) -> bool {
        inst < self.current
    }

    /// The digest that stands for NULL in an instance.
    pub(crate) fn null(&self, inst: Instance) -> Hash {
        let roster = &self.epoch(inst).roster;
        let sender = self.schedule.sender(inst);
        crate::message::null_digest(roster.group(), roster.epoch(), inst, sender)
    }

    /// Something changed in an instance: send what became due.
    pub(crate) fn touch(&mut self, inst: Instance) {
        self.dirty_insts.insert(inst);
        self.unsaved.insert(inst);
    }

    /// Signs through the log and marks the instance's record for writing before any send.
    pub(crate) fn sign<P: SignedPayload>(
        &mut self,
        inst: Instance,
        turn: u32,
        payload: P,
    ) -> Option<Signed<P>> {
        // Who was taken out of the group says nothing any more, and follows the log if it is told.
        if !self.insts.contains_key(&inst) || !self.takes_part(inst) {
            return None;
        }
        let epoch = self.epoch(inst).roster.epoch();
        match self.signer.sign(epoch, inst, Turn(turn), payload) {
            Ok(signed) => {
                self.save.insert(inst);
                self.verifier.trust(&signed);
                Some(signed)
            }
            Err(Refused(inst, turn, kind)) => {
                self.alarm(Alarm::SecondStatement { inst, turn, kind });
                None
            }
        }
    }

    /// Raises the alarm once and stops signing.
    pub(crate) fn alarm(&mut self, alarm: Alarm) {
        self.signer.halt();
        if !self.alarmed {
            self.alarmed = true;
            self.out.push(Effect::Alarm(alarm));
        }
    }

    pub(crate) fn fault(&mut self, from: Slot, fault: Fault) {
        self.faults.push((from, fault));
    }

    pub(crate) fn send(&mut self, to: Slot, message: Message) {
        if self.is_up(to) {
            self.note_sent(to, &message);
            self.arm_dialer(to);
            self.out.push(Effect::Send { to, message });
        }
    }

    // --- routing ------------------------------------------------------------------------------

    fn on_message(&mut self, from: Slot, message: Message) {
        let live = self.epoch(self.current).roster.is_live(from);
        if from == self.me || !live || self.signer.is_halted() {
            return;
        }
        let kind = message.kind();
        if !self.is_of_its_epoch(from, &message) {
            return self.fault(from, Fault::BadSignature(kind));
        }
        let outcome = match &message {
            Message::Resume(resume) => self.on_resume(from, resume),
            Message::Catchup(catchup) => self.on_catchup(from, catchup),
            Message::Wake(wake) => self.on_wake(from, wake),
            Message::Ping(ping) => self.on_ping(from, ping),
            Message::Pong(pong) => self.on_pong(from, pong),
            gated => {
                self.note_evidence(from, gated.inst());
                self.accept(from, gated)
            }
        };
        match outcome {
            Outcome::Done => {}
            Outcome::Park => self.park(from, message),
            Outcome::Fault(fault) => {
                let wrong = fault.is_misbehavior();
                self.fault(from, fault);
                if wrong {
                    return;
                }
            }
        }
        self.heard_from(from);
    }

    /// Whether a message names its author and the epoch of its instance. Of instances whose epoch
    /// we cannot know yet it may name a later one.
    fn is_of_its_epoch(&self, from: Slot, message: &Message) -> bool {
        let (inst, ours) = (message.inst(), self.epoch(message.inst()).roster.epoch());
        let stated = match (message, message.header()) {
            (_, Some(header)) if header.slot == from => header.epoch,
            (Message::Resume(resume), _) => resume.epoch,
            (Message::Catchup(catchup), _) => catchup.epoch,
            (Message::Ping(ping), _) => ping.epoch,
            (Message::Pong(pong), _) => pong.epoch,
            _ => return false,
        };
        let known = inst.0 < self.current.0.saturating_add(self.config.params.pipeline);
        stated == ours || (stated > ours && !known)
    }

    /// Delivers a gated message if its place is reached and its gate is open.
    pub(crate) fn accept(&mut self, from: Slot, message: &Message) -> Outcome {
        let inst = message.inst();
        if inst >= self.entered {
            return Outcome::Park;
        }
        if inst < self.floor {
            return Outcome::Fault(Fault::NotParked(message.kind()));
        }
        if !self.is_of_its_epoch(from, message) {
            // It was parked before its epoch was known.
            return Outcome::Fault(Fault::BadSignature(message.kind()));
        }
        if !self.may_accept(from, inst) {
            return Outcome::Park;
        }
        let closed = self.peer_ref(from).is_some_and(|peer| !peer.is_open(inst));
        if !self.insts.contains_key(&inst) {
            // What we count as closed is loaded for a peer at its repetition rate only.
            if closed && self.may_load(inst) && !self.repeat_allowed(from) {
                return Outcome::Fault(Fault::TooOften);
            }
            self.want(inst);
            return Outcome::Park;
        }
        let outcome = match message {
            Message::SetTurn(m) => self.on_set_turn(from, m),
            Message::Read(m) => self.on_read(from, m),
            Message::ReadAck(m) => self.on_read_ack(from, m),
            Message::Agree(m) => self.on_agree(from, m),
            Message::AgreeLater(m) => self.on_agree_later(from, m),
            Message::AgreeAck(m) => self.on_agree_ack(from, m),
            Message::Write(m) => self.on_write(from, m),
            Message::WriteAck(m) => self.on_write_ack(from, m),
            Message::ShowQuorum(m) => self.on_show_quorum(from, m),
            Message::ShowDecision(m) => self.on_show_decision(from, m),
            Message::ReportDecision(m) => self.on_report(from, m),
            Message::Penance(m) => self.on_penance(from, m),
            Message::Resume(_)
            | Message::Catchup(_)
            | Message::Wake(_)
            | Message::Ping(_)
            | Message::Pong(_) => Outcome::Done,
        };
        self.inspect(from, message, &outcome);
        match outcome {
            Outcome::Done => {
                self.touch(inst);
                self.dirty_peers.insert(from);
            }
            // A closed instance need not stay in memory, so nothing waits for it.
            Outcome::Park if closed => return Outcome::Fault(Fault::NotParked(message.kind())),
            _ => {}
        }
        outcome
    }

    /// Sends what became due and retries what was parked, until nothing moves.
    pub(crate) fn settle(&mut self) {
        for _ in 0..ROUNDS_MAX {
            self.propose_if_due();
            let insts = std::mem::take(&mut self.dirty_insts);
            let peers = std::mem::take(&mut self.dirty_peers);
            if insts.is_empty() && peers.is_empty() {
                return;
            }
            for inst in insts {
                for peer in self.others() {
                    self.converse(peer, inst);
                    self.reopen(peer, inst);
                }
            }
            for peer in peers.iter() {
                self.advance(peer);
            }
            self.retry_parked();
        }
        debug_assert!(false, "settling did not end");
    }

    /// Orders the collected effects: bodies, instances and log before everything that depends on them.
    fn finish(&mut self) -> Step {
        self.collect_evidence();
        let mut effects = Vec::new();
        if std::mem::take(&mut self.reopened) {
            // A closed mark that outlives its instance's new steps would settle them unanswered. The
            // log itself may not run ahead of the instances, so this record keeps its old state.
            let last = self.durable_log.next;
            let closed = self.peers.iter().map(|peer| peer.all_closed().min(last)).collect();
            let (log, floor) = (self.durable_log.clone(), self.floor);
            let marks = self.durable_marks.counters().to_vec();
            let checkpoint = self.checkpoint.last;
            let record = LogRecord { log, closed, floor, marks, checkpoint };
            effects.push(Effect::Persist(record.to_record()));
        }
        // An epoch comes before the instances that are entered in it, and these before the log that holds
        // its cause: one that the log does not know yet is made again from its cause.
        let epochs = std::mem::take(&mut self.new_epochs);
        effects.extend(epochs.into_iter().map(Effect::Persist));
        let bodies = std::mem::take(&mut self.new_bodies);
        effects.extend(bodies.into_iter().map(Effect::Persist));
        for no in std::mem::take(&mut self.save) {
            if let Some(inst) = self.insts.get(&no) {
                effects.push(Effect::Persist(inst_record(inst)));
                self.unsaved.remove(&no);
            }
        }
        if std::mem::take(&mut self.save_log) {
            self.durable_log = self.log.clone();
            self.durable_marks = self.marks.clone();
            effects.push(Effect::Persist(self.log_record().to_record()));
        }
        effects.append(&mut self.out);
        Step { effects, faults: std::mem::take(&mut self.faults) }
    }

    pub(crate) fn log_record(&self) -> LogRecord {
        let closed = self.peers.iter().map(|peer| peer.all_closed()).collect();
        let (marks, checkpoint) = (self.marks.counters().to_vec(), self.checkpoint.last);
        LogRecord { log: self.log.clone(), closed, floor: self.floor, marks, checkpoint }
    }

    /// Writes a body once, before the instance's record names it.
    pub(crate) fn keep_value(
        &mut self,
        no: Instance,
        digest: Hash,
        value: &Arc<crate::message::Value>,
    ) {
        let Some(inst) = self.insts.get_mut(&no) else { return };
        if inst.values.contains_key(&digest) {
            return;
        }
        inst.values.insert(digest, Arc::clone(value));
        self.new_bodies.push(body_record(no, digest, value));
        self.save.insert(no);
    }

    pub(crate) fn load_record(&mut self, key: RecordKey) {
        self.out.push(Effect::Load(key));
    }
}
