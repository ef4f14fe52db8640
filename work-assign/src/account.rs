//! One member's account and vows, and what its proposals may say under them (specification 5.1, 6.3, 6.4).
//!
//! The same function judges a proposal before it is acknowledged and in a proof (VW1, QT1), so a proof cannot demand more
//! than the protocol does. Assumes: the view is that of the log prefix. Guarantee: pure. Also: the linked machines.

use crate::cert::Rosters;
use crate::command::{Command, Settlement};
use crate::params::Params;
use crate::quota::{Account, Charge};
use crate::state::FormFlaw;
use crate::vow::Pending;
use std::collections::BTreeMap;
use types::limits::{LINKS_MAX, VOWS_MAX};
use types::{Decode, DecodeError, Encode, GroupId, Hash, Reader, Slot, Stamp, Writer};

/// Everything about one member that decides whether its next proposal is legal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Whose.
    pub member: Slot,
    /// Its account.
    pub account: Account,
    /// Its pending vows, in the order of the log.
    pub vows: Vec<Pending>,
}

impl View {
    /// A name for it.
    pub fn digest(&self) -> Hash {
        Hash::tagged("account view", &self.to_bytes())
    }
}

impl Encode for View {
    fn encode(&self, out: &mut Writer) {
        out.put(&self.member);
        out.put(&self.account);
        out.list(&self.vows);
    }
}

impl Decode for View {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (member, account) = (input.get()?, input.get()?);
        Ok(Self { member, account, vows: input.list("pending vows", VOWS_MAX)? })
    }
}

/// Whether a settlement settles a vow; none if its epoch is not known here, so that nobody can say.
pub(crate) fn settles(rosters: &Rosters, vow: &Pending, with: &Settlement) -> Option<bool> {
    if !vow.is_about(with) {
        return Some(false);
    }
    match with {
        Settlement::Answer(core) => Some(rosters.outside(&**core).is_some()),
        Settlement::Denied(cert) => {
            let roster = rosters.at(cert.epoch)?;
            Some(cert.verify(roster))
        }
    }
}

/// A view while one proposal is gone through.
pub(crate) struct Ledger {
    view: View,
    asked: Charge,
    touched: Vec<crate::request::Aid>,
}

impl Ledger {
    pub(crate) fn new(view: View) -> Self {
        Self { view, asked: Charge::default(), touched: Vec::new() }
    }

    pub(crate) fn check(
        &mut self,
        rosters: &Rosters,
        params: &Params,
        tau: Stamp,
        commands: &[Vec<u8>],
    ) -> Result<(), FormFlaw> {
        for bytes in commands {
            match Command::read(bytes) {
                None => {}
                Some(Ok(command)) => self.take(rosters, &command)?,
                Some(Err(_)) => return Err(FormFlaw::Malformed),
            }
        }
        if !self.view.account.fits(params, tau, self.asked) {
            return Err(FormFlaw::OverQuota);
        }
        let broken = |vow: &Pending| tau > vow.vow.due && !self.touched.contains(&vow.id);
        match self.view.vows.iter().any(broken) {
            true => Err(FormFlaw::VowBroken),
            false => Ok(()),
        }
    }

    fn take(&mut self, rosters: &Rosters, command: &Command) -> Result<(), FormFlaw> {
        let roster = rosters.current();
        self.asked = self.asked.and(Charge::of(command, roster.quorum().n()));
        match command {
            Command::Fulfil { vow, with } => {
                let at = self.place(*vow)?;
                // What nobody can judge here is not refused for it: execution is at the same place everywhere.
                if settles(rosters, &self.view.vows[at], with) == Some(false) {
                    return Err(FormFlaw::BadSettlement);
                }
                self.touched.push(*vow);
                self.view.vows.remove(at);
                Ok(())
            }
            Command::VowDefault { vow, part, pad } => {
                let at = self.place(*vow)?;
                let pending = &mut self.view.vows[at];
                if pending.paid != *part || pending.pad(roster.group(), *part) != pad.0 {
                    return Err(FormFlaw::BadSettlement);
                }
                pending.paid += 1;
                self.touched.push(*vow);
                if pending.paid >= pending.parts() {
                    self.view.vows.remove(at);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn place(&self, vow: crate::request::Aid) -> Result<usize, FormFlaw> {
        self.view.vows.iter().position(|one| one.id == vow).ok_or(FormFlaw::BadSettlement)
    }
}

/// A machine that shares members with ours.
#[derive(Debug, Clone)]
pub struct Link {
    /// Its rosters.
    pub rosters: Rosters,
    /// The designated common members: their slots with us and there.
    pub overlap: Vec<(Slot, Slot)>,
}

/// The linked machines, and by which of them others are reached.
#[derive(Debug, Clone, Default)]
pub struct Links {
    links: BTreeMap<GroupId, Link>,
    routes: BTreeMap<GroupId, GroupId>,
}

/// Why a link cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// Every member of the overlap might be faulty (C9).
    #[error("machines that tolerate {f} faults must share {} members, not {got}", f + 1)]
    TooSmall {
        /// The larger of the two machines' `f`.
        f: usize,
        /// Members that they share.
        got: usize,
    },
    /// A slot appears twice, or is in neither roster.
    #[error("the overlap names {0} wrongly")]
    Slot(Slot),
    /// Too many links.
    #[error("a machine has at most {LINKS_MAX} links")]
    TooMany,
}

impl Links {
    /// Adds a link of a machine that tolerates `f` faults. Exactly `max f + 1` members are designated: more would
    /// only send more copies.
    pub fn add(&mut self, ours: &types::Roster, link: Link) -> Result<(), LinkError> {
        let f = ours.quorum().f().max(link.rosters.current().quorum().f());
        let got = link.overlap.len();
        if got != f + 1 {
            return Err(LinkError::TooSmall { f, got });
        }
        let theirs = link.rosters.current();
        for (at, (own, other)) in link.overlap.iter().enumerate() {
            let twice =
                link.overlap[..at].iter().any(|(slot, there)| slot == own || there == other);
            if twice || ours.member(*own).is_none() || theirs.member(*other).is_none() {
                return Err(LinkError::Slot(*own));
            }
        }
        if self.links.len() >= LINKS_MAX {
            return Err(LinkError::TooMany);
        }
        let group = theirs.group();
        self.routes.insert(group, group);
        self.links.insert(group, link);
        Ok(())
    }

    /// Work for a machine goes by way of a linked one. A way over no link is none.
    pub fn route(&mut self, machine: GroupId, by: GroupId) {
        if self.links.contains_key(&by) {
            self.routes.insert(machine, by);
        }
    }

    /// A linked machine.
    pub fn get(&self, machine: GroupId) -> Option<&Link> {
        self.links.get(&machine)
    }

    /// The linked machine by which a machine is reached.
    pub fn next_hop(&self, machine: GroupId) -> Option<GroupId> {
        self.routes.get(&machine).copied()
    }

    /// All linked machines.
    pub fn iter(&self) -> impl Iterator<Item = (GroupId, &Link)> {
        self.links.iter().map(|(group, link)| (*group, link))
    }
}
