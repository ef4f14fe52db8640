//! `pib pom`: proofs of misbehavior. Checking one needs the file and the group's roster, nothing
//! else: no daemon, no network, no membership.

use crate::error::{CliError, Code, io};
use crate::files;
use crate::session::Context;
use clap::{Args, Subcommand};
use node::proofs::{Judge, PROOF_LEN_MAX, Verdict};
use node::wire::ProofEntry;
use policy::RosterFile;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// What to do with proofs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check a proof with nothing but the roster; needs no daemon and no network
    Verify(Verify),
    /// List the proofs that this member's daemon keeps
    List,
    /// Say in words what a kept proof shows
    Show(Show),
    /// Write a kept proof to a file that anybody can check
    Export(Export),
}

/// Flags of `pib pom verify`.
#[derive(Debug, Args)]
pub struct Verify {
    /// The proof
    file: PathBuf,
    /// The group's roster, as `pib group roster` writes it
    #[arg(long, value_name = "FILE")]
    roster: PathBuf,
    /// The group's id, known from elsewhere: a roster of another group is then noticed
    #[arg(long, value_name = "ID")]
    group: Option<String>,
}

/// Flags of `pib pom show`.
#[derive(Debug, Args)]
pub struct Show {
    /// The proof, as `pib pom list` names it; its first characters suffice
    id: String,
}

/// Flags of `pib pom export`.
#[derive(Debug, Args)]
pub struct Export {
    /// The proof, as `pib pom list` names it; its first characters suffice
    id: String,
    /// The new file
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Runs the command.
pub fn run(context: &Context, command: &Command) -> Result<Code, CliError> {
    match command {
        Command::Verify(flags) => verify(context, flags),
        Command::List => list(context),
        Command::Show(flags) => show(context, flags),
        Command::Export(flags) => export(context, flags),
    }
}

fn not_proven(message: impl std::fmt::Display) -> CliError {
    CliError::new(Code::NotProven, message)
        .hint("nobody is convicted; have the file and the roster sent again, by whoever made them")
}

/// Reads at most the bytes of the longest proof and one more.
fn read_proof(path: &Path) -> Result<Vec<u8>, CliError> {
    let file = std::fs::File::open(path).map_err(|error| io("read", path, &error))?;
    let mut bytes = Vec::new();
    let read = file.take(PROOF_LEN_MAX as u64 + 1).read_to_end(&mut bytes);
    read.map_err(|error| io("read", path, &error))?;
    Ok(bytes)
}

fn verify(context: &Context, flags: &Verify) -> Result<Code, CliError> {
    let roster = RosterFile::parse(&files::read_text(&flags.roster)?)
        .map_err(|error| CliError::from(error).context(flags.roster.display()))?;
    let id = roster.genesis().gid().0.to_hex();
    if let Some(expected) = &flags.group
        && !expected.eq_ignore_ascii_case(&id)
    {
        return Err(not_proven(format!("the roster is that of group {id}, not of {expected}")));
    }
    let bytes = read_proof(&flags.file)?;
    let mut judge = Judge::new(roster.genesis());
    let verdict = judge.judge(&bytes).map_err(not_proven)?;
    let name = judge.name(verdict.accused).unwrap_or("?");
    let out = context.output;
    out.result(words(name, &verdict));
    out.say(match flags.group {
        Some(_) => format!("The roster is that of group {id}, as demanded."),
        None => format!(
            "The roster says that it is of group {id}: compare that with what you know of the group, or use --group."
        ),
    });
    out.json(&json("pom_verdict", name, &id, &verdict));
    Ok(Code::Done)
}

/// Who did what, in words.
fn words(name: &str, verdict: &Verdict) -> String {
    let Verdict { row, name: kind, words, rule, accused, ident, place, .. } = verdict;
    let place = place.map_or_else(
        || "outside the log".to_owned(),
        |place| format!("{}, {}, {}", place.inst, place.turn, place.epoch),
    );
    format!(
        "PROVEN: `{name}` ({accused}, {ident}) {words}.\n\
         Rule: {rule}.\n\
         Where: {place}. Kind: {row} {kind}."
    )
}

fn json(message_type: &str, name: &str, group: &str, verdict: &Verdict) -> serde_json::Value {
    serde_json::json!({
        "message_type": message_type,
        "proven": true,
        "kind": verdict.row,
        "kind_name": verdict.name,
        "member": name,
        "slot": verdict.accused.0,
        "identity": verdict.ident.0,
        "epoch": verdict.place.map(|place| place.epoch.0),
        "instance": verdict.place.map(|place| place.inst.0),
        "turn": verdict.place.map(|place| place.turn.0),
        "rule": verdict.rule,
        "group_id": group,
    })
}

fn proofs(context: &Context) -> Result<Vec<ProofEntry>, CliError> {
    let daemon = context.daemon()?;
    Ok(daemon.runtime.block_on(daemon.client.proofs())?)
}

fn list(context: &Context) -> Result<Code, CliError> {
    let proofs = proofs(context)?;
    let out = context.output;
    if proofs.is_empty() {
        out.result("No member is convicted of anything.");
    }
    for proof in &proofs {
        let ProofEntry { id, kind, member, slot, instance, .. } = proof;
        let short = id.get(..12).unwrap_or(id);
        let place = instance.map(|instance| format!("  instance {instance}")).unwrap_or_default();
        out.result(format!("{short}  {member} (slot {slot})  {kind}{place}"));
    }
    out.json(&serde_json::json!({"message_type": "poms", "proofs": proofs}));
    Ok(Code::Done)
}

/// The one kept proof whose name begins so.
fn find(context: &Context, id: &str) -> Result<ProofEntry, CliError> {
    let mut found = proofs(context)?.into_iter().filter(|proof| proof.id.starts_with(id));
    match (found.next(), found.next()) {
        (Some(proof), None) if !id.is_empty() => Ok(proof),
        (None, _) => Err(CliError::new(Code::Failed, format!("no proof is called {id:?}"))
            .hint("see `pib pom list`")),
        _ => Err(CliError::new(Code::Usage, format!("several proofs begin with {id:?}"))
            .hint("give more characters of its name")),
    }
}

fn fetch(context: &Context, id: &str) -> Result<Vec<u8>, CliError> {
    let proof = find(context, id)?;
    let daemon = context.daemon()?;
    Ok(daemon.runtime.block_on(daemon.client.proof(&proof.id))?.to_vec())
}

fn show(context: &Context, flags: &Show) -> Result<Code, CliError> {
    let bytes = fetch(context, &flags.id)?;
    let roster = RosterFile::new(context.ticket()?.genesis().clone());
    let mut judge = Judge::new(roster.genesis());
    let verdict = judge.judge(&bytes).map_err(not_proven)?;
    let name = judge.name(verdict.accused).unwrap_or("?");
    context.output.result(words(name, &verdict));
    let id = roster.genesis().gid().0.to_hex();
    context.output.json(&json("pom", name, &id, &verdict));
    Ok(Code::Done)
}

fn export(context: &Context, flags: &Export) -> Result<Code, CliError> {
    let bytes = fetch(context, &flags.id)?;
    files::write_new(&flags.out, &bytes, 0o644)?;
    let out = context.output;
    out.say(format!("Written to {}.", flags.out.display()));
    out.say(
        "Anybody checks it with `pib pom verify FILE --roster ROSTER`; \
         `pib group roster --out ROSTER` writes the roster.",
    );
    out.json(&serde_json::json!({
        "message_type": "pom_exported", "file": flags.out, "bytes": bytes.len(),
    }));
    Ok(Code::Done)
}
