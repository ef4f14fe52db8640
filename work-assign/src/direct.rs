//! The direct path under a vow (specification 6.3, C.9; paper 6.3, figure 14, lemma 34).
//!
//! Guarantees: (1) a requester in the fast set asks directly, and goes the slow way at `timer1` if no answer came;
//! (2) a target performs before it replies (the printed figure echoes the request), and only what a vow of the
//! author covers (VW-6); replying creates no duty for the requester; (3) what settles our vow or pays for it is offered
//! to each of our proposals by [`Core::carry`] and nowhere else, so it is proposed once, and an honest member never
//! breaks a vow; (4) a standing vow covers requests that are sent one by one, later. Bounds: `VOWS_MAX`.

use crate::command::{Command, Settlement, Vow};
use crate::core::Core;
use crate::effect::{Effect, Fault, Refusal};
use crate::judge;
use crate::layout::{Blob, Body, BySlot, Count, Flag};
use crate::message::Message;
use crate::record::Key;
use crate::request::{Aid, KIND_BATCH, Request, To, Work};
use crate::role::{Answered, OwnVow, SettledBy};
use crate::statement::ResponseCore;
use crate::vow::Pending;
use types::{Encode, Hash, Signed, Slot, Stamp};

impl Core {
    /// Makes a vow over some work.
    pub(crate) fn threaten(&mut self, work: Work, due: Stamp, at_once: bool) {
        let name = work.root(self.group);
        let To::Member(target) = work.to() else {
            return self.refuse(name, Refusal::Illegal("a vow is towards a member"));
        };
        let vow = Vow::over(&work, self.group, target, due);
        if let Some(flaw) = vow.flaw(&self.params, self.state.tau()) {
            return self.refuse(name, Refusal::Illegal(flaw));
        }
        if work.requester() != self.slot || work.expires() < due {
            let why = "the requests are another's, or end before the vow is due";
            return self.refuse(name, Refusal::Illegal(why));
        }
        if self.vows.contains_key(&name) || self.vows.len() >= types::limits::VOWS_MAX {
            return self.refuse(name, Refusal::TooMany);
        }
        if !self.submit(name, &Command::Vow(vow)) {
            return;
        }
        let all = (1u128 << work.requests().len()) - 1;
        let own = OwnVow {
            id: None,
            due,
            work,
            released: Count(if at_once { all as u64 } else { 0 }),
            answers: BySlot::default(),
            settlement: None,
            direct: Flag(false),
            closing: Flag(at_once),
        };
        self.vows.insert(name, own);
        self.touch(Key::Vow(name));
    }

    /// A vow is decided.
    pub(crate) fn on_vowed(&mut self, pending: &Pending) {
        let root = pending.vow.root;
        if pending.requester != self.slot {
            return;
        }
        if let Some(own) = self.vows.get_mut(&root)
            && own.id.is_none()
            && own.due == pending.vow.due
        {
            own.id = Some(pending.id);
            self.touch(Key::Vow(root));
        }
    }

    /// A vow is settled: nothing more is asked for under it.
    pub(crate) fn on_settled(&mut self, vow: Aid) {
        let own = self.vows.iter().find(|(_, own)| own.id == Some(vow));
        let Some(root) = own.map(|(root, _)| *root) else { return };
        // A vow that was submitted again after a crash may stand twice; the same answer settles both.
        let again = self
            .state
            .pending()
            .find(|one| one.requester == self.slot && one.vow.root == root && one.id != vow);
        match again.map(|one| one.id) {
            Some(id) => {
                if let Some(own) = self.vows.get_mut(&root) {
                    own.id = Some(id);
                }
            }
            None => drop(self.vows.remove(&root)),
        }
        self.touch(Key::Vow(root));
    }

    /// A vow of ours that is neither decided nor under way: it was lost in a crash, or refused by the log.
    fn vow_again(&mut self, root: Hash) {
        let Some(own) = self.vows.get(&root) else { return };
        let To::Member(target) = own.work.to() else { return };
        let vow = Vow::over(&own.work, self.group, target, own.due);
        let command = Command::Vow(vow.clone());
        if self.under_way.contains_key(&Hash::of(&command.to_bytes())) {
            return;
        }
        let flaw = vow.flaw(&self.params, self.state.tau());
        if flaw.is_some() || !self.submit(root, &command) {
            self.vows.remove(&root);
            self.touch(Key::Vow(root));
            let why = flaw.unwrap_or("the quota does not bear the vow");
            self.refuse(root, Refusal::Illegal(why));
        }
    }

    /// One request of a standing vow is due.
    pub(crate) fn release(&mut self, root: Hash, place: usize) {
        let Some(own) = self.vows.get_mut(&root) else {
            return self.refuse(root, Refusal::Illegal("no such vow"));
        };
        if place >= own.work.requests().len() {
            return self.out.push(Effect::Misuse("a vow has no such request"));
        }
        own.released.0 |= 1 << place;
        self.touch(Key::Vow(root));
        self.send_direct(root);
    }

    /// The batch is complete, or is to be.
    pub(crate) fn close(&mut self, root: Hash) {
        let Some(own) = self.vows.get_mut(&root) else {
            return self.refuse(root, Refusal::Illegal("no such vow"));
        };
        own.closing = Flag(true);
        self.touch(Key::Vow(root));
        self.send_direct(root);
    }

    /// What goes directly to the target now.
    fn direct_messages(&self, root: Hash) -> Vec<Message> {
        let Some(own) = self.vows.get(&root) else { return Vec::new() };
        let (Some(vow), None, true) = (own.id, &own.settlement, own.direct.0) else {
            return Vec::new();
        };
        let leaves = own.work.leaves(self.group);
        let mut messages = Vec::new();
        for (place, request) in own.work.requests().iter().enumerate() {
            let answered = own.answers.0.contains_key(&Slot(place as u16));
            if own.released.0 & (1 << place) != 0 && !answered {
                let (leaves, request) = (leaves.clone(), Box::new(request.clone()));
                messages.push(Message::Direct { vow, leaves, request });
            }
        }
        let all = own.answers.0.len() == leaves.len();
        if own.work.is_batch() && own.closing.0 && all {
            messages.push(Message::Close { vow, leaves });
        }
        messages
    }

    fn send_direct(&mut self, root: Hash) {
        let Some(To::Member(target)) = self.vows.get(&root).map(|own| own.work.to()) else {
            return;
        };
        for message in self.direct_messages(root) {
            self.say(target, message);
        }
    }

    pub(crate) fn outstanding_direct(&self, peer: Slot, out: &mut Vec<Message>) {
        for (root, own) in &self.vows {
            if own.work.to() == To::Member(peer) {
                out.extend(self.direct_messages(*root));
            }
        }
    }

    /// Whether the direct path between two members is credible now.
    fn is_fast(&self, one: Slot, other: Slot) -> bool {
        let fast = self.state.fast_set(self.context());
        fast.contains(one) && fast.contains(other)
    }

    /// Opens the direct path where it has become credible, and the slow one where time is up.
    pub(crate) fn drive_vows(&mut self) {
        let roots: Vec<Hash> = self.vows.keys().copied().collect();
        for root in roots {
            let Some(own) = self.vows.get(&root) else { continue };
            if own.id.is_none() {
                self.vow_again(root);
                continue;
            }
            let (Some(id), None) = (own.id, &own.settlement) else { continue };
            let Some(pending) = self.state.vow(id) else { continue };
            let timer1 = pending.timer1(&self.params);
            let open = pending.is_open(&self.params, self.state.tau());
            let target = pending.vow.target;
            let late = self.now.wall >= timer1 || self.state.tau() >= timer1;
            if !own.direct.0
                && open
                && (self.params.direct_always || self.is_fast(self.slot, target))
            {
                if let Some(own) = self.vows.get_mut(&root) {
                    own.direct = Flag(true);
                }
                self.touch(Key::Vow(root));
                self.send_direct(root);
            }
            if late {
                self.go_slow(root);
            }
        }
    }

    /// `timer1`: the work is assigned, once.
    fn go_slow(&mut self, root: Hash) {
        let Some(own) = self.vows.get(&root) else { return };
        let asked = self.asked.values().any(|entry| entry.work == own.work);
        // Too late for the slow path: what is left is the default message.
        let in_time = self.state.tau().0.saturating_add(self.params.rotation_ms) < own.due.0;
        let command = Command::Assign(own.work.clone());
        let under_way = self.under_way.contains_key(&Hash::of(&command.to_bytes()));
        if !asked && !under_way && in_time {
            self.submit(root, &command);
        }
    }

    /// A requester asks us directly.
    pub(crate) fn on_direct(&mut self, peer: Slot, vow: Aid, leaves: &[Hash], request: Request) {
        let name = request.hash(self.group);
        let covered = self.state.vow(vow).is_some_and(|pending| {
            pending.requester == peer
                && pending.vow.target == self.slot
                && crate::request::root(leaves) == pending.vow.root
                && leaves.contains(&name)
                && request.expires >= pending.vow.due
                && u64::from(request.fields_cap.0) + u64::from(request.body_cap.0)
                    <= u64::from(pending.vow.fields_cap.0) + u64::from(pending.vow.body_cap.0)
        });
        let latest = self.state.tau().0.saturating_add(self.params.request_life_ms);
        let legal = covered
            && request.requester == peer
            && request.to == To::Member(self.slot)
            && (self.state.tau()..=Stamp(latest)).contains(&request.expires)
            && Work::new(vec![request.clone()]).is_ok();
        if !legal {
            return self.fault(peer, Fault::NoVow);
        }
        if self.answers.contains_key(&name) {
            return self.answer_directly(peer, name);
        }
        self.direct_waiting.insert(name, peer);
        self.perform(&request);
    }

    /// The answer that we have given, or are giving now, byte by byte the same.
    pub(crate) fn answer_directly(&mut self, peer: Slot, name: Hash) {
        if let Some(answered) = self.answers.get(&name) {
            let (core, body) = (Box::new(answered.core.clone()), answered.body.clone());
            self.tell(peer, Message::Response { aid: None, core, body });
        }
    }

    /// A requester wants the answer that stands for its whole batch.
    pub(crate) fn on_close(&mut self, peer: Slot, vow: Aid, leaves: Vec<Hash>) {
        let root = crate::request::root(&leaves);
        let legal = self.state.vow(vow).is_some_and(|pending| {
            (pending.requester, pending.vow.target, pending.vow.root) == (peer, self.slot, root)
        });
        if !legal {
            return self.fault(peer, Fault::NoVow);
        }
        self.closing.insert(root, (peer, vow, leaves));
        self.close_ready();
    }

    /// Closes batches all of whose requests are answered.
    pub(crate) fn close_ready(&mut self) {
        let waiting: Vec<_> = self.closing.iter().map(|(root, one)| (*root, one.clone())).collect();
        for (root, (peer, _, leaves)) in waiting {
            let expires =
                leaves.iter().filter_map(|leaf| self.answers.get(leaf)).map(|one| one.expires);
            let expires = expires.min().unwrap_or_default();
            if self.bundle(&leaves, expires).is_some() {
                self.closing.remove(&root);
                self.answer_directly(peer, root);
            }
        }
    }

    /// The target answers directly.
    pub(crate) fn on_direct_answer(&mut self, peer: Slot, core: Signed<ResponseCore>, body: Body) {
        let name = core.payload.request;
        let found = self.vows.iter().find_map(|(root, own)| {
            let leaves = own.work.leaves(self.group);
            let place = leaves.iter().position(|leaf| *leaf == name);
            let whole = *root == name && own.work.is_batch();
            (own.work.to() == To::Member(peer) && (place.is_some() || whole))
                .then_some((*root, place))
        });
        match found {
            Some((root, Some(place))) => self.take_direct(peer, root, place, core, body),
            Some((root, None)) => self.take_batch(peer, root, core),
            None => self.fault(peer, Fault::Unknown),
        }
    }

    fn take_direct(
        &mut self,
        peer: Slot,
        root: Hash,
        place: usize,
        core: Signed<ResponseCore>,
        body: Body,
    ) {
        let Some(own) = self.vows.get(&root) else { return };
        if let Some(known) = own.answers.0.get(&Slot(place as u16)) {
            let known = known.core.clone();
            return self.compare(&known, &core);
        }
        let request = &own.work.requests()[place];
        let judged = judge::item(&self.rosters, self.group, request, peer, &core, &body);
        if let Err(flaw) = judged {
            return self.fault(peer, Fault::IllFormed(flaw));
        }
        let answered = Answered { core, body, expires: request.expires };
        let whole = own.work.requests().len() == 1;
        if let Some(own) = self.vows.get_mut(&root) {
            own.answers.0.insert(Slot(place as u16), answered.clone());
        }
        self.touch(Key::Vow(root));
        self.out.push(Effect::Direct(root, place, Box::new(answered.clone())));
        if whole {
            self.vow_answered(root, answered);
        } else {
            self.send_direct(root);
        }
    }

    /// The answer that stands for a batch, whose parts we hold already: its body is what we would have bundled.
    fn take_batch(&mut self, peer: Slot, root: Hash, core: Signed<ResponseCore>) {
        let Some(own) = self.vows.get(&root) else { return };
        let items = own.answers.0.values();
        let body = judge::bundle(items.map(|item| (&item.core, &item.body)));
        let (work, expires) = (own.work.clone(), own.work.expires());
        let judged = judge::core(&self.rosters, self.group, &work, peer, &core)
            .and_then(|()| judge::body(&self.rosters, self.group, &work, peer, &core, &body));
        match judged {
            Ok(()) => self.vow_answered(root, Answered { core, body, expires }),
            Err(flaw) => self.fault(peer, Fault::IllFormed(flaw)),
        }
    }

    /// The work of a vow is answered, on whichever path.
    pub(crate) fn vow_answered(&mut self, root: Hash, answered: Answered) {
        debug_assert!(answered.core.payload.kind.0 != KIND_BATCH || answered.body.0.len() > 4);
        self.settle_with(root, Settlement::Answer(Box::new(answered.core)));
    }

    /// The work of a vow was assigned and denied.
    pub(crate) fn vow_denied(&mut self, root: Hash, cert: crate::cert::DenialCert) {
        self.settle_with(root, Settlement::Denied(Box::new(cert)));
    }

    fn settle_with(&mut self, root: Hash, with: Settlement) {
        if let Some(own) = self.vows.get_mut(&root)
            && own.settlement.is_none()
        {
            own.settlement = Some(SettledBy { with: Blob(with.to_bytes()) });
            self.touch(Key::Vow(root));
        }
    }
}
