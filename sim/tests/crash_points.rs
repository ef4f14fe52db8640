//! A crash at every durable write and every send of a short run (specification 11.3). The whole of
//! longer runs is played with `cargo run --release -p sim -- crash-points`.

use sim::{Choice, CrashPoint, Scenario, Trouble, crash_points, run_seed};

fn short(adversary: &'static str, trouble: Trouble) -> Scenario {
    let adversary = Choice::Named(adversary);
    Scenario { adversary, trouble, faulty: Some(1), instances: 2, ..Scenario::new(5, 3) }
}

#[test]
fn crash_at_any_effect_of_a_run_with_a_second_turn_violates_nothing() {
    let scenario = short("withhold-proposal", Trouble::Calm);
    let summary = crash_points::run(&scenario, 5, 2).unwrap();
    assert!(summary.is_clean(), "{:#?}", summary.failures);
    assert!(summary.seeds > 100, "{} points", summary.seeds);
    assert!(summary.crashes >= summary.seeds, "every point is a crash");
}

#[test]
fn crash_point_happens_once_and_is_replayed_by_its_name() {
    let scenario = short("follow", Trouble::Calm);
    let slot = *run_seed(&scenario).unwrap().effects.keys().next().unwrap();
    let crash_point = CrashPoint { slot, effect: 7, keep: false };
    let scenario = Scenario { crash_point: Some(crash_point), ..scenario };
    let outcome = run_seed(&scenario).unwrap();
    assert_eq!(outcome.crashes, 1);
    assert!(scenario.replay_command().contains(&format!("--crash-at {}:7:lost", slot.0)));
    let text = crash_point.to_string();
    assert_eq!(CrashPoint::parse(&text).ok(), Some(crash_point));
    assert!(CrashPoint::parse("7:lost").is_err());
}
