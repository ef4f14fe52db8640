//! Pinned encodings of everything that is signed or stored: a change of form must change these in
//! the same commit, and bump the version it belongs to. Digests stand for the longer ones.

use crate::chunk::{ChunkId, ObjectKey, ObjectKind};
use crate::evidence::{Evidence, EvidenceKind, Statement};
use crate::objects::*;
use crate::pom::Pom;
use crate::rsm::{Command, State, Witness};
use crate::testing::{Disk, RULES, candidates, owner_config, roster, secrets, sign, storer_config};
use crate::{Maker, Owner, Storer};
use types::{Encode, Hash, Ident, Instance, Size, Slot, Stamp};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn info() -> StoreInfo {
    StoreInfo {
        op: Op::Put,
        storer: Slot(2),
        name: Hash([0xaa; 32]),
        hash: Hash([0xbb; 32]),
        size: Size(0x0102),
        stamp: Stamp(0x0304),
    }
}

#[test]
fn store_info_encoding_is_pinned() {
    let expected =
        format!("000200{}{}02010000000000000403000000000000", "aa".repeat(32), "bb".repeat(32));
    assert_eq!(hex(&info().to_bytes()), expected);
    let signed = sign(1, info());
    assert_eq!(signed.to_bytes().len(), 168);
}

#[test]
fn signed_forms_are_pinned() {
    let info = sign(1, info()).into_inner();
    let receipt = sign(2, Receipt { info: info.clone(), stamp: Stamp(5) }).into_inner();
    let full = RejectReason::Full { proof: vec![info.clone()] };
    let bad = RejectReason::BadRequest { body: Hash([1; 32]) };
    let reject =
        |reason| sign(2, StoreReject { info: info.clone(), reason, stamp: Stamp(6) }).into_inner();
    let cite = Receipt::cite(&receipt);
    let request = RetrieveRequest { receipt: receipt.clone(), part: Part::Whole, stamp: Stamp(7) };
    let confirm =
        RetrieveConfirm { receipt: cite, hash: Hash([0xbb; 32]), size: Size(9), stamp: Stamp(8) };
    let deny = |reason| sign(2, RetrieveDeny { receipt: cite, reason, stamp: Stamp(9) });
    let evidence = Evidence {
        kind: EvidenceKind::AcceptAndReject,
        accused: Slot(2),
        ident: Ident(0),
        objects: vec![Statement::Receipt(receipt.clone()), Statement::Reject(reject(full.clone()))],
    };
    let forms = [
        ("info", info.to_bytes()),
        ("receipt", receipt.to_bytes()),
        ("full", reject(full).to_bytes()),
        ("bad request", reject(bad).to_bytes()),
        ("request", sign(1, request).to_bytes()),
        ("confirm", sign(2, confirm).to_bytes()),
        ("expired", deny(DenyReason::Expired).to_bytes()),
        ("superseded", deny(DenyReason::Superseded(Box::new(info.clone()))).to_bytes()),
        ("recovering", deny(DenyReason::Recovering { activation: Instance(3) }).to_bytes()),
        ("not claimed", deny(DenyReason::NotClaimed { reply: Hash([2; 32]) }).to_bytes()),
        ("proof", Pom::new(crate::testing::group(), evidence).to_bytes()),
    ];
    check(&forms, SIGNED);
}

/// Everything that one object leaves in the records of its owner and of one storer.
#[test]
fn stored_forms_are_pinned() {
    let now = Stamp(1_700_000_000_000);
    let mut disk = Disk::default();
    let mut owner = Owner::new(owner_config(0)).unwrap();
    let key = ObjectKey { kind: ObjectKind::Snapshot, id: Hash([7; 32]) };
    let plan = owner.plan_put(now, key, 5, &candidates()).unwrap();
    let chunks = owner.maker().chunks(key, plan.stamp, b"hello").unwrap();
    let step = owner.requests(now, &plan, &chunks).unwrap();
    disk.write(&step.records);
    let errand = &step.errands[0];
    let mut storer = Storer::new(storer_config(errand.to.0));
    let hash = Hash::of(&errand.body);
    let step = storer.on_store(now, Slot(0), &errand.info, hash, errand.body.len() as u64);
    let crate::storer::Action::Write(ticket) = step.action else { panic!("not accepted") };
    let step = storer.on_written(now, &ticket).unwrap();
    disk.write(&step.records);
    let crate::storer::Action::Answer(response) = step.action else { panic!("no receipt") };
    let outcome = crate::check_store(&RULES, &roster(), now, &errand.info, response);
    disk.write(&owner.apply(errand, outcome).unwrap().records);
    let mut forms: Vec<(&str, Vec<u8>)> = Vec::new();
    let records = |disk: &Disk| -> Vec<(&str, Vec<u8>)> {
        disk.0.iter().map(|(key, value)| ("record", [&key[..], &value[..]].concat())).collect()
    };
    forms.extend(records(&disk));
    forms.push(("own list", owner.own_list_digest().0.to_vec()));
    disk.write(&owner.remove(now, &key).unwrap());
    forms.extend(records(&disk));
    forms.push(("own list", owner.own_list_digest().0.to_vec()));
    let mut state = State::default();
    let witness = Witness { own_list: Hash([3; 32]), objects: 4, bytes: Size(5), stamp: Stamp(6) };
    let command = Command::Witness(witness).to_bytes();
    state.apply(Instance(1), Slot(0), &command);
    forms.push(("command", command));
    forms.push(("state", state.to_bytes()));
    check(&forms, STORED);
}

/// What the recovery code must give back for ever.
#[test]
fn keys_names_and_labels_are_pinned() {
    let secrets = secrets(0);
    let maker = Maker::new(crate::Code::new(3, 1).unwrap(), secrets.clone());
    let object = ObjectKey { kind: ObjectKind::Pack, id: Hash([7; 32]) };
    let chunks = maker.chunks(object, Stamp(9), b"hello").unwrap();
    let forms = [
        ("identity 0", secrets.identity(Ident(0)).unwrap().public().as_bytes().to_vec()),
        ("identity 1", secrets.identity(Ident(1)).unwrap().public().as_bytes().to_vec()),
        ("repository", secrets.repository().to_vec()),
        ("name", maker.name(ChunkId { object, index: 0 }, Stamp(9)).0.to_vec()),
        ("data chunk", chunks[0].body.to_vec()),
        ("parity chunk", chunks[2].body.to_vec()),
    ];
    check(&forms, KEYS);
}

fn check(forms: &[(&str, Vec<u8>)], pinned: &[&str]) {
    let got: Vec<String> = forms
        .iter()
        .map(|(name, bytes)| format!("{name} {} {}", bytes.len(), &Hash::of(bytes).to_hex()[..16]))
        .collect();
    assert_eq!(got, pinned);
}

const SIGNED: &[&str] = &[
    "info 168 b7da853d8fcf4d12",
    "receipt 261 c558658cfc719ecd",
    "full 434 5a7a0a5433faa623",
    "bad request 294 5619f21852eb38c0",
    "request 363 6fb31e99d4696b82",
    "confirm 165 fe3bb75133dd68d7",
    "expired 126 d04ff06e857b31ad",
    "superseded 294 3520aaaf27108b5c",
    "recovering 134 980fd640ffc8ea11",
    "not claimed 158 c834219a407a5a71",
    "proof 749 2d7c40ba5e9fd4e8",
];
const STORED: &[&str] = &[
    "record 10 83601f056833dd75",
    "record 10 5fda75ad4aecd3f6",
    "record 310 ef88c08839d8610f",
    "record 296 1ce1d846a5f5f769",
    "record 304 9136542936085ae3",
    "own list 32 60509a69ae468950",
    "record 10 83601f056833dd75",
    "record 10 5fda75ad4aecd3f6",
    "record 59 3a6142985dd54f32",
    "record 59 0f5f4179a27462b8",
    "record 59 46c08b9e5190774b",
    "record 59 2178363f09a0ee3f",
    "record 59 30b0908b7a518b7e",
    "record 304 9136542936085ae3",
    "own list 32 7ddf56f381ed447e",
    "command 57 027112b84248e15f",
    "state 102 4d438989aa07240b",
];
const KEYS: &[&str] = &[
    "identity 0 32 8ea8cdeeebff64c1",
    "identity 1 32 6ab51cfab628b917",
    "repository 32 2e3e3a8e768e63b5",
    "name 32 8f9ea31d9ae6ef44",
    "data chunk 83 1207189ef2c58256",
    "parity chunk 83 4fafe26b417b5282",
];
