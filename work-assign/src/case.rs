//! Proposals that break a rule of level 1, and how that becomes a proof (specification 6.3, 6.4; rows VW1, QT1).
//!
//! A proposal that exceeds its sender's quota, or leaves an overdue vow open, is never acknowledged; its signature is a
//! confession. To an outsider it says so only beside the sender's account at the log prefix. Whoever refuses such a
//! proposal therefore signs what that account is, for that one place; `f + 1` equal statements are the state proof.
//!
//! Assumes: the runner hands a refused proposal over before anything later is applied. Guarantees: (1) an honest member
//! signs only its true state at the place; (2) one statement a place. Bounds: one case an instance, [`CASES_MAX`].

use crate::account::View;
use crate::cert::Cert;
use crate::core::Core;
use crate::effect::Effect;
use crate::layout::BySlot;
use crate::message::Message;
use crate::pom::{Evidence, Pom};
use crate::request::Aid;
use crate::signer::Place;
use crate::state::FormFlaw;
use crate::statement::AccountShare;
use bart_rsm::Proposal;
use bart_rsm::message::Value;
use types::{Decode, Hash, Instance, Signed, Slot};

/// Cases that are kept.
pub const CASES_MAX: usize = 64;

/// What is gathered about one place of the log.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    /// The proposal, its sender's account as we know it, and what we say of it.
    value: Option<(Value, View, AccountShare)>,
    shares: BySlot<Signed<AccountShare>>,
    /// A proof was given out.
    shown: bool,
}

impl Core {
    /// A proposal failed the format predicate.
    pub(crate) fn on_refused(&mut self, value: Value) {
        let header = value.statement.header;
        let Some(prefix) = header.inst.back(self.params.pipeline) else { return };
        if self.state.next() != Instance(prefix.0.saturating_add(1)) {
            return;
        }
        let genuine = value.statement.payload.body == Hash::of(&value.body)
            && self.rosters.placed(&value.statement).is_some();
        let Ok(proposal) = Proposal::from_bytes(&value.body) else { return };
        let member = header.slot;
        let flaw = self.state.check(self.context(), member, &proposal.commands);
        if !genuine || !matches!(flaw, Err(FormFlaw::OverQuota | FormFlaw::VowBroken)) {
            return;
        }
        let (view, tau) = (self.state.view(member), self.state.tau());
        let place = Aid { inst: prefix, index: 0 };
        let said = AccountShare { member, tau, view: view.digest() };
        let epoch = self.rosters.current().epoch();
        let share = self.signer.at(epoch, place, said.clone());
        let case = self.case(prefix);
        case.value = Some((value, view, said));
        let Some(share) = share else { return };
        for peer in self.others() {
            self.tell(peer, Message::Account(share.clone()));
        }
        self.on_account(self.slot, share);
    }

    fn case(&mut self, prefix: Instance) -> &mut Case {
        while self.cases.len() >= CASES_MAX && !self.cases.contains_key(&prefix) {
            if let Some((oldest, _)) = self.cases.pop_first() {
                self.signer.forget(Place::At(Aid { inst: oldest, index: 0 }));
            }
        }
        let new = || Case { value: None, shares: BySlot::default(), shown: false };
        self.cases.entry(prefix).or_insert_with(new)
    }

    /// A member says what an account was.
    pub(crate) fn on_account(&mut self, peer: Slot, share: Signed<AccountShare>) {
        let genuine = share.header.slot == peer && self.rosters.placed(&share).is_some();
        if !genuine || share.header.turn.0 != 0 {
            let kind = types::Kind::AccountShare;
            return self.fault(peer, crate::Fault::NotGenuine(kind));
        }
        let prefix = share.header.inst;
        // One far in the past or future would push out what is being gathered.
        let near = self.state.next().0.abs_diff(prefix.0) <= CASES_MAX as u64;
        if !near {
            return;
        }
        self.case(prefix).shares.0.entry(peer).or_insert(share);
        self.judge_case(prefix);
    }

    fn judge_case(&mut self, prefix: Instance) {
        let Some(Case { value: Some((value, view, said)), shares, shown: false }) =
            self.cases.get(&prefix)
        else {
            return;
        };
        let epoch = value.statement.header.epoch;
        let Some(roster) = self.rosters.at(epoch) else { return };
        // Equal to ours: whoever knows another account has applied another log, or lies.
        let signatures = shares
            .0
            .values()
            .filter(|one| one.payload == *said && one.header.epoch == epoch)
            .map(|one| (one.header.slot, one.signature));
        let place = Aid { inst: prefix, index: 0 };
        let Some(cert) = Cert::collect(roster, place, said.clone(), signatures) else { return };
        let (value, view) = (Box::new(value.clone()), Box::new(view.clone()));
        let cert = Box::new(cert);
        let broken = view.vows.iter().any(|vow| cert.payload.tau > vow.vow.due);
        let quota =
            Evidence::OverQuota { value: value.clone(), view: view.clone(), cert: cert.clone() };
        // Which of the two it is follows from the verdict.
        let vow = Evidence::VowBreach { value, view, cert };
        let shown = self.convict(quota) || (broken && self.convict(vow));
        if let Some(case) = self.cases.get_mut(&prefix) {
            case.shown = shown;
        }
    }

    /// Judges a proof as a stranger would, and gives it out if it convicts. Whoever keeps proofs filters by
    /// digest.
    pub(crate) fn convict(&mut self, evidence: Evidence) -> bool {
        let pom = Pom::new(self.group, evidence);
        let Some(roster) =
            self.rosters.at(pom.roster_epoch().unwrap_or(self.rosters.current().epoch()))
        else {
            return false;
        };
        if crate::pom::verify(&pom, roster, &self.params).is_err() {
            return false;
        }
        self.out.push(Effect::Evidence(Box::new(pom)));
        true
    }
}
