//! Crashes: the owner restarts from its records at every transaction, and resumes.

use super::*;

/// One transaction after the other, and what left the machine behind it.
struct Run {
    batches: Vec<Vec<Record>>,
    errands: Vec<(usize, Errand)>,
}

/// Stores an object with one silent storer that is replaced, and removes another one.
fn run(world: &mut World) -> Run {
    let mut owner = Owner::new(owner_config(0)).unwrap();
    let mut run = Run { batches: Vec::new(), errands: Vec::new() };
    let mut now = 0;
    for id in [1, 2] {
        let (mut plan, chunks) = begin(&mut owner, at(now), pack(id), &object(3000));
        let step = owner.requests(at(now), &plan, &chunks).unwrap();
        run.batches.push(step.records);
        for (index, errand) in step.errands.iter().enumerate() {
            now += 10;
            run.errands.push((run.batches.len(), errand.clone()));
            let outcome = world.outcome(at(now), errand);
            if index == 2 {
                continue;
            }
            run.batches.push(owner.apply(errand, outcome).unwrap().records);
        }
        run.batches.push(owner.replace(at(now), &mut plan, 2, &candidates()).unwrap());
        let step = owner.requests(at(now), &plan, &chunks).unwrap();
        run.batches.push(step.records);
        for errand in &step.errands {
            run.errands.push((run.batches.len(), errand.clone()));
            let outcome = world.outcome(at(now), errand);
            run.batches.push(owner.apply(errand, outcome).unwrap().records);
        }
    }
    run.batches.push(owner.remove(at(now), &pack(1)).unwrap());
    run
}

#[test]
fn owner_restarted_at_every_transaction_resumes_and_never_signs_twice() {
    let total = run(&mut World::new()).batches.len();
    assert!(total > 12);
    for cut in 0..=total {
        let mut world = World::new();
        let run = run(&mut world);
        let mut disk = Disk::default();
        run.batches[..cut].iter().for_each(|batch| disk.write(batch));
        let mut owner = disk.owner(0);
        let sent: Vec<&Errand> =
            run.errands.iter().filter(|(at, _)| *at <= cut).map(|(_, errand)| errand).collect();
        check_totals(&owner);
        // The clock was set back by the crash.
        let (plan, chunks) = begin(&mut owner, at(0), pack(2), &object(3000));
        let step = owner.requests(at(0), &plan, &chunks).unwrap();
        for errand in &step.errands {
            check_never_twice(errand, &sent);
        }
        let lates = step.errands.len();
        world.run(at(100), &mut owner, &mut disk, step);
        assert!(owner.info(&pack(2)).unwrap().is_stored(), "cut {cut}, {lates} sent again");
        check_totals(&owner);
        for slot in (1..8).map(Slot) {
            for errand in owner.withdrawals(slot, None, 100) {
                check_never_twice(&errand, &sent);
                let outcome = world.outcome(at(200), &errand);
                disk.write(&owner.apply(&errand, outcome).unwrap().records);
            }
        }
        assert_eq!(owner.withdrawals_open(), 0);
        let got = world.read(at(300), &mut owner, &mut disk, pack(2), &[]);
        assert_eq!(got.unwrap(), object(3000));
        // What is in memory is what a restart finds.
        let again = disk.owner(0);
        assert_eq!(again.own_list_digest(), owner.own_list_digest());
        assert_eq!(again.totals(), owner.totals());
    }
}

/// A statement made after the crash is one made before it, or has a stamp of its own.
fn check_never_twice(errand: &Errand, sent: &[&Errand]) {
    for before in sent {
        let same_stamp = before.info.payload.stamp == errand.info.payload.stamp;
        assert!(!same_stamp || before.info == errand.info, "one stamp for two statements");
    }
}

fn check_totals(owner: &Owner) {
    let totals = owner.totals();
    assert!(totals.held_bytes + totals.pending_bytes <= totals.quota_bytes);
}

#[test]
fn damaged_record_is_refused_with_its_key() {
    let (mut world, mut owner, mut disk) = new_owner();
    store(&mut world, &mut owner, &mut disk, 0, 1, 100);
    let key = Table::Object.key(&pack(1));
    disk.0.get_mut(&key).unwrap().pop();
    let got = Owner::restore(owner_config(0), &disk.0);
    assert!(matches!(got, Err(Error::BadRecord { .. })), "{got:?}");
    disk.0.remove(&key);
    disk.0.insert(vec![99], vec![]);
    assert!(matches!(Owner::restore(owner_config(0), &disk.0), Err(Error::BadRecord { .. })));
}

#[test]
fn restart_with_a_smaller_quota_stops_new_objects_only() {
    let (mut world, mut owner, mut disk) = new_owner();
    store(&mut world, &mut owner, &mut disk, 0, 1, 100);
    let config = OwnerConfig { quota_bytes: 10, ..owner_config(0) };
    let mut owner = Owner::restore(config, &disk.0).unwrap();
    let got = owner.plan_put(at(1), pack(2), 1, &candidates());
    assert!(matches!(got, Err(Error::QuotaFull { left: 0, .. })));
    let (plan, chunks) = begin(&mut owner, at(1), pack(1), &object(100));
    assert!(plan.is_complete());
    assert_eq!(owner.requests(at(1), &plan, &chunks).unwrap().errands, []);
}

#[test]
fn object_begun_with_another_code_is_finished_and_read_with_it() {
    let (mut world, mut owner, mut disk) = new_owner();
    let (plan, chunks) = begin(&mut owner, at(0), pack(1), &object(100));
    disk.write(&owner.requests(at(0), &plan, &chunks).unwrap().records);
    let config = OwnerConfig { x: 6, f: 1, ..owner_config(0) };
    let mut owner = Owner::restore(config, &disk.0).unwrap();
    let plan = owner.plan_put(at(1), pack(1), 100, &candidates()).unwrap();
    assert_eq!((plan.x(), plan.f), (5, 2));
    let maker = owner.maker_for(plan.x(), plan.f).unwrap();
    let chunks = maker.chunks(pack(1), plan.stamp, &object(100)).unwrap();
    let step = owner.requests(at(1), &plan, &chunks).unwrap();
    world.run(at(1), &mut owner, &mut disk, step);
    let got = world.read(at(2), &mut owner, &mut disk, pack(1), &[]);
    assert_eq!(got.unwrap(), object(100));
}
