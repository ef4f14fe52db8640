//! Running a command to its end while watching what it costs.

use crate::error::{CliError, Code};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const POLL: Duration = Duration::from_millis(10);
/// How long an interrupted demo or benchmark may take to clean up.
const UNWIND_PATIENCE: Duration = Duration::from_secs(20);
/// Bytes of a command's output that are kept.
const OUTPUT_MAX: u64 = 64 << 20;

/// Set by Ctrl-C; commands that are running are then stopped.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// One that Ctrl-C and SIGTERM set; a second one ends this process at once,
    /// and so does a clean-up that takes long.
    pub fn on_signals() -> Result<Self, CliError> {
        let interrupt = Self::default();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| CliError::new(Code::Failed, format!("cannot start: {error}")))?;
        let set = interrupt.clone();
        std::thread::spawn(move || {
            runtime.block_on(async {
                if crate::session::stop_signal().await {
                    set.set();
                }
                // Ended by the next signal, or when the main thread does not get to its end.
                let again = crate::session::stop_signal();
                let _ = tokio::time::timeout(UNWIND_PATIENCE, again).await;
                std::process::exit(Code::Interrupted as i32);
            });
        });
        Ok(interrupt)
    }

    /// Stops what is running and what comes next.
    pub fn set(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Fails when set.
    pub fn check(&self) -> Result<(), CliError> {
        match self.0.load(Ordering::Acquire) {
            true => Err(CliError::new(Code::Interrupted, "stopped")),
            false => Ok(()),
        }
    }
}

/// What a process has cost.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Usage {
    /// Processor time, user and system, in seconds.
    pub cpu_seconds: f64,
    /// Largest resident memory so far, KiB.
    pub peak_rss_kib: u64,
}

/// What a process has cost so far; `None` when there is no such process.
pub fn usage(pid: u32) -> Option<Usage> {
    Some(Usage { cpu_seconds: cpu_seconds(pid)?, peak_rss_kib: peak_rss_kib(pid).unwrap_or(0) })
}

/// Fields 14 and 15 of proc(5)'s stat, counted after the name, which may hold anything.
fn cpu_seconds(pid: u32) -> Option<f64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    let per_second = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK).ok()??;
    Some(ticks as f64 / per_second as f64)
}

fn peak_rss_kib(pid: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

/// A finished command.
#[derive(Debug, Clone)]
pub struct Measured {
    /// Exit code; 128 and the signal's number if one ended it.
    pub code: i32,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
    /// How long it ran.
    pub seconds: f64,
    /// What it cost.
    pub usage: Usage,
}

impl Measured {
    /// The last JSON line of a type on standard output.
    pub fn json(&self, message_type: &str) -> Option<serde_json::Value> {
        self.stdout
            .lines()
            .rev()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
            .find(|value| value.get("message_type").is_some_and(|kind| kind == message_type))
    }

    /// Fails unless the command succeeded.
    pub fn success(self, what: &str) -> Result<Self, CliError> {
        if self.code == 0 {
            return Ok(self);
        }
        let stderr = self.stderr.trim();
        let text = format!("{what} failed with exit code {}: {stderr}", self.code);
        Err(CliError::new(Code::Failed, text))
    }
}

/// Runs a command to its end; its processor time is exact, its peak memory is sampled.
pub fn measure(mut command: Command, interrupt: &Interrupt) -> Result<Measured, CliError> {
    interrupt.check()?;
    let name = command.get_program().to_string_lossy().into_owned();
    let failed = |what: &str, error: &dyn std::fmt::Display| {
        CliError::new(Code::Failed, format!("cannot {what} {name}: {error}"))
    };
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let started = Instant::now();
    let mut child = command.spawn().map_err(|error| failed("start", &error))?;
    let stdout = collect(child.stdout.take());
    let stderr = collect(child.stderr.take());
    let usage = watch(&child, interrupt).map_err(|error| failed("wait for", &error));
    let seconds = started.elapsed().as_secs_f64();
    let status = child.wait().map_err(|error| failed("wait for", &error))?;
    let code = status.code().unwrap_or_else(|| {
        128 + std::os::unix::process::ExitStatusExt::signal(&status).unwrap_or(0)
    });
    let text = |reader: std::thread::JoinHandle<String>| reader.join().unwrap_or_default();
    let (stdout, stderr) = (text(stdout), text(stderr));
    interrupt.check()?;
    Ok(Measured { code, stdout, stderr, seconds, usage: usage? })
}

fn collect(pipe: Option<impl Read + Send + 'static>) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // What was read before a failure is still the best there is.
            let _ = pipe.by_ref().take(OUTPUT_MAX).read_to_end(&mut bytes);
            let _ = std::io::copy(&mut pipe, &mut std::io::sink());
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// Waits for the end without reaping, so that the processor time can still be read.
fn watch(child: &Child, interrupt: &Interrupt) -> nix::Result<Usage> {
    let pid = Pid::from_raw(child.id().cast_signed());
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT | WaitPidFlag::WNOHANG;
    let mut peak = 0;
    loop {
        peak = peak.max(peak_rss_kib(child.id()).unwrap_or(0));
        if waitid(Id::Pid(pid), flags)? != WaitStatus::StillAlive {
            let cpu_seconds = cpu_seconds(child.id()).unwrap_or(0.0);
            return Ok(Usage { cpu_seconds, peak_rss_kib: peak });
        }
        if interrupt.check().is_err() {
            kill(pid, Signal::SIGKILL)?;
        }
        std::thread::sleep(POLL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn measured_command_reports_output_code_and_processor_time() {
        let busy =
            "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo out; echo err >&2; exit 3";
        let done = measure(shell(busy), &Interrupt::default()).unwrap();
        assert_eq!((done.code, done.stdout.as_str(), done.stderr.as_str()), (3, "out\n", "err\n"));
        assert!(done.usage.cpu_seconds > 0.0 && done.usage.cpu_seconds <= done.seconds + 0.1);
        assert!(done.usage.peak_rss_kib > 100);
    }

    #[test]
    fn interrupted_command_is_ended() {
        let interrupt = Interrupt::default();
        let later = interrupt.clone();
        let thread = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(100));
            later.set();
        });
        let started = Instant::now();
        let outcome = measure(shell("exec sleep 60"), &interrupt);
        assert_eq!(outcome.err().unwrap().code, Code::Interrupted);
        assert!(started.elapsed() < Duration::from_secs(30));
        thread.join().unwrap();
    }

    #[test]
    fn last_json_line_of_a_type_is_found() {
        let stdout =
            "{\"message_type\":\"summary\",\"a\":1}\nnoise\n{\"message_type\":\"other\"}\n";
        let usage = Usage::default();
        let measured =
            Measured { code: 0, stdout: stdout.into(), stderr: String::new(), seconds: 0.0, usage };
        assert_eq!(measured.json("summary").unwrap()["a"], 1);
        assert!(measured.json("none").is_none());
    }
}
