//! A member that lags: nothing that was delivered is lost, every buffer stays within its bound, and what nobody
//! keeps any more is fetched as a checkpoint.

use super::net::{Dice, Net, key, pay, place};
use crate::broadcast::quorum::{self, AHEAD_MAX, CATCHUP_MAX, Spread, TALK_MS};
use crate::broadcast::{Fault, Input};
use crate::fetch::{self, FETCH_AFTER_MS, Fetch, PARTS_A_SPAN, PATIENCE_MS, Progress};
use crate::member::{Effect, Message};
use crate::state::WAITING_MAX;
use crate::*;
use std::sync::Arc;
use types::{Decode, Encode, Hash, Ident, Mode, Roster, Slot, Standing};

const LATE: Slot = Slot(3);

fn carries(message: &Message, account: u32) -> bool {
    matches!(message, Message::Broadcast(quorum::Message::Certified(it)) if it.place.account == Account(account))
}

/// Lets everything happen but that certificates of account 0 reach the late member.
fn run_without_account_0(net: &mut Net, dice: &mut Dice) {
    for _ in 0..4 {
        while !net.bag.is_empty() {
            let at = dice.below(net.bag.len());
            let (_, to, message) = &net.bag[at];
            if *to == LATE && carries(message, 0) {
                net.bag.swap_remove(at);
            } else {
                net.hand(at);
            }
        }
        net.pass(1_000);
    }
}

/// Account 0 pays account 1, which then moves `count` times, each at first resting on that payment;
/// the late member has nothing of account 0.
fn lagging(count: u64) -> (Net, Dice) {
    let (mut net, mut dice) = (Net::new(4, 1, Spread::Owner), Dice(count));
    net.issue(0, &[pay(1, 50)]).unwrap();
    run_without_account_0(&mut net, &mut dice);
    for _ in 0..count {
        net.issue(1, &[pay(2, 1)]).unwrap();
        run_without_account_0(&mut net, &mut dice);
    }
    (net, dice)
}

#[test]
fn delivered_transfers_that_wait_are_never_lost_and_stay_within_their_bound() {
    let count = WAITING_MAX + AHEAD_MAX + 20;
    let (mut net, mut dice) = lagging(count);
    assert_eq!(net.applied[usize::from(LATE.0)], [], "they rest on what is not here");
    assert_eq!(net.member(LATE.0).ledger().waiting().count() as u64, WAITING_MAX);
    assert_eq!(net.member(LATE.0).below.delivered(Account(1)), Seq(WAITING_MAX));
    net.run(&mut dice);
    net.agreed(0..4);
    let seqs: Vec<u64> = net.applied[usize::from(LATE.0)]
        .iter()
        .filter(|it| it.place.account == Account(1))
        .map(|it| it.place.seq.0)
        .collect();
    assert_eq!(seqs, (1..=count).collect::<Vec<_>>());
}

#[test]
fn restart_while_transfers_wait_loses_none() {
    let (mut net, mut dice) = lagging(WAITING_MAX + 9);
    net.boot(LATE);
    assert_eq!(net.member(LATE.0).ledger().waiting().count() as u64, WAITING_MAX);
    net.run(&mut dice);
    net.agreed(0..4);
}

/// Records of one account stand before those of another that pays it.
#[test]
fn compacted_records_in_the_order_of_accounts_restore_everything() {
    let (mut net, mut dice) = (Net::new(4, 1, Spread::Owner), Dice(4));
    net.settle_all();
    net.issue(2, &[pay(1, 90)]).unwrap();
    net.run(&mut dice);
    for _ in 0..WAITING_MAX + 20 {
        net.issue(1, &[pay(0, 2)]).unwrap();
        net.run(&mut dice);
    }
    let before: Vec<_> = net.member(0).ledger().balances().collect();
    let checkpoint = net.checkpoints[&Slot(0)].clone();
    net.disks[0] = net.member(0).compact(&checkpoint);
    net.boot(Slot(0));
    assert_eq!(net.member(0).ledger().balances().collect::<Vec<_>>(), before);
    assert_eq!(net.member(0).ledger().waiting().count(), 0);
}

/// The others settle a cut that the late member has not reached; returns it with a member that can serve it.
fn behind_a_cut(seed: u64) -> (Net, Dice) {
    let (mut net, mut dice) = (Net::new(4, 1, Spread::Owner), Dice(seed));
    for round in 0..6 {
        net.issue(0, &[pay(1, 5)]).unwrap();
        net.issue(3, &[pay(0, 1)]).unwrap();
        if round == 3 {
            net.run(&mut dice);
        }
        while !net.bag.is_empty() {
            let at = dice.below(net.bag.len());
            let (from, to, message) = &net.bag[at];
            // Its own account goes on; of account 0 it sees nothing after a while.
            if *to == LATE && round > 3 && carries(message, 0) && *from != LATE {
                net.bag.swap_remove(at);
            } else {
                net.hand(at);
            }
        }
    }
    net.settle_all();
    (net, dice)
}

#[test]
fn member_behind_a_cut_fetches_the_checkpoint_and_goes_on() {
    for seed in 0..10 {
        let (mut net, mut dice) = behind_a_cut(seed);
        assert_eq!(net.member(LATE.0).ledger().checkpoint(), 0);
        assert_eq!(net.member(0).ledger().checkpoint(), 1);
        // The others have moved on meanwhile.
        net.issue(1, &[pay(2, 7)]).unwrap();
        net.run(&mut dice);
        assert_eq!(net.member(LATE.0).ledger().checkpoint(), 1, "{seed}");
        net.agreed(0..4);
        let supply: u64 = net.member(LATE.0).ledger().balances().map(|(_, it)| it.0).sum();
        assert_eq!(supply, 400);
        // It pays and is paid as before, also after a restart from what it wrote down.
        net.boot(LATE);
        net.agreed(0..4);
        net.issue(LATE.0, &[pay(2, 3)]).unwrap();
        net.issue(0, &[pay(LATE.0.into(), 3)]).unwrap();
        net.run(&mut dice);
        net.agreed(0..4);
        assert_eq!(net.evidence, []);
    }
}

#[test]
fn transfer_that_applied_beyond_the_cut_stays_applied_when_the_checkpoint_is_adopted() {
    let (mut net, mut dice) = behind_a_cut(3);
    let own = net.member(LATE.0).ledger().seq(Account(3)).unwrap();
    net.issue(LATE.0, &[pay(2, 11)]).unwrap();
    net.run(&mut dice);
    let applied = &net.applied[usize::from(LATE.0)];
    let of_own: Vec<_> = applied.iter().filter(|it| it.place.account == Account(3)).collect();
    assert_eq!(of_own.len() as u64, own.0 + 1, "each reported once");
    net.agreed(0..4);
}

#[test]
fn cut_that_was_decided_but_not_reached_survives_compaction() {
    let (mut net, mut dice) = behind_a_cut(5);
    // As if the late member had settled before: an empty checkpoint 0 stands for its beginning.
    let start = Checkpoint { number: 0, events: 0, accounts: [].into() };
    net.disks[usize::from(LATE.0)] = net.member(LATE.0).compact(&start);
    net.boot(LATE);
    net.run(&mut dice);
    assert_eq!(net.member(LATE.0).ledger().checkpoint(), 1);
    net.agreed(0..4);
}

fn checkpoint(accounts: u32) -> Checkpoint {
    let entry =
        |at: u32| (Account(at), (Owner::One(Slot(at as u16)), Seq(u64::from(at)), Amount(7)));
    Checkpoint { number: 4, events: 1, accounts: (0..accounts).map(entry).collect() }
}

/// Plays a whole fetch in which peers answer with `of`.
fn play(client: &mut Fetch, servers: &mut [Fetch], root: Hash) -> (Option<Checkpoint>, Vec<Fault>) {
    let mut faults = Vec::new();
    let mut asked = client.begin(Millis(0), 4, root);
    while let Some((to, message)) = asked.take() {
        let message = fetch::Message::from_bytes(&message.to_bytes()).unwrap();
        let fetch::Message::Want { number, part } = message else { panic!() };
        let answer = servers[usize::from(to.0)].want(Millis(0), LATE, number, part);
        asked = match answer.map(|answer| client.part(Millis(0), to, &answer)) {
            None | Some(Progress::Nothing) => client.wake(Millis(PATIENCE_MS)),
            Some(Progress::Ask(to, message)) => Some((to, message)),
            Some(Progress::Wrong(what, next, message)) => {
                faults.push(Fault { peer: to, what });
                Some((next, message))
            }
            Some(Progress::Done(checkpoint)) => return (Some(checkpoint), faults),
        };
        if faults.len() > 8 {
            break;
        }
    }
    (None, faults)
}

use types::Millis;

#[test]
fn checkpoint_of_many_parts_comes_from_the_one_honest_peer_past_silent_and_lying_ones() {
    let right = checkpoint(9_000);
    let mut wrong = right.clone();
    wrong.accounts.get_mut(&Account(8_999)).unwrap().2 = Amount(8);
    assert!(right.to_bytes().len() > 2 * fetch::PART_LEN_MAX);
    let mut servers: Vec<Fetch> = (0..4).map(|me| Fetch::new(Slot(me), 4)).collect();
    servers[0].keep(&wrong);
    servers[2].keep(&right);
    let mut client = Fetch::new(LATE, 4);
    let (found, faults) = play(&mut client, &mut servers, right.root());
    assert_eq!(found, Some(right));
    assert_eq!(faults.iter().map(|it| it.peer).collect::<Vec<_>>(), [Slot(0)]);
}

#[test]
fn parts_that_were_not_asked_for_or_have_not_their_form_are_dropped() {
    let right = checkpoint(9_000);
    let mut server = Fetch::new(Slot(0), 4);
    server.keep(&right);
    let first = server.want(Millis(0), LATE, 4, 0).unwrap();
    let mut client = Fetch::new(LATE, 4);
    assert_eq!(client.part(Millis(0), Slot(0), &first), Progress::Nothing, "nothing was asked");
    let (from, _) = client.begin(Millis(0), 4, right.root()).unwrap();
    assert_eq!(client.part(Millis(0), Slot(2), &first), Progress::Nothing, "another was asked");
    let second = server.want(Millis(0), LATE, 4, 1).unwrap();
    assert_eq!(client.part(Millis(0), from, &second), Progress::Nothing, "not the next part");
    let endless = fetch::Message::Part {
        number: 4,
        part: 0,
        parts: u16::MAX,
        bytes: vec![0; fetch::PART_LEN_MAX].into(),
    };
    assert!(matches!(client.part(Millis(0), from, &endless), Progress::Wrong(..)));
    assert!(server.want(Millis(0), LATE, 5, 0).is_none(), "not here");
    assert!(server.want(Millis(0), LATE, 4, 99).is_none(), "no such part");
}

#[test]
fn peer_that_asks_for_parts_without_end_gets_a_bounded_number_in_a_span() {
    let mut server = Fetch::new(Slot(0), 4);
    server.keep(&checkpoint(10));
    let asks = |server: &mut Fetch, now| {
        (0..500).filter_map(|_| server.want(Millis(now), LATE, 4, 0)).count()
    };
    assert_eq!(asks(&mut server, 0), PARTS_A_SPAN);
    assert_eq!(asks(&mut server, fetch::SPAN_MS), PARTS_A_SPAN, "and again later");
}

#[test]
fn flood_of_statuses_is_answered_once_in_a_while_and_the_last_not_forgotten() {
    let (mut net, mut dice) = (Net::new(4, 1, Spread::Owner), Dice(1));
    for _ in 0..20 {
        net.issue(0, &[pay(1, 1)]).unwrap();
        net.run(&mut dice);
    }
    net.bag.clear();
    let empty = Message::Broadcast(quorum::Message::Status(Vec::new()));
    let now = net.now;
    let mut sent = Vec::new();
    for _ in 0..1_000 {
        let input = Input::Message { from: Slot(2), message: empty.clone() };
        sent.extend(net.member(1).handle(now, input));
    }
    let certificates = |sent: &[Effect]| {
        let count = sent
            .iter()
            .filter(|it| matches!(it, Effect::Send { message, .. } if carries(message, 0)));
        count.count()
    };
    assert_eq!(certificates(&sent), 20, "one answer");
    const { assert!(20 <= CATCHUP_MAX) };
    let later = net.member(1).handle(now.plus(TALK_MS), Input::Wake);
    let status = |it: &Effect| {
        matches!(it, Effect::Send { to, message: Message::Broadcast(quorum::Message::Status(_)) }
            if to[..] == [Slot(2)])
    };
    assert_eq!(
        later.iter().filter(|it| status(it)).count(),
        1,
        "its sender hears that there is more"
    );
}

/// A roster in which member 2 has come back under its second identity.
fn second_identity() -> (Roster, Arc<Committee>) {
    let members = (0..5).map(|slot: u16| types::Member {
        identities: vec![key(slot).public(), key(slot + 100).public()],
        active: Ident(u16::from(slot == 2)),
        standing: Standing::Live,
    });
    let group = super::net::committee(5, 1).group();
    let roster =
        Roster::new(group, types::Epoch(1), 1, Mode::QuasiSync, members.collect()).unwrap();
    let committee = Arc::new(Committee::of(&roster).unwrap());
    (roster, committee)
}

#[test]
fn what_an_earlier_identity_signed_stays_valid_in_certificates_and_in_proofs() {
    let (mut net, mut dice) = (Net::new(5, 1, Spread::Owner), Dice(6));
    for from in [2, 0] {
        net.issue(from, &[pay(1, 9)]).unwrap();
    }
    // Nobody but the owners has the certificates yet; member 4 learns of them after the change.
    while !net.bag.is_empty() {
        let at = dice.below(net.bag.len());
        if net.bag[at].1 == Slot(4) { drop(net.bag.swap_remove(at)) } else { net.hand(at) }
    }
    let (roster, committee) = second_identity();
    for slot in 0..5 {
        let acting = if slot == 2 { key(102) } else { key(slot) };
        net.member(slot).renew(&committee, acting);
    }
    net.run(&mut dice);
    assert_eq!(net.agreed(0..5)[1], (Account(1), Amount(118)));
    // And the new identity pays and witnesses.
    net.issue(2, &[pay(4, 1)]).unwrap();
    net.issue(0, &[pay(4, 1)]).unwrap();
    net.run(&mut dice);
    assert_eq!(net.agreed(0..5)[4], (Account(4), Amount(102)));
    assert_eq!(net.evidence, []);
    let old = super::net::committee(5, 1);
    let order = |to| {
        let transfer = super::net::transfer(2, 7, &[pay(to, 1)]);
        Order::sign(&old, &key(2), Slot(2), transfer).payload()
    };
    let evidence =
        broadcast::Evidence::TwoPayloads { place: place(2, 7), first: order(0), second: order(1) };
    let proof = pom::Pom::of(&committee, &evidence).remove(0);
    assert_eq!(pom::verify(&proof, &roster).unwrap().ident, Ident(0));
}

#[test]
fn order_of_an_identity_that_does_not_act_any_more_is_echoed_by_nobody() {
    let (mut net, mut dice) = (Net::new(5, 1, Spread::Owner), Dice(6));
    let (_, committee) = second_identity();
    let stolen = {
        let old = super::net::committee(5, 1);
        Order::sign(&old, &key(2), Slot(2), super::net::transfer(2, 1, &[pay(3, 100)]))
    };
    for slot in 0..5 {
        net.member(slot).renew(&committee, if slot == 2 { key(102) } else { key(slot) });
    }
    for to in [0, 1, 3, 4] {
        let (place, payload) = (stolen.transfer().place, stolen.payload());
        let message = Message::Broadcast(quorum::Message::Init { place, payload });
        net.bag.push((Slot(2), Slot(to), message));
    }
    net.run(&mut dice);
    assert_eq!(net.agreed(0..5)[3], (Account(3), Amount(100)));
    // One honest signature under each identity is no double spend.
    let new = Order::sign(&committee, &key(102), Slot(2), super::net::transfer(2, 1, &[pay(1, 1)]));
    let (first, second) = (stolen.payload(), new.payload());
    let evidence = broadcast::Evidence::TwoPayloads { place: place(2, 1), first, second };
    assert_eq!(pom::Pom::of(&committee, &evidence), []);
}

#[test]
fn identity_that_has_not_acted_yet_signs_nothing() {
    let (_, committee) = second_identity();
    let statement = quorum::EchoStatement { place: place(0, 1), digest: Hash::ZERO };
    let header = committee.header_of(types::Kind::Echo, Slot(1), Ident(1));
    let signature = key(101).sign(&committee.group(), &header, &statement.to_bytes());
    assert!(!committee.verify(&statement, &Seal { slot: Slot(1), ident: Ident(1), signature }));
    let acting = committee.seal(&key(102), Slot(2), &statement);
    assert!(committee.acts(&acting) && committee.verify(&statement, &acting));
}

#[test]
fn late_member_wakes_up_to_fetch_by_itself() {
    let (mut net, _) = behind_a_cut(8);
    let wake = net.member(LATE.0).next_wakeup().unwrap();
    assert!(wake <= net.now.plus(FETCH_AFTER_MS));
}
