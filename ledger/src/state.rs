//! What a member believes about every account: Algorithm 5 with running balances.
//!
//! Source: thesis Algorithm 5, lines 8 to 28. Assumes that what is delivered is the same at every honest
//! member for a place (secure broadcast), and that accounts open in one order (the state machine).
//!
//! Guarantees, cited by tests:
//! 1. *No overspend*: no balance is ever negative; the balances sum to the supply after every step.
//! 2. *Confluence*: honest members that were delivered the same transfers, in whatever order, apply the
//!    same ones. (An account's transfers apply in order; credits only ever make the next one possible.)
//! 3. *Isolation*: a transfer that cannot apply holds up its own account only.
//! 4. *Bounded*: [`WAITING_MAX`] delivered transfers wait an account; [`WINDOW`] are remembered an
//!    account since the last checkpoint, and [`MINTS_MAX`] mintings.
//!
//! Deviations from the algorithm: line 10 drops what comes out of order, here it waits within a bound;
//! `hist` is a balance, and the transfers since the last checkpoint; a credit counts for the payer's
//! creditor at once, not only when it is named (a named dependency is waited for all the same, so that
//! "not funded yet" and "overspend" are told apart).

use crate::accounts::Owner;
use crate::broadcast::Refused;
use crate::ids::{Account, Amount, Place, Seq};
use crate::transfer::{Payment, Transfer};
use std::collections::{BTreeMap, BTreeSet};

/// Accounts of one ledger.
pub const ACCOUNTS_MAX: usize = 20_000;
/// Delivered transfers of one account that wait for something.
pub const WAITING_MAX: u64 = 16;
/// Transfers of one account after the last checkpoint.
pub const WINDOW: u64 = 1024;

/// Openings and mintings after the last checkpoint.
pub const MINTS_MAX: usize = 4096;

/// Why a transfer cannot apply now, and may later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Wait {
    /// An earlier transfer of the account has not applied.
    #[error("{0} has not applied yet")]
    Earlier(Place),
    /// The account's owners must first see a checkpoint.
    #[error("the account has moved {WINDOW} times since the last checkpoint")]
    Window,
    /// It counts on a checkpoint that is not here.
    #[error("checkpoint {0} is not here yet")]
    Checkpoint(u64),
    /// It counts on a transfer that has not applied.
    #[error("it depends on {0}, which has not applied yet")]
    Dependency(Place),
    /// It pays an account that is not open.
    #[error("{0} is not open")]
    Closed(Account),
    /// Its account has not enough, although all that it counts on is here.
    #[error("the account has {has}, the transfer needs {needs}")]
    Funds {
        /// The balance.
        has: Amount,
        /// The sum of its payments.
        needs: Amount,
    },
}

/// Where a transfer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It would apply now.
    Ready,
    /// It may apply later.
    Waits(Wait),
    /// It can never apply.
    Never(Refused),
}

/// Why an account is not opened or credits are not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// There is one.
    #[error("{0} is open already")]
    Open(Account),
    /// There is none.
    #[error("{0} is not open")]
    Unknown(Account),
    /// More than [`ACCOUNTS_MAX`].
    #[error("a ledger has at most {ACCOUNTS_MAX} accounts")]
    TooMany,
    /// The supply would leave 64 bits.
    #[error("the supply would leave 64 bits")]
    Supply,
    /// Too many since the last checkpoint.
    #[error("there were {MINTS_MAX} openings and mintings since the last checkpoint; one is due")]
    CheckpointDue,
    /// Owners that do not fit.
    #[error("a shared account has k >= 3f + 1 owners, at most 64")]
    Owners,
}

/// One account, as a member sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub owner: Owner,
    /// The last transfer that applied: `seq[q]`.
    pub seq: Seq,
    pub balance: Amount,
    /// The last transfer that the last checkpoint covers.
    pub settled: Seq,
    /// The payments of those after it.
    pub recent: BTreeMap<Seq, Vec<Payment>>,
    /// Delivered, and not applied: `toValidate`.
    waiting: BTreeMap<Seq, Transfer>,
}

/// Every account, as a member sees it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ledger {
    pub(crate) accounts: BTreeMap<Account, Entry>,
    /// Accounts with something waiting.
    blocked: BTreeSet<Account>,
    supply: Amount,
    /// The last checkpoint, 0 before the first.
    pub(crate) checkpoint: u64,
    /// Openings and mintings so far.
    pub(crate) events: u64,
    /// Those after the last checkpoint.
    pub(crate) mints: BTreeMap<u64, Mint>,
}

/// Credits that did not exist before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mint {
    pub account: Account,
    pub credits: Amount,
    /// Whether the account was opened with them.
    pub opens: bool,
}

impl Ledger {
    /// No accounts.
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens an account with credits that did not exist before: the only mint, with [`Self::mint`].
    /// The state machine calls it, in one order everywhere.
    pub fn open(
        &mut self,
        account: Account,
        owner: Owner,
        credits: Amount,
    ) -> Result<Vec<Transfer>, OpenError> {
        if self.accounts.contains_key(&account) {
            return Err(OpenError::Open(account));
        }
        if self.accounts.len() >= ACCOUNTS_MAX {
            return Err(OpenError::TooMany);
        }
        if !owner.is_sound() {
            return Err(OpenError::Owners);
        }
        self.make(Mint { account, credits, opens: true })?;
        let (recent, waiting) = (BTreeMap::new(), BTreeMap::new());
        let entry =
            Entry { owner, seq: Seq(0), balance: credits, settled: Seq(0), recent, waiting };
        self.accounts.insert(account, entry);
        Ok(self.advance())
    }

    /// Makes credits for an account; what could not apply for want of them applies now.
    pub fn mint(&mut self, account: Account, credits: Amount) -> Result<Vec<Transfer>, OpenError> {
        if !self.accounts.contains_key(&account) {
            return Err(OpenError::Unknown(account));
        }
        self.make(Mint { account, credits, opens: false })?;
        let entry = self.accounts.get_mut(&account).expect("looked up above");
        entry.balance = entry.balance.plus(credits).expect("at most the supply");
        Ok(self.advance())
    }

    fn make(&mut self, mint: Mint) -> Result<(), OpenError> {
        if self.mints.len() >= MINTS_MAX {
            return Err(OpenError::CheckpointDue);
        }
        self.supply = self.supply.plus(mint.credits).ok_or(OpenError::Supply)?;
        self.events += 1;
        self.mints.insert(self.events, mint);
        Ok(())
    }

    /// Algorithm 5, line 6: the balance as this member sees it.
    pub fn balance(&self, account: Account) -> Option<Amount> {
        self.accounts.get(&account).map(|entry| entry.balance)
    }

    /// The last transfer of an account that applied.
    pub fn seq(&self, account: Account) -> Option<Seq> {
        self.accounts.get(&account).map(|entry| entry.seq)
    }

    /// Who owns an account.
    pub fn owner(&self, account: Account) -> Option<&Owner> {
        self.accounts.get(&account).map(|entry| &entry.owner)
    }

    /// Accounts and balances, in order.
    pub fn balances(&self) -> impl Iterator<Item = (Account, Amount)> + '_ {
        self.accounts.iter().map(|(account, entry)| (*account, entry.balance))
    }

    /// All credits there are.
    pub fn supply(&self) -> Amount {
        self.supply
    }

    /// The last checkpoint, 0 before the first.
    pub fn checkpoint(&self) -> u64 {
        self.checkpoint
    }

    /// Delivered transfers that have not applied.
    pub fn waiting(&self) -> impl Iterator<Item = &Transfer> + '_ {
        self.accounts.values().flat_map(|entry| entry.waiting.values())
    }

    /// The payments of an account since the last checkpoint.
    pub fn recent(&self, account: Account) -> impl Iterator<Item = (Place, &[Payment])> + '_ {
        let entries = self.accounts.get(&account).into_iter().flat_map(|entry| &entry.recent);
        entries.map(move |(seq, payments)| (Place { account, seq: *seq }, payments.as_slice()))
    }

    /// Algorithm 5, line 21: `Valid`, with its three answers. Pure in the state.
    pub fn judge(&self, transfer: &Transfer) -> Verdict {
        match self.check(transfer) {
            Ok(()) => Verdict::Ready,
            Err(verdict) => verdict,
        }
    }

    fn check(&self, transfer: &Transfer) -> Result<(), Verdict> {
        let needs = transfer.check_form().map_err(Verdict::Never)?;
        let Place { account, seq } = transfer.place;
        let unknown = Verdict::Waits(Wait::Closed(account));
        let entry = self.accounts.get(&account).ok_or(unknown)?;
        if seq <= entry.seq {
            return Err(Verdict::Never(Refused("a transfer with this number has applied")));
        }
        // Line 24.
        if Some(seq) != entry.seq.next() {
            return Err(Verdict::Waits(Wait::Earlier(Place { account, seq: Seq(seq.0 - 1) })));
        }
        if seq.0 - entry.settled.0 > WINDOW {
            return Err(Verdict::Waits(Wait::Window));
        }
        if transfer.base > self.checkpoint {
            return Err(Verdict::Waits(Wait::Checkpoint(transfer.base)));
        }
        // Line 26.
        for dep in &transfer.deps {
            self.check_dependency(account, *dep)?;
        }
        for payment in &transfer.payments {
            if !self.accounts.contains_key(&payment.to) {
                return Err(Verdict::Waits(Wait::Closed(payment.to)));
            }
        }
        // Line 25.
        if entry.balance < needs {
            return Err(Verdict::Waits(Wait::Funds { has: entry.balance, needs }));
        }
        Ok(())
    }

    /// Line 26, and that the dependency pays the account; a settled one needs no look any more.
    fn check_dependency(&self, account: Account, dep: Place) -> Result<(), Verdict> {
        let waits = Verdict::Waits(Wait::Dependency(dep));
        let payer = self.accounts.get(&dep.account).ok_or(waits)?;
        if dep.seq > payer.seq {
            return Err(waits);
        }
        if dep.seq <= payer.settled {
            return Ok(());
        }
        let payments = payer.recent.get(&dep.seq).expect("applied after the last checkpoint");
        let pays = payments.iter().any(|payment| payment.to == account);
        pays.then_some(()).ok_or(Verdict::Never(Refused("a dependency does not pay the account")))
    }

    /// Algorithm 5, line 8: takes a delivered transfer, and returns what applies because of it, in order.
    ///
    /// What is refused here is refused by every honest member that is delivered it, but for what is too far
    /// ahead: whoever delivers asks [`Self::room`] first.
    pub fn deliver(&mut self, transfer: Transfer) -> Result<Vec<Transfer>, Refused> {
        transfer.check_form()?;
        let Place { account, seq } = transfer.place;
        let entry = self.accounts.get_mut(&account).ok_or(Refused("no such account"))?;
        if seq <= entry.seq {
            return Err(Refused("a transfer with this number has applied"));
        }
        if seq.0 - entry.seq.0 > WAITING_MAX {
            return Err(Refused("too far ahead of what has applied"));
        }
        if entry.waiting.contains_key(&seq) {
            return Err(Refused("a transfer with this number waits already"));
        }
        entry.waiting.insert(seq, transfer);
        self.blocked.insert(account);
        Ok(self.advance())
    }

    /// Whether [`Self::deliver`] would take the transfer of this place, as far as its bound is concerned.
    pub fn room(&self, place: Place) -> bool {
        let entry = self.accounts.get(&place.account);
        entry.is_some_and(|entry| place.seq.0.saturating_sub(entry.seq.0) <= WAITING_MAX)
    }

    /// Applies what has become possible, until nothing more is. The result does not depend on the order
    /// in which accounts are tried (guarantee 2).
    pub(crate) fn advance(&mut self) -> Vec<Transfer> {
        let mut applied = Vec::new();
        loop {
            let before = applied.len();
            for account in self.blocked.clone() {
                while let Some(transfer) = self.next_ready(account) {
                    self.apply(&transfer);
                    applied.push(transfer);
                }
            }
            if applied.len() == before {
                return applied;
            }
        }
    }

    /// Takes the account's next transfer out, if it applies now.
    fn next_ready(&mut self, account: Account) -> Option<Transfer> {
        let (seq, first) = self.accounts.get(&account)?.waiting.first_key_value()?;
        let seq = *seq;
        if self.judge(first) != Verdict::Ready {
            return None;
        }
        let entry = self.accounts.get_mut(&account)?;
        let transfer = entry.waiting.remove(&seq);
        if entry.waiting.is_empty() {
            self.blocked.remove(&account);
        }
        transfer
    }

    /// Lines 14 to 16.
    fn apply(&mut self, transfer: &Transfer) {
        let needs = transfer.check_form().expect("judged ready");
        let Place { account, seq } = transfer.place;
        let entry = self.accounts.get_mut(&account).expect("judged ready");
        entry.balance = entry.balance.minus(needs).expect("judged ready");
        entry.seq = seq;
        entry.recent.insert(seq, transfer.payments.clone());
        for payment in &transfer.payments {
            let to = self.accounts.get_mut(&payment.to).expect("judged ready");
            to.balance = to.balance.plus(payment.amount).expect("at most the supply");
        }
    }
}
