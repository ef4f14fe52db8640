//! Authenticated, encrypted links between members, dialled by public key.
//!
//! Source: section 4.3 (who dials, with which back-off) and section 4.4 (what a reliable
//! transport must and must not do) of the protocol.
//!
//! Each pair of members has two connections: [`Class::Control`] carries the small frames of the
//! state machine, [`Class::Bulk`] carries requests and responses with chunk bodies. They share
//! nothing, so a saturated bulk connection never delays a control frame. The lower slot dials
//! both; the other side never dials.
//!
//! Assumes: every member knows every other member's ed25519 key beforehand (the roster); the
//! operating system gives randomness; one [`Net`] per member and key.
//!
//! Guarantees:
//! 1. A frame or request handed up came from the holder of that peer's key, over TLS 1.3 with
//!    raw public keys (RFC 7250) on both sides; a key that is not on the list never gets past
//!    the handshake. No resumption, no 0-RTT, no compression.
//! 2. Slot, group and protocol version are checked after the handshake; a mismatch closes the
//!    connection and is counted.
//! 3. Control frames of one connection arrive in the order sent, none twice; a lost connection
//!    is told as [`NetEvent::PeerDown`] after its last frame.
//! 4. Back-pressure on bulk never stops the reading of control, and that of one peer never
//!    stops another's.
//! 5. Bytes from outside never cause a panic; what breaks the framing is counted as a
//!    [`FaultKind`] and closes only that connection.
//!
//! Bounds, all in [`NetConfig`]: frame lengths, queued frames and bytes per peer in each
//! direction, requests in flight, half-open handshakes in total and per source address, and the
//! time of every step. Memory is taken as bytes arrive, never as a length field claims.
//!
//! Evidence produced: none; what goes wrong on a link cannot be proved to a third party.
//!
//! Deviation: section 4.4 has one connection per pair with prioritised lanes. TCP has
//! head-of-line blocking, so the bulk lane is a connection of its own; T and W lanes share the
//! control connection.

mod backoff;
mod body;
mod bulk;
mod closer;
mod config;
mod control;
mod dial;
mod error;
mod events;
mod frame;
#[cfg(feature = "fuzz")]
pub mod fuzz;
mod half_open;
mod hello;
mod link;
mod net;
mod peer;
mod rate;
mod status;
mod tcp;
mod tls;
mod transport;

pub use body::Body;
pub use bulk::Responder;
pub use config::{Listen, NetConfig, PROTOCOL_VERSION};
pub use error::{DownReason, FaultKind, NetError, RequestError, SendError};
pub use events::{ControlReceiver, Incoming, NetEvent, RequestReceiver};
pub use net::Net;
pub use peer::{Class, Peer};
pub use status::{PeerStatus, StrangerFaults};
pub use tcp::{TlsOptions, TlsTransport};
pub use transport::{Connection, Occupancy, Stream, Transport, TransportError, TransportFuture};

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks, ignoring poison: every critical section of this crate leaves its data valid at each
/// step, so a panic elsewhere must not take the links down.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
