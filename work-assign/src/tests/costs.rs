//! C5 to C7 of specification 10.2 over the real encoders, and the size rules of 6.1.

use super::world::*;
use crate::statement::*;
use crate::*;
use types::*;

/// Thousandths of the price of a byte sent.
const TX: usize = 1000;

fn works() -> Vec<Work> {
    let one = |fields, body, payload: &[u8]| {
        Work::new(vec![request(0, To::Member(Slot(1)), payload, fields, body)]).unwrap()
    };
    let batch = (0..8u8).map(|no| request(0, To::Member(Slot(1)), &[no], 50, 1_000)).collect();
    vec![
        one(0, 0, b""),
        one(10, 0, b"x"),
        one(100, 300, &[1; 900]),
        one(4_096, 0, &[2; 5_000]),
        one(0, 100_000, b"slice"),
        Work::new(batch).unwrap(),
    ]
}

fn messages(
    world: &World,
    work: &Work,
    designated: bool,
    fields: usize,
    body: usize,
) -> [usize; 4] {
    let aid = Aid { inst: Instance(0), index: 0 };
    let body = Body::new(&vec![7; if designated { body } else { 0 }]);
    let said = ResponseCore {
        request: work.root(group(0)),
        kind: Code(1),
        body: Hash::of(&body.0),
        body_len: Size(body.0.len() as u64),
        stamp: Stamp(1),
        fields: Blob(vec![9; fields]),
    };
    let core = Box::new(world.sign_core((0, 1), said));
    let (request, stamp) = (core.payload.request, Stamp(2));
    let answer = crate::witness::name_of(&*core);
    let word = world.sign_at((0, 2), aid, WitnessStatement { target: Slot(1), request, answer });
    let denial = NoEvidence { target: Slot(1), requester: Slot(0), request, stamp };
    let denial = world.sign_at((0, 2), aid, denial);
    let ack = world.sign_at((0, 2), aid, WorkAck { request, answer, stamp });
    let between = (Slot(2), Slot(0));
    let len = sizes::witness_pad(work, designated, fields, body.0.len());
    let forward = Message::Witness {
        word,
        core: core.clone(),
        body: body.clone(),
        pad: pad(group(0), aid, Kind::WorkWitness, between, len),
    };
    let len = sizes::denial_pad(work, world.params.rx_per_mille);
    let deny = Message::NoEvidence {
        word: denial,
        pad: pad(group(0), aid, Kind::NoEvidence, between, len),
    };
    let response = Message::Response { aid: Some(aid), core, body };
    [forward, deny, response, Message::Ack(ack)].map(|message| message.to_bytes().len())
}

/// C5 and 6.1: all answers of a request are forwarded in one length, and denying is dearer than receiving, acknowledging
/// and forwarding the longest, for every witness.
#[test]
fn c5_denying_is_dearer_than_receiving_and_forwarding_for_every_witness() {
    let world = World::new(1, 5, 1, params());
    for work in works() {
        for designated in [false, true] {
            let mut forwarded = std::collections::BTreeSet::new();
            for (fields, body) in [(0, 0), (work.fields_cap(), work.body_cap())] {
                let [forward, deny, response, ack] =
                    messages(&world, &work, designated, fields, body);
                assert_eq!(forward, sizes::witness_len(&work, designated));
                assert_eq!(deny, sizes::denial_len(&work, world.params.rx_per_mille));
                assert_eq!(ack, sizes::ACK_LEN);
                assert!(response <= sizes::response_len(work.fields_cap(), work.body_cap()));
                let rx = world.params.rx_per_mille as usize;
                assert!(deny * TX > response * rx + (ack + forward) * TX, "{designated} {fields}");
                // The specification's own formula is never undercut.
                let cap = work.cap();
                assert!(deny * TX >= cap * (TX + rx) + sizes::core_len(work.fields_cap()) * TX);
                assert!(deny < types::limits::CONTROL_FRAME_MAX);
                forwarded.insert(forward);
            }
            assert_eq!(forwarded.len(), 1, "no kind of answer is cheaper to forward");
        }
    }
}

/// The bare formula of 6.1 would make denying cheap answers cheaper than forwarding them: why `sizes.rs` counts frames.
#[test]
fn c5_bare_formula_fails_for_small_answers() {
    let world = World::new(1, 5, 1, params());
    let work = &works()[1];
    let [forward, _, response, ack] = messages(&world, work, false, 10, 0);
    let bare = 3 * work.cap() / 2 + sizes::core_len(10) + 150;
    assert!(bare * TX < response * 500 + (ack + forward) * TX);
}

/// C6: default message > slow path > direct path, for the requester, in groups of all sizes.
#[test]
fn c6_default_message_is_dearer_than_the_slow_path_and_that_than_the_direct_one() {
    let params = params();
    for (n, f) in [(5, 1), (8, 2), (20, 6), (64, 20)] {
        let world = World::new(1, 5, 1, params.clone());
        for work in works() {
            let vow = Vow::over(&work, group(0), Slot(1), Stamp(9));
            let bodies = params.body_witnesses(f);
            let rx = params.rx_per_mille as usize;
            let pad = sizes::default_pad(vow.sizes(), n, bodies, params.rx_per_mille);
            let [_, _, direct, ack] =
                messages(&world, &work, true, work.fields_cap(), work.body_cap());
            let assign = Command::Assign(work.clone()).to_bytes().len();
            let fulfil = sizes::fulfil_len(work.fields_cap());
            let full = sizes::witness_len(&work, true);
            let witnesses = n - 2;
            let with_body = bodies.min(witnesses);
            let received = direct
                + with_body * full
                + (witnesses - with_body) * sizes::witness_len(&work, false);
            let slow = (n - 1) * (assign + fulfil) * TX
                + received * rx
                + (ack + witnesses * sizes::RECEIVED_LEN) * TX;
            let default = (n - 1) * pad * TX;
            assert!(default > slow, "n {n}: {default} {slow}");
            let fast = (work.to_bytes().len() + 100 + ack + (n - 1) * fulfil) * TX + direct * rx;
            assert!(slow > fast || work.to_bytes().len() < 200, "n {n}: {slow} {fast}");
            // The specification's own formula is never undercut.
            let spec = work.to_bytes().len()
                + (rx * (work.cap() * (f + 1) + n * sizes::core_len(work.fields_cap())))
                    .div_ceil(TX * (n - 1))
                + 256;
            assert!(pad >= spec, "n {n}: {pad} {spec}");
        }
    }
}

/// C7: serving all k >= f + 1 counterparties directly is cheaper than serving them by the group even if f of them go
/// slow anyway; and for the requester a vow pays from a few hundred bytes of request on.
#[test]
fn c7_direct_path_pays_from_f_plus_1_counterparties_and_a_few_hundred_bytes_on() {
    for n in 5..=64usize {
        let f = (n - 2) / 3;
        for k in f + 1..n {
            assert!(k + f * n < k * n, "n {n} k {k}");
        }
        let work = &works()[2];
        let vow = Command::Vow(Vow::over(work, group(0), Slot(1), Stamp(9))).to_bytes().len();
        let fulfil = sizes::fulfil_len(0);
        let from = sizes::fast_path_pays_from(vow, fulfil, n);
        assert!((200..700).contains(&from), "n {n}: {from}");
        // Below it Assign is cheaper for the requester, above it the vow is.
        let slow = |len: usize| (n - 1) * len;
        let fast = |len: usize| (n - 1) * (vow + fulfil) + len;
        assert!(slow(from) >= fast(from) && slow(from - 2) < fast(from - 2));
    }
}

/// `fulfil_len` and the charge of a vow are what the encoders give.
#[test]
fn fulfilment_has_the_length_that_its_vow_was_charged_for() {
    let world = World::new(1, 5, 1, params());
    let said = ResponseCore {
        request: Hash::of(b"w"),
        kind: Code(1),
        body: Hash::ZERO,
        body_len: Size(0),
        stamp: Stamp(1),
        fields: Blob(vec![1; 77]),
    };
    let core = Box::new(world.sign_core((0, 1), said));
    assert_eq!(core.to_bytes().len(), sizes::core_len(77));
    let vow = Aid { inst: Instance(3), index: 1 };
    let command = Command::Fulfil { vow, with: Settlement::Answer(core) };
    assert_eq!(command.to_bytes().len(), sizes::fulfil_len(77));
    assert!(sizes::fulfil_len(types::limits::WORK_FIELDS_MAX) <= types::limits::COMMAND_LEN_MAX);
}
