//! The issuing side of one account with one owner: Algorithm 5, lines 1 to 5 and 17 to 20.
//!
//! Guarantees: 1. one transfer is outstanding; 2. what [`Wallet::issue`] returns must be durable before
//! it is broadcast, and after a restart the same bytes are broadcast again, so that a crash at
//! any point never makes two transfers with one number; 3. it never issues what it cannot fund.
//! Deviations: line 2 asks a balance that counts undeclared credits; so does this one, but only those
//! that the transfer declares ([`DEPS_MAX`] payers).

use crate::broadcast::Refused;
use crate::committee::Committee;
use crate::ids::{Account, Amount, Place, Seq};
use crate::state::{Ledger, Verdict, Wait};
use crate::transfer::{DEPS_MAX, Order, Payment, Transfer};
use std::collections::BTreeMap;
use std::sync::Arc;
use types::{Hash, SecretKey, Slot};

/// Why a transfer is not issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IssueError {
    /// The last one has not applied here.
    #[error("{0} is still under way; one transfer at a time")]
    Outstanding(Place),
    /// Wrong in form.
    #[error("the transfer is refused: {0}")]
    Refused(#[from] Refused),
    /// It could not apply here now: not enough credits, an unknown account, a window that is used up.
    #[error("the transfer cannot be issued now: {0}")]
    NotNow(#[from] Wait),
    /// No account.
    #[error("{0} is not open")]
    NoAccount(Account),
}

/// One owner's issuing side.
#[derive(Debug)]
pub struct Wallet {
    committee: Arc<Committee>,
    key: SecretKey,
    owner: Slot,
    account: Account,
    /// The last number that was used.
    issued: Seq,
    outstanding: Option<(Place, Order)>,
    /// `deps`: the last transfer of each payer whose credits are not declared, and their sum.
    undeclared: BTreeMap<Account, (Seq, Amount)>,
}

impl Wallet {
    /// A wallet that has issued nothing; `ledger` tells what was applied and credited before.
    pub fn new(committee: Arc<Committee>, key: SecretKey, owner: Slot, account: Account) -> Self {
        let (issued, outstanding, undeclared) = (Seq(0), None, BTreeMap::new());
        Self { committee, key, owner, account, issued, outstanding, undeclared }
    }

    /// After a restart: the last order that was made durable, if any, and the ledger as it stands. The
    /// order is outstanding again unless it has applied; it must be broadcast again as it is.
    pub fn restore(&mut self, ledger: &Ledger, last: Option<Order>) {
        let applied = ledger.seq(self.account).unwrap_or_default();
        self.issued = applied;
        self.outstanding = None;
        if let Some(order) = last {
            let place = order.transfer().place;
            self.issued = self.issued.max(place.seq);
            self.outstanding = (place.seq > applied).then_some((place, order));
        }
        // Declaring a credit twice is harmless; forgetting one is not.
        self.undeclared.clear();
        let payers: Vec<Account> = ledger.balances().map(|(account, _)| account).collect();
        for payer in payers {
            for (place, payments) in ledger.recent(payer) {
                self.note(place, payments);
            }
        }
    }

    /// Other identities act.
    pub fn renew(&mut self, committee: Arc<Committee>, key: SecretKey) {
        (self.committee, self.key) = (committee, key);
    }

    /// The account.
    pub fn account(&self) -> Account {
        self.account
    }

    /// The order under way.
    pub fn outstanding(&self) -> Option<&Order> {
        self.outstanding.as_ref().map(|(_, order)| order)
    }

    /// Lines 1 to 5. The caller makes the order durable, then broadcasts it.
    pub fn issue(
        &mut self,
        ledger: &Ledger,
        payments: Vec<Payment>,
        about: Hash,
    ) -> Result<Order, IssueError> {
        if let Some((place, _)) = &self.outstanding {
            return Err(IssueError::Outstanding(*place));
        }
        let seq = self.issued.next().ok_or(Refused("the account is worn out"))?;
        let balance = ledger.balance(self.account).ok_or(IssueError::NoAccount(self.account))?;
        let declared = self.undeclared.iter().take(DEPS_MAX);
        let deps: Vec<Place> =
            declared.map(|(account, (seq, _))| Place { account: *account, seq: *seq }).collect();
        let place = Place { account: self.account, seq };
        let base = ledger.checkpoint();
        let transfer = Transfer { place, payments, base, deps, about };
        let needs = transfer.check_form()?;
        match ledger.judge(&transfer) {
            Verdict::Ready => {}
            Verdict::Waits(wait) => return Err(wait.into()),
            Verdict::Never(refused) => return Err(refused.into()),
        }
        let hidden: u64 = self.undeclared.values().skip(DEPS_MAX).map(|(_, sum)| sum.0).sum();
        let has = Amount(balance.0.saturating_sub(hidden));
        if has < needs {
            return Err(Wait::Funds { has, needs }.into());
        }
        for dep in &transfer.deps {
            self.undeclared.remove(&dep.account);
        }
        self.issued = seq;
        let order = Order::sign(&self.committee, &self.key, self.owner, transfer);
        self.outstanding = Some((place, order.clone()));
        Ok(order)
    }

    /// Lines 17 to 20: a transfer applied here. True when it was ours.
    pub fn applied(&mut self, transfer: &Transfer) -> bool {
        self.note(transfer.place, &transfer.payments);
        let ours = transfer.place.account == self.account;
        if ours && self.outstanding.as_ref().is_some_and(|(place, _)| *place == transfer.place) {
            self.outstanding = None;
        }
        ours
    }

    /// A checkpoint covers what came before it: those credits need no declaration.
    pub fn settled(&mut self, ledger: &Ledger) {
        self.undeclared.retain(|payer, (seq, _)| {
            ledger.accounts.get(payer).is_some_and(|entry| *seq > entry.settled)
        });
    }

    fn note(&mut self, place: Place, payments: &[Payment]) {
        let to_us = payments.iter().find(|payment| payment.to == self.account);
        if let Some(payment) = to_us {
            let entry = self.undeclared.entry(place.account).or_default();
            entry.0 = entry.0.max(place.seq);
            entry.1 = Amount(entry.1.0.saturating_add(payment.amount.0));
        }
    }
}
