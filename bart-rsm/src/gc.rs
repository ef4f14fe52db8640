//! Garbage collection: instances that nobody needs leave the disk (specification 4.5, 5.5).
//!
//! Assumes: the horizon follows from the log. Guarantees: (1) an instance is erased only when every
//! live member and we ourselves call it closed, and it is older than what stays in memory;
//! (2) the new floor is durable before anything below it goes, and erasing starts a batch earlier
//! after a restart, so that a crash between any two erasures neither loses nor leaves anything.
//! Bounds: [`ERASE_MAX`] instances a step.

use crate::core::Core;
use crate::effect::Effect;
use crate::residence::KEEP;
use types::Instance;

/// Instances erased in one step.
pub(crate) const ERASE_MAX: u64 = 64;
/// Fewer are not worth a step.
const ERASE_MIN: u64 = 16;

impl Core {
    /// The first instance that is kept; everything below was erased.
    pub fn kept_from(&self) -> Instance {
        self.floor
    }

    /// What may go by now.
    fn disposable(&self) -> Instance {
        let resident = self.current.back(KEEP).unwrap_or_default();
        self.log.closed.horizon().min(self.closed_upto()).min(resident)
    }

    /// Erases a batch, if there is one.
    pub(crate) fn collect_garbage(&mut self) {
        let (from, end) = (self.floor, self.disposable());
        if end.0 < from.0.saturating_add(ERASE_MIN) {
            return;
        }
        let to = Instance(end.0.min(from.0.saturating_add(ERASE_MAX)));
        self.floor = to;
        self.save_log = true;
        self.forget_below(to);
        self.out.push(Effect::Erase { from, to });
    }

    /// Erases once more what a crash may have left below the floor.
    pub(crate) fn erase_leftovers(&mut self) {
        let to = self.floor;
        let from = to.back(ERASE_MAX).unwrap_or_default();
        if from < to {
            self.out.push(Effect::Erase { from, to });
        }
    }

    /// Nothing below the floor stays in memory.
    fn forget_below(&mut self, floor: Instance) {
        let old: Vec<Instance> = self.insts.range(..floor).map(|(no, _)| *no).collect();
        for no in old {
            self.insts.remove(&no);
            self.signer.release(no);
        }
        self.loads = self.loads.split_off(&floor);
        self.unsaved = self.unsaved.split_off(&floor);
        self.save = self.save.split_off(&floor);
        for peer in &mut self.peers {
            peer.reopened = peer.reopened.split_off(&floor);
        }
    }
}
