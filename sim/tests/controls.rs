//! Guarantee 4: every broken rule set is caught, and the resolved rules are clean on the same
//! seeds (specification 3.13).

use sim::RuleSet;
use sim::controls::check;

fn assert_caught(rules: RuleSet) {
    let verdict = check(rules, 200, 2).unwrap();
    assert!(verdict.is_good(), "{verdict}");
}

#[test]
fn unsigned_instance_is_caught_and_resolved_rules_are_clean() {
    assert_caught(RuleSet::UnsignedInstance);
}

#[test]
fn no_start_on_pol_is_caught_and_resolved_rules_are_clean() {
    assert_caught(RuleSet::NoStartOnPol);
}

#[test]
fn blocking_set_turn_is_caught_and_resolved_rules_are_clean() {
    assert_caught(RuleSet::SetTurnBlocks);
}

#[test]
fn uncounted_leader_is_caught_and_resolved_rules_are_clean() {
    assert_caught(RuleSet::LeaderNotCounted);
}

#[test]
fn short_quorums_are_caught_and_resolved_rules_are_clean() {
    assert_caught(RuleSet::ShortQuorums);
}
