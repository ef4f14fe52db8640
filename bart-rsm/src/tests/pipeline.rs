//! Several instances at a time (specification 5.4; guarantees of `pipeline.rs`).

use super::harness::*;
use crate::*;
use std::cell::RefCell;
use std::rc::Rc;
use types::*;

fn net(n: u16, pipeline: u64) -> Net {
    Net::with(n, Params { pipeline, ..Params::default() })
}

/// Everything about turn 0 of one instance is held back while `held` is true.
fn hold(net: &mut Net, no: Instance, held: &Rc<RefCell<bool>>) {
    let held = Rc::clone(held);
    net.filter(move |_, _, message| match message {
        Message::Agree(m) if m.core.header.inst == no && *held.borrow() => Verdict::Drop,
        _ => Verdict::Pass,
    });
}

#[test]
fn window_of_w_instances_is_proposed_at_once_and_decided_faster() {
    let decided_in = |pipeline| {
        let mut net = net(8, pipeline);
        net.run(100);
        net.check_agreement(0..8)
    };
    let (one, four) = (decided_in(1), decided_in(4));
    assert!(one >= 2 && 2 * four >= 5 * one, "{one} and {four} instances in the same time");
}

#[test]
fn honest_groups_with_a_window_leave_no_residual_duty() {
    for (n, pipeline) in [(4, 2), (5, 2), (8, 2), (8, 4), (11, 4)] {
        let mut net = net(n, pipeline);
        for ticket in 0..20 {
            net.submit((ticket % u64::from(n)) as u16, ticket, &[ticket as u8 + 1]);
        }
        net.run(20_000);
        net.check_agreement(0..n);
        net.check_no_residue(0..n);
        assert!(net.faults.is_empty(), "n = {n}, W = {pipeline}: {:?}", net.faults);
        let committed: usize = net.committed.iter().map(Vec::len).sum();
        assert_eq!(committed, 20, "n = {n}, W = {pipeline}");
    }
}

#[test]
fn instance_decided_out_of_order_waits_and_is_applied_in_order() {
    let mut net = net(5, 2);
    let held = Rc::new(RefCell::new(true));
    hold(&mut net, Instance(0), &held);
    net.run(1_000);
    for slot in 0..5 {
        let core = net.core(slot);
        assert_eq!(core.decided_upto(), None, "slot {slot} applied ahead of instance 0");
        let next = core.insts.get(&Instance(1)).unwrap();
        assert!(next.is_decided(), "slot {slot} waits with instance 1 although it is entered");
        assert!(!core.insts.contains_key(&Instance(2)), "slot {slot} left the window");
    }
    // The turns of instance 0 decide it as NULL.
    net.run(60_000);
    assert!(net.check_agreement(0..5) > 10);
    assert!(net.applied[1][&Instance(0)].1.is_none() && net.applied[1][&Instance(1)].1.is_some());
}

#[test]
fn instance_decided_out_of_order_survives_a_restart_with_the_same_time() {
    let mut net = net(5, 2);
    let held = Rc::new(RefCell::new(true));
    hold(&mut net, Instance(0), &held);
    net.run(1_000);
    net.crash(Slot(3));
    net.boot(Slot(3));
    net.connect();
    net.run(60_000);
    // The harness compares what is applied again, its time included.
    assert!(net.check_agreement(0..5) > 10);
    *held.borrow_mut() = false;
    net.crash(Slot(3));
    net.boot(Slot(3));
    net.connect();
    net.run(600_000);
    net.check_agreement(0..5);
    net.check_no_residue(0..5);
}

#[test]
fn member_that_owes_an_answer_is_refused_w_instances_later_and_not_before() {
    let shirker = Slot(4);
    let mut net = net(8, 2);
    net.filter(move |from, to, message| match message {
        // It never answers slot 0's proposal, and only that.
        Message::AgreeAck(m) if from == shirker && to == Slot(0) && m.core.header.inst.0 == 0 => {
            Verdict::Drop
        }
        _ => Verdict::Pass,
    });
    net.run(5_000);
    let core = net.core(0);
    assert!(core.decided_upto().is_some_and(|no| no.0 > 4), "the others go on");
    assert!(core.may_accept(shirker, Instance(1)), "within the window its messages count");
    assert!(core.may_accept(Slot(1), core.current), "an honest member's messages count");
    assert!(!core.may_accept(shirker, core.current), "W instances later the gate is closed");
}

#[test]
fn window_never_holds_two_instances_of_one_sender() {
    for (n, pipeline) in [(4u16, 2u64), (6, 3), (9, 4)] {
        let mut net = net(n, pipeline);
        for _ in 0..40 {
            net.run(5);
            for slot in 0..n {
                let core = net.core(slot);
                let senders: Vec<_> = core.window().map(|no| core.place(no).sender).collect();
                let mut distinct = senders.clone();
                distinct.sort();
                distinct.dedup();
                assert_eq!(distinct.len(), senders.len(), "n = {n}: {senders:?}");
                assert_eq!(senders.len() as u64, pipeline);
            }
        }
    }
}
