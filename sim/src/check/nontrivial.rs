//! Non-triviality: where nothing goes wrong, no proposal is lost (specification 3.13; a group that
//! decides NULL for ever would agree, too).

use super::{Check, Observation};

/// See the module.
#[derive(Debug)]
pub struct NonTriviality {
    calm: bool,
}

impl NonTriviality {
    /// For a run without faulty members, delays or crashes; any other run is not looked at.
    pub fn new(calm: bool) -> Self {
        Self { calm }
    }
}

impl Check for NonTriviality {
    fn name(&self) -> &'static str {
        "non-triviality"
    }

    fn observe(&mut self, seen: &Observation<'_>) -> Result<(), String> {
        match *seen {
            Observation::Applied { slot, inst, proposal: None, .. } if self.calm => {
                Err(format!("{slot} applies NULL in {inst} although nothing is wrong"))
            }
            _ => Ok(()),
        }
    }
}
