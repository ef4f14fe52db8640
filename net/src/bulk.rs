//! The bulk connection: requests and responses with ids, many in flight.
//!
//! A request is answered by a response or a decline with its id. A requester that gives up takes
//! the request out of its queue or, if it is on its way, sends a cancel; only then it counts as
//! done on its side. So a correct requester never has more in flight than the responder allows,
//! and the responder stops reading only at a peer that has.
//!
//! Guarantees: a request gets exactly one outcome; a response that was never asked for is a
//! fault. Bounds: `bulk_in_flight_*` requests each way, `bulk_outgoing_bytes` of requests being
//! written, `bulk_incoming_bytes` of request bodies not answered, twice `bulk_in_flight_in`
//! requests not received by the application; responses are bounded by the requests in work, and
//! in bytes for those who call [`Responder::reserve`] before they load a body.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Instant, timeout_at};

use crate::body::Body;
use crate::error::{FaultKind, RequestError};
use crate::events::{Incoming, RequestSender};
use crate::frame::{FrameReader, FrameWriter, LinkError, header, kind};
use crate::lock;
use crate::peer::{PeerState, kib_permits};

/// Bytes of an id before a body.
pub(crate) const ID: usize = 8;
/// Writes are flushed when nothing else waits, and at the latest after this many frames.
const FLUSH_EVERY: u32 = 16;

type Answer = Result<Bytes, RequestError>;

/// One live bulk connection.
pub(crate) struct BulkLink {
    state: Mutex<State>,
    ready: Notify,
    /// Places for our requests in flight.
    places: Arc<Semaphore>,
    /// Places for the peer's requests in work.
    serving: Arc<Semaphore>,
    /// Longest body the peer takes.
    body_max: usize,
}

#[derive(Default)]
struct State {
    next_id: u64,
    out: VecDeque<Out>,
    /// Our requests without an answer.
    asked: BTreeMap<u64, oneshot::Sender<Answer>>,
    /// The peer's requests without an answer from us, and the place each takes.
    working: BTreeMap<u64, OwnedSemaphorePermit>,
    closed: bool,
}

/// A frame that waits to be written. Permits are freed when it is written or dropped.
struct Out {
    kind: u8,
    id: u64,
    body: Body,
    _permits: [Option<OwnedSemaphorePermit>; 2],
}

impl Out {
    fn bare(frame_kind: u8, id: u64, permit: Option<OwnedSemaphorePermit>) -> Self {
        Self { kind: frame_kind, id, body: Body::default(), _permits: [permit, None] }
    }
}

impl BulkLink {
    pub(crate) fn new(in_flight_out: u16, in_flight_in: u16, body_max: usize) -> Self {
        Self {
            state: Mutex::default(),
            ready: Notify::new(),
            places: Arc::new(Semaphore::new(in_flight_out.into())),
            serving: Arc::new(Semaphore::new(in_flight_in.into())),
            body_max,
        }
    }

    /// Ends every request in either direction.
    pub(crate) fn close(&self) {
        let mut state = lock(&self.state);
        state.closed = true;
        state.out.clear();
        state.working.clear();
        // Dropping the senders tells the callers.
        state.asked.clear();
        self.places.close();
        self.serving.close();
    }

    fn push(&self, state: &mut State, out: Out) {
        state.out.push_back(out);
        self.ready.notify_one();
    }

    /// Asks and waits for the answer.
    pub(crate) async fn request(
        self: &Arc<Self>,
        peer: &PeerState,
        body: Body,
        limit: Duration,
    ) -> Answer {
        let len = body.len();
        if len > self.body_max {
            return Err(RequestError::TooLarge { len, max: self.body_max });
        }
        let deadline = Instant::now() + limit;
        let places = async {
            let _waiting = peer.budgets.waiting.try_acquire().map_err(|_| RequestError::Busy)?;
            let place = Arc::clone(&self.places).acquire_owned().await;
            let place = place.map_err(|_| RequestError::Closed)?;
            let bytes = Arc::clone(&peer.budgets.bulk_out).acquire_many_owned(kib_permits(len));
            Ok((place, bytes.await.map_err(|_| RequestError::Closed)?))
        };
        let (place, bytes) =
            timeout_at(deadline, places).await.map_err(|_| RequestError::Timeout)??;
        let (answer_tx, answer_rx) = oneshot::channel();
        let id = {
            let mut state = lock(&self.state);
            if state.closed {
                return Err(RequestError::Closed);
            }
            let id = state.next_id;
            state.next_id += 1;
            state.asked.insert(id, answer_tx);
            let out = Out { kind: kind::REQUEST, id, body, _permits: [Some(bytes), None] };
            self.push(&mut state, out);
            id
        };
        let _asked = Asked { link: self, id, _place: place };
        match timeout_at(deadline, answer_rx).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(RequestError::Closed),
            Err(_) => Err(RequestError::Timeout),
        }
    }

    /// Gives a request up: unsent ones leave the queue, others are cancelled at the peer.
    fn give_up(&self, id: u64) {
        let mut state = lock(&self.state);
        if state.asked.remove(&id).is_none() || state.closed {
            return;
        }
        let unsent = |out: &Out| out.kind == kind::REQUEST && out.id == id;
        match state.out.iter().position(unsent) {
            Some(place) => drop(state.out.remove(place)),
            // At most one cancel per request on its way, hence bounded like those.
            None => self.push(&mut state, Out::bare(kind::CANCEL, id, None)),
        }
    }

    async fn next_out(&self) -> Out {
        loop {
            if let Some(out) = lock(&self.state).out.pop_front() {
                return out;
            }
            self.ready.notified().await;
        }
    }

    /// Writes what is queued until the connection fails.
    pub(crate) async fn write_loop<W: AsyncWrite + Unpin>(
        &self,
        io: &mut FrameWriter<W>,
    ) -> LinkError {
        let mut unflushed = 0;
        loop {
            let out = self.next_out().await;
            unflushed += 1;
            if let Err(error) = write_out(io, &out).await {
                return error;
            }
            if unflushed >= FLUSH_EVERY || lock(&self.state).out.is_empty() {
                unflushed = 0;
                if let Err(error) = io.flush().await {
                    return error;
                }
            }
        }
    }

    /// Reads requests and answers until the connection fails.
    pub(crate) async fn read_loop<R: AsyncRead + Unpin>(
        self: &Arc<Self>,
        io: &mut FrameReader<R>,
        peer: &PeerState,
        requests: &RequestSender,
    ) -> LinkError {
        loop {
            if let Err(error) = self.read_one(io, peer, requests).await {
                return error;
            }
        }
    }

    async fn read_one<R: AsyncRead + Unpin>(
        self: &Arc<Self>,
        io: &mut FrameReader<R>,
        peer: &PeerState,
        requests: &RequestSender,
    ) -> Result<(), LinkError> {
        let (frame_kind, len) = io.header().await?;
        let Some(rest) = len.checked_sub(ID) else {
            return Err(LinkError::Fault(FaultKind::Malformed));
        };
        match frame_kind {
            kind::REQUEST => self.read_request(io, peer, requests, rest).await,
            kind::RESPONSE => {
                let id = io.id().await?;
                if !self.is_asked(id)? {
                    return io.discard(rest).await;
                }
                let body = io.payload(rest).await?;
                self.answered(id, Ok(body));
                Ok(())
            }
            kind::DECLINE if rest == 0 => {
                let id = io.id().await?;
                self.is_asked(id)?;
                self.answered(id, Err(RequestError::Declined));
                Ok(())
            }
            kind::CANCEL if rest == 0 => {
                let id = io.id().await?;
                self.cancelled(id);
                Ok(())
            }
            kind::DECLINE | kind::CANCEL => Err(LinkError::Fault(FaultKind::Malformed)),
            _ => Err(LinkError::Fault(FaultKind::UnknownKind)),
        }
    }

    async fn read_request<R: AsyncRead + Unpin>(
        self: &Arc<Self>,
        io: &mut FrameReader<R>,
        peer: &PeerState,
        requests: &RequestSender,
        len: usize,
    ) -> Result<(), LinkError> {
        let closed = |_| LinkError::Closed;
        let place = Arc::clone(&self.serving).acquire_owned().await.map_err(closed)?;
        let queued = Arc::clone(&peer.budgets.bulk_queue).acquire_owned().await.map_err(closed)?;
        // The claim takes of the peer's own budget only; memory follows as bytes arrive.
        let bytes = Arc::clone(&peer.budgets.bulk_in).acquire_many_owned(kib_permits(len));
        let bytes = bytes.await.map_err(closed)?;
        let id = io.id().await?;
        let body = io.payload(len).await?;
        if lock(&self.state).working.insert(id, place).is_some() {
            return Err(LinkError::Fault(FaultKind::DuplicateRequest));
        }
        let responder = Responder {
            link: Arc::downgrade(self),
            id,
            budget: Arc::clone(&peer.budgets.responses),
            request_bytes: Some(bytes),
            reserved: None,
            done: false,
        };
        // If nobody takes requests any more, the dropped responder declines.
        let _ = requests.send((Incoming { from: peer.slot, body, responder }, queued));
        Ok(())
    }

    /// Whether someone still waits for this answer; an id that was never used is a fault.
    fn is_asked(&self, id: u64) -> Result<bool, LinkError> {
        let state = lock(&self.state);
        if id >= state.next_id {
            return Err(LinkError::Fault(FaultKind::BadResponse));
        }
        Ok(state.asked.contains_key(&id))
    }

    fn answered(&self, id: u64, answer: Answer) {
        let waiting = lock(&self.state).asked.remove(&id);
        if let Some(waiting) = waiting {
            // The caller may have given up in this moment.
            let _ = waiting.send(answer);
        }
    }

    /// The peer no longer wants an answer.
    fn cancelled(&self, id: u64) {
        let mut state = lock(&self.state);
        state.working.remove(&id);
        state.out.retain(|out| {
            !(out.id == id && (out.kind == kind::RESPONSE || out.kind == kind::DECLINE))
        });
    }

    /// Queues the answer to a request of the peer.
    fn answer(
        &self,
        id: u64,
        body: Option<Body>,
        reserved: Option<OwnedSemaphorePermit>,
    ) -> Result<(), RequestError> {
        let mut state = lock(&self.state);
        if state.closed {
            return Err(RequestError::Closed);
        }
        // Absent if the peer cancelled: then there is nobody to answer.
        let Some(place) = state.working.remove(&id) else { return Err(RequestError::Closed) };
        let (out, outcome) = match body {
            Some(body) if body.len() <= self.body_max => {
                let _permits = [Some(place), reserved];
                (Out { kind: kind::RESPONSE, id, body, _permits }, Ok(()))
            }
            Some(body) => {
                let error = RequestError::TooLarge { len: body.len(), max: self.body_max };
                (Out::bare(kind::DECLINE, id, Some(place)), Err(error))
            }
            None => (Out::bare(kind::DECLINE, id, Some(place)), Ok(())),
        };
        self.push(&mut state, out);
        outcome
    }
}

async fn write_out<W: AsyncWrite + Unpin>(
    io: &mut FrameWriter<W>,
    out: &Out,
) -> Result<(), LinkError> {
    let head = header(out.kind, ID + out.body.len());
    let id = out.id.to_le_bytes();
    let mut parts: Vec<&[u8]> = Vec::with_capacity(2 + out.body.parts().len());
    parts.extend([&head[..], &id[..]]);
    parts.extend(out.body.parts().iter().map(|part| &part[..]));
    io.write(&parts).await
}

/// Frees the place of a request when its caller is done with it, for whatever reason.
struct Asked<'a> {
    link: &'a BulkLink,
    id: u64,
    _place: OwnedSemaphorePermit,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.link.give_up(self.id);
    }
}

/// Answers one request. Dropping it tells the peer that there will be no answer.
pub struct Responder {
    link: Weak<BulkLink>,
    id: u64,
    budget: Arc<Semaphore>,
    request_bytes: Option<OwnedSemaphorePermit>,
    reserved: Option<OwnedSemaphorePermit>,
    done: bool,
}

impl Responder {
    /// Waits until responses to this peer hold few enough bytes that `bytes` more fit. Call it
    /// before loading a large body, so that a peer that asks and does not read costs no memory.
    pub async fn reserve(&mut self, bytes: usize) -> Result<(), RequestError> {
        let link = self.link.upgrade().ok_or(RequestError::Closed)?;
        if bytes > link.body_max {
            return Err(RequestError::TooLarge { len: bytes, max: link.body_max });
        }
        drop(link);
        self.reserved = None;
        let permits = Arc::clone(&self.budget).acquire_many_owned(kib_permits(bytes)).await;
        self.reserved = Some(permits.map_err(|_| RequestError::Closed)?);
        Ok(())
    }

    /// Queues the answer; never waits. [`RequestError::Closed`] means that the peer is gone or
    /// gave up; after [`RequestError::TooLarge`] the peer is told that there is no answer.
    pub fn respond(mut self, body: impl Into<Body>) -> Result<(), RequestError> {
        self.done = true;
        self.request_bytes = None;
        let link = self.link.upgrade().ok_or(RequestError::Closed)?;
        link.answer(self.id, Some(body.into()), self.reserved.take())
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        if !self.done
            && let Some(link) = self.link.upgrade()
        {
            // Nothing to do about a closed link: the request ended with it.
            let _ = link.answer(self.id, None, None);
        }
    }
}

impl std::fmt::Debug for Responder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Responder").field("id", &self.id).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "bulk_tests.rs"]
mod tests;
