//! Everybody follows: whatever delays and crashes there are, everything is answered, and nobody is listed or convicted.

use super::world::*;
use crate::*;

/// Guarantees 1, 2, 7: random delays, a crash before or after any durable write.
#[test]
fn honest_machine_answers_everything_and_convicts_nobody_whatever_crashes() {
    for seed in 1..=25 {
        let mut world = World::new(seed, 5, 1, params());
        world.crash_per_mille = if seed % 5 == 0 { 0 } else { 15 };
        for round in 0..6u16 {
            let (from, to) = (round % 5, (round * 2 + 1) % 5);
            if from != to {
                let work = member_work(from, to, &[round as u8; 20]);
                world.local((0, from), Local::Assign(work));
            }
            world.run(8_000);
        }
        world.crash_per_mille = 0;
        world.run(400_000);
        world.check();
        assert!(world.evidence.is_empty(), "seed {seed}: {:?}", world.evidence);
        assert!(world.accused.is_empty() && world.shut.is_empty(), "seed {seed}");
        for at in [(0, 0), (0, 1), (0, 2), (0, 3), (0, 4)] {
            let core = world.core(at);
            assert!(core.is_idle(), "seed {seed}: {at:?} has residual duties");
        }
        if seed % 5 == 0 {
            assert_eq!(world.delivered.len(), 5, "seed {seed}");
        } else {
            assert!(world.crashes > 0);
        }
        // What is delivered is one answer a request, whoever delivered it and after whatever crash.
        for (_, name, _, outcome) in &world.delivered {
            let Outcome::Answer(first) = outcome else { panic!("seed {seed}: {outcome:?}") };
            for (_, other, _, again) in &world.delivered {
                if let Outcome::Answer(again) = again
                    && other == name
                {
                    assert_eq!(first.core, again.core);
                }
            }
        }
    }
}
