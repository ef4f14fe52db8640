//! How much work a member may ask for (specification 6.4, issues W12, W13).
//!
//! Guarantees: (1) integers only, equal at all members; (2) the longest legal answer is charged when it is asked
//! for, so no responder can exhaust a requester's quota; (3) only a member's own decided proposals change its account,
//! so an honest proposer knows its balance exactly; the period follows from the time of the log prefix that the
//! proposal is checked against, for the check and for the charge; (4) what the protocol makes mandatory is charged to
//! another budget. Bounds: one account a member, and one a member of a linked machine.

use crate::command::Command;
use crate::params::Params;
use crate::sizes;
use types::{Decode, DecodeError, Encode, Reader, Stamp, Writer};

/// What one command is charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Charge {
    /// Against the quota.
    pub asked: u64,
    /// Against the budget of mandatory commands.
    pub mandatory: u64,
}

impl Charge {
    /// Of a command in a group of `n`.
    ///
    /// Settling a vow is free: it was charged with the vow, and a member that is over its quota must still be able to
    /// keep or pay for what it has promised (issue W10).
    pub fn of(command: &Command, n: usize) -> Self {
        let len = command.to_bytes().len() as u64;
        match command {
            Command::Assign(work) | Command::AssignMachine { work, .. } => {
                Self { asked: len + work.cap() as u64, mandatory: 0 }
            }
            Command::Vow(vow) => {
                let (fields, body) = (u64::from(vow.fields_cap.0), u64::from(vow.body_cap.0));
                let share = (fields + body).div_ceil(n.max(1) as u64);
                let fulfil = sizes::fulfil_len(vow.fields_cap.0 as usize) as u64;
                Self { asked: len + fulfil + share, mandatory: 0 }
            }
            Command::Fulfil { .. } | Command::VowDefault { .. } => Self::default(),
            Command::ForeignAssign { .. } | Command::ForeignResult { .. } => {
                Self { asked: 0, mandatory: len }
            }
        }
    }

    /// Both of two commands.
    pub fn and(self, other: Self) -> Self {
        Self {
            asked: self.asked.saturating_add(other.asked),
            mandatory: self.mandatory.saturating_add(other.mandatory),
        }
    }
}

/// What one member was charged in the latest period in which it was charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Account {
    period: u64,
    used: Charge,
}

impl Account {
    /// What was charged in a period.
    pub fn used(&self, period: u64) -> Charge {
        if period == self.period { self.used } else { Charge::default() }
    }

    /// Whether a charge fits into the period of `tau`.
    pub fn fits(&self, params: &Params, tau: Stamp, charge: Charge) -> bool {
        let sum = self.used(params.period(tau)).and(charge);
        sum.asked <= params.quota_bytes && sum.mandatory <= params.mandatory_bytes
    }

    /// Charges, whether it fits or not.
    pub fn charge(&mut self, params: &Params, tau: Stamp, charge: Charge) {
        let period = params.period(tau);
        self.used = self.used(period).and(charge);
        self.period = period;
    }

    /// What the owner may still ask for, with commands under way that are decided in this period or in the next: the
    /// worse of the two (issue W13).
    pub fn free(&self, params: &Params, tau: Stamp, under_way: Charge) -> u64 {
        let now = self.used(params.period(tau)).and(under_way).asked;
        let next = under_way.asked;
        params.quota_bytes.saturating_sub(now.max(next))
    }
}

impl Encode for Account {
    fn encode(&self, out: &mut Writer) {
        out.u64(self.period);
        out.u64(self.used.asked);
        out.u64(self.used.mandatory);
    }
}

impl Decode for Account {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let period = input.u64()?;
        Ok(Self { period, used: Charge { asked: input.u64()?, mandatory: input.u64()? } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params() -> Params {
        Params { quota_period_ms: 100, quota_bytes: 1000, mandatory_bytes: 50, ..Params::default() }
    }

    fn asked(asked: u64) -> Charge {
        Charge { asked, mandatory: 0 }
    }

    /// 6.4: exact to the byte, and a new period starts at zero.
    #[test]
    fn account_fits_to_the_byte_and_starts_anew_with_the_period() {
        let (params, mut account) = (params(), Account::default());
        account.charge(&params, Stamp(199), asked(600));
        assert!(account.fits(&params, Stamp(199), asked(400)));
        assert!(!account.fits(&params, Stamp(199), asked(401)));
        assert!(account.fits(&params, Stamp(200), asked(1000)));
        assert!(!account.fits(&params, Stamp(200), asked(1001)));
    }

    /// 6.4: mandatory commands neither use the quota nor are stopped by it.
    #[test]
    fn mandatory_commands_have_a_budget_of_their_own() {
        let (params, mut account) = (params(), Account::default());
        account.charge(&params, Stamp(10), asked(1000));
        let must = |mandatory| Charge { asked: 0, mandatory };
        assert!(account.fits(&params, Stamp(10), must(50)));
        assert!(!account.fits(&params, Stamp(10), must(51)));
        account.charge(&params, Stamp(10), must(50));
        assert_eq!(account.used(0), Charge { asked: 1000, mandatory: 50 });
    }

    /// W13: what is under way may be decided on either side of the border.
    #[test]
    fn commands_under_way_are_reserved_for_the_worse_of_two_periods() {
        let (params, mut account) = (params(), Account::default());
        account.charge(&params, Stamp(99), asked(700));
        assert_eq!(account.free(&params, Stamp(99), asked(200)), 100);
        // A moment later the account is empty, but the 200 may be charged now.
        assert_eq!(account.free(&params, Stamp(100), asked(200)), 800);
        assert_eq!(account.free(&params, Stamp(99), asked(2000)), 0);
    }
}
