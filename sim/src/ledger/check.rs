//! What must hold at every step, told by what leaves the honest members. No code of the ledger's is used to judge but
//! its form of objects.

use ledger::broadcast::quorum::Message as Quorum;
use ledger::member::Effect;
use ledger::pom::{self, Pom};
use ledger::{Account, Committee, Ledger, Message, Order, Place, Seq, Transfer};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use types::{Decode, Hash, Roster, Slot};

/// Delivered transfers of one account that may wait in a ledger.
const WAITING_MAX: usize = 16;

/// Something that must not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which checker.
    pub check: &'static str,
    /// What it saw.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.check, self.what)
    }
}

/// All checkers of a run.
#[derive(Debug)]
pub(super) struct Checks {
    honest: BTreeSet<Slot>,
    roster: Roster,
    committee: Committee,
    /// What an honest member signed for a place, as a witness and as an owner.
    echoes: BTreeMap<(Slot, Place), Hash>,
    orders: BTreeMap<(Slot, Place), Hash>,
    /// What applied at a place, at any honest member.
    applied: BTreeMap<Place, Hash>,
    /// How far each honest member's reports went, by account.
    reached: BTreeMap<(Slot, Account), Seq>,
    pub convicted: BTreeSet<Slot>,
    pub found: Vec<Violation>,
}

/// Violations that are kept of one run.
const FOUND_MAX: usize = 20;

impl Checks {
    pub fn new(honest: BTreeSet<Slot>, roster: Roster, committee: Committee) -> Self {
        Self {
            honest,
            roster,
            committee,
            echoes: BTreeMap::new(),
            orders: BTreeMap::new(),
            applied: BTreeMap::new(),
            reached: BTreeMap::new(),
            convicted: BTreeSet::new(),
            found: Vec::new(),
        }
    }

    pub fn violation(&mut self, check: &'static str, what: String) {
        if self.found.len() < FOUND_MAX {
            self.found.push(Violation { check, what });
        }
    }

    /// Something left an honest member.
    pub fn effect(&mut self, slot: Slot, effect: &Effect) {
        match effect {
            Effect::Send { message, .. } => self.sent(slot, message),
            Effect::Applied(transfer) => self.applied(slot, transfer),
            Effect::Adopted(checkpoint) => {
                for (account, (_, seq, _)) in &checkpoint.accounts {
                    let reached = self.reached.entry((slot, *account)).or_default();
                    *reached = (*reached).max(*seq);
                }
            }
            Effect::Evidence(evidence) => {
                for pom in Pom::of(&self.committee, evidence) {
                    self.proof(slot, &pom);
                }
            }
            Effect::Fault(fault) if self.honest.contains(&fault.peer) => {
                self.violation("blame", format!("{slot} blames {}: {}", fault.peer, fault.what));
            }
            Effect::Alarm(refused) => self.violation("alarm", format!("{slot}: {refused}")),
            Effect::Refused(refused) => self.violation("log", format!("{slot}: {refused}")),
            Effect::Fault(_) | Effect::Persist(_) | Effect::Settled(_) => {}
        }
    }

    /// Innocence: an honest member signs one echo and one order for a place, whatever crashes.
    fn sent(&mut self, slot: Slot, message: &Message) {
        let Message::Broadcast(message) = message else { return };
        let (signed, place, digest) = match message {
            Quorum::Echo(echo) => (&mut self.echoes, echo.payload.place, echo.payload.digest),
            Quorum::Init { place, payload } => match Order::from_bytes(payload) {
                Ok(Order::Own(order)) if order.header.slot == slot => {
                    (&mut self.orders, *place, order.payload.digest())
                }
                _ => return,
            },
            _ => return,
        };
        if *signed.entry((slot, place)).or_insert(digest) != digest {
            self.violation("innocence", format!("{slot} signed two statements for {place}"));
        }
    }

    /// No double spend: one transfer a place, at all honest members and across restarts; and source order.
    fn applied(&mut self, slot: Slot, transfer: &Transfer) {
        let (place, digest) = (transfer.place, transfer.digest());
        if *self.applied.entry(place).or_insert(digest) != digest {
            self.violation("double spend", format!("two transfers applied at {place}"));
        }
        let reached = self.reached.get(&(slot, place.account)).copied().unwrap_or_default();
        // Reports may be lost in a crash, never repeated or turned around.
        if place.seq <= reached {
            self.violation("order", format!("{slot} applied {place} after {reached:?}"));
        }
        self.reached.insert((slot, place.account), place.seq);
    }

    fn proof(&mut self, by: Slot, pom: &Pom) {
        match pom::verify(pom, &self.roster) {
            Ok(found) if self.honest.contains(&found.accused) => {
                self.violation("proof", format!("{by} proves {} of {}", found.kind, found.accused));
            }
            Ok(found) => drop(self.convicted.insert(found.accused)),
            Err(error) => {
                self.violation("proof", format!("{by} holds a proof of nothing: {error}"))
            }
        }
    }

    /// Conservation at every prefix, and bounds.
    pub fn state(&mut self, slot: Slot, ledger: &Ledger, supply: u64) {
        let sum: u128 = ledger.balances().map(|(_, balance)| u128::from(balance.0)).sum();
        if sum != u128::from(supply) {
            self.violation(
                "conservation",
                format!("{slot}: balances sum to {sum}, made were {supply}"),
            );
        }
        let mut waiting: BTreeMap<Account, usize> = BTreeMap::new();
        for transfer in ledger.waiting() {
            *waiting.entry(transfer.place.account).or_default() += 1;
        }
        if let Some((account, count)) = waiting.into_iter().find(|(_, count)| *count > WAITING_MAX)
        {
            self.violation("bound", format!("{slot}: {count} transfers of {account} wait"));
        }
    }
}
