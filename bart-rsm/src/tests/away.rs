//! Members that were away (specification 3.9, 4.5).

use super::harness::*;
use crate::*;
use types::*;

fn work(net: &mut Net, rounds: u64, ms: u64, but: u16) {
    for round in 0..rounds {
        let slot = (round % u64::from(net.n())) as u16;
        if slot != but {
            net.submit(slot, round, b"work");
        }
        net.run(ms);
    }
}

#[test]
fn member_that_was_away_for_long_catches_up_and_owes_nothing() {
    let params = Params { t0_min_ms: 200, ..Params::default() };
    let mut net = Net::with(5, params);
    net.run(500);
    for peer in 0..4 {
        net.link(Slot(4), Slot(peer), false);
    }
    work(&mut net, 400, 100, 4);
    let behind = net.decided(4);
    let ahead = net.check_agreement(0..4);
    assert!(ahead > behind + 200, "{ahead} {behind}");
    for slot in 0..4 {
        let stats = net.core(slot).stats();
        assert!(stats.instances <= 66, "memory grew: {stats:?}");
    }
    let start = net.now;
    for peer in 0..4 {
        net.link(Slot(4), Slot(peer), true);
    }
    assert!(net.run_until(30_000, |net| net.decided(4) + 2 >= net.decided(0)));
    assert!(net.now - start < 5_000, "{}", net.now - start);
    net.run(60_000);
    assert!(net.check_agreement(0..5) > ahead);
    net.check_no_residue(0..5);
    for slot in 0..5 {
        let stats = net.core(slot).stats();
        assert!(stats.instances <= 66 && stats.loads == 0, "{stats:?}");
    }
    // It takes part again: its own proposals are decided.
    net.submit(4, 9_999, b"back");
    net.run(3_000);
    assert!(net.committed[4].contains(&9_999));
}

#[test]
fn member_that_restarts_after_being_away_catches_up_from_disk() {
    let params = Params { t0_min_ms: 200, ..Params::default() };
    let mut net = Net::with(5, params);
    net.run(500);
    net.crash(Slot(4));
    work(&mut net, 200, 60, 4);
    for slot in 0..5 {
        net.crash(Slot(slot));
    }
    for slot in 0..5 {
        net.boot(Slot(slot));
    }
    net.connect();
    net.run(60_000);
    assert!(net.check_agreement(0..5) > 100);
    net.check_no_residue(0..5);
}

#[test]
fn message_that_a_broken_link_lost_is_sent_again() {
    for seed in 0..30u64 {
        let mut net = Net::new(5);
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        for round in 0..40 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let (a, b) = ((state % 5) as u16, (state / 5 % 5) as u16);
            net.submit(a, round, b"flap");
            net.link(Slot(a), Slot(b), false);
            net.run(state / 25 % 40);
            net.link(Slot(a), Slot(b), true);
            net.run(state / 1000 % 60);
        }
        net.run(200_000);
        assert!(net.check_agreement(0..5) > 20, "seed {seed}");
        net.check_no_residue(0..5);
    }
}

#[test]
fn members_that_crash_at_random_moments_keep_agreement_and_finish() {
    for seed in 0..30u64 {
        let n = if seed % 3 == 0 { 8 } else { 5 };
        let params = Params { t0_min_ms: 300, ..Params::default() };
        let mut net = Net::with(n, params);
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        for round in 0..30 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let victim = (state % u64::from(n)) as u16;
            net.submit(((state >> 20) % u64::from(n)) as u16, round, b"crash");
            net.run(state / 25 % 100);
            net.crash(Slot(victim));
            net.run(state / 1000 % 2_000);
            net.boot(Slot(victim));
            net.connect();
        }
        net.run(200_000);
        assert!(net.check_agreement(0..n) > 20, "seed {seed}");
        net.check_no_residue(0..n);
    }
}

#[test]
fn quiet_link_has_no_traffic_once_everything_is_answered() {
    let mut net = Net::new(5);
    net.run(590_000);
    let before: usize = net.sent.values().sum();
    let decided = net.decided(0);
    net.run(600_000);
    let instances = net.decided(0) - decided;
    let sent = net.sent.values().sum::<usize>() - before;
    // Six messages a pair of sender and acceptor.
    assert_eq!(sent as u64, instances * 6 * 4);
}

#[test]
fn message_lost_on_a_link_that_stays_up_is_repeated_after_gamma() {
    for kind in [Kind::Agree, Kind::AgreeAck, Kind::Write, Kind::WriteAck, Kind::ShowQuorum] {
        let mut net = Net::new(5);
        let mut lost = false;
        net.filter(move |from, to, message| {
            let pair = (from, to) == (Slot(0), Slot(3)) || (from, to) == (Slot(3), Slot(0));
            if pair && message.kind() == kind && !lost {
                lost = true;
                return Verdict::Drop;
            }
            Verdict::Pass
        });
        net.run(3 * net.params.gamma_ms + 60_000);
        assert!(net.check_agreement(0..5) > 10, "{kind:?}");
        net.check_no_residue(0..5);
    }
}

#[test]
fn last_step_that_a_link_in_use_lost_is_repeated_without_resume() {
    for kind in [Kind::ShowQuorum, Kind::ShowDecision] {
        let mut net = Net::new(5);
        let mut lost = 0;
        // Slot 0 shows the quorum of instance 0 to slot 2 only, which answers the set-turns of the
        // others; the first last step to slot 3 is lost, and both say nothing about their state.
        net.filter(move |from, to, message| {
            let pair = [(2, 3), (3, 2), (0, 3), (3, 0)].contains(&(from.0, to.0));
            let show = kind == Kind::ShowDecision
                && (from == Slot(0) && to != Slot(2))
                && message.kind() == Kind::ShowQuorum
                && message.inst() == Instance(0);
            let first = pair && to == Slot(3) && message.kind() == kind && lost == 0;
            lost += usize::from(first);
            if show || first || (pair && message.kind() == Kind::Resume) {
                return Verdict::Drop;
            }
            Verdict::Pass
        });
        net.run(3 * net.params.gamma_ms + 60_000);
        assert!(net.check_agreement(0..5) > 5, "{kind:?}");
        assert!(net.sent[&(Slot(if kind == Kind::ShowQuorum { 0 } else { 2 }), kind)] > 3);
        let slots: &[u16] = if kind == Kind::ShowQuorum { &[0, 1, 2, 3, 4] } else { &[1, 2, 3, 4] };
        net.check_no_residue(slots.iter().copied());
    }
}

#[test]
fn gate_that_opens_after_drops_asks_for_what_is_missing() {
    let mut net = Net::new(5);
    net.run(5_000);
    let resumes = |net: &Net| net.sent[&(Slot(1), Kind::Resume)];
    let before = resumes(&net);
    net.core_mut(1).peers[3].need = true;
    net.run(10_000);
    assert_eq!(resumes(&net), before + 1);
    assert!(!net.core(1).peers[3].need);
}

#[test]
fn connected_member_that_says_nothing_pins_one_window_only() {
    let params = Params { t0_min_ms: 100, ..Params::default() };
    let mut net = Net::with(5, params);
    net.filter(|from, _, _| if from == Slot(4) { Verdict::Drop } else { Verdict::Pass });
    work(&mut net, 300, 60, 4);
    assert!(net.check_agreement(0..4) > 120);
    for slot in 0..4 {
        let stats = net.core(slot).stats();
        let bound = crate::residence::KEEP + crate::duties::BULK_WINDOW + 2;
        assert!(stats.instances as u64 <= bound && stats.loads == 0, "{stats:?}");
        assert!(stats.parked_messages == 0 && stats.queued_commands <= 4, "{stats:?}");
    }
    net.check_no_residue(0..4);
}
