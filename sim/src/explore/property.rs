//! What must hold in every state, and where nothing is under way any more.

use super::name::{NULL, VALUE_A, VALUE_B};
use super::search::State;
use super::system::{Local, System};
use types::Slot;

/// Agreement, integrity, at most one certified value a turn, and certified values of later turns
/// equal to what was decided (the core invariant of specification 3.11).
pub fn always(system: &System, state: &State) -> Result<(), String> {
    let locals: Vec<&Local> = state.locals().map(|id| system.local(id)).collect();
    let mut first: Option<(Slot, u32, u64)> = None;
    for local in &locals {
        let Some((turn, value)) = local.decided else { continue };
        if ![VALUE_A, VALUE_B, NULL].contains(&value) {
            return Err(format!("{} decides what the sender did not sign", local.slot));
        }
        match first {
            Some((slot, at, other)) if other != value => {
                return Err(format!(
                    "{slot} decided {} in turn {at}, {} decides {} in turn {turn}",
                    word(other),
                    local.slot,
                    word(value)
                ));
            }
            Some((_, at, _)) if at <= turn => {}
            _ => first = Some((local.slot, turn, value)),
        }
    }
    for turn in 0..system.setting.turns {
        let mut certified = certified(system, &locals, turn);
        if let (Some(a), Some(b)) = (certified.next(), certified.next()) {
            return Err(format!("{} and {} are both certified in turn {turn}", word(a), word(b)));
        }
        if let (Some((_, at, value)), Some(other)) =
            (first, self::certified(system, &locals, turn).next())
            && turn > at
            && other != value
        {
            return Err(format!(
                "{} was decided in turn {at}, {} is certified in turn {turn}",
                word(value),
                word(other)
            ));
        }
    }
    Ok(())
}

/// Values that a quorum acknowledged in a turn; the faulty member acknowledges everything.
fn certified(system: &System, locals: &[&Local], turn: u32) -> impl Iterator<Item = u64> {
    let sender = system.setting.leader(0);
    let faulty = usize::from(system.setting.faulty.slot().is_some_and(|slot| slot != sender));
    // The quorum of the specification, whatever quorum the members under test use.
    let quorum = system.quorum();
    let mut count = [0usize; 4];
    for local in locals {
        if let Some((_, value)) = local.turns.get(&turn)
            && let Some(count) = count.get_mut(*value as usize).filter(|_| *value > 0)
        {
            *count += 1;
        }
    }
    let any = count.iter().any(|count| *count > 0);
    (1..4u64).filter(move |value| {
        let votes = count[*value as usize];
        any && votes > 0 && votes + faulty >= quorum
    })
}

/// Where nothing is on its way between honest members and no explored timer runs: who has not
/// decided still has a timer, and once all decided nobody honest owes anything to anybody honest.
pub fn at_rest(system: &System, state: &State) -> Result<(), String> {
    let locals: Vec<&Local> = state.locals().map(|id| system.local(id)).collect();
    let sender = system.setting.leader(0);
    for local in &locals {
        // The sender waits for a report or a catch-up.
        if local.decided.is_none() && local.timer.is_none() && local.slot != sender {
            return Err(format!("{} has not decided and waits for nothing", local.slot));
        }
    }
    if locals.iter().any(|local| local.decided.is_none()) {
        return Ok(());
    }
    for local in &locals {
        if let Some((peer, duty)) = local.owed.first() {
            let slot = local.slot;
            return Err(format!("all decided, and {peer} owes {slot} for ever: {duty:?}"));
        }
    }
    Ok(())
}

/// An outcome in words.
pub fn word(value: u64) -> &'static str {
    match value {
        VALUE_A => "A",
        VALUE_B => "B",
        NULL => "NULL",
        _ => "an unknown value",
    }
}
