//! Each checker catches what it is there for.

use super::*;
use crate::view;
use bart_rsm::message::{
    Agree, AgreeAck, AgreeAckStatement, AgreeStatement, Value, ValueStatement,
};
use types::{
    Epoch, GroupId, Hash, Header, Ident, Kind, Member, Mode, SecretKey, Signed, Standing, Turn,
};

fn ack(value: &[u8]) -> Message {
    ack_in(Epoch(0), value)
}

fn ack_in(epoch: Epoch, value: &[u8]) -> Message {
    let header = Header {
        kind: Kind::AgreeAck,
        epoch,
        inst: Instance(3),
        turn: Turn(1),
        slot: Slot(1),
        ident: Ident(0),
    };
    let payload = AgreeAckStatement { value: Hash::of(value), agree: Hash::ZERO };
    let key = SecretKey::from_seed(&[7; 32]);
    let core = Signed::new(&key, &GroupId(Hash::ZERO), header, payload).into_inner();
    Message::AgreeAck(AgreeAck { core })
}

fn proposal(commands: &[&[u8]]) -> Arc<Proposal> {
    let commands = commands.iter().map(|command| command.to_vec()).collect();
    Arc::new(Proposal {
        stamp: Stamp(1),
        untimely: Vec::new(),
        accuse: Vec::new(),
        closed_upto: Instance(0),
        checkpoint: (Instance(0), Hash::ZERO),
        audit: None,
        commands,
        orders: Vec::new(),
    })
}

fn checks() -> Checks {
    Checks::new(5, &[Slot(1), Slot(2)], false)
}

fn applied<'a>(slot: u16, inst: u64, proposal: Option<&'a Arc<Proposal>>) -> Observation<'a> {
    let (slot, inst, tau) = (Slot(slot), Instance(inst), Stamp(0));
    Observation::Applied { slot, inst, sender: Slot(0), proposal, tau }
}

fn names(checks: Checks) -> Vec<&'static str> {
    checks.found.iter().map(|violation| violation.check).collect()
}

#[test]
fn sign_once_with_two_payloads_for_one_key_is_caught() {
    let mut checks = checks();
    for (to, value) in [(2, b"a"), (3, b"a"), (4, b"b")] {
        let message = ack(value);
        let seen = Observation::Sent { slot: Slot(1), to: Slot(to), message: &message };
        assert!(!checks.is_violated(), "the same statement to two peers is fine");
        checks.observe(0, &seen);
    }
    assert_eq!(names(checks), ["sign-once"]);
}

#[test]
fn agreement_with_two_outcomes_is_caught_and_repetition_is_not() {
    let mut checks = checks();
    let value = proposal(&[]);
    checks.observe(0, &applied(1, 0, Some(&value)));
    checks.observe(0, &applied(1, 0, Some(&value)));
    assert!(!checks.is_violated());
    checks.observe(0, &applied(2, 0, None));
    assert_eq!(names(checks), ["agreement"]);
}

#[test]
fn agreement_with_a_gap_is_caught() {
    let mut checks = checks();
    checks.observe(0, &applied(1, 1, None));
    // The reference notices the gap too.
    assert_eq!(names(checks), ["agreement", "reference"]);
}

#[test]
fn integrity_of_a_value_that_its_honest_sender_never_proposed_is_caught() {
    let mut checks = checks();
    let (value, tau) = (proposal(&[]), Stamp(0));
    let (slot, sender, inst) = (Slot(1), Slot(2), Instance(0));
    let proposal = Some(&value);
    let mut check = integrity::Integrity::new([Slot(2)].into());
    let seen = Observation::Applied { slot, inst, sender, proposal, tau };
    assert!(check.observe(&seen).is_err());
    checks.observe(0, &seen);
    assert!(names(checks).contains(&"integrity"));
}

#[test]
fn command_applied_twice_is_caught_unless_its_owner_crashed() {
    for crashes in [false, true] {
        let mut check = commands::Commands::new([Slot(0)].into());
        let (value, slot) = (proposal(&[b"command"]), Slot(0));
        check.observe(&Observation::Submitted { slot, command: b"command" }).unwrap();
        if crashes {
            check.observe(&Observation::Crashed { slot }).unwrap();
        }
        check.observe(&applied(0, 0, Some(&value))).unwrap();
        assert_eq!(check.observe(&applied(0, 5, Some(&value))).is_err(), !crashes);
    }
}

#[test]
fn command_that_is_never_applied_is_caught() {
    let mut check = commands::Commands::new([Slot(0)].into());
    check.observe(&Observation::Submitted { slot: Slot(0), command: b"command" }).unwrap();
    assert!(!check.is_settled());
    let (stop, applied, residual) = (Stop::OutOfTime, Vec::new(), Vec::new());
    let end = End { stop, now_ms: 0, target: 1, applied, residual, stable: Vec::new() };
    assert_eq!(check.finish(&end).len(), 1);
}

#[test]
fn parking_beyond_the_budget_is_caught() {
    let mut checks = checks();
    let stats = Stats { parked_bytes: 100 << 20, ..Stats::default() };
    checks.observe(0, &Observation::Measured { slot: Slot(1), stats: &stats });
    assert_eq!(names(checks), ["memory"]);
}

#[test]
fn blame_between_honest_members_is_caught() {
    let mut checks = checks();
    let fault = Fault::BadSignature(Kind::Read);
    let (slot, peer) = (Slot(1), Slot(4));
    checks.observe(0, &Observation::Blamed { slot, peer, fault: &fault });
    assert!(!checks.is_violated(), "slot 4 is faulty");
    checks.observe(0, &Observation::Blamed { slot, peer: Slot(2), fault: &fault });
    assert_eq!(names(checks), ["no-blame"]);
}

/// What follows has time 0 while fewer than half of the members have proposed.
fn time(slot: u16, inst: u64, stamp: u64, tau: u64) -> (Slot, Instance, Arc<Proposal>, Stamp) {
    let value = Proposal { stamp: Stamp(stamp), ..(*proposal(&[])).clone() };
    (Slot(slot), Instance(inst), Arc::new(value), Stamp(tau))
}

#[test]
fn time_other_than_the_median_of_stamps_is_caught() {
    for (last, good) in [(10, true), (20, false), (0, false)] {
        let honest = [Slot(0), Slot(1), Slot(2), Slot(3)].into();
        let mut check = reference::Reference::new(5, honest);
        let told = [time(1, 0, 10, 0), time(1, 1, 20, 0), time(1, 2, 30, last)];
        let mut results = Vec::new();
        for (slot, inst, value, tau) in &told {
            let (slot, inst, tau) = (*slot, *inst, *tau);
            let (sender, proposal) = (Slot(inst.0 as u16), Some(value));
            let seen = Observation::Applied { slot, inst, sender, proposal, tau };
            results.push(check.observe(&seen).is_ok());
        }
        // Stamps 10, 20, 30 and two of 0: the lower median of five is 10.
        assert_eq!(results, [true, true, good], "{last}");
    }
}

#[test]
fn stamp_that_goes_back_or_a_sender_out_of_turn_is_caught() {
    let mut check = reference::Reference::new(2, [Slot(0), Slot(1)].into());
    let value = |stamp| time(0, 0, stamp, 0).2;
    let told = [(0, 0, 10, true), (1, 1, 10, true), (2, 0, 10, false)];
    for (inst, sender, stamp, good) in told {
        let (value, tau) = (value(stamp), Stamp(if inst == 0 { 0 } else { 10 }));
        let (slot, inst, sender) = (Slot(0), Instance(inst), Slot(sender));
        let seen = Observation::Applied { slot, inst, sender, proposal: Some(&value), tau };
        assert_eq!(check.observe(&seen).is_ok(), good, "{inst}");
    }
    let mut check = reference::Reference::new(2, [Slot(0), Slot(1)].into());
    let (slot, inst, sender, tau) = (Slot(0), Instance(0), Slot(1), Stamp(0));
    let seen = Observation::Applied { slot, inst, sender, proposal: None, tau };
    assert!(check.observe(&seen).is_err());
}

#[test]
fn time_ahead_of_every_honest_clock_is_caught() {
    let (slot, inst, value, tau) = time(0, 0, 10, 10);
    let seen = Observation::Applied { slot, inst, sender: Slot(0), proposal: Some(&value), tau };
    for (honest, good) in [(vec![Slot(0)], true), (vec![], false)] {
        let mut check = reference::Reference::new(1, honest.into_iter().collect());
        assert_eq!(check.observe(&seen).is_ok(), good);
    }
}

#[test]
fn null_in_a_calm_run_is_caught() {
    for calm in [false, true] {
        let mut check = nontrivial::NonTriviality::new(calm);
        let value = proposal(&[]);
        check.observe(&applied(1, 0, Some(&value))).unwrap();
        assert_eq!(check.observe(&applied(1, 1, None)).is_err(), calm);
    }
}

#[test]
fn states_that_differ_after_one_number_of_instances_are_caught() {
    let mut check = state::EqualStates::default();
    let (first, other) = (proposal(&[b"a"]), proposal(&[b"b"]));
    check.observe(&applied(1, 0, Some(&first))).unwrap();
    // A member that starts again is told once more and skips it.
    check.observe(&applied(1, 0, Some(&first))).unwrap();
    check.observe(&applied(1, 1, None)).unwrap();
    check.observe(&applied(2, 0, Some(&first))).unwrap();
    assert!(check.observe(&applied(2, 1, Some(&other))).is_err());
    // What differed once stays different.
    check.observe(&applied(1, 2, None)).unwrap();
    assert!(check.observe(&applied(2, 2, None)).is_err());
}

/// Five members; the key of slot 1 is the one that `ack` signs with.
fn roster() -> Roster {
    let member = |slot: u8| Member {
        identities: vec![SecretKey::from_seed(&[6 + slot; 32]).public()],
        active: Ident(0),
        standing: Standing::Live,
    };
    let members = (0..5).map(member).collect();
    Roster::new(GroupId(Hash::ZERO), Epoch(0), 1, Mode::QuasiSync, members).unwrap()
}

fn end(stable: Vec<(Slot, Checkpoint)>) -> End {
    let (stop, applied, residual) = (Stop::Done, Vec::new(), Vec::new());
    End { stop, now_ms: 0, target: 1, applied, residual, stable }
}

#[test]
fn two_statements_of_an_honest_member_convict_it_and_those_of_a_faulty_one_do_not() {
    for (honest, caught) in [(vec![Slot(1), Slot(2)], 1), (vec![Slot(2)], 0)] {
        let mut check = innocence::Innocence::new(&roster(), honest.into_iter().collect());
        // One is sent, the other is only shown by a faulty member.
        for (message, thrown) in [(ack(b"a"), false), (ack(b"b"), true)] {
            let message = &message;
            let seen = match thrown {
                true => Observation::Thrown { message },
                false => Observation::Sent { slot: Slot(1), to: Slot(2), message },
            };
            check.observe(&seen).unwrap();
        }
        assert_eq!(check.finish(&end(vec![])).len(), caught);
    }
}

#[test]
fn two_statements_after_an_expulsion_convict_once_an_honest_member_tells_the_roster() {
    let expelled = |at: usize| if at == 4 { Standing::Expelled } else { Standing::Live };
    let founding = roster();
    let members = founding.all().map(|slot| Member {
        standing: expelled(usize::from(slot.0)),
        ..founding.member(slot).unwrap().clone()
    });
    let (group, f) = (founding.group(), 0);
    let later = Roster::new(group, Epoch(1), f, Mode::QuasiSync, members.collect()).unwrap();
    let roster = &Arc::new(later);
    for (teller, caught) in [(Slot(2), 1), (Slot(3), 0)] {
        let honest = [Slot(1), Slot(2)].into_iter().collect();
        let mut check = innocence::Innocence::new(&founding, honest);
        let first = Instance(2);
        check.observe(&Observation::Roster { slot: teller, first, roster }).unwrap();
        for message in &[ack_in(Epoch(1), b"a"), ack_in(Epoch(1), b"b")] {
            check.observe(&Observation::Sent { slot: Slot(1), to: Slot(2), message }).unwrap();
        }
        assert_eq!(check.finish(&end(vec![])).len(), caught);
    }
}

/// Slot `slot` proposes in instance 9 and publishes this state after instance 4.
fn publishes(slot: u16, state: u8) -> Message {
    let checkpoint = (Instance(4), Hash([state; 32]));
    let value = Proposal { checkpoint, ..(*proposal(&[])).clone() };
    let body = view::proposal_bytes(&value);
    let header = Header {
        kind: Kind::Value,
        epoch: Epoch(0),
        inst: Instance(9),
        turn: Turn(0),
        slot: Slot(slot),
        ident: Ident(0),
    };
    let key = SecretKey::from_seed(&[6 + slot as u8; 32]);
    let group = GroupId(Hash::ZERO);
    let len = types::Size(body.len() as u64);
    let said = ValueStatement { body: Hash::of(&body), len };
    let statement = Signed::new(&key, &group, header, said).into_inner();
    let said = AgreeStatement { value: Hash::ZERO, reads: Hash::ZERO };
    let core = Signed::new(&key, &group, Header { kind: Kind::Agree, ..header }, said).into_inner();
    Message::Agree(Agree { core, value: Arc::new(Value { statement, body: body.into() }) })
}

#[test]
fn two_states_after_one_prefix_are_caught_and_a_stable_one_that_nobody_honest_named() {
    let told = |check: &mut checkpoints::Checkpoints, slot, state| {
        let message = publishes(slot, state);
        let (slot, to) = (Slot(slot), Slot(4));
        check.observe(&Observation::Sent { slot, to, message: &message })
    };
    let stable = |inst, state| {
        vec![(Slot(2), Checkpoint { inst: Instance(inst), digest: Hash([state; 32]) })]
    };
    let mut check = checkpoints::Checkpoints::default();
    told(&mut check, 1, 7).unwrap();
    told(&mut check, 2, 7).unwrap();
    assert!(check.finish(&end(stable(4, 7))).is_empty());
    assert_eq!(check.finish(&end(stable(4, 8))).len(), 1);
    assert_eq!(check.finish(&end(stable(3, 7))).len(), 1);
    assert!(told(&mut check, 3, 8).is_err());
}
