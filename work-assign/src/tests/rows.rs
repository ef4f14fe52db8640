//! The rows of specification 9.13, each with its consequence. n = 5, f = 1 unless a row needs more.

use super::world::*;
use crate::pom::PomKind;
use crate::statement::*;
use crate::*;
use std::collections::BTreeSet;
use types::*;

const LONG: u64 = 4_000_000;

fn deviate(world: &mut World, slot: u16, deviation: Deviation) {
    world.deviants.insert((0, slot), deviation);
}

/// Slot 0 asks slot 1, after whatever was set up; long enough for every wait.
fn one_assignment(world: &mut World) {
    world.local((0, 0), Local::Assign(member_work(0, 1, b"work")));
    world.run(LONG);
    world.check();
}

fn denied(world: &World) -> bool {
    world.delivered.iter().any(|(_, _, _, outcome)| matches!(outcome, Outcome::Denied(_)))
}

fn set(slots: &[u16]) -> BTreeSet<u16> {
    slots.iter().copied().collect()
}

/// WK-1: convicted by WR1, listed by everybody, and the gate of lane T is shut only then.
#[test]
fn wk_1_target_that_never_answers_is_convicted_and_listed() {
    let mut world = World::new(1, 5, 1, params());
    deviate(&mut world, 1, Deviation { perform: Some(|_, _, _| None), ..Default::default() });
    world.local((0, 0), Local::Assign(member_work(0, 1, b"work")));
    world.run(900_000);
    assert!(world.accused.is_empty() && world.shut.is_empty(), "the deadline has not passed");
    world.run(LONG);
    world.check();
    assert_eq!(world.kinds_against((0, 1)), [PomKind::NoEvidence].into());
    assert!(PomKind::NoEvidence.is_timing() && denied(&world));
    for slot in [0, 2, 3, 4] {
        assert_eq!(world.listed_by((0, slot)), set(&[1]));
        assert!(world.shut.contains(&((0, slot), Slot(1))));
    }
}

/// WK-2: the requester still gets the answer; the unserved list the target, and nobody is convicted.
#[test]
fn wk_2_target_that_answers_only_some_witnesses_is_listed_by_the_others() {
    let mut world = World::new(2, 5, 1, params());
    let only_2: OnSend = |_, _, to, message| match message {
        Message::Response { .. } if to != Slot(2) => Vec::new(),
        other => vec![(to, other)],
    };
    deviate(&mut world, 1, Deviation { send: Some(only_2), ..Default::default() });
    one_assignment(&mut world);
    // With f = 1 all three witnesses are designated, so the one that was served brings the body.
    assert_eq!(world.answers_of((0, 0)).len(), 1);
    for slot in [0, 3, 4] {
        assert_eq!(world.listed_by((0, slot)), set(&[1]));
    }
    assert_eq!(world.listed_by((0, 2)), set(&[]));
    assert!(!denied(&world) || world.kinds_against((0, 1)) == [PomKind::NoEvidence].into());
}

/// WK-3: two cores to different witnesses convict, and the requester gets one of them.
#[test]
fn wk_3_different_answers_to_different_witnesses_convict_by_wr2() {
    let mut world = World::new(3, 5, 1, params());
    let twice: OnSend = |world, at, to, message| match message {
        Message::Response { aid, core, body } if to.0 % 2 == 0 => {
            let mut said = core.payload.clone();
            said.kind = Code(2);
            let core = Box::new(world.sign_core(at, said));
            vec![(to, Message::Response { aid, core, body })]
        }
        other => vec![(to, other)],
    };
    deviate(&mut world, 1, Deviation { send: Some(twice), ..Default::default() });
    one_assignment(&mut world);
    assert_eq!(world.answers_of((0, 0)).len(), 1);
    assert_eq!(world.kinds_against((0, 1)), [PomKind::TwoAnswers].into());
}

/// WK-4: just under the deadline is legal.
#[test]
fn wk_4_answer_just_under_the_deadline_is_legal() {
    let mut world = World::new(4, 5, 1, params());
    deviate(&mut world, 1, Deviation { perform: Some(|_, _, _| None), ..Default::default() });
    world.local((0, 0), Local::Assign(member_work(0, 1, b"work")));
    world.run(990_000);
    let name = member_work(0, 1, b"work").root(group(0));
    world.performed_late((0, 1), name);
    world.run(LONG);
    world.check();
    assert_eq!(world.answers_of((0, 0)).len(), 1);
    assert!(world.evidence.is_empty() && world.accused.is_empty());
}

fn deny_now(world: &World, at: (usize, u16), aid: Aid, stamp: u64) -> Message {
    let work = member_work(0, 1, b"work");
    let request = work.root(group(0));
    let (target, requester, stamp) = (Slot(1), Slot(0), Stamp(stamp));
    let word = world.sign_at(at, aid, NoEvidence { target, requester, request, stamp });
    let len = crate::sizes::denial_pad(&work, world.params.rx_per_mille);
    let pad = pad(group(0), aid, Kind::NoEvidence, (Slot(at.1), Slot(0)), len);
    Message::NoEvidence { word, pad }
}

/// Replaces what a witness forwards by a denial.
fn deny_instead(stamp: u64) -> OnSend {
    fn swap(
        world: &World,
        at: (usize, u16),
        to: Slot,
        message: Message,
        stamp: u64,
    ) -> Vec<(Slot, Message)> {
        match message {
            Message::Witness { word, .. } => {
                vec![(to, deny_now(world, at, Aid::of(&word.header), stamp))]
            }
            other => vec![(to, other)],
        }
    }
    match stamp {
        0 => |world, at, to, message| swap(world, at, to, message, 0),
        _ => |world, at, to, message| swap(world, at, to, message, 1 << 40),
    }
}

/// WK-5: a denial is accepted at any time and ends the duty, costs more, and convicts whoever had acknowledged (WR3).
#[test]
fn wk_5_witness_that_denies_at_once_pays_more_and_contradicts_its_acknowledgement() {
    let mut world = World::new(5, 5, 1, params());
    deviate(&mut world, 2, Deviation { send: Some(deny_instead(1 << 40)), ..Default::default() });
    one_assignment(&mut world);
    assert_eq!(world.answers_of((0, 0)).len(), 1);
    assert!(world.listed_by((0, 0)).is_empty(), "a denial is a word");
    // The target has the acknowledgement; it compares what becomes public.
    let aid = world.delivered[0].2;
    let Message::NoEvidence { word, .. } = deny_now(&world, (0, 2), aid, 1 << 40) else { panic!() };
    let Message::NoEvidence { word: other, .. } = deny_now(&world, (0, 3), aid, 9) else {
        panic!()
    };
    let roster = std::sync::Arc::clone(&world.machines[0].roster);
    let cert = crate::cert::DenialCert::collect(&roster, [&word, &other]).unwrap();
    world.publish((0, 1), cert);
    // Slot 3's forged denial has an earlier stamp than its acknowledgement: no contradiction.
    assert_eq!(world.kinds_against((0, 2)), [PomKind::FalseNoEvidence].into());
    assert!(world.kinds_against((0, 3)).is_empty());
    let follower = world.sent_bytes[&(0, 3)];
    assert!(world.sent_bytes[&(0, 2)] > follower, "denying is dearer");
}

/// WK-6: a silent witness is listed by the requester, and by nobody else.
#[test]
fn wk_6_silent_witness_is_listed_by_the_requester() {
    let mut world = World::new(6, 5, 1, params());
    let silent: OnSend = |_, _, to, message| match message {
        Message::Witness { .. } | Message::NoEvidence { .. } => Vec::new(),
        other => vec![(to, other)],
    };
    deviate(&mut world, 3, Deviation { send: Some(silent), ..Default::default() });
    one_assignment(&mut world);
    assert_eq!(world.listed_by((0, 0)), set(&[3]));
    for slot in [1, 2, 4] {
        assert!(world.listed_by((0, slot)).is_empty());
    }
    assert_eq!(world.answers_of((0, 0)).len(), 1);
}

/// WK-7: f false denials prove nothing.
#[test]
fn wk_7_f_false_denials_convict_nobody() {
    let mut world = World::new(7, 8, 2, params());
    for slot in [2, 3] {
        deviate(&mut world, slot, Deviation { send: Some(deny_instead(0)), ..Default::default() });
    }
    one_assignment(&mut world);
    assert!(world.evidence.is_empty() && !denied(&world));
    assert_eq!(world.answers_of((0, 0)).len(), 1);
}

/// WK-8: an altered core convicts the witness that vouches for it (WR4).
#[test]
fn wk_8_altered_core_convicts_its_witness() {
    let mut world = World::new(8, 5, 1, params());
    let alter: OnSend = |world, at, to, message| match message {
        Message::Witness { word, mut core, body, pad } => {
            core.payload.fields.0[0] ^= 1;
            let answer = crate::witness::name_of(&*core);
            let said = WitnessStatement { answer, ..word.payload };
            let word = world.sign_at(at, Aid::of(&word.header), said);
            vec![(to, Message::Witness { word, core, body, pad })]
        }
        other => vec![(to, other)],
    };
    deviate(&mut world, 4, Deviation { send: Some(alter), ..Default::default() });
    one_assignment(&mut world);
    assert_eq!(world.kinds_against((0, 4)), [PomKind::BadWitness].into());
    assert!(world.kinds_against((0, 1)).is_empty(), "the target is not blamed for it");
}

/// WK-9: a requester that hides the answer has at most f denials, and f are no certificate.
#[test]
fn wk_9_requester_with_f_denials_has_no_proof() {
    let mut world = World::new(9, 8, 2, params());
    deviate(&mut world, 0, Deviation::default());
    for slot in [2, 3] {
        deviate(&mut world, slot, Deviation { send: Some(deny_instead(0)), ..Default::default() });
    }
    // Three deviate, one more than f: the requester gains nothing from two false witnesses.
    one_assignment(&mut world);
    let aid = world.delivered[0].2;
    let denials: Vec<_> = [2, 3]
        .map(|slot| match deny_now(&world, (0, slot), aid, 5) {
            Message::NoEvidence { word, .. } => word,
            _ => unreachable!(),
        })
        .into();
    let roster = &world.machines[0].roster;
    assert!(crate::cert::DenialCert::collect(roster, &denials).is_none());
    let three = [&denials[0], &denials[1], &denials[1]];
    assert!(crate::cert::DenialCert::collect(roster, three).is_none(), "one voice twice");
}

/// WK-10: longer than allowed is unanswered, and charges the requester nothing beyond the cap.
#[test]
fn wk_10_answer_above_the_cap_is_none_and_leaves_the_quota_alone() {
    let mut world = World::new(10, 5, 1, params());
    let inflate: OnSend = |world, at, to, message| match message {
        Message::Response { aid, core, .. } => {
            let body = Body::new(&[9; 301]);
            let mut said = core.payload.clone();
            (said.body, said.body_len) = (Hash::of(&body.0), Size(301));
            let core = Box::new(world.sign_core(at, said));
            vec![(to, Message::Response { aid, core, body })]
        }
        other => vec![(to, other)],
    };
    deviate(&mut world, 1, Deviation { send: Some(inflate), ..Default::default() });
    one_assignment(&mut world);
    assert_eq!(world.kinds_against((0, 1)), [PomKind::NoEvidence].into());
    let command = Command::Assign(member_work(0, 1, b"work"));
    let charge = Charge::of(&command, 5);
    assert_eq!(charge.asked, command.to_bytes().len() as u64 + 400);
    let account = world.core((0, 3)).state().account(Slot(0));
    assert_eq!(account.used(0), charge);
}

/// WK-11: both paths, and the same assignment twice: one performance, one answer, byte by byte.
#[test]
fn wk_11_request_on_both_paths_gets_one_answer() {
    let mut world = World::new(11, 5, 1, Params { direct_always: true, ..params() });
    let work = member_work(0, 1, b"twice");
    world.local((0, 0), Local::Vow(work.clone(), Stamp(2_500_000), true));
    world.run(20_000);
    assert_eq!(world.direct.len(), 1, "answered directly");
    world.local((0, 0), Local::Assign(work.clone()));
    world.run(20_000);
    world.crash((0, 1));
    world.run(20_000);
    world.run(LONG);
    world.check();
    let name = work.root(group(0));
    assert_eq!(world.performed[&((0, 1), name)], 1, "performed once");
    let cores: BTreeSet<Vec<u8>> = world
        .sent
        .iter()
        .filter_map(|(_, _, message)| match message {
            Message::Response { core, .. } => Some(core.to_bytes()),
            _ => None,
        })
        .collect();
    assert_eq!(cores.len(), 1, "byte by byte the same on every path");
    assert!(world.evidence.is_empty());
}

/// 6.1, W6: with f + 1 bodies a target that withholds bodies only escapes WR1 if one designated witness is silent;
/// with 2f + 1 it does not.
#[test]
fn withheld_bodies_convict_although_a_designated_witness_helps() {
    for (bodies, convicted) in [(Bodies::Reaching, false), (Bodies::Convicting, true)] {
        let mut world = World::new(12, 8, 2, Params { bodies, ..params() });
        let no_body: OnSend = |_, _, to, message| match message {
            Message::Response { aid, core, .. } => {
                vec![(to, Message::Response { aid, core, body: Body::default() })]
            }
            other => vec![(to, other)],
        };
        let silent: OnSend = |_, _, to, message| match message {
            Message::Witness { .. } | Message::NoEvidence { .. } => Vec::new(),
            other => vec![(to, other)],
        };
        deviate(&mut world, 1, Deviation { send: Some(no_body), ..Default::default() });
        let roster = std::sync::Arc::clone(&world.machines[0].roster);
        let count = world.params.body_witnesses(2);
        // Slot 0 proposes the assignment in instance 0, as the first command.
        let aid = Aid { inst: Instance(0), index: 0 };
        let designated = judge::designated(&roster, aid, Slot(1), Slot(0), count);
        let helper = designated.iter().next().unwrap();
        deviate(&mut world, helper.0, Deviation { send: Some(silent), ..Default::default() });
        one_assignment(&mut world);
        assert!(world.answers_of((0, 0)).is_empty());
        let against = world.kinds_against((0, 1));
        assert_eq!(against.contains(&PomKind::NoEvidence), convicted, "{bodies:?}");
        assert!(world.listed_by((0, 0)).is_superset(&set(&[1, helper.0])));
    }
}

/// W5: a witness that was cut off from the target does not count that time, and denies nothing.
#[test]
fn wait_counts_only_while_the_gate_is_open() {
    let mut world = World::new(13, 5, 1, params());
    deviate(&mut world, 1, Deviation { perform: Some(|_, _, _| None), ..Default::default() });
    world.local((0, 0), Local::Assign(member_work(0, 1, b"work")));
    world.run(10_000);
    world.gate((0, 2), 1, false);
    world.run(1_500_000);
    assert!(world.listed_by((0, 2)).is_empty());
    assert_eq!(world.listed_by((0, 3)), set(&[1]));
    world.gate((0, 2), 1, true);
    world.run(1_100_000);
    assert_eq!(world.listed_by((0, 2)), set(&[1]));
    world.check();
}

/// 6.1: an answer after the denial is acknowledged, forwarded, delivered, and ends the listing.
#[test]
fn late_answer_is_acknowledged_forwarded_and_ends_the_listing() {
    let mut world = World::new(14, 5, 1, params());
    deviate(&mut world, 1, Deviation { perform: Some(|_, _, _| None), ..Default::default() });
    world.local((0, 0), Local::Assign(member_work(0, 1, b"work")));
    world.run(1_200_000);
    assert!(denied(&world) && world.listed_by((0, 3)) == set(&[1]));
    let name = member_work(0, 1, b"work").root(group(0));
    world.performed_late((0, 1), name);
    world.run(100_000);
    world.check();
    assert_eq!(world.answers_of((0, 0)).len(), 1);
    assert!(world.accused.is_empty() && world.shut.is_empty());
    assert!(!world.kinds_against((0, 2)).contains(&PomKind::FalseNoEvidence));
}
