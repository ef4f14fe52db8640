//! Founding, running, breaking and measuring a group of processes.

use super::ports::free_ports;
use super::process::{Interrupt, Measured, Usage, measure, usage};
use crate::error::{CliError, Code, io};
use crate::session::{SOCKET, TICKET};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use node::client::Client;
use node::wire::{ProofEntry, RsmStats, Status};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// A file in the folder of a group that was made here; test actors run nowhere else.
pub const MARK: &str = "demonstration";
const NAMES: [&str; 20] = [
    "ada", "ben", "cleo", "dan", "eve", "finn", "gina", "hugo", "iris", "jon", "kim", "leo", "mia",
    "ned", "olga", "pia", "quinn", "rosa", "sven", "tess",
];
/// How long a daemon may take to end after SIGTERM.
const STOP_PATIENCE: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(50);

/// What group to found.
#[derive(Debug, Clone)]
pub struct GroupSpec {
    /// The `pib` program.
    pub exe: PathBuf,
    /// A folder for everything; made if absent.
    pub dir: PathBuf,
    /// Members.
    pub nodes: usize,
    /// Members that may be Byzantine.
    pub faulty: usize,
    /// Lines appended to the `[limits]` table of every member's configuration.
    pub limits: String,
    /// Whether the group assigns work, and what it may take to answer, ms.
    pub max_response_ms: Option<u64>,
}

impl GroupSpec {
    /// The group's policy: its f, and time bounds that fit one machine.
    fn policy(&self) -> String {
        let (mut response, mut work) = (String::new(), String::new());
        if let Some(ms) = self.max_response_ms {
            response = format!("max_response_ms = {ms}\n");
            work = format!(
                "[work]\nenabled = true\nmargin_ms = {}\nrotation_ms = {ms}\nopen_ms = {ms}\n",
                ms / 4
            );
        }
        format!(
            "[group]\nbyzantine_max = {}\n\
             [timing]\nt0_min_ms = 2000\nt0_max_ms = 20000\nidle_first_ms = 100\nidle_max_ms = 1000\n\
             gamma_ms = 500\nresend_max_ms = 2000\n{response}[storage]\nquota_bytes = \"256 GiB\"\n{work}",
            self.faulty
        )
    }
}

struct Member {
    name: String,
    data: PathBuf,
    child: Option<Child>,
    /// What it had cost when it was last looked at.
    last: Usage,
}

/// A running group. Dropping it ends all its processes.
pub struct Group {
    spec: GroupSpec,
    members: Vec<Member>,
    runtime: Runtime,
    interrupt: Interrupt,
}

impl Group {
    /// Founds a group by the commands that people use. Nothing runs yet.
    pub fn found(spec: GroupSpec, interrupt: Interrupt) -> Result<Self, CliError> {
        fs::create_dir_all(&spec.dir).map_err(|error| io("make the folder", &spec.dir, &error))?;
        crate::files::replace(&spec.dir.join(MARK), b"", 0o600)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| CliError::new(Code::Failed, format!("cannot start: {error}")))?;
        let members = (0..spec.nodes).map(|index| {
            let name = NAMES.get(index).map_or_else(|| format!("member{index}"), |&n| n.to_owned());
            let data = spec.dir.join(&name);
            Member { name, data, child: None, last: Usage::default() }
        });
        let group = Self { members: members.collect(), spec, runtime, interrupt };
        let requests = group.init_all()?;
        let ticket = group.seal(&requests)?;
        for index in 0..group.members.len() {
            group.run(index, &["join".as_ref(), ticket.as_os_str()])?.success("pib join")?;
            debug_assert!(group.data(index).join(TICKET).exists());
        }
        Ok(group)
    }

    fn init_all(&self) -> Result<Vec<String>, CliError> {
        let ports = free_ports(self.members.len())?;
        let mut requests = Vec::new();
        for (index, (member, port)) in self.members.iter().zip(ports).enumerate() {
            let code = self.spec.dir.join(format!("{}.recovery-code", member.name));
            let listen = format!("127.0.0.1:{port}");
            let mut command = self.command(index);
            command.args(["--json", "init", "--name", &member.name, "--listen", &listen]);
            command.arg("--recovery-code-file").arg(&code);
            let done = measure(command, &self.interrupt)?.success("pib init")?;
            let line =
                done.json("init").and_then(|json| json["join_request"].as_str().map(str::to_owned));
            requests.push(line.ok_or_else(|| {
                CliError::new(Code::Failed, "`pib init` printed no join request")
            })?);
            self.set_limits(&member.data.join("config.toml"))?;
        }
        Ok(requests)
    }

    fn set_limits(&self, config: &Path) -> Result<(), CliError> {
        if self.spec.limits.is_empty() {
            return Ok(());
        }
        let text = crate::files::read_text(config)?;
        let keys: Vec<&str> = self
            .spec
            .limits
            .lines()
            .filter_map(|line| line.split('=').next())
            .map(str::trim)
            .collect();
        let kept = text
            .lines()
            .filter(|line| line.split('=').next().is_none_or(|left| !keys.contains(&left.trim())));
        let mut lines: Vec<&str> = Vec::new();
        for line in kept {
            lines.push(line);
            if line.trim() == "[limits]" {
                lines.extend(self.spec.limits.lines());
            }
        }
        crate::files::replace(config, (lines.join("\n") + "\n").as_bytes(), 0o600)
    }

    fn seal(&self, requests: &[String]) -> Result<PathBuf, CliError> {
        let dir = self.spec.dir.join("authority");
        let policy = self.spec.dir.join("policy.toml");
        let ticket = self.spec.dir.join("group.ticket");
        crate::files::replace(&policy, self.spec.policy().as_bytes(), 0o600)?;
        let mut create = self.command(0);
        create.args(["group", "create", "demo", "--policy"]).arg(&policy).arg("--dir").arg(&dir);
        measure(create, &self.interrupt)?.success("pib group create")?;
        let mut admit = self.command(0);
        admit.args(["group", "admit", "--final", "--out"]).arg(&ticket).arg("--dir").arg(&dir);
        admit.args(requests);
        measure(admit, &self.interrupt)?.success("pib group admit")?;
        Ok(ticket)
    }

    /// Members.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether it has no members.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// A member's name.
    pub fn name(&self, member: usize) -> &str {
        &self.members[member].name
    }

    /// A member's data folder.
    pub fn data(&self, member: usize) -> &Path {
        &self.members[member].data
    }

    /// A `pib` command as this member, which ends when this process does.
    pub fn command(&self, member: usize) -> Command {
        let mut command = Command::new(&self.spec.exe);
        // Settings of whoever runs the demo are not the members'.
        command.env_remove("PIB_CONFIG").env_remove("PIB_DATA_DIR");
        command.arg("--die-with").arg(std::process::id().to_string());
        command.arg("--data-dir").arg(&self.members[member].data);
        command
    }

    /// Runs a `pib` command as this member, with `--json`.
    pub fn run(&self, member: usize, arguments: &[&std::ffi::OsStr]) -> Result<Measured, CliError> {
        let mut command = self.command(member);
        command.arg("--json").args(arguments);
        measure(command, &self.interrupt)
    }

    /// Runs a `pib` command as somebody who is no member, with `--json`.
    pub fn run_outside(
        &self,
        data: &Path,
        arguments: &[&std::ffi::OsStr],
    ) -> Result<Measured, CliError> {
        let mut command = Command::new(&self.spec.exe);
        command.env_remove("PIB_CONFIG").env_remove("PIB_DATA_DIR");
        command.arg("--data-dir").arg(data).arg("--json").args(arguments);
        measure(command, &self.interrupt)
    }

    /// Starts a member's daemon.
    pub fn start(&mut self, member: usize) -> Result<(), CliError> {
        self.start_as(member, &["daemon"])
    }

    /// Starts every daemon, one of them as the test actor that tells this `lie` (flags of `pib hostile`);
    /// waits until each has links to all others.
    pub fn start_with_hostile(
        &mut self,
        hostile: usize,
        lie: &[&str],
        patience: Duration,
    ) -> Result<(), CliError> {
        let arguments = [&["hostile"], lie].concat();
        for member in 0..self.members.len() {
            match member == hostile {
                true => self.start_as(member, &arguments)?,
                false => self.start(member)?,
            }
        }
        self.wait_links(patience)
    }

    fn start_as(&mut self, member: usize, arguments: &[&str]) -> Result<(), CliError> {
        let log_path = self.spec.dir.join(format!("{}.log", self.members[member].name));
        let log = fs::OpenOptions::new().create(true).append(true).open(&log_path);
        let log = log.map_err(|error| io("open", &log_path, &error))?;
        let mut command = self.command(member);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let child = command.spawn().map_err(|error| {
            CliError::new(Code::Failed, format!("cannot start a daemon: {error}"))
        })?;
        self.members[member].child = Some(child);
        Ok(())
    }

    /// Starts every daemon and waits until each has links to all others.
    pub fn start_all(&mut self, patience: Duration) -> Result<(), CliError> {
        for member in 0..self.members.len() {
            self.start(member)?;
        }
        self.wait_links(patience)
    }

    /// Waits until every running member sees every other running member.
    pub fn wait_links(&mut self, patience: Duration) -> Result<(), CliError> {
        let started = Instant::now();
        loop {
            self.interrupt.check()?;
            let running: Vec<usize> =
                (0..self.len()).filter(|&member| self.members[member].child.is_some()).collect();
            let mut waiting = Vec::new();
            for &member in &running {
                self.check_alive(member)?;
                let up = self
                    .status(member)
                    .map_or(0, |status| status.members.iter().filter(|other| other.up).count());
                if up + 1 < running.len() {
                    waiting.push(format!("{} has {up} links", self.members[member].name));
                }
            }
            if waiting.is_empty() {
                return Ok(());
            }
            if started.elapsed() > patience {
                let text = format!("the members did not find each other: {}", waiting.join(", "));
                return Err(CliError::new(Code::NotEnoughMembers, text)
                    .hint(format!("look at the logs in {}", self.spec.dir.display())));
            }
            std::thread::sleep(POLL);
        }
    }

    fn check_alive(&mut self, member: usize) -> Result<(), CliError> {
        let log = self.spec.dir.join(format!("{}.log", self.members[member].name));
        let Some(child) = &mut self.members[member].child else { return Ok(()) };
        let Ok(Some(status)) = child.try_wait() else { return Ok(()) };
        let text = fs::read_to_string(&log).unwrap_or_default();
        let last: Vec<&str> = text.lines().rev().take(3).collect();
        let name = &self.members[member].name;
        let last: Vec<&str> = last.into_iter().rev().collect();
        Err(CliError::new(
            Code::Failed,
            format!("the daemon of {name} ended: {status}: {}", last.join(" / ")),
        )
        .hint(format!("look at {}", log.display())))
    }

    fn client(&self, member: usize) -> Client {
        Client::new(self.members[member].data.join(SOCKET))
    }

    /// What a member's daemon says of itself.
    pub fn status(&self, member: usize) -> Result<Status, CliError> {
        Ok(self.runtime.block_on(self.client(member).status())?)
    }

    /// The proofs of misbehavior that a member's daemon keeps.
    pub fn proofs(&self, member: usize) -> Result<Vec<ProofEntry>, CliError> {
        Ok(self.runtime.block_on(self.client(member).proofs())?)
    }

    /// Fails when Ctrl-C was pressed.
    pub fn check_interrupt(&self) -> Result<(), CliError> {
        self.interrupt.check()
    }

    /// What a member's daemon says of the state machine.
    pub fn rsm_stats(&self, member: usize) -> Result<RsmStats, CliError> {
        Ok(self.runtime.block_on(self.client(member).rsm_stats())?)
    }

    /// Where a member's daemon listens for commands.
    pub fn socket(&self, member: usize) -> PathBuf {
        self.members[member].data.join(SOCKET)
    }

    /// Whether a member's daemon was started and not ended by us.
    pub fn is_running(&self, member: usize) -> bool {
        self.members[member].child.is_some()
    }

    /// What a member's daemon has cost; what it had when it ended, if it has.
    pub fn usage(&mut self, member: usize) -> Usage {
        let member = &mut self.members[member];
        if let Some(child) = &member.child
            && let Some(now) = usage(child.id())
        {
            member.last.cpu_seconds = now.cpu_seconds;
            member.last.peak_rss_kib = member.last.peak_rss_kib.max(now.peak_rss_kib);
        }
        member.last
    }

    /// Ends a member's daemon without warning.
    pub fn kill(&mut self, member: usize) -> Result<(), CliError> {
        self.usage(member);
        let Some(mut child) = self.members[member].child.take() else { return Ok(()) };
        let killed = child.kill().and_then(|()| child.wait());
        killed.map(drop).map_err(|error| {
            CliError::new(
                Code::Failed,
                format!("cannot kill {}: {error}", self.members[member].name),
            )
        })
    }

    /// Ends a member's daemon politely, and without warning when it does not.
    pub fn stop(&mut self, member: usize) -> Result<(), CliError> {
        self.usage(member);
        let Some(child) = &mut self.members[member].child else { return Ok(()) };
        // A daemon that ended by itself cannot be told to.
        let _ = kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM);
        let started = Instant::now();
        while started.elapsed() < STOP_PATIENCE {
            if matches!(child.try_wait(), Ok(Some(_))) {
                self.members[member].child = None;
                return Ok(());
            }
            std::thread::sleep(POLL);
        }
        self.kill(member)
    }

    /// Ends all daemons politely.
    pub fn stop_all(&mut self) -> Result<(), CliError> {
        for member in &self.members {
            if let Some(child) = &member.child {
                // Told all at once, so that they end together.
                let _ = kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM);
            }
        }
        (0..self.len()).try_for_each(|member| self.stop(member))
    }

    /// Flips one bit in every chunk that a member holds; says how many chunks that were.
    pub fn corrupt(&self, member: usize) -> Result<u64, CliError> {
        let mut corrupted = 0_u64;
        for path in self.chunk_files(member)? {
            let damage = || -> std::io::Result<bool> {
                use std::os::unix::fs::FileExt as _;
                let file = fs::OpenOptions::new().read(true).write(true).open(&path)?;
                let len = file.metadata()?.len();
                if len == 0 {
                    return Ok(false);
                }
                let at = corrupted.wrapping_mul(7919) % len;
                let mut byte = [0];
                file.read_exact_at(&mut byte, at)?;
                byte[0] ^= 1 << (corrupted % 8);
                file.write_all_at(&byte, at)?;
                Ok(true)
            };
            corrupted += u64::from(damage().map_err(|error| io("damage", &path, &error))?);
        }
        Ok(corrupted)
    }

    fn chunk_files(&self, member: usize) -> Result<Vec<PathBuf>, CliError> {
        let root = self.members[member].data.join("chunks");
        let mut files = Vec::new();
        for entry in walkdir::WalkDir::new(&root).sort_by_file_name() {
            match entry {
                Ok(entry) if entry.file_type().is_file() => files.push(entry.into_path()),
                Ok(_) => {}
                // Chunks come and go while a daemon runs.
                Err(error)
                    if error
                        .io_error()
                        .is_some_and(|e| e.kind() == std::io::ErrorKind::NotFound) => {}
                Err(error) => {
                    return Err(CliError::new(
                        Code::Failed,
                        format!("cannot list chunks: {error}"),
                    ));
                }
            }
        }
        Ok(files)
    }

    /// Bytes of all chunks that all members hold.
    pub fn stored_bytes(&self) -> Result<u64, CliError> {
        let mut bytes = 0;
        for member in 0..self.len() {
            for path in self.chunk_files(member)? {
                bytes += fs::metadata(&path).map_or(0, |metadata| metadata.len());
            }
        }
        Ok(bytes)
    }

    /// The largest resident memory of any storer's daemon, KiB.
    pub fn storers_peak_rss_kib(&mut self, owner: usize) -> u64 {
        let storers = (0..self.len()).filter(|&member| member != owner);
        storers
            .collect::<Vec<_>>()
            .into_iter()
            .map(|m| self.usage(m).peak_rss_kib)
            .max()
            .unwrap_or(0)
    }

    /// Processor time of all storers' daemons, seconds.
    pub fn storers_cpu_seconds(&mut self, owner: usize) -> f64 {
        let storers: Vec<usize> = (0..self.len()).filter(|&member| member != owner).collect();
        storers.into_iter().map(|member| self.usage(member).cpu_seconds).sum()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for member in &mut self.members {
            if let Some(mut child) = member.child.take() {
                // It may have ended by itself; either way it is gone afterwards.
                let _ = child.kill();
                let _ = child.wait();
            }
        }
    }
}
