//! Guarantee 4: every broken rule set is caught, and the resolved rules are clean on the same
//! seeds (specification 3.13).

use sim::RuleSet;
use sim::controls::{all, check};
use std::collections::BTreeSet;

fn assert_caught(name: &str) {
    let control = all().into_iter().find(|control| control.name == name).unwrap();
    let verdict = check(&control, 400, 2).unwrap();
    assert!(verdict.is_good(), "{verdict}");
}

#[test]
fn unsigned_instance_is_caught_and_resolved_rules_are_clean() {
    assert_caught("unsigned-instance");
}

#[test]
fn no_start_on_pol_is_caught_and_resolved_rules_are_clean() {
    assert_caught("no-start-on-pol");
}

#[test]
fn blocking_set_turn_is_caught_and_resolved_rules_are_clean() {
    assert_caught("set-turn-blocks");
}

#[test]
fn uncounted_leader_is_caught_and_resolved_rules_are_clean() {
    assert_caught("leader-not-counted");
}

#[test]
fn quorum_of_a_population_with_the_sender_is_caught_and_resolved_rules_are_clean() {
    assert_caught("large-quorum");
}

#[test]
fn literal_reading_without_faults_is_caught_and_resolved_rules_are_clean() {
    assert_caught("literal-reading");
}

/// SQ-N2: the printed protocol decides nothing any more after one quorum shown to one member.
#[test]
fn literal_reading_with_a_quorum_shown_to_one_is_caught_and_resolved_rules_are_clean() {
    assert_caught("literal-show-to-one");
}

#[test]
fn every_broken_rule_set_has_a_control() {
    let names: BTreeSet<&str> = all().iter().map(|control| control.setting.rules.name()).collect();
    assert_eq!(names, RuleSet::BROKEN.iter().map(|rules| rules.name()).collect());
}

#[test]
fn short_quorums_are_caught_and_resolved_rules_are_clean() {
    assert_caught("short-quorums");
}
