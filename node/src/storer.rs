//! Answers other members' stores and retrieves.
//!
//! The pure storer core (`pib::Storer`) decides; this module reads and writes the bodies and keeps
//! the order: body durable, then record durable, then the receipt leaves. Requests of all members
//! are answered concurrently, at most [`WORK_MAX`] at a time; the network bounds them per member.

use crate::actor::{Answering, Silence};
use crate::error::NodeError;
use crate::store::bodies::Bodies;
use crate::store::promises::{Promises, Table, Ticket, writes};
use bytes::Bytes;
use net::{Incoming, RequestReceiver, Responder};
use pib::storer::{Action, FileName, Reply, RetrieveStep, StorerStep};
use pib::{Request, Response, Storer, StorerConfig, Unavailable};
use replica::Clock;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};
use types::{Hash, Roster, Signed, Size, Slot, Stamp, Verified};

/// Requests in work at once. Each holds one chunk in memory.
const WORK_MAX: usize = 16;
/// How long an answer may wait for room on its link. No place in the work is held meanwhile, so a
/// member that does not read what it asked for holds up nobody else.
const ROOM_MAX: Duration = Duration::from_secs(60);

/// How often a chunk is looked for that must come on the direct path.
const POLL: Duration = Duration::from_millis(200);

/// The service.
pub struct StorerService {
    storer: Mutex<Storer>,
    roster: Arc<Roster>,
    promises: Promises,
    bodies: Bodies,
    clock: Clock,
    faults: AtomicU64,
    rules: pib::Rules,
    work: Semaphore,
    /// What a test actor makes of its answers.
    acting: Option<Answering>,
    /// Which requests it does not answer.
    silence: Silence,
}

impl StorerService {
    /// Restores the StoreList from its records and removes files that no record promises.
    pub fn open(
        config: StorerConfig,
        roster: Arc<Roster>,
        promises: Promises,
        bodies: Bodies,
        clock: Clock,
        acting: Option<Answering>,
        silence: Silence,
    ) -> Result<Arc<Self>, NodeError> {
        let damaged = |detail: String| NodeError::Record { what: "the StoreList", detail };
        let mut records = Vec::new();
        promises.scan(Table::Held, |key, value| records.push((key.to_vec(), value.to_vec())))?;
        let rules = config.rules;
        let storer = Storer::restore(config, records).map_err(|e| damaged(e.to_string()))?;
        let promised: BTreeSet<String> = storer.files().map(|file| file.to_string()).collect();
        match bodies.sweep(&promised) {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "removed bodies of interrupted stores"),
            Err(error) => tracing::warn!(%error, "cannot remove bodies of interrupted stores"),
        }
        Ok(Arc::new(Self {
            storer: Mutex::new(storer),
            roster,
            promises,
            bodies,
            clock,
            faults: AtomicU64::new(0),
            rules,
            work: Semaphore::new(WORK_MAX),
            acting,
            silence,
        }))
    }

    /// Answers requests until the links end.
    pub async fn serve(self: Arc<Self>, mut requests: RequestReceiver) {
        while let Some(incoming) = requests.recv().await {
            // The network bounds the requests of each member that are not answered.
            let service = self.clone();
            tokio::spawn(async move { service.answer(incoming).await });
        }
    }

    /// Bytes held for one member.
    pub fn bytes_of(&self, owner: Slot) -> u64 {
        self.lock().owners().get(&owner).map_or(0, |totals| totals.bytes)
    }

    /// Bytes held for all members.
    pub fn bytes_held(&self) -> u64 {
        self.lock().used()
    }

    /// Unprovable wrongs of owners since the start.
    pub fn faults(&self) -> u64 {
        self.faults.load(Ordering::Relaxed)
    }

    /// Lets go of what is over by this member's clock, and by the group's as well: a clock of this
    /// machine that runs ahead must not destroy what was promised. `group_time` is that of the log.
    pub async fn expire(&self, group_time: Stamp) -> Result<(), NodeError> {
        let (files, ticket) = {
            let mut storer = self.lock();
            let now = self.clock.wall().min(Stamp(group_time.0.saturating_add(self.rules.skew_ms)));
            let (records, files) = storer.expire(now);
            (files, self.enqueue(records))
        };
        ticket.durable().await?;
        self.remove(files).await;
        Ok(())
    }

    /// A place in the work; waits until one is free.
    async fn place(&self) -> Option<SemaphorePermit<'_>> {
        // The semaphore is never closed.
        self.work.acquire().await.ok()
    }

    fn lock(&self) -> MutexGuard<'_, Storer> {
        self.storer.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn enqueue(&self, records: Vec<pib::Record>) -> Ticket {
        self.promises.enqueue(writes(Table::Held, records))
    }

    async fn answer(&self, incoming: Incoming) {
        let Incoming { from, body: frame, mut responder } = incoming;
        if self.silence != Silence::Never {
            return;
        }
        let request = match Request::decode(&frame) {
            Ok(request) => request,
            Err(error) => return self.fault(from, &error.to_string()),
        };
        let outcome = match request {
            (Request::Store(info), body) => match info.verify_outside_log(&self.roster) {
                Ok(info) => self.store(from, &info, body).await,
                Err(error) => Ok(self.bad_signature(from, &error.to_string())),
            },
            (Request::Retrieve(request), _) => match request.verify_outside_log(&self.roster) {
                Ok(request) => self.retrieve(from, &request, Some(&mut responder)).await,
                Err(error) => Ok(self.bad_signature(from, &error.to_string())),
            },
        };
        match outcome {
            Ok((response, body)) => {
                let (response, body) = match &self.acting {
                    None => (response, body),
                    Some(lie) => lie(response, body),
                };
                respond(responder, &response, body);
            }
            // Nothing is said: the store of promises has failed and the daemon is about to stop.
            Err(error) => tracing::error!(%error, "a request is not answered"),
        }
    }

    fn fault(&self, peer: Slot, what: &str) {
        self.faults.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(%peer, what, "a member's request is not accepted");
    }

    fn bad_signature(&self, peer: Slot, what: &str) -> (Response, Bytes) {
        self.fault(peer, what);
        (Response::Unavailable(Unavailable::BadSignature), Bytes::new())
    }

    async fn store(
        &self,
        from: Slot,
        info: &types::Verified<types::Signed<pib::StoreInfo>>,
        body: Bytes,
    ) -> Result<(Response, Bytes), NodeError> {
        let _place = self.place().await;
        let hashed = body.clone();
        let hash = blocking(move || Hash::of(&hashed)).await?;
        let now = self.clock.wall();
        let (mut step, mut ticket) = {
            let mut storer = self.lock();
            let mut step = storer.on_store(now, from, info, hash, body.len() as u64);
            let ticket = self.enqueue(std::mem::take(&mut step.records));
            (step, ticket)
        };
        if let Action::Write(place) = &step.action {
            let (bodies, name, place) =
                (self.bodies.clone(), place.file.to_string(), place.clone());
            let written = blocking(move || bodies.write(&name, &body)).await?;
            if let Err(error) = &written {
                tracing::error!(%error, "cannot write a chunk; the store is refused");
            }
            let mut storer = self.lock();
            let ended = match written {
                Ok(()) => storer.on_written(self.clock.wall(), &place),
                Err(_) => storer.on_write_failed(&place),
            };
            let mut ended = ended.map_err(|error| NodeError::Record {
                what: "the StoreList",
                detail: error.to_string(),
            })?;
            ended.remove.append(&mut step.remove);
            step = ended;
            ticket = self.enqueue(std::mem::take(&mut step.records));
        }
        ticket.durable().await?;
        let StorerStep { action, remove, evidence, .. } = step;
        self.remove(remove).await;
        if let Some(evidence) = evidence {
            self.promises.keep_evidence(&self.roster, &self.rules, *evidence).await?;
        }
        let response = match action {
            Action::Answer(response) => response,
            Action::AnswerFromRecord(key) => self.recorded(&key)?,
            Action::Write(_) => Response::Unavailable(Unavailable::Busy),
        };
        Ok((response, Bytes::new()))
    }

    fn recorded(&self, key: &[u8]) -> Result<Response, NodeError> {
        let damaged = |detail: String| NodeError::Record { what: "the StoreList", detail };
        let value = self
            .promises
            .get(Table::Held, key)?
            .ok_or_else(|| damaged("an earlier answer is missing".into()))?;
        Storer::stored_answer(key, &value).map_err(|error| damaged(error.to_string()))
    }

    async fn retrieve(
        &self,
        from: Slot,
        request: &types::Verified<types::Signed<pib::RetrieveRequest>>,
        responder: Option<&mut Responder>,
    ) -> Result<(Response, Bytes), NodeError> {
        let (step, ticket) = {
            let mut storer = self.lock();
            let mut step = storer.on_retrieve(self.clock.wall(), from, request);
            let ticket = self.enqueue(std::mem::take(&mut step.records));
            (step, ticket)
        };
        ticket.durable().await?;
        let RetrieveStep { reply, .. } = step;
        match reply {
            Reply::Answer(response) => Ok((response, Bytes::new())),
            Reply::Read { file, hash, size, part, confirm } => {
                // Room for the answer first, so that memory is bounded by what the link takes.
                let answer = match part {
                    pib::Part::Whole => size.0 as usize,
                    pib::Part::Slice { .. } => pib::slice::PROOF_LEN_MAX,
                };
                if let Some(responder) = responder {
                    let room = tokio::time::timeout(ROOM_MAX, responder.reserve(answer));
                    if !matches!(room.await, Ok(Ok(()))) {
                        return Ok((Response::Unavailable(Unavailable::Busy), Bytes::new()));
                    }
                }
                let _place = self.place().await;
                Ok(match self.read(file, hash, size).await? {
                    Some(body) => (confirm, blocking(move || part.of(body)).await?),
                    None => (Storer::on_body_unavailable(), Bytes::new()),
                })
            }
        }
    }

    /// Which requests a test actor does not answer; a member answers all.
    pub(crate) fn silence(&self) -> Silence {
        self.silence
    }

    /// Performs assigned work by the code of the direct path. A chunk that is too large for the log may come on that
    /// path for so long. None if there is no legal answer.
    pub async fn perform(
        &self,
        ask: &work_assign::Request,
        patience: Duration,
    ) -> Result<Option<work_assign::Answer>, NodeError> {
        // All members have judged it before it was decided.
        let Some((request, body)) = pib::assigned::read(ask) else { return Ok(None) };
        let from = ask.requester;
        let (response, body) = match request {
            Request::Store(info) => {
                let Ok(info) = info.verify_outside_log(&self.roster) else { return Ok(None) };
                (self.perform_store(from, &info, body, patience).await?, Bytes::new())
            }
            Request::Retrieve(request) => {
                let Ok(request) = request.verify_outside_log(&self.roster) else {
                    return Ok(None);
                };
                self.retrieve(from, &request, None).await?
            }
        };
        let (response, body) = match &self.acting {
            None => (response, body),
            Some(lie) => lie(response, body),
        };
        Ok(pib::assigned::answer(ask, &response, &body))
    }

    async fn perform_store(
        &self,
        from: Slot,
        info: &Verified<Signed<pib::StoreInfo>>,
        body: Bytes,
        patience: Duration,
    ) -> Result<Response, NodeError> {
        let until = tokio::time::Instant::now() + patience;
        let here = info.payload.op != pib::Op::Put || body.len() as u64 == info.payload.size.0;
        loop {
            let answered = self.lock().answered(info);
            // What was said rests on records that may not be durable yet.
            self.promises.barrier().await?;
            let response = match answered {
                Some(Action::Answer(response)) => response,
                Some(Action::AnswerFromRecord(key)) => self.recorded(&key)?,
                Some(Action::Write(_)) | None if here => {
                    self.store(from, info, body.clone()).await?.0
                }
                Some(Action::Write(_)) | None => Response::Unavailable(Unavailable::NotYet),
            };
            let later = Response::Unavailable(Unavailable::NotYet);
            let busy = Response::Unavailable(Unavailable::Busy);
            if (response != later && response != busy) || tokio::time::Instant::now() >= until {
                return Ok(response);
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// A body that is what its record says, or `None`: a damaged body is not sent under our name.
    async fn read(
        &self,
        file: FileName,
        hash: Hash,
        size: Size,
    ) -> Result<Option<Bytes>, NodeError> {
        let bodies = self.bodies.clone();
        blocking(move || match bodies.read(&file.to_string(), size.0) {
            Ok(body) if Hash::of(&body) == hash => Some(body),
            Ok(_) => {
                tracing::error!(%file, "a chunk on this disk is damaged");
                None
            }
            Err(error) => {
                tracing::error!(%file, %error, "a chunk on this disk cannot be read");
                None
            }
        })
        .await
    }

    async fn remove(&self, files: Vec<FileName>) {
        if files.is_empty() {
            return;
        }
        let bodies = self.bodies.clone();
        let removal = blocking(move || {
            for file in files {
                if let Err(error) = bodies.remove(&file.to_string()) {
                    // It is swept at the next start.
                    tracing::warn!(%file, %error, "cannot remove a chunk that is not needed");
                }
            }
        });
        if let Err(error) = removal.await {
            tracing::warn!(%error, "removing chunks stopped");
        }
    }
}

fn respond(responder: Responder, response: &Response, body: Bytes) {
    let parts = vec![Bytes::from(response.head()), body];
    if let Err(error) = responder.respond(parts) {
        tracing::debug!(%error, "an answer is not delivered; it will be asked for again");
    }
}

/// Runs what would hold up other tasks on a thread for that.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, NodeError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| NodeError::Record {
        what: "the StoreList",
        detail: format!("work on a chunk stopped: {error}"),
    })
}
