//! What goes in and comes out.
//!
//! A runner carries the effects of one step out in order. `Persist` comes first, if at all: its records are written in
//! one transaction, and nothing else of the step may happen before they are durable.

use crate::cert::{Cert, DenialCert};
use crate::message::Message;
use crate::pom::{DecidedProposal, Pom};
use crate::record::Record;
use crate::request::{Aid, Request, Work};
use crate::role::Answered;
use crate::state::Decided;
use crate::statement::{ResultShare, WorkOrder};
use bart_rsm::message::Value;
use std::sync::Arc;
use types::{GroupId, Hash, Instance, Kind, Roster, Slot, Stamp};

/// What a performer answers to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The kind, one that the request allows.
    pub kind: u8,
    /// What is said, at most as long as the request allows.
    pub fields: Vec<u8>,
    /// The body, likewise.
    pub body: Vec<u8>,
}

/// What the layer above asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Local {
    /// Have a member do this, with the whole group as witness.
    Assign(Work),
    /// Have another machine do this, over at most so many hops.
    AssignMachine(Work, u8),
    /// Threaten to; then ask directly where that is credible. `true`: all requests may be sent at once; otherwise each
    /// waits for its [`Local::Release`] (a standing vow).
    Vow(Work, Stamp, bool),
    /// One request of a standing vow may be sent now: the vow's work and the request's place in it.
    Release(Hash, usize),
    /// All requests of a vow are answered or not needed any more: have it closed.
    Close(Hash),
}

/// What passes between the two cores of a member that belongs to two machines. Nothing in it is believed unchecked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Crossing {
    /// From the machine that assigns.
    Order {
        /// Its certificate.
        order: Box<Cert<WorkOrder>>,
        /// The work.
        work: Work,
        /// The machine in which it was first asked for.
        home: GroupId,
        /// Our place in the order in which members of the overlap bring it in.
        rank: u8,
    },
    /// From the machine that executed.
    Result {
        /// Its certificate.
        cert: Box<Cert<ResultShare>>,
        /// The result.
        result: Vec<u8>,
    },
}

/// One input.
#[derive(Debug, Clone)]
pub enum Input {
    /// The next decided instance.
    Decided(Decided),
    /// A roster begins to hold.
    Roster(Arc<Roster>),
    /// A peer says something on lane W.
    Message(Slot, Box<Message>),
    /// The link to a peer is up again: what it has not confirmed is said again.
    LinkUp(Slot),
    /// The gate between a peer and us opens or shuts: whether it can reach us and owes us nothing else first.
    Gate(Slot, bool),
    /// Time passes.
    Tick,
    /// The layer above asks for something.
    Local(Local),
    /// The performer answers a request.
    Performed(Hash, Answer),
    /// The application executed another machine's work, the same at all members.
    Executed(Aid, Vec<u8>),
    /// Our core of another machine hands something over.
    Crossing(GroupId, Box<Crossing>),
    /// The certificate of an instance that was asked for.
    Decision(Box<DecidedProposal>),
    /// A proposal failed [`crate::State::check`] at its acknowledgement, before anything later was applied.
    Refused(Box<Value>),
    /// Denials that became public: what their authors acknowledged is compared.
    Denials(Box<DenialCert>),
}

/// Which duty of a peer is overdue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Duty {
    /// Who owes it.
    pub peer: Slot,
    /// The assignment.
    pub aid: Aid,
    /// The kind of statement that is owed: [`Kind::WorkResponse`], [`Kind::WorkWitness`] (or the denial),
    /// [`Kind::WorkOrder`], [`Kind::ResultShare`].
    pub kind: Kind,
}

/// What a requester gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// An answer, complete and well-formed.
    Answer(Box<Answered>),
    /// `f + 1` members waited in vain. An answer may still come.
    Denied(Box<DenialCert>),
    /// Another machine's result.
    Foreign(Vec<u8>),
    /// `f + 1` members waited in vain for another machine: the assumption of synchrony failed.
    Unanswered,
}

/// Something a peer did wrong that nobody can prove.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A statement does not verify, or names another author.
    #[error("a statement of {0:?} that is not its author's")]
    NotGenuine(Kind),
    /// An answer that breaks a rule of the request: no answer (issues P17, W12).
    #[error("an answer that is none: {0}")]
    IllFormed(&'static str),
    /// A message in another form or length than its kind demands.
    #[error("a message of another length than its kind demands")]
    Padding,
    /// A message about something that we do not know of.
    #[error("a message about something unknown or already ended")]
    Unknown,
    /// A direct request that no vow of its author covers.
    #[error("a direct request that no vow covers")]
    NoVow,
    /// Something from another machine that its members have not certified.
    #[error("nothing that the other machine's members have certified")]
    NotCertified,
}

/// Why the layer above is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The quota is used up, counting what is under way.
    #[error(
        "this needs {need} bytes of quota, and {free} are free in this period or the next; ask later or for less"
    )]
    Quota {
        /// What it needs.
        need: u64,
        /// What is left.
        free: u64,
    },
    /// It cannot be assigned.
    #[error("this cannot be assigned: {0}")]
    Illegal(&'static str),
    /// Too many things are open.
    #[error("too many assignments are open; wait until some have ended")]
    TooMany,
}

/// One effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Make these durable, in one transaction, before anything that follows.
    Persist(Vec<Record>),
    /// Say this to a peer on lane W.
    Send(Slot, Box<Message>),
    /// Perform a request. Asked again after a restart, so performing twice must give what the application accepts.
    Perform(Hash, Box<Request>),
    /// Execute another machine's work: the place in our log, and the work.
    Execute(Aid, Box<Work>),
    /// Put a command into our next proposal.
    Submit(Vec<u8>),
    /// A duty has been overdue: list its owner.
    Accuse(Duty),
    /// It is not any more.
    Withdraw(Duty),
    /// The gate of lane T towards a peer shuts (`true`) or opens: overdue duties of this lane gate the other (decision 14).
    Shut(Slot, bool),
    /// A proof that convicts.
    Evidence(Box<Pom>),
    /// To whoever asked: the name of the work, the assignment, what came of it.
    Deliver(Hash, Aid, Outcome),
    /// A direct answer to one request of a vow: the vow's work, the request's place, the answer.
    Direct(Hash, usize, Box<Answered>),
    /// Hand this to our core of another machine.
    Cross(GroupId, Box<Crossing>),
    /// Give us the certificate of an instance.
    NeedDecision(Instance),
    /// A peer did something wrong that nobody can prove.
    Fault(Slot, Fault),
    /// What was asked for cannot be had.
    Refused(Hash, Refusal),
    /// The caller broke the contract of this crate; nothing was changed.
    Misuse(&'static str),
}

/// The effects of one input, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[must_use]
pub struct Step {
    /// In order.
    pub effects: Vec<Effect>,
}
