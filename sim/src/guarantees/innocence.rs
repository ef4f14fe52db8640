//! Guarantee (ii): no predicate of the catalogue holds over what an honest member signed.
//!
//! All tuples are judged, or those whose objects speak of one thing; over others every predicate says by its
//! form that they do not, which the seeds with all tuples check.

use super::member::{RULES, group};
use pib::{Evidence, EvidenceKind, Pom, Receipt, RejectReason, Statement};
use std::collections::BTreeSet;
use types::{Encode as _, Hash, Ident, Roster, Slot, Stamp};

/// The tuples of one member's statements that were judged, and what convicts it.
pub fn judge(roster: &Roster, slot: Slot, said: &[Statement], every: bool) -> (u64, Vec<String>) {
    let (mut tuples, mut proven) = (0, Vec::new());
    let mut look = |kind, objects: Vec<Statement>| {
        tuples += 1;
        let evidence = Evidence { kind, accused: slot, ident: Ident(0), objects };
        if let Ok(conviction) = pib::pom::verify(&Pom::new(group(), evidence), roster, &RULES) {
            proven.push(conviction.to_string());
        }
    };
    let mut said: Vec<(&Statement, Subject)> =
        said.iter().map(|statement| (statement, Subject::of(statement))).collect();
    said.sort_by_key(|(statement, _)| (statement.place(), statement.to_bytes()));
    for (at, (first, one)) in said.iter().enumerate() {
        if matches!(first, Statement::Reject(_)) {
            look(EvidenceKind::BadReject, vec![(*first).clone()]);
        }
        for (second, other) in &said[at + 1..] {
            let speak = |kind: &EvidenceKind| every || one.speaks_of(other, *kind);
            for kind in kinds([first, second]).iter().filter(|kind| speak(kind)) {
                // The catalogue names the answer before the receipt that it breaks.
                let objects = match kind {
                    EvidenceKind::WrongChunk | EvidenceKind::BadDeny => [*second, *first],
                    _ => [*first, *second],
                };
                look(*kind, objects.map(Clone::clone).to_vec());
            }
        }
    }
    (tuples, proven)
}

/// The predicates about two statements of such kinds, in the order of the catalogue.
fn kinds(pair: [&Statement; 2]) -> &'static [EvidenceKind] {
    use EvidenceKind::{AcceptAndReject, BadDeny, StampReuse, WrongChunk};
    match pair {
        [Statement::Receipt(_), Statement::Confirm(_)] => &[StampReuse, WrongChunk],
        [Statement::Receipt(_), Statement::Deny(_)] => &[StampReuse, BadDeny],
        [Statement::Receipt(_) | Statement::Reject(_), Statement::Reject(_)] => {
            &[StampReuse, AcceptAndReject]
        }
        _ => &[StampReuse],
    }
}

/// What a statement speaks of.
struct Subject {
    stamp: Stamp,
    /// The statement of an owner that is answered.
    info: Option<Hash>,
    /// The receipt that is given or answered for.
    receipt: Option<Hash>,
    /// Statements that a proof of fullness cites.
    cited: BTreeSet<Hash>,
}

impl Subject {
    fn of(statement: &Statement) -> Self {
        let none = |stamp| Self { stamp, info: None, receipt: None, cited: BTreeSet::new() };
        match statement {
            Statement::Info(info) => none(info.payload.stamp),
            Statement::Receipt(receipt) => Self {
                info: Some(receipt.payload.info.digest()),
                receipt: Some(Receipt::cite(receipt)),
                ..none(receipt.payload.stamp)
            },
            Statement::Reject(reject) => Self {
                info: Some(reject.payload.info.digest()),
                cited: match &reject.payload.reason {
                    RejectReason::Full { proof } => proof.iter().map(|i| i.digest()).collect(),
                    RejectReason::BadRequest { .. } => BTreeSet::new(),
                },
                ..none(reject.payload.stamp)
            },
            Statement::Confirm(confirm) => {
                Self { receipt: Some(confirm.payload.receipt), ..none(confirm.payload.stamp) }
            }
            Statement::Deny(deny) => {
                Self { receipt: Some(deny.payload.receipt), ..none(deny.payload.stamp) }
            }
        }
    }

    fn speaks_of(&self, other: &Self, kind: EvidenceKind) -> bool {
        match kind {
            EvidenceKind::StampReuse => self.stamp == other.stamp,
            EvidenceKind::WrongChunk | EvidenceKind::BadDeny => self.receipt == other.receipt,
            EvidenceKind::AcceptAndReject => {
                let cites =
                    |one: &Self, two: &Self| two.info.is_some_and(|i| one.cited.contains(&i));
                self.info == other.info || cites(self, other) || cites(other, self)
            }
            EvidenceKind::BadReject => true,
        }
    }
}
