//! The handle to all links, and the accepting side.
//!
//! Guarantees: [`Net::shutdown`] returns after every link ended; dropping the last handle ends
//! them as well, without waiting.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use types::{PublicKey, Slot};
use zeroize::Zeroizing;

use crate::body::Body;
use crate::closer::Closer;
use crate::config::{Listen, NetConfig};
use crate::dial;
use crate::error::{DownReason, FaultKind, NetError, RequestError, SendError};
use crate::events::{ControlReceiver, EventSender, RequestReceiver, RequestSender};
use crate::hello::{self, Hello};
use crate::link;
use crate::lock;
use crate::peer::{Class, Peer, PeerState, Turn, check_list};
use crate::rate::RateLimiter;
use crate::status::{PeerStatus, StrangerFaults};
use crate::tcp::{TlsOptions, TlsTransport};
use crate::tls::TlsIdentity;
use crate::transport::{Connection, Transport};

/// What the tasks of one member's links have in common.
pub(crate) struct Shared {
    pub(crate) config: NetConfig,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) events: EventSender,
    pub(crate) requests: RequestSender,
    pub(crate) upload: Option<Arc<RateLimiter>>,
    pub(crate) download: Option<Arc<RateLimiter>>,
    public: [u8; 32],
    peers: RwLock<BTreeMap<Slot, Arc<PeerState>>>,
    /// Outlives a peer's state, so that a slot's events stay in order when its key changes. One
    /// entry per slot ever used, which a `u16` bounds.
    turns: Mutex<BTreeMap<Slot, [Turn; 2]>>,
    stop: Closer,
    /// Fires when the last event was sent.
    stopped: Arc<Closer>,
}

impl Shared {
    /// What we say about ourselves to `to`.
    pub(crate) fn hello(&self, to: Slot, class: Class) -> Hello {
        let frame_max = match class {
            Class::Control => self.config.control_frame_max,
            Class::Bulk => self.config.bulk_frame_max,
        };
        Hello {
            class,
            from: self.config.slot,
            to,
            group: self.config.group,
            in_flight: self.config.bulk_in_flight_in,
            // `NetConfig::validate` bounds it.
            frame_max: frame_max as u32,
        }
    }

    fn peer(&self, slot: Slot) -> Option<Arc<PeerState>> {
        let peers = self.peers.read().unwrap_or_else(PoisonError::into_inner);
        peers.get(&slot).cloned()
    }

    fn peer_of_key(&self, key: &PublicKey) -> Option<Arc<PeerState>> {
        let peers = self.peers.read().unwrap_or_else(PoisonError::into_inner);
        peers.values().find(|peer| peer.key == *key).cloned()
    }

    fn close_all(&self, reason: DownReason) {
        self.stop.close(reason.clone());
        let peers = self.peers.read().unwrap_or_else(PoisonError::into_inner);
        for peer in peers.values() {
            peer.end.close(reason.clone());
        }
    }
}

/// All links of one member. Cheap to clone; the links end with the last clone.
#[derive(Clone)]
pub struct Net(Arc<NetHandle>);

struct NetHandle {
    shared: Arc<Shared>,
    runtime: Handle,
    /// Every task holds a clone; the channel ends when all of them did.
    alive: Mutex<Option<mpsc::Sender<Infallible>>>,
    ended: tokio::sync::Mutex<mpsc::Receiver<Infallible>>,
}

impl Drop for NetHandle {
    fn drop(&mut self) {
        self.shared.close_all(DownReason::Shutdown);
    }
}

impl Net {
    /// Starts over TLS and TCP. Must be called inside a tokio runtime.
    pub fn start(
        mut config: NetConfig,
        peers: Vec<Peer>,
    ) -> Result<(Self, ControlReceiver, RequestReceiver), NetError> {
        config.validate()?;
        let options = TlsOptions::from(&config);
        let listen = std::mem::replace(&mut config.listen, Listen::Address(String::new()));
        let transport = TlsTransport::start(&config.seed, listen, options, keys(&peers))?;
        Self::start_with(config, peers, Arc::new(transport))
    }

    /// Starts over another transport, which does its own listening.
    pub fn start_with(
        mut config: NetConfig,
        peers: Vec<Peer>,
        transport: Arc<dyn Transport>,
    ) -> Result<(Self, ControlReceiver, RequestReceiver), NetError> {
        config.validate()?;
        let runtime = Handle::try_current().map_err(|_| NetError::NoRuntime)?;
        let public = *TlsIdentity::from_seed(&config.seed)?.public();
        // The transport has the key; nothing above it needs it.
        config.seed = Zeroizing::new([0; 32]);
        let (events, event_rx) = mpsc::unbounded_channel();
        let (requests, request_rx) = mpsc::unbounded_channel();
        let stopped = Arc::new(Closer::new());
        let shared = Arc::new(Shared {
            upload: config.upload_limit.map(|rate| Arc::new(RateLimiter::new(rate))),
            download: config.download_limit.map(|rate| Arc::new(RateLimiter::new(rate))),
            config,
            transport,
            events,
            requests,
            public,
            peers: RwLock::default(),
            turns: Mutex::default(),
            stop: Closer::new(),
            stopped: Arc::clone(&stopped),
        });
        let (alive, ended) = mpsc::channel(1);
        let handle = NetHandle {
            shared: Arc::clone(&shared),
            runtime,
            alive: Mutex::new(Some(alive.clone())),
            ended: tokio::sync::Mutex::new(ended),
        };
        let net = Self(Arc::new(handle));
        net.update_peers(peers)?;
        net.0.runtime.spawn(accept_loop(shared, alive));
        let control = ControlReceiver { items: event_rx, stopped: Arc::clone(&stopped) };
        Ok((net, control, RequestReceiver { items: request_rx, stopped }))
    }

    /// Replaces the list of peers: new ones are dialled or let in, changed addresses are used at
    /// the next dial (which is now if the link is down), the links of those that are gone or have
    /// another key end. On an error nothing has changed.
    pub fn update_peers(&self, list: Vec<Peer>) -> Result<(), NetError> {
        let shared = &self.0.shared;
        check_list(shared.config.slot, &shared.public, &list)?;
        let keys = keys(&list);
        let mut started = Vec::new();
        {
            let mut peers = shared.peers.write().unwrap_or_else(PoisonError::into_inner);
            let mut before = std::mem::take(&mut *peers);
            for peer in list {
                let state = match before.remove(&peer.slot) {
                    Some(state) if state.key == peer.key => {
                        state.set_addresses(peer.addresses);
                        state
                    }
                    other => {
                        if let Some(other) = other {
                            other.end.close(DownReason::Removed);
                        }
                        let turns = lock(&shared.turns).entry(peer.slot).or_default().clone();
                        let state = PeerState::new(peer, turns, &shared.config);
                        started.push(Arc::clone(&state));
                        state
                    }
                };
                peers.insert(state.slot, state);
            }
            for gone in before.values() {
                gone.end.close(DownReason::Removed);
            }
        }
        shared.transport.allow(keys);
        for peer in started {
            self.start_dialing(&peer);
        }
        Ok(())
    }

    /// The lower slot of a pair dials.
    fn start_dialing(&self, peer: &Arc<PeerState>) {
        let shared = &self.0.shared;
        if shared.config.slot > peer.slot {
            return;
        }
        // Absent after shutdown: then nothing is dialled any more.
        let Some(alive) = lock(&self.0.alive).clone() else { return };
        // A list that comes while we shut down misses the closing of all peers.
        if let Some(reason) = shared.stop.reason() {
            peer.end.close(reason);
        }
        for class in Class::ALL {
            let (shared, peer, alive) = (Arc::clone(shared), Arc::clone(peer), alive.clone());
            self.0.runtime.spawn(async move {
                dial::run(shared, peer, class).await;
                drop(alive);
            });
        }
    }

    /// Queues a control frame; never waits. Frames queued on one connection arrive in order;
    /// those not yet written when it breaks are lost.
    pub fn send(&self, to: Slot, frame: impl Into<Bytes>) -> Result<(), SendError> {
        let peer = self.0.shared.peer(to).ok_or(SendError::Unknown(to))?;
        let link = lock(&peer.control).clone().ok_or(SendError::Down(to))?;
        link.send(to, frame.into())
    }

    /// Sends a request over bulk and waits for the answer, for at most `timeout` in all. Dropping
    /// the future gives the request up.
    pub async fn request(
        &self,
        to: Slot,
        body: impl Into<Body>,
        timeout: Duration,
    ) -> Result<Bytes, RequestError> {
        let peer = self.0.shared.peer(to).ok_or(RequestError::Unknown(to))?;
        let link = lock(&peer.bulk).clone().ok_or(RequestError::Down(to))?;
        link.request(&peer, body.into(), timeout).await
    }

    /// States and counters of all peers, in the order of their slots.
    pub fn peer_status(&self) -> Vec<PeerStatus> {
        let peers = self.0.shared.peers.read().unwrap_or_else(PoisonError::into_inner);
        peers.values().map(|peer| peer.status()).collect()
    }

    /// What connections did that never proved to be a peer.
    pub fn stranger_faults(&self) -> StrangerFaults {
        self.0.shared.transport.stranger_faults()
    }

    /// Dials `slot` now if a link to it is down and we are the dialer.
    pub fn redial(&self, slot: Slot) {
        if let Some(peer) = self.0.shared.peer(slot) {
            peer.redial();
        }
    }

    /// The address that peers can dial, if the transport listens on one.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.0.shared.transport.local_addr()
    }

    /// Ends all links and waits until they ended. Frames still queued are lost.
    /// The address is free again and the receivers end after the last event.
    pub async fn shutdown(&self) {
        self.0.shared.close_all(DownReason::Shutdown);
        drop(lock(&self.0.alive).take());
        while self.0.ended.lock().await.recv().await.is_some() {}
        self.0.shared.transport.close().await;
        self.0.shared.stopped.close(DownReason::Shutdown);
    }
}

fn keys(peers: &[Peer]) -> BTreeSet<[u8; 32]> {
    peers.iter().map(|peer| *peer.key.as_bytes()).collect()
}

async fn accept_loop(shared: Arc<Shared>, alive: mpsc::Sender<Infallible>) {
    loop {
        let accepted = tokio::select! {
            accepted = shared.transport.accept() => accepted,
            _ = shared.stop.closed() => return,
        };
        match accepted {
            Ok(connection) => {
                let (shared, alive) = (Arc::clone(&shared), alive.clone());
                tokio::spawn(async move {
                    serve(&shared, connection).await;
                    drop(alive);
                });
            }
            Err(error) => {
                tracing::error!(%error, "no more connections are accepted");
                return;
            }
        }
    }
}

/// The acceptor's side of one connection.
async fn serve(shared: &Shared, connection: Connection) {
    let Connection { mut stream, peer: key, remote, occupancy } = connection;
    let Some(peer) = shared.peer_of_key(&key) else {
        tracing::debug!(%remote, "connection of a peer that was just removed");
        return;
    };
    let expect = |theirs: &Hello| {
        // The acceptor of a pair never dials, and the dialer never accepts (section 4.3).
        if peer.slot > shared.config.slot {
            return Err(FaultKind::WrongRole);
        }
        let ours = shared.hello(peer.slot, theirs.class);
        hello::check(theirs, &ours).map(|()| ours)
    };
    let limit = shared.config.handshake_timeout;
    let answered = tokio::select! {
        answered = hello::answer(&mut *stream, expect, limit) => answered,
        _ = peer.end.closed() => return,
    };
    drop(occupancy);
    match answered {
        Ok(theirs) => link::run(shared, &peer, theirs.class, stream, &theirs).await,
        Err(error) => link::hello_failed(&peer, None, &error),
    }
}
