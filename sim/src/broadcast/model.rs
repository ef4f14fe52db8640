//! One sampled broadcast as counts over its samples. Members below `honest` are honest, the others the adversary's.

use super::samples::{Lists, Samples};
use ledger::params::Sizes;
use std::collections::BTreeSet;

/// Samples with what follows from them.
pub(super) struct Model<'a> {
    sizes: &'a Sizes,
    samples: &'a Samples,
    honest: usize,
    /// Who has a member in its sample.
    echo_of: Lists,
    ready_of: Lists,
    delivery_of: Lists,
}

/// What honest members sent in one broadcast.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sends {
    /// Gossip, echoes and readiness.
    pub messages: u64,
    /// Subscriptions, one for each member that is in any sample.
    pub subscriptions: u64,
}

/// How readiness spreads, and who delivers.
pub(super) struct Contagion {
    /// Who is ready.
    pub ready: Vec<bool>,
    counts: Vec<u32>,
    delivery: Vec<u32>,
    helped: bool,
}

impl<'a> Model<'a> {
    pub fn new(sizes: &'a Sizes, samples: &'a Samples, honest: usize) -> Self {
        let echo_of = samples.echo.reversed();
        let ready_of = samples.ready.reversed();
        let delivery_of = samples.delivery.reversed();
        Self { sizes, samples, honest, echo_of, ready_of, delivery_of }
    }

    fn byzantine_in(&self, sample: &[u16]) -> u32 {
        sample.iter().filter(|entry| usize::from(**entry) >= self.honest).count() as u32
    }

    /// Whom gossip from one member reaches among the honest, each link both ways.
    pub fn gossiped(&self, from: usize) -> Vec<bool> {
        let back = self.samples.gossip.reversed();
        let mut reached = vec![false; self.honest];
        let mut stack = vec![from];
        reached[from] = true;
        while let Some(member) = stack.pop() {
            for next in self.samples.gossip.of(member).iter().chain(back.of(member)) {
                let next = usize::from(*next);
                if next < self.honest && !reached[next] {
                    reached[next] = true;
                    stack.push(next);
                }
            }
        }
        reached
    }

    /// Who delivers from its echo layer what it echoed, given who echoed it; `helped`: the adversary's members
    /// echo it too.
    pub fn echo_delivered(&self, echoed: &[bool], helped: bool) -> Vec<bool> {
        let delivers = |member: usize| {
            let sample = self.samples.echo.of(member);
            let honest = sample.iter().filter(|it| echoed.get(usize::from(**it)) == Some(&true));
            let help = if helped { self.byzantine_in(sample) } else { 0 };
            echoed[member] && honest.count() as u32 + help >= self.sizes.echo_threshold as u32
        };
        (0..self.honest).map(delivers).collect()
    }

    /// Nobody is ready; `helped`: the adversary's members say that they are, to everybody.
    pub fn contagion(&self, helped: bool) -> Contagion {
        let of = |lists: &Lists| -> Vec<u32> {
            let help = |member| if helped { self.byzantine_in(lists.of(member)) } else { 0 };
            (0..self.honest).map(help).collect()
        };
        let mut made = Contagion {
            ready: vec![false; self.honest],
            counts: of(&self.samples.ready),
            delivery: of(&self.samples.delivery),
            helped,
        };
        // With enough help some are infected from the beginning.
        let threshold = self.sizes.ready_threshold as u32;
        let infected: Vec<usize> =
            (0..self.honest).filter(|member| made.counts[*member] >= threshold).collect();
        self.infect(&mut made, infected);
        made
    }

    /// These members become ready, and whom they infect.
    pub fn infect(&self, contagion: &mut Contagion, members: Vec<usize>) {
        let threshold = self.sizes.ready_threshold as u32;
        let mut stack = members;
        while let Some(member) = stack.pop() {
            if std::mem::replace(&mut contagion.ready[member], true) {
                continue;
            }
            for listener in self.ready_of.of(member) {
                let listener = usize::from(*listener);
                if listener < self.honest {
                    contagion.counts[listener] += 1;
                    if contagion.counts[listener] >= threshold && !contagion.ready[listener] {
                        stack.push(listener);
                    }
                }
            }
            for listener in self.delivery_of.of(member) {
                if let Some(count) = contagion.delivery.get_mut(usize::from(*listener)) {
                    *count += 1;
                }
            }
        }
    }

    /// Who delivers.
    pub fn delivered(&self, contagion: &Contagion) -> Vec<bool> {
        let threshold = self.sizes.delivery_threshold as u32;
        contagion.delivery.iter().map(|count| *count >= threshold).collect()
    }

    /// An honest owner broadcasts beside silent members: who delivers, and what was sent.
    pub fn honest_broadcast(&self, owner: usize) -> (Vec<bool>, Sends) {
        let reached = self.gossiped(owner);
        let ready = self.echo_delivered(&reached, false);
        let mut contagion = self.contagion(false);
        self.infect(&mut contagion, (0..self.honest).filter(|member| ready[*member]).collect());
        let sends = self.sends(&reached, &contagion.ready);
        (self.delivered(&contagion), sends)
    }

    /// What honest members send when these are reached and those are ready; none sends to itself. The adversary's
    /// members have not subscribed.
    fn sends(&self, reached: &[bool], ready: &[bool]) -> Sends {
        let back = self.samples.gossip.reversed();
        let mut sends = Sends::default();
        let listeners = |lists: &[&[u16]], me: usize| {
            let all: BTreeSet<u16> = lists.iter().flat_map(|list| list.iter().copied()).collect();
            let honest = all.iter().filter(|it| usize::from(**it) < self.honest);
            honest.filter(|it| usize::from(**it) != me).count() as u64
        };
        for member in 0..self.honest {
            if reached[member] {
                // The own sample is told whoever is in it.
                let own = self.samples.gossip.of(member);
                let foreign =
                    own.iter().filter(|it| usize::from(**it) >= self.honest).count() as u64;
                sends.messages += listeners(&[own, back.of(member)], member) + foreign;
                sends.messages += listeners(&[self.echo_of.of(member)], member);
            }
            if ready[member] {
                sends.messages +=
                    listeners(&[self.ready_of.of(member), self.delivery_of.of(member)], member);
            }
            let samples = &self.samples;
            let asked: BTreeSet<u16> =
                [&samples.gossip, &samples.echo, &samples.ready, &samples.delivery]
                    .iter()
                    .flat_map(|lists| lists.of(member).iter().copied())
                    .collect();
            sends.subscriptions +=
                asked.iter().filter(|it| usize::from(**it) != member).count() as u64;
        }
        sends
    }

    /// The adversary shows one message to member after member, in this order, until `stop`; returns who echoed
    /// it. `stop` is asked after each with who delivered it newly from its echo layer, helped.
    fn show(&self, order: &[u16], mut stop: impl FnMut(&[usize]) -> bool) -> Vec<bool> {
        let threshold = self.sizes.echo_threshold as u32;
        let mut echoed = vec![false; self.honest];
        let mut counts: Vec<u32> = (0..self.honest)
            .map(|member| self.byzantine_in(self.samples.echo.of(member)))
            .collect();
        let mut new = Vec::new();
        for member in order.iter().map(|member| usize::from(*member)) {
            new.clear();
            echoed[member] = true;
            for listener in self.echo_of.of(member).iter().map(|it| usize::from(*it)) {
                if listener < self.honest {
                    counts[listener] += 1;
                    if counts[listener] == threshold && echoed[listener] && listener != member {
                        new.push(listener);
                    }
                }
            }
            if counts[member] >= threshold {
                new.push(member);
            }
            if stop(&new) {
                break;
            }
        }
        echoed
    }

    /// Whether two messages are delivered from echo layers, and whether two are delivered at all.
    pub fn consistency(&self, order: &[u16]) -> (bool, bool) {
        let mut first = Vec::new();
        let echoed = self.show(order, |new| {
            first.extend_from_slice(new);
            !new.is_empty()
        });
        let others: Vec<bool> = echoed.iter().map(|echoed| !echoed).collect();
        let second = self.echo_delivered(&others, true);
        let second: Vec<usize> = (0..self.honest).filter(|member| second[*member]).collect();
        let two = !first.is_empty() && !second.is_empty();
        let delivers = |ready: Vec<usize>| {
            let mut contagion = self.contagion(true);
            self.infect(&mut contagion, ready);
            self.delivered(&contagion).into_iter().any(|delivered| delivered)
        };
        (two, delivers(first) && delivers(second))
    }

    /// Whether somebody delivers, and not all do.
    pub fn totality(&self, order: &[u16]) -> bool {
        let threshold = self.sizes.delivery_threshold as u32;
        let help: Vec<u32> = (0..self.honest)
            .map(|member| self.byzantine_in(self.samples.delivery.of(member)))
            .collect();
        let mut contagion = self.contagion(false);
        debug_assert!(!contagion.helped);
        let mut some = false;
        self.show(order, |new| {
            if !new.is_empty() {
                self.infect(&mut contagion, new.to_vec());
                let mut all = contagion.delivery.iter().zip(&help);
                some = all.any(|(count, help)| count + help >= threshold);
            }
            some
        });
        some && self
            .delivered(&contagion)
            .iter()
            .zip(&help)
            .zip(&contagion.delivery)
            .any(|((alone, help), count)| !alone && count + help < threshold)
    }
}
