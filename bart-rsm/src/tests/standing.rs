//! Who takes part, as the log decides it (specification 5.6, 8.3; rows RS-7, RS-9, RS-10).

use super::bounded::busy;
use super::harness::*;
use crate::message::ValueStatement;
use crate::pom::{Evidence, Pair, Pom, PomKind};
use crate::*;
use types::*;

const AUTHORITY: u8 = 77;

fn authority() -> SecretKey {
    SecretKey::from_seed(&[AUTHORITY; 32])
}

fn group(n: u16, pipeline: u64) -> Net {
    let authority = Some(authority().public());
    let (idle_first_ms, idle_max_ms, gamma_ms) = (500, 500, 1000);
    let busy = busy();
    let params =
        Params { authority, pipeline, gamma_ms, expel: true, idle_first_ms, idle_max_ms, ..busy };
    Net::with(n, params)
}

/// What convicts a member of two proposals in one instance.
fn two_proposals(net: &Net, slot: u16, inst: u64) -> Pom {
    let value = |name: &[u8]| {
        let (kind, epoch, turn) = (Kind::Value, net.roster.epoch(), Turn(0));
        let (inst, slot, ident) = (Instance(inst), Slot(slot), Ident(0));
        let header = Header { kind, epoch, inst, turn, slot, ident };
        let payload = ValueStatement { body: Hash::of(name), len: Size(1) };
        Signed::new(&secret(slot.0), &net.roster.group(), header, payload).into_inner()
    };
    let pair = Pair::new(value(b"one"), value(b"other"));
    Pom::new(net.roster.group(), Evidence::SenderEquivocation(pair))
}

fn reform(net: &Net, stamp: u64, change: Change) -> Signed<Reform> {
    Reform { stamp: Stamp(stamp), change }.sign(&net.roster.group(), &authority())
}

fn order(net: &mut Net, at: u16, ticket: u64, reform: Signed<Reform>) {
    net.input(Slot(at), Input::Reform { ticket, reform });
}

fn standing(net: &Net, at: u16, slot: u16) -> Standing {
    net.core(at).roster().member(Slot(slot)).unwrap().standing
}

/// All of `slots` were told of the same epochs, and decide on.
fn check(net: &mut Net, slots: &[u16], epochs: usize) {
    for slot in slots {
        let told = &net.rosters[usize::from(*slot)];
        assert_eq!(told.len(), epochs, "slot {slot}");
        assert_eq!(told, &net.rosters[usize::from(slots[0])]);
    }
    let before = net.check_agreement(slots.iter().copied());
    for slot in slots {
        net.submit(*slot, 900 + u64::from(*slot), &[*slot as u8]);
    }
    assert!(net.run_until(120_000, |net| {
        slots
            .iter()
            .all(|slot| net.committed[usize::from(*slot)].contains(&(900 + u64::from(*slot))))
    }));
    net.run(10_000);
    assert!(net.check_agreement(slots.iter().copied()) > before + 5);
    net.check_no_residue(slots.iter().copied());
}

/// Once everybody that is left has come to the one change: the same epochs, the same log.
fn settled(net: &mut Net) {
    let others = [0, 2, 3, 4];
    let level = |net: &Net| {
        let decided = others.map(|slot| net.decided(slot));
        decided.iter().all(|no| no.abs_diff(decided[0]) < 3)
            && others.iter().all(|slot| net.rosters[usize::from(*slot)].len() == 1)
    };
    assert!(net.run_until(60_000, level));
    assert!(others.iter().all(|slot| net.rosters[usize::from(*slot)] == net.rosters[0]));
    net.check_agreement(others);
}

#[test]
fn member_that_a_proof_in_the_log_convicts_is_expelled_and_the_group_goes_on() {
    let mut net = group(5, 1);
    net.run(2_000);
    let pom = two_proposals(&net, 1, 1);
    net.input(Slot(3), Input::Proof(Box::new(pom.clone())));
    net.run(5_000);
    let others = [0, 2, 3, 4];
    for at in others {
        assert_eq!(standing(&net, at, 1), Standing::Expelled);
        let quorum = net.core(at).roster().quorum();
        assert_eq!((quorum.n(), quorum.f()), (4, 0));
        let cause = Cause::Proof(PomKind::SenderEquivocation, pom.digest());
        let change = StandingChange { slot: Slot(1), standing: Standing::Expelled, cause };
        assert_eq!(net.changes[usize::from(at)], [change]);
    }
    check(&mut net, &others, 1);
    // It is neither scheduled nor heard: nothing of it is decided any more.
    let first = net.rosters[0][&Epoch(4)].0;
    for (no, (.., proposal, _)) in net.applied[0].range(first..) {
        assert!(proposal.is_some(), "{no} is NULL: its sender did not take part");
    }
    // Once more changes nothing, whoever proposes it.
    net.input(Slot(4), Input::Proof(Box::new(pom)));
    net.run(5_000);
    check(&mut net, &others, 1);
}

/// Row RS-7: what the accused does not propose, others do; one that alone holds the proof suffices.
#[test]
fn proof_reaches_the_log_although_its_victim_and_f_members_leave_it_out() {
    let mut net = group(8, 1);
    net.run(2_000);
    let pom = two_proposals(&net, 0, 0);
    net.input(Slot(5), Input::Proof(Box::new(pom)));
    // Neither the accused nor its friend lets the finder's links to it work.
    net.link(Slot(5), Slot(0), false);
    net.link(Slot(5), Slot(1), false);
    net.run(60_000);
    assert!((2..8).all(|at| standing(&net, at, 0) == Standing::Expelled));
}

/// Row RS-9: it convicts nobody, and the next ones of the same proposer are not even looked at.
#[test]
fn proof_that_proves_nothing_expels_nobody_and_bars_its_proposer() {
    let mut net = group(5, 1);
    net.run(2_000);
    let mut forged = two_proposals(&net, 2, 1);
    if let Evidence::SenderEquivocation(pair) = &mut forged.evidence {
        let (mut first, second) = (pair.first().clone(), pair.second().clone());
        first.signature.0[5] ^= 1;
        *pair = Pair::new(first, second);
    }
    net.core_mut(1).force_order(Order::Proof(Box::new(forged)));
    net.run(5_000);
    assert!((0..5).all(|at| net.rosters[at].is_empty()));
    let genuine = two_proposals(&net, 2, 1);
    net.core_mut(1).force_order(Order::Proof(Box::new(genuine.clone())));
    net.run(5_000);
    assert!((0..5).all(|at| net.rosters[at].is_empty()), "it is barred");
    net.input(Slot(4), Input::Proof(Box::new(genuine)));
    net.run(10_000);
    check(&mut net, &[0, 1, 3, 4], 1);
}

#[test]
fn orders_that_are_not_decodable_change_nothing() {
    let mut net = group(5, 1);
    net.run(2_000);
    let honest = net.core(0).roster().clone();
    let mut proposal = Proposal::plain(5, Stamp(u64::MAX / 2), vec![]);
    proposal.orders = vec![vec![1, 2, 3], vec![9], vec![2; 90], vec![1; 400]];
    for at in 0..5 {
        net.core_mut(at).execute_orders(Instance(3), Slot(2), &proposal);
        assert_eq!(*net.core(at).roster(), honest);
    }
    let read = Proposal::from_bytes(&proposal.to_bytes());
    assert_eq!(read, Ok(proposal.clone()));
    proposal.orders = vec![vec![1]; order::ORDERS_MAX + 1];
    assert!(Proposal::from_bytes(&proposal.to_bytes()).is_err());
    proposal.orders = vec![vec![]];
    assert_eq!(proposal.check_form(Slot(2), 5), Err("empty order"));
}

#[test]
fn authority_evicts_and_reinstates_and_the_member_comes_back() {
    let mut net = group(5, 1);
    net.run(2_000);
    let evict = reform(&net, 10, Change::Evict(Slot(4)));
    order(&mut net, 0, 1, evict.clone());
    assert!(net.run_until(20_000, |net| !net.reformed.is_empty()));
    assert_eq!((net.reformed[0].0, net.reformed[0].1), (Slot(0), 1));
    check(&mut net, &[0, 1, 2, 3], 1);
    let quorum = net.core(0).roster().quorum();
    assert_eq!((quorum.n(), quorum.f()), (4, 0));
    // The same word again, an older one, and one that says what is so already.
    order(&mut net, 1, 2, evict);
    let older = reform(&net, 9, Change::Reinstate(Slot(4)));
    order(&mut net, 2, 3, older);
    assert_eq!(net.refused, [(2, Refusal::Overtaken), (3, Refusal::Overtaken)]);
    let back = reform(&net, 11, Change::Reinstate(Slot(4)));
    order(&mut net, 2, 4, back);
    net.run(120_000);
    let all = [0, 1, 2, 3, 4];
    let quorum = net.core(0).roster().quorum();
    assert_eq!((quorum.n(), quorum.f()), (5, 1), "what it was founded with");
    assert_eq!(net.decided(4).max(net.decided(0) - 5), net.decided(4), "it caught up");
    check(&mut net, &all, 2);
}

#[test]
fn reform_of_anybody_else_is_refused() {
    let mut net = group(5, 1);
    net.run(2_000);
    let change = Change::Evict(Slot(4));
    let stranger = Reform { stamp: Stamp(5), change }.sign(&net.roster.group(), &secret(0));
    order(&mut net, 0, 1, stranger.clone());
    let elsewhere = Reform { stamp: Stamp(5), change }.sign(&GroupId(Hash::of(b"o")), &authority());
    order(&mut net, 0, 2, elsewhere);
    let nobody = reform(&net, 5, Change::Evict(Slot(5)));
    order(&mut net, 0, 3, nobody);
    let reasons = [Refusal::NotTheAuthority, Refusal::NotTheAuthority, Refusal::NoSuchMember];
    assert_eq!(net.refused.iter().map(|(_, reason)| *reason).collect::<Vec<_>>(), reasons);
    // A member that proposes it all the same.
    net.core_mut(0).force_order(Order::Reform(stranger));
    net.run(5_000);
    assert!((0..5).all(|at| net.rosters[at].is_empty()));
    let mut without = Net::with(5, Params { gamma_ms: 1000, ..busy() });
    without.run(1_000);
    let evict = reform(&without, 5, change);
    order(&mut without, 0, 1, evict);
    assert_eq!(without.refused, [(1, Refusal::NoAuthority)]);
}

/// Guarantee 4: three members are the fewest that go on.
#[test]
fn eviction_that_would_leave_no_group_is_not_executed() {
    let mut net = group(5, 1);
    net.run(2_000);
    for (stamp, slot) in [(1, 4), (2, 3), (3, 2)] {
        let evict = reform(&net, stamp, Change::Evict(Slot(slot)));
        order(&mut net, 0, stamp, evict);
        net.run(10_000);
    }
    assert_eq!(net.core(0).roster().live().count(), 3);
    assert_eq!(net.reformed.len(), 3, "executed without effect");
    check(&mut net, &[0, 1, 2], 2);
}

/// Two changes while the first one is not in force yet; with a window, too.
#[test]
fn changes_in_neighbouring_instances_make_one_epoch_after_the_other() {
    for pipeline in [1, 2, 4] {
        let mut net = group(8, pipeline);
        net.run(2_000);
        let pom = two_proposals(&net, 6, 6);
        net.input(Slot(2), Input::Proof(Box::new(pom)));
        let evict = reform(&net, 3, Change::Evict(Slot(7)));
        order(&mut net, 3, 1, evict);
        net.run(20_000);
        let others = [0, 1, 2, 3, 4, 5];
        check(&mut net, &others, 2);
        let quorum = net.core(0).roster().quorum();
        assert_eq!((quorum.n(), quorum.f()), (6, 1), "W = {pipeline}");
        let firsts: Vec<_> = net.rosters[0].values().map(|(first, _)| *first).collect();
        assert!(firsts[0] < firsts[1]);
    }
}

/// Guarantee 1, across a crash at every durable write around the change.
#[test]
fn crash_at_any_write_around_a_change_makes_the_same_epochs() {
    for pipeline in [1, 2] {
        let mut writes = 0;
        loop {
            let mut net = group(5, pipeline);
            net.run(1_000);
            let pom = two_proposals(&net, 1, 1);
            net.input(Slot(0), Input::Proof(Box::new(pom)));
            net.crash_after = Some((Slot(3), writes));
            let changed = |net: &Net| [0, 2, 4].iter().all(|at| !net.rosters[*at].is_empty());
            assert!(net.run_until(60_000, changed), "{writes} writes");
            net.run(50);
            if !net.crashed {
                break;
            }
            net.boot(Slot(3));
            net.connect();
            settled(&mut net);
            // And from the disk as it is now, with the change long past.
            net.crash(Slot(3));
            net.rosters[3].clear();
            net.boot(Slot(3));
            net.connect();
            settled(&mut net);
            writes += 1;
        }
        assert!(writes > 20, "only {writes} writes were crashed at");
    }
}

/// The proof that a restarted member had kept comes into the log after all.
#[test]
fn member_signs_nothing_after_its_expulsion() {
    let mut net = group(5, 1);
    net.run(2_000);
    let evict = reform(&net, 10, Change::Evict(Slot(4)));
    order(&mut net, 0, 1, evict);
    net.run(10_000);
    let first = net.rosters[0][&Epoch(4)].0;
    let late = net.said.keys().filter(|(slot, inst, ..)| *slot == Slot(4) && *inst >= first);
    assert_eq!(late.count(), 0);
    assert!(net.decided(4) <= first.0 + 1, "nobody tells it anything");
}
