//! State of one instance (specification 3.4).
//!
//! Guarantees: everything that a peer may still ask for is here or in the instance's record, one
//! copy of each artefact and a cursor per peer. Bounds: at most one body per accepting turn, one
//! set-turn per slot and turn, [`TURNS_MAX`] turns.

use crate::message::*;
use crate::proposal::Proposal;
use crate::untimely::Opened;
use std::collections::BTreeMap;
use std::sync::Arc;
use types::{Decode, Hash, Instance, Millis, Signature, Signed, Slot, Stamp, Turn};

/// Turns of one instance. Turn 10 and later last `T0 * 1024` each, so honest members stay far below.
pub(crate) const TURNS_MAX: u32 = 1024;

/// A READ_ACK as it was signed: the statement and the certificate that it names.
pub(crate) type ReadAnswer = (Signed<ReadAckStatement>, Arc<AgreeCert>);
/// A WRITE_ACK as it was signed.
pub(crate) type WriteAnswer = (Signed<WriteAckStatement>, Arc<Pol>);

/// Our side, as an acceptor, of a turn.
#[derive(Debug, Clone, Default)]
pub(crate) struct AcceptorTurn {
    /// 0 started; 1 read answered (turn 0 begins here); 2 agree, 3 write answered; 4 closed.
    pub(crate) stage: u8,
    pub(crate) set_turn_sent: bool,
    pub(crate) read_ack: Option<ReadAnswer>,
    pub(crate) agree_ack: Option<Signed<AgreeAckStatement>>,
    pub(crate) write_ack: Option<WriteAnswer>,
    /// When our timer gave the turn up; in memory only.
    pub(crate) fired_at: Option<Millis>,
}

/// How far a peer is in a conversation that we lead. Steps: 1 READ, 2 AGREE, 3 WRITE, 4 SHOW_QUORUM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Conv {
    /// Steps that left.
    pub(crate) sent: u8,
    /// Steps that were answered; the last one needs no answer.
    pub(crate) acked: u8,
}

/// What a peer's READ_ACK said.
#[derive(Debug, Clone)]
pub(crate) struct ReadVote {
    pub(crate) entry: ReadEntry,
    pub(crate) cert: Arc<AgreeCert>,
    pub(crate) value: Option<Arc<Value>>,
}

/// The AGREE of a turn as it was signed, with what forces its value.
#[derive(Debug, Clone)]
pub(crate) struct AgreeStep {
    pub(crate) core: Signed<AgreeStatement>,
    /// None in turn 0.
    pub(crate) reads: Option<Arc<ReadQuorum>>,
    pub(crate) cert: Arc<AgreeCert>,
}

/// Our side, as sender (turn 0) or leader, of a turn.
#[derive(Debug, Clone)]
pub(crate) struct Lead {
    pub(crate) set_turns: BTreeMap<Slot, Signature>,
    pub(crate) read: Option<(Signed<ReadStatement>, Arc<Pol>)>,
    pub(crate) agree: Option<AgreeStep>,
    pub(crate) write: Option<(Signed<WriteStatement>, Arc<AgreeCert>)>,
    pub(crate) show: Option<(Signed<ShowQuorumStatement>, Arc<WriteQuorum>, Arc<Pol>)>,
    pub(crate) reads_in: BTreeMap<Slot, ReadVote>,
    pub(crate) agree_acks: BTreeMap<Slot, Signature>,
    pub(crate) write_acks: BTreeMap<Slot, (WriteEntry, Arc<Pol>)>,
    /// The first answer of each kind by each peer, to notice a second one.
    pub(crate) convs: Vec<Conv>,
    /// Peers that were answered with SHOW_DECISION.
    pub(crate) told: SlotSet,
    /// When the turn began for us, if it will be judged; in memory only, like the arrivals.
    pub(crate) opened: Option<Opened>,
    /// When each set-turn first arrived.
    pub(crate) arrivals: BTreeMap<Slot, Millis>,
}

impl Lead {
    pub(crate) fn new(turn: u32, slots: usize) -> Self {
        let start = if turn == 0 { Conv { sent: 1, acked: 1 } } else { Conv::default() };
        Self {
            set_turns: BTreeMap::new(),
            read: None,
            agree: None,
            write: None,
            show: None,
            reads_in: BTreeMap::new(),
            agree_acks: BTreeMap::new(),
            write_acks: BTreeMap::new(),
            convs: vec![start; slots],
            told: SlotSet::default(),
            opened: None,
            arrivals: BTreeMap::new(),
        }
    }

    /// The last step that is formed, 0 if none.
    pub(crate) fn formed(&self) -> u8 {
        match (&self.show, &self.write, &self.agree, &self.read) {
            (Some(_), ..) => 4,
            (_, Some(_), ..) => 3,
            (_, _, Some(_), _) => 2,
            (_, _, _, Some(_)) => 1,
            _ => 0,
        }
    }

    pub(crate) fn conv(&self, peer: Slot) -> Conv {
        self.convs.get(usize::from(peer.0)).copied().unwrap_or_default()
    }

    /// A step left for `peer`; nothing answers the last one.
    pub(crate) fn mark_sent(&mut self, peer: Slot, step: u8) {
        if let Some(conv) = self.convs.get_mut(usize::from(peer.0)) {
            conv.sent = step;
            if step == 4 {
                conv.acked = 4;
            }
        }
    }

    /// `peer` answered `step`, if it was sent; whether that is so.
    pub(crate) fn mark_acked(&mut self, peer: Slot, step: u8) -> bool {
        match self.convs.get_mut(usize::from(peer.0)) {
            Some(conv) if conv.sent >= step => {
                conv.acked = conv.acked.max(step);
                true
            }
            _ => false,
        }
    }

    /// After votes were lost with memory: asks again for the answers to the last formed step.
    pub(crate) fn ask_again(&mut self) {
        let formed = self.formed();
        if formed == 0 || formed == 4 {
            return;
        }
        for conv in &mut self.convs {
            conv.acked = conv.acked.min(formed - 1);
            conv.sent = conv.sent.min(conv.acked);
        }
    }
}

/// One instance.
#[derive(Debug, Clone)]
pub(crate) struct Inst {
    pub(crate) no: Instance,
    pub(crate) sender: Slot,
    /// Highest turn started.
    pub(crate) started: u32,
    /// Highest turn proven to exist.
    pub(crate) proof: u32,
    /// Certificate of the latest accepted write; None orders below turn 0 (pitfall 3).
    pub(crate) acc: Option<Arc<AgreeCert>>,
    pub(crate) max_pol: Arc<Pol>,
    pub(crate) decided: Option<Arc<DecisionCert>>,
    /// State machine time after this instance, once it is applied.
    pub(crate) tau: Stamp,
    pub(crate) values: BTreeMap<Hash, Arc<Value>>,
    pub(crate) turns: BTreeMap<u32, AcceptorTurn>,
    pub(crate) leads: BTreeMap<u32, Lead>,
    /// Peers that reported the decision to us, the sender.
    pub(crate) reports: SlotSet,
    pub(crate) report_sent: bool,
    /// Peers that were sent a SHOW_DECISION; in memory only.
    pub(crate) shown: SlotSet,
    /// Units of penance that the decided proposal imposes, one entry a slot; empty for none.
    pub(crate) fines: Vec<u8>,
    /// Peers whose penance we have (O6).
    pub(crate) penance_from: SlotSet,
    /// Peers that we paid.
    pub(crate) penance_paid_to: SlotSet,
    /// Peers that we paid at least once since the start; in memory only.
    pub(crate) penance_sent: SlotSet,
}

impl Inst {
    /// The state on entry.
    pub(crate) fn new(no: Instance, sender: Slot, me: Slot, q: usize, slots: usize) -> Self {
        let mut inst = Self {
            no,
            sender,
            started: 0,
            proof: 0,
            acc: None,
            max_pol: Arc::new(Pol::null(q)),
            decided: None,
            tau: Stamp(0),
            values: BTreeMap::new(),
            turns: BTreeMap::new(),
            leads: BTreeMap::new(),
            reports: SlotSet::default(),
            report_sent: false,
            shown: SlotSet::default(),
            fines: Vec::new(),
            penance_from: SlotSet::default(),
            penance_paid_to: SlotSet::default(),
            penance_sent: SlotSet::default(),
        };
        inst.open_turn_0(me, slots);
        inst
    }

    /// Forgets what only says when something happened.
    pub(crate) fn without_clock(&mut self) {
        let zero = Millis(0);
        for state in self.turns.values_mut() {
            state.fired_at = state.fired_at.map(|_| zero);
        }
        for lead in self.leads.values_mut() {
            lead.opened = lead.opened.map(|opened| Opened { at: zero, ..opened });
            lead.arrivals.values_mut().for_each(|at| *at = zero);
        }
    }

    /// Turn 0 exists from entry on.
    pub(crate) fn open_turn_0(&mut self, me: Slot, slots: usize) {
        if self.sender == me {
            self.leads.entry(0).or_insert_with(|| Lead::new(0, slots));
        } else {
            self.turns.entry(0).or_insert(AcceptorTurn { stage: 1, ..Default::default() });
        }
    }

    pub(crate) fn is_decided(&self) -> bool {
        self.decided.is_some()
    }

    /// The decided value's statement and body; None for NULL or if undecided.
    pub(crate) fn decided_value(&self) -> Option<&Arc<Value>> {
        self.decided.as_ref().and_then(|cert| self.values.get(&cert.value))
    }

    /// The decided proposal. A body that passed q acceptors decodes; if one did not, it would be a
    /// no-op for everybody.
    pub(crate) fn decided_proposal(&self) -> Option<Proposal> {
        self.decided_value().and_then(|value| Proposal::from_bytes(&value.body).ok())
    }

    /// What we agreed to in a turn: the value and the AGREE's digest.
    pub(crate) fn agreed(&self, turn: u32) -> Option<(Hash, Hash)> {
        let ack = self.turns.get(&turn)?.agree_ack.as_ref()?;
        Some((ack.payload.value, ack.payload.agree))
    }

    /// The turn of the accepted write as statements name it.
    pub(crate) fn acc_turn(&self) -> Turn {
        self.acc.as_ref().map_or(TURN_NONE, |cert| cert.turn)
    }
}
