//! Credible threats as the log knows them (specification 6.3, paper figure 14 and section 6.3, issues W10, W11).
//!
//! Assumes: only its maker settles a vow, in its own proposals, in order. Guarantees: (1) a pending vow can always be
//! settled: the default message needs nobody's help and no quota; (2) it costs more than the slow path; (3) whether a
//! proposal breaks a vow follows from the vow, the proposal and the time of the log prefix alone, so it can be shown
//! to anybody. Bounds: [`types::limits::VOWS_MAX`] pending vows a member.

use crate::command::{Settlement, Vow};
use crate::params::Params;
use crate::request::Aid;
use crate::sizes::{self, VowSizes};
use types::{Decode, DecodeError, Encode, GroupId, Hash, Kind, Reader, Slot, Stamp, Writer};

/// A vow that is not settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// Where it stands in the log.
    pub id: Aid,
    /// Who made it.
    pub requester: Slot,
    /// What it says.
    pub vow: Vow,
    /// Parts of the default message that are decided.
    pub paid: u16,
    /// Bytes of the whole default message, fixed when the vow was decided.
    pub pad_len: u32,
}

impl Pending {
    /// A vow that was just decided in a group of `n` members that tolerates `f`.
    pub(crate) fn new(
        id: Aid,
        requester: Slot,
        vow: Vow,
        (n, f): (usize, usize),
        params: &Params,
    ) -> Self {
        let bodies = params.body_witnesses(f);
        let pad = sizes::default_pad(vow.sizes(), n, bodies, params.rx_per_mille);
        Self { id, requester, vow, paid: 0, pad_len: pad.min(u32::MAX as usize) as u32 }
    }

    /// The local timer at which the requester goes the slow way.
    pub fn timer1(&self, params: &Params) -> Stamp {
        Stamp(self.vow.due.0.saturating_sub(params.slow_ms()))
    }

    /// Whether what the target does now may still decide how the threat ends (definition 3).
    pub fn is_open(&self, params: &Params, tau: Stamp) -> bool {
        tau.0.saturating_add(params.reply_ms) <= self.timer1(params).0
    }

    /// Parts of the whole default message.
    pub fn parts(&self) -> u16 {
        sizes::default_parts(self.pad_len as usize).min(usize::from(u16::MAX)) as u16
    }

    /// The pad of one part: a keyed stream, so it can neither be compressed nor reused.
    pub fn pad(&self, group: GroupId, part: u16) -> Vec<u8> {
        let len = sizes::part_len(self.pad_len as usize, usize::from(part));
        let place = Aid { inst: self.id.inst, index: self.id.index };
        let between = (self.requester, Slot(part));
        crate::message::pad(group, place, Kind::Value, between, len).0.to_vec()
    }

    /// Whether an answer or a certificate is about what was vowed. Signatures are checked elsewhere.
    pub(crate) fn is_about(&self, with: &Settlement) -> bool {
        match with {
            Settlement::Answer(core) => {
                core.header.slot == self.vow.target
                    && core.payload.request == self.vow.root
                    && core.payload.fields.0.len() <= self.vow.fields_cap.0 as usize
                    && core.payload.body_len.0 <= u64::from(self.vow.body_cap.0)
            }
            Settlement::Denied(cert) => {
                (cert.target, cert.requester, cert.request)
                    == (self.vow.target, self.requester, self.vow.root)
            }
        }
    }
}

impl Vow {
    /// The sizes that it states.
    pub fn sizes(&self) -> VowSizes {
        VowSizes {
            request: self.request_len.0 as usize,
            fields: self.fields_cap.0 as usize,
            body: self.body_cap.0 as usize,
        }
    }

    /// The vow over some work of a target.
    pub fn over(work: &crate::request::Work, group: GroupId, target: Slot, due: Stamp) -> Self {
        let cap = |len: usize| crate::layout::Cap(len.min(u32::MAX as usize) as u32);
        Self {
            root: work.root(group),
            target,
            due,
            request_len: cap(work.to_bytes().len()),
            fields_cap: cap(work.fields_cap()),
            body_cap: cap(work.body_cap()),
        }
    }

    /// Whether some work is what was vowed, in name and size.
    pub fn covers(&self, work: &crate::request::Work, group: GroupId) -> bool {
        *self == Self::over(work, group, self.target, self.due)
            && work.to() == crate::request::To::Member(self.target)
    }

    /// Why it cannot be made at a moment, if so.
    pub(crate) fn flaw(&self, params: &Params, tau: Stamp) -> Option<&'static str> {
        use types::limits::{WORK_CAP_MAX, WORK_FIELDS_MAX, WORK_LEN_MAX};
        let least = tau.0.saturating_add(params.vow_least_ms());
        let most = tau.0.saturating_add(params.request_life_ms);
        let VowSizes { request, fields, body } = self.sizes();
        if self.due.0 < least {
            return Some("the deadline of a vow leaves no time for the slow path");
        }
        if self.due.0 > most {
            return Some("the deadline of a vow is later than any request lives");
        }
        if request > WORK_LEN_MAX || fields > WORK_FIELDS_MAX || fields + body > WORK_CAP_MAX {
            return Some("a vow over work that cannot be assigned");
        }
        (self.root == Hash::ZERO).then_some("a vow over nothing")
    }
}

impl Encode for Pending {
    fn encode(&self, out: &mut Writer) {
        out.put(&self.id);
        out.put(&self.requester);
        out.put(&self.vow);
        out.u16(self.paid);
        out.u32(self.pad_len);
    }
}

impl Decode for Pending {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            id: input.get()?,
            requester: input.get()?,
            vow: input.get()?,
            paid: input.u16()?,
            pad_len: input.u32()?,
        })
    }
}
