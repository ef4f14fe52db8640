//! The control connection: a bounded queue outwards, one writer, one reader.
//!
//! Guarantees: frames are written in the order queued; several waiting frames leave in one
//! write; queueing never waits. Bounds: `control_queue_frames`, `control_queue_bytes` and one
//! batch outwards; `control_incoming_bytes` inwards.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Notify, Semaphore};
use types::Slot;

use crate::config::{SMALL_FRAME, WRITE_PIECE};
use crate::error::{FaultKind, SendError};
use crate::events::{EventSender, NetEvent};
use crate::frame::{FrameReader, FrameWriter, LinkError, header, kind};
use crate::lock;
use crate::peer::{PeerState, event_permits};

/// The sending side of one live control connection.
pub(crate) struct ControlLink {
    queue: Mutex<Queue>,
    ready: Notify,
    frames_max: usize,
    bytes_max: usize,
    frame_max: usize,
}

#[derive(Default)]
struct Queue {
    frames: VecDeque<Bytes>,
    bytes: usize,
    closed: bool,
}

impl ControlLink {
    pub(crate) fn new(frames_max: usize, bytes_max: usize, frame_max: usize) -> Self {
        Self { queue: Mutex::default(), ready: Notify::new(), frames_max, bytes_max, frame_max }
    }

    /// Queues a frame; never waits.
    pub(crate) fn send(&self, to: Slot, frame: Bytes) -> Result<(), SendError> {
        if frame.len() > self.frame_max {
            return Err(SendError::TooLarge { len: frame.len(), max: self.frame_max });
        }
        let mut queue = lock(&self.queue);
        if queue.closed {
            return Err(SendError::Down(to));
        }
        // A frame longer than the whole budget may pass when nothing else waits.
        let over_bytes = queue.bytes + frame.len() > self.bytes_max && !queue.frames.is_empty();
        if queue.frames.len() >= self.frames_max || over_bytes {
            return Err(SendError::QueueFull(to));
        }
        queue.bytes += frame.len();
        queue.frames.push_back(frame);
        drop(queue);
        self.ready.notify_one();
        Ok(())
    }

    /// Refuses further frames and forgets those that wait.
    pub(crate) fn close(&self) {
        let mut queue = lock(&self.queue);
        queue.closed = true;
        queue.frames.clear();
        queue.bytes = 0;
    }

    /// Waits for frames and takes up to [`WRITE_PIECE`] bytes of them (one frame at least).
    async fn take(&self, batch: &mut Vec<Bytes>) {
        loop {
            {
                let mut queue = lock(&self.queue);
                let mut taken = 0;
                while taken < WRITE_PIECE
                    && let Some(frame) = queue.frames.pop_front()
                {
                    queue.bytes -= frame.len();
                    taken += frame.len();
                    batch.push(frame);
                }
            }
            if !batch.is_empty() {
                return;
            }
            self.ready.notified().await;
        }
    }

    /// Writes what is queued until the connection fails.
    pub(crate) async fn write_loop<W: AsyncWrite + Unpin>(
        &self,
        io: &mut FrameWriter<W>,
    ) -> LinkError {
        loop {
            if let Err(error) = self.write_batch(io).await {
                return error;
            }
        }
    }

    async fn write_batch<W: AsyncWrite + Unpin>(
        &self,
        io: &mut FrameWriter<W>,
    ) -> Result<(), LinkError> {
        let mut batch = Vec::new();
        self.take(&mut batch).await;
        // Small frames are copied together: one record and one system call for all of them.
        let mut small = Vec::new();
        for frame in &batch {
            small.extend_from_slice(&header(kind::CONTROL, frame.len()));
            if frame.len() <= SMALL_FRAME {
                small.extend_from_slice(frame);
            } else {
                io.write(&[&small, frame]).await?;
                small.clear();
            }
        }
        io.write(&[&small]).await?;
        io.flush().await
    }
}

/// Reads control frames and hands them up until the connection fails.
pub(crate) async fn read_loop<R: AsyncRead + Unpin>(
    io: &mut FrameReader<R>,
    peer: &PeerState,
    events: &EventSender,
) -> LinkError {
    loop {
        if let Err(error) = read_one(io, peer, events).await {
            return error;
        }
    }
}

async fn read_one<R: AsyncRead + Unpin>(
    io: &mut FrameReader<R>,
    peer: &PeerState,
    events: &EventSender,
) -> Result<(), LinkError> {
    let (frame_kind, len) = io.header().await?;
    if frame_kind != kind::CONTROL {
        return Err(LinkError::Fault(FaultKind::UnknownKind));
    }
    // Before the payload is read: until the application takes what came, TCP holds the peer back.
    let permit = Arc::clone(&peer.budgets.control_in).acquire_many_owned(event_permits(len));
    let permit = permit.await.map_err(|_| LinkError::Closed)?;
    let frame = io.payload(len).await?;
    // Nobody listens any more only while shutting down.
    let _ = events.send((NetEvent::Control { from: peer.slot, frame }, Some(permit)));
    Ok(())
}

/// Takes the permits of one link event out of the budget of control events.
pub(crate) async fn event_permit(
    budget: &Arc<Semaphore>,
) -> Option<tokio::sync::OwnedSemaphorePermit> {
    Arc::clone(budget).acquire_many_owned(event_permits(0)).await.ok()
}
