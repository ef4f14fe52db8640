//! The loop of the state machine: inputs in, one commit, effects out in order.

use super::restore::{ALARM_KEY, APPLIED_KEY, encode_applied};
use super::{Rsm, Submission, SubmitError};
use crate::clock::Clock;
use crate::error::NodeError;
use crate::store::promises::{Promises, Table, Write};
use bart_rsm::{Core, Effect, Input, Message, Now, Record, RecordKey};
use bytes::Bytes;
use net::{Class, Net, NetEvent};
use std::collections::{BTreeMap, VecDeque};
use tokio::sync::{mpsc, oneshot};
use types::{Decode, Encode, Instance, Slot};

/// Inputs taken in one pass.
const DRAIN_MAX: usize = 256;
/// Times between decisions that are kept for the percentiles.
const SAMPLES_MAX: usize = 4096;

/// The core, and what it needs to act.
pub(super) struct Driver {
    core: Core,
    promises: Promises,
    net: Net,
    clock: Clock,
    rsm: Rsm,
    waiting: BTreeMap<u64, oneshot::Sender<Result<Instance, SubmitError>>>,
    next_ticket: u64,
    applied_dirty: Option<Vec<u8>>,
}

/// Effects that wait for the commit of the pass.
struct Pass {
    writes: Vec<Write>,
    later: Vec<Effect>,
}

impl Driver {
    pub(super) fn new(core: Core, promises: Promises, net: Net, clock: Clock, rsm: Rsm) -> Self {
        let waiting = BTreeMap::new();
        Self { core, promises, net, clock, rsm, waiting, next_ticket: 0, applied_dirty: None }
    }

    /// Runs until the links end.
    pub(super) async fn run(
        &mut self,
        mut events: net::ControlReceiver,
        mut queue: mpsc::Receiver<Submission>,
    ) -> Result<(), NodeError> {
        let mut pass = Pass { writes: Vec::new(), later: Vec::new() };
        let step = self.core.start(self.now());
        self.collect(step, &mut pass)?;
        self.finish(pass).await?;
        loop {
            let mut pass = Pass { writes: Vec::new(), later: Vec::new() };
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

    fn on_event(&mut self, event: NetEvent, pass: &mut Pass) -> Result<(), NodeError> {
        match event {
            NetEvent::PeerUp { slot, class: Class::Control } => {
                self.input(Input::LinkUp(slot), pass)
            }
            NetEvent::PeerDown { slot, class: Class::Control, .. } => {
                self.input(Input::LinkDown(slot), pass)
            }
            NetEvent::Control { from, frame } => match Message::from_bytes(&frame) {
                Ok(message) => self.input(Input::Message { from, message }, pass),
                Err(error) => {
                    self.fault(from, &error.to_string());
                    Ok(())
                }
            },
            NetEvent::PeerUp { .. } | NetEvent::PeerDown { .. } => Ok(()),
        }
    }

    fn on_submission(&mut self, submission: Submission, pass: &mut Pass) -> Result<(), NodeError> {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.waiting.insert(ticket, submission.done);
        self.input(Input::Submit { ticket, command: submission.command }, pass)
    }

    fn input(&mut self, input: Input, pass: &mut Pass) -> Result<(), NodeError> {
        let step = self.core.handle(self.now(), input);
        self.collect(step, pass)
    }

    /// Sorts a step's effects into what the commit carries and what waits for it. Loads are
    /// answered at once, from this pass's writes or from the store.
    fn collect(&mut self, step: bart_rsm::Step, pass: &mut Pass) -> Result<(), NodeError> {
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
                        table: Table::Rsm,
                        key: record.key.to_bytes(),
                        value: Some(record.value),
                    }),
                    Effect::Erase(key) => {
                        let key = key.to_bytes();
                        pass.writes.push(Write { table: Table::Rsm, key, value: None });
                    }
                    Effect::Load(key) => {
                        let input = self.load(key, pass)?;
                        steps.push_back(self.core.handle(self.now(), input));
                    }
                    Effect::Apply { inst, sender, proposal, tau } => {
                        self.rsm.lock().tau = tau;
                        self.apply(inst, sender, proposal.as_deref());
                    }
                    Effect::Alarm(alarm) => {
                        // Durable with whatever led to it: a member that saw disagreement must
                        // not sign again after a restart.
                        let value = Some(alarm.to_string().into_bytes());
                        let key = ALARM_KEY.to_vec();
                        pass.writes.push(Write { table: Table::Applied, key, value });
                        pass.later.push(Effect::Alarm(alarm));
                    }
                    other => pass.later.push(other),
                }
            }
        }
        Ok(())
    }

    fn load(&self, key: RecordKey, pass: &Pass) -> Result<Input, NodeError> {
        let bytes = key.to_bytes();
        let unsaved = pass.writes.iter().rev().find(|write| write.key == bytes);
        let value = match unsaved {
            Some(write) => write.value.clone(),
            None => self.promises.get(Table::Rsm, &bytes)?,
        };
        Ok(match value {
            Some(value) => Input::Loaded(Record { key, value }),
            None => Input::LoadMissing(key),
        })
    }

    fn apply(&mut self, inst: Instance, sender: Slot, proposal: Option<&bart_rsm::Proposal>) {
        let mut shared = self.rsm.lock();
        if inst.0 < shared.decided {
            return; // replayed after a restart; the state already contains it
        }
        shared.decided = inst.0 + 1;
        match proposal {
            None => shared.nulls += 1,
            Some(proposal) => {
                for command in &proposal.commands {
                    shared.state.apply(inst, sender, command);
                    shared.commands += 1;
                    shared.command_bytes += command.len() as u64;
                }
            }
        }
        let now = self.clock.micros();
        if let Some(last) = shared.last_decision_us.replace(now) {
            if shared.samples.len() == SAMPLES_MAX {
                shared.samples.pop_front();
            }
            shared.samples.push_back((now - last) as f64 / 1000.0);
        }
        self.applied_dirty = Some(encode_applied(shared.decided, &shared.state));
    }

    /// Makes the pass durable, then lets its messages out.
    async fn finish(&mut self, mut pass: Pass) -> Result<(), NodeError> {
        if let Some(value) = self.applied_dirty.take() {
            let key = APPLIED_KEY.to_vec();
            pass.writes.push(Write { table: Table::Applied, key, value: Some(value) });
        }
        self.promises.commit(pass.writes).await?;
        for effect in pass.later {
            match effect {
                Effect::Send { to, message } => {
                    // A full queue or a lost link is repaired by the core's own resending.
                    if let Err(error) = self.net.send(to, Bytes::from(message.to_bytes())) {
                        tracing::debug!(%to, %error, "message not sent");
                    }
                }
                Effect::Committed { ticket, inst } => {
                    if let Some(done) = self.waiting.remove(&ticket) {
                        let _ = done.send(Ok(inst));
                    }
                }
                Effect::Refused { ticket, reason } => {
                    if let Some(done) = self.waiting.remove(&ticket) {
                        let _ = done.send(Err(SubmitError::Refused(reason.to_string())));
                    }
                }
                Effect::Alarm(alarm) => return Err(NodeError::Alarm(alarm.to_string())),
                Effect::Persist(_) | Effect::Erase(_) | Effect::Load(_) | Effect::Apply { .. } => {
                    unreachable!("sorted out in `collect`")
                }
            }
        }
        Ok(())
    }

    fn fault(&self, peer: Slot, fault: &str) {
        self.rsm.lock().faults += 1;
        tracing::warn!(%peer, fault, "a peer broke the protocol");
    }
}

async fn sleep_until(at: Option<std::time::Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
