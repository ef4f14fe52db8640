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
//! | who is how far, and what it lacks | `status.rs` |
//! | messages and records | `message.rs` |
//!
//! Bounds: one echo and [`HELD_MAX`] held messages an account; [`AHEAD_MAX`] certificates that wait for an
//! earlier one or for room above ([`Admit::room`]); certificates since the last checkpoint; answers to
//! statuses as in `status.rs`.
//! Evidence: two payloads of an owner, two echoes of a witness. An owner that shows one half of the
//! group another message than the other is found out because a witness that waited [`STUCK_MS`] for the
//! outcome shows what it echoed to all.
//! Deviations: the thesis asks for more than two thirds of the processes; more than `(n + f) / 2` is
//! what the argument needs, and the same at `n = 3f + 1`. A witness echoes only what its own state could
//! apply ([`Admit::ready`]), so that an overspend is never certified: it waits, and with it its account alone.

mod certificate;
mod message;
mod owner;
mod status;
mod witness;

pub use message::{Certified, EchoStatement, Message, Record};
pub use status::{CATCHUP_BYTES_MAX, CATCHUP_MAX, TALK_MS};

use super::{Admit, Broadcast, Input, Payload, Step};
use crate::committee::{Committee, Seal};
use crate::ids::{Account, Place, Seq};
use status::Talk;
use std::collections::BTreeMap;
use std::sync::Arc;
use types::{Hash, Millis, SecretKey, Slot};

/// Messages of one account that a witness keeps while it cannot echo them.
pub const HELD_MAX: usize = 4;
/// Certificates of one account that wait for an earlier one, or for room above.
pub const AHEAD_MAX: u64 = 64;
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
    echoes: BTreeMap<Slot, Seal>,
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
    /// Certificates whose predecessor is missing, or for which there is no room above.
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
    /// Delivered something since the last status, or lacks something.
    news: bool,
    status_at: Millis,
    /// At most one for each member of the committee.
    talks: BTreeMap<Slot, Talk>,
}

impl Lane {
    /// Whether something before what is here is missing.
    fn has_gap(&self) -> bool {
        let first = self.ahead.keys().next();
        first.is_some_and(|first| Some(*first) != self.delivered.next())
    }

    /// Everything up to `seq` is delivered, or covered by a checkpoint.
    fn advance(&mut self, seq: Seq) {
        if seq <= self.delivered {
            return;
        }
        self.delivered = seq;
        self.conflicted = false;
        self.echoed.take_if(|(place, ..)| place.seq <= seq);
        self.held.retain(|(held, _), _| *held > seq);
        self.ahead.retain(|ahead, _| *ahead > seq);
    }
}

impl<A: Admit> QuorumBroadcast<A> {
    /// A member that has seen nothing.
    pub fn new(config: Config, key: SecretKey, above: A) -> Self {
        let (lanes, started, talks) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { config, key, above, lanes, started, news: false, status_at: Millis(0), talks }
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
                let digest = self.above.name(place, &payload);
                let lane = self.lanes.entry(place.account).or_default();
                if place.seq > lane.delivered {
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
                lane.advance(place.seq);
                lane.kept.insert(place.seq, certified);
                Some((place, payload))
            }
        }
    }

    /// A checkpoint covers an account up to here: forgets those certificates; who needs them takes the
    /// checkpoint. A member that is behind it starts from it.
    pub fn settle(&mut self, account: Account, seq: Seq) {
        let lane = self.lanes.entry(account).or_default();
        lane.advance(seq);
        lane.kept.retain(|kept, _| *kept > seq);
        self.started.retain(|place, _| place.account != account || place.seq > seq);
    }

    /// Other identities act, and this member perhaps with another key. Echoes that were collected for its own
    /// messages stay good; new ones are taken under the acting identities.
    pub fn renew(&mut self, committee: Arc<Committee>, key: SecretKey) {
        self.config.committee = committee;
        self.key = key;
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

    fn others(&self) -> Vec<Slot> {
        self.config.committee.all().filter(|slot| *slot != self.config.me).collect()
    }

    fn wake(&mut self, now: Millis, out: &mut Out) {
        self.release_all(now, out);
        self.retry_held(now, out);
        self.repeat_started(now, out);
        self.show_stuck(now, out);
        self.tell_all(now, out);
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
                Message::Status(seqs) => self.behind(now, from, &seqs, &mut out),
            },
            Input::Message { .. } => {}
            Input::LinkUp(peer) => {
                self.tell(now, peer, &mut out);
                self.show_started(peer, &mut out);
            }
            Input::Wake => self.wake(now, &mut out),
        }
        out
    }

    fn next_wakeup(&self) -> Option<Millis> {
        let stuck = self.lanes.values().filter_map(|lane| lane.echoed.as_ref().map(|(.., at)| *at));
        let again = self.started.values().filter(|it| !it.certified).map(|it| it.again_at);
        stuck.chain(again).chain(self.talk_at()).min()
    }
}
