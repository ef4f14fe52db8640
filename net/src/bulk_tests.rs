//! Arbitrary frames against the bulk reader: no panic, and no budget is lost.

use proptest::prelude::*;
use tokio::sync::mpsc;
use types::{PublicKey, Slot};

use super::*;
use crate::config::{Listen, NetConfig};
use crate::events::RequestReceiver;
use crate::hello::Hello;
use crate::peer::Peer;
use crate::tls::TlsIdentity;

const IN_FLIGHT: u16 = 4;

fn config() -> NetConfig {
    let mut config =
        NetConfig::new(Slot(1), [0; 32], [1; 32], Listen::Address("127.0.0.1:0".to_owned()));
    config.bulk_in_flight_in = IN_FLIGHT;
    config.bulk_frame_max = 4096;
    config.bulk_incoming_bytes = 8192;
    config
}

fn peer(config: &NetConfig) -> Arc<PeerState> {
    let identity = TlsIdentity::from_seed(&[2; 32]).expect("any seed is a key");
    let key = PublicKey::from_bytes(identity.public()).expect("a real key");
    let peer = Peer { slot: Slot(0), key, addresses: Vec::new() };
    PeerState::new(peer, Default::default(), config)
}

/// Lets a hostile peer say `wire` while the application answers or drops what comes, after
/// `asked` requests of our own are on their way. Returns why the reading ended.
async fn read_all(wire: &[u8], asked: u64, peer: &PeerState) -> LinkError {
    let link = Arc::new(BulkLink::new(IN_FLIGHT, IN_FLIGHT, 4096));
    lock(&link.state).next_id = asked;
    let (requests, items) = mpsc::unbounded_channel();
    let stopped = Arc::new(crate::closer::Closer::new());
    let mut received = RequestReceiver { items, stopped };
    let application = async {
        while let Some(incoming) = received.recv().await {
            if incoming.body.len() % 2 == 0 {
                // Refused when the peer cancelled before.
                let _ = incoming.responder.respond(incoming.body);
            }
        }
    };
    let mut reader = FrameReader::new(wire, 4096 + ID, Arc::default(), None);
    let mut writer = FrameWriter::new(tokio::io::sink(), Arc::default(), None, LONG);
    let error = tokio::select! {
        error = link.read_loop(&mut reader, peer, &requests) => error,
        error = link.write_loop(&mut writer) => error,
        () = application => LinkError::Closed,
    };
    link.close();
    error
}

const LONG: Duration = Duration::from_secs(20);

fn check(wire: &[u8], asked: u64) -> LinkError {
    let config = config();
    let peer = peer(&config);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let error = runtime.expect("runtime").block_on(async {
        tokio::time::timeout(LONG, read_all(wire, asked, &peer)).await.expect("it ends")
    });
    let budgets = &peer.budgets;
    assert_eq!(budgets.bulk_in.available_permits(), 9, "bytes in work");
    assert_eq!(budgets.bulk_queue.available_permits(), 2 * usize::from(IN_FLIGHT), "queue");
    error
}

fn frame() -> impl Strategy<Value = Vec<u8>> {
    let ids = 0..6u64;
    let sizes = prop_oneof![Just(0usize), 1..40usize, Just(4096)];
    (3..9u8, ids, sizes, any::<u8>()).prop_map(|(frame_kind, id, size, byte)| {
        let body =
            if frame_kind == kind::REQUEST || frame_kind == kind::RESPONSE { size } else { 0 };
        let head = header(frame_kind, ID + body);
        [&head[..], &id.to_le_bytes(), &vec![byte; body]].concat()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn reader_arbitrary_frames_end_without_loss_of_budget(
        frames in prop::collection::vec(frame(), 0..40),
        asked in 0..6u64,
        cut in 0..64usize,
    ) {
        let mut wire = frames.concat();
        wire.truncate(wire.len().saturating_sub(cut));
        check(&wire, asked);
    }

    #[test]
    fn reader_arbitrary_bytes_end_without_loss_of_budget(
        wire in prop::collection::vec(any::<u8>(), 0..2000),
    ) {
        check(&wire, 3);
    }

    #[test]
    fn hello_arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..130)) {
        let _ = Hello::decode(&bytes);
        let _ = Hello::decode(&[&b"PIBL\x01\x00"[..], &bytes].concat());
    }
}

#[test]
fn reader_more_requests_than_places_are_served_one_after_the_other() {
    let requests: Vec<u8> = (0..50u64)
        .flat_map(|id| [&header(kind::REQUEST, ID)[..], &id.to_le_bytes()].concat())
        .collect();
    assert!(matches!(check(&requests, 0), LinkError::Closed));
}
