//! Broadcast by a quorum of signed echoes: the default, and beneath certified gossip too.
//!
//! Source: thesis sections 3.3 and 3.4 (after Malkhi and Reiter): the owner shows its message to all, a
//! witness echoes it if the last that it delivered of this account is the one before, the owner sends
//! the message with more than `(n + f) / 2` echoes, and whoever holds that delivers.
//!
//! Assumes and guarantees: as `broadcast/mod.rs`, always, not with some probability. Why: (integrity,
//! consistency) two certificates for one place would share an honest witness, which echoes once, also
//! across a restart; (agreement) who delivers keeps the certificate until the next checkpoint, and
//! hands it on: to all at once, or to a few that hand it on, and to whoever says it is behind
//! ([`Message::Status`]); (order) a certificate is delivered when its predecessor was.
//!
//! | step | file |
//! | --- | --- |
//! | a witness sees a message, echoes, keeps what conflicts | `witness.rs` |
//! | an owner collects echoes | `owner.rs` |
//! | certificates: check, deliver, hand on | `certificate.rs` |
//! | messages and records | `message.rs` |
//!
//! Bounds: one echo and [`HELD_MAX`] held messages an account; certificates since the last checkpoint.
//! Evidence: two payloads of an owner, two echoes of a witness. An owner that shows one half of the
//! group another message than the other is found out because a witness that waited [`STUCK_MS`] for the
//! outcome shows what it echoed to all.
//! Deviations: the thesis asks for more than two thirds of the processes; more than `(n + f) / 2` is
//! what the argument needs, and the same at `n = 3f + 1`. A witness echoes only what its own state could
//! apply ([`Admit::ready`]), so that an overspend is never certified: it waits, and with it its account alone.

mod certificate;
mod message;
mod owner;
mod witness;

pub use message::{Certified, EchoStatement, Message, Record};

use super::{Admit, Broadcast, Input, Payload, Step};
use crate::committee::Committee;
use crate::ids::{Account, Place, Seq};
use std::collections::BTreeMap;
use std::sync::Arc;
use types::{Hash, Millis, SecretKey, Signature, Slot};

/// Messages of one account that a witness keeps while it cannot echo them.
pub const HELD_MAX: usize = 4;
/// Certificates of one account that wait for an earlier one.
pub const AHEAD_MAX: u64 = 64;
/// Certificates that one status is answered with.
pub const CATCHUP_MAX: usize = 256;
/// A witness that has waited so long for the outcome shows what it echoed to all.
pub const STUCK_MS: u64 = 3_000;
/// How often a member that delivered something says how far it is.
pub const STATUS_MS: u64 = 1_000;

type Out = Step<Message, Record>;

/// How a certificate reaches everybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spread {
    /// The owner sends it to all; who is left out asks. Cheapest at group size.
    Owner,
    /// Whoever delivers it first sends it to so many others, chosen by a secret seed.
    Gossip {
        /// 12 to 21, at most all others.
        fanout: usize,
    },
}

/// Everything that a member needs to know at the start.
#[derive(Debug, Clone)]
pub struct Config {
    /// The witnesses.
    pub committee: Arc<Committee>,
    /// Which of them this is.
    pub me: Slot,
    /// How certificates spread.
    pub spread: Spread,
    /// Chooses gossip peers; secret, and other for each member.
    pub seed: [u8; 32],
}

/// A message that this member started.
#[derive(Debug)]
struct Started {
    payload: Payload,
    digest: Hash,
    echoes: BTreeMap<Slot, Signature>,
    certified: bool,
    again_at: Millis,
}

/// What a member knows of one account's messages.
#[derive(Debug, Default)]
struct Lane {
    delivered: Seq,
    /// The message echoed after the last delivered one, and when to tell all about it.
    echoed: Option<(Place, Payload, Hash, Millis)>,
    /// Messages that could not be echoed yet, with who showed them.
    held: BTreeMap<(Seq, Hash), (Slot, Payload)>,
    /// Certificates whose predecessor is missing.
    ahead: BTreeMap<Seq, Certified>,
    /// Delivered since the last checkpoint.
    kept: BTreeMap<Seq, Certified>,
    /// A conflict was reported for the message after `delivered`.
    conflicted: bool,
}

/// Quorum broadcast at one member, above it an `A`.
#[derive(Debug)]
pub struct QuorumBroadcast<A> {
    config: Config,
    key: SecretKey,
    above: A,
    lanes: BTreeMap<Account, Lane>,
    started: BTreeMap<Place, Started>,
    /// Delivered something since the last status.
    news: bool,
    status_at: Millis,
}

impl<A: Admit> QuorumBroadcast<A> {
    /// A member that has seen nothing.
    pub fn new(config: Config, key: SecretKey, above: A) -> Self {
        let (lanes, started) = (BTreeMap::new(), BTreeMap::new());
        Self { config, key, above, lanes, started, news: false, status_at: Millis(0) }
    }

    /// The layer above.
    pub fn above(&self) -> &A {
        &self.above
    }

    /// The layer above, to tell it what was delivered.
    pub fn above_mut(&mut self) -> &mut A {
        &mut self.above
    }

    /// Takes back what was written down, in order, before [`Broadcast::start`]. Returns what was delivered.
    pub fn restore(&mut self, record: Record) -> Option<(Place, Payload)> {
        match record {
            Record::Echoed { place, payload } => {
                let lane = self.lanes.entry(place.account).or_default();
                if place.seq > lane.delivered {
                    let digest = super::payload_digest(place, &payload);
                    lane.echoed = Some((place, payload, digest, Millis(0)));
                }
                None
            }
            Record::Delivered(certified) => {
                let Certified { place, payload, .. } = certified.clone();
                let lane = self.lanes.entry(place.account).or_default();
                if place.seq <= lane.delivered {
                    return None;
                }
                lane.delivered = place.seq;
                lane.echoed.take_if(|(echoed, ..)| echoed.seq <= place.seq);
                lane.kept.insert(place.seq, certified);
                Some((place, payload))
            }
        }
    }

    /// A checkpoint covers an account up to here: forgets those certificates; who needs them takes the
    /// checkpoint. A member that is behind it starts from it.
    pub fn settle(&mut self, account: Account, seq: Seq) {
        let lane = self.lanes.entry(account).or_default();
        lane.delivered = lane.delivered.max(seq);
        lane.echoed.take_if(|(place, ..)| place.seq <= seq);
        lane.kept.retain(|kept, _| *kept > seq);
        lane.held.retain(|(held, _), _| *held > seq);
        lane.ahead.retain(|ahead, _| *ahead > seq);
    }

    /// What was delivered of an account.
    pub fn delivered(&self, account: Account) -> Seq {
        self.lanes.get(&account).map(|lane| lane.delivered).unwrap_or_default()
    }

    /// Certificates kept since the last checkpoint, for a runner that writes its store anew.
    pub fn kept(&self) -> impl Iterator<Item = &Certified> + '_ {
        self.lanes.values().flat_map(|lane| lane.kept.values())
    }

    /// The echoes that a restart must know, as records.
    pub fn echoed(&self) -> impl Iterator<Item = Record> + '_ {
        let echoed = self.lanes.values().filter_map(|lane| lane.echoed.as_ref());
        echoed
            .map(|(place, payload, ..)| Record::Echoed { place: *place, payload: payload.clone() })
    }

    /// Says soon how far this member is, so that others send what it lacks.
    pub fn ask(&mut self, now: Millis) {
        self.news = true;
        self.status_at = self.status_at.max(now.plus(STATUS_MS));
    }

    fn others(&self) -> Vec<Slot> {
        self.config.committee.all().filter(|slot| *slot != self.config.me).collect()
    }

    fn status(&self) -> Message {
        let lanes = self.lanes.iter().filter(|(_, lane)| lane.delivered > Seq(0));
        Message::Status(lanes.map(|(account, lane)| (*account, lane.delivered)).collect())
    }

    fn wake(&mut self, now: Millis, out: &mut Out) {
        self.retry_held(now, out);
        self.repeat_started(now, out);
        self.show_stuck(now, out);
        if self.news && now >= self.status_at {
            self.news = false;
            self.status_at = now.plus(STATUS_MS);
            let to = self.chosen(self.status_at.0);
            out.send(to, self.status());
        }
    }
}

impl<A: Admit> Broadcast for QuorumBroadcast<A> {
    type Message = Message;
    type Record = Record;

    fn start(&mut self, now: Millis) -> Out {
        let mut out = Out::default();
        self.status_at = now.plus(STATUS_MS);
        for lane in self.lanes.values_mut() {
            if let Some((.., at)) = &mut lane.echoed {
                *at = now.plus(STUCK_MS);
            }
        }
        out.send(self.others(), self.status());
        out
    }

    fn handle(&mut self, now: Millis, input: Input<Message>) -> Out {
        let mut out = Out::default();
        match input {
            Input::Broadcast { place, payload } => self.begin(now, place, payload, &mut out),
            Input::Message { from, message } if from != self.config.me => match message {
                Message::Init { place, payload } => self.init(now, from, place, payload, &mut out),
                Message::Echo(echo) => self.echo(now, from, echo, &mut out),
                Message::Certified(certified) => self.certified(now, from, certified, &mut out),
                Message::Status(seqs) => self.behind(from, &seqs, &mut out),
            },
            Input::Message { .. } => {}
            Input::LinkUp(peer) => {
                out.send(vec![peer], self.status());
                self.show_started(peer, &mut out);
            }
            Input::Wake => self.wake(now, &mut out),
        }
        out
    }

    fn next_wakeup(&self) -> Option<Millis> {
        let stuck = self.lanes.values().filter_map(|lane| lane.echoed.as_ref().map(|(.., at)| *at));
        let again = self.started.values().filter(|it| !it.certified).map(|it| it.again_at);
        stuck.chain(again).chain(self.news.then_some(self.status_at)).min()
    }
}
