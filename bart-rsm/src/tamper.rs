//! For simulations of faulty members only (feature `broken-rules`): an engine whose proposals are
//! altered before they are signed. Everything else follows the protocol, so that what a proposal
//! says can be attacked without losing the proposal.

use crate::core::Core;
use crate::proposal::Proposal;
#[cfg(feature = "broken-rules")]
use std::sync::Arc;
use types::{Encode, Instance};

/// Makes the bytes to propose from what an honest sender would propose; none to propose that. The
/// same for the same arguments, as everything in a core.
#[cfg(feature = "broken-rules")]
pub type Compose = Arc<dyn Fn(Instance, &Proposal) -> Option<Vec<u8>> + Send + Sync>;

/// What alters the proposals of an engine, if anything does.
#[derive(Clone, Default)]
pub(crate) struct Tamper {
    #[cfg(feature = "broken-rules")]
    compose: Option<Compose>,
}

impl std::fmt::Debug for Tamper {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Tamper")
    }
}

impl Core {
    /// From now on proposes what `compose` makes of its proposals.
    #[cfg(feature = "broken-rules")]
    pub fn compose_with(&mut self, compose: Compose) {
        self.tamper.compose = Some(compose);
    }

    /// The bytes of our proposal.
    #[cfg(feature = "broken-rules")]
    pub(crate) fn proposal_bytes(&self, no: Instance, proposal: &Proposal) -> Vec<u8> {
        let altered = self.tamper.compose.as_ref().and_then(|compose| compose(no, proposal));
        altered.unwrap_or_else(|| proposal.to_bytes())
    }

    /// The bytes of our proposal.
    #[cfg(not(feature = "broken-rules"))]
    pub(crate) fn proposal_bytes(&self, _: Instance, proposal: &Proposal) -> Vec<u8> {
        proposal.to_bytes()
    }
}
