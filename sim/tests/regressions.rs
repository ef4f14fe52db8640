//! Seeds that found a bug in the core, each with what was wrong; the name says what must hold. With
//! the correction taken out the seed fails again, except where the test says otherwise.

use sim::{Choice, Scenario, Trouble, adversary, run_seed};

fn assert_clean(scenario: &Scenario) {
    let outcome = run_seed(scenario).unwrap();
    assert!(outcome.violations.is_empty(), "{:#?}", outcome.violations);
    assert!(outcome.instances >= scenario.instances);
}

/// Seeds that were found with the mixture and the trouble as they were then.
fn first_mixture(seed: u64) -> Scenario {
    let adversary = Choice::Named(adversary::FIRST_MIX);
    Scenario { adversary, trouble: Trouble::Recorded, ..Scenario::new(5, seed) }
}

/// Reports are kept in memory and lost in a crash, while the mark "closed up to here" is durable:
/// what is closed holds no duty, else the member asks for ever for what was given.
#[test]
fn closed_instance_after_a_crash_holds_no_duty() {
    assert_clean(&first_mixture(601));
}

/// A restarted leader has its own read-ack, agree-ack or write-ack on disk, and must count it: with
/// one silent member nobody else can take its place.
#[test]
fn restarted_leader_counts_its_own_durable_vote() {
    for seed in [88, 90, 103] {
        assert_clean(&first_mixture(seed));
    }
}

/// An instance that was closed with a peer is opened again by a later turn. If the machine stops
/// then, the durable mark must not claim that the new turn was answered.
#[test]
fn reopened_instance_survives_a_crash() {
    assert_clean(&first_mixture(597));
    assert_clean(&first_mixture(1036));
}

/// After more than 64 instances a crash between an instance's record and the log's leaves the log
/// one behind; the member must start from that disk.
#[test]
fn restart_with_a_log_record_one_behind_succeeds() {
    let adversary = Choice::Named("stale-max-pol");
    assert_clean(&Scenario { adversary, faulty: Some(1), ..first_mixture(10_108) });
}

/// A lost set-turn left its leader without the vote of a member that had already answered the read.
/// Two corrections hold this now (repetition, and the reset after a RESUME).
#[test]
fn lost_set_turn_is_repeated_with_the_read_ack() {
    for seed in [19, 29, 82] {
        assert_clean(&first_mixture(seed));
    }
}
