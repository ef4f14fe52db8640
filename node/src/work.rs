//! Level 1 in the daemon: work that others assign to us is performed, and what comes of ours goes to whoever waits
//! (specification 6.1, 7.2, 7.3).
//!
//! Guarantees: 1. work is performed by the code of the direct path, so both give one answer; 2. an outcome that comes
//! when nobody waits any more is entered all the same; 3. one open assignment towards a member at a time for whoever
//! has not answered yet: one convicts. Bounds: [`TRACKED_MAX`] assignments.

use crate::actor::Silence;
use crate::objects::Objects;
use crate::rsm::Rsm;
use crate::storer::StorerService;
use pib::Errand;
use replica::WorkEvent;
use replica::work_assign::{Duty, Outcome, Work};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use types::{GroupId, Hash, Slot, Stamp};

/// Assignments of ours that are followed.
const TRACKED_MAX: usize = 1024;

/// How far an assignment has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// On its way into the log.
    Submitted,
    /// In the log: the group waits for the answer.
    Assigned,
    /// Answered: the kind, the fields, the body.
    Answered(u8, Vec<u8>, Vec<u8>),
    /// `f + 1` members waited in vain.
    Denied,
    /// It cannot be assigned.
    Refused(String),
}

struct Tracked {
    to: Slot,
    errand: Option<Errand>,
    stage: watch::Sender<Stage>,
}

#[derive(Default)]
struct State {
    tracked: BTreeMap<Hash, Tracked>,
    late: BTreeSet<Duty>,
    answered: u64,
    denied: BTreeMap<Slot, u64>,
}

/// What there is to say of assigned work.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WorkCounts {
    /// Members that have an assignment of ours open, and how many.
    pub open: BTreeMap<Slot, u64>,
    /// Members that the group found silent, by assignments.
    pub denied: BTreeMap<Slot, u64>,
    /// Answers to assignments of ours.
    pub answered: u64,
    /// Duties of others that are overdue.
    pub late: u64,
}

/// Assigns work and follows it.
pub struct Assigner {
    rsm: Rsm,
    group: GroupId,
    life_ms: u64,
    state: Mutex<State>,
}

impl Assigner {
    pub(crate) fn new(rsm: Rsm, group: GroupId, params: &replica::work_assign::Params) -> Self {
        // Well below the longest life, which is counted from the log's time.
        Self { rsm, group, life_ms: params.request_life_ms / 2, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Until when a request that is stated now may be asked for.
    pub(crate) fn expires(&self, now: Stamp) -> Stamp {
        Stamp(self.rsm.tau().0.max(now.0).saturating_add(self.life_ms))
    }

    /// Whether a member owes us an answer to assigned work, or has been found silent.
    pub(crate) fn is_slow(&self, slot: Slot) -> bool {
        let state = self.lock();
        let open = |one: &Tracked| {
            one.to == slot && matches!(*one.stage.borrow(), Stage::Submitted | Stage::Assigned)
        };
        state.denied.contains_key(&slot) || state.tracked.values().any(open)
    }

    /// Has the group make a member answer. None if too much is open.
    pub(crate) async fn assign(
        &self,
        to: Slot,
        work: Work,
        errand: Option<Errand>,
    ) -> Option<watch::Receiver<Stage>> {
        let name = work.root(self.group);
        let stage = {
            let mut state = self.lock();
            if let Some(known) = state.tracked.get(&name) {
                return Some(known.stage.subscribe());
            }
            let ended = |one: &Tracked| {
                matches!(
                    *one.stage.borrow(),
                    Stage::Answered(..) | Stage::Denied | Stage::Refused(_)
                )
            };
            // Denied ones stay: a late answer is still one.
            let kept = |one: &Tracked| !ended(one) || *one.stage.borrow() == Stage::Denied;
            state.tracked.retain(|_, one| kept(one) || one.stage.receiver_count() > 0);
            if state.tracked.len() >= TRACKED_MAX {
                return None;
            }
            let (stage, follower) = watch::channel(Stage::Submitted);
            state.tracked.insert(name, Tracked { to, errand, stage });
            follower
        };
        tracing::warn!(peer = %to, "a slow member: its work is assigned, with the group as witness");
        self.rsm.assign(work).await.ok()?;
        Some(stage)
    }

    pub(crate) fn counts(&self) -> WorkCounts {
        let state = self.lock();
        let mut open = BTreeMap::new();
        for one in state.tracked.values() {
            if matches!(*one.stage.borrow(), Stage::Submitted | Stage::Assigned) {
                *open.entry(one.to).or_default() += 1;
            }
        }
        let (denied, answered) = (state.denied.clone(), state.answered);
        WorkCounts { open, denied, answered, late: state.late.len() as u64 }
    }

    fn set(&self, name: Hash, stage: Stage) -> Option<Errand> {
        let mut state = self.lock();
        match &stage {
            Stage::Answered(..) => state.answered += 1,
            Stage::Denied => {
                if let Some(to) = state.tracked.get(&name).map(|one| one.to) {
                    *state.denied.entry(to).or_default() += 1;
                }
            }
            _ => {}
        }
        let tracked = state.tracked.get(&name)?;
        let answered = matches!(stage, Stage::Answered(..));
        tracked.stage.send_replace(stage);
        if answered { tracked.errand.clone() } else { None }
    }
}

/// Performs and delivers until the member ends.
pub(crate) async fn run(
    mut events: mpsc::UnboundedReceiver<WorkEvent>,
    assigner: Arc<Assigner>,
    objects: Arc<Objects>,
    storer: Arc<StorerService>,
    patience: Duration,
) {
    while let Some(event) = events.recv().await {
        match event {
            WorkEvent::Perform(..) if storer.silence() == Silence::Always => {}
            WorkEvent::Perform(name, request) => {
                let (storer, rsm) = (storer.clone(), assigner.rsm.clone());
                tokio::spawn(async move {
                    match storer.perform(&request, patience).await {
                        Ok(Some(answer)) => drop(rsm.performed(name, answer).await),
                        Ok(None) => {
                            tracing::error!(requester = %request.requester, "assigned work has no legal answer: what was promised is not here");
                        }
                        Err(error) => tracing::error!(%error, "assigned work is not performed"),
                    }
                });
            }
            WorkEvent::Assigned(name, _) => drop(assigner.set(name, Stage::Assigned)),
            WorkEvent::Deliver(name, _, Outcome::Answer(answered)) => {
                let core = answered.core.payload;
                let stage = Stage::Answered(core.kind.0, core.fields.0, answered.body.0.to_vec());
                let Some(errand) = assigner.set(name, stage.clone()) else { continue };
                let objects = objects.clone();
                tokio::spawn(async move {
                    if let Err(error) = objects.take_assigned(&errand, &stage).await {
                        tracing::error!(%error, "an assigned answer is not entered");
                    }
                });
            }
            WorkEvent::Deliver(name, _, Outcome::Denied(_)) => {
                drop(assigner.set(name, Stage::Denied));
            }
            // No work for other machines is assigned.
            WorkEvent::Deliver(..) => {}
            WorkEvent::Refused(name, why) => {
                drop(assigner.set(name, Stage::Refused(why.to_string())));
            }
            WorkEvent::Late(duty) => drop(assigner.lock().late.insert(duty)),
            WorkEvent::InTime(duty) => drop(assigner.lock().late.remove(&duty)),
        }
    }
}
