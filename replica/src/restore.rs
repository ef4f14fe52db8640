//! How a member comes back after a restart, whatever the length of the log.

use crate::app::{Application, BadSnapshot};
use crate::error::Error;
use crate::handle::Shared;
use crate::store::{Space, Store};
use bart_rsm::{Core, Record, RecordKey};
use types::{Hash, Instance};

/// Takes the application back to its last snapshot, and returns the records that the core starts with.
pub(crate) fn restore<A: Application>(
    store: &impl Store,
    shared: &mut Shared<A>,
) -> Result<Vec<Record>, Error> {
    if let Some(alarm) = store.get(Space::Applied, ALARM_KEY)? {
        return Err(Error::Alarm(String::from_utf8_lossy(&alarm).into_owned()));
    }
    let records = newest_records(store)?;
    if let Some(bytes) = store.get(Space::Applied, APPLIED_KEY)? {
        shared.decided =
            decode_applied(&bytes, &mut shared.app).map_err(|error| damaged(error.to_string()))?;
    }
    Ok(records)
}

fn damaged(detail: String) -> Error {
    Error::Record { what: "the state machine", detail }
}

/// The core of this project from its records.
pub(crate) fn core(
    config: bart_rsm::Config,
    key: types::SecretKey,
    records: Vec<Record>,
) -> Result<Core, Error> {
    if records.is_empty() {
        return Core::new(config, key).map_err(|error| Error::Config(error.to_string()));
    }
    Core::restore(config, key, records).map_err(|error| damaged(error.to_string()))
}

/// Instances that a core is started with; it loads older ones when it needs them. More than the
/// core keeps in memory, so that nothing is missing.
const RESTORE_INSTANCES: u64 = 80;
const _: () = assert!(RESTORE_INSTANCES > bart_rsm::REPLAYED);

/// The records of the newest instances and of the log's state, whatever the length of the log.
fn newest_records(store: &impl Store) -> Result<Vec<Record>, Error> {
    let instance = |no| RecordKey::Instance(Instance(no)).to_bytes();
    let epoch = |no| RecordKey::Epoch(Instance(no)).to_bytes();
    let body = |no, digest| RecordKey::Body(Instance(no), digest).to_bytes();
    let newest = store.last_key(Space::Log, instance(0)..=instance(u64::MAX))?;
    let newest = match newest.as_deref().map(RecordKey::from_bytes) {
        Some(Ok(RecordKey::Instance(no))) => no.0,
        _ => 0,
    };
    let first = newest.saturating_sub(RESTORE_INSTANCES);
    let log = RecordKey::Log.to_bytes();
    let ranges = [
        log.clone()..=log,
        epoch(0)..=epoch(u64::MAX),
        instance(first)..=instance(u64::MAX),
        body(first, Hash::ZERO)..=body(u64::MAX, Hash([255; 32])),
    ];
    let (mut records, mut bad) = (Vec::new(), None);
    for range in ranges {
        store.scan(Space::Log, range, &mut |key, value| match RecordKey::from_bytes(key) {
            Ok(key) => records.push(Record { key, value: value.to_vec() }),
            Err(error) => bad = Some(error.to_string()),
        })?;
    }
    match bad {
        Some(detail) => Err(Error::Record { what: "the state machine", detail }),
        None => Ok(records),
    }
}

pub(crate) const APPLIED_KEY: &[u8] = b"state";
pub(crate) const ALARM_KEY: &[u8] = b"alarm";

/// The instances that the snapshot contains, then the snapshot.
pub(crate) fn encode_applied(applied: u64, app: &impl Application) -> Vec<u8> {
    let snapshot = app.snapshot();
    let mut out = types::Writer::with_capacity(8 + snapshot.len());
    out.u64(applied);
    out.raw(&snapshot);
    out.finish()
}

fn decode_applied(bytes: &[u8], app: &mut impl Application) -> Result<u64, BadSnapshot> {
    let (applied, snapshot) =
        bytes.split_first_chunk().ok_or_else(|| BadSnapshot("it is cut off".into()))?;
    app.restore(snapshot)?;
    Ok(u64::from_le_bytes(*applied))
}
