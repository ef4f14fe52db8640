//! Every limit and time of the links, with its default, unit and danger.
//!
//! Bounds: the relations that the other modules rely on are asserted at compile time for the
//! defaults and by [`NetConfig::validate`] for what a caller sets.

use std::num::NonZeroU64;
use std::time::Duration;

use types::Slot;
use zeroize::Zeroizing;

use crate::error::NetError;

/// Version of the hello and of the framing. A peer with another one is refused.
pub const PROTOCOL_VERSION: u16 = 3;

pub(crate) const KIB: usize = 1024;
pub(crate) const MIB: usize = 1024 * KIB;

/// Longest control frame a peer may send by default, in bytes.
pub(crate) const CONTROL_FRAME_MAX: usize = 2 * MIB;
/// Longest bulk body by default, in bytes.
pub(crate) const BULK_FRAME_MAX: usize = 64 * MIB;
/// What a queued item costs beyond its bytes, so that empty frames are bounded too.
pub(crate) const ITEM_COST: usize = 128;
/// Largest piece handed to TLS in one write, in bytes: large enough that system calls do not
/// matter beside the cipher, small enough that rate limits and fairness work per piece.
pub(crate) const WRITE_PIECE: usize = 256 * KIB;
/// Plaintext that TLS may hold unsent per connection, in bytes.
pub(crate) const TLS_BUFFER: usize = WRITE_PIECE;
/// Frames up to this length are read through the look-ahead buffer and copied out exactly, so
/// that a parked small frame pins no large block.
pub(crate) const SMALL_FRAME: usize = 32 * KIB;
/// First allocation for a larger frame, in bytes; it doubles as bytes really arrive.
pub(crate) const FIRST_GROWTH: usize = 256 * KIB;
/// Hello frames are at most this long, in bytes.
pub(crate) const HELLO_MAX: usize = 128;
/// Addresses kept per peer.
pub(crate) const ADDRESSES_MAX: usize = 16;

const MIB_64: u64 = 64 * 1024 * 1024;
const _: () = assert!(BULK_FRAME_MAX as u64 == MIB_64);
const _: () = assert!(CONTROL_FRAME_MAX < BULK_FRAME_MAX);
const _: () = assert!(BULK_FRAME_MAX + HELLO_MAX < u32::MAX as usize);
const _: () = assert!(SMALL_FRAME < FIRST_GROWTH);

/// Where a member listens.
#[derive(Debug)]
pub enum Listen {
    /// An address to bind, `host:port`.
    Address(String),
    /// A socket that is bound already (tests use port 0; a service manager may hand one over).
    Socket(std::net::TcpListener),
}

/// Configuration of all links of one member.
pub struct NetConfig {
    /// Our own slot.
    pub slot: Slot,
    /// Opaque id of the group; peers of another group are refused after the handshake.
    pub group: [u8; 32],
    pub(crate) seed: Zeroizing<[u8; 32]>,
    /// Where to listen.
    pub listen: Listen,
    /// Longest control frame accepted, in bytes. Default 2 MiB. Smaller than what peers send
    /// means that they cannot reach us.
    pub control_frame_max: usize,
    /// Longest request or response body accepted, in bytes. Default 64 MiB.
    pub bulk_frame_max: usize,
    /// Control frames waiting to be written to one peer. Default 4096.
    pub control_queue_frames: usize,
    /// Bytes of control frames waiting to be written to one peer. Default 16 MiB.
    pub control_queue_bytes: usize,
    /// Bytes of received control frames that wait for [`crate::ControlReceiver`], per peer.
    /// Default 8 MiB, at least twice `control_frame_max`. Beyond it that peer is not read.
    pub control_incoming_bytes: usize,
    /// Our requests in flight to one peer. Default 16; the peer's own limit applies if lower.
    pub bulk_in_flight_out: u16,
    /// Requests of one peer that we have in work. Default 16. Beyond it its bulk connection is
    /// not read.
    pub bulk_in_flight_in: u16,
    /// Calls of [`crate::Net::request`] that may wait for their turn, per peer. Default 256.
    pub bulk_waiting_max: usize,
    /// Bytes of requests being written, and again of responses reserved with
    /// [`crate::Responder::reserve`], per peer. Default 128 MiB, at least `bulk_frame_max`.
    pub bulk_outgoing_bytes: usize,
    /// Bytes of received requests not answered yet, per peer. Default 128 MiB, at least
    /// `bulk_frame_max`. Beyond it that peer's bulk connection is not read.
    pub bulk_incoming_bytes: usize,
    /// Bulk bytes sent per second, all peers together. Default: no limit.
    pub upload_limit: Option<NonZeroU64>,
    /// Bulk bytes received per second, all peers together. Default: no limit.
    pub download_limit: Option<NonZeroU64>,
    /// First waiting time of the redial back-off. Default 60 s, twice the `Gamma` of
    /// section 4.3; it doubles up to `redial_max` and falls back after a finished handshake.
    pub redial_first: Duration,
    /// Longest time between redials. Default 10 min (section 4.3).
    pub redial_max: Duration,
    /// Time for one address to answer a TCP connect. Default 10 s.
    pub connect_timeout: Duration,
    /// Time for the TLS handshake, and again for the hello. Default 10 s.
    pub handshake_timeout: Duration,
    /// A connection on which a write makes no progress for this long is closed. Default 2 min.
    pub stall_timeout: Duration,
    /// Idle time before TCP probes a silent peer. Default 10 min, because silence costs nothing
    /// (section 4.3).
    pub tcp_keepalive: Duration,
    /// Time that sent bytes may stay unacknowledged by the peer's host. Default 60 s.
    pub tcp_user_timeout: Duration,
    /// Accepted connections whose handshake or hello is not finished. Default 256.
    pub half_open_max: usize,
    /// The same from one source (an IPv4 address or an IPv6 /64). Default 64; a group that runs
    /// on one host needs two per member that dials.
    pub half_open_per_source: usize,
}

impl NetConfig {
    /// Defaults for a real group. `seed` is the ed25519 signing seed whose public key the peers
    /// know; it is wiped when the configuration is dropped.
    pub fn new(slot: Slot, group: [u8; 32], seed: [u8; 32], listen: Listen) -> Self {
        Self {
            slot,
            group,
            seed: Zeroizing::new(seed),
            listen,
            control_frame_max: CONTROL_FRAME_MAX,
            bulk_frame_max: BULK_FRAME_MAX,
            control_queue_frames: 4096,
            control_queue_bytes: 16 * MIB,
            control_incoming_bytes: 8 * MIB,
            bulk_in_flight_out: 16,
            bulk_in_flight_in: 16,
            bulk_waiting_max: 256,
            bulk_outgoing_bytes: 128 * MIB,
            bulk_incoming_bytes: 128 * MIB,
            upload_limit: None,
            download_limit: None,
            redial_first: Duration::from_secs(60),
            redial_max: Duration::from_secs(600),
            connect_timeout: Duration::from_secs(10),
            handshake_timeout: Duration::from_secs(10),
            stall_timeout: Duration::from_secs(120),
            tcp_keepalive: Duration::from_secs(600),
            tcp_user_timeout: Duration::from_secs(60),
            half_open_max: 256,
            half_open_per_source: 64,
        }
    }

    /// Checks the relations between the limits.
    pub fn validate(&self) -> Result<(), NetError> {
        let rules: [(bool, &str); 9] = [
            (
                (HELLO_MAX..=u32::MAX as usize / 4).contains(&self.control_frame_max),
                "control_frame_max must be between 128 bytes and 1 GiB",
            ),
            (
                (HELLO_MAX..=u32::MAX as usize / 4).contains(&self.bulk_frame_max),
                "bulk_frame_max must be between 128 bytes and 1 GiB",
            ),
            (
                in_budget(self.control_incoming_bytes, 2 * (self.control_frame_max + ITEM_COST)),
                "control_incoming_bytes must be at least twice control_frame_max (and 256 bytes), and at most 1 GiB",
            ),
            (
                in_budget(self.bulk_incoming_bytes, self.bulk_frame_max),
                "bulk_incoming_bytes must be at least bulk_frame_max, and at most 1 GiB",
            ),
            (
                in_budget(self.bulk_outgoing_bytes, self.bulk_frame_max),
                "bulk_outgoing_bytes must be at least bulk_frame_max, and at most 1 GiB",
            ),
            (
                self.control_queue_frames > 0 && self.control_queue_bytes > 0,
                "control_queue_frames and control_queue_bytes must not be 0",
            ),
            (
                self.bulk_in_flight_out > 0 && self.bulk_in_flight_in > 0,
                "bulk_in_flight_out and bulk_in_flight_in must not be 0",
            ),
            (
                !self.redial_first.is_zero() && self.redial_first <= self.redial_max,
                "redial_first must be more than 0 and at most redial_max",
            ),
            (
                self.half_open_max > 0 && self.half_open_per_source > 0,
                "half_open_max and half_open_per_source must not be 0",
            ),
        ];
        match rules.iter().find(|(holds, _)| !holds) {
            Some((_, rule)) => Err(NetError::Config((*rule).to_owned())),
            None => Ok(()),
        }
    }
}

fn in_budget(bytes: usize, least: usize) -> bool {
    (least..=u32::MAX as usize / 4).contains(&bytes)
}

impl std::fmt::Debug for NetConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The seed is a secret: it has no place in a log.
        f.debug_struct("NetConfig")
            .field("slot", &self.slot)
            .field("listen", &self.listen)
            .finish_non_exhaustive()
    }
}
