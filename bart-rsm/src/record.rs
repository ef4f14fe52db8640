//! What is durable, as key-value records (specification 3.4, 4.6, 5.7).
//!
//! | key | value |
//! | --- | --- |
//! | `Log` | state that follows from the applied log, per peer the first instance not closed, the first instance that is not erased, our untimely marks and latest checkpoint |
//! | `Instance(i)` | everything of instance i but bodies: accepted write, proof of the latest turn, every own statement with what it names, decision, cursors |
//! | `Body(i, s)` | VALUE statement and body of outcome `s` |
//! | `Epoch(i)` | the roster that holds from instance i on; the founding one has no record |
//!
//! Guarantees: (1) a step's records come before its sends, bodies before the instance that names
//! them, so after a crash between any two records the older state is whole; (2) own statements are
//! in the instance's record before they leave, so nothing is signed twice.

use crate::checkpoint::Checkpoint;
use crate::epoch::Epoch;
use crate::inst::{AcceptorTurn, AgreeStep, Conv, Inst, Lead, TURNS_MAX};
use crate::message::*;
use crate::time::LogState;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use types::limits::MEMBERS_MAX;
use types::{Decode, DecodeError, Encode, Hash, Instance, Reader, Signature, Slot, Writer};

/// Version of all record values.
const FORM: u8 = 3;

/// Names a record. The byte form keeps the order within each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RecordKey {
    /// State of the applied log.
    Log,
    /// One instance.
    Instance(Instance),
    /// One body of an instance.
    Body(Instance, Hash),
    /// The roster from an instance on.
    Epoch(Instance),
}

/// A key-value pair; a later one with the same key replaces the earlier one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The key.
    pub key: RecordKey,
    /// The value.
    pub value: Vec<u8>,
}

impl RecordKey {
    /// The keys of all records of instances `from..to`.
    pub fn of_instances(from: Instance, to: Instance) -> [Range<RecordKey>; 2] {
        [
            RecordKey::Instance(from)..RecordKey::Instance(to),
            RecordKey::Body(from, Hash::ZERO)..RecordKey::Body(to, Hash::ZERO),
        ]
    }

    /// Order-preserving bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(41);
        match self {
            RecordKey::Log => out.push(0),
            RecordKey::Instance(inst) => {
                out.push(1);
                out.extend_from_slice(&inst.0.to_be_bytes());
            }
            RecordKey::Body(inst, value) => {
                out.push(2);
                out.extend_from_slice(&inst.0.to_be_bytes());
                out.extend_from_slice(&value.0);
            }
            RecordKey::Epoch(inst) => {
                out.push(3);
                out.extend_from_slice(&inst.0.to_be_bytes());
            }
        }
        out
    }

    /// Reads what [`RecordKey::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(bytes);
        let key = match input.u8()? {
            0 => RecordKey::Log,
            1 => RecordKey::Instance(Instance(u64::from_be_bytes(input.array()?))),
            2 => {
                RecordKey::Body(Instance(u64::from_be_bytes(input.array()?)), Hash(input.array()?))
            }
            3 => RecordKey::Epoch(Instance(u64::from_be_bytes(input.array()?))),
            _ => return Err(DecodeError::Malformed("record key")),
        };
        input.finish()?;
        Ok(key)
    }
}

/// The value of [`RecordKey::Log`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogRecord {
    pub(crate) log: LogState,
    pub(crate) closed: Vec<Instance>,
    /// Instances below are erased.
    pub(crate) floor: Instance,
    /// Our private untimely marks, one a slot.
    pub(crate) marks: Vec<u8>,
    /// Our own latest checkpoint.
    pub(crate) checkpoint: Checkpoint,
}

impl LogRecord {
    pub(crate) fn to_record(&self) -> Record {
        let mut out = Writer::new();
        out.u8(FORM);
        out.put(&self.log);
        out.list(&self.closed);
        out.put(&self.floor);
        out.bytes(&self.marks);
        out.put(&self.checkpoint);
        Record { key: RecordKey::Log, value: out.finish() }
    }

    pub(crate) fn read(value: &[u8]) -> Result<Self, DecodeError> {
        let mut input = reader(value)?;
        let record = Self {
            log: input.get()?,
            closed: input.list("closed", MEMBERS_MAX)?,
            floor: input.get()?,
            marks: input.bytes("marks", MEMBERS_MAX)?.to_vec(),
            checkpoint: input.get()?,
        };
        input.finish()?;
        Ok(record)
    }
}

fn reader(value: &[u8]) -> Result<Reader<'_>, DecodeError> {
    let mut input = Reader::new(value);
    match input.u8()? {
        FORM => Ok(input),
        _ => Err(DecodeError::Malformed("record form")),
    }
}

/// The record of one epoch.
pub(crate) fn epoch_record(epoch: &Epoch) -> Record {
    let mut out = Writer::new();
    out.u8(FORM);
    out.put(epoch);
    Record { key: RecordKey::Epoch(epoch.first), value: out.finish() }
}

pub(crate) fn read_epoch(value: &[u8]) -> Result<Epoch, DecodeError> {
    let mut input = reader(value)?;
    let epoch = input.get()?;
    input.finish()?;
    Ok(epoch)
}

/// The record of one body.
pub(crate) fn body_record(inst: Instance, digest: Hash, value: &Value) -> Record {
    let mut out = Writer::with_capacity(256 + value.body.len());
    out.u8(FORM);
    out.put(value);
    Record { key: RecordKey::Body(inst, digest), value: out.finish() }
}

pub(crate) fn read_body(value: &[u8]) -> Result<Value, DecodeError> {
    let mut input = reader(value)?;
    let value = input.get()?;
    input.finish()?;
    Ok(value)
}

fn put_arc<T: Encode>(out: &mut Writer, value: &Option<Arc<T>>) {
    match value {
        None => out.u8(0),
        Some(value) => {
            out.u8(1);
            out.put(&**value);
        }
    }
}

fn get_arc<T: Decode>(input: &mut Reader<'_>) -> Result<Option<Arc<T>>, DecodeError> {
    Ok(input.get::<Option<T>>()?.map(Arc::new))
}

fn get_bool(input: &mut Reader<'_>) -> Result<bool, DecodeError> {
    match input.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(DecodeError::Malformed("flag")),
    }
}

/// The record of an instance, without bodies.
pub(crate) fn inst_record(inst: &Inst) -> Record {
    let mut out = Writer::with_capacity(2048);
    out.u8(FORM);
    out.u32(inst.started);
    out.u32(inst.proof);
    put_arc(&mut out, &inst.acc);
    out.put(&*inst.max_pol);
    put_arc(&mut out, &inst.decided);
    out.put(&inst.tau);
    out.put(&inst.reports);
    out.u8(u8::from(inst.report_sent));
    out.put(&inst.penance_from);
    out.put(&inst.penance_paid_to);
    let values: Vec<Hash> = inst.values.keys().copied().collect();
    out.list(&values);
    out.count(inst.turns.len());
    for (turn, state) in &inst.turns {
        out.u32(*turn);
        put_acceptor(&mut out, state);
    }
    out.count(inst.leads.len());
    for (turn, lead) in &inst.leads {
        out.u32(*turn);
        put_lead(&mut out, lead);
    }
    Record { key: RecordKey::Instance(inst.no), value: out.finish() }
}

/// Reads an instance back; also the digests of the bodies that it needs.
pub(crate) fn read_inst(
    no: Instance,
    sender: Slot,
    value: &[u8],
) -> Result<(Inst, BTreeSet<Hash>), DecodeError> {
    let mut input = reader(value)?;
    let started = input.u32()?;
    let proof = input.u32()?;
    let acc = get_arc(&mut input)?;
    let max_pol = Arc::new(input.get()?);
    let decided = get_arc(&mut input)?;
    let tau = input.get()?;
    let reports = input.get()?;
    let report_sent = get_bool(&mut input)?;
    let (penance_from, penance_paid_to) = (input.get()?, input.get()?);
    let bodies: Vec<Hash> = input.list("bodies", TURNS_MAX as usize)?;
    let mut turns = BTreeMap::new();
    for _ in 0..input.count("turns", TURNS_MAX as usize + 1)? {
        turns.insert(input.u32()?, get_acceptor(&mut input)?);
    }
    let mut leads = BTreeMap::new();
    for _ in 0..input.count("led turns", TURNS_MAX as usize + 1)? {
        leads.insert(input.u32()?, get_lead(&mut input)?);
    }
    input.finish()?;
    let inst = Inst {
        no,
        sender,
        started,
        proof,
        acc,
        max_pol,
        decided,
        tau,
        values: BTreeMap::new(),
        turns,
        leads,
        reports,
        report_sent,
        shown: SlotSet::default(),
        fines: Vec::new(),
        penance_from,
        penance_paid_to,
        penance_sent: SlotSet::default(),
    };
    Ok((inst, bodies.into_iter().collect()))
}

fn put_acceptor(out: &mut Writer, state: &AcceptorTurn) {
    out.u8(state.stage);
    out.u8(u8::from(state.set_turn_sent));
    match &state.read_ack {
        None => out.u8(0),
        Some((core, cert)) => {
            out.u8(1);
            out.put(core);
            out.put(&**cert);
        }
    }
    out.put(&state.agree_ack);
    match &state.write_ack {
        None => out.u8(0),
        Some((core, pol)) => {
            out.u8(1);
            out.put(core);
            out.put(&**pol);
        }
    }
}

fn get_acceptor(input: &mut Reader<'_>) -> Result<AcceptorTurn, DecodeError> {
    let stage = input.u8()?;
    let set_turn_sent = get_bool(input)?;
    let read_ack = match get_bool(input)? {
        true => Some((input.get()?, Arc::new(input.get()?))),
        false => None,
    };
    let agree_ack = input.get()?;
    let write_ack = match get_bool(input)? {
        true => Some((input.get()?, Arc::new(input.get()?))),
        false => None,
    };
    Ok(AcceptorTurn { stage, set_turn_sent, read_ack, agree_ack, write_ack, fired_at: None })
}

fn put_lead(out: &mut Writer, lead: &Lead) {
    out.count(lead.set_turns.len());
    for (slot, signature) in &lead.set_turns {
        out.put(slot);
        out.put(signature);
    }
    match &lead.read {
        None => out.u8(0),
        Some((core, pol)) => {
            out.u8(1);
            out.put(core);
            out.put(&**pol);
        }
    }
    match &lead.agree {
        None => out.u8(0),
        Some(step) => {
            out.u8(1);
            out.put(&step.core);
            put_arc(out, &step.reads);
            out.put(&*step.cert);
        }
    }
    match &lead.write {
        None => out.u8(0),
        Some((core, cert)) => {
            out.u8(1);
            out.put(core);
            out.put(&**cert);
        }
    }
    match &lead.show {
        None => out.u8(0),
        Some((core, acks, pol)) => {
            out.u8(1);
            out.put(core);
            out.put(&**acks);
            out.put(&**pol);
        }
    }
    out.count(lead.convs.len());
    for conv in &lead.convs {
        out.u8(conv.sent);
        out.u8(conv.acked);
    }
    out.put(&lead.told);
}

fn get_lead(input: &mut Reader<'_>) -> Result<Lead, DecodeError> {
    let mut set_turns = BTreeMap::new();
    for _ in 0..input.count("set-turns", MEMBERS_MAX)? {
        let slot: Slot = input.get()?;
        set_turns.insert(slot, input.get::<Signature>()?);
    }
    let mut lead = Lead::new(1, 0);
    lead.set_turns = set_turns;
    if get_bool(input)? {
        lead.read = Some((input.get()?, Arc::new(input.get()?)));
    }
    if get_bool(input)? {
        let core = input.get()?;
        let reads = get_arc(input)?;
        lead.agree = Some(AgreeStep { core, reads, cert: Arc::new(input.get()?) });
    }
    if get_bool(input)? {
        lead.write = Some((input.get()?, Arc::new(input.get()?)));
    }
    if get_bool(input)? {
        lead.show = Some((input.get()?, Arc::new(input.get()?), Arc::new(input.get()?)));
    }
    for _ in 0..input.count("cursors", MEMBERS_MAX)? {
        lead.convs.push(Conv { sent: input.u8()?, acked: input.u8()? });
    }
    lead.told = input.get()?;
    Ok(lead)
}
