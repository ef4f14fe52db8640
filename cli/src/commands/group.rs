//! `pib group`: the admin founds a group, admits members, and looks at it.
//!
//! A folder holds the authority's key, the policy and the join requests until the group is sealed;
//! from then on also the ticket. Sealing is the moment from which the group id is fixed.

use super::reform;
use crate::error::{CliError, Code};
use crate::files;
use crate::output::{Output, moment, now_ms};
use crate::session::Context;
use bart_rsm::Change;
use clap::{Args, Subcommand};
use policy::human::{format_bytes, format_duration_ms, parse_duration_ms};
use policy::{Genesis, GroupPolicy, JoinRequest, RosterFile, Ticket};
use serde::Serialize;
use std::path::{Path, PathBuf};
use types::{SecretKey, Slot, Stamp};
use zeroize::Zeroizing;

const AUTHORITY: &str = "authority.secret";
const NAME: &str = "name";
const POLICY: &str = "policy.toml";
const REQUESTS: &str = "requests";
const TICKET: &str = "group.ticket";

/// What to do with a group.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Found a group: its authority key and its rules
    Create(Create),
    /// Add members by their join requests; with --final, seal the group and make its ticket
    Admit(Admit),
    /// Print a policy file with every key and its default, to start from
    Policy,
    /// Write the roster, with which anybody can check proofs (`pib pom verify`)
    Roster(RosterFlags),
    /// Take a member out of the running group: it neither counts nor stores any more
    Evict(reform::Flags),
    /// Take a member back that was evicted or expelled, while the others still keep what it missed
    Reinstate(reform::Flags),
    /// Bring what the authority signed elsewhere into the group
    Apply(reform::Apply),
    /// Show a group that is being founded, or the one this member is in
    Show(Show),
}

/// Flags of `pib group create`.
#[derive(Debug, Args)]
pub struct Create {
    /// The group's name
    name: String,
    /// The group's rules; without it the defaults
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Folder of the authority key and the draft [default: `authority` in the data folder]
    #[arg(long)]
    dir: Option<PathBuf>,
}

/// Flags of `pib group admit`.
#[derive(Debug, Args)]
pub struct Admit {
    /// Join requests: the lines themselves, or files that hold one a line
    #[arg(value_name = "REQUEST")]
    requests: Vec<String>,
    /// These were the last ones: seal the group and make the ticket
    #[arg(long = "final")]
    seal: bool,
    /// How long the ticket lets members in
    #[arg(long, value_name = "SPAN", default_value = "7d", value_parser = parse_duration_ms)]
    expires: u64,
    /// Write the ticket to this file too
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Folder of the authority key and the draft [default: `authority` in the data folder]
    #[arg(long)]
    dir: Option<PathBuf>,
}

/// Flags of `pib group roster`.
#[derive(Debug, Args)]
pub struct RosterFlags {
    /// The new file; without it the roster is printed
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Folder of the authority key, for an admin who is no member
    #[arg(long)]
    dir: Option<PathBuf>,
}

/// Flags of `pib group show`.
#[derive(Debug, Args)]
pub struct Show {
    /// Folder of the authority key and the draft
    #[arg(long)]
    dir: Option<PathBuf>,
}

/// Runs the command.
pub fn run(context: &Context, command: &Command) -> Result<Code, CliError> {
    match command {
        Command::Create(flags) => create(context, flags),
        Command::Admit(flags) => admit(context, flags),
        Command::Policy => {
            print!("{}", GroupPolicy::default().to_toml());
            Ok(Code::Done)
        }
        Command::Roster(flags) => roster(context, flags),
        Command::Evict(flags) => change(context, flags, Change::Evict),
        Command::Reinstate(flags) => change(context, flags, Change::Reinstate),
        Command::Apply(flags) => reform::apply(context, flags),
        Command::Show(flags) => show(context, flags),
    }
}

fn change(
    context: &Context,
    flags: &reform::Flags,
    change: fn(Slot) -> Change,
) -> Result<Code, CliError> {
    let draft = Draft::load(folder(context, flags.dir.as_ref()))?;
    let Some(ticket) = &draft.ticket else {
        return Err(CliError::new(Code::Failed, "the group is not sealed: nobody takes part yet")
            .hint("leave the member's request out when you seal it"));
    };
    reform::reform(context, flags, ticket.genesis(), &draft.authority()?, change)
}

fn folder(context: &Context, dir: Option<&PathBuf>) -> PathBuf {
    dir.cloned().unwrap_or_else(|| context.data.join("authority"))
}

fn create(context: &Context, flags: &Create) -> Result<Code, CliError> {
    let dir = folder(context, flags.dir.as_ref());
    policy::genesis::check_name("group name", &flags.name)
        .map_err(|error| CliError::new(Code::Usage, error).hint("choose another name"))?;
    let policy = match &flags.policy {
        None => GroupPolicy::default(),
        Some(path) => GroupPolicy::from_toml(&files::read_text(path)?)
            .map_err(|error| CliError::from(error).context(path.display()))?,
    };
    if dir.join(AUTHORITY).symlink_metadata().is_ok() {
        let message = format!("{} holds a group already", dir.display());
        return Err(CliError::new(Code::Failed, message)
            .hint("nothing was changed; name another folder with --dir"));
    }
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(seed.as_mut())
        .map_err(|error| CliError::new(Code::Failed, format!("no random numbers: {error}")))?;
    let authority = SecretKey::from_seed(&seed).public();
    files::private_folder(&dir)?;
    // The key last: its presence says that the draft is complete.
    files::replace(&dir.join(NAME), flags.name.as_bytes(), 0o600)?;
    files::replace(&dir.join(POLICY), policy.to_toml().as_bytes(), 0o600)?;
    files::replace(&dir.join(REQUESTS), b"", 0o600)?;
    let hex = Zeroizing::new(types::Hash(*seed).to_hex());
    files::write_new(&dir.join(AUTHORITY), hex.as_bytes(), 0o600)?;
    let authority = types::Hash(*authority.as_bytes()).to_hex();
    context.output.say(format!("Group `{}` is being founded in {}.", flags.name, dir.display()));
    context.output.say(
        "Collect the join requests that `pib init` prints on each machine and run\n  \
         pib group admit REQUEST... --final\n\
         With n members, f = (n-2)/3 of them may be Byzantine; a spare member or two beyond 3f+2 keeps \
         the group going at full strength while one is away.",
    );
    context.output.json(&serde_json::json!({
        "message_type": "group_created", "name": flags.name, "dir": dir, "authority": authority,
    }));
    Ok(Code::Done)
}

/// A group that is being founded, or was.
struct Draft {
    dir: PathBuf,
    name: String,
    policy: GroupPolicy,
    requests: Vec<JoinRequest>,
    ticket: Option<Ticket>,
}

impl Draft {
    fn load(dir: PathBuf) -> Result<Self, CliError> {
        if !dir.join(AUTHORITY).exists() {
            let message = format!("no group is being founded in {}", dir.display());
            return Err(CliError::new(Code::NoRepository, message)
                .hint("run `pib group create NAME` first, or name its folder with --dir"));
        }
        let text = |name: &str| files::read_text(&dir.join(name));
        let policy = GroupPolicy::from_toml(&text(POLICY)?)
            .map_err(|error| CliError::from(error).context(dir.join(POLICY).display()))?;
        let requests = text(REQUESTS)?;
        let requests = requests.lines().map(JoinRequest::parse).collect::<Result<_, _>>()?;
        let ticket = match dir.join(TICKET).exists() {
            true => Some(Ticket::parse_joined(&text(TICKET)?)?),
            false => None,
        };
        Ok(Self { name: text(NAME)?, policy, requests, ticket, dir })
    }

    fn authority(&self) -> Result<SecretKey, CliError> {
        let path = self.dir.join(AUTHORITY);
        let text = Zeroizing::new(files::read_text(&path)?);
        let seed = types::Hash::from_hex(text.trim()).ok_or_else(|| {
            CliError::new(Code::Failed, format!("{} is damaged", path.display()))
                .hint("restore it from a copy; without it nobody can be admitted")
        })?;
        Ok(SecretKey::from_seed(&Zeroizing::new(seed.0)))
    }

    fn add(&mut self, request: JoinRequest) -> Result<(), CliError> {
        let new = request.founder();
        for old in self.requests.iter().map(JoinRequest::founder) {
            if old.identities == new.identities && old.name == new.name {
                let message = format!("`{}` was admitted already", new.name);
                return Err(CliError::new(Code::Failed, message).hint("leave this request out"));
            }
            if old.name == new.name {
                let message = format!("another member is called `{}`", new.name);
                return Err(CliError::new(Code::Failed, message)
                    .hint("have one of them run `pib init --name` with another name"));
            }
        }
        self.requests.push(request);
        Ok(())
    }

    fn save(&self) -> Result<(), CliError> {
        let lines: String = self.requests.iter().map(|r| format!("{}\n", r.line())).collect();
        files::replace(&self.dir.join(REQUESTS), lines.as_bytes(), 0o600)
    }

    fn seal(&self, expires: Stamp) -> Result<Ticket, CliError> {
        let authority = self.authority()?;
        let genesis = match &self.ticket {
            // A sealed group gets a new ticket for the same genesis.
            Some(ticket) => ticket.genesis().clone(),
            None => Genesis::new(
                self.name.clone(),
                authority.public(),
                Stamp(now_ms()),
                self.policy.clone(),
                self.requests.iter().map(|request| request.founder().clone()).collect(),
            )
            .map_err(|error| {
                CliError::new(Code::Failed, error).hint(
                    "the members were kept: admit more of them, or found the group with a smaller \
                     byzantine_max or other chunks in its policy",
                )
            })?,
        };
        Ok(Ticket::sign(&authority, genesis, expires)?)
    }
}

/// A request is given as a line or in a file.
fn read_requests(arguments: &[String]) -> Result<Vec<JoinRequest>, CliError> {
    let mut requests = Vec::new();
    for argument in arguments {
        let path = Path::new(argument);
        if argument.starts_with("pib-join") || !path.exists() {
            requests.push(JoinRequest::parse(argument).map_err(CliError::from)?);
            continue;
        }
        let text = files::read_text(path)?;
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let request = JoinRequest::parse(line);
            requests.push(request.map_err(|e| CliError::from(e).context(path.display()))?);
        }
    }
    Ok(requests)
}

fn admit(context: &Context, flags: &Admit) -> Result<Code, CliError> {
    let mut draft = Draft::load(folder(context, flags.dir.as_ref()))?;
    if draft.ticket.is_some() && !flags.requests.is_empty() {
        return Err(CliError::new(
            Code::Failed,
            format!("group `{}` is sealed and running: it cannot admit members yet", draft.name),
        )
        .hint("admission into a running group comes with reconfiguration; found a new group until then"));
    }
    if flags.requests.is_empty() && !flags.seal {
        return Err(CliError::new(Code::Usage, "no join request was given")
            .hint("give the lines that `pib init` printed, or --final to seal the group"));
    }
    for request in read_requests(&flags.requests)? {
        draft.add(request)?;
    }
    draft.save()?;
    if !flags.seal {
        let n = draft.requests.len();
        context
            .output
            .say(format!("{n} members so far. Seal the group with --final when all are in."));
        context.output.json(&serde_json::json!({"message_type": "group_admitted", "members": n}));
        return Ok(Code::Done);
    }
    let expires = Stamp(now_ms().saturating_add(flags.expires));
    let ticket = draft.seal(expires)?;
    if let Some(path) = &flags.out {
        files::write_new(path, format!("{}\n", ticket.line()).as_bytes(), 0o644)?;
    }
    files::replace(&draft.dir.join(TICKET), ticket.line().as_bytes(), 0o600)?;
    context.output.say(describe(&ticket));
    context.output.say("Every member runs `pib join` with this ticket, then `pib daemon`:\n");
    context.output.result(ticket.line());
    context.output.json(&Sealed::new("group_sealed", &ticket));
    Ok(Code::Done)
}

#[derive(Serialize)]
struct Sealed<'a> {
    message_type: &'static str,
    group: &'a str,
    group_id: String,
    authority: String,
    n: usize,
    f: usize,
    chunks: usize,
    chunks_needed: usize,
    members: Vec<&'a str>,
    expires_ms: u64,
    ticket: &'a str,
}

impl<'a> Sealed<'a> {
    fn new(message_type: &'static str, ticket: &'a Ticket) -> Self {
        let genesis = ticket.genesis();
        let sizes = genesis.sizes();
        Self {
            message_type,
            group: genesis.name(),
            group_id: ticket.gid().0.to_hex(),
            authority: types::Hash(*genesis.authority().as_bytes()).to_hex(),
            n: sizes.n(),
            f: sizes.f(),
            chunks: sizes.chunks,
            chunks_needed: sizes.needed(),
            members: genesis.members().iter().map(|member| member.name.as_str()).collect(),
            expires_ms: ticket.expires().0,
            ticket: ticket.line(),
        }
    }
}

/// A group in a few lines.
pub fn describe(ticket: &Ticket) -> String {
    let genesis = ticket.genesis();
    let sizes = genesis.sizes();
    let storage = genesis.policy().storage();
    let names: Vec<&str> = genesis.members().iter().map(|member| member.name.as_str()).collect();
    format!(
        "Group `{}`, id {}\n\
         {} members, of which {} may be Byzantine: {}\n\
         An object becomes {} chunks on as many members; any {} of them bring it back.\n\
         Each member may store {} with the others. Chunks are kept {} without renewal.\n\
         The ticket lets members in until {}.",
        genesis.name(),
        ticket.gid(),
        sizes.n(),
        sizes.f(),
        names.join(", "),
        sizes.chunks,
        sizes.needed(),
        format_bytes(storage.quota_bytes),
        format_duration_ms(storage.lease_ms),
        moment(ticket.expires().0),
    )
}

fn show(context: &Context, flags: &Show) -> Result<Code, CliError> {
    let dir = folder(context, flags.dir.as_ref());
    if flags.dir.is_some() || dir.join(AUTHORITY).exists() {
        let draft = Draft::load(dir)?;
        match &draft.ticket {
            Some(ticket) => show_ticket(context.output, ticket),
            None => show_draft(context.output, &draft),
        }
    } else {
        show_ticket(context.output, &context.ticket()?);
    }
    Ok(Code::Done)
}

fn roster(context: &Context, flags: &RosterFlags) -> Result<Code, CliError> {
    let ticket = match &flags.dir {
        None => context.ticket()?,
        Some(dir) => Draft::load(dir.clone())?.ticket.ok_or_else(|| {
            CliError::new(Code::Failed, "the group is not sealed: it has no roster yet")
                .hint("seal it with `pib group admit --final`")
        })?,
    };
    let file = RosterFile::new(ticket.genesis().clone());
    let text = file.text();
    match &flags.out {
        Some(path) => {
            files::write_new(path, text.as_bytes(), 0o644)?;
            context.output.say(format!(
                "Written to {}; group id {}",
                path.display(),
                ticket.gid().0.to_hex()
            ));
        }
        None => context.output.result(text.trim_end()),
    }
    context.output.json(&serde_json::json!({
        "message_type": "group_roster", "group": ticket.genesis().name(),
        "group_id": ticket.gid().0.to_hex(), "file": flags.out, "roster": text,
    }));
    Ok(Code::Done)
}

fn show_ticket(output: Output, ticket: &Ticket) {
    output.result(describe(ticket));
    output.json(&Sealed::new("group", ticket));
}

fn show_draft(output: Output, draft: &Draft) {
    let names: Vec<&str> =
        draft.requests.iter().map(|request| request.founder().name.as_str()).collect();
    let n = names.len();
    let verdict = match draft.policy.sizes(n) {
        Ok(sizes) => {
            format!("it could be sealed now and would survive {} Byzantine members", sizes.f())
        }
        Err(error) => format!("it cannot be sealed yet: {error}"),
    };
    output.result(format!(
        "Group `{}` is being founded: {n} members ({}); {verdict}",
        draft.name,
        names.join(", ")
    ));
    output.json(&serde_json::json!({
        "message_type": "group_draft", "group": draft.name, "members": names,
        "sealable": draft.policy.sizes(n).is_ok(),
    }));
}
