//! Turn changes: silent senders, silent leaders, selective messages (specification 9.1 to 9.9).

use super::harness::*;
use crate::*;
use types::*;

fn nulls(net: &Net, slot: usize) -> Vec<u64> {
    let applied = net.applied[slot].values();
    applied.filter(|(_, proposal, _)| proposal.is_none()).map(|(no, ..)| no.0).collect()
}

#[test]
fn silent_sender_gets_null_and_the_others_owe_nothing() {
    for n in [5, 8] {
        let mut net = Net::new(n);
        net.filter(move |from, _, message| match message.kind() {
            Kind::Agree if from == Slot(2) && message.turn() == Turn(0) => Verdict::Drop,
            _ => Verdict::Pass,
        });
        net.run(200_000);
        let rest: Vec<_> = (0..n).filter(|slot| *slot != 2).collect();
        let decided = net.check_agreement(rest.clone());
        assert!(decided > 2 * u64::from(n), "n = {n}: {decided}");
        let expected: Vec<_> = (0..decided).filter(|no| no % u64::from(n) == 2).collect();
        let got: Vec<_> = nulls(&net, 0).into_iter().filter(|no| *no < decided).collect();
        assert_eq!(got, expected, "n = {n}");
        net.check_no_residue(rest);
        assert!(net.core(0).residual_duties().contains(&(Slot(2), Instance(2), Duty::SenderTurn)));
    }
}

#[test]
fn silent_leader_is_passed_over_by_the_next_turn() {
    let mut net = Net::new(8);
    // Instance 0: sender 0 and the leader of turn 1, slot 2, say nothing.
    net.filter(|from, _, message| {
        let agree = from == Slot(0) && message.kind() == Kind::Agree;
        let read = from == Slot(2) && message.kind() == Kind::Read;
        if message.inst() == Instance(0) && (agree || read) { Verdict::Drop } else { Verdict::Pass }
    });
    net.run(120_000);
    assert!(net.check_agreement([1, 3, 4, 5, 6, 7]) > 1);
    assert_eq!(nulls(&net, 1)[0], 0);
    let inst = &net.core(4).insts[&Instance(0)];
    assert!(inst.decided.as_ref().unwrap().turn >= Turn(2));
    assert!(net.core(1).residual_duties().contains(&(
        Slot(2),
        Instance(0),
        Duty::LeaderTurn(Turn(1))
    )));
}

#[test]
fn value_accepted_in_turn_0_survives_into_a_later_turn() {
    let mut net = Net::new(5);
    net.submit(0, 1, b"keep me");
    // The sender writes but never shows the quorum.
    net.filter(|from, _, message| {
        let show = from == Slot(0) && message.kind() == Kind::ShowQuorum;
        if show && message.inst() == Instance(5) { Verdict::Drop } else { Verdict::Pass }
    });
    net.run(60_000);
    assert!(net.check_agreement(1..5) >= 6);
    let proposal = net.applied[3][&Instance(5)].1.as_ref().unwrap();
    assert_eq!(proposal.commands, [b"keep me".to_vec()]);
    assert!(net.core(3).insts[&Instance(5)].decided.as_ref().unwrap().turn >= Turn(1));
}

#[test]
fn quorum_shown_to_one_member_only_does_not_stop_the_group_sq_n2() {
    for n in [5, 8] {
        let mut net = Net::new(n);
        net.filter(|from, to, message| {
            let show = from == Slot(0) && message.kind() == Kind::ShowQuorum;
            if show && message.turn() == Turn(0) && to != Slot(3) {
                Verdict::Drop
            } else {
                Verdict::Pass
            }
        });
        net.run(400_000);
        let decided = net.check_agreement(1..n);
        assert!(decided > 3 * u64::from(n), "n = {n}: {decided}");
        net.check_no_residue(1..n);
    }
}

#[test]
fn write_shown_to_a_minority_only_keeps_agreement() {
    for reached in 1..5u16 {
        let mut net = Net::new(5);
        net.filter(move |from, to, message| {
            let write = from == Slot(0) && message.kind() == Kind::Write;
            if write && to.0 > reached { Verdict::Drop } else { Verdict::Pass }
        });
        net.run(300_000);
        assert!(net.check_agreement(1..5) > 10, "{reached}");
        net.check_no_residue(1..5);
    }
}

#[test]
fn leader_that_reads_some_members_only_leaves_no_duty_among_the_others_rd_n2() {
    let mut net = Net::new(8);
    // Sender 0 is silent in instance 0; leader 2 is Byzantine and reads slot 1 only.
    net.filter(|from, to, message| {
        let agree = from == Slot(0) && message.kind() == Kind::Agree;
        let led = from == Slot(2) && message.turn() > Turn(0) && to != Slot(1);
        let first = message.inst() == Instance(0);
        let step = matches!(message.kind(), Kind::Read | Kind::Agree | Kind::Write);
        if first && (agree || (led && step)) { Verdict::Drop } else { Verdict::Pass }
    });
    net.run(400_000);
    let honest = [1, 3, 4, 5, 6, 7];
    assert!(net.check_agreement(honest) > 5);
    net.check_no_residue(honest);
}

#[test]
fn sizes_of_answers_do_not_tell_what_was_accepted() {
    let mut net = Net::new(8);
    let sizes = std::rc::Rc::new(std::cell::RefCell::new(std::collections::BTreeMap::<
        Kind,
        std::collections::BTreeSet<usize>,
    >::new()));
    let seen = std::rc::Rc::clone(&sizes);
    net.filter(move |from, to, message| {
        let later = message.turn() > Turn(0) || message.kind() == Kind::ReportDecision;
        let kind = message.kind();
        if later && kind != Kind::SetTurn {
            seen.borrow_mut().entry(kind).or_default().insert(message.size());
        }
        // Instance 0 is accepted by some, instance 1 by nobody.
        let cut = match message.inst().0 {
            0 => kind == Kind::Write && from == Slot(0) && to.0 > 5,
            1 => kind == Kind::Agree && from == Slot(1) && message.turn() == Turn(0),
            _ => false,
        };
        if cut { Verdict::Drop } else { Verdict::Pass }
    });
    net.run(120_000);
    let sizes = sizes.borrow();
    for kind in [Kind::Read, Kind::ReadAck, Kind::Agree, Kind::ReportDecision] {
        assert_eq!(sizes[&kind].len(), 1, "{kind:?}: {:?}", sizes[&kind]);
    }
}

/// The specification's `val_t < t` in L2 would leave slots 0, 2 and 4 and slot 3 blocked for ever.
#[test]
fn slow_leader_accepts_answers_from_members_that_accepted_in_a_later_turn() {
    let params = Params { gamma_ms: 60_000, ..Params::default() };
    let mut net = Net::with(5, params);
    let mut reads = 0;
    net.filter(move |from, _, message| {
        let (no, turn, kind) = (message.inst(), message.turn(), message.kind());
        if no != Instance(1) {
            return Verdict::Pass;
        }
        // The sender is silent; the first READs of turn 1, led by slot 3, are lost.
        let silent = from == Slot(1) && turn == Turn(0) && kind == Kind::Agree;
        let read = from == Slot(3) && turn == Turn(1) && kind == Kind::Read;
        reads += usize::from(read);
        if silent || (read && reads <= 3) { Verdict::Drop } else { Verdict::Pass }
    });
    net.run(50_000);
    let accepted = |net: &Net, slot: u16| net.core(slot).insts[&Instance(1)].acc_turn();
    assert_eq!(accepted(&net, 0), Turn(2));
    net.run(400_000);
    let answer = net.core(0).insts[&Instance(1)].turns[&1].read_ack.clone();
    assert_eq!(answer.unwrap().0.payload.val_turn, Turn(2));
    assert!(net.check_agreement([0, 2, 3, 4]) > 5);
    net.check_no_residue([0, 2, 3, 4]);
}
