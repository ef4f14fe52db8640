//! The control connection: order, limits, independence of bulk (guarantees 3 and 4).

use std::time::Duration;

use net::{FaultKind, NetEvent, SendError};
use types::Slot;

use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_of_all_sizes_arrive_in_order() {
    let mut pair = pair(|_| ());
    both_up(&mut pair).await;
    let sizes = [0usize, 1, 100, 32 << 10, (32 << 10) + 1, 300_000, 2 << 20, 7];
    let frame = |i: usize| vec![i as u8; sizes[i % sizes.len()]];
    for i in 0..40 {
        loop {
            match pair.0.net.send(Slot(1), frame(i)) {
                Ok(()) => break,
                Err(SendError::QueueFull(_)) => tokio::time::sleep(Duration::from_millis(5)).await,
                Err(error) => panic!("{error}"),
            }
        }
    }
    for i in 0..40 {
        assert!(pair.1.frame().await == (Slot(0), frame(i)), "frame {i}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_pass_while_bulk_is_saturated_and_not_read() {
    let mut pair = pair(|config| {
        config.bulk_frame_max = 8 << 20;
        config.bulk_incoming_bytes = 8 << 20;
    });
    both_up(&mut pair).await;
    // Nobody takes requests at slot 1, and its budget holds two of these: the rest fills the
    // bulk connection and stays there.
    let mut asking = Vec::new();
    for _ in 0..16 {
        let net = pair.0.net.clone();
        let body = vec![1; 4 << 20];
        asking.push(tokio::spawn(async move { net.request(Slot(1), body, PATIENCE).await }));
    }
    eventually("a full bulk connection", || pair.1.net.peer_status()[0].bytes_in > 4 << 20).await;
    for i in 0..1000u32 {
        pair.0.net.send(Slot(1), i.to_le_bytes().to_vec()).expect("room in the queue");
        pair.1.net.send(Slot(0), i.to_le_bytes().to_vec()).expect("room in the queue");
    }
    for i in 0..1000u32 {
        assert_eq!(pair.1.frame().await.1, i.to_le_bytes());
        assert_eq!(pair.0.frame().await.1, i.to_le_bytes());
    }
    // All of it passed although no request was answered yet.
    assert!(asking.iter().all(|asking| !asking.is_finished()));
    pair.1.echo();
    for asking in asking {
        assert_eq!(asking.await.expect("no panic").expect("answered").len(), 4 << 20);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queue_to_a_peer_that_does_not_read_is_bounded_and_drains_in_order() {
    let mut pair = pair(|config| {
        config.control_frame_max = 100_000;
        config.control_incoming_bytes = 400_000;
        config.control_queue_bytes = 500_000;
    });
    both_up(&mut pair).await;
    let mut sent = 0u32;
    // The receiver takes nothing: its budget, then TCP, then the queue fill up.
    let full = async {
        let mut refused = 0;
        while refused < 50 {
            let mut frame = vec![0; 100_000];
            frame[..4].copy_from_slice(&sent.to_le_bytes());
            match pair.0.net.send(Slot(1), frame) {
                Ok(()) => (sent, refused) = (sent + 1, 0),
                Err(SendError::QueueFull(slot)) => {
                    assert_eq!(slot, Slot(1));
                    refused += 1;
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                Err(error) => panic!("{error}"),
            }
        }
    };
    patiently("a full queue", full).await;
    for expected in 0..sent {
        let (_, frame) = pair.1.frame().await;
        assert_eq!(frame[..4], expected.to_le_bytes());
    }
    pair.0.net.send(Slot(1), &b"room again"[..]).expect("drained");
    assert_eq!(pair.1.frame().await.1, b"room again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frame_over_the_peers_limit_is_refused_at_the_sender() {
    let mut pair = pair(|config| {
        if config.slot == Slot(1) {
            config.control_frame_max = 1000;
        }
    });
    both_up(&mut pair).await;
    let too_large = pair.0.net.send(Slot(1), vec![0; 1001]);
    assert_eq!(too_large, Err(SendError::TooLarge { len: 1001, max: 1000 }));
    pair.0.net.send(Slot(1), vec![3; 1000]).expect("at the limit");
    assert_eq!(pair.1.frame().await.1, vec![3; 1000]);
    assert!(!pair.1.faults(0).contains_key(&FaultKind::FrameTooLong));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_to_nobody_are_refused_by_name() {
    let zero = start(config(0, listener().0), vec![peer(1, listener().1)]);
    assert_eq!(zero.net.send(Slot(9), &b"x"[..]), Err(SendError::Unknown(Slot(9))));
    assert_eq!(zero.net.send(Slot(0), &b"x"[..]), Err(SendError::Unknown(Slot(0))));
    assert_eq!(zero.net.send(Slot(1), &b"x"[..]), Err(SendError::Down(Slot(1))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_peer_that_floods_does_not_stop_another() {
    let sockets: Vec<_> = (0..3).map(|_| listener()).collect();
    let at: Vec<_> = sockets.iter().map(|(_, at)| *at).collect();
    let mut members = Vec::new();
    for (slot, (socket, _)) in (0u16..).zip(sockets) {
        let mut config = config(slot, socket);
        config.control_frame_max = 1 << 16;
        config.control_incoming_bytes = 1 << 18;
        let others = (0u16..3).filter(|other| *other != slot);
        members.push(start(config, others.map(|o| peer(o, at[usize::from(o)])).collect()));
    }
    let [zero, one, two] = &mut members[..] else { panic!("three members") };
    eventually("all up", || two.net.peer_status().iter().all(|peer| peer.control_up)).await;
    eventually("flooder up", || zero.net.peer_status()[1].control_up).await;
    // Slot 0 floods slot 2 beyond the budget, while nobody receives there.
    let flood = async {
        let mut refused = 0;
        while refused < 20 {
            match zero.net.send(Slot(2), vec![0; 1 << 16]) {
                Ok(()) => refused = 0,
                Err(_) => {
                    refused += 1;
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            }
        }
    };
    patiently("a full queue", flood).await;
    let before = two.net.peer_status()[1].bytes_in;
    eventually("slot 1 up", || one.net.peer_status()[1].control_up).await;
    one.net.send(Slot(2), &b"still here"[..]).expect("up");
    eventually("its frame to be read", || two.net.peer_status()[1].bytes_in > before).await;
    // At most the budget of the flooder is queued before it.
    let mut flooded = 0;
    loop {
        match two.event().await {
            NetEvent::Control { from: Slot(1), frame } => {
                assert_eq!(&frame[..], b"still here");
                break;
            }
            NetEvent::Control { .. } => flooded += 1,
            _ => {}
        }
    }
    assert!(flooded <= 64, "{flooded} frames of the flooder came first");
}
