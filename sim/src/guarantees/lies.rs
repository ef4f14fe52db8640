//! What a Byzantine storer answers, and what a Byzantine owner asks (specification 9.13, 9.14).

use super::member::{group, secrets};
use crate::rng::Random;
use bytes::Bytes;
use pib::{
    DenyReason, EvidenceKind, Op, Receipt, RejectReason, Response, RetrieveConfirm, RetrieveDeny,
    StoreInfo, StoreReject,
};
use types::{
    Hash, Header, Ident, Instance, SecretKey, Signed, SignedPayload, Size, Slot, Stamp, Unverified,
};

/// A lie, what it convicts its author of, and whether it does so for certain.
pub struct Lie<T> {
    /// What is said instead; nothing for silence.
    pub said: Option<T>,
    /// The row that the asker must find.
    pub provable: Option<EvidenceKind>,
}

/// A member that signs anything.
pub struct Liar {
    slot: Slot,
    key: SecretKey,
    /// Answers of its own and of others, to be said again in the wrong place.
    heard: Vec<Response>,
    /// Statements about its own chunks.
    infos: Vec<Signed<StoreInfo>>,
}

/// Answers and statements that a liar remembers.
const HEARD_MAX: usize = 64;

impl Liar {
    /// With the member's own key.
    pub fn new(slot: Slot) -> Result<Self, String> {
        let key = secrets(slot).identity(Ident(0)).map_err(|error| error.to_string())?;
        Ok(Self { slot, key, heard: Vec::new(), infos: Vec::new() })
    }

    /// Remembers what went over the wire.
    pub fn hear(&mut self, response: &Response) {
        if self.heard.len() < HEARD_MAX {
            self.heard.push(response.clone());
        }
    }

    fn sign<P: SignedPayload>(&self, payload: P) -> Signed<P> {
        let header = Header {
            epoch: types::Epoch(0),
            inst: Instance(0),
            turn: types::Turn(0),
            slot: self.slot,
            ident: Ident(0),
            kind: P::KIND,
        };
        Signed::new(&self.key, &group(), header, payload).into_inner()
    }

    /// Instead of the answer of its own honest core to a request to store.
    pub fn about_storing(
        &self,
        info: &Signed<StoreInfo>,
        now: Stamp,
        honest: Option<Response>,
        rng: &mut Random,
    ) -> Lie<Response> {
        let say = |said, provable| Lie { said: Some(said), provable };
        let reject = |reason| {
            let signed = self.sign(StoreReject { info: info.clone(), reason, stamp: now });
            Response::Reject(Unverified::new(signed))
        };
        // A receipt that was given would turn a refusal into a second kind of lie.
        let accepted = matches!(honest, Some(Response::Receipt(_)));
        match rng.between(0, 11) {
            0 => Lie { said: None, provable: None },
            1 => {
                say(reject(RejectReason::Full { proof: Vec::new() }), Some(EvidenceKind::BadReject))
            }
            2 => say(
                reject(RejectReason::BadRequest { body: info.payload.hash }),
                Some(EvidenceKind::BadReject),
            ),
            3 => match rng.pick(&self.heard) {
                Some(old) => say(old, None),
                None => Lie { said: honest, provable: None },
            },
            // Signed for, and never kept.
            4 if !accepted => {
                let receipt = self.sign(Receipt { info: info.clone(), stamp: now });
                say(Response::Receipt(Unverified::new(receipt)), None)
            }
            _ => Lie { said: honest, provable: None },
        }
    }

    /// Instead of returning a chunk.
    pub fn about_returning(
        &self,
        receipt: &Signed<Receipt>,
        now: Stamp,
        honest: Option<(Response, Bytes)>,
        rng: &mut Random,
    ) -> Lie<(Response, Bytes)> {
        let cited = Receipt::cite(receipt);
        let info = &receipt.payload.info;
        let say = |response, body, provable| Lie { said: Some((response, body)), provable };
        let deny = |reason, stamp| {
            let signed = self.sign(RetrieveDeny { receipt: cited, reason, stamp });
            Response::Deny(Unverified::new(signed))
        };
        let confirm = |hash, size| {
            let signed = self.sign(RetrieveConfirm { receipt: cited, hash, size, stamp: now });
            Response::Confirm(Unverified::new(signed))
        };
        let other = Bytes::from(rng.bytes(info.payload.size.0 as usize));
        let over = super::member::RULES.is_over(info.payload.stamp, now);
        let bad_deny = Some(EvidenceKind::BadDeny).filter(|_| !over);
        match rng.between(0, 9) {
            0 => Lie { said: None, provable: None },
            1 => say(
                confirm(Hash::of(&other), info.payload.size),
                other,
                Some(EvidenceKind::WrongChunk),
            ),
            2 => say(
                confirm(info.payload.hash, Size(info.payload.size.0 + 1)),
                other,
                Some(EvidenceKind::WrongChunk),
            ),
            // The right words with a wrong body prove nothing and bring nothing.
            3 => say(confirm(info.payload.hash, info.payload.size), other, None),
            4 => say(deny(DenyReason::Expired, now), Bytes::new(), bad_deny),
            // As far ahead as anybody believes it.
            5 => say(
                deny(DenyReason::Expired, Stamp(now.0 + super::member::RULES.skew_ms / 2)),
                Bytes::new(),
                None,
            ),
            6 => say(
                deny(DenyReason::Superseded(Box::new(info.clone())), now),
                Bytes::new(),
                Some(EvidenceKind::BadDeny),
            ),
            7 => say(
                deny(DenyReason::Recovering { activation: Instance(1) }, now),
                Bytes::new(),
                None,
            ),
            8 => match rng.pick(&self.heard) {
                Some(old) => say(old, other, None),
                None => Lie { said: honest, provable: None },
            },
            _ => Lie { said: honest, provable: None },
        }
    }

    /// A request that no honest owner would send, and its body. Some are no statement in the sense of the wire.
    pub fn request(
        &mut self,
        storer: Slot,
        now: Stamp,
        rng: &mut Random,
    ) -> (Signed<StoreInfo>, Bytes) {
        let old = rng.pick(&self.infos);
        let body = Bytes::from(rng.bytes(100));
        let mut info = StoreInfo {
            op: Op::Put,
            storer,
            name: Hash::of(&[rng.between(0, 5) as u8]),
            hash: Hash::of(&body),
            size: Size(100),
            stamp: now,
        };
        match (rng.between(0, 9), old) {
            // The same again, perhaps after it was withdrawn or renewed.
            (0 | 1, Some(old)) => return (old, body),
            // Another statement with a stamp that was used.
            (2, Some(old)) => info.stamp = old.payload.stamp,
            (3, _) => info.stamp = Stamp(now.0 + 10 * super::member::RULES.skew_ms),
            (4, _) => info.stamp = Stamp(now.0.saturating_sub(2 * super::member::RULES.lease_ms)),
            (5, _) => info.hash = Hash::ZERO,
            (6, _) => (info.op, info.size, info.hash) = (Op::Tombstone, Size(0), Hash::ZERO),
            (7, _) => info.op = Op::Renew,
            (8, _) => info.size = Size(u64::MAX),
            // As much as it can, to fill the storer.
            _ => {
                let body = Bytes::from(rng.bytes(6000));
                (info.size, info.hash) = (Size(6000), Hash::of(&body));
                let signed = self.sign(info);
                self.remember(&signed);
                return (signed, body);
            }
        }
        let signed = self.sign(info);
        self.remember(&signed);
        (signed, body)
    }

    fn remember(&mut self, info: &Signed<StoreInfo>) {
        if self.infos.len() < HEARD_MAX {
            self.infos.push(info.clone());
        }
    }
}
