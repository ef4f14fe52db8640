//! Nothing is sent or answered before what it rests on is durable, also while the next inputs are stepped.

use bart_rsm::{Effect, Input, Machine, Now, RecordKey, Stats, Step};
use net::{Listen, Net, NetConfig, NetEvent, Peer};
use replica::types::{Decode, Ident, Instance, Millis, SecretKey, Slot};
use replica::{
    Application, BadSnapshot, Clock, Entry, FileStore, Group, Member, MemberConfig, Params, Parts,
    Record, Space, Store, StoreError, Write, open, start_with,
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

/// Speaks when it is told to, with a record before or without.
struct Speaker {
    said: u64,
}

impl Machine for Speaker {
    type Message = Instance;

    fn start(&mut self, _now: Now) -> Step<Instance> {
        Step::default()
    }

    fn handle(&mut self, _now: Now, input: Input<Instance>) -> Step<Instance> {
        let mut step = Step::default();
        if let Input::Submit { command, .. } = input {
            self.said += 1;
            if command == b"promise" {
                let record = Record { key: RecordKey::Log, value: vec![self.said as u8] };
                step.effects.push(Effect::Persist(record));
            }
            step.effects.push(Effect::Send { to: Slot(1), message: Instance(self.said) });
        }
        step
    }

    fn next_wakeup(&self) -> Option<Millis> {
        None
    }

    fn stats(&self) -> Stats {
        Stats::default()
    }
}

/// Starts one side of a pair, which knows the other.
fn links(group: &Group, at: u16, socket: TcpListener) -> (Net, net::ControlReceiver) {
    let other = 1 - at;
    let peer = Peer {
        slot: Slot(other),
        key: key(usize::from(other)).public(),
        addresses: group.addresses[usize::from(other)].clone(),
    };
    let id = *group.roster.group().0.as_bytes();
    let links = NetConfig::new(Slot(at), id, key(usize::from(at)).seed(), Listen::Socket(socket));
    let (net, events, _requests) = Net::start(links, vec![peer]).unwrap();
    (net, events)
}

/// What arrives within a moment.
async fn heard(events: &mut net::ControlReceiver) -> Option<Instance> {
    let frame = timeout(Duration::from_millis(300), async {
        loop {
            if let Some(NetEvent::Control { frame, .. }) = events.recv().await {
                return frame;
            }
        }
    });
    frame.await.ok().map(|frame| Instance::from_bytes(&frame[1..]).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn member_whose_disk_hangs_says_nothing_until_it_is_durable() {
    let folder = tempfile::tempdir().unwrap();
    let (group, sockets) = group();
    let mut sockets = sockets.into_iter();
    let (net, events) = links(&group, 0, sockets.next().unwrap());
    let (listener, mut ears) = links(&group, 1, sockets.next().unwrap());
    while !listener.peer_status().iter().all(|peer| peer.control_up) {
        sleep(Duration::from_millis(5)).await;
    }
    let (gate, open) = watch::channel(true);
    let config = replica::Config {
        roster: group.roster.clone(),
        slot: Slot(0),
        ident: Ident(0),
        params: params(),
        rules: Default::default(),
    };
    let store = Gated { store: FileStore::open(&folder.path().join("gated")).unwrap(), open };
    let parts =
        Parts { config, key: key(0), store, net, events, clock: Clock::start(), work: None };
    let speaker = |_, _, _| Ok(Speaker { said: 0 });
    let (member, _ended) = start_with(parts, Log::default(), speaker).unwrap();
    // It answers nobody: only what it says counts.
    let tell = |command: &'static str| {
        let member = member.clone();
        tokio::spawn(async move { member.submit(command).await });
    };
    tell("promise");
    assert_eq!(heard(&mut ears).await, Some(Instance(1)));
    gate.send_replace(false);
    tell("promise");
    assert_eq!(heard(&mut ears).await, None, "sent before its record was durable");
    tell("chat");
    assert_eq!(heard(&mut ears).await, None, "overtook what was said before");
    tell("promise");
    assert_eq!(heard(&mut ears).await, None, "sent before its record was durable");
    gate.send_replace(true);
    for said in 2..=4 {
        assert_eq!(heard(&mut ears).await, Some(Instance(said)));
    }
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
