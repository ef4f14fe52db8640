//! Removal, renewal, lapse, and storers that leave.

use super::*;

fn half() -> u64 {
    RULES.lease_ms / 2
}

#[test]
fn removed_object_is_withdrawn_everywhere_and_its_key_is_free_again() {
    let (mut world, mut owner, mut disk) = new_owner();
    store(&mut world, &mut owner, &mut disk, 0, 1, 100);
    let held = owner.totals().held_bytes;
    disk.write(&owner.remove(at(10), &pack(1)).unwrap());
    let totals = owner.totals();
    assert_eq!((totals.held_bytes, totals.pending_bytes, totals.objects), (0, held, 0));
    assert_eq!(owner.lookup(&pack(1)), None);
    assert!(matches!(owner.remove(at(10), &pack(1)), Err(Error::UnknownObject(_))));
    // New content under the same key, before the withdrawals are delivered.
    let (plan, chunks) = begin(&mut owner, at(11), pack(1), &[5; 77]);
    let step = owner.requests(at(11), &plan, &chunks).unwrap();
    world.run(at(11), &mut owner, &mut disk, step);
    for slot in (1..8).map(Slot) {
        for errand in owner.withdrawals(slot, None, 9) {
            let outcome = world.outcome(at(12), &errand);
            disk.write(&owner.apply(&errand, outcome).unwrap().records);
        }
    }
    assert_eq!(owner.totals().pending_bytes, 0);
    let got = world.read(at(13), &mut owner, &mut disk, pack(1), &[]);
    assert_eq!(got.unwrap(), [5; 77]);
    assert_eq!(disk.owner(0).totals(), owner.totals());
}

#[test]
fn withdrawals_come_in_pages() {
    let (mut world, mut owner, mut disk) = new_owner();
    for id in 0..10 {
        store(&mut world, &mut owner, &mut disk, 0, id, 10);
        disk.write(&owner.remove(at(1), &pack(id)).unwrap());
    }
    let all = owner.withdrawals(Slot(3), None, 100);
    assert!(all.len() > 4);
    let first = owner.withdrawals(Slot(3), None, 3);
    let rest = owner.withdrawals(Slot(3), Some(first[2].info.payload.name), 100);
    assert_eq!([first, rest].concat(), all);
}

#[test]
fn renewal_is_due_at_half_of_the_lease_and_extends_it() {
    let (mut world, mut owner, mut disk) = new_owner();
    store(&mut world, &mut owner, &mut disk, 0, 1, 100);
    let stamps: Vec<Stamp> =
        owner.lookup(&pack(1)).unwrap().chunks.iter().map(|chunk| chunk.relies_until).collect();
    let first = stamps.iter().min().unwrap().0 - RULES.lease_ms - START;
    assert_eq!(owner.due_renewals(at(first + half() - 1), None, 9).unwrap().errands, []);
    let now = 20 + half();
    let step = owner.due_renewals(at(now), None, 9).unwrap();
    assert_eq!(step.errands.len(), 5);
    assert!(step.errands.iter().all(|errand| errand.body.is_empty()));
    // Unanswered, the same statements are sent again, also after a restart.
    disk.write(&step.records);
    let again = owner.due_renewals(at(now + 1000), None, 9).unwrap();
    assert_eq!(again.errands, step.errands);
    assert_eq!(disk.owner(0).due_renewals(at(now + 1000), None, 9).unwrap().errands, step.errands);
    world.run(at(now + 1000), &mut owner, &mut disk, again);
    assert_eq!(owner.due_renewals(at(now + 2000), None, 9).unwrap().errands, []);
    // Long after the first lease it is still there.
    let late = RULES.lease_ms + RULES.skew_ms + 1000;
    world.storers.values_mut().for_each(|storer| assert!(storer.expire(at(late)).1.is_empty()));
    let got = world.read(at(late), &mut owner, &mut disk, pack(1), &[]);
    assert_eq!(got.unwrap(), object(100));
    assert_eq!(owner.expire(at(late)).unwrap(), []);
}

#[test]
fn renewals_come_in_pages_of_objects() {
    let (mut world, mut owner, mut disk) = new_owner();
    for id in 0..4 {
        store(&mut world, &mut owner, &mut disk, 0, id, 10);
    }
    let now = at(1000 + half());
    let first = owner.due_renewals(now, None, 3).unwrap();
    assert_eq!(first.errands.len(), 15);
    let Target::Chunk(last) = first.errands[14].target else { panic!() };
    let rest = owner.due_renewals(now, Some(last.object), 3).unwrap();
    assert_eq!(rest.errands.len(), 5);
}

/// A storer that never answers must not keep a chunk in the list for ever.
#[test]
fn renewal_nobody_answered_is_not_signed_anew_once_the_lease_is_over_and_the_chunk_lapses() {
    let (mut world, mut owner, mut disk) = new_owner();
    store(&mut world, &mut owner, &mut disk, 0, 1, 100);
    let first = owner.due_renewals(at(1000 + half()), None, 9).unwrap();
    let lapsed = at(2000 + 2 * half());
    let second = owner.due_renewals(lapsed, None, 9).unwrap();
    assert_eq!(second.errands[0].info, first.errands[0].info);
    // A storer that was only slow has renewed all the same.
    let late = world.outcome(lapsed, &first.errands[0]);
    let applied = owner.apply(&first.errands[0], late).unwrap().applied;
    assert_eq!(applied, Applied::Held { stored: true });
    // The others are gone when no honest storer can hold them.
    let gone = at(3000 + 8 * half());
    assert!(!owner.expire(gone).unwrap().is_empty());
    assert!(!owner.info(&pack(1)).unwrap().is_stored());
    assert_eq!(owner.due_renewals(gone, None, 9).unwrap().errands, []);
}

#[test]
fn lapsed_chunks_are_released_only_when_no_honest_storer_can_hold_them() {
    let (mut world, mut owner, mut disk) = new_owner();
    store(&mut world, &mut owner, &mut disk, 0, 1, 100);
    store(&mut world, &mut owner, &mut disk, 0, 2, 100);
    disk.write(&owner.remove(at(1), &pack(2)).unwrap());
    let set = owner.lookup(&pack(1)).unwrap();
    let last = set.chunks.iter().map(|chunk| chunk.relies_until).max().unwrap();
    // Lease, then the skew of the storer's promise, then that of its clock.
    let end = Stamp(last.0 + 2 * RULES.skew_ms);
    let size = set.chunks[0].size.0;
    let mut early = disk.owner(0);
    let _ = early.expire(end).unwrap();
    assert_eq!(early.totals().held_bytes, size, "the youngest chunk is still counted");
    disk.write(&owner.expire(Stamp(end.0 + 100)).unwrap());
    let totals = owner.totals();
    assert_eq!((totals.held_bytes, totals.pending_bytes), (0, 0));
    assert_eq!(owner.incomplete().map(|info| info.held).collect::<Vec<_>>(), [0]);
    assert_eq!(disk.owner(0).totals(), totals);
    assert!(!disk.0.contains_key(&Owner::receipt_key(set.chunks[0].chunk)));
}

/// Specification 7.8: after a storer left, the same calls disperse what it held.
#[test]
fn chunks_of_a_storer_that_left_are_dispersed_again() {
    let (mut world, mut owner, mut disk) = new_owner();
    store(&mut world, &mut owner, &mut disk, 0, 1, 100);
    let gone = owner.lookup(&pack(1)).unwrap().chunks[1].slot;
    disk.write(&owner.forget_storer(gone).unwrap());
    let info = owner.info(&pack(1)).unwrap();
    assert_eq!((info.held, info.is_stored(), info.is_readable()), (4, false, true));
    let data = world.read(at(5), &mut owner, &mut disk, pack(1), &[gone]).unwrap();
    let mut offers = candidates();
    offers.retain(|offer| offer.slot != gone);
    let plan = owner.plan_put(at(6), pack(1), 100, &offers).unwrap();
    assert_eq!(plan.held, [true, false, true, true, true]);
    let chunks = owner.maker().chunks(pack(1), plan.stamp, &data).unwrap();
    let step = owner.requests(at(6), &plan, &chunks).unwrap();
    assert_eq!(step.errands.len(), 1);
    world.run(at(6), &mut owner, &mut disk, step);
    assert!(owner.info(&pack(1)).unwrap().is_stored());
}

#[test]
fn own_list_digest_follows_every_change() {
    let (mut world, mut owner, mut disk) = new_owner();
    let mut seen = BTreeSet::from([owner.own_list_digest()]);
    store(&mut world, &mut owner, &mut disk, 0, 1, 100);
    assert!(seen.insert(owner.own_list_digest()));
    let step = owner.due_renewals(at(1000 + half()), None, 9).unwrap();
    world.run(at(1000 + half()), &mut owner, &mut disk, step);
    assert!(seen.insert(owner.own_list_digest()));
    disk.write(&owner.remove(at(1000 + half()), &pack(1)).unwrap());
    assert!(seen.insert(owner.own_list_digest()));
    assert_eq!(disk.owner(0).own_list_digest(), owner.own_list_digest());
}

#[test]
fn witness_command_states_the_list_with_a_stamp_of_its_own() {
    let (mut world, mut owner, mut disk) = new_owner();
    store(&mut world, &mut owner, &mut disk, 0, 1, 100);
    let (crate::Command::Witness(one), _) = owner.witness(at(50));
    let (crate::Command::Witness(two), _) = owner.witness(at(50));
    assert!(one.stamp < two.stamp);
    assert_eq!(one.own_list, owner.own_list_digest());
    assert_eq!((one.objects, one.bytes.0), (1, owner.totals().held_bytes));
    assert!(one.to_bytes().len() < types::limits::COMMAND_LEN_MAX);
}

/// Specification 7.8, 7.9: every chunk is as likely to be asked for as any other.
#[test]
fn draw_reaches_every_chunk_of_a_storer_and_no_other() {
    let (mut world, mut owner, mut disk) = new_owner();
    for id in 0..12 {
        store(&mut world, &mut owner, &mut disk, 0, id, 9000);
    }
    for slot in (1..8).map(Slot) {
        let held: Vec<_> =
            owner.sets().flat_map(|set| set.chunks).filter(|c| c.slot == slot).collect();
        let mut drawn = BTreeSet::new();
        let mut starts = BTreeSet::new();
        for random in 0..500 {
            let Some((chunk, start)) = owner.draw(slot, random) else { break };
            assert!(held.contains(&chunk));
            assert!(crate::slice::is_start(start, chunk.size.0));
            drawn.insert(chunk.chunk);
            starts.insert(start);
        }
        assert_eq!(drawn.len(), held.len());
        assert!(held.is_empty() || starts.len() as u64 == held[0].size.0.div_ceil(1024));
    }
    assert_eq!(owner.draw(Slot(0), 5), None);
}

#[test]
fn chunk_that_a_storer_lost_is_placed_again_and_nothing_is_reserved_twice() {
    let (mut world, mut owner, mut disk) = new_owner();
    store(&mut world, &mut owner, &mut disk, 0, 1, 100);
    let before = owner.totals();
    let lost = owner.lookup(&pack(1)).unwrap().chunks[2];
    let elsewhere = Slot(if lost.slot == Slot(1) { 2 } else { 1 });
    assert_eq!(owner.give_up_chunk(at(5), lost.chunk, elsewhere).unwrap(), None);
    let records = owner.give_up_chunk(at(5), lost.chunk, lost.slot).unwrap().unwrap();
    disk.write(&records);
    assert_eq!(owner.give_up_chunk(at(5), lost.chunk, lost.slot).unwrap(), None, "only once");
    assert_eq!(disk.owner(0).totals(), owner.totals());
    assert_eq!(owner.incomplete().count(), 1);
    let (plan, chunks) = begin(&mut owner, at(6), pack(1), &object(100));
    assert_ne!(plan.slots[2], lost.slot, "the withdrawal there is not confirmed");
    let step = owner.requests(at(6), &plan, &chunks).unwrap();
    assert_eq!(step.errands.len(), 1, "one body is sent");
    world.run(at(6), &mut owner, &mut disk, step);
    for errand in owner.withdrawals(lost.slot, None, 9) {
        let outcome = world.outcome(at(7), &errand);
        disk.write(&owner.apply(&errand, outcome).unwrap().records);
    }
    assert_eq!(owner.totals(), before);
    assert_eq!(owner.incomplete().count(), 0);
}
