//! Three machines in a ring A -> B -> C -> A, each pair sharing f + 1 members (acceptance test 11; rows WK-12 to WK-15).
//!
//! A's slots 3 and 4 are B's 0 and 1; B's 3 and 4 are C's 0 and 1; C's 3 and 4 are A's 0 and 1. Slot 2 of each
//! machine belongs to it alone.

use super::world::*;
use crate::role::Verdict;
use crate::statement::*;
use crate::*;
use types::*;

fn ring(seed: u64) -> World {
    let links = |m: usize| {
        let (next, before) = ((m + 1) % 3, (m + 2) % 3);
        vec![(next, vec![(3, 0), (4, 1)]), (before, vec![(0, 3), (1, 4)])]
    };
    let mut world = World::linked(seed, &[(5, 1), (5, 1), (5, 1)], params(), links);
    for m in 0..3 {
        // One way only: what is two machines away goes by way of the next.
        world.route(m, (m + 2) % 3, (m + 1) % 3);
    }
    world
}

fn work(from: u16, to: usize, payload: &[u8]) -> Work {
    let mut request = request(from, To::Machine(group(to)), payload, 64, 0);
    request.kinds = Kinds::of(&[1]);
    Work::new(vec![request]).unwrap()
}

fn results(world: &World) -> Vec<(At, Verdict, Vec<u8>)> {
    let result = |(at, _, _, outcome): &(At, Hash, Aid, Outcome)| match outcome {
        Outcome::Foreign(result) => {
            let (verdict, bytes) = Verdict::of(result).unwrap();
            Some((*at, verdict, bytes.to_vec()))
        }
        _ => None,
    };
    world.delivered.iter().filter_map(result).collect()
}

/// Lemma 33: whoever asks, the neighbour executes once, and the result comes back certified; under crashes too.
#[test]
fn ring_neighbour_executes_once_and_the_result_comes_back() {
    for seed in 1..=6 {
        let mut world = ring(seed);
        world.crash_per_mille = if seed > 3 { 3 } else { 0 };
        for from in [2, 3, 0] {
            world.local((0, from), Local::AssignMachine(work(from, 1, &[from as u8; 9]), 1));
        }
        world.run(60_000);
        world.crash_per_mille = 0;
        world.run(900_000);
        world.check();
        assert!(world.evidence.is_empty() && world.accused.is_empty(), "seed {seed}");
        let executed = world.executed.keys().filter(|(machine, _)| *machine == 1).count();
        if seed <= 3 {
            assert_eq!((executed, results(&world).len()), (3, 3), "seed {seed}");
            assert!(world.executed.values().all(|results| results.len() == 5));
        } else {
            assert!(world.crashes > 0 && executed <= 3);
        }
        for (at, verdict, bytes) in results(&world) {
            let expected = [b"did ", &[at.1 as u8; 9][..]].concat();
            assert_eq!((at.0, verdict, bytes), (0, Verdict::Done, expected));
        }
        for at in [(0, 2), (1, 2), (2, 2)] {
            assert!(world.core(at).is_idle(), "seed {seed} {at:?}");
        }
    }
}

/// A to B to C: B passes on, C executes, the certificates nest; one hop too few is said, not lost.
#[test]
fn ring_two_hops_nest_and_too_few_hops_are_answered() {
    let mut world = ring(7);
    world.local((0, 2), Local::AssignMachine(work(2, 2, b"far"), 2));
    world.run(300_000);
    world.check();
    assert_eq!(results(&world), [((0, 2), Verdict::Done, b"did far".to_vec())]);
    assert!(world.executed.keys().all(|(machine, _)| *machine == 2), "only C executes");
    world.local((0, 2), Local::AssignMachine(work(2, 2, b"too far"), 1));
    world.run(300_000);
    world.check();
    assert_eq!(results(&world)[1], ((0, 2), Verdict::NoRoute, Vec::new()));
    assert!(world.accused.is_empty() && world.evidence.is_empty());
}

/// WK-12, WK-15: f common members do nothing at all; the last honest one suffices, and the silent one is listed.
#[test]
fn ring_wk_15_last_honest_member_of_the_overlap_suffices() {
    let mut world = ring(8);
    let silent = Deviation {
        send: Some(|_, _, _, _| Vec::new()),
        cross: Some(|_, _, _| None),
        propose: Some(|_, _, commands| commands.clear()),
        ..Default::default()
    };
    for at in [(0, 3), (1, 0), (1, 3), (2, 0)] {
        world.deviants.insert(at, silent);
    }
    world.local((0, 2), Local::AssignMachine(work(2, 1, b"near"), 1));
    world.local((0, 2), Local::AssignMachine(work(2, 2, b"far"), 2));
    world.run(900_000);
    let mut got: Vec<_> = results(&world).into_iter().map(|(_, _, bytes)| bytes).collect();
    got.sort();
    assert_eq!(got, [b"did far".to_vec(), b"did near".to_vec()]);
    world.run(4_000_000);
    world.check();
    assert!(world.evidence.is_empty(), "silence proves nothing");
    for slot in [0, 1, 2, 4] {
        assert!(world.listed_by((0, slot)).contains(&3), "slot {slot} lists the silent one");
    }
}

/// WK-13, WK-14: f common members invent results for A and orders for B; neither is believed.
#[test]
fn ring_wk_13_wk_14_invented_results_and_orders_are_not_believed() {
    let mut world = ring(9);
    // On A's side: as soon as it knows of the work it brings everybody a result with its own signatures.
    let forge: OnSend = |world, at, to, message| {
        let Message::Order(share) = &message else { return vec![(to, message)] };
        let aid = Aid::of(&share.header);
        let result = Verdict::Done.with(b"invented");
        let said = ResultShare {
            origin: group(0),
            aid,
            request: share.payload.request,
            result: Hash::of(&result),
        };
        // In B it is slot 0: one true signature, and one under a name that is not its own.
        let place = Aid { inst: Instance(0), index: 0 };
        let own = world.sign_at((1, 0), place, said.clone()).signature;
        let roster = &world.machines[1].roster;
        let signers = [(Slot(0), own), (Slot(2), own)];
        let cert = cert::Cert::collect(roster, place, said, signers).unwrap();
        let (machine, cert, result) = (group(1), Box::new(cert), Blob(result));
        let forged = Message::Foreign { aid, machine, cert, result };
        let mut all = vec![(to, message.clone())];
        all.extend([0, 1, 2, 4].map(|slot| (Slot(slot), forged.clone())));
        let _ = at;
        all
    };
    let alter: OnCross = |_, _, crossing| match crossing {
        Crossing::Result { cert, .. } => {
            let result = Verdict::Done.with(b"altered");
            Some(Crossing::Result { cert, result })
        }
        other => Some(other),
    };
    // On B's side: it proposes work that nobody in A has ordered.
    let invent: OnPropose = |world, _, commands| {
        let work = work(2, 1, b"invented order");
        let order = WorkOrder {
            machine: group(1),
            request: work.root(group(0)),
            requester: Slot(2),
            ttl: Code(1),
        };
        let place = Aid { inst: Instance(1), index: 0 };
        let own = world.sign_at((0, 3), place, order.clone()).signature;
        let signers = [(Slot(3), own), (Slot(1), own)];
        let roster = &world.machines[0].roster;
        let order = Box::new(cert::Cert::collect(roster, place, order, signers).unwrap());
        let (origin, home) = (group(0), group(0));
        commands.push(Command::ForeignAssign { origin, order, work, home }.to_bytes());
    };
    world.deviants.insert((0, 3), Deviation { send: Some(forge), ..Default::default() });
    let b_side = Deviation { cross: Some(alter), propose: Some(invent), ..Default::default() };
    world.deviants.insert((1, 0), b_side);
    world.local((0, 2), Local::AssignMachine(work(2, 1, b"true"), 1));
    world.run(900_000);
    world.check();
    assert_eq!(results(&world), [((0, 2), Verdict::Done, b"did true".to_vec())]);
    assert_eq!(world.executed.len(), 1, "B executes what A has ordered and nothing else");
    assert!(world.faults.contains(&((0, 2), Slot(3), Fault::NotCertified)));
}

/// 6.2 step 5: with the whole overlap silent the assumption fails: no member is convicted, all silent ones are listed.
#[test]
fn ring_silent_overlap_is_listed_and_nobody_is_convicted() {
    let mut world = ring(10);
    for at in [(0, 3), (0, 4)] {
        let deviation = Deviation { cross: Some(|_, _, _| None), ..Default::default() };
        world.deviants.insert(at, deviation);
    }
    world.local((0, 2), Local::AssignMachine(work(2, 1, b"near"), 1));
    world.run(8_000_000);
    world.check();
    assert!(world.executed.is_empty() && world.evidence.is_empty());
    let unanswered = |one: &&(At, Hash, Aid, Outcome)| one.3 == Outcome::Unanswered;
    assert_eq!(world.delivered.iter().filter(unanswered).count(), 1);
    assert_eq!(world.listed_by((0, 1)), [3, 4].into());
}

/// 6.2 step 3: the requester's account in the other machine is charged, not the member that brings the work in.
#[test]
fn ring_requester_without_quota_in_the_other_machine_is_told() {
    let links = |m: usize| match m {
        0 => vec![(1, vec![(3, 0), (4, 1)])],
        _ => vec![(0, vec![(0, 3), (1, 4)])],
    };
    let mut world = World::linked(11, &[(5, 1), (5, 1)], params(), links);
    world.set_quota(1, 300);
    for no in 0..2u8 {
        world.local((0, 2), Local::AssignMachine(work(2, 1, &[no; 40]), 1));
        world.run(200_000);
    }
    world.check();
    let verdicts: Vec<Verdict> = results(&world).into_iter().map(|(_, v, _)| v).collect();
    assert_eq!(verdicts, [Verdict::Done, Verdict::OverQuota]);
    assert_eq!(world.executed.len(), 1);
    let carrier = world.core((1, 2)).state().account(Slot(0)).used(0);
    assert_eq!(carrier.asked, 0, "the carrier is not charged");
}

/// An overlap that f members could fill alone is no link (C9).
#[test]
fn ring_overlap_of_f_members_is_refused() {
    let (ours, theirs) = (roster(0, 5, 1), roster(1, 8, 2));
    let overlap = vec![(Slot(0), Slot(1)), (Slot(1), Slot(2))];
    let link = |overlap| Link { rosters: cert::Rosters::new(theirs.clone()), overlap };
    let got = Links::default().add(&ours, link(overlap.clone()));
    assert_eq!(got, Err(LinkError::TooSmall { f: 2, got: 2 }));
    let three = [&overlap[..], &[(Slot(2), Slot(3))]].concat();
    assert_eq!(Links::default().add(&ours, link(three)), Ok(()));
    let twice = [&overlap[..], &[(Slot(1), Slot(3))]].concat();
    assert_eq!(Links::default().add(&ours, link(twice)), Err(LinkError::Slot(Slot(1))));
}
