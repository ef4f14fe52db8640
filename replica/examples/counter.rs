//! A counter that five members keep together: each adds, all see the same sums in the same order.
//!
//! `cargo run --release -p replica --example counter`. The members share a process here; in the field each
//! runs `open` on a machine of its own with the same `Group`. Links are TLS over TCP either way.

use replica::types::SecretKey;
use replica::{Application, BadSnapshot, Entry, Group, Listen, Member, MemberConfig, Params, open};
use std::error::Error;
use std::net::TcpListener;

/// The state. A command is a number to add, the answer is the sum.
#[derive(Default)]
struct Counter(u64);

impl Application for Counter {
    type Answer = u64;

    fn apply(&mut self, entry: Entry<'_>) -> u64 {
        // Any member may have put any bytes here: what is no number adds nothing.
        let amount = entry.command.try_into().map_or(0, u64::from_le_bytes);
        self.0 = self.0.wrapping_add(amount);
        self.0
    }

    fn snapshot(&self) -> Vec<u8> {
        self.0.to_le_bytes().to_vec()
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), BadSnapshot> {
        let bytes = snapshot.try_into().map_err(|_| BadSnapshot("not eight bytes".into()))?;
        self.0 = u64::from_le_bytes(bytes);
        Ok(())
    }
}

/// Five members on ports of this machine, with their folders below `data`.
fn start(data: &std::path::Path) -> Result<Vec<Member<Counter>>, Box<dyn Error>> {
    // Keys from fixed seeds, for show. Real members draw theirs at random and keep them secret.
    let keys: Vec<SecretKey> = (1..=5).map(|seed| SecretKey::from_seed(&[seed; 32])).collect();
    let sockets: Vec<TcpListener> =
        keys.iter().map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<_, _>>()?;
    let mut list = Vec::new();
    for (key, socket) in keys.iter().zip(&sockets) {
        list.push((key.public(), vec![socket.local_addr()?.to_string()]));
    }
    let group = Group::new("counter", list)?;
    let mut members = Vec::new();
    for (index, (key, socket)) in keys.into_iter().zip(sockets).enumerate() {
        let data = data.join(index.to_string());
        std::fs::create_dir_all(&data)?;
        let (group, listen) = (group.clone(), Listen::Socket(socket));
        let config = MemberConfig { group, key, listen, data, params: Params::default() };
        members.push(open(config, Counter::default())?);
    }
    Ok(members)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let members = start(folder.path())?;
    let mut expected = 0;
    for (index, member) in members.iter().enumerate() {
        let amount = 10 * (index as u64 + 1);
        let decided = member.submit(amount.to_le_bytes()).await?;
        println!("member {index} adds {amount} in {}: {}", decided.inst, decided.answer);
        expected += amount;
    }
    // An answer means decided and executed *here*; the others are a message or two behind.
    for member in &members {
        while member.read(|counter| counter.0) < expected {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        assert_eq!(member.read(|counter| counter.0), expected);
    }
    println!("all five members count {expected}");
    for member in members {
        member.shutdown().await?;
    }
    Ok(())
}

#[test]
fn counter_example_runs() {
    main().unwrap();
}
