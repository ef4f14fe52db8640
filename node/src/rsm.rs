//! What the daemon puts on the replicated log: the witnesses of `pib`, with its store of promises as the
//! log's disk. `replica` runs both.

use crate::error::NodeError;
use crate::store::promises::{self, Promises, Table};
use crate::wire::RsmStats;
use replica::{Application, BadSnapshot, Entry, Space, StoreError};
use std::ops::RangeInclusive;
use types::{Decode, Encode, Hash};

/// Handle to the running state machine.
pub type Rsm = replica::Replica<Witnesses>;

/// The replicated state of PIB.
#[derive(Debug, Default)]
pub struct Witnesses(pub pib::State);

impl Application for Witnesses {
    type Answer = ();

    fn apply(&mut self, entry: Entry<'_>) {
        self.0.apply(entry.inst, entry.sender, entry.command);
    }

    fn snapshot(&self) -> Vec<u8> {
        self.0.to_bytes()
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), BadSnapshot> {
        let state = pib::State::from_bytes(snapshot);
        self.0 = state.map_err(|error| BadSnapshot(error.to_string()))?;
        Ok(())
    }

    fn digest(&self) -> Hash {
        self.0.digest()
    }
}

/// What the local API says of the state machine.
pub fn stats(rsm: &Rsm) -> RsmStats {
    let stats = rsm.stats();
    RsmStats {
        instances: stats.instances,
        nulls: stats.nulls,
        commands: stats.commands,
        command_bytes: stats.command_bytes,
        state_commands: rsm.read(|app| app.0.applied()),
        state_digest: stats.digest.to_hex(),
        faults: stats.faults,
        latency_p50_ms: stats.latency_p50_ms,
        latency_p99_ms: stats.latency_p99_ms,
        samples: stats.samples,
    }
}

fn table(space: Space) -> Table {
    match space {
        Space::Log => Table::Rsm,
        Space::Applied => Table::Applied,
        Space::Proofs => Table::Proofs,
        Space::Work => Table::Work,
    }
}

fn failed(error: NodeError) -> StoreError {
    StoreError(error.to_string().into())
}

/// The log shares transactions with all other promises of the member.
impl replica::Store for Promises {
    fn commit(
        &self,
        writes: Vec<replica::Write>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send + 'static {
        let write = |write: replica::Write| promises::Write {
            table: table(write.space),
            key: write.key,
            value: write.value,
        };
        let ticket = self.enqueue(writes.into_iter().map(write).collect());
        async move { ticket.durable().await.map_err(failed) }
    }

    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Promises::get(self, table(space), key).map_err(failed)
    }

    fn scan(
        &self,
        space: Space,
        range: RangeInclusive<Vec<u8>>,
        visit: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<(), StoreError> {
        self.scan_range(table(space), range, visit).map_err(failed)
    }

    fn last_key(
        &self,
        space: Space,
        range: RangeInclusive<Vec<u8>>,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        Promises::last_key(self, table(space), range).map_err(failed)
    }
}
