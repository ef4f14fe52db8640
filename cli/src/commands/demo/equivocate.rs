//! `pib demo --scenario equivocate`: one member signs two proposals in its own sender turn. The others
//! go on, one of them holds the proof, and anybody can check it.

use super::report::Story;
use super::{LINK_PATIENCE, OWNER, Plan};
use crate::error::{CliError, Code, io};
use crate::harness::{Group, GroupSpec, Interrupt};
use crate::tree::{Aspects, compare, everyday};
use node::wire::{MemberStanding, ProofEntry};
use serde::Serialize;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long the group may take to hold a proof.
const PROOF_PATIENCE: Duration = Duration::from_secs(180);
const POLL: Duration = Duration::from_millis(250);

/// The result.
#[derive(Debug, Serialize)]
pub struct Report {
    message_type: &'static str,
    scenario: &'static str,
    nodes: usize,
    f: usize,
    seed: u64,
    /// The member that signed two proposals.
    hostile: String,
    hostile_slot: u16,
    /// What the proofs that honest members keep show, without repetitions.
    convicted: Vec<Convicted>,
    /// Of them, members other than the hostile one.
    honest_convicted: usize,
    /// The proof and the roster, in a folder that holds nothing else.
    proof: PathBuf,
    roster: PathBuf,
    /// The proof came into the log, and every honest member counts the hostile one out.
    expelled: bool,
    /// `pib pom verify` accepted it in that folder, without daemon or network.
    verified_offline: bool,
    /// A copy with one changed byte was refused, for this reason.
    changed_copy_refused: Option<String>,
    files: u64,
    bytes: u64,
    /// A backup made meanwhile came back the same.
    restored_identical: bool,
    seconds_to_proof: f64,
}

#[derive(Debug, Clone, Serialize, PartialEq, Eq, PartialOrd, Ord)]
struct Convicted {
    member: String,
    slot: u16,
    kind: String,
}

impl Report {
    /// What people are told at the end.
    pub fn last_words(&self) -> String {
        match self.is_good() {
            true => format!(
                "\nWhat this shows: {} signed two proposals for one instance, and what it signed convicts it before \
                 anybody who has the roster ({:.1} s from the start of the backup to the first proof). The group put \
                 the proof into its log and goes on without that member. Nobody else is accused, and the backup of {} files came back the same.",
                self.hostile, self.seconds_to_proof, self.files
            ),
            false => format!("THE DEMO FAILED: {self:?}"),
        }
    }

    /// Whether the guilty one and nobody else was convicted, and nothing was lost.
    pub fn is_good(&self) -> bool {
        let guilty = self.convicted.iter().any(|one| one.slot == self.hostile_slot);
        guilty
            && self.honest_convicted == 0
            && self.expelled
            && self.verified_offline
            && self.changed_copy_refused.is_some()
            && self.restored_identical
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
    let spec = GroupSpec { exe, dir: dir.join("group"), nodes, faulty, limits: String::new() };
    let mut group = Group::found(spec, interrupt)?;
    // Enough members get the first proposal to decide it; so the others meet it later and see both.
    let q = types::Quorum::new(nodes, faulty, types::Mode::QuasiSync)
        .map_err(|error| CliError::new(Code::Usage, error))?
        .size();
    let others = (0..nodes).filter(|member| *member != hostile && *member != OWNER);
    let second: Vec<u16> = others.take(nodes - 1 - q).map(|member| member as u16).collect();
    group.start_with_hostile(hostile, &second, LINK_PATIENCE)?;
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
    let folder = dir.join("evidence");
    let (proof, roster) = export(&group, at, &proof, &folder)?;
    let verified_offline = verify(&group, &folder, &proof, &roster)?.is_ok();
    let changed_copy_refused = verify_changed(&group, &folder, &proof, &roster)?;
    story.tell(
        "Somebody who is in no group, with nothing but the proof and the roster, checked it and found it true; of a \
         copy with one changed byte he found that it proves nothing.",
    );
    let convicted = all_convicted(&group, hostile)?;
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
    let hostile_slot = hostile as u16;
    Ok(Report {
        message_type: "demo_result",
        scenario: "equivocate",
        nodes,
        f: faulty,
        seed: plan.seed,
        hostile: name,
        hostile_slot,
        honest_convicted: convicted
            .iter()
            .map(|one| one.slot)
            .filter(|slot| *slot != hostile_slot)
            .collect::<BTreeSet<_>>()
            .len(),
        convicted,
        expelled,
        proof,
        roster,
        verified_offline,
        changed_copy_refused,
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

/// The first proof that an honest member holds against the hostile one, and who holds it.
fn wait_for_proof(group: &Group, hostile: usize) -> Result<(usize, ProofEntry), CliError> {
    let started = Instant::now();
    while started.elapsed() < PROOF_PATIENCE {
        for member in (0..group.len()).filter(|member| *member != hostile) {
            let proofs = group.proofs(member)?;
            if let Some(proof) = proofs.into_iter().find(|proof| usize::from(proof.slot) == hostile)
            {
                return Ok((member, proof));
            }
        }
        group.check_interrupt()?;
        std::thread::sleep(POLL);
    }
    Err(CliError::new(Code::Failed, "no member holds a proof after three minutes")
        .hint("run it again with --keep and look at the members' logs"))
}

/// Everything that honest members keep, without repetitions.
fn all_convicted(group: &Group, hostile: usize) -> Result<Vec<Convicted>, CliError> {
    let mut all = BTreeSet::new();
    for member in (0..group.len()).filter(|member| *member != hostile) {
        for ProofEntry { member, slot, kind, .. } in group.proofs(member)? {
            all.insert(Convicted { member, slot, kind });
        }
    }
    Ok(all.into_iter().collect())
}

/// Puts proof and roster into a folder of their own, by the commands that people use.
fn export(
    group: &Group,
    at: usize,
    proof: &ProofEntry,
    folder: &Path,
) -> Result<(PathBuf, PathBuf), CliError> {
    fs::create_dir_all(folder).map_err(|error| io("make the folder", folder, &error))?;
    let (file, roster) = (folder.join("proof.pom"), folder.join("roster"));
    let arguments =
        ["pom".as_ref(), "export".as_ref(), proof.id.as_ref(), "--out".as_ref(), file.as_os_str()];
    group.run(at, &arguments)?.success("pib pom export")?;
    let arguments = ["group".as_ref(), "roster".as_ref(), "--out".as_ref(), roster.as_os_str()];
    group.run(at, &arguments)?.success("pib group roster")?;
    Ok((file, roster))
}

/// Runs `pib pom verify` as somebody who is no member; what it refuses is the inner error.
fn verify(
    group: &Group,
    folder: &Path,
    proof: &Path,
    roster: &Path,
) -> Result<Result<(), String>, CliError> {
    let id = group.status(OWNER)?.group_id;
    let arguments = ["pom".as_ref(), "verify".as_ref(), proof.as_os_str(), "--roster".as_ref()];
    let arguments = [&arguments[..], &[roster.as_os_str(), "--group".as_ref(), id.as_ref()]];
    let done = group.run_outside(&folder.join("nobody"), &arguments.concat())?;
    Ok(match done.code {
        code if code == Code::Done as i32 && done.json("pom_verdict").is_some() => Ok(()),
        code if code == Code::NotProven as i32 => Err(done.stderr.trim().to_owned()),
        code => {
            return Err(CliError::new(
                Code::Failed,
                format!("`pib pom verify` ended with {code}: {}", done.stderr),
            ));
        }
    })
}

/// The reason for which a copy with one changed byte is refused; none if it is accepted.
fn verify_changed(
    group: &Group,
    folder: &Path,
    proof: &Path,
    roster: &Path,
) -> Result<Option<String>, CliError> {
    let mut bytes = fs::read(proof).map_err(|error| io("read", proof, &error))?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let copy = folder.join("changed.pom");
    crate::files::replace(&copy, &bytes, 0o600)?;
    let refused = verify(group, folder, &copy, roster)?.err();
    fs::remove_file(&copy).map_err(|error| io("remove", &copy, &error))?;
    Ok(refused)
}
