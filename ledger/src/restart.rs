//! Restart from records, and adopting a checkpoint: both begin anew from balances that the state machine vouches
//! for, and deliver again what this member has beyond them.
//!
//! Guarantees: 1. after a restart from all records, or from [`Member::compact`], a member has applied and
//! remembers what it had; 2. adopting a checkpoint with the decided root never takes back a transfer that applied: the
//! cut is closed, so whatever applied beyond it had no less credit then; 3. a transfer is reported once.

use crate::broadcast::quorum;
use crate::checkpoint::Checkpoint;
use crate::ids::{Account, Seq};
use crate::member::{Effect, Member};
use crate::record::{Event, Record};
use crate::state::Ledger;
use crate::transfer::{Order, Transfer};
use crate::wallet::Wallet;
use std::collections::{BTreeMap, VecDeque};
use types::Decode;

/// Transfers that were delivered before, on their way into the ledger again: at most those since the last
/// checkpoint, which the broadcast keeps anyway.
#[derive(Default)]
struct Backlog(BTreeMap<Account, VecDeque<Transfer>>);

impl Backlog {
    fn push(&mut self, transfer: Transfer) {
        self.0.entry(transfer.place.account).or_default().push_back(transfer);
    }

    /// Delivers what there is room for; what applied, in order. Records of one account may stand before
    /// those of another that pays it, so none is refused for want of room.
    fn pump(&mut self, ledger: &mut Ledger) -> Vec<Transfer> {
        let mut applied = Vec::new();
        loop {
            let mut some = false;
            for queue in self.0.values_mut() {
                while queue.front().is_some_and(|first| ledger.room(first.place))
                    && let Some(transfer) = queue.pop_front()
                {
                    some = true;
                    // A checkpoint may have covered it meanwhile.
                    applied.extend(ledger.deliver(transfer).unwrap_or_default());
                }
            }
            self.0.retain(|_, queue| !queue.is_empty());
            if !some || self.0.is_empty() {
                return applied;
            }
        }
    }
}

impl Member {
    /// Takes back what was written down, in order, before [`Member::start`]. Transfers that applied again
    /// are not reported again.
    pub fn restore(&mut self, records: impl IntoIterator<Item = Record>) {
        let mut last = None;
        let mut backlog = Backlog::default();
        for record in records {
            match record {
                Record::Issued(order) => last = Some(order),
                Record::Broadcast(record) => {
                    if let Some((_, payload)) = self.below.restore(record)
                        && let Ok(order) = Order::from_bytes(&payload)
                    {
                        backlog.push(order.transfer().clone());
                    }
                }
                Record::Event(event) => self.execute(event, &mut Vec::new()),
                Record::Checkpoint(checkpoint) => drop(self.adopt(&checkpoint)),
                Record::Due(cut, root) => {
                    self.endorsements.decide(cut.number);
                    self.put_due(cut, root, &mut Vec::new());
                }
            }
            // Settling may make room, and what applies may reach a cut.
            while !backlog.pump(self.ledger_mut()).is_empty() {
                self.settle_due(&mut Vec::new());
            }
        }
        let ledger = &self.below.above().ledger;
        if let Some(wallet) = &mut self.wallet {
            wallet.restore(ledger, last);
        }
    }

    /// A checkpoint with the decided root was fetched.
    pub(crate) fn adopt_fetched(&mut self, checkpoint: Checkpoint, out: &mut Vec<Effect>) {
        if checkpoint.number <= self.ledger().checkpoint() {
            return;
        }
        out.push(Effect::Persist(Record::Checkpoint(checkpoint.clone())));
        let applied = self.adopt(&checkpoint);
        out.push(Effect::Adopted(checkpoint));
        self.report(applied, out);
        self.settle_due(out);
    }

    /// Begins anew from a checkpoint that the state machine vouches for, with what is beyond it here; what
    /// applied and had not before.
    fn adopt(&mut self, checkpoint: &Checkpoint) -> Vec<Transfer> {
        let Some(mut fresh) = Ledger::from_checkpoint(checkpoint) else { return Vec::new() };
        let old = self.ledger();
        for event in old.events_after(checkpoint.events) {
            let done = match event {
                Event::Open { account, owner, credits } => fresh.open(account, owner, credits),
                Event::Mint { account, credits } => fresh.mint(account, credits),
                Event::Vote { .. } => continue,
            };
            // It fitted before, upon the same openings and mintings.
            debug_assert!(done.is_ok(), "{done:?}");
        }
        let before: BTreeMap<Account, Seq> = old
            .balances()
            .map(|(account, _)| (account, old.seq(account).unwrap_or_default()))
            .collect();
        let covered = |it: &Transfer| {
            let entry = checkpoint.accounts.get(&it.place.account);
            entry.is_some_and(|(_, seq, _)| it.place.seq <= *seq)
        };
        let kept = self.below.kept().filter_map(|kept| Order::from_bytes(&kept.payload).ok());
        let mut backlog = Backlog::default();
        let beyond = kept.map(|order| order.transfer().clone()).filter(|it| !covered(it));
        beyond.for_each(|transfer| backlog.push(transfer));
        let applied = backlog.pump(&mut fresh);
        let issued = self.wallet.as_ref().and_then(Wallet::outstanding).cloned();
        *self.ledger_mut() = fresh;
        for (account, (_, seq, _)) in &checkpoint.accounts {
            self.below.settle(*account, *seq);
        }
        self.endorsements.decide(checkpoint.number);
        self.due.retain(|(cut, _)| cut.number > checkpoint.number);
        self.fetch.keep(checkpoint);
        let ledger = &self.below.above().ledger;
        if let Some(wallet) = &mut self.wallet {
            wallet.restore(ledger, issued);
        }
        let new =
            |it: &Transfer| before.get(&it.place.account).is_none_or(|seq| it.place.seq > *seq);
        applied.into_iter().filter(new).collect()
    }

    /// Everything that a restart needs, in order: as small as the accounts and what moved since the last
    /// checkpoint. `checkpoint` is the last [`Effect::Settled`] or [`Effect::Adopted`].
    pub fn compact(&self, checkpoint: &Checkpoint) -> Vec<Record> {
        let mut records = vec![Record::Checkpoint(checkpoint.clone())];
        records.extend(self.ledger().events_after(checkpoint.events).map(Record::Event));
        records.extend(self.due.iter().map(|(cut, root)| Record::Due(cut.clone(), *root)));
        let votes = self.endorsements.votes().map(|(member, (cut, root))| Event::Vote {
            member,
            cut: cut.clone(),
            root: *root,
        });
        records.extend(votes.map(Record::Event));
        let kept = self.below.kept().cloned().map(quorum::Record::Delivered);
        records.extend(kept.chain(self.below.echoed()).map(Record::Broadcast));
        let outstanding = self.wallet.as_ref().and_then(Wallet::outstanding);
        records.extend(outstanding.cloned().map(Record::Issued));
        records
    }
}
