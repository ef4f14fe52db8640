//! Proofs of misbehavior of level 0 (specification section 8; paper sections 4 and 8).
//!
//! Purpose: signed objects that convict their signer before anybody who has the roster of the epoch,
//! without the log, the network or a clock.
//! Assumes: signatures are unforgeable, digests collision-free, and an honest member signs one
//! statement a key (specification 5.7), checks what it acknowledges, and never goes back in time.
//! Guarantees: (1) [`verify`] is a pure function of proof and roster; (2) it accepts only what no
//! honest member can have signed, in whatever order and after whatever restart; (3) two statements are
//! compared by what is signed, never by signatures; (4) every byte of a file counts: a changed
//! one never verifies as another statement.
//! Bounds: a file has at most [`POM_LEN_MAX`] bytes; a decoder allocates no more than its input.
//!
//! | kind | file |
//! | --- | --- |
//! | TR1, TR2, TR4, TR6: two statements for one key | `two_statements.rs` |
//! | TR3, TR5: a leader's AGREE against its read quorum, and who acknowledged it | `bad_agree.rs` |
//! | TR7: a write forgotten or a later turn denied | `stale_max_pol.rs` |
//! | TR8: a signed statement against a rule of form | `malformed.rs` |
//! | TR9: a signed vector that is none | `bad_vector.rs` |
//! | TR10: a stamp that goes back | `bad_proposal.rs` |
//! | TR11: a listing of what was closed | `false_list.rs` |
//! | the file | `form.rs` |
//! | a decided proposal, for the layers above | `decided.rs` |
//! | what a running core notices | `seen.rs`, `collect.rs` |
//! | every proof that a set of signed objects yields | `candidates.rs` |

mod any;
mod bad_agree;
mod bad_proposal;
mod bad_vector;
mod candidates;
mod collect;
mod decided;
mod error;
mod false_list;
mod form;
mod judge;
mod malformed;
pub(crate) mod seen;
mod stale_max_pol;
mod two_statements;

pub use any::AnyStatement;
pub use bad_agree::{AgreeProof, NamedAgree};
pub use bad_vector::BadVector;
pub use candidates::{Exhibits, convictions};
pub(crate) use collect::Collector;
pub use collect::EVIDENCE_MAX;
pub use decided::DecidedProposal;
pub use error::PomError;
pub use form::POM_LEN_MAX;
pub use judge::Judge;
pub use malformed::Malformed;
pub use two_statements::Pair;

use crate::message::{
    AgreeAckStatement, AgreeStatement, DecisionCert, ReadAckStatement, Value, ValueStatement,
    WriteAckStatement,
};
use std::fmt;
use types::{Encode, Epoch, GroupId, Hash, Header, Ident, Instance, Roster, Signed, Slot, Turn};

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $words:literal;)*) => {
        /// What a proof shows. A closed list.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum PomKind { $($(#[$doc])* $name = $code,)* }

        impl PomKind {
            /// Every kind.
            pub const ALL: &'static [PomKind] = &[$(PomKind::$name,)*];

            /// The kind with this code.
            pub fn from_code(code: u8) -> Option<Self> {
                match code { $($code => Some(PomKind::$name),)* _ => None }
            }

            /// The name in the specification, without the row's number.
            pub fn name(self) -> &'static str {
                match self { $(PomKind::$name => stringify!($name),)* }
            }

            /// What the accused did, after its name.
            pub fn words(self) -> &'static str {
                match self { $(PomKind::$name => $words,)* }
            }
        }
    };
}

kinds! {
    /// Two proposals for one instance.
    SenderEquivocation = 1, "signed two different proposals for one instance";
    /// Two AGREEs for one turn.
    LeaderEquivocation = 2, "put forward two different values in one turn that it led";
    /// A value that its own read quorum does not force.
    BadAgree = 3, "put forward a value that its own read quorum does not force";
    /// Two AGREE_ACKs in one turn.
    DoubleAgreeAck = 4, "said twice, differently, which value it saw alone in one turn";
    /// An AGREE_ACK for an AGREE that breaks the rules.
    LazyAck = 5, "acknowledged a value without checking it";
    /// Two WRITE_ACKs in one turn.
    DoubleWriteAck = 6, "answered one write twice, differently";
    /// A write that was forgotten, or a later turn that was denied.
    StaleMaxPol = 7, "denied a later turn in one answer or an accepted value in another";
    /// A statement that breaks a rule of form.
    MalformedSigned = 8, "signed a statement that breaks a rule of form";
    /// A vector that is no quorum.
    BadQuorumVector = 9, "signed for a quorum that is none";
    /// A proposal that its own decided proposal rules out.
    BadProposal = 10, "proposed with a stamp that is not above that of its own decided proposal";
    /// An accusation about what the accuser itself had declared closed.
    FalseList = 11, "listed as overdue what it had declared closed";
}

impl fmt::Display for PomKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "TR{} {}", *self as u8, self.name())
    }
}

/// The objects of a proof, by kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Evidence {
    /// TR1.
    SenderEquivocation(Pair<ValueStatement>),
    /// TR2.
    LeaderEquivocation(Pair<AgreeStatement>),
    /// TR3.
    BadAgree(AgreeProof),
    /// TR4.
    DoubleAgreeAck(Pair<AgreeAckStatement>),
    /// TR5.
    LazyAck {
        /// What the accused signed.
        ack: Signed<AgreeAckStatement>,
        /// What it acknowledged.
        agree: NamedAgree,
    },
    /// TR6.
    DoubleWriteAck(Pair<WriteAckStatement>),
    /// TR7.
    StaleMaxPol {
        /// Of the earlier turn.
        write: Signed<WriteAckStatement>,
        /// Of the later turn.
        read: Signed<ReadAckStatement>,
    },
    /// TR8.
    MalformedSigned(Malformed),
    /// TR9.
    BadQuorumVector(BadVector),
    /// TR10.
    BadProposal {
        /// The proposal that breaks the rule.
        late: Value,
        /// An earlier one of the same signer.
        decided: Value,
        /// That it was decided.
        cert: DecisionCert,
    },
    /// TR11.
    FalseList {
        /// The proposal that accuses.
        listing: Value,
        /// An earlier one of the same signer, which declares the place closed.
        closing: Value,
        /// Who is accused falsely.
        target: Slot,
    },
}

impl Evidence {
    /// The kind.
    pub fn kind(&self) -> PomKind {
        match self {
            Self::SenderEquivocation(_) => PomKind::SenderEquivocation,
            Self::LeaderEquivocation(_) => PomKind::LeaderEquivocation,
            Self::BadAgree(_) => PomKind::BadAgree,
            Self::DoubleAgreeAck(_) => PomKind::DoubleAgreeAck,
            Self::LazyAck { .. } => PomKind::LazyAck,
            Self::DoubleWriteAck(_) => PomKind::DoubleWriteAck,
            Self::StaleMaxPol { .. } => PomKind::StaleMaxPol,
            Self::MalformedSigned(_) => PomKind::MalformedSigned,
            Self::BadQuorumVector(_) => PomKind::BadQuorumVector,
            Self::BadProposal { .. } => PomKind::BadProposal,
            Self::FalseList { .. } => PomKind::FalseList,
        }
    }

    /// Header of the statement that convicts: signer and place.
    pub fn header(&self) -> &Header {
        match self {
            Self::SenderEquivocation(pair) => &pair.first().header,
            Self::LeaderEquivocation(pair) => &pair.first().header,
            Self::BadAgree(proof) => &proof.core.header,
            Self::DoubleAgreeAck(pair) => &pair.first().header,
            Self::LazyAck { ack, .. } => &ack.header,
            Self::DoubleWriteAck(pair) => &pair.first().header,
            Self::StaleMaxPol { read, .. } => &read.header,
            Self::MalformedSigned(what) => what.header(),
            Self::BadQuorumVector(vector) => vector.header(),
            Self::BadProposal { late, .. } => &late.statement.header,
            Self::FalseList { listing, .. } => &listing.statement.header,
        }
    }
}

/// A proof of misbehavior: who is accused, and the objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pom {
    /// The group in which the objects were signed.
    pub group: GroupId,
    /// The roster that was valid then.
    pub epoch: Epoch,
    /// Who is accused.
    pub accused: Slot,
    /// Under which of its linked identities.
    pub ident: Ident,
    /// The objects.
    pub evidence: Evidence,
}

impl Pom {
    /// A proof against the signer of the convicting statement.
    pub fn new(group: GroupId, evidence: Evidence) -> Self {
        let Header { epoch, slot, ident, .. } = *evidence.header();
        Self { group, epoch, accused: slot, ident, evidence }
    }

    /// The kind.
    pub fn kind(&self) -> PomKind {
        self.evidence.kind()
    }

    /// A name for the proof, for duplicate filters: digest of the file.
    pub fn digest(&self) -> Hash {
        Hash::tagged("proof of misbehavior", &self.to_bytes())
    }
}

/// What a proof that verifies establishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conviction {
    /// What was done.
    pub kind: PomKind,
    /// By whom.
    pub accused: Slot,
    /// Under which linked identity; the slot's other identities are not touched.
    pub ident: Ident,
    /// In which epoch.
    pub epoch: Epoch,
    /// In which instance.
    pub inst: Instance,
    /// In which turn.
    pub turn: Turn,
    /// Which rule was broken.
    pub rule: &'static str,
}

impl fmt::Display for Conviction {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, accused, ident, inst, turn, rule, .. } = self;
        write!(out, "{accused} ({ident}) {}: {rule} ({inst}, {turn}; {kind})", kind.words())
    }
}

/// Checks a proof with nothing but the founding roster; of later epochs nothing is proven by it.
pub fn verify(pom: &Pom, roster: &Roster) -> Result<Conviction, PomError> {
    Judge::new(roster).verify(pom)
}

impl Judge {
    /// As [`verify`], remembering the signatures it has checked.
    pub fn verify(&mut self, pom: &Pom) -> Result<Conviction, PomError> {
        self.check_envelope(pom)?;
        let rule = match &pom.evidence {
            Evidence::SenderEquivocation(pair) => two_statements::check(self, pair),
            Evidence::LeaderEquivocation(pair) => two_statements::check_leader(self, pair),
            Evidence::BadAgree(proof) => bad_agree::check(self, proof),
            Evidence::DoubleAgreeAck(pair) => two_statements::check(self, pair),
            Evidence::LazyAck { ack, agree } => bad_agree::check_ack(self, ack, agree),
            Evidence::DoubleWriteAck(pair) => two_statements::check(self, pair),
            Evidence::StaleMaxPol { write, read } => stale_max_pol::check(self, write, read),
            Evidence::MalformedSigned(what) => malformed::check(self, what),
            Evidence::BadQuorumVector(vector) => bad_vector::check(self, vector),
            Evidence::BadProposal { late, decided, cert } => {
                bad_proposal::check(self, late, decided, cert)
            }
            Evidence::FalseList { listing, closing, target } => {
                false_list::check(self, listing, closing, *target)
            }
        }?;
        let Header { epoch, inst, turn, .. } = *pom.evidence.header();
        let (kind, accused, ident) = (pom.kind(), pom.accused, pom.ident);
        Ok(Conviction { kind, accused, ident, epoch, inst, turn, rule })
    }
}
