//! The step function: five cores, and a script that says what happens next.

use crate::Target;
use crate::script::{FAULTY, Group, NODES, forge};
use bart_rsm::Input;
use types::Slot;

/// Operations of one script; a longer input is cut.
const OPERATIONS_MAX: usize = 400;

/// The bytes of a script.
struct Script<'a>(&'a [u8]);

impl Script<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn slot(&mut self) -> Option<Slot> {
        Some(Slot(u16::from(self.byte()?) % NODES as u16))
    }
}

/// One operation; none at the script's end.
fn operate(group: &mut Group, script: &mut Script<'_>, ticket: u64) -> Option<()> {
    match script.byte()? % 12 {
        // The most frequent: something arrives.
        0..=3 => {
            let at = script.byte()?;
            if let Some(post) = group.take(at) {
                group.deliver(post);
            }
        }
        4 => {
            let count = usize::from(script.byte()?);
            group.run(count);
        }
        5 => {
            let at = script.byte()?;
            group.take(at);
        }
        6 => {
            let at = usize::from(script.byte()?) % group.kept.len().max(1);
            if let Some(post) = group.kept.get(at).cloned() {
                group.deliver(post);
            }
        }
        7 => {
            let (pick, low, high) = (script.byte()?, script.byte()?, script.byte()?);
            let (change, to) = (script.byte()?, script.slot()?);
            let own: Vec<_> = group
                .flying
                .iter()
                .chain(&group.kept)
                .filter(|(from, ..)| *from == FAULTY)
                .collect();
            let message = own.get(usize::from(pick) % own.len().max(1)).map(|(_, _, m)| m.clone());
            let forged = message.and_then(|m| forge(&m, u16::from_le_bytes([low, high]), change));
            if let (Some(message), true) = (forged, to != FAULTY) {
                group.deliver((FAULTY, to, message));
            }
        }
        8 => group.pass(u64::from(script.byte()?) * 20),
        9 => {
            let (a, b) = (script.slot()?, script.slot()?);
            if a != b {
                group.relink(a, b);
            }
        }
        10 => {
            let (slot, len) = (script.slot()?, script.byte()?);
            let command = vec![ticket as u8; usize::from(len)];
            group.input(slot, Input::Submit { ticket, command }, true);
        }
        _ => {
            let slot = script.slot()?;
            group.restart(slot);
        }
    }
    Some(())
}

fn run(input: &[u8]) {
    let mut script = Script(input);
    let Some(first) = script.byte() else { return };
    let mut group = Group::new(1 + u64::from(first % 2));
    for ticket in 0..OPERATIONS_MAX as u64 {
        if operate(&mut group, &mut script, ticket).is_none() {
            break;
        }
    }
    // Whatever happened, a quiet time must not break anything either.
    for _ in 0..3 {
        group.run(200);
        group.pass(2_000);
    }
}

/// Scripts.
pub const STEP: Target = Target {
    name: "step",
    decoder: false,
    run,
    seeds: || {
        let quiet = [&[0][..], &[4, 255, 8, 60].repeat(6)].concat();
        let rough =
            [&[1][..], &[4, 40, 11, 2, 4, 60, 9, 0, 3, 8, 60, 5, 0, 10, 1, 9].repeat(4)].concat();
        let forged =
            [&[0][..], &[4, 30, 7, 0, 30, 0, 1, 1, 7, 3, 90, 0, 255, 2, 6, 3].repeat(6)].concat();
        vec![quiet, rough, forged]
    },
};
