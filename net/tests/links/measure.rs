//! Measurements, not tests: `cargo test --release -p net -- --ignored --nocapture measure`.

use std::time::{Duration, Instant};

use types::Slot;

use crate::support::*;

/// Processor time of this process so far.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("procfs");
    let after_name = stat.rsplit(')').next().expect("a name in brackets");
    let mut fields = after_name.split_whitespace().skip(11);
    let mut ticks = || fields.next().and_then(|field| field.parse::<u64>().ok()).expect("ticks");
    Duration::from_millis((ticks() + ticks()) * 10)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn measure_bulk_throughput() {
    let mut pair = pair(|_| ());
    both_up(&mut pair).await;
    let mut requests = pair.1.requests.take().expect("not taken");
    tokio::spawn(async move {
        while let Some(incoming) = requests.recv().await {
            incoming.responder.respond(&b"stored"[..]).expect("up");
        }
    });
    let body = bytes::Bytes::from(vec![7; 4 << 20]);
    let (started, cpu_before) = (Instant::now(), cpu());
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (net, body) = (pair.0.net.clone(), body.clone());
        asking.spawn(async move {
            for _ in 0..64 {
                net.request(Slot(1), body.clone(), PATIENCE).await.expect("answered");
            }
        });
    }
    while let Some(done) = asking.join_next().await {
        done.expect("no panic");
    }
    let (took, cpu) = (started.elapsed(), cpu() - cpu_before);
    let mib = 8.0 * 64.0 * 4.0;
    println!(
        "bulk: {:.0} MiB/s, {:.0} MiB per processor second (both ends)",
        mib / took.as_secs_f64(),
        mib / cpu.as_secs_f64()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn measure_control_round_trip() {
    let mut pair = pair(|_| ());
    both_up(&mut pair).await;
    let (one, mut events) = (pair.1.net.clone(), pair.1.events);
    tokio::spawn(async move {
        while let Some(event) = events.recv().await {
            if let net::NetEvent::Control { from, frame } = event {
                one.send(from, frame).expect("up");
            }
        }
    });
    let rounds = 5000u32;
    let started = Instant::now();
    for _ in 0..rounds {
        pair.0.net.send(Slot(1), vec![1; 1024]).expect("up");
        pair.0.frame().await;
    }
    println!("control: {:?} for a round trip of 1 KiB", started.elapsed() / rounds);
}
