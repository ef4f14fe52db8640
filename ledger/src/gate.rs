//! What a broadcast asks about a payload: is it the owner's, and could it apply here.

use crate::broadcast::{Admit, Refused, payload_digest};
use crate::committee::Committee;
use crate::ids::{Account, Place};
use crate::state::{Ledger, Verdict};
use crate::transfer::Order;
use std::sync::Arc;
use types::{Hash, Slot};

/// A ledger, seen from the broadcast beneath it.
#[derive(Debug, Clone)]
pub struct Gate {
    committee: Arc<Committee>,
    /// The accounts.
    pub ledger: Ledger,
}

impl Gate {
    /// In front of a ledger.
    pub fn new(committee: Arc<Committee>, ledger: Ledger) -> Self {
        Self { committee, ledger }
    }

    /// The members.
    pub fn committee(&self) -> &Arc<Committee> {
        &self.committee
    }

    /// Other identities act.
    pub fn renew(&mut self, committee: Arc<Committee>) {
        self.committee = committee;
    }

    fn check(&self, order: &Order) -> Result<(), Refused> {
        let account = order.transfer().place.account;
        let owner = self.ledger.owner(account).ok_or(Refused("the account is not open"))?;
        order.check_signatures(&self.committee, owner)
    }
}

impl Admit for Gate {
    fn admit(&self, place: Place, payload: &[u8]) -> Result<(), Refused> {
        let order = Order::read(place, payload)?;
        if !order.is_current(&self.committee) {
            return Err(Refused("the order is signed by an identity that does not act any more"));
        }
        self.check(&order)
    }

    fn admit_certified(&self, place: Place, payload: &[u8]) -> Result<(), Refused> {
        self.check(&Order::read(place, payload)?)
    }

    fn name(&self, place: Place, payload: &[u8]) -> Hash {
        match Order::read(place, payload) {
            Ok(order) => order.transfer().digest(),
            Err(_) => payload_digest(place, payload),
        }
    }

    fn is_open(&self, account: Account) -> bool {
        self.ledger.owner(account).is_some()
    }

    fn room(&self, place: Place) -> bool {
        self.ledger.room(place)
    }

    fn may_start(&self, place: Place, member: Slot) -> bool {
        self.ledger.owner(place.account).is_some_and(|owner| owner.includes(member))
    }

    fn ready(&self, place: Place, payload: &[u8]) -> bool {
        let order = Order::read(place, payload);
        order.is_ok_and(|order| self.ledger.judge(order.transfer()) == Verdict::Ready)
    }
}
