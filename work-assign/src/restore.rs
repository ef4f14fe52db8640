//! From entries to records and back (specification 4.6, 5.7).
//!
//! Assumes: the runner hands back every record that it made durable, and a state that it took after some instance whose
//! records were durable. Guarantee: what is signed in a record is never signed differently.

use crate::core::{Config, Core};
use crate::effect::Step;
use crate::record::{Key, Record, RestoreError};
use crate::role::*;
use crate::signer::Place;
use crate::state::State;
use bart_rsm::Now;
use types::{Decode, Encode, Instance, SecretKey};

impl Core {
    /// A member that goes on after a crash: its records, and the state after some instance that it had applied. The log
    /// is replayed from there. What must be done again (perform, execute, submit) is in the step.
    pub fn restore(
        config: Config,
        key: SecretKey,
        state: State,
        records: impl IntoIterator<Item = Record>,
        now: Now,
    ) -> Result<(Self, Step), RestoreError> {
        let mut core = Self::with_state(config, key, state)?;
        core.now = now;
        core.applied = Instance(0);
        for record in records {
            if let Some(value) = &record.value {
                core.read_record(record.key, value)?;
            }
        }
        // A snapshot is taken after the records of its last instance are durable.
        core.applied = core.applied.max(core.state.next());
        core.resume_target();
        core.resume_requester();
        core.resume_hosted();
        core.relist();
        let step = core.finish();
        Ok((core, step))
    }

    pub(crate) fn write_record(&self, key: Key) -> Option<Vec<u8>> {
        match key {
            Key::Applied => Some(self.applied.to_bytes()),
            Key::Stamp => Some(self.signer.mark().to_bytes()),
            Key::Uptime(peer) => Some(crate::layout::Count(self.uptime.saved(peer)).to_bytes()),
            Key::Answer(request) => self.answers.get(&request).map(Encode::to_bytes),
            Key::Serving(aid) => self.serving.get(&aid).map(Encode::to_bytes),
            Key::Watched(aid) => self.watched.get(&aid).map(Encode::to_bytes),
            Key::Asked(aid) => self.asked.get(&aid).map(Encode::to_bytes),
            Key::Vow(root) => self.vows.get(&root).map(Encode::to_bytes),
            Key::Abroad(aid) => self.abroad.get(&aid).map(Encode::to_bytes),
            Key::Courier(aid) => self.couriers.get(&aid).map(Encode::to_bytes),
            Key::Bringing(group, aid) => self.bringing.get(&(group, aid)).map(Encode::to_bytes),
            Key::Hosted(place) => self.hosted.get(&place).map(Encode::to_bytes),
        }
    }

    fn read_record(&mut self, key: Key, bytes: &[u8]) -> Result<(), RestoreError> {
        fn read<T: Decode>(key: Key, bytes: &[u8]) -> Result<T, RestoreError> {
            T::from_bytes(bytes).map_err(|error| RestoreError::Damaged(key, error))
        }
        match key {
            Key::Applied => self.applied = read(key, bytes)?,
            Key::Stamp => self.signer.restore_mark(read(key, bytes)?),
            Key::Uptime(peer) => {
                self.uptime.restore(peer, read::<crate::layout::Count>(key, bytes)?.0);
            }
            Key::Answer(request) => {
                let answered: Answered = read(key, bytes)?;
                self.signer.remember(&answered.core, Place::Of(request));
                self.answers.insert(request, answered);
            }
            Key::Serving(aid) => drop(self.serving.insert(aid, read(key, bytes)?)),
            Key::Watched(aid) => {
                let entry: Watched = read(key, bytes)?;
                let place = Place::At(aid);
                entry.ack.iter().for_each(|said| self.signer.remember(said, place));
                entry.word.iter().for_each(|said| self.signer.remember(said, place));
                entry.denial.iter().for_each(|said| self.signer.remember(said, place));
                self.watched.insert(aid, entry);
            }
            Key::Asked(aid) => drop(self.asked.insert(aid, read(key, bytes)?)),
            Key::Vow(root) => drop(self.vows.insert(root, read(key, bytes)?)),
            Key::Abroad(aid) => {
                let entry: Abroad = read(key, bytes)?;
                let place = Place::At(aid);
                entry.share.iter().for_each(|said| self.signer.remember(said, place));
                entry.word.iter().for_each(|said| self.signer.remember(said, place));
                entry.denial.iter().for_each(|said| self.signer.remember(said, place));
                self.abroad.insert(aid, entry);
            }
            Key::Courier(aid) => drop(self.couriers.insert(aid, read(key, bytes)?)),
            Key::Bringing(group, aid) => {
                drop(self.bringing.insert((group, aid), read(key, bytes)?));
            }
            Key::Hosted(place) => {
                let entry: Hosted = read(key, bytes)?;
                let at = Place::At(place);
                entry.share.iter().for_each(|said| self.signer.remember(said, at));
                self.hosted.insert(place, entry);
            }
        }
        Ok(())
    }

    /// Lists anew whom the records list.
    fn relist(&mut self) {
        for duty in self.listed_duties() {
            self.accuse(duty);
        }
    }
}
