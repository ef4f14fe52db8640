//! Requests and responses: outcomes, bounds, rates.

use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use bytes::Bytes;
use net::{DownReason, RequestError};
use types::Slot;

use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_requests_in_both_directions_get_their_own_answers() {
    let mut pair = pair(|_| ());
    both_up(&mut pair).await;
    pair.0.echo();
    pair.1.echo();
    let mut asking = Vec::new();
    for i in 0..200usize {
        let (net, to) = match i % 2 {
            0 => (pair.0.net.clone(), Slot(1)),
            _ => (pair.1.net.clone(), Slot(0)),
        };
        let parts = vec![Bytes::from(vec![i as u8; 10]), Bytes::from(vec![1; i * 1000])];
        let whole = parts.concat();
        asking.push(tokio::spawn(async move {
            let answer = net.request(to, parts, PATIENCE).await.expect("answered");
            assert!(answer == whole, "answer {i}");
        }));
    }
    for asking in asking {
        asking.await.expect("the right answer");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn request_without_answer_times_out_and_a_late_answer_is_dropped() {
    let mut pair = pair(|_| ());
    both_up(&mut pair).await;
    let outcome = pair.0.net.request(Slot(1), &b"q"[..], Duration::from_millis(50)).await;
    assert_eq!(outcome, Err(RequestError::Timeout));
    let late = pair.1.request().await;
    // Refused at once if the cancel came already, dropped by the requester otherwise.
    let _ = late.responder.respond(&b"late"[..]);
    pair.1.echo();
    let answer = pair.0.net.request(Slot(1), &b"next"[..], PATIENCE).await;
    assert_eq!(answer.expect("the link lives on"), &b"next"[..]);
    assert!(pair.0.faults(1).is_empty() && pair.1.faults(0).is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn request_dropped_by_the_responder_is_declined() {
    let mut pair = pair(|_| ());
    both_up(&mut pair).await;
    let net = pair.0.net.clone();
    let asking = tokio::spawn(async move { net.request(Slot(1), &b"q"[..], PATIENCE).await });
    drop(pair.1.request().await);
    assert_eq!(asking.await.expect("no panic"), Err(RequestError::Declined));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_over_the_limit_are_refused_each_way() {
    let mut pair = pair(|config| config.bulk_frame_max = 10_000);
    both_up(&mut pair).await;
    let too_large = RequestError::TooLarge { len: 10_001, max: 10_000 };
    let outcome = pair.0.net.request(Slot(1), vec![0; 10_001], PATIENCE).await;
    assert_eq!(outcome, Err(too_large));
    let net = pair.0.net.clone();
    let asking = tokio::spawn(async move { net.request(Slot(1), vec![0; 10_000], PATIENCE).await });
    let mut incoming = pair.1.request().await;
    assert_eq!(incoming.body.len(), 10_000);
    assert_eq!(incoming.responder.reserve(10_001).await, Err(too_large));
    assert_eq!(incoming.responder.respond(vec![0; 10_001]), Err(too_large));
    assert_eq!(asking.await.expect("no panic"), Err(RequestError::Declined));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_in_flight_are_bounded_by_the_lower_limit_and_waiting_ones_too() {
    let mut pair = pair(|config| {
        config.bulk_waiting_max = 5;
        if config.slot == Slot(1) {
            config.bulk_in_flight_in = 3;
        }
    });
    both_up(&mut pair).await;
    let mut asking = tokio::task::JoinSet::new();
    for i in 0..20u8 {
        let net = pair.0.net.clone();
        asking.spawn(async move { net.request(Slot(1), vec![i], PATIENCE).await });
    }
    // Three go out, five wait, the others are told at once.
    for _ in 0..12 {
        let outcome = patiently("busy", asking.join_next()).await.expect("more").expect("no panic");
        assert_eq!(outcome, Err(RequestError::Busy));
    }
    let held = [pair.1.request().await, pair.1.request().await, pair.1.request().await];
    let requests = pair.1.requests.as_mut().expect("not taken");
    let fourth = tokio::time::timeout(Duration::from_millis(200), requests.recv()).await;
    assert!(fourth.is_err(), "a fourth request came while three are in work");
    for incoming in held {
        let body = incoming.body.clone();
        incoming.responder.respond(body).expect("up");
    }
    pair.1.echo();
    for _ in 0..8 {
        let outcome =
            patiently("answer", asking.join_next()).await.expect("more").expect("no panic");
        assert!(outcome.is_ok(), "{outcome:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn timed_out_requests_free_their_places_on_both_sides() {
    let mut pair = pair(|config| {
        config.bulk_in_flight_in = 2;
        config.bulk_in_flight_out = 2;
    });
    both_up(&mut pair).await;
    // Nobody answers; each takes a place until it gives up.
    for _ in 0..4 {
        let outcome = pair.0.net.request(Slot(1), &b"q"[..], Duration::from_millis(20)).await;
        assert_eq!(outcome, Err(RequestError::Timeout));
    }
    pair.1.echo();
    let answer = pair.0.net.request(Slot(1), &b"after"[..], PATIENCE).await;
    assert_eq!(answer.expect("a place is free"), &b"after"[..]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_end_when_the_link_does() {
    let mut pair = pair(|_| ());
    both_up(&mut pair).await;
    let net = pair.0.net.clone();
    let asking = tokio::spawn(async move { net.request(Slot(1), &b"q"[..], PATIENCE).await });
    let incoming = pair.1.request().await;
    pair.1.net.shutdown().await;
    assert_eq!(asking.await.expect("no panic"), Err(RequestError::Closed));
    assert_eq!(incoming.responder.respond(&b"a"[..]), Err(RequestError::Closed));
    assert_eq!(pair.0.down().await.2, DownReason::PeerClosed);
    let nobody = pair.0.net.request(Slot(7), &b"q"[..], PATIENCE).await;
    assert_eq!(nobody, Err(RequestError::Unknown(Slot(7))));
    eventually("bulk down", || !pair.0.net.peer_status()[0].bulk_up).await;
    let down = pair.0.net.request(Slot(1), &b"q"[..], PATIENCE).await;
    assert_eq!(down, Err(RequestError::Down(Slot(1))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reserved_responses_wait_for_the_peer_to_read() {
    let mut pair = pair(|config| {
        config.bulk_frame_max = 1 << 20;
        config.bulk_outgoing_bytes = 1 << 20;
    });
    both_up(&mut pair).await;
    let ask = |net: net::Net| {
        tokio::spawn(async move { net.request(Slot(1), &b"q"[..], PATIENCE).await })
    };
    let (first, second) = (ask(pair.0.net.clone()), ask(pair.0.net.clone()));
    let (mut one, mut two) = (pair.1.request().await, pair.1.request().await);
    one.responder.reserve(1 << 20).await.expect("an empty budget");
    let early = tokio::time::timeout(Duration::from_millis(100), two.responder.reserve(1 << 20));
    assert!(early.await.is_err(), "the budget holds one");
    one.responder.respond(vec![1; 1 << 20]).expect("up");
    patiently("room", two.responder.reserve(1 << 20)).await.expect("up");
    two.responder.respond(vec![2; 1 << 20]).expect("up");
    for asking in [first, second] {
        assert_eq!(asking.await.expect("no panic").expect("answered").len(), 1 << 20);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn upload_limit_holds_bulk_back_but_not_control() {
    let mut pair = pair(|config| {
        if config.slot == Slot(0) {
            config.upload_limit = NonZeroU64::new(1 << 20);
        }
    });
    both_up(&mut pair).await;
    pair.1.echo();
    let started = Instant::now();
    let net = pair.0.net.clone();
    let asking =
        tokio::spawn(async move { net.request(Slot(1), vec![0; 1 << 20], PATIENCE).await });
    pair.0.net.send(Slot(1), &b"quick"[..]).expect("up");
    assert_eq!(pair.1.frame().await.1, b"quick");
    assert!(!asking.is_finished());
    asking.await.expect("no panic").expect("answered");
    // One MiB at one MiB/s, of which a quarter of a second may be burst.
    assert!(started.elapsed() >= Duration::from_millis(700), "{:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn download_limit_holds_bulk_back() {
    let mut pair = pair(|config| {
        if config.slot == Slot(0) {
            config.download_limit = NonZeroU64::new(1 << 20);
        }
    });
    both_up(&mut pair).await;
    let net = pair.0.net.clone();
    let started = Instant::now();
    let asking = tokio::spawn(async move { net.request(Slot(1), &b"q"[..], PATIENCE).await });
    let incoming = pair.1.request().await;
    incoming.responder.respond(vec![0; 1 << 20]).expect("up");
    assert_eq!(asking.await.expect("no panic").expect("answered").len(), 1 << 20);
    assert!(started.elapsed() >= Duration::from_millis(700), "{:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_responses_to_a_slow_peer_do_not_delay_another() {
    let sockets: Vec<_> = (0..3).map(|_| listener()).collect();
    let at: Vec<_> = sockets.iter().map(|(_, at)| *at).collect();
    let mut members = Vec::new();
    for (slot, (socket, _)) in (0u16..).zip(sockets) {
        let mut config = config(slot, socket);
        if slot == 1 {
            config.download_limit = NonZeroU64::new(1 << 16);
        }
        let others = (0u16..3).filter(|other| *other != slot);
        members.push(start(config, others.map(|o| peer(o, at[usize::from(o)])).collect()));
    }
    let [zero, one, two] = &mut members[..] else { panic!("three members") };
    zero.echo_sized(4 << 20);
    eventually("bulk up", || one.net.peer_status()[0].bulk_up && two.net.peer_status()[0].bulk_up)
        .await;
    let slow: Vec<_> = (0..8)
        .map(|_| {
            let net = one.net.clone();
            tokio::spawn(async move { net.request(Slot(0), &b"q"[..], PATIENCE).await })
        })
        .collect();
    eventually("a first part", || one.net.peer_status()[0].bytes_in > 1000).await;
    for _ in 0..8 {
        let answer = two.net.request(Slot(0), &b"q"[..], PATIENCE).await;
        assert_eq!(answer.expect("answered").len(), 4 << 20);
    }
    // 4 MiB at 64 KiB/s take a minute, so none of these can be through.
    assert!(slow.iter().all(|asking| !asking.is_finished()));
}
