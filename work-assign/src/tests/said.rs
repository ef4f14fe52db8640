//! What every run must satisfy, over all signed objects that were sent in it.

use super::world::*;
use crate::pom::{Evidence, Pom, verify};
use crate::statement::*;
use crate::*;
use std::collections::{BTreeMap, BTreeSet};
use types::*;

impl World {
    /// Guarantee 7: every predicate over every tuple of signed objects of the run convicts no honest member, and what
    /// was given out as evidence is read back from its file and convicts.
    pub(super) fn check(&self) {
        for (_, pom) in &self.evidence {
            let again = Pom::from_bytes(&pom.to_bytes()).unwrap();
            assert_eq!(again, *pom);
        }
        for m in 0..self.machines.len() {
            for pom in self.all_proofs(m) {
                let roster = &self.machines[m].roster;
                if let Ok(conviction) = verify(&pom, roster, &self.params) {
                    let accused = (m, conviction.accused.0);
                    assert!(!self.is_honest(accused), "honest {accused:?}: {conviction}");
                }
            }
        }
        for (by, duty) in &self.accused {
            let accused = (by.0, duty.peer.0);
            let both = self.is_honest(*by) && self.is_honest(accused);
            assert!(!both, "honest {by:?} lists honest {accused:?}: {duty:?}");
        }
        for ((m, place), results) in &self.executed {
            let distinct: BTreeSet<_> = results.values().collect();
            assert_eq!(distinct.len(), 1, "machine {m} executes {place:?} alike");
        }
    }

    fn all_proofs(&self, m: usize) -> Vec<Pom> {
        let mut said = Said::default();
        for (_, _, message) in self.sent.iter().filter(|(at, _, _)| at.0 == m) {
            said.take(message);
        }
        let mut found = said.evidence();
        for denials in said.denials.values() {
            let inst = denials[0].header.inst.0 as usize;
            let assigned = self.machines[m].proofs.get(inst).cloned().flatten();
            let roster = &self.machines[m].roster;
            let cert = crate::cert::DenialCert::collect(roster, denials);
            if let Some((assigned, denials)) = assigned.zip(cert) {
                let (assigned, denials) = (Box::new(assigned), Box::new(denials));
                found.push(Evidence::NoEvidence { assigned, denials });
            }
        }
        let own = self.evidence.iter().filter(|(at, _)| at.0 == m);
        let mut poms: Vec<Pom> = own.map(|(_, pom)| pom.clone()).collect();
        // Proposals of everybody beside every account that anybody certified.
        let mut places = BTreeSet::new();
        for (_, pom) in self.evidence.iter().filter(|(at, _)| at.0 == m) {
            let (Evidence::VowBreach { view, cert, .. } | Evidence::OverQuota { view, cert, .. }) =
                &pom.evidence
            else {
                continue;
            };
            if places.len() >= 3 || !places.insert(cert.aid) {
                continue;
            }
            for (_, value) in self.values.iter().filter(|(machine, _)| *machine == m) {
                let (value, view, cert) = (Box::new(value.clone()), view.clone(), cert.clone());
                let quota = Evidence::OverQuota {
                    value: value.clone(),
                    view: view.clone(),
                    cert: cert.clone(),
                };
                found.push(quota);
                found.push(Evidence::VowBreach { value, view, cert });
            }
        }
        poms.extend(found.into_iter().map(|evidence| Pom::new(group(m), evidence)));
        poms
    }
}

/// Every signed object that was sent.
#[derive(Default)]
struct Said {
    cores: BTreeMap<Hash, Vec<Signed<ResponseCore>>>,
    acks: Vec<Signed<WorkAck>>,
    words: Vec<Signed<WitnessStatement>>,
    denials: BTreeMap<Aid, Vec<Signed<NoEvidence>>>,
    shares: Vec<Signed<ResultShare>>,
}

fn add<T: PartialEq>(list: &mut Vec<T>, one: T) {
    if !list.contains(&one) {
        list.push(one);
    }
}

impl Said {
    fn core(&mut self, core: &Signed<ResponseCore>) {
        add(self.cores.entry(core.payload.request).or_default(), core.clone());
    }

    fn take(&mut self, message: &Message) {
        match message {
            Message::Response { core, .. } => self.core(core),
            Message::Ack(ack) => add(&mut self.acks, ack.clone()),
            Message::Witness { word, core, .. } => {
                self.core(core);
                add(&mut self.words, word.clone());
            }
            Message::NoEvidence { word, .. } => {
                add(self.denials.entry(Aid::of(&word.header)).or_default(), word.clone());
            }
            Message::ForeignWitness { word, .. } => add(&mut self.words, word.clone()),
            Message::Share(share) => add(&mut self.shares, share.clone()),
            _ => {}
        }
    }

    fn evidence(&self) -> Vec<Evidence> {
        let mut found = Vec::new();
        for cores in self.cores.values() {
            for (at, one) in cores.iter().enumerate() {
                for other in &cores[at + 1..] {
                    found.push(Evidence::two_answers(one.clone(), other.clone()));
                }
            }
        }
        for denial in self.denials.values().flatten() {
            for ack in self.acks.iter().filter(|ack| ack.header.slot == denial.header.slot) {
                let (denial, ack) = (denial.clone(), ack.clone());
                found.push(Evidence::FalseNoEvidence { denial, ack });
            }
        }
        for word in &self.words {
            for core in self.cores.values().flatten() {
                let (word, answer) = (word.clone(), Box::new(core.clone()));
                found.push(Evidence::BadWitness { word, answer });
            }
        }
        for (at, one) in self.shares.iter().enumerate() {
            for other in &self.shares[at + 1..] {
                found.push(Evidence::two_shares(one.clone(), other.clone()));
            }
        }
        found
    }
}
