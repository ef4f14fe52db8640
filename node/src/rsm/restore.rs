//! How the state machine comes back after a restart, whatever the length of the log.

use super::Rsm;
use crate::error::NodeError;
use crate::store::promises::{Promises, Table};
use bart_rsm::{Core, Record, RecordKey};
use types::{Hash, Instance};

pub(super) fn restore(
    config: bart_rsm::Config,
    key: types::SecretKey,
    promises: &Promises,
    rsm: &Rsm,
) -> Result<Core, NodeError> {
    let damaged = |detail: String| NodeError::Record { what: "the state machine", detail };
    if let Some(alarm) = promises.get(Table::Applied, ALARM_KEY)? {
        return Err(NodeError::Alarm(String::from_utf8_lossy(&alarm).into_owned()));
    }
    let records = newest_records(promises)?;
    if let Some(bytes) = promises.get(Table::Applied, APPLIED_KEY)? {
        let (applied, state) =
            decode_applied(&bytes).map_err(|error| damaged(error.to_string()))?;
        let mut shared = rsm.lock();
        shared.decided = applied;
        shared.state = state;
    }
    if records.is_empty() {
        return Core::new(config, key).map_err(|error| NodeError::Group(error.to_string()));
    }
    Core::restore(config, key, records).map_err(|error| damaged(error.to_string()))
}

/// Instances that a core is started with; it loads older ones when it needs them. More than the
/// core keeps in memory, so that nothing is missing.
const RESTORE_INSTANCES: u64 = 80;

/// The records of the newest instances and of the log's state, whatever the length of the log.
fn newest_records(promises: &Promises) -> Result<Vec<Record>, NodeError> {
    let instance = |no| RecordKey::Instance(Instance(no)).to_bytes();
    let body = |no, digest| RecordKey::Body(Instance(no), digest).to_bytes();
    let newest = promises.last_key(Table::Rsm, instance(0)..=instance(u64::MAX))?;
    let newest = match newest.as_deref().map(RecordKey::from_bytes) {
        Some(Ok(RecordKey::Instance(no))) => no.0,
        _ => 0,
    };
    let first = newest.saturating_sub(RESTORE_INSTANCES);
    let log = RecordKey::Log.to_bytes();
    let ranges = [
        log.clone()..=log,
        instance(first)..=instance(u64::MAX),
        body(first, Hash::ZERO)..=body(u64::MAX, Hash([255; 32])),
    ];
    let (mut records, mut bad) = (Vec::new(), None);
    for range in ranges {
        promises.scan_range(Table::Rsm, range, |key, value| match RecordKey::from_bytes(key) {
            Ok(key) => records.push(Record { key, value: value.to_vec() }),
            Err(error) => bad = Some(error.to_string()),
        })?;
    }
    match bad {
        Some(detail) => Err(NodeError::Record { what: "the state machine", detail }),
        None => Ok(records),
    }
}

pub(super) const APPLIED_KEY: &[u8] = b"state";
pub(super) const ALARM_KEY: &[u8] = b"alarm";

pub(super) fn encode_applied(applied: u64, state: &pib::State) -> Vec<u8> {
    let mut out = types::Writer::new();
    out.u64(applied);
    out.put(state);
    out.finish()
}

fn decode_applied(bytes: &[u8]) -> Result<(u64, pib::State), types::DecodeError> {
    let mut input = types::Reader::new(bytes);
    let applied = (input.u64()?, input.get()?);
    input.finish()?;
    Ok(applied)
}
