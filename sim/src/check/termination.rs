//! Termination: after all trouble has ended every honest member decides every instance in bounded
//! time, and no honest member is left waiting for another in a decided instance.

use super::{Check, End, Stop};

/// Every honest member applies the target number of instances.
#[derive(Debug)]
pub struct Termination;

impl Check for Termination {
    fn name(&self) -> &'static str {
        "termination"
    }

    fn finish(&mut self, end: &End) -> Vec<String> {
        let late = end.applied.iter().filter(|(_, applied)| *applied < end.target);
        let mut found: Vec<String> = late
            .map(|(slot, applied)| format!("{slot} applied {applied} of {} instances", end.target))
            .collect();
        if end.stop == Stop::OutOfEvents {
            found.push("the members keep each other busy without progress".into());
        }
        found
    }
}

/// No duty among honest members remains below the target.
#[derive(Debug)]
pub struct NoResidualDuty;

impl Check for NoResidualDuty {
    fn name(&self) -> &'static str {
        "residual-duty"
    }

    fn finish(&mut self, end: &End) -> Vec<String> {
        end.residual
            .iter()
            .map(|(who, from, what)| format!("{who} still expects {what} from {from}"))
            .collect()
    }
}
