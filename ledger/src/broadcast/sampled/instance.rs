//! One broadcast at one member: the three layers stacked.

use super::echo::Echo;
use super::gossip::Gossip;
use super::message::{Message, Record, Wants};
use super::ready::Ready;
use super::sample::{Layer, draw};
use super::{Setting, Step};
use crate::broadcast::{Effect, Evidence, Payload, payload_digest};
use crate::ids::Place;
use std::collections::BTreeMap;
use types::{Hash, Slot};

/// One instance.
#[derive(Debug, Clone)]
pub struct Instance {
    me: Slot,
    place: Place,
    gossip: Gossip,
    echo: Echo,
    ready: Ready,
    /// Whom this member sampled, and what for.
    asked: BTreeMap<Slot, Wants>,
    /// Payloads of digests that this member echoed, is ready for or delivered: at most four.
    payloads: BTreeMap<Hash, Payload>,
    convicted: bool,
}

impl Instance {
    /// Draws the samples.
    pub fn new(setting: &Setting, place: Place) -> Self {
        let sizes = &setting.sizes;
        let of = |layer, size| draw(&setting.secret, place, layer, size, setting.members);
        let gossip = of(Layer::Gossip, sizes.gossip);
        let echo = of(Layer::Echo, sizes.echo);
        let ready = of(Layer::Ready, sizes.ready);
        let delivery = of(Layer::Delivery, sizes.delivery);
        let mut asked: BTreeMap<Slot, Wants> = BTreeMap::new();
        gossip.iter().for_each(|slot| asked.entry(*slot).or_default().gossip = true);
        echo.iter().for_each(|slot| asked.entry(*slot).or_default().echo = true);
        ready.iter().chain(&delivery).for_each(|slot| asked.entry(*slot).or_default().ready = true);
        let me = setting.me;
        let own = asked.remove(&me).unwrap_or_default();
        let links = gossip.into_iter().filter(|slot| *slot != me).collect();
        let mut made = Self {
            me,
            place,
            gossip: Gossip::new(links),
            echo: Echo::new(echo, sizes.echo_threshold),
            ready: Ready::new((ready, sizes.ready_threshold), (delivery, sizes.delivery_threshold)),
            asked,
            payloads: BTreeMap::new(),
            convicted: false,
        };
        // A member that sampled itself hears itself like any other subscriber.
        if own.echo {
            made.echo.subscribed(me);
        }
        if own.ready {
            made.ready.subscribed(me);
        }
        made
    }

    /// Whether this member sampled a peer, and what for.
    pub fn asks(&self, peer: Slot) -> Option<Message> {
        self.asked.get(&peer).map(|wants| Message::Subscribe { place: self.place, wants: *wants })
    }

    /// Asks all that were sampled; those who answered already answer again.
    pub fn subscribe(&self, step: &mut Step) {
        for (peer, wants) in &self.asked {
            let message = Message::Subscribe { place: self.place, wants: *wants };
            step.send(vec![*peer], message);
        }
    }

    /// A peer sampled this member.
    pub fn subscribed(&mut self, peer: Slot, wants: Wants, step: &mut Step) {
        let place = self.place;
        if wants.gossip
            && let Some(payload) = self.gossip.subscribed(peer)
        {
            step.send(vec![peer], Message::Gossip { place, payload });
        }
        if wants.echo
            && let Some(digest) = self.echo.subscribed(peer)
        {
            step.send(vec![peer], Message::Echo { place, digest });
        }
        if wants.ready {
            for digest in self.ready.subscribed(peer) {
                let payload = self.payloads[&digest].clone();
                step.send(vec![peer], Message::Ready { place, payload });
            }
        }
    }

    /// Whether a payload was admitted before, so that its signature need not be checked again.
    pub fn knows(&self, digest: &Hash) -> bool {
        self.payloads.contains_key(digest)
    }

    /// An admitted payload came by gossip, or is the own broadcast.
    pub fn gossiped(&mut self, payload: &Payload, step: &mut Step) {
        let digest = payload_digest(self.place, payload);
        self.compare(&digest, payload, step);
        let Some(links) = self.gossip.dispatch(payload) else { return };
        let place = self.place;
        step.send(links, Message::Gossip { place, payload: payload.clone() });
        self.payloads.insert(digest, payload.clone());
        step.effects.push(Effect::Persist(Record::Echoed(place, payload.clone())));
        let subscribers = self.echo.echo(digest);
        let myself = self.tell(subscribers, Message::Echo { place, digest }, step);
        if myself {
            self.echo.reply(self.me, digest);
        }
        self.echo_delivery(step);
    }

    /// A peer echoed.
    pub fn echoed(&mut self, peer: Slot, digest: Hash, step: &mut Step) {
        if self.echo.reply(peer, digest) {
            step.fault(peer, "echoed two payloads");
        }
        self.echo_delivery(step);
    }

    fn echo_delivery(&mut self, step: &mut Step) {
        let Some(digest) = self.echo.delivery() else { return };
        let payload = self.payloads[&digest].clone();
        if let Some(subscribers) = self.ready.own(digest) {
            step.effects.push(Effect::Persist(Record::Own(self.place, payload.clone())));
            self.say_ready(subscribers, digest, &payload, step);
        }
    }

    /// A peer is ready for an admitted payload.
    pub fn readied(&mut self, peer: Slot, payload: &Payload, step: &mut Step) {
        let digest = payload_digest(self.place, payload);
        self.compare(&digest, payload, step);
        if self.ready.reply(peer, digest) {
            step.fault(peer, "ready for too many payloads");
        }
        self.spread(digest, payload, step);
    }

    fn spread(&mut self, digest: Hash, payload: &Payload, step: &mut Step) {
        if let Some(subscribers) = self.ready.contagion(digest) {
            self.payloads.insert(digest, payload.clone());
            step.effects.push(Effect::Persist(Record::Infected(self.place, payload.clone())));
            self.say_ready(subscribers, digest, payload, step);
        }
        if self.ready.delivery(digest) {
            self.payloads.insert(digest, payload.clone());
            step.effects.push(Effect::Persist(Record::Delivered(self.place, payload.clone())));
        }
    }

    fn say_ready(&mut self, to: Vec<Slot>, digest: Hash, payload: &Payload, step: &mut Step) {
        let message = Message::Ready { place: self.place, payload: payload.clone() };
        if self.tell(to, message, step) {
            self.ready.reply(self.me, digest);
            self.spread(digest, payload, step);
        }
    }

    /// Sends to all but this member; whether it is one of them.
    fn tell(&self, mut to: Vec<Slot>, message: Message, step: &mut Step) -> bool {
        let before = to.len();
        to.retain(|slot| *slot != self.me);
        let myself = to.len() < before;
        step.send(to, message);
        myself
    }

    /// Two admitted payloads at one place convict their issuer, once.
    fn compare(&mut self, digest: &Hash, payload: &Payload, step: &mut Step) {
        let other = self.payloads.iter().find(|(known, _)| *known != digest);
        if let (Some((_, first)), false) = (other, self.convicted) {
            let (first, second) = (first.clone(), payload.clone());
            let place = self.place;
            step.effects.push(Effect::Evidence(Evidence::TwoPayloads { place, first, second }));
            self.convicted = true;
        }
    }

    /// What was delivered.
    pub fn delivered(&self) -> Option<&Payload> {
        self.ready.delivered().map(|digest| &self.payloads[&digest])
    }

    /// Takes back what was written down; says nothing.
    pub fn restore(&mut self, record: &Record) {
        let (Record::Echoed(_, payload)
        | Record::Own(_, payload)
        | Record::Infected(_, payload)
        | Record::Delivered(_, payload)) = record;
        let digest = payload_digest(self.place, payload);
        self.payloads.insert(digest, payload.clone());
        match record {
            Record::Echoed(..) => {
                if self.gossip.dispatch(payload).is_some()
                    && self.echo.echo(digest).contains(&self.me)
                {
                    self.echo.reply(self.me, digest);
                }
            }
            Record::Own(..) => self.ready.restore(Some(digest), None, None, self.me),
            Record::Infected(..) => self.ready.restore(None, Some(digest), None, self.me),
            Record::Delivered(..) => self.ready.restore(None, None, Some(digest), self.me),
        }
    }
}
