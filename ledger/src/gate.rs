//! What a broadcast asks about a payload: is it the owner's, and could it apply here.

use crate::broadcast::{Admit, Refused};
use crate::committee::Committee;
use crate::ids::Place;
use crate::state::{Ledger, Verdict};
use crate::transfer::Order;
use std::sync::Arc;
use types::Slot;

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
}

impl Admit for Gate {
    fn admit(&self, place: Place, payload: &[u8]) -> Result<(), Refused> {
        let order = Order::read(place, payload)?;
        let owner = self.ledger.owner(place.account).ok_or(Refused("the account is not open"))?;
        order.check_signatures(&self.committee, owner)
    }

    fn may_start(&self, place: Place, member: Slot) -> bool {
        self.ledger.owner(place.account).is_some_and(|owner| owner.includes(member))
    }

    fn ready(&self, place: Place, payload: &[u8]) -> bool {
        let order = Order::read(place, payload);
        order.is_ok_and(|order| self.ledger.judge(order.transfer()) == Verdict::Ready)
    }
}
