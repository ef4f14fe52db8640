//! Who is how far: statuses, and the certificates that answer them, at a bounded rate.
//!
//! Guarantees: 1. a peer is answered at most once, and sent one status at most, in [`TALK_MS`], whatever it
//! sends; one answer has at most [`CATCHUP_MAX`] certificates and [`CATCHUP_BYTES_MAX`] bytes; 2. a status that
//! comes too early is not forgotten: its sender hears how far this member is when its time has come, and
//! asks again if it still lacks something.

use super::{Message, Out, QuorumBroadcast, STATUS_MS, Spread};
use crate::broadcast::Admit;
use crate::ids::{Account, Seq};
use types::{Encode, Hash, Millis, Slot};

/// Certificates that one status is answered with.
pub const CATCHUP_MAX: usize = 256;
/// Bytes of payloads that one status is answered with, unless the first alone has more.
pub const CATCHUP_BYTES_MAX: usize = 1 << 20;
/// The least time between two answers to one peer, and between two statuses to it.
pub const TALK_MS: u64 = 500;

/// When this member last spoke with a peer about how far they are.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Talk {
    answered_at: Option<Millis>,
    told_at: Option<Millis>,
    /// The peer is to be sent a status as soon as it may be.
    owed: bool,
}

fn open_at(last: Option<Millis>) -> Millis {
    last.map_or(Millis(0), |at| at.plus(TALK_MS))
}

impl Talk {
    fn due_at(&self) -> Option<Millis> {
        self.owed.then(|| open_at(self.told_at).max(open_at(self.answered_at)))
    }
}

impl<A: Admit> QuorumBroadcast<A> {
    /// Says soon how far this member is, so that others send what it lacks.
    pub fn ask(&mut self, now: Millis) {
        self.news = true;
        self.status_at = self.status_at.max(now.plus(STATUS_MS));
    }

    pub(super) fn status(&self) -> Message {
        let lanes = self.lanes.iter().filter(|(_, lane)| lane.delivered > Seq(0));
        Message::Status(lanes.map(|(account, lane)| (*account, lane.delivered)).collect())
    }

    /// Tells one peer how far this member is, now or as soon as the rate allows.
    pub(super) fn tell(&mut self, now: Millis, peer: Slot, out: &mut Out) {
        let talk = self.talks.entry(peer).or_default();
        talk.owed = true;
        if talk.due_at().is_some_and(|at| at <= now) {
            (talk.owed, talk.told_at) = (false, Some(now));
            out.send(vec![peer], self.status());
        }
    }

    /// Time passed: what is owed, and the news.
    pub(super) fn tell_all(&mut self, now: Millis, out: &mut Out) {
        let due = |talk: &Talk| talk.due_at().is_some_and(|at| at <= now);
        let owed = self.talks.iter().filter(|(_, talk)| due(talk));
        for peer in owed.map(|(peer, _)| *peer).collect::<Vec<_>>() {
            self.tell(now, peer, out);
        }
        if self.news && now >= self.status_at {
            // Whoever still lacks something says so again, until it does not.
            self.news = self.lanes.values().any(|lane| lane.has_gap());
            self.status_at = now.plus(STATUS_MS);
            for peer in self.chosen(now.0) {
                let talk = self.talks.entry(peer).or_default();
                (talk.owed, talk.told_at) = (false, Some(now));
                out.send(vec![peer], self.status());
            }
        }
    }

    pub(super) fn talk_at(&self) -> Option<Millis> {
        let owed = self.talks.values().filter_map(Talk::due_at);
        owed.chain(self.news.then_some(self.status_at)).min()
    }

    /// A peer says how far it is; what it lacks it gets, a bounded part at a time.
    pub(super) fn behind(
        &mut self,
        now: Millis,
        from: Slot,
        seqs: &[(Account, Seq)],
        out: &mut Out,
    ) {
        if usize::from(from.0) >= self.config.committee.n() {
            return;
        }
        if !seqs.is_sorted_by(|a, b| a.0 < b.0) {
            return out.fault(from, "a status is not in order");
        }
        let theirs = |account: &Account| {
            let at = seqs.binary_search_by_key(account, |(account, _)| *account);
            at.map(|at| seqs[at].1).unwrap_or_default()
        };
        let lanes = || self.lanes.iter().map(|(account, lane)| (theirs(account), lane));
        let lacks = lanes().any(|(theirs, lane)| {
            lane.kept.last_key_value().is_some_and(|(last, _)| *last > theirs)
        });
        let behind = lanes().any(|(theirs, lane)| theirs > lane.delivered)
            || seqs.iter().any(|(account, _)| !self.lanes.contains_key(account));
        if lacks {
            let talk = self.talks.entry(from).or_default();
            if open_at(talk.answered_at) > now {
                talk.owed = true;
            } else {
                talk.answered_at = Some(now);
                self.answer_status(from, theirs, out);
            }
        }
        if behind {
            self.tell(now, from, out);
        }
    }

    fn answer_status(&self, to: Slot, theirs: impl Fn(&Account) -> Seq, out: &mut Out) {
        let (mut count, mut bytes) = (0, 0);
        for (account, lane) in &self.lanes {
            for (_, kept) in lane.kept.range(Seq(theirs(account).0.saturating_add(1))..) {
                count += 1;
                bytes += kept.payload.len();
                if count > CATCHUP_MAX || (count > 1 && bytes > CATCHUP_BYTES_MAX) {
                    return;
                }
                out.send(vec![to], Message::Certified(kept.clone()));
            }
        }
    }

    /// Who hears of something: all others, or as many as the fan-out, chosen by the secret seed.
    pub(super) fn chosen(&self, salt: u64) -> Vec<Slot> {
        let others = self.others();
        let Spread::Gossip { fanout } = self.config.spread else { return others };
        if fanout >= others.len() {
            return others;
        }
        let rank = |slot: &Slot| {
            let mut input = self.config.seed.to_vec();
            input.extend_from_slice(&salt.to_le_bytes());
            input.extend_from_slice(&slot.to_bytes());
            Hash::tagged("ledger gossip", &input)
        };
        let mut ranked: Vec<(Hash, Slot)> = others.iter().map(|slot| (rank(slot), *slot)).collect();
        ranked.select_nth_unstable(fanout);
        ranked.truncate(fanout);
        ranked.into_iter().map(|(_, slot)| slot).collect()
    }
}
