//! What the tests of this crate share: a small group, its keys, and durable records in a map.

use crate::chunk::{ObjectKey, ObjectKind};
use crate::keys::Secrets;
use crate::objects::header;
use crate::owner::{Candidate, Owner, OwnerConfig};
use crate::record::Record;
use crate::rules::Rules;
use crate::storer::{Storer, StorerConfig};
use std::collections::BTreeMap;
use types::{
    Epoch, GroupId, Hash, Ident, Member, Mode, Roster, SecretKey, Signed, SignedPayload, Slot,
    Standing, Verified,
};

/// Lease 1,000,000 ms, skew 50,000 ms, contribution 1 MiB.
pub(crate) const RULES: Rules =
    Rules { lease_ms: 1_000_000, skew_ms: 50_000, contribution_bytes: 1 << 20 };
/// Members of the test group; f = 2.
pub(crate) const MEMBERS: u16 = 8;
/// Where test time starts.
pub(crate) const START: u64 = 1_700_000_000_000;

pub(crate) fn group() -> GroupId {
    GroupId(Hash::of(b"test group"))
}

pub(crate) fn secrets(slot: u16) -> Secrets {
    Secrets::from_master(&[slot as u8 + 1; 32])
}

pub(crate) fn key(slot: u16, ident: u16) -> SecretKey {
    secrets(slot).identity(Ident(ident)).unwrap()
}

/// Every member has two identities; epoch 3, because storage promises outlive epochs.
pub(crate) fn roster() -> Roster {
    let members = (0..MEMBERS).map(|slot| Member {
        identities: vec![key(slot, 0).public(), key(slot, 1).public()],
        active: Ident(0),
        standing: Standing::Live,
    });
    Roster::new(group(), Epoch(3), 2, Mode::QuasiSync, members.collect()).unwrap()
}

pub(crate) fn sign<T: SignedPayload>(slot: u16, payload: T) -> Verified<Signed<T>> {
    Signed::new(&key(slot, 0), &group(), header(Slot(slot), Ident(0)), payload)
}

pub(crate) fn owner_config(slot: u16) -> OwnerConfig {
    OwnerConfig {
        group: group(),
        slot: Slot(slot),
        ident: Ident(0),
        secrets: secrets(slot),
        quota_bytes: 1 << 20,
        x: 5,
        f: 2,
        rules: RULES,
    }
}

pub(crate) fn storer_config(slot: u16) -> StorerConfig {
    StorerConfig {
        group: group(),
        slot: Slot(slot),
        ident: Ident(0),
        key: key(slot, 0),
        rules: RULES,
    }
}

pub(crate) fn pack(id: u8) -> ObjectKey {
    ObjectKey { kind: ObjectKind::Pack, id: Hash::of(&[id]) }
}

/// All members but the owner, reachable and with equal room.
pub(crate) fn candidates() -> Vec<Candidate> {
    let all = (1..MEMBERS).map(|slot| Candidate {
        slot: Slot(slot),
        quota_left_hint: 1 << 20,
        reachable: true,
    });
    all.collect()
}

/// Durable records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Disk(pub BTreeMap<Vec<u8>, Vec<u8>>);

impl Disk {
    pub fn write(&mut self, records: &[Record]) {
        for record in records {
            match &record.value {
                Some(value) => self.0.insert(record.key.clone(), value.clone()),
                None => self.0.remove(&record.key),
            };
        }
    }

    pub fn owner(&self, slot: u16) -> Owner {
        Owner::restore(owner_config(slot), &self.0).unwrap()
    }

    pub fn storer(&self, slot: u16) -> Storer {
        Storer::restore(storer_config(slot), &self.0).unwrap()
    }
}
