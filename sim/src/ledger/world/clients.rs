//! Who uses an honest member: pays, reads, and looks whether everything has come to rest.

use super::{ACTIVE_MS, Due, LOOK_MS, World};
use crate::ledger::history::{Operation, View};
use ledger::state::Wait;
use ledger::{Account, Amount, IssueError, Ledger, Payment};
use std::collections::{BTreeMap, BTreeSet};
use types::{Hash, Slot};

impl World {
    pub(super) fn view(&self, slot: Slot) -> Option<View> {
        let seat = &self.seats[usize::from(slot.0)];
        let ledger: &Ledger = seat.member.as_ref()?.ledger();
        let accounts = ledger.balances().map(|(account, balance)| {
            (account, (ledger.seq(account).unwrap_or_default(), balance))
        });
        Some(View { log: seat.log_next, accounts: accounts.collect() })
    }

    /// What a member may tell somebody: durable, and with no transfer of its own under way.
    pub(super) fn idle_view(&self, slot: Slot) -> Option<View> {
        let seat = &self.seats[usize::from(slot.0)];
        let member = seat.member.as_ref().filter(|_| seat.is_still())?;
        let busy = member.wallet().is_some_and(|wallet| wallet.outstanding().is_some());
        if busy { None } else { self.view(slot) }
    }

    pub(super) fn pay(&mut self, slot: Slot) {
        let Some(view) = self.view(slot) else { return };
        let from = Account(slot.0.into());
        let mut others: Vec<Account> =
            view.accounts.keys().copied().filter(|it| *it != from).collect();
        self.plan.shuffle(&mut others);
        let mut payees: Vec<Account> = others.into_iter().take(1 + self.plan.index(3)).collect();
        payees.sort_unstable();
        let has = view.accounts.get(&from).map_or(0, |(_, balance)| balance.0);
        let most = (has + has / 4 + 4) / payees.len().max(1) as u64;
        let payments: Vec<Payment> = payees
            .into_iter()
            .map(|to| Payment { to, amount: Amount(self.plan.between(1, most)) })
            .collect();
        let about = Hash::tagged("payment", &self.count.to_le_bytes());
        let (now, idle) = (self.now, self.idle_view(slot));
        let Some(member) = self.seat(slot).member.as_mut() else { return };
        match member.issue(now, payments.clone(), about) {
            Ok(effects) => {
                let order = member.wallet().and_then(|wallet| wallet.outstanding());
                let Some(transfer) = order.map(|order| order.transfer().clone()) else { return };
                self.count += 1;
                let (place, digest, invoked) = (transfer.place, transfer.digest(), self.count);
                let (responded, durable) = (None, false);
                let made = Operation::Transfer { place, digest, invoked, responded, durable };
                self.history.operations.entry(slot).or_default().push(made);
                self.done(slot, effects);
            }
            Err(IssueError::NotNow(Wait::Funds { .. })) => {
                if let Some(view) = idle {
                    self.outcome.failed += 1;
                    let made = Operation::Failed { from, payments, view };
                    self.history.operations.entry(slot).or_default().push(made);
                }
            }
            Err(_) => {
                // Its last one is under way: a little later.
                if self.now.0 < ACTIVE_MS {
                    let ms = self.plan.between(300, 1_500);
                    self.after(ms, Due::Pay(slot));
                }
            }
        }
    }

    /// Whether all honest members are up, have executed the log, and agree, with nothing under way.
    pub(super) fn look(&mut self) {
        let honest = self.honest();
        let entries = self.history.log.len();
        let views: Vec<Option<View>> = honest.iter().map(|slot| self.idle_view(*slot)).collect();
        let same = views.windows(2).all(|pair| pair[0] == pair[1]);
        let all = views.iter().all(|view| view.as_ref().is_some_and(|view| view.log == entries));
        let numbers: BTreeSet<u64> = honest
            .iter()
            .filter_map(|slot| self.seats[usize::from(slot.0)].member.as_ref())
            .map(|member| member.ledger().checkpoint())
            .collect();
        if same && all && numbers.len() == 1 && self.cut.is_empty() {
            self.rested = true;
        } else {
            self.after(LOOK_MS, Due::Look);
        }
    }

    /// The checks that need the whole run.
    pub(super) fn judge(&mut self) {
        let honest = self.honest();
        let views: BTreeMap<Slot, Option<View>> =
            honest.iter().map(|slot| (*slot, self.view(*slot))).collect();
        if !self.rested {
            let told: Vec<String> =
                views.iter().map(|(slot, view)| format!("{slot} {view:?}")).collect();
            self.checks
                .violation("liveness", format!("no rest by the deadline: {}", told.join("; ")));
            return;
        }
        let Some(Some(last)) = views.into_values().next() else { return };
        for violation in self.history.check(&last).into_iter().chain(self.history.unmade(&last)) {
            self.checks.violation(violation.check, violation.what);
        }
        for (account, (seq, _)) in &last.accounts {
            match self.faulty.contains(&Slot(account.0 as u16)) {
                true => self.outcome.faulty_transfers += seq.0,
                false => self.outcome.transfers += seq.0,
            }
        }
    }
}
