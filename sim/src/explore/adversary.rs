//! The faulty member's moves: a finite menu that contains every effect on honest members.
//!
//! The adversary hears at once what is said to it, and what it sends arrives at once or never; both
//! only add to what it can do, as it may wait as long as it likes. Menu, for each honest member at
//! any moment and independently of the others, or never:
//!
//! - as sender: either of two values, the WRITE of a certified one, each outcome that some q of the
//!   collected write-acks show;
//! - as leader: READ, the AGREE of each value that some q of the read-acks (its own lies among them)
//!   force, the WRITE of each certified one, each outcome that some q write-acks show;
//! - as acceptor: set-turns before their time, every answer to a READ (nothing, or a certified
//!   value), agree-acks, write-acks with every max-pol that it can prove, stale ones too;
//! - a decision that it learned, as CATCHUP to anybody and as report to the sender.
//!
//! Not in the menu, because it changes nothing that honest members look at: another set of signers
//! for the same proof, a message that its addressee's stage refuses. What is sent early would be
//! parked and taken in when its stage comes; the menu then offers it at that moment.

use super::known::Known;
use super::name::{NULL, VALUE_A, VALUE_B};
use super::setting::{INSTANCE, NODES};
use super::system::{PostId, System};
use bart_rsm::Proposal;
use bart_rsm::message::*;
use std::collections::BTreeMap;
use std::sync::Arc;
use types::{Encode, Epoch, Hash, Size, Slot, Stamp, Turn};

/// The order of the group's clocks does not matter; a value needs some stamp.
const STAMP: Stamp = Stamp(1_767_225_600_000);

/// A message that may be given to its addressee.
#[derive(Debug, Clone, Copy)]
pub struct Offer {
    /// The message.
    pub post: PostId,
    /// The stage of the addressee's turn at which it is of use; none: any.
    pub stage: Option<(u32, u8)>,
}

/// The faulty member.
pub struct Adversary {
    me: Slot,
    values: Vec<(Hash, Arc<Value>)>,
    /// READs, AGREEs and WRITEs that were made once, by digest: another one for the same value would
    /// only split the answers.
    made: BTreeMap<Hash, Message>,
    menus: BTreeMap<Vec<PostId>, Arc<Vec<Offer>>>,
}

impl Adversary {
    /// The faulty member of a system, if it has one.
    pub fn new(system: &mut System) -> Option<Self> {
        let me = system.setting.faulty.slot()?;
        let mut adversary =
            Self { me, values: Vec::new(), made: BTreeMap::new(), menus: BTreeMap::new() };
        if me == system.setting.leader(0) {
            let known = Known::new(system, me, &[]);
            for (name, stamp) in [(VALUE_A, STAMP), (VALUE_B, Stamp(STAMP.0 + 1))] {
                let body: Arc<[u8]> = Proposal::plain(NODES, stamp, vec![]).to_bytes().into();
                let stated = ValueStatement { body: Hash::of(&body), len: Size(body.len() as u64) };
                let group = system.roster.group();
                let digest = value_digest(group, Epoch(0), INSTANCE, me, &stated);
                let statement = known.sign(0, stated);
                system.names.give(digest, name);
                adversary.values.push((digest, Arc::new(Value { statement, body })));
            }
        }
        Some(adversary)
    }

    /// What can be offered after these messages were heard.
    pub fn menu(&mut self, system: &mut System, inbox: &[PostId]) -> Arc<Vec<Offer>> {
        if let Some(menu) = self.menus.get(inbox) {
            return Arc::clone(menu);
        }
        let known = Known::new(system, self.me, inbox);
        let mut offers = Vec::new();
        let turns = system.setting.turns;
        for turn in 0..turns {
            if system.setting.leader(turn) == self.me {
                self.lead(system, &known, turn, &mut offers);
            } else if self.me != system.setting.leader(0) {
                self.set_turn(system, &known, turn, &mut offers);
            }
        }
        if self.me != system.setting.leader(0) {
            self.answer(system, &known, &mut offers);
        }
        self.tell(system, &known, &mut offers);
        let menu = Arc::new(offers);
        self.menus.insert(inbox.to_vec(), Arc::clone(&menu));
        menu
    }

    fn offer(
        &self,
        system: &mut System,
        offers: &mut Vec<Offer>,
        to: Slot,
        stage: Option<(u32, u8)>,
        message: Message,
    ) {
        let post = system.put(self.me, to, message);
        offers.extend(post.map(|post| Offer { post, stage }));
    }

    fn acceptors(&self, system: &System) -> Vec<Slot> {
        let sender = system.setting.leader(0);
        system.setting.honest().filter(|slot| *slot != sender).collect()
    }

    /// Steps of a turn of ours.
    fn lead(&mut self, system: &mut System, known: &Known, turn: u32, offers: &mut Vec<Offer>) {
        let acceptors = self.acceptors(system);
        let (first, agrees) = match turn {
            0 => (None, self.first_agrees(known)),
            _ => {
                let Some(read) = self.read(known, turn) else { return };
                let agrees = self.later_agrees(system, known, turn, &read);
                (Some(read), agrees)
            }
        };
        for to in acceptors {
            if let Some(read) = &first {
                self.offer(system, offers, to, Some((turn, 0)), Message::Read(read.clone()));
            }
            for agree in &agrees {
                let message = match agree {
                    // The pad is for one addressee.
                    Message::AgreeLater(m) => {
                        let (kind, total) = (types::Kind::Agree, m.body.block_len());
                        let body = known.pad(kind, turn, to, m.body.body(), total);
                        Message::AgreeLater(AgreeLater { body, ..m.clone() })
                    }
                    other => other.clone(),
                };
                self.offer(system, offers, to, Some((turn, 1)), message);
            }
        }
        for agree in agrees {
            let (value, digest) = match &agree {
                Message::Agree(m) => (m.core.payload.value, m.core.digest()),
                Message::AgreeLater(m) => (m.core.payload.value, m.core.digest()),
                _ => continue,
            };
            if let Some(write) = self.write(system, known, turn, value, digest) {
                self.show(system, known, turn, &write, offers);
            }
        }
    }

    fn first_agrees(&mut self, known: &Known) -> Vec<Message> {
        let values = self.values.iter().map(|(digest, value)| {
            let payload = AgreeStatement { value: *digest, reads: Hash::ZERO };
            Message::Agree(Agree { core: known.sign(0, payload), value: Arc::clone(value) })
        });
        values.collect()
    }

    /// The READ of a turn: the one that somebody answered, or a new one.
    fn read(&mut self, known: &Known, turn: u32) -> Option<Read> {
        let answered = known.read_acks.keys().filter(|(at, _)| *at == turn);
        for (_, digest) in answered {
            if let Some(Message::Read(read)) = self.made.get(digest) {
                return Some(read.clone());
            }
        }
        let pol = known.own_pol(turn)?;
        let read = Read { core: known.sign(turn, ReadStatement { pol: pol.digest() }), pol };
        self.made.insert(read.core.digest(), Message::Read(read.clone()));
        Some(read)
    }

    /// One AGREE for each value that some quorum of answers forces.
    fn later_agrees(
        &mut self,
        system: &System,
        known: &Known,
        turn: u32,
        read: &Read,
    ) -> Vec<Message> {
        let mut found: BTreeMap<Hash, Message> = BTreeMap::new();
        for ((at, digest), acks) in &known.agree_acks {
            if *at == turn
                && let (Some(made), Some((value, _))) =
                    (self.made.get(digest), acks.values().next())
            {
                found.insert(*value, made.clone());
            }
        }
        let digest = read.core.digest();
        let Some(answers) = known.read_acks.get(&(turn, digest)) else { return Vec::new() };
        let v_max = crate::group::V_MAX;
        let mut lies: Vec<Option<ReadAck>> =
            known.own_reads(turn, digest, v_max, self.me).into_iter().map(Some).collect();
        lies.push(None);
        let q = system.vector();
        for own in &lies {
            let all: Vec<&ReadAck> = answers.values().chain(own).collect();
            for chosen in subsets(&all, q) {
                let message = self.agree(system, known, turn, digest, &chosen);
                if let Message::AgreeLater(m) = &message {
                    found.entry(m.core.payload.value).or_insert(message);
                }
            }
        }
        for message in found.values() {
            if let Message::AgreeLater(m) = message {
                self.made.entry(m.core.digest()).or_insert_with(|| message.clone());
            }
        }
        found.into_values().collect()
    }

    fn agree(
        &self,
        system: &System,
        known: &Known,
        turn: u32,
        read: Hash,
        chosen: &[&ReadAck],
    ) -> Message {
        let entry = |ack: &ReadAck| {
            let said = ack.core.payload;
            let (val_turn, value, cert) = (said.val_turn, said.value, said.cert);
            (
                ack.core.header.slot,
                ReadEntry { val_turn, value, cert, signature: ack.core.signature },
            )
        };
        let reads = ReadQuorum { read, signers: Signers::new(chosen.iter().map(|ack| entry(ack))) };
        let accepted = chosen.iter().filter(|ack| ack.core.payload.val_turn != TURN_NONE);
        // The last signer of the latest turn, as honest members choose.
        let best = accepted.max_by_key(|ack| (ack.core.payload.val_turn, ack.core.header.slot));
        let null = null_digest(system.roster.group(), Epoch(0), INSTANCE, system.setting.leader(0));
        let blank = Arc::new(AgreeCert::blank(system.vector()));
        let (value, cert, statement, body) = match best {
            Some(ack) => {
                let (cert, body) = (Arc::clone(&ack.cert), ack.body.body().to_vec());
                (ack.core.payload.value, cert, ack.statement.clone(), body)
            }
            None => (null, blank, None, vec![]),
        };
        let core = known.sign(turn, AgreeStatement { value, reads: reads.digest() });
        let v_max = crate::group::V_MAX;
        let body = known.pad(types::Kind::Agree, turn, self.me, &body, v_max);
        Message::AgreeLater(AgreeLater { core, reads: Arc::new(reads), cert, statement, body })
    }

    /// The WRITE of a value that a quorum agreed to: the one that somebody answered, or a new one.
    fn write(
        &mut self,
        system: &System,
        known: &Known,
        turn: u32,
        value: Hash,
        agree: Hash,
    ) -> Option<Write> {
        for (at, digest) in known.write_acks.keys() {
            if *at == turn
                && let Some(Message::Write(write)) = self.made.get(digest)
                && write.core.payload.agree == agree
            {
                return Some(write.clone());
            }
        }
        let q = system.vector();
        let acks = known.agree_acks.get(&(turn, agree))?;
        let own = known.sign(turn, AgreeAckStatement { value, agree }).signature;
        let own = (turn > 0).then_some((self.me, own));
        let all = own.into_iter().chain(acks.iter().map(|(slot, (_, sign))| (*slot, *sign)));
        let signers: Vec<_> = all.take(q).collect();
        if signers.len() < q {
            return None;
        }
        let cert = AgreeCert { turn: Turn(turn), value, agree, signers: Signers::new(signers) };
        let payload = WriteStatement { value, agree, cert: cert.digest() };
        let write = Write { core: known.sign(turn, payload), cert: Arc::new(cert) };
        self.made.insert(write.core.digest(), Message::Write(write.clone()));
        Some(write)
    }

    /// The WRITE itself, and each outcome that a quorum of its answers shows.
    fn show(
        &mut self,
        system: &mut System,
        known: &Known,
        turn: u32,
        write: &Write,
        offers: &mut Vec<Offer>,
    ) {
        let q = system.vector();
        let (value, digest) = (write.core.payload.value, write.core.digest());
        let none = BTreeMap::new();
        let answers = known.write_acks.get(&(turn, digest)).unwrap_or(&none);
        let own = if turn > 0 { known.own_writes(turn, value, digest) } else { Vec::new() };
        let own: Vec<Option<WriteAck>> = own.into_iter().map(Some).chain([None]).collect();
        let mut shows: BTreeMap<Turn, ShowQuorum> = BTreeMap::new();
        for own in &own {
            let all: Vec<&WriteAck> = answers.values().chain(own).collect();
            for chosen in subsets(&all, q) {
                let entry = |ack: &WriteAck| {
                    let (said, signature) = (ack.core.payload, ack.core.signature);
                    let (max_turn, max_pol) = (said.max_turn, said.max_pol);
                    (ack.core.header.slot, WriteEntry { max_turn, max_pol, signature })
                };
                let signers = Signers::new(chosen.iter().map(|ack| entry(ack)));
                let acks = WriteQuorum { write: digest, signers };
                let latest = acks.max_turn();
                let proof = chosen.iter().find(|ack| ack.max_pol.turn == latest);
                let pol = match proof {
                    Some(ack) if latest > Turn(turn) => Arc::clone(&ack.max_pol),
                    _ => Arc::new(Pol::null(q)),
                };
                let payload = ShowQuorumStatement { value, acks: acks.digest() };
                shows.entry(latest).or_insert_with(|| ShowQuorum {
                    core: known.sign(turn, payload),
                    acks: Arc::new(acks),
                    pol,
                });
            }
        }
        for to in self.acceptors(system) {
            self.offer(system, offers, to, Some((turn, 2)), Message::Write(write.clone()));
            for show in shows.values() {
                self.offer(system, offers, to, Some((turn, 3)), Message::ShowQuorum(show.clone()));
            }
        }
        let decided = shows.get(&Turn(turn)).and_then(|m| m.acks.decision(Turn(turn), value));
        if let Some(cert) = decided {
            self.catchup(system, known, &Arc::new(cert), offers);
        }
    }

    fn set_turn(&self, system: &mut System, known: &Known, turn: u32, offers: &mut Vec<Offer>) {
        let leader = system.setting.leader(turn);
        if turn > 0 {
            let core = known.sign(turn, SetTurnStatement {});
            self.offer(system, offers, leader, None, Message::SetTurn(SetTurn { core }));
        }
    }

    /// Answers to the steps of honest senders and leaders.
    fn answer(&self, system: &mut System, known: &Known, offers: &mut Vec<Offer>) {
        let v_max = crate::group::V_MAX;
        for (from, step) in &known.steps {
            let turn = step.turn().0;
            let answers: Vec<Message> = match step {
                Message::Read(m) => {
                    let acks = known.own_reads(turn, m.core.digest(), v_max, *from);
                    acks.into_iter().map(Message::ReadAck).collect()
                }
                Message::Agree(m) => vec![self.agree_ack(known, turn, &m.core)],
                Message::AgreeLater(m) => vec![self.agree_ack(known, turn, &m.core)],
                Message::Write(m) => {
                    let acks = known.own_writes(turn, m.core.payload.value, m.core.digest());
                    acks.into_iter().map(Message::WriteAck).collect()
                }
                _ => Vec::new(),
            };
            for answer in answers {
                self.offer(system, offers, *from, None, answer);
            }
        }
    }

    fn agree_ack(&self, known: &Known, turn: u32, core: &types::Signed<AgreeStatement>) -> Message {
        let said = AgreeAckStatement { value: core.payload.value, agree: core.digest() };
        Message::AgreeAck(AgreeAck { core: known.sign(turn, said) })
    }

    /// The decisions that we know, to anybody.
    fn tell(&self, system: &mut System, known: &Known, offers: &mut Vec<Offer>) {
        let sender = system.setting.leader(0);
        for cert in known.decisions.values() {
            self.catchup(system, known, cert, offers);
            if self.me != sender {
                let said = ReportStatement { value: cert.value, cert: cert.digest() };
                let (core, cert) = (known.sign(0, said), Arc::clone(cert));
                let report = Message::ReportDecision(ReportDecision { core, cert });
                self.offer(system, offers, sender, None, report);
            }
        }
    }

    fn catchup(
        &self,
        system: &mut System,
        known: &Known,
        cert: &Arc<DecisionCert>,
        offers: &mut Vec<Offer>,
    ) {
        let own = self.values.iter().find(|(digest, _)| *digest == cert.value);
        let value = own.map(|(_, value)| value).or(known.values.get(&cert.value)).cloned();
        if value.is_none() && system.names.of(&cert.value) != NULL {
            return;
        }
        for to in system.setting.honest() {
            let (inst, cert, value) = (INSTANCE, Arc::clone(cert), value.clone());
            let catchup = Catchup { epoch: Epoch(0), inst, cert, value };
            self.offer(system, offers, to, None, Message::Catchup(catchup));
        }
    }
}

/// All subsets of `size` items.
fn subsets<'a, T>(all: &[&'a T], size: usize) -> Vec<Vec<&'a T>> {
    let pick = |mask: u32| {
        let chosen = all.iter().enumerate().filter(|(at, _)| mask & (1 << at) != 0);
        chosen.map(|(_, item)| *item).collect::<Vec<_>>()
    };
    (0..1u32 << all.len()).filter(|mask| mask.count_ones() as usize == size).map(pick).collect()
}
