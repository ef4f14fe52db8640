//! Pinned sizes and encodings of every message, signed statement and record (specification 3.3,
//! acceptance test 2). A change of form changes these in the same commit.

use super::forge;
use super::harness::*;
use crate::inst::*;
use crate::message::*;
use crate::record::*;
use crate::time::LogState;
use crate::*;
use std::sync::Arc;
use types::*;

const BODY_LEN: usize = 4096;

/// One message of each kind and alternative in instance 5 (sender 0) with fixed keys.
pub(super) fn samples(n: u16) -> Vec<(&'static str, Message)> {
    let roster = roster(n);
    let (q, v_max) = (roster.quorum().size(), Params::default().v_max);
    let inst = u64::from(n);
    let config = Config {
        roster: Arc::clone(&roster),
        slot: Slot(2),
        ident: Ident(0),
        params: Params::default(),
        rules: Rules::default(),
    };
    let voters = || (1..=q as u16).map(Slot);
    let body = vec![0x5a; BODY_LEN];
    let (digest, value) = forge::value(&roster, 0, inst, &body);
    let null = null_digest(roster.group(), roster.epoch(), Instance(inst), Slot(0));
    let agree_hash = Hash::of(b"agree");
    let sign_all = |turn: u32, payload: AgreeAckStatement| {
        Signers::new(
            voters()
                .map(|slot| (slot, forge::signed(&roster, slot.0, inst, turn, payload).signature)),
        )
    };
    let ack = AgreeAckStatement { value: digest, agree: agree_hash };
    let cert = Arc::new(AgreeCert {
        turn: Turn(0),
        value: digest,
        agree: agree_hash,
        signers: sign_all(0, ack),
    });
    let pol = Arc::new(Pol {
        turn: Turn(1),
        signers: Signers::new(voters().map(|slot| {
            (slot, forge::signed(&roster, slot.0, inst, 1, SetTurnStatement {}).signature)
        })),
    });
    let key = |kind| PadKey {
        group: roster.group(),
        inst: Instance(inst),
        turn: Turn(1),
        kind,
        from: Slot(1),
        to: Slot(2),
    };
    let read = Hash::of(b"read");
    let read_ack = |accepted: bool| {
        let payload = ReadAckStatement {
            val_turn: if accepted { Turn(0) } else { TURN_NONE },
            value: if accepted { digest } else { Hash::ZERO },
            cert: if accepted { cert.digest() } else { Hash::ZERO },
            read,
        };
        let shown: &[u8] = if accepted { &body } else { &[] };
        let blank = Arc::new(AgreeCert::blank(q));
        Message::ReadAck(ReadAck {
            core: forge::signed(&roster, 1, inst, 1, payload),
            cert: if accepted { Arc::clone(&cert) } else { blank },
            statement: accepted.then(|| value.statement.clone()),
            body: Padded::new(shown, v_max, &key(Kind::ReadAck)),
        })
    };
    let reads = Arc::new(ReadQuorum {
        read,
        signers: Signers::new(voters().map(|slot| {
            let payload =
                ReadAckStatement { val_turn: TURN_NONE, value: Hash::ZERO, cert: Hash::ZERO, read };
            let signature = forge::signed(&roster, slot.0, inst, 1, payload).signature;
            let ReadAckStatement { val_turn, value, cert, .. } = payload;
            (slot, ReadEntry { val_turn, value, cert, signature })
        })),
    });
    let agree_later = |with: bool| {
        let payload =
            AgreeStatement { value: if with { digest } else { null }, reads: reads.digest() };
        let shown: &[u8] = if with { &body } else { &[] };
        let blank = Arc::new(AgreeCert::blank(q));
        Message::AgreeLater(AgreeLater {
            core: forge::signed(&roster, 1, inst, 1, payload),
            reads: Arc::clone(&reads),
            cert: if with { Arc::clone(&cert) } else { blank },
            statement: with.then(|| value.statement.clone()),
            body: Padded::new(shown, v_max, &key(Kind::Agree)),
        })
    };
    let write = Hash::of(b"write");
    let null_pol = Arc::new(Pol::null(q));
    let write_ack = |later: bool| {
        let max_pol = if later { Arc::clone(&pol) } else { Arc::clone(&null_pol) };
        let payload = WriteAckStatement {
            value: digest,
            max_turn: max_pol.turn,
            max_pol: max_pol.digest(),
            write,
        };
        let core = forge::signed(&roster, 1, inst, 0, payload);
        Message::WriteAck(WriteAck { core, max_pol })
    };
    let acks = Arc::new(WriteQuorum {
        write,
        signers: Signers::new(voters().map(|slot| {
            let (max_turn, max_pol) = (Turn(0), null_pol.digest());
            let payload = WriteAckStatement { value: digest, max_turn, max_pol, write };
            let signature = forge::signed(&roster, slot.0, inst, 0, payload).signature;
            (slot, WriteEntry { max_turn, max_pol, signature })
        })),
    });
    let show = |good: bool| {
        let payload = ShowQuorumStatement { value: digest, acks: acks.digest() };
        Message::ShowQuorum(ShowQuorum {
            core: forge::signed(&roster, 0, inst, 0, payload),
            acks: Arc::clone(&acks),
            pol: if good { Arc::clone(&null_pol) } else { Arc::clone(&pol) },
        })
    };
    let decision = Arc::new(acks.decision(Turn(0), digest).unwrap());
    let show_decision = ShowDecisionStatement { value: digest, cert: decision.digest() };
    let report = ReportStatement { value: digest, cert: decision.digest() };
    let mut pad = vec![0; 100];
    key(Kind::Penance).fill(&mut pad);
    let set_turn = forge::signed(&roster, 1, inst, 1, SetTurnStatement {});
    let epoch = roster.epoch();
    vec![
        ("set-turn", Message::SetTurn(SetTurn { core: set_turn })),
        (
            "read",
            Message::Read(Read {
                core: forge::signed(&roster, 2, inst, 1, ReadStatement { pol: pol.digest() }),
                pol: Arc::clone(&pol),
            }),
        ),
        ("read-ack none", read_ack(false)),
        ("read-ack value", read_ack(true)),
        ("agree 0", forge::agree(&roster, 0, inst, &body)),
        ("agree t null", agree_later(false)),
        ("agree t value", agree_later(true)),
        (
            "agree-ack",
            Message::AgreeAck(AgreeAck { core: forge::signed(&roster, 1, inst, 0, ack) }),
        ),
        (
            "write",
            Message::Write(Write {
                core: forge::signed(
                    &roster,
                    0,
                    inst,
                    0,
                    WriteStatement { value: digest, agree: agree_hash, cert: cert.digest() },
                ),
                cert: Arc::clone(&cert),
            }),
        ),
        ("write-ack null", write_ack(false)),
        ("write-ack later", write_ack(true)),
        ("show-quorum good", show(true)),
        ("show-quorum failed", show(false)),
        (
            "show-decision",
            Message::ShowDecision(ShowDecision {
                core: forge::signed(&roster, 1, inst, 1, show_decision),
                cert: Arc::clone(&decision),
                statement: Some(value.statement.clone()),
                body: Padded::new(
                    &body,
                    config.costs(config.roster.quorum()).show_block,
                    &key(Kind::ShowDecision),
                ),
            }),
        ),
        (
            "report",
            Message::ReportDecision(ReportDecision {
                core: forge::signed(&roster, 1, inst, 0, report),
                cert: Arc::clone(&decision),
            }),
        ),
        (
            "penance",
            Message::Penance(Penance {
                core: forge::signed(&roster, 1, inst, 0, PenanceStatement { count: Turn(1) }),
                pad: pad.into(),
            }),
        ),
        (
            "resume",
            Message::Resume(Resume { epoch, undecided: Instance(9), frontier: Instance(7) }),
        ),
        (
            "catchup",
            Message::Catchup(Catchup {
                epoch,
                inst: Instance(inst),
                cert: decision,
                value: Some(value),
            }),
        ),
        (
            "wake",
            Message::Wake(Wake { core: forge::signed(&roster, 1, inst, 0, WakeStatement {}) }),
        ),
        ("ping", Message::Ping(Ping { epoch, undecided: Instance(inst), frontier: Instance(3) })),
        ("pong", Message::Pong(Pong { epoch, undecided: Instance(inst), frontier: Instance(3) })),
    ]
}

fn short(bytes: &[u8]) -> String {
    Hash::of(bytes).to_hex()[..16].to_owned()
}

#[test]
fn sizes_of_all_messages_are_pinned() {
    let expected: [(u16, [usize; 21]); 3] = include!("sizes.in");
    let got = [5, 8, 20].map(|n| {
        let sizes: Vec<_> =
            samples(n).iter().map(|(_, message)| message.to_bytes().len()).collect();
        (n, <[usize; 21]>::try_from(sizes).unwrap())
    });
    assert_eq!(got, expected);
}

#[test]
fn alternatives_of_one_answer_have_one_size() {
    for n in [5, 8, 20] {
        let size = |name: &str| {
            let samples = samples(n);
            samples.iter().find(|(got, _)| *got == name).unwrap().1.to_bytes().len()
        };
        assert_eq!(size("read-ack none"), size("read-ack value"));
        assert_eq!(size("agree t null"), size("agree t value"));
        assert_eq!(size("write-ack null"), size("write-ack later"));
        assert_eq!(size("show-quorum good"), size("show-quorum failed"));
    }
}

#[test]
fn encodings_of_all_messages_are_pinned_and_read_back() {
    let expected: [(&str, &str); 21] = include!("messages.in");
    let got: Vec<_> = samples(5)
        .iter()
        .map(|(name, message)| {
            let bytes = message.to_bytes();
            assert_eq!(&Message::from_bytes(&bytes).unwrap(), message, "{name}");
            (*name, short(&bytes))
        })
        .collect();
    let got: Vec<_> = got.iter().map(|(name, digest)| (*name, digest.as_str())).collect();
    assert_eq!(got, expected);
}

#[test]
fn truncated_or_extended_messages_are_refused() {
    for (name, message) in samples(5) {
        let bytes = message.to_bytes();
        for len in (0..bytes.len().min(400)).chain([bytes.len() - 1]) {
            assert!(Message::from_bytes(&bytes[..len]).is_err(), "{name} cut to {len}");
        }
        let mut longer = bytes.clone();
        longer.push(0);
        assert!(Message::from_bytes(&longer).is_err(), "{name}");
    }
}

#[test]
fn accessors_name_kind_instance_and_turn() {
    for (name, message) in samples(5) {
        let (kind, no, turn) = (message.kind(), message.inst(), message.turn());
        match name {
            "resume" => assert_eq!((kind, no, turn), (Kind::Resume, Instance(9), Turn(0))),
            "catchup" => assert_eq!((kind, no, turn), (Kind::Catchup, Instance(5), Turn(0))),
            _ => {
                assert_eq!(message.to_bytes()[0], kind as u8, "{name}");
                assert_eq!(no, Instance(5), "{name}");
            }
        }
    }
}

#[test]
fn pad_that_is_short_wrong_or_for_somebody_else_is_noticed() {
    let key = PadKey {
        group: roster(5).group(),
        inst: Instance(1),
        turn: Turn(1),
        kind: Kind::ReadAck,
        from: Slot(1),
        to: Slot(2),
    };
    let padded = Padded::new(b"body", 1_000, &key);
    assert!(padded.is_padded(1_000, &key) && padded.body() == b"body");
    assert!(!padded.is_padded(1_001, &key) && !padded.is_padded(999, &key));
    assert!(!padded.is_padded(1_000, &PadKey { to: Slot(3), ..key }));
    assert!(!padded.is_padded(1_000, &PadKey { turn: Turn(2), ..key }));
    let mut bytes = padded.to_bytes();
    *bytes.last_mut().unwrap() ^= 1;
    assert!(!Padded::from_bytes(&bytes).unwrap().is_padded(1_000, &key));
}

#[test]
fn show_decision_costs_at_least_what_a_turn_costs() {
    for (n, least) in [(5u16, 80_000), (8, 80_000), (20, 80_000)] {
        let samples = samples(n);
        let size =
            |name: &str| samples.iter().find(|(got, _)| *got == name).unwrap().1.to_bytes().len();
        let (n, q) = (usize::from(n), roster(n).quorum().size());
        let sent = size("read") + size("agree t value") + size("write") + size("show-quorum good");
        let received =
            size("set-turn") + size("read-ack value") + size("agree-ack") + size("write-ack later");
        let turn = (n - 2) * sent + (n - 2) * received / 2;
        let answers = (q - 1) * size("show-decision");
        assert!(answers >= turn && answers <= turn + turn / 50, "{n}: {answers} {turn}");
        assert!(size("show-decision") - size("read-ack value") >= least);
    }
}

#[test]
fn records_are_pinned_and_read_back() {
    let roster = roster(5);
    let (digest, value) = forge::value(&roster, 0, 5, b"body");
    let body = body_record(Instance(5), digest, &value);
    assert_eq!(read_body(&body.value).unwrap(), *value);
    let mut log = LogState::new(5);
    log.apply(Slot(0), Some(&forge::proposal(&roster, 77, b"c")), &[Slot(0), Slot(1)]);
    let (closed, marks) = (vec![Instance(1); 5], vec![0, 1, 0, 8, 0]);
    let checkpoint = Checkpoint { inst: Instance(1), digest: Hash([7; 32]) };
    let log = LogRecord { log, closed, floor: Instance(1), marks, checkpoint };
    let record = log.to_record();
    assert_eq!(LogRecord::read(&record.value).unwrap(), log);
    let mut inst = Inst::new(Instance(5), Slot(0), Slot(1), 3, 5);
    inst.started = 2;
    let set = forge::signed(&roster, 1, 5, 1, SetTurnStatement {});
    let mut lead = Lead::new(1, 5);
    lead.set_turns.insert(Slot(1), set.signature);
    inst.leads.insert(1, lead);
    let agree_ack =
        forge::signed(&roster, 1, 5, 0, AgreeAckStatement { value: digest, agree: Hash::ZERO });
    inst.turns.get_mut(&0).unwrap().agree_ack = Some(agree_ack);
    inst.values.insert(digest, value);
    let state = inst_record(&inst);
    let (back, needs) = read_inst(Instance(5), Slot(0), &state.value).unwrap();
    assert_eq!(needs.into_iter().collect::<Vec<_>>(), [digest]);
    assert_eq!(back.agreed(0), Some((digest, Hash::ZERO)));
    let back = Inst { values: inst.values.clone(), ..back };
    assert_eq!(inst_record(&back), state);
    let got = [short(&body.value), short(&record.value), short(&state.value)];
    let expected: [&str; 3] = include!("records.in");
    assert_eq!(got, expected);
}

#[test]
fn record_keys_keep_their_order_as_bytes() {
    let keys = [
        RecordKey::Log,
        RecordKey::Instance(Instance(0)),
        RecordKey::Instance(Instance(255)),
        RecordKey::Instance(Instance(256)),
        RecordKey::Body(Instance(1), Hash([9; 32])),
        RecordKey::Body(Instance(2), Hash([1; 32])),
    ];
    for pair in keys.windows(2) {
        assert!(pair[0] < pair[1] && pair[0].to_bytes() < pair[1].to_bytes(), "{pair:?}");
    }
    for key in keys {
        assert_eq!(RecordKey::from_bytes(&key.to_bytes()), Ok(key));
        let mut longer = key.to_bytes();
        longer.push(0);
        assert!(RecordKey::from_bytes(&longer).is_err());
    }
}

#[test]
fn configurations_that_break_a_bound_are_refused() {
    let net = Net::new(5);
    let good = net.config(Slot(1));
    assert!(Core::new(good.clone(), secret(1)).is_ok());
    assert!(matches!(Core::new(good.clone(), secret(2)), Err(ConfigError::WrongKey(..))));
    type Change = fn(&mut Params);
    let changes: [Change; 9] = [
        |p| p.pipeline = 0,
        |p| p.pipeline = 3,
        |p| p.v_max = types::limits::PROPOSAL_LEN_MAX + 1,
        |p| p.v_max = types::limits::PROPOSAL_LEN_MAX,
        |p| p.v_max = 100,
        |p| p.t0_min_ms = 0,
        |p| p.idle_first_ms = p.idle_max_ms + 1,
        |p| p.gamma_ms = 0,
        |p| p.ckpt_every = 9,
    ];
    for change in changes {
        let mut config = good.clone();
        change(&mut config.params);
        assert!(matches!(Core::new(config, secret(1)), Err(ConfigError::Parameter(..))));
    }
}
