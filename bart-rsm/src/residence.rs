//! Which instances are in memory, and how a member comes back after a restart (specification 4.5, 4.6).
//!
//! Guarantees: an instance that leaves memory is durable as it was; one that comes back signs
//! nothing anew that it had signed. Bounds: the last [`KEEP`] instances, plus those in which a
//! connected peer discharges duties or catches up ([`LOADS_MAX`] loads at a time).

use crate::config::{Config, ConfigError};
use crate::core::Core;
use crate::duties::BULK_WINDOW;
use crate::effect::{Alarm, Effect};
use crate::inst::{Conv, Inst, ReadVote};
use crate::peer::Peer;
use crate::record::{LogRecord, Record, RecordKey, inst_record, read_body, read_epoch, read_inst};
use crate::resume::CATCHUP_AHEAD;
use crate::untimely::Marks;
use crate::{read, write};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use types::{Hash, Instance, SecretKey, Slot, Stamp};

/// Instances always in memory.
pub(crate) const KEEP: u64 = 64;
/// Decided instances that are handed to `Apply` again after a restart, at least, if there are so many.
pub const REPLAYED: u64 = KEEP;
/// Instances being loaded.
pub(crate) const LOADS_MAX: usize = 64;

/// An instance on its way into memory.
#[derive(Debug, Clone, Default)]
pub(crate) struct Load {
    inst: Option<Inst>,
    missing: BTreeSet<Hash>,
}

/// Why the durable records cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// The configuration is refused.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A record does not decode.
    #[error("the durable record {0:?} is damaged; restore the disk or activate the next identity")]
    Damaged(RecordKey),
    /// Records of a whole log are missing.
    #[error("the durable record {0:?} is missing; restore the disk or activate the next identity")]
    Missing(RecordKey),
}

impl Core {
    /// A member after a restart, from everything it persisted, in any order.
    pub fn restore(
        config: Config,
        key: SecretKey,
        records: impl IntoIterator<Item = Record>,
    ) -> Result<Self, RestoreError> {
        let mut core = Self::new(config, key)?;
        let (mut insts, mut bodies) = (BTreeMap::new(), BTreeMap::new());
        let (mut log, mut epochs) = (None, BTreeMap::new());
        for record in records {
            match record.key {
                RecordKey::Log => log = Some(record.value),
                RecordKey::Epoch(first) => {
                    epochs.insert(first, record.value);
                }
                RecordKey::Instance(no) => {
                    insts.insert(no, record.value);
                    while insts.len() as u64 > KEEP + core.config.params.pipeline {
                        insts.pop_first();
                    }
                    let lowest = insts.keys().next().copied().unwrap_or_default();
                    while insts.len() as u64 > KEEP
                        && bodies.first_key_value().is_some_and(|((no, _), _)| *no < lowest)
                    {
                        bodies.pop_first();
                    }
                }
                RecordKey::Body(no, digest) => {
                    let lowest = insts.keys().next().copied().unwrap_or_default();
                    if no >= lowest || insts.len() as u64 <= KEEP {
                        bodies.insert((no, digest), record.value);
                    }
                }
            }
        }
        core.restore_log(log, epochs)?;
        // A crash may have left records that were being erased.
        for (no, value) in insts.split_off(&core.floor) {
            core.restore_instance(no, &value, &mut bodies)?;
        }
        core.find_current()?;
        Ok(core)
    }

    /// The state of the log, and the epochs that follow from it. One that a crash left ahead of the
    /// log is dropped: its cause will be applied again.
    fn restore_log(
        &mut self,
        log: Option<Vec<u8>>,
        epochs: BTreeMap<Instance, Vec<u8>>,
    ) -> Result<(), RestoreError> {
        let damaged = RestoreError::Damaged(RecordKey::Log);
        if let Some(value) = log {
            let log = LogRecord::read(&value).map_err(|_| damaged.clone())?;
            self.floor = log.floor;
            let slots = log.log.slots();
            self.marks = Marks::restored(log.marks, slots).ok_or(damaged.clone())?;
            self.durable_marks = self.marks.clone();
            self.checkpoint.last = log.checkpoint;
            self.durable_log = log.log.clone();
            self.log = log.log;
            self.peers.resize_with(log.closed.len().max(self.peers.len()), || {
                Peer::new(self.config.params.gamma_ms)
            });
            for (peer, closed) in self.peers.iter_mut().zip(log.closed) {
                peer.closed = closed;
            }
        }
        for (first, value) in epochs {
            let key = RecordKey::Epoch(first);
            let epoch = read_epoch(&value).map_err(|_| RestoreError::Damaged(key))?;
            if epoch.cause.is_none_or(|cause| cause >= self.log.next) {
                continue;
            }
            if epoch.first != first || !self.schedule.restore(epoch) {
                return Err(RestoreError::Damaged(key));
            }
        }
        self.verifier.follow(&self.schedule);
        let slots = self.schedule.newest().roster.slots();
        if self.log.slots() != slots || self.peers.len() < slots {
            return Err(damaged);
        }
        Ok(())
    }

    fn restore_instance(
        &mut self,
        no: Instance,
        value: &[u8],
        bodies: &mut BTreeMap<(Instance, Hash), Vec<u8>>,
    ) -> Result<(), RestoreError> {
        let damaged = RestoreError::Damaged(RecordKey::Instance(no));
        let sender = self.schedule.sender(no);
        let (mut inst, needs) = read_inst(no, sender, value).map_err(|_| damaged)?;
        for digest in needs {
            let key = RecordKey::Body(no, digest);
            let value = bodies.remove(&(no, digest)).ok_or(RestoreError::Missing(key))?;
            let value = read_body(&value).map_err(|_| RestoreError::Damaged(key))?;
            inst.values.insert(digest, Arc::new(value));
        }
        self.place_in(inst);
        Ok(())
    }

    /// Folds decisions that the log's record does not know yet, and checks that none is missing.
    fn find_current(&mut self) -> Result<(), RestoreError> {
        // A crash may leave the log's record behind the instances', whose last ones were kept above.
        let full = self.insts.len() as u64 > KEEP;
        let lowest = self.insts.keys().next().filter(|_| full).map_or(0, |no| no.0);
        let first = self.log.next.0.saturating_sub(KEEP).max(lowest);
        for no in first..self.log.next.0 {
            if !self.insts.get(&Instance(no)).is_some_and(Inst::is_decided) {
                return Err(RestoreError::Missing(RecordKey::Instance(Instance(no))));
            }
        }
        while let Some(inst) = self.insts.get(&self.log.next) {
            if !inst.is_decided() {
                break;
            }
            let (no, sender, proposal) = (inst.no, inst.sender, inst.decided_proposal());
            self.fold(sender, proposal.as_ref());
            if let Some(proposal) = &proposal {
                self.execute_orders(no, sender, proposal);
                self.place_anew();
            }
            if let Some(inst) = self.insts.get_mut(&no) {
                inst.tau = self.log.tau;
            }
            self.save.insert(no);
        }
        self.current = self.log.next;
        let behind = Instance(self.current.0.saturating_add(self.config.params.pipeline));
        match self.insts.range(behind..).next() {
            Some((no, _)) => {
                Err(RestoreError::Missing(RecordKey::Instance(no.back(1).unwrap_or_default())))
            }
            None => Ok(()),
        }
    }

    /// Instances that were entered in an epoch whose cause the log's record did not hold yet were read back
    /// with the senders of the one before.
    fn place_anew(&mut self) {
        let first = self.schedule.newest().first;
        for (no, inst) in self.insts.range_mut(first..) {
            inst.sender = self.schedule.sender(*no);
        }
    }

    /// Applies again what the application may have missed.
    pub(crate) fn replay(&mut self) {
        let mut seen = Vec::new();
        for (no, inst) in self.insts.range(..self.current) {
            let proposal = inst.decided_proposal().map(Arc::new);
            let (sender, tau) = (inst.sender, inst.tau);
            self.out.push(Effect::Apply { inst: *no, sender, proposal, tau });
            seen.push((*no, tau));
        }
        // Before the first one that is still here it is either 0, or the layer is further already.
        let mut before = Stamp(0);
        for (no, tau) in seen {
            self.tell_layer(no, before);
            before = tau;
        }
    }

    /// Takes the signed statements of an instance back into the log of signatures.
    fn remember(&mut self, inst: &Inst) {
        for value in inst.values.values().filter(|value| value.statement.header.slot == self.me) {
            self.signer.remember(&value.statement);
        }
        for turn in inst.turns.values() {
            if let Some((core, _)) = &turn.read_ack {
                self.signer.remember(core);
            }
            if let Some(core) = &turn.agree_ack {
                self.signer.remember(core);
            }
            if let Some((core, _)) = &turn.write_ack {
                self.signer.remember(core);
            }
        }
        for lead in inst.leads.values() {
            if let Some((core, _)) = &lead.read {
                self.signer.remember(core);
            }
            if let Some(step) = &lead.agree {
                self.signer.remember(&step.core);
            }
            if let Some((core, _)) = &lead.write {
                self.signer.remember(core);
            }
            if let Some((core, ..)) = &lead.show {
                self.signer.remember(core);
            }
        }
    }

    /// Puts our own votes back into the turns that we lead: peers can be asked again for theirs,
    /// but nobody else holds ours (pitfall 1).
    fn recast(&self, inst: &mut Inst) {
        if !self.config.rules.leader_counts_itself() {
            return;
        }
        for (turn, lead) in &mut inst.leads {
            let Some(state) = inst.turns.get(turn) else { continue };
            match (lead.formed(), &state.read_ack, &state.agree_ack, &state.write_ack) {
                (1, Some((core, cert)), ..) => {
                    let value = inst.values.get(&core.payload.value).cloned();
                    let (entry, cert) = (read::entry_of(core), Arc::clone(cert));
                    lead.reads_in.insert(self.me, ReadVote { entry, cert, value });
                }
                (2, _, Some(core), _) => {
                    lead.agree_acks.insert(self.me, core.signature);
                }
                (3, .., Some((core, pol))) => {
                    let entry = write::entry_of(&core.payload, core.signature);
                    lead.write_acks.insert(self.me, (entry, Arc::clone(pol)));
                }
                _ => {}
            }
        }
    }

    /// Whether asking for an instance would start a load.
    pub(crate) fn may_load(&self, no: Instance) -> bool {
        let held = self.insts.contains_key(&no) || self.loads.contains_key(&no);
        (self.floor..self.current).contains(&no) && !held && self.loads.len() < LOADS_MAX
    }

    /// Loads an instance that left memory.
    pub(crate) fn want(&mut self, no: Instance) {
        if self.may_load(no) {
            self.loads.insert(no, Load::default());
            self.load_record(RecordKey::Instance(no));
        }
    }

    /// Loads what a connected peer may discharge now.
    pub(crate) fn want_window(&mut self, peer: Slot) {
        let Some(state) = self.peer_ref(peer) else { return };
        let closed = state.closed;
        for no in state.reopened.clone() {
            self.want(no);
        }
        if self.insts.contains_key(&closed) && closed.0.saturating_add(KEEP) > self.current.0 {
            return;
        }
        for no in closed.0..self.current.0.min(closed.0.saturating_add(BULK_WINDOW)) {
            self.want(Instance(no));
        }
    }

    pub(crate) fn on_loaded(&mut self, record: Record) {
        let no = match record.key {
            RecordKey::Log | RecordKey::Epoch(_) => return,
            RecordKey::Instance(no) | RecordKey::Body(no, _) => no,
        };
        let Some(mut load) = self.loads.remove(&no) else { return };
        match record.key {
            RecordKey::Body(_, digest) if load.missing.contains(&digest) => {
                let (Ok(value), Some(inst)) = (read_body(&record.value), load.inst.as_mut()) else {
                    return self.alarm(Alarm::RecordLost(no));
                };
                inst.values.insert(digest, Arc::new(value));
                load.missing.remove(&digest);
            }
            RecordKey::Instance(_) if load.inst.is_none() => {
                let Ok((inst, needs)) = read_inst(no, self.schedule.sender(no), &record.value)
                else {
                    return self.alarm(Alarm::RecordLost(no));
                };
                for digest in &needs {
                    self.load_record(RecordKey::Body(no, *digest));
                }
                load.inst = Some(inst);
                load.missing = needs;
            }
            _ => {}
        }
        match load.inst {
            Some(inst) if load.missing.is_empty() => self.settle_in(inst),
            inst => {
                self.loads.insert(no, Load { inst, ..load });
            }
        }
    }

    pub(crate) fn on_load_missing(&mut self, key: RecordKey) {
        if let RecordKey::Instance(no) | RecordKey::Body(no, _) = key
            && self.loads.remove(&no).is_some()
        {
            self.alarm(Alarm::RecordLost(no));
        }
    }

    /// Takes an instance from its record into memory.
    fn place_in(&mut self, mut inst: Inst) {
        let (no, before) = (inst.no, inst_record(&inst));
        self.remember(&inst);
        inst.learn_fines();
        self.recast(&mut inst);
        self.mark_closed(&mut inst);
        // The marks may fall later; what they settled must then be in the record.
        if inst_record(&inst) != before {
            self.unsaved.insert(no);
        }
        self.insts.insert(no, inst);
    }

    /// An instance is back in memory: peers that closed it are done with, the others go on.
    fn settle_in(&mut self, inst: Inst) {
        let no = inst.no;
        self.place_in(inst);
        for peer in self.others() {
            if self.peer_ref(peer).is_some_and(|state| state.is_open(no)) {
                self.reset_last_steps(peer, no);
                self.dirty_peers.insert(peer);
            }
            self.serve_catchup(peer);
            self.serve_closed(peer);
        }
        self.dirty_insts.insert(no);
    }

    /// The record's cursors may be older than what we know about peers: with those that closed the
    /// instance nothing is outstanding, the others are asked again.
    fn mark_closed(&self, inst: &mut Inst) {
        let no = inst.no;
        for lead in inst.leads.values_mut() {
            lead.ask_again();
        }
        for peer in self.others() {
            if self.peer_ref(peer).is_none_or(|state| state.is_open(no)) {
                continue;
            }
            inst.reports.insert(peer);
            inst.report_sent |= inst.sender == peer;
            if inst.owes_penance(peer) {
                inst.penance_from.insert(peer);
            }
            if inst.owes_penance(self.me) {
                inst.penance_paid_to.insert(peer);
            }
            for (turn, state) in &mut inst.turns {
                // A turn that stopped between READ and WRITE_ACK was never finished: it stays open.
                let finished = state.write_ack.is_some() || state.read_ack.is_none();
                if self.schedule.leader(no, *turn) == peer && finished {
                    state.stage = 4;
                    state.set_turn_sent = true;
                }
            }
            for lead in inst.leads.values_mut() {
                if lead.set_turns.contains_key(&peer) {
                    lead.told.insert(peer);
                }
                let formed = lead.formed();
                if let Some(conv) = lead.convs.get_mut(usize::from(peer.0)) {
                    let last = formed.max(conv.sent);
                    *conv = Conv { sent: last, acked: last };
                }
            }
        }
    }

    /// Whether a connected peer still needs an old instance in memory.
    fn is_pinned(&self, no: Instance) -> bool {
        self.others().into_iter().any(|slot| {
            let Some(peer) = self.peer_ref(slot).filter(|peer| peer.up) else { return false };
            let window = peer.closed <= no && no.0 < peer.closed.0.saturating_add(BULK_WINDOW);
            let served = peer
                .serve
                .is_some_and(|(next, _)| next <= no && no.0 < next.0.saturating_add(CATCHUP_AHEAD));
            window || served || peer.reopened.contains(&no)
        })
    }

    /// Lets old instances go that nobody needs now.
    pub(crate) fn evict(&mut self) {
        let Some(last) = self.current.back(KEEP) else { return };
        let old: Vec<Instance> = self.insts.range(..last).map(|(no, _)| *no).collect();
        for no in old {
            if self.is_pinned(no) || self.save.contains(&no) {
                continue;
            }
            if let Some(inst) = self.insts.remove(&no)
                && self.unsaved.remove(&no)
            {
                self.out.push(Effect::Persist(inst_record(&inst)));
            }
            self.signer.release(no);
        }
    }
}
