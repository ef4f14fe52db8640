//! A member of a ledger: wallet and accounts above a broadcast, with the state machine's events coming in.
//!
//! Source: thesis figure 3.1. Assumes and guarantees: as `broadcast/mod.rs`, `state.rs`, `wallet.rs`.
//! What the state machine decides enters as [`Event`]s in the order of its log; transfers need none.
//! Restart and adopting a checkpoint: `restart.rs`. Records and messages: `record.rs`.
//!
//! Guarantees beside those: 1. what was delivered is never lost: it applied, it waits in the ledger within its bound, or
//! its certificate waits in the broadcast; 2. a member behind a decided cut fetches the checkpoint
//! (`fetch.rs`) and goes on from it with the transfers that it has beyond.

use crate::broadcast::quorum::{self, QuorumBroadcast};
use crate::broadcast::{self, Broadcast, Evidence, Fault, Refused};
use crate::checkpoint::{Checkpoint, Cut, CutError, Endorsements};
use crate::committee::Committee;
use crate::fetch::{self, FETCH_AFTER_MS, Fetch, Progress};
use crate::gate::Gate;
use crate::ids::Account;
pub use crate::record::{Event, Message, Record};
use crate::state::{Ledger, OpenError};
use crate::transfer::{Order, Payment, Transfer};
use crate::wallet::{IssueError, Wallet};
use std::collections::VecDeque;
use std::sync::Arc;
use types::{Hash, Millis, SecretKey, Slot};

/// Decided cuts that this member has not reached; of more it keeps the last, and fetches.
pub const DUE_MAX: usize = 16;

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
        message: Message,
    },
    /// A transfer applied: from here on its credits are the payees'.
    Applied(Transfer),
    /// A checkpoint replaced what came before it; [`Member::compact`] may be written anew.
    Settled(Checkpoint),
    /// This member was behind a cut and fetched its checkpoint: balances are those at the cut, and what applied
    /// beyond it. Transfers up to the cut that it had not seen are not reported one by one.
    Adopted(Checkpoint),
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
    pub(crate) below: QuorumBroadcast<Gate>,
    pub(crate) wallet: Option<Wallet>,
    pub(crate) endorsements: Endorsements,
    /// Decided cuts that were not reached, with their roots.
    pub(crate) due: VecDeque<(Cut, Hash)>,
    /// Since when the first of them is not reached.
    due_since: Option<Millis>,
    pub(crate) fetch: Fetch,
}

impl Member {
    /// A member that has seen nothing; `account` is its own, if it has one.
    pub fn new(config: quorum::Config, key: SecretKey, account: Option<Account>) -> Self {
        let committee = config.committee.clone();
        let me = config.me;
        let wallet = account.map(|it| Wallet::new(Arc::clone(&committee), key.clone(), me, it));
        let fetch = Fetch::new(me, committee.n());
        let below = QuorumBroadcast::new(config, key, Gate::new(committee, Ledger::new()));
        let (endorsements, due) = (Endorsements::default(), VecDeque::new());
        Self { below, wallet, endorsements, due, due_since: None, fetch }
    }

    /// The accounts.
    pub fn ledger(&self) -> &Ledger {
        &self.below.above().ledger
    }

    /// The own account's issuing side.
    pub fn wallet(&self) -> Option<&Wallet> {
        self.wallet.as_ref()
    }

    /// Begins, or goes on after [`Member::restore`]: what was under way is broadcast again, as it was.
    pub fn start(&mut self, now: Millis) -> Vec<Effect> {
        let mut out = Vec::new();
        let step = self.below.start(now);
        self.carry(now, step, &mut out);
        if let Some(order) = self.wallet.as_ref().and_then(Wallet::outstanding).cloned() {
            self.broadcast(now, &order, &mut out);
        }
        self.pursue(now, &mut out);
        out
    }

    /// Other identities act from now on; `key` is this member's.
    pub fn renew(&mut self, committee: &Arc<Committee>, key: SecretKey) {
        if let Some(wallet) = &mut self.wallet {
            wallet.renew(Arc::clone(committee), key.clone());
        }
        self.below.above_mut().renew(Arc::clone(committee));
        self.below.renew(Arc::clone(committee), key);
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
    pub fn handle(&mut self, now: Millis, input: broadcast::Input<Message>) -> Vec<Effect> {
        use broadcast::Input;
        let mut out = Vec::new();
        let input = match input {
            Input::Message { from, message: Message::Checkpoint(message) } => {
                self.checkpoint_message(now, from, &message, &mut out);
                Input::Wake
            }
            Input::Message { from, message: Message::Broadcast(message) } => {
                Input::Message { from, message }
            }
            Input::Broadcast { place, payload } => Input::Broadcast { place, payload },
            Input::LinkUp(peer) => Input::LinkUp(peer),
            Input::Wake => Input::Wake,
        };
        let step = self.below.handle(now, input);
        self.carry(now, step, &mut out);
        self.pursue(now, &mut out);
        out
    }

    fn checkpoint_message(
        &mut self,
        now: Millis,
        from: Slot,
        message: &fetch::Message,
        out: &mut Vec<Effect>,
    ) {
        let ask =
            |to, message| Effect::Send { to: vec![to], message: Message::Checkpoint(message) };
        if let fetch::Message::Want { number, part } = message {
            let part = self.fetch.want(now, from, *number, *part);
            return out.extend(part.map(|part| ask(from, part)));
        }
        match self.fetch.part(now, from, message) {
            Progress::Nothing => {}
            Progress::Ask(to, message) => out.push(ask(to, message)),
            Progress::Wrong(what, to, message) => {
                out.push(Effect::Fault(Fault { peer: from, what }));
                out.push(ask(to, message));
            }
            Progress::Done(checkpoint) => self.adopt_fetched(checkpoint, out),
        }
    }

    /// Fetches the last decided checkpoint when what leads up to it does not come.
    fn pursue(&mut self, now: Millis, out: &mut Vec<Effect>) {
        let Some((cut, root)) = self.due.back() else {
            self.due_since = None;
            return;
        };
        let since = *self.due_since.get_or_insert(now);
        let asked = if since.plus(FETCH_AFTER_MS) <= now {
            self.fetch.begin(now, cut.number, *root).or_else(|| self.fetch.wake(now))
        } else {
            None
        };
        out.extend(asked.map(|(to, message)| Effect::Send {
            to: vec![to],
            message: Message::Checkpoint(message),
        }));
    }

    /// Executes what the state machine decided.
    pub fn decided(&mut self, now: Millis, event: Event) -> Vec<Effect> {
        let mut out = vec![Effect::Persist(Record::Event(event.clone()))];
        self.execute(event, &mut out);
        // Accounts that were unknown may have been spoken of already.
        self.below.ask(now);
        let step = self.below.handle(now, broadcast::Input::Wake);
        self.carry(now, step, &mut out);
        self.pursue(now, &mut out);
        out
    }

    /// The cut at what has applied here, and the root of its balances: to be submitted as this
    /// member's vote, or compared with another's.
    pub fn vote_for(&self, cut: &Cut) -> Result<Hash, CutError> {
        Ok(self.ledger().at(cut)?.root())
    }

    /// When it wants to be woken.
    pub fn next_wakeup(&self) -> Option<Millis> {
        let since = self.due_since.filter(|_| self.fetch.next_wakeup().is_none());
        let fetch = since.map(|at| at.plus(FETCH_AFTER_MS)).or(self.fetch.next_wakeup());
        self.below.next_wakeup().into_iter().chain(fetch).min()
    }

    pub(crate) fn ledger_mut(&mut self) -> &mut Ledger {
        &mut self.below.above_mut().ledger
    }

    pub(crate) fn execute(&mut self, event: Event, out: &mut Vec<Effect>) {
        let ledger = self.ledger_mut();
        let done = match event {
            Event::Open { account, owner, credits } => ledger.open(account, owner, credits),
            Event::Mint { account, credits } => ledger.mint(account, credits),
            Event::Vote { member, cut, root } => {
                let f = self.below.above().committee().f();
                if self.endorsements.vote(member, f, &cut, root) {
                    self.put_due(cut, root, out);
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
                        out.push(Effect::Send { to, message: Message::Broadcast(message) });
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

    pub(crate) fn report(&mut self, applied: Vec<Transfer>, out: &mut Vec<Effect>) {
        for transfer in applied {
            if let Some(wallet) = &mut self.wallet {
                wallet.applied(&transfer);
            }
            out.push(Effect::Applied(transfer));
        }
    }

    /// A cut took effect in the log.
    pub(crate) fn put_due(&mut self, cut: Cut, root: Hash, out: &mut Vec<Effect>) {
        self.due.push_back((cut, root));
        if self.due.len() > DUE_MAX {
            // The first cannot be reached one by one any more: the last will be fetched.
            self.due.pop_front();
        }
        self.settle_due(out);
    }

    /// Forgets what decided cuts cover, as far as this member has come.
    pub(crate) fn settle_due(&mut self, out: &mut Vec<Effect>) {
        while let Some((cut, _)) = self.due.front().cloned() {
            if cut.number > self.ledger().checkpoint() + 1 {
                return;
            }
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
                    self.fetch.keep(&checkpoint);
                    out.push(Effect::Settled(checkpoint));
                }
                // Not so far yet, or (impossible while at most `f` members are Byzantine) vouched for in vain.
                Err(CutError::Behind(_)) => return,
                Err(CutError::NotNext(_)) => {}
                Err(_) => return,
            }
            self.due.pop_front();
            self.due_since = None;
        }
    }
}
