//! Returning chunks.

use super::Storer;
use super::list::{FileName, OwnedName};
use crate::objects::{DenyReason, Part, Receipt, RetrieveConfirm, RetrieveDeny, RetrieveRequest};
use crate::record::Record;
use crate::slice;
use crate::wire::{Response, Unavailable};
use types::{Hash, Signed, Size, Slot, Stamp, Unverified, Verified};

/// What the runner does for a request to retrieve: write `records`, then `reply`.
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetrieveStep {
    /// To be durable before anything leaves; usually empty.
    pub records: Vec<Record>,
    /// Then.
    pub reply: Reply,
}

/// The reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Read the file. If it has this size and digest, send the confirm with it as the body;
    /// otherwise drop the confirm and send [`Storer::on_body_unavailable`].
    Read {
        /// The file.
        file: FileName,
        /// Digest that the body must have.
        hash: Hash,
        /// Bytes that the body must have.
        size: Size,
        /// How much of it is asked for.
        part: Part,
        /// The signed core.
        confirm: Response,
    },
    /// Send this.
    Answer(Response),
}

impl Storer {
    /// Answers a request whose signature the caller verified.
    pub fn on_retrieve(
        &mut self,
        now: Stamp,
        from: Slot,
        request: &Verified<Signed<RetrieveRequest>>,
    ) -> RetrieveStep {
        let receipt = &request.payload.receipt;
        if let Err(why) = self.may_answer(now, from, request) {
            return unavailable(why);
        }
        let info = &receipt.payload.info;
        let name = OwnedName { owner: from, name: info.payload.name };
        let Some(held) = self.held.get(&name) else {
            // Not held although it should be: a signed word would be a confession.
            return match self.config.rules.is_over(info.payload.stamp, now) {
                true => self.deny(now, receipt, DenyReason::Expired),
                false => unavailable(Unavailable::Unknown),
            };
        };
        let newer = held.info();
        // After a renewal the body of the older receipt is the same, and returning it is legal.
        if let Some(file) = held.file()
            && newer.payload.same_chunk(&info.payload)
        {
            let (hash, size) = (info.payload.hash, info.payload.size);
            let part = request.payload.part;
            if matches!(part, Part::Slice { start } if !slice::is_start(start, size.0)) {
                return unavailable(Unavailable::Misaddressed);
            }
            return self.confirm(now, receipt, file, (hash, size), part);
        }
        if newer.payload.supersedes(&info.payload) {
            let newer = Box::new(newer.clone());
            return self.deny(now, receipt, DenyReason::Superseded(newer));
        }
        unavailable(Unavailable::Unknown)
    }

    /// From its owner, about a receipt that this identity signed, and not from the future.
    fn may_answer(
        &self,
        now: Stamp,
        from: Slot,
        request: &Signed<RetrieveRequest>,
    ) -> Result<(), Unavailable> {
        let receipt = &request.payload.receipt;
        let owner = receipt.payload.owner();
        if request.header.slot != from || owner != from || receipt.header != self.receipt_header() {
            return Err(Unavailable::Misaddressed);
        }
        if self.config.rules.too_far_ahead(request.payload.stamp, now).is_some() {
            return Err(Unavailable::FutureStamp);
        }
        let name = OwnedName { owner: from, name: receipt.payload.info.payload.name };
        if self.held.get(&name).is_some_and(|held| *held.receipt == *receipt) {
            return Ok(());
        }
        let payload = types::Encode::to_bytes(&receipt.payload);
        self.config
            .key
            .public()
            .verify(&self.config.group, &receipt.header, &payload, &receipt.signature)
            .map_err(|_| Unavailable::BadSignature)
    }

    fn receipt_header(&self) -> types::Header {
        types::Header { kind: types::Kind::Receipt, ..self.header() }
    }

    fn confirm(
        &mut self,
        now: Stamp,
        receipt: &Signed<Receipt>,
        file: FileName,
        (hash, size): (Hash, Size),
        part: Part,
    ) -> RetrieveStep {
        let mut records = Vec::new();
        let stamp = self.stamps.take(now, &mut records);
        let core = RetrieveConfirm { receipt: Receipt::cite(receipt), hash, size, stamp };
        let confirm = Response::Confirm(Unverified::new(self.sign(core).into_inner()));
        RetrieveStep { records, reply: Reply::Read { file, hash, size, part, confirm } }
    }

    fn deny(&mut self, now: Stamp, receipt: &Signed<Receipt>, reason: DenyReason) -> RetrieveStep {
        let mut records = Vec::new();
        let stamp = self.stamps.take(now, &mut records);
        let deny = RetrieveDeny { receipt: Receipt::cite(receipt), reason, stamp };
        let deny = Response::Deny(Unverified::new(self.sign(deny).into_inner()));
        RetrieveStep { records, reply: Reply::Answer(deny) }
    }

    /// What to say when a chunk's file is missing or damaged: nothing that is signed.
    pub fn on_body_unavailable() -> Response {
        Response::Unavailable(Unavailable::Damaged)
    }
}

fn unavailable(why: Unavailable) -> RetrieveStep {
    RetrieveStep { records: Vec::new(), reply: Reply::Answer(Response::Unavailable(why)) }
}
