//! One peer: who it is, its budgets, its connections at the moment, its counters.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use tokio::sync::{Notify, Semaphore};
use types::{PublicKey, Slot};

use crate::bulk::BulkLink;
use crate::closer::Closer;
use crate::config::{ADDRESSES_MAX, ITEM_COST, KIB, NetConfig};
use crate::control::ControlLink;
use crate::error::{DownReason, FaultKind, NetError};
use crate::lock;
use crate::status::{PeerStatus, Traffic};

/// A peer as the roster tells it.
#[derive(Clone)]
pub struct Peer {
    /// Its slot in the group.
    pub slot: Slot,
    /// Its ed25519 key.
    pub key: PublicKey,
    /// Where it may be reached, `host:port`, best first; at most 16. Not needed for peers that
    /// dial us (lower slots).
    pub addresses: Vec<String>,
}

/// The two connections of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Frames of the state machine: small, in order, at once.
    Control,
    /// Requests and responses with chunk bodies.
    Bulk,
}

impl Class {
    /// Both classes, in the order they are dialled.
    pub const ALL: [Self; 2] = [Self::Control, Self::Bulk];

    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Control => 0,
            Self::Bulk => 1,
        }
    }

    pub(crate) fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Control),
            1 => Some(Self::Bulk),
            _ => None,
        }
    }
}

impl std::fmt::Display for Class {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Control => "control",
            Self::Bulk => "bulk",
        })
    }
}

/// Checks a list of peers: no slot and no key twice, and not ourselves.
pub(crate) fn check_list(own: Slot, own_key: &[u8; 32], peers: &[Peer]) -> Result<(), NetError> {
    let (mut slots, mut keys) = (BTreeSet::new(), BTreeSet::new());
    for peer in peers {
        let slot = peer.slot;
        let wrong = if slot == own || peer.key.as_bytes() == own_key {
            Some(format!("slot {slot} is this member itself; leave it out"))
        } else if !slots.insert(slot) {
            Some(format!("slot {slot} is there twice"))
        } else if !keys.insert(*peer.key.as_bytes()) {
            Some(format!("the key of slot {slot} belongs to another slot too"))
        } else if peer.addresses.len() > ADDRESSES_MAX {
            Some(format!("slot {slot} has more than {ADDRESSES_MAX} addresses"))
        } else {
            None
        };
        if let Some(wrong) = wrong {
            return Err(NetError::Peers(wrong));
        }
    }
    Ok(())
}

/// Held by the one connection of a slot and class that runs.
pub(crate) type Turn = Arc<tokio::sync::Mutex<()>>;

/// What one class of connection of a peer is doing.
pub(crate) struct Lane {
    /// The newest connection, running or waiting for its predecessor to end.
    current: Mutex<Option<Arc<Closer>>>,
    /// Shared with the states that the slot had before: their last event comes first.
    pub(crate) turn: Turn,
    /// Makes the dialer try at once: we have a reason of our own.
    pub(crate) wake: Notify,
    /// Cuts the dialer's waiting time down to the first step: the peer showed a sign of life.
    /// Not at once, or a peer that accepts and closes could have us dial in a tight loop.
    pub(crate) hint: Notify,
    state: Mutex<LaneState>,
}

struct LaneState {
    up: bool,
    since: SystemTime,
    last_error: Option<(SystemTime, String)>,
}

impl Lane {
    fn new(turn: Turn) -> Self {
        let state = LaneState { up: false, since: SystemTime::now(), last_error: None };
        Self {
            current: Mutex::new(None),
            turn,
            wake: Notify::new(),
            hint: Notify::new(),
            state: Mutex::new(state),
        }
    }

    /// Registers a connection as the newest and asks the one before it to end.
    pub(crate) fn enter(&self, closer: &Arc<Closer>) {
        let before = lock(&self.current).replace(Arc::clone(closer));
        if let Some(before) = before {
            before.close(DownReason::Replaced);
        }
    }

    /// Takes a connection that ended off, unless a newer one is registered.
    pub(crate) fn leave(&self, closer: &Arc<Closer>) {
        let mut current = lock(&self.current);
        if current.as_ref().is_some_and(|current| Arc::ptr_eq(current, closer)) {
            *current = None;
        }
    }

    pub(crate) fn set_up(&self, up: bool) {
        let mut state = lock(&self.state);
        state.up = up;
        state.since = SystemTime::now();
    }

    pub(crate) fn is_up(&self) -> bool {
        lock(&self.state).up
    }

    /// Remembers what went wrong; true if it is not what went wrong the last time.
    pub(crate) fn note_error(&self, what: String) -> bool {
        let mut state = lock(&self.state);
        let new = state.last_error.as_ref().is_none_or(|(_, before)| *before != what);
        state.last_error = Some((SystemTime::now(), what));
        new
    }
}

pub(crate) struct PeerState {
    pub(crate) slot: Slot,
    pub(crate) key: PublicKey,
    addresses: Mutex<Vec<String>>,
    lanes: [Lane; 2],
    pub(crate) control: Mutex<Option<Arc<ControlLink>>>,
    pub(crate) bulk: Mutex<Option<Arc<BulkLink>>>,
    /// Fires when the peer is taken off the list or we shut down.
    pub(crate) end: Closer,
    pub(crate) budgets: Budgets,
    pub(crate) traffic: Arc<Traffic>,
    faults: [AtomicU64; FaultKind::ALL.len()],
}

/// Permits that bound what one peer may make us hold.
pub(crate) struct Budgets {
    /// Bytes of control events not received yet.
    pub(crate) control_in: Arc<Semaphore>,
    /// KiB of requests in work.
    pub(crate) bulk_in: Arc<Semaphore>,
    /// Requests not received by the application yet.
    pub(crate) bulk_queue: Arc<Semaphore>,
    /// KiB of our requests being written.
    pub(crate) bulk_out: Arc<Semaphore>,
    /// KiB of reserved responses.
    pub(crate) responses: Arc<Semaphore>,
    /// Callers that wait for a place among the requests in flight.
    pub(crate) waiting: Semaphore,
}

impl Budgets {
    fn new(config: &NetConfig) -> Self {
        let kib = |bytes: usize| Arc::new(Semaphore::new(bytes.div_ceil(KIB) + 1));
        Self {
            control_in: Arc::new(Semaphore::new(config.control_incoming_bytes)),
            bulk_in: kib(config.bulk_incoming_bytes),
            bulk_queue: Arc::new(Semaphore::new(2 * usize::from(config.bulk_in_flight_in))),
            bulk_out: kib(config.bulk_outgoing_bytes),
            responses: kib(config.bulk_outgoing_bytes),
            waiting: Semaphore::new(config.bulk_waiting_max),
        }
    }
}

/// Permits for `bytes` in a budget that counts KiB; every item costs one at least.
pub(crate) fn kib_permits(bytes: usize) -> u32 {
    // Callers bound the length by a frame limit, which is far below u32::MAX KiB.
    (bytes / KIB + 1) as u32
}

/// Permits for a control event with `bytes` in the byte budget.
pub(crate) fn event_permits(bytes: usize) -> u32 {
    (bytes + ITEM_COST) as u32
}

impl PeerState {
    pub(crate) fn new(peer: Peer, turns: [Turn; 2], config: &NetConfig) -> Arc<Self> {
        Arc::new(Self {
            slot: peer.slot,
            key: peer.key,
            addresses: Mutex::new(peer.addresses),
            lanes: turns.map(Lane::new),
            control: Mutex::new(None),
            bulk: Mutex::new(None),
            end: Closer::new(),
            budgets: Budgets::new(config),
            traffic: Arc::default(),
            faults: std::array::from_fn(|_| AtomicU64::new(0)),
        })
    }

    pub(crate) fn lane(&self, class: Class) -> &Lane {
        let [control, bulk] = &self.lanes;
        match class {
            Class::Control => control,
            Class::Bulk => bulk,
        }
    }

    pub(crate) fn addresses(&self) -> Vec<String> {
        lock(&self.addresses).clone()
    }

    /// Takes new addresses; the dialers try them at once.
    pub(crate) fn set_addresses(&self, addresses: Vec<String>) {
        let changed = {
            let mut current = lock(&self.addresses);
            let changed = *current != addresses;
            *current = addresses;
            changed
        };
        if changed {
            self.redial();
        }
    }

    /// Makes the dialers of connections that are down try at once.
    pub(crate) fn redial(&self) {
        for lane in self.lanes.iter().filter(|lane| !lane.is_up()) {
            lane.wake.notify_one();
        }
    }

    /// Tells the dialer of the other class that the peer answers.
    pub(crate) fn hint(&self, class: Class) {
        for other in Class::ALL.into_iter().filter(|other| *other != class) {
            let lane = self.lane(other);
            if !lane.is_up() {
                lane.hint.notify_one();
            }
        }
    }

    /// Counts a fault. Logs it when the count is a power of two: the peer chooses how often it
    /// misbehaves, and must not choose how large our log gets.
    pub(crate) fn fault(&self, fault: FaultKind, class: Option<Class>) {
        let place = FaultKind::ALL.iter().position(|kind| *kind == fault);
        let Some(counter) = place.and_then(|place| self.faults.get(place)) else { return };
        let count = counter.fetch_add(1, Relaxed) + 1;
        if count.is_power_of_two() {
            let class = class.map(tracing::field::display);
            tracing::warn!(peer = %self.slot, class, %fault, count, "a peer broke the link protocol");
        }
    }

    pub(crate) fn status(&self) -> PeerStatus {
        let (control, bulk) = (lock(&self.lanes[0].state), lock(&self.lanes[1].state));
        let newest = control.last_error.iter().chain(&bulk.last_error).max_by_key(|(at, _)| *at);
        let faults: BTreeMap<_, _> = FaultKind::ALL
            .into_iter()
            .zip(&self.faults)
            .map(|(kind, count)| (kind, count.load(Relaxed)))
            .filter(|(_, count)| *count > 0)
            .collect();
        PeerStatus {
            slot: self.slot,
            control_up: control.up,
            bulk_up: bulk.up,
            since: control.since,
            last_error: newest.map(|(_, what)| what.clone()),
            bytes_in: self.traffic.bytes_in.load(Relaxed),
            bytes_out: self.traffic.bytes_out.load(Relaxed),
            faults,
        }
    }
}
