//! `pib demo`: a whole group on this machine, broken in front of the reader.
//!
//! Every member is a process of its own; groups are founded, data stored and restored by the very
//! commands that people use. The demo fails on any difference between what was backed up and what
//! came back.

mod equivocate;
mod evidence;
mod liar;
mod mounted;
mod refuser;
mod report;

use crate::error::{CliError, Code, io};
use crate::harness::{Group, GroupSpec, Interrupt, Measured};
use crate::session::Context;
use crate::tree::{Aspects, Comparison, compare, everyday};
use clap::{Args, ValueEnum};
use policy::human::format_bytes;
use rand::SeedableRng as _;
use rand::seq::SliceRandom as _;
use report::{Report, Story};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long the members may take to find each other.
const LINK_PATIENCE: Duration = Duration::from_secs(90);
/// The member who backs up.
const OWNER: usize = 0;
const MIB: f64 = (1 << 20) as f64;
const NOT_AS_IT_SHOULD: &str = "not the guilty one alone was convicted, or the backup suffered";

/// What the demo shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Scenario {
    /// Members die, and disks are damaged
    Loss,
    /// A member signs two different proposals and is convicted by them
    Equivocate,
    /// A member stores, lies when it is asked, and is convicted by its answers
    Liar,
    /// A member neither stores nor returns, and is convicted by the group that waited for it
    Refuser,
}

/// Flags of `pib demo`.
#[derive(Debug, Args)]
pub struct Flags {
    /// What happens to the group
    #[arg(long, value_enum, default_value = "loss")]
    scenario: Scenario,
    /// Back up this folder instead of a generated one (it is only read)
    #[arg(long, value_name = "DIR")]
    source: Option<PathBuf>,
    /// Members of the group
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u16).range(2..=64))]
    nodes: u16,
    /// Members that die or are damaged [default: as many as the group tolerates, at most 2]
    #[arg(long, value_name = "F")]
    faulty: Option<u16>,
    /// Of the faulty ones, how many get a damaged disk instead of dying [default: half]
    #[arg(long, value_name = "N")]
    corrupt: Option<u16>,
    /// Files in the generated folder
    #[arg(long, default_value_t = 3000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    files: u32,
    /// Seed of the generated folder and of the choice of faulty members [default: random]
    #[arg(long)]
    seed: Option<u64>,
    /// Keep everything (members' folders, logs, restored files) for a closer look
    #[arg(long)]
    keep: bool,
}

/// Runs the command.
pub fn run(context: &Context, flags: &Flags) -> Result<Code, CliError> {
    let story = Story::new(context.output);
    let plan = Plan::new(flags)?;
    let interrupt = Interrupt::on_signals()?;
    let folder = tempfile::Builder::new()
        .prefix("pib-demo-")
        .tempdir()
        .map_err(|error| io("make a folder in", &std::env::temp_dir(), &error))?;
    let dir = folder.path().to_owned();
    let outcome = match flags.scenario {
        Scenario::Loss => {
            Demo::start(&story, &plan, &dir, interrupt).and_then(Demo::finish).map(Ending::Loss)
        }
        Scenario::Equivocate => {
            equivocate::play(&story, &plan, &dir, interrupt).map(Ending::Equivocate)
        }
        Scenario::Liar => liar::play(&story, &plan, &dir, interrupt).map(Ending::Liar),
        Scenario::Refuser => refuser::play(&story, &plan, &dir, interrupt).map(Ending::Refuser),
    };
    if flags.keep {
        story.tell(format!("Everything is kept in {}.", folder.keep().display()));
    }
    let (good, why) = match outcome? {
        Ending::Loss(report) => {
            story.end(&report);
            (report.is_good(), "what came back is not what was backed up")
        }
        Ending::Equivocate(report) => {
            story.end_with(&report.last_words(), &report);
            (report.is_good(), NOT_AS_IT_SHOULD)
        }
        Ending::Refuser(report) => {
            story.end_with(&report.last_words(), &report);
            (report.is_good(), NOT_AS_IT_SHOULD)
        }
        Ending::Liar(report) => {
            story.end_with(&report.last_words(), &report);
            (report.is_good(), NOT_AS_IT_SHOULD)
        }
    };
    match good {
        true => Ok(Code::Done),
        false => Err(CliError::new(Code::Failed, why)
            .hint("run it again with --keep and --seed to look closer, and report it")),
    }
}

/// What a scenario showed.
enum Ending {
    Loss(Report),
    Equivocate(equivocate::Report),
    Liar(liar::Report),
    Refuser(refuser::Report),
}

/// What will be done.
struct Plan {
    nodes: usize,
    faulty: usize,
    source: Option<PathBuf>,
    files: usize,
    seed: u64,
    /// Members to be killed, then members to be corrupted.
    killed: Vec<usize>,
    corrupted: Vec<usize>,
    /// Who lies, in the scenarios with a hostile member.
    liar: usize,
}

impl Plan {
    fn new(flags: &Flags) -> Result<Self, CliError> {
        let nodes = usize::from(flags.nodes);
        let largest = types::Quorum::largest_f(nodes);
        let faulty = flags.faulty.map_or(largest.min(2), usize::from);
        if faulty > largest {
            return Err(CliError::new(
                Code::Usage,
                format!(
                    "{nodes} members cannot tolerate {faulty} faulty ones: n must be at least 3f+2 = {}",
                    3 * faulty + 2
                ),
            )
            .hint(format!("use --faulty {largest} or --nodes {}", 3 * faulty + 2)));
        }
        if flags.scenario != Scenario::Loss && (faulty == 0 || flags.source.is_some()) {
            return Err(CliError::new(
                Code::Usage,
                "this scenario needs a faulty member and makes its own files",
            )
            .hint("use at least --nodes 5 --faulty 1, without --source"));
        }
        let corrupt = flags.corrupt.map_or(faulty / 2, usize::from);
        if corrupt > faulty {
            return Err(CliError::new(Code::Usage, "more members would lie than are faulty")
                .hint("--corrupt must be at most --faulty"));
        }
        let source = match &flags.source {
            None => None,
            Some(path) => Some(path.canonicalize().map_err(|error| io("use", path, &error))?),
        };
        let seed = match flags.seed {
            Some(seed) => seed,
            None => random_seed()?,
        };
        let mut others: Vec<usize> = (0..nodes).filter(|&member| member != OWNER).collect();
        others.shuffle(&mut rand_chacha::ChaCha8Rng::seed_from_u64(seed));
        let liar = others.first().copied().unwrap_or(OWNER);
        let corrupted: Vec<usize> = others.iter().copied().take(corrupt).collect();
        let killed = others.into_iter().skip(corrupt).take(faulty - corrupt).collect();
        let files = flags.files as usize;
        Ok(Self { nodes, faulty, source, files, seed, killed, corrupted, liar })
    }
}

/// Short enough to be typed again.
fn random_seed() -> Result<u64, CliError> {
    let mut bytes = [0; 4];
    getrandom::fill(&mut bytes)
        .map_err(|error| CliError::new(Code::Failed, format!("no random numbers: {error}")))?;
    Ok(u64::from(u32::from_le_bytes(bytes)))
}

struct Demo<'a> {
    story: &'a Story,
    plan: &'a Plan,
    dir: &'a Path,
    source: PathBuf,
    group: Group,
    report: Report,
}

impl<'a> Demo<'a> {
    fn start(
        story: &'a Story,
        plan: &'a Plan,
        dir: &'a Path,
        interrupt: Interrupt,
    ) -> Result<Self, CliError> {
        let source = match &plan.source {
            Some(source) => source.clone(),
            None => {
                let source = dir.join("source");
                let made = everyday(&source, plan.files, plan.seed)
                    .map_err(|error| io("generate files in", &source, &error))?;
                story.tell(format!(
                    "A folder with {} files ({}) was generated from seed {}: odd names, links, holes, \
                     attributes, strange modes and times included.",
                    made.files,
                    format_bytes(made.bytes),
                    plan.seed
                ));
                source
            }
        };
        let exe = std::env::current_exe()
            .map_err(|error| CliError::new(Code::Failed, format!("where is pib? {error}")))?;
        let (nodes, faulty) = (plan.nodes, plan.faulty);
        let spec = GroupSpec {
            exe,
            dir: dir.join("group"),
            nodes,
            faulty,
            limits: String::new(),
            max_response_ms: None,
        };
        let mut group = Group::found(spec, interrupt)?;
        group.start_all(LINK_PATIENCE)?;
        let status = group.status(OWNER)?;
        story.tell(format!(
            "{nodes} members, each a process of its own that trusts nobody, founded a group. Any {faulty} of \
             them may fail in any way. What one member stores is cut into {} chunks on as many other \
             members; any {} of them bring it back.",
            status.x, status.needed
        ));
        let report = Report::new(nodes, faulty, plan.seed);
        Ok(Self { story, plan, dir, source, group, report })
    }

    fn finish(mut self) -> Result<Report, CliError> {
        self.backup()?;
        self.break_members()?;
        self.restore()?;
        self.mount()?;
        let bad = self.group.status(OWNER)?.bad_chunks;
        self.report.bad_chunks_detected = bad;
        self.report.owner_peak_rss_mib += self.group.usage(OWNER).peak_rss_kib as f64 / 1024.0;
        self.report.storer_peak_rss_mib = self.group.storers_peak_rss_kib(OWNER) as f64 / 1024.0;
        if self.report.corrupted_chunks > 0 {
            self.story.tell(format!(
                "{bad} damaged chunks were asked for: their storers noticed, on reading them, that they are not what \
                 they had signed for, and said so; sound ones took their place."
            ));
        }
        self.group.stop_all()?;
        Ok(self.report)
    }

    /// Remembers the larger of the owner's commands; its daemon is added at the end.
    fn note_peak(&mut self, done: &Measured) {
        let mib = done.usage.peak_rss_kib as f64 / 1024.0;
        self.report.owner_peak_rss_mib = self.report.owner_peak_rss_mib.max(mib);
    }

    fn backup(&mut self) -> Result<(), CliError> {
        let name = self.group.name(OWNER).to_owned();
        let done = self.group.run(OWNER, &["backup".as_ref(), self.source.as_os_str()])?;
        if done.code == Code::Incomplete as i32 {
            let unreadable = done.json("summary").map(|summary| summary["unreadable"].to_string());
            let text = format!("some files cannot be read: {}", unreadable.unwrap_or_default());
            return Err(CliError::new(Code::Incomplete, text)
                .hint("the demo needs a folder that it can read completely"));
        }
        let done = done.success("pib backup")?;
        let summary = done.json("summary").unwrap_or_default();
        self.note_peak(&done);
        let report = &mut self.report;
        let number = |key: &str| summary[key].as_u64().unwrap_or(0);
        report.files = number("files_new") + number("files_changed") + number("files_unmodified");
        report.bytes = number("bytes_read");
        report.backup_mib_s = report.bytes as f64 / MIB / done.seconds;
        report.stored_bytes = self.group.stored_bytes()?;
        self.story.tell(format!(
            "{name} backed up {} files and links, {}, in {:.1} s. The others now hold {} of chunks: encrypted, without \
             names, each signed for by its storer; and the group's log has witnessed what was promised.",
            report.files,
            format_bytes(report.bytes),
            done.seconds,
            format_bytes(report.stored_bytes)
        ));
        Ok(())
    }

    fn break_members(&mut self) -> Result<(), CliError> {
        for &member in &self.plan.corrupted {
            let chunks = self.group.corrupt(member)?;
            self.report.corrupted += 1;
            self.report.corrupted_chunks += chunks;
            self.story.tell(format!(
                "The disk of {} is damaged: one bit was flipped in each of the {chunks} chunks that it holds, behind its \
                 back, and it keeps answering.",
                self.group.name(member)
            ));
        }
        for &member in &self.plan.killed {
            self.group.kill(member)?;
            self.report.killed += 1;
            self.story
                .tell(format!("{} is dead: killed without warning.", self.group.name(member)));
        }
        Ok(())
    }

    /// A snapshot holds absolute paths.
    fn inside(&self, root: &Path) -> PathBuf {
        root.join(self.source.strip_prefix("/").unwrap_or(&self.source))
    }

    fn restore(&mut self) -> Result<(), CliError> {
        let target = self.dir.join("restored");
        let arguments =
            ["restore".as_ref(), "latest".as_ref(), "--target".as_ref(), target.as_os_str()];
        let done = self.group.run(OWNER, &arguments)?.success("pib restore")?;
        self.note_peak(&done);
        self.report.restore_mib_s = self.report.bytes as f64 / MIB / done.seconds;
        let found = self.compare(&self.inside(&target))?;
        self.report.restored_identical = found.identical();
        // The backup's own count has every kind of entry; this one has regular files.
        self.report.files = found.files;
        self.report.differences.extend(found.differences.iter().cloned());
        self.story.tell(match found.identical() {
            true => format!(
                "Restored from the others in {:.1} s and compared: {} files, {}, every name, byte, mode, time, \
                 link and attribute is the same.",
                done.seconds,
                found.files,
                format_bytes(found.bytes)
            ),
            false => format!(
                "Restored, but {} differences were found, the first: {}",
                found.difference_count,
                found.differences.first().map_or("", String::as_str)
            ),
        });
        // Room for the mount's comparison on small disks.
        fs::remove_dir_all(&target).map_err(|error| io("remove", &target, &error))
    }

    fn compare(&self, actual: &Path) -> Result<Comparison, CliError> {
        compare(&self.source, actual, Aspects::all())
            .map_err(|error| io("compare with", &self.source, &error))
    }

    fn mount(&mut self) -> Result<(), CliError> {
        let point = self.dir.join("mounted");
        fs::create_dir_all(&point).map_err(|error| io("make the folder", &point, &error))?;
        let mounted = match mounted::Mounted::start(&self.group, OWNER, &point)? {
            Ok(mounted) => mounted,
            Err(why) => {
                self.story.tell(format!(
                    "Not mounted: {why}. The restored files were compared all the same."
                ));
                return Ok(());
            }
        };
        let found = self.compare(&self.inside(&point.join("latest")))?;
        mounted.end()?;
        self.report.mount_identical = Some(found.identical());
        self.report.differences.extend(found.differences.iter().cloned());
        self.story.tell(match found.identical() {
            true => "Mounted as a folder and compared: the same again.".to_owned(),
            false => format!(
                "Mounted as a folder, but {} differences were found, the first: {}",
                found.difference_count,
                found.differences.first().map_or("", String::as_str)
            ),
        });
        Ok(())
    }
}
