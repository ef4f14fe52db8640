//! What the scenarios with a hostile member share: proofs are waited for, exported by the commands that people
//! use, and checked by somebody who is no member and has nothing but the proof and the roster.

use super::OWNER;
use crate::error::{CliError, Code, io};
use crate::harness::Group;
use node::wire::ProofEntry;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long the group may take to hold a proof.
pub const PROOF_PATIENCE: Duration = Duration::from_secs(180);
/// Between two looks.
pub const POLL: Duration = Duration::from_millis(250);

/// Who is convicted of what.
#[derive(Debug, Clone, Serialize, PartialEq, Eq, PartialOrd, Ord)]
pub struct Convicted {
    /// By name.
    pub member: String,
    /// By slot.
    pub slot: u16,
    /// Row of the catalogue, and its name.
    pub kind: String,
}

/// What the proofs of a scenario show.
#[derive(Debug, Serialize)]
pub struct Verdicts {
    /// The member that lied.
    pub hostile: String,
    /// Its slot.
    pub hostile_slot: u16,
    /// What the proofs that honest members keep show, without repetitions.
    pub convicted: Vec<Convicted>,
    /// Of them, members other than the hostile one.
    pub honest_convicted: usize,
    /// One proof of the hostile member, in a folder that holds nothing else but the others and the roster.
    pub proof: PathBuf,
    /// One proof of each kind.
    pub proofs: Vec<PathBuf>,
    /// The roster.
    pub roster: PathBuf,
    /// `pib pom verify` accepted all of them in that folder, without daemon or network.
    pub verified_offline: bool,
    /// A copy of each with one changed byte was refused; the reason of the first.
    pub changed_copy_refused: Option<String>,
}

impl Verdicts {
    /// Gathers what the honest members hold, and has a stranger look at one proof of each kind.
    pub fn gather(group: &Group, hostile: usize, dir: &Path) -> Result<Self, CliError> {
        let (mut convicted, mut kinds) = (BTreeSet::new(), BTreeMap::new());
        for at in (0..group.len()).filter(|member| *member != hostile) {
            for proof in group.proofs(at)? {
                let ProofEntry { member, slot, kind, .. } = proof.clone();
                if usize::from(slot) == hostile {
                    kinds.entry(kind.clone()).or_insert((at, proof));
                }
                convicted.insert(Convicted { member, slot, kind });
            }
        }
        let folder = dir.join("evidence");
        fs::create_dir_all(&folder).map_err(|error| io("make the folder", &folder, &error))?;
        let (roster, mut proofs) = (folder.join("roster"), Vec::new());
        let export = ["group".as_ref(), "roster".as_ref(), "--out".as_ref(), roster.as_os_str()];
        group.run(OWNER, &export)?.success("pib group roster")?;
        let (mut verified_offline, mut refusals) = (!kinds.is_empty(), Vec::new());
        for (number, (at, proof)) in kinds.into_values().enumerate() {
            let file = folder.join(match number {
                0 => "proof.pom".to_owned(),
                more => format!("proof-{}.pom", more + 1),
            });
            export_proof(group, at, &proof, &file)?;
            verified_offline &= verify(group, &folder, &file, &roster)?.is_ok();
            refusals.push(verify_changed(group, &folder, &file, &roster)?);
            proofs.push(file);
        }
        let hostile_slot = hostile as u16;
        let honest = convicted.iter().map(|one| one.slot).filter(|slot| *slot != hostile_slot);
        let all_refused = refusals.iter().all(Option::is_some);
        Ok(Self {
            hostile: group.name(hostile).to_owned(),
            hostile_slot,
            honest_convicted: honest.collect::<BTreeSet<_>>().len(),
            convicted: convicted.into_iter().collect(),
            proof: proofs.first().cloned().unwrap_or_default(),
            proofs,
            roster,
            verified_offline,
            changed_copy_refused: refusals.into_iter().flatten().next().filter(|_| all_refused),
        })
    }

    /// Whether the guilty one and nobody else was convicted, before anybody.
    pub fn are_good(&self) -> bool {
        let guilty = self.convicted.iter().any(|one| one.slot == self.hostile_slot);
        guilty
            && self.honest_convicted == 0
            && self.verified_offline
            && self.changed_copy_refused.is_some()
    }
}

/// The first proof that an honest member holds against the hostile one, and who holds it.
pub fn wait_for_proof(group: &Group, hostile: usize) -> Result<(usize, ProofEntry), CliError> {
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

fn export_proof(group: &Group, at: usize, proof: &ProofEntry, file: &Path) -> Result<(), CliError> {
    let arguments =
        ["pom".as_ref(), "export".as_ref(), proof.id.as_ref(), "--out".as_ref(), file.as_os_str()];
    group.run(at, &arguments)?.success("pib pom export")?;
    Ok(())
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
