//! The loop of the state machine: inputs in, one commit, effects out in order.

use crate::app::{Application, Entry};
use crate::clock::Clock;
use crate::error::Error;
use crate::handle::{Decided, Outcome, Shared, Submission, SubmitError, lock};
use crate::restore::{ALARM_KEY, APPLIED_KEY, encode_applied};
use crate::store::{Space, Store, Write};
use bart_rsm::pom::Pom;
use bart_rsm::{Effect, Input, Machine, Now, Proposal, Record, RecordKey, Step};
use bytes::Bytes;
use net::{Class, Net, NetEvent};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use tokio::sync::{mpsc, oneshot};
use types::{Decode, Encode, Instance, Slot, Stamp};

/// Proofs of one kind kept against one member: one convicts.
const PROOFS_MAX: usize = 8;
/// Inputs taken in one pass.
const DRAIN_MAX: usize = 256;
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
    next_ticket: u64,
    /// Answers to the commands of the instance executed last.
    answers: (Instance, Vec<Option<A::Answer>>),
    /// Instances that the durable snapshot contains.
    snapshot_at: u64,
}

/// Effects that wait for the commit of the pass.
struct Pass<A: Application> {
    writes: Vec<Write>,
    later: Vec<Later<A>>,
}

/// What may be said or shown only when everything before it is durable.
enum Later<A: Application> {
    Send(Slot, Bytes),
    Answer(oneshot::Sender<Outcome<A>>, Outcome<A>),
    Alarm(bart_rsm::Alarm),
}

impl<A: Application> Pass<A> {
    fn new() -> Self {
        Self { writes: Vec::new(), later: Vec::new() }
    }
}

impl<M: Machine, A: Application, S: Store> Driver<M, A, S> {
    pub(crate) fn new(
        core: M,
        store: S,
        net: Net,
        clock: Clock,
        shared: Arc<Mutex<Shared<A>>>,
    ) -> Self {
        let snapshot_at = lock(&shared).decided;
        let answers = (Instance(0), Vec::new());
        let (waiting, next_ticket) = (BTreeMap::new(), 0);
        Self { core, store, net, clock, shared, waiting, next_ticket, answers, snapshot_at }
    }

    /// Runs until the links end.
    pub(crate) async fn run(
        &mut self,
        mut events: net::ControlReceiver,
        mut queue: mpsc::Receiver<Submission<A>>,
    ) -> Result<(), Error> {
        let mut pass = Pass::new();
        let step = self.core.start(self.now());
        self.collect(step, &mut pass)?;
        self.finish(pass).await?;
        loop {
            let mut pass = Pass::new();
            let wakeup = self.core.next_wakeup().map(|at| self.clock.instant(at));
            tokio::select! {
                event = events.recv() => match event {
                    Some(event) => self.on_event(event, &mut pass)?,
                    None => return Ok(()),
                },
                submission = queue.recv() => match submission {
                    Some(submission) => self.on_submission(submission, &mut pass)?,
                    None => return Ok(()),
                },
                () = sleep_until(wakeup) => self.input(Input::Tick, &mut pass)?,
            }
            for _ in 0..DRAIN_MAX {
                if let Some(event) = events.try_recv() {
                    self.on_event(event, &mut pass)?;
                } else if let Ok(submission) = queue.try_recv() {
                    self.on_submission(submission, &mut pass)?;
                } else {
                    break;
                }
            }
            self.finish(pass).await?;
        }
    }

    fn now(&self) -> Now {
        Now { mono: self.clock.mono(), wall: self.clock.wall() }
    }

    fn on_event(&mut self, event: NetEvent, pass: &mut Pass<A>) -> Result<(), Error> {
        match event {
            NetEvent::PeerUp { slot, class: Class::Control } => {
                self.input(Input::LinkUp(slot), pass)
            }
            NetEvent::PeerDown { slot, class: Class::Control, .. } => {
                self.input(Input::LinkDown(slot), pass)
            }
            NetEvent::Control { from, frame } => match M::Message::from_bytes(&frame) {
                Ok(message) => self.input(Input::Message { from, message }, pass),
                Err(error) => {
                    self.fault(from, &error.to_string());
                    Ok(())
                }
            },
            NetEvent::PeerUp { .. } | NetEvent::PeerDown { .. } => Ok(()),
        }
    }

    fn on_submission(
        &mut self,
        submission: Submission<A>,
        pass: &mut Pass<A>,
    ) -> Result<(), Error> {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.waiting.insert(ticket, submission.done);
        self.input(Input::Submit { ticket, command: submission.command }, pass)
    }

    fn input(&mut self, input: Input<M::Message>, pass: &mut Pass<A>) -> Result<(), Error> {
        let step = self.core.handle(self.now(), input);
        self.collect(step, pass)
    }

    /// Sorts a step's effects into what the commit carries and what waits for it. Loads are
    /// answered at once, from this pass's writes or from the store.
    fn collect(&mut self, step: Step<M::Message>, pass: &mut Pass<A>) -> Result<(), Error> {
        let mut steps = VecDeque::from([step]);
        while let Some(step) = steps.pop_front() {
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
                    Effect::Erase { from, to } => self.erase(from, to, pass)?,
                    Effect::Load(key) => {
                        let input = self.load(key, pass)?;
                        steps.push_back(self.core.handle(self.now(), input));
                    }
                    Effect::Apply { inst, sender, proposal, tau } => {
                        self.apply(inst, sender, tau, proposal.as_deref())?;
                    }
                    Effect::Evidence(pom) => {
                        tracing::error!(proof = %pom.kind(), accused = %pom.accused, "a member is convicted by what it signed");
                        self.keep_proof(&pom, pass)?;
                    }
                    Effect::Digest { inst } => {
                        let digest = {
                            let shared = lock(&self.shared);
                            (shared.decided == inst.0 + 1).then(|| shared.app.digest())
                        };
                        if let Some(state) = digest {
                            let input = Input::Digest { inst, state };
                            steps.push_back(self.core.handle(self.now(), input));
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
                        let frame = Bytes::from(message.to_bytes());
                        pass.later.push(Later::Send(to, frame));
                    }
                    Effect::Committed { ticket, inst, index } => {
                        let answer = self.answer(inst, index);
                        if let (Some(done), Some(answer)) = (self.waiting.remove(&ticket), answer) {
                            pass.later.push(Later::Answer(done, Ok(Decided { inst, answer })));
                        }
                    }
                    Effect::Refused { ticket, reason } => {
                        if let Some(done) = self.waiting.remove(&ticket) {
                            let refused = Err(SubmitError::Refused(reason.to_string()));
                            pass.later.push(Later::Answer(done, refused));
                        }
                    }
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

    /// Keeps a proof with the pass's other records, a bounded number a kind and member.
    fn keep_proof(&self, pom: &Pom, pass: &mut Pass<A>) -> Result<(), Error> {
        let mut first = pom.accused.0.to_be_bytes().to_vec();
        first.push(pom.kind() as u8);
        let last = [&first[..], &[255; 32]].concat();
        let mut kept = 0;
        self.store.scan(Space::Proofs, first.clone()..=last, &mut |_, _| kept += 1)?;
        if kept < PROOFS_MAX {
            let key = [&first[..], pom.digest().as_bytes()].concat();
            pass.writes.push(Write { space: Space::Proofs, key, value: Some(pom.to_bytes()) });
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
        let answers = commands.iter().enumerate().map(|(index, command)| {
            shared.commands += 1;
            shared.command_bytes += command.len() as u64;
            Some(shared.app.apply(Entry { inst, index, sender, tau, command }))
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
    }

    /// Makes the pass durable, then lets its messages out.
    async fn finish(&mut self, mut pass: Pass<A>) -> Result<(), Error> {
        self.snapshot_if_due(&mut pass);
        self.store.commit(pass.writes).await?;
        for effect in pass.later {
            match effect {
                Later::Send(to, frame) => {
                    // A full queue or a lost link is repaired by the core's own resending.
                    if let Err(error) = self.net.send(to, frame) {
                        tracing::debug!(%to, %error, "message not sent");
                    }
                }
                Later::Answer(done, outcome) => drop(done.send(outcome)),
                Later::Alarm(alarm) => return Err(Error::Alarm(alarm.to_string())),
            }
        }
        Ok(())
    }

    fn fault(&self, peer: Slot, fault: &str) {
        lock(&self.shared).faults += 1;
        tracing::warn!(%peer, fault, "a peer broke the protocol");
    }
}

async fn sleep_until(at: Option<std::time::Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
