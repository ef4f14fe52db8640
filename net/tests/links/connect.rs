//! Who gets in (guarantees 1 and 2), and how links come back.

use std::time::Duration;

use net::{Class, DownReason, FaultKind, Listen, Net, NetConfig, NetError, NetEvent, SendError};
use types::Slot;

use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_members_connect_and_exchange_frames_and_requests() {
    let mut pair = pair(|_| ());
    both_up(&mut pair).await;
    pair.1.echo();
    pair.0.net.send(Slot(1), &b"to one"[..]).expect("up");
    pair.1.net.send(Slot(0), &b"to zero"[..]).expect("up");
    assert_eq!(pair.1.frame().await, (Slot(0), b"to one".to_vec()));
    assert_eq!(pair.0.frame().await, (Slot(1), b"to zero".to_vec()));
    let answer = pair.0.net.request(Slot(1), vec![5; 300_000], PATIENCE).await;
    assert_eq!(answer.expect("answered"), vec![5; 300_000]);
    let status = &pair.0.net.peer_status()[0];
    assert!(status.control_up && status.bulk_up && status.faults.is_empty(), "{status:?}");
    assert!(status.bytes_in > 300_000 && status.bytes_out > 300_000, "{status:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_members_connect_every_frame_names_its_sender() {
    let sockets: Vec<_> = (0..5).map(|_| listener()).collect();
    let at: Vec<_> = sockets.iter().map(|(_, at)| *at).collect();
    let mut members = Vec::new();
    for (slot, (socket, _)) in (0u16..).zip(sockets) {
        let others = (0u16..5).filter(|other| *other != slot);
        let peers = others.map(|other| peer(other, at[usize::from(other)])).collect();
        members.push(start(config(slot, socket), peers));
    }
    for member in &members {
        let up = || member.net.peer_status().iter().all(|peer| peer.control_up && peer.bulk_up);
        eventually("all links up", up).await;
    }
    for (from, member) in (0u16..).zip(&members) {
        for to in (0u16..5).filter(|to| *to != from) {
            member.net.send(Slot(to), format!("{from} to {to}").into_bytes()).expect("up");
        }
    }
    for (to, member) in (0u16..).zip(&mut members) {
        for _ in 0..4 {
            let (from, frame) = member.frame().await;
            assert_eq!(frame, format!("{from} to {to}", from = from.0).into_bytes());
        }
    }
}

/// The dialer redials after a minute only, so an attempt that is refused fails the test.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn dialer_that_waits_at_the_door_is_let_in_at_the_first_attempt() {
    for _ in 0..20 {
        let ((zero, zero_at), (one, one_at)) = (listener(), listener());
        let mut impatient = config(0, zero);
        impatient.redial_first = Duration::from_secs(60);
        impatient.redial_max = Duration::from_secs(60);
        let mut first = start(impatient, vec![peer(1, one_at)]);
        // It has connected by now and waits for a handshake.
        tokio::time::sleep(Duration::from_millis(20)).await;
        let second = start(config(1, one), vec![peer(0, zero_at)]);
        first.up(1).await;
        assert_eq!(second.net.stranger_faults(), Default::default());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dialer_with_unknown_key_is_refused_and_counted() {
    let ((zero, zero_at), (one, one_at)) = (listener(), listener());
    // Slot 1 expects another key in slot 0.
    let mut wrong = peer(0, zero_at);
    wrong.key = key(77);
    let one = start(config(1, one), vec![wrong]);
    let zero = start(config(0, zero), vec![peer(1, one_at)]);
    eventually("a refusal", || one.net.stranger_faults().unknown_key > 1).await;
    eventually("an error", || zero.last_error(1).contains("refused us")).await;
    assert!(!zero.net.peer_status()[0].control_up && !one.net.peer_status()[0].control_up);
    assert_eq!(zero.net.send(Slot(1), &b"x"[..]), Err(SendError::Down(Slot(1))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acceptor_with_other_key_man_in_the_middle_is_refused() {
    let ((zero, zero_at), (middle, middle_at)) = (listener(), listener());
    // Someone else answers at the address of slot 1, and would let slot 0 in.
    let mut imposter = config(66, middle);
    imposter.slot = Slot(1);
    let imposter = start(imposter, vec![peer(0, zero_at)]);
    let zero = start(config(0, zero), vec![peer(1, middle_at)]);
    eventually("an error", || zero.last_error(1).contains("does not hold the peer's key")).await;
    assert!(!zero.net.peer_status()[0].control_up);
    assert!(!imposter.net.peer_status()[0].control_up);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn known_key_in_other_group_is_refused_with_reason_on_both_sides() {
    let (zero, one) = pair(|config| {
        if config.slot == Slot(0) {
            config.group = [1; 32];
        }
    });
    eventually("a fault", || one.faults(0).contains_key(&FaultKind::WrongGroup)).await;
    eventually("the reason", || zero.last_error(1).contains("other group")).await;
    assert!(!one.net.peer_status()[0].control_up);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn known_key_under_other_slot_is_refused() {
    let ((zero, zero_at), (two, two_at)) = (listener(), listener());
    // The holder of key 0 believes to be slot 1; slot 2 knows it as slot 0.
    let mut confused = config(0, zero);
    confused.slot = Slot(1);
    let confused = start(confused, vec![peer(2, two_at)]);
    let two = start(config(2, two), vec![peer(0, zero_at)]);
    eventually("a fault", || two.faults(0).contains_key(&FaultKind::WrongSlot)).await;
    eventually("the reason", || confused.last_error(2).contains("other slot")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn member_dialled_by_the_higher_slot_refuses_the_role() {
    let ((zero, zero_at), (one, one_at)) = (listener(), listener());
    // The holder of key 1 claims slot 1, but takes the other side for slot 5 and so dials.
    let mut other = peer(0, zero_at);
    other.slot = Slot(5);
    let _one = start(config(1, one), vec![other]);
    let zero = start(config(0, zero), vec![peer(1, one_at)]);
    eventually("a fault", || zero.faults(1).contains_key(&FaultKind::WrongRole)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peer_restarted_is_dialled_again_and_events_alternate() {
    let ((zero, zero_at), (one, one_at)) = (listener(), listener());
    let mut zero = start(config(0, zero), vec![peer(1, one_at)]);
    let mut one = start(config(1, one), vec![peer(0, zero_at)]);
    zero.up(1).await;
    one.up(0).await;
    patiently("shutdown", one.net.shutdown()).await;
    let mut down = [zero.down().await, zero.down().await];
    down.sort_by_key(|(_, class, _)| *class);
    let reason = DownReason::PeerClosed;
    assert_eq!(down[0], (Slot(1), Class::Control, reason.clone()));
    assert_eq!(down[1], (Slot(1), Class::Bulk, reason));
    // The receiver of a member that was shut down ends after its own last events.
    let last = async { while one.events.recv().await.is_some() {} };
    patiently("the end of events", last).await;
    // The address is free again.
    let again = std::net::TcpListener::bind(one_at).expect("free after shutdown");
    let mut one = start(config(1, again), vec![peer(0, zero_at)]);
    zero.up(1).await;
    one.up(0).await;
    zero.net.send(Slot(1), &b"back"[..]).expect("up");
    assert_eq!(one.frame().await, (Slot(0), b"back".to_vec()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn second_connection_of_a_peer_replaces_the_first() {
    let ((zero, zero_at), (one, one_at)) = (listener(), listener());
    let mut one = start(config(1, one), vec![peer(0, zero_at)]);
    let mut old = start(config(0, zero), vec![peer(1, one_at)]);
    one.up(0).await;
    old.up(1).await;
    // The same member once more, as after a crash that left the first connection behind.
    let mut new = start(config(0, listener().0), vec![peer(1, one_at)]);
    let (slot, _, reason) = one.down().await;
    assert_eq!((slot, reason), (Slot(0), DownReason::Replaced));
    drop(old);
    new.up(1).await;
    eventually("both up", || {
        let status = &one.net.peer_status()[0];
        status.control_up && status.bulk_up && new.net.peer_status()[0].control_up
    })
    .await;
    patiently("a frame", async {
        // The old member may take its turn back once before it is gone.
        while new.net.send(Slot(1), &b"new"[..]).is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(one.frame().await, (Slot(0), b"new".to_vec()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peer_list_updated_moves_removes_and_adds() {
    let ((zero, zero_at), (one, one_at)) = (listener(), listener());
    let nowhere = listener().1;
    let mut zero = start(config(0, zero), vec![peer(1, nowhere)]);
    let mut one = start(config(1, one), vec![]);
    eventually("a failed dial", || zero.last_error(1).contains("cannot reach")).await;
    one.net.update_peers(vec![peer(0, zero_at)]).expect("valid");
    zero.net.update_peers(vec![peer(1, one_at)]).expect("valid");
    zero.up(1).await;
    one.up(0).await;
    zero.net.update_peers(vec![]).expect("valid");
    assert_eq!(zero.down().await.2, DownReason::Removed);
    assert_eq!(zero.net.send(Slot(1), &b"x"[..]), Err(SendError::Unknown(Slot(1))));
    assert_eq!(one.down().await.0, Slot(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peer_with_changed_key_ends_the_old_link_before_the_new_comes_up() {
    let ((zero, zero_at), (one, one_at)) = (listener(), listener());
    let mut zero = start(config(0, zero), vec![peer(1, one_at)]);
    let mut old = start(config(1, one), vec![peer(0, zero_at)]);
    zero.up(1).await;
    old.up(0).await;
    let (socket, new_at) = listener();
    let mut config = NetConfig::new(Slot(1), GROUP, seed(31), Listen::Socket(socket));
    config.redial_first = Duration::from_millis(20);
    let mut new = start(config, vec![peer(0, zero_at)]);
    let mut changed = peer(1, new_at);
    changed.key = key(31);
    zero.net.update_peers(vec![changed]).expect("valid");
    let mut up = [true, true];
    let mut changes = 0;
    while changes < 4 {
        let (class, now_up) = match zero.event().await {
            NetEvent::PeerUp { class, .. } => (class, true),
            NetEvent::PeerDown { class, reason, .. } => {
                assert_eq!(reason, DownReason::Removed);
                (class, false)
            }
            NetEvent::Control { .. } => continue,
        };
        let before = std::mem::replace(&mut up[class as usize], now_up);
        assert_ne!(before, now_up, "events of {class} must alternate");
        changes += 1;
    }
    assert_eq!(up, [true, true]);
    zero.net.send(Slot(1), &b"new key"[..]).expect("up");
    assert_eq!(new.frame().await, (Slot(0), b"new key".to_vec()));
}

#[tokio::test]
async fn start_on_taken_address_says_which_and_what_to_do() {
    let (_held, at) = listener();
    let mut config = config(0, listener().0);
    config.listen = Listen::Address(at.to_string());
    let error = Net::start(config, vec![]).err().expect("taken");
    assert!(matches!(error, NetError::Bind { .. }));
    let text = error.to_string();
    assert!(text.contains(&at.to_string()) && text.contains("start again"), "{text}");
}

#[tokio::test]
async fn start_with_contradicting_peers_or_limits_is_refused() {
    let at = listener().1;
    let refused = |peers| Net::start(config(0, listener().0), peers).err().expect("refused");
    assert!(matches!(refused(vec![peer(0, at)]), NetError::Peers(_)), "ourselves");
    assert!(matches!(refused(vec![peer(1, at), peer(1, at)]), NetError::Peers(_)), "slot twice");
    let mut same_key = peer(2, at);
    same_key.key = key(1);
    assert!(matches!(refused(vec![peer(1, at), same_key]), NetError::Peers(_)), "key twice");
    let mut config = config(0, listener().0);
    config.bulk_incoming_bytes = config.bulk_frame_max - 1;
    assert!(matches!(Net::start(config, vec![]), Err(NetError::Config(_))));
}

#[test]
fn start_outside_a_runtime_is_an_error() {
    let outcome = Net::start(config(0, listener().0), vec![]);
    assert!(matches!(outcome, Err(NetError::NoRuntime)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn last_handle_dropped_ends_the_links() {
    let (mut zero, mut one) = pair(|_| ());
    zero.up(1).await;
    one.up(0).await;
    drop(zero.net);
    assert_eq!(one.down().await.0, Slot(0));
    let ended = async {
        while let Some(event) = zero.events.recv().await {
            assert!(!matches!(event, NetEvent::PeerUp { .. }));
        }
    };
    patiently("the end of events", ended).await;
}
