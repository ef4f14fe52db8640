//! The window of instances that run at the same time (specification 5.4).
//!
//! Instances `current .. entered` are under way: each has its own sender, turns and timer. An
//! instance is entered as soon as everything up to `W` before it is decided; what is decided out of
//! order waits and is applied in order. Gates look back `W` instances (`duties.rs`), so leaving a
//! duty undone shuts a member out `W` instances later instead of at once.
//!
//! Assumes: `W` is a group parameter and at most half of the members, so a member's previous
//! proposal is always in the prefix that its next one is checked against.
//! Guarantees: (1) `Apply` is in order, without gaps; (2) at most one of our own instances is under
//! way. Bounds: `W` entered instances.

use crate::core::Core;
use crate::inst::Inst;
use types::Instance;

impl Core {
    /// Enters what the window allows. It never holds two instances of one sender, also after
    /// members were taken out of the rotation.
    pub(crate) fn enter_window(&mut self) {
        let width = self.config.params.pipeline.min(self.rotation()).max(1);
        let end = Instance(self.current.0.saturating_add(width));
        while self.entered < end {
            let no = self.entered;
            self.entered = Instance(no.0 + 1);
            self.enter(no);
        }
    }

    /// Applies in order whatever is decided, and moves the window.
    pub(crate) fn apply_decided(&mut self) {
        while self.insts.get(&self.current).is_some_and(Inst::is_decided) {
            self.apply(self.current);
            self.current = Instance(self.current.0 + 1);
            self.entered_at = self.now.mono;
            self.meet_epoch();
        }
        self.enter_window();
    }

    /// The instances under way, in order.
    pub(crate) fn window(&self) -> impl Iterator<Item = Instance> + use<> {
        (self.current.0..self.entered.0).map(Instance)
    }

    /// The highest instance that we entered.
    pub(crate) fn last_entered(&self) -> Instance {
        self.entered.back(1).unwrap_or_default().max(self.current)
    }

    /// The highest instance that a member has entered whose first undecided one is `undecided`.
    pub(crate) fn entered_at_least(&self, undecided: Instance) -> Instance {
        Instance(undecided.0.saturating_add(self.config.params.pipeline - 1))
    }
}
