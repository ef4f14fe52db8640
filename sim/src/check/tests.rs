//! Each checker catches what it is there for.

use super::*;
use bart_rsm::message::{AgreeAck, AgreeAckStatement};
use types::{Epoch, GroupId, Hash, Header, Ident, Kind, SecretKey, Signed, Turn};

fn ack(value: &[u8]) -> Message {
    let header = Header {
        kind: Kind::AgreeAck,
        epoch: Epoch(0),
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
    })
}

fn checks() -> Checks {
    Checks::new(5, &[Slot(1), Slot(2)])
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
    assert_eq!(names(checks), ["agreement"]);
}

#[test]
fn integrity_of_a_value_that_its_honest_sender_never_proposed_is_caught() {
    let mut checks = checks();
    let (value, tau) = (proposal(&[]), Stamp(0));
    let (slot, sender, inst) = (Slot(1), Slot(2), Instance(0));
    let proposal = Some(&value);
    checks.observe(0, &Observation::Applied { slot, inst, sender, proposal, tau });
    assert_eq!(names(checks), ["integrity"]);
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
    assert_eq!(check.finish(&End { stop, now_ms: 0, target: 1, applied, residual }).len(), 1);
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
