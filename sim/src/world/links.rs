//! Messages and links of a running world.

use super::*;

impl World {
    /// Hands bytes to the network.
    pub(super) fn transmit(&mut self, from: Slot, to: Slot, bytes: Arc<Vec<u8>>) {
        self.messages += 1;
        match self.network.send(self.now_ms, from, to) {
            Some(passage) => {
                let generation = passage.generation;
                self.push(passage.at_ms, Event::Deliver { from, to, generation, bytes });
            }
            None => self.trace.tell(self.now_ms, || format!("{from} -> {to}: lost")),
        }
    }

    /// A faulty member's message, possibly held back.
    pub(super) fn transmit_faulty(&mut self, from: Slot, outgoing: Outgoing) {
        if usize::from(outgoing.to.0) >= self.nodes || outgoing.to == from {
            return;
        }
        let to = outgoing.to;
        let bytes = match outgoing.content {
            Content::Message(message) => {
                self.trace.tell(self.now_ms, || {
                    format!("{from} (faulty) -> {to}: {}", view::describe(&message))
                });
                self.checks.observe(self.now_ms, &Observation::Thrown { message: &message });
                Arc::new(view::encode(&message))
            }
            Content::Bytes(bytes) => {
                if let Ok(message) = view::decode(&bytes) {
                    self.checks.observe(self.now_ms, &Observation::Thrown { message: &message });
                }
                let len = bytes.len();
                self.trace
                    .tell(self.now_ms, || format!("{from} (faulty) -> {to}: {len} altered bytes"));
                Arc::new(bytes)
            }
        };
        if outgoing.delay_ms == 0 {
            self.transmit(from, to, bytes);
        } else {
            self.push(self.now_ms + outgoing.delay_ms, Event::Release { from, to, bytes });
        }
    }

    /// What the strategies posted and asked for since the last event.
    pub(super) fn serve_adversary(&mut self) {
        for (from, outgoing) in std::mem::take(&mut self.board.post) {
            self.transmit_faulty(from, outgoing);
        }
        for (slot, request) in std::mem::take(&mut self.board.requests) {
            let Some(seat) = self.seats_of(slot).first().copied() else { continue };
            match request {
                Request::SaveDisk => {
                    let disk = self.seats[seat].disk.clone();
                    self.seats[seat].saved = Some(disk);
                }
                Request::RollBack => self.roll_back(seat),
            }
        }
    }

    fn roll_back(&mut self, seat: usize) {
        let Some(saved) = self.seats[seat].saved.clone() else { return };
        if self.seats[seat].core.is_some() {
            self.seats[seat].down_ms = 1;
            self.crash(seat);
            self.seats[seat].disk = saved;
        }
    }

    /// A message reaches a machine.
    pub(super) fn deliver(&mut self, from: Slot, to: Slot, generation: u32, bytes: &[u8]) {
        if !self.network.is_up(from, to) || self.network.generation(from, to) != generation {
            self.trace.tell(self.now_ms, || format!("{from} -> {to}: lost with the link"));
            return;
        }
        self.trace.mix(self.now_ms, 1, from.0, to.0, &Hash::of(bytes));
        let message = match view::decode(bytes) {
            Ok(message) => message,
            Err(error) => {
                self.trace.tell(self.now_ms, || format!("{to} refuses bytes of {from}: {error}"));
                return;
            }
        };
        let mut wanted = true;
        if !self.is_honest(to) {
            // What faulty friends send says nothing about where the group is.
            if self.is_honest(from) {
                self.board.instance = self.board.instance.max(message.inst().0);
            }
            wanted = self
                .with_strategy(to, |strategy, board| strategy.incoming(board, to, from, &message))
                .unwrap_or(true);
        }
        for seat in self.seats_of(to) {
            if wanted && self.seats[seat].core.is_some() && self.serves(seat, from) {
                self.tell_link(seat, from);
                self.handle(seat, Input::Message { from, message: message.clone() });
            }
        }
    }

    /// Whether a seat talks with a peer.
    pub(super) fn serves(&self, seat: usize, peer: Slot) -> bool {
        let Seat { slot, ordinal, .. } = self.seats[seat];
        self.strategies.get(&slot).is_none_or(|strategy| strategy.serves(ordinal, peer))
    }

    /// Lets a seat know the present state of a link, if it does not.
    pub(super) fn tell_link(&mut self, seat: usize, peer: Slot) {
        let slot = self.seats[seat].slot;
        if self.seats[seat].core.is_none() {
            return;
        }
        let now = (self.network.generation(slot, peer), self.network.is_up(slot, peer));
        let told = std::mem::replace(&mut self.seats[seat].told[usize::from(peer.0)], now);
        if told == now {
            return;
        }
        if told.1 {
            self.trace.tell(self.now_ms, || format!("{slot} sees its link to {peer} break"));
            self.handle(seat, Input::LinkDown(peer));
        }
        if now.1 {
            self.trace.tell(self.now_ms, || format!("{slot} sees its link to {peer} come up"));
            self.handle(seat, Input::LinkUp(peer));
        }
    }

    /// One more reason for a link to be down.
    pub(super) fn block(&mut self, a: Slot, b: Slot) {
        if self.network.block(a, b) {
            self.notify(a, b);
        }
    }

    /// One reason fewer.
    pub(super) fn unblock(&mut self, a: Slot, b: Slot) {
        if self.network.unblock(a, b) {
            self.notify(a, b);
        }
    }

    /// Both ends notice a change, each in its own time.
    pub(super) fn notify(&mut self, a: Slot, b: Slot) {
        for (end, peer) in [(a, b), (b, a)] {
            for seat in self.seats_of(end) {
                let delay = self.network.notice_ms();
                let life = self.seats[seat].life;
                self.push(self.now_ms + delay, Event::Notice { seat, life, peer });
            }
        }
    }
}
