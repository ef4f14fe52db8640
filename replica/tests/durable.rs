//! Nothing is sent or answered before what it rests on is durable, also while the next inputs are stepped.

use net::{Listen, Net, NetConfig, Peer};
use replica::types::{Ident, SecretKey, Slot};
use replica::{
    Application, BadSnapshot, Clock, Entry, FileStore, Group, Member, MemberConfig, Params, Parts,
    Space, Store, StoreError, Write, open, start,
};
use std::net::TcpListener;
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// Who sent what, in order.
#[derive(Default)]
struct Log(Vec<(Slot, Vec<u8>)>);

impl Application for Log {
    type Answer = usize;

    fn apply(&mut self, entry: Entry<'_>) -> usize {
        self.0.push((entry.sender, entry.command.to_vec()));
        self.0.len()
    }

    fn snapshot(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (sender, command) in &self.0 {
            out.push(sender.0 as u8);
            out.push(command.len() as u8);
            out.extend_from_slice(command);
        }
        out
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), BadSnapshot> {
        self.0.clear();
        let mut rest = snapshot;
        while let [sender, len, tail @ ..] = rest {
            let (command, tail) = tail.split_at(usize::from(*len));
            self.0.push((Slot(u16::from(*sender)), command.to_vec()));
            rest = tail;
        }
        Ok(())
    }
}

/// A disk whose syncs return only while the gate is open.
struct Gated {
    store: FileStore,
    open: watch::Receiver<bool>,
}

impl Store for Gated {
    fn commit(
        &self,
        writes: Vec<Write>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send + 'static {
        let (done, mut open) = (self.store.commit(writes), self.open.clone());
        async move {
            open.wait_for(|open| *open).await.map_err(|_| StoreError("gate".into()))?;
            done.await
        }
    }

    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.get(space, key)
    }

    fn scan(
        &self,
        space: Space,
        range: RangeInclusive<Vec<u8>>,
        visit: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<(), StoreError> {
        self.store.scan(space, range, visit)
    }

    fn last_key(
        &self,
        space: Space,
        range: RangeInclusive<Vec<u8>>,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.last_key(space, range)
    }
}

fn key(slot: usize) -> SecretKey {
    SecretKey::from_seed(&[slot as u8 + 1; 32])
}

fn group() -> (Group, Vec<TcpListener>) {
    let sockets: Vec<_> = (0..5).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let address = |socket: &TcpListener| vec![socket.local_addr().unwrap().to_string()];
    let list = sockets.iter().enumerate().map(|(at, socket)| (key(at).public(), address(socket)));
    (Group::new("durable", list.collect()).unwrap(), sockets)
}

fn params() -> Params {
    Params { gamma_ms: 500, t0_min_ms: 1000, ..Params::default() }
}

fn member(group: &Group, at: usize, listen: Listen, data: &Path) -> Member<Log> {
    let data = data.join(at.to_string());
    std::fs::create_dir_all(&data).unwrap();
    let group = group.clone();
    open(MemberConfig { group, key: key(at), listen, data, params: params() }, Log::default())
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn member_whose_disk_hangs_says_nothing_until_it_is_durable() {
    let folder = tempfile::tempdir().unwrap();
    let (group, mut sockets) = group();
    let mut others = Vec::new();
    for at in (1..5).rev() {
        let listen = Listen::Socket(sockets.pop().unwrap());
        others.push(member(&group, at, listen, folder.path()));
    }
    let (gate, open) = watch::channel(true);
    let roster = group.roster.clone();
    let peers = (1..5).map(|at| Peer {
        slot: Slot(at),
        key: key(usize::from(at)).public(),
        addresses: group.addresses[usize::from(at)].clone(),
    });
    let listen = Listen::Socket(sockets.pop().unwrap());
    let links = NetConfig::new(Slot(0), *roster.group().0.as_bytes(), key(0).seed(), listen);
    let (net, events, _requests) = Net::start(links, peers.collect()).unwrap();
    let config = replica::Config {
        roster,
        slot: Slot(0),
        ident: Ident(0),
        params: params(),
        rules: Default::default(),
    };
    let store = Gated { store: FileStore::open(&folder.path().join("gated")).unwrap(), open };
    let parts = Parts { config, key: key(0), store, net, events, clock: Clock::start() };
    let (slow, _ended) = start(parts, Log::default()).unwrap();
    assert_eq!(slow.submit("first").await.unwrap().answer, 1);

    gate.send_replace(false);
    let waiting = slow.clone();
    let mut answer = tokio::spawn(async move { waiting.submit("second").await });
    // The others go on meanwhile, and must not see what its disk has not confirmed.
    assert!(others[0].submit("theirs").await.is_ok());
    sleep(Duration::from_secs(1)).await;
    assert!(timeout(Duration::ZERO, &mut answer).await.is_err(), "answered before it was durable");
    for other in &others {
        let seen = other.read(|log| log.0.iter().any(|(_, command)| command == b"second"));
        assert!(!seen, "sent before it was durable");
    }
    gate.send_replace(true);
    timeout(Duration::from_secs(60), answer).await.unwrap().unwrap().unwrap();
}

/// More instances than lie between two snapshots, and a stop at a moment that nothing prepares.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn member_that_restarts_executes_what_its_last_snapshot_lacks_and_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    let (group, sockets) = group();
    let mut members: Vec<_> = sockets
        .into_iter()
        .enumerate()
        .map(|(at, socket)| member(&group, at, Listen::Socket(socket), folder.path()))
        .collect();
    for round in 0..9u8 {
        for member in &members {
            member.submit(vec![round]).await.unwrap();
        }
        if round % 3 == 1 {
            members.pop().unwrap().shutdown().await.unwrap();
            let listen = Listen::Address(group.addresses[4][0].clone());
            members.push(member(&group, 4, listen, folder.path()));
        }
    }
    let longest = members.iter().map(|member| member.decided()).max().unwrap();
    for member in &members {
        timeout(Duration::from_secs(60), async {
            while member.decided() < longest {
                sleep(Duration::from_millis(5)).await;
            }
        })
        .await
        .unwrap();
        let log = member.read(|log| log.0.clone());
        assert_eq!(log.len(), 45, "each command once");
        assert_eq!(log, members[0].read(|log| log.0.clone()));
    }
}
