//! Runs the state machine core: feeds it messages, timers and commands, makes durable what it
//! wants durable, and only then sends.
//!
//! It has a thread of its own, so that neither signature checks here nor bulk work elsewhere
//! delays the other. One pass takes what has arrived (a bounded number of inputs), steps the core for each,
//! commits all records in one transaction together with the application state they lead to, and
//! then carries out the remaining effects in order.

//! | file | job |
//! | --- | --- |
//! | `mod.rs` | the handle, and starting |
//! | `driver.rs` | the loop: inputs, commit, effects |
//! | `restore.rs` | coming back from the store of promises |

mod driver;
mod restore;

use crate::clock::Clock;
use crate::error::NodeError;
use crate::store::promises::Promises;
use crate::wire::RsmStats;
use driver::Driver;
use net::Net;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::{mpsc, oneshot};
use types::{Instance, Stamp};

/// Commands and network events that may wait.
const QUEUE_MAX: usize = 4096;

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
    let core = restore::restore(config, key, &promises, &rsm)?;
    let (done, ended) = oneshot::channel();
    let mut driver = Driver::new(core, promises, net, clock, rsm.clone());
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
