//! The loop of the state machine: inputs in, one commit, effects out in order.

use crate::app::{Application, Entry};
use crate::clock::Clock;
use crate::error::Error;
use crate::handle::{Decided, Outcome, Reformed, Request, Shared, SubmitError, lock};
use crate::restore::{ALARM_KEY, APPLIED_KEY, encode_applied};
use crate::store::{Space, Store, StoreError, Write};
use crate::work::{WorkDriver, WorkEvent, write};
use bart_rsm::pom::Pom;
use bart_rsm::{Effect, Input, Machine, Now, Proposal, Record, RecordKey, Step};
use bytes::Bytes;
use net::{Class, Net, NetEvent};
use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use tokio::sync::{mpsc, oneshot, watch};
use types::{Decode, Encode, Hash, Instance, Roster, Slot, Stamp};

/// Proofs of one kind kept against one member: one convicts.
const PROOFS_MAX: usize = 8;
/// Inputs taken at once.
const DRAIN_MAX: usize = 256;
/// Inputs of a pass; with so many it waits for the disk.
const PASS_INPUTS_MAX: usize = 1024;
/// Executed instances after which the application's snapshot is written anew. After a crash the core
/// executes the newest instances again, so that those since the last snapshot are not lost.
const SNAPSHOT_EVERY: u64 = 16;
const _: () = assert!(SNAPSHOT_EVERY <= bart_rsm::REPLAYED / 2);

/// The core, and what it needs to act.
pub(crate) struct Driver<M: Machine, A: Application, S: Store> {
    core: M,
    store: S,
    net: Net,
    clock: Clock,
    shared: Arc<Mutex<Shared<A>>>,
    waiting: BTreeMap<u64, oneshot::Sender<Outcome<A>>>,
    reforming: BTreeMap<u64, oneshot::Sender<Reformed>>,
    rosters: watch::Sender<Arc<Roster>>,
    next_ticket: u64,
    /// Answers to the commands of the instance executed last.
    answers: (Instance, Vec<Option<A::Answer>>),
    /// Instances that the durable snapshot contains.
    snapshot_at: u64,
    last_frame: Option<(M::Message, Bytes)>,
    work: Option<WorkDriver>,
}

/// First byte of a frame: the lane.
const LANE_LOG: u8 = 0;
const LANE_WORK: u8 = 1;

/// What the inputs since the last commit led to.
struct Pass<A: Application> {
    inputs: usize,
    writes: Vec<Write>,
    loads: Vec<RecordKey>,
    erases: Vec<(Instance, Instance)>,
    digests: Vec<(Instance, Hash)>,
    proofs: Vec<Pom>,
    later: Vec<Later<A>>,
}

/// A pass that the disk works on, and what waits for it.
struct UnderWay<A: Application> {
    commit: Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send>>,
    later: Vec<Later<A>>,
}

/// What may be said or shown only when everything before it is durable.
enum Later<A: Application> {
    Send(Slot, Bytes),
    Answer(oneshot::Sender<Outcome<A>>, Outcome<A>),
    Reformed(oneshot::Sender<Reformed>, Reformed),
    Work(WorkEvent),
    Roster(Arc<Roster>),
    Alarm(bart_rsm::Alarm),
}

impl<A: Application> Pass<A> {
    fn new() -> Self {
        Self {
            inputs: 0,
            writes: Vec::new(),
            loads: Vec::new(),
            erases: Vec::new(),
            digests: Vec::new(),
            proofs: Vec::new(),
            later: Vec::new(),
        }
    }
}

impl<M: Machine, A: Application, S: Store> Driver<M, A, S> {
    pub(crate) fn new(
        core: M,
        store: S,
        net: Net,
        clock: Clock,
        shared: Arc<Mutex<Shared<A>>>,
        rosters: watch::Sender<Arc<Roster>>,
        work: Option<WorkDriver>,
    ) -> Self {
        let snapshot_at = lock(&shared).decided;
        let answers = (Instance(0), Vec::new());
        let (waiting, reforming, next_ticket) = (BTreeMap::new(), BTreeMap::new(), 0);
        Self {
            core,
            store,
            net,
            clock,
            shared,
            waiting,
            reforming,
            rosters,
            next_ticket,
            answers,
            snapshot_at,
            last_frame: None,
            work,
        }
    }

    /// Runs until the links end.
    ///
    /// While the disk works on one pass, inputs are stepped into the next one; what that one says waits
    /// for its own commit, which begins when the one before is done. So the processor does not wait for
    /// the disk, and the more there is to do the more shares a commit.
    pub(crate) async fn run(
        &mut self,
        mut events: net::ControlReceiver,
        mut queue: mpsc::Receiver<Request<A>>,
    ) -> Result<(), Error> {
        let mut pass = Pass::new();
        let mut under_way: Option<UnderWay<A>> = None;
        self.timed(|driver| {
            let step = driver.core.start(driver.now());
            driver.collect(step, &mut pass)?;
            driver.collect_work(&mut pass)?;
            driver.bring_proofs(&mut pass)
        })?;
        loop {
            if under_way.is_none() {
                under_way = self.begin(&mut pass)?;
            }
            let tick = self.work.as_ref().map(|work| work.next_tick);
            let wakeup = self.core.next_wakeup().into_iter().chain(tick).min();
            let wakeup = wakeup.map(|at| self.clock.instant(at));
            let waits = self.work.as_ref().is_some_and(|work| !work.lane.is_empty());
            let room = pass.inputs < PASS_INPUTS_MAX;
            let waiting = self.clock.micros();
            let mut first = None;
            tokio::select! {
                biased;
                durable = durable(&mut under_way) => {
                    durable?;
                    self.spent(waiting, true);
                    self.release(under_way.take().map(|pass| pass.later).unwrap_or_default())?;
                    continue;
                }
                event = events.recv(), if room => match event {
                    Some(event) => first = Some(event),
                    None => return Ok(()),
                },
                request = queue.recv(), if room => match request {
                    Some(request) => self.on_request(request, &mut pass)?,
                    None => return Ok(()),
                },
                () = sleep_until(wakeup), if room => {
                    self.tick_work(&mut pass)?;
                    self.input(Input::Tick, &mut pass)?;
                }
                // Last: lane W has what the log leaves.
                () = std::future::ready(()), if room && waits => {}
            }
            self.spent(waiting, under_way.is_some());
            // A pass that becomes durable is let out between two inputs; otherwise all that came shares one.
            let more = if under_way.is_some() { 0 } else { DRAIN_MAX };
            self.timed(|driver| {
                if let Some(event) = first {
                    driver.on_event(event, &mut pass)?;
                }
                for _ in 0..more {
                    if let Some(event) = events.try_recv() {
                        driver.on_event(event, &mut pass)?;
                    } else if let Ok(request) = queue.try_recv() {
                        driver.on_request(request, &mut pass)?;
                    } else {
                        break;
                    }
                }
                driver.hear_work(&mut pass)
            })?;
        }
    }

    /// Hands a pass to the disk. What only speaks needs no commit: everything before it is durable.
    fn begin(&mut self, pass: &mut Pass<A>) -> Result<Option<UnderWay<A>>, Error> {
        while !pass.loads.is_empty() || !pass.digests.is_empty() {
            for (inst, state) in std::mem::take(&mut pass.digests) {
                self.input(Input::Digest { inst, state }, pass)?;
            }
            for key in std::mem::take(&mut pass.loads) {
                let input = self.load(key, pass)?;
                self.input(input, pass)?;
            }
        }
        for (from, to) in std::mem::take(&mut pass.erases) {
            self.erase(from, to, pass)?;
        }
        for pom in std::mem::take(&mut pass.proofs) {
            self.keep_proof(&pom, pass)?;
        }
        let mut pass = std::mem::replace(pass, Pass::new());
        self.snapshot_if_due(&mut pass);
        if pass.writes.is_empty() {
            self.release(pass.later)?;
            return Ok(None);
        }
        let commit = Box::pin(self.store.commit(pass.writes));
        Ok(Some(UnderWay { commit, later: pass.later }))
    }

    /// Counts the time of a step.
    fn timed(&mut self, step: impl FnOnce(&mut Self) -> Result<(), Error>) -> Result<(), Error> {
        let began = self.clock.micros();
        let result = step(self);
        lock(&self.shared).times.stepping_us += self.clock.micros().saturating_sub(began);
        result
    }

    /// Counts time without a step, for the disk or for the others.
    fn spent(&self, since_us: u64, disk: bool) {
        let spent = self.clock.micros().saturating_sub(since_us);
        let times = &mut lock(&self.shared).times;
        match disk {
            true => times.disk_us += spent,
            false => times.waiting_us += spent,
        }
    }

    fn now(&self) -> Now {
        Now { mono: self.clock.mono(), wall: self.clock.wall() }
    }

    fn on_event(&mut self, event: NetEvent, pass: &mut Pass<A>) -> Result<(), Error> {
        match event {
            NetEvent::PeerUp { slot, class: Class::Control } => {
                self.input(Input::LinkUp(slot), pass)?;
                self.work(work_assign::Input::Gate(slot, true), pass)?;
                self.work(work_assign::Input::LinkUp(slot), pass)
            }
            NetEvent::PeerDown { slot, class: Class::Control, .. } => {
                self.input(Input::LinkDown(slot), pass)?;
                self.work(work_assign::Input::Gate(slot, false), pass)
            }
            NetEvent::Control { from, frame } => match frame.first() {
                Some(&LANE_LOG) => match M::Message::from_bytes(&frame[1..]) {
                    Ok(message) => self.input(Input::Message { from, message }, pass),
                    Err(error) => {
                        self.fault(from, &error.to_string());
                        Ok(())
                    }
                },
                Some(&LANE_WORK) if let Some(work) = &mut self.work => {
                    if !work.lane.push(from, frame.slice(1..)) {
                        tracing::debug!(%from, "lane W is full; its author says it again");
                    }
                    Ok(())
                }
                _ => {
                    self.fault(from, "a frame on a lane that is not there");
                    Ok(())
                }
            },
            NetEvent::PeerUp { .. } | NetEvent::PeerDown { .. } => Ok(()),
        }
    }

    fn on_request(&mut self, request: Request<A>, pass: &mut Pass<A>) -> Result<(), Error> {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        let input = match request {
            Request::Submit(submission) => {
                self.waiting.insert(ticket, submission.done);
                Input::Submit { ticket, command: submission.command }
            }
            Request::Reform(reform, done) => {
                self.reforming.insert(ticket, done);
                Input::Reform { ticket, reform: *reform }
            }
            Request::Proof(pom) => Input::Proof(pom),
            Request::Work(input) => return self.work(*input, pass),
        };
        self.input(input, pass)
    }

    /// Proofs that were kept and may not have come into the log before the restart.
    fn bring_proofs(&mut self, pass: &mut Pass<A>) -> Result<(), Error> {
        let mut kept = Vec::new();
        let all = vec![0]..=vec![u8::MAX; 40];
        self.store.scan(Space::Proofs, all, &mut |_, value| {
            // Other layers keep proofs of their own kinds here.
            kept.extend(Pom::from_bytes(value).ok());
        })?;
        for pom in kept {
            self.input(Input::Proof(Box::new(pom)), pass)?;
        }
        Ok(())
    }

    fn input(&mut self, input: Input<M::Message>, pass: &mut Pass<A>) -> Result<(), Error> {
        pass.inputs += 1;
        let step = self.core.handle(self.now(), input);
        self.collect(step, pass)?;
        self.collect_work(pass)
    }

    /// Sorts a step's effects into what the commit carries and what waits for it. Loads are answered when
    /// no commit is under way, from this pass's writes or from the store.
    fn collect(&mut self, step: Step<M::Message>, pass: &mut Pass<A>) -> Result<(), Error> {
        for (peer, fault) in step.faults {
            match fault.is_misbehavior() {
                true => self.fault(peer, &fault.to_string()),
                false => tracing::debug!(%peer, %fault, "a message is dropped"),
            }
        }
        for effect in step.effects {
            match effect {
                Effect::Persist(record) => pass.writes.push(Write {
                    space: Space::Log,
                    key: record.key.to_bytes(),
                    value: Some(record.value),
                }),
                Effect::Erase { from, to } => pass.erases.push((from, to)),
                Effect::Load(key) => pass.loads.push(key),
                Effect::Apply { inst, sender, proposal, tau } => {
                    self.apply(inst, sender, tau, proposal.as_deref())?;
                }
                Effect::Evidence(pom) => {
                    tracing::error!(proof = %pom.kind(), accused = %pom.accused, "a member is convicted by what it signed");
                    pass.proofs.push(*pom);
                }
                Effect::Digest { inst } => {
                    let shared = lock(&self.shared);
                    if shared.decided == inst.0 + 1 {
                        let app = shared.app.digest();
                        drop(shared);
                        if let Some(digest) = self.state_digest(inst, app) {
                            pass.digests.push((inst, digest));
                        }
                    }
                }
                Effect::Alarm(alarm) => {
                    // Durable with whatever led to it: a member that saw disagreement must
                    // not sign again after a restart.
                    let value = Some(alarm.to_string().into_bytes());
                    let key = ALARM_KEY.to_vec();
                    pass.writes.push(Write { space: Space::Applied, key, value });
                    pass.later.push(Later::Alarm(alarm));
                }
                Effect::Send { to, message } => {
                    let frame = self.frame(message);
                    pass.later.push(Later::Send(to, frame));
                }
                Effect::Committed { ticket, inst, index } => {
                    if self.work.as_mut().is_some_and(|work| work.submitted.ended(ticket)) {
                        continue;
                    }
                    let answer = self.answer(inst, index);
                    if let (Some(done), Some(answer)) = (self.waiting.remove(&ticket), answer) {
                        pass.later.push(Later::Answer(done, Ok(Decided { inst, answer })));
                    }
                }
                Effect::Refused { ticket, reason } => {
                    if self.work.as_mut().is_some_and(|work| work.submitted.put_off(ticket)) {
                        continue;
                    }
                    let refused = SubmitError::Refused(reason.to_string());
                    if let Some(done) = self.waiting.remove(&ticket) {
                        pass.later.push(Later::Answer(done, Err(refused)));
                    } else if let Some(done) = self.reforming.remove(&ticket) {
                        pass.later.push(Later::Reformed(done, Err(refused)));
                    }
                }
                Effect::Reformed { ticket, inst } => {
                    if let Some(done) = self.reforming.remove(&ticket) {
                        pass.later.push(Later::Reformed(done, Ok(inst)));
                    }
                }
                Effect::Roster { first, roster, changes } => {
                    for change in &changes {
                        tracing::warn!(member = %change.slot, standing = ?change.standing, cause = ?change.cause, from = %first, "the group changes");
                    }
                    lock(&self.shared).app.on_roster(&roster, &changes);
                    pass.later.push(Later::Roster(roster));
                }
            }
        }
        Ok(())
    }

    /// Deletes the records of instances `from..to`, those of this pass too.
    fn erase(&self, from: Instance, to: Instance, pass: &mut Pass<A>) -> Result<(), Error> {
        for keys in RecordKey::of_instances(from, to) {
            let keys = keys.start.to_bytes()..keys.end.to_bytes();
            let written = pass.writes.iter().filter(|write| write.space == Space::Log);
            let mut old: BTreeSet<Vec<u8>> = written
                .map(|write| &write.key)
                .filter(|key| keys.contains(*key))
                .cloned()
                .collect();
            let range = keys.start.clone()..=keys.end.clone();
            self.store.scan(Space::Log, range, &mut |key, _| {
                old.insert(key.to_vec());
            })?;
            let old = old.into_iter().filter(|key| keys.contains(key));
            pass.writes.extend(old.map(|key| Write { space: Space::Log, key, value: None }));
        }
        Ok(())
    }

    /// Encodes a message; one for several members in a row is encoded once.
    fn frame(&mut self, message: M::Message) -> Bytes {
        if let Some((last, frame)) = &self.last_frame
            && *last == message
        {
            return frame.clone();
        }
        let frame = on_lane(LANE_LOG, &message);
        self.last_frame = Some((message, frame.clone()));
        frame
    }

    fn keep_proof(&self, pom: &Pom, pass: &mut Pass<A>) -> Result<(), Error> {
        self.keep(pom.accused, pom.kind() as u8, pom.digest(), pom.to_bytes(), pass)
    }

    /// Keeps a proof with the pass's other records, a bounded number a kind and member.
    fn keep(
        &self,
        accused: Slot,
        code: u8,
        digest: Hash,
        bytes: Vec<u8>,
        pass: &mut Pass<A>,
    ) -> Result<(), Error> {
        let mut first = accused.0.to_be_bytes().to_vec();
        first.push(code);
        let last = [&first[..], &[255; 32]].concat();
        let mut kept = 0;
        self.store.scan(Space::Proofs, first.clone()..=last, &mut |_, _| kept += 1)?;
        if kept < PROOFS_MAX {
            let key = [&first[..], digest.as_bytes()].concat();
            pass.writes.push(Write { space: Space::Proofs, key, value: Some(bytes) });
        }
        Ok(())
    }

    fn load(&self, key: RecordKey, pass: &Pass<A>) -> Result<Input<M::Message>, Error> {
        let bytes = key.to_bytes();
        let unsaved = pass.writes.iter().rev().find(|write| write.key == bytes);
        let value = match unsaved {
            Some(write) => write.value.clone(),
            None => self.store.get(Space::Log, &bytes)?,
        };
        Ok(match value {
            Some(value) => Input::Loaded(Record { key, value }),
            None => Input::LoadMissing(key),
        })
    }

    fn apply(
        &mut self,
        inst: Instance,
        sender: Slot,
        tau: Stamp,
        proposal: Option<&Proposal>,
    ) -> Result<(), Error> {
        let mut shared = lock(&self.shared);
        shared.tau = tau;
        if inst.0 < shared.decided {
            return Ok(()); // replayed after a restart; the state already contains it
        }
        if inst.0 > shared.decided {
            let detail = format!("{inst} follows on a state that stands at {}", shared.decided);
            return Err(Error::Record { what: "the application", detail });
        }
        shared.decided = inst.0 + 1;
        let commands = proposal.map_or(&[][..], |proposal| &proposal.commands);
        shared.nulls += u64::from(proposal.is_none());
        let works = self.work.is_some();
        let answers = commands.iter().enumerate().map(|(index, command)| {
            shared.commands += 1;
            shared.command_bytes += command.len() as u64;
            // Those of level 1 are executed there.
            (!works || !work_assign::Command::is_mine(command))
                .then(|| shared.app.apply(Entry { inst, index, sender, tau, command }))
        });
        self.answers = (inst, answers.collect());
        shared.sample(self.clock.micros());
        Ok(())
    }

    /// The answer to a command of ours.
    fn answer(&mut self, inst: Instance, index: usize) -> Option<A::Answer> {
        let (at, answers) = &mut self.answers;
        answers.get_mut(index).filter(|_| *at == inst)?.take()
    }

    /// The snapshot goes with the log's records, in one commit.
    fn snapshot_if_due(&mut self, pass: &mut Pass<A>) {
        let shared = lock(&self.shared);
        if shared.decided < self.snapshot_at + SNAPSHOT_EVERY {
            return;
        }
        self.snapshot_at = shared.decided;
        let value = Some(encode_applied(shared.decided, &shared.app));
        pass.writes.push(Write { space: Space::Applied, key: APPLIED_KEY.to_vec(), value });
        if let Some(work) = &self.work {
            // Everything was collected, so both stand at the same place.
            let (next, state) = work.layer.lock().snapshot();
            assert_eq!(next, shared.decided, "level 1 has seen what the application has");
            let key = crate::work::STATE_KEY.to_vec();
            pass.writes.push(Write { space: Space::Applied, key, value: Some(state) });
        }
    }

    /// Lets out what rests on a pass that is durable now.
    fn release(&mut self, durable: Vec<Later<A>>) -> Result<(), Error> {
        let stats = self.core.stats();
        let times = &mut lock(&self.shared).times;
        (times.signatures, times.verifications) = (stats.signatures, stats.verifications);
        for effect in durable {
            match effect {
                Later::Send(to, frame) => {
                    // A full queue or a lost link is repaired by the core's own resending.
                    if let Err(error) = self.net.send(to, frame) {
                        tracing::debug!(%to, %error, "message not sent");
                    }
                }
                Later::Answer(done, outcome) => drop(done.send(outcome)),
                Later::Reformed(done, outcome) => drop(done.send(outcome)),
                Later::Work(event) => {
                    if let Some(work) = &self.work {
                        // Whoever used level 1 may have ended.
                        let _ = work.events.send(event);
                    }
                }
                Later::Roster(roster) => drop(self.rosters.send_replace(roster)),
                Later::Alarm(alarm) => return Err(Error::Alarm(alarm.to_string())),
            }
        }
        Ok(())
    }

    /// Names the state of the application, and that of level 1 with it.
    fn state_digest(&self, inst: Instance, app: Hash) -> Option<Hash> {
        let Some(work) = &self.work else { return Some(app) };
        let work = work.layer.lock().digest_after(inst)?;
        Some(Hash::tagged("state with work", &[app.to_bytes(), work.to_bytes()].concat()))
    }

    fn fault(&self, peer: Slot, fault: &str) {
        lock(&self.shared).faults += 1;
        tracing::warn!(%peer, fault, "a peer broke the protocol");
    }
}

impl<M: Machine, A: Application, S: Store> Driver<M, A, S> {
    /// One input of level 1. Without it nothing happens.
    fn work(&mut self, input: work_assign::Input, pass: &mut Pass<A>) -> Result<(), Error> {
        let now = self.now();
        let Some(work) = &self.work else { return Ok(()) };
        pass.inputs += 1;
        work.layer.lock().handle(now, input);
        self.collect_work(pass)
    }

    /// One message of lane W a round, so that the log goes first.
    fn hear_work(&mut self, pass: &mut Pass<A>) -> Result<(), Error> {
        if pass.inputs >= PASS_INPUTS_MAX {
            return Ok(());
        }
        let next = self.work.as_mut().and_then(|work| work.lane.pop());
        let Some((from, frame)) = next else { return Ok(()) };
        match work_assign::Message::from_bytes(&frame) {
            Ok(message) => self.work(work_assign::Input::Message(from, Box::new(message)), pass),
            Err(error) => {
                self.fault(from, &error.to_string());
                Ok(())
            }
        }
    }

    fn tick_work(&mut self, pass: &mut Pass<A>) -> Result<(), Error> {
        let now = self.now();
        let Some(work) = &mut self.work else { return Ok(()) };
        if now.mono < work.next_tick {
            return Ok(());
        }
        work.next_tick = now.mono.plus(work.tick_ms);
        work.layer.lock().tick(now);
        for command in work.submitted.again() {
            self.submit_work(command, pass)?;
        }
        self.collect_work(pass)
    }

    fn submit_work(&mut self, command: Vec<u8>, pass: &mut Pass<A>) -> Result<(), Error> {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        if let Some(work) = &mut self.work {
            work.submitted.sent(ticket, command.clone());
        }
        let step = self.core.handle(self.now(), Input::Submit { ticket, command });
        self.collect(step, pass)
    }

    /// Carries out what level 1 has said, in its own steps or within those of the log.
    fn collect_work(&mut self, pass: &mut Pass<A>) -> Result<(), Error> {
        while let Some(work) = &mut self.work {
            let mut layer = work.layer.lock();
            pass.writes.extend(layer.take_writes());
            pass.later.extend(layer.take_events().into_iter().map(Later::Work));
            let Some(effect) = layer.pop() else { return Ok(()) };
            drop(layer);
            self.carry_out(effect, pass)?;
        }
        Ok(())
    }

    fn carry_out(&mut self, effect: work_assign::Effect, pass: &mut Pass<A>) -> Result<(), Error> {
        use work_assign::Effect;
        let now = self.now();
        let Some(work) = &mut self.work else { return Ok(()) };
        match effect {
            Effect::Persist(records) => pass.writes.extend(records.into_iter().map(write)),
            Effect::Send(to, message) => {
                pass.later.push(Later::Send(to, on_lane(LANE_WORK, &*message)));
            }
            Effect::Perform(name, request) => {
                pass.later.push(Later::Work(WorkEvent::Perform(name, request)));
            }
            Effect::Deliver(name, aid, outcome) => {
                pass.later.push(Later::Work(WorkEvent::Deliver(name, aid, outcome)));
            }
            Effect::Refused(name, refusal) => {
                pass.later.push(Later::Work(WorkEvent::Refused(name, refusal)));
            }
            Effect::Submit(command) => self.submit_work(command, pass)?,
            Effect::Accuse(duty) => {
                tracing::warn!(peer = %duty.peer, kind = ?duty.kind, inst = %duty.aid.inst, "a member owes something for longer than it may");
                work.late.insert(duty);
                pass.later.push(Later::Work(WorkEvent::Late(duty)));
            }
            Effect::Withdraw(duty) => {
                work.late.remove(&duty);
                pass.later.push(Later::Work(WorkEvent::InTime(duty)));
            }
            Effect::Evidence(pom) => {
                tracing::error!(proof = %pom.kind(), accused = %pom.accused, "a member is convicted over assigned work");
                let (accused, code) = (pom.accused, pom.kind().code());
                self.keep(accused, code, pom.digest(), pom.to_bytes(), pass)?;
            }
            Effect::NeedDecision(inst) => {
                let mut layer = work.layer.lock();
                if let Some(proof) = layer.shown(inst) {
                    layer.handle(now, work_assign::Input::Decision(Box::new(proof)));
                }
            }
            Effect::Fault(peer, fault) => self.fault(peer, &fault.to_string()),
            Effect::Misuse(what) => tracing::error!(what, "level 1 refuses an input"),
            // The lists of the log do not exist yet; whoever is late is shown.
            Effect::Shut(..) => {}
            // This machine is linked with no other, and no vows are made.
            Effect::Execute(..) | Effect::Cross(..) | Effect::Direct(..) => {}
        }
        Ok(())
    }
}

/// A message behind the byte that names its lane.
fn on_lane(lane: u8, message: &impl Encode) -> Bytes {
    let mut out = types::Writer::new();
    out.u8(lane);
    message.encode(&mut out);
    Bytes::from(out.finish())
}

/// Completes when the pass under way is durable; never if there is none.
async fn durable<A: Application>(pass: &mut Option<UnderWay<A>>) -> Result<(), StoreError> {
    match pass {
        Some(pass) => pass.commit.as_mut().await,
        None => std::future::pending().await,
    }
}

async fn sleep_until(at: Option<std::time::Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
