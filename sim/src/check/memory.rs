//! Bounded memory: whatever the faulty members send, what an honest member holds stays within
//! limits that do not depend on them (specification 4.5).

use super::{Check, Observation};
use crate::group::V_MAX;

/// Instances in memory; older ones are on disk.
const INSTANCES_MAX: usize = 256;
/// Bytes parked for one peer (specification 4.4).
const PARKED_PER_PEER: usize = 4 * V_MAX + 64 * 1024;
/// Records on their way from the disk.
const LOADS_MAX: usize = 1024;

/// See the module.
#[derive(Debug)]
pub struct Memory {
    nodes: usize,
}

impl Memory {
    /// For a group of this size.
    pub fn new(nodes: usize) -> Self {
        Self { nodes }
    }
}

impl Check for Memory {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn observe(&mut self, seen: &Observation<'_>) -> Result<(), String> {
        let Observation::Measured { slot, stats } = *seen else { return Ok(()) };
        let bounded = stats.instances <= INSTANCES_MAX
            && stats.parked_bytes <= self.nodes * PARKED_PER_PEER
            && stats.loads <= LOADS_MAX;
        if bounded { Ok(()) } else { Err(format!("{slot} holds {stats:?}")) }
    }
}
