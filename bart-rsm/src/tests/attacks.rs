//! Byzantine messages (specification 9.1 to 9.12).

use super::forge;
use super::harness::*;
use crate::message::*;
use crate::*;
use std::sync::Arc;
use types::*;

#[test]
fn equivocating_sender_gets_one_value_decided_and_leaves_a_proof() {
    let mut net = Net::new(5);
    let roster = Arc::clone(&net.roster);
    let other = forge::proposal(&roster, EPOCH_MS + 5, b"other").to_bytes();
    // Slot 4 sees another value than the rest.
    net.filter(move |from, to, message| {
        let first = message.inst() == Instance(0) && message.turn() == Turn(0);
        if from == Slot(0) && to == Slot(4) && first && message.kind() == Kind::Agree {
            return Verdict::Replace(vec![forge::agree(&roster, 0, 0, &other)]);
        }
        Verdict::Pass
    });
    net.run(120_000);
    assert!(net.check_agreement(1..5) > 4);
    assert!(net.applied[4][&Instance(0)].1.as_ref().unwrap().commands.is_empty());
    let proof = net.faults.iter().find_map(|(at, who, fault)| match fault {
        Fault::Equivocation { kind: Kind::Value, first, second, signer } => {
            assert_eq!((*at, *who, *signer), (Slot(4), Slot(0), Slot(0)));
            Some((first.clone(), second.clone()))
        }
        _ => None,
    });
    let (first, second) = proof.unwrap();
    for bytes in [&first, &second] {
        let value = Signed::<ValueStatement>::from_bytes(bytes).unwrap();
        Unverified::new(value).verify(&net.roster).unwrap();
    }
    assert_ne!(first, second);
    net.check_no_residue(1..5);
}

#[test]
fn sender_that_splits_the_group_in_halves_gets_null() {
    let mut net = Net::new(5);
    let roster = Arc::clone(&net.roster);
    let other = forge::proposal(&roster, EPOCH_MS + 5, b"other").to_bytes();
    net.filter(move |from, to, message| {
        let first = message.inst() == Instance(0) && message.turn() == Turn(0);
        if from == Slot(0) && to.0 >= 3 && first && message.kind() == Kind::Agree {
            return Verdict::Replace(vec![forge::agree(&roster, 0, 0, &other)]);
        }
        Verdict::Pass
    });
    net.run(120_000);
    assert!(net.check_agreement(1..5) > 4);
    assert!(net.applied[1][&Instance(0)].1.is_none());
    net.check_no_residue(1..5);
}

#[test]
fn write_acks_of_an_older_instance_decide_nothing_sq_d1() {
    let mut net = Net::new(5);
    let roster = Arc::clone(&net.roster);
    let mut old: Option<ShowQuorum> = None;
    net.filter(move |from, to, message| match message {
        Message::ShowQuorum(show) if from == Slot(0) && show.core.header.inst == Instance(0) => {
            old = Some(show.clone());
            Verdict::Pass
        }
        Message::ShowQuorum(show) if from == Slot(0) && show.core.header.inst == Instance(5) => {
            if to != Slot(4) {
                return Verdict::Drop;
            }
            let acks = Arc::clone(&old.as_ref().unwrap().acks);
            let value = show.core.payload.value;
            let payload = ShowQuorumStatement { value, acks: acks.digest() };
            let core = forge::signed(&roster, 0, 5, 0, payload);
            Verdict::Replace(vec![Message::ShowQuorum(ShowQuorum {
                core,
                acks,
                pol: Arc::clone(&show.pol),
            })])
        }
        _ => Verdict::Pass,
    });
    for slot in 0..5 {
        net.submit(slot, 1, b"go");
        net.submit(slot, 2, b"on");
    }
    net.run(300);
    let refused = (Slot(4), Slot(0), Fault::Malformed(Kind::ShowQuorum, "write quorum"));
    assert!(net.run_until(4_000, |net| net.faults.contains(&refused)), "{:?}", net.faults);
    assert_eq!(net.decided(4), 5);
    net.run(100_000);
    assert!(net.check_agreement(1..5) > 6);
}

#[test]
fn far_future_set_turns_cost_a_bounded_amount() {
    let mut net = Net::new(5);
    let roster = Arc::clone(&net.roster);
    net.run(5_000);
    let current = net.decided(1);
    let before = net.core(1).stats();
    for inst in [current - 1, current, current + 1, current + 2, current + 1_000, u64::MAX] {
        for turn in (1..2_000).chain([u32::MAX - 1, u32::MAX]) {
            let message = forge::set_turn(&roster, 3, inst, turn);
            net.inject(Slot(3), Slot(1), &message);
        }
    }
    net.run(20);
    let core = net.core(1);
    let leads: usize = core.insts.values().map(|inst| inst.leads.len()).sum();
    assert!(leads <= 24, "{leads}");
    let stats = core.stats();
    assert!(stats.parked_messages <= before.parked_messages + 12, "{stats:?}");
    assert!(stats.instances <= before.instances + 2 && stats.loads == 0, "{stats:?}");
    net.filter(|_, _, _| Verdict::Pass);
    net.run(60_000);
    assert!(net.check_agreement([0, 1, 2, 4]) > current);
    net.check_no_residue([0, 1, 2, 4]);
}

#[test]
fn set_turns_that_climb_in_an_old_instance_are_answered_at_the_rate_of_repetitions() {
    let mut net = Net::new(5);
    let roster = Arc::clone(&net.roster);
    net.run(5_000);
    let acceptors =
        |no: &u64| ![Slot(1), Slot(3)].contains(&net.core(1).schedule.sender(Instance(*no)));
    let no = (0..net.decided(1)).rev().find(acceptors).unwrap();
    let answers = |net: &Net| net.sent.get(&(Slot(1), Kind::ShowDecision)).copied().unwrap_or(0);
    for turn in 1..1_024 {
        if net.core(1).schedule.leader(Instance(no), turn) == Slot(1) {
            net.inject(Slot(3), Slot(1), &forge::set_turn(&roster, 3, no, turn));
        }
    }
    net.run(20);
    let climbed = answers(&net);
    assert!(climbed > 50, "only {climbed}: it does not climb");
    assert!(climbed <= 256, "{climbed}");
    // What is still due leaves one by one, also when everything is asked for again.
    for round in 0..20 {
        let before = answers(&net);
        net.link(Slot(1), Slot(3), false);
        net.link(Slot(1), Slot(3), true);
        net.run(50);
        let new = answers(&net) - before;
        assert!(new <= 4, "{new} in round {round}");
    }
    let block = net.core(1).config.costs().show_block;
    let most = net.most_in_step[&(Slot(1), Slot(3))];
    assert!(most < 4 * block, "{most} bytes in one step, {block} in one answer");
    net.run(60_000);
    net.check_agreement([0, 1, 2, 4]);
    net.check_no_residue([0, 1, 2, 4]);
}

#[test]
fn old_instances_that_are_asked_for_do_not_make_a_member_walk_its_log() {
    let mut net = Net::with(5, super::bounded::busy());
    let roster = Arc::clone(&net.roster);
    net.connect();
    // As long as two members miss each other, nothing is erased.
    net.link(Slot(0), Slot(2), false);
    net.run(25_000);
    assert_eq!(net.core(1).kept_from(), Instance(0));
    let current = net.decided(1);
    assert!(current > 250, "{current}");
    let closed = net.core(1).peers[3].closed;
    let loads = |net: &Net| net.loads.get(&Slot(1)).copied().unwrap_or(0);
    let before = loads(&net);
    // Slot 1 leads turn 1 where slot 4 is the sender, and turn 3 where slot 2 is.
    assert_eq!(net.core(1).schedule.leader(Instance(4), 1), Slot(1));
    net.inject(Slot(3), Slot(1), &forge::set_turn(&roster, 3, 2, 3));
    for no in [4, 9, 14] {
        net.inject(Slot(3), Slot(1), &forge::set_turn(&roster, 3, no, 1));
    }
    net.run(200);
    assert!(net.sent[&(Slot(1), Kind::ShowDecision)] > 0, "nothing was answered");
    assert!(loads(&net) - before <= 4, "{} loads", loads(&net) - before);
    let resume = Resume { epoch: Epoch(3), undecided: Instance(current), frontier: Instance(0) };
    net.inject(Slot(3), Slot(1), &Message::Resume(resume));
    net.run(200);
    assert!(loads(&net) - before <= 4 + 32, "{} loads", loads(&net) - before);
    assert!(net.core(1).peers[3].all_closed() >= closed, "the mark fell");
    assert!(net.core(1).stats().loads == 0);
    net.connect();
    net.run(60_000);
    net.check_agreement(0..5);
    net.check_no_residue([0, 1, 2, 4]);
}

#[test]
fn certificate_of_another_outcome_raises_the_alarm_even_in_an_old_instance() {
    for report in [false, true] {
        let mut net = Net::new(5);
        let roster = Arc::clone(&net.roster);
        net.run(100);
        let no = Instance(0);
        let cert = net.core(1).insts[&no].decided.clone().unwrap();
        let message = if report {
            let payload = ReportStatement { value: cert.value, cert: cert.digest() };
            let core = forge::signed(&roster, 3, 0, 0, payload);
            Message::ReportDecision(ReportDecision { core, cert: Arc::clone(&cert) })
        } else {
            let value = net.core(1).insts[&no].decided_value().cloned();
            let epoch = roster.epoch();
            Message::Catchup(Catchup { epoch, inst: no, cert: Arc::clone(&cert), value })
        };
        net.inject(Slot(3), Slot(0), &message);
        net.run(20);
        assert!(net.alarms.is_empty());
        // As if slot 0 had decided otherwise.
        let other = DecisionCert { value: Hash::of(b"other"), ..(*cert).clone() };
        net.core_mut(0).insts.get_mut(&no).unwrap().decided = Some(Arc::new(other));
        net.inject(Slot(3), Slot(0), &message);
        net.run(20);
        assert_eq!(net.alarms, [(Slot(0), Alarm::TwoDecisions(no))], "report: {report}");
    }
}

#[test]
fn flood_of_early_messages_stays_within_the_parking_budget() {
    let mut net = Net::new(5);
    let roster = Arc::clone(&net.roster);
    net.run(5_000);
    let current = net.decided(1);
    let body = vec![7; 60_000];
    for step in 1..40 {
        let message = forge::agree(&roster, 3, current + step, &body);
        net.inject(Slot(3), Slot(1), &message);
    }
    net.run(20);
    let stats = net.core(1).stats();
    assert!(stats.parked_bytes <= 4 * net.params.v_max + 64 * 1024, "{stats:?}");
    assert!(stats.parked_messages <= 2 && stats.parked_dropped >= 37, "{stats:?}");
}

#[test]
fn endless_resume_is_answered_at_a_bounded_rate() {
    let mut net = Net::new(5);
    net.run(5_000);
    let before: usize = net.sent.values().sum();
    let resume = Resume { epoch: Epoch(3), undecided: Instance(0), frontier: Instance(0) };
    for _ in 0..5_000 {
        net.inject(Slot(3), Slot(1), &Message::Resume(resume));
    }
    net.run(50);
    assert!(net.faults.contains(&(Slot(1), Slot(3), Fault::TooOften)));
    let answers = net.sent.values().sum::<usize>() - before;
    // One run of decisions, and the last steps of a window.
    assert!(answers <= 64 + 66, "{answers}");
    // Ever new ranges find the end of the repetitions.
    let before: usize = net.sent.values().sum();
    for round in 0..5_000 {
        let (undecided, frontier) = (Instance(round % 5), Instance(round % 7));
        let resume = Resume { epoch: Epoch(3), undecided, frontier };
        net.inject(Slot(3), Slot(1), &Message::Resume(resume));
    }
    net.run(50);
    let answers = net.sent.values().sum::<usize>() - before;
    assert!(answers <= 256 + 35 * 66, "{answers}");
}

/// What a proposal with a bad form leads to: nobody acknowledges it, the instance decides NULL.
#[test]
fn proposals_with_a_bad_form_are_decided_as_null() {
    let roster = roster(5);
    let good = || forge::proposal(&roster, EPOCH_MS + 50_000, b"c");
    let mut cases: Vec<(&str, Vec<u8>)> = Vec::new();
    let mut own = good();
    own.untimely[0] = 1;
    cases.push(("own untimely entry", own.to_bytes()));
    let mut cap = good();
    cap.untimely[2] = types::limits::UNTIMELY_MAX + 1;
    cases.push(("untimely above the cap", cap.to_bytes()));
    let mut short = good();
    short.untimely.pop();
    cases.push(("short vector", short.to_bytes()));
    let mut long = good();
    long.accuse.push(Accusation::default());
    cases.push(("long vector", long.to_bytes()));
    let mut accuse = good();
    accuse.accuse[0] = Accusation { reason: 1, ..Default::default() };
    cases.push(("accuses itself", accuse.to_bytes()));
    let mut form = good();
    form.accuse[1] = Accusation { reason: 0, inst: Instance(1), ..Default::default() };
    cases.push(("absent entry not blank", form.to_bytes()));
    cases.push(("old stamp", forge::proposal(&roster, 0, b"c").to_bytes()));
    cases.push(("garbage", vec![0xff; 300]));
    cases.push(("empty", Vec::new()));
    let mut trailing = good().to_bytes();
    trailing.push(0);
    cases.push(("trailing byte", trailing));
    let mut big = good();
    big.commands = vec![vec![1; 8_000]; 9];
    cases.push(("longer than V_MAX", big.to_bytes()));
    for (name, body) in cases {
        let mut net = Net::new(5);
        let roster = Arc::clone(&roster);
        net.filter(move |from, _, message| {
            if from == Slot(0) && message.kind() == Kind::Agree && message.inst() == Instance(0) {
                return Verdict::Replace(vec![forge::agree(&roster, 0, 0, &body)]);
            }
            Verdict::Pass
        });
        net.run(100_000);
        assert!(net.check_agreement(1..5) > 4, "{name}");
        assert!(net.applied[2][&Instance(0)].1.is_none(), "{name}");
        assert!(net.faults.iter().any(|(_, who, _)| *who == Slot(0)), "{name}");
        net.check_no_residue(1..5);
    }
}

#[test]
fn good_forged_proposal_is_decided_so_the_refusals_above_are_not_vacuous() {
    let mut net = Net::new(5);
    let roster = Arc::clone(&net.roster);
    let body = forge::proposal(&roster, EPOCH_MS + 50_000, b"c").to_bytes();
    let (_, value) = forge::value(&roster, 0, 0, &body);
    let forged = forge::agree(&roster, 0, 0, &body);
    net.filter(move |from, _, message| {
        if from == Slot(0) && message.kind() == Kind::Agree && message.inst() == Instance(0) {
            return Verdict::Replace(vec![forged.clone()]);
        }
        Verdict::Pass
    });
    net.run(50);
    let held = net.core(2).insts[&Instance(0)].values.values().next().unwrap().clone();
    assert_eq!(held, value);
    assert!(net.core(2).stage(Instance(0), 0) >= Some(2));
}

#[test]
fn wrong_certificates_are_refused_and_change_nothing() {
    let mut net = Net::new(5);
    net.filter(|from, _, message| {
        let mut message = message.clone();
        if from != Slot(0) {
            return Verdict::Pass;
        }
        match &mut message {
            // Too few signers.
            Message::Write(write) => {
                let fewer = write.cert.signers.iter().skip(1).map(|(slot, s)| (slot, *s));
                let signers = Signers::new(fewer);
                write.cert = Arc::new(AgreeCert { signers, ..(*write.cert).clone() });
                Verdict::Replace(vec![message])
            }
            _ => Verdict::Pass,
        }
    });
    net.run(100_000);
    assert!(net.check_agreement(1..5) > 4);
    assert!(net.faults.iter().any(|(_, who, fault)| *who == Slot(0)
        && *fault == Fault::Malformed(Kind::Write, "agree certificate")));
    net.check_no_residue(1..5);
}

#[test]
fn statement_of_another_slot_epoch_or_group_is_refused() {
    let mut net = Net::new(5);
    let roster = Arc::clone(&net.roster);
    net.run(1_000);
    let current = net.decided(1);
    net.faults.clear();
    // Right signature, wrong link.
    net.inject(Slot(3), Slot(1), &forge::set_turn(&roster, 2, current, 1));
    let mut stale = signed_set_turn(&roster, 3, current);
    stale.header.epoch = Epoch(2);
    net.inject(Slot(3), Slot(1), &Message::SetTurn(SetTurn { core: stale }));
    let foreign = Roster::new(
        GroupId(Hash::of(b"other group")),
        Epoch(3),
        1,
        Mode::QuasiSync,
        (0..5).map(|slot| roster.member(Slot(slot)).unwrap().clone()).collect(),
    )
    .unwrap();
    let turn = (1..5).find(|turn| net.core(1).schedule.leader(Instance(current), *turn) == Slot(1));
    if let Some(turn) = turn {
        net.inject(Slot(3), Slot(1), &forge::set_turn(&foreign, 3, current, turn));
    }
    net.run(10);
    let bad = (Slot(1), Slot(3), Fault::BadSignature(Kind::SetTurn));
    let refusals = net.faults.iter().filter(|fault| **fault == bad).count();
    assert_eq!(refusals, 2 + usize::from(turn.is_some()));
}

fn signed_set_turn(roster: &Roster, slot: u16, inst: u64) -> Signed<SetTurnStatement> {
    forge::signed(roster, slot, inst, 1, SetTurnStatement {})
}
