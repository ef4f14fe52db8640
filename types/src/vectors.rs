//! Pinned encodings and signatures: a change of form must change these in the same commit.

use crate::*;

struct Note(u64);

impl Encode for Note {
    fn encode(&self, out: &mut Writer) {
        out.u64(self.0);
    }
}

impl Decode for Note {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(input.u64()?))
    }
}

impl SignedPayload for Note {
    const KIND: Kind = Kind::Wake;
}

fn header() -> Header {
    Header {
        kind: Kind::Wake,
        epoch: Epoch(2),
        inst: Instance(3),
        turn: Turn(4),
        slot: Slot(1),
        ident: Ident(0),
    }
}

fn group() -> GroupId {
    GroupId(Hash::of(b"group"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn header_encoding_is_pinned() {
    assert_eq!(
        hex(&header().to_bytes()),
        "0f020000000300000000000000040000000100".to_owned() + "0000"
    );
}

#[test]
fn signing_input_starts_with_the_domain_and_names_every_field() {
    let input = header().signing_input(&group(), b"payload");
    let expected = format!(
        "4241525431{:02x}{}{}",
        Kind::Wake as u8,
        Hash::of(b"group").to_hex(),
        "02000000030000000000000004000000010000007061796c6f6164"
    );
    assert_eq!(hex(&input), expected);
}

#[test]
fn signature_of_the_pinned_statement_is_pinned() {
    let signed = Signed::new(&SecretKey::from_seed(&[7; 32]), &group(), header(), Note(5));
    assert_eq!(hex(&Hash::of(&signed.to_bytes()).0), PINNED_NOTE);
}

const PINNED_NOTE: &str = "099ab5d84ba81800577f6129f489cc130acd70bc4e6d509687780156ddacdec2";

/// Guarantee 3: change any one field and the signature is worth nothing.
#[test]
fn signature_moved_to_any_other_place_does_not_verify() {
    let key = SecretKey::from_seed(&[7; 32]);
    let signature = key.sign(&group(), &header(), b"p");
    let verify = |gid: &GroupId, header: &Header, payload: &[u8]| {
        key.public().verify(gid, header, payload, &signature).is_ok()
    };
    assert!(verify(&group(), &header(), b"p"));
    assert!(!verify(&GroupId(Hash::of(b"other")), &header(), b"p"));
    assert!(!verify(&group(), &header(), b"q"));
    let variants = [
        Header { kind: Kind::Value, ..header() },
        Header { epoch: Epoch(1), ..header() },
        Header { inst: Instance(4), ..header() },
        Header { turn: Turn(3), ..header() },
        Header { slot: Slot(0), ..header() },
        Header { ident: Ident(1), ..header() },
    ];
    for variant in variants {
        assert!(!verify(&group(), &variant, b"p"), "{variant:?}");
    }
}

#[test]
fn statement_outside_the_log_verifies_in_any_epoch_but_only_with_zero_places() {
    let key = SecretKey::from_seed(&[7; 32]);
    let members = (1..=5u8).map(|seed| Member {
        identities: vec![SecretKey::from_seed(&[if seed == 2 { 7 } else { seed }; 32]).public()],
        active: Ident(0),
        standing: Standing::Live,
    });
    let roster = Roster::new(group(), Epoch(9), 1, Mode::QuasiSync, members.collect()).unwrap();
    let outside = Header { epoch: Epoch(0), inst: Instance(0), turn: Turn(0), ..header() };
    let verify = |header: Header| {
        let signed = Signed::new(&key, &group(), header, Note(5)).into_inner();
        Unverified::new(signed).verify_outside_log(&roster).is_ok()
    };
    assert!(verify(outside));
    assert!(!verify(Header { epoch: Epoch(9), ..outside }));
    assert!(!verify(Header { inst: Instance(1), ..outside }));
    assert!(!verify(Header { turn: Turn(1), ..outside }));
    assert!(!verify(Header { slot: Slot(2), ..outside }));
    assert!(!verify(Header { ident: Ident(1), ..outside }));
}

#[test]
fn small_order_key_is_refused() {
    let mut identity_point = [0; 32];
    identity_point[0] = 1;
    assert_eq!(PublicKey::from_bytes(&identity_point), Err(BadSignature));
}

#[test]
fn kind_codes_are_distinct_and_round_trip() {
    let codes: std::collections::BTreeSet<u8> = Kind::ALL.iter().map(|kind| *kind as u8).collect();
    assert_eq!(codes.len(), Kind::ALL.len());
    for kind in Kind::ALL {
        assert_eq!(Kind::from_code(*kind as u8), Some(*kind));
    }
}
