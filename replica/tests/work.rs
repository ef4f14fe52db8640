//! Level 1 on running members: work is answered or shown not to be, whoever restarts meanwhile (specification 6.1, 5.7).

use net::{Net, NetConfig, Peer};
use replica::types::Decode;
use replica::types::{Hash, Ident, SecretKey, Slot, Stamp};
use replica::work_assign::pom::{Pom, PomKind, verify};
use replica::work_assign::{Answer, Blob, Cap, Kinds, Outcome, Request, State, To, Work};
use replica::{
    Application, BadSnapshot, Clock, Ended, Entry, FileStore, Group, Listen, Params, Parts,
    Replica, Space, Store, WorkEvent, WorkParts, start,
};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

/// Counts what it executes.
#[derive(Default)]
struct Count(u64);

impl Application for Count {
    type Answer = u64;

    fn apply(&mut self, _entry: Entry<'_>) -> u64 {
        self.0 += 1;
        self.0
    }

    fn snapshot(&self) -> Vec<u8> {
        self.0.to_le_bytes().to_vec()
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), BadSnapshot> {
        let bytes = snapshot.try_into().map_err(|_| BadSnapshot("length".into()))?;
        self.0 = u64::from_le_bytes(bytes);
        Ok(())
    }
}

const LONG: Duration = Duration::from_secs(60);

fn key(slot: usize) -> SecretKey {
    SecretKey::from_seed(&[slot as u8 + 1; 32])
}

fn work_params() -> replica::work_assign::Params {
    replica::work_assign::Params {
        max_response_ms: 1500,
        margin_ms: 300,
        rotation_ms: 500,
        open_ms: 100,
        ..Default::default()
    }
}

struct Running {
    replica: Replica<Count>,
    net: Net,
    ended: Ended,
    events: mpsc::UnboundedReceiver<WorkEvent>,
}

struct World {
    group: Group,
    folder: tempfile::TempDir,
    members: Vec<Option<Running>>,
}

impl World {
    fn new() -> Self {
        let sockets: Vec<_> = (0..5).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let list = sockets
            .iter()
            .enumerate()
            .map(|(at, socket)| (key(at).public(), vec![socket.local_addr().unwrap().to_string()]));
        let group = Group::new("work", list.collect()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut world = Self { group, folder, members: Vec::new() };
        for (at, socket) in sockets.into_iter().enumerate() {
            let running = world.run(at, Listen::Socket(socket));
            world.members.push(Some(running));
        }
        world
    }

    fn disk(&self, at: usize) -> PathBuf {
        self.folder.path().join(format!("{at}.redb"))
    }

    fn run(&self, at: usize, listen: Listen) -> Running {
        let (slot, group) = (Slot(at as u16), &self.group);
        let params = Params {
            gamma_ms: 300,
            t0_min_ms: 1000,
            idle_first_ms: 50,
            idle_max_ms: 200,
            ..Params::default()
        };
        let mut config =
            NetConfig::new(slot, *group.roster.group().0.as_bytes(), key(at).seed(), listen);
        config.redial_first = Duration::from_millis(50);
        let peers = (0..5).filter(|peer| *peer != at).map(|peer| Peer {
            slot: Slot(peer as u16),
            key: key(peer).public(),
            addresses: group.addresses[peer].clone(),
        });
        let (net, control, _requests) = Net::start(config, peers.collect()).unwrap();
        let (events, received) = mpsc::unbounded_channel();
        let parts = Parts {
            config: replica::Config {
                roster: group.roster.clone(),
                slot,
                ident: Ident(0),
                params,
                rules: Default::default(),
            },
            key: key(at),
            store: FileStore::open(&self.disk(at)).unwrap(),
            net: net.clone(),
            events: control,
            clock: Clock::start(),
            work: Some(WorkParts {
                params: work_params(),
                legal: Arc::new(|request, _| request.payload.0 != b"unanswerable"),
                events,
            }),
        };
        let (replica, ended) = start(parts, Count::default()).unwrap();
        Running { replica, net, ended, events: received }
    }

    fn at(&mut self, at: usize) -> &mut Running {
        self.members[at].as_mut().unwrap()
    }

    async fn stop(&mut self, at: usize) {
        let running = self.members[at].take().unwrap();
        running.net.shutdown().await;
        running.ended.await.unwrap().unwrap();
    }

    async fn restart(&mut self, at: usize) {
        self.stop(at).await;
        let listen = Listen::Address(self.group.addresses[at][0].clone());
        self.members[at] = Some(self.run(at, listen));
    }

    fn name(&self, work: &Work) -> Hash {
        work.root(self.group.roster.group())
    }
}

fn work(requester: u16, target: u16, what: &str) -> Work {
    let expires = Clock::start().wall().0 + 24 * 3_600_000;
    let request = Request {
        requester: Slot(requester),
        to: To::Member(Slot(target)),
        kinds: Kinds::of(&[1]),
        fields_cap: Cap(64),
        body_cap: Cap(64),
        expires: Stamp(expires),
        payload: Blob(what.as_bytes().to_vec()),
    };
    Work::new(vec![request]).unwrap()
}

/// The first event that the caller wants.
async fn wait<T>(member: &mut Running, mut want: impl FnMut(WorkEvent) -> Option<T>) -> T {
    let found = async {
        loop {
            let event = member.events.recv().await.expect("the member has ended");
            if let Some(found) = want(event) {
                return found;
            }
        }
    };
    timeout(LONG, found).await.expect("an event that does not come")
}

fn asked(event: WorkEvent) -> Option<(Hash, Request)> {
    match event {
        WorkEvent::Perform(name, request) => Some((name, *request)),
        _ => None,
    }
}

fn outcome_of(name: Hash) -> impl FnMut(WorkEvent) -> Option<Outcome> {
    move |event| match event {
        WorkEvent::Deliver(of, _, outcome) if of == name => Some(outcome),
        _ => None,
    }
}

fn in_log(name: Hash) -> impl FnMut(WorkEvent) -> Option<()> {
    move |event| matches!(event, WorkEvent::Assigned(of, _) if of == name).then_some(())
}

fn proofs(disk: &Path) -> Vec<Pom> {
    let store = FileStore::open(disk).unwrap();
    let mut found = Vec::new();
    store
        .scan(Space::Proofs, vec![0]..=vec![255; 64], &mut |_, value| {
            found.push(Pom::from_bytes(value).unwrap());
        })
        .unwrap();
    found
}

/// The target's process ends before it has answered; the answer that it gives afterwards is the only one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn assigned_work_is_performed_after_a_restart_of_target_and_requester() {
    let mut world = World::new();
    let work = work(0, 1, "what is six times seven?");
    let name = world.name(&work);
    world.at(0).replica.assign(work).await.unwrap();
    wait(world.at(0), in_log(name)).await;
    wait(world.at(1), asked).await;
    world.restart(1).await;
    world.restart(0).await;
    let (again, request) = wait(world.at(1), asked).await;
    assert_eq!((again, request.payload.0), (name, b"what is six times seven?".to_vec()));
    let answer = Answer { kind: 1, fields: b"42".to_vec(), body: b"because".to_vec() };
    world.at(1).replica.performed(name, answer).await.unwrap();
    let Outcome::Answer(answered) = wait(world.at(0), outcome_of(name)).await else {
        panic!("an answer was denied");
    };
    assert_eq!(answered.core.payload.fields.0, b"42");
    // Commands of the application go on as before, and those of level 1 are not its.
    assert_eq!(world.at(2).replica.submit("one").await.unwrap().answer, 1);
    for at in 0..5 {
        world.stop(at).await;
        assert!(proofs(&world.disk(at)).is_empty());
    }
}

/// The requester and a witness restart while they wait: the deadlines go on, and the certificate of the assignment is
/// still there, although the log needs it no more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn member_that_does_not_answer_is_convicted_by_what_the_others_keep_across_restarts() {
    let mut world = World::new();
    let work = work(0, 3, "answer me");
    let name = world.name(&work);
    world.at(0).replica.assign(work).await.unwrap();
    wait(world.at(0), in_log(name)).await;
    wait(world.at(3), asked).await;
    world.restart(0).await;
    world.restart(2).await;
    // The log is not held up by whoever owes an answer, nor by the members that wait for it.
    for at in [1, 3] {
        timeout(LONG, world.at(at).replica.submit("go on")).await.unwrap().unwrap();
    }
    let Outcome::Denied(cert) = wait(world.at(0), outcome_of(name)).await else {
        panic!("nobody answered");
    };
    assert_eq!((cert.target, cert.requester), (Slot(3), Slot(0)));
    // The proof is durable with the event or soon after.
    sleep(Duration::from_millis(300)).await;
    let roster = world.group.roster.clone();
    for at in 0..5 {
        world.stop(at).await;
        for pom in proofs(&world.disk(at)) {
            let found = verify(&pom, &roster, &work_params()).unwrap();
            assert_eq!((found.accused, found.kind), (Slot(3), PomKind::NoEvidence));
        }
    }
    assert_eq!(proofs(&world.disk(0)).len(), 1, "the requester holds the proof");
}

/// Enough instances for several snapshots, with restarts at moments that nothing prepares: the state of level 1 is in
/// the checkpoints, which are compared by all (an alarm would end a member).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn state_of_level_one_is_the_same_after_replays_as_at_those_that_never_stopped() {
    let mut world = World::new();
    for round in 0..6 {
        let work = work(0, 1 + round % 4, &format!("request {round}"));
        let name = world.name(&work);
        world.at(0).replica.assign(work).await.unwrap();
        for at in 0..5 {
            world.at(at).replica.submit("x").await.unwrap();
        }
        let target = usize::from(1 + round % 4);
        let (asked, _) = wait(world.at(target), asked).await;
        assert_eq!(asked, name);
        let answer = Answer { kind: 1, fields: vec![round as u8], body: Vec::new() };
        world.at(target).replica.performed(name, answer).await.unwrap();
        let outcome = wait(world.at(0), outcome_of(name)).await;
        assert!(matches!(outcome, Outcome::Answer(_)));
        world.restart(2).await;
    }
    // More than a snapshot's distance, so that everybody has one after the last assignment.
    for _ in 0..24 {
        world.at(0).replica.submit("x").await.unwrap();
    }
    let longest = (0..5).map(|at| world.at(at).replica.decided()).max().unwrap();
    for at in 0..5 {
        let behind = async {
            while world.members[at].as_ref().unwrap().replica.decided() < longest {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(LONG, behind).await.unwrap();
        assert_eq!(world.at(at).replica.read(|count| count.0), 30 + 24);
        world.stop(at).await;
    }
    let accounts: Vec<_> = (0..5)
        .map(|at| {
            let store = FileStore::open(&world.disk(at)).unwrap();
            assert!(store.get(Space::Applied, b"alarm").unwrap().is_none());
            let state = store.get(Space::Applied, b"work").unwrap().expect("a snapshot");
            State::from_bytes(&state).unwrap().account(Slot(0))
        })
        .collect();
    assert_ne!(accounts[0], Default::default(), "six assignments were charged");
    assert!(accounts.iter().all(|account| *account == accounts[0]), "{accounts:?}");
}

/// What no honest member can answer is not assigned, whoever asks; what was queued behind it goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_that_cannot_be_answered_does_not_come_into_the_log() {
    let mut world = World::new();
    let (bad, good) = (work(0, 1, "unanswerable"), work(0, 1, "answerable"));
    let (bad_name, good_name) = (world.name(&bad), world.name(&good));
    world.at(0).replica.assign(bad).await.unwrap();
    world.at(0).replica.assign(good).await.unwrap();
    world.at(0).replica.submit("x").await.unwrap();
    let first = wait(world.at(0), |event| match event {
        WorkEvent::Assigned(name, _) => Some(name),
        _ => None,
    });
    assert_eq!(first.await, good_name);
    let (asked, _) = wait(world.at(1), asked).await;
    assert_eq!(asked, good_name);
    assert_ne!(asked, bad_name);
    for at in 0..5 {
        world.stop(at).await;
    }
}
