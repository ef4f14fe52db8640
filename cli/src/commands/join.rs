//! `pib join`: checks a ticket and stores it. The daemon does the rest.

use crate::error::{CliError, Code};
use crate::files;
use crate::output::now_ms;
use crate::secret::Master;
use crate::session::{Context, TICKET};
use clap::Args;
use policy::Ticket;
use std::path::Path;
use types::Stamp;

/// Flags of `pib join`.
#[derive(Debug, Args)]
pub struct Flags {
    /// The ticket: the line itself, or a file that holds it
    #[arg(value_name = "TICKET|FILE")]
    ticket: String,
    /// Refuse the ticket unless this is the group's id, or its first digits (ask the admin in person)
    #[arg(long, value_name = "HEX")]
    group_id: Option<String>,
}

/// Runs the command.
pub fn run(context: &Context, flags: &Flags) -> Result<Code, CliError> {
    let master = Master::load(&context.data)?;
    let path = Path::new(&flags.ticket);
    // What does not look like a line is a file, so that a mistyped path is named as one.
    let text = match flags.ticket.starts_with("pib-") {
        true => flags.ticket.clone(),
        false => files::read_text(path)?,
    };
    let ticket = Ticket::parse(&text, Stamp(now_ms()))?;
    let group_id = ticket.gid().0.to_hex();
    if let Some(expected) = &flags.group_id
        && !group_id.starts_with(&expected.to_lowercase())
    {
        let message = format!("this ticket is for group {group_id}, not for {expected}");
        return Err(CliError::new(Code::Failed, message)
            .hint("ask the group's admin which ticket is the right one"));
    }
    let slot = ticket.slot_for(&master.identities()?)?;
    let stored = context.data.join(TICKET);
    if stored.exists() {
        let old = context.ticket()?;
        if old.gid() != ticket.gid() {
            let message = format!("this member is in group `{}` already", old.genesis().name());
            return Err(CliError::new(Code::Failed, message)
                .hint("a member is in one group; use another --data-dir for another group"));
        }
    }
    files::replace(&stored, ticket.line().as_bytes(), 0o600)?;
    context.output.say(super::group::describe(&ticket));
    context.output.say(format!("Joined as {slot}. Start the daemon: `pib daemon`"));
    context.output.json(&serde_json::json!({
        "message_type": "joined", "group": ticket.genesis().name(), "group_id": group_id, "slot": slot.0,
    }));
    Ok(Code::Done)
}
