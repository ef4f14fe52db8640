//! Fines and what is paid for them (specification 3.8, O6, P2; rows UN-* and PN-* of 9.10).

use super::forge;
use super::harness::*;
use crate::message::*;
use crate::untimely::Marks;
use crate::*;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use types::*;

type Paid = Rc<RefCell<BTreeMap<(u16, u16), Vec<usize>>>>;

/// Makes slot 1, the sender of instance 1, publish a mark against each of `fined`.
fn fine(net: &mut Net, fined: &[u16]) {
    let slots = usize::from(net.n());
    let core = net.core_mut(1);
    core.marks = Marks::new(slots);
    fined.iter().for_each(|slot| core.marks.add(Slot(*slot)));
}

/// Records the pads that leave, by author and addressee; `cut` may drop messages.
fn watch(net: &mut Net, mut cut: impl FnMut(Slot, Slot, &Message) -> bool + 'static) -> Paid {
    let paid = Paid::default();
    let seen = Rc::clone(&paid);
    net.filter(move |from, to, message| {
        if let Message::Penance(m) = message {
            seen.borrow_mut().entry((from.0, to.0)).or_default().push(m.pad.len());
        }
        if cut(from, to, message) { Verdict::Drop } else { Verdict::Pass }
    });
    paid
}

#[test]
fn fined_members_pay_each_other_non_sender_once_and_the_sender_stays_outside() {
    for n in [5u16, 8] {
        let mut net = Net::new(n);
        fine(&mut net, &[2, 4]);
        let paid = watch(&mut net, |_, _, _| false);
        net.run(60_000);
        let fee = net.core(0).costs.late_fee;
        let mut expected = BTreeMap::new();
        for from in [2, 4] {
            for to in (0..n).filter(|to| *to != from && *to != 1) {
                expected.insert((from, to), vec![fee]);
            }
        }
        assert_eq!(*paid.borrow(), expected, "n = {n}");
        assert!(net.check_agreement(0..n) > u64::from(n));
        net.check_no_residue(0..n);
        assert!(net.faults.iter().all(|(_, _, fault)| !fault.is_misbehavior()), "{:?}", net.faults);
        // What was decided is taken back, and nobody is fined twice for it.
        assert_eq!(net.core(1).marks, Marks::new(usize::from(n)));
    }
}

#[test]
fn fined_member_that_pays_nothing_is_refused_until_it_pays_pn_n1() {
    let mut net = Net::new(5);
    fine(&mut net, &[4]);
    let paid =
        watch(&mut net, |from, _, message| from == Slot(4) && message.kind() == Kind::Penance);
    net.run(20_000);
    for slot in [0, 2, 3] {
        let owed = net.core(slot).residual_duties();
        assert!(owed.contains(&(Slot(4), Instance(1), Duty::Penance)), "slot {slot}");
    }
    let at_sender = net.core(1).residual_duties();
    assert!(!at_sender.iter().any(|(_, _, duty)| *duty == Duty::Penance));
    // Its own proposals find no quorum, those of the others do.
    net.run(200_000);
    let null =
        |net: &Net, no: u64| net.applied[0].get(&Instance(no)).is_some_and(|a| a.1.is_none());
    assert!(net.check_agreement(0..4) > 10 && null(&net, 4) && null(&net, 9) && !null(&net, 5));
    // PN-T1: once it pays it is served again.
    assert!(!paid.borrow().is_empty());
    net.filter(|_, _, _| Verdict::Pass);
    net.run(1_500_000);
    net.check_no_residue(0..5);
    let last = net.decided(0) - 10;
    assert!((last..last + 10).all(|no| !null(&net, no)), "still refused");
}

/// What a fined slot 4 sends instead of its penance.
fn replaced(forge: fn(&Roster, usize) -> Vec<Message>) -> Net {
    let mut net = Net::new(5);
    fine(&mut net, &[4]);
    let (roster, fee) = (net.roster.clone(), net.core(0).costs.late_fee);
    net.filter(move |from, to, message| {
        let pays = from == Slot(4) && message.kind() == Kind::Penance && to == Slot(2);
        if pays { Verdict::Replace(forge(&roster, fee)) } else { Verdict::Pass }
    });
    net.run(20_000);
    net
}

/// A PENANCE of slot 4 in instance 1 with any pad, keyed for `to`.
fn penance(roster: &Roster, count: u32, turn: u32, len: usize, to: u16) -> Message {
    let key = PadKey {
        group: roster.group(),
        inst: Instance(1),
        turn: Turn(0),
        kind: Kind::Penance,
        from: Slot(4),
        to: Slot(to),
    };
    let mut pad = vec![0; len];
    key.fill(&mut pad);
    let core = forge::signed(roster, 4, 1, turn, PenanceStatement { count: Turn(count) });
    Message::Penance(Penance { core, pad: pad.into() })
}

#[test]
fn short_long_blank_or_copied_penance_fills_nothing_pn_d1() {
    let forgeries: [fn(&Roster, usize) -> Vec<Message>; 7] = [
        |roster, fee| vec![penance(roster, 1, 0, fee - 1, 2)],
        |roster, fee| vec![penance(roster, 1, 0, fee + 1, 2)],
        |roster, fee| vec![penance(roster, 2, 0, 2 * fee, 2)],
        |roster, fee| vec![penance(roster, 0, 0, fee, 2)],
        |roster, fee| vec![penance(roster, 1, 1, fee, 2)],
        // The pad that slot 3 gets.
        |roster, fee| vec![penance(roster, 1, 0, fee, 3)],
        |roster, fee| {
            let core = forge::signed(roster, 4, 1, 0, PenanceStatement { count: Turn(1) });
            vec![Message::Penance(Penance { core, pad: vec![0; fee].into() })]
        },
    ];
    for (case, forge) in forgeries.into_iter().enumerate() {
        let net = replaced(forge);
        let owed = net.core(2).residual_duties();
        assert!(owed.contains(&(Slot(4), Instance(1), Duty::Penance)), "case {case}");
        let blamed = net.faults.iter().any(|(by, who, fault)| {
            (*by, *who) == (Slot(2), Slot(4)) && matches!(fault, Fault::Malformed(Kind::Penance, _))
        });
        assert!(blamed, "case {case}: {:?}", net.faults);
    }
    let good = replaced(|roster, fee| vec![penance(roster, 1, 0, fee, 2)]);
    assert!(!good.core(2).residual_duties().iter().any(|(_, _, duty)| *duty == Duty::Penance));
}

#[test]
fn penance_that_nobody_imposed_is_refused_and_a_repeated_one_changes_nothing() {
    let mut net = Net::new(5);
    fine(&mut net, &[4]);
    net.run(5_000);
    net.faults.clear();
    let fee = net.core(0).costs.late_fee;
    let roster = net.roster.clone();
    net.inject(Slot(4), Slot(2), &penance(&roster, 1, 0, fee, 2));
    net.run(100);
    assert_eq!(net.faults, []);
    // Slot 3 is not fined; the sender, slot 1, receives none.
    let core = forge::signed(&roster, 3, 1, 0, PenanceStatement { count: Turn(1) });
    let pad: std::sync::Arc<[u8]> = vec![0; fee].into();
    net.inject(Slot(3), Slot(2), &Message::Penance(Penance { core, pad }));
    net.inject(Slot(4), Slot(1), &penance(&roster, 1, 0, fee, 1));
    net.run(100);
    let expected = Fault::Unexpected(Kind::Penance);
    let got: Vec<_> = net.faults.iter().map(|(by, who, f)| (by.0, who.0, f.clone())).collect();
    assert_eq!(got, [(2, 3, expected.clone()), (1, 4, expected)]);
}

#[test]
fn penance_that_a_link_lost_is_paid_again() {
    let mut net = Net::new(5);
    fine(&mut net, &[4]);
    let mut lost = 0;
    let paid = watch(&mut net, move |from, to, message| {
        let first = (from, to) == (Slot(4), Slot(2)) && message.kind() == Kind::Penance;
        lost += usize::from(first);
        first && lost == 1
    });
    net.run(3 * net.params.gamma_ms + 60_000);
    assert!(paid.borrow()[&(4, 2)].len() >= 2);
    assert_eq!(paid.borrow()[&(4, 0)].len(), 1, "what arrived is not repeated");
    assert!(net.check_agreement(0..5) > 10);
    net.check_no_residue(0..5);
}

#[test]
fn members_that_were_away_or_crashed_pay_and_collect_afterwards() {
    for (fined, victim) in [(4, 4), (4, 3)] {
        let mut net = Net::with(5, Params { t0_min_ms: 300, ..Params::default() });
        fine(&mut net, &[fined]);
        // The victim learns nothing of instance 1 in time.
        let cut = Rc::new(RefCell::new(true));
        let still = Rc::clone(&cut);
        watch(&mut net, move |from, to, message| {
            let late = message.inst() >= Instance(1) && message.kind() != Kind::Resume;
            *still.borrow() && late && (from == Slot(victim) || to == Slot(victim))
        });
        for round in 0..300 {
            net.submit((round % 4) as u16, round, b"work");
            net.run(50);
        }
        assert!(net.decided(0) > 80, "the instance left memory: {}", net.decided(0));
        *cut.borrow_mut() = false;
        net.crash(Slot(victim));
        net.boot(Slot(victim));
        net.crash(Slot(0));
        net.boot(Slot(0));
        net.connect();
        net.run(600_000);
        net.check_agreement(0..5);
        net.check_no_residue(0..5);
        let kinds = |slot: u16| net.sent.get(&(Slot(slot), Kind::Penance)).copied().unwrap_or(0);
        assert!(kinds(fined) >= 3 && kinds(2) == 0, "{} {}", kinds(fined), kinds(2));
    }
}

#[test]
fn endless_requests_for_old_penance_are_answered_at_the_rate_of_repetitions() {
    let mut net = Net::new(5);
    fine(&mut net, &[4]);
    net.run(120_000);
    let before = net.sent[&(Slot(4), Kind::Penance)];
    let roster = net.roster.clone();
    for round in 0..2_000u64 {
        let frontier = Instance(round % 2);
        let resume = Resume { epoch: roster.epoch(), undecided: Instance(round), frontier };
        net.inject(Slot(2), Slot(4), &Message::Resume(resume));
    }
    net.run(1_000);
    let got = net.sent[&(Slot(4), Kind::Penance)] - before;
    let bound = crate::peer::REPEAT_BURST as usize;
    assert!((1..=bound).contains(&got), "{got}");
}

#[test]
fn fines_above_the_cap_or_against_oneself_make_the_proposal_null_un_d3() {
    let roster = roster(5);
    let cases: [(&str, Vec<u8>); 3] =
        [("cap", vec![0, 0, 2, 0, 0]), ("own", vec![0, 1, 0, 0, 0]), ("all", vec![255; 5])];
    for (name, untimely) in cases {
        let proposal = Proposal { untimely, ..forge::proposal(&roster, EPOCH_MS, b"c") };
        assert!(proposal.check_form(Slot(1), 5).is_err(), "{name}");
    }
    let everybody = vec![1, 0, 1, 1, 1];
    let proposal = Proposal { untimely: everybody, ..forge::proposal(&roster, EPOCH_MS, b"c") };
    assert!(proposal.check_form(Slot(1), 5).is_ok());
}

#[test]
fn sender_that_fines_everybody_costs_each_a_bounded_number_of_units_un_d1() {
    let mut net = Net::new(8);
    let units = Rc::new(RefCell::new(BTreeMap::<(u16, u64), usize>::new()));
    let seen = Rc::clone(&units);
    net.filter(move |from, _, message| {
        if let Message::Penance(m) = message {
            *seen.borrow_mut().entry((from.0, m.core.header.inst.0)).or_default() += 1;
        }
        Verdict::Pass
    });
    for _ in 0..20 {
        // Slot 1 marks everybody again and again, up to its carry.
        (0..8).filter(|slot| *slot != 1).for_each(|slot| net.core_mut(1).marks.add(Slot(slot)));
        net.run(3_000);
    }
    let decided = net.check_agreement(0..8);
    net.check_no_residue(0..8);
    let units = units.borrow();
    assert!(units.keys().all(|(_, no)| no % 8 == 1), "only its own proposals fine");
    assert!(units.values().all(|count| *count == 6), "n - 2 units of one each: {units:?}");
    assert!(units.len() as u64 <= 7 * decided.div_ceil(8));
}

#[test]
fn marks_carry_over_up_to_the_cap_and_survive_a_restart() {
    let mut marks = Marks::new(5);
    (0..100).for_each(|_| marks.add(Slot(3)));
    assert_eq!(marks.counters(), [0, 0, 0, types::limits::UNTIMELY_CARRY, 0]);
    let mut net = Net::new(5);
    (0..100).for_each(|_| net.core_mut(1).marks.add(Slot(3)));
    net.run(1_000);
    // Instance 1 took one unit back.
    assert_eq!(net.core(1).marks.counters(), [0, 0, 0, 7, 0]);
    net.crash(Slot(1));
    net.boot(Slot(1));
    assert_eq!(net.core(1).marks.counters(), [0, 0, 0, 7, 0]);
    net.connect();
    net.run(900_000);
    assert_eq!(net.core(1).marks, Marks::new(5));
    let fined =
        net.applied[0].values().filter_map(|(_, p, _)| p.as_ref()).filter(|p| p.untimely[3] > 0);
    assert_eq!(fined.count(), usize::from(types::limits::UNTIMELY_CARRY));
}

#[test]
fn mark_whose_proposal_is_null_stays() {
    let mut net = Net::new(5);
    fine(&mut net, &[3]);
    net.filter(|from, _, message| {
        let proposal = from == Slot(1) && message.kind() == Kind::Agree;
        if proposal && message.inst() == Instance(1) { Verdict::Drop } else { Verdict::Pass }
    });
    net.run(29_000);
    assert!(net.check_agreement([0, 2, 3, 4]) >= 1);
    assert_eq!(net.core(1).marks.counters()[3], 1);
}
