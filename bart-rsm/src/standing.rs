//! Who takes part, as the log decides it: expulsion by proof, eviction and reinstatement by the authority
//! (specification 5.6, 8.1, 8.3; row RS-9, RS-10).
//!
//! A decided order changes the roster `W` instances later, by which time every member that enters the new
//! epoch has applied its cause. An expelled slot does not count any more: `n' = n - 1` and
//! `f' = min(f, floor((n' - 2) / 3))`, because what convicted it was Byzantine by proof.
//!
//! Assumes: the authority is not Byzantine (it admitted everybody); at most `f` members are.
//! Guarantees: 1. the same log gives the same rosters at the same places; 2. no member that follows the
//! protocol is expelled without the authority; 3. who proposed a proof that proves nothing is not listened to about
//! proofs for [`BARRED_ROTATIONS`] rotations, and loses nothing else: bugs and versions must not convict;
//! 4. an order that would leave no group is not executed.
//! Bounds: one stamp a slot and one for the authority; [`PENDING_MAX`] orders wait for our proposals.
//! Evidence: the proofs themselves. Deviations: a proof longer than a proposal stays a file; suspension by
//! listings is not here.

use crate::Rules;
use crate::core::Core;
use crate::effect::{Effect, Refusal};
use crate::order::{Change, Order, Reform};
use crate::pom::{Judge, Pom, PomKind};
use crate::proposal::Proposal;
use std::collections::VecDeque;
use std::sync::Arc;
use types::limits::MEMBERS_MAX;
use types::{
    Decode, DecodeError, Encode, Epoch, Hash, Instance, Member, Quorum, Reader, Roster, Signed,
    Slot, Stamp, Standing, Writer,
};

/// Rotations for which proofs of a slot are not looked at after one that proved nothing. Checking one may
/// cost every member as much as a whole instance.
pub const BARRED_ROTATIONS: u64 = 64;
/// Orders that wait for our next proposals.
pub(crate) const PENDING_MAX: usize = 64;

/// Why somebody's standing changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// A proof in the log: its kind, and the digest of its file.
    Proof(PomKind, Hash),
    /// The authority, by its reform of this stamp.
    Authority(Stamp),
}

/// One member's standing changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StandingChange {
    /// Whose.
    pub slot: Slot,
    /// To what.
    pub standing: Standing,
    /// Why.
    pub cause: Cause,
}

/// What the log says about orders, folded over it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StandingTable {
    /// Of the last reform that was executed.
    reformed: Stamp,
    /// Proofs that a slot proposes are not looked at before this instance.
    barred_until: Vec<Instance>,
}

impl StandingTable {
    pub(crate) fn new(slots: usize) -> Self {
        Self { reformed: Stamp(0), barred_until: vec![Instance(0); slots] }
    }

    fn is_barred(&self, slot: Slot, no: Instance) -> bool {
        self.barred_until.get(usize::from(slot.0)).is_some_and(|until| no < *until)
    }

    fn bar(&mut self, slot: Slot, until: Instance) {
        if let Some(entry) = self.barred_until.get_mut(usize::from(slot.0)) {
            *entry = until;
        }
    }
}

/// Orders of ours, or that we know of, which are not executed yet.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pending {
    orders: VecDeque<Order>,
    /// Who waits for a reform.
    tickets: Vec<(u64, Stamp)>,
}

impl Core {
    /// Executes the orders of a decided proposal. The roster that they make holds `W` instances later.
    pub(crate) fn execute_orders(&mut self, no: Instance, sender: Slot, proposal: &Proposal) {
        if proposal.orders.is_empty() {
            return;
        }
        let newest = Arc::clone(&self.schedule.newest().roster);
        let mut members: Vec<Member> =
            newest.all().filter_map(|slot| newest.member(slot).cloned()).collect();
        let mut f = newest.quorum().f();
        let mut changes = Vec::new();
        for bytes in &proposal.orders {
            let change = match Order::from_bytes(bytes) {
                Ok(Order::Proof(pom)) => self.judged(no, sender, &pom),
                Ok(Order::Reform(reform)) => self.reformed(&reform),
                Err(_) => {
                    self.bar(no, sender);
                    None
                }
            };
            if let Some(change) = change
                && let Some(next) = changed(&newest, &members, f, change, self.founding_f())
            {
                (members, f) = next;
                changes.push(change);
            }
        }
        if changes.is_empty() {
            return;
        }
        let epoch = Epoch(newest.epoch().0.saturating_add(1));
        let Ok(roster) = Roster::new(newest.group(), epoch, f, newest.quorum().mode(), members)
        else {
            return;
        };
        self.begin_epoch(no, Arc::new(roster), changes);
    }

    /// What a proof in the log does.
    fn judged(&mut self, no: Instance, sender: Slot, pom: &Pom) -> Option<StandingChange> {
        let known = &self.schedule.newest().roster;
        let there = known.member(pom.accused).is_some_and(|m| m.standing != Standing::Expelled);
        if !self.config.params.expel || !there || self.log.standing.is_barred(sender, no) {
            return None;
        }
        // The epoch of what is not decided may still change, and with it the verdict.
        let decided = pom.evidence.header().inst <= no;
        if !decided || self.judge().verify(pom).is_err() {
            self.bar(no, sender);
            return None;
        }
        let cause = Cause::Proof(pom.kind(), pom.digest());
        Some(StandingChange { slot: pom.accused, standing: Standing::Expelled, cause })
    }

    fn judge(&self) -> Judge {
        Judge::knowing(self.schedule.clone(), Rules::default())
    }

    /// What a reform in the log does.
    fn reformed(&mut self, signed: &Signed<Reform>) -> Option<StandingChange> {
        if self.check_reform(signed).is_err() {
            return None;
        }
        let Reform { stamp, change } = signed.payload;
        self.log.standing.reformed = stamp;
        let standing = match change {
            Change::Evict(_) => Standing::Expelled,
            Change::Reinstate(_) => Standing::Live,
        };
        Some(StandingChange { slot: change.slot(), standing, cause: Cause::Authority(stamp) })
    }

    /// Whether a reform would be executed now.
    fn check_reform(&self, signed: &Signed<Reform>) -> Result<(), Refusal> {
        let Some(authority) = &self.config.params.authority else {
            return Err(Refusal::NoAuthority);
        };
        if !Reform::is_genuine(signed, &self.config.roster.group(), authority) {
            return Err(Refusal::NotTheAuthority);
        }
        if signed.payload.stamp <= self.log.standing.reformed {
            return Err(Refusal::Overtaken);
        }
        match self.schedule.newest().roster.member(signed.payload.change.slot()) {
            None => Err(Refusal::NoSuchMember),
            Some(_) => Ok(()),
        }
    }

    fn bar(&mut self, no: Instance, sender: Slot) {
        let rotation = self.schedule.rotation(no);
        let until = no.0.saturating_add(rotation.saturating_mul(BARRED_ROTATIONS));
        self.log.standing.bar(sender, Instance(until));
    }

    /// The largest `f` that the group was founded with; reinstated members bring it back.
    fn founding_f(&self) -> usize {
        self.config.roster.quorum().f()
    }

    fn begin_epoch(&mut self, no: Instance, roster: Arc<Roster>, changes: Vec<StandingChange>) {
        let first = Instance(no.0.saturating_add(self.config.params.pipeline));
        let epoch = self.schedule.push(no, first, Arc::clone(&roster)).clone();
        self.new_epochs.push(crate::record::epoch_record(&epoch));
        self.verifier.follow(&self.schedule);
        self.out.push(Effect::Roster { first, roster, changes });
    }

    /// The first instance of an epoch is reached: who left is not addressed any more, who came is.
    pub(crate) fn meet_epoch(&mut self) {
        let epoch = self.schedule.at(self.current);
        if epoch.first != self.current || epoch.cause.is_none() {
            return;
        }
        let roster = Arc::clone(&epoch.roster);
        let me = self.me;
        for slot in roster.all().filter(|slot| *slot != me) {
            let (up, linked) = self.peer_ref(slot).map_or((false, false), |p| (p.up, p.linked));
            match roster.is_live(slot) {
                true if linked && !up => self.on_link_up(slot),
                true => {}
                false => self.silence(slot),
            }
        }
    }

    /// After a restart: who takes part, if that is not as it was founded.
    pub(crate) fn tell_roster(&mut self) {
        let newest = self.schedule.newest();
        if newest.cause.is_some() {
            let (first, roster) = (newest.first, Arc::clone(&newest.roster));
            self.out.push(Effect::Roster { first, roster, changes: Vec::new() });
        }
    }

    // --- orders that wait for our proposals ---------------------------------------------------

    /// A proof that we hold: it goes into our next proposal, unless it is settled by then.
    pub(crate) fn propose_proof(&mut self, pom: &Pom) {
        if self.config.params.expel {
            self.wait_for_proposal(Order::Proof(Box::new(pom.clone())));
        }
    }

    /// A proof that somebody else found, or that we kept before a restart.
    pub(crate) fn on_proof(&mut self, pom: &Pom) {
        if pom.accused != self.me && self.judge().verify(pom).is_ok() {
            self.propose_proof(pom);
        }
    }

    /// The authority's word, handed to this member.
    pub(crate) fn on_reform(&mut self, ticket: u64, reform: Signed<Reform>) {
        if let Err(reason) = self.check_reform(&reform) {
            return self.out.push(Effect::Refused { ticket, reason });
        }
        if self.pending.tickets.len() >= PENDING_MAX {
            return self.out.push(Effect::Refused { ticket, reason: Refusal::QueueFull });
        }
        self.pending.tickets.push((ticket, reform.payload.stamp));
        self.wait_for_proposal(Order::Reform(reform));
    }

    fn wait_for_proposal(&mut self, order: Order) {
        let digest = order.digest();
        let known = self.pending.orders.iter().any(|other| other.digest() == digest);
        let fits = order.to_bytes().len() + 4 <= self.command_room();
        if !known && fits && self.pending.orders.len() < PENDING_MAX && self.may_matter(&order) {
            self.pending.orders.push_back(order);
            self.wake_others();
        }
    }

    /// For tests of hostile members: an order that is proposed whatever we think of it.
    #[cfg(test)]
    pub(crate) fn force_order(&mut self, order: Order) {
        self.pending.orders.push_back(order);
    }

    /// Whether an order may still have an effect.
    fn may_matter(&self, order: &Order) -> bool {
        match order {
            Order::Reform(reform) => self.check_reform(reform).is_ok(),
            Order::Proof(pom) => {
                let member = self.schedule.newest().roster.member(pom.accused);
                member.is_some_and(|member| member.standing != Standing::Expelled)
            }
        }
    }

    /// Whether an order waits that can be proposed.
    pub(crate) fn has_orders(&self) -> bool {
        self.pending.orders.iter().any(|order| self.is_ripe(order))
    }

    /// Of a proof only what was signed in decided instances is judged alike by everybody.
    fn is_ripe(&self, order: &Order) -> bool {
        match order {
            Order::Reform(_) => true,
            Order::Proof(pom) => pom.evidence.header().inst < self.current,
        }
    }

    /// Orders for our proposal, which stay until they are executed; the bytes that they take.
    pub(crate) fn take_orders(&mut self, room: usize) -> (Vec<Vec<u8>>, usize) {
        let (mut orders, mut used) = (Vec::new(), 0);
        for order in &self.pending.orders {
            let bytes = order.to_bytes();
            if self.is_ripe(order)
                && orders.len() < crate::order::ORDERS_MAX
                && used + 4 + bytes.len() <= room
            {
                used += 4 + bytes.len();
                orders.push(bytes);
            }
        }
        (orders, used)
    }

    /// After an instance was applied: what is settled is forgotten, and who waited is told.
    pub(crate) fn settle_orders(&mut self, no: Instance) {
        if self.pending.orders.is_empty() && self.pending.tickets.is_empty() {
            return;
        }
        let orders = std::mem::take(&mut self.pending.orders);
        self.pending.orders = orders.into_iter().filter(|order| self.may_matter(order)).collect();
        let reformed = self.log.standing.reformed;
        for (ticket, stamp) in std::mem::take(&mut self.pending.tickets) {
            match stamp.cmp(&reformed) {
                std::cmp::Ordering::Greater => self.pending.tickets.push((ticket, stamp)),
                std::cmp::Ordering::Equal => self.out.push(Effect::Reformed { ticket, inst: no }),
                std::cmp::Ordering::Less => {
                    let reason = Refusal::Overtaken;
                    self.out.push(Effect::Refused { ticket, reason });
                }
            }
        }
    }

    // --- what others may know -----------------------------------------------------------------

    /// The roster of the newest epoch, which may begin a few instances later.
    pub fn roster(&self) -> &Arc<Roster> {
        &self.schedule.newest().roster
    }

    /// Whether we take part in an instance.
    pub(crate) fn takes_part(&self, inst: Instance) -> bool {
        self.epoch(inst).roster.is_live(self.me)
    }
}

/// The members and `f` after a change; none if nothing changes or no group would be left.
fn changed(
    roster: &Roster,
    members: &[Member],
    f: usize,
    change: StandingChange,
    founding_f: usize,
) -> Option<(Vec<Member>, usize)> {
    let mut members = members.to_vec();
    let member = members.get_mut(usize::from(change.slot.0))?;
    if member.standing == change.standing {
        return None;
    }
    member.standing = change.standing;
    let n = members.iter().filter(|member| member.standing != Standing::Expelled).count();
    let ceiling = if change.standing == Standing::Live { founding_f } else { f };
    let f = ceiling.min(Quorum::largest_f(n));
    // Three members are the fewest of which two can acknowledge what one proposes.
    let live = members.iter().filter(|member| member.standing == Standing::Live).count();
    let quorum = Quorum::new(n, f, roster.quorum().mode()).ok()?;
    (live > quorum.size() && live >= 3).then_some((members, f))
}

impl Encode for StandingTable {
    fn encode(&self, out: &mut Writer) {
        out.put(&self.reformed);
        out.list(&self.barred_until);
    }
}

impl Decode for StandingTable {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { reformed: input.get()?, barred_until: input.list("barred", MEMBERS_MAX)? })
    }
}
