//! Checkpoints: what lets a ledger forget.
//!
//! Source: the thesis leaves `hist` and the dependencies unbounded. The state machine decides a [`Cut`], that
//! is, a number for each account, once `f + 1` members vouch for the balances at it ([`Endorsements`]); every honest member that has applied so much computes the same balances at
//! it, whatever it has applied since, because it remembers the payments since the last checkpoint.
//! From then on what lies before the cut needs no dependency and no record.
//!
//! Guarantees: 1. honest members compute one checkpoint for one cut; 2. a cut that is not closed under
//! dependencies (a Byzantine proposer) is refused by all of them alike, and changes nothing;
//! 3. memory after a checkpoint depends on the number of accounts, not of transfers.

use crate::accounts::Owner;
use crate::ids::{Account, Amount, Seq};
use crate::member::Event;
use crate::state::{ACCOUNTS_MAX, Entry, Ledger, Mint};
use crate::transfer::Transfer;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use types::{Decode, DecodeError, Encode, Hash, Reader, Slot, Writer};

/// A place in every account's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// Which checkpoint it makes: one more than the last.
    pub number: u64,
    /// How many openings and mintings it covers.
    pub events: u64,
    /// How far, by account.
    pub seqs: BTreeMap<Account, Seq>,
}

/// The accounts at a cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Its number.
    pub number: u64,
    /// Openings and mintings up to it.
    pub events: u64,
    /// Owner, last transfer and balance of each account.
    pub accounts: BTreeMap<Account, (Owner, Seq, Amount)>,
}

/// Why there is no checkpoint at a cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CutError {
    /// Not the one after the last.
    #[error("checkpoint {0} does not follow the last one")]
    NotNext(u64),
    /// It reaches beyond what has applied here; to be tried again.
    #[error("{0} is not so far yet")]
    Behind(Account),
    /// It covers mintings that are not here, or fewer than the last one.
    #[error("the cut covers {0} mintings, which does not fit what is here")]
    Unborn(u64),
    /// It lies before the last checkpoint, or names no account that is open.
    #[error("the cut does not lie after the last checkpoint of {0}")]
    Backwards(Account),
    /// A balance at the cut is negative: it splits a payment from one that depends on it.
    #[error("the cut takes a spending of {0} without what paid for it")]
    Open(Account),
}

impl Checkpoint {
    /// What a quorum signs, and the next epoch's transfers build on.
    pub fn root(&self) -> Hash {
        Hash::tagged("ledger checkpoint", &self.to_bytes())
    }
}

impl Ledger {
    /// A cut at all that has applied here: always closed.
    pub fn cut(&self) -> Cut {
        let seqs = self.accounts.iter().map(|(account, entry)| (*account, entry.seq)).collect();
        Cut { number: self.checkpoint + 1, events: self.events, seqs }
    }

    /// The accounts at a cut: the same at every member that has applied so much, whatever came after.
    pub fn at(&self, cut: &Cut) -> Result<Checkpoint, CutError> {
        if cut.number != self.checkpoint + 1 {
            return Err(CutError::NotNext(cut.number));
        }
        if cut.events > self.events {
            return Err(CutError::Unborn(cut.events));
        }
        if let Some(unknown) = cut.seqs.keys().find(|account| !self.accounts.contains_key(account))
        {
            return Err(CutError::Backwards(*unknown));
        }
        let covered = self.events - self.mints.len() as u64;
        if cut.events < covered {
            return Err(CutError::Unborn(cut.events));
        }
        let balances = self.balances_at(cut)?;
        let later: BTreeSet<Account> = self
            .mints
            .range((Bound::Excluded(cut.events), Bound::Unbounded))
            .filter(|(_, mint)| mint.opens)
            .map(|(_, mint)| mint.account)
            .collect();
        let mut accounts = BTreeMap::new();
        for (account, entry) in &self.accounts {
            let balance = u64::try_from(balances[account]).map_err(|_| CutError::Open(*account))?;
            let seq = cut.seqs.get(account).copied().unwrap_or(entry.settled);
            if !later.contains(account) {
                accounts.insert(*account, (entry.owner.clone(), seq, Amount(balance)));
            } else if (seq, balance) != (Seq(0), 0) {
                return Err(CutError::Open(*account));
            }
        }
        Ok(Checkpoint { number: cut.number, events: cut.events, accounts })
    }

    /// Takes back what applied, and was made, after the cut.
    fn balances_at(&self, cut: &Cut) -> Result<BTreeMap<Account, i128>, CutError> {
        let mut balances: BTreeMap<Account, i128> = BTreeMap::new();
        for (account, entry) in &self.accounts {
            let seq = cut.seqs.get(account).copied().unwrap_or(entry.settled);
            if seq < entry.settled {
                return Err(CutError::Backwards(*account));
            }
            if seq > entry.seq {
                return Err(CutError::Behind(*account));
            }
            *balances.entry(*account).or_default() += i128::from(entry.balance.0);
            let after = entry.recent.range((Bound::Excluded(seq), Bound::Unbounded));
            for payment in after.flat_map(|(_, payments)| payments) {
                *balances.entry(payment.to).or_default() -= i128::from(payment.amount.0);
                *balances.entry(*account).or_default() += i128::from(payment.amount.0);
            }
        }
        for mint in
            self.mints.range((Bound::Excluded(cut.events), Bound::Unbounded)).map(|(_, mint)| mint)
        {
            *balances.entry(mint.account).or_default() -= i128::from(mint.credits.0);
        }
        Ok(balances)
    }

    /// Forgets what lies before the cut; returns the checkpoint, and what applies because of it (those
    /// that waited for it, or had used up their window).
    pub fn settle(&mut self, cut: &Cut) -> Result<(Checkpoint, Vec<Transfer>), CutError> {
        let checkpoint = self.at(cut)?;
        for (account, (_, seq, _)) in &checkpoint.accounts {
            let entry =
                self.accounts.get_mut(account).expect("the checkpoint is of these accounts");
            entry.recent = entry.recent.split_off(&Seq(seq.0 + 1));
            entry.settled = *seq;
        }
        self.mints.retain(|event, _| *event > checkpoint.events);
        self.checkpoint = checkpoint.number;
        Ok((checkpoint, self.advance()))
    }

    /// Openings and mintings after the first `covered`, to be executed again upon a checkpoint that covers
    /// those. The last checkpoint's are forgotten.
    pub fn events_after(&self, covered: u64) -> impl Iterator<Item = Event> + '_ {
        let after = self.mints.range((Bound::Excluded(covered), Bound::Unbounded));
        after.map(|(_, mint)| mint).map(|Mint { account, credits, opens }| {
            let (account, credits) = (*account, *credits);
            match self.owner(account).filter(|_| *opens) {
                Some(owner) => Event::Open { account, owner: owner.clone(), credits },
                None => Event::Mint { account, credits },
            }
        })
    }

    /// Starts from a checkpoint: after a restart, or for a member that was away for long.
    pub fn from_checkpoint(checkpoint: &Checkpoint) -> Option<Self> {
        let mut made = Self::new();
        for (account, (owner, seq, balance)) in &checkpoint.accounts {
            made.open(*account, owner.clone(), *balance).ok()?;
            made.mints.clear();
            let entry: &mut Entry = made.accounts.get_mut(account)?;
            (entry.seq, entry.settled) = (*seq, *seq);
        }
        made.events = checkpoint.events;
        made.checkpoint = checkpoint.number;
        Some(made)
    }
}

/// The state machine's part: a cut takes effect when `f + 1` members vouch, in the log, for the
/// same balances at it; one of them is honest, so every honest member will get there, and one member
/// has the checkpoint for those that do not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Endorsements {
    /// The last vote of each member.
    votes: BTreeMap<Slot, (Cut, Hash)>,
    /// The last cut that took effect.
    decided: u64,
}

impl Endorsements {
    /// Executes one member's vote; true when its cut takes effect now. Votes for another cut than the
    /// next one come too late, or from somebody who cannot know its balances.
    pub fn vote(&mut self, member: Slot, f: usize, cut: &Cut, root: Hash) -> bool {
        if cut.number != self.decided + 1 {
            return false;
        }
        self.votes.insert(member, (cut.clone(), root));
        let same = self.votes.values().filter(|(of, named)| of == cut && *named == root);
        let effective = same.count() > f;
        if effective {
            self.decide(cut.number);
        }
        effective
    }

    /// A cut took effect, here or before a restart.
    pub fn decide(&mut self, number: u64) {
        self.decided = self.decided.max(number);
        let decided = self.decided;
        self.votes.retain(|_, (cut, _)| cut.number > decided);
    }

    /// The last cut that took effect.
    pub fn decided(&self) -> u64 {
        self.decided
    }

    /// The votes since the last cut took effect.
    pub fn votes(&self) -> impl Iterator<Item = (Slot, &(Cut, Hash))> + '_ {
        self.votes.iter().map(|(member, vote)| (*member, vote))
    }
}

impl Encode for Cut {
    fn encode(&self, out: &mut Writer) {
        out.u64(self.number);
        out.u64(self.events);
        out.count(self.seqs.len());
        for (account, seq) in &self.seqs {
            out.put(account);
            out.put(seq);
        }
    }
}

impl Decode for Cut {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (number, events) = (input.u64()?, input.u64()?);
        let mut seqs = BTreeMap::new();
        for _ in 0..input.count("accounts", ACCOUNTS_MAX)? {
            insert_in_order(&mut seqs, input.get()?, input.get()?)?;
        }
        Ok(Self { number, events, seqs })
    }
}

impl Encode for Checkpoint {
    fn encode(&self, out: &mut Writer) {
        out.u64(self.number);
        out.u64(self.events);
        out.count(self.accounts.len());
        for (account, (owner, seq, balance)) in &self.accounts {
            out.put(account);
            out.put(owner);
            out.put(seq);
            out.put(balance);
        }
    }
}

impl Decode for Checkpoint {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (number, events) = (input.u64()?, input.u64()?);
        let mut accounts = BTreeMap::new();
        for _ in 0..input.count("accounts", ACCOUNTS_MAX)? {
            let account = input.get()?;
            let entry = (input.get()?, input.get()?, input.get()?);
            insert_in_order(&mut accounts, account, entry)?;
        }
        Ok(Self { number, events, accounts })
    }
}

/// A map has one encoding: its keys ascend.
fn insert_in_order<T>(
    map: &mut BTreeMap<Account, T>,
    account: Account,
    value: T,
) -> Result<(), DecodeError> {
    if map.last_key_value().is_some_and(|(last, _)| *last >= account) {
        return Err(DecodeError::Malformed("order of accounts"));
    }
    map.insert(account, value);
    Ok(())
}
