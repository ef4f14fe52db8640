//! Rows VW-1 to VW-8 of specification 9.13, quotas, and standing vows (C.9).

use super::world::*;
use crate::pom::PomKind;
use crate::*;
use types::*;

/// A group in which everybody has an open vow towards the next two: every member is in the fast set for f = 1.
fn ring_of_vows(world: &mut World, n: u16, skip: &[u16]) {
    for from in (0..n).filter(|slot| !skip.contains(slot)) {
        for step in [1, 2] {
            let to = (from + step) % n;
            let work = member_work(from, to, &[b'v', from as u8, to as u8]);
            world.local((0, from), Local::Vow(work, Stamp(2_500_000), true));
        }
    }
}

fn pending(world: &World) -> usize {
    world.core((0, 0)).state().pending().count()
}

/// 6.3: in the fast set all vows are kept directly, nothing is assigned, and nobody breaks anything.
#[test]
fn vows_in_the_fast_set_are_kept_directly_and_settled() {
    for seed in 1..=6 {
        let mut world = World::new(seed, 5, 1, params());
        world.crash_per_mille = if seed > 3 { 5 } else { 0 };
        ring_of_vows(&mut world, 5, &[]);
        world.run(60_000);
        world.crash_per_mille = 0;
        world.run(3_000_000);
        world.check();
        assert_eq!(pending(&world), 0, "seed {seed}");
        assert!(world.nulls.is_empty() && world.evidence.is_empty(), "seed {seed}");
        if seed <= 3 {
            assert_eq!(world.direct.len(), 10);
            let assigned = world.sent.iter().any(|(_, _, m)| matches!(m, Message::Witness { .. }));
            assert!(!assigned, "nothing went the slow way");
        }
    }
}

fn withhold_settlements(_: &World, _: At, commands: &mut Vec<Vec<u8>>) {
    commands.retain(|command| {
        !matches!(
            Command::read(command),
            Some(Ok(Command::Fulfil { .. } | Command::VowDefault { .. }))
        )
    });
}

/// VW-1: a vow, then nothing: its next proposal beyond the deadline is refused, becomes NULL, and convicts.
#[test]
fn vw_1_vow_and_then_nothing_is_refused_and_convicts() {
    let mut world = World::new(1, 5, 1, params());
    let deviation = Deviation { propose: Some(withhold_settlements), ..Default::default() };
    world.deviants.insert((0, 0), deviation);
    world.local((0, 0), Local::Vow(member_work(0, 1, b"v"), Stamp(2_500_000), true));
    world.run(2_400_000);
    assert!(world.evidence.is_empty() && world.nulls.is_empty(), "not before the deadline");
    world.run(400_000);
    world.check();
    assert_eq!(world.kinds_against((0, 0)), [PomKind::VowBreach].into());
    let broken =
        |(_, slot, flaw): &(usize, u16, FormFlaw)| (*slot, *flaw) == (0, FormFlaw::VowBroken);
    assert!(!world.nulls.is_empty() && world.nulls.iter().all(broken));
}

/// VW-2: a target that ignores direct requests serves them later by Assign, and sends more.
#[test]
fn vw_2_target_that_ignores_direct_requests_serves_them_later_and_sends_more() {
    let bytes = |ignores: bool| {
        let mut world = World::new(2, 5, 1, params());
        if ignores {
            // What it does not hear, it does not answer: requests to it are dropped by whoever sends them.
            let deaf: OnSend = |_, at, to, message| match message {
                Message::Response { aid: None, .. } if at == (0, 1) => Vec::new(),
                other => vec![(to, other)],
            };
            world.deviants.insert((0, 1), Deviation { send: Some(deaf), ..Default::default() });
        }
        ring_of_vows(&mut world, 5, &[]);
        world.run(3_500_000);
        world.check();
        assert_eq!(pending(&world), 0);
        assert!(world.evidence.is_empty());
        world.sent_bytes[&(0, 1)]
    };
    assert!(bytes(true) > 2 * bytes(false));
}

/// VW-3: going straight to Assign inside the fast set costs the requester more.
#[test]
fn vw_3_requester_that_goes_straight_to_assign_pays_more() {
    let cost = |straight: bool| {
        let mut world = World::new(3, 5, 1, params());
        ring_of_vows(&mut world, 5, &[]);
        world.run(7_000);
        if straight {
            let work = member_work(0, 1, &[b'v', 0, 1]);
            world.local((0, 0), Local::Assign(work));
        }
        world.run(3_500_000);
        world.check();
        let core = world.core((0, 0));
        core.state().account(Slot(0)).used(0).asked
    };
    let (direct, straight) = (cost(false), cost(true));
    assert!(straight > direct + 400, "{straight} {direct}");
}

/// VW-4: the default message is always open to it, convicts nobody, and costs more than any work (C6 is exact).
#[test]
fn vw_4_default_message_settles_a_vow_and_convicts_nobody() {
    let mut world = World::new(4, 5, 1, params());
    // It never asks: neither directly (a vow alone makes no fast set) nor by Assign.
    let never: OnPropose = |_, _, commands| {
        commands.retain(|command| !matches!(Command::read(command), Some(Ok(Command::Assign(_)))));
    };
    world.deviants.insert((0, 0), Deviation { propose: Some(never), ..Default::default() });
    world.local((0, 0), Local::Vow(member_work(0, 1, b"v"), Stamp(2_500_000), true));
    world.run(3_000_000);
    world.check();
    assert_eq!(pending(&world), 0);
    assert!(world.evidence.is_empty() && world.nulls.is_empty());
    let paid: usize = world.machines[0]
        .log
        .iter()
        .flat_map(|decided| &decided.commands)
        .filter(|command| matches!(Command::read(command), Some(Ok(Command::VowDefault { .. }))))
        .map(Vec::len)
        .sum();
    let work = member_work(0, 1, b"v");
    assert!(paid * 4 > work.to_bytes().len() * 4 + 3 * work.cap() / 2);
}

/// VW-5: f members that vow and always go the slow way: their targets answer, and still send less than if nobody had
/// gone the direct way (lemma 34).
#[test]
fn vw_5_f_members_that_always_go_slow_do_not_make_the_direct_path_dearer() {
    let bytes = |slow: &[u16]| {
        let mut world = World::new(5, 5, 1, params());
        for slot in slow {
            let mute: OnSend = |_, _, to, message| match message {
                Message::Direct { .. } => Vec::new(),
                other => vec![(to, other)],
            };
            world.deviants.insert((0, *slot), Deviation { send: Some(mute), ..Default::default() });
        }
        ring_of_vows(&mut world, 5, &[]);
        world.run(3_500_000);
        world.check();
        assert_eq!(pending(&world), 0, "all are settled in the end");
        // Slot 2 is asked by 0 and 1.
        let answers = world
            .sent
            .iter()
            .filter(|(at, _, m)| *at == (0, 2) && matches!(m, Message::Response { .. }));
        answers.map(|(_, _, message)| message.to_bytes().len() as u64).sum::<u64>()
    };
    let (none, f, all) = (bytes(&[]), bytes(&[0]), bytes(&[0, 1, 2, 3, 4]));
    assert!(none < f && f < all, "{none} {f} {all}");
}

/// VW-6: a direct request that no vow covers is ignored.
#[test]
fn vw_6_direct_request_whose_name_was_not_vowed_is_ignored() {
    let mut world = World::new(6, 5, 1, params());
    let other: OnSend = |_, _, to, message| match message {
        Message::Direct { vow, leaves, mut request } => {
            request.payload.0.push(0);
            vec![(to, Message::Direct { vow, leaves, request })]
        }
        other => vec![(to, other)],
    };
    world.deviants.insert((0, 0), Deviation { send: Some(other), ..Default::default() });
    ring_of_vows(&mut world, 5, &[]);
    world.run(60_000);
    assert!(world.direct.iter().all(|(at, _, _)| *at != (0, 0)));
    assert!(world.faults.contains(&((0, 1), Slot(0), Fault::NoVow)));
    world.run(3_000_000);
    world.check();
    assert_eq!(pending(&world), 0, "it went the slow way");
}

/// VW-7: settling with the core of another request fails the format predicate; NULL is decided, and the vow stays.
#[test]
fn vw_7_fulfilment_with_another_answer_is_refused() {
    let mut world = World::new(7, 5, 1, params());
    let other: OnPropose = |world, at, commands| {
        for command in commands.iter_mut() {
            let Some(Ok(Command::Fulfil { vow, with: Settlement::Answer(core) })) =
                Command::read(command)
            else {
                continue;
            };
            let mut said = core.payload.clone();
            said.request = Hash::of(b"another request");
            let core = Box::new(world.sign_core((at.0, core.header.slot.0), said));
            *command = Command::Fulfil { vow, with: Settlement::Answer(core) }.to_bytes();
        }
    };
    world.deviants.insert((0, 0), Deviation { propose: Some(other), ..Default::default() });
    ring_of_vows(&mut world, 5, &[]);
    world.run(60_000);
    let bad =
        |(_, slot, flaw): &(usize, u16, FormFlaw)| (*slot, *flaw) == (0, FormFlaw::BadSettlement);
    assert!(!world.nulls.is_empty() && world.nulls.iter().all(bad));
    let core = world.core((0, 1));
    assert_eq!(core.state().pending().filter(|vow| vow.requester == Slot(0)).count(), 2);
    world.check();
}

/// VW-8: an honest member whose proposals are all decided as NULL around the deadline breaks nothing.
#[test]
fn vw_8_member_whose_proposals_become_null_around_the_deadline_breaks_nothing() {
    let mut world = World::new(8, 5, 1, params());
    world.local((0, 0), Local::Vow(member_work(0, 1, b"v"), Stamp(2_500_000), true));
    world.run(1_000_000);
    world.deviants.insert((0, 0), Deviation { nulled: true, ..Default::default() });
    world.run(2_500_000);
    world.deviants.clear();
    world.run(200_000);
    world.check();
    assert!(world.nulls.is_empty() && world.evidence.is_empty());
    assert_eq!(pending(&world), 0, "settled as soon as something of it is decided");
}

/// C.9: a standing vow covers requests that go out one by one, and is closed by one answer for the batch.
#[test]
fn standing_vow_answers_its_requests_one_by_one_and_is_closed_by_one_core() {
    let mut world = World::new(9, 5, 1, params());
    ring_of_vows(&mut world, 5, &[0]);
    let batch = |to: u16| {
        let one = |no: u8| request(0, To::Member(Slot(to)), &[b's', to as u8, no], 60, 100);
        Work::new((0..4).map(one).collect()).unwrap()
    };
    assert_eq!(world.core((0, 0)).vows_to_open(&[Slot(1), Slot(3)], 10_000), [Slot(1), Slot(3)]);
    for to in [1, 3] {
        world.local((0, 0), Local::Vow(batch(to), Stamp(2_500_000), false));
    }
    world.run(30_000);
    assert!(world.core((0, 0)).vows_to_open(&[Slot(1), Slot(3)], 10_000).is_empty());
    let (name, at) = (batch(1).root(group(0)), (0, 0));
    let answered = |world: &World| {
        world.direct.iter().filter(|(by, root, _)| *by == at && *root == name).count()
    };
    for (place, expected) in [(2, 1), (0, 2), (1, 3), (3, 4)] {
        assert_eq!(answered(&world), expected - 1);
        world.local(at, Local::Release(name, place));
        world.run(10_000);
        assert_eq!(answered(&world), expected);
        assert!(world.core(at).state().pending().any(|vow| vow.vow.root == name));
    }
    world.local(at, Local::Close(name));
    world.run(30_000);
    assert!(!world.core(at).state().pending().any(|vow| vow.vow.root == name));
    // Without the closing one, time is up: the whole batch is assigned and settles the other vow.
    world.run(3_000_000);
    world.check();
    assert_eq!(pending(&world), 0);
    assert!(world.evidence.is_empty() && world.nulls.is_empty() && world.accused.is_empty());
}

/// QT1: more than the quota in one proposal is NULL, and convicts.
#[test]
fn qt_1_proposal_above_the_quota_is_refused_and_convicts() {
    let params = Params { quota_bytes: 3_000, ..params() };
    let mut world = World::new(10, 5, 1, params);
    let greedy: OnPropose = |_, _, commands| {
        for no in 0..9 {
            commands.push(Command::Assign(member_work(0, 1, &[no; 50])).to_bytes());
        }
    };
    world.deviants.insert((0, 0), Deviation { propose: Some(greedy), ..Default::default() });
    world.run(20_000);
    world.check();
    assert_eq!(world.kinds_against((0, 0)), [PomKind::OverQuota].into());
    assert_eq!(world.core((0, 1)).state().account(Slot(0)).used(0), Charge::default());
    // An honest member is told before it proposes.
    for no in 0..9 {
        world.local((0, 2), Local::Assign(member_work(2, 1, &[no; 50])));
    }
    world.run(20_000);
    assert!(
        world
            .refused
            .iter()
            .any(|(at, why)| { *at == (0, 2) && matches!(why, Refusal::Quota { .. }) })
    );
    assert!(world.kinds_against((0, 2)).is_empty());
    world.check();
}
