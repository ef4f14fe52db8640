//! What we know about one peer: a few numbers, never a list of instances (specification 4.5).

use crate::parking::Parking;
use crate::resume::CATCHUP_RUN;
use crate::roles::SentKey;
use crate::untimely::Latency;
use std::collections::{BTreeMap, BTreeSet};
use types::{Instance, Millis};

/// Repetitions that may be given in a burst; one more per `gamma / REPEAT_BURST`.
pub(crate) const REPEAT_BURST: u64 = 256;
/// Different RESUMEs that are answered within one `gamma`; a member that is always a little behind
/// asks twice a second.
pub(crate) const RANGES_MAX: usize = 128;

/// Instances below `closed` that may be open again at the same time without moving it.
pub(crate) const REOPENED_MAX: usize = 32;

/// One peer.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    pub(crate) up: bool,
    /// Its link works, whether it takes part or not.
    pub(crate) linked: bool,
    /// In all instances below this nothing is outstanding in either direction, but in `reopened`.
    pub(crate) closed: Instance,
    /// Instances below `closed` in which something came up again.
    pub(crate) reopened: BTreeSet<Instance>,
    pub(crate) parking: Parking,
    /// Messages dropped because they could not be parked.
    pub(crate) dropped: u64,
    /// Something was dropped since the last RESUME that we sent.
    pub(crate) need: bool,
    /// How long the dialer waits for a valid frame.
    pub(crate) backoff_ms: u64,
    /// The oldest instance in which something was outstanding at its last frame.
    pub(crate) stuck: Option<Instance>,
    /// Since when, or when the acceptor said so.
    pub(crate) stuck_at: Millis,
    /// When each message that it is to answer left last; for the acceptor's repetitions.
    pub(crate) sent_at: BTreeMap<SentKey, Millis>,
    /// The dialer has said something since the link came up.
    pub(crate) greeted: bool,
    pub(crate) resend_at: Option<Millis>,
    /// The highest instance that the peer is known to have entered.
    pub(crate) evidence: Instance,
    /// The instance in which its last WAKE counted.
    pub(crate) woke: Option<Instance>,
    /// Where it sent a WAKE that no command justified yet (U4).
    pub(crate) wake_open: Option<Instance>,
    /// Its last decided proposal with commands, since we started.
    pub(crate) spoke: Option<Instance>,
    /// How fast it answers.
    pub(crate) latency: Latency,
    /// When we last asked it for decisions, and from which instance on.
    pub(crate) asked: Option<(Instance, Millis)>,
    /// Decisions that we are sending it: the next one and the end of the run.
    pub(crate) serve: Option<(Instance, Instance)>,
    /// Closed instances whose last steps it wants again: the next one and the end.
    pub(crate) again: Option<(Instance, Instance)>,
    /// Decisions below this were sent to it once; sending them again is a repetition.
    pub(crate) served: Instance,
    /// The link came up, and no RESUME was answered since.
    pub(crate) fresh: bool,
    /// RESUMEs answered within the last `gamma`, and whether there was a decision to send.
    resumes: BTreeMap<(Instance, Instance), (Millis, bool)>,
    /// The highest undecided instance in an answered RESUME.
    highest: Instance,
    tokens: u64,
    refilled: Millis,
}

impl Peer {
    pub(crate) fn new(gamma_ms: u64) -> Self {
        Self {
            up: false,
            linked: false,
            closed: Instance(0),
            reopened: BTreeSet::new(),
            parking: Parking::default(),
            dropped: 0,
            need: false,
            backoff_ms: 2 * gamma_ms,
            stuck: None,
            stuck_at: Millis(0),
            sent_at: BTreeMap::new(),
            greeted: false,
            resend_at: None,
            evidence: Instance(0),
            woke: None,
            wake_open: None,
            spoke: None,
            latency: Latency::default(),
            asked: None,
            serve: None,
            again: None,
            served: Instance(0),
            fresh: false,
            resumes: BTreeMap::new(),
            highest: Instance(0),
            tokens: REPEAT_BURST,
            refilled: Millis(0),
        }
    }

    /// Whether something is or may be outstanding in an instance.
    pub(crate) fn is_open(&self, no: Instance) -> bool {
        no >= self.closed || self.reopened.contains(&no)
    }

    /// Below this nothing is outstanding at all; what is durable of `closed`.
    pub(crate) fn all_closed(&self) -> Instance {
        self.reopened.first().map_or(self.closed, |no| self.closed.min(*no))
    }

    /// Something is outstanding in an instance; whether that is new below `closed`.
    pub(crate) fn reopen(&mut self, no: Instance) -> bool {
        if self.is_open(no) {
            return false;
        }
        if self.reopened.len() < REOPENED_MAX {
            self.reopened.insert(no);
        } else {
            self.closed = no;
            self.reopened.retain(|other| *other < no);
        }
        true
    }

    /// P4: whether a RESUME is answered. Once per range and `gamma`; also right after the link came
    /// up, when the peer went through a whole run of decisions, and when there was nothing to send
    /// and now is.
    pub(crate) fn answers_resume(
        &mut self,
        undecided: Instance,
        frontier: Instance,
        ahead: bool,
        now: Millis,
        gamma_ms: u64,
    ) -> bool {
        self.resumes.retain(|_, (at, _)| now.since(*at) < gamma_ms);
        let went_on = undecided.0 >= self.highest.0.saturating_add(CATCHUP_RUN);
        let fresh = std::mem::take(&mut self.fresh);
        let known = self.resumes.get(&(undecided, frontier)).copied();
        let more = known.is_some_and(|(_, sent)| ahead && !sent);
        let new = more || (known.is_none() && self.resumes.len() < RANGES_MAX);
        if new {
            self.resumes.insert((undecided, frontier), (now, ahead));
        }
        let answered = fresh || went_on || new;
        if answered {
            self.highest = self.highest.max(undecided);
        }
        answered
    }

    /// Forgets times and rates, for a comparison of states in which nothing is ever repeated.
    pub(crate) fn without_clock(&mut self) {
        self.latency = Latency::default();
        let new = Self::new(0);
        (self.backoff_ms, self.tokens, self.refilled) = (0, new.tokens, new.refilled);
        (self.resend_at, self.asked, self.stuck) = (None, None, None);
        self.stuck_at = Millis(0);
        self.sent_at.clear();
        self.resumes.clear();
    }

    /// Whether one more repetition is within the rate.
    pub(crate) fn take_token(&mut self, now: Millis, gamma_ms: u64) -> bool {
        let each = (gamma_ms / REPEAT_BURST).max(1);
        let new = now.since(self.refilled) / each;
        if new > 0 {
            self.tokens = self.tokens.saturating_add(new).min(REPEAT_BURST);
            self.refilled = now;
        }
        let have = self.tokens > 0;
        self.tokens -= u64::from(have);
        have
    }
}
