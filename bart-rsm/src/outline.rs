//! What a member's future in one instance depends on, for exhaustive exploration (specification
//! 3.13, issue "model-check n = 5, f = 1").
//!
//! Assumes: nothing is repeated and no link breaks, so that times, rates and caches play no part.
//! Guarantees: (1) [`Core::fingerprint`] differs for cores that may behave differently; (2) an
//! [`Outline`] leaves out who signed a certificate and by which path it came, since several valid
//! certificates of one statement are interchangeable (specification 3.11). What concerns a peer is
//! apart from the rest, so that members in equal roles can be exchanged. Every field is named in
//! the patterns below: a new one must be put into the outline or be said to play no part.

use crate::core::Core;
use crate::inst::{AcceptorTurn, Conv, Inst, Lead};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use types::{Encode, Hash, Instance, Millis, Slot, Turn};

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outline {
    /// What concerns no particular peer.
    pub own: Vec<u64>,
    /// What concerns each peer, by slot.
    pub about: Vec<Vec<u64>>,
    /// Digests of the encodings of parked messages, by author's slot.
    pub parked: Vec<Vec<Hash>>,
    /// Stage and agreed value of each turn in which we are an acceptor.
    pub turns: BTreeMap<u32, (u8, Option<Hash>)>,
    /// Turn and value of the accepted write.
    pub accepted: Option<(Turn, Hash)>,
    /// Turn and value of the decision.
    pub decided: Option<(Turn, Hash)>,
    /// The turn whose timer runs, and when it fires.
    pub timer: Option<(u32, Millis)>,
}

/// Says what a digest stands for.
type Name<'a> = &'a dyn Fn(&Hash) -> u64;

impl Core {
    /// A digest of the whole state but times, rates and caches.
    pub fn fingerprint(&self) -> Hash {
        let mut plain = self.clone();
        plain.verifier.forget();
        plain.signer.forget_count();
        plain.peers.iter_mut().for_each(crate::peer::Peer::without_clock);
        plain.insts.values_mut().for_each(Inst::without_clock);
        plain.asks = Default::default();
        plain.now.mono = Millis(0);
        plain.entered_at = Millis(0);
        plain.timers.values_mut().for_each(|(_, at)| *at = Millis(0));
        plain.propose_at = self.propose_at.map(|(no, _)| (no, Millis(0)));
        let mut text = String::new();
        let _ = write!(text, "{plain:?}");
        Hash::tagged("core state", text.as_bytes())
    }

    /// What our future in an instance depends on. `name` says what a digest stands for; digests
    /// that it gives one name are interchangeable.
    pub fn outline(&self, no: Instance, name: Name<'_>) -> Outline {
        let mut outline = Outline {
            about: vec![Vec::new(); self.slots],
            parked: vec![Vec::new(); self.slots],
            ..Default::default()
        };
        let Some(inst) = self.insts.get(&no) else { return outline };
        outline.timer = self.timers.get(&no).copied();
        let timer = outline.timer.map_or(0, |(turn, _)| u64::from(turn) + 1);
        outline.own.extend([timer, u64::from(self.alarmed)]);
        put_inst(&mut outline, inst, name);
        for (slot, peer) in self.peers.iter().enumerate() {
            outline.about[slot].push(u64::from(peer.is_open(no)));
            let parked = peer.parking.iter().filter(|message| message.inst() == no);
            outline.parked[slot] = parked.map(|message| Hash::of(&message.to_bytes())).collect();
        }
        outline
    }
}

fn put_inst(outline: &mut Outline, inst: &Inst, name: Name<'_>) {
    let Inst {
        // Given, or following from the decision.
        no: _,
        sender: _,
        tau: _,
        fines: _,
        started,
        proof,
        acc,
        max_pol,
        decided,
        values,
        turns,
        leads,
        reports,
        report_sent,
        shown,
        penance_from,
        penance_paid_to,
        penance_sent,
    } = inst;
    outline.accepted = acc.as_ref().map(|cert| (cert.turn, cert.value));
    outline.decided = decided.as_ref().map(|cert| (cert.turn, cert.value));
    let own = &mut outline.own;
    own.extend([u64::from(*started), u64::from(*proof), u64::from(max_pol.turn.0)]);
    own.push(u64::from(*report_sent));
    for cert in [outline.accepted, outline.decided] {
        own.extend(cert.map_or([0, 0], |(turn, value)| [u64::from(turn.0) + 1, name(&value)]));
    }
    own.push(values.len() as u64);
    own.extend(values.keys().map(name));
    for (turn, state) in turns {
        own.push(u64::from(*turn));
        put_acceptor(own, state, name);
        let agreed = state.agree_ack.as_ref().map(|ack| ack.payload.value);
        outline.turns.insert(*turn, (state.stage, agreed));
    }
    for (slot, about) in outline.about.iter_mut().enumerate() {
        let slot = Slot(slot as u16);
        about.extend([u64::from(reports.contains(slot)), u64::from(shown.contains(slot))]);
        let penance = [penance_from, penance_paid_to, penance_sent];
        about.extend(penance.map(|set| u64::from(set.contains(slot))));
    }
    for (turn, lead) in leads {
        outline.own.push(u64::from(*turn));
        put_lead(outline, lead, name);
    }
}

fn put_acceptor(own: &mut Vec<u64>, state: &AcceptorTurn, name: Name<'_>) {
    // Times serve marks only, and marks serve later instances only.
    let AcceptorTurn { stage, set_turn_sent, read_ack, agree_ack, write_ack, fired_at: _ } = state;
    own.extend([u64::from(*stage), u64::from(*set_turn_sent)]);
    own.extend(read_ack.as_ref().map_or([0; 3], |(ack, _)| {
        [u64::from(ack.payload.val_turn.0), name(&ack.payload.value), name(&ack.payload.read)]
    }));
    own.extend(
        agree_ack
            .as_ref()
            .map_or([0; 2], |ack| [name(&ack.payload.value), name(&ack.payload.agree)]),
    );
    own.extend(write_ack.as_ref().map_or([0; 3], |(ack, _)| {
        [name(&ack.payload.value), u64::from(ack.payload.max_turn.0), name(&ack.payload.write)]
    }));
}

fn put_lead(outline: &mut Outline, lead: &Lead, name: Name<'_>) {
    let Lead {
        set_turns,
        read,
        agree,
        write,
        show,
        reads_in,
        agree_acks,
        write_acks,
        convs,
        told,
        // Times, as above.
        opened: _,
        arrivals: _,
    } = lead;
    outline.own.extend([
        read.as_ref().map_or(0, |(core, _)| name(&core.digest())),
        agree.as_ref().map_or(0, |step| name(&step.core.digest())),
        write.as_ref().map_or(0, |(core, _)| name(&core.digest())),
    ]);
    outline.own.extend(show.as_ref().map_or([0; 2], |(core, acks, _)| {
        [name(&core.payload.value), u64::from(acks.max_turn().0) + 1]
    }));
    for (slot, about) in outline.about.iter_mut().enumerate() {
        let Conv { sent, acked } = convs.get(slot).copied().unwrap_or_default();
        let slot = Slot(slot as u16);
        about.extend([u64::from(sent), u64::from(acked), u64::from(told.contains(slot))]);
        about
            .extend([set_turns.contains_key(&slot), agree_acks.contains_key(&slot)].map(u64::from));
        about.extend(reads_in.get(&slot).map_or([0, 0], |vote| {
            [u64::from(vote.entry.val_turn.0) + 1, name(&vote.entry.value)]
        }));
        about.push(write_acks.get(&slot).map_or(0, |(entry, _)| u64::from(entry.max_turn.0) + 1));
    }
}

#[cfg(test)]
mod tests {
    use crate::tests::harness::Net;
    use crate::{Input, Now};
    use types::{Instance, Millis, Slot};

    #[test]
    fn fingerprint_names_the_state_and_not_the_clock() {
        let net = Net::new(5);
        let core = net.cores[1].as_ref().unwrap();
        let (mut later, mut started) = (core.clone(), core.clone());
        let at = |mono| Now { mono: Millis(mono), ..core.now };
        let _ = later.handle(at(7), Input::Tick);
        assert_eq!(later.fingerprint(), core.fingerprint());
        let outline = core.outline(Instance(0), &|_| 0);
        let (turn, due) = outline.timer.unwrap();
        assert_eq!((turn, outline.decided, outline.turns[&0]), (0, None, (1, None)));
        let _ = started.handle(at(due.0), Input::Tick);
        assert_ne!(started.fingerprint(), core.fingerprint());
        assert_ne!(started.outline(Instance(0), &|_| 0), outline);
        // A link that came up is something that concerns its peer.
        let _ = later.handle(at(7), Input::LinkUp(Slot(2)));
        assert_ne!(later.fingerprint(), core.fingerprint());
    }
}
