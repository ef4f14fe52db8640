//! Proofs of misbehavior of level 2 (specification 8.2, rows PB; paper section 7).
//!
//! Purpose: signed objects about stored chunks that convict their signer before anybody who holds the
//! group's founding document, without the log, the network or a clock.
//!
//! Assumes: signatures are unforgeable, digests collision-free; an honest member answers one statement
//! once, never reuses a stamp, and checks what it refuses (guarantees 2, 3 and 5 of this crate).
//! Guarantees: 1. [`verify`] is a pure function of the file, the roster and the group's rules; 2. it
//! accepts only what no honest member can have signed, in whatever order and after whatever restart;
//! 3. one set of objects has one file: objects stand in the order of the catalogue, and of two alike the
//! smaller encoding first. Bounds: a file has at most [`POM_LEN_MAX`] bytes; a decoder allocates no more
//! than its input.
//!
//! | kind | file |
//! | --- | --- |
//! | PB1: another chunk than was receipted | `retrieve.rs` |
//! | PB2: a refusal without a valid reason | `retrieve.rs` |
//! | PB3: a storer that was not full, or had nothing to object to | `store.rs` |
//! | PB4: accepted and refused | `store.rs` |
//! | PB9: one stamp for two statements | `stamp.rs` |

mod error;
mod form;
mod retrieve;
mod stamp;
mod store;

pub use error::PomError;
pub use form::POM_LEN_MAX;

use crate::evidence::{Evidence, EvidenceKind, Statement};
use crate::rules::Rules;
use std::fmt;
use types::{Encode, Family, GroupId, Hash, Header, Ident, Roster, Slot, Unverified, Verified};

impl EvidenceKind {
    /// Every kind.
    pub const ALL: [Self; 5] =
        [Self::WrongChunk, Self::BadDeny, Self::BadReject, Self::AcceptAndReject, Self::StampReuse];

    /// The row of the catalogue: 3 for PB3.
    pub fn row(self) -> u8 {
        self as u8
    }

    /// The code in a file.
    pub fn code(self) -> u8 {
        Family::Backup.base() + self.row()
    }

    /// The kind with this code.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }

    /// The name in the specification, without the row's number.
    pub fn name(self) -> &'static str {
        match self {
            Self::WrongChunk => "WrongChunk",
            Self::BadDeny => "BadDeny",
            Self::BadReject => "BadReject",
            Self::AcceptAndReject => "AcceptAndReject",
            Self::StampReuse => "StampReuse",
        }
    }

    /// What the accused did, after its name.
    pub fn words(self) -> &'static str {
        match self {
            Self::WrongChunk => "returned another chunk than it had signed for",
            Self::BadDeny => "refused to return a chunk without a valid reason",
            Self::BadReject => "refused to store a chunk without a valid reason",
            Self::AcceptAndReject => "both accepted and refused one chunk",
            Self::StampReuse => "signed two different statements with one stamp",
        }
    }
}

impl fmt::Display for EvidenceKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "PB{} {}", self.row(), self.name())
    }
}

/// A proof of misbehavior: the group, and the objects that convict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pom {
    /// The group in which the objects were signed.
    pub group: GroupId,
    /// Who is accused of what, and the objects.
    pub evidence: Evidence,
}

impl Pom {
    /// The file of what a checker found. Objects come into their one order.
    pub fn new(group: GroupId, mut evidence: Evidence) -> Self {
        if let [first, second] = evidence.objects.as_mut_slice()
            && first.place() == second.place()
            && second.to_bytes() < first.to_bytes()
        {
            std::mem::swap(first, second);
        }
        Self { group, evidence }
    }

    /// The kind.
    pub fn kind(&self) -> EvidenceKind {
        self.evidence.kind
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
    pub kind: EvidenceKind,
    /// By whom.
    pub accused: Slot,
    /// Under which linked identity; the slot's other identities are not touched.
    pub ident: Ident,
    /// Which rule was broken.
    pub rule: &'static str,
}

impl fmt::Display for Conviction {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, accused, ident, rule } = self;
        write!(out, "{accused} ({ident}) {}: {rule} ({kind})", kind.words())
    }
}

/// Checks a proof with the roster and the rules of the group's founding document.
pub fn verify(pom: &Pom, roster: &Roster, rules: &Rules) -> Result<Conviction, PomError> {
    let (group, expected) = (pom.group, roster.group());
    if group != expected {
        return Err(PomError::OtherGroup { pom: group, roster: expected });
    }
    let Evidence { kind, accused, ident, ref objects } = pom.evidence;
    if roster.identity_key(accused, ident).is_none() {
        return Err(PomError::UnknownSigner { slot: accused, ident });
    }
    let judge = Judge { roster, rules, accused: (accused, ident) };
    let rule = match (kind, objects.as_slice()) {
        (EvidenceKind::WrongChunk, [Statement::Confirm(confirm), Statement::Receipt(receipt)]) => {
            retrieve::wrong_chunk(&judge, confirm, receipt)
        }
        (EvidenceKind::BadDeny, [Statement::Deny(deny), Statement::Receipt(receipt)]) => {
            retrieve::bad_deny(&judge, deny, receipt)
        }
        (EvidenceKind::BadReject, [Statement::Reject(reject)]) => store::bad_reject(&judge, reject),
        (
            EvidenceKind::AcceptAndReject,
            [Statement::Receipt(receipt), Statement::Reject(reject)],
        ) => store::accept_and_reject(&judge, receipt, reject),
        (EvidenceKind::AcceptAndReject, [Statement::Reject(one), Statement::Reject(other)]) => {
            store::cites_what_it_refused(&judge, one, other)
        }
        (EvidenceKind::StampReuse, [one, other]) => stamp::reused(&judge, one, other),
        _ => Err(PomError::NotCanonical("not the objects that the kind demands")),
    }?;
    Ok(Conviction { kind, accused, ident, rule })
}

/// Checks single objects.
struct Judge<'a> {
    roster: &'a Roster,
    rules: &'a Rules,
    accused: (Slot, Ident),
}

impl Judge<'_> {
    /// The statement is the accused's.
    fn own<P: types::SignedPayload + Clone>(
        &self,
        signed: &types::Signed<P>,
    ) -> Result<Verified<types::Signed<P>>, PomError> {
        let Header { slot, ident, .. } = signed.header;
        if (slot, ident) != self.accused {
            return Err(PomError::OtherSigner(P::KIND));
        }
        let verified = Unverified::new(signed.clone()).verify_outside_log(self.roster);
        verified.map_err(|_| PomError::BadSignature { slot, kind: P::KIND })
    }
}

#[cfg(test)]
mod tests;
