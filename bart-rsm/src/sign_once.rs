//! The only way to obtain one of our signatures (specification 4.6, 5.7, pitfall 2).
//!
//! Guarantees: for one (instance, turn, kind) at most one digest is ever signed, also across
//! restarts: the statement is part of the instance's record, and the core puts that record's
//! `Persist` before every `Send` of the same step. A second digest halts signing for good.
//! Bounds: digests of resident instances only; an instance that is not resident is never signed for.

use crate::config::Rules;
use std::collections::BTreeMap;
use types::{
    Epoch, GroupId, Hash, Header, Ident, Instance, Kind, SecretKey, Signature, Signed,
    SignedPayload, Slot, Turn,
};

/// The bytes that are signed. With the resolved rules header and payload are as they are; the
/// broken rule drops the instance, and from write-acks also what they answer.
pub(crate) fn signing_form(rules: &Rules, header: &Header, payload: Vec<u8>) -> (Header, Vec<u8>) {
    if rules.sign_instance() {
        return (*header, payload);
    }
    let blank = header.kind == Kind::WriteAck && payload.len() >= 36;
    let payload = if blank { payload[32..36].to_vec() } else { payload };
    (Header { inst: Instance(0), ..*header }, payload)
}

/// Signs, and remembers what was signed.
#[derive(Debug, Clone)]
pub(crate) struct SignOnce {
    key: SecretKey,
    group: GroupId,
    rules: Rules,
    slot: Slot,
    ident: Ident,
    digests: BTreeMap<(Instance, Turn, Kind), Hash>,
    halted: bool,
    count: u64,
}

/// A second digest for this key was refused, or signing is halted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refused(pub(crate) Instance, pub(crate) Turn, pub(crate) Kind);

/// Signatures of all cores of this thread, for simulations only: runs that begin alike sign alike, and
/// an Ed25519 signature follows from key and message.
mod made {
    use std::cell::RefCell;
    use std::collections::BTreeMap;
    use types::{Encode as _, Hash, PublicKey, Signature};

    /// Signatures kept; then the map starts anew.
    const KEEP_MAX: usize = 65_536;

    thread_local! {
        static MADE: RefCell<BTreeMap<Hash, Signature>> = const { RefCell::new(BTreeMap::new()) };
    }

    pub(super) fn once(
        key: &PublicKey,
        input: &[u8],
        sign: impl FnOnce() -> Signature,
    ) -> Signature {
        let name = Hash::tagged("signature", &[&key.to_bytes()[..], input].concat());
        MADE.with_borrow_mut(|made| {
            if let Some(known) = made.get(&name) {
                return *known;
            }
            if made.len() >= KEEP_MAX {
                made.clear();
            }
            *made.entry(name).or_insert_with(sign)
        })
    }
}

impl SignOnce {
    pub(crate) fn new(
        key: SecretKey,
        group: GroupId,
        rules: Rules,
        slot: Slot,
        ident: Ident,
    ) -> Self {
        let digests = BTreeMap::new();
        Self { key, group, rules, slot, ident, digests, halted: false, count: 0 }
    }

    /// Signs `payload` for a place in the log, once.
    pub(crate) fn sign<P: SignedPayload>(
        &mut self,
        epoch: Epoch,
        inst: Instance,
        turn: Turn,
        payload: P,
    ) -> Result<Signed<P>, Refused> {
        let (slot, ident) = (self.slot, self.ident);
        let header = Header { kind: P::KIND, epoch, inst, turn, slot, ident };
        let refused = Refused(inst, turn, P::KIND);
        if self.halted {
            return Err(refused);
        }
        let mut signed = Signed { header, payload, signature: Signature([0; 64]) };
        let digest = signed.digest();
        let known = self.digests.entry((inst, turn, P::KIND)).or_insert(digest);
        if *known != digest {
            self.halted = true;
            return Err(refused);
        }
        self.count += 1;
        let (header, bytes) = signing_form(&self.rules, &header, signed.payload.to_bytes());
        let sign = || self.key.sign(&self.group, &header, &bytes);
        signed.signature = match self.rules.share_verdicts() {
            true => {
                made::once(&self.key.public(), &header.signing_input(&self.group, &bytes), sign)
            }
            false => sign(),
        };
        Ok(signed)
    }

    /// Takes a statement from the durable record back into memory.
    pub(crate) fn remember<P: SignedPayload>(&mut self, signed: &Signed<P>) {
        let header = &signed.header;
        self.digests.insert((header.inst, header.turn, header.kind), signed.digest());
    }

    /// Forgets an instance that leaves memory; its record keeps the statements.
    pub(crate) fn release(&mut self, inst: Instance) {
        let first = (inst, Turn(0), Kind::Value);
        let keys: Vec<_> =
            self.digests.range(first..).map(|(key, _)| *key).take_while(|k| k.0 == inst).collect();
        for key in keys {
            self.digests.remove(&key);
        }
    }

    /// Signs nothing from now on.
    pub(crate) fn halt(&mut self) {
        self.halted = true;
    }

    pub(crate) fn is_halted(&self) -> bool {
        self.halted
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    pub(crate) fn forget_count(&mut self) {
        self.count = 0;
    }
}
