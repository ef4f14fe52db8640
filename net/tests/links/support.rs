//! Members on loopback with short times.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use net::{Class, ControlReceiver, Listen, Net, NetConfig, NetEvent, Peer, RequestReceiver};
use types::{PublicKey, Slot};

pub const GROUP: [u8; 32] = [9; 32];
/// Long enough for a loaded machine; reached only by a failing test.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub struct Member {
    pub net: Net,
    pub events: ControlReceiver,
    pub requests: Option<RequestReceiver>,
}

pub fn seed(slot: u16) -> [u8; 32] {
    let mut seed = [0x5e; 32];
    seed[..2].copy_from_slice(&slot.to_le_bytes());
    seed
}

pub fn key(slot: u16) -> PublicKey {
    let signing = ed25519_dalek::SigningKey::from_bytes(&seed(slot));
    PublicKey::from_bytes(signing.verifying_key().as_bytes()).expect("valid key")
}

pub fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let address = listener.local_addr().expect("bound");
    (listener, address)
}

pub fn peer(slot: u16, address: SocketAddr) -> Peer {
    Peer { slot: Slot(slot), key: key(slot), addresses: vec![address.to_string()] }
}

pub fn config(slot: u16, listener: TcpListener) -> NetConfig {
    let mut config = NetConfig::new(Slot(slot), GROUP, seed(slot), Listen::Socket(listener));
    config.redial_first = Duration::from_millis(20);
    config.redial_max = Duration::from_millis(200);
    config.handshake_timeout = Duration::from_secs(5);
    config
}

pub fn start(config: NetConfig, peers: Vec<Peer>) -> Member {
    let (net, events, requests) = Net::start(config, peers).expect("started");
    Member { net, events, requests: Some(requests) }
}

/// Members 0 and 1 that know each other, each with its configuration changed by `change`.
pub fn pair(change: impl Fn(&mut NetConfig)) -> (Member, Member) {
    let ((zero, zero_at), (one, one_at)) = (listener(), listener());
    let mut first = config(0, zero);
    let mut second = config(1, one);
    change(&mut first);
    change(&mut second);
    (start(first, vec![peer(1, one_at)]), start(second, vec![peer(0, zero_at)]))
}

pub async fn both_up(pair: &mut (Member, Member)) {
    pair.0.up(1).await;
    pair.1.up(0).await;
}

pub async fn patiently<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("gave up waiting for {what}"),
    }
}

/// Polls a condition that only counters show.
pub async fn eventually(what: &str, condition: impl Fn() -> bool) {
    patiently(what, async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

impl Member {
    pub async fn event(&mut self) -> NetEvent {
        patiently("an event", self.events.recv()).await.expect("not shut down")
    }

    /// Waits until both connections to `slot` are up.
    pub async fn up(&mut self, slot: u16) {
        let mut missing = vec![Class::Control, Class::Bulk];
        while !missing.is_empty() {
            if let NetEvent::PeerUp { slot: up, class } = self.event().await
                && up == Slot(slot)
            {
                missing.retain(|wanted| *wanted != class);
            }
        }
    }

    /// Waits for the next control frame, past link events.
    pub async fn frame(&mut self) -> (Slot, Vec<u8>) {
        loop {
            if let NetEvent::Control { from, frame } = self.event().await {
                return (from, frame.to_vec());
            }
        }
    }

    pub async fn down(&mut self) -> (Slot, Class, net::DownReason) {
        loop {
            if let NetEvent::PeerDown { slot, class, reason } = self.event().await {
                return (slot, class, reason);
            }
        }
    }

    /// Answers every request with its own body, until the receiver ends.
    pub fn echo(&mut self) {
        let mut requests = self.requests.take().expect("requests not taken yet");
        tokio::spawn(async move {
            while let Some(incoming) = requests.recv().await {
                let body = incoming.body;
                // The peer may be gone by now.
                let _ = incoming.responder.respond(body);
            }
        });
    }

    /// Answers every request with `len` bytes, until the receiver ends.
    pub fn echo_sized(&mut self, len: usize) {
        let mut requests = self.requests.take().expect("requests not taken yet");
        tokio::spawn(async move {
            while let Some(incoming) = requests.recv().await {
                // The peer may be gone by now.
                let _ = incoming.responder.respond(vec![0; len]);
            }
        });
    }

    pub async fn request(&mut self) -> net::Incoming {
        let requests = self.requests.as_mut().expect("requests not taken yet");
        patiently("a request", requests.recv()).await.expect("not shut down")
    }

    pub fn faults(&self, slot: u16) -> std::collections::BTreeMap<net::FaultKind, u64> {
        let status = self.net.peer_status();
        status.into_iter().find(|peer| peer.slot == Slot(slot)).expect("a peer").faults
    }

    pub fn last_error(&self, slot: u16) -> String {
        let status = self.net.peer_status();
        let peer = status.into_iter().find(|peer| peer.slot == Slot(slot)).expect("a peer");
        peer.last_error.unwrap_or_default()
    }
}
