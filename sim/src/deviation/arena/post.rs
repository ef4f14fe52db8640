//! Messages on their way, and what they cost: the queue boundary at which is metered (specification 10.4).
//!
//! Guarantees: both ends pay for what really travels; a message over a link that broke meanwhile is lost.

use super::{Arena, Event, pair};
use crate::deviation::play::{Intake, Parcel};
use bart_rsm::Input;
use bart_rsm::message::Message;
use types::Slot;

impl Arena<'_> {
    pub(super) fn send_all(&mut self, from: Slot, post: Vec<Parcel>) {
        for parcel in post {
            if parcel.delay_ms == 0 {
                self.transmit(from, parcel.to, parcel.message);
            } else {
                self.push(self.now_ms + parcel.delay_ms, Event::Leave { from, parcel });
            }
        }
    }

    /// Whether a message belongs to the horizon.
    pub(super) fn counts(&self, message: &Message) -> bool {
        match message.header() {
            Some(header) => header.inst.0 < self.setup.frame.horizon,
            None => self.reached_ms.is_none(),
        }
    }

    /// Keeps what the rational member spends on each kind of message.
    fn itemise(&mut self, slot: Slot, message: &Message, way: usize) {
        if slot == self.setup.rational {
            let item = (message.kind(), message.turn().0 > 0);
            self.run.spent.entry(item).or_default()[way] += message.size() as u64;
        }
    }

    pub(super) fn transmit(&mut self, from: Slot, to: Slot, message: Message) {
        if from == to || usize::from(to.0) >= self.seats.len() {
            return;
        }
        self.messages += 1;
        if self.down.contains(&pair(from, to)) {
            return;
        }
        if self.counts(&message) {
            self.seats[usize::from(from.0)].meter.sent += message.size() as u64;
            self.itemise(from, &message, 0);
            if let (true, Message::Penance(penance)) = (from == self.setup.rational, &message) {
                self.run.penance += u64::from(penance.core.payload.count.0);
            }
        }
        let (inst, turn) = (message.inst().0, message.turn().0);
        self.run.turns = self.run.turns.max(turn);
        if from == self.setup.rational {
            self.said.keep(&message);
        } else if to == self.setup.rational && self.setup.hostile.contains(&from) {
            self.said.keep_bait(&message);
        }
        let at_ms = self.weather.arrival(self.now_ms, from, to, message.kind(), inst, turn);
        let link = self.links.get(&pair(from, to)).copied().unwrap_or(0);
        self.push(at_ms, Event::Deliver { from, to, link, message });
    }

    pub(super) fn deliver(&mut self, from: Slot, to: Slot, link: u32, message: Message) {
        let current = self.links.get(&pair(from, to)).copied().unwrap_or(0);
        if current != link || self.down.contains(&pair(from, to)) {
            return;
        }
        if self.counts(&message) {
            self.seats[usize::from(to.0)].meter.received += message.size() as u64;
            self.itemise(to, &message, 1);
        }
        let mut post = Vec::new();
        let scene = &mut self.scenes[usize::from(to.0)];
        scene.now_ms = self.now_ms;
        let mind = &mut self.setup.minds[usize::from(to.0)];
        let intake = mind.incoming(scene, from, &message, &mut post);
        self.send_all(to, post);
        match intake {
            Intake::Take => self.handle(to, Input::Message { from, message }),
            Intake::Drop => {}
            Intake::Later(ms) => self.push(self.now_ms + ms, Event::Take { from, to, message }),
        }
    }
}
