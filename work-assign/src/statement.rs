//! What members sign on lane W (specification 6.1, 6.2).
//!
//! Guarantees: (1) a statement about an assignment is signed for its place in the log, so it serves no other;
//! (2) the core of an answer is signed outside the log under the name of the request alone, so that one answer
//! serves the direct path and every assignment (decision 15); (3) each statement names all that a third
//! party needs to judge it.

use crate::layout::{Blob, Code, layout};
use crate::request::Aid;
use types::limits::WORK_FIELDS_MAX;
use types::{GroupId, Hash, Size, Slot, Stamp};

layout! {
    /// A target's answer; its body is detached and bound by digest.
    ResponseCore = WorkResponse {
        /// The name of the request, or of the batch.
        request: Hash,
        /// The kind of answer.
        kind: Code,
        /// Digest of the body; zero if there is none.
        body: Hash,
        /// Bytes of the body.
        body_len: Size,
        /// The target's clock.
        stamp: Stamp,
        /// What the answer says.
        fields: Blob<WORK_FIELDS_MAX>,
    }
}
layout! {
    /// "I hold this answer to this assignment."
    WorkAck = WorkAck {
        /// The name of the work.
        request: Hash,
        /// Digest of the answer's signed core.
        answer: Hash,
        /// When it was taken over.
        stamp: Stamp,
    }
}
layout! {
    /// "I waited for the whole time and nothing came."
    NoEvidence = NoEvidence {
        /// Who was to answer.
        target: Slot,
        /// Who asked.
        requester: Slot,
        /// The name of the work.
        request: Hash,
        /// When the wait ended.
        stamp: Stamp,
    }
}
layout! {
    /// "This is the answer that I hold." It binds the core with its signature, so that a bad one is the witness's fault.
    WitnessStatement = WorkWitness {
        /// Who was to answer.
        target: Slot,
        /// The name of the work.
        request: Hash,
        /// Digest of the encoded answer, signatures included.
        answer: Hash,
    }
}
layout! {
    /// "My machine has assigned this to that machine."
    WorkOrder = WorkOrder {
        /// The machine that is to do it next.
        machine: GroupId,
        /// The name of the work in the machine in which somebody first asked for it.
        request: Hash,
        /// Whose account there is charged.
        requester: Slot,
        /// Hops that are left.
        ttl: Code,
    }
}
layout! {
    /// "My machine did that machine's work, and this came out."
    ResultShare = ResultShare {
        /// The machine that assigned it.
        origin: GroupId,
        /// Its assignment.
        aid: Aid,
        /// The name of the work.
        request: Hash,
        /// Digest of the result.
        result: Hash,
    }
}
layout! {
    /// "This was that member's account after this instance." Signed for the instance, turn 0.
    AccountShare = AccountShare {
        /// Whose account.
        member: Slot,
        /// State machine time after the instance.
        tau: Stamp,
        /// Digest of the account and the pending vows.
        view: Hash,
    }
}
