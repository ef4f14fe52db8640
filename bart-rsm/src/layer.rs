//! A layer between the log and the application, which has rules of its own for proposals (specification 5.1, 6.3, 6.4).
//!
//! The format predicate of a layer reads the log prefix, so the layer must have seen every decided instance before a
//! later proposal is judged, within one step. That is why it is called from inside the core and not through effects.
//!
//! Assumes: a layer is deterministic, and pure but for what it is handed here. Required: one instance at a time
//! (`pipeline = 1`): then the layer's state is the prefix of whatever is judged.
//! Guarantees: (1) [`Layer::on_decided`] comes in order, the instances of a replay first; (2) [`Layer::judge`] comes only
//! in the instance that follows on the last decided one; (3) nothing that [`Layer::permits`] refuses is signed.

use crate::batch::Entry;
use crate::config::Now;
use crate::message::{DecisionCert, Value};
use crate::proposal::Proposal;
use std::fmt::Debug;
use std::sync::Arc;
use types::{Instance, Roster, Slot, Stamp};

/// A decided instance as a layer sees it.
#[derive(Debug, Clone, Copy)]
pub struct LayerDecided<'a> {
    /// Its number.
    pub inst: Instance,
    /// The roster that holds in it.
    pub roster: &'a Arc<Roster>,
    /// The roster that holds in the next one.
    pub next_roster: &'a Arc<Roster>,
    /// Who proposed.
    pub sender: Slot,
    /// State machine time before it.
    pub tau_prefix: Stamp,
    /// State machine time after it.
    pub tau: Stamp,
    /// What was decided; none for NULL.
    pub proposal: Option<&'a Proposal>,
    /// The signed proposal and the certificate that it was decided; none for NULL.
    pub shown: Option<(&'a Value, &'a DecisionCert)>,
}

/// A layer above the log.
pub trait Layer: Debug + Send + Sync {
    /// The next instance is decided. Instances that it has seen come again after a restart.
    fn on_decided(&mut self, now: Now, decided: LayerDecided<'_>);

    /// Whether a proposal may be acknowledged. It is signed by its sender, and its form is right.
    fn judge(&mut self, now: Now, value: &Value, proposal: &Proposal) -> Result<(), &'static str>;

    /// Commands that our next proposal must carry. They are not queued: one that is not decided is asked for again.
    fn carry(&mut self, room: usize) -> Vec<Vec<u8>>;

    /// Whether everybody else will acknowledge a proposal of ours with these commands.
    fn permits(&self, commands: &[Vec<u8>]) -> bool;

    /// Whether a command is this layer's.
    fn owns(&self, command: &[u8]) -> bool;

    /// Another handle to the same layer, for a copy of the core.
    fn boxed(&self) -> Box<dyn Layer>;
}

impl Clone for Box<dyn Layer> {
    fn clone(&self) -> Self {
        self.boxed()
    }
}

impl crate::core::Core {
    /// Puts a layer between the log and the application. Before [`start`](Self::start); false if the parameters do
    /// not allow one.
    pub fn attach(&mut self, layer: Box<dyn Layer>) -> bool {
        let fits = !self.running && self.config.params.pipeline == 1;
        if fits {
            self.layer = Some(layer);
        }
        fits
    }

    /// Hands an instance to the layer, which is decided and resident.
    pub(crate) fn tell_layer(&mut self, no: Instance, tau_prefix: Stamp) {
        let Some(mut layer) = self.layer.take() else { return };
        if let Some(inst) = self.insts.get(&no)
            && let Some(cert) = &inst.decided
        {
            let proposal = inst.decided_proposal();
            let value = inst.values.get(&cert.value);
            let next = Instance(no.0.saturating_add(1));
            let decided = LayerDecided {
                inst: no,
                roster: &self.epoch(no).roster,
                next_roster: &self.epoch(next).roster,
                sender: inst.sender,
                tau_prefix,
                tau: inst.tau,
                proposal: proposal.as_ref(),
                shown: value.map(|value| (&**value, &**cert)),
            };
            layer.on_decided(self.now, decided);
        }
        self.layer = Some(layer);
    }

    /// The commands of our next proposal: what the layer must have in it, then what waits. Nothing of the layer's that
    /// the others would refuse; it waits for the proposal after this one.
    pub(crate) fn batch_for(&mut self, room: usize) -> (Vec<Vec<u8>>, Vec<Entry>) {
        let carried = self.layer.as_mut().map_or_else(Vec::new, |layer| layer.carry(room));
        let used: usize = carried.iter().map(|command| 4 + command.len()).sum();
        let entries = self.batch.take(room.saturating_sub(used));
        let Some(layer) = &self.layer else { return (carried, entries) };
        let permits = |entries: &[Entry]| {
            let waiting = entries.iter().map(|(_, command)| command);
            layer.permits(&carried.iter().chain(waiting).cloned().collect::<Vec<_>>())
        };
        if permits(&entries) {
            return (carried, entries);
        }
        // One that cannot be said now does not hold up the others, unless it is all of them together.
        let (mut entries, mut later): (Vec<_>, Vec<_>) = entries
            .into_iter()
            .partition(|one| !layer.owns(&one.1) || permits(std::slice::from_ref(one)));
        if !permits(&entries) {
            let (layers, others) = entries.into_iter().partition(|(_, one)| layer.owns(one));
            (entries, later) = (others, [later, layers].concat());
        }
        self.batch.put_back(later);
        (carried, entries)
    }
}
