//! What a replicated service is: a deterministic state that executes decided commands.
//!
//! Source: specification 5.1 (execution in the order of the log), 5.2 (time), 5.5 (checkpoints).
//!
//! Assumes: nothing about the bytes of a command: any member may have put anything into the log.
//! Guarantees towards the application: 1. every member executes the same commands with the same
//! [`Entry`], in the same order; 2. a command whose submission was answered is executed at every
//! member and survives a power cut; 3. after a restart the state is at a place in the log where it
//! was once, and goes on from there: nothing is left out and nothing executed twice *by the runner*.
//!
//! A submitter that got no answer (a crash, a timeout) cannot know whether its command is in the log.
//! If it submits again, the log may hold the command twice and the application executes both. Where
//! that matters, wrap the application in [`Once`](crate::Once), which knows a repetition by its number.

use bart_rsm::StandingChange;
use types::{Hash, Instance, Roster, Slot, Stamp};

/// A decided command and its place. Everything here is equal at all members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The instance that decided it.
    pub inst: Instance,
    /// Its place within the instance, from 0.
    pub index: usize,
    /// Who proposed it; the proposal's signature was checked.
    pub sender: Slot,
    /// The log's own time, a median of the members' clocks in milliseconds since the Unix epoch: the
    /// only clock that an application may read. It never runs backwards.
    pub tau: Stamp,
    /// What was submitted, at most `types::limits::COMMAND_LEN_MAX` bytes; never empty.
    pub command: &'a [u8],
}

/// The bytes of a snapshot make no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the snapshot of the application cannot be read: {0}")]
pub struct BadSnapshot(pub String);

/// A replicated service.
///
/// Deterministic: the result of every call follows from the calls before it and nothing else. No clock,
/// no randomness, no floating point, no map whose order differs from run to run, no reading of files.
/// Total: any bytes are executed; what makes no sense is a no-op with an answer that says so. A panic
/// would stop every honest member at the same entry, so one bad command would end the group.
pub trait Application: Send + 'static {
    /// What the submitter of a command is told. `()` if only the order matters.
    type Answer: Send + 'static;

    /// Executes one decided command.
    fn apply(&mut self, entry: Entry<'_>) -> Self::Answer;

    /// The whole state as bytes; equal states give equal bytes. Taken at the end of an instance.
    fn snapshot(&self) -> Vec<u8>;

    /// Replaces the state by one that [`Application::snapshot`] wrote.
    fn restore(&mut self, snapshot: &[u8]) -> Result<(), BadSnapshot>;

    /// The log changed who takes part: after every command of the instance that changed it, before any
    /// later one. After a restart it comes once without changes. Nothing to do by default.
    fn on_roster(&mut self, roster: &Roster, changes: &[StandingChange]) {
        let _ = (roster, changes);
    }

    /// Names the state; members at the same place in the log have the same digest. Better than the
    /// default where hashing a whole snapshot is too much.
    fn digest(&self) -> Hash {
        Hash::tagged("application state", &self.snapshot())
    }
}
