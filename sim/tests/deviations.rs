//! The deviation experiment in small (specification 10.3): it finds what pays, and no more.

use sim::deviation::controls;
use sim::deviation::experiment::{Ground, Options, Verdict};
use sim::deviation::hostile::Foe;
use sim::deviation::rows;
use types::Mode;

fn options(seeds: u64) -> Options {
    let jobs = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    let foes = vec![Foe::Absent, Foe::Crash, Foe::Slow, Foe::ShowNobody, Foe::Bait];
    Options { nodes: 5, rotations: 2, seeds, seeds_max: seeds, from: 7_000, jobs, foes, family: 1 }
}

#[test]
fn withholding_any_message_does_not_pay_and_bubbles_where_it_must() {
    let options = options(6);
    let ground = Ground::new(&options, Mode::QuasiSync).unwrap();
    let names = [
        "AA-N1 p=1 lenient",
        "WA-N1 p=1",
        "RP-N1 p=1 lenient",
        "AG-N1 p=1",
        "MQ-13 p=1 does not read",
    ];
    let mut all = rows::all();
    all.retain(|strategy| names.contains(&strategy.name().as_str()));
    assert_eq!(all.len(), names.len());
    for finding in ground.try_all(&all, &options, |_, _| {}).unwrap() {
        assert_eq!(finding.verdict, Verdict::DoesNotPay, "{}", finding.strategy.name());
        assert_eq!(finding.mismatches, Vec::<String>::new(), "{}", finding.strategy.name());
        assert!(finding.lost > 0.9, "{}: {}", finding.strategy.name(), finding.lost);
    }
}

#[test]
fn acknowledging_blindly_saves_next_to_nothing_and_a_bait_makes_it_ruinous() {
    let options = options(6);
    let ground = Ground::new(&options, Mode::QuasiSync).unwrap();
    let mut all = rows::all();
    all.retain(|strategy| strategy.row == "AA-D3");
    let findings = ground.try_all(&all, &options, |_, _| {}).unwrap();
    let finding = &findings[0];
    assert_eq!(finding.verdict, Verdict::DoesNotPay);
    for against in finding.against.iter().filter(|against| against.foe != Foe::Bait) {
        // What is not verified now is verified with the certificate that names it.
        assert!(against.upper < against.eps, "{against:?}");
    }
    assert!(finding.against.iter().any(|a| a.foe == Foe::Bait && a.upper < -1_000.0));
}

#[test]
fn experiment_flags_groups_that_lack_a_precaution() {
    for control in controls::incentives(&options(8)).unwrap() {
        assert_eq!(control.flagged, Some(true), "{}: {}", control.name, control.seen);
    }
}
