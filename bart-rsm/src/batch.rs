//! Commands that wait for our next proposal (specification 5.3, batching).
//!
//! Bounds: [`QUEUE_MAX`] commands and `4 * V_MAX` bytes. A batch whose proposal is decided as NULL
//! goes back to the front.

use crate::core::Core;
use crate::effect::{Effect, Refusal};
use crate::proposal;
use std::collections::VecDeque;
use types::limits::{COMMAND_LEN_MAX, COMMANDS_MAX};
use types::{Hash, Instance};

/// Commands in the queue.
pub(crate) const QUEUE_MAX: usize = 4096;

/// The caller's ticket and the command.
pub(crate) type Entry = (u64, Vec<u8>);

/// The queue and the batch that is under way.
#[derive(Debug, Clone, Default)]
pub(crate) struct Batch {
    queue: VecDeque<Entry>,
    bytes: usize,
    /// Where, what, the place of the first command of ours in it, and those commands.
    proposed: Option<(Instance, Hash, usize, Vec<Entry>)>,
}

impl Batch {
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn len(&self) -> usize {
        self.queue.len() + self.proposed.as_ref().map_or(0, |(_, _, _, batch)| batch.len())
    }

    pub(crate) fn has_queued(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Takes as many commands as fit into `room` bytes.
    pub(crate) fn take(&mut self, room: usize) -> Vec<Entry> {
        let mut used = 0;
        let mut batch = Vec::new();
        while let Some((_, command)) = self.queue.front() {
            used += 4 + command.len();
            if used > room || batch.len() == COMMANDS_MAX {
                break;
            }
            if let Some(entry) = self.queue.pop_front() {
                self.bytes -= entry.1.len();
                batch.push(entry);
            }
        }
        batch
    }

    /// Commands whose time has not come wait behind all others.
    pub(crate) fn put_back(&mut self, entries: Vec<Entry>) {
        for entry in entries {
            self.bytes += entry.1.len();
            self.queue.push_back(entry);
        }
    }

    pub(crate) fn proposed(
        &mut self,
        inst: Instance,
        value: Hash,
        first: usize,
        batch: Vec<Entry>,
    ) {
        self.proposed = Some((inst, value, first, batch));
    }

    /// Settles the batch of an instance: places and tickets if it was decided, back to the queue if not.
    pub(crate) fn decided(&mut self, inst: Instance, value: Hash) -> Vec<(usize, u64)> {
        match self.proposed.take() {
            Some((no, digest, first, batch)) if no == inst => {
                if digest == value {
                    let tickets = batch.into_iter().map(|(ticket, _)| ticket);
                    return (first..).zip(tickets).collect();
                }
                for entry in batch.into_iter().rev() {
                    self.bytes += entry.1.len();
                    self.queue.push_front(entry);
                }
                Vec::new()
            }
            other => {
                self.proposed = other;
                Vec::new()
            }
        }
    }
}

impl Core {
    /// Queues a command, or refuses it.
    pub(crate) fn on_submit(&mut self, ticket: u64, command: Vec<u8>) {
        let room = self.command_room();
        let max = COMMAND_LEN_MAX.min(room.saturating_sub(4));
        let reason = if command.len() > max || command.is_empty() {
            Some(Refusal::TooLong { len: command.len(), max })
        } else if self.batch.queue.len() >= QUEUE_MAX
            || self.batch.bytes + command.len() > 4 * self.config.params.v_max
        {
            Some(Refusal::QueueFull)
        } else {
            None
        };
        if let Some(reason) = reason {
            return self.out.push(Effect::Refused { ticket, reason });
        }
        self.batch.bytes += command.len();
        self.batch.queue.push_back((ticket, command));
        self.wake_others();
    }

    /// Bytes that a proposal has for commands.
    pub(crate) fn command_room(&self) -> usize {
        self.config
            .params
            .v_max
            .saturating_sub(proposal::fixed_len(self.schedule.newest().roster.slots()))
    }
}
