//! The replicated state of level 1: accounts, pending vows, foreign work that was executed.
//!
//! Source: specification 5.1 (format predicate), 6.2 (once per assignment of another machine), 6.3, 6.4.
//! Assumes: decided instances come in order; rosters of their epochs are known.
//! Guarantees: (1) a pure function of the log; (2) [`State::check`] and [`State::apply`] go through one code path
//! (`Ledger`), so what passes the check is executed without a flaw of form; (3) assignments of another machine are
//! executed once each, for ever. Bounds: see `types::limits`.

use crate::account::{Ledger, Links, View};
use crate::cert::{Cert, DenialCert, Rosters};
use crate::command::{Command, Settlement, Vow};
use crate::fast::Graph;
use crate::params::Params;
use crate::quota::{Account, Charge};
use crate::request::{Aid, To, Work};
use crate::statement::{ResultShare, WorkOrder};
use crate::vow::Pending;
use bart_rsm::message::SlotSet;
use std::collections::{BTreeMap, BTreeSet};
use types::limits::{FOREIGN_EXECUTED_MAX, HOPS_MAX, VOWS_MAX};
use types::{Encode, Epoch, GroupId, Instance, Slot, Stamp};

/// One decided instance as the state machine delivers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// Its number.
    pub inst: Instance,
    /// The roster that holds in it.
    pub epoch: Epoch,
    /// Who proposed.
    pub sender: Slot,
    /// State machine time of the log prefix against which the proposal was checked.
    pub tau_prefix: Stamp,
    /// State machine time after it.
    pub tau: Stamp,
    /// All commands of the proposal, those of other layers too; none if NULL was decided.
    pub commands: Vec<Vec<u8>>,
}

/// Why a proposal must not be acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FormFlaw {
    /// A command of this layer does not decode.
    #[error("a command of work is malformed")]
    Malformed,
    /// More is asked for than the quota leaves (QT1).
    #[error("the proposal asks for more than its sender's quota leaves")]
    OverQuota,
    /// A vow is settled with something else (VW-7).
    #[error("a vow is settled by what does not settle it")]
    BadSettlement,
    /// A vow is overdue, and the proposal neither settles it nor pays for it (VW1).
    #[error("a vow is overdue, and the proposal neither keeps it nor pays for it")]
    VowBroken,
}

/// What a command did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A member is to do this.
    Assigned {
        /// The assignment.
        aid: Aid,
        /// Who is to do it.
        target: Slot,
        /// The work.
        work: Work,
    },
    /// Another machine is to do this.
    AssignedMachine {
        /// The assignment.
        aid: Aid,
        /// The next machine on the way.
        next: GroupId,
        /// What our members certify.
        order: WorkOrder,
        /// The work.
        work: Work,
    },
    /// A vow stands.
    Vowed(Pending),
    /// A vow is settled; perhaps by denials, which became public with it.
    Settled(Aid, Option<Box<DenialCert>>),
    /// Our machine is to do this for another.
    ForeignWork {
        /// The other machine.
        origin: GroupId,
        /// Its assignment.
        order: Box<Cert<WorkOrder>>,
        /// Where our log has it.
        place: Aid,
        /// The work.
        work: Work,
        /// The machine in which it was first asked for.
        home: GroupId,
        /// What to do with it.
        fate: Fate,
    },
    /// Another machine has done this.
    ForeignDone {
        /// The certificate.
        cert: Box<Cert<ResultShare>>,
        /// The result.
        result: Vec<u8>,
    },
    /// A command did nothing; its proposer was charged.
    NoOp(Aid, &'static str),
}

/// What happens to the work of another machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// The application executes it.
    Execute,
    /// It is passed on to another machine.
    PassOn,
    /// The requester's account is exhausted.
    OverQuota,
    /// There is no way to where it should go, or it has gone too far.
    NoRoute,
}

/// Assignments of one machine that were executed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Executed {
    /// Everything up to here counts as executed.
    pub(crate) floor: Option<Aid>,
    pub(crate) above: BTreeSet<Aid>,
}

impl Executed {
    fn contains(&self, aid: Aid) -> bool {
        self.floor.is_some_and(|floor| aid <= floor) || self.above.contains(&aid)
    }

    fn insert(&mut self, aid: Aid) {
        self.above.insert(aid);
        if self.above.len() > FOREIGN_EXECUTED_MAX {
            self.floor = self.above.pop_first();
        }
    }
}

/// The replicated state.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct State {
    pub(crate) next: Instance,
    pub(crate) tau: Stamp,
    pub(crate) accounts: BTreeMap<Slot, Account>,
    pub(crate) pending: BTreeMap<Aid, Pending>,
    pub(crate) foreign: BTreeMap<(GroupId, Slot), Account>,
    pub(crate) executed: BTreeMap<GroupId, Executed>,
}

/// What the state machine of level 1 reads besides its state.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The group's rosters.
    pub rosters: &'a Rosters,
    /// The group's parameters.
    pub params: &'a Params,
    /// The linked machines.
    pub links: &'a Links,
}

impl State {
    /// The next instance that it expects.
    pub fn next(&self) -> Instance {
        self.next
    }

    /// State machine time.
    pub fn tau(&self) -> Stamp {
        self.tau
    }

    /// A member's account.
    pub fn account(&self, slot: Slot) -> Account {
        self.accounts.get(&slot).copied().unwrap_or_default()
    }

    /// Vows that are not settled.
    pub fn pending(&self) -> impl Iterator<Item = &Pending> {
        self.pending.values()
    }

    /// One of them.
    pub fn vow(&self, id: Aid) -> Option<&Pending> {
        self.pending.get(&id)
    }

    /// Whether another machine's assignment was executed.
    pub fn is_executed(&self, origin: GroupId, aid: Aid) -> bool {
        self.executed.get(&origin).is_some_and(|executed| executed.contains(aid))
    }

    /// Everything about one member that decides whether its next proposal is legal.
    pub fn view(&self, member: Slot) -> View {
        let own = |vow: &&Pending| vow.requester == member;
        let vows = self.pending.values().filter(own).cloned().collect();
        View { member, account: self.account(member), vows }
    }

    /// The graph of open vows between live members.
    pub fn graph(&self, context: Context<'_>) -> Graph {
        let mut graph = Graph::default();
        let live = |slot| context.rosters.current().is_live(slot);
        for vow in self.pending.values() {
            let (one, other) = (vow.requester, vow.vow.target);
            if vow.is_open(context.params, self.tau) && live(one) && live(other) {
                graph.join(one, other);
            }
        }
        graph
    }

    /// Between whom the direct path is credible now.
    pub fn fast_set(&self, context: Context<'_>) -> SlotSet {
        self.graph(context).fast_set(context.rosters.current().quorum().f())
    }

    /// The format predicate: whether a proposal may be acknowledged, under this prefix.
    pub fn check(
        &self,
        context: Context<'_>,
        sender: Slot,
        commands: &[Vec<u8>],
    ) -> Result<(), FormFlaw> {
        let mut ledger = Ledger::new(self.view(sender));
        ledger.check(context.rosters, context.params, self.tau, commands)
    }

    /// Applies one decided instance. What it did stands in the order of the commands.
    pub fn apply(&mut self, context: Context<'_>, decided: &Decided) -> Vec<Event> {
        let mut events = Vec::new();
        let tau = decided.tau_prefix;
        for (index, bytes) in decided.commands.iter().enumerate() {
            let Some(command) = Command::read(bytes) else { continue };
            let aid = Aid { inst: decided.inst, index: index as u32 };
            let Ok(command) = command else {
                // An honest quorum let it pass, so this cannot happen; charged like any no-op.
                events.push(Event::NoOp(aid, "a malformed command"));
                continue;
            };
            let n = context.rosters.current().quorum().n();
            let account = self.accounts.entry(decided.sender).or_default();
            account.charge(context.params, tau, Charge::of(&command, n));
            let event = self.execute(context, decided, aid, command);
            events.push(event.unwrap_or_else(|why| Event::NoOp(aid, why)));
        }
        self.next = Instance(decided.inst.0.saturating_add(1));
        self.tau = self.tau.max(decided.tau);
        events
    }

    fn execute(
        &mut self,
        context: Context<'_>,
        decided: &Decided,
        aid: Aid,
        command: Command,
    ) -> Result<Event, &'static str> {
        let sender = decided.sender;
        match command {
            Command::Assign(work) => self.assign(context, decided, aid, work),
            Command::AssignMachine { work, ttl } => {
                self.may_ask(context, decided, &work)?;
                let home = context.rosters.current().group();
                let next = route(context.links, &work, home)?;
                let order = WorkOrder {
                    machine: next,
                    request: work.root(home),
                    requester: sender,
                    ttl: crate::layout::Code(ttl.0.min(HOPS_MAX)),
                };
                Ok(Event::AssignedMachine { aid, next, order, work })
            }
            Command::Vow(vow) => self.make_vow(context, decided, aid, vow),
            Command::Fulfil { vow, with } => {
                let pending = self.pending.get(&vow).ok_or("no such vow")?;
                let settles = pending.requester == sender
                    && crate::account::settles(context.rosters, pending, &with) == Some(true);
                settles.then_some(()).ok_or("this settles nothing")?;
                self.pending.remove(&vow);
                let denied = match with {
                    Settlement::Denied(cert) => Some(cert),
                    Settlement::Answer(_) => None,
                };
                Ok(Event::Settled(vow, denied))
            }
            Command::VowDefault { vow, part, pad } => {
                let group = context.rosters.current().group();
                let pending = self.pending.get_mut(&vow).ok_or("no such vow")?;
                if pending.requester != sender
                    || pending.paid != part
                    || pending.pad(group, part) != pad.0
                {
                    return Err("not the next part of the default message");
                }
                pending.paid += 1;
                if pending.paid < pending.parts() {
                    return Err("one part of several is paid");
                }
                self.pending.remove(&vow);
                Ok(Event::Settled(vow, None))
            }
            Command::ForeignAssign { origin, order, work, home } => {
                self.foreign_assign(context, decided, aid, (origin, home), order, work)
            }
            Command::ForeignResult { machine, cert, result } => {
                let link = context.links.get(machine).ok_or("no link with this machine")?;
                let ours = context.rosters.current().group();
                let genuine = cert.payload.origin == ours
                    && cert.payload.result == types::Hash::of(&result.0)
                    && link.rosters.at(cert.epoch).is_some_and(|roster| cert.verify(roster));
                genuine.then_some(()).ok_or("not a result of this machine")?;
                Ok(Event::ForeignDone { cert, result: result.0 })
            }
        }
    }

    /// Work is asked for by its requester, in time.
    fn may_ask(
        &self,
        context: Context<'_>,
        decided: &Decided,
        work: &Work,
    ) -> Result<(), &'static str> {
        let tau = decided.tau_prefix;
        if work.requester() != decided.sender {
            return Err("work of another requester");
        }
        if work.expires() < tau {
            return Err("the request has expired");
        }
        let latest = tau.0.saturating_add(context.params.request_life_ms);
        match work.requests().iter().any(|one| one.expires.0 > latest) {
            true => Err("the request lives too long"),
            false => Ok(()),
        }
    }

    fn assign(
        &self,
        context: Context<'_>,
        decided: &Decided,
        aid: Aid,
        work: Work,
    ) -> Result<Event, &'static str> {
        self.may_ask(context, decided, &work)?;
        let To::Member(target) = work.to() else { return Err("work for another machine") };
        if target == decided.sender {
            return Err("work for oneself");
        }
        if !context.rosters.current().is_live(target) {
            return Err("the target is not a live member");
        }
        Ok(Event::Assigned { aid, target, work })
    }

    fn make_vow(
        &mut self,
        context: Context<'_>,
        decided: &Decided,
        aid: Aid,
        vow: Vow,
    ) -> Result<Event, &'static str> {
        let (sender, roster) = (decided.sender, context.rosters.current());
        if vow.target == sender || !roster.is_live(vow.target) {
            return Err("a vow towards nobody");
        }
        if let Some(flaw) = vow.flaw(context.params, decided.tau_prefix) {
            return Err(flaw);
        }
        if self.pending.values().filter(|vow| vow.requester == sender).count() >= VOWS_MAX {
            return Err("too many pending vows");
        }
        let sizes = (roster.quorum().n(), roster.quorum().f());
        let pending = Pending::new(aid, sender, vow, sizes, context.params);
        self.pending.insert(aid, pending.clone());
        Ok(Event::Vowed(pending))
    }

    /// 6.2 step 3: a certificate of the other machine, executed once, charged to the requester's account with us.
    fn foreign_assign(
        &mut self,
        context: Context<'_>,
        decided: &Decided,
        place: Aid,
        (origin, home): (GroupId, GroupId),
        order: Box<Cert<WorkOrder>>,
        work: Work,
    ) -> Result<Event, &'static str> {
        let link = context.links.get(origin).ok_or("no link with this machine")?;
        let ours = context.rosters.current().group();
        let genuine = order.payload.machine == ours
            && order.payload.requester == work.requester()
            && order.payload.request == work.root(home)
            && link.rosters.at(order.epoch).is_some_and(|roster| order.verify(roster));
        genuine.then_some(()).ok_or("not an order of this machine")?;
        if self.is_executed(origin, order.aid) {
            return Err("executed before");
        }
        self.executed.entry(origin).or_default().insert(order.aid);
        let len = work.to_bytes().len() + work.cap();
        let charge = Charge { asked: len as u64, mandatory: 0 };
        let account = self.foreign.entry((home, work.requester())).or_default();
        let fate = if !account.fits(context.params, decided.tau_prefix, charge) {
            Fate::OverQuota
        } else {
            account.charge(context.params, decided.tau_prefix, charge);
            match (work.to(), route(context.links, &work, ours)) {
                (To::Machine(machine), _) if machine == ours => Fate::Execute,
                (_, Ok(_)) if order.payload.ttl.0 > 1 => Fate::PassOn,
                _ => Fate::NoRoute,
            }
        };
        Ok(Event::ForeignWork { origin, order, place, work, home, fate })
    }
}

/// The next machine on the way of some work that is not for `ours`.
pub(crate) fn route(links: &Links, work: &Work, ours: GroupId) -> Result<GroupId, &'static str> {
    match work.to() {
        To::Machine(machine) if machine != ours => {
            links.next_hop(machine).ok_or("no way to this machine")
        }
        _ => Err("work for no other machine"),
    }
}
