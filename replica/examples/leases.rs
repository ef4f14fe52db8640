//! A lease service: names that one holder at a time may hold until a moment of the log's own time, with a
//! rising token that a guarded resource can check. Nothing about backup; state, time and restart of its own.
//!
//! `cargo run --release -p replica --example leases`
//!
//! What it shows: 1. time comes from the log ([`Entry::tau`]), so that all members agree when a lease ends;
//! 2. a repeated command is executed once ([`Once`]); 3. a member that was away comes back from its disk and
//! the others to the same state.

use replica::types::{Decode, DecodeError, Encode, Reader, SecretKey, Slot, Writer};
use replica::{
    Application, BadSnapshot, Entry, Executed, Group, Listen, Member, MemberConfig, Numbered, Once,
    Params, open,
};
use std::collections::BTreeMap;
use std::error::Error;
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

/// What a member asks for.
enum Command {
    /// Hold a name for some milliseconds from now, or longer than before.
    Take { name: String, span_ms: u64 },
    /// Let go of it early.
    Drop { name: String },
}

/// What it is told.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    /// Held by the asker until `until_ms`. Every grant to a new holder has a higher token.
    Granted { until_ms: u64, token: u64 },
    /// Held by somebody else.
    Held { by: Slot, until_ms: u64 },
    /// Free now.
    Dropped,
    /// Not a command, not the holder, or too many names.
    Refused,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Lease {
    holder: Slot,
    until_ms: u64,
    token: u64,
}

/// The replicated state.
#[derive(Debug, Default, PartialEq, Eq)]
struct Leases {
    held: BTreeMap<String, Lease>,
    tokens: u64,
}

const NAME_LEN_MAX: usize = 64;
/// Names held at once. Everything has a bound.
const NAMES_MAX: usize = 1000;

impl Encode for Command {
    fn encode(&self, out: &mut Writer) {
        let (code, name, span_ms) = match self {
            Command::Take { name, span_ms } => (1, name, *span_ms),
            Command::Drop { name } => (2, name, 0),
        };
        out.u8(code);
        out.u64(span_ms);
        out.bytes(name.as_bytes());
    }
}

impl Decode for Command {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (code, span_ms) = (input.u8()?, input.u64()?);
        let name = input.string("name", NAME_LEN_MAX)?;
        match code {
            1 => Ok(Command::Take { name, span_ms }),
            2 => Ok(Command::Drop { name }),
            _ => Err(DecodeError::Malformed("command")),
        }
    }
}

impl Leases {
    fn take(&mut self, sender: Slot, now_ms: u64, name: String, span_ms: u64) -> Answer {
        let until_ms = now_ms.saturating_add(span_ms);
        if let Some(lease) = self.held.get_mut(&name) {
            if lease.holder != sender {
                return Answer::Held { by: lease.holder, until_ms: lease.until_ms };
            }
            lease.until_ms = lease.until_ms.max(until_ms);
            return Answer::Granted { until_ms: lease.until_ms, token: lease.token };
        }
        if self.held.len() >= NAMES_MAX {
            return Answer::Refused;
        }
        self.tokens += 1;
        self.held.insert(name, Lease { holder: sender, until_ms, token: self.tokens });
        Answer::Granted { until_ms, token: self.tokens }
    }

    fn release(&mut self, sender: Slot, name: &str) -> Answer {
        match self.held.get(name) {
            Some(lease) if lease.holder == sender => {
                self.held.remove(name);
                Answer::Dropped
            }
            _ => Answer::Refused,
        }
    }
}

impl Application for Leases {
    type Answer = Answer;

    fn apply(&mut self, entry: Entry<'_>) -> Answer {
        let now_ms = entry.tau.0;
        self.held.retain(|_, lease| lease.until_ms > now_ms);
        match Command::from_bytes(entry.command) {
            Ok(Command::Take { name, span_ms }) => self.take(entry.sender, now_ms, name, span_ms),
            Ok(Command::Drop { name }) => self.release(entry.sender, &name),
            Err(_) => Answer::Refused,
        }
    }

    fn snapshot(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.u64(self.tokens);
        out.count(self.held.len());
        for (name, lease) in &self.held {
            out.bytes(name.as_bytes());
            out.put(&lease.holder);
            out.u64(lease.until_ms);
            out.u64(lease.token);
        }
        out.finish()
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), BadSnapshot> {
        *self = read(snapshot).map_err(|error| BadSnapshot(error.to_string()))?;
        Ok(())
    }
}

fn read(snapshot: &[u8]) -> Result<Leases, DecodeError> {
    let mut input = Reader::new(snapshot);
    let mut leases = Leases { tokens: input.u64()?, held: BTreeMap::new() };
    for _ in 0..input.count("leases", NAMES_MAX)? {
        let name = input.string("name", NAME_LEN_MAX)?;
        let (holder, until_ms, token) = (input.get()?, input.u64()?, input.u64()?);
        leases.held.insert(name, Lease { holder, until_ms, token });
    }
    input.finish()?;
    Ok(leases)
}

type Service = Member<Once<Leases>>;

fn key(index: usize) -> SecretKey {
    SecretKey::from_seed(&[index as u8 + 1; 32]) // for show: real keys are random and secret
}

fn start(
    group: &Group,
    index: usize,
    listen: Listen,
    data: &Path,
) -> Result<Service, Box<dyn Error>> {
    let data = data.join(index.to_string());
    std::fs::create_dir_all(&data)?;
    // Nobody waits for long here; a real group keeps the defaults.
    let params = Params { gamma_ms: 500, t0_min_ms: 1000, ..Params::default() };
    let config = MemberConfig { group: group.clone(), key: key(index), listen, data, params };
    Ok(open(config, Once::new(Leases::default()))?)
}

/// Submits under a number: who repeats the call with the same number gets `Executed::Before`.
async fn ask(
    member: &Service,
    number: u64,
    command: Command,
) -> Result<Executed<Answer>, Box<dyn Error>> {
    let command = Numbered { number, command: command.to_bytes() };
    let decided = member.submit(command).await?;
    println!("  command {number} in {}: {:?}", decided.inst, decided.answer);
    Ok(decided.answer)
}

fn take(span_ms: u64) -> Command {
    Command::Take { name: "printer".into(), span_ms }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let data = folder.path();
    let mut sockets = Vec::new();
    let mut list = Vec::new();
    for index in 0..5 {
        let socket = TcpListener::bind("127.0.0.1:0")?;
        list.push((key(index).public(), vec![socket.local_addr()?.to_string()]));
        sockets.push(socket);
    }
    let group = Group::new("leases", list)?;
    let mut members = Vec::new();
    for (index, socket) in sockets.into_iter().enumerate() {
        members.push(start(&group, index, Listen::Socket(socket), data)?);
    }

    println!("member 0 takes the printer for an hour; member 1 cannot have it");
    let granted = ask(&members[0], 1, take(3_600_000)).await?;
    assert!(matches!(granted, Executed::Now(Answer::Granted { token: 1, .. })));
    let held = ask(&members[1], 1, take(1000)).await?;
    assert!(matches!(held, Executed::Now(Answer::Held { by: Slot(0), .. })));
    println!("member 0 asks again under the old number: nothing happens a second time");
    assert_eq!(ask(&members[0], 1, take(3_600_000)).await?, Executed::Before);

    println!("member 4 goes away; member 0 lets go; member 1 takes the printer for half a second");
    members.pop().ok_or("five members")?.shutdown().await?;
    let release = Command::Drop { name: "printer".into() };
    assert_eq!(ask(&members[0], 2, release).await?, Executed::Now(Answer::Dropped));
    let granted = ask(&members[1], 2, take(500)).await?;
    assert!(matches!(granted, Executed::Now(Answer::Granted { token: 2, .. })));
    tokio::time::sleep(Duration::from_millis(1000)).await;

    println!("member 4 comes back from its disk, and takes the printer: the lease has ended");
    let address = group.addresses[4][0].clone();
    members.push(start(&group, 4, Listen::Address(address), data)?);
    let mut number = 0;
    loop {
        number += 1;
        match ask(&members[4], number, take(60_000)).await? {
            Executed::Now(Answer::Granted { token: 3, .. }) => break,
            // The log's time is a median of what members said in their turns: it follows the clocks.
            Executed::Now(Answer::Held { by: Slot(1), .. }) => {}
            other => return Err(format!("not expected: {other:?}").into()),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    let target = members[4].decided();
    for member in &members {
        while member.decided() < target {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(member.read(|once| once.app().tokens), 3);
    }
    println!("all members agree on {} granted leases", 3);
    for member in members {
        member.shutdown().await?;
    }
    Ok(())
}

#[test]
fn leases_example_runs() {
    main().unwrap();
}
