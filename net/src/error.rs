//! What can go wrong: our own misuse or I/O (`*Error`), a peer's doing ([`FaultKind`]), and why
//! a link ended ([`DownReason`]).

use thiserror::Error;
use types::Slot;

/// Starting or changing the links failed.
#[derive(Debug, Error)]
pub enum NetError {
    /// The listen address could not be bound.
    #[error(
        "cannot listen on {address}: {source}; is another daemon running, or is the address not one of this host's? Change the listen address and start again"
    )]
    Bind {
        /// The address as configured.
        address: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A limit contradicts another one.
    #[error("network configuration: {0}")]
    Config(String),
    /// The list of peers contradicts itself.
    #[error("peer list: {0}")]
    Peers(String),
    /// The signing key was refused by the TLS library.
    #[error("the member's key cannot be used for TLS: {0}; check the key file")]
    Key(String),
    /// There is no tokio runtime to run the links on.
    #[error("the network must be started inside a tokio runtime")]
    NoRuntime,
}

/// A control frame was not queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SendError {
    /// No such peer.
    #[error("{0} is not a peer")]
    Unknown(Slot),
    /// The control connection to the peer is down; send again after the next
    /// [`crate::NetEvent::PeerUp`].
    #[error("the control link to {0} is down")]
    Down(Slot),
    /// The peer takes frames slower than we make them.
    #[error("the control queue to {0} is full")]
    QueueFull(Slot),
    /// The frame is longer than the peer accepts.
    #[error("the control frame is {len} bytes, the limit is {max}")]
    TooLarge {
        /// Length of the frame in bytes.
        len: usize,
        /// The lower of our limit and the peer's.
        max: usize,
    },
}

/// A bulk request or a response to one failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RequestError {
    /// No such peer.
    #[error("{0} is not a peer")]
    Unknown(Slot),
    /// The bulk connection to the peer is down.
    #[error("the bulk link to {0} is down")]
    Down(Slot),
    /// No answer in time; a late one is dropped.
    #[error("no answer in time")]
    Timeout,
    /// The body is longer than the peer accepts.
    #[error("the body is {len} bytes, the limit is {max}")]
    TooLarge {
        /// Length of the body in bytes.
        len: usize,
        /// The lower of our limit and the peer's.
        max: usize,
    },
    /// The connection ended before the answer came.
    #[error("the link closed before the answer came")]
    Closed,
    /// Too many requests wait for this peer already.
    #[error("too many requests wait for this peer")]
    Busy,
    /// The peer dropped the request without an answer.
    #[error("the peer declined to answer")]
    Declined,
}

/// What a peer did wrong on a link. Unsigned, hence no proof of anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Error)]
pub enum FaultKind {
    /// A length field over the limit.
    #[error("frame over the length limit")]
    FrameTooLong,
    /// A frame without a kind, or too short for its kind.
    #[error("malformed frame")]
    Malformed,
    /// A frame of a kind that this version and class do not have.
    #[error("unknown kind of frame")]
    UnknownKind,
    /// The first frame was not a hello.
    #[error("malformed hello")]
    BadHello,
    /// The peer speaks another version.
    #[error("other protocol version")]
    WrongVersion,
    /// The peer belongs to another group.
    #[error("other group")]
    WrongGroup,
    /// The peer's key does not belong to the slot it claims, or it wanted someone else.
    #[error("other slot")]
    WrongSlot,
    /// The peer dialled although we are the dialer of the pair, or asked for another class.
    #[error("wrong role")]
    WrongRole,
    /// A response to a request that was never made.
    #[error("response without a request")]
    BadResponse,
    /// Two requests with one id.
    #[error("request id used twice")]
    DuplicateRequest,
    /// The peer did not take bytes for the whole stall timeout. Its application may be stuck
    /// without any malice; the link comes back by redialling.
    #[error("peer does not read")]
    Stalled,
    /// The peer did not finish the hello in time.
    #[error("hello timeout")]
    HelloTimeout,
}

impl FaultKind {
    /// All kinds, in the order of their counters. A refusal on the wire carries the index here,
    /// so new kinds go to the end.
    pub const ALL: [Self; 12] = [
        Self::FrameTooLong,
        Self::Malformed,
        Self::UnknownKind,
        Self::BadHello,
        Self::WrongVersion,
        Self::WrongGroup,
        Self::WrongSlot,
        Self::WrongRole,
        Self::BadResponse,
        Self::DuplicateRequest,
        Self::Stalled,
        Self::HelloTimeout,
    ];
}

/// Why a link ended.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DownReason {
    /// The peer closed the connection in order.
    #[error("the peer closed the connection")]
    PeerClosed,
    /// The connection broke.
    #[error("connection lost: {0}")]
    Lost(String),
    /// The peer broke the framing or stalled.
    #[error("closed by us: {0}")]
    Fault(FaultKind),
    /// The peer opened a newer connection of the same class.
    #[error("replaced by a newer connection")]
    Replaced,
    /// The peer was taken off the list, or its key changed.
    #[error("the peer is no longer on the list")]
    Removed,
    /// We are shutting down.
    #[error("we are shutting down")]
    Shutdown,
}
