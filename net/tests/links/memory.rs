//! Another transport behind the same trait: in-memory pipes. Shows what the links rely on, and
//! lets a test count dial attempts.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use net::{Connection, Net, Occupancy, StrangerFaults, Transport, TransportError, TransportFuture};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::{Mutex, mpsc};
use types::{PublicKey, Slot};

use crate::support::*;

/// One end of a pair of pipe transports. Keys are believed: there is nobody else.
struct Pipes {
    own: PublicKey,
    far: PublicKey,
    outgoing: mpsc::Sender<Connection>,
    incoming: Mutex<mpsc::Receiver<Connection>>,
    dials: AtomicUsize,
}

fn connection(stream: DuplexStream, peer: PublicKey) -> Connection {
    let occupancy = Some(Occupancy::new(()));
    Connection { stream: Box::new(stream), peer, remote: "pipe".to_owned(), occupancy }
}

impl Transport for Pipes {
    fn dial<'a>(
        &'a self,
        _key: &'a PublicKey,
        _addresses: &'a [String],
    ) -> TransportFuture<'a, Result<Connection, TransportError>> {
        Box::pin(async {
            self.dials.fetch_add(1, Relaxed);
            let (near, far) = tokio::io::duplex(1 << 16);
            let sent = self.outgoing.send(connection(far, self.own)).await;
            sent.map_err(|_| TransportError::Closed)?;
            Ok(connection(near, self.far))
        })
    }

    fn accept(&self) -> TransportFuture<'_, Result<Connection, TransportError>> {
        Box::pin(async { self.incoming.lock().await.recv().await.ok_or(TransportError::Closed) })
    }

    fn allow(&self, _keys: BTreeSet<[u8; 32]>) {}

    fn close(&self) -> TransportFuture<'_, ()> {
        Box::pin(async {})
    }

    fn local_addr(&self) -> Option<SocketAddr> {
        None
    }

    fn stranger_faults(&self) -> StrangerFaults {
        StrangerFaults::default()
    }
}

/// Transports of the holders of two keys that reach each other.
fn pipes(first: u16, second: u16) -> (Arc<Pipes>, Arc<Pipes>) {
    let ((to_first, at_first), (to_second, at_second)) = (mpsc::channel(4), mpsc::channel(4));
    let end = |own, far, outgoing, incoming| {
        let (own, far) = (key(own), key(far));
        let (incoming, dials) = (Mutex::new(incoming), AtomicUsize::new(0));
        Arc::new(Pipes { own, far, outgoing, incoming, dials })
    };
    (end(first, second, to_second, at_first), end(second, first, to_first, at_second))
}

fn start_on(slot: u16, other: u16, pipes: &Arc<Pipes>) -> Member {
    let transport = Arc::clone(pipes) as Arc<dyn Transport>;
    let peers = vec![peer(other, listener().1)];
    let (net, events, requests) =
        Net::start_with(config(slot, listener().0), peers, transport).expect("started");
    Member { net, events, requests: Some(requests) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_over_another_transport_carry_both_classes() {
    let (first, second) = pipes(0, 1);
    let mut pair = (start_on(0, 1, &first), start_on(1, 0, &second));
    both_up(&mut pair).await;
    pair.1.echo();
    pair.0.net.send(Slot(1), vec![3; 200_000]).expect("up");
    assert_eq!(pair.1.frame().await, (Slot(0), vec![3; 200_000]));
    let answer = pair.0.net.request(Slot(1), vec![4; 400_000], PATIENCE).await;
    assert_eq!(answer.expect("answered"), vec![4; 400_000]);
    assert_eq!(second.dials.load(Relaxed), 0, "the higher slot never dials");
    pair.0.net.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transport_that_returns_another_peer_gets_no_link() {
    let (first, _second) = pipes(0, 5);
    let zero = start_on(0, 1, &first);
    eventually("an error", || zero.last_error(1).contains("another peer")).await;
    assert!(!zero.net.peer_status()[0].control_up);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peer_that_accepts_and_closes_cannot_have_us_dial_in_a_loop() {
    let (first, second) = pipes(0, 1);
    // Says a correct hello on every connection and closes it at once.
    let closing = Arc::clone(&second);
    tokio::spawn(async move {
        while let Ok(mut connection) = closing.accept().await {
            let mut hello = [0; 54];
            if connection.stream.read_exact(&mut hello).await.is_err() {
                continue;
            }
            // From slot 1 to slot 0 (they stand behind header, magic, version and class).
            hello[12..16].copy_from_slice(&[1, 0, 0, 0]);
            let _ = connection.stream.write_all(&hello).await;
        }
    });
    let mut quick = config(0, listener().0);
    quick.redial_first = Duration::from_millis(100);
    let transport = Arc::clone(&first) as Arc<dyn Transport>;
    let peers = vec![peer(1, listener().1)];
    let (net, mut events, _requests) = Net::start_with(quick, peers, transport).expect("started");
    tokio::spawn(async move { while events.recv().await.is_some() {} });
    tokio::time::sleep(Duration::from_millis(1000)).await;
    let dials = first.dials.load(Relaxed);
    // Two connections, each at most six quick dials and one more every 75 ms (100 ms less the jitter).
    assert!((4..=190).contains(&dials), "{dials} dials in a second");
    net.shutdown().await;
}
