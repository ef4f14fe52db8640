//! One run: rounds of storing, reading, renewing and withdrawing among members of which `f` lie.

use super::lies::Liar;
use super::member::{APART_MS, Fate, Member, RULES, group, secrets, statement};
use super::table::Table;
use super::{EXHAUSTIVE_EVERY, Setting, innocence};
use crate::rng::{Random, Stream};
use bytes::Bytes;
use pib::owner::contradiction;
use pib::{
    Applied, Candidate, ChunkRef, Errand, Evidence, EvidenceKind, ObjectKey, ObjectKind, Outcome,
    Part, Pom, PutPlan, Standing, Statement, StoreInfo, Target, check_retrieve, check_store,
};
use std::collections::{BTreeMap, BTreeSet};
use types::{Decode as _, Encode as _, Hash, Ident, Mode, Roster, Signed, Slot, Unverified};

/// Rounds of a run; together they outlast several leases.
pub const ROUNDS: u64 = 20;
/// A round takes at most this part of a lease, so that what is due at half of it is not too late.
const ROUNDS_IN_LEASE: u64 = 8;
/// Objects that one owner keeps at a time.
const OBJECTS_MAX: usize = 2;
/// Longest object; small ones are cheap and exercise the same rules.
const OBJECT_LEN_MAX: u64 = 4000;
/// How often a member that dies while it renews tries again in a round. It is back at once, so only one that dies
/// each time lets a lease lapse.
const RENEWALS_MAX: usize = 100;

/// What an owner stored, as it should come back.
struct Content {
    bytes: Vec<u8>,
    /// All storers have receipted it at one time.
    stored: bool,
}

struct Group {
    setting: Setting,
    roster: Roster,
    members: Vec<Member>,
    liars: BTreeMap<Slot, Liar>,
    /// In runs with one too many: storers that answer nothing any more.
    silent: bool,
    elapsed_ms: u64,
    rng: Random,
    evil: Random,
    weather: Random,
    contents: BTreeMap<(Slot, ObjectKey), Content>,
    said: BTreeMap<Slot, BTreeSet<Vec<u8>>>,
    next: u64,
    table: Table,
}

/// Plays a seed.
pub fn play(setting: &Setting, seed: u64) -> Table {
    let played = Group::new(setting, seed).and_then(|mut group| {
        group.rounds()?;
        group.finish(seed)
    });
    let mut table = played.unwrap_or_else(|error| Table {
        violations: vec![format!("the run itself failed: {error}")],
        ..Table::default()
    });
    table.seeds = u64::from(!setting.one_too_many);
    for violation in &mut table.violations {
        *violation = format!(
            "seed {seed}: {violation}\n  sim guarantees --nodes {} --from {seed} --seeds 1",
            setting.nodes
        );
    }
    table
}

impl Group {
    fn new(setting: &Setting, seed: u64) -> Result<Self, String> {
        let mut rng = Random::new(seed, Stream::Plan);
        let slots: Vec<Slot> = (0..setting.nodes as u16).map(Slot).collect();
        let (mut roster, mut members) = (Vec::new(), Vec::new());
        for slot in &slots {
            let key = secrets(*slot).identity(Ident(0)).map_err(|error| error.to_string())?;
            roster.push(types::Member {
                identities: vec![key.public()],
                active: Ident(0),
                standing: types::Standing::Live,
            });
            members.push(Member::new(setting, *slot, rng.between(0, APART_MS))?);
        }
        let f = types::Quorum::largest_f(setting.nodes);
        let roster = Roster::new(group(), types::Epoch(0), f, Mode::QuasiSync, roster)
            .map_err(|error| error.to_string())?;
        let bad = setting.faulty + usize::from(setting.one_too_many);
        let mut liars = BTreeMap::new();
        for slot in rng.sample(&slots, bad) {
            liars.insert(slot, Liar::new(slot)?);
            members[usize::from(slot.0)].crashes = false;
        }
        Ok(Self {
            setting: *setting,
            roster,
            members,
            liars,
            silent: false,
            elapsed_ms: 0,
            rng,
            evil: Random::new(seed, Stream::Adversary),
            weather: Random::new(seed, Stream::Disk),
            contents: BTreeMap::new(),
            said: BTreeMap::new(),
            next: 0,
            table: Table::default(),
        })
    }

    fn member(&mut self, slot: Slot) -> &mut Member {
        &mut self.members[usize::from(slot.0)]
    }

    fn honest(&self) -> Vec<Slot> {
        let all = (0..self.setting.nodes as u16).map(Slot);
        all.filter(|slot| !self.liars.contains_key(slot)).collect()
    }

    fn rounds(&mut self) -> Result<(), String> {
        for _ in 0..ROUNDS {
            self.elapsed_ms += self.rng.between(1, RULES.lease_ms / ROUNDS_IN_LEASE);
            for owner in self.honest() {
                self.round(owner)?;
            }
            for liar in self.liars.keys().copied().collect::<Vec<_>>() {
                self.attack(liar)?;
            }
        }
        Ok(())
    }

    fn finish(&mut self, seed: u64) -> Result<Table, String> {
        let stored = self.contents.iter().filter(|(_, content)| content.stored);
        for (owner, key) in stored.map(|(at, _)| *at).collect::<Vec<_>>() {
            self.read(owner, key)?;
        }
        if self.setting.one_too_many {
            self.show_that_one_is_too_many()?;
        }
        let every = seed.is_multiple_of(EXHAUSTIVE_EVERY);
        for slot in self.honest() {
            let said = self.said.remove(&slot).unwrap_or_default();
            let said: Result<Vec<_>, _> =
                said.iter().map(|bytes| Statement::from_bytes(bytes)).collect();
            let said = said.map_err(|error| error.to_string())?;
            let (tuples, proven) = innocence::judge(&self.roster, slot, &said, every);
            self.table.signed += said.len() as u64;
            self.table.tuples += tuples;
            let proven = proven.into_iter().map(|words| format!("(ii) honest {words}"));
            self.table.violations.extend(proven);
        }
        self.table.crashes = self.members.iter().map(|member| member.died).sum();
        Ok(std::mem::take(&mut self.table))
    }

    /// With all of the liars silent from now on, nothing that they share can be read.
    fn show_that_one_is_too_many(&mut self) -> Result<(), String> {
        self.silent = true;
        let stored: Vec<_> =
            self.contents.iter().filter(|(_, c)| c.stored).map(|(at, _)| *at).collect();
        for (owner, key) in stored {
            match self.fetch(owner, key)? {
                None => {}
                Some(Err(_)) => self.table.too_many += 1,
                Some(Ok(_)) => self
                    .table
                    .violations
                    .push(format!("(i) {key} of {owner} came back with too many bad storers")),
            }
        }
        Ok(())
    }

    /// What an honest member does in a round. After a crash it goes on in the next one.
    fn round(&mut self, owner: Slot) -> Result<(), String> {
        let elapsed = self.elapsed_ms;
        let at = usize::from(owner.0);
        self.members[at].expire(elapsed, &mut self.weather)?;
        let now = self.members[at].now(elapsed);
        let records = self.members[at].owner.expire(now).map_err(|error| error.to_string())?;
        if self.members[at].commit(records, &mut self.weather)? == Fate::Died {
            return Ok(());
        }
        for _ in 0..RENEWALS_MAX {
            if self.renew(owner)? == Fate::Lives {
                break;
            }
        }
        if self.withdraw(owner)? == Fate::Died {
            return Ok(());
        }
        let incomplete: Vec<_> = self.members[at].owner.incomplete().map(|info| info.key).collect();
        for key in incomplete {
            if self.put(owner, key)? == Fate::Died {
                return Ok(());
            }
        }
        let mine: Vec<ObjectKey> = self.keys_of(owner);
        if mine.len() < OBJECTS_MAX && self.rng.once_in(2) {
            self.next += 1;
            let key = ObjectKey { kind: ObjectKind::Pack, id: Hash::of(&self.next.to_le_bytes()) };
            let len = self.rng.between(1, OBJECT_LEN_MAX) as usize;
            let content = Content { bytes: self.rng.bytes(len), stored: false };
            self.contents.insert((owner, key), content);
            return self.put(owner, key).map(|_| ());
        }
        let Some(key) = self.rng.pick(&mine) else { return Ok(()) };
        match self.rng.once_in(6) {
            true => self.forget(owner, key),
            false => self.read(owner, key),
        }
    }

    fn keys_of(&self, owner: Slot) -> Vec<ObjectKey> {
        self.contents.keys().filter(|(slot, _)| *slot == owner).map(|(_, key)| *key).collect()
    }

    fn forget(&mut self, owner: Slot, key: ObjectKey) -> Result<(), String> {
        let elapsed = self.elapsed_ms;
        let member = &mut self.members[usize::from(owner.0)];
        let now = member.now(elapsed);
        match member.owner.remove(now, &key) {
            Ok(records) => {
                // Gone or not: a member that died here may still have it, and owes nobody anything for it.
                member.commit(records, &mut self.weather)?;
                self.contents.remove(&(owner, key));
                Ok(())
            }
            Err(pib::Error::UnknownObject(_)) => {
                self.contents.remove(&(owner, key));
                Ok(())
            }
            Err(error) => Err(error.to_string()),
        }
    }

    fn candidates(&self, owner: Slot) -> Vec<Candidate> {
        let all = (0..self.setting.nodes as u16).map(Slot).filter(|slot| *slot != owner);
        let quota_left_hint = RULES.contribution_bytes;
        all.map(|slot| Candidate { slot, quota_left_hint, reachable: true }).collect()
    }

    /// Stores an object, or goes on storing it. What does not fit anywhere stays incomplete.
    fn put(&mut self, owner: Slot, key: ObjectKey) -> Result<Fate, String> {
        let Some(content) = self.contents.get(&(owner, key)) else { return Ok(Fate::Lives) };
        let bytes = content.bytes.clone();
        let (candidates, elapsed) = (self.candidates(owner), self.elapsed_ms);
        let member = self.member(owner);
        let now = member.now(elapsed);
        let plan = member.owner.plan_put(now, key, bytes.len() as u64, &candidates);
        let Some(mut plan) = enough(plan)? else { return Ok(Fate::Lives) };
        let maker = member.owner.maker_for(plan.x(), plan.f).map_err(|error| error.to_string())?;
        let chunks = maker.chunks(key, plan.stamp, &bytes).map_err(|error| error.to_string())?;
        for _ in 0..self.setting.nodes {
            let member = &mut self.members[usize::from(owner.0)];
            let Some(step) = enough(member.owner.requests(now, &plan, &chunks))? else {
                return Ok(Fate::Lives);
            };
            if member.commit(step.records, &mut self.weather)? == Fate::Died {
                return Ok(Fate::Died);
            }
            let Some(failed) = self.deliver_all(owner, &step.errands)? else {
                return Ok(Fate::Died);
            };
            if failed.is_empty() {
                return Ok(Fate::Lives);
            }
            for index in failed {
                match self.replace(owner, &mut plan, index, &candidates)? {
                    Some(Fate::Lives) => {}
                    Some(Fate::Died) => return Ok(Fate::Died),
                    None => return Ok(Fate::Lives),
                }
            }
        }
        Ok(Fate::Lives)
    }

    fn replace(
        &mut self,
        owner: Slot,
        plan: &mut PutPlan,
        index: usize,
        candidates: &[Candidate],
    ) -> Result<Option<Fate>, String> {
        let elapsed = self.elapsed_ms;
        let member = &mut self.members[usize::from(owner.0)];
        let now = member.now(elapsed);
        match enough(member.owner.replace(now, plan, index, candidates))? {
            Some(records) => member.commit(records, &mut self.weather).map(Some),
            None => Ok(None),
        }
    }

    /// The chunks that were not taken; nothing if the owner died meanwhile.
    fn deliver_all(
        &mut self,
        owner: Slot,
        errands: &[Errand],
    ) -> Result<Option<Vec<usize>>, String> {
        let mut failed = Vec::new();
        for errand in errands {
            let applied = self.deliver(owner, errand)?;
            let Some(applied) = applied else { return Ok(None) };
            match (applied, errand.target) {
                (Applied::Held { stored }, Target::Chunk(id)) => {
                    let content = self.contents.get_mut(&(owner, id.object));
                    if let Some(content) = content.filter(|content| stored && !content.stored) {
                        content.stored = true;
                        self.table.stored += 1;
                    }
                }
                (_, Target::Chunk(id)) => failed.push(usize::from(id.index)),
                (_, Target::Withdrawal) => {}
            }
        }
        Ok(Some(failed))
    }

    /// One request to one storer, and what the owner makes of its answer.
    fn deliver(&mut self, owner: Slot, errand: &Errand) -> Result<Option<Applied>, String> {
        self.note(owner, Some(Statement::Info((*errand.info).clone())));
        let (elapsed, at) = (self.elapsed_ms, usize::from(errand.to.0));
        let storer = &mut self.members[at];
        let honest = storer.store(elapsed, owner, &errand.info, &errand.body, &mut self.weather)?;
        let mut provable = None;
        let answer = match self.liars.get_mut(&errand.to) {
            None => honest,
            Some(liar) => {
                let now = storer.now(elapsed);
                let lie = liar.about_storing(&errand.info, now, honest, &mut self.evil);
                self.table.lies += 1;
                provable = lie.provable;
                lie.said
            }
        };
        self.note(errand.to, answer.as_ref().and_then(statement));
        let now = self.members[usize::from(owner.0)].now(elapsed);
        let outcome = match answer {
            None => Outcome::NoAnswer(pib::Fault::Unavailable(pib::Unavailable::Busy)),
            Some(response) => {
                self.liars.values_mut().for_each(|liar| liar.hear(&response));
                check_store(&RULES, &self.roster, now, &errand.info, response)
            }
        };
        let member = &mut self.members[usize::from(owner.0)];
        let step = member.owner.apply(errand, outcome).map_err(|error| error.to_string())?;
        let evidence = match &step.applied {
            Applied::Evidence(evidence) => Some((**evidence).clone()),
            Applied::Contradiction { record, later } => {
                member.record(record).and_then(|earlier| contradiction(earlier, later))
            }
            _ => None,
        };
        let fate = member.commit(step.records, &mut self.weather)?;
        self.convict(errand.to, evidence, provable);
        Ok(Some(step.applied).filter(|_| fate == Fate::Lives))
    }

    /// What was found must convict a liar before anybody, and a provable lie must be found.
    fn convict(&mut self, storer: Slot, evidence: Option<Evidence>, due: Option<EvidenceKind>) {
        let found = evidence.as_ref().map(|evidence| evidence.kind);
        if due.is_some() && found != due {
            let text = format!("a lie of {storer} that proves {due:?} was taken for {found:?}");
            self.table.violations.push(text);
        }
        let Some(evidence) = evidence else { return };
        let (kind, accused) = (evidence.kind, evidence.accused);
        if !self.liars.contains_key(&accused) {
            self.table.violations.push(format!("(ii) honest {accused} is accused of {kind}"));
        }
        match pib::pom::verify(&Pom::new(group(), evidence), &self.roster, &RULES) {
            Ok(_) => *self.table.convictions.entry(kind).or_default() += 1,
            Err(error) => {
                let text = format!("what convicts {accused} of {kind} convinces nobody: {error}");
                self.table.violations.push(text);
            }
        }
    }

    /// Keeps what an honest member signed and let out.
    fn note(&mut self, slot: Slot, said: Option<Statement>) {
        if let Some(said) = said
            && !self.liars.contains_key(&slot)
        {
            self.said.entry(slot).or_default().insert(said.to_bytes());
        }
    }

    fn renew(&mut self, owner: Slot) -> Result<Fate, String> {
        let elapsed = self.elapsed_ms;
        let member = &mut self.members[usize::from(owner.0)];
        let now = member.now(elapsed);
        let step = member.owner.due_renewals(now, None, usize::MAX);
        let step = step.map_err(|error| error.to_string())?;
        if member.commit(step.records, &mut self.weather)? == Fate::Died {
            return Ok(Fate::Died);
        }
        let answered = self.deliver_all(owner, &step.errands)?;
        Ok(answered.map_or(Fate::Died, |_| Fate::Lives))
    }

    fn withdraw(&mut self, owner: Slot) -> Result<Fate, String> {
        for storer in (0..self.setting.nodes as u16).map(Slot) {
            let errands = self.member(owner).owner.withdrawals(storer, None, usize::MAX);
            if self.deliver_all(owner, &errands)?.is_none() {
                return Ok(Fate::Died);
            }
        }
        Ok(Fate::Lives)
    }

    /// Guarantee (i).
    fn read(&mut self, owner: Slot, key: ObjectKey) -> Result<(), String> {
        let Some(content) = self.contents.get(&(owner, key)) else { return Ok(()) };
        let (stored, bytes) = (content.stored, content.bytes.clone());
        let Some(result) = self.fetch(owner, key)? else { return Ok(()) };
        self.table.reads += u64::from(stored);
        let wrong = match result {
            Ok(found) if found == bytes => None,
            Ok(_) => Some("came back with other bytes".to_owned()),
            Err(error) if stored && !self.setting.one_too_many => Some(format!("is lost: {error}")),
            Err(_) => None,
        };
        let wrong = wrong.map(|wrong| format!("(i) {key} of {owner} {wrong}"));
        self.table.violations.extend(wrong);
        Ok(())
    }

    /// Asks for every chunk; nothing if the owner died meanwhile.
    fn fetch(
        &mut self,
        owner: Slot,
        key: ObjectKey,
    ) -> Result<Option<Result<Vec<u8>, String>>, String> {
        let Some(set) = self.member(owner).owner.lookup(&key) else {
            return Ok(Some(Err("it is not in the list".into())));
        };
        let mut bodies = vec![None; set.chunks.len()];
        for (chunk, body) in set.chunks.iter().zip(&mut bodies) {
            if chunk.standing == Standing::Held {
                let Some(got) = self.fetch_chunk(owner, chunk)? else { return Ok(None) };
                *body = got;
            }
        }
        let owner = &self.member(owner).owner;
        let maker = owner.maker_for(bodies.len(), set.f).map_err(|error| error.to_string())?;
        Ok(Some(maker.object(set.len, &bodies).map_err(|error| error.to_string())))
    }

    fn fetch_chunk(
        &mut self,
        owner: Slot,
        chunk: &ChunkRef,
    ) -> Result<Option<Option<Bytes>>, String> {
        let (elapsed, at) = (self.elapsed_ms, usize::from(owner.0));
        let Some(receipt) = self.members[at].receipt(chunk.chunk) else {
            return Err(format!("the receipt of {:?} is not on disk", chunk.chunk));
        };
        let member = &mut self.members[at];
        let now = member.now(elapsed);
        let fetch = member.owner.retrieve_request(now, chunk.chunk, &receipt, Part::Whole);
        let fetch = fetch.map_err(|error| error.to_string())?;
        if member.commit(fetch.records, &mut self.weather)? == Fate::Died {
            return Ok(None);
        }
        let storer = &mut self.members[usize::from(chunk.slot.0)];
        // One that dies is back at once, and is asked the same again.
        let mut honest = None;
        while honest.is_none() {
            honest = storer.retrieve(elapsed, owner, &fetch.request, &mut self.weather)?;
        }
        let mut provable = None;
        let answer = match self.liars.get_mut(&chunk.slot) {
            None => honest,
            Some(_) if self.silent => None,
            Some(liar) => {
                let theirs = storer.now(elapsed);
                let lie = liar.about_returning(&fetch.receipt, theirs, honest, &mut self.evil);
                self.table.lies += 1;
                provable = lie.provable;
                lie.said
            }
        };
        self.note(chunk.slot, answer.as_ref().and_then(|(response, _)| statement(response)));
        let Some((response, body)) = answer else { return Ok(Some(None)) };
        self.liars.values_mut().for_each(|liar| liar.hear(&response));
        let part = Part::Whole;
        let outcome =
            check_retrieve(&RULES, &self.roster, now, &fetch.receipt, part, response, body);
        match outcome {
            Outcome::Good(body) => Ok(Some(Some(body))),
            Outcome::Evidence(evidence) => {
                self.convict(chunk.slot, Some(*evidence), provable);
                self.give_up(owner, chunk)
            }
            Outcome::Refused(_) | Outcome::NoAnswer(_) => {
                self.convict(chunk.slot, None, provable);
                Ok(Some(None))
            }
        }
    }

    /// A chunk whose storer lied is placed again, sometimes.
    fn give_up(&mut self, owner: Slot, chunk: &ChunkRef) -> Result<Option<Option<Bytes>>, String> {
        if self.setting.one_too_many || !self.rng.once_in(2) {
            return Ok(Some(None));
        }
        let elapsed = self.elapsed_ms;
        let member = &mut self.members[usize::from(owner.0)];
        let now = member.now(elapsed);
        let records = member.owner.give_up_chunk(now, chunk.chunk, chunk.slot);
        let records = records.map_err(|error| error.to_string())?.unwrap_or_default();
        let fate = member.commit(records, &mut self.weather)?;
        Ok(Some(None).filter(|_| fate == Fate::Lives))
    }

    /// A liar as an owner: what it asks must not make an honest storer say what convicts it.
    fn attack(&mut self, liar: Slot) -> Result<(), String> {
        let victims = self.honest();
        let Some(victim) = self.evil.pick(&victims) else { return Ok(()) };
        let elapsed = self.elapsed_ms;
        let now = self.members[usize::from(liar.0)].now(elapsed);
        let Some(author) = self.liars.get_mut(&liar) else { return Ok(()) };
        let (info, body) = author.request(victim, now, &mut self.evil);
        self.table.lies += 1;
        // What does not decode does not reach the storer's core.
        let Ok(info) = Unverified::<Signed<StoreInfo>>::from_bytes(&info.to_bytes()) else {
            return Ok(());
        };
        let Ok(info) = info.verify_outside_log(&self.roster) else {
            return Err("a liar's own signature does not verify".into());
        };
        let storer = &mut self.members[usize::from(victim.0)];
        let answer = storer.store(elapsed, liar, &info, &body, &mut self.weather)?;
        self.note(victim, answer.as_ref().and_then(statement));
        if let Some(response) = answer {
            self.liars.values_mut().for_each(|liar| liar.hear(&response));
        }
        Ok(())
    }
}

/// What an owner cannot do for lack of room or members is no error of the run.
fn enough<T>(result: Result<T, pib::Error>) -> Result<Option<T>, String> {
    match result {
        Ok(done) => Ok(Some(done)),
        Err(pib::Error::NotEnoughMembers { .. } | pib::Error::QuotaFull { .. }) => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}
