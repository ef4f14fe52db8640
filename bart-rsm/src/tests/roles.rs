//! Who repeats, and when (specification 4.3; rows MQ-1, MQ-2, MQ-3, MQ-7).

use super::harness::*;
use crate::message::Ping;
use crate::*;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use types::*;

/// What was said, by whom to whom, with its place.
type Log = Rc<RefCell<Vec<(Slot, Slot, Kind, Instance, Turn)>>>;

/// A group whose messages from `mute` to `deaf` are lost from now on; what both say is noted.
fn muted(net: &mut Net, mute: Slot, deaf: Slot) -> Log {
    let log = Log::default();
    let seen = Rc::clone(&log);
    net.filter(move |from, to, message| {
        if [(mute, deaf), (deaf, mute)].contains(&(from, to)) {
            seen.borrow_mut().push((from, to, message.kind(), message.inst(), message.turn()));
        }
        if (from, to) == (mute, deaf) { Verdict::Drop } else { Verdict::Pass }
    });
    log
}

/// Minutes at which `from` said something, of the next `minutes`.
fn minutes_with_traffic(net: &mut Net, log: &Log, from: Slot, minutes: usize) -> Vec<usize> {
    let mut spoken = Vec::new();
    for minute in 0..minutes {
        log.borrow_mut().clear();
        net.run(60_000);
        if log.borrow().iter().any(|(author, ..)| *author == from) {
            spoken.push(minute);
        }
    }
    spoken
}

#[test]
fn dialer_repeats_with_a_back_off_that_doubles_to_ten_minutes() {
    let mut net = Net::new(5);
    net.run(2_000);
    let log = muted(&mut net, Slot(3), Slot(0));
    // Until what is under way is answered or lost.
    net.run(5_000);
    let spoken = minutes_with_traffic(&mut net, &log, Slot(0), 60);
    let gaps: Vec<usize> = spoken.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(spoken[0] <= 2 && gaps.len() >= 6, "{spoken:?}");
    assert!(gaps.windows(2).all(|pair| pair[1] + 1 >= pair[0]), "{gaps:?}");
    assert_eq!(gaps[gaps.len() - 2..], [10, 10], "{gaps:?}");
    assert!(net.check_agreement(0..5) > 50);
}

#[test]
fn acceptor_says_nothing_to_a_dialer_that_is_silent() {
    let mut net = Net::new(5);
    net.run(2_000);
    let log = muted(&mut net, Slot(0), Slot(3));
    net.run(7_200_000);
    let mut said = BTreeSet::new();
    for (_, _, kind, inst, turn) in log.borrow().iter().filter(|(from, ..)| *from == Slot(3)) {
        assert!(said.insert((*inst, *turn, *kind)), "{kind:?} {inst} {turn} was repeated");
    }
    assert!(!said.is_empty());
    // The group goes on, and once the dialer is heard again everything is made up for.
    net.filter(|_, _, _| Verdict::Pass);
    net.run(1_300_000);
    assert!(net.check_agreement(0..5) > 100);
    net.check_no_residue(0..5);
}

#[test]
fn acceptor_answers_a_ping_with_what_is_old_or_with_pong() {
    let mut net = Net::new(5);
    net.run(2_000);
    let count = |net: &Net, kind| net.sent.get(&(Slot(3), kind)).copied().unwrap_or(0);
    let ping = |net: &Net| {
        let undecided = net.core(0).current;
        Message::Ping(Ping { epoch: Epoch(3), undecided, frontier: undecided })
    };
    // Nothing is outstanding: PONG, at a bounded rate.
    assert!(net.run_until(60_000, |net| net.core(0).first_outstanding(Slot(3)).is_none()));
    let pongs = count(&net, Kind::Pong);
    net.inject(Slot(0), Slot(3), &ping(&net));
    net.run(20);
    assert_eq!(count(&net, Kind::Pong), pongs + 1);
    for _ in 0..1_000 {
        net.inject(Slot(0), Slot(3), &ping(&net));
    }
    net.run(20);
    assert!(count(&net, Kind::Pong) <= pongs + 1 + crate::peer::REPEAT_BURST as usize);
    // Its answer was lost and is old: that is repeated, once.
    let log = muted(&mut net, Slot(3), Slot(0));
    assert!(net.run_until(60_000, |_| {
        log.borrow().iter().any(|(_, _, kind, ..)| *kind == Kind::AgreeAck)
    }));
    let no = log.borrow().iter().find(|(_, _, kind, ..)| *kind == Kind::AgreeAck).unwrap().3;
    let acks = || {
        let log = log.borrow();
        log.iter().filter(|said| (said.0.0, said.2, said.3) == (3, Kind::AgreeAck, no)).count()
    };
    assert_eq!(acks(), 1);
    net.inject(Slot(0), Slot(3), &ping(&net));
    net.run(20);
    assert_eq!(acks(), 1, "it is younger than Gamma");
    net.run(net.params.gamma_ms - 1_000);
    let before = acks();
    net.run(1_000);
    net.inject(Slot(0), Slot(3), &ping(&net));
    net.inject(Slot(0), Slot(3), &ping(&net));
    net.run(20);
    assert_eq!((before, acks()), (1, 2));
    net.filter(|_, _, _| Verdict::Pass);
    net.run(120_000);
    net.check_agreement(0..5);
    net.check_no_residue(0..5);
}

#[test]
fn only_the_dialer_greets_when_a_link_comes_up_and_the_acceptor_answers() {
    let mut net = Net::new(5);
    net.run(2_000);
    let log = muted(&mut net, Slot(0), Slot(3));
    net.link(Slot(0), Slot(3), false);
    log.borrow_mut().clear();
    net.link(Slot(0), Slot(3), true);
    assert!(log.borrow().iter().any(|(from, _, kind, ..)| (from.0, *kind) == (0, Kind::Resume)));
    assert!(!log.borrow().iter().any(|(from, ..)| *from == Slot(3)));
    let log = muted(&mut net, Slot(1), Slot(4));
    net.link(Slot(0), Slot(3), false);
    net.link(Slot(0), Slot(3), true);
    drop(log);
    let before = net.sent[&(Slot(3), Kind::Resume)];
    net.run(20);
    assert_eq!(net.sent[&(Slot(3), Kind::Resume)], before + 1);
}

#[test]
fn roles_that_do_not_fit_the_slots_are_refused() {
    let mut net = Net::new(5);
    net.run(2_000);
    let (epoch, no) = (Epoch(3), Instance(0));
    let ping = Message::Ping(Ping { epoch, undecided: no, frontier: no });
    let pong = Message::Pong(message::Pong { epoch, undecided: no, frontier: no });
    net.inject(Slot(3), Slot(0), &ping);
    net.inject(Slot(0), Slot(3), &pong);
    net.run(20);
    let unexpected = |slot, kind| {
        let fault = Fault::Unexpected(kind);
        net.faults.iter().any(|(at, _, got)| at.0 == slot && *got == fault)
    };
    assert!(unexpected(0, Kind::Ping) && unexpected(3, Kind::Pong));
}
