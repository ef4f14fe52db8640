//! A member of a ledger: wallet and accounts above a broadcast, with the state machine's events coming in.
//!
//! Source: thesis figure 3.1. Assumes and guarantees: as `broadcast/mod.rs`, `state.rs`, `wallet.rs`.
//! What the state machine decides enters as [`Event`]s in the order of its log; transfers need none.
//! Restart: [`Member::restore`] takes the records back in the order in which they were written; after a
//! checkpoint [`Member::compact`] is all of them that matter.

use crate::accounts::Owner;
use crate::broadcast::quorum::{self, QuorumBroadcast};
use crate::broadcast::{self, Broadcast, Evidence, Fault, Refused};
use crate::checkpoint::{Checkpoint, Cut, CutError, Endorsements};
use crate::gate::Gate;
use crate::ids::{Account, Amount};
use crate::state::{Ledger, OpenError};
use crate::transfer::{Order, Payment, Transfer};
use crate::wallet::{IssueError, Wallet};
use std::collections::VecDeque;
use std::sync::Arc;
use types::{Decode, DecodeError, Encode, Hash, Millis, Reader, SecretKey, Slot, Writer};

/// Decided cuts that this member has not reached.
pub const DUE_MAX: usize = 16;

/// What the state machine decides about a ledger, in the order of its log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// An account, with credits that did not exist before.
    Open {
        /// Its number.
        account: Account,
        /// Who may debit it.
        owner: Owner,
        /// What is in it.
        credits: Amount,
    },
    /// Credits that did not exist before.
    Mint {
        /// For whom.
        account: Account,
        /// How many.
        credits: Amount,
    },
    /// A member vouches for the balances at a cut.
    Vote {
        /// The member that submitted it.
        member: Slot,
        /// The cut.
        cut: Cut,
        /// [`Checkpoint::root`].
        root: Hash,
    },
}

/// What a member writes down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// An order of its own, before it is broadcast.
    Issued(Order),
    /// The broadcast's.
    Broadcast(quorum::Record),
    /// What the state machine decided.
    Event(Event),
    /// Everything before it can be forgotten.
    Checkpoint(Checkpoint),
}

/// What the runner carries out, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Make durable before any effect that follows.
    Persist(Record),
    /// Send one message to each of these peers.
    Send {
        /// The peers.
        to: Vec<Slot>,
        /// The message.
        message: quorum::Message,
    },
    /// A transfer applied: from here on its credits are the payees'.
    Applied(Transfer),
    /// A checkpoint replaced what came before it; [`Member::compact`] may be written anew.
    Settled(Checkpoint),
    /// Signed objects that convict somebody.
    Evidence(Evidence),
    /// What was decided could not be done: wrong everywhere alike.
    Refused(OpenError),
    /// Somebody did something wrong that cannot be proven.
    Fault(Fault),
    /// A delivered order that does not fit: impossible while at most `f` members are Byzantine.
    Alarm(Refused),
}

/// A member of a ledger.
#[derive(Debug)]
pub struct Member {
    below: QuorumBroadcast<Gate>,
    wallet: Option<Wallet>,
    endorsements: Endorsements,
    due: VecDeque<Cut>,
}

impl Member {
    /// A member that has seen nothing; `account` is its own, if it has one.
    pub fn new(config: quorum::Config, key: SecretKey, account: Option<Account>) -> Self {
        let committee = config.committee.clone();
        let me = config.me;
        let wallet = account.map(|it| Wallet::new(Arc::clone(&committee), key.clone(), me, it));
        let below = QuorumBroadcast::new(config, key, Gate::new(committee, Ledger::new()));
        Self { below, wallet, endorsements: Endorsements::default(), due: VecDeque::new() }
    }

    /// The accounts.
    pub fn ledger(&self) -> &Ledger {
        &self.below.above().ledger
    }

    /// The own account's issuing side.
    pub fn wallet(&self) -> Option<&Wallet> {
        self.wallet.as_ref()
    }

    /// Takes back what was written down, in order, before [`Member::start`]. Transfers that applied again
    /// are not reported again.
    pub fn restore(&mut self, records: impl IntoIterator<Item = Record>) {
        let mut last = None;
        for record in records {
            match record {
                Record::Issued(order) => last = Some(order),
                Record::Broadcast(record) => {
                    if let Some((_, payload)) = self.below.restore(record)
                        && let Ok(order) = Order::from_bytes(&payload)
                    {
                        // It was delivered before; what it applied is in the records' order again.
                        let _ = self.ledger_mut().deliver(order.transfer().clone());
                        self.settle_due(&mut Vec::new());
                    }
                }
                Record::Event(event) => self.execute(event, &mut Vec::new()),
                Record::Checkpoint(checkpoint) => self.adopt(&checkpoint),
            }
        }
        let ledger = &self.below.above().ledger;
        if let Some(wallet) = &mut self.wallet {
            wallet.restore(ledger, last);
        }
    }

    /// Starts from a checkpoint that the state machine vouches for.
    fn adopt(&mut self, checkpoint: &Checkpoint) {
        let Some(ledger) = Ledger::from_checkpoint(checkpoint) else { return };
        *self.ledger_mut() = ledger;
        for (account, (_, seq, _)) in &checkpoint.accounts {
            self.below.settle(*account, *seq);
        }
    }

    /// Everything that a restart needs, in order: as small as the accounts and what moved since the last
    /// checkpoint. `checkpoint` is the last [`Effect::Settled`].
    pub fn compact(&self, checkpoint: &Checkpoint) -> Vec<Record> {
        let mut records = vec![Record::Checkpoint(checkpoint.clone())];
        records.extend(self.ledger().events_after_checkpoint().map(Record::Event));
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

    /// Begins, or goes on after [`Member::restore`]: what was under way is broadcast again, as it was.
    pub fn start(&mut self, now: Millis) -> Vec<Effect> {
        let mut out = Vec::new();
        let step = self.below.start(now);
        self.carry(now, step, &mut out);
        if let Some(order) = self.wallet.as_ref().and_then(Wallet::outstanding).cloned() {
            self.broadcast(now, &order, &mut out);
        }
        out
    }

    /// Pays. The order is durable before it is broadcast.
    pub fn issue(
        &mut self,
        now: Millis,
        payments: Vec<Payment>,
        about: Hash,
    ) -> Result<Vec<Effect>, IssueError> {
        let ledger = &self.below.above().ledger;
        let wallet = self.wallet.as_mut().ok_or(Refused("this member has no account"))?;
        let order = wallet.issue(ledger, payments, about)?;
        let mut out = vec![Effect::Persist(Record::Issued(order.clone()))];
        self.broadcast(now, &order, &mut out);
        Ok(out)
    }

    /// Broadcasts an order that a shared account's owners signed.
    pub fn submit(&mut self, now: Millis, order: &Order) -> Vec<Effect> {
        let mut out = Vec::new();
        self.broadcast(now, order, &mut out);
        out
    }

    fn broadcast(&mut self, now: Millis, order: &Order, out: &mut Vec<Effect>) {
        let (place, payload) = (order.transfer().place, order.payload());
        let step = self.below.handle(now, broadcast::Input::Broadcast { place, payload });
        self.carry(now, step, out);
    }

    /// Takes a message, a link, or a wake-up.
    pub fn handle(&mut self, now: Millis, input: broadcast::Input<quorum::Message>) -> Vec<Effect> {
        let mut out = Vec::new();
        let step = self.below.handle(now, input);
        self.carry(now, step, &mut out);
        out
    }

    /// Executes what the state machine decided.
    pub fn decided(&mut self, now: Millis, event: Event) -> Vec<Effect> {
        let mut out = vec![Effect::Persist(Record::Event(event.clone()))];
        self.execute(event, &mut out);
        // Accounts that were unknown may have been spoken of already.
        self.below.ask(now);
        let step = self.below.handle(now, broadcast::Input::Wake);
        self.carry(now, step, &mut out);
        out
    }

    /// The cut at what has applied here, and the root of its balances: to be submitted as this
    /// member's vote, or compared with another's.
    pub fn vote_for(&self, cut: &Cut) -> Result<Hash, CutError> {
        Ok(self.ledger().at(cut)?.root())
    }

    /// When it wants to be woken.
    pub fn next_wakeup(&self) -> Option<Millis> {
        self.below.next_wakeup()
    }

    fn ledger_mut(&mut self) -> &mut Ledger {
        &mut self.below.above_mut().ledger
    }

    fn execute(&mut self, event: Event, out: &mut Vec<Effect>) {
        let ledger = self.ledger_mut();
        let done = match event {
            Event::Open { account, owner, credits } => ledger.open(account, owner, credits),
            Event::Mint { account, credits } => ledger.mint(account, credits),
            Event::Vote { member, cut, root } => {
                let f = self.below.above().committee().f();
                if self.endorsements.vote(member, f, &cut, root) && self.due.len() < DUE_MAX {
                    self.due.push_back(cut);
                    self.settle_due(out);
                }
                return;
            }
        };
        match done {
            Ok(applied) => self.report(applied, out),
            Err(refused) => out.push(Effect::Refused(refused)),
        }
    }

    /// Carries the broadcast's effects on; what is delivered goes into the ledger, and what that makes
    /// possible goes back into the broadcast.
    fn carry(
        &mut self,
        now: Millis,
        step: broadcast::Step<quorum::Message, quorum::Record>,
        out: &mut Vec<Effect>,
    ) {
        let mut next = Some(step);
        while let Some(step) = next.take() {
            let mut delivered = false;
            out.extend(step.faults.into_iter().map(Effect::Fault));
            for effect in step.effects {
                match effect {
                    broadcast::Effect::Persist(record) => {
                        out.push(Effect::Persist(Record::Broadcast(record)));
                    }
                    broadcast::Effect::Send { to, message } => {
                        out.push(Effect::Send { to, message })
                    }
                    broadcast::Effect::Evidence(evidence) => out.push(Effect::Evidence(evidence)),
                    broadcast::Effect::Deliver { place, payload } => {
                        delivered = true;
                        let order = Order::read(place, &payload);
                        let done = order
                            .and_then(|order| self.ledger_mut().deliver(order.transfer().clone()));
                        match done {
                            Ok(applied) => self.report(applied, out),
                            Err(refused) => out.push(Effect::Alarm(refused)),
                        }
                    }
                }
            }
            if delivered {
                self.settle_due(out);
                next = Some(self.below.handle(now, broadcast::Input::Wake));
            }
        }
    }

    fn report(&mut self, applied: Vec<Transfer>, out: &mut Vec<Effect>) {
        for transfer in applied {
            if let Some(wallet) = &mut self.wallet {
                wallet.applied(&transfer);
            }
            out.push(Effect::Applied(transfer));
        }
    }

    /// Forgets what decided cuts cover, as far as this member has come.
    fn settle_due(&mut self, out: &mut Vec<Effect>) {
        while let Some(cut) = self.due.front().cloned() {
            match self.ledger_mut().settle(&cut) {
                Ok((checkpoint, applied)) => {
                    for (account, (_, seq, _)) in &checkpoint.accounts {
                        self.below.settle(*account, *seq);
                    }
                    let ledger = &self.below.above().ledger;
                    if let Some(wallet) = &mut self.wallet {
                        wallet.settled(ledger);
                    }
                    self.report(applied, out);
                    out.push(Effect::Settled(checkpoint));
                }
                Err(CutError::Behind(_)) => return,
                // Its number is taken: votes for one cut became effective twice.
                Err(_) => {}
            }
            self.due.pop_front();
        }
    }
}

impl Encode for Event {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::Open { account, owner, credits } => {
                out.u8(0);
                out.put(account);
                out.put(owner);
                out.put(credits);
            }
            Self::Mint { account, credits } => {
                out.u8(1);
                out.put(account);
                out.put(credits);
            }
            Self::Vote { member, cut, root } => {
                out.u8(2);
                out.put(member);
                out.put(cut);
                out.put(root);
            }
        }
    }
}

impl Decode for Event {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match input.u8()? {
            0 => Self::Open { account: input.get()?, owner: input.get()?, credits: input.get()? },
            1 => Self::Mint { account: input.get()?, credits: input.get()? },
            2 => Self::Vote { member: input.get()?, cut: input.get()?, root: input.get()? },
            _ => return Err(DecodeError::Malformed("ledger event")),
        })
    }
}

impl Encode for Record {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::Issued(order) => {
                out.u8(0);
                out.put(order);
            }
            Self::Broadcast(record) => {
                out.u8(1);
                out.put(record);
            }
            Self::Event(event) => {
                out.u8(2);
                out.put(event);
            }
            Self::Checkpoint(checkpoint) => {
                out.u8(3);
                out.put(checkpoint);
            }
        }
    }
}

impl Decode for Record {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match input.u8()? {
            0 => Self::Issued(input.get()?),
            1 => Self::Broadcast(input.get()?),
            2 => Self::Event(input.get()?),
            3 => Self::Checkpoint(input.get()?),
            _ => return Err(DecodeError::Malformed("ledger record")),
        })
    }
}
