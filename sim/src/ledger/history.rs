//! Definition 1 of the thesis (section 3.2), decided over a recorded history.
//!
//! 1. Successful transfers of honest members form a legal sequential history that keeps each member's order and
//!    the real-time order between members. Operations of faulty members may be put in between.
//! 2. For each honest member there is a legal sequential history of all operations in which its own come in its
//!    order with the responses that they had: a read or a failed transfer may be stale, never wrong, and never goes back.
//!
//! Both are decided, not searched for: an account's transfers have one order, credits only ever make the next debit
//! possible, and real-time predecessors stay done once done. Whatever is possible stays possible, so that
//! taking any possible transfer next finds an order if there is one. The executable specification (`ledger::spec`)
//! judges each step.

use super::check::Violation;
use ledger::{Account, Amount, AssetTransfer, Event, Owner, Payment, Place, Seq, Transfer};
use std::collections::{BTreeMap, BTreeSet};
use types::{Hash, Slot};

/// The account that credits come from before they are made: the specification has no minting, so that each is a transfer of nobody's.
const MINT: Account = Account(u32::MAX);
/// Who makes them.
const MINTER: Slot = Slot(u16::MAX);

/// What an honest member sees of every account at one time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct View {
    /// Entries of the log that it has executed.
    pub log: usize,
    /// The last transfer of each account that it counts, and the balance that it reads.
    pub accounts: BTreeMap<Account, (Seq, Amount)>,
}

/// One operation of an honest member.
#[derive(Debug, Clone)]
pub(super) enum Operation {
    /// A transfer that was issued.
    Transfer {
        place: Place,
        digest: Hash,
        invoked: u64,
        responded: Option<u64>,
        /// The order was durable, so that a crash does not take it back.
        durable: bool,
    },
    /// A transfer that was refused for want of credits.
    Failed { from: Account, payments: Vec<Payment>, view: View },
    /// All balances, read at once.
    Read(View),
}

/// All that happened.
#[derive(Debug, Default)]
pub(super) struct History {
    /// Of each honest member, in its order.
    pub operations: BTreeMap<Slot, Vec<Operation>>,
    /// What was delivered to any honest member, by place.
    pub transfers: BTreeMap<Place, Transfer>,
    /// What the log decided.
    pub log: Vec<Event>,
}

/// A state of the specification, and how far it is.
struct Reference<'a> {
    history: &'a History,
    object: AssetTransfer,
    done: BTreeMap<Account, Seq>,
    log: usize,
}

impl<'a> Reference<'a> {
    fn new(history: &'a History) -> Option<Self> {
        let mut accounts: BTreeMap<Account, (BTreeSet<Slot>, Amount)> = BTreeMap::new();
        let mut made = Amount(0);
        for event in &history.log {
            match event {
                Event::Open { account, owner, credits } => {
                    let owners = match owner {
                        Owner::One(slot) => [*slot].into(),
                        Owner::Shared { owners, .. } => owners.clone(),
                    };
                    accounts.insert(*account, (owners, Amount(0)));
                    made = made.plus(*credits)?;
                }
                Event::Mint { credits, .. } => made = made.plus(*credits)?,
                Event::Vote { .. } => {}
            }
        }
        accounts.insert(MINT, ([MINTER].into(), made));
        let of =
            accounts.into_iter().map(|(account, (owners, balance))| (account, owners, balance));
        Some(Self { history, object: AssetTransfer::new(of)?, done: BTreeMap::new(), log: 0 })
    }

    /// Executes the log up to an entry: openings and mintings.
    fn execute(&mut self, upto: usize) -> bool {
        while self.log < upto {
            if let Some(Event::Open { account, credits, .. } | Event::Mint { account, credits }) =
                self.history.log.get(self.log)
            {
                let payment = Payment { to: *account, amount: *credits };
                if !self.object.transfer(MINTER, MINT, &[payment]) {
                    return false;
                }
            }
            self.log += 1;
        }
        true
    }

    fn done(&self, account: Account) -> Seq {
        self.done.get(&account).copied().unwrap_or_default()
    }

    /// Makes transfers up to these numbers in any possible order; false if some cannot be made.
    fn reach(
        &mut self,
        upto: &BTreeMap<Account, Seq>,
        before: impl Fn(Place, &Self) -> bool,
    ) -> bool {
        loop {
            let (mut some, mut left) = (false, false);
            for (account, seq) in upto {
                while self.done(*account) < *seq {
                    let place = Place { account: *account, seq: Seq(self.done(*account).0 + 1) };
                    let able = before(place, self) && self.make(place);
                    some |= able;
                    if !able {
                        left = true;
                        break;
                    }
                }
            }
            if !left || !some {
                return !left;
            }
        }
    }

    fn make(&mut self, place: Place) -> bool {
        let Some(transfer) = self.history.transfers.get(&place) else { return false };
        let owner = self.history.log.iter().find_map(|event| match event {
            Event::Open { account, owner: Owner::One(slot), .. } if *account == place.account => {
                Some(*slot)
            }
            _ => None,
        });
        let made = owner
            .is_some_and(|owner| self.object.transfer(owner, place.account, &transfer.payments));
        if made {
            self.done.insert(place.account, place.seq);
        }
        made
    }
}

fn upto(view: &View) -> BTreeMap<Account, Seq> {
    view.accounts.iter().map(|(account, (seq, _))| (*account, *seq)).collect()
}

fn violation(check: &'static str, what: String) -> Violation {
    Violation { check, what }
}

impl History {
    /// Checks definition 1; `last` is how far the honest members are in the end, which they agree about.
    pub fn check(&self, last: &View) -> Vec<Violation> {
        let mut found = Vec::new();
        found.extend(self.real_time(last));
        for (slot, operations) in &self.operations {
            found.extend(self.local(*slot, operations, last));
        }
        found
    }

    /// Whether an issued transfer is the one that was made at its place.
    fn succeeded(&self, place: Place, digest: Hash, last: &View) -> bool {
        let made = last.accounts.get(&place.account).is_some_and(|(seq, _)| place.seq <= *seq);
        made && self.transfers.get(&place).is_some_and(|transfer| transfer.digest() == digest)
    }

    /// (1): linearisability of successful transfers.
    fn real_time(&self, last: &View) -> Option<Violation> {
        const CHECK: &str = "linearisability";
        let mut reference = Reference::new(self)?;
        let (mut invoked, mut responded) = (BTreeMap::new(), BTreeMap::new());
        for operation in self.operations.values().flatten() {
            if let Operation::Transfer { place, digest, invoked: at, responded: by, .. } = operation
                && self.succeeded(*place, *digest, last)
            {
                invoked.insert(*place, *at);
                responded.extend(by.map(|by| (*place, by)));
            }
        }
        // Whoever responded before this was invoked is made before this.
        let before = |place: Place, reference: &Reference<'_>| {
            invoked.get(&place).is_none_or(|at| {
                let earlier = responded
                    .iter()
                    .filter(|(other, by)| *by < at && other.account != place.account);
                earlier.into_iter().all(|(other, _)| other.seq <= reference.done(other.account))
            })
        };
        let legal = reference.execute(last.log) && reference.reach(&upto(last), before);
        (!legal).then(|| {
            let done = &reference.done;
            violation(CHECK, format!("no legal order of successful transfers; as far as possible: {done:?} of {last:?}"))
        })
    }

    /// (2): local sequential consistency of one member's reads and failed transfers.
    fn local(&self, slot: Slot, operations: &[Operation], last: &View) -> Option<Violation> {
        const CHECK: &str = "local consistency";
        let mut reference = Reference::new(self)?;
        let wrong = |what: String| Some(violation(CHECK, format!("{slot}: {what}")));
        let mut own = 0;
        for operation in operations {
            let (view, failed) = match operation {
                Operation::Transfer { place, digest, .. } => {
                    own += u64::from(self.succeeded(*place, *digest, last));
                    continue;
                }
                Operation::Read(view) => (view, None),
                Operation::Failed { from, payments, view } => (view, Some((*from, payments))),
            };
            let account = Account(slot.0.into());
            let counted = view.accounts.get(&account).map_or(0, |(seq, _)| seq.0);
            if counted != own {
                return wrong(format!("made {own} transfers and sees {counted} of them"));
            }
            let back = view.log < reference.log
                || reference.done.iter().any(|(account, seq)| {
                    view.accounts.get(account).is_none_or(|(seen, _)| seen < seq)
                });
            if back {
                return wrong(format!("went back to {view:?}"));
            }
            if !reference.execute(view.log) || !reference.reach(&upto(view), |_, _| true) {
                return wrong(format!("no legal order leads to {view:?}"));
            }
            for (account, (_, balance)) in &view.accounts {
                let right = reference.object.read(*account);
                if right != Some(*balance) {
                    return wrong(format!("read {balance} of {account}, which has {right:?}"));
                }
            }
            if let Some((from, payments)) = failed
                && reference.object.clone().transfer(slot, from, payments)
            {
                return wrong(format!("a transfer of {from} failed that was funded"));
            }
        }
        if !reference.execute(last.log) || !reference.reach(&upto(last), |_, _| true) {
            return wrong("what others did does not fit behind what it saw".into());
        }
        None
    }

    /// Liveness: what an honest member issued, and a crash did not take back before it was durable, is made.
    pub fn unmade(&self, last: &View) -> Vec<Violation> {
        let operations =
            self.operations.iter().flat_map(|(slot, list)| list.iter().map(move |it| (slot, it)));
        let unmade = operations.filter_map(|(slot, operation)| match operation {
            Operation::Transfer { place, digest, durable: true, .. }
                if !self.succeeded(*place, *digest, last) =>
            {
                Some(violation("liveness", format!("{slot} issued {place}, which was not made")))
            }
            _ => None,
        });
        unmade.collect()
    }
}
