//! Pinned encodings: every signed, sent and stored form. A change of form must change these in the same commit.

use super::net::{committee, key, pay, place, transfer};
use crate::accounts::Owner;
use crate::broadcast::{Evidence, quorum, sampled};
use crate::pom::Pom;
use crate::shared::Command;
use crate::transfer::OwnerVote;
use crate::*;
use types::{Decode, Encode, Hash, Kind, Signed, Slot};

/// The length, and the first 16 bytes of the digest.
fn pin<T: Encode + Decode + PartialEq + std::fmt::Debug>(name: &str, value: &T) -> String {
    let bytes = value.to_bytes();
    assert_eq!(&T::from_bytes(&bytes).unwrap(), value, "what is written is read");
    format!("{name} {} {}", bytes.len(), &Hash::of(&bytes).to_hex()[..32])
}

fn some() -> Transfer {
    let mut made = transfer(2, 7, &[pay(0, 5), pay(3, 1 << 40)]);
    (made.base, made.deps, made.about) = (4, vec![place(0, 3), place(3, 9)], Hash::of(b"lease"));
    made
}

fn own() -> Order {
    Order::sign(&committee(5, 1), &key(2), Slot(2), some())
}

fn shared() -> Order {
    let transfer = some();
    let vote = OwnerVote { place: transfer.place, transfer: transfer.digest() };
    let votes = (0..3).map(|slot| committee(5, 1).seal(&key(slot), Slot(slot), &vote)).collect();
    Order::Shared { transfer, votes }
}

fn echo() -> Signed<quorum::EchoStatement> {
    let statement = quorum::EchoStatement { place: place(2, 7), digest: some().digest() };
    let header = committee(5, 1).header(Kind::Echo, Slot(1));
    Signed::new(&key(1), &committee(5, 1).group(), header, statement).into_inner()
}

fn certified() -> quorum::Certified {
    let seal = |slot| committee(5, 1).seal(&key(slot), Slot(slot), &echo().payload);
    quorum::Certified {
        place: place(2, 7),
        payload: own().payload(),
        echoes: (0..4).map(seal).collect(),
    }
}

fn house() -> Owner {
    Owner::Shared { owners: (0..4).map(Slot).collect(), f: 1 }
}

fn checkpoint() -> Checkpoint {
    let one = (Owner::One(Slot(1)), Seq(8), Amount(70));
    let accounts = [(Account(1), one), (Account(9), (house(), Seq(0), Amount(3)))].into();
    Checkpoint { number: 3, events: 12, accounts }
}

fn cut() -> Cut {
    Cut { number: 3, events: 12, seqs: [(Account(1), Seq(8)), (Account(9), Seq(0))].into() }
}

#[test]
fn signed_forms_are_pinned() {
    let mut found = Vec::new();
    found.push(pin("transfer", &some()));
    found.push(pin("order-own", &own()));
    found.push(pin("order-shared", &shared()));
    found.push(pin("echo", &echo()));
    found.push(format!("digest {}", &some().digest().to_hex()[..32]));
    found.push(format!("root {}", &checkpoint().root().to_hex()[..32]));
    assert_eq!(
        found,
        [
            "transfer 108 ebe27a45ad3175f6b8d8ac2bafaaa7de",
            "order-own 194 ba7503edecbbbea86aa2df3c4eb03648",
            "order-shared 317 9afe2078729cc2281c8900ff6ff00b2e",
            "echo 129 97160db30319dbab4e53c21302bc03c2",
            "digest b91783d92269befac344007fac38f912",
            "root 3a68e380a69034c3b9e18e50c777b3df"
        ]
    );
}

#[test]
fn messages_are_pinned() {
    let mut found = Vec::new();
    let (place, payload) = (place(2, 7), own().payload());
    let init = quorum::Message::Init { place, payload: payload.clone() };
    found.push(pin("m-init", &Message::Broadcast(init)));
    found.push(pin("m-echo", &Message::Broadcast(quorum::Message::Echo(echo()))));
    found.push(pin("m-cert", &Message::Broadcast(quorum::Message::Certified(certified()))));
    let status = quorum::Message::Status(vec![(Account(0), Seq(2)), (Account(2), Seq(6))]);
    found.push(pin("m-status", &Message::Broadcast(status)));
    let want = fetch::Message::Want { number: 3, part: 1 };
    found.push(pin("m-want", &Message::Checkpoint(want)));
    let bytes = checkpoint().to_bytes().into();
    let part = fetch::Message::Part { number: 3, part: 0, parts: 1, bytes };
    found.push(pin("m-part", &Message::Checkpoint(part)));
    let wants = sampled::Wants { gossip: true, echo: false, ready: true };
    found.push(pin("s-subscribe", &sampled::Message::Subscribe { place, wants }));
    found.push(pin("s-gossip", &sampled::Message::Gossip { place, payload: payload.clone() }));
    found.push(pin("s-echo", &sampled::Message::Echo { place, digest: some().digest() }));
    found.push(pin("s-ready", &sampled::Message::Ready { place, payload }));
    assert_eq!(
        found,
        [
            "m-init 212 882fc03acaf4333d0c392583f33b0acf",
            "m-echo 131 03857d284f66b0eb263e86564d86560c",
            "m-cert 488 c18192bc0172e2f156d0a1890d3db27a",
            "m-status 30 99a2e0f5b45f1565716dbf4827d0fa98",
            "m-want 12 1160c122b17e79001db68774f2ddc5a6",
            "m-part 96 cc453f634df119d6e2a3548aa34cea5a",
            "s-subscribe 14 935c3cb9dd49608d0e83e6ec2e50bf72",
            "s-gossip 211 17aa8875c3fe0945fc392b71f0afd05f",
            "s-echo 45 2a0ccf77673f520b6ad6f4ee2545d764",
            "s-ready 211 a954aaa6e4d9e2ad01ecdf80a5d1dd3b"
        ]
    );
}

#[test]
fn records_and_events_are_pinned() {
    let mut found = Vec::new();
    let (place, payload) = (place(2, 7), own().payload());
    let open = Event::Open { account: Account(9), owner: house(), credits: Amount(3) };
    found.push(pin("e-open", &open));
    found.push(pin("e-mint", &Event::Mint { account: Account(9), credits: Amount(3) }));
    let vote = Event::Vote { member: Slot(2), cut: cut(), root: checkpoint().root() };
    found.push(pin("e-vote", &vote));
    found.push(pin("r-issued", &Record::Issued(own())));
    let echoed = quorum::Record::Echoed { place, payload: payload.clone() };
    found.push(pin("r-echoed", &Record::Broadcast(echoed)));
    found.push(pin("r-delivered", &Record::Broadcast(quorum::Record::Delivered(certified()))));
    found.push(pin("r-event", &Record::Event(vote)));
    found.push(pin("r-checkpoint", &Record::Checkpoint(checkpoint())));
    found.push(pin("r-due", &Record::Due(cut(), checkpoint().root())));
    found.push(pin("r-sampled", &sampled::Record::Own(place, payload)));
    found.push(pin("c-propose", &Command::Propose(some())));
    found.push(pin("c-second", &Command::Second(some().digest())));
    assert_eq!(
        found,
        [
            "e-open 28 6a24cbd662207346f56cad2c5787fd11",
            "e-mint 13 b9911a7e625da0aa7c2601989e1310f1",
            "e-vote 79 b304bc53145e55d84ddfa5bd28208529",
            "r-issued 195 522208b8e86b02b2a2d5ce662b6af605",
            "r-echoed 212 488bf49f38a23e9a8fcfc4ba8f1c737b",
            "r-delivered 488 1715515bd39abcfb802076955f8b4318",
            "r-event 80 51354f3bb3a67483bed53ff69dc41860",
            "r-checkpoint 79 17de98a7b43816857ed9410699ea6aa0",
            "r-due 77 ee459d811a28e337266e37be29fb8b5a",
            "r-sampled 211 17aa8875c3fe0945fc392b71f0afd05f",
            "c-propose 109 220f6d0dccf290e4d674b94c81d24d60",
            "c-second 33 49706d53e9eb85b7bcba18000ac43df0"
        ]
    );
}

#[test]
fn proof_is_pinned() {
    let other = Order::sign(&committee(5, 1), &key(2), Slot(2), transfer(2, 7, &[pay(1, 5)]));
    let evidence = Evidence::TwoPayloads {
        place: place(2, 7),
        first: own().payload(),
        second: other.payload(),
    };
    let proof = Pom::of(&committee(5, 1), &evidence).remove(0).to_bytes();
    let found = format!("{} {}", proof.len(), &Hash::of(&proof).to_hex()[..32]);
    assert_eq!(found, "398 74fcd36a46fc83ac560745391eec6493");
}
