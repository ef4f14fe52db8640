//! All members follow the protocol.

use super::harness::*;
use crate::*;
use types::*;

#[test]
fn honest_groups_decide_every_proposal_without_residual_duties() {
    for n in [2, 3, 5, 8] {
        let mut net = Net::new(n);
        net.run(5_000);
        let decided = net.check_agreement(0..n);
        assert!(decided >= u64::from(n), "n = {n}: {decided}");
        for (no, proposal, _) in net.applied[0].values() {
            assert!(proposal.is_some(), "n = {n}: {no} is NULL");
        }
        net.check_no_residue(0..n);
        assert!(net.faults.is_empty(), "n = {n}: {:?}", net.faults);
        let kinds: Vec<_> = net.sent.keys().map(|(_, kind)| *kind).collect();
        assert!(!kinds.contains(&Kind::SetTurn) && !kinds.contains(&Kind::Penance));
    }
}

#[test]
fn command_is_committed_once_and_applied_everywhere() {
    let mut net = Net::new(5);
    net.submit(3, 7, b"hello");
    net.run(1_000);
    assert_eq!(net.committed[3], [7]);
    for slot in 0..5 {
        let commands: Vec<_> = net.applied[slot]
            .values()
            .filter_map(|(_, proposal, _)| proposal.as_ref())
            .flat_map(|proposal| proposal.commands.clone())
            .collect();
        assert_eq!(commands, [b"hello".to_vec()], "slot {slot}");
    }
}

#[test]
fn many_commands_share_proposals_up_to_v_max() {
    let mut net = Net::new(5);
    let command = vec![9; 4_000];
    for ticket in 0..40 {
        net.submit(1, ticket, &command);
    }
    net.run(2_000);
    assert_eq!(net.committed[1], (0..40).collect::<Vec<_>>());
    let sizes: Vec<_> = net.applied[2]
        .values()
        .filter_map(|(_, proposal, _)| proposal.as_ref())
        .map(|proposal| (proposal.commands.len(), proposal.to_bytes().len()))
        .filter(|(count, _)| *count > 0)
        .collect();
    assert_eq!(sizes.iter().map(|(count, _)| count).sum::<usize>(), 40);
    assert!(sizes.len() <= 3, "{sizes:?}");
    assert!(sizes.iter().all(|(_, bytes)| *bytes <= net.params.v_max));
}

#[test]
fn queue_that_is_full_or_command_that_is_too_long_is_refused() {
    let mut net = Net::new(5);
    net.submit(1, 1, &vec![0; types::limits::COMMAND_LEN_MAX + 1]);
    assert!(matches!(net.refused[..], [(1, Refusal::TooLong { .. })]));
    for ticket in 0..100 {
        net.submit(1, 100 + ticket, &[1; 8_000]);
    }
    assert!(net.refused.iter().any(|(_, reason)| *reason == Refusal::QueueFull));
    assert!(net.core(1).stats().queued_commands <= 33);
}

#[test]
fn idle_group_paces_down_and_a_wake_brings_it_back() {
    let mut net = Net::new(5);
    net.run(600_000);
    let before = net.check_agreement(0..5);
    // 5 at once, then 5 each at 1, 2, 4, 8, 16, 32 s, then one a minute.
    assert!((35..45).contains(&before), "{before}");
    assert_eq!(net.faults, []);
    let asked = net.now;
    net.submit(2, 1, b"now");
    assert!(net.run_until(2_000, |net| !net.committed[2].is_empty()));
    assert!(net.now - asked <= 1_000, "{}", net.now - asked);
    assert!(net.sent.iter().any(|((_, kind), _)| *kind == Kind::Wake));
    net.run(120_000);
    net.check_no_residue(0..5);
}

#[test]
fn tau_follows_the_clocks_and_is_equal_everywhere() {
    let mut net = Net::new(5);
    net.run(60_000);
    net.check_agreement(0..5);
    let taus: Vec<_> = net.applied[4].values().map(|(_, _, tau)| tau.0).collect();
    assert!(taus.windows(2).all(|pair| pair[0] <= pair[1]));
    assert!(*taus.last().unwrap() >= EPOCH_MS);
}

#[test]
fn decided_instances_leave_memory_but_the_last_ones() {
    let mut net = Net::new(5);
    for round in 0..300 {
        net.submit((round % 5) as u16, round, b"x");
        net.run(60);
    }
    assert!(net.check_agreement(0..5) > 200);
    for slot in 0..5 {
        let stats = net.core(slot).stats();
        assert!(stats.instances <= 66, "{stats:?}");
        assert_eq!(stats.parked_messages, 0);
    }
}

#[test]
fn verifications_stay_near_two_quorums_an_instance() {
    let mut net = Net::new(8);
    net.run(300_000);
    let decided = net.check_agreement(0..8);
    let q = net.roster.quorum().size() as u64;
    for slot in 0..8 {
        let each = net.core(slot).stats().verifications / decided;
        assert!(each <= 2 * q + 4 + 3, "slot {slot}: {each}");
    }
}
