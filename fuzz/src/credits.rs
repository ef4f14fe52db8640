//! The ledger: decoders of what peers, the log and the disk bring, and a member under messages of anybody.

use crate::{Target, script};
use ledger::broadcast::quorum::{self, Certified, Config, EchoStatement, Spread};
use ledger::broadcast::{Evidence, Input, sampled};
use ledger::member::Effect;
use ledger::pom::{self, Pom};
use ledger::shared::Command;
use ledger::*;
use std::sync::Arc;
use types::{Decode, Encode, Epoch, Hash, Kind, Millis, SecretKey, Signed, Slot};

const MEMBERS: u16 = 4;

/// Keys of a group of its own; nobody of the scripted group signs with them.
fn key(slot: u16) -> SecretKey {
    SecretKey::from_seed(&[70 + slot as u8; 32])
}

fn committee() -> Arc<Committee> {
    let keys = (0..MEMBERS).map(|slot| key(slot).public()).collect();
    let made = Committee::new(script::roster().group(), Epoch(0), keys, 1);
    Arc::new(made.unwrap_or_else(|error| panic!("{error}")))
}

fn place(account: u32, seq: u64) -> Place {
    Place { account: Account(account), seq: Seq(seq) }
}

fn transfer(account: u32, to: u32) -> Transfer {
    let payments = vec![Payment { to: Account(to), amount: Amount(5) }];
    let (base, deps) = (0, vec![place((account + 2) % 4, 1)]);
    Transfer { place: place(account, 1), payments, base, deps, about: Hash::of(b"lease") }
}

fn order(to: u32) -> Order {
    let free = Transfer { deps: vec![], ..transfer(3, to) };
    Order::sign(&committee(), &key(3), Slot(3), free)
}

fn certified() -> Certified {
    let (order, committee) = (order(1), committee());
    let statement = EchoStatement { place: place(3, 1), digest: order.transfer().digest() };
    let seal = |slot| committee.seal(&key(slot), Slot(slot), &statement);
    Certified { place: place(3, 1), payload: order.payload(), echoes: (1..4).map(seal).collect() }
}

fn checkpoint() -> Checkpoint {
    let entry = |at: u32| (Account(at), (Owner::One(Slot(at as u16)), Seq(1), Amount(9)));
    Checkpoint { number: 1, events: 4, accounts: (0..4).map(entry).collect() }
}

fn cut() -> Cut {
    Cut { number: 1, events: 4, seqs: (0..4).map(|at| (Account(at), Seq(0))).collect() }
}

fn messages() -> Vec<Message> {
    let (place, payload) = (place(3, 1), order(1).payload());
    let statement = EchoStatement { place, digest: order(1).transfer().digest() };
    let header = committee().header(Kind::Echo, Slot(2));
    let echo = Signed::new(&key(2), &committee().group(), header, statement).into_inner();
    let other = quorum::Message::Init { place, payload: order(2).payload() };
    let broadcast = [
        quorum::Message::Init { place, payload },
        other,
        quorum::Message::Echo(echo),
        quorum::Message::Certified(certified()),
        quorum::Message::Status(vec![(Account(0), Seq(0)), (Account(3), Seq(4))]),
    ];
    let bytes = checkpoint().to_bytes().into();
    let checkpoints = [
        fetch::Message::Want { number: 1, part: 0 },
        fetch::Message::Part { number: 1, part: 0, parts: 1, bytes },
    ];
    let broadcast = broadcast.into_iter().map(Message::Broadcast);
    broadcast.chain(checkpoints.into_iter().map(Message::Checkpoint)).collect()
}

fn canonical<T: Decode + Encode>(input: &[u8]) {
    if let Ok(value) = T::from_bytes(input) {
        assert_eq!(value.to_bytes(), input, "a second encoding of one value");
    }
}

/// What members of a ledger send each other.
pub const LEDGER_MESSAGE: Target = Target {
    name: "ledger-message",
    decoder: true,
    run: canonical::<Message>,
    seeds: || messages().iter().map(Encode::to_bytes).collect(),
};

/// Messages of the sampled broadcast.
pub const LEDGER_SAMPLED: Target = Target {
    name: "ledger-sampled",
    decoder: true,
    run: |input| {
        canonical::<sampled::Message>(input);
        canonical::<sampled::Record>(input);
    },
    seeds: || {
        let (place, payload) = (place(3, 1), order(1).payload());
        let wants = sampled::Wants { gossip: true, echo: true, ready: false };
        let all = [
            sampled::Message::Subscribe { place, wants },
            sampled::Message::Gossip { place, payload: payload.clone() },
            sampled::Message::Echo { place, digest: Hash::of(b"payload") },
            sampled::Message::Ready { place, payload },
        ];
        all.iter().map(Encode::to_bytes).collect()
    },
};

/// Orders: their form, and that a changed one is not its owner's.
pub const LEDGER_ORDER: Target = Target {
    name: "ledger-order",
    decoder: true,
    run: |input| {
        if let Ok(order) = Order::from_bytes(input) {
            assert_eq!(order.to_bytes(), input, "a second encoding of one order");
            let place = order.transfer().place;
            if let Ok(read) = Order::read(place, input) {
                assert!(read.transfer().check_form().is_ok(), "read with a wrong form");
            }
        }
    },
    seeds: || {
        let vote = transfer::OwnerVote { place: place(3, 1), transfer: Hash::of(b"transfer") };
        let votes = (0..3).map(|slot| committee().seal(&key(slot), Slot(slot), &vote)).collect();
        let shared = Order::Shared { transfer: transfer(2, 0), votes };
        vec![order(1).to_bytes(), shared.to_bytes()]
    },
};

/// What a member writes down, and what the log decides.
pub const LEDGER_RECORD: Target = Target {
    name: "ledger-record",
    decoder: true,
    run: |input| {
        canonical::<Record>(input);
        canonical::<Event>(input);
        canonical::<Command>(input);
    },
    seeds: || {
        let owner = Owner::Shared { owners: (0..4).map(Slot).collect(), f: 1 };
        let open = Event::Open { account: Account(9), owner, credits: Amount(3) };
        let vote = Event::Vote { member: Slot(2), cut: cut(), root: checkpoint().root() };
        let (place, payload) = (place(3, 1), order(1).payload());
        let all = [
            Record::Issued(order(1)),
            Record::Broadcast(quorum::Record::Echoed { place, payload }),
            Record::Broadcast(quorum::Record::Delivered(certified())),
            Record::Event(open.clone()),
            Record::Event(vote.clone()),
            Record::Checkpoint(checkpoint()),
            Record::Due(cut(), checkpoint().root()),
        ];
        let mut seeds: Vec<Vec<u8>> = all.iter().map(Encode::to_bytes).collect();
        seeds.extend([open.to_bytes(), vote.to_bytes()]);
        seeds.push(Command::Propose(transfer(2, 0)).to_bytes());
        seeds
    },
};

/// A fetched checkpoint: a state that is built from it has its sums.
pub const LEDGER_CHECKPOINT: Target = Target {
    name: "ledger-checkpoint",
    decoder: true,
    run: |input| {
        canonical::<Cut>(input);
        if let Ok(checkpoint) = Checkpoint::from_bytes(input) {
            assert_eq!(checkpoint.to_bytes(), input, "a second encoding of one checkpoint");
            if let Some(ledger) = Ledger::from_checkpoint(&checkpoint) {
                let sum: u128 = ledger.balances().map(|(_, it)| u128::from(it.0)).sum();
                assert_eq!(sum, u128::from(ledger.supply().0));
            }
        }
    },
    seeds: || vec![checkpoint().to_bytes(), cut().to_bytes()],
};

/// Proofs LD1 to LD3.
pub const LEDGER_POM: Target = Target {
    name: "ledger-pom",
    decoder: true,
    run: |input| match Pom::from_bytes(input) {
        Ok(proof) => {
            assert_eq!(proof.to_bytes(), input, "a second form of one proof");
            // Nobody can have made a proof against the members of this group: the engine has no key.
            assert!(pom::verify(&proof, &script::roster()).is_err());
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    },
    seeds: || {
        let (first, second) = (order(1).payload(), order(2).payload());
        let spent = Evidence::TwoPayloads { place: place(3, 1), first, second };
        Pom::of(&committee(), &spent).iter().map(Encode::to_bytes).collect()
    },
};

/// A member to which anybody sends anything: parts of the input, each a sender, a length and a message. Balances keep their
/// sum, and only who signed twice is convicted: member 3, whose key the seeds have.
pub const LEDGER_MEMBER: Target = Target {
    name: "ledger-member",
    decoder: false,
    run: |input| {
        let config =
            Config { committee: committee(), me: Slot(0), spread: Spread::Owner, seed: [1; 32] };
        let mut member = Member::new(config, key(0), Some(Account(0)));
        let mut now = Millis(0);
        for at in 0..MEMBERS {
            let (account, owner) = (Account(at.into()), Owner::One(Slot(at)));
            let _ = member.decided(now, Event::Open { account, owner, credits: Amount(20) });
        }
        let mut rest = input;
        while let [from, length, after @ ..] = rest {
            let (length, from) = (usize::from(*length) * 4, Slot(u16::from(*from % 5)));
            let (part, after) = after.split_at(length.min(after.len()));
            rest = after;
            now = now.plus(u64::from(part.first().copied().unwrap_or(0)));
            let trimmed = (0..4.min(part.len() + 1))
                .find_map(|less| Message::from_bytes(&part[..part.len() - less]).ok());
            let input = trimmed.map_or(Input::Wake, |message| Input::Message { from, message });
            for effect in member.handle(now, input) {
                match effect {
                    Effect::Alarm(refused) => panic!("{refused}"),
                    Effect::Evidence(evidence) => {
                        for proof in Pom::of(&committee(), &evidence) {
                            let pom::Objects::DoubleSpend(first, _) = proof.objects else {
                                panic!("{proof:?}")
                            };
                            assert_eq!(first.header.slot, Slot(3));
                        }
                    }
                    _ => {}
                }
            }
            let sum: u64 = member.ledger().balances().map(|(_, it)| it.0).sum();
            assert_eq!(sum, 20 * u64::from(MEMBERS));
        }
    },
    seeds: || {
        let frame = |message: &Message| {
            let mut bytes = message.to_bytes();
            bytes.resize(bytes.len().div_ceil(4) * 4, 0);
            [&[3, (bytes.len() / 4) as u8][..], &bytes].concat()
        };
        let all: Vec<Vec<u8>> =
            messages().iter().filter(|it| it.to_bytes().len() < 1_000).map(frame).collect();
        vec![all.concat(), all.iter().rev().flatten().copied().collect()]
    },
};
