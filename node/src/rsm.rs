//! Runs the state machine core: feeds it messages, timers and commands, makes durable what it
//! wants durable, and only then sends.
//!
//! It has a thread of its own, so that neither signature checks here nor bulk work elsewhere
//! delays the other. One pass takes what has arrived (at most [`DRAIN_MAX`] inputs), steps the core for each,
//! commits all records in one transaction together with the application state they lead to, and
//! then carries out the remaining effects in order.

use crate::clock::Clock;
use crate::error::NodeError;
use crate::store::promises::{Promises, Table, Write};
use crate::wire::RsmStats;
use bart_rsm::{Core, Effect, Input, Message, Now, Record, RecordKey};
use bytes::Bytes;
use net::{Class, Net, NetEvent};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::{mpsc, oneshot};
use types::{Decode, Encode, Hash, Instance, Slot, Stamp};

/// Inputs taken in one pass.
const DRAIN_MAX: usize = 256;
/// Commands and network events that may wait.
const QUEUE_MAX: usize = 4096;
/// Times between decisions that are kept for the percentiles.
const SAMPLES_MAX: usize = 4096;

/// Why a command was not decided.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// The queue of commands is full or the command is too long.
    #[error("the state machine refused the command: {0}")]
    Refused(String),
    /// The daemon is stopping.
    #[error("the daemon is stopping")]
    Stopping,
}

struct Submission {
    command: Vec<u8>,
    done: oneshot::Sender<Result<Instance, SubmitError>>,
}

/// What the driver shows to the rest of the daemon.
#[derive(Default)]
struct Shared {
    state: pib::State,
    decided: u64,
    tau: Stamp,
    nulls: u64,
    commands: u64,
    command_bytes: u64,
    faults: u64,
    samples: VecDeque<f64>,
    last_decision_us: Option<u64>,
}

/// Handle to the running state machine; cheap to clone.
#[derive(Clone)]
pub struct Rsm {
    submissions: mpsc::Sender<Submission>,
    shared: Arc<Mutex<Shared>>,
}

impl Rsm {
    /// Puts a command into the log; returns when it is decided and applied here.
    pub async fn submit(&self, command: Vec<u8>) -> Result<Instance, SubmitError> {
        let (done, outcome) = oneshot::channel();
        let submission = Submission { command, done };
        self.submissions.send(submission).await.map_err(|_| SubmitError::Stopping)?;
        outcome.await.unwrap_or(Err(SubmitError::Stopping))
    }

    /// The application state at the newest applied instance.
    pub fn state(&self) -> pib::State {
        self.lock().state.clone()
    }

    /// Instances decided and applied here since the group began.
    pub fn decided(&self) -> u64 {
        self.lock().decided
    }

    /// The log's own time: a median of the members' clocks (specification 5.2). 0 until something
    /// was decided since the daemon started.
    pub fn tau(&self) -> Stamp {
        self.lock().tau
    }

    /// Unprovable wrongs of peers since the daemon started.
    pub fn faults(&self) -> u64 {
        self.lock().faults
    }

    /// Counters and latency percentiles.
    pub fn stats(&self) -> RsmStats {
        let shared = self.lock();
        let mut sorted: Vec<f64> = shared.samples.iter().copied().collect();
        sorted.sort_by(f64::total_cmp);
        let percentile = |share: f64| {
            let index = ((sorted.len() as f64 * share) as usize).min(sorted.len().max(1) - 1);
            sorted.get(index).copied().unwrap_or(0.0)
        };
        RsmStats {
            instances: shared.decided,
            nulls: shared.nulls,
            commands: shared.commands,
            command_bytes: shared.command_bytes,
            state_commands: shared.state.applied(),
            state_digest: shared.state.digest().to_hex(),
            faults: shared.faults,
            latency_p50_ms: percentile(0.5),
            latency_p99_ms: percentile(0.99),
            samples: sorted.len() as u64,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// Starts the driver on its own thread. The returned receiver yields once, when the driver ends:
/// `Ok` after a shutdown, an error if a promise could not be kept durable.
pub fn start(
    config: bart_rsm::Config,
    key: types::SecretKey,
    promises: Promises,
    net: Net,
    events: net::ControlReceiver,
    clock: Clock,
) -> Result<(Rsm, oneshot::Receiver<Result<(), NodeError>>), NodeError> {
    let shared = Arc::new(Mutex::new(Shared::default()));
    let (submissions, queue) = mpsc::channel(QUEUE_MAX);
    let rsm = Rsm { submissions, shared };
    let core = restore(config, key, &promises, &rsm)?;
    let (done, ended) = oneshot::channel();
    let mut driver = Driver {
        core,
        promises,
        net,
        clock,
        rsm: rsm.clone(),
        waiting: BTreeMap::new(),
        next_ticket: 0,
        applied_dirty: None,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .map_err(|source| NodeError::Io { what: "start", path: "the runtime".into(), source })?;
    std::thread::Builder::new()
        .name("rsm".into())
        .spawn(move || {
            let outcome = runtime.block_on(driver.run(events, queue));
            let _ = done.send(outcome);
        })
        .map_err(|source| NodeError::Io { what: "start", path: "a thread".into(), source })?;
    Ok((rsm, ended))
}

fn restore(
    config: bart_rsm::Config,
    key: types::SecretKey,
    promises: &Promises,
    rsm: &Rsm,
) -> Result<Core, NodeError> {
    let damaged = |detail: String| NodeError::Record { what: "the state machine", detail };
    if let Some(alarm) = promises.get(Table::Applied, ALARM_KEY)? {
        return Err(NodeError::Alarm(String::from_utf8_lossy(&alarm).into_owned()));
    }
    let records = newest_records(promises)?;
    if let Some(bytes) = promises.get(Table::Applied, APPLIED_KEY)? {
        let (applied, state) =
            decode_applied(&bytes).map_err(|error| damaged(error.to_string()))?;
        let mut shared = rsm.lock();
        shared.decided = applied;
        shared.state = state;
    }
    if records.is_empty() {
        return Core::new(config, key).map_err(|error| NodeError::Group(error.to_string()));
    }
    Core::restore(config, key, records).map_err(|error| damaged(error.to_string()))
}

/// Instances that a core is started with; it loads older ones when it needs them. More than the
/// core keeps in memory, so that nothing is missing.
const RESTORE_INSTANCES: u64 = 80;

/// The records of the newest instances and of the log's state, whatever the length of the log.
fn newest_records(promises: &Promises) -> Result<Vec<Record>, NodeError> {
    let instance = |no| RecordKey::Instance(Instance(no)).to_bytes();
    let body = |no, digest| RecordKey::Body(Instance(no), digest).to_bytes();
    let newest = promises.last_key(Table::Rsm, instance(0)..=instance(u64::MAX))?;
    let newest = match newest.as_deref().map(RecordKey::from_bytes) {
        Some(Ok(RecordKey::Instance(no))) => no.0,
        _ => 0,
    };
    let first = newest.saturating_sub(RESTORE_INSTANCES);
    let log = RecordKey::Log.to_bytes();
    let ranges = [
        log.clone()..=log,
        instance(first)..=instance(u64::MAX),
        body(first, Hash::ZERO)..=body(u64::MAX, Hash([255; 32])),
    ];
    let (mut records, mut bad) = (Vec::new(), None);
    for range in ranges {
        promises.scan_range(Table::Rsm, range, |key, value| match RecordKey::from_bytes(key) {
            Ok(key) => records.push(Record { key, value: value.to_vec() }),
            Err(error) => bad = Some(error.to_string()),
        })?;
    }
    match bad {
        Some(detail) => Err(NodeError::Record { what: "the state machine", detail }),
        None => Ok(records),
    }
}

const APPLIED_KEY: &[u8] = b"state";
const ALARM_KEY: &[u8] = b"alarm";

fn encode_applied(applied: u64, state: &pib::State) -> Vec<u8> {
    let mut out = types::Writer::new();
    out.u64(applied);
    out.put(state);
    out.finish()
}

fn decode_applied(bytes: &[u8]) -> Result<(u64, pib::State), types::DecodeError> {
    let mut input = types::Reader::new(bytes);
    let applied = (input.u64()?, input.get()?);
    input.finish()?;
    Ok(applied)
}

struct Driver {
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
    async fn run(
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
                self.fault(peer, &format!("{fault:?}"));
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
