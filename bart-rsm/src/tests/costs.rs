//! Sizes of all alternatives, and the inequalities that follow from them (specification 3.10, 10.2;
//! acceptance test 2; rows C1 to C4, C8).

use super::forge;
use super::forms::samples;
use super::harness::roster;
use crate::costs::{Costs, Imbalance, Prices};
use crate::message::*;
use crate::*;
use types::*;

fn quorum(n: usize) -> Quorum {
    Quorum::new(n, Quorum::largest_f(n), Mode::QuasiSync).unwrap()
}

#[test]
fn costs_are_those_of_the_messages_that_are_sent() {
    for n in [5u16, 8, 20] {
        let samples = samples(n);
        let size =
            |name: &str| samples.iter().find(|(got, _)| *got == name).unwrap().1.to_bytes().len();
        let costs = Costs::new(&Params::default(), quorum(usize::from(n)));
        let sizes = costs.sizes;
        assert_eq!(sizes.set_turn, size("set-turn"));
        assert_eq!(sizes.read, size("read"));
        for name in ["read-ack none", "read-ack value"] {
            assert_eq!(sizes.read_ack, size(name), "{name}");
        }
        assert_eq!(sizes.agree_first + 4096, size("agree 0"));
        for name in ["agree t null", "agree t value"] {
            assert_eq!(sizes.agree, size(name), "{name}");
        }
        assert_eq!(sizes.agree_ack, size("agree-ack"));
        assert_eq!(sizes.write, size("write"));
        for name in ["write-ack null", "write-ack later"] {
            assert_eq!(sizes.write_ack, size(name), "{name}");
        }
        for name in ["show-quorum good", "show-quorum failed"] {
            assert_eq!(sizes.show_quorum, size(name), "{name}");
        }
        assert_eq!(sizes.show_decision, size("show-decision"));
        assert_eq!(sizes.report, size("report"));
        assert_eq!(sizes.penance - costs.late_fee, size("penance") - 100);
    }
}

/// Every alternative that a member may choose between, by what a rational one would compare.
#[test]
fn alternatives_of_every_statement_and_vector_have_one_size() {
    let roster = roster(8);
    let q = roster.quorum().size();
    let one = |what: &str, sizes: Vec<usize>| {
        assert!(sizes.windows(2).all(|pair| pair[0] == pair[1]), "{what}: {sizes:?}");
    };
    let signer_sets: [Vec<u16>; 3] =
        [vec![1, 2, 3, 4, 5], vec![3, 4, 5, 6, 7], vec![0, 2, 4, 6, 63]];
    let signers =
        |set: &Vec<u16>| Signers::new(set.iter().map(|slot| (Slot(*slot), Signature([9; 64]))));
    let pol = |set| Pol { turn: Turn(3), signers: signers(set) };
    let mut pols: Vec<usize> = signer_sets.iter().map(|set| pol(set).to_bytes().len()).collect();
    pols.push(Pol::null(q).to_bytes().len());
    one("proof of leadership", pols);
    let cert = |set| AgreeCert {
        turn: Turn(3),
        value: Hash::of(b"v"),
        agree: Hash::of(b"a"),
        signers: signers(set),
    };
    let mut certs: Vec<usize> = signer_sets.iter().map(|set| cert(set).to_bytes().len()).collect();
    certs.push(AgreeCert::blank(q).to_bytes().len());
    one("agree certificate", certs);
    // Reports and set-turns of any turn.
    let turns = [0, 1, 7, 1024, u32::MAX];
    let report = |turn: u32| {
        let entry = |slot: &u16| {
            let (max_pol, signature) = (Hash::of(b"p"), Signature([9; 64]));
            (Slot(*slot), WriteEntry { max_turn: Turn(turn), max_pol, signature })
        };
        let acks = WriteQuorum {
            write: Hash::ZERO,
            signers: Signers::new(signer_sets[0].iter().map(entry)),
        };
        let cert = acks.decision(Turn(turn), Hash::of(b"v")).unwrap();
        let payload = ReportStatement { value: cert.value, cert: cert.digest() };
        let core = forge::signed(&roster, 1, 9, 0, payload);
        ReportDecision { core, cert: cert.into() }.to_bytes().len()
    };
    one("report", turns.map(report).to_vec());
    one("set-turn", turns.map(|turn| forge::set_turn(&roster, 1, 9, turn).size()).to_vec());
    // Vectors of a proposal: nobody, somebody, everybody; accused of anything.
    let plain = forge::proposal(&roster, 1, b"c");
    let accused = |reason| {
        let entry = Accusation {
            reason,
            inst: Instance(u64::MAX),
            turn: Turn(u32::MAX),
            kind: u8::MAX,
            message: if reason == 2 { Hash::of(b"m") } else { Hash::ZERO },
        };
        Proposal { accuse: vec![entry; 8], ..plain.clone() }.to_bytes().len()
    };
    let fined = |units| Proposal { untimely: vec![units; 8], ..plain.clone() }.to_bytes().len();
    let closed = Proposal {
        closed_upto: Instance(u64::MAX),
        checkpoint: (Instance(7), Hash::of(b"state")),
        ..plain.clone()
    };
    let sizes = vec![
        plain.to_bytes().len(),
        accused(1),
        accused(2),
        fined(1),
        fined(u8::MAX),
        closed.to_bytes().len(),
    ];
    one("proposal", sizes);
    assert_eq!(plain.to_bytes().len(), proposal::fixed_len(8) + 4 + 1);
}

#[test]
fn incentives_hold_for_every_group_and_match_the_table_of_the_specification() {
    let prices = Prices::default();
    for n in 2..=64 {
        for f in 0..=Quorum::largest_f(n) {
            for mode in [Mode::Async, Mode::QuasiSync] {
                let quorum = Quorum::new(n, f, mode).unwrap();
                let got = Params::default().check_incentives(quorum, &prices);
                assert!(got.is_ok(), "n = {n}, f = {f}: {got:?}");
            }
        }
    }
    // Specification 10.2 and 3.10: late fee in KB, pad of SHOW_DECISION in KB, worst rotation in MB.
    for (n, fee, pad, worst) in [(5, 134, 85, 1.1), (8, 67, 87, 3.1), (20, 23, 93, 19.9)] {
        let costs = Costs::new(&Params::default(), quorum(n));
        assert_eq!(costs.late_fee / 1_000, fee, "n = {n}");
        let half = Params { fine_per_mille: 500, ..Params::default() };
        let halved = Costs::new(&half, quorum(n)).late_fee;
        assert!(halved.abs_diff(costs.late_fee / 2) <= 1, "n = {n}");
        let got = (costs.show_block - Params::default().v_max) / 1_000;
        assert!(got.abs_diff(pad) <= 2, "n = {n}: {got}");
        let incentives = Params::default().check_incentives(quorum(n), &prices).unwrap();
        let off = incentives.worst_rotation / (worst * 1e6);
        assert!((0.92..1.08).contains(&off), "n = {n}: {}", incentives.worst_rotation);
        assert!(incentives.calm_rotation < incentives.worst_rotation / 10.0);
        assert!(incentives.read_ack_overhead < 4096);
    }
}

#[test]
fn fee_that_makes_lateness_pay_is_reported() {
    let (quorum, prices) = (quorum(5), Prices::default());
    let fee = Costs::new(&Params::default(), quorum).late_fee;
    let with = |late_fee, fine_per_mille, prices: &Prices| {
        let late_fee = Some(late_fee);
        Params { late_fee, fine_per_mille, ..Params::default() }.check_incentives(quorum, prices)
    };
    assert!(with(fee, 250, &prices).is_ok());
    assert!(matches!(with(fee - 1, 250, &prices), Err(Imbalance::Lateness { .. })));
    assert!(matches!(with(0, 250, &prices), Err(Imbalance::Lateness { .. })));
    assert!(matches!(with(fee, 125, &prices), Err(Imbalance::Lateness { .. })));
    // Where receiving is as dear as sending, pads and fees for half of it do not balance.
    let dear = Prices { rx: 1.0, ..prices };
    assert!(with(fee, 250, &dear).is_err());
    assert!(matches!(with(2 * fee, 250, &dear), Err(Imbalance::ShowDecision { .. })));
}

#[test]
fn fee_that_does_not_fit_into_a_message_is_refused() {
    let net = super::harness::Net::new(5);
    let changes: [fn(&mut Params); 3] = [
        |p| p.late_fee = Some(message::pad::BLOCK_MAX),
        |p| p.fine_per_mille = 0,
        |p| p.fine_per_mille = 1_001,
    ];
    for change in changes {
        let mut config = net.config(Slot(1));
        change(&mut config.params);
        let refused = Core::new(config, super::harness::secret(1));
        assert!(matches!(refused, Err(ConfigError::Parameter(..))));
    }
}
