//! The stack under schedules and members of the adversary's choice, at sizes whose samples are everybody
//! or nearly so, so that a violation is a fault of the rules and not bad luck.

use super::*;
use crate::broadcast::{Evidence, Payload, Refused};
use crate::params::{Sampling, Target};
use proptest::prelude::*;
use types::{Decode as _, Encode as _};

/// Account n is owned by member n; its signature is its number in the first byte.
#[derive(Clone)]
struct Owners;

impl Admit for Owners {
    fn admit(&self, place: Place, payload: &[u8]) -> Result<(), Refused> {
        match payload.first() {
            Some(first) if u32::from(*first) == place.account.0 => Ok(()),
            _ => Err(Refused("not signed by the owner")),
        }
    }

    fn may_start(&self, place: Place, member: Slot) -> bool {
        place.account.0 == u32::from(member.0)
    }
}

fn payload(account: u8, text: &str) -> Payload {
    [&[account], text.as_bytes()].concat().into()
}

fn place(account: u32, seq: u64) -> Place {
    Place { account: Account(account), seq: Seq(seq) }
}

/// A group in one queue; members from `honest` on are the adversary's and do nothing by themselves.
struct World {
    honest: usize,
    members: Vec<Sampled<Owners>>,
    queue: Vec<(Slot, Slot, Message)>,
    delivered: Vec<Vec<(Place, Payload)>>,
    evidence: Vec<Evidence>,
    records: Vec<Vec<Record>>,
    faults: Vec<&'static str>,
    random: u64,
}

fn setting(sizes: Sizes, me: usize, members: usize, seed: u64) -> Setting {
    let secret = Secret(*types::Hash::tagged("test", &[me as u8, seed as u8]).as_bytes());
    Setting { me: Slot(me as u16), members, sizes, secret }
}

impl World {
    fn new(sizes: Sizes, members: usize, byzantine: usize, seed: u64) -> Self {
        Self::with_accounts(sizes, members, byzantine, seed, members as u32)
    }

    /// Only the first accounts are open.
    fn with_accounts(
        sizes: Sizes,
        members: usize,
        byzantine: usize,
        seed: u64,
        accounts: u32,
    ) -> Self {
        let honest = members - byzantine;
        let accounts = || (0..accounts).map(Account);
        let of = |me| Sampled::new(setting(sizes, me, members, seed), Owners, accounts(), &[]);
        let mut world = Self {
            honest,
            members: (0..honest).map(of).collect(),
            queue: Vec::new(),
            delivered: vec![Vec::new(); honest],
            evidence: Vec::new(),
            records: vec![Vec::new(); honest],
            faults: Vec::new(),
            random: seed,
        };
        for me in 0..honest {
            let step = world.members[me].start(Millis(0));
            world.carry_out(me, step);
        }
        world
    }

    fn carry_out(&mut self, me: usize, step: Step) {
        self.faults.extend(step.faults.iter().map(|fault| fault.what));
        for effect in step.effects {
            match effect {
                Effect::Persist(record) => self.records[me].push(record),
                Effect::Deliver { place, payload } => self.delivered[me].push((place, payload)),
                Effect::Evidence(evidence) => self.evidence.push(evidence),
                Effect::Send { to, message } => {
                    for peer in to {
                        assert_ne!(usize::from(peer.0), me, "nobody writes to itself");
                        // All that is sent survives its encoding.
                        let message = Message::from_bytes(&message.to_bytes()).unwrap();
                        self.queue.push((Slot(me as u16), peer, message));
                    }
                }
            }
        }
    }

    fn broadcast(&mut self, me: usize, seq: u64, payload: Payload) {
        let input = Input::Broadcast { place: place(me as u32, seq), payload };
        let step = self.members[me].handle(Millis(0), input);
        self.carry_out(me, step);
    }

    fn inject(&mut self, from: usize, to: usize, message: Message) {
        self.queue.push((Slot(from as u16), Slot(to as u16), message));
    }

    fn below(&mut self, bound: usize) -> usize {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695);
        (self.random >> 33) as usize % bound
    }

    /// Delivers everything, in an order drawn from the seed.
    fn run(&mut self) {
        while !self.queue.is_empty() {
            let next = self.below(self.queue.len());
            let (from, to, message) = self.queue.swap_remove(next);
            let to = usize::from(to.0);
            if to < self.honest {
                let step = self.members[to].handle(Millis(0), Input::Message { from, message });
                self.carry_out(to, step);
            }
        }
    }

    /// Time passes: everybody asks again.
    fn wake(&mut self, now: u64) {
        for me in 0..self.honest {
            let step = self.members[me].handle(Millis(now), Input::Wake);
            self.carry_out(me, step);
        }
        self.run();
    }

    /// What was delivered at a place, by how many.
    fn outcomes(&self, at: Place) -> BTreeMap<Payload, usize> {
        let mut counts = BTreeMap::new();
        for (place, payload) in self.delivered.iter().flatten() {
            if *place == at {
                *counts.entry(payload.clone()).or_default() += 1;
            }
        }
        counts
    }
}

/// Everybody in every sample: the deterministic case, n = 10, f = 3 (echo above (n + f) / 2).
const ALL: Sizes = Sizes {
    gossip: 10,
    echo: 10,
    echo_threshold: 7,
    ready: 10,
    ready_threshold: 4,
    delivery: 10,
    delivery_threshold: 7,
};

/// Byzantine member 9 says everything that helps a payload, to one honest member.
fn support(world: &mut World, to: usize, at: Place, payload: &Payload) {
    for from in world.honest..10 {
        let digest = payload_digest(at, payload);
        world.inject(from, to, Message::Gossip { place: at, payload: payload.clone() });
        world.inject(from, to, Message::Echo { place: at, digest });
        world.inject(from, to, Message::Ready { place: at, payload: payload.clone() });
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Guarantees 1 to 4, with three members that never answer.
    #[test]
    fn honest_broadcasts_beside_silent_members_reach_all_in_order(seed: u64) {
        let mut world = World::new(ALL, 10, 3, seed);
        for seq in 1..=3 {
            world.broadcast(0, seq, payload(0, &format!("message {seq}")));
        }
        world.run();
        for delivered in &world.delivered {
            let seqs: Vec<u64> = delivered.iter().map(|(place, _)| place.seq.0).collect();
            prop_assert_eq!(seqs, vec![1, 2, 3]);
        }
        prop_assert!(world.evidence.is_empty() && world.faults.is_empty(), "honest runs blame nobody");
    }

    /// Consistency and totality, against an owner that equivocates between halves.
    #[test]
    fn equivocating_owner_gets_at_most_one_payload_delivered_by_all_or_none(
        seed: u64, split in 0_usize..=7,
    ) {
        let mut world = World::new(ALL, 10, 3, seed);
        let (at, one, other) = (place(9, 1), payload(9, "one"), payload(9, "other"));
        for to in 0..7 {
            support(&mut world, to, at, if to < split { &one } else { &other });
        }
        world.run();
        let outcomes = world.outcomes(at);
        prop_assert!(outcomes.len() <= 1, "{outcomes:?}");
        prop_assert!(outcomes.values().all(|count| *count == 7), "{outcomes:?}");
        if (1..7).contains(&split) {
            let two = |one: &Evidence| matches!(one, Evidence::TwoPayloads { .. });
            prop_assert!(world.evidence.iter().any(two), "gossip crossed: somebody saw both");
        }
    }

    /// Totality, when the Byzantine members support the payload at some members only.
    #[test]
    fn selective_support_leaves_all_or_none_delivered(seed: u64, helped in 0_u8..128) {
        let mut world = World::new(ALL, 10, 3, seed);
        let (at, one) = (place(8, 1), payload(8, "one"));
        for to in (0..7).filter(|to| helped >> to & 1 == 1) {
            support(&mut world, to, at, &one);
        }
        world.run();
        let count = world.outcomes(at).values().sum::<usize>();
        prop_assert!(count == 0 || count == 7, "{count}");
    }

    /// No duplication: every message comes again.
    #[test]
    fn repeated_messages_deliver_once(seed: u64) {
        let mut world = World::new(ALL, 10, 3, seed);
        world.broadcast(1, 1, payload(1, "once"));
        world.queue.extend(world.queue.clone());
        world.run();
        world.wake(REPEAT_MS);
        prop_assert_eq!(world.outcomes(place(1, 1)).values().sum::<usize>(), 7);
    }

    /// A crash after any number of records: no second echo, and the group still delivers one payload.
    #[test]
    fn restart_from_records_contradicts_nothing(seed: u64, cut in 0_usize..4) {
        let mut world = World::new(ALL, 10, 3, seed);
        world.broadcast(0, 1, payload(0, "first"));
        world.run();
        let kept = world.records[1].len().min(cut);
        let records: Vec<Record> = world.records[1][..kept]
            .iter().map(|record| Record::from_bytes(&record.to_bytes()).unwrap()).collect();
        let accounts = (0..10).map(Account);
        world.members[1] = Sampled::new(setting(ALL, 1, 10, seed), Owners, accounts, &records);
        world.delivered[1].clear();
        let step = world.members[1].start(Millis(0));
        world.carry_out(1, step);
        // An equivocating owner tries the member that came back.
        let at = place(0, 1);
        let second = payload(0, "second");
        if kept > 0 {
            world.inject(9, 1, Message::Gossip { place: at, payload: second.clone() });
            world.run();
            let digest = payload_digest(at, &second);
            let echoed = |record: &Record| matches!(record, Record::Echoed(_, what)
                if payload_digest(at, what) == digest);
            prop_assert!(!world.records[1].iter().any(echoed));
        }
        world.run();
        prop_assert_eq!(world.outcomes(at).len(), 1);
    }

    /// Integrity: nothing that the owner did not sign gets anywhere, and any bytes decode or are refused.
    #[test]
    fn foreign_bytes_are_refused_or_reencode(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        if let Ok(message) = Message::from_bytes(&bytes) {
            prop_assert_eq!(message.to_bytes(), bytes.clone());
        }
        if let Ok(record) = Record::from_bytes(&bytes) {
            prop_assert_eq!(record.to_bytes(), bytes);
        }
    }
}

#[test]
fn unsigned_payload_is_delivered_by_nobody_and_blamed_on_its_sender() {
    let mut world = World::new(ALL, 10, 3, 5);
    let (at, forged) = (place(0, 1), payload(7, "forged"));
    (0..7).for_each(|to| support(&mut world, to, at, &forged));
    world.run();
    assert!(world.outcomes(at).is_empty());
    assert!(world.faults.contains(&"a payload that its owner did not sign"));
}

#[test]
fn member_that_was_cut_off_catches_up_by_asking_again() {
    let mut world = World::new(ALL, 10, 3, 11);
    world.broadcast(0, 1, payload(0, "early"));
    // Whatever is for member 3 is lost while its link is down.
    while !world.queue.is_empty() {
        let (from, to, message) = world.queue.remove(0);
        let to = usize::from(to.0);
        if to < world.honest && to != 3 {
            let step = world.members[to].handle(Millis(0), Input::Message { from, message });
            world.carry_out(to, step);
        }
    }
    assert!(world.delivered[3].is_empty());
    world.wake(REPEAT_MS);
    assert_eq!(world.delivered[3].len(), 1, "late subscribers are answered (lines 18, 22, 25)");
}

#[test]
fn flood_of_places_and_payloads_opens_a_bounded_window() {
    let mut world = World::new(ALL, 10, 3, 12);
    for number in 0..400_u64 {
        let what = payload(9, &format!("{number}"));
        for at in [place(9, number), place(9, 1), place(99, 1)] {
            support(&mut world, 0, at, &what);
        }
    }
    world.run();
    let instances: usize = world.members[0].lines.values().map(|line| line.instances.len()).sum();
    assert!(instances <= 10 * (1 + AHEAD as usize + BEHIND as usize), "{instances}");
    assert!(world.faults.contains(&"ready for too many payloads"));
    assert!(world.faults.contains(&"echoed two payloads"));
    assert!(world.evidence.len() <= 1 + AHEAD as usize + world.honest * 5, "once an instance");
}

/// Assumption 5 of section 4.2 is load-bearing: an adversary that chooses its members after it saw
/// whom a member samples makes that member deliver what nobody else does.
#[test]
fn poisoned_delivery_sample_breaks_consistency_as_the_assumption_warns() {
    let target = Target { members: 60, byzantine: 0.2, epsilon: 0.1 };
    let sizes = target.plan(Sampling::Distinct).unwrap().unwrap().sizes;
    let victim = setting(sizes, 0, 60, 3);
    let at = place(59, 1);
    let sample = draw(&victim.secret, at, Layer::Delivery, sizes.delivery, 60);
    // What the adversary needs is the victim's threshold; it is above what the sizes allow for by chance.
    let needed = sizes.delivery_threshold;
    assert!(needed > target.byzantine_members(), "impossible without more members than f");
    let corrupted: Vec<Slot> =
        sample.into_iter().filter(|slot| *slot != victim.me).take(needed).collect();
    let accounts = (0..60).map(Account);
    let mut member = Sampled::new(victim, Owners, accounts, &[]);
    let _ = member.start(Millis(0));
    let mut delivered = false;
    for from in corrupted {
        let message = Message::Ready { place: at, payload: payload(59, "only for you") };
        let step = member.handle(Millis(0), Input::Message { from, message });
        delivered |= step.effects.iter().any(|effect| matches!(effect, Effect::Deliver { .. }));
    }
    assert!(delivered, "the delivery sample is all that a member looks at");
}

/// Real samples at N = 60, f = 0.2, epsilon = 0.1 (the computed sizes): an honest owner's message reaches
/// all beside members that are silent.
#[test]
fn computed_sizes_keep_missed_broadcasts_under_epsilon_beside_silent_members() {
    let target = Target { members: 60, byzantine: 0.2, epsilon: 0.1 };
    let sizes = target.plan(Sampling::Distinct).unwrap().unwrap().sizes;
    let (honest, runs) = (60 - target.byzantine_members(), 40);
    let mut missed = 0;
    for seed in 0..runs {
        let mut world = World::with_accounts(sizes, 60, 60 - honest, seed, 1);
        world.broadcast(0, 1, payload(0, "to all"));
        world.run();
        missed += u32::from(world.outcomes(place(0, 1)).values().sum::<usize>() < honest);
    }
    // With a chance of 0.1 each, more than 12 of 40 happen less than once in ten thousand.
    assert!(missed <= 12, "{missed} of {runs}");
}
