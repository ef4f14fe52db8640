//! What faulty members do. They share a board: everything that one of them learns, all use.
//!
//! | what | against |
//! | --- | --- |
//! | two orders for one place, each shown to a part of the group, echoed twice by all faulty ones | no double spend |
//! | a certificate that is handed to some only | agreement |
//! | overspending, a payee that is not open, a dependency that never comes, a number too high | isolation, bounds |
//! | zero, to oneself, sums beyond 64 bits, another's account, another's key | form and signatures |
//! | anything heard, again, to anybody | integrity |
//! | echoes for nothing and for two payloads; certificates of too few, or of one repeated | certificates |
//! | statuses of every kind, requests for parts, parts of invented checkpoints | rates, fetching |
//!
//! Bounds: each faulty member makes a limited number of moves, so that a run ends.

use crate::rng::Random;
use ledger::broadcast::Payload;
use ledger::broadcast::quorum::{Certified, EchoStatement, Message as Quorum};
use ledger::fetch;
use ledger::{Account, Amount, Committee, Message, Order, Payment, Place, Seal, Seq, Transfer};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use types::{Hash, Kind, SecretKey, Signed, Slot};

/// Messages that are remembered, to be sent again.
const HEARD_MAX: usize = 48;
/// An account that is never opened.
const NOWHERE: Account = Account(9_999);

/// A message on its way from a faulty member.
pub(super) type Sent = (Slot, Slot, Message);

/// All faulty members.
#[derive(Debug)]
pub(super) struct Adversary {
    committee: Arc<Committee>,
    keys: BTreeMap<Slot, SecretKey>,
    members: u16,
    /// For each order of a faulty owner: the payload, and who echoed it.
    board: BTreeMap<(Place, Hash), (Payload, BTreeMap<Slot, Seal>)>,
    certified: BTreeSet<(Place, Hash)>,
    heard: Vec<Message>,
    next: BTreeMap<Account, u64>,
}

impl Adversary {
    pub fn new(committee: Arc<Committee>, keys: BTreeMap<Slot, SecretKey>) -> Self {
        let members = committee.n() as u16;
        let (board, certified) = (BTreeMap::new(), BTreeSet::new());
        let (heard, next) = (Vec::new(), BTreeMap::new());
        Self { committee, keys, members, board, certified, heard, next }
    }

    fn honest(&self) -> Vec<Slot> {
        (0..self.members).map(Slot).filter(|slot| !self.keys.contains_key(slot)).collect()
    }

    fn place(&self, me: Slot, skip: u64) -> Place {
        let account = Account(me.0.into());
        Place { account, seq: Seq(self.next.get(&account).copied().unwrap_or(1) + skip) }
    }

    fn order(&self, me: Slot, place: Place, to: Account, amount: u64, deps: Vec<Place>) -> Order {
        let payments = vec![Payment { to, amount: Amount(amount) }];
        let transfer = Transfer { place, payments, base: 0, deps, about: Hash::ZERO };
        Order::sign(&self.committee, &self.keys[&me], me, transfer)
    }

    /// Shows an order to some; every faulty member has echoed it already.
    fn show(&mut self, me: Slot, order: &Order, to: &[Slot], out: &mut Vec<Sent>) {
        let place = order.transfer().place;
        let digest = order.transfer().digest();
        let payload = order.payload();
        let statement = EchoStatement { place, digest };
        let seals: BTreeMap<Slot, Seal> = self
            .keys
            .iter()
            .map(|(slot, key)| (*slot, self.committee.seal(key, *slot, &statement)))
            .collect();
        self.board.entry((place, digest)).or_insert((payload.clone(), seals));
        for to in to {
            let init = Quorum::Init { place, payload: payload.clone() };
            out.push((me, *to, Message::Broadcast(init)));
        }
    }

    fn some(&self, dice: &mut Random) -> Vec<Slot> {
        let mut chosen = self.honest();
        chosen.retain(|_| dice.once_in(2));
        chosen
    }

    /// One move of one faulty member.
    pub fn act(&mut self, me: Slot, dice: &mut Random) -> Vec<Sent> {
        let mut out = Vec::new();
        let honest = self.honest();
        let Some(victim) = dice.pick(&honest) else { return out };
        let payee = Account(dice.between(0, u64::from(self.members) - 1) as u32);
        match dice.between(0, 13) {
            0..=2 => self.equivocate(me, dice, &mut out),
            3 => {
                let order = self.order(me, self.place(me, 0), payee, dice.between(1, 20), vec![]);
                self.show(me, &order, &honest, &mut out);
            }
            4 => {
                let much = [150, 100_000, u64::MAX][dice.index(3)];
                let order = self.order(me, self.place(me, 0), payee, much, vec![]);
                self.show(me, &order, &honest, &mut out);
            }
            5 => {
                let order = self.order(me, self.place(me, 0), NOWHERE, 1, vec![]);
                self.show(me, &order, &honest, &mut out);
            }
            6 => {
                let dep =
                    Place { account: Account(victim.0.into()), seq: Seq(dice.between(1, 900)) };
                let order = self.order(me, self.place(me, 0), payee, 1, vec![dep]);
                self.show(me, &order, &honest, &mut out);
            }
            7 => {
                let order = self.order(me, self.place(me, dice.between(1, 40)), payee, 1, vec![]);
                self.show(me, &order, &honest, &mut out);
            }
            8 => self.malformed(me, victim, dice, &mut out),
            9 | 10 => {
                for _ in 0..4 {
                    let to = dice.pick(&honest).unwrap_or(victim);
                    out.extend(dice.pick(&self.heard).map(|message| (me, to, message)));
                }
            }
            11 => self.statuses(me, victim, dice, &mut out),
            12 => self.false_certificate(me, victim, dice, &mut out),
            _ => self.checkpoints(me, victim, dice, &mut out),
        }
        out
    }

    fn equivocate(&mut self, me: Slot, dice: &mut Random, out: &mut Vec<Sent>) {
        let place = self.place(me, 0);
        let honest = self.honest();
        let orders = [1, 2].map(|more| {
            let to = (me.0 + more) % self.members;
            self.order(me, place, Account(to.into()), dice.between(1, 60), vec![])
        });
        let half = self.some(dice);
        let other: Vec<Slot> = match dice.once_in(4) {
            true => honest,
            false => honest.into_iter().filter(|slot| !half.contains(slot)).collect(),
        };
        self.show(me, &orders[0], &half, out);
        self.show(me, &orders[1], &other, out);
    }

    /// Orders that no honest member signs, echoes or applies.
    fn malformed(&mut self, me: Slot, victim: Slot, dice: &mut Random, out: &mut Vec<Sent>) {
        let place = self.place(me, 0);
        let pay = |to: u32, amount| Payment { to: Account(to), amount: Amount(amount) };
        let payments = match dice.between(0, 4) {
            0 => vec![],
            1 => vec![pay(victim.0.into(), 0)],
            2 => vec![pay(me.0.into(), 5)],
            3 => vec![pay(victim.0.into(), u64::MAX), pay(u32::from(victim.0) + 1, 1)],
            _ => vec![pay(victim.0.into(), 1), pay(victim.0.into(), 1)],
        };
        let mut transfer = Transfer { place, payments, base: 0, deps: vec![], about: Hash::ZERO };
        let own = Order::sign(&self.committee, &self.keys[&me], me, transfer.clone());
        transfer.payments = vec![pay(me.0.into(), 50)];
        transfer.place.account = Account(victim.0.into());
        let foreign = Order::sign(&self.committee, &self.keys[&me], me, transfer.clone());
        // In the owner's name, with a key that is not its own.
        let forged = Order::sign(&self.committee, &self.keys[&me], victim, transfer);
        for order in [own, foreign, forged] {
            let (place, payload) = (order.transfer().place, order.payload());
            for to in self.honest() {
                let init = Quorum::Init { place, payload: payload.clone() };
                out.push((me, to, Message::Broadcast(init)));
            }
        }
    }

    fn statuses(&mut self, me: Slot, victim: Slot, dice: &mut Random, out: &mut Vec<Sent>) {
        let place = |account, seq| (Account(account), Seq(seq));
        let seqs = match dice.between(0, 3) {
            0 => vec![],
            1 => (0..u32::from(self.members)).map(|at| place(at, u64::MAX)).collect(),
            2 => vec![place(2, 1), place(1, 1)],
            _ => (0..200).map(|at| place(at, 7)).collect(),
        };
        for _ in 0..dice.between(1, 20) {
            out.push((me, victim, Message::Broadcast(Quorum::Status(seqs.clone()))));
        }
    }

    /// Too few echoes, one twice, others' names on the own signature, or the right ones on another payload.
    fn false_certificate(
        &mut self,
        me: Slot,
        victim: Slot,
        dice: &mut Random,
        out: &mut Vec<Sent>,
    ) {
        let place = self.place(me, 0);
        let order = self.order(me, place, Account(victim.0.into()), 3, vec![]);
        let statement = EchoStatement { place, digest: order.transfer().digest() };
        let own = self.committee.seal(&self.keys[&me], me, &statement);
        let quorum = self.committee.quorum();
        let mut echoes: Vec<Seal> = match dice.between(0, 2) {
            0 => vec![own],
            1 => vec![own; quorum],
            _ => (0..quorum as u16).map(|slot| Seal { slot: Slot(slot), ..own }).collect(),
        };
        if let Some((_, (_, seals))) = self.board.iter().next_back()
            && dice.once_in(3)
        {
            echoes = seals.values().copied().collect();
        }
        let certified = Certified { place, payload: order.payload(), echoes };
        out.push((me, victim, Message::Broadcast(Quorum::Certified(certified))));
    }

    fn checkpoints(&mut self, me: Slot, victim: Slot, dice: &mut Random, out: &mut Vec<Sent>) {
        let number = dice.between(0, 3);
        for part in 0..dice.between(1, 80) as u16 {
            let want = fetch::Message::Want { number, part: part % 3 };
            out.push((me, victim, Message::Checkpoint(want)));
        }
        let (part, parts) = (0, dice.between(0, 2) as u16);
        let bytes = vec![7; dice.between(0, 90) as usize].into();
        out.push((
            me,
            victim,
            Message::Checkpoint(fetch::Message::Part { number, part, parts, bytes }),
        ));
    }

    /// A faulty member hears something.
    pub fn hear(
        &mut self,
        me: Slot,
        from: Slot,
        message: &Message,
        dice: &mut Random,
    ) -> Vec<Sent> {
        let mut out = Vec::new();
        if self.heard.len() < HEARD_MAX {
            self.heard.push(message.clone());
        } else if dice.once_in(4) {
            let at = dice.index(HEARD_MAX);
            self.heard[at] = message.clone();
        }
        match message {
            Message::Broadcast(Quorum::Init { place, payload }) => {
                self.witness(me, from, *place, payload, dice, &mut out);
            }
            Message::Broadcast(Quorum::Echo(echo)) => {
                let EchoStatement { place, digest } = echo.payload;
                let seal = Seal { slot: from, ident: echo.header.ident, signature: echo.signature };
                if let Some((_, seals)) = self.board.get_mut(&(place, digest)) {
                    seals.insert(from, seal);
                }
                self.certify(me, place, digest, dice, &mut out);
            }
            // Silence, nonsense, or a part that never ends.
            Message::Checkpoint(fetch::Message::Want { number, part }) if dice.once_in(2) => {
                let bytes = vec![1; dice.between(0, 200) as usize].into();
                let (number, part, parts) = (*number, *part, dice.between(1, 3) as u16);
                let part = fetch::Message::Part { number, part, parts, bytes };
                out.push((me, from, Message::Checkpoint(part)));
            }
            _ => {}
        }
        out
    }

    /// Answers as a witness: rightly, twice, wrongly, or not at all.
    fn witness(
        &mut self,
        me: Slot,
        from: Slot,
        place: Place,
        payload: &Payload,
        dice: &mut Random,
        out: &mut Vec<Sent>,
    ) {
        let Ok(order) = Order::read(place, payload) else { return };
        let right = order.transfer().digest();
        let wrong = Hash::tagged("another payload", payload);
        let digests = match dice.between(0, 4) {
            0..=1 => vec![right],
            2 => vec![right, wrong],
            3 => vec![wrong, right],
            _ => vec![],
        };
        for digest in digests {
            let statement = EchoStatement { place, digest };
            let header = self.committee.header(Kind::Echo, me);
            let group = self.committee.group();
            let echo = Signed::new(&self.keys[&me], &group, header, statement).into_inner();
            out.push((me, from, Message::Broadcast(Quorum::Echo(echo))));
        }
    }

    /// With a quorum of echoes the certificate is made, and handed to whom it pleases.
    fn certify(
        &mut self,
        me: Slot,
        place: Place,
        digest: Hash,
        dice: &mut Random,
        out: &mut Vec<Sent>,
    ) {
        let quorum = self.committee.quorum();
        let Some((payload, seals)) = self.board.get(&(place, digest)) else { return };
        if seals.len() < quorum || !self.certified.insert((place, digest)) {
            return;
        }
        let echoes = seals.values().take(quorum).copied().collect();
        let certified = Certified { place, payload: payload.clone(), echoes };
        let next = self.next.entry(place.account).or_insert(1);
        *next = (*next).max(place.seq.0 + 1);
        let mut to = if dice.once_in(2) { self.honest() } else { self.some(dice) };
        if to.is_empty() {
            // Kept for later: anybody may be sent it again.
            to.extend(dice.pick(&self.honest()));
        }
        let message = Message::Broadcast(Quorum::Certified(certified));
        self.heard.push(message.clone());
        out.extend(to.into_iter().map(|to| (me, to, message.clone())));
    }
}
