//! Memory and disk over weeks, and what idling costs (specification 4.5, 5.3, 5.5, 11.5).
//!
//! Purpose: to show, with the real core and every record it writes, that what a member holds does not
//! grow with the age of the group: a group that idles for a month, and one in which a member is silent
//! for days and comes back. Every bound is stated before the run, from the parameters; one that is exceeded
//! fails the command. Traffic is held against a figure computed from the encoders' sizes alone.
//!
//! Deviations: the figure of specification 11.5 was computed for the sizes of its own message table;
//! ours are shown beside it.

// The report is a file.
#![allow(clippy::disallowed_methods)]

use crate::deviation::sizes::Sizes;
use crate::figures::quiet::{Quiet, Setting};
use bart_rsm::{Params, Proposal, REPLAYED};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use types::{Encode, Mode, Quorum, Slot, Stamp};

/// One way, ms (specification 11.5).
const DELAY_MS: u64 = 50;
/// What a member holds is looked at so often, s of virtual time.
const LOOK_S: u64 = 1_800;
const HOUR_S: u64 = 3_600;
const DAY_S: u64 = 24 * HOUR_S;
/// How long a member that was silent is watched after its return.
const AFTER_S: u64 = DAY_S;
/// Messages a turn-0 instance of five message delays.
const ROUNDS: u64 = 5;
/// The specification's figure for n = 20, bytes a day and node.
const SPEC_DAY_BYTES: f64 = 9.5e6;
/// A group that idles and is woken runs at full speed within so much (specification 11.5).
const WAKE_MAX_MS: u64 = 2_000;
/// Largest records of one instance of an idle group, beside its vectors: statements, and an empty proposal.
const INSTANCE_BYTES: usize = 2 * 1024;
/// What a member of a quorum adds: a signature with a digest in each of up to five vectors.
const SIGNER_BYTES: usize = 512;
/// Instances that are loaded at a time for a member that comes back.
const LOADED: usize = 64;

/// How long to run.
#[derive(Debug, Clone, Copy)]
pub struct Spans {
    /// Days that five members idle.
    pub idle_days: u64,
    /// Days that twenty members idle.
    pub large_days: u64,
    /// Days that one of five is silent.
    pub silent_days: u64,
}

/// What the members of a group hold at one moment, the largest of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// Seconds since the start.
    pub at_s: u64,
    /// Instances that the first member decided.
    pub decided: u64,
    /// Instances that the last member, the silent one, has not decided of those.
    pub behind: u64,
    /// Instances in memory.
    pub resident: usize,
    /// Bytes of parked messages.
    pub parked: usize,
    /// Records on the disk.
    pub records: usize,
    /// Their bytes.
    pub bytes: usize,
}

/// What is held at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Instances in memory.
    pub resident: usize,
    /// Bytes parked.
    pub parked: usize,
    /// Records, while all members follow.
    pub records: usize,
    /// Their bytes.
    pub bytes: usize,
    /// Of these, for one instance.
    pub each: usize,
}

impl Bounds {
    /// Of a group: what stays in memory, one batch of erasures, and a few rotations until what is
    /// closed is known to be.
    fn of(nodes: usize, v_max: usize) -> Self {
        let kept = REPLAYED as usize + 64 + 4 * nodes;
        let each = INSTANCE_BYTES + SIGNER_BYTES * (nodes - Quorum::largest_f(nodes));
        Self {
            resident: REPLAYED as usize + 4 * nodes,
            parked: nodes * (4 * v_max + 64 * 1024),
            records: 2 * kept + 8,
            bytes: each * kept,
            each,
        }
    }

    /// While a member is that many instances behind, those stay on disk for it.
    fn while_behind(self, instances: usize) -> Self {
        let loaded = if instances > 0 { LOADED } else { 0 };
        Self {
            resident: self.resident + loaded,
            records: self.records + 2 * instances,
            bytes: self.bytes + self.each * instances,
            ..self
        }
    }

    fn exceeded(&self, sample: &Sample) -> Vec<String> {
        let told = [
            ("instances in memory", sample.resident, self.resident),
            ("parked bytes", sample.parked, self.parked),
            ("records", sample.records, self.records),
            ("bytes on disk", sample.bytes, self.bytes),
        ];
        let over = told.into_iter().filter(|(_, is, max)| is > max);
        over.map(|(what, is, max)| format!("{is} {what} at {} s, bound {max}", sample.at_s))
            .collect()
    }
}

/// One group's course.
#[derive(Debug, Clone)]
pub struct Course {
    /// In a word.
    pub name: String,
    /// Bounds while all follow.
    pub bounds: Bounds,
    /// What was held.
    pub samples: Vec<Sample>,
    /// The last checkpoint that is stable.
    pub stable: Option<u64>,
    /// Bounds that were exceeded.
    pub exceeded: Vec<String>,
}

/// Traffic of an idle group.
#[derive(Debug, Clone, Copy)]
pub struct Idle {
    /// Members.
    pub nodes: usize,
    /// Bytes a member sent in a day, measured.
    pub measured: f64,
    /// Computed from the sizes of the messages.
    pub computed: f64,
    /// From the submission of a command in the idle group to the next instance, and to the one after it,
    /// ms.
    pub wake_ms: u64,
    /// To its commit, if its author must wait for a whole rotation first.
    pub commit_ms: u64,
}

/// Everything.
#[derive(Debug, Clone)]
pub struct Report {
    courses: Vec<Course>,
    idle: Vec<Idle>,
}

fn group(nodes: u16, v_max: usize) -> Result<Quiet, String> {
    let params = Params { v_max, ..Params::default() };
    Quiet::new(Setting { nodes, delay_ms: DELAY_MS, params, slow: BTreeMap::new() })
}

fn look(group: &Quiet, nodes: u16) -> Sample {
    let all = || (0..nodes).map(Slot);
    let most = |of: &dyn Fn(Slot) -> usize| all().map(of).max().unwrap_or(0);
    let decided = group.decided(Slot(0));
    Sample {
        at_s: group.now_ms() / 1000,
        decided,
        behind: decided.saturating_sub(group.decided(Slot(nodes - 1))),
        resident: most(&|slot| group.stats(slot).instances),
        parked: most(&|slot| group.stats(slot).parked_bytes),
        records: most(&|slot| group.disk(slot).0),
        bytes: most(&|slot| group.disk(slot).1),
    }
}

/// All members follow and have nothing to say.
fn idle_course(nodes: u16, days: u64) -> Result<(Course, Idle), String> {
    let v_max = Params::default().v_max;
    let mut group = group(nodes, v_max)?;
    let bounds = Bounds::of(usize::from(nodes), v_max);
    let mut course = Course::new(format!("idle-{nodes}"), bounds);
    // The pace grows from rotation to rotation until it is the slowest one.
    group.run_until(2 * HOUR_S * 1000);
    let before: u64 = group.sent_bytes.iter().sum();
    let start_s = group.now_ms() / 1000;
    for at_s in (0..=days * DAY_S).step_by(LOOK_S as usize) {
        group.run_until((start_s + at_s) * 1000);
        course.add(look(&group, nodes), bounds);
    }
    let sent: u64 = group.sent_bytes.iter().sum::<u64>() - before;
    let measured = sent as f64 / f64::from(nodes) / days as f64;
    course.stable = group.stable(Slot(0));
    let (wake_ms, commit_ms) = wake(&mut group, nodes);
    let computed = computed_day(usize::from(nodes));
    Ok((course, Idle { nodes: usize::from(nodes), measured, computed, wake_ms, commit_ms }))
}

/// How long the group takes to run again, and the command of a member that has just proposed to be
/// committed, which takes a whole rotation.
fn wake(group: &mut Quiet, nodes: u16) -> (u64, u64) {
    let asker = Slot(nodes - 1);
    while !group.decided(asker).is_multiple_of(u64::from(nodes)) {
        group.run_until(group.now_ms() + 10);
    }
    let (from_ms, before) = (group.now_ms(), group.committed(asker));
    group.submit(asker, b"wake up".to_vec());
    let (last_ms, next) = (from_ms + 600_000, group.decided(asker) + 2);
    while group.decided(asker) < next && group.now_ms() < last_ms {
        group.run_until(group.now_ms() + 10);
    }
    let wake_ms = group.now_ms() - from_ms;
    while group.committed(asker) == before && group.now_ms() < last_ms {
        group.run_until(group.now_ms() + 10);
    }
    (wake_ms, group.now_ms() - from_ms)
}

/// Bytes a node and day: one empty instance after another at the slowest pace, all in turn 0.
fn computed_day(nodes: usize) -> f64 {
    let params = Params::default();
    let Ok(quorum) = Quorum::new(nodes, Quorum::largest_f(nodes), Mode::QuasiSync) else {
        return 0.0;
    };
    let body = Proposal::plain(nodes, Stamp(0), Vec::new()).to_bytes().len();
    let sizes = Sizes::measure(quorum.size(), params.v_max, body, 0, 0);
    let (down, up) = sizes.turn_0();
    let instance = (down + up) as f64 * (nodes - 1) as f64 / nodes as f64;
    let each_s = (params.idle_max_ms + ROUNDS * DELAY_MS) as f64 / 1000.0;
    instance * DAY_S as f64 / each_s
}

/// One member is silent, and comes back.
fn silent_course(days: u64) -> Result<Course, String> {
    let (nodes, v_max) = (5u16, types::limits::PROPOSAL_LEN_MIN);
    let mut group = group(nodes, v_max)?;
    let bounds = Bounds::of(usize::from(nodes), v_max);
    let mut course = Course::new("silent-5".into(), bounds);
    let (away, back_s) = (Slot(nodes - 1), HOUR_S + days * DAY_S);
    let mut missed_from = 0;
    let mut missed = 0;
    for at_s in (0..=back_s + AFTER_S).step_by(LOOK_S as usize) {
        group.run_until(at_s * 1000);
        if at_s == HOUR_S {
            group.set_reachable(away, false);
            missed_from = group.decided(Slot(0));
        }
        if at_s == back_s {
            group.set_reachable(away, true);
        }
        let sample = look(&group, nodes);
        if (HOUR_S..=back_s).contains(&at_s) {
            missed = sample.decided - missed_from;
        }
        // An hour after its return nothing is kept for it any more.
        let kept = if at_s < back_s + HOUR_S { missed as usize } else { 0 };
        course.add(sample, bounds.while_behind(kept));
    }
    if course.samples.last().is_some_and(|last| last.behind > u64::from(nodes)) {
        course.exceeded.push("the silent member has not caught up".into());
    }
    course.stable = group.stable(Slot(0));
    Ok(course)
}

impl Course {
    fn new(name: String, bounds: Bounds) -> Self {
        Self { name, bounds, samples: Vec::new(), stable: None, exceeded: Vec::new() }
    }

    fn add(&mut self, sample: Sample, bounds: Bounds) {
        self.exceeded.extend(bounds.exceeded(&sample));
        self.samples.push(sample);
    }

    fn most(&self, of: impl Fn(&Sample) -> usize) -> usize {
        self.samples.iter().map(of).max().unwrap_or(0)
    }
}

/// Runs every course.
pub fn run(spans: Spans) -> Result<Report, String> {
    let (small, small_idle) = idle_course(5, spans.idle_days.max(1))?;
    let (large, large_idle) = idle_course(20, spans.large_days.max(1))?;
    let silent = silent_course(spans.silent_days.max(1))?;
    Ok(Report { courses: vec![small, large, silent], idle: vec![small_idle, large_idle] })
}

impl Idle {
    fn exceeded(&self) -> Vec<String> {
        let mut found = Vec::new();
        if (self.measured / self.computed - 1.0).abs() > 0.1 {
            let Self { nodes, measured, computed, .. } = self;
            found.push(format!(
                "idle traffic at n = {nodes}: {measured:.0} bytes a day, computed {computed:.0}"
            ));
        }
        let Self { nodes, wake_ms, commit_ms, .. } = self;
        if *wake_ms > WAKE_MAX_MS {
            found.push(format!("the idle group of {nodes} took {wake_ms} ms to wake up"));
        }
        // A rotation of turns of five message delays, one delay for the WAKE, and the grain of looking.
        let max = *nodes as u64 * (ROUNDS * DELAY_MS + 1) + DELAY_MS + 20;
        if *commit_ms > max {
            found.push(format!("a command in the idle group of {nodes} took {commit_ms} ms"));
        }
        found
    }
}

impl Report {
    /// Bounds that were exceeded.
    pub fn exceeded(&self) -> Vec<String> {
        let courses = self.courses.iter().flat_map(|course| {
            course.exceeded.iter().map(move |what| format!("{}: {what}", course.name))
        });
        courses.chain(self.idle.iter().flat_map(Idle::exceeded)).collect()
    }

    /// The report as a page.
    pub fn markdown(&self) -> String {
        let mut out = String::from(
            "# Memory and disk over time\n\nMade by `sim memory --out docs/results`, in virtual time with the real core, on links of 50 ms;\n\
             everything by half-hour in [memory.csv](memory.csv). The figures are the largest of any member at any time; the\n\
             bound is stated before the run, in `sim/src/memory.rs`, and an exceeded one fails the command.\n\n\
             | course | days | instances | in memory (bound) | parked bytes (bound) | records (bound) | bytes on disk (bound) | at the end |\n\
             | --- | --- | --- | --- | --- | --- | --- | --- |\n",
        );
        for course in &self.courses {
            let Some(last) = course.samples.last() else { continue };
            let first = course.samples.first().map_or(0, |sample| sample.at_s);
            let kept = course.bounds.while_behind(course.most(|sample| sample.behind as usize));
            let _ = writeln!(
                out,
                "| {} | {:.1} | {} | {} ({}) | {} ({}) | {} ({}) | {} ({}) | {} records, {} bytes |",
                course.name,
                (last.at_s - first) as f64 / DAY_S as f64,
                last.decided,
                course.most(|sample| sample.resident),
                kept.resident,
                course.most(|sample| sample.parked),
                kept.parked,
                course.most(|sample| sample.records),
                kept.records,
                course.most(|sample| sample.bytes),
                kept.bytes,
                last.records,
                last.bytes,
            );
        }
        out.push_str(
            "\n## Idling\n\n| n | sent a day and node, bytes | computed from the encoders | specification 11.5 | woken: two instances, ms | a command after a whole rotation, ms |\n\
             | --- | --- | --- | --- | --- | --- |\n",
        );
        for idle in &self.idle {
            let spec = if idle.nodes == 20 { format!("{SPEC_DAY_BYTES:.0}") } else { "-".into() };
            let Idle { nodes, measured, computed, wake_ms, commit_ms } = idle;
            let _ = writeln!(
                out,
                "| {nodes} | {measured:.0} | {computed:.0} | {spec} | {wake_ms} | {commit_ms} |"
            );
        }
        match self.exceeded() {
            none if none.is_empty() => out.push_str("\nNo bound was exceeded.\n"),
            all => all.iter().for_each(|what| {
                let _ = writeln!(out, "\nEXCEEDED: {what}");
            }),
        }
        out
    }

    /// Writes `memory.md` and `memory.csv`.
    pub fn write(&self, folder: &Path) -> std::io::Result<()> {
        std::fs::create_dir_all(folder)?;
        std::fs::write(folder.join("memory.md"), self.markdown())?;
        let mut csv = String::from("course,at_s,decided,behind,resident,parked,records,bytes\n");
        for course in &self.courses {
            for sample in &course.samples {
                let Sample { at_s, decided, behind, resident, parked, records, bytes } = sample;
                let _ = writeln!(
                    csv,
                    "{},{at_s},{decided},{behind},{resident},{parked},{records},{bytes}",
                    course.name
                );
            }
        }
        std::fs::write(folder.join("memory.csv"), csv)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(records: usize) -> Sample {
        Sample { at_s: 7, decided: 100, behind: 0, resident: 64, parked: 0, records, bytes: 0 }
    }

    #[test]
    fn record_too_many_exceeds_its_bound_unless_a_member_is_behind() {
        let bounds = Bounds::of(5, 1 << 16);
        assert!(bounds.exceeded(&sample(bounds.records)).is_empty());
        assert_eq!(bounds.exceeded(&sample(bounds.records + 1)).len(), 1);
        assert!(bounds.while_behind(1).exceeded(&sample(bounds.records + 2)).is_empty());
        assert_eq!(bounds.while_behind(1).exceeded(&sample(bounds.records + 3)).len(), 1);
    }

    /// Specification 11.5 in the small: six idle hours of five members, and the WAKE.
    #[test]
    fn idle_group_sends_what_its_encoders_say_and_wakes_in_two_seconds() {
        let mut group = group(5, types::limits::PROPOSAL_LEN_MIN).unwrap();
        group.run_until(2 * HOUR_S * 1000);
        let before: u64 = group.sent_bytes.iter().sum();
        group.run_until(8 * HOUR_S * 1000);
        let sent = (group.sent_bytes.iter().sum::<u64>() - before) as f64 / 5.0 * 4.0;
        assert!((sent / computed_day(5) - 1.0).abs() < 0.1, "{sent} {}", computed_day(5));
        let (wake_ms, commit_ms) = wake(&mut group, 5);
        assert!(wake_ms < WAKE_MAX_MS && commit_ms < WAKE_MAX_MS, "{wake_ms} {commit_ms}");
        assert!(
            Bounds::of(5, types::limits::PROPOSAL_LEN_MIN).exceeded(&look(&group, 5)).is_empty()
        );
    }
}
