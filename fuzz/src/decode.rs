//! Decoders of foreign bytes.

use crate::{Target, script};
use bart_rsm::pom::Pom;
use bart_rsm::{Core, Message, Proposal, Record, RecordKey};
use bytes::Bytes;
use pib::{
    Command, Receipt, Request, Response, RetrieveConfirm, RetrieveDeny, RetrieveRequest, State,
    StoreInfo, StoreReject,
};
use policy::{Founder, Genesis, GroupPolicy, JoinRequest, MemberConfig, Ticket};
use types::{Decode, Encode, Hash, PublicKey, SecretKey, Signed, SignedPayload, Stamp};

/// What decodes has this one encoding.
fn canonical<T: Decode + Encode>(input: &[u8]) {
    if let Ok(value) = T::from_bytes(input) {
        assert_eq!(value.to_bytes(), input, "a second encoding of one value");
    }
}

/// Zeros behind a kind, of every length that decodes: most fixed layouts accept them.
fn zeros<T: SignedPayload>() -> Vec<Vec<u8>> {
    let zeros = |len| {
        let mut bytes = vec![0; len];
        bytes[0] = T::KIND as u8;
        bytes
    };
    let decodes = |bytes: &Vec<u8>| Signed::<T>::from_bytes(bytes).is_ok();
    let found: Vec<_> = (1..1024).map(zeros).filter(decodes).collect();
    if found.is_empty() { vec![zeros(256)] } else { found }
}

macro_rules! signed {
    ($($(#[$doc:meta])* $target:ident = $name:literal: $payload:ty;)*) => {
        $($(#[$doc])* pub const $target: Target = Target {
            name: $name,
            decoder: true,
            run: canonical::<Signed<$payload>>,
            seeds: zeros::<$payload>,
        };)*
    };
}

signed! {
    /// An owner's promise about a chunk.
    STORE_INFO = "store-info": StoreInfo;
    /// A storer's receipt.
    RECEIPT = "receipt": Receipt;
    /// A storer's refusal with its proof.
    STORE_REJECT = "store-reject": StoreReject;
    /// An owner's request.
    RETRIEVE_REQUEST = "retrieve-request": RetrieveRequest;
    /// A storer's answer.
    RETRIEVE_CONFIRM = "retrieve-confirm": RetrieveConfirm;
    /// A storer's refusal to return a chunk.
    RETRIEVE_DENY = "retrieve-deny": RetrieveDeny;
}

/// Every message of the state machine.
pub const MESSAGE: Target = Target {
    name: "message",
    decoder: true,
    run: |input| {
        if let Ok(message) = Message::from_bytes(input) {
            assert_eq!(message.to_bytes(), input, "a second encoding of one message");
            // What routing looks at before anything is checked.
            let _ = (message.kind(), message.inst(), message.turn(), message.header());
            assert_eq!(message.size(), input.len());
            let _ = format!("{message:?}");
        }
    },
    seeds: || script::messages().iter().map(Encode::to_bytes).collect(),
};

/// A sender's proposal, and its form.
pub const PROPOSAL: Target = Target {
    name: "proposal",
    decoder: true,
    run: |input| {
        canonical::<Proposal>(input);
        if let Ok(proposal) = Proposal::from_bytes(input) {
            let _ = proposal.check_form(types::Slot(1), 5);
        }
    },
    seeds: || {
        let plain = |commands| Proposal::plain(5, Stamp(7), commands).to_bytes();
        vec![plain(vec![]), plain(vec![b"one".to_vec(), vec![9; 40]])]
    },
};

/// Names of durable records.
pub const RECORD_KEY: Target = Target {
    name: "record-key",
    decoder: true,
    run: |input| {
        if let Ok(key) = RecordKey::from_bytes(input) {
            assert_eq!(key.to_bytes(), input, "a second form of one key");
        }
    },
    seeds: || script::records().iter().map(|record| record.key.to_bytes()).collect(),
};

/// Durable records: one of each sort, whose values are the input's parts. A damaged disk is an error.
pub const RECORDS: Target = Target {
    name: "records",
    // It makes a whole member.
    decoder: false,
    run: |input| {
        let mut records = script::records();
        let Some((which, value)) = input.split_first() else { return };
        let at = usize::from(*which) % records.len();
        records[at] = Record { key: records[at].key, value: value.to_vec() };
        let (config, key) = script::member(types::Slot(1));
        if let Err(error) = Core::restore(config, key, records) {
            assert!(!error.to_string().is_empty());
        }
    },
    seeds: || {
        let records = script::records();
        let input = |(at, record): (usize, &Record)| [&[at as u8][..], &record.value].concat();
        records.iter().enumerate().map(input).collect()
    },
};

/// Proofs of misbehavior.
pub const POM: Target = Target {
    name: "pom",
    decoder: true,
    run: |input| match Pom::from_bytes(input) {
        Ok(pom) => {
            assert_eq!(pom.to_bytes(), input, "a second form of one proof");
            // Nobody can have made a proof against the members of this group: the engine has no key.
            assert!(bart_rsm::pom::verify(&pom, &script::roster()).is_err());
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    },
    seeds: || vec![script::pom()],
};

/// Commands of the backup system in the log.
pub const COMMAND: Target = Target {
    name: "command",
    decoder: true,
    run: canonical::<Command>,
    seeds: || vec![[&[1][..], &[0; 56]].concat()],
};

/// The backup system's replicated state, as a snapshot.
pub const STATE: Target = Target {
    name: "state",
    decoder: true,
    run: |input| {
        canonical::<State>(input);
        // And what a command of anybody does to it.
        let mut state = State::default();
        let _ = state.apply(types::Instance(0), types::Slot(0), input);
    },
    seeds: || vec![State::default().to_bytes()],
};

/// Frames of the bulk lane, from an owner.
pub const BULK_REQUEST: Target = Target {
    name: "bulk-request",
    decoder: true,
    run: |input| {
        if let Ok((request, body)) = Request::decode(&Bytes::copy_from_slice(input)) {
            assert_eq!([&request.head()[..], &body].concat(), input, "a second form of one frame");
        }
    },
    seeds: || framed(&[zeros::<StoreInfo>(), zeros::<RetrieveRequest>()]),
};

/// Frames of the bulk lane, from a storer.
pub const BULK_RESPONSE: Target = Target {
    name: "bulk-response",
    decoder: true,
    run: |input| {
        if let Ok((response, body)) = Response::decode(&Bytes::copy_from_slice(input)) {
            assert_eq!([&response.head()[..], &body].concat(), input, "a second form of one frame");
        }
    },
    seeds: || {
        framed(&[
            zeros::<Receipt>(),
            zeros::<StoreReject>(),
            zeros::<RetrieveConfirm>(),
            zeros::<RetrieveDeny>(),
            vec![vec![3]],
        ])
    },
};

fn framed(heads: &[Vec<Vec<u8>>]) -> Vec<Vec<u8>> {
    let frame = |(tag, heads): (usize, &Vec<Vec<u8>>)| {
        heads
            .iter()
            .map(move |head| [&[pib::wire::WIRE_VERSION, tag as u8][..], head].concat())
            .collect::<Vec<_>>()
    };
    heads.iter().enumerate().flat_map(frame).collect()
}

/// The first frame of a link.
pub const HELLO: Target = Target {
    name: "hello",
    decoder: true,
    run: |input| {
        if let Some(again) = net::fuzz::hello(input) {
            assert_eq!(again, input, "a second form of one hello");
        }
    },
    seeds: || vec![net::fuzz::some_hello()],
};

/// A stream of frames.
pub const FRAMES: Target = Target {
    name: "frames",
    decoder: true,
    run: |input| {
        let (frames, bytes) = net::fuzz::frames(input);
        assert!(frames * 5 + bytes <= input.len(), "more came out than went in");
    },
    seeds: || vec![vec![1, 0, 0, 0, 3], [&[5, 0, 0, 0, 3][..], b"abcd", &[9, 0, 0, 0, 4]].concat()],
};

fn key(member: u8, ident: u8) -> SecretKey {
    SecretKey::from_seed(Hash::tagged("fuzzed key", &[member, ident]).as_bytes())
}

fn request(member: u8) -> JoinRequest {
    let identities: Vec<PublicKey> = (0..3).map(|ident| key(member, ident).public()).collect();
    let addresses = vec![format!("127.0.0.1:{}", 7000 + u16::from(member))];
    let name = format!("m{member}");
    JoinRequest::sign(&key(member, 0), name, addresses, identities).expect("a sound request")
}

fn genesis() -> Genesis {
    let policy = GroupPolicy::from_toml("[group]\nbyzantine_max = 1\n").expect("a sound policy");
    let members: Vec<Founder> = (1..=5).map(|member| request(member).founder().clone()).collect();
    let authority = key(0, 0).public();
    Genesis::new("dorm".into(), authority, Stamp(5), policy, members).expect("a sound group")
}

/// What a group was founded with.
pub const GENESIS: Target = Target {
    name: "genesis",
    decoder: true,
    run: canonical::<Genesis>,
    seeds: || vec![genesis().to_bytes()],
};

fn text(input: &[u8], parse: impl Fn(&str)) {
    if let Ok(text) = std::str::from_utf8(input) {
        parse(text);
    }
}

/// A ticket as people paste it.
pub const TICKET: Target = Target {
    name: "ticket",
    decoder: true,
    run: |input| {
        text(input, |text| match Ticket::parse(text, Stamp(0)) {
            Ok(ticket) => assert_eq!(Ticket::parse_joined(ticket.line()), Ok(ticket.clone())),
            Err(error) => assert!(!error.to_string().is_empty() && !error.hint().is_empty()),
        });
    },
    seeds: || {
        let ticket = Ticket::sign(&key(0, 0), genesis(), Stamp(1000)).expect("a sound ticket");
        vec![ticket.line().as_bytes().to_vec()]
    },
};

/// A join request as people paste it.
pub const JOIN_REQUEST: Target = Target {
    name: "join-request",
    decoder: true,
    run: |input| {
        text(input, |text| match JoinRequest::parse(text) {
            Ok(request) => assert_eq!(JoinRequest::parse(request.line()), Ok(request.clone())),
            Err(error) => assert!(!error.to_string().is_empty() && !error.hint().is_empty()),
        });
    },
    seeds: || vec![request(1).line().as_bytes().to_vec()],
};

/// A group's rules as people write them.
pub const GROUP_TOML: Target = Target {
    name: "group-toml",
    decoder: true,
    run: |input| {
        text(input, |text| match GroupPolicy::from_toml(text) {
            Ok(policy) => {
                let again = GroupPolicy::from_toml(&policy.to_toml());
                assert!(again.is_ok_and(|again| again == policy), "what is written is not read");
            }
            Err(error) => assert!(!error.to_string().is_empty() && !error.hint().is_empty()),
        });
    },
    seeds: || {
        let full = genesis().policy().to_toml().into_bytes();
        vec![b"[group]\nbyzantine_max = 1\n".to_vec(), full]
    },
};

/// A member's settings as people write them.
pub const MEMBER_TOML: Target = Target {
    name: "member-toml",
    decoder: true,
    run: |input| {
        text(input, |text| match MemberConfig::from_toml(text) {
            Ok(config) => {
                let again = MemberConfig::from_toml(&config.to_toml());
                assert!(again.is_ok_and(|again| again == config), "what is written is not read");
            }
            Err(error) => assert!(!error.to_string().is_empty() && !error.hint().is_empty()),
        });
    },
    seeds: || {
        let listen = std::net::SocketAddr::from(([127, 0, 0, 1], 7000));
        let config = MemberConfig::new("me".into(), listen, vec!["me.example:7000".into()]);
        vec![config.to_toml().into_bytes()]
    },
};
