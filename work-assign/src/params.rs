//! Deadlines, prices and quotas of a group (specification section 1, 6.1, 6.3, 6.4).
//!
//! Guarantee: the deadlines are nested so that an honest witness always has time to answer after its
//! own wait has ended (issue W1): `T_wit > T_work`, and a vow is due only after a whole slow path.

use types::limits::MEMBERS_MAX;

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;
/// The longest time that may be set.
const TIME_MAX_MS: u64 = 30 * 366 * DAY_MS;

/// To whom a target sends the body of its answer, besides the requester (issue W6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bodies {
    /// To `f + 1` designated witnesses: one of them is honest, so the requester gets the body.
    Reaching,
    /// To `2f + 1`: at least `f + 1` of them are honest, so a target that withholds only the body is convicted.
    Convicting,
    /// To everybody, as in the report.
    All,
}

/// Parameters of level 1; all members of a group share them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Params {
    /// Coarse bound on the answer of a member that follows the protocol, ms. 7 days.
    pub max_response_ms: u64,
    /// What the requester waits beyond the witnesses' own wait, ms. 1 hour.
    pub margin_ms: u64,
    /// `L_rot`: bound on one rotation in synchrony, ms; only inside long deadlines. 1 day.
    pub rotation_ms: u64,
    /// `T_open`: how long a vow is open at least, ms. 1 day.
    pub open_ms: u64,
    /// What a direct answer may take, ms. 10 minutes.
    pub reply_ms: u64,
    /// How long a request may be asked for after it was stated, ms: the response cache must remember it so long. 90 days.
    pub request_life_ms: u64,
    /// One period of the quota, ms. 7 days.
    pub quota_period_ms: u64,
    /// Bytes that a member may ask for in a period.
    pub quota_bytes: u64,
    /// Bytes of mandatory commands in a period, for which nobody is charged.
    pub mandatory_bytes: u64,
    /// `W`: instances that run at the same time.
    pub pipeline: u64,
    /// Price of receiving a byte, in thousandths of the price of sending one.
    pub rx_per_mille: u64,
    /// Who gets bodies.
    pub bodies: Bodies,
    /// Whether a requester sends directly outside the fast set too (it costs little, but nobody is expected to answer).
    pub direct_always: bool,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            max_response_ms: 7 * DAY_MS,
            margin_ms: HOUR_MS,
            rotation_ms: DAY_MS,
            open_ms: DAY_MS,
            reply_ms: HOUR_MS / 6,
            request_life_ms: 90 * DAY_MS,
            quota_period_ms: 7 * DAY_MS,
            quota_bytes: 1 << 40,
            mandatory_bytes: 64 << 20,
            pipeline: 1,
            rx_per_mille: 500,
            bodies: Bodies::Convicting,
            direct_always: false,
        }
    }
}

/// Parameters that break a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParamsError {
    /// Something must not be zero.
    #[error("{0} must be above zero")]
    Zero(&'static str),
    /// Sums of such times would overflow.
    #[error("{0} is longer than 30 years")]
    TooLong(&'static str),
    /// Receiving is dearer than the frame of a denial can hold.
    #[error("a price of receiving of {0} thousandths is above 750: a denial would not fit a frame")]
    Receiving(u64),
    /// A request would be forgotten while it is still being settled.
    #[error("requests live {life} ms, less than a vow over them takes ({vow} ms)")]
    Life {
        /// As configured.
        life: u64,
        /// The least.
        vow: u64,
    },
}

impl Params {
    /// Checks the relations that the guarantees rest on.
    pub fn check(&self) -> Result<(), ParamsError> {
        for (value, what) in [
            (self.max_response_ms, "max_response"),
            (self.margin_ms, "margin"),
            (self.rotation_ms, "rotation"),
            (self.quota_period_ms, "quota period"),
            (self.pipeline, "pipeline"),
        ] {
            if value == 0 {
                return Err(ParamsError::Zero(what));
            }
            if value > TIME_MAX_MS {
                return Err(ParamsError::TooLong(what));
            }
        }
        for (value, what) in
            [(self.open_ms, "T_open"), (self.reply_ms, "reply"), (self.request_life_ms, "life")]
        {
            if value > TIME_MAX_MS {
                return Err(ParamsError::TooLong(what));
            }
        }
        if self.rx_per_mille > 750 {
            return Err(ParamsError::Receiving(self.rx_per_mille));
        }
        let (life, vow) = (self.request_life_ms, self.vow_least_ms());
        if life < vow { Err(ParamsError::Life { life, vow }) } else { Ok(()) }
    }

    /// `T_work`: a witness's wait for the target, in uptime.
    pub fn work_ms(&self) -> u64 {
        self.max_response_ms
    }

    /// `T_wit`: the requester's wait for a witness, in uptime.
    pub fn witness_ms(&self) -> u64 {
        self.work_ms() + self.max_response_ms + self.margin_ms
    }

    /// `T_sm`: a member's wait for each member of an overlap, in uptime.
    pub fn machine_ms(&self) -> u64 {
        self.work_ms() + 2 * self.max_response_ms
    }

    /// `T_slow`: an assignment decided, answered, and its outcome decided.
    pub fn slow_ms(&self) -> u64 {
        2 * self.rotation_ms + self.witness_ms()
    }

    /// From a vow's decision to its deadline, at least.
    pub fn vow_least_ms(&self) -> u64 {
        self.slow_ms() + self.open_ms
    }

    /// The period of a moment of state machine time.
    pub fn period(&self, tau: types::Stamp) -> u64 {
        tau.0 / self.quota_period_ms.max(1)
    }

    /// How many witnesses get the body.
    pub fn body_witnesses(&self, f: usize) -> usize {
        match self.bodies {
            Bodies::Reaching => f + 1,
            Bodies::Convicting => 2 * f + 1,
            Bodies::All => MEMBERS_MAX,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_deadlines_are_those_of_the_specification() {
        let params = Params::default();
        assert_eq!(params.check(), Ok(()));
        assert_eq!(params.work_ms(), 7 * DAY_MS);
        assert_eq!(params.witness_ms(), 14 * DAY_MS + HOUR_MS);
        assert_eq!(params.machine_ms(), 21 * DAY_MS);
        assert_eq!(params.vow_least_ms(), 17 * DAY_MS + HOUR_MS);
    }

    #[test]
    fn parameters_that_break_a_relation_are_refused() {
        let short = Params { request_life_ms: 17 * DAY_MS, ..Params::default() };
        assert!(matches!(short.check(), Err(ParamsError::Life { .. })));
        let dear = Params { rx_per_mille: 751, ..Params::default() };
        assert_eq!(dear.check(), Err(ParamsError::Receiving(751)));
        let long = Params { reply_ms: u64::MAX, ..Params::default() };
        assert_eq!(long.check(), Err(ParamsError::TooLong("reply")));
        let none = Params { max_response_ms: 0, ..Params::default() };
        assert_eq!(none.check(), Err(ParamsError::Zero("max_response")));
    }
}
