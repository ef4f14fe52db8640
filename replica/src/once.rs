//! Executing a repeated command once.
//!
//! A submitter that got no answer, because its process or machine stopped or its patience ended, cannot
//! know whether the command is in the log: a proposal that was signed before the crash may still be decided.
//! If it submits again, the log may hold the command twice. [`Once`] makes the second one a no-op: the
//! submitter gives every command a [`number`](Numbered) and repeats it under the same number.
//!
//! Guarantees: 1. of all commands of one sender under one number at most one is executed, whatever crashes
//! in between; 2. deterministic, and part of the snapshot. Bounds: [`WINDOW`] numbers a sender.
//! A sender can confuse its own numbers only: nobody else's commands carry its slot.

use crate::app::{Application, BadSnapshot, Entry};
use bart_rsm::StandingChange;
use std::collections::{BTreeMap, BTreeSet};
use types::limits::MEMBERS_MAX;
use types::{DecodeError, Reader, Roster, Slot, Writer};

/// Numbers of one sender that are remembered one by one; those below count as executed. So a sender has
/// at most this many commands under way at once, and numbers them in the order of their submission or
/// nearly so.
pub const WINDOW: usize = 1024;

/// A command under its sender's number, ready for [`Replica::submit`](crate::Replica::submit).
///
/// Numbers of one sender must differ for different commands, across its restarts too, and should rise: a
/// durable counter, or milliseconds since the Unix epoch times 1000 plus a count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Numbered {
    /// The sender's name for the command. Below `u64::MAX`.
    pub number: u64,
    /// What the application sees.
    pub command: Vec<u8>,
}

impl From<Numbered> for Vec<u8> {
    fn from(numbered: Numbered) -> Self {
        [&numbered.number.to_le_bytes()[..], &numbered.command].concat()
    }
}

/// What became of a numbered command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Executed<T> {
    /// This one was executed.
    Now(T),
    /// One with this number was executed before, or the number is too far behind.
    Before,
    /// There is no number in front.
    Malformed,
}

/// What is known of one sender's numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Numbers {
    /// All numbers below count as executed.
    floor: u64,
    /// Executed numbers from `floor` on.
    above: BTreeSet<u64>,
}

impl Numbers {
    /// Whether a command with this number is to be executed; from then on it is not.
    fn take(&mut self, number: u64) -> bool {
        if number < self.floor || !self.above.insert(number) {
            return false;
        }
        if self.above.len() > WINDOW
            && let Some(lowest) = self.above.pop_first()
        {
            self.floor = lowest + 1;
        }
        while self.above.remove(&self.floor) {
            self.floor += 1;
        }
        true
    }
}

/// An application whose commands are [`Numbered`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Once<A> {
    app: A,
    senders: BTreeMap<Slot, Numbers>,
}

impl<A> Once<A> {
    /// Wraps an application.
    pub fn new(app: A) -> Self {
        Self { app, senders: BTreeMap::new() }
    }

    /// The application.
    pub fn app(&self) -> &A {
        &self.app
    }
}

impl<A: Application> Application for Once<A> {
    type Answer = Executed<A::Answer>;

    fn apply(&mut self, entry: Entry<'_>) -> Self::Answer {
        let number = entry.command.split_first_chunk();
        let Some((number, command)) = number.map(|(n, rest)| (u64::from_le_bytes(*n), rest)) else {
            return Executed::Malformed;
        };
        if number == u64::MAX {
            return Executed::Malformed;
        }
        match self.senders.entry(entry.sender).or_default().take(number) {
            true => Executed::Now(self.app.apply(Entry { command, ..entry })),
            false => Executed::Before,
        }
    }

    fn on_roster(&mut self, roster: &Roster, changes: &[StandingChange]) {
        self.app.on_roster(roster, changes);
    }

    fn snapshot(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.count(self.senders.len());
        for (slot, numbers) in &self.senders {
            out.put(slot);
            out.u64(numbers.floor);
            out.count(numbers.above.len());
            numbers.above.iter().for_each(|number| out.u64(*number));
        }
        out.raw(&self.app.snapshot());
        out.finish()
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), BadSnapshot> {
        let bad = |error: DecodeError| BadSnapshot(error.to_string());
        let mut input = Reader::new(snapshot);
        let senders = read_senders(&mut input).map_err(bad)?;
        let rest = input.raw(input.remaining()).map_err(bad)?;
        self.app.restore(rest)?;
        self.senders = senders;
        Ok(())
    }
}

fn read_senders(input: &mut Reader<'_>) -> Result<BTreeMap<Slot, Numbers>, DecodeError> {
    let mut senders = BTreeMap::new();
    for _ in 0..input.count("senders", MEMBERS_MAX)? {
        let slot: Slot = input.get()?;
        let floor = input.u64()?;
        let count = input.count("numbers", WINDOW)?;
        let above = (0..count).map(|_| input.u64()).collect::<Result<_, _>>()?;
        senders.insert(slot, Numbers { floor, above });
    }
    Ok(senders)
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::{Instance, Stamp};

    /// Counts its commands.
    #[derive(Debug, Default, PartialEq, Eq)]
    struct Count(u64);

    impl Application for Count {
        type Answer = u64;

        fn apply(&mut self, _entry: Entry<'_>) -> u64 {
            self.0 += 1;
            self.0
        }

        fn snapshot(&self) -> Vec<u8> {
            self.0.to_le_bytes().to_vec()
        }

        fn restore(&mut self, snapshot: &[u8]) -> Result<(), BadSnapshot> {
            let bytes = snapshot.try_into().map_err(|_| BadSnapshot("length".into()))?;
            self.0 = u64::from_le_bytes(bytes);
            Ok(())
        }
    }

    fn run(app: &mut Once<Count>, sender: u16, number: u64) -> Executed<u64> {
        let command: Vec<u8> = Numbered { number, command: b"x".to_vec() }.into();
        let (inst, tau) = (Instance(0), Stamp(0));
        app.apply(Entry { inst, index: 0, sender: Slot(sender), tau, command: &command })
    }

    #[test]
    fn repeated_number_is_executed_once_for_each_sender_in_any_order() {
        let mut app = Once::new(Count::default());
        assert_eq!(run(&mut app, 0, 1), Executed::Now(1));
        assert_eq!(run(&mut app, 0, 0), Executed::Now(2));
        assert_eq!(run(&mut app, 0, 1), Executed::Before);
        assert_eq!(run(&mut app, 1, 1), Executed::Now(3));
        assert_eq!(run(&mut app, 0, 2), Executed::Now(4));
        assert_eq!(run(&mut app, 0, u64::MAX), Executed::Malformed);
        let numbers = &app.senders[&Slot(0)];
        assert_eq!((numbers.floor, numbers.above.len()), (3, 0));
    }

    #[test]
    fn numbers_with_gaps_stay_within_the_window_and_old_ones_count_as_executed() {
        let mut app = Once::new(Count::default());
        for number in 0..3 * WINDOW as u64 {
            assert_eq!(run(&mut app, 0, 1 + 2 * number), Executed::Now(number + 1));
            assert!(app.senders[&Slot(0)].above.len() <= WINDOW);
        }
        assert_eq!(run(&mut app, 0, 6 * WINDOW as u64 - 1), Executed::Before);
        assert_eq!(run(&mut app, 0, 6 * WINDOW as u64 - 2), Executed::Now(3 * WINDOW as u64 + 1));
        assert_eq!(run(&mut app, 0, 2), Executed::Before);
    }

    #[test]
    fn snapshot_remembers_what_was_executed() {
        let mut app = Once::new(Count::default());
        run(&mut app, 3, 5);
        run(&mut app, 4, 0);
        let mut back = Once::new(Count::default());
        back.restore(&app.snapshot()).unwrap();
        assert_eq!(back, app);
        assert_eq!(run(&mut back, 3, 5), Executed::Before);
        assert!(back.restore(&[1, 0]).is_err());
    }
}
