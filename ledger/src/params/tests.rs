//! The sizes against independently computed ones, and what must hold of any sizes.

use super::*;
use proptest::prelude::*;

fn plan(members: usize, byzantine: f64, epsilon: f64, sampling: Sampling) -> Plan {
    Target { members, byzantine, epsilon }.plan(sampling).unwrap().unwrap()
}

fn shape(plan: &Plan) -> [usize; 7] {
    let s = &plan.sizes;
    let (r, d) = ((s.ready, s.ready_threshold), (s.delivery, s.delivery_threshold));
    [s.gossip, s.echo, s.echo_threshold, r.0, r.1, d.0, d.1]
}

/// Computed by a separate program in another language, with the same formulas (4.3.3, 4.4.3, 4.5.3).
#[test]
fn sizes_of_small_systems_equal_the_independent_table() {
    let table = [
        (30, 0.1, 1e-6, [9, 19, 16, 11, 4, 18, 15]),
        (100, 0.1, 1e-6, [11, 48, 38, 32, 11, 41, 31]),
        (30, 0.1, 1e-10, [13, 20, 17, 12, 4, 19, 16]),
        (100, 0.1, 1e-10, [15, 52, 42, 30, 11, 49, 39]),
        (30, 0.2, 1e-6, [10, 25, 19, 18, 7, 27, 21]),
        (100, 0.2, 1e-6, [12, 75, 55, 53, 21, 78, 58]),
    ];
    for (members, byzantine, epsilon, sizes) in table {
        let found = plan(members, byzantine, epsilon, Sampling::Distinct);
        // Ready and delivery samples may trade entries with each other: their sum counts.
        let shape = shape(&found);
        assert_eq!(shape[..3], sizes[..3], "N={members} f={byzantine} epsilon={epsilon}");
        assert_eq!(shape[3] + shape[5], sizes[3] + sizes[5], "{shape:?} {sizes:?}");
    }
}

#[test]
fn sends_of_large_systems_are_those_of_the_independent_table_or_slightly_less() {
    // The table evaluates the bounds on a grid, from above; here they are evaluated everywhere.
    for (members, byzantine, sends) in [(500, 0.1, 305), (1000, 0.1, 365), (1000, 0.2, 970)] {
        let found = plan(members, byzantine, 1e-6, Sampling::Distinct).sizes.sends();
        assert!(found <= sends && found * 100 >= sends * 94, "N={members}: {found}, {sends}");
    }
}

#[test]
fn sampling_pays_only_above_the_crossover() {
    let pays = |members, byzantine, sampling| {
        let target = Target { members, byzantine, epsilon: 1e-6 };
        target.plan(sampling).unwrap().is_some_and(|plan| target.pays(&plan))
    };
    assert!(!pays(30, 0.1, Sampling::Distinct));
    assert!(pays(100, 0.1, Sampling::Distinct));
    assert!(!pays(100, 0.2, Sampling::Distinct));
    assert!(!pays(100, 0.1, Sampling::WithReplacement));
    assert!(pays(500, 0.1, Sampling::WithReplacement));
    assert!(!pays(500, 0.3, Sampling::Distinct), "near one third samples are useless");
}

#[test]
fn questions_without_a_meaning_are_refused() {
    let refused = |members, byzantine, epsilon| {
        Target { members, byzantine, epsilon }.plan(Sampling::Distinct).is_err()
    };
    assert!(refused(3, 0.1, 0.1) && refused(MEMBERS_MAX + 1, 0.1, 0.1));
    assert!(refused(30, -0.1, 0.1) && refused(30, 0.34, 0.1) && refused(30, f64::NAN, 0.1));
    assert!(refused(30, 0.1, 0.0) && refused(30, 0.1, 1.0) && refused(30, 0.1, f64::NAN));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_elementary_bound_is_at_most_a_third_of_epsilon(
        members in 20_usize..160, byzantine in 0.0..0.25, power in 1.0..9.0_f64, distinct: bool,
    ) {
        let sampling = if distinct { Sampling::Distinct } else { Sampling::WithReplacement };
        let target = Target { members, byzantine, epsilon: 10.0_f64.powf(-power) };
        if let Some(plan) = target.plan(sampling).unwrap() {
            let (b, third) = (plan.bounds, target.epsilon / 3.0 * (1.0 + 1e-9));
            for bound in [b.gossip, b.echo_validity, b.echo_consistency, b.ready_consistency,
                b.delivery, b.contagion] {
                prop_assert!((0.0..=third).contains(&bound), "{plan:?}");
            }
        }
    }

    #[test]
    fn a_smaller_epsilon_never_needs_smaller_samples(
        members in 20_usize..160, byzantine in 0.0..0.2, power in 1.0..8.0_f64,
    ) {
        let at = |power: f64| {
            let target = Target { members, byzantine, epsilon: 10.0_f64.powf(-power) };
            target.plan(Sampling::Distinct).unwrap()
        };
        if let (Some(loose), Some(strict)) = (at(power), at(power + 1.0)) {
            prop_assert!(strict.sizes.gossip >= loose.sizes.gossip);
            prop_assert!(strict.sizes.echo >= loose.sizes.echo);
            prop_assert!(strict.sizes.sends() >= loose.sizes.sends());
        }
    }

    #[test]
    fn a_system_twice_as_large_sends_a_smaller_share(
        members in 60_usize..160, byzantine in 0.05..0.2,
    ) {
        let share = |members| {
            let found = plan(members, byzantine, 1e-6, Sampling::Distinct);
            found.sizes.sends() as f64 / members as f64
        };
        prop_assert!(share(2 * members) < share(members));
    }
}
