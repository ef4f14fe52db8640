//! What was counted, and how it is told.

use pib::EvidenceKind;
use std::collections::BTreeMap;

/// Failures that are told one by one.
const TOLD_MAX: usize = 10;

/// Counts of one or many seeds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    /// Seeds.
    pub seeds: u64,
    /// Objects that all their storers receipted.
    pub stored: u64,
    /// Reads of such objects.
    pub reads: u64,
    /// Reads with one bad storer too many that failed, as they must.
    pub too_many: u64,
    /// Crashes of honest members.
    pub crashes: u64,
    /// Lies told to honest members.
    pub lies: u64,
    /// Statements that honest members signed.
    pub signed: u64,
    /// Tuples of them that were judged.
    pub tuples: u64,
    /// Proofs that honest members found against liars, by row.
    pub convictions: BTreeMap<EvidenceKind, u64>,
    /// What should not have happened, with the seed.
    pub violations: Vec<String>,
}

impl Table {
    /// Adds another one.
    pub fn add(&mut self, other: Table) {
        self.seeds += other.seeds;
        self.stored += other.stored;
        self.reads += other.reads;
        self.too_many += other.too_many;
        self.crashes += other.crashes;
        self.lies += other.lies;
        self.signed += other.signed;
        self.tuples += other.tuples;
        for (kind, count) in other.convictions {
            *self.convictions.entry(kind).or_default() += count;
        }
        self.violations.extend(other.violations);
    }

    /// The table, in Markdown, and what is wrong.
    pub fn lines(&self) -> Vec<String> {
        let rows: Vec<String> =
            self.convictions.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
        let found = |guarantee: &str, nothing: &str| match self
            .violations
            .iter()
            .filter(|wrong| wrong.contains(guarantee))
            .count()
        {
            0 => nothing.to_owned(),
            count => format!("VIOLATED {count} times"),
        };
        let (lost, convicted) = (found("(i) ", "all came back"), found("(ii) ", "no proof"));
        let mut lines = vec![
            "| guarantee | what was done | found |".to_owned(),
            "| --- | --- | --- |".to_owned(),
            format!(
                "| (i) what is receipted comes back | {} objects stored, {} reads with exactly f storers bad, {} crashes | {lost} |",
                self.stored, self.reads, self.crashes
            ),
            format!(
                "| (i) has teeth | {} reads with f + 1 storers silent | all failed and said so |",
                self.too_many
            ),
            format!(
                "| (ii) nobody honest is convicted | {} lies told; {} statements of honest members, {} tuples judged | {convicted} |",
                self.lies, self.signed, self.tuples
            ),
            format!("| liars are convicted | | {} |", rows.join(", ")),
            "| (iii) over-use is found | NOT CHECKED: members do not audit yet | |".to_owned(),
            "| (iv) a lost disk loses nothing | NOT CHECKED: recovery is not built yet | |"
                .to_owned(),
        ];
        match self.violations.len() {
            0 => lines.push("violations: none".to_owned()),
            count => {
                lines.push(format!("violations: {count}"));
                lines.extend(self.violations.iter().take(TOLD_MAX).cloned());
            }
        }
        lines
    }
}
