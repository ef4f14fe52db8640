//! `pib demo --scenario refuser`: one member takes part in the log but neither stores nor returns. The group assigns it
//! the work and waits in vain; what the members sign about that convicts it (specification 6.1, 7.2).

use super::evidence::{Verdicts, wait_for_proof};
use super::report::Story;
use super::{LINK_PATIENCE, OWNER, Plan};
use crate::error::{CliError, Code, io};
use crate::harness::{Group, GroupSpec, Interrupt};
use crate::tree::{Aspects, compare, everyday};
use serde::Serialize;
use std::path::Path;
use std::time::Instant;

/// What assigned work may take to be answered, in the group of the demonstration.
const MAX_RESPONSE_MS: u64 = 6_000;
/// What the owner waits for a storer before the group is its witness.
const LIMITS: &str = "put_patience = \"5s\"";
/// The row of the catalogue that convicts.
const ROW: &str = "WR1";

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
    /// Work for the owner that the group assigned and that was not answered.
    work_denied: u64,
    files: u64,
    bytes: u64,
    /// What was stored with the group as witness came back from the others.
    restored_identical: bool,
    seconds_to_proof: f64,
}

impl Report {
    /// What people are told at the end.
    pub fn last_words(&self) -> String {
        let name = &self.verdicts.hostile;
        match self.is_good() {
            true => format!(
                "\nWhat this shows: {name} took part in the log but neither stored nor answered, whoever asked. The owner \
                 went on with the group as witness, which gave {name} the work and waited in vain; what the members signed \
                 about that convicts it before anybody who has the roster ({:.1} s from the start of the backup to the \
                 proof). Nobody else is accused, and the backup of {} files came back the same. What follows is the \
                 administrator's to say: `pib group evict` takes {name} out.",
                self.seconds_to_proof, self.files
            ),
            false => format!("THE DEMO FAILED: {self:?}"),
        }
    }

    /// Whether the refuser and nobody else was convicted of refusing, and nothing was lost.
    pub fn is_good(&self) -> bool {
        let row = self.verdicts.convicted.iter().all(|one| one.kind.starts_with(ROW));
        self.verdicts.are_good() && row && self.work_denied > 0 && self.restored_identical
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
    let (limits, max_response_ms) = (LIMITS.to_owned(), Some(MAX_RESPONSE_MS));
    let spec = GroupSpec { exe, dir: dir.join("group"), nodes, faulty, limits, max_response_ms };
    let mut group = Group::found(spec, interrupt)?;
    group.start_with_hostile(hostile, &["--silent", "always"], LINK_PATIENCE)?;
    let name = group.name(hostile).to_owned();
    story.tell(format!(
        "{nodes} members founded a group. {name} takes part in the log like anybody, but it neither stores for others nor \
         answers them."
    ));
    let started = Instant::now();
    group.run(OWNER, &["backup".as_ref(), source.as_os_str()])?.success("pib backup")?;
    story.tell(format!(
        "A backup of {} files was made, with the group as witness of what {name} owes.",
        made.files
    ));
    let target = dir.join("restored");
    let restore = ["restore".as_ref(), "latest".as_ref(), "--target".as_ref(), target.as_os_str()];
    group.run(OWNER, &restore)?.success("pib restore")?;
    let restored = target.join(source.strip_prefix("/").unwrap_or(&source));
    let found = compare(&source, &restored, Aspects::all())
        .map_err(|error| io("compare with", &source, &error))?;
    let (at, proof) = wait_for_proof(&group, hostile)?;
    let seconds_to_proof = started.elapsed().as_secs_f64();
    story.tell(format!(
        "It was restored from the others and compared. The group waited in vain for {name}, and {} holds the proof: {}.",
        group.name(at),
        proof.kind
    ));
    let verdicts = Verdicts::gather(&group, hostile, dir)?;
    story.tell(
        "Somebody who is in no group, with nothing but the proof and the roster, checked it and found it true; of a \
         copy with one changed byte he found that it proves nothing.",
    );
    let members = group.status(OWNER)?.members;
    let slow = members.iter().find(|member| usize::from(member.slot) == hostile);
    let work_denied = slow.map_or(0, |member| member.work_denied);
    group.stop_all()?;
    Ok(Report {
        message_type: "demo_result",
        scenario: "refuser",
        nodes,
        f: faulty,
        seed: plan.seed,
        verdicts,
        work_denied,
        files: found.files,
        bytes: found.bytes,
        restored_identical: found.identical(),
        seconds_to_proof,
    })
}
