//! No alarm: an honest member never concludes that the group's safety is lost.

use super::{Check, Observation};

/// See the module.
#[derive(Debug)]
pub struct NoAlarm;

impl Check for NoAlarm {
    fn name(&self) -> &'static str {
        "no-alarm"
    }

    fn observe(&mut self, seen: &Observation<'_>) -> Result<(), String> {
        match seen {
            Observation::Alarmed { slot, alarm } => Err(format!("{slot}: {alarm:?}")),
            _ => Ok(()),
        }
    }
}
