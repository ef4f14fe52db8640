//! Timeliness: private marks against members that are early or late (specification 3.8, rules U1,
//! U2, U4; paper 5.1.4, lemma 14, figure 12 lines 106 to 109).
//!
//! Assumes: one moment is seen at about the same time by all, up to a latency that our own
//! conversations measure. Guarantees: (1) a turn is judged once, and only if it or a later one was
//! proven (issue T26), so a fast clock alone fines nobody; (2) turns of the instance in which we
//! started are not judged; (3) a slow member cannot widen its window beyond a quarter of the base
//! timeout; (4) what was published is taken back only when it is decided, also after a restart.
//! Bounds: `U_CARRY` marks a peer, `U_MAX` of them in a proposal (issue T25); one open measurement
//! a peer; a turn waits for its judgement while its instance is in memory.
//! Marks are opinions: they cost a bounded fine, never a conviction.

use crate::core::Core;
use crate::inst::Inst;
use crate::proposal::Proposal;
use types::limits::{UNTIMELY_CARRY, UNTIMELY_MAX};
use types::{Instance, Millis, Slot};

/// The narrowest window, ms.
pub(crate) const WINDOW_MIN_MS: u64 = 250;
/// Instances that the author of a WAKE may be ahead of us.
const WAKE_AHEAD: u64 = 2;

/// Our private counters, one a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Marks(Vec<u8>);

impl Marks {
    pub(crate) fn new(slots: usize) -> Self {
        Self(vec![0; slots])
    }

    /// Takes counters from their record; none if the length is wrong.
    pub(crate) fn restored(counters: Vec<u8>, slots: usize) -> Option<Self> {
        let valid =
            counters.len() == slots && counters.iter().all(|count| *count <= UNTIMELY_CARRY);
        valid.then_some(Self(counters))
    }

    pub(crate) fn counters(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn add(&mut self, slot: Slot) {
        if let Some(count) = self.0.get_mut(usize::from(slot.0)) {
            *count = count.saturating_add(1).min(UNTIMELY_CARRY);
        }
    }

    /// What the next proposal says.
    fn published(&self) -> Vec<u8> {
        self.0.iter().map(|count| (*count).min(UNTIMELY_MAX)).collect()
    }

    /// What was published is decided.
    fn take_back(&mut self, published: &[u8]) {
        for (count, published) in self.0.iter_mut().zip(published) {
            *count = count.saturating_sub(*published);
        }
    }
}

/// When a turn that we lead began for us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Opened {
    pub(crate) at: Millis,
    /// By our own timer or a failed quorum, not by what others sent.
    pub(crate) own: bool,
}

/// What starts a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// Our timer, or a quorum that failed before our eyes.
    Own,
    /// A proof, or the set-turns of others.
    Others,
}

/// Answer times of one peer: smoothed mean and deviation as in RFC 6298, scaled by 8 and 4.
#[derive(Debug, Clone, Default)]
pub(crate) struct Latency {
    mean_8: u64,
    deviation_4: u64,
    known: bool,
    /// The step that is being measured, and when it left.
    probe: Option<((Instance, u32, u8), Millis)>,
}

impl Latency {
    /// A step left for the first time.
    pub(crate) fn sent(&mut self, step: (Instance, u32, u8), now: Millis) {
        if self.probe.is_none() {
            self.probe = Some((step, now));
        }
    }

    /// What is under way may be repeated or lost, so its answer measures nothing.
    pub(crate) fn forget(&mut self) {
        self.probe = None;
    }

    /// A step was answered.
    pub(crate) fn answered(&mut self, step: (Instance, u32, u8), now: Millis) {
        let Some((_, sent)) = self.probe.filter(|(probe, _)| *probe == step) else { return };
        self.probe = None;
        let took = now.since(sent);
        if !self.known {
            (self.known, self.mean_8, self.deviation_4) = (true, took * 8, took * 2);
            return;
        }
        let error = took.abs_diff(self.mean_8 / 8);
        self.deviation_4 = self.deviation_4 - self.deviation_4 / 4 + error;
        self.mean_8 = self.mean_8 - self.mean_8 / 8 + took;
    }

    /// One way, half of an answer's time.
    pub(crate) fn one_way_ms(&self, base_ms: u64) -> u64 {
        (self.mean_8 / 16).min(base_ms / 8)
    }

    /// How far from the mean an arrival may be: four times half the deviation. Bounded, because a
    /// member that answers slowly on purpose must not buy itself the time to be late.
    pub(crate) fn window_ms(&self, base_ms: u64) -> u64 {
        let widest = (base_ms / 4).max(WINDOW_MIN_MS);
        if self.known { (self.deviation_4 / 2).clamp(WINDOW_MIN_MS, widest) } else { widest }
    }
}

impl Core {
    /// One-way latency and window of a peer.
    fn timing(&self, peer: Slot) -> (u64, u64) {
        let base = self.log.timeout.base_ms(&self.config.params);
        let latency = self.peer_ref(peer).map(|state| &state.latency);
        latency.map_or((0, WINDOW_MIN_MS), |l| (l.one_way_ms(base), l.window_ms(base)))
    }

    /// The vector of our next proposal.
    pub(crate) fn untimely(&self, no: Instance) -> Vec<u8> {
        let live: Vec<Slot> = self.others();
        let mut marks = self.marks.published();
        marks.resize(self.slots(no), 0);
        let published = marks.into_iter().enumerate();
        let keep = |(slot, units): (usize, u8)| {
            if live.contains(&Slot(slot as u16)) { units } else { 0 }
        };
        published.map(keep).collect()
    }

    /// A proposal was decided: ours takes back what it published; U4 if its author called all and
    /// then had nothing to say.
    pub(crate) fn note_proposal(&mut self, no: Instance, sender: Slot, proposal: &Proposal) {
        if sender == self.me {
            return self.marks.take_back(&proposal.untimely);
        }
        let empty = proposal.is_idle();
        let Some(peer) = self.peer(sender) else { return };
        if !empty {
            peer.spoke = Some(no);
            peer.wake_open = None;
        } else if peer.wake_open.is_some_and(|at| no > at) {
            peer.wake_open = None;
            self.marks.add(sender);
        }
    }

    /// A WAKE counted; its author must bring a command with its next proposal, unless it already
    /// did while the WAKE was on its way.
    pub(crate) fn note_wake(&mut self, from: Slot, at: Instance) {
        // It may be a little ahead of us, but a place far ahead would excuse what it says until then.
        let at = at.min(Instance(self.current.0.saturating_add(WAKE_AHEAD)));
        if let Some(peer) = self.peer(from) {
            let spoke = peer.spoke.is_some_and(|no| no >= at);
            peer.wake_open = peer.wake_open.or(Some(at)).filter(|_| !spoke);
        }
    }

    /// A turn that we lead begins: its set-turns will be judged.
    pub(crate) fn open_turn(&mut self, no: Instance, turn: u32, start: Start) {
        let at = self.now.mono;
        // Who decided starts turns when their proof happens to reach it.
        let decided = self.insts.get(&no).is_none_or(Inst::is_decided);
        if no <= self.judge_after || decided {
            return;
        }
        if let Some(lead) = self.lead_mut(no, turn) {
            lead.opened = Some(Opened { at, own: start == Start::Own });
            self.unjudged.insert((no, turn));
        }
    }

    /// U1 for every turn whose time has come; no timer is needed, because arrivals are dated.
    pub(crate) fn judge_turns(&mut self) {
        if self.unjudged.is_empty() {
            return;
        }
        for (no, turn) in self.unjudged.clone() {
            let late = match self.insts.get(&no) {
                None => Some(Vec::new()),
                Some(inst) if inst.proof < turn => None,
                Some(_) => self.untimely_in(no, turn),
            };
            if let Some(late) = late {
                self.unjudged.remove(&(no, turn));
                late.into_iter().for_each(|slot| self.marks.add(slot));
            }
        }
    }

    /// U1: who was untimely in a turn that we led; none while the last window is open.
    fn untimely_in(&self, no: Instance, turn: u32) -> Option<Vec<Slot>> {
        let Some(lead) = self.lead(no, turn) else { return Some(Vec::new()) };
        let Some(opened) = lead.opened else { return Some(Vec::new()) };
        let sender = self.schedule.sender(no);
        let peers: Vec<Slot> = self.others().into_iter().filter(|slot| *slot != sender).collect();
        // Our own start counts as an arrival: it is one of the q set-turns of the proof.
        let mut arrivals: Vec<Millis> = lead.arrivals.values().copied().collect();
        arrivals.push(opened.at);
        arrivals.sort_unstable();
        let quorum = arrivals.get(self.q(no) - 1).copied();
        let interval = |peer: Slot| {
            let (latency, window) = self.timing(peer);
            match (opened.own, quorum) {
                (true, _) => {
                    let middle = opened.at.plus(latency);
                    Some((Millis(middle.0.saturating_sub(window)), middle.plus(window)))
                }
                (false, Some(quorum)) => Some((Millis(0), quorum.plus(window))),
                (false, None) => None,
            }
        };
        let mut untimely = Vec::new();
        for peer in peers {
            let Some((first, last)) = interval(peer) else { continue };
            if self.now.mono <= last {
                return None;
            }
            let came = lead.arrivals.get(&peer);
            if came.is_none_or(|at| *at < first || *at > last) {
                untimely.push(peer);
            }
        }
        Some(untimely)
    }

    /// A step that we sent was answered.
    pub(crate) fn note_answer(&mut self, from: Slot, no: Instance, turn: u32, step: u8) {
        let now = self.now.mono;
        if let Some(peer) = self.peer(from) {
            peer.latency.answered((no, turn, step), now);
        }
    }

    /// U2: the outcome of a turn came long after our timer had given it up.
    pub(crate) fn judge_outcome(&mut self, leader: Slot, no: Instance, turn: u32) {
        let state = self.insts.get(&no).and_then(|inst| inst.turns.get(&turn));
        let Some(fired) = state.and_then(|state| state.fired_at) else { return };
        let (latency, window) = self.timing(leader);
        if self.now.mono > fired.plus(latency + window) {
            self.marks.add(leader);
        }
    }
}
