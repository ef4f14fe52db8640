//! Who is marked as untimely, and who is not (specification 3.8, U1, U2, U4; rows ST-N3, ST-N4,
//! ST-T1, ST-T2, SQ-T1), and timers that follow the log (3.7).

use super::forge;
use super::harness::*;
use crate::message::*;
use crate::untimely::Latency;
use crate::*;
use std::cell::RefCell;
use std::rc::Rc;
use types::*;

/// Slot 1 is its silent sender; slots 3, 4, 0, 2 lead the turns 1 to 4.
const NO: Instance = Instance(6);
const LEADER: u16 = 3;

type Held = Rc<RefCell<Vec<(Slot, Slot, Message)>>>;

/// A group that is about to run instance [`NO`], whose proposal is held back, as is what `hold` says.
fn silent(mut hold: impl FnMut(Slot, Slot, &Message) -> bool + 'static) -> (Net, Held) {
    let mut net = Net::new(5);
    let held = Held::default();
    let seen = Rc::clone(&held);
    net.filter(move |from, to, message| {
        let proposal = message.kind() == Kind::Agree && message.turn() == Turn(0);
        if message.inst() == NO && (proposal || hold(from, to, message)) {
            seen.borrow_mut().push((from, to, message.clone()));
            return Verdict::Drop;
        }
        Verdict::Pass
    });
    assert!(net.run_until(60_000, |net| net.decided(LEADER) == NO.0));
    (net, held)
}

/// Runs until what is held back arrives, and sends it on.
fn release(net: &mut Net, held: &Held) {
    for (from, to, message) in held.borrow_mut().drain(..) {
        net.inject(from, to, &message);
    }
}

/// Every mark that a member made: what it still holds and what it published.
fn marks(net: &Net, slot: u16) -> Vec<u8> {
    let mut all = net.core(slot).marks.counters().to_vec();
    let decided =
        net.applied[usize::from(slot)].values().filter_map(|(no, p, _)| Some((no, p.as_ref()?)));
    for (_, proposal) in decided.filter(|(no, _)| no.0 % u64::from(net.n()) == u64::from(slot)) {
        all.iter_mut().zip(&proposal.untimely).for_each(|(all, units)| *all += units);
    }
    all
}

/// Runs until the leader decided, and until the last window is surely closed.
fn decide(net: &mut Net, ms: u64) {
    assert!(net.run_until(ms, |net| net.decided(LEADER) > NO.0));
    net.run(1_500);
}

fn is_set_turn(message: &Message, turn: u32) -> bool {
    message.kind() == Kind::SetTurn && message.turn() == Turn(turn)
}

/// Slot 3's marks when slot 4's set-turn arrives so much later than it should.
fn marks_when_late(delay_ms: u64) -> Vec<u8> {
    let mut first = true;
    let (mut net, held) = silent(move |from, _, message| {
        let late = from == Slot(4) && is_set_turn(message, 1) && first;
        first &= !late;
        late
    });
    let set_turn = |held: &Held| held.borrow().iter().any(|(.., m)| is_set_turn(m, 1));
    assert!(net.run_until(90_000, |_| set_turn(&held)));
    held.borrow_mut().retain(|(.., message)| is_set_turn(message, 1));
    net.run(delay_ms);
    release(&mut net, &held);
    net.run(2_000);
    assert!(net.decided(LEADER) > NO.0, "the turn was elected without slot 4");
    marks(&net, LEADER)
}

#[test]
fn set_turn_outside_its_window_is_marked_once_st_t2() {
    assert_eq!(marks_when_late(0), [0; 5]);
    assert_eq!(marks_when_late(200), [0; 5]);
    for late in [275, 750, 1_900] {
        assert_eq!(marks_when_late(late), [0, 0, 0, 0, 1], "{late} ms late");
    }
}

#[test]
fn set_turn_that_waits_for_the_proof_is_marked_st_n3() {
    // It comes only as an answer to the READ, one repetition later.
    let (mut net, _held) = silent(|from, _, message| from == Slot(4) && is_set_turn(message, 1));
    decide(&mut net, 40_000);
    assert_eq!(marks(&net, LEADER), [0, 0, 0, 0, 1]);
    assert_eq!(marks(&net, 0), [0; 5]);
}

#[test]
fn early_set_turn_is_marked_and_elects_nobody_st_t1() {
    let (mut net, _held) = silent(|_, _, _| false);
    net.run(3_000);
    let early = forge::set_turn(&net.roster, 0, NO.0, 1);
    net.inject(Slot(0), Slot(LEADER), &early);
    net.run(1_000);
    assert!(net.core(LEADER).lead(NO, 1).unwrap().read.is_none());
    decide(&mut net, 30_000);
    assert_eq!(marks(&net, LEADER), [1, 0, 0, 0, 0]);
}

#[test]
fn set_turn_missing_in_a_turn_that_later_turns_overtook_is_marked_st_n4() {
    // Nobody's set-turn reaches the leader of turn 1, and turn 2 is elected.
    let (mut net, _held) = silent(|_, to, message| to == Slot(LEADER) && is_set_turn(message, 1));
    decide(&mut net, 100_000);
    assert_eq!(marks(&net, LEADER), [1, 0, 1, 0, 1]);
}

#[test]
fn turn_that_nobody_elects_is_not_judged_and_a_late_outcome_is_sq_t1() {
    // Set-turns of turn 1 are lost, and then the sender wakes up in time for turn 0.
    let (mut net, held) = silent(|_, _, message| is_set_turn(message, 1));
    net.run(12_000);
    assert_eq!(net.core(0).insts[&NO].started, 1);
    held.borrow_mut().retain(|(.., message)| message.kind() == Kind::Agree);
    release(&mut net, &held);
    net.run(2_000);
    let turn = net.core(0).insts[&NO].decided.as_ref().map(|cert| cert.turn);
    assert_eq!(turn, Some(Turn(0)));
    // U1 marks nobody, not even in the eyes of the leader; U2 marks the sender.
    for slot in [0, 2, 3, 4] {
        assert_eq!(marks(&net, slot), [0, 1, 0, 0, 0], "slot {slot}");
    }
}

#[test]
fn leader_that_others_start_marks_nobody_who_follows_the_proof() {
    let (mut net, _held) = silent(|_, _, _| false);
    net.run(3_000);
    // A quorum starts long before the leader's timer: the others learn of it by its READ.
    for slot in [0, 2] {
        let early = forge::set_turn(&net.roster, slot, NO.0, 1);
        net.inject(Slot(slot), Slot(LEADER), &early);
    }
    decide(&mut net, 20_000);
    assert_eq!(marks(&net, LEADER), [0; 5]);
}

#[test]
fn leader_that_just_restarted_marks_nobody() {
    let (mut net, _held) = silent(|_, _, _| false);
    net.run(6_000);
    net.crash(Slot(LEADER));
    net.boot(Slot(LEADER));
    net.connect();
    decide(&mut net, 60_000);
    assert_eq!(marks(&net, LEADER), [0; 5]);
}

#[test]
fn marks_are_published_and_paid_for_in_the_end() {
    let (mut net, _held) = silent(|from, _, message| from == Slot(4) && is_set_turn(message, 1));
    decide(&mut net, 40_000);
    net.filter(|_, _, _| Verdict::Pass);
    net.run(300_000);
    let fines: Vec<_> = net.applied[0]
        .values()
        .filter_map(|(no, proposal, _)| Some((no.0 % 5, proposal.as_ref()?.untimely.clone())))
        .filter(|(_, untimely)| untimely.iter().any(|units| *units > 0))
        .collect();
    let fined = |(author, units): &(u64, Vec<u8>)| *author == u64::from(LEADER) && units[4] == 1;
    assert!(fines.iter().any(fined), "{fines:?}");
    assert!(net.sent[&(Slot(4), Kind::Penance)] >= 3);
    net.check_agreement(0..5);
    net.check_no_residue(0..5);
}

#[test]
fn slow_answers_do_not_widen_the_window_beyond_a_quarter_of_the_base() {
    let step = |no| (Instance(no), 0, 2);
    let mut latency = Latency::default();
    assert_eq!((latency.one_way_ms(10_000), latency.window_ms(10_000)), (0, 2_500));
    for no in 0..50 {
        latency.sent(step(no), Millis(0));
        latency.answered(step(no), Millis(10));
    }
    assert_eq!((latency.one_way_ms(10_000), latency.window_ms(10_000)), (5, 250));
    for no in 50..100 {
        latency.sent(step(no), Millis(0));
        latency.answered(step(no), Millis(if no % 2 == 0 { 60_000 } else { 10 }));
    }
    assert_eq!((latency.one_way_ms(10_000), latency.window_ms(10_000)), (1_250, 2_500));
    // An answer to something else, or to what was repeated, measures nothing.
    let before = latency.window_ms(u64::MAX);
    latency.sent(step(100), Millis(0));
    latency.answered(step(99), Millis(9));
    latency.forget();
    latency.answered(step(100), Millis(9));
    assert_eq!(latency.window_ms(u64::MAX), before);
}

#[test]
fn members_that_wake_the_group_for_their_commands_are_not_marked() {
    for asker in [0, 3u16] {
        let mut net = Net::new(5);
        net.run(300_000);
        for ticket in 0..10 {
            net.submit(asker, ticket, b"now and then");
            net.run(7 + 411 * ticket);
        }
        net.run(60_000);
        assert_eq!(net.committed[usize::from(asker)].len(), 10);
        for slot in 0..5 {
            assert_eq!(marks(&net, slot), [0; 5], "slot {slot} about slot {asker}");
        }
    }
}

/// Slot 2 calls three of four others and then proposes nothing, though it was heard twice.
#[test]
fn wake_without_a_command_in_the_next_proposal_is_marked_once_by_each_that_was_called_u4() {
    let mut net = Net::new(5);
    net.run(300_000);
    assert!(net.run_until(600_000, |net| net.decided(2) % 5 == 3), "slot 2 has just proposed");
    let no = net.decided(2);
    let wake = Wake { core: forge::signed(&net.roster, 2, no, 0, WakeStatement {}) };
    for to in [0, 1, 3, 0, 1, 3] {
        net.inject(Slot(2), Slot(to), &Message::Wake(wake.clone()));
    }
    assert!(net.run_until(60_000, |net| net.decided(0) == no + 4));
    for slot in 0..5 {
        assert_eq!(marks(&net, slot), [0; 5], "slot {slot}: its next proposal is not decided");
    }
    assert!(net.run_until(600_000, |net| (0..5).all(|slot| net.decided(slot) > no + 6)));
    for (slot, units) in [(0, 1), (1, 1), (2, 0), (3, 1), (4, 0)] {
        assert_eq!(marks(&net, slot), [0, 0, units, 0, 0], "slot {slot}");
    }
}

#[test]
fn wake_rouses_a_whole_rotation_and_is_said_once_in_it() {
    let mut net = Net::new(5);
    let wakes = Rc::new(RefCell::new(Vec::new()));
    let seen = Rc::clone(&wakes);
    net.filter(move |from, to, message| {
        if message.kind() == Kind::Wake {
            seen.borrow_mut().push((from.0, to.0, message.inst().0));
        }
        Verdict::Pass
    });
    net.run(600_000);
    assert!(wakes.borrow().is_empty(), "nobody wakes an idle group for nothing");
    // Just after its own proposal, slot 2 waits for a whole rotation.
    assert!(net.run_until(600_000, |net| net.decided(2) % 5 == 3));
    let (before, from_ms) = (net.decided(2), net.now);
    for ticket in 0..50 {
        net.submit(2, ticket, b"wake up");
    }
    assert!(net.run_until(10_000, |net| !net.committed[2].is_empty()));
    // Five instances of five steps of 5 ms, and the harness's grain of 10 ms.
    assert_eq!(net.decided(2), before + 5);
    assert!(net.now - from_ms <= 5 * 5 * LATENCY_MS + 20, "{} ms", net.now - from_ms);
    let mut said = wakes.borrow().clone();
    said.sort_unstable();
    let no = said[0].2;
    assert_eq!(said, [(2, 0, no), (2, 1, no), (2, 3, no), (2, 4, no)]);
}

/// Every proposal is cut off at first: a READ of turn 1 comes before the WRITE of turn 0.
#[test]
fn group_that_is_slower_than_its_timers_grows_them_until_proposals_pass() {
    let nulls = |t0_max_ms| {
        let params = Params { t0_min_ms: 2, t0_max_ms, idle_first_ms: 0, ..Params::default() };
        let mut net = Net::with(5, params);
        net.run(4_000);
        let decided = net.check_agreement(0..5);
        for slot in 1..5 {
            if net.core(slot).log.next == net.core(0).log.next {
                assert_eq!(net.core(slot).log, net.core(0).log, "slot {slot}");
            }
        }
        let last = net.applied[0].range(Instance(decided - 20)..);
        (decided, last.filter(|(_, (_, proposal, _))| proposal.is_none()).count())
    };
    let (fixed, cut_off) = nulls(2);
    assert!(fixed > 20 && cut_off > 10, "{cut_off} of {fixed}");
    let (adaptive, cut_off) = nulls(10_000);
    assert!(adaptive > 20 && cut_off < 5, "{cut_off} of {adaptive}");
}

#[test]
fn base_timeout_survives_a_restart() {
    let (mut net, _held) = silent(|_, _, _| false);
    // A second NULL in the rotation.
    net.filter(|_, _, message| {
        let proposal = message.kind() == Kind::Agree && message.turn() == Turn(0);
        let cut = [NO, Instance(7)].contains(&message.inst()) && proposal;
        if cut { Verdict::Drop } else { Verdict::Pass }
    });
    assert!(net.run_until(200_000, |net| net.decided(0) == 8));
    let before = net.core(0).log.clone();
    assert_eq!(before.timeout.base_ms(&net.params), 20_000);
    net.crash(Slot(0));
    net.boot(Slot(0));
    assert_eq!(net.core(0).log, before);
}
