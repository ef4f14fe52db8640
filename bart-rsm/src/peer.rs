//! What we know about one peer: a few numbers, never a list of instances (specification 4.5).

use crate::parking::Parking;
use types::{Instance, Millis};

/// Answers to RESUME that may be given in a burst; one more per `gamma / RESUME_BURST`.
pub(crate) const RESUME_BURST: u64 = 256;

/// One peer.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) up: bool,
    /// In all instances below this nothing is outstanding in either direction.
    pub(crate) closed: Instance,
    pub(crate) parking: Parking,
    /// Messages dropped because they could not be parked.
    pub(crate) dropped: u64,
    /// Something was dropped since the last RESUME that we sent.
    pub(crate) need: bool,
    pub(crate) backoff_ms: u64,
    pub(crate) resend_at: Option<Millis>,
    /// The highest instance that the peer is known to have entered.
    pub(crate) evidence: Instance,
    /// The instance in which its last WAKE counted.
    pub(crate) woke: Option<Instance>,
    /// When we last asked it for decisions, and from which instance on.
    pub(crate) asked: Option<(Instance, Millis)>,
    /// Decisions that we are sending it: the next one and the end of the run.
    pub(crate) serve: Option<(Instance, Instance)>,
    /// The highest frontier that it reported.
    pub(crate) frontier: Instance,
    tokens: u64,
    refilled: Millis,
}

impl Peer {
    pub(crate) fn new(gamma_ms: u64) -> Self {
        Self {
            up: false,
            closed: Instance(0),
            parking: Parking::default(),
            dropped: 0,
            need: false,
            backoff_ms: gamma_ms,
            resend_at: None,
            evidence: Instance(0),
            woke: None,
            asked: None,
            serve: None,
            frontier: Instance(0),
            tokens: RESUME_BURST,
            refilled: Millis(0),
        }
    }

    /// Whether one more repetition is within the rate.
    pub(crate) fn take_token(&mut self, now: Millis, gamma_ms: u64) -> bool {
        let each = (gamma_ms / RESUME_BURST).max(1);
        let new = now.since(self.refilled) / each;
        if new > 0 {
            self.tokens = self.tokens.saturating_add(new).min(RESUME_BURST);
            self.refilled = now;
        }
        let have = self.tokens > 0;
        self.tokens -= u64::from(have);
        have
    }
}
