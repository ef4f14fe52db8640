//! `pib demo --scenario equivocate`: one member signs two proposals in its own sender turn. The others
//! go on, one of them holds the proof, and anybody can check it.

use super::evidence::{POLL, PROOF_PATIENCE, Verdicts, wait_for_proof};
use super::report::Story;
use super::{LINK_PATIENCE, OWNER, Plan};
use crate::error::{CliError, Code, io};
use crate::harness::{Group, GroupSpec, Interrupt};
use crate::tree::{Aspects, compare, everyday};
use node::wire::MemberStanding;
use serde::Serialize;
use std::path::Path;
use std::time::Instant;

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
    /// The proof came into the log, and every honest member counts the hostile one out.
    expelled: bool,
    files: u64,
    bytes: u64,
    /// A backup made meanwhile came back the same.
    restored_identical: bool,
    seconds_to_proof: f64,
}

impl Report {
    /// What people are told at the end.
    pub fn last_words(&self) -> String {
        match self.is_good() {
            true => format!(
                "\nWhat this shows: {} signed two proposals for one instance, and what it signed convicts it before \
                 anybody who has the roster ({:.1} s from the start of the backup to the first proof). The group put \
                 the proof into its log and goes on without that member. Nobody else is accused, and the backup of {} files came back the same.",
                self.verdicts.hostile, self.seconds_to_proof, self.files
            ),
            false => format!("THE DEMO FAILED: {self:?}"),
        }
    }

    /// Whether the guilty one and nobody else was convicted, and nothing was lost.
    pub fn is_good(&self) -> bool {
        self.verdicts.are_good() && self.expelled && self.restored_identical
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
    // Enough members get the first proposal to decide it; so the others meet it later and see both.
    let q = types::Quorum::new(nodes, faulty, types::Mode::QuasiSync)
        .map_err(|error| CliError::new(Code::Usage, error))?
        .size();
    let others = (0..nodes).filter(|member| *member != hostile && *member != OWNER);
    let second: Vec<String> = others.take(nodes - 1 - q).map(|member| member.to_string()).collect();
    let lie = ["--second-to", &second.join(",")];
    group.start_with_hostile(hostile, &lie, LINK_PATIENCE)?;
    let name = group.name(hostile).to_owned();
    story.tell(format!(
        "{nodes} members founded a group. {name} is hostile: in its own turns it signs two different proposals and \
         sends one to {q} members and the other to {}.",
        second.len()
    ));
    let started = Instant::now();
    let done = group.run(OWNER, &["backup".as_ref(), source.as_os_str()])?;
    done.success("pib backup")?;
    let noticed = wait_for_proof(&group, hostile)?;
    let seconds_to_proof = started.elapsed().as_secs_f64();
    let (at, proof) = noticed;
    story.tell(format!(
        "A backup of {} files was made meanwhile. {} saw both proposals and holds the proof: {}.",
        made.files,
        group.name(at),
        proof.kind
    ));
    let verdicts = Verdicts::gather(&group, hostile, dir)?;
    story.tell(
        "Somebody who is in no group, with nothing but the proof and the roster, checked it and found it true; of a \
         copy with one changed byte he found that it proves nothing.",
    );
    let expelled = wait_for_expulsion(&group, hostile)?;
    if expelled {
        story.tell(format!(
            "The proof is in the group's log: all others have taken {name} out, each at the same place, and store \
             nothing with it any more."
        ));
    }
    let target = dir.join("restored");
    let restore = ["restore".as_ref(), "latest".as_ref(), "--target".as_ref(), target.as_os_str()];
    group.run(OWNER, &restore)?.success("pib restore")?;
    let restored = target.join(source.strip_prefix("/").unwrap_or(&source));
    let found = compare(&source, &restored, Aspects::all())
        .map_err(|error| io("compare with", &source, &error))?;
    group.stop_all()?;
    Ok(Report {
        message_type: "demo_result",
        scenario: "equivocate",
        nodes,
        f: faulty,
        seed: plan.seed,
        verdicts,
        expelled,
        files: found.files,
        bytes: found.bytes,
        restored_identical: found.identical(),
        seconds_to_proof,
    })
}

/// Whether every honest member comes to count the hostile one out.
fn wait_for_expulsion(group: &Group, hostile: usize) -> Result<bool, CliError> {
    let start = Instant::now();
    while start.elapsed() < PROOF_PATIENCE {
        let mut out = true;
        for member in (0..group.len()).filter(|member| *member != hostile) {
            let status = group.status(member)?;
            out &= status.members.iter().any(|peer| {
                usize::from(peer.slot) == hostile && peer.standing == MemberStanding::Expelled
            });
        }
        if out {
            return Ok(true);
        }
        group.check_interrupt()?;
        std::thread::sleep(POLL);
    }
    Ok(false)
}
