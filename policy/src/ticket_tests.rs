//! Join requests, genesis and tickets together: the way of a member into a group.

use crate::genesis::GenesisError;
use crate::text_line::{self, CredentialError, JOIN, TICKET};
use crate::{Founder, Genesis, GroupPolicy, JoinRequest, Ticket};
use types::{Encode, PublicKey, SecretKey, Slot, Stamp};

fn key(member: u8, ident: u8) -> SecretKey {
    SecretKey::from_seed(&[member * 8 + ident; 32])
}

fn identities(member: u8) -> Vec<PublicKey> {
    (0..3).map(|ident| key(member, ident).public()).collect()
}

fn request(member: u8) -> JoinRequest {
    let addresses = vec![format!("127.0.0.1:{}", 7000 + u16::from(member))];
    JoinRequest::sign(&key(member, 0), format!("m{member}"), addresses, identities(member)).unwrap()
}

fn founders(n: u8) -> Vec<Founder> {
    (1..=n).map(|member| request(member).founder().clone()).collect()
}

fn authority() -> SecretKey {
    SecretKey::from_seed(&[200; 32])
}

fn genesis(n: u8) -> Result<Genesis, GenesisError> {
    let policy = GroupPolicy::from_toml("[group]\nbyzantine_max = 1\n").unwrap();
    Genesis::new("dorm".into(), authority().public(), Stamp(5), policy, founders(n))
}

fn ticket() -> Ticket {
    Ticket::sign(&authority(), genesis(5).unwrap(), Stamp(1000)).unwrap()
}

#[test]
fn request_round_trips_as_one_line() {
    let request = request(1);
    assert!(!request.line().contains('\n'));
    assert_eq!(JoinRequest::parse(request.line()), Ok(request));
}

/// Guarantee 3.
#[test]
fn request_with_any_byte_changed_is_refused() {
    let bytes = text_line::read(JOIN, request(1).line()).unwrap();
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        assert!(JoinRequest::parse(&text_line::write(JOIN, &changed)).is_err(), "byte {at}");
    }
}

#[test]
fn request_signed_by_a_later_identity_is_refused() {
    let made = JoinRequest::sign(&key(1, 1), "m".into(), vec![], identities(1));
    assert!(matches!(made, Err(CredentialError::Malformed { .. })));
}

#[test]
fn request_with_bad_name_or_address_is_refused() {
    for (name, address) in [("", "h:1"), (" m", "h:1"), ("m", "h"), ("m", "h:0"), ("m", "a b:1")] {
        let made = JoinRequest::sign(&key(1, 0), name.into(), vec![address.into()], identities(1));
        assert!(made.is_err(), "{name:?} {address:?}");
    }
}

#[test]
fn ticket_round_trips_and_says_who_is_where() {
    let parsed = Ticket::parse(ticket().line(), Stamp(1000)).unwrap();
    assert_eq!(parsed, ticket());
    assert_eq!(parsed.slot_for(&identities(3)), Ok(Slot(2)));
    assert_eq!(parsed.roster().slots(), 5);
    assert_eq!(parsed.gid(), genesis(5).unwrap().gid());
}

#[test]
fn ticket_after_expiry_lets_nobody_in_but_keeps_members() {
    let error = Ticket::parse(ticket().line(), Stamp(1001)).unwrap_err();
    assert_eq!(error, CredentialError::Expired { expired: Stamp(1000), now: Stamp(1001) });
    assert!(Ticket::parse_joined(ticket().line()).is_ok());
}

#[test]
fn ticket_for_others_is_refused_by_name() {
    let error = ticket().slot_for(&identities(9)).unwrap_err();
    assert!(error.to_string().contains("dorm"));
    let mut mixed = identities(3);
    mixed[1] = key(9, 1).public();
    assert!(ticket().slot_for(&mixed).is_err());
}

/// Guarantee 3: every byte of the signed part is covered.
#[test]
fn ticket_with_any_byte_changed_is_refused() {
    let bytes = text_line::read(TICKET, ticket().line()).unwrap();
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        let error = Ticket::parse_joined(&text_line::write(TICKET, &changed)).expect_err("changed");
        let expected =
            matches!(error, CredentialError::Forged { .. } | CredentialError::Malformed { .. });
        assert!(expected, "byte {at}: {error}");
    }
}

#[test]
fn ticket_by_another_authority_is_refused_at_signing() {
    let made = Ticket::sign(&key(1, 0), genesis(5).unwrap(), Stamp(1));
    assert!(matches!(made, Err(CredentialError::Malformed { .. })));
}

#[test]
fn genesis_below_3f_plus_2_is_refused() {
    assert!(matches!(genesis(4), Err(GenesisError::Sizes(_))));
}

#[test]
fn genesis_with_one_name_or_key_twice_is_refused() {
    let build = |members| {
        Genesis::new("g".into(), authority().public(), Stamp(0), GroupPolicy::default(), members)
    };
    let mut members = founders(5);
    members[4].name = "m1".into();
    assert_eq!(build(members), Err(GenesisError::DuplicateName("m1".into())));
    let mut members = founders(5);
    members[4].identities = identities(1);
    assert!(matches!(build(members), Err(GenesisError::Roster(_))));
}

/// Guarantee 2: any change of the founding configuration makes another group.
#[test]
fn gid_depends_on_every_part_of_the_genesis() {
    let base = genesis(5).unwrap();
    let build = |name: &str, founded, policy, members| {
        Genesis::new(name.into(), authority().public(), Stamp(founded), policy, members).unwrap()
    };
    let policy = base.policy().clone();
    let mut moved = founders(5);
    moved[0].addresses[0] = "127.0.0.1:9".into();
    let mut swapped = founders(5);
    swapped.swap(0, 1);
    let others = [
        build("dorn", 5, policy.clone(), founders(5)),
        build("dorm", 6, policy.clone(), founders(5)),
        build("dorm", 5, GroupPolicy::default(), founders(5)),
        build("dorm", 5, policy.clone(), moved),
        build("dorm", 5, policy, swapped),
    ];
    for other in others {
        assert_ne!(other.gid(), base.gid());
    }
}

#[test]
fn encodings_are_pinned() {
    assert_eq!(types::Hash::of(request(1).line().as_bytes()).to_hex(), PINNED_REQUEST);
    let genesis = genesis(5).unwrap();
    let (gid, ticket) = (genesis.gid().0, types::Hash::of(ticket().line().as_bytes()));
    assert_eq!(
        (gid.to_hex().as_str(), ticket.to_hex().as_str(), genesis.to_bytes().len()),
        (PINNED_GID, PINNED_TICKET, 840)
    );
}

const PINNED_GID: &str = "eb5678bae392b8e6610066754c932f27594c0931f782d24fd6356ce08123a662";
const PINNED_REQUEST: &str = "f798e467f28ad2e94395b0b21bd6a112a5f93417d7b0babe1bb71a1fa109ab79";
const PINNED_TICKET: &str = "48c3106cb2266120f3ab0397c56d495c8a989744a1b721e2b7f5571d69cdf1eb";
