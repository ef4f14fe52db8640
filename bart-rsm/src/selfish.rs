//! What a selfish member may change inside itself, and what a group would be that let it.
//!
//! Source: specification 9 (rows marked R that are not visible at the queue boundary) and 10.3 (negative
//! controls). The default is to follow; anything else can be chosen under the feature `broken-rules` only,
//! and exists for the deviation experiment.

use crate::proposal::{Accusation, Proposal};
use types::limits::UNTIMELY_MAX;
use types::{Kind, Slot};

/// Units of a fine without a cap; more would only make the experiment slower.
const MANY_UNITS: u8 = 20;

/// How a sender bends its own proposal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Slant {
    /// Not at all.
    #[default]
    None,
    /// UN-N1: publishes no untimely marks.
    NoMarks,
    /// UN-D1: fines everybody, each time, at the cap.
    FineAll,
    /// UN-D2: fines one member, each time, at the cap.
    Fine(Slot),
    /// UN-D3: many units for one member, against the cap.
    FineUnlimited(Slot),
    /// BL-D1: lists the next member for something that it does not owe.
    ListNext,
    /// BL-N1: lists nobody.
    NoLists,
}

/// Deviations inside one member. All off by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Selfish {
    /// AA-D3: acknowledges an AGREE without verifying anything in it.
    pub blind_acks: bool,
    /// PN-R1 and whoever keeps things back: goes on with peers that owe it something.
    pub lenient: bool,
    /// ST-T1, ST-T2: turn timers run so many ms longer; shorter if negative.
    pub timer_shift_ms: i64,
    /// 9.10: what the own proposals say about others.
    pub slant: Slant,
}

/// Precautions that a whole group leaves out: negative controls of the deviation experiment (10.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lax {
    /// hasBubble as printed: reports and penance are no duties (issue T23).
    pub printed_has_bubble: bool,
    /// READ_ACKs need no pad (C3).
    pub unpadded_read_acks: bool,
    /// Untimely entries have no cap (decision 12).
    pub unlimited_untimely: bool,
}

impl Selfish {
    /// A turn timer of a member that shifts its timers.
    pub(crate) fn shift(&self, wait_ms: u64) -> u64 {
        wait_ms.saturating_add_signed(self.timer_shift_ms).max(1)
    }

    /// Bends a proposal before it is signed.
    pub(crate) fn bend(&self, own: Slot, proposal: &mut Proposal) {
        let own = usize::from(own.0);
        let mut fill = |cap: u8, whom: Option<Slot>| {
            for (slot, entry) in proposal.untimely.iter_mut().enumerate() {
                let aimed = whom.is_none_or(|whom| usize::from(whom.0) == slot);
                if slot != own && aimed {
                    *entry = cap;
                }
            }
        };
        match self.slant {
            Slant::None => {}
            Slant::NoMarks => fill(0, None),
            Slant::FineAll => fill(UNTIMELY_MAX, None),
            Slant::Fine(whom) => fill(UNTIMELY_MAX, Some(whom)),
            Slant::FineUnlimited(whom) => fill(MANY_UNITS, Some(whom)),
            Slant::NoLists => proposal.accuse.fill(Accusation::default()),
            Slant::ListNext => {
                let next = (own + 1) % proposal.accuse.len().max(1);
                if let Some(entry) = proposal.accuse.get_mut(next) {
                    let kind = Kind::AgreeAck as u8;
                    *entry = Accusation { reason: 1, kind, ..Accusation::default() };
                }
            }
        }
    }
}
