//! What the rational member signed in a run, and whether it convicts it.
//!
//! Guarantees: a run counts as proven only if [`bart_rsm::pom::verify`] says so; what is
//! looked for is what the strategies of `rows` can be convicted of: TR4, TR5, TR6, TR7, TR11.

use bart_rsm::message::*;
use bart_rsm::pom::{self, Evidence, NamedAgree, Pair, Pom, PomKind};
use bart_rsm::{Accusation, Proposal};
use std::collections::BTreeMap;
use types::{Decode as _, Hash, Roster, Signed, Slot};

/// Signed statements of one member, and what it was asked to acknowledge.
#[derive(Debug, Default)]
pub struct Said {
    agree_acks: BTreeMap<(u64, u32), Vec<Signed<AgreeAckStatement>>>,
    write_acks: BTreeMap<(u64, u32), Vec<Signed<WriteAckStatement>>>,
    read_acks: BTreeMap<(u64, u32), Vec<Signed<ReadAckStatement>>>,
    values: BTreeMap<u64, Value>,
    /// AGREEs that hostile members sent it, by digest.
    asked: BTreeMap<Hash, Signed<AgreeStatement>>,
}

fn insert<T: PartialEq + Clone>(all: &mut BTreeMap<(u64, u32), Vec<Signed<T>>>, core: &Signed<T>) {
    let said = all.entry((core.header.inst.0, core.header.turn.0)).or_default();
    if said.iter().all(|known| known.payload != core.payload) {
        said.push(core.clone());
    }
}

impl Said {
    /// The member says something.
    pub fn keep(&mut self, message: &Message) {
        match message {
            Message::AgreeAck(m) => insert(&mut self.agree_acks, &m.core),
            Message::WriteAck(m) => insert(&mut self.write_acks, &m.core),
            Message::ReadAck(m) => insert(&mut self.read_acks, &m.core),
            Message::Agree(m) => {
                self.values.entry(message.inst().0).or_insert_with(|| (*m.value).clone());
            }
            _ => {}
        }
    }

    /// Somebody who may set traps asks it to acknowledge something.
    pub fn keep_bait(&mut self, message: &Message) {
        if let Message::Agree(m) = message {
            self.asked.insert(m.core.digest(), m.core.clone());
        }
    }

    /// A proof against the member, if there is one.
    pub fn convict(&self, roster: &Roster) -> Option<PomKind> {
        let verifies = |evidence: &Evidence| {
            let pom = Pom::new(roster.group(), evidence.clone());
            pom::verify(&pom, roster).is_ok()
        };
        let found = self.candidates().into_iter().find(verifies)?;
        Some(found.kind())
    }

    fn candidates(&self) -> Vec<Evidence> {
        let mut found = Vec::new();
        for said in self.agree_acks.values() {
            if let [one, other, ..] = &said[..] {
                found.push(Evidence::DoubleAgreeAck(Pair::new(one.clone(), other.clone())));
            }
            for ack in said {
                if let Some(core) = self.asked.get(&ack.payload.agree) {
                    let agree = NamedAgree::First { core: core.clone(), value: None };
                    found.push(Evidence::LazyAck { ack: ack.clone(), agree });
                }
            }
        }
        for ((inst, turn), said) in &self.write_acks {
            if let [one, other, ..] = &said[..] {
                found.push(Evidence::DoubleWriteAck(Pair::new(one.clone(), other.clone())));
            }
            let later = (*inst, turn + 1)..(inst + 1, 0);
            for read in self.read_acks.range(later).flat_map(|(_, read)| read) {
                for write in said {
                    let (write, read) = (write.clone(), read.clone());
                    found.push(Evidence::StaleMaxPol { write, read });
                }
            }
        }
        self.false_lists(&mut found);
        found
    }

    /// Listings of what the member had declared closed.
    fn false_lists(&self, found: &mut Vec<Evidence>) {
        let values: Vec<(&Value, Proposal)> = self
            .values
            .values()
            .filter_map(|value| Some((value, Proposal::from_bytes(&value.body).ok()?)))
            .collect();
        for (listing, later) in &values {
            for (slot, entry) in later.accuse.iter().enumerate() {
                if *entry == Accusation::default() {
                    continue;
                }
                let target = Slot(slot as u16);
                let closed = |earlier: &Proposal| {
                    earlier.stamp < later.stamp
                        && earlier.closed_upto > entry.inst
                        && earlier.accuse.get(slot) == Some(&Accusation::default())
                };
                if let Some((closing, _)) = values.iter().find(|(_, earlier)| closed(earlier)) {
                    let (listing, closing) = ((*listing).clone(), (*closing).clone());
                    found.push(Evidence::FalseList { listing, closing, target });
                }
            }
        }
    }
}
