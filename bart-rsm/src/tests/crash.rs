//! Restarts. The network asserts for every message of every run that no author ever says two
//! different things for one key (guarantee 4).

use super::harness::*;
use crate::record::LogRecord;
use crate::*;
use std::cell::Cell;
use std::rc::Rc;
use types::*;

/// Runs a group in which `victim` loses power after its `k`-th persist; false if it never got there.
fn crash_once(n: u16, k: usize, victim: u16, null_instance: Option<u64>) -> bool {
    // With two members a silenced one is more than f, and the timers would only grow.
    let params = Params { t0_max_ms: Params::default().t0_min_ms, ..Params::default() };
    let mut net = Net::with(n, params);
    net.crash_after = Some((Slot(victim), k));
    if let Some(no) = null_instance {
        net.filter(move |_, _, message| {
            let proposal = message.kind() == Kind::Agree && message.turn() == Turn(0);
            if proposal && message.inst().0 == no { Verdict::Drop } else { Verdict::Pass }
        });
    }
    for slot in 0..n {
        net.submit(slot, 1, b"command");
    }
    net.run_until(30_000, |net| net.crashed);
    if !net.crashed {
        return false;
    }
    net.run(3_000);
    net.boot(Slot(victim));
    net.connect();
    // With two members nobody else helps past the message that is lost for good: the dialer's
    // back-off is all that moves them.
    net.run(if n == 2 { 1_000_000 } else { 200_000 });
    let decided = net.check_agreement(0..n);
    assert!(decided > u64::from(n) + 3, "crash after {k} persists: only {decided} decided");
    // A silenced proposal leaves duties of its author only.
    let silenced = null_instance.map(|no| (no % u64::from(n)) as u16);
    net.check_no_residue((0..n).filter(|slot| Some(*slot) != silenced));
    true
}

#[test]
fn member_that_restarts_after_any_persist_says_nothing_twice_and_finishes() {
    let mut reached = 0;
    for k in 0..40 {
        reached += usize::from(crash_once(5, k, 1, None));
    }
    assert!(reached >= 30, "{reached}");
}

#[test]
fn leader_that_restarts_in_the_middle_of_its_turn_says_nothing_twice() {
    let mut reached = 0;
    // Instance 0 has no proposal; slot 2 leads turn 1, and each k is another moment of that turn.
    for k in 0..24 {
        reached += usize::from(crash_once(5, k, 2, Some(0)));
    }
    assert!(reached >= 15, "{reached}");
}

#[test]
fn lone_acceptor_that_restarts_in_its_own_turn_still_has_its_own_votes() {
    // With two members the quorum is one: nobody else could vote again for the leader.
    let mut reached = 0;
    for k in 0..12 {
        reached += usize::from(crash_once(2, k, 1, Some(0)));
        reached += usize::from(crash_once(2, k, 1, None));
    }
    assert!(reached >= 12, "{reached}");
}

#[test]
fn instance_that_a_late_read_reopened_is_still_open_after_a_crash() {
    let mut net = Net::new(5);
    let (a, p, no) = (Slot(0), Slot(4), Instance(7));
    // Slot 2 shows the quorum of instance 7 to `a` only; `p` leads turn 1 and does not reach `a`.
    let phase = Rc::new(Cell::new(0));
    let (at, answered) = (Rc::clone(&phase), Rc::new(Cell::new(false)));
    let seen = Rc::clone(&answered);
    net.filter(move |from, to, message| {
        let (turn, kind) = (message.turn(), message.kind());
        if message.inst() != no || kind == Kind::Resume {
            return Verdict::Pass;
        }
        let shown = turn == Turn(0) && kind == Kind::ShowQuorum && to != a;
        let led = (from, to, turn) == (p, a, Turn(1));
        let cut = led && (at.get() == 0 || (at.get() == 1 && kind == Kind::Agree));
        seen.set(seen.get() || ((from, to) == (a, p) && kind == Kind::ReadAck));
        if shown || cut { Verdict::Drop } else { Verdict::Pass }
    });
    let durable = |net: &Net| {
        let log = net.disks[0].get(&RecordKey::Log)?;
        Some(LogRecord::read(log).unwrap().closed[4])
    };
    let asked = |net: &Net| net.core(4).lead(no, 1).is_some_and(|lead| lead.conv(a).sent == 1);
    assert!(net.run_until(60_000, |net| asked(net) && durable(net) > Some(no)));
    phase.set(1);
    net.link(a, p, false);
    net.link(a, p, true);
    let applied = net.decided(0);
    assert!(net.run_until(900, |_| answered.get()));
    assert_eq!(net.decided(0), applied, "an apply would have made the mark durable");
    net.crash(a);
    phase.set(2);
    net.boot(a);
    net.connect();
    net.run(600_000);
    assert_eq!(net.core(4).lead(no, 1).unwrap().conv(a).sent, 4);
    net.check_agreement(0..5);
    net.check_no_residue([0, 1, 3, 4]);
}

#[test]
fn whole_group_that_restarts_at_once_goes_on() {
    for after in [0, 7, 13, 22, 31, 44, 58, 400, 3_000] {
        let mut net = Net::new(5);
        for slot in 0..5 {
            net.submit(slot, 1, b"command");
        }
        net.run(after);
        let before = (0..5).map(|slot| net.decided(slot)).max().unwrap();
        for slot in 0..5 {
            net.crash(Slot(slot));
        }
        for slot in 0..5 {
            net.boot(Slot(slot));
        }
        net.connect();
        net.run(60_000);
        assert!(net.check_agreement(0..5) > before + 4, "restart after {after} ms");
        net.check_no_residue(0..5);
    }
}

#[test]
fn second_digest_for_a_key_is_refused_and_raises_the_alarm() {
    let mut net = Net::new(5);
    net.run(100);
    let core = net.core_mut(1);
    let no = Instance(1);
    let one = message::AgreeAckStatement { value: Hash::of(b"1"), agree: Hash::of(b"a") };
    let two = message::AgreeAckStatement { value: Hash::of(b"2"), agree: Hash::of(b"a") };
    assert!(core.sign(no, 9, one).is_some());
    assert!(core.sign(no, 9, one).is_some());
    assert!(core.sign(no, 9, two).is_none());
    assert!(core.sign(no, 10, one).is_none(), "signing must stop for good");
    let alarm = Alarm::SecondStatement { inst: no, turn: Turn(9), kind: Kind::AgreeAck };
    assert!(core.out.contains(&Effect::Alarm(alarm)));
}

#[test]
fn records_in_any_order_restore_the_same_member() {
    let mut net = Net::new(5);
    for round in 0..200 {
        net.submit((round % 5) as u16, round, b"work");
        net.run(15);
    }
    assert!(net.decided(1) > 80);
    let forward: Vec<Record> = net.disks[1]
        .iter()
        .map(|(key, value)| Record { key: *key, value: value.clone() })
        .collect();
    let mut reverse = forward.clone();
    reverse.reverse();
    // Bodies newest first, each before its instance, so that no order of arrival helps.
    let mut mixed = forward.clone();
    mixed.sort_by_key(|record| match record.key {
        RecordKey::Log | RecordKey::Epoch(_) => (u64::MAX, 0),
        RecordKey::Instance(no) => (u64::MAX - no.0, 1),
        RecordKey::Body(no, _) => (u64::MAX - no.0, 0),
    });
    let mut paired = mixed.clone();
    paired.sort_by_key(|record| match record.key {
        RecordKey::Log | RecordKey::Epoch(_) => (0, 0),
        RecordKey::Instance(no) => (u64::MAX - no.0, 0),
        RecordKey::Body(no, _) => (u64::MAX - no.0, 1),
    });
    let whole = |records: Vec<Record>| {
        let core = Core::restore(net.config(Slot(1)), secret(1), records).unwrap();
        let bodies: usize = core.insts.values().map(|inst| inst.values.len()).sum();
        (core.current, core.insts.keys().copied().collect::<Vec<_>>(), bodies)
    };
    let expected = whole(forward);
    assert_eq!(expected.1.len() as u64, crate::residence::KEEP + 1);
    for records in [reverse, mixed, paired] {
        assert_eq!(whole(records), expected);
    }
}

#[test]
fn damaged_or_missing_records_are_refused() {
    let mut net = Net::new(5);
    net.run(5_000);
    let config = net.config(Slot(1));
    let disk = net.disks[1].clone();
    let records = |disk: &std::collections::BTreeMap<RecordKey, Vec<u8>>| -> Vec<Record> {
        disk.iter().map(|(key, value)| Record { key: *key, value: value.clone() }).collect()
    };
    assert!(Core::restore(config.clone(), secret(1), records(&disk)).is_ok());
    let last = *disk.keys().rfind(|key| matches!(key, RecordKey::Instance(_))).unwrap();
    let decided = match last {
        RecordKey::Instance(no) => RecordKey::Instance(no.back(1).unwrap()),
        other => other,
    };
    let mut gap = disk.clone();
    gap.remove(&decided);
    let error = Core::restore(config.clone(), secret(1), records(&gap)).err();
    assert_eq!(error, Some(RestoreError::Missing(decided)));
    for key in [RecordKey::Log, decided] {
        let mut torn = disk.clone();
        torn.get_mut(&key).unwrap().pop();
        let error = Core::restore(config.clone(), secret(1), records(&torn)).err();
        assert_eq!(error, Some(RestoreError::Damaged(key)));
    }
}

/// A leader loses the votes of members with which it has nothing else open, and has no quorum
/// without them. To them its turn is open, so they repeat their answers.
#[test]
fn leader_that_restarts_before_its_quorum_gets_the_votes_of_closed_peers_again() {
    let mut net = Net::new(8);
    let (leader, early, no) = (Slot(2), [1, 4], Instance(0));
    let late = Rc::new(Cell::new(false));
    let pass = Rc::clone(&late);
    // Sender 0 is silent; slot 7 answers the leader of turn 1 nothing, slots 3, 5 and 6 late.
    net.filter(move |from, to, message| {
        if message.inst() != no || message.kind() == Kind::Resume {
            return Verdict::Pass;
        }
        let silent = from == Slot(0) && message.kind() == Kind::Agree;
        let led = from == leader && message.turn() == Turn(1);
        let held = led && !early.contains(&to.0) && (to == Slot(7) || !pass.get());
        if silent || held { Verdict::Drop } else { Verdict::Pass }
    });
    let votes = |net: &Net| net.core(2).lead(no, 1).map_or(0, |lead| lead.reads_in.len());
    assert!(net.run_until(200_000, |net| net.decided(2) > 3 && votes(net) == 3));
    let core = net.core(2);
    assert!(early.iter().all(|slot| core.peers[usize::from(*slot)].all_closed() > no));
    net.crash(leader);
    late.set(true);
    net.boot(leader);
    net.connect();
    net.run(400_000);
    assert!(net.core(2).lead(no, 1).unwrap().show.is_some(), "the turn is never finished");
    net.check_agreement(1..7);
    net.check_no_residue(1..7);
}
