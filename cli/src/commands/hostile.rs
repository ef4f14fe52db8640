//! A test actor, hidden from people: a member of a demonstration's group that lies on purpose. In every
//! sender turn of its own it signs two proposals and sends one to some members and the other to
//! the rest, over the links of any member.
//!
//! It refuses to run anywhere but in a folder that a demonstration made.

use crate::error::{CliError, Code};
use crate::harness::MARK;
use crate::secret::Master;
use crate::session::Context;
use bart_rsm::Proposal;
use bart_rsm::message::{Agree, AgreeStatement, Message, Value, ValueStatement, value_digest};
use clap::Args;
use policy::Ticket;
use std::sync::Arc;
use types::{
    Decode as _, Encode as _, GroupId, Hash, Header, Ident, SecretKey, Signed, SignedPayload, Size,
    Slot, Stamp,
};

/// Flags of the hidden command.
#[derive(Debug, Args)]
pub struct Flags {
    /// Slots that get the second proposal
    #[arg(long, value_delimiter = ',', required = true)]
    second_to: Vec<u16>,
}

/// Runs the member.
pub fn run(context: &Context, flags: &Flags) -> Result<Code, CliError> {
    let marked = context.data.parent().is_some_and(|folder| folder.join(MARK).is_file());
    if !marked {
        return Err(CliError::new(Code::Usage, "this is no member of a demonstration's group")
            .hint("a hostile member exists for `pib demo --scenario equivocate` only"));
    }
    let ticket = context.ticket()?;
    let liar = Liar::new(&Master::load(&context.data)?, &ticket, &flags.second_to)?;
    super::daemon::serve(context, Some(Box::new(move |to, message| liar.twist(to, message))))
}

/// Signs what no honest member would.
struct Liar {
    key: SecretKey,
    group: GroupId,
    second_to: Vec<Slot>,
}

impl Liar {
    fn new(master: &Master, ticket: &Ticket, second_to: &[u16]) -> Result<Self, CliError> {
        let secrets = pib::Secrets::from_master(master.bytes());
        let key = secrets
            .identity(Ident(0))
            .map_err(|error| CliError::new(Code::Failed, format!("no key: {error}")))?;
        let second_to = second_to.iter().copied().map(Slot).collect();
        Ok(Self { key, group: ticket.gid(), second_to })
    }

    fn sign<P: SignedPayload>(&self, header: Header, payload: P) -> Signed<P> {
        Signed::new(&self.key, &self.group, header, payload).into_inner()
    }

    /// The first AGREE to one of the chosen members becomes one for another proposal.
    fn twist(&self, to: Slot, message: Message) -> Message {
        let Message::Agree(agree) = &message else { return message };
        if !self.second_to.contains(&to) {
            return message;
        }
        let Ok(mut proposal) = Proposal::from_bytes(&agree.value.body) else { return message };
        proposal.stamp = Stamp(proposal.stamp.0.saturating_add(1));
        let body: Arc<[u8]> = proposal.to_bytes().into();
        let stated = ValueStatement { body: Hash::of(&body), len: Size(body.len() as u64) };
        let header = agree.core.header;
        let statement = self.sign(header, stated);
        let value = value_digest(self.group, header.epoch, header.inst, header.slot, &stated);
        let core = self.sign(header, AgreeStatement { value, reads: Hash::ZERO });
        tracing::warn!(%to, inst = %header.inst, "a second proposal leaves");
        Message::Agree(Agree { core, value: Arc::new(Value { statement, body }) })
    }
}
