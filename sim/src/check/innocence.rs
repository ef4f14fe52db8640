//! Innocence: nothing that was ever signed in a run is a proof against an honest member
//! (specification 7.10 (ii), 8.2).
//!
//! A running member notices only what it happens to compare. Here everything that any member put on a
//! link is shown together: what honest members sent to whomever, before and after each crash, what
//! faulty members made of it, and what they replayed. At the end of the run every tuple of these
//! objects that has the form of a proof against an honest member goes through the judge that a third
//! party would use.
//!
//! Assumes: honest members keep the resolved rules; with broken ones they may well be convicted.
//! Guarantees: within the bound no pair is left out ([`Exhibits`]), in any epoch: an honest member says who
//! takes part before it says anything in the new epoch. Bounds: [`SHOWN_MAX`] messages of faulty members;
//! those of honest members always count.
//! Not covered: what only faulty members signed in an epoch that no honest one had reached; the
//! enumeration is that of `bart-rsm`, not one of its own.

use super::{Check, End, Observation};
use bart_rsm::message::Message;
use bart_rsm::pom::Exhibits;
use std::collections::BTreeSet;
use types::{Roster, Slot};

/// Messages of faulty members that are looked at. More is only a flood, whose statements repeat; what
/// is in the vectors of honest members' messages counts beyond it.
const SHOWN_MAX: usize = 20_000;

/// See the module.
#[derive(Debug)]
pub struct Innocence {
    honest: BTreeSet<Slot>,
    exhibits: Exhibits,
    shown: usize,
}

impl Innocence {
    /// For these honest members of a group.
    pub fn new(roster: &Roster, honest: BTreeSet<Slot>) -> Self {
        Self { honest, exhibits: Exhibits::sharing_verdicts(roster), shown: 0 }
    }

    fn show(&mut self, message: &Message) {
        self.exhibits.show(message);
    }
}

impl Check for Innocence {
    fn name(&self) -> &'static str {
        "innocence"
    }

    fn observe(&mut self, seen: &Observation<'_>) -> Result<(), String> {
        match *seen {
            Observation::Roster { slot, first, roster } if self.honest.contains(&slot) => {
                self.exhibits.learn_epoch(first, roster);
            }
            Observation::Sent { message, .. } => self.show(message),
            Observation::Thrown { message } if self.shown < SHOWN_MAX => {
                self.shown += 1;
                self.show(message);
            }
            _ => {}
        }
        Ok(())
    }

    fn finish(&mut self, _: &End) -> Vec<String> {
        let honest = std::mem::take(&mut self.honest);
        let found = self.exhibits.convictions(|slot| honest.contains(&slot));
        found
            .iter()
            .map(|(pom, _)| format!("honest {} stands convicted: {}", pom.accused, pom.kind()))
            .collect()
    }
}
