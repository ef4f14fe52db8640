//! What the links hand up, and the receivers of it.
//!
//! Guarantees: events of one peer come in order. The channels themselves are unbounded, but each
//! item holds permits of its peer's budget until it is received, so the memory is bounded per
//! peer, and a peer that floods only stops the reading of its own connection.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use types::Slot;

use crate::bulk::Responder;
use crate::closer::Closer;
use crate::error::DownReason;
use crate::peer::Class;

/// What happened on the links.
#[derive(Debug)]
pub enum NetEvent {
    /// A connection is authenticated and agreed on. Control frames queued before the last
    /// [`NetEvent::PeerDown`] may be lost; the protocol's RESUME goes here.
    PeerUp {
        /// The peer.
        slot: Slot,
        /// Which of its two connections.
        class: Class,
    },
    /// A connection ended.
    PeerDown {
        /// The peer.
        slot: Slot,
        /// Which of its two connections.
        class: Class,
        /// Why.
        reason: DownReason,
    },
    /// A control frame came.
    Control {
        /// Whose key authenticated it.
        from: Slot,
        /// The bytes, unverified beyond that.
        frame: Bytes,
    },
}

pub(crate) type EventSender = mpsc::UnboundedSender<(NetEvent, Option<OwnedSemaphorePermit>)>;
pub(crate) type RequestSender = mpsc::UnboundedSender<(Incoming, OwnedSemaphorePermit)>;

/// Gives link events and control frames.
pub struct ControlReceiver {
    pub(crate) items: mpsc::UnboundedReceiver<(NetEvent, Option<OwnedSemaphorePermit>)>,
    pub(crate) stopped: Arc<Closer>,
}

impl ControlReceiver {
    /// The next event; `None` after shutdown. Cancel safe.
    pub async fn recv(&mut self) -> Option<NetEvent> {
        next(&mut self.items, &self.stopped).await.map(|(event, _permit)| event)
    }

    /// The next event if there is one now.
    pub fn try_recv(&mut self) -> Option<NetEvent> {
        self.items.try_recv().ok().map(|(event, _permit)| event)
    }
}

/// The next item; after the stop those that are left, then `None`.
async fn next<T>(items: &mut mpsc::UnboundedReceiver<T>, stopped: &Closer) -> Option<T> {
    tokio::select! {
        biased;
        item = items.recv() => item,
        _ = stopped.closed() => items.try_recv().ok(),
    }
}

/// A bulk request of a peer.
#[derive(Debug)]
pub struct Incoming {
    /// Whose key authenticated it.
    pub from: Slot,
    /// The bytes, unverified beyond that.
    pub body: Bytes,
    /// Answers it; dropping it declines.
    pub responder: Responder,
}

/// Gives bulk requests.
pub struct RequestReceiver {
    pub(crate) items: mpsc::UnboundedReceiver<(Incoming, OwnedSemaphorePermit)>,
    pub(crate) stopped: Arc<Closer>,
}

impl RequestReceiver {
    /// The next request; `None` after shutdown. Cancel safe.
    pub async fn recv(&mut self) -> Option<Incoming> {
        next(&mut self.items, &self.stopped).await.map(|(incoming, _permit)| incoming)
    }
}
