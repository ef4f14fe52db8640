//! Counters and states for people and metrics.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::SystemTime;

use types::Slot;

use crate::error::FaultKind;

/// What is known about the links to one peer.
#[derive(Debug, Clone)]
pub struct PeerStatus {
    /// The peer.
    pub slot: Slot,
    /// Whether the control connection is up.
    pub control_up: bool,
    /// Whether the bulk connection is up.
    pub bulk_up: bool,
    /// Since when the control connection is up or down.
    pub since: SystemTime,
    /// The last thing that went wrong on either connection, in words.
    pub last_error: Option<String>,
    /// Frame bytes received since the start, both classes.
    pub bytes_in: u64,
    /// Frame bytes sent since the start, both classes.
    pub bytes_out: u64,
    /// What the peer did wrong, by kind; kinds that never happened are absent.
    pub faults: BTreeMap<FaultKind, u64>,
}

/// What unauthenticated connections did, since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StrangerFaults {
    /// Handshakes that broke: garbage, another TLS version, an early end.
    pub handshake_failed: u64,
    /// Handshakes that were not finished in time.
    pub handshake_timeout: u64,
    /// Handshakes with a key that is not on the list.
    pub unknown_key: u64,
    /// Connections closed at once because too many were half-open.
    pub half_open_refused: u64,
}

#[derive(Default)]
pub(crate) struct StrangerCounters {
    pub(crate) handshake_failed: AtomicU64,
    pub(crate) handshake_timeout: AtomicU64,
    pub(crate) unknown_key: AtomicU64,
    pub(crate) half_open_refused: AtomicU64,
}

impl StrangerCounters {
    pub(crate) fn snapshot(&self) -> StrangerFaults {
        StrangerFaults {
            handshake_failed: self.handshake_failed.load(Relaxed),
            handshake_timeout: self.handshake_timeout.load(Relaxed),
            unknown_key: self.unknown_key.load(Relaxed),
            half_open_refused: self.half_open_refused.load(Relaxed),
        }
    }
}

/// Bytes through one peer's connections.
#[derive(Default)]
pub(crate) struct Traffic {
    pub(crate) bytes_in: AtomicU64,
    pub(crate) bytes_out: AtomicU64,
}

impl Traffic {
    pub(crate) fn received(&self, bytes: usize) {
        self.bytes_in.fetch_add(bytes as u64, Relaxed);
    }

    pub(crate) fn sent(&self, bytes: usize) {
        self.bytes_out.fetch_add(bytes as u64, Relaxed);
    }
}
