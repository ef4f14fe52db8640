//! What stays on disk and in memory (specification 4.5, 5.5; row RS-4).

use super::harness::*;
use crate::gc::ERASE_MAX;
use crate::residence::KEEP;
use crate::*;
use types::*;

/// A group that does not idle.
pub(crate) fn busy() -> Params {
    Params { t0_min_ms: 200, idle_first_ms: 0, idle_max_ms: 0, expel: false, ..Params::default() }
}

/// Instances of which a member has a record.
fn kept(net: &Net, slot: u16) -> Vec<Instance> {
    let keys = net.disks[usize::from(slot)].keys();
    keys.filter_map(|key| if let RecordKey::Instance(no) = key { Some(*no) } else { None })
        .collect()
}

/// Nothing below the floor is on disk, everything above is; bodies too.
fn check_disk(net: &Net, slot: u16) {
    let floor = net.core(slot).kept_from();
    let kept = kept(net, slot);
    let (first, decided) = (kept.first().copied(), net.decided(slot));
    assert_eq!(first, Some(floor), "slot {slot}");
    // The current instance has a record once something was signed there.
    let whole = decided - floor.0;
    assert!((whole..=whole + 1).contains(&(kept.len() as u64)), "slot {slot}: {kept:?}");
    for key in net.disks[usize::from(slot)].keys() {
        assert!(!matches!(key, RecordKey::Body(no, _) if *no < floor), "{key:?} below {floor}");
    }
}

#[test]
fn log_that_runs_for_long_keeps_a_bounded_number_of_records() {
    for n in [5, 8] {
        let mut net = Net::with(n, busy());
        net.run(20_000);
        let decided = net.check_agreement(0..n);
        assert!(decided > 500, "{decided}");
        for slot in 0..n {
            check_disk(&net, slot);
            // One rotation until the marks are published, and one batch.
            let bound = KEEP + 2 * u64::from(n) + ERASE_MAX;
            assert!(kept(&net, slot).len() as u64 <= bound, "{}", kept(&net, slot).len());
        }
        net.check_no_residue(0..n);
    }
}

#[test]
fn member_that_is_away_holds_the_floor_and_lets_it_go_when_it_is_back() {
    let mut net = Net::with(5, busy());
    net.run(5_000);
    for peer in 0..4 {
        net.link(Slot(4), Slot(peer), false);
    }
    let (behind, floor) = (net.decided(4), net.core(0).kept_from());
    net.run(100_000);
    assert!(net.decided(0) > behind + 200);
    assert!(net.core(0).kept_from().0 <= behind, "the absent member could not come back");
    assert!(net.core(0).kept_from() >= floor);
    net.connect();
    net.run(60_000);
    net.check_agreement(0..5);
    for slot in 0..5 {
        check_disk(&net, slot);
        assert!(net.core(slot).kept_from().0 > behind + 100);
    }
    net.check_no_residue(0..5);
}

#[test]
fn message_for_an_erased_instance_is_dropped_without_a_load() {
    let mut net = Net::with(5, busy());
    net.run(10_000);
    let floor = net.core(0).kept_from();
    assert!(floor.0 > 50);
    let loads = net.loads.clone();
    for no in [0, floor.0 / 2, floor.0 - 1] {
        let message = super::forge::set_turn(&net.roster, 3, no, 1);
        net.inject(Slot(3), Slot(0), &message);
    }
    let resume = message::Resume { epoch: Epoch(3), undecided: Instance(0), frontier: Instance(0) };
    net.inject(Slot(3), Slot(0), &Message::Resume(resume));
    net.run(1_000);
    assert_eq!(net.loads, loads);
    assert_eq!(net.core(0).stats().parked_messages, 0);
    let faults = net.faults.iter().filter(|(at, from, _)| (at.0, from.0) == (0, 3));
    let dropped = faults.filter(|(.., fault)| *fault == Fault::NotParked(Kind::SetTurn)).count();
    assert_eq!(dropped, 3);
}

#[test]
fn crash_between_any_two_changes_of_the_disk_loses_and_leaves_nothing() {
    let mut net = Net::with(5, busy());
    net.run(4_000);
    // Every change of one disk over more than one batch of erasures.
    let mut seen = false;
    for k in 0..160 {
        let before = net.core(1).kept_from();
        net.crash_after = Some((Slot(1), k % 7));
        net.crashed = false;
        assert!(net.run_until(60_000, |net| net.crashed), "crash {k}");
        let left = kept(&net, 1).first().copied().unwrap();
        net.boot(Slot(1));
        seen |= left < net.core(1).kept_from();
        assert!(net.core(1).kept_from() >= before);
        net.connect();
        if k % 20 == 0 {
            net.run(300);
            check_disk(&net, 1);
        }
    }
    assert!(seen, "no crash fell between two erasures");
    net.run(120_000);
    net.check_agreement(0..5);
    net.check_no_residue(0..5);
    check_disk(&net, 1);
}
