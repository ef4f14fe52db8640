//! `pib demo --scenario liar`: one member signs for every chunk that it is given, and lies when it is asked for
//! them: it returns others, or says that it need not. Each answer is a signed proof against it.

use super::evidence::{Verdicts, wait_for_proof};
use super::report::Story;
use super::{LINK_PATIENCE, OWNER, Plan};
use crate::error::{CliError, Code, io};
use crate::harness::{Group, GroupSpec, Interrupt};
use crate::tree::{Aspects, compare, everyday};
use serde::Serialize;
use std::path::Path;

/// Snapshots, so that the liar is asked often enough to lie in both ways: of each object it holds a chunk, but
/// one that is only asked for when others are missing if it is a parity chunk.
const DAYS: u64 = 5;

/// The result.
#[derive(Debug, Serialize)]
pub struct Report {
    message_type: &'static str,
    scenario: &'static str,
    nodes: usize,
    f: usize,
    seed: u64,
    /// Who was convicted, and what a stranger says of the proofs.
    #[serde(flatten)]
    verdicts: Verdicts,
    files: u64,
    bytes: u64,
    /// What the liar was asked for came back from others.
    restored_identical: bool,
}

impl Report {
    /// What people are told at the end.
    pub fn last_words(&self) -> String {
        match self.is_good() {
            true => format!(
                "\nWhat this shows: a storer that answers falsely signs its own conviction, of {} kinds here. {} files came \
                 back the same, because what one storer withholds the others have; nobody else is accused. What follows is \
                 the administrator's to say: `pib group evict` takes {} out.",
                self.verdicts.proofs.len(),
                self.files,
                self.verdicts.hostile
            ),
            false => format!("THE DEMO FAILED: {self:?}"),
        }
    }

    /// Whether the liar and nobody else was convicted, and nothing was lost.
    pub fn is_good(&self) -> bool {
        self.verdicts.are_good() && self.restored_identical
    }
}

/// Plays the scenario.
pub fn play(
    story: &Story,
    plan: &Plan,
    dir: &Path,
    interrupt: Interrupt,
) -> Result<Report, CliError> {
    let hostile = plan.liar;
    let source = dir.join("source");
    let made = everyday(&source, plan.files, plan.seed)
        .map_err(|error| io("generate files in", &source, &error))?;
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
    group.start_with_hostile(hostile, &["--false-answers"], LINK_PATIENCE)?;
    let name = group.name(hostile).to_owned();
    story.tell(format!(
        "{nodes} members founded a group. {name} is hostile: it signs for what it is to store, and when it is asked for a \
         chunk it signs that the chunk was another one, or that the lease is over."
    ));
    for day in 1..=DAYS {
        let note = source.join(format!("day-{day}.txt"));
        std::fs::write(&note, format!("what happened on day {day}\n"))
            .map_err(|error| io("write", &note, &error))?;
        group.run(OWNER, &["backup".as_ref(), source.as_os_str()])?.success("pib backup")?;
    }
    story.tell(format!(
        "{DAYS} backups of {} files were made, one a day; {name} holds its part of them.",
        made.files + DAYS
    ));
    let target = dir.join("restored");
    let restore = ["restore".as_ref(), "latest".as_ref(), "--target".as_ref(), target.as_os_str()];
    group.run(OWNER, &restore)?.success("pib restore")?;
    let restored = target.join(source.strip_prefix("/").unwrap_or(&source));
    let found = compare(&source, &restored, Aspects::all())
        .map_err(|error| io("compare with", &source, &error))?;
    // Reads every byte of every snapshot again.
    group.run(OWNER, &["check".as_ref(), "--read-data".as_ref()])?.success("pib check")?;
    let (at, proof) = wait_for_proof(&group, hostile)?;
    story.tell(format!(
        "The last was restored and all were checked, from what the others hold. What {name} answered, {} holds as proof: {}.",
        group.name(at),
        proof.kind
    ));
    let verdicts = Verdicts::gather(&group, hostile, dir)?;
    story.tell(
        "Somebody who is in no group, with nothing but the proofs and the roster, checked them and found them true; of \
         copies with one changed byte he found that they prove nothing.",
    );
    group.stop_all()?;
    Ok(Report {
        message_type: "demo_result",
        scenario: "liar",
        nodes,
        f: faulty,
        seed: plan.seed,
        verdicts,
        files: found.files,
        bytes: found.bytes,
        restored_identical: found.identical(),
    })
}
