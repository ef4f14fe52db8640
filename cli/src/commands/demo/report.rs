//! What the demo says, in words and in JSON.

use crate::output::Output;
use serde::Serialize;

/// Differences that are reported one by one.
const DIFFERENCES_MAX: usize = 20;

/// Tells what happens while it happens.
pub struct Story {
    output: Output,
}

impl Story {
    /// A story that goes to standard output.
    pub fn new(output: Output) -> Self {
        Self { output }
    }

    /// A step.
    pub fn tell(&self, text: impl Into<String>) {
        let text = text.into();
        self.output.say(format!("- {text}"));
        self.output.json(&serde_json::json!({"message_type": "demo_step", "text": text}));
    }

    /// The last words of a scenario with a hostile member.
    pub fn end_with(&self, words: &str, report: &impl Serialize) {
        self.output.say(words);
        self.output.json(report);
    }

    /// The last words.
    pub fn end(&self, report: &Report) {
        self.output.say(format!(
            "\nbackup {:.0} MiB/s, restore {:.0} MiB/s; {:.2} bytes stored for each byte of the folder; peak \
             memory: owner {:.0} MiB, largest storer {:.0} MiB",
            report.backup_mib_s,
            report.restore_mib_s,
            report.stored_bytes as f64 / report.bytes.max(1) as f64,
            report.owner_peak_rss_mib,
            report.storer_peak_rss_mib,
        ));
        for difference in &report.differences {
            self.output.result(format!("DIFFERENT: {difference}"));
        }
        self.output.say(match report.is_good() {
            true => format!(
                "What this shows: with {} of {} members dead or damaged, nothing was lost and no damaged byte got \
                 through. One more could have been too many; that is what f = {} means.",
                report.killed + report.corrupted,
                report.nodes,
                report.f
            ),
            false => "THE DEMO FAILED: what came back is not what was backed up.".to_owned(),
        });
        self.output.json(report);
    }
}

/// The result.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    message_type: &'static str,
    pub nodes: usize,
    pub f: usize,
    pub seed: u64,
    pub files: u64,
    pub bytes: u64,
    /// Members killed without warning.
    pub killed: u64,
    /// Members whose chunks were damaged.
    pub corrupted: u64,
    pub corrupted_chunks: u64,
    /// Distinct chunks that did not come back as promised.
    pub bad_chunks_detected: u64,
    pub restored_identical: bool,
    /// Absent where nothing can be mounted.
    pub mount_identical: Option<bool>,
    pub backup_mib_s: f64,
    pub restore_mib_s: f64,
    pub stored_bytes: u64,
    pub owner_peak_rss_mib: f64,
    pub storer_peak_rss_mib: f64,
    #[serde(serialize_with = "first")]
    pub differences: Vec<String>,
}

fn first<S: serde::Serializer>(list: &[String], out: S) -> Result<S::Ok, S::Error> {
    out.collect_seq(list.iter().take(DIFFERENCES_MAX))
}

impl Report {
    /// Of a demo that has shown nothing yet.
    pub fn new(nodes: usize, f: usize, seed: u64) -> Self {
        Self {
            message_type: "demo_result",
            nodes,
            f,
            seed,
            files: 0,
            bytes: 0,
            killed: 0,
            corrupted: 0,
            corrupted_chunks: 0,
            bad_chunks_detected: 0,
            restored_identical: false,
            mount_identical: None,
            backup_mib_s: 0.0,
            restore_mib_s: 0.0,
            stored_bytes: 0,
            owner_peak_rss_mib: 0.0,
            storer_peak_rss_mib: 0.0,
            differences: Vec::new(),
        }
    }

    /// Whether everything came back the same, and damage was noticed where it was done.
    pub fn is_good(&self) -> bool {
        let noticed = self.corrupted_chunks == 0 || self.bad_chunks_detected > 0;
        self.restored_identical && self.mount_identical != Some(false) && noticed
    }
}
