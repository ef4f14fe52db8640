//! A test actor, hidden from people: a member of a demonstration's group that lies on purpose. Either in every
//! sender turn of its own it signs two proposals and sends one to some members and the other to
//! the rest, over the links of any member; or, asked for a chunk that it receipted, it signs that the chunk was
//! another one, or that it need not return it; or it answers no store and no retrieve.
//!
//! It refuses to run anywhere but in a folder that a demonstration made.

use crate::error::{CliError, Code};
use crate::harness::MARK;
use crate::secret::Master;
use crate::session::Context;
use bart_rsm::Proposal;
use bart_rsm::message::{Agree, AgreeStatement, Message, Value, ValueStatement, value_digest};
use bytes::Bytes;
use clap::{Args, ValueEnum};
use pib::{DenyReason, Response, RetrieveConfirm, RetrieveDeny};
use policy::Ticket;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use types::{
    Decode as _, Encode as _, GroupId, Hash, Header, Ident, SecretKey, Signed, SignedPayload, Size,
    Slot, Stamp, Unverified,
};

/// Flags of the hidden command.
#[derive(Debug, Args)]
pub struct Flags {
    /// Slots that get the second proposal
    #[arg(long, value_delimiter = ',', required_unless_present_any = ["false_answers", "silent"])]
    second_to: Vec<u16>,
    /// Return other chunks than were receipted, and refuse by turns
    #[arg(long)]
    false_answers: bool,
    /// Answer no store and no retrieve: those on the direct path, or those that the group assigns as well
    #[arg(long, value_enum)]
    silent: Option<Silent>,
}

/// Which requests the actor does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Silent {
    /// Those of the direct path
    Direct,
    /// All
    Always,
}

/// Runs the member.
pub fn run(context: &Context, flags: &Flags) -> Result<Code, CliError> {
    let marked = context.data.parent().is_some_and(|folder| folder.join(MARK).is_file());
    if !marked {
        return Err(CliError::new(Code::Usage, "this is no member of a demonstration's group")
            .hint("hostile members exist for some scenarios of `pib demo` only"));
    }
    let ticket = context.ticket()?;
    let liar = Arc::new(Liar::new(&Master::load(&context.data)?, &ticket, &flags.second_to)?);
    let silence = match flags.silent {
        None => node::Silence::Never,
        Some(Silent::Direct) => node::Silence::Direct,
        Some(Silent::Always) => node::Silence::Always,
    };
    let mut acting = node::Acting { silence, ..node::Acting::default() };
    if flags.false_answers {
        let liar = Arc::clone(&liar);
        acting.answers = Some(Box::new(move |response, body| liar.answer(response, body)));
    }
    if !flags.second_to.is_empty() {
        acting.messages = Some(Box::new(move |to, message| liar.twist(to, message)));
    }
    super::daemon::serve(context, acting)
}

/// Signs what no honest member would.
struct Liar {
    key: SecretKey,
    group: GroupId,
    second_to: Vec<Slot>,
    /// False answers so far.
    answers: AtomicU64,
}

impl Liar {
    fn new(master: &Master, ticket: &Ticket, second_to: &[u16]) -> Result<Self, CliError> {
        let secrets = pib::Secrets::from_master(master.bytes());
        let key = secrets
            .identity(Ident(0))
            .map_err(|error| CliError::new(Code::Failed, format!("no key: {error}")))?;
        let second_to = second_to.iter().copied().map(Slot).collect();
        Ok(Self { key, group: ticket.gid(), second_to, answers: AtomicU64::new(0) })
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

    /// A whole chunk that is to be returned becomes, by turns, another one or a refusal.
    fn answer(&self, response: Response, body: Bytes) -> (Response, Bytes) {
        let Response::Confirm(confirm) = &response else { return (response, body) };
        let Signed { header, payload, .. } = confirm.peek();
        let RetrieveConfirm { receipt, size, stamp, .. } = *payload;
        if body.is_empty() || body.len() as u64 != size.0 {
            return (response, body);
        }
        if self.answers.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) {
            let mut other = body.to_vec();
            other[0] ^= 1;
            let payload = RetrieveConfirm { receipt, hash: Hash::of(&other), size, stamp };
            tracing::warn!(%receipt, "another chunk than was receipted leaves");
            let lie = self.sign(*header, payload);
            return (Response::Confirm(Unverified::new(lie)), Bytes::from(other));
        }
        let header = Header { kind: RetrieveDeny::KIND, ..*header };
        let payload = RetrieveDeny { receipt, reason: DenyReason::Expired, stamp };
        tracing::warn!(%receipt, "a refusal leaves although the lease is not over");
        (Response::Deny(Unverified::new(self.sign(header, payload))), Bytes::new())
    }
}
