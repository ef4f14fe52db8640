//! Checkpoints (specification 5.5; row RS-5).

use super::bounded::busy;
use super::harness::*;
use crate::*;
use types::*;

fn params() -> Params {
    Params { ckpt_every: 20, ..busy() }
}

#[test]
fn members_agree_on_checkpoints_and_on_what_they_contain() {
    let mut net = Net::with(5, params());
    net.run(5_000);
    let decided = net.check_agreement(0..5);
    let stable = net.core(0).stable_checkpoint().unwrap();
    // The last one may still be on its way into the log.
    assert!(decided > 60 && stable.inst.0 + 2 * 20 + 5 > decided, "{stable:?} {decided}");
    assert_eq!((stable.inst.0 + 1) % 20, 0);
    for slot in 0..5 {
        assert_eq!(net.core(slot).stable_checkpoint().unwrap().inst.0 / 20, stable.inst.0 / 20);
        assert_eq!(net.core(slot).checkpoint.last, net.core(0).checkpoint.last);
    }
}

#[test]
fn member_with_another_state_raises_the_alarm_and_the_others_go_on() {
    let mut net = Net::with(5, params());
    net.corrupt.insert(Slot(3));
    net.run(5_000);
    let alarms = std::mem::take(&mut net.alarms);
    assert_eq!(alarms, [(Slot(3), Alarm::OtherState(Instance(19)))]);
    net.cores[3] = None;
    net.run(30_000);
    let stable = net.core(0).stable_checkpoint().unwrap();
    assert!(stable.inst.0 > 30, "{stable:?}");
    net.check_agreement([0, 1, 2, 4]);
}

#[test]
fn member_that_restarts_publishes_no_second_digest() {
    let mut net = Net::with(5, params());
    let mut seen = std::collections::BTreeMap::new();
    for k in 0..60 {
        net.crash_after = Some((Slot(1), 3 + k % 11));
        net.crashed = false;
        net.run_until(5_000, |net| net.crashed);
        net.boot(Slot(1));
        net.connect();
        net.run(100);
        let own = net.core(1).checkpoint.last;
        if own.digest != Hash::ZERO {
            assert_eq!(*seen.entry(own.inst).or_insert(own.digest), own.digest);
        }
    }
    net.run(5_000);
    assert!(seen.len() >= 2, "{seen:?}");
    net.check_agreement(0..5);
    let stable = net.core(1).stable_checkpoint().unwrap();
    assert!(stable.inst.0 + 2 * 20 + 5 > net.decided(1), "{stable:?}");
}
