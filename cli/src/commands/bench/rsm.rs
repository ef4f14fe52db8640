//! `pib bench rsm`: the replicated state machine alone, and a yardstick without incentives beside it.
//!
//! Every member is a process with its own disk file and TLS links on loopback. Two loads for each: one
//! command at a time (proposals with next to nothing in them), then more commands from all members
//! than proposals of 64 KiB take. The breakdown is a member's time for an instance, on average: signing,
//! verifying (counts times what one costs here and now), the rest of the steps, nothing to do but wait
//! for the disk, and nothing to do but wait for others.

use super::rsm_member::Engine;
use super::runs::percentile;
use super::{Rsm, emit, work_folder};
use crate::error::{CliError, Code};
use crate::harness::{Interrupt, usage};
use crate::output::Output;
use serde_json::{Map, Value, json};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// The first part of the load is not counted: idle members are still speeding up.
const WARM_UP: Duration = Duration::from_secs(2);

fn failed(error: impl std::fmt::Display) -> CliError {
    CliError::new(Code::Failed, error.to_string())
}

/// Runs the benchmark for each size of group.
pub fn run(output: Output, flags: &Rsm, interrupt: &Interrupt) -> Result<(), CliError> {
    let largest = types::limits::COMMAND_LEN_MAX as u64;
    if flags.command_size == 0 || flags.command_size > largest {
        return Err(CliError::new(Code::Usage, "a command of this size is not possible")
            .hint(format!("use --command-size 1 to {largest}")));
    }
    for &nodes in &flags.nodes {
        let mut ours = None;
        for engine in [Engine::Bart, Engine::Baseline] {
            let mut line = one(flags, engine, usize::from(nodes), interrupt)?;
            if let Some(ours) = &ours {
                price(&mut line, ours);
            }
            let text = words(&line);
            emit(output, &text, &Value::Object(line.clone()));
            ours.get_or_insert(line);
        }
    }
    Ok(())
}

fn number(line: &Map<String, Value>, name: &str) -> f64 {
    line.get(name).and_then(Value::as_f64).unwrap_or(0.0)
}

/// What incentive compatibility costs: ours over the yardstick.
fn price(baseline: &mut Map<String, Value>, ours: &Map<String, Value>) {
    for name in ["loaded_instance_p50_ms", "loaded_cpu_ms_per_instance", "commands_s"] {
        let ratio = number(ours, name) / number(baseline, name).max(1e-9);
        baseline.insert(format!("ours_over_baseline_{name}"), rounded(ratio));
    }
}

fn words(line: &Map<String, Value>) -> String {
    let part = |phase: &str| {
        let figure = |name: &str| number(line, &format!("{phase}_{name}"));
        format!(
            "sign {:.2}, verify {:.2}, other steps {:.2}, disk {:.2}, waiting {:.2} ms",
            figure("sign_ms"),
            figure("verify_ms"),
            figure("other_ms"),
            figure("disk_ms"),
            figure("waiting_ms"),
        )
    };
    format!(
        "rsm {} n={}: instance median {:.2} ms (a member: {}); with full proposals {:.2} ms (a member: {}), \
         {:.0} commands/s of {} bytes, a command takes {:.1} ms at the median; {:.1} ms of processor time an instance",
        line.get("engine").and_then(Value::as_str).unwrap_or_default(),
        number(line, "nodes"),
        number(line, "instance_p50_ms"),
        part("light"),
        number(line, "loaded_instance_p50_ms"),
        part("loaded"),
        number(line, "commands_s"),
        number(line, "command_bytes"),
        number(line, "command_p50_ms"),
        number(line, "loaded_cpu_ms_per_instance"),
    )
}

fn rounded(value: f64) -> Value {
    json!((value * 1000.0).round() / 1000.0)
}

/// A member's process.
struct Process {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has nothing to lose.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    fn say(&mut self, line: &str) -> Result<(), CliError> {
        writeln!(self.input, "{line}").map_err(failed)
    }

    fn hear(&mut self) -> Result<Value, CliError> {
        let mut line = String::new();
        self.output.read_line(&mut line).map_err(failed)?;
        serde_json::from_str(&line).map_err(|_| failed("a member of the benchmark ended"))
    }

    fn cpu_seconds(&self) -> f64 {
        usage(self.child.id()).unwrap_or_default().cpu_seconds
    }
}

fn start(folder: &Path, engine: Engine, nodes: usize) -> Result<Vec<Process>, CliError> {
    let exe = std::env::current_exe().map_err(failed)?;
    // Free ports; they are let go before the members take them.
    let sockets: Vec<TcpListener> = (0..nodes)
        .map(|_| TcpListener::bind("127.0.0.1:0"))
        .collect::<Result<_, _>>()
        .map_err(failed)?;
    let addresses: Vec<String> = sockets
        .iter()
        .map(|socket| socket.local_addr().map(|address| address.to_string()))
        .collect::<Result<_, _>>()
        .map_err(failed)?;
    drop(sockets);
    let mut processes = Vec::new();
    for slot in 0..nodes {
        let dir = folder.join(format!("{}-{nodes}-{slot}", engine.name()));
        std::fs::create_dir_all(&dir).map_err(failed)?;
        let mut child = Command::new(&exe)
            .args(["bench", "rsm-member", "--engine", engine.name()])
            .args(["--slot", &slot.to_string(), "--addresses", &addresses.join(",")])
            .arg("--dir")
            .arg(&dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let (Some(input), Some(output)) = (input, output) else { return Err(failed("no pipes")) };
        processes.push(Process { child, input, output: BufReader::new(output) });
    }
    for process in &mut processes {
        process.hear()?;
    }
    Ok(processes)
}

fn one(
    flags: &Rsm,
    engine: Engine,
    nodes: usize,
    interrupt: &Interrupt,
) -> Result<Map<String, Value>, CliError> {
    let folder = work_folder(None)?;
    let mut group = start(folder.path(), engine, nodes)?;
    interrupt.check()?;
    group[0].say("units")?;
    let units = group[0].hear()?;
    let span = Duration::from_secs(flags.seconds);
    // Not the first member: in the yardstick that one leads.
    let light = phase(&mut group, flags, 1..2, 1, span)?;
    interrupt.check()?;
    let heavy = phase(&mut group, flags, 0..nodes, flags.concurrency, span)?;
    let mut line = Map::new();
    line.insert("message_type".into(), json!("bench_result"));
    line.insert("bench".into(), json!("rsm"));
    line.insert("engine".into(), json!(engine.name()));
    line.insert("nodes".into(), json!(nodes));
    line.insert("faulty".into(), json!(types::Quorum::largest_f(nodes)));
    line.insert("command_bytes".into(), json!(flags.command_size));
    let mut set = |name: &str, value: f64| {
        line.insert(name.into(), rounded(value));
    };
    set("sign_us", units["sign_us"].as_f64().unwrap_or(0.0));
    set("verify_us", units["verify_us"].as_f64().unwrap_or(0.0));
    set("instance_p50_ms", light.p50_ms);
    set("instance_p99_ms", light.p99_ms);
    set("instance_samples", light.samples);
    set("loaded_instance_p50_ms", heavy.p50_ms);
    set("loaded_instance_p99_ms", heavy.p99_ms);
    set("loaded_instances_s", heavy.instances / heavy.seconds);
    set("null_instances", light.nulls + heavy.nulls);
    set("commands_s", heavy.commands / heavy.seconds);
    set("commands_per_instance", heavy.commands / heavy.instances.max(1.0));
    set("command_p50_ms", heavy.command_p50_ms);
    set("command_p99_ms", heavy.command_p99_ms);
    set("cpu_seconds_per_second", heavy.cpu_seconds / heavy.seconds);
    for (name, phase) in [("light", &light), ("loaded", &heavy)] {
        for (part, value) in phase.parts(nodes, &units) {
            set(&format!("{name}_{part}"), value);
        }
    }
    Ok(line)
}

/// What happened during a load. Sums are over all members.
#[derive(Debug, Default)]
struct Phase {
    seconds: f64,
    cpu_seconds: f64,
    instances: f64,
    nulls: f64,
    p50_ms: f64,
    p99_ms: f64,
    samples: f64,
    commands: f64,
    command_p50_ms: f64,
    command_p99_ms: f64,
    stepping_us: f64,
    disk_us: f64,
    waiting_us: f64,
    signatures: f64,
    verifications: f64,
}

impl Phase {
    /// A member's time for an instance, milliseconds, and the processor time of all.
    fn parts(&self, nodes: usize, units: &Value) -> [(&'static str, f64); 7] {
        let unit = |name: &str| units[name].as_f64().unwrap_or(0.0);
        let all = self.instances.max(1.0) * nodes as f64 * 1000.0;
        let (sign, verify) =
            (self.signatures * unit("sign_us"), self.verifications * unit("verify_us"));
        [
            ("sign_ms", sign / all),
            ("verify_ms", verify / all),
            ("other_ms", (self.stepping_us - sign - verify).max(0.0) / all),
            ("disk_ms", self.disk_us / all),
            ("waiting_ms", self.waiting_us / all),
            ("verifications", self.verifications / all * 1000.0),
            ("cpu_ms_per_instance", self.cpu_seconds * 1000.0 / self.instances.max(1.0)),
        ]
    }
}

fn phase(
    group: &mut [Process],
    flags: &Rsm,
    submitters: std::ops::Range<usize>,
    workers: u32,
    span: Duration,
) -> Result<Phase, CliError> {
    load(group, flags, submitters.clone(), workers, WARM_UP)?;
    let before = sums(group)?;
    let cpu: f64 = group.iter().map(Process::cpu_seconds).sum();
    let began = Instant::now();
    let (commands, p50s, p99s) = load(group, flags, submitters, workers, span)?;
    let seconds = began.elapsed().as_secs_f64();
    let cpu_seconds = group.iter().map(Process::cpu_seconds).sum::<f64>() - cpu;
    let after = sums(group)?;
    Ok(Phase {
        seconds,
        cpu_seconds,
        instances: after.instances - before.instances,
        nulls: after.nulls - before.nulls,
        commands,
        command_p50_ms: percentile(p50s, 50.0),
        command_p99_ms: percentile(p99s, 50.0),
        stepping_us: after.stepping_us - before.stepping_us,
        disk_us: after.disk_us - before.disk_us,
        waiting_us: after.waiting_us - before.waiting_us,
        signatures: after.signatures - before.signatures,
        verifications: after.verifications - before.verifications,
        ..after
    })
}

/// Counters of all members; instances and latencies are those of the first.
fn sums(group: &mut [Process]) -> Result<Phase, CliError> {
    let mut sum = Phase::default();
    for (slot, process) in group.iter_mut().enumerate() {
        process.say("stats")?;
        let stats = process.hear()?;
        let figure = |name: &str| stats[name].as_f64().unwrap_or(0.0);
        if slot == 0 {
            (sum.instances, sum.nulls) = (figure("instances"), figure("nulls"));
            (sum.p50_ms, sum.p99_ms) = (figure("latency_p50_ms"), figure("latency_p99_ms"));
            sum.samples = figure("samples");
        }
        sum.stepping_us += figure("stepping_us");
        sum.disk_us += figure("disk_us");
        sum.waiting_us += figure("waiting_us");
        sum.signatures += figure("signatures");
        sum.verifications += figure("verifications");
    }
    Ok(sum)
}

/// Commands decided, and each submitter's median and 99th percentile of their latency.
fn load(
    group: &mut [Process],
    flags: &Rsm,
    submitters: std::ops::Range<usize>,
    workers: u32,
    span: Duration,
) -> Result<(f64, Vec<f64>, Vec<f64>), CliError> {
    let line = format!("load {workers} {} {}", span.as_millis(), flags.command_size);
    for process in &mut group[submitters.clone()] {
        process.say(&line)?;
    }
    let (mut commands, mut p50s, mut p99s) = (0.0, Vec::new(), Vec::new());
    for process in &mut group[submitters] {
        let report = process.hear()?;
        let figure = |name: &str| report[name].as_f64().unwrap_or(0.0);
        commands += figure("commands");
        p50s.push(figure("command_p50_ms"));
        p99s.push(figure("command_p99_ms"));
    }
    Ok((commands, p50s, p99s))
}
