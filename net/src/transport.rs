//! What carries the bytes: an authenticated stream to a peer that is dialled by its key.
//!
//! [`crate::TlsTransport`] is the implementation over TCP. Another one (through NAT, say) may
//! join beside it; everything above relies only on these guarantees:
//! 1. a stream from `dial` ends at the holder of the key asked for;
//! 2. a stream from `accept` starts at the holder of [`Connection::peer`], which is an allowed key;
//! 3. both are confidential, in order, and without replay; `dial` and `accept` bound their own
//!    unfinished work in number and time.

use std::any::Any;
use std::collections::BTreeSet;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;

use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use types::PublicKey;

use crate::status::StrangerFaults;

/// A byte stream in both directions.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Keeps the place of a connection among the half-open ones until the hello is finished.
pub struct Occupancy(#[allow(dead_code, reason = "held for its drop only")] Box<dyn Any + Send>);

impl Occupancy {
    /// Wraps whatever frees the place when it is dropped.
    pub fn new(place: impl Any + Send) -> Self {
        Self(Box::new(place))
    }
}

/// An authenticated connection.
pub struct Connection {
    /// The bytes.
    pub stream: Box<dyn Stream>,
    /// The key that the other side proved to hold.
    pub peer: PublicKey,
    /// Where it comes from, for messages to people.
    pub remote: String,
    /// Dropped when the hello is finished.
    pub occupancy: Option<Occupancy>,
}

/// A boxed future, so that the trait can be used as an object.
pub type TransportFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A dial attempt or the transport failed.
#[derive(Debug, Error)]
pub enum TransportError {
    /// The peer has no address that can be used.
    #[error("no address known for this peer")]
    NoAddress,
    /// No address could be reached; the text is that of the last one tried.
    #[error("cannot reach {address}: {reason}")]
    Unreachable {
        /// The address tried last.
        address: String,
        /// What failed.
        reason: String,
    },
    /// Someone answered, but the handshake failed.
    #[error("handshake with {address} failed: {reason}")]
    Handshake {
        /// Where.
        address: String,
        /// Why, in the words of the TLS library.
        reason: String,
    },
    /// The transport is closed for good.
    #[error("the transport is closed")]
    Closed,
}

/// A way to reach peers and to be reached.
pub trait Transport: Send + Sync + 'static {
    /// Connects to the holder of `key` at one of `addresses`.
    fn dial<'a>(
        &'a self,
        key: &'a PublicKey,
        addresses: &'a [String],
    ) -> TransportFuture<'a, Result<Connection, TransportError>>;

    /// The next authenticated connection from an allowed key. Cancel safe.
    fn accept(&self) -> TransportFuture<'_, Result<Connection, TransportError>>;

    /// Replaces the set of keys whose connections are accepted.
    fn allow(&self, keys: BTreeSet<[u8; 32]>);

    /// Stops listening; returns when the address is free again.
    fn close(&self) -> TransportFuture<'_, ()>;

    /// The address it listens on, if it has one.
    fn local_addr(&self) -> Option<SocketAddr>;

    /// What those did who never proved to be a peer.
    fn stranger_faults(&self) -> StrangerFaults;
}
