//! Decoders of level 1: what peers and proposals bring, and what a disk gives back.

use crate::{Target, script};
use types::{
    Decode, Encode, Epoch, Hash, Header, Ident, Instance, Kind, SecretKey, Signed, Slot, Stamp,
    Turn,
};
use work_assign::pom::{Evidence, Pom};
use work_assign::statement::{NoEvidence, ResponseCore, ResultShare, WorkAck};
use work_assign::*;

/// What decodes has this one encoding.
fn canonical<T: Decode + Encode>(input: &[u8]) {
    if let Ok(value) = T::from_bytes(input) {
        assert_eq!(value.to_bytes(), input, "a second encoding of one value");
    }
}

fn work() -> Work {
    let request = |no: u8| Request {
        requester: Slot(0),
        to: To::Member(Slot(1)),
        kinds: Kinds::of(&[1, 2]),
        fields_cap: Cap(40),
        body_cap: Cap(100),
        expires: Stamp(7),
        payload: Blob(vec![no; 9]),
    };
    Work::new(vec![request(1), request(2)]).unwrap_or_else(|error| panic!("{error}"))
}

fn aid() -> Aid {
    Aid { inst: Instance(3), index: 1 }
}

/// Signs as the member whom nothing honest signs for.
fn signed<P: types::SignedPayload>(placed: bool, payload: P) -> Signed<P> {
    let inst = if placed { aid().inst } else { Instance(0) };
    let turn = if placed { aid().turn() } else { Turn(0) };
    let (epoch, slot, ident) = (Epoch(0), script::FAULTY, Ident(0));
    let header = Header { kind: P::KIND, epoch, inst, turn, slot, ident };
    Signed::new(&SecretKey::from_seed(&[9; 32]), &script::roster().group(), header, payload)
        .into_inner()
}

fn core(kind: u8) -> Signed<ResponseCore> {
    let fields = Blob(vec![kind; 20]);
    let (request, body) = (Hash::of(b"request"), Hash::ZERO);
    let (kind, body_len, stamp) = (Code(kind), types::Size(0), Stamp(5));
    signed(false, ResponseCore { request, kind, body, body_len, stamp, fields })
}

fn denial() -> Signed<NoEvidence> {
    let (target, requester, request) = (Slot(1), Slot(0), Hash::of(b"request"));
    signed(true, NoEvidence { target, requester, request, stamp: Stamp(9) })
}

fn ack() -> Signed<WorkAck> {
    let (request, answer) = (Hash::of(b"request"), Hash::of(b"answer"));
    signed(true, WorkAck { request, answer, stamp: Stamp(8) })
}

/// Commands of work assignment in the log.
pub const WORK_COMMAND: Target = Target {
    name: "work-command",
    decoder: true,
    run: canonical::<Command>,
    seeds: || {
        let vow = Vow::over(&work(), script::roster().group(), Slot(1), Stamp(9));
        let answer = Settlement::Answer(Box::new(core(1)));
        let all = [
            Command::Assign(work()),
            Command::Vow(vow),
            Command::Fulfil { vow: aid(), with: answer },
            Command::VowDefault { vow: aid(), part: 0, pad: Blob(vec![4; 30]) },
        ];
        all.iter().map(Encode::to_bytes).collect()
    },
};

/// Messages of lane W.
pub const WORK_MESSAGE: Target = Target {
    name: "work-message",
    decoder: true,
    run: canonical::<Message>,
    seeds: || {
        let body = Body::new(b"body");
        let request = Box::new(work().requests()[0].clone());
        let leaves = work().leaves(script::roster().group());
        let pad = pad(script::roster().group(), aid(), Kind::NoEvidence, (Slot(4), Slot(0)), 9);
        let all = [
            Message::Response { aid: Some(aid()), core: Box::new(core(1)), body },
            Message::Ack(ack()),
            Message::NoEvidence { word: denial(), pad },
            Message::Got(Got::Word, aid()),
            Message::Direct { vow: aid(), leaves: leaves.clone(), request },
            Message::Close { vow: aid(), leaves },
        ];
        all.iter().map(Encode::to_bytes).collect()
    },
};

/// The replicated state of work assignment, as a snapshot.
pub const WORK_STATE: Target = Target {
    name: "work-state",
    decoder: true,
    run: canonical::<State>,
    seeds: || vec![State::default().to_bytes()],
};

/// Proofs of rows WR, VW and QT.
pub const WORK_POM: Target = Target {
    name: "work-pom",
    decoder: true,
    run: |input| match Pom::from_bytes(input) {
        Ok(pom) => {
            assert_eq!(pom.to_bytes(), input, "a second form of one proof");
            // Nobody can have made a proof against the members of this group: the engine has no key.
            let verdict = pom::verify(&pom, &script::roster(), &Params::default());
            assert!(verdict.is_err());
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    },
    seeds: || {
        let share = |result: &[u8]| {
            let (origin, request) = (script::roster().group(), Hash::of(b"request"));
            signed(true, ResultShare { origin, aid: aid(), request, result: Hash::of(result) })
        };
        let all = [
            Evidence::two_answers(core(1), core(2)),
            Evidence::FalseNoEvidence { denial: denial(), ack: ack() },
            Evidence::two_shares(share(b"one"), share(b"other")),
        ];
        let pom = |evidence| Pom::new(script::roster().group(), evidence).to_bytes();
        all.into_iter().map(pom).collect()
    },
};

/// Names of the durable records of work assignment.
pub const WORK_RECORD_KEY: Target = Target {
    name: "work-record-key",
    decoder: true,
    run: canonical::<Key>,
    seeds: || {
        let keys =
            [Key::Applied, Key::Uptime(Slot(2)), Key::Answer(Hash::of(b"a")), Key::Asked(aid())];
        keys.iter().map(Encode::to_bytes).collect()
    },
};
