//! What a member keeps of each assignment in each of its roles; every struct is one durable record.
//!
//! Bounds: [`types::limits::WORK_OPEN_MAX`] entries a role; an entry ends when everybody has confirmed, or long after its
//! deadlines in state machine time.

use crate::cert::Cert;
use crate::layout::{Blob, Body, BySlot, Code, Count, Flag, layout};
use crate::request::{Aid, Work};
use crate::statement::*;
use bart_rsm::message::SlotSet;
use types::limits::FOREIGN_RESULT_MAX;
use types::{Epoch, GroupId, Hash, Signed, Slot, Stamp};

layout! {
    /// An answer that we gave, or are about to give (decision 15).
    Answered {
        /// Its signed core.
        core: Signed<ResponseCore>,
        /// Its body.
        body: Body,
        /// State machine time after which nobody can ask for it again.
        expires: Stamp,
    }
}
layout! {
    /// Target: work that was assigned to us.
    Serving {
        /// The roster of the assignment.
        epoch: Epoch,
        /// The work.
        work: Work,
        /// Who has not acknowledged yet.
        waiting: SlotSet,
        /// Who has, in writing: against false denials (issue W8).
        acks: BySlot<Signed<WorkAck>>,
        /// State machine time after which nobody needs them.
        until: Stamp,
    }
}
layout! {
    /// Witness: somebody else's work, asked for by a third.
    Watched {
        /// The roster of the assignment.
        epoch: Epoch,
        /// Who is to answer.
        target: Slot,
        /// The work.
        work: Work,
        /// Reading of the target's counter at which the wait ends.
        deadline: Count,
        /// The answer.
        core: Option<Signed<ResponseCore>>,
        /// Its body, if we forward it.
        body: Body,
        /// Our word to the target.
        ack: Option<Signed<WorkAck>>,
        /// Our word to the requester: the answer.
        word: Option<Signed<WitnessStatement>>,
        /// Our word to the requester: nothing came.
        denial: Option<Signed<NoEvidence>>,
        /// The requester has our last word.
        received: Flag,
        /// The target is listed for it.
        listed: Flag,
        /// State machine time after which the entry ends in any case.
        until: Stamp,
    }
}
layout! {
    /// Requester: work that we asked for.
    Asked {
        /// The roster of the assignment.
        epoch: Epoch,
        /// The work.
        work: Work,
        /// Readings of the counters at which the waits end.
        deadlines: BySlot<Count>,
        /// Members that have said what they owe us.
        heard: SlotSet,
        /// Members that are listed for it.
        listed: SlotSet,
        /// The answer, complete.
        answer: Option<Answered>,
        /// The first core, perhaps without its body.
        core: Option<Signed<ResponseCore>>,
        /// Who waited in vain.
        denials: BySlot<Signed<NoEvidence>>,
        /// The denial was delivered.
        denied: Flag,
        /// Another machine's result was delivered.
        done: Flag,
        /// State machine time after which the entry ends in any case.
        until: Stamp,
    }
}
layout! {
    /// Requester: a vow of ours, from before it is submitted until it is settled.
    OwnVow {
        /// Where it stands in the log.
        id: Option<Aid>,
        /// When it is due.
        due: Stamp,
        /// The work.
        work: Work,
        /// Which requests may be sent, a bit each.
        released: Count,
        /// The answers, by the place of the request.
        answers: BySlot<Answered>,
        /// What settles it.
        settlement: Option<SettledBy>,
        /// The path is direct: both ends are in the fast set, or were once.
        direct: Flag,
        /// The whole batch is to be answered now.
        closing: Flag,
    }
}
layout! {
    /// What settles an own vow, as a command's part.
    SettledBy {
        /// An encoded [`crate::command::Settlement`].
        with: Blob<{ types::limits::COMMAND_LEN_MAX }>,
    }
}
layout! {
    /// A result of another machine.
    Imported {
        /// What it certifies.
        cert: Cert<ResultShare>,
        /// The result.
        result: Blob<FOREIGN_RESULT_MAX>,
    }
}
layout! {
    /// Work that our machine has assigned to another.
    Abroad {
        /// The roster of the assignment.
        epoch: Epoch,
        /// The next machine.
        machine: GroupId,
        /// What our members certify.
        order: WorkOrder,
        /// The work.
        work: Work,
        /// The machine in which it was first asked for.
        home: GroupId,
        /// A member of ours asked; otherwise it is passed on for another machine.
        local: Flag,
        /// Our signature under the order.
        share: Option<Signed<WorkOrder>>,
        /// Members of the overlap that have not confirmed our signature.
        unordered: SlotSet,
        /// Readings of the counters at which the waits for the overlap end.
        deadlines: BySlot<Count>,
        /// Members of the overlap that brought the result.
        from: SlotSet,
        /// Members of the overlap that are listed.
        listed: SlotSet,
        /// The result.
        result: Option<Imported>,
        /// Our word to the requester.
        word: Option<Signed<WitnessStatement>>,
        /// Our word to the requester: nothing came.
        denial: Option<Signed<NoEvidence>>,
        /// The requester has our last word.
        received: Flag,
        /// State machine time after which the entry ends in any case.
        until: Stamp,
    }
}
layout! {
    /// Overlap, on the side of the machine that assigns: what we collect and bring back.
    Courier {
        /// Signatures under the order.
        shares: BySlot<Signed<WorkOrder>>,
        /// Readings of the counters at which the waits for them end.
        deadlines: BySlot<Count>,
        /// Members that are listed for theirs.
        listed: SlotSet,
        /// The certificate.
        order: Option<Cert<WorkOrder>>,
        /// Members that have not confirmed the result.
        unbrought: SlotSet,
        /// The other machine's result.
        result: Option<Imported>,
        /// Wall-clock time from which the order is handed over again, or the result is put into our own log.
        publish: Stamp,
    }
}
layout! {
    /// Overlap, on the side of the machine that executes: an order to bring in.
    Bringing {
        /// The certificate.
        order: Cert<WorkOrder>,
        /// The work.
        work: Work,
        /// The machine in which it was first asked for.
        home: GroupId,
        /// Wall-clock time from which it is our turn (ordered start).
        from: Stamp,
        /// State machine time after which the entry ends.
        until: Stamp,
    }
}
layout! {
    /// Work of another machine that ours does.
    Hosted {
        /// The roster of its place in our log.
        epoch: Epoch,
        /// The other machine.
        origin: GroupId,
        /// Its assignment.
        aid: Aid,
        /// The name of the work.
        request: Hash,
        /// The work.
        work: Work,
        /// Whether the application is to execute it.
        execute: Flag,
        /// The result.
        result: Option<Blob<FOREIGN_RESULT_MAX>>,
        /// Our signature under it.
        share: Option<Signed<ResultShare>>,
        /// Members of the overlap that have not confirmed it.
        unshared: SlotSet,
        /// Overlap: signatures under the result.
        shares: BySlot<Signed<ResultShare>>,
        /// Overlap: readings at which the waits for them end.
        deadlines: BySlot<Count>,
        /// Overlap: members that are listed for theirs.
        listed: SlotSet,
        /// Overlap: the certificate.
        cert: Option<Cert<ResultShare>>,
        /// State machine time after which the entry ends.
        until: Stamp,
    }
}

/// First byte of a result: what became of the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The application's result follows.
    Done,
    /// The requester's account in the executing machine is exhausted.
    OverQuota,
    /// There is no way to the machine, or it is too far.
    NoRoute,
    /// The application's result was longer than the request allows.
    TooLong,
}

impl Verdict {
    /// A result with this verdict.
    pub fn with(self, bytes: &[u8]) -> Vec<u8> {
        [&[self as u8][..], bytes].concat()
    }

    /// Takes a result apart.
    pub fn of(result: &[u8]) -> Option<(Self, &[u8])> {
        let (code, rest) = result.split_first()?;
        let verdict = match code {
            0 => Self::Done,
            1 => Self::OverQuota,
            2 => Self::NoRoute,
            3 => Self::TooLong,
            _ => return None,
        };
        Some((verdict, rest))
    }
}

/// Hops are one byte.
pub(crate) const fn hops(ttl: u8) -> Code {
    Code(ttl)
}
