//! `pib bench rsm`: the replicated state machine alone.

use super::runs::percentile;
use super::{Rsm, emit, spec, work_folder};
use crate::error::{CliError, Code};
use crate::harness::{Group, Interrupt};
use crate::output::Output;
use bytes::Bytes;
use node::client::{Client, ClientError};
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
    group.start_all(LINK_PATIENCE)?;
    load(&group, flags, WARM_UP)?;
    interrupt.check()?;
    let before = group.rsm_stats(0)?;
    let cpu_before: f64 = (0..nodes).map(|member| group.usage(member).cpu_seconds).sum();
    let started = Instant::now();
    let latencies = load(&group, flags, Duration::from_secs(flags.seconds))?;
    let seconds = started.elapsed().as_secs_f64();
    let after = group.rsm_stats(0)?;
    let cpu: f64 = (0..nodes).map(|member| group.usage(member).cpu_seconds).sum();
    let instances = after.instances - before.instances;
    let commands = latencies.len();
    let command_p50 = percentile(latencies.clone(), 50.0);
    let command_p99 = percentile(latencies, 99.0);
    let line = serde_json::json!({
        "message_type": "bench_result",
        "bench": "rsm",
        "nodes": nodes,
        "faulty": faulty,
        "instance_p50_ms": after.latency_p50_ms,
        "instance_p99_ms": after.latency_p99_ms,
        "instances_s": instances as f64 / seconds,
        "null_instances": after.nulls - before.nulls,
        "commands_s": commands as f64 / seconds,
        "commands_per_instance": commands as f64 / instances.max(1) as f64,
        "command_bytes": flags.command_size,
        "command_p50_ms": command_p50,
        "command_p99_ms": command_p99,
        "cpu_seconds_per_second": (cpu - cpu_before) / seconds,
    });
    let words = format!(
        "rsm n={nodes} f={faulty}: instance median {:.2} ms, p99 {:.2} ms; {:.0} commands/s of {} bytes; a \
         command takes {command_p50:.1} ms at the median, {command_p99:.1} ms at p99",
        after.latency_p50_ms,
        after.latency_p99_ms,
        commands as f64 / seconds,
        flags.command_size,
    );
    emit(output, &words, &line);
    Ok(())
}

/// Every member submits commands, `concurrency` at a time; the latencies in milliseconds.
fn load(group: &Group, flags: &Rsm, span: Duration) -> Result<Vec<f64>, CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::new(Code::Failed, format!("cannot start: {error}")))?;
    let size = usize::try_from(flags.command_size).unwrap_or(1);
    runtime.block_on(async {
        let until = Instant::now() + span;
        let mut workers = JoinSet::new();
        for member in 0..group.len() {
            let client = Client::new(group.socket(member));
            for worker in 0..flags.concurrency {
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
