//! `pib bench rsm`: the replicated state machine alone.

use super::runs::percentile;
use super::{Rsm, emit, spec, work_folder};
use crate::error::{CliError, Code};
use crate::harness::{Group, Interrupt};
use crate::output::Output;
use bytes::Bytes;
use node::client::{Client, ClientError};
use node::wire::RsmStats;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

const LINK_PATIENCE: Duration = Duration::from_secs(180);
/// The first part of the load is not counted: idle members are still speeding up.
const WARM_UP: Duration = Duration::from_secs(2);

/// Runs the benchmark for each size of group.
pub fn run(output: Output, flags: &Rsm, interrupt: Interrupt) -> Result<(), CliError> {
    let largest = types::limits::COMMAND_LEN_MAX as u64;
    if flags.command_size == 0 || flags.command_size > largest {
        return Err(CliError::new(Code::Usage, "a command of this size is not possible")
            .hint(format!("use --command-size 1 to {largest}")));
    }
    for &nodes in &flags.nodes {
        interrupt.check()?;
        one(output, flags, usize::from(nodes), interrupt.clone())?;
    }
    Ok(())
}

fn one(output: Output, flags: &Rsm, nodes: usize, interrupt: Interrupt) -> Result<(), CliError> {
    let folder = work_folder(None)?;
    let faulty = types::Quorum::largest_f(nodes);
    let mut group =
        Group::found(spec(folder.path(), nodes, faulty, String::new())?, interrupt.clone())?;
    // One command at a time by one member: instances with next to nothing in them.
    let light = phase(&mut group, flags, 1, 1)?;
    interrupt.check()?;
    let heavy = phase(&mut group, flags, nodes, flags.concurrency)?;
    let command_p50 = percentile(heavy.commands_ms.clone(), 50.0);
    let command_p99 = percentile(heavy.commands_ms.clone(), 99.0);
    let commands = heavy.commands_ms.len() as f64;
    let line = serde_json::json!({
        "message_type": "bench_result",
        "bench": "rsm",
        "nodes": nodes,
        "faulty": faulty,
        "instance_p50_ms": light.stats.latency_p50_ms,
        "instance_p99_ms": light.stats.latency_p99_ms,
        "instance_samples": light.stats.samples,
        "loaded_instance_p50_ms": heavy.stats.latency_p50_ms,
        "loaded_instance_p99_ms": heavy.stats.latency_p99_ms,
        "loaded_instances_s": heavy.instances as f64 / heavy.seconds,
        "null_instances": light.nulls + heavy.nulls,
        "commands_s": commands / heavy.seconds,
        "commands_per_instance": commands / heavy.instances.max(1) as f64,
        "command_bytes": flags.command_size,
        "command_p50_ms": command_p50,
        "command_p99_ms": command_p99,
        "cpu_seconds_per_second": heavy.cpu_seconds / heavy.seconds,
    });
    let words = format!(
        "rsm n={nodes} f={faulty}: instance median {:.2} ms, p99 {:.2} ms; under load median {:.2} ms, {:.0} \
         commands/s of {} bytes, a command takes {command_p50:.1} ms at the median, {command_p99:.1} ms at p99",
        light.stats.latency_p50_ms,
        light.stats.latency_p99_ms,
        heavy.stats.latency_p50_ms,
        commands / heavy.seconds,
        flags.command_size,
    );
    emit(output, &words, &line);
    Ok(())
}

/// What happened while members submitted commands.
struct Phase {
    stats: RsmStats,
    commands_ms: Vec<f64>,
    instances: u64,
    nulls: u64,
    seconds: f64,
    cpu_seconds: f64,
}

/// Starts the daemons afresh, so that their percentiles are of this phase, and loads them.
fn phase(group: &mut Group, flags: &Rsm, members: usize, workers: u32) -> Result<Phase, CliError> {
    group.stop_all()?;
    group.start_all(LINK_PATIENCE)?;
    load(group, flags, members, workers, WARM_UP)?;
    let all = 0..group.len();
    let before = group.rsm_stats(0)?;
    let cpu_before: f64 = all.clone().map(|member| group.usage(member).cpu_seconds).sum();
    let started = Instant::now();
    let span = Duration::from_secs(flags.seconds);
    let commands_ms = load(group, flags, members, workers, span)?;
    let seconds = started.elapsed().as_secs_f64();
    let stats = group.rsm_stats(0)?;
    let cpu: f64 = all.map(|member| group.usage(member).cpu_seconds).sum();
    Ok(Phase {
        instances: stats.instances.saturating_sub(before.instances),
        nulls: stats.nulls.saturating_sub(before.nulls),
        cpu_seconds: cpu - cpu_before,
        stats,
        commands_ms,
        seconds,
    })
}

/// The first `members` members submit commands, `workers` at a time each; the latencies in
/// milliseconds.
fn load(
    group: &Group,
    flags: &Rsm,
    members: usize,
    workers_each: u32,
    span: Duration,
) -> Result<Vec<f64>, CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::new(Code::Failed, format!("cannot start: {error}")))?;
    let size = usize::try_from(flags.command_size).unwrap_or(1);
    runtime.block_on(async {
        let until = Instant::now() + span;
        let mut workers = JoinSet::new();
        for member in 0..members {
            let client = Client::new(group.socket(member));
            for worker in 0..workers_each {
                let command = vec![(worker ^ member as u32) as u8; size].into();
                workers.spawn(submit_until(client.clone(), command, until));
            }
        }
        let mut latencies = Vec::new();
        while let Some(finished) = workers.join_next().await {
            let finished =
                finished.map_err(|error| CliError::new(Code::Failed, format!("load: {error}")))?;
            latencies.extend(finished?);
        }
        Ok(latencies)
    })
}

async fn submit_until(
    client: Client,
    command: Bytes,
    until: Instant,
) -> Result<Vec<f64>, ClientError> {
    let mut latencies = Vec::new();
    while Instant::now() < until {
        let started = Instant::now();
        match client.submit(command.clone()).await {
            Ok(_) => latencies.push(started.elapsed().as_secs_f64() * 1000.0),
            // More is on its way than a member takes; that is the load's fault.
            Err(ClientError::Api(error)) if error.kind == "busy" => {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(latencies)
}
