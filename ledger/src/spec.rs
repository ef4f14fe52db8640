//! The asset-transfer object type, to the letter: the reference that everything else is checked against.
//!
//! Source: thesis section 2.2.2, the tuple `(Q, q0, O, R, Delta)`. Balances are natural numbers there;
//! here a sum that leaves 64 bits is impossible, because the supply is bounded when it is made.
//! Deviations: a transfer may pay several accounts at once (the thesis names this extension), and
//! the sum of its payments stands for `x`.

use crate::ids::{Account, Amount};
use crate::transfer::Payment;
use std::collections::{BTreeMap, BTreeSet};
use types::Slot;

/// A state `q` with the owner map `mu`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AssetTransfer {
    balances: BTreeMap<Account, Amount>,
    owners: BTreeMap<Account, BTreeSet<Slot>>,
}

impl AssetTransfer {
    /// `q0` and `mu`. Refuses a supply above 64 bits.
    pub fn new(
        accounts: impl IntoIterator<Item = (Account, BTreeSet<Slot>, Amount)>,
    ) -> Option<Self> {
        let mut made = Self::default();
        let mut supply = Amount(0);
        for (account, owners, balance) in accounts {
            supply = supply.plus(balance)?;
            made.balances.insert(account, balance);
            made.owners.insert(account, owners);
        }
        Some(made)
    }

    /// `transfer(a, b, x)` by process `p`, with one payment or several: the response.
    pub fn transfer(&mut self, p: Slot, a: Account, payments: &[Payment]) -> bool {
        let total = payments.iter().try_fold(Amount(0), |sum, payment| sum.plus(payment.amount));
        let owned = self.owners.get(&a).is_some_and(|owners| owners.contains(&p));
        let known = payments.iter().all(|payment| self.balances.contains_key(&payment.to));
        let rest = total.zip(self.balances.get(&a)).and_then(|(x, balance)| balance.minus(x));
        let (true, true, Some(rest)) = (owned, known, rest) else { return false };
        self.balances.insert(a, rest);
        for payment in payments {
            let balance = self.balances.get_mut(&payment.to).expect("known, checked above");
            *balance = balance.plus(payment.amount).expect("the supply fits in 64 bits");
        }
        true
    }

    /// `read(a)`; `None` for an account that is not in the set.
    pub fn read(&self, a: Account) -> Option<Amount> {
        self.balances.get(&a).copied()
    }

    /// The sum of all balances, which no operation changes.
    pub fn supply(&self) -> u128 {
        self.balances.values().map(|amount| u128::from(amount.0)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object() -> AssetTransfer {
        let accounts = (0..3).map(|i| (Account(i), BTreeSet::from([Slot(i as u16)]), Amount(10)));
        AssetTransfer::new(accounts).unwrap()
    }

    fn pay(to: u32, amount: u64) -> Payment {
        Payment { to: Account(to), amount: Amount(amount) }
    }

    #[test]
    fn transfer_within_the_balance_moves_it() {
        let mut object = object();
        assert!(object.transfer(Slot(0), Account(0), &[pay(1, 10)]));
        assert_eq!(object.read(Account(0)), Some(Amount(0)));
        assert_eq!(object.read(Account(1)), Some(Amount(20)));
    }

    #[test]
    fn transfer_to_oneself_succeeds_and_changes_nothing() {
        let mut object = object();
        let before = object.clone();
        assert!(object.transfer(Slot(0), Account(0), &[pay(0, 10)]));
        assert_eq!(object, before);
    }

    #[test]
    fn transfer_by_another_or_above_the_balance_fails_and_changes_nothing() {
        let mut object = object();
        let before = object.clone();
        assert!(!object.transfer(Slot(1), Account(0), &[pay(2, 1)]));
        assert!(!object.transfer(Slot(0), Account(0), &[pay(1, 11)]));
        assert!(!object.transfer(Slot(0), Account(0), &[pay(1, u64::MAX), pay(2, 1)]));
        assert!(!object.transfer(Slot(0), Account(0), &[pay(9, 1)]));
        assert_eq!(object, before);
    }

    #[test]
    fn supply_above_64_bits_is_refused() {
        let accounts = (0..2).map(|i| (Account(i), BTreeSet::new(), Amount(u64::MAX)));
        assert!(AssetTransfer::new(accounts).is_none());
    }
}
