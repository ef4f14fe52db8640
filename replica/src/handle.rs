//! The handle to a running member, and starting it.

use crate::app::Application;
use crate::clock::Clock;
use crate::driver::Driver;
use crate::error::Error;
use crate::restore;
use crate::store::Store;
use crate::work::{Lane, Submitted, WorkDriver, WorkLayer, WorkParts, tick_ms};
use bart_rsm::pom::Pom;
use bart_rsm::{Machine, Record, Reform};
use net::Net;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::{mpsc, oneshot, watch};
use types::{Hash, Instance, Roster, SecretKey, Signed, Stamp};

/// Commands that may wait for the driver.
const QUEUE_MAX: usize = 4096;
/// Times between decisions that are kept for the percentiles.
const SAMPLES_MAX: usize = 4096;

/// Why a command was not decided.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// The queue of commands is full or the command is too long.
    #[error("the state machine refused the command: {0}")]
    Refused(String),
    /// The member is stopping. Whether the command is in the log is not known.
    #[error("the member is stopping")]
    Stopping,
}

/// A command is decided, executed here, and durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decided<T> {
    /// Its place in the log.
    pub inst: Instance,
    /// What the application answered.
    pub answer: T,
}

/// What the submitter waits for.
pub(crate) type Outcome<A> = Result<Decided<<A as Application>::Answer>, SubmitError>;

/// Where a reform was executed, or why not.
pub(crate) type Reformed = Result<Instance, SubmitError>;

/// What the driver is asked for.
pub(crate) enum Request<A: Application> {
    Submit(Submission<A>),
    Reform(Box<Signed<Reform>>, oneshot::Sender<Reformed>),
    Proof(Box<Pom>),
    Work(Box<work_assign::Input>),
}

/// A command on its way into the log.
pub(crate) struct Submission<A: Application> {
    pub(crate) command: Vec<u8>,
    pub(crate) done: oneshot::Sender<Outcome<A>>,
}

/// What the driver shows to everybody else.
pub(crate) struct Shared<A> {
    pub(crate) app: A,
    pub(crate) decided: u64,
    pub(crate) tau: Stamp,
    pub(crate) nulls: u64,
    pub(crate) commands: u64,
    pub(crate) command_bytes: u64,
    pub(crate) faults: u64,
    pub(crate) times: Times,
    samples_ms: VecDeque<f64>,
    last_decision_us: Option<u64>,
}

/// Where the driver's time went since the member started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Times {
    /// Stepping the core, executing and encoding, microseconds.
    pub stepping_us: u64,
    /// Nothing else to do while the disk works.
    pub disk_us: u64,
    /// Nothing to do at all: others have the word.
    pub waiting_us: u64,
    /// Signatures made.
    pub signatures: u64,
    /// Signatures verified.
    pub verifications: u64,
}

impl<A> Shared<A> {
    /// Notes the time from the last decision to this one.
    pub(crate) fn sample(&mut self, now_us: u64) {
        if let Some(last) = self.last_decision_us.replace(now_us) {
            if self.samples_ms.len() == SAMPLES_MAX {
                self.samples_ms.pop_front();
            }
            self.samples_ms.push_back(now_us.saturating_sub(last) as f64 / 1000.0);
        }
    }
}

/// Counters of a member; since it started unless said otherwise.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stats {
    /// Instances decided and executed here since the group began.
    pub instances: u64,
    /// Instances decided NULL.
    pub nulls: u64,
    /// Commands executed.
    pub commands: u64,
    /// Their bytes.
    pub command_bytes: u64,
    /// The application's digest; equal at all members at equal `instances`.
    pub digest: Hash,
    /// Unprovable wrongs of peers.
    pub faults: u64,
    /// Median time from one decision here to the next, milliseconds.
    pub latency_p50_ms: f64,
    /// 99th percentile of the same.
    pub latency_p99_ms: f64,
    /// How many times are behind the percentiles (the newest 4096 at most).
    pub samples: u64,
    /// Where the time went.
    pub times: Times,
}

/// Handle to a running member; cheap to clone.
pub struct Replica<A: Application> {
    requests: mpsc::Sender<Request<A>>,
    rosters: watch::Receiver<Arc<Roster>>,
    shared: Arc<Mutex<Shared<A>>>,
}

impl<A: Application> Clone for Replica<A> {
    fn clone(&self) -> Self {
        Self {
            requests: self.requests.clone(),
            rosters: self.rosters.clone(),
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<A: Application> Replica<A> {
    /// Puts a command into the log; returns when it is decided, executed here and durable.
    ///
    /// Waits as long as it takes: without a quorum nothing is decided. Who stops waiting does not take
    /// the command back. See [`Application`] for what that means for a repetition.
    pub async fn submit(
        &self,
        command: impl Into<Vec<u8>>,
    ) -> Result<Decided<A::Answer>, SubmitError> {
        let (done, outcome) = oneshot::channel();
        let submission = Submission { command: command.into(), done };
        self.request(Request::Submit(submission)).await?;
        outcome.await.unwrap_or(Err(SubmitError::Stopping))
    }

    async fn request(&self, request: Request<A>) -> Result<(), SubmitError> {
        self.requests.send(request).await.map_err(|_| SubmitError::Stopping)
    }

    /// Brings what the group's authority signed into the log. Completes with the instance in which it was
    /// executed; the roster that it makes holds from a few instances later on.
    pub async fn reform(&self, reform: Signed<Reform>) -> Result<Instance, SubmitError> {
        let (done, outcome) = oneshot::channel();
        self.request(Request::Reform(Box::new(reform), done)).await?;
        outcome.await.unwrap_or(Err(SubmitError::Stopping))
    }

    /// Hands over a proof that somebody else found. It comes into the log if it convicts a member that
    /// still takes part.
    pub async fn accuse(&self, proof: Pom) -> Result<(), SubmitError> {
        self.request(Request::Proof(Box::new(proof))).await
    }

    /// Has a member do something, with the group as witness; what comes of it comes as events under the work's name.
    /// Without level 1 nothing does.
    pub async fn assign(&self, work: work_assign::Work) -> Result<(), SubmitError> {
        let local = work_assign::Local::Assign(work);
        self.request(Request::Work(Box::new(work_assign::Input::Local(local)))).await
    }

    /// The answer to a request that an event asked for.
    pub async fn performed(
        &self,
        name: Hash,
        answer: work_assign::Answer,
    ) -> Result<(), SubmitError> {
        let input = work_assign::Input::Performed(name, answer);
        self.request(Request::Work(Box::new(input))).await
    }

    /// Who takes part, as the log says: the founding roster at first, then every later one as soon as its
    /// cause is durable here.
    pub fn rosters(&self) -> watch::Receiver<Arc<Roster>> {
        self.rosters.clone()
    }

    /// Looks at the state at the newest executed instance. The driver waits meanwhile, so `look` must
    /// be short. Reads are local: another member may be further on. A read that must see everything
    /// that was answered before goes through the log as a command.
    pub fn read<T>(&self, look: impl FnOnce(&A) -> T) -> T {
        look(&self.lock().app)
    }

    /// Instances decided and executed here since the group began.
    pub fn decided(&self) -> u64 {
        self.lock().decided
    }

    /// The log's own time: a median of the members' clocks (specification 5.2). 0 until something
    /// was decided since the member started.
    pub fn tau(&self) -> Stamp {
        self.lock().tau
    }

    /// Unprovable wrongs of peers since the member started.
    pub fn faults(&self) -> u64 {
        self.lock().faults
    }

    /// Starts the percentiles anew.
    pub fn forget_latencies(&self) {
        let shared = &mut *self.lock();
        shared.samples_ms.clear();
        shared.last_decision_us = None;
    }

    /// Counters and latency percentiles.
    pub fn stats(&self) -> Stats {
        let shared = self.lock();
        let mut sorted: Vec<f64> = shared.samples_ms.iter().copied().collect();
        sorted.sort_by(f64::total_cmp);
        let percentile = |share: f64| {
            let index = ((sorted.len() as f64 * share) as usize).min(sorted.len().max(1) - 1);
            sorted.get(index).copied().unwrap_or(0.0)
        };
        Stats {
            instances: shared.decided,
            nulls: shared.nulls,
            commands: shared.commands,
            command_bytes: shared.command_bytes,
            digest: shared.app.digest(),
            faults: shared.faults,
            latency_p50_ms: percentile(0.5),
            latency_p99_ms: percentile(0.99),
            samples: sorted.len() as u64,
            times: shared.times,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Shared<A>> {
        lock(&self.shared)
    }
}

/// A panic of whoever read the state leaves it as it was.
pub(crate) fn lock<A>(shared: &Mutex<Shared<A>>) -> MutexGuard<'_, Shared<A>> {
    shared.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// What a member is made of. [`crate::open`] puts it together for those who have no parts of their own.
pub struct Parts<S: Store> {
    /// The group, and our place in it.
    pub config: bart_rsm::Config,
    /// The key that signs.
    pub key: SecretKey,
    /// The disk.
    pub store: S,
    /// The links.
    pub net: Net,
    /// What arrives on them.
    pub events: net::ControlReceiver,
    /// The clock.
    pub clock: Clock,
    /// Level 1, if the group assigns work.
    pub work: Option<WorkParts>,
}

/// Yields once, when the member ends: `Ok` after the links were shut down, an error if something could
/// not be made durable or the group broke its guarantees.
pub type Ended = oneshot::Receiver<Result<(), Error>>;

/// Starts a member on a thread of its own. `app` is its state before the first instance; what the store
/// holds replaces it.
pub fn start<A: Application, S: Store>(
    parts: Parts<S>,
    app: A,
) -> Result<(Replica<A>, Ended), Error> {
    start_with(parts, app, restore::core)
}

/// As [`start`], with another core: `build` makes it from the newest durable records (none: it has
/// never run). For yardsticks and experiments.
pub fn start_with<M: Machine, A: Application, S: Store>(
    parts: Parts<S>,
    app: A,
    build: impl FnOnce(bart_rsm::Config, SecretKey, Vec<Record>) -> Result<M, Error>,
) -> Result<(Replica<A>, Ended), Error> {
    let Parts { config, key, store, net, events, clock, work } = parts;
    let shared = Arc::new(Mutex::new(Shared {
        app,
        decided: 0,
        tau: Stamp(0),
        nulls: 0,
        commands: 0,
        command_bytes: 0,
        faults: 0,
        times: Times::default(),
        samples_ms: VecDeque::new(),
        last_decision_us: None,
    }));
    let (requests, queue) = mpsc::channel(QUEUE_MAX);
    let (changed, rosters) = watch::channel(Arc::clone(&config.roster));
    let records = restore::restore(&store, &mut lock(&shared))?;
    let now = bart_rsm::Now { mono: clock.mono(), wall: clock.wall() };
    let work = match work {
        None => None,
        Some(WorkParts { params, legal, events }) => {
            let layer = WorkLayer::restore(&store, &config, (&params, &legal), key.clone(), now)?;
            let (lane, submitted, tick_ms) =
                (Lane::default(), Submitted::default(), tick_ms(&params));
            let (next_tick, late) = (now.mono.plus(tick_ms), Default::default());
            Some(WorkDriver { layer, lane, submitted, events, tick_ms, next_tick, late })
        }
    };
    let mut core = build(config, key, records)?;
    if let Some(work) = &work
        && !core.attach(Box::new(work.layer.clone()))
    {
        return Err(Error::Config(
            "work is assigned only where one instance runs at a time".into(),
        ));
    }
    let (done, ended) = oneshot::channel();
    let mut driver = Driver::new(core, store, net, clock, Arc::clone(&shared), changed, work);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .map_err(|source| Error::Io { what: "start", path: "the runtime".into(), source })?;
    std::thread::Builder::new()
        .name("rsm".into())
        .spawn(move || {
            let outcome = runtime.block_on(driver.run(events, queue));
            // The store is closed before anybody hears that the member has ended.
            drop(driver);
            let _ = done.send(outcome);
        })
        .map_err(|source| Error::Io { what: "start", path: "a thread".into(), source })?;
    Ok((Replica { requests, rosters, shared }, ended))
}
