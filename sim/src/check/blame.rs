//! No blame: an honest member never finds an honest peer's message forged, malformed or
//! contradictory, nor has a proof against it. (That a message comes twice, too early or too often is nobody's fault.)

use super::{Check, Observation};
use bart_rsm::Fault;
use std::collections::BTreeSet;
use types::Slot;

/// See the module.
#[derive(Debug)]
pub struct NoBlame {
    honest: BTreeSet<Slot>,
}

impl NoBlame {
    /// For these honest members.
    pub fn new(honest: BTreeSet<Slot>) -> Self {
        Self { honest }
    }
}

impl Check for NoBlame {
    fn name(&self) -> &'static str {
        "no-blame"
    }

    fn observe(&mut self, seen: &Observation<'_>) -> Result<(), String> {
        let (slot, peer, fault) = match *seen {
            Observation::Blamed { slot, peer, fault } => (slot, peer, fault),
            Observation::Convicted { slot, pom } if self.honest.contains(&pom.accused) => {
                return Err(format!("{slot} convicts honest {}: {}", pom.accused, pom.kind()));
            }
            _ => return Ok(()),
        };
        let culprit = match fault {
            Fault::BadSignature(_) | Fault::Malformed(..) => peer,
            Fault::Unexpected(_) | Fault::NotParked(_) | Fault::TooOften => return Ok(()),
        };
        if self.honest.contains(&culprit) {
            return Err(format!("{slot} blames honest {culprit}: {fault}"));
        }
        Ok(())
    }
}
