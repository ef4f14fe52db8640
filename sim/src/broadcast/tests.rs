//! The model against the very steps of `ledger::broadcast::sampled`, on the same samples.

use super::certified;
use super::model::Model;
use super::report::{Row, measure};
use super::samples::{Draw, Samples};
use ledger::broadcast::sampled::{Layer, Message, Sampled, Secret, Setting, draw};
use ledger::broadcast::{Admit, Broadcast as _, Effect, Input, Payload, Refused, payload_digest};
use ledger::params::{Sampling, Sizes, Target};
use ledger::{Account, Place, Seq};
use types::{Hash, Millis, Slot};

const MEMBERS: usize = 40;
const PLACE: Place = Place { account: Account(0), seq: Seq(1) };

/// Everything is the owner's.
struct Anything;

impl Admit for Anything {
    fn admit(&self, _: Place, _: &[u8]) -> Result<(), Refused> {
        Ok(())
    }

    fn may_start(&self, _: Place, member: Slot) -> bool {
        member == Slot(0)
    }
}

fn sizes() -> Sizes {
    let target = Target { members: MEMBERS, byzantine: 0.2, epsilon: 0.3 };
    target.plan(Sampling::Distinct).unwrap().unwrap().sizes
}

fn secret(member: usize, seed: u64) -> Secret {
    Secret(*Hash::tagged("model", &[member as u8, seed as u8, (seed >> 8) as u8]).as_bytes())
}

/// The samples that real members draw.
fn samples(sizes: &Sizes, seed: u64) -> Samples {
    let mut made = Samples::default();
    for member in 0..MEMBERS {
        let secret = secret(member, seed);
        let of =
            |layer, size| draw(&secret, PLACE, layer, size, MEMBERS).into_iter().map(|slot| slot.0);
        made.gossip.push(of(Layer::Gossip, sizes.gossip));
        made.echo.push(of(Layer::Echo, sizes.echo));
        made.ready.push(of(Layer::Ready, sizes.ready));
        made.delivery.push(of(Layer::Delivery, sizes.delivery));
    }
    made
}

/// Real honest members with one account, their messages in one bag.
struct Real {
    members: Vec<Sampled<Anything>>,
    bag: Vec<(Slot, Slot, Message)>,
    delivered: Vec<Option<Payload>>,
    /// Of the account's first place.
    sent: u64,
    subscribed: u64,
    dice: Draw,
}

impl Real {
    fn new(sizes: Sizes, honest: usize, seed: u64) -> Self {
        let member = |me: usize| {
            let setting =
                Setting { me: Slot(me as u16), members: MEMBERS, sizes, secret: secret(me, seed) };
            Sampled::new(setting, Anything, [Account(0)], &[])
        };
        let mut made = Self {
            members: (0..honest).map(member).collect(),
            bag: Vec::new(),
            delivered: vec![None; honest],
            sent: 0,
            subscribed: 0,
            dice: Draw::new(seed, 1_000),
        };
        for me in 0..honest {
            let step = made.members[me].start(Millis(0));
            made.carry(me, step.effects);
        }
        // Everybody has heard who listens to it.
        made.run();
        made
    }

    fn carry(
        &mut self,
        me: usize,
        effects: Vec<Effect<Message, ledger::broadcast::sampled::Record>>,
    ) {
        for effect in effects {
            match effect {
                Effect::Deliver { payload, .. } => self.delivered[me] = Some(payload),
                Effect::Send { to, message } => {
                    let (Message::Subscribe { place, .. }
                    | Message::Gossip { place, .. }
                    | Message::Echo { place, .. }
                    | Message::Ready { place, .. }) = &message;
                    if *place == PLACE {
                        match message {
                            Message::Subscribe { .. } => self.subscribed += to.len() as u64,
                            _ => self.sent += to.len() as u64,
                        }
                    }
                    self.bag
                        .extend(to.into_iter().map(|to| (Slot(me as u16), to, message.clone())));
                }
                Effect::Persist(_) | Effect::Evidence(_) => {}
            }
        }
    }

    fn take(&mut self, from: Slot, to: Slot, message: Message) {
        let to = usize::from(to.0);
        if to < self.members.len() {
            let step = self.members[to].handle(Millis(0), Input::Message { from, message });
            self.carry(to, step.effects);
        }
    }

    fn run(&mut self) {
        while !self.bag.is_empty() {
            let at = usize::from(self.dice.distinct(1)[0]) % self.bag.len();
            let (from, to, message) = self.bag.swap_remove(at);
            self.take(from, to, message);
        }
    }
}

#[test]
fn honest_broadcast_in_the_model_delivers_and_sends_what_the_real_steps_do() {
    let (sizes, honest) = (sizes(), 32);
    let mut incomplete = 0;
    for seed in 0..60 {
        let mut real = Real::new(sizes, honest, seed);
        let payload: Payload = b"to all"[..].into();
        let step = real.members[0].handle(Millis(0), Input::Broadcast { place: PLACE, payload });
        real.carry(0, step.effects);
        real.run();
        let samples = samples(&sizes, seed);
        let (delivered, sends) = Model::new(&sizes, &samples, honest).honest_broadcast(0);
        let really: Vec<bool> = real.delivered.iter().map(Option::is_some).collect();
        assert_eq!(delivered, really, "seed {seed}");
        assert_eq!(
            (sends.messages, sends.subscriptions),
            (real.sent, real.subscribed),
            "seed {seed}"
        );
        incomplete += u32::from(delivered.contains(&false));
    }
    assert!(incomplete < 60, "the sizes are for something");
}

/// Sizes that are too small on purpose, so that what starves and what stops short is compared too.
#[test]
fn starving_broadcasts_agree_with_the_real_steps_too() {
    let honest = 32;
    let small = Sizes {
        gossip: 2,
        echo: 9,
        echo_threshold: 7,
        ready: 8,
        ready_threshold: 3,
        delivery: 8,
        delivery_threshold: 6,
    };
    let mut partly = 0;
    for seed in 100..160 {
        let mut real = Real::new(small, honest, seed);
        let payload: Payload = b"to some"[..].into();
        let step = real.members[0].handle(Millis(0), Input::Broadcast { place: PLACE, payload });
        real.carry(0, step.effects);
        real.run();
        let samples = samples(&small, seed);
        let (delivered, sends) = Model::new(&small, &samples, honest).honest_broadcast(0);
        let really: Vec<bool> = real.delivered.iter().map(Option::is_some).collect();
        assert_eq!(delivered, really, "seed {seed}");
        assert_eq!(sends.messages, real.sent, "seed {seed}");
        let count = delivered.iter().filter(|it| **it).count();
        partly += u32::from(count > 0 && count < honest);
    }
    assert!(partly > 0, "no run was between nobody and all");
}

/// The adversary shows one message to the first `shown` members and the other to the rest, and supports the first.
#[test]
fn equivocation_in_the_model_delivers_what_the_real_steps_do() {
    let honest = 32;
    let small = Sizes {
        gossip: 3,
        echo: 10,
        echo_threshold: 7,
        ready: 9,
        ready_threshold: 3,
        delivery: 9,
        delivery_threshold: 6,
    };
    let mut outcomes = std::collections::BTreeSet::new();
    for seed in 0..80 {
        let shown = 14 + seed as usize % 19;
        let mut real = Real::new(small, honest, seed);
        let payloads: [Payload; 2] = [b"one"[..].into(), b"two"[..].into()];
        for to in 0..honest {
            let payload = payloads[usize::from(to >= shown)].clone();
            real.take(Slot(39), Slot(to as u16), Message::Gossip { place: PLACE, payload });
        }
        for (from, to) in (honest..MEMBERS).flat_map(|from| (0..honest).map(move |to| (from, to))) {
            let digest = payload_digest(PLACE, &payloads[usize::from(to >= shown)]);
            let (from, to) = (Slot(from as u16), Slot(to as u16));
            real.take(from, to, Message::Echo { place: PLACE, digest });
        }
        real.run();
        let samples = samples(&small, seed);
        let model = Model::new(&small, &samples, honest);
        let echoed: Vec<bool> = (0..honest).map(|member| member < shown).collect();
        let others: Vec<bool> = echoed.iter().map(|it| !it).collect();
        let ready = [model.echo_delivered(&echoed, true), model.echo_delivered(&others, true)];
        if ready.iter().all(|ready| ready.contains(&true)) {
            // Both spread: who is infected by which first depends on the order of messages.
            continue;
        }
        for (ready, payload) in ready.iter().zip(&payloads) {
            let mut contagion = model.contagion(false);
            model.infect(&mut contagion, (0..honest).filter(|member| ready[*member]).collect());
            let delivered = model.delivered(&contagion);
            let really: Vec<bool> =
                real.delivered.iter().map(|it| it.as_ref() == Some(payload)).collect();
            assert_eq!(delivered, really, "seed {seed}");
            let count = delivered.iter().filter(|it| **it).count();
            outcomes.insert((count > 0) as u8 + (count == honest) as u8);
        }
    }
    assert!(outcomes.contains(&0) && outcomes.len() > 1, "{outcomes:?}");
}

#[test]
fn measured_rates_stay_under_epsilon_and_broken_sizes_are_caught() {
    let target = Target { members: 100, byzantine: 0.1, epsilon: 0.05 };
    let row = measure(target, 300, 7).unwrap();
    assert!(row.worst().0 <= 0.05 && !row.exceeds(), "{row:?}");
    let doubled = Row { validity: 30, ..row.clone() };
    assert!(doubled.exceeds(), "30 of 300 are no chance at a rate of one in twenty");
    // A smaller threshold than computed loses consistency; a larger one validity.
    let honest = 90;
    let (mut split, mut starved) = (0, 0);
    for seed in 0..100 {
        let weak = Sizes { echo_threshold: row.sizes.echo / 2, ..row.sizes };
        let hard = Sizes {
            echo_threshold: row.sizes.echo,
            delivery_threshold: row.sizes.delivery,
            ..row.sizes
        };
        let mut draw = Draw::new(seed, 100);
        let samples = draw.samples(&weak);
        split +=
            u32::from(Model::new(&weak, &samples, honest).consistency(&draw.shuffled(honest)).0);
        let (delivered, _) = Model::new(&hard, &samples, honest).honest_broadcast(0);
        starved += u32::from(delivered.contains(&false));
    }
    assert!(split > 50 && starved > 50, "{split} {starved}");
}

#[test]
fn samples_are_distinct_and_drawn_equally_often() {
    let mut draw = Draw::new(3, 50);
    let mut counts = [0_u32; 50];
    for _ in 0..5_000 {
        let sample = draw.distinct(10).to_vec();
        assert_eq!(sample.iter().collect::<std::collections::BTreeSet<_>>().len(), 10);
        sample.iter().for_each(|entry| counts[usize::from(*entry)] += 1);
    }
    // 1000 expected, with a standard deviation of 28.
    assert!(counts.iter().all(|count| (850..1150).contains(count)), "{counts:?}");
}

#[test]
fn certificate_reaches_everybody_when_it_goes_to_all_and_almost_always_with_the_computed_fan_out() {
    assert_eq!(certified::quorum(10, 7).missed, 0);
    let target = Target { members: 200, byzantine: 0.2, epsilon: 0.02 };
    let fanout = target.fanout().unwrap();
    let missed = |fanout: usize| {
        let runs =
            (0..400).map(|seed| certified::gossip(&mut Draw::new(seed, 200), 200, 160, fanout));
        runs.filter(|spread| spread.missed > 0).count()
    };
    assert!(missed(fanout) <= 8 + 8, "{fanout}");
    assert!(missed(fanout / 2) > 100, "half as many are too few");
}
