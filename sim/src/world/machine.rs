//! Machines of a running world: inputs, effects, crashes, restarts.

use super::*;

/// How long an application takes to name its state.
const DIGEST_MS: u64 = 2;

impl World {
    /// Starts a machine and lets it see its links.
    pub(super) fn boot(&mut self, seat: usize) {
        let now_ms = self.now_ms;
        let slot = self.seats[seat].slot;
        let compose = self.strategies.get(&slot).and_then(|strategy| strategy.compose());
        match self.seats[seat].boot(now_ms, compose, &mut self.disk_rng) {
            Ok(step) => self.carry_out(seat, step),
            Err(error) if self.is_honest(slot) => {
                let what = format!("{slot} cannot start from its own disk: {error}");
                self.broken.push(Violation { check: "restart", at_ms: now_ms, what });
            }
            // A faulty member's disk may be in any state.
            Err(_) => return,
        }
        let life = self.seats[seat].life;
        for peer in self.board.roster.clone().all().filter(|peer| *peer != slot) {
            let delay = self.network.notice_ms();
            self.push(now_ms + delay, Event::Notice { seat, life, peer });
        }
    }

    /// Gives an input to an engine and carries its effects out.
    pub(super) fn handle(&mut self, seat: usize, input: Input) {
        let now = self.seats[seat].now(self.now_ms);
        let Some(core) = self.seats[seat].core.as_mut() else { return };
        let step = core.handle(now, input);
        self.carry_out(seat, step);
    }

    /// Carries effects out in order; an armed crash may stop the machine before any of them.
    pub(super) fn carry_out(&mut self, seat: usize, step: Step) {
        let slot = self.seats[seat].slot;
        for (peer, fault) in &step.faults {
            self.trace.tell(self.now_ms, || format!("{slot} notes about {peer}: {fault}"));
            if self.is_honest(slot) {
                let peer = *peer;
                self.checks.observe(self.now_ms, &Observation::Blamed { slot, peer, fault });
            }
        }
        for effect in step.effects {
            if self.seats[seat].burn() {
                self.crash(seat);
                return;
            }
            match effect {
                Effect::Persist(record) => self.seats[seat].disk.put(record),
                Effect::Erase { from, to } => self.seats[seat].disk.erase(from, to),
                other => {
                    if self.seats[seat].disk.is_dirty() {
                        if !self.seats[seat].disk.sync() {
                            self.seats[seat].down_ms = FULL_RETRY_MS;
                            self.crash(seat);
                            return;
                        }
                        // A crash between the sync and the effect that it allows.
                        if self.seats[seat].burn() {
                            self.crash(seat);
                            return;
                        }
                    }
                    self.release(seat, other);
                }
            }
        }
        self.reschedule(seat);
        self.measure(seat);
    }

    fn reschedule(&mut self, seat: usize) {
        let wake_ms = self.seats[seat].next_wake_ms(self.now_ms);
        if let Some(at_ms) = wake_ms
            && self.seats[seat].wake_ms != wake_ms
        {
            let life = self.seats[seat].life;
            self.push(at_ms, Event::Wake { seat, life });
        }
        self.seats[seat].wake_ms = wake_ms;
    }

    fn measure(&mut self, seat: usize) {
        let slot = self.seats[seat].slot;
        if self.is_honest(slot)
            && let Some(core) = &self.seats[seat].core
        {
            let stats = core.stats();
            self.checks.observe(self.now_ms, &Observation::Measured { slot, stats: &stats });
        }
    }

    /// An effect that is seen outside the engine.
    fn release(&mut self, seat: usize, effect: Effect) {
        let slot = self.seats[seat].slot;
        let honest = self.is_honest(slot);
        if let Effect::Apply { inst, sender, proposal, tau } = &effect {
            self.seats[seat].app.apply(*inst, *sender, proposal.as_ref(), *tau);
        }
        match effect {
            Effect::Send { to, message } if honest => self.send_honest(slot, to, &message),
            Effect::Send { to, message } => self.send_faulty(seat, to, message),
            Effect::Load(key) => {
                let life = self.seats[seat].life;
                let at_ms = self.now_ms + self.disk_rng.between(0, 3);
                self.push(at_ms, Event::Loaded { seat, life, key });
            }
            Effect::Persist(_) | Effect::Erase { .. } => {}
            Effect::Digest { inst } => {
                if let Some(state) = self.seats[seat].app.digest(inst) {
                    let life = self.seats[seat].life;
                    let at_ms = self.now_ms + DIGEST_MS;
                    self.push(at_ms, Event::Digested { seat, life, inst, state });
                }
            }
            told if honest => self.observe_effect(slot, &told),
            _ => {}
        }
    }

    fn send_honest(&mut self, slot: Slot, to: Slot, message: &Message) {
        self.trace.tell(self.now_ms, || format!("{slot} -> {to}: {}", view::describe(message)));
        self.later_turns |= message.turn().0 > 0;
        self.checks.observe(self.now_ms, &Observation::Sent { slot, to, message });
        self.transmit(slot, to, Arc::new(view::encode(message)));
        if let Message::ShowQuorum(_) = message
            && message.inst().0 == 0
            && self.plan.sender_cut_ms > 0
        {
            let until_ms = self.now_ms + std::mem::take(&mut self.plan.sender_cut_ms);
            for b in
                self.applied.keys().copied().filter(|b| *b != to && *b != slot).collect::<Vec<_>>()
            {
                self.push(until_ms, Event::CutEnds(self.plan.cuts.len()));
                self.plan.cuts.push(Cut { a: slot, b, from_ms: self.now_ms, until_ms });
                self.block(slot, b);
            }
        }
    }

    fn send_faulty(&mut self, seat: usize, to: Slot, message: Message) {
        let slot = self.seats[seat].slot;
        if !self.serves(seat, to) {
            return;
        }
        let out = vec![Outgoing::now(to, message)];
        let out = self.with_strategy(slot, |strategy, board| strategy.outgoing(board, slot, out));
        for outgoing in out.into_iter().flatten() {
            self.transmit_faulty(slot, outgoing);
        }
    }

    fn observe_effect(&mut self, slot: Slot, effect: &Effect) {
        let now_ms = self.now_ms;
        match effect {
            Effect::Apply { inst, sender, proposal, tau } => {
                let digest = proposal.as_ref().map(|p| Hash::of(&view::proposal_bytes(p)));
                self.trace.mix(now_ms, 2, slot.0, sender.0, &digest.unwrap_or_default());
                self.trace.tell(now_ms, || {
                    let value = digest.map_or("NULL".into(), |digest| format!("{digest}"));
                    format!("{slot} decides {inst} of sender {sender}: {value}")
                });
                let applied = self.applied.entry(slot).or_insert(0);
                *applied = (*applied).max(inst.0 + 1);
                self.nulls += u64::from(proposal.is_none());
                let (inst, sender, tau) = (*inst, *sender, *tau);
                let proposal = proposal.as_ref();
                let seen = Observation::Applied { slot, inst, sender, proposal, tau };
                self.checks.observe(now_ms, &seen);
            }
            Effect::Committed { ticket, inst, .. } => {
                if let Some(index) = self.unfinished.remove(&(slot, *ticket)) {
                    let command = &self.plan.submissions[index].command;
                    let seen = Observation::Committed { slot, command, inst: *inst };
                    self.checks.observe(now_ms, &seen);
                }
            }
            Effect::Refused { ticket, .. } => {
                if let Some(index) = self.unfinished.remove(&(slot, *ticket)) {
                    let command = &self.plan.submissions[index].command;
                    self.checks.observe(now_ms, &Observation::Refused { slot, command });
                }
            }
            Effect::Evidence(pom) => {
                self.trace.tell(now_ms, || {
                    format!("{slot} has a proof against {}: {}", pom.accused, pom.kind())
                });
                self.checks.observe(now_ms, &Observation::Convicted { slot, pom });
            }
            Effect::Roster { first, roster, changes } => {
                for change in changes {
                    self.trace.tell(now_ms, || {
                        format!(
                            "{slot} counts {} as {:?} from {first} on",
                            change.slot, change.standing
                        )
                    });
                }
                let (first, roster) = (*first, roster);
                self.checks.observe(now_ms, &Observation::Roster { slot, first, roster });
            }
            Effect::Alarm(alarm) => {
                self.trace.tell(now_ms, || format!("{slot} raises the alarm: {alarm:?}"));
                self.checks.observe(now_ms, &Observation::Alarmed { slot, alarm });
            }
            _ => {}
        }
    }

    /// Hands a member's command over; a machine that is down gets it when it is up again.
    pub(super) fn submit(&mut self, index: usize) {
        let Submission { slot, ticket, command, .. } = self.plan.submissions[index].clone();
        let Some(seat) = self.seats_of(slot).first().copied() else { return };
        if self.seats[seat].core.is_none() {
            self.push(self.now_ms + 1_000, Event::Submit(index));
            return;
        }
        self.trace.tell(self.now_ms, || format!("{slot} submits command {ticket}"));
        if self.is_honest(slot) {
            self.unfinished.insert((slot, ticket), index);
            self.checks.observe(self.now_ms, &Observation::Submitted { slot, command: &command });
        }
        self.handle(seat, Input::Submit { ticket, command });
    }

    /// From now on the machine stops before its n-th effect, or after a while without one.
    pub(super) fn arm_crash(&mut self, seat: usize, after_effects: u64, down_ms: u64) {
        if self.seats[seat].core.is_some() && self.seats[seat].fuse.is_none() {
            self.seats[seat].fuse = Some(after_effects);
            self.seats[seat].down_ms = down_ms;
            let life = self.seats[seat].life;
            let at_ms = self.now_ms + CRASH_WAIT_MS;
            self.push(at_ms, Event::CrashNow { seat, life });
        }
    }

    /// The machine stops; its links break, which its peers notice in their own time.
    pub(super) fn crash(&mut self, seat: usize) {
        let slot = self.seats[seat].slot;
        self.trace.tell(self.now_ms, || format!("{slot} crashes"));
        self.trace.mix(self.now_ms, 3, slot.0, 0, &Hash::ZERO);
        self.crashes += 1;
        self.seats[seat].stop(&mut self.disk_rng);
        if self.is_honest(slot) {
            self.checks.observe(self.now_ms, &Observation::Crashed { slot });
        }
        if self.is_last_seat_up(seat) {
            for peer in self.board.roster.clone().all().filter(|peer| *peer != slot) {
                self.block(slot, peer);
            }
        }
        let at_ms = self.now_ms + self.seats[seat].down_ms.max(1);
        self.push(at_ms, Event::Restart { seat });
    }

    /// Whether the member's other seats are all down: then its links live and die with this one.
    pub(super) fn is_last_seat_up(&self, seat: usize) -> bool {
        let slot = self.seats[seat].slot;
        let others = self.seats_of(slot).into_iter().filter(|other| *other != seat);
        others.into_iter().all(|other| self.seats[other].core.is_none())
    }

    /// The machine starts again from its disk.
    pub(super) fn restart(&mut self, seat: usize) {
        let slot = self.seats[seat].slot;
        self.trace.tell(self.now_ms, || format!("{slot} starts again"));
        if self.is_last_seat_up(seat) {
            for peer in self.board.roster.clone().all().filter(|peer| *peer != slot) {
                self.unblock(slot, peer);
            }
        }
        self.boot(seat);
        self.submit_again(slot);
    }

    /// Whoever submitted a command and did not hear that it is committed submits it again.
    fn submit_again(&mut self, slot: Slot) {
        let again: Vec<usize> = self
            .unfinished
            .iter()
            .filter(|((owner, _), _)| *owner == slot)
            .map(|(_, index)| *index)
            .collect();
        for index in again {
            self.push(self.now_ms + 1, Event::Submit(index));
        }
    }
}
