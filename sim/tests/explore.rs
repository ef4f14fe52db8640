//! The bounded exhaustive check (specification 3.13): every interleaving of one instance, and what
//! it says when a rule is broken.

use sim::RuleSet;
use sim::explore::{Found, Role, Setting, explore};

fn run(setting: &Setting) -> Found {
    explore(setting, &mut |_| {}).unwrap()
}

fn broken(rules: RuleSet, turns: u32, faulty: Role) -> String {
    let found = run(&Setting { rules, turns, ..Setting::new(faulty) });
    let (wrong, path) = found.violation.expect("a broken rule must be caught");
    assert!(!path.is_empty() && !found.exhausted);
    wrong
}

#[test]
fn every_interleaving_without_a_faulty_member_is_clean() {
    let found = run(&Setting::new(Role::None));
    assert_eq!((&found.violation, found.exhausted), (&None, true));
    // Everybody decides by the sender's turn or NULL by the next one: nobody is left behind.
    let outcomes: Vec<&str> = found.outcomes.keys().map(String::as_str).collect();
    assert_eq!(outcomes, ["Ax5", "NULLx5"]);
}

#[test]
fn every_interleaving_with_a_faulty_leader_is_clean() {
    let found = run(&Setting { audit: 10_000, ..Setting::new(Role::Leader) });
    assert_eq!((&found.violation, found.exhausted), (&None, true));
    assert!(found.states > 100_000 && found.audited > 50, "{found:?}");
}

#[test]
fn every_move_of_a_faulty_sender_in_one_turn_is_clean() {
    let found = run(&Setting { turns: 1, audit: 1, ..Setting::new(Role::Sender) });
    assert_eq!((&found.violation, found.exhausted), (&None, true));
    assert!(found.outcomes.contains_key("Ax4") && found.outcomes.contains_key("Bx4"), "{found:?}");
}

#[test]
fn exact_states_and_reduced_states_rest_in_the_same_outcomes() {
    for faulty in Role::ALL {
        let reduced = run(&Setting { turns: 1, ..Setting::new(faulty) });
        let exact = run(&Setting { turns: 1, exact: true, ..Setting::new(faulty) });
        assert!(reduced.exhausted && exact.exhausted && exact.states > reduced.states);
        let outcomes = |found: &Found| found.outcomes.keys().cloned().collect::<Vec<_>>();
        assert_eq!(outcomes(&exact), outcomes(&reduced), "{faulty}");
    }
}

#[test]
fn quorums_that_do_not_intersect_are_caught_as_a_disagreement() {
    let wrong = broken(RuleSet::ShortQuorums, 1, Role::Sender);
    assert!(wrong.contains("decided") || wrong.contains("decides"), "{wrong}");
}

#[test]
fn turns_that_do_not_start_on_a_proof_are_caught_as_a_duty_for_ever() {
    assert!(broken(RuleSet::NoStartOnPol, 2, Role::None).contains("for ever: SetTurn"));
}

#[test]
fn set_turns_that_always_block_are_caught_as_a_duty_for_ever() {
    assert!(broken(RuleSet::SetTurnBlocks, 2, Role::None).contains("for ever: SetTurn"));
}

#[test]
fn search_that_gives_up_says_so() {
    let found = run(&Setting { states_max: 100, ..Setting::new(Role::Sender) });
    assert!(!found.exhausted && found.violation.is_none());
}
