//! Proofs of misbehavior of level 1: rows WR1 to WR5, VW1 and QT1 of specification 8.2.
//!
//! Purpose: signed objects that convict before anybody who has the roster and the group's rules, without the log, the
//! network or a clock. The file is [`types::Envelope`] and the objects, like those of the other families.
//! Assumes: signatures are unforgeable, digests collision-free; an honest member signs one statement a place, answers a
//! request once, and checks what it forwards. At most `f` members are Byzantine, where `f + 1` of them must agree.
//! Guarantees: 1. [`verify`] is a pure function of file, roster and rules; 2. it accepts only what no honest member can
//! have signed (class C), or what cannot befall an honest member while the assumptions on time hold (class T: WR1 only);
//! 3. one set of objects has one file: of two alike the smaller encoding comes first. Bounds: [`POM_LEN_MAX`].
//!
//! | kind | class | shown by |
//! | --- | --- | --- |
//! | WR1 NoEvidence | T | the decided assignment, and `f + 1` denials of live members that are neither target nor requester |
//! | WR2 TwoAnswers | C | two cores of one identity to one request |
//! | WR3 FalseNoEvidence | C | a denial, and an earlier acknowledgement of the same assignment by the same member |
//! | WR4 BadWitness | C | a witness's word and the answer that it names, which does not verify |
//! | WR5 BadShare | C | two shares of one member for one assignment of another machine |
//! | VW1 VowBreach | C | a proposal, and `f + 1` statements of its sender's account at the log prefix, in which a vow is overdue |
//! | QT1 OverQuota | C | the same, with a quota that the proposal exceeds |

mod form;
mod judge;

pub use bart_rsm::pom::DecidedProposal;
pub use form::POM_LEN_MAX;
pub use judge::verify;

use crate::account::View;
use crate::cert::{Cert, DenialCert};
use crate::statement::*;
use bart_rsm::message::Value;
use std::fmt;
use types::{
    DecodeError, Encode, EnvelopeError, Epoch, Family, GroupId, Hash, Header, Ident, Kind, Signed,
    Slot,
};

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $row:literal, $prefix:literal, $number:literal, $words:literal;)*) => {
        /// What a proof shows. A closed list.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum PomKind { $($(#[$doc])* $name = $row,)* }

        impl PomKind {
            /// Every kind.
            pub const ALL: &'static [PomKind] = &[$(PomKind::$name,)*];

            /// The row of the catalogue, like `WR1`.
            pub fn row(self) -> &'static str {
                match self { $(Self::$name => concat!($prefix, $number),)* }
            }

            /// The name in the specification, without the row's number.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }

            /// What the accused did, after its name.
            pub fn words(self) -> &'static str {
                match self { $(Self::$name => $words,)* }
            }
        }
    };
}

kinds! {
    /// Assigned work was not answered.
    NoEvidence = 1, "WR", "1", "did not answer work that the group had assigned to it";
    /// One request, two answers.
    TwoAnswers = 2, "WR", "2", "answered one request twice, differently";
    /// Denied what it had acknowledged.
    FalseNoEvidence = 3, "WR", "3", "denied an answer that it had acknowledged before";
    /// Forwarded what is no answer.
    BadWitness = 4, "WR", "4", "forwarded an answer that does not verify as if it were one";
    /// One piece of foreign work, two results.
    BadShare = 5, "WR", "5", "signed two different results of one piece of another machine's work";
    /// Left a vow open beyond its time.
    VowBreach = 6, "VW", "1", "proposed beyond the deadline of its own vow without keeping it or paying for it";
    /// Asked for more than its quota.
    OverQuota = 7, "QT", "1", "proposed to ask for more than its quota left";
}

impl PomKind {
    /// The code in a file.
    pub fn code(self) -> u8 {
        Family::Work.base() + self as u8
    }

    /// The kind with this code.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.code() == code)
    }

    /// Whether the proof rests on assumptions about time: it suspends and never expels (specification 8.1).
    pub fn is_timing(self) -> bool {
        self == Self::NoEvidence
    }
}

impl fmt::Display for PomKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", self.row(), self.name())
    }
}

/// The objects that convict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Evidence {
    /// WR1.
    NoEvidence {
        /// The proposal with the assignment, decided.
        assigned: Box<DecidedProposal>,
        /// Who waited in vain.
        denials: Box<DenialCert>,
    },
    /// WR2, in the order of their encodings.
    TwoAnswers(Box<(Signed<ResponseCore>, Signed<ResponseCore>)>),
    /// WR3.
    FalseNoEvidence {
        /// The denial.
        denial: Signed<NoEvidence>,
        /// The earlier acknowledgement.
        ack: Signed<WorkAck>,
    },
    /// WR4.
    BadWitness {
        /// The witness's word.
        word: Signed<WitnessStatement>,
        /// The answer that it names.
        answer: Box<Signed<ResponseCore>>,
    },
    /// WR5, in the order of their encodings.
    BadShare(Box<(Signed<ResultShare>, Signed<ResultShare>)>),
    /// VW1.
    VowBreach {
        /// The proposal.
        value: Box<Value>,
        /// Its sender's account and vows.
        view: Box<View>,
        /// That they are.
        cert: Box<Cert<AccountShare>>,
    },
    /// QT1.
    OverQuota {
        /// The proposal.
        value: Box<Value>,
        /// Its sender's account and vows.
        view: Box<View>,
        /// That they are.
        cert: Box<Cert<AccountShare>>,
    },
}

impl Evidence {
    /// Two answers, in the one order in which they count.
    pub fn two_answers(one: Signed<ResponseCore>, other: Signed<ResponseCore>) -> Self {
        Self::TwoAnswers(Box::new(in_order(one, other)))
    }

    /// Two shares, likewise.
    pub fn two_shares(one: Signed<ResultShare>, other: Signed<ResultShare>) -> Self {
        Self::BadShare(Box::new(in_order(one, other)))
    }

    /// The kind.
    pub fn kind(&self) -> PomKind {
        match self {
            Self::NoEvidence { .. } => PomKind::NoEvidence,
            Self::TwoAnswers(_) => PomKind::TwoAnswers,
            Self::FalseNoEvidence { .. } => PomKind::FalseNoEvidence,
            Self::BadWitness { .. } => PomKind::BadWitness,
            Self::BadShare(_) => PomKind::BadShare,
            Self::VowBreach { .. } => PomKind::VowBreach,
            Self::OverQuota { .. } => PomKind::OverQuota,
        }
    }

    /// The header of what the accused signed; none where it signed nothing (WR1).
    fn header(&self) -> Option<&Header> {
        match self {
            Self::NoEvidence { .. } => None,
            Self::TwoAnswers(pair) => Some(&pair.0.header),
            Self::FalseNoEvidence { denial, .. } => Some(&denial.header),
            Self::BadWitness { word, .. } => Some(&word.header),
            Self::BadShare(pair) => Some(&pair.0.header),
            Self::VowBreach { value, .. } | Self::OverQuota { value, .. } => {
                Some(&value.statement.header)
            }
        }
    }
}

fn in_order<T: Encode>(one: T, other: T) -> (T, T) {
    if one.to_bytes() <= other.to_bytes() { (one, other) } else { (other, one) }
}

/// A proof of misbehavior.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pom {
    /// The group in which the objects were signed.
    pub group: GroupId,
    /// The roster of that time; 0 for answers, which stand outside the log.
    pub epoch: Epoch,
    /// Who is accused.
    pub accused: Slot,
    /// Under which linked identity; 0 where it signed nothing.
    pub ident: Ident,
    /// The objects.
    pub evidence: Evidence,
}

impl Pom {
    /// The file of what somebody found.
    pub fn new(group: GroupId, evidence: Evidence) -> Self {
        let (epoch, accused, ident) = match (&evidence, evidence.header()) {
            (Evidence::NoEvidence { denials, .. }, _) => (denials.epoch, denials.target, Ident(0)),
            (_, Some(header)) => (header.epoch, header.slot, header.ident),
            (_, None) => (Epoch(0), Slot(0), Ident(0)),
        };
        Self { group, epoch, accused, ident, evidence }
    }

    /// The kind.
    pub fn kind(&self) -> PomKind {
        self.evidence.kind()
    }

    /// The epoch whose roster judges it; none if any does, because the objects outlive epochs.
    pub fn roster_epoch(&self) -> Option<Epoch> {
        (self.kind() != PomKind::TwoAnswers).then_some(self.epoch)
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
    /// Under which linked identity.
    pub ident: Ident,
    /// Where in the log; none for answers, which stand outside it.
    pub place: Option<crate::Aid>,
    /// Which rule was broken.
    pub rule: &'static str,
}

impl fmt::Display for Conviction {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, accused, ident, rule, .. } = self;
        write!(out, "{accused} ({ident}) {}: {rule} ({kind})", kind.words())
    }
}

/// Why a file convicts nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PomError {
    /// Another file, another form, or longer than any proof.
    #[error(transparent)]
    Envelope(EnvelopeError),
    /// Its bytes are not the encoding of a proof.
    #[error("the proof is damaged: {0}")]
    Damaged(#[from] DecodeError),
    /// It belongs to another group.
    #[error("the proof is from group {pom}, the roster from group {roster}")]
    OtherGroup {
        /// Group of the proof.
        pom: GroupId,
        /// Group of the roster.
        roster: GroupId,
    },
    /// It belongs to another epoch.
    #[error("the proof needs the roster of {pom}, this one is of {roster}")]
    OtherEpoch {
        /// Epoch of the proof.
        pom: Epoch,
        /// Epoch of the roster.
        roster: Epoch,
    },
    /// An object was signed by somebody else than the accused, or its signature does not verify.
    #[error("an object of the proof ({0:?}) is not the accused's")]
    NotGenuine(Kind),
    /// `f + 1` members are not behind it.
    #[error("the statements of others in the proof are not those of f + 1 members")]
    NotCertified,
    /// The decision is not shown.
    #[error(transparent)]
    Decision(#[from] bart_rsm::pom::PomError),
    /// The objects are genuine, but show nothing.
    #[error("the objects are genuine but prove nothing: {0}")]
    NotProven(&'static str),
    /// The objects are not in the one order or form in which they count.
    #[error("the proof is not in canonical form: {0}")]
    NotCanonical(&'static str),
}

impl From<EnvelopeError> for PomError {
    fn from(error: EnvelopeError) -> Self {
        match error {
            EnvelopeError::Damaged(error) => Self::Damaged(error),
            other => Self::Envelope(other),
        }
    }
}
