//! One member of a benchmark of the state machine, as a process of its own: it obeys lines on its
//! standard input and ends with it.
//!
//! | line | answer, as JSON |
//! | --- | --- |
//! | (start) | `{}` when all links are up |
//! | `load WORKERS MILLISECONDS BYTES` | latencies of the commands decided meanwhile |
//! | `stats` | counters and times of the member |
//! | `units` | microseconds to sign and to verify once |

use crate::error::{CliError, Code};
use clap::{Args, ValueEnum};
use replica::types::{Epoch, GroupId, Hash, Header, Ident, Instance, Kind, SecretKey, Slot, Turn};
use replica::{
    Application, BadSnapshot, Entry, Error, Group, Listen, Member, MemberConfig, Params, open,
    open_with,
};
use serde_json::{Value, json};
use std::io::BufRead;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Which state machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Engine {
    /// This project's.
    Bart,
    /// The yardstick without incentives.
    Baseline,
}

impl Engine {
    /// Its name on the command line and in results.
    pub fn name(self) -> &'static str {
        match self {
            Engine::Bart => "bart",
            Engine::Baseline => "baseline",
        }
    }
}

/// Flags of the hidden `pib bench rsm-member`.
#[derive(Debug, Args)]
pub struct RsmMember {
    /// Which state machine
    #[arg(long)]
    engine: Engine,
    /// This member's place in the list
    #[arg(long)]
    slot: usize,
    /// Where the members listen, in the order of their slots
    #[arg(long, value_delimiter = ',')]
    addresses: Vec<String>,
    /// An empty folder
    #[arg(long)]
    dir: PathBuf,
}

/// Only the order matters here.
struct Nothing;

impl Application for Nothing {
    type Answer = ();

    fn apply(&mut self, _entry: Entry<'_>) {}

    fn snapshot(&self) -> Vec<u8> {
        Vec::new()
    }

    fn restore(&mut self, _snapshot: &[u8]) -> Result<(), BadSnapshot> {
        Ok(())
    }
}

fn key(slot: usize) -> SecretKey {
    SecretKey::from_seed(&Hash::tagged("bench member", &slot.to_le_bytes()).0)
}

fn failed(error: impl std::fmt::Display) -> CliError {
    CliError::new(Code::Failed, error.to_string())
}

/// Runs until standard input ends.
pub fn run(flags: &RsmMember) -> Result<(), CliError> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(failed)?;
    runtime.block_on(async {
        let member = start(flags)?;
        while !member.net().peer_status().iter().all(|peer| peer.control_up) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        println!("{{}}");
        let (lines, mut wanted) = tokio::sync::mpsc::channel(1);
        std::thread::spawn(move || {
            for line in std::io::stdin().lock().lines().map_while(Result::ok) {
                if lines.blocking_send(line).is_err() {
                    return;
                }
            }
        });
        while let Some(line) = wanted.recv().await {
            println!("{}", obey(&member, &line).await?);
        }
        Ok(())
    })
}

fn start(flags: &RsmMember) -> Result<Member<Nothing>, CliError> {
    let members = flags.addresses.iter().enumerate();
    let members = members.map(|(slot, address)| (key(slot).public(), vec![address.clone()]));
    let group = Group::new("bench", members.collect()).map_err(failed)?;
    let address = flags.addresses.get(flags.slot).ok_or_else(|| failed("no such slot"))?;
    let config = MemberConfig {
        group,
        key: key(flags.slot),
        listen: Listen::Address(address.clone()),
        data: flags.dir.clone(),
        // A member that was not there yet when it was dialled is dialled again soon.
        params: Params { gamma_ms: 1000, ..Params::default() },
    };
    match flags.engine {
        Engine::Bart => open(config, Nothing),
        Engine::Baseline => open_with(config, Nothing, |config, key, records| {
            if !records.is_empty() {
                return Err(Error::Config("the baseline does not restart".into()));
            }
            baseline::Baseline::new(config, key).map_err(|error| Error::Config(error.to_string()))
        }),
    }
    .map_err(failed)
}

async fn obey(member: &Member<Nothing>, line: &str) -> Result<Value, CliError> {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words[..] {
        ["load", workers, span_ms, bytes] => {
            let workers = workers.parse().map_err(failed)?;
            let span = Duration::from_millis(span_ms.parse().map_err(failed)?);
            load(member, workers, span, bytes.parse().map_err(failed)?).await
        }
        ["stats"] => Ok(stats(member)),
        ["units"] => Ok(units()),
        _ => Err(failed(format!("unknown line: {line}"))),
    }
}

fn stats(member: &Member<Nothing>) -> Value {
    let stats = member.stats();
    member.forget_latencies();
    json!({
        "instances": stats.instances,
        "nulls": stats.nulls,
        "latency_p50_ms": stats.latency_p50_ms,
        "latency_p99_ms": stats.latency_p99_ms,
        "samples": stats.samples,
        "stepping_us": stats.times.stepping_us,
        "disk_us": stats.times.disk_us,
        "waiting_us": stats.times.waiting_us,
        "signatures": stats.times.signatures,
        "verifications": stats.times.verifications,
    })
}

/// What one signature costs on this machine now: the median of many.
fn units() -> Value {
    let (key, group) = (key(0), GroupId(Hash::ZERO));
    let header = Header {
        kind: Kind::AgreeAck,
        epoch: Epoch(0),
        inst: Instance(0),
        turn: Turn(0),
        slot: Slot(0),
        ident: Ident(0),
    };
    let payload = [7; 64];
    let signature = key.sign(&group, &header, &payload);
    let public = key.public();
    let median = |step: &dyn Fn()| {
        let one = |_| {
            let began = Instant::now();
            step();
            began.elapsed().as_secs_f64() * 1e6
        };
        super::runs::percentile((0..301).map(one).collect(), 50.0)
    };
    let sign_us = median(&|| {
        std::hint::black_box(key.sign(&group, &header, &payload));
    });
    let verify_us = median(&|| {
        let verdict = public.verify(&group, &header, &payload, &signature);
        assert!(std::hint::black_box(verdict).is_ok());
    });
    json!({ "sign_us": sign_us, "verify_us": verify_us })
}

/// `workers` submit one command after the other.
async fn load(
    member: &Member<Nothing>,
    workers: usize,
    span: Duration,
    bytes: usize,
) -> Result<Value, CliError> {
    let until = Instant::now() + span;
    let mut tasks = JoinSet::new();
    for worker in 0..workers {
        let replica = member.replica().clone();
        tasks.spawn(async move {
            let command = vec![worker as u8; bytes];
            let mut latencies_ms = Vec::new();
            while Instant::now() < until {
                let began = Instant::now();
                match replica.submit(command.clone()).await {
                    Ok(_) => latencies_ms.push(began.elapsed().as_secs_f64() * 1000.0),
                    // More than the member's queue takes: that is the load's fault.
                    Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            }
            latencies_ms
        });
    }
    let mut all = Vec::new();
    while let Some(latencies_ms) = tasks.join_next().await {
        all.extend(latencies_ms.map_err(failed)?);
    }
    Ok(json!({
        "commands": all.len(),
        "command_p50_ms": super::runs::percentile(all.clone(), 50.0),
        "command_p99_ms": super::runs::percentile(all, 99.0),
    }))
}
