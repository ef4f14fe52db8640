//! `pib group evict|reinstate|apply`: the authority changes who takes part in a running group
//! (specification 5.6, 7.8).
//!
//! The authority signs a line; any member brings it into the log, where all see it and all execute it at
//! the same place.

use crate::error::{CliError, Code};
use crate::files;
use crate::output::now_ms;
use crate::session::Context;
use bart_rsm::{Change, Reform};
use clap::Args;
use policy::Genesis;
use std::path::PathBuf;
use types::{Encode as _, Hash, SecretKey, Slot, Stamp};

/// Flags of `pib group evict` and `pib group reinstate`.
#[derive(Debug, Args)]
pub struct Flags {
    /// Whom: a member's name
    pub member: String,
    /// Only sign, and write the signed reform to this file; any member brings it in with `pib group apply`
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Folder of the authority key [default: `authority` in the data folder]
    #[arg(long)]
    pub dir: Option<PathBuf>,
}

/// Flags of `pib group apply`.
#[derive(Debug, Args)]
pub struct Apply {
    /// What the authority signed
    file: PathBuf,
}

/// Signs a reform about a member of a sealed group, and brings it in or writes it down.
pub fn reform(
    context: &Context,
    flags: &Flags,
    genesis: &Genesis,
    authority: &SecretKey,
    change: fn(Slot) -> Change,
) -> Result<Code, CliError> {
    let at = genesis.members().iter().position(|member| member.name == flags.member);
    let Some(at) = at else {
        let names: Vec<&str> = genesis.members().iter().map(|m| m.name.as_str()).collect();
        return Err(CliError::new(Code::Usage, format!("no member is called `{}`", flags.member))
            .hint(format!("the members are: {}", names.join(", "))));
    };
    let reform = Reform { stamp: Stamp(now_ms()), change: change(Slot(at as u16)) };
    let bytes = reform.sign(&genesis.gid(), authority).to_bytes();
    if let Some(path) = &flags.out {
        files::write_new(path, &bytes, 0o644)?;
        context.output.say(format!(
            "Signed and written to {}. It has no effect until a member runs `pib group apply` on it.",
            path.display()
        ));
        context.output.json(&serde_json::json!({
            "message_type": "reform_signed", "member": flags.member, "file": path,
        }));
        return Ok(Code::Done);
    }
    bring_in(context, bytes)
}

/// Brings a signed reform into the log.
pub fn apply(context: &Context, flags: &Apply) -> Result<Code, CliError> {
    let bytes = files::read(&flags.file)?;
    bring_in(context, bytes)
}

fn bring_in(context: &Context, bytes: Vec<u8>) -> Result<Code, CliError> {
    let id = Hash::of(&bytes).to_hex();
    let daemon = context.daemon()?;
    let done = daemon.runtime.block_on(daemon.client.reform(bytes.into()))?;
    context.output.say(format!(
        "The group has it: executed in instance {}. `pib status` shows who takes part.",
        done.instance
    ));
    context.output.json(&serde_json::json!({
        "message_type": "reform_executed", "instance": done.instance, "reform": id,
    }));
    Ok(Code::Done)
}
