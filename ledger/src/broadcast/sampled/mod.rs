//! Probabilistic secure broadcast: every member listens to a few others, drawn at random.
//!
//! Source: chapter 4 of the thesis, algorithms 6 to 9; one file a layer.
//! Assumes: (1) as [`crate::broadcast`]; (2) nobody but its owner knows a [`Secret`], nor who talks to
//! whom (assumption 5 of section 4.2): whoever sees subscriptions can poison a sample; (3) a fixed set of
//! members of which at most the given fraction is Byzantine, chosen before the samples are drawn.
//!
//! Guarantees: those of [`crate::broadcast`]: integrity, one delivery a place, and account order always;
//! validity, consistency and totality of one broadcast each with a chance of at least `1 - epsilon`, where
//! epsilon is the one that [`crate::params`] computed the sizes for.
//!
//! Bounds: [`AHEAD`] and [`BEHIND`] instances an account; in each, a set entry a member, [`ready::READY_MAX`]
//! digests a peer, four payloads. A member more than `BEHIND` messages behind needs a checkpoint.
//! Evidence: two admitted payloads for one place.
//! Deviations: many instances, a fresh sample for each from the [`Secret`]; the instance that an account
//! comes to next is opened, and subscribed, before it is used, since a link that only one side knows of
//! is only half a link; subscriptions are repeated until delivery, so that a lost or early one does no
//! harm; samples are of distinct members. See also `ready.rs` and `message.rs`.

pub mod echo;
pub mod gossip;
mod instance;
mod message;
pub mod ready;
mod sample;
#[cfg(test)]
mod tests;

pub use message::{Message, Record, Wants};
pub use sample::{Layer, Secret, draw};

use crate::broadcast::{Admit, Broadcast, Effect, Input, PAYLOAD_LEN_MAX, payload_digest};
use crate::ids::{Account, Place, Seq};
use crate::params::Sizes;
use instance::Instance;
use std::collections::BTreeMap;
use types::{Millis, Slot};

/// Instances of an account that are open beyond the next one.
pub const AHEAD: u64 = 4;
/// Delivered instances of an account that still answer late subscribers.
pub const BEHIND: u64 = 16;
/// A member asks its samples again after this time without a delivery.
pub const REPEAT_MS: u64 = 5_000;

/// What one call yields.
pub type Step = crate::broadcast::Step<Message, Record>;

/// Who a member is and how it samples.
#[derive(Clone)]
pub struct Setting {
    /// This member.
    pub me: Slot,
    /// Members.
    pub members: usize,
    /// The sizes, computed for distinct samples.
    pub sizes: Sizes,
    /// Where the samples come from.
    pub secret: Secret,
}

#[derive(Debug, Clone, Default)]
struct Line {
    delivered: Seq,
    instances: BTreeMap<Seq, Instance>,
}

/// The sampled broadcast of one member.
pub struct Sampled<A> {
    setting: Setting,
    admit: A,
    lines: BTreeMap<Account, Line>,
    wakeup: Option<Millis>,
}

impl<A: Admit> Sampled<A> {
    /// A member that broadcasts for these accounts, with what it wrote down before.
    pub fn new(
        setting: Setting,
        admit: A,
        accounts: impl IntoIterator<Item = Account>,
        records: &[Record],
    ) -> Self {
        let lines = accounts.into_iter().map(|account| (account, Line::default())).collect();
        let mut made = Self { setting, admit, lines, wakeup: None };
        records.iter().for_each(|record| made.restore(record));
        for line in made.lines.values_mut() {
            line.advance();
        }
        made
    }

    fn restore(&mut self, record: &Record) {
        let (Record::Echoed(place, _)
        | Record::Own(place, _)
        | Record::Infected(place, _)
        | Record::Delivered(place, _)) = record;
        let Some(line) = self.lines.get_mut(&place.account) else { return };
        let open = || Instance::new(&self.setting, *place);
        line.instances.entry(place.seq).or_insert_with(open).restore(record);
    }

    /// The instance of a place within the window, opened and subscribed when it was not.
    fn open(&mut self, place: Place, step: &mut Step) -> Option<&mut Instance> {
        let line = self.lines.get_mut(&place.account)?;
        let next = line.delivered.0.saturating_add(1);
        let window = next.saturating_sub(BEHIND).max(1)..=next.saturating_add(AHEAD);
        if !window.contains(&place.seq.0) {
            return None;
        }
        let setting = &self.setting;
        Some(line.instances.entry(place.seq).or_insert_with(|| {
            let made = Instance::new(setting, place);
            made.subscribe(step);
            made
        }))
    }

    fn open_next(&mut self, account: Account, step: &mut Step) {
        let next = self.lines.get(&account).and_then(|line| line.delivered.next());
        if let Some(seq) = next {
            self.open(Place { account, seq }, step);
        }
    }

    /// Hands up what is next in its account, as far as it goes.
    fn deliver(&mut self, account: Account, step: &mut Step) {
        let Some(line) = self.lines.get_mut(&account) else { return };
        let delivered = line.advance();
        let some = !delivered.is_empty();
        step.effects.extend(
            delivered
                .into_iter()
                .map(|(seq, payload)| Effect::Deliver { place: Place { account, seq }, payload }),
        );
        if some {
            self.open_next(account, step);
        }
    }

    fn message(&mut self, from: Slot, message: Message, step: &mut Step) {
        if usize::from(from.0) >= self.setting.members || from == self.setting.me {
            return step.fault(from, "no other member");
        }
        let (Message::Subscribe { place, .. }
        | Message::Gossip { place, .. }
        | Message::Echo { place, .. }
        | Message::Ready { place, .. }) = &message;
        let place = *place;
        if self.open(place, step).is_none() {
            // A member that is ahead or behind may honestly do so: it asks again.
            return;
        }
        if let Message::Gossip { payload, .. } | Message::Ready { payload, .. } = &message
            && !self.admitted(place, payload)
        {
            return step.fault(from, "a payload that its owner did not sign");
        }
        let Some(instance) = self.open(place, step) else { return };
        match message {
            Message::Subscribe { wants, .. } => instance.subscribed(from, wants, step),
            Message::Gossip { payload, .. } => instance.gossiped(&payload, step),
            Message::Echo { digest, .. } => instance.echoed(from, digest, step),
            Message::Ready { payload, .. } => instance.readied(from, &payload, step),
        }
        self.deliver(place.account, step);
    }

    fn admitted(&self, place: Place, payload: &[u8]) -> bool {
        let instance =
            self.lines.get(&place.account).and_then(|line| line.instances.get(&place.seq));
        payload.len() <= PAYLOAD_LEN_MAX
            && (instance.is_some_and(|known| known.knows(&payload_digest(place, payload)))
                || self.admit.admit(place, payload).is_ok())
    }

    fn pending(&self) -> impl Iterator<Item = &Instance> {
        let open = self.lines.values().flat_map(|line| line.instances.values());
        open.filter(|instance| instance.delivered().is_none())
    }
}

impl Line {
    /// Counts what is delivered without a gap, and forgets what is far behind.
    fn advance(&mut self) -> Vec<(Seq, crate::broadcast::Payload)> {
        let mut delivered = Vec::new();
        while let Some(seq) = self.delivered.next()
            && let Some(payload) = self.instances.get(&seq).and_then(Instance::delivered)
        {
            delivered.push((seq, payload.clone()));
            self.delivered = seq;
        }
        let oldest = Seq(self.delivered.0.saturating_sub(BEHIND - 1));
        self.instances = self.instances.split_off(&oldest);
        delivered
    }
}

impl<A: Admit> Broadcast for Sampled<A> {
    type Message = Message;
    type Record = Record;

    fn start(&mut self, now: Millis) -> Step {
        let mut step = Step::default();
        // What was open before a restart asks again; what is opened now asks as it is opened.
        for instance in self.pending() {
            instance.subscribe(&mut step);
        }
        let accounts: Vec<Account> = self.lines.keys().copied().collect();
        for account in accounts {
            self.open_next(account, &mut step);
        }
        self.wakeup = Some(Millis(now.0.saturating_add(REPEAT_MS)));
        step
    }

    fn handle(&mut self, now: Millis, input: Input<Message>) -> Step {
        let mut step = Step::default();
        match input {
            Input::Broadcast { place, payload } => {
                if self.admit.may_start(place, self.setting.me)
                    && self.admitted(place, &payload)
                    && let Some(instance) = self.open(place, &mut step)
                {
                    instance.gossiped(&payload, &mut step);
                    self.deliver(place.account, &mut step);
                } else {
                    step.fault(self.setting.me, "a broadcast that is not this member's to start");
                }
            }
            Input::Message { from, message } => self.message(from, message, &mut step),
            Input::LinkUp(peer) => {
                for message in self.pending().filter_map(|instance| instance.asks(peer)) {
                    step.send(vec![peer], message);
                }
            }
            Input::Wake => {
                if self.wakeup.is_some_and(|at| at <= now) {
                    self.wakeup = Some(Millis(now.0.saturating_add(REPEAT_MS)));
                    for instance in self.pending() {
                        instance.subscribe(&mut step);
                    }
                }
            }
        }
        step
    }

    fn next_wakeup(&self) -> Option<Millis> {
        self.wakeup
    }
}
